//! The text view: renders records for people. The view is the last step before the sink, so records can be sorted,
//! filtered and counted before.
//!
//! | module | job |
//! |---|---|
//! | `record` | reads a record back from its JSON |
//! | `line` | lays a record out |

mod line;
mod record;

use jiff::tz::TimeZone;

use line::TextView;
use record::FlatRecord;

/// Settings of the text view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewSettings {
    /// The zone of the times.
    pub zone: TimeZone,
    /// Use colors.
    pub color: bool,
    /// The width of the terminal, at which lines are folded; `None` outside of terminals.
    pub columns: Option<usize>,
}

/// A view of records. It remembers the time of the previous record, so all records of an output go through one view.
#[derive(Debug)]
pub struct View {
    text: TextView,
}

impl View {
    /// Returns a view with these settings.
    #[must_use]
    pub fn new(settings: &ViewSettings) -> View {
        View { text: TextView::new(settings.zone.clone(), settings.color, settings.columns) }
    }

    /// Renders whole records, one JSON object a line, and appends their lines to `out`.
    pub fn render(&mut self, records: &[u8], out: &mut Vec<u8>) {
        for line in records.split_inclusive(|byte| *byte == b'\n') {
            debug_assert!(FlatRecord::parse(line).is_some(), "the encoder writes one object a line");
            self.text.encode(&FlatRecord::parse(line).unwrap_or_default(), out);
        }
    }
}
