#![allow(clippy::unwrap_used)] // a test fails by it

use std::io::Read as _;

use proptest::prelude::*;

use super::*;
use crate::file_range::tests::file;
use crate::payload::tests::codecs;

/// Returns a payload from the bytes that a file has of it.
fn read(codec: Option<Codec>, stored: &[u8]) -> io::Result<Vec<u8>> {
    let mut payload = Vec::new();
    open(codec, &FileRange::from(file(stored)))?.read_to_end(&mut payload)?;
    Ok(payload)
}

/// Returns payloads whose parts repeat at distances and lengths of every kind.
fn payloads() -> Vec<Vec<u8>> {
    let numbers: String = (0..40_000).map(|number| format!("{number},")).collect();
    let mut far = numbers.clone().into_bytes();
    far.extend_from_within(..64 << 10);
    let runs = (1..200).flat_map(|length| [vec![length; usize::from(length) * 17], vec![0, length]].concat()).collect();
    vec![b"A=".to_vec(), vec![1; 3 << 20], numbers.into_bytes(), far, runs]
}

#[cfg(feature = "lz4")]
fn lz4(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u64).to_le_bytes()[..], &lz4_flex::block::compress(payload)].concat()
}

#[test]
fn payloads_of_any_size_are_read() {
    for payload in payloads() {
        assert_eq!(read(None, &payload).unwrap(), payload);
        for (codec, pack) in codecs() {
            let stored = pack(&payload);
            assert!(read(Some(codec), &stored).unwrap() == payload, "{codec:?}");
            assert!(read(Some(codec), &stored[..stored.len() - 1]).is_err(), "{codec:?}");
        }
    }
}

#[test]
#[cfg(feature = "lz4")]
fn damaged_blocks_are_refused() {
    for payload in payloads() {
        let stored = lz4(&payload);
        let mut longer = stored.clone();
        longer[0] = longer[0].wrapping_add(1);
        let mut shorter = stored.clone();
        shorter[0] = shorter[0].wrapping_sub(1);
        for damaged in [&[&stored[..], b"\x10a"].concat(), &longer, &shorter] {
            assert!(read(Some(Codec::Lz4), damaged).is_err(), "{} bytes", payload.len());
        }
    }
    // A match before the first byte, and one of no distance.
    for block in [&b"\x10a\x02\x00\x00"[..], b"\x10a\x00\x00\x00"] {
        assert!(read(Some(Codec::Lz4), &[&20_u64.to_le_bytes()[..], block].concat()).is_err());
    }
}

proptest! {
    #[test]
    #[cfg(feature = "lz4")]
    fn any_block_is_read_as_the_library_reads_it(size in 0..2000_u64, block in proptest::collection::vec(0..40_u8, 0..60)) {
        let mut expected = vec![0; size as usize];
        let made = lz4_flex::block::decompress_into(&block, &mut expected);
        let found = read(Some(Codec::Lz4), &[&size.to_le_bytes()[..], &block].concat());
        if made.is_ok_and(|made| made as u64 == size) && size > 0 {
            prop_assert_eq!(found.unwrap(), expected);
        } else {
            prop_assert!(found.is_err() || size == 0);
        }
    }
}
