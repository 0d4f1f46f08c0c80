#![allow(clippy::unwrap_used)] // a test fails by it

use super::*;
use crate::file_range::tests::file;
use crate::payload::tests::codecs;

/// Returns a field that a file has without compression.
fn plain(payload: &[u8], before: usize) -> LargeField {
    LargeField::new(FileRange::from(file(payload)), None, before)
}

fn pieces(field: &LargeField) -> Vec<Vec<u8>> {
    let mut pieces = field.pieces().unwrap();
    std::iter::from_fn(|| pieces.next_piece().unwrap().map(<[u8]>::to_vec)).collect()
}

#[test]
fn pieces_are_the_value() {
    let value = "€".repeat(PIECE);
    let payload = format!("NAME={value}");
    let mut fields = vec![plain(payload.as_bytes(), 5)];
    for (codec, pack) in codecs() {
        let stored = FileRange::from(file(&pack(payload.as_bytes())));
        fields.push(LargeField::new(stored, Some(codec), 5));
    }
    for mut field in fields {
        field.read(u64::MAX).unwrap();
        assert_eq!((field.length(), field.is_printable(), field.is_line()), (value.len() as u64, true, true));
        let pieces = pieces(&field);
        assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.len() <= PIECE));
        assert!(pieces.iter().all(|piece| std::str::from_utf8(piece).is_ok()), "characters stay whole");
        assert!(pieces.concat() == value.as_bytes());
    }
}

#[test]
fn properties_are_those_of_the_whole_value() {
    let long = "€".repeat(PIECE);
    for (value, is_printable, is_line) in [
        (String::new(), true, true),
        (format!("{long}\n"), true, false),
        (format!("\n{long}\x01"), false, false),
        (format!("{long}\u{fdd0}"), false, true),
    ] {
        let mut field = plain(format!("A={value}").as_bytes(), 2);
        field.read(u64::MAX).unwrap();
        assert_eq!((field.is_printable(), field.is_line()), (is_printable, is_line), "{}", value.len());
    }
    let mut cut = plain(&long.as_bytes()[..long.len() - 1], 0);
    cut.read(u64::MAX).unwrap();
    assert!(!cut.is_printable(), "the last character is not whole");
}

#[test]
fn a_value_beyond_the_limit_is_refused() {
    let payload = vec![b'a'; 3 * PIECE];
    assert_eq!(plain(&payload, 1).read(3 * PIECE as u64 - 1), Ok(()));
    assert_eq!(plain(&payload, 1).read(3 * PIECE as u64 - 2), Err(Damage::Oversized));
    assert_eq!(plain(&payload, 3 * PIECE + 1).read(9).err(), Some(Damage::Unreadable));
}
