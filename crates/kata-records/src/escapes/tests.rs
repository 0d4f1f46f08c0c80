use super::*;

fn decoded(read: ReadEscape, text: &str) -> (Vec<u8>, bool) {
    let bump = Bump::new();
    let (bytes, ok) = unescape(text.as_bytes(), &bump, read);
    (bytes.to_vec(), ok)
}

#[test]
fn go_escapes_decode_in_full() {
    assert_eq!(
        decoded(go_escape, r#"\a\b\f\n\r\t\v\\\"\x00\xff\u00e9\U000e0001é"#),
        (b"\x07\x08\x0c\n\r\t\x0b\\\"\x00\xff\xc3\xa9\xf3\xa0\x80\x81\xc3\xa9".to_vec(), true)
    );
}

#[test]
fn malformed_escapes_stay_as_they_stand() {
    for text in [r"\q", r"\x4", r"\xzz", r"\ud800", r"\U00110000", r"\'", r"\101", "\\"] {
        assert_eq!(decoded(go_escape, text), (text.as_bytes().to_vec(), false), "{text}");
    }
    for text in [r"\q", r"\ud800", r"\ud800A", r"\udc00", r"\x41", r"\u12"] {
        let (bytes, ok) = decoded(json_escape, text);
        assert!(!ok && bytes.starts_with(b"\\"), "{text}");
    }
}

#[test]
fn json_pairs_make_one_character() {
    assert_eq!(decoded(json_escape, r"\ud83d\ude00\/"), ("😀/".as_bytes().to_vec(), true));
}

#[test]
fn rust_debug_escapes_have_braces() {
    assert_eq!(decoded(rust_escape, r#"\u{1b}[0m \"x\" \0\'\n"#), (b"\x1b[0m \"x\" \0'\n".to_vec(), true));
    assert_eq!(decoded(rust_escape, r"\u{110000}"), (br"\u{110000}".to_vec(), false));
    assert!(!decoded(rust_escape, r"\u{1234567890}").1);
}

#[test]
fn bytes_have_a_form_that_can_be_undone() {
    let bump = Bump::new();
    let text = escape_bytes(b"a\\b\xff\xc3(\xc3\xa9", &bump);
    assert_eq!(text.bytes, "a\\\\b\\xff\\xc3(é".as_bytes());
    assert_eq!(text.escaping, Escaping::Utf8);
}
