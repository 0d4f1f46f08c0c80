use super::*;

#[test]
fn every_key_is_found_once_and_every_name_is_a_key() {
    for (index, known) in DICTIONARY.iter().enumerate() {
        assert_eq!(find(known.key.as_bytes()), Some(KeyId::of_row(index)), "{}", known.key);
        let name = DICTIONARY.iter().find(|row| row.key == known.name).expect(known.name);
        assert_eq!((name.name, name.kind), (known.name, known.kind), "{} has one type under its name", known.key);
    }
    assert_eq!(find(b"no such key"), None);
    assert_eq!(find(b""), None);
}

#[test]
fn no_key_has_the_name_of_a_copy() {
    for known in DICTIONARY {
        let word = known.key.trim_end_matches(|letter: char| letter.is_ascii_digit());
        assert!(word.len() == known.key.len() || !word.ends_with('_'), "{}", known.key);
    }
}
