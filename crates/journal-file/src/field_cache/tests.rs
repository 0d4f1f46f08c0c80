use super::*;
use crate::offset::Units;

/// Returns the number of a field in the current batch.
fn here(cache: &mut FieldCache, key: u64) -> Option<u32> {
    match cache.find(key) {
        CachedField::InBatch(here) => Some(here.number),
        _ => None,
    }
}

/// Returns the bytes of a cached field, in the current batch or not.
fn kept(cache: &mut FieldCache, key: u64) -> Option<&[u8]> {
    match cache.find(key) {
        CachedField::Unread => None,
        CachedField::Unwanted => Some(b""),
        _ => Some(cache.bytes(&cache.fields[&key])),
    }
}

#[test]
fn a_field_is_known_once_it_is_kept() {
    let mut cache = FieldCache::default();
    cache.begin();
    let (field, other) = (key(0, Units(7)), key(1, Units(7)));
    assert!(matches!(cache.find(field), CachedField::Unread));
    cache.keep(field, b"NAME=value", 4, 3);
    assert_eq!(here(&mut cache, field), Some(3));
    assert!(matches!(cache.find(other), CachedField::Unread), "the same place of another file");
    cache.keep(other, b"", 0, 0);
    assert!(matches!(cache.find(other), CachedField::Unwanted));
    assert_eq!(kept(&mut cache, field), Some(&b"NAME=value"[..]));
}

#[test]
fn a_number_is_of_one_batch() {
    let mut cache = FieldCache::default();
    cache.begin();
    let [field, unwanted] = [1, 2].map(|at| key(0, Units(at)));
    cache.keep(field, b"NAME=value", 4, 3);
    cache.keep(unwanted, b"", 0, 0);
    cache.begin();
    let CachedField::OutsideBatch(found) = cache.find(field) else { panic!("{:?}", cache.find(field)) };
    assert_eq!((cache.bytes(&found), found.name), (&b"NAME=value"[..], 4));
    assert!(matches!(cache.find(unwanted), CachedField::Unwanted));
    cache.number(field, 0);
    assert_eq!(here(&mut cache, field), Some(0));
    // A field outside of the cache has no number.
    cache.number(key(0, Units(3)), 5);
    assert!(matches!(cache.find(key(0, Units(3))), CachedField::Unread));
}

#[test]
fn batches_may_be_counted_to_the_end() {
    let mut cache = FieldCache { batch: u32::MAX - 1, ..FieldCache::default() };
    cache.begin();
    cache.keep(key(0, Units(1)), b"A=1", 1, 0);
    assert_eq!(here(&mut cache, key(0, Units(1))), Some(0));
    cache.begin();
    assert!(matches!(cache.find(key(0, Units(1))), CachedField::Unread), "the first batch again, with nothing in it");
}

#[test]
fn any_place_in_any_file_is_one() {
    // Damaged entries may have any offset, even zero.
    let places = [0, 1, u32::MAX - 1, u32::MAX];
    let keys = || [0, 1, 2, 1000].into_iter().flat_map(move |file| places.map(|at| key(file, Units(at))));
    let mut cache = FieldCache::default();
    cache.begin();
    for round in 0..3 {
        for (number, key) in keys().enumerate() {
            cache.keep(key, format!("N={number}").as_bytes(), 1, number as u32);
            assert_eq!(here(&mut cache, key), Some(number as u32), "{key:x}, round {round}");
        }
        assert_eq!(cache.fields.len(), 16, "round {round}");
    }
}

#[test]
fn one_place_kept_again_and_again_fills_nothing() {
    let mut cache = FieldCache::default();
    cache.begin();
    cache.keep(key(5, Units(5)), b"A=1", 1, 0);
    for _ in 0..FIELDS {
        cache.keep(key(0, Units(0)), b"", 0, 0);
    }
    assert!(matches!(cache.find(key(0, Units(0))), CachedField::Unwanted));
    assert_eq!(here(&mut cache, key(5, Units(5))), Some(0), "nothing was forgotten for it");
    assert_eq!(cache.fields.len(), 2);
}

#[test]
fn fields_are_kept_up_to_a_limit() {
    let mut cache = FieldCache::default();
    cache.begin();
    let most = FIELDS as u32;
    let value = |at: u32| format!("N={at}").into_bytes();
    for at in 0..most {
        cache.keep(key(0, Units(at)), &value(at), 1, at);
    }
    for at in 0..most {
        assert_eq!(here(&mut cache, key(0, Units(at))), Some(at));
        assert_eq!(kept(&mut cache, key(0, Units(at))), Some(value(at).as_slice()));
    }
    let capacity = cache.fields.capacity();
    assert_eq!(cache.fields.len(), FIELDS);
    // One field more drops all others.
    cache.keep(key(0, Units(most)), b"ONE=more", 3, 9);
    assert_eq!(cache.fields.len(), 1);
    assert_eq!(here(&mut cache, key(0, Units(most))), Some(9));
    for at in 0..10 * most {
        cache.keep(key(1, Units(at)), b"", 0, 0);
        assert!(cache.fields.len() <= FIELDS && cache.fields.capacity() == capacity);
    }
}

#[test]
fn bytes_are_kept_up_to_a_limit() {
    let mut cache = FieldCache::default();
    cache.begin();
    let half = vec![b'x'; BYTES / 2];
    cache.keep(key(0, Units(1)), &half, 1, 1);
    cache.keep(key(0, Units(2)), &half, 1, 2);
    assert_eq!((here(&mut cache, key(0, Units(1))), here(&mut cache, key(0, Units(2)))), (Some(1), Some(2)));
    cache.keep(key(0, Units(3)), b"A=1", 1, 3);
    assert_eq!((cache.fields.len(), cache.bytes.len()), (1, 3), "the others made room");
    cache.keep(key(0, Units(4)), &vec![b'x'; BYTES + 1], 1, 4);
    assert!(matches!(cache.find(key(0, Units(4))), CachedField::Unread), "too large to be kept at all");
    assert!(cache.bytes.len() <= BYTES);
}

#[test]
fn what_is_forgotten_may_be_kept_anew() {
    let mut cache = FieldCache::default();
    cache.begin();
    for at in 0..5000 {
        cache.keep(key(0, Units(at)), b"A=1", 1, at);
    }
    cache.forget();
    assert_eq!((cache.fields.len(), cache.bytes.len()), (0, 0));
    assert!((0..5000).all(|at| matches!(cache.find(key(0, Units(at))), CachedField::Unread)));
    cache.keep(key(0, Units(0)), b"B=2", 1, 6);
    assert_eq!((here(&mut cache, key(0, Units(0))), kept(&mut cache, key(0, Units(0)))), (Some(6), Some(&b"B=2"[..])));
}
