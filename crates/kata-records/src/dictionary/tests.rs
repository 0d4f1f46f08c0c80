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
