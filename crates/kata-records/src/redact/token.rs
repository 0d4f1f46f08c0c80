//! Secrets that their own form shows: private keys, bearer tokens, credentials in URLs.

use super::input::Input;
use super::quotes::{Levels, behind, closing};

/// The start of the first line of a PEM block.
pub(super) const PEM_HEAD: &[u8] = b"-----BEGIN ";
/// The start of a PEM block from its last dash on. Before it stands a dash, so the cheap test stops there.
pub(super) const PEM_TAIL: &[u8] = b"-BEGIN ";

/// The first line of a PEM block.
pub(super) struct PemHeader {
    pub(super) end: usize,
    pub(super) private: bool,
    /// The text ends inside the line.
    pub(super) open: bool,
}

/// Reads the first line of the PEM block at `at`.
pub(super) fn pem_header(input: &Input<'_>, at: usize) -> PemHeader {
    let label = at + PEM_HEAD.len();
    let end = input.skip(label, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    let dashes = input.skip(end, |byte| byte == b'-');
    let private = input.slice(label, end).ends_with(b"PRIVATE KEY") && dashes >= end + 5;
    PemHeader { end: if private { end + 5 } else { end }, private, open: dashes == input.len() }
}

/// Returns the end of the content of a PEM block: its last line, the end of the string around, or the end of the text.
pub(super) fn pem_end(input: &Input<'_>, mut at: usize, around: &Levels) -> usize {
    while let Some(byte) = input.get(at) {
        match byte {
            b'-' if input.starts(at, b"-----END ") => return at,
            b'"' | b'\\' => match closing(input, at, around) {
                Some(end) => return end,
                None => at = behind(input, at),
            },
            _ => at += 1,
        }
    }
    at
}

/// Returns the start of the token behind `Bearer` at `at`, or the end of the text if it is cut there.
pub(super) fn bearer(input: &Input<'_>, at: usize) -> Option<usize> {
    let word = input.starts(at, b"Bearer") || input.starts(at, b"BEARER");
    if !word || input.before(at).is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let end = at + b"Bearer".len();
    let start = input.skip(end, |byte| byte == b' ');
    if start >= input.len() {
        return Some(input.len());
    }
    // Challenges of servers (`Bearer realm="…"`) and prose hold no token.
    const OTHERS: [&[u8]; 9] =
        [b"realm=", b"error=", b"scope=", b"service=", b"token", b"auth", b"challenge", b"scheme", b"\""];
    (start > end && !OTHERS.iter().any(|other| input.starts(start, other))).then_some(start)
}

/// Returns the token of a fixed form around the `J` of `eyJ` (base64 of `{"`: JSON Web Tokens, registry credentials) or the
/// `K` of `AKIA` (keys of AWS).
pub(super) fn token_start(input: &Input<'_>, at: usize) -> Option<(usize, usize)> {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/' | b'=');
    let (start, mark, least): (_, &[u8], _) = match input.get(at)? {
        b'J' => (at.checked_sub(2)?, b"eyJ", 12),
        b'K' => (at.checked_sub(1)?, b"AKIA", 20),
        _ => return None,
    };
    // A longer word holds these letters by chance.
    if !input.starts(start, mark) || input.before(start).is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let end = match mark {
        b"eyJ" => input.skip(at, |byte| is_base64(byte) || byte == b'.'),
        _ => input.skip(at, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()),
    };
    (end - start >= least || end == input.len()).then_some((start, end))
}

/// The authority of a URL.
pub(super) struct Url {
    /// The password, or the whole user information of a web URL.
    pub(super) secret: Option<(usize, usize)>,
    pub(super) end: usize,
    /// The text ends inside the authority, behind a colon.
    pub(super) open: bool,
}

/// Reads the authority behind `://` at `at`.
pub(super) fn url(input: &Input<'_>, at: usize) -> Url {
    let start = at + 3;
    let (mut colon, mut last_at, mut end) = (None, None, start);
    while let Some(byte) = input.get(end) {
        match byte {
            0..=b' ' | b'/' | b'?' | b'#' | b'"' | b'\\' | b'<' | b'>' | b'\'' | b'`' | b'{' | b'}' => break,
            b':' if last_at.is_none() => colon = colon.or(Some(end)),
            b'@' => last_at = Some(end),
            _ => {}
        }
        end += 1;
    }
    let web = input.back(at, 5, |byte| byte.is_ascii_alphabetic());
    let web = matches!(input.slice(web, at), b"http" | b"https");
    match (last_at, colon) {
        (Some(last), Some(colon)) => Url { secret: Some((colon + 1, last)), end, open: false },
        (Some(last), None) if web => Url { secret: Some((start, last)), end, open: false },
        // A port is a number; other text behind a colon at the end may be the beginning of a password.
        (None, Some(colon)) if end == input.len() && !is_port(input.slice(colon + 1, end)) => {
            let address = input.get(start) == Some(b'[');
            Url { secret: (!address && colon + 1 < end).then_some((colon + 1, end)), end, open: !address }
        }
        _ => Url { secret: None, end, open: false },
    }
}

fn is_port(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}
