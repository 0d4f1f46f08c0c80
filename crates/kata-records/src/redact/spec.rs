//! Prints of container specs and requests that a text does not hold to their end. Their rest can hold environments whose
//! keys stand in the part before, or are cut apart.

use super::input::{Input, is_key_byte};
use super::quotes::{Closed, Levels, behind, quote_at, string_end};
use super::table;

/// Words before the bracket of a print, in lower case.
const WORDS: [&[u8]; 19] = [
    b"spec",
    b"oci",
    b"process",
    b"linux",
    b"createcontainer",
    b"createcontainerrequest",
    b"execprocess",
    b"execprocessrequest",
    b"createtaskrequest",
    b"containerconfig",
    b"mounts",
    b"hooks",
    b"labels",
    b"storages",
    b"podsandboxconfig",
    b"runpodsandboxrequest",
    b"sandboxconfig",
    b"pullimagerequest",
    b"authconfig",
];

/// Words before the parenthesis of a print.
const CALLS: [&[u8]; 2] = [b"createcontainer", b"execprocess"];

/// Texts before prints. A text that ends inside one may be continued by a print.
const LEADS: [(&[u8], usize); 5] = [
    (b"receive createcontainer, spec: Spec {", 8),
    (b"OCI Spec Spec {", 8),
    (b"task service CreateContainer(", 13),
    (b"task service ExecProcess(", 13),
    (b"CreateContainerRequest {", 15),
];

/// The bytes of the leads.
static IN_LEADS: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut lead = 0;
    while lead < LEADS.len() {
        let mut at = 0;
        while at < LEADS[lead].0.len() {
            bytes[LEADS[lead].0[at] as usize] = true;
            at += 1;
        }
        lead += 1;
    }
    bytes
};

/// Tests a text cheaply for a print. `false` proves that [`ends_inside`] is false.
pub(super) fn holds_print(input: &Input<'_>) -> bool {
    let mut at = 0;
    loop {
        at = input.bracket(at);
        match input.get(at) {
            Some(b'{' | b'(' | b'[' | b'<') if opens(input, at) => return true,
            Some(_) => at += 1,
            None => return false,
        }
    }
}

/// Returns whether the text ends inside a print.
pub(super) fn ends_inside(input: &Input<'_>) -> bool {
    let mut levels = Levels::default();
    let mut at = 0;
    while let Some(byte) = input.get(at) {
        match byte {
            b'"' | b'\\' => {
                if let Some(quote) = quote_at(input, at) {
                    levels.pass(quote.run);
                }
                at = behind(input, at);
            }
            b'{' | b'(' | b'[' | b'<' if opens(input, at) => match print_end(input, at, &levels) {
                Some(end) => at = end,
                None => return true,
            },
            _ => at += 1,
        }
    }
    false
}

/// Returns whether a print begins at a bracket.
fn opens(input: &Input<'_>, at: usize) -> bool {
    let bracket = input.get(at);
    if bracket == Some(b'{') {
        // The keys of a spec in JSON begin with its version.
        let quote = quote_at(input, input.skip(at + 1, |byte| byte == b' '));
        if quote.is_some_and(|quote| input.starts(quote.end, b"ociVersion")) {
            return true;
        }
    }
    let mut end = input.back(at, 1, |byte| byte == b' ');
    let spaced = end < at;
    let separated = input.before(end) == Some(b':');
    end -= usize::from(separated);
    if input.before(end) == Some(b'"') {
        end = input.back(end - 1, 512, |byte| byte == b'\\');
    }
    let word = input.slice(input.back(end, 32, is_key_byte), end);
    let is = |words: &[&[u8]]| words.iter().any(|name| word.eq_ignore_ascii_case(name));
    match bracket {
        Some(b'(') => !separated && !spaced && is(&CALLS),
        Some(b'{') => is(&WORDS) || begins_list(word),
        _ => (separated || !spaced) && (is(&WORDS) || begins_list(word)),
    }
}

fn begins_list(word: &[u8]) -> bool {
    matches!(table::kind(word), Some(table::Kind::Entries | table::Kind::Map))
}

/// Returns the end of the print whose bracket is at `at`, or `None` if it is cut. Brackets in strings do not count.
fn print_end(input: &Input<'_>, mut at: usize, around: &Levels) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match input.get(at)? {
            b'{' | b'[' | b'(' => depth += 1,
            b'<' if depth == 0 || input.before(at) == Some(b':') => depth += 1,
            b'>' if input.before(at) != Some(b'-') && input.before(at) != Some(b'=') && depth == 1 => depth -= 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'"' | b'\\' => match quote_at(input, at) {
                Some(quote) if around.end_at(input, quote) => return None,
                Some(quote) => {
                    let string = string_end(input, quote.end, quote.run, around);
                    if string.closed != Closed::Own {
                        return None;
                    }
                    at = string.after;
                    continue;
                }
                None => {
                    at = behind(input, at);
                    continue;
                }
            },
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Returns whether the text ends with the beginning of a lead. The name of a method of gRPC is no print.
fn ends_with(input: &Input<'_>, beginning: &[u8]) -> bool {
    let start = input.len().checked_sub(beginning.len());
    start.is_some_and(|start| input.starts(start, beginning) && input.before(start) != Some(b'/'))
}

/// Returns whether the text ends before a print or a secret value: in the text that introduces a print, or with a key.
pub(super) fn ends_before(input: &Input<'_>) -> bool {
    let mut end = input.len();
    let leads = |last: u8| {
        LEADS.iter().any(|(lead, least)| {
            (*least..=lead.len()).any(|length| {
                // The last byte settles most lengths.
                lead.get(length - 1) == Some(&last) && ends_with(input, lead.get(..length).unwrap_or_default())
            })
        })
    };
    if input.before(end).is_some_and(|last| IN_LEADS[usize::from(last)] && leads(last)) {
        return true;
    }
    if input.before(end) == Some(b'\\') {
        // The escape of the quote before a value is cut.
        end = input.back(end, 512, |byte| byte == b'\\');
        end = input.back(end, 8, |byte| b" ,:=[(&".contains(&byte));
    }
    end = input.back(end, 512, |byte| byte == b'"' || byte == b'\\');
    let start = input.back(end, 128, is_key_byte);
    let word = input.slice(start, end);
    if input.before(start) == Some(b'/') {
        return false;
    }
    // `en` and `an` are words of prose, unless a quote stands before them.
    let enough = word.len() >= 3 || input.before(start) == Some(b'"');
    table::kind(word).is_some() || (enough && table::begins_container(word))
}
