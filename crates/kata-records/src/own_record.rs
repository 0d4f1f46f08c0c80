//! Recognizes records that katalog wrote, so that its NDJSON can be an input.
//!
//! A record of a program of Kata is an object with `kata_component` and `kata_format`, both with a known word. A record
//! of another program has `kata_origin` of the two alone. Nothing else makes an object a record, so the caller has to know
//! that nobody but the operator can have written the line.

use std::sync::LazyLock;

use bumpalo::Bump;
use memchr::memmem;

use crate::component::Component;
use crate::json;
use crate::name_hash;
use crate::name_map::NameSet;
use crate::origin::Origin;
use crate::record::{Pair, PayloadFormat, Value};

/// The prefix of the names that katalog gives.
pub(crate) const PREFIX: &[u8] = b"kata_";
/// The maximum length of such a name. A key has at most 128 bytes, prefixes and numbers add some.
const LONGEST: usize = 192;

/// The beginning of such a name in JSON, compiled once, because most objects have none.
static MARK: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"\"kata_"));

/// The author of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordAuthor {
    /// A program of Kata.
    Kata(Component, PayloadFormat),
    /// Another program.
    Other,
}

/// Reads a record, and appends its members to `members`, which must be empty. Returns `None`, and appends nothing, if the
/// text is no record.
pub(crate) fn read<'b>(text: &'b [u8], bump: &'b Bump, members: &mut Vec<Pair<'b>>) -> Option<RecordAuthor> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.first() != Some(&b'{') {
        return None;
    }
    // Most objects are of other programs, and this search is cheaper than to parse them.
    MARK.find(text)?;
    let author = json::strict_members(text, bump, members).and_then(|()| author(members));
    if author.is_none() {
        members.clear();
    }
    author
}

fn author(members: &[Pair<'_>]) -> Option<RecordAuthor> {
    if !are_names_of_a_record(members) {
        return None;
    }
    match [value(members, b"kata_component"), value(members, b"kata_format")] {
        [Some(component), Some(format)] => Some(RecordAuthor::Kata(
            by_name(Component::ALL, Component::name, component)?,
            by_name(PayloadFormat::ALL, PayloadFormat::name, format)?,
        )),
        [None, None] => {
            by_name(Origin::ALL, Origin::name, value(members, b"kata_origin")?)?;
            Some(RecordAuthor::Other)
        }
        _ => None,
    }
}

/// Returns whether each name occurs once, and katalog can have given it.
fn are_names_of_a_record(members: &[Pair<'_>]) -> bool {
    let is_plain = |name: &[u8]| {
        name.len() <= LONGEST && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let mut names = NameSet::default();
    members.iter().enumerate().all(|(place, member)| {
        let name = member.key;
        let before = members.iter().take(place).map(|member| member.key);
        (!name.starts_with(PREFIX) || is_plain(name)) && names.insert(name_hash::hash(name), || name, before)
    })
}

/// Returns the value of a member.
pub(crate) fn value<'b>(members: &[Pair<'b>], name: &[u8]) -> Option<Value<'b>> {
    members.iter().find(|member| member.key == name).map(|member| member.value)
}

/// Returns the value of an enum that a text names.
pub(crate) fn by_name<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, value: Value<'_>) -> Option<T> {
    let Value::Text(text) = value else { return None };
    all.iter().copied().find(|known| name(*known).as_bytes() == text.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author_of(text: &str) -> Option<RecordAuthor> {
        read(text.as_bytes(), &Bump::new(), &mut Vec::new())
    }

    #[test]
    fn both_words_make_a_record() {
        let record = Some(RecordAuthor::Kata(Component::Shimv2, PayloadFormat::Logfmt));
        for (text, author) in [
            (r#"{"kata_component":"shimv2","kata_format":"logfmt"}"#, record),
            ("{\r\n\t\"kata_format\" : \"logfmt\",\n\"kata_component\":\"shimv2\"\n}", record),
            ("\u{feff}{\"kata_component\":\"shimv2\",\"kata_format\":\"logfmt\",\"x\":[1,{}],\"y\":null}", record),
            (r#"{"MESSAGE":"x","kata_origin":"tenant"}"#, Some(RecordAuthor::Other)),
            (r#"{"MESSAGE":"x","kata_origin":"nobody"}"#, None),
            (r#"{"kata_component":"shimv2"}"#, None),
            (r#"{"kata_component":"shimv2","kata_origin":"host"}"#, None),
            (r#"{"kata_format":"logfmt","kata_origin":"host"}"#, None),
            (r#"{"kata_component":"shimv3","kata_format":"logfmt"}"#, None),
            (r#"{"kata_component":"shimv2","kata_format":1}"#, None),
            (r#"{"kata_component":["shimv2"],"kata_format":"logfmt"}"#, None),
            (r#"{"a":{"kata_component":"shimv2","kata_format":"logfmt"}}"#, None),
            (r#"[{"kata_component":"shimv2","kata_format":"logfmt"}]"#, None),
            (r#" {"kata_component":"shimv2","kata_format":"logfmt"}"#, None),
            (r#"{"kata_component":"shimv2","kata_format":"logfmt"} x"#, None),
            (r#"{"kata_component":"shimv2","kata_format":"logfmt""#, None),
            (r#"{"kata_component":"shimv2","kata_format":"logfmt",}"#, None),
            (r#"{"kata_component":"shimv2","kata_format":"logfmt","kata_format":"logfmt"}"#, None),
            (r#"{"kata_component":"shimv2","kata_format":"logfmt","kata_a b":"x"}"#, None),
            (r#"{"kata_component":"shimv2","kata_format":"logfmt","x":"\ud800"}"#, None),
            (r#"{"kata_component":"shimv2","kata_format":"logfmt","x":[1,]}"#, None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(author_of(text), author, "{text}");
        }
        assert_eq!(
            read(
                b"{\"kata_component\":\"shimv2\",\"kata_format\":\"logfmt\",\"x\":\"\xff\"}",
                &Bump::new(),
                &mut Vec::new()
            ),
            None
        );
    }

    #[test]
    fn a_text_that_is_no_record_leaves_nothing() {
        let (bump, mut members) = (Bump::new(), Vec::new());
        assert_eq!(read(br#"{"a":"b","kata_component":"shimv2"}"#, &bump, &mut members), None);
        assert!(members.is_empty());
    }
}
