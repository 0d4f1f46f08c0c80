//! Shows the errors that the host reports: the sandboxes with most of them, the first one and the last one. Ids and messages
//! come from the input, so all of them are escaped and cut.

use kata_records::UtcTimestamp;
use kata_records::findings::{ErrorSample, Errors};
use kata_records::visible::escape;
use serde::Serialize;

use super::inputs::shortened;

/// The number of sandboxes in the table, and in JSON.
const ROWS: usize = 5;
const JSON_ROWS: usize = 10;
/// The longest message in the table, in columns.
const MESSAGE_WIDTH: usize = 100;
/// The longest name of a sandbox in the table, in columns.
const NAME_WIDTH: usize = 40;
/// The least number of characters of an id in the table.
const ID_WIDTH: usize = 12;

/// Returns the rows of the table: label and text.
pub(super) fn rows(errors: &Errors) -> Vec<(&'static str, String)> {
    let (top, others) = errors.sandboxes(ROWS);
    let ids: Vec<&[u8]> = top.iter().map(|(id, _)| *id).collect();
    let mut counts: Vec<String> = top.iter().map(|(id, count)| format!("{} {count}", short_id(id, &ids))).collect();
    counts.extend((others > 0).then(|| format!("others {others}")));
    let mut rows = Vec::new();
    if !counts.is_empty() {
        rows.push(("sandboxes", counts.join(", ")));
    }
    if let Some([first, last]) = errors.ends() {
        rows.push(("first error", line(first, &ids)));
        if first != last {
            rows.push(("last error", line(last, &ids)));
        }
    }
    rows
}

/// Returns the time, the writer and the message of an error.
fn line(ErrorSample { time, component, sandbox, message }: &ErrorSample, ids: &[&[u8]]) -> String {
    let part = |time: &UtcTimestamp, from, to| time.as_str().get(from..to).unwrap_or_default().to_owned();
    let time = time.map(|time| format!("{} {} UTC ", part(&time, 0, 10), part(&time, 11, 23))).unwrap_or_default();
    let sandbox = if sandbox.is_empty() { String::new() } else { format!(" {}", short_id(sandbox, ids)) };
    let message = escape(message);
    let message: String = if message.chars().count() > MESSAGE_WIDTH {
        message.chars().take(MESSAGE_WIDTH - 1).chain(['…']).collect()
    } else {
        message.into_owned()
    };
    let colon = if message.is_empty() { "" } else { ": " };
    format!("{time}{}{sandbox}{colon}{message}", component.name())
}

/// Shortens an id as Kata makes them, so that it still differs from these ids. `--sandbox` takes such a prefix. Names that
/// people gave stay whole up to a limit.
fn short_id(id: &[u8], ids: &[&[u8]]) -> String {
    let is_made = id.len() > 2 * ID_WIDTH && id.iter().all(u8::is_ascii_hexdigit);
    let is_unique = |prefix: &[u8]| ids.iter().all(|other| *other == id || !other.starts_with(prefix));
    let prefix = (ID_WIDTH..id.len()).filter_map(|length| id.get(..length)).find(|prefix| is_unique(prefix));
    match prefix.filter(|_| is_made) {
        Some(prefix) => escape(prefix).into_owned(),
        None if is_made => escape(id).into_owned(),
        None => shortened(&escape(id), NAME_WIDTH),
    }
}

/// Returns the members of a JSON object.
pub(super) fn members(errors: &Errors) -> impl Serialize {
    #[derive(Serialize)]
    struct Sandbox {
        sandbox: String,
        errors: u64,
    }
    #[derive(Serialize)]
    struct Sample<'e> {
        #[serde(skip_serializing_if = "Option::is_none")]
        time: Option<&'e str>,
        component: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        sandbox: Option<String>,
        message: String,
    }
    #[derive(Serialize)]
    struct Members<'e> {
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        sandboxes: Vec<Sandbox>,
        #[serde(skip_serializing_if = "Option::is_none")]
        other_sandbox_errors: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        first_error: Option<Sample<'e>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_error: Option<Sample<'e>>,
    }
    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }
    fn sample(error: &ErrorSample) -> Sample<'_> {
        Sample {
            time: error.time.as_ref().map(UtcTimestamp::as_str),
            component: error.component.name(),
            sandbox: (!error.sandbox.is_empty()).then(|| text(&error.sandbox)),
            message: text(&error.message),
        }
    }
    let (top, others) = errors.sandboxes(JSON_ROWS);
    let [first_error, last_error] = errors.ends().map(|ends| ends.map(|error| Some(sample(error)))).unwrap_or_default();
    Members {
        sandboxes: top.into_iter().map(|(id, errors)| Sandbox { sandbox: text(id), errors }).collect(),
        other_sandbox_errors: Some(others).filter(|others| *others > 0),
        first_error,
        last_error,
    }
}
