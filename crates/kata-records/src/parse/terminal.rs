//! The layout of logrus on a terminal, colored or not: `INFO[0000] text, padded to 44 columns   key=value …`.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use memchr::memchr;

use super::{Payload, logfmt};
use crate::flaw::Flaws;
use crate::record::{Pair, PayloadFormat, Text};
use crate::scan;

/// The width of the message column (`sirupsen/logrus: text_formatter.go`, `%-44s`).
const COLUMNS: usize = 44;

/// Appends the pairs of a line in this layout, and nothing for any other line.
pub(super) fn scan<'b>(line: &'b [u8], bump: &'b Bump, payload: &mut Payload<'b>) {
    let line = if line.first() == Some(&0x1b) { without_colour(line, bump) } else { line };
    let Some((level, rest)) = line.split_at_checked(4) else { return };
    if !matches!(level, b"INFO" | b"WARN" | b"ERRO" | b"DEBU" | b"FATA" | b"PANI" | b"TRAC") {
        return;
    }
    let Some(rest) = rest.strip_prefix(b"[") else { return };
    let Some(close) = memchr(b']', rest.get(..48).unwrap_or(rest)) else { return };
    let (clock, rest) = (rest.get(..close).unwrap_or_default(), rest.get(close + 1..).unwrap_or_default());
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    payload.format = PayloadFormat::Logfmt;
    if clock.iter().any(|byte| !byte.is_ascii_digit()) {
        payload.pairs.push(Pair::text(b"time", Text::plain(clock)));
    }
    payload.pairs.push(Pair::text(b"level", Text::clean(level)));
    let at = pairs_start(rest);
    let message = rest.get(..at).unwrap_or(rest).trim_ascii_end();
    payload.pairs.push(Pair::text(b"msg", Text::plain(message)));
    let flaws = rest.get(at..).map_or(Flaws::default(), |pairs| logfmt::scan(pairs, bump, &mut payload.pairs).flaws);
    payload.flaws.merge(flaws);
}

/// Returns the end of the message: its padding, or the first key if the message is longer.
fn pairs_start(rest: &[u8]) -> usize {
    let column = match rest.first_chunk::<COLUMNS>() {
        Some(head) if head.is_ascii() => COLUMNS,
        _ => std::str::from_utf8(rest)
            .map_or(COLUMNS, |text| text.char_indices().nth(COLUMNS).map_or(rest.len(), |(at, _)| at)),
    };
    if column >= rest.len() {
        return rest.len();
    }
    if rest.get(column) == Some(&b' ') && rest.get(column - 1) == Some(&b' ') {
        return column;
    }
    let mut at = 0;
    while let Some(step) = memchr(b' ', rest.get(at..).unwrap_or_default()) {
        at += step + 1;
        let end = scan::token_end(rest, at);
        if end > at && rest.get(end) == Some(&b'=') {
            return at;
        }
        at = end.max(at);
    }
    rest.len()
}

/// Removes escape sequences for colors (ECMA-48 SGR).
fn without_colour<'b>(line: &'b [u8], bump: &'b Bump) -> &'b [u8] {
    let mut out = BumpVec::with_capacity_in(line.len(), bump);
    let mut rest = line;
    while let Some(at) = memchr(0x1b, rest) {
        out.extend_from_slice_copy(rest.get(..at).unwrap_or_default());
        let sequence = rest.get(at..).unwrap_or_default();
        let length = match sequence.strip_prefix(b"\x1b[") {
            Some(inside) => inside.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count(),
            None => 0,
        };
        if sequence.get(length + 2) == Some(&b'm') {
            rest = sequence.get(length + 3..).unwrap_or_default();
        } else {
            out.push(0x1b);
            rest = sequence.get(1..).unwrap_or_default();
        }
    }
    out.extend_from_slice_copy(rest);
    out.into_bump_slice()
}
