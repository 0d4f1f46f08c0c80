//! The search for the secret in any output.

use std::sync::LazyLock;

use memchr::memmem;

/// The secret. Letters and digits look alike in each escape.
pub(super) const CANARY: &str = "hunter2canary";

/// The halves of the secret, which a cut may separate.
const HALVES: [&str; 2] = ["hunter2", "canary"];

/// The forms of both halves: raw, in hexadecimal, as numbers of bytes, and in base64 at each alignment.
static FORMS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut forms = Vec::new();
    for half in HALVES {
        let joined = |separator: &str| half.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(separator);
        forms.push(half.to_owned());
        forms.push(half.bytes().map(|byte| format!("{byte:02x}")).collect());
        forms.extend([joined(","), joined(", ")]);
        for shift in 0..3 {
            let text = base64(shift, half.as_bytes());
            forms.push(text.replace('+', "-").replace('/', "_"));
            forms.push(text);
        }
    }
    forms
});

/// Returns the characters of base64 that depend on this text only, if `shift` bytes stand before it.
fn base64(shift: usize, text: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = [&vec![0; shift][..], text]
        .concat()
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let letters = bits
        .chunks_exact(6)
        .map(|six| char::from(LETTERS[six.iter().fold(0, |sum, bit| sum << 1 | usize::from(*bit))]));
    letters.skip((shift * 8).div_ceil(6)).collect()
}

/// Checks that bytes hold no half of the secret in any form.
pub(super) fn is_hidden(bytes: &[u8]) -> Result<(), String> {
    let shown = FORMS.iter().find(|form| memmem::find(bytes, form.as_bytes()).is_some());
    shown.map_or(Ok(()), |form| Err(format!("{form} is shown")))
}

/// Fails if bytes hold a half of the secret in any form.
#[track_caller]
pub(super) fn assert_hidden(bytes: &[u8], what: &str) {
    if let Err(error) = is_hidden(bytes) {
        panic!("{error}: {what}");
    }
}

#[test]
fn the_search_finds_each_form() {
    // Written by coreutils' base64.
    for text in [
        "aHVudGVyMmNhbmFyeQ==",
        "eGh1bnRlcjJjYW5hcnk=",
        "eHhodW50ZXIyY2FuYXJ5",
        "104,117,110,116,101,114,50",
        "x=canary",
    ] {
        assert!(FORMS.iter().any(|form| text.contains(form.as_str())), "{text}");
    }
}
