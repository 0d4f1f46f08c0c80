use std::io;
use std::os::unix::fs::FileExt;

use super::{VIEW_MIN, WindowSlot, Windows};
use crate::file_range::tests::file;

impl Windows {
    /// Finds an offset below the end, or reads the window around it.
    fn near(&mut self, offset: u64) -> io::Result<WindowSlot> {
        self.find(offset, offset)
    }
}

/// Returns bytes of which every eight differ.
fn noise(len: usize) -> Vec<u8> {
    (0..len as u64 / 8).flat_map(|number| (number + 1).to_le_bytes()).collect()
}

/// Returns a few thousand offsets in a fixed disorder.
fn offsets(end: u64) -> impl Iterator<Item = u64> {
    (0..3000_u64).map(move |number| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % end) & !7)
}

#[test]
fn views_are_the_file() {
    let bytes = noise(3 << 20);
    let end = bytes.len() as u64;
    for windows in [0, 1, 2, 3, 8] {
        let mut cache = Windows::new(file(&bytes), end, windows);
        for (number, offset) in offsets(end).enumerate() {
            // Close, distant, and from the last offset.
            let place = match number % 3 {
                0 => cache.near(offset),
                1 => cache.find(offset, end - offset),
                _ => cache.fresh(offset),
            };
            let view = cache.view(place.unwrap(), offset);
            assert!(view.len() as u64 >= (VIEW_MIN as u64).min(end - offset), "{offset}");
            assert!(bytes[offset as usize..].starts_with(view), "{offset}");
            let len = (number * 37).min((end - offset) as usize);
            assert!(cache.exact(offset, len).unwrap() == &bytes[offset as usize..][..len], "{offset}");
        }
    }
}

#[test]
fn what_begins_in_a_chunk_is_in_one_piece() {
    let bytes = noise(256 << 10);
    let mut cache = Windows::new(file(&bytes), bytes.len() as u64, 2);
    for offset in (0..(128 << 10)).step_by(8) {
        let place = cache.near(offset).unwrap();
        assert!(cache.view(place, offset).len() >= 4096);
    }
}

#[test]
fn a_look_far_away_leaves_the_windows_alone() {
    let mut bytes = noise(4 << 20);
    let end = bytes.len() as u64;
    let changing = file(&bytes);
    let mut cache = Windows::new(changing.try_clone().unwrap(), end, 1);
    let here = 3 << 20;
    cache.near(here).unwrap();
    bytes.fill(0);
    changing.write_all_at(&bytes, 0).unwrap();
    let place = cache.find(8, here).unwrap();
    assert!(cache.view(place, 8).iter().all(|byte| *byte == 0));
    let place = cache.near(here).unwrap();
    assert!(cache.view(place, here)[..8] != [0; 8], "still what was read first");
    let place = cache.fresh(here).unwrap();
    assert!(cache.view(place, here).iter().all(|byte| *byte == 0), "and not where it may have changed");
    cache.reset(end);
    let place = cache.near(here).unwrap();
    assert!(cache.view(place, here).iter().all(|byte| *byte == 0));
}

#[test]
fn a_file_that_shrinks_has_no_more_than_it_has() {
    let bytes = noise(200 << 10);
    let shrinking = file(&bytes);
    let mut cache = Windows::new(shrinking.try_clone().unwrap(), bytes.len() as u64, 2);
    shrinking.set_len(100 << 10).unwrap();
    let place = cache.near((100 << 10) - 16).unwrap();
    assert_eq!(cache.view(place, (100 << 10) - 16).len(), 16);
    for offset in [100 << 10, 150 << 10, (200 << 10) - 8] {
        let place = cache.near(offset).unwrap();
        assert!(cache.view(place, offset).is_empty());
    }
    assert_eq!(cache.exact(99 << 10, 2048).unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(cache.exact(99 << 10, 1024).unwrap().len(), 1024);
}
