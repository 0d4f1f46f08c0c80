//! Hostile texts take linear time: the steps are counted.

use super::redactor;
use crate::redact::finder::Finder;
use crate::redact::input::Input;
use crate::redact::leaves_open;
use crate::redact::spec;

/// Returns the number of bytes that the finder and the search for prints read.
fn steps(text: &[u8]) -> usize {
    let input = Input::new(text);
    Finder::new(&input, &mut |_| {}).run();
    _ = spec::ends_inside(&input) | spec::ends_before(&input);
    input.reads.get()
}

#[test]
fn steps_grow_with_the_length() {
    let parts = [
        "env:[",
        "\"",
        "\\",
        "=",
        ":",
        "\\\"",
        "\\\\\"",
        "Env:[A=",
        "\"env\":[\"A=",
        "Spec {",
        "{",
        "[",
        "<",
        "(",
        "-e ",
        "--token ",
        "-append ",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "\"-----BEGIN PRIVATE KEY-----\"",
        "eyJ",
        "-eyJ",
        "AKIA",
        "Bearer ",
        "a://b:c",
        "://",
        "password=",
        "password=\"",
        "token: ",
        "secret:{",
        "annotations:map[",
        "authorization: digest ",
        "x] A=b ",
        "\"x\":",
        "]",
        "]=",
        "A=b,",
        "'",
        "password='",
        "policy:\"",
        "Some(",
        "env:Some(",
        "&",
        "env:&",
        "env:[&KeyValue{",
        "a/",
        "{\"ociVersion",
        "Env:[A]] B=",
        "u{",
        "password=\\u{",
        "\\n",
        "env=\"[",
        "SetPolicy:",
        "é",
        " ",
        "@",
        "a:@",
        "env:[]x",
    ];
    for first in parts {
        for second in ["", "\"", "]", "\\\"", "x ", "env:[", "\\\\\\\""] {
            let part = format!("{first}{second}");
            let short = steps(part.repeat(200).as_bytes());
            let long = steps(part.repeat(800).as_bytes());
            assert!(long <= 5 * short + 2000, "{part}: {short}, {long}");
            assert!(long <= 160 * part.len() * 800, "{part}: {long}");
        }
    }
}

/// Growing runs of backslashes make the deepest strings.
#[test]
fn deep_strings_take_linear_time() {
    let deep = |depth: usize| (0..depth).map(|run| format!("{}\"env:[", "\\".repeat(run))).collect::<String>();
    let (short, long) = (deep(100), deep(400));
    assert!(steps(long.as_bytes()) / long.len() <= 2 * (steps(short.as_bytes()) / short.len() + 1));
}

#[test]
fn a_mebibyte_is_read() {
    for part in ["env:[", "\"", "\\", "password=\"\\"] {
        let text = part.repeat((1 << 20) / part.len());
        let bump = bumpalo::Bump::new();
        _ = redactor().redacted(text.as_bytes(), &bump);
        _ = leaves_open(text.as_bytes()) | redactor().may_hold_secret(text.as_bytes());
    }
}
