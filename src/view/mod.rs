//! The text view: renders records for people. The view is the last step before the sink, so records can be sorted,
//! filtered and counted before.
//!
//! ```text
//! 2024-03-05 UTC · worker-a17
//! 05:01:56.241  +0.019 INF shim     375cdd60  Agent started in the sandbox
//! 05:01:56.256  +0.015 ERR agent    375cdd60  ┊ rpc call from shim to agent failed
//!                                             ┊ error: ENOENT: No such file or directory
//! ```
//!
//! Nothing of a record reaches the terminal as a control character, because a hostile guest controls its log. Text that
//! is not the host's begins with a mark on each row, and never stands left of it.
//!
//! | module | job |
//! |---|---|
//! | `record` | reads a record back from its JSON |
//! | `layout` | decides the columns by the width of the screen |
//! | `clock` | tells times, gaps, and when the date changes |
//! | `level`, `author` | know the look of levels, components and marks |
//! | `ids` | shortens ids |
//! | `fields` | chooses and writes the fields behind a message |
//! | `stack`, `repeats` | unfold errors, and recognize repeated ones |
//! | `dedup` | recognizes equal records in a row |
//! | `groups` | sorts records into blocks, one for each sandbox |
//! | `help` | explains known failures |
//! | `safe`, `paragraph`, `style` | make text harmless, break it into rows, and color it |

mod author;
mod clock;
mod dedup;
mod fields;
mod groups;
mod help;
mod ids;
mod layout;
mod level;
mod paragraph;
mod record;
mod repeats;
mod safe;
mod stack;
mod style;

use jiff::tz::TimeZone;
use kata_records::UtcTimestamp;
use kata_records::filter::Pattern;

pub use groups::Groups;

use author::Author;
use clock::{Clock, Moment};
use dedup::Dedup;
use fields::{FieldForm, push_fields};
use groups::{GroupHead, Title};
use help::Help;
use ids::{Ids, limited};
use layout::Layout;
use level::{LevelLook, level_look};
use paragraph::{Frame, Paragraph};
use record::{FlatRecord, Value};
use repeats::{Repeated, Repeats};
use safe::{Place, push_safe};
use stack::{ErrorLine, error_lines};
use style::Style;

/// The label of an error, and its width.
const ERROR: &str = "error: ";
const ERROR_WIDTH: usize = ERROR.len();

/// The label of a help, and its width.
const HELP: &str = "help: ";
const HELP_WIDTH: usize = HELP.len();

/// The most characters of a host's name, and of a message that stands for its record.
const MAX_HOST: usize = 64;
const MAX_MESSAGE: usize = 80;

/// The capacity that buffers keep from one record to the next.
const MAX_KEPT: usize = 64 << 10;

/// The form of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeStyle {
    /// The time of day. A heading has the date.
    Short,
    /// Date and time.
    Full,
    /// The time since the record before.
    Delta,
}

/// Settings of the text view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewSettings {
    /// The zone of the times.
    pub zone: TimeZone,
    /// Use colors.
    pub color: bool,
    /// The width that decides the layout.
    pub columns: usize,
    /// Break lines at that width.
    pub wrap: bool,
    /// The form of times.
    pub time: TimeStyle,
    /// Show routine fields and whole ids too.
    pub all_fields: bool,
    /// Use characters beyond ASCII for marks.
    pub unicode: bool,
    /// The pattern that the user searches, to show its places.
    pub highlight: Option<Pattern>,
    /// Explain known failures.
    pub explain: bool,
    /// Show equal records in a row as one.
    pub dedup: bool,
}

/// A view of records. It remembers the time of the previous record, so all records of an output go through one view.
#[derive(Debug)]
pub struct View {
    settings: ViewSettings,
    layout: Layout,
    clock: Clock,
    heading: Heading,
    ids: Ids,
    repeats: Repeats,
    /// The help for known failures, if it is wanted.
    help: Option<Help>,
    /// The record that is held back, if equal ones are shown as one.
    dedup: Option<Dedup>,
    /// The number of equal records that the current one stands for.
    count: u64,
    /// Buffers.
    row: Paragraph,
    text: String,
}

/// The heading that holds for the rows below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Heading {
    date: String,
    zone: String,
    host: String,
}

impl View {
    /// Returns a view with these settings.
    #[must_use]
    pub fn new(settings: &ViewSettings) -> View {
        View {
            layout: Layout::new(settings.columns, settings.time),
            clock: Clock::new(settings.zone.clone()),
            heading: Heading::default(),
            ids: Ids::default(),
            repeats: Repeats::default(),
            help: if settings.explain { Help::new() } else { None },
            dedup: settings.dedup.then(Dedup::default),
            count: 1,
            row: Paragraph::default(),
            text: String::new(),
            settings: settings.clone(),
        }
    }

    /// Renders whole records, one JSON object a line, and appends their rows to `out`. The last record may be held back
    /// until [`View::release`].
    pub fn render(&mut self, records: &[u8], out: &mut Vec<u8>) {
        for line in records.split_inclusive(|byte| *byte == b'\n') {
            let record = FlatRecord::parse(line);
            debug_assert!(record.is_some(), "the encoder writes one object a line");
            let record = record.unwrap_or_default();
            if let Some(dedup) = &mut self.dedup {
                if dedup.absorbs(&record, self.settings.all_fields) {
                    continue;
                }
                self.release(out);
                if self.dedup.as_mut().is_some_and(|dedup| dedup.hold(line)) {
                    continue;
                }
            }
            self.record(&record, out);
        }
    }

    /// Begins a block of records with its head. Gaps do not reach across blocks.
    pub fn begin_block(&mut self, groups: &Groups, number: u32, out: &mut Vec<u8>) {
        self.release(out);
        self.clock.restart();
        let Some(head) = groups.head(number) else { return };
        self.row.clear();
        self.block_title(&head.title);
        let between = if self.settings.unicode { " · " } else { " - " };
        let span = head.span.map(|(from, to)| self.clock.span(from, to));
        let parts = [head.hypervisor.map(str::to_owned), span, Some(counted(head.records, "record"))];
        for part in parts.iter().flatten() {
            self.row.push(between, Style::Dim);
            self.row.push(part, Style::Dim);
        }
        self.row.push(between, Style::Dim);
        let style = if head.errors > 0 { Style::Red } else { Style::Dim };
        self.row.push(&errors(head), style);
        let frame = self.frame(2, ("", Style::Plain), 0);
        self.row.rows(0, &frame, out);
    }

    fn block_title(&mut self, title: &Title) {
        let mark = if self.settings.unicode { "▌" } else { "# " };
        let id = match title {
            Title::Sandbox(id) => id,
            Title::NoSandbox => return self.row.push(&format!("{mark}no sandbox"), Style::Bold),
            Title::Others => return self.row.push(&format!("{mark}other sandboxes"), Style::Bold),
        };
        self.text.clear();
        push_safe(id, Place::Value, &mut self.text);
        let style = Style::of_sandbox(id);
        self.row.push(mark, style);
        self.row.push(&self.ids.short(&self.text), style);
    }

    /// Renders the record that is held back.
    pub fn release(&mut self, out: &mut Vec<u8>) {
        let Some(mut dedup) = self.dedup.take() else { return };
        if let Some((line, count)) = dedup.take() {
            self.count = count;
            self.record(&FlatRecord::parse(line).unwrap_or_default(), out);
            self.count = 1;
        }
        self.dedup = Some(dedup);
    }

    fn record(&mut self, record: &FlatRecord<'_>, out: &mut Vec<u8>) {
        let author = Author::of(record);
        let is_kata = record.get("kata_component").is_some();
        let stamp = if is_kata {
            UtcTimestamp::parse(record.text("kata_time"))
        } else {
            let micros = std::str::from_utf8(record.journal_text("REALTIME_TIMESTAMP")).ok();
            micros.and_then(|text| text.parse().ok()).and_then(UtcTimestamp::from_micros)
        };
        let moment = self.clock.read(stamp.and_then(|stamp| stamp.timestamp()));
        self.head(record, &moment, author, out);
        let look = level_look(record.text("kata_level"));
        let used = self.prefix(record, &moment, look, author, out);
        self.message(record, used, look, author, out);
        if record.get("kata_error").is_some() {
            self.error(record, &moment, look, author, out);
        }
        // A guest must not send the reader to the wrong place.
        if author == Author::Host {
            self.help(record, out);
        }
        self.row.shrink(MAX_KEPT);
        self.text.shrink_to(MAX_KEPT);
    }

    /// Appends a heading if the date, the zone or the host changed.
    fn head(&mut self, record: &FlatRecord<'_>, moment: &Moment, author: Author, out: &mut Vec<u8>) {
        let mut heading = self.heading.clone();
        if !moment.zone.is_empty() {
            heading.zone.clone_from(&moment.zone);
            if self.settings.time != TimeStyle::Full {
                heading.date.clone_from(&moment.date);
            }
        }
        if author.has_envelope_of_host() {
            self.text.clear();
            push_safe(record.journal_text("HOSTNAME"), Place::Value, &mut self.text);
            heading.host = limited(&self.text, MAX_HOST).into_owned();
        }
        if heading == self.heading {
            return;
        }
        self.heading = heading;
        let Heading { date, zone, host } = &self.heading;
        self.row.clear();
        for part in [date, zone].into_iter().filter(|part| !part.is_empty()) {
            if !self.row.is_empty() {
                self.row.blanks(1);
            }
            self.row.push(part, Style::Dim);
        }
        if !host.is_empty() {
            if !self.row.is_empty() {
                self.row.push(if self.settings.unicode { " · " } else { " - " }, Style::Dim);
            }
            self.row.push(host, Style::Dim);
        }
        let frame = self.frame(2, ("", Style::Plain), 0);
        self.row.rows(0, &frame, out);
    }

    /// Appends the columns before the message. Returns the number of cells that they use of the row; on a tiny screen the
    /// message has rows of its own.
    fn prefix(
        &mut self,
        record: &FlatRecord<'_>,
        moment: &Moment,
        look: LevelLook,
        author: Author,
        out: &mut Vec<u8>,
    ) -> usize {
        let layout = self.layout;
        self.row.clear();
        layout.times(moment, &mut self.row);
        self.row.column(if layout.is_wide { look.name } else { look.letter }, layout.level, look.style);
        self.row.blanks(1);
        match author::component(record.text("kata_component")) {
            Some(name) => self.row.column(name, layout.component, author.style()),
            None => {
                self.text.clear();
                let name = record.journal_text("SYSLOG_IDENTIFIER");
                push_safe(if name.is_empty() { b"-" } else { name }, Place::Value, &mut self.text);
                self.row.column(&limited(&self.text, layout.component), layout.component, Style::Dim);
            }
        }
        self.row.blanks(1);
        let sandbox = record.text("kata_sandbox");
        self.text.clear();
        push_safe(sandbox, Place::Value, &mut self.text);
        let (id, style) = match sandbox {
            b"" => ("-".into(), Style::Dim),
            _ => (self.ids.short(&self.text), Style::of_sandbox(sandbox)),
        };
        self.row.column(&id, layout.sandbox, style);
        if layout.is_tiny {
            let frame = self.frame(layout.error_indent, ("", Style::Plain), 0);
            self.row.rows(0, &frame, out);
            let indent = self.frame(layout.indent, author.mark(self.settings.unicode), 0).indent;
            out.extend(std::iter::repeat_n(b' ', indent));
            return indent;
        }
        self.row.blanks(layout.gap);
        self.row.inline(self.settings.color, out);
        self.row.width()
    }

    /// Appends the message with the fields behind it.
    fn message(&mut self, record: &FlatRecord<'_>, used: usize, look: LevelLook, author: Author, out: &mut Vec<u8>) {
        let mark = author.mark(self.settings.unicode);
        let frame = self.frame(self.layout.indent, mark, 0);
        let is_kata = record.get("kata_component").is_some();
        let message = if is_kata { record.text("kata_msg") } else { record.journal_text("MESSAGE") };
        // Blank lines between others say nothing.
        let first = safe::lines(message).take(1);
        let mut lines = first.chain(safe::lines(message).skip(1).filter(|line| !line.is_empty())).peekable();
        let mut used = used;
        while let Some(line) = lines.next() {
            self.row.clear();
            self.text.clear();
            push_safe(line, Place::Line, &mut self.text);
            let highlight = self.settings.highlight.as_ref();
            self.row.push_found(&self.ids.shorten(&self.text), look.message, highlight);
            if lines.peek().is_none() {
                if self.count > 1 {
                    let sign = if self.settings.unicode { "×" } else { "x" };
                    self.row.push(&format!("  {sign}{}", self.count), Style::Dim);
                }
                let all = self.settings.all_fields;
                let form = FieldForm { all, room: frame.room(), value: look.value, highlight };
                push_fields(record, form, &mut self.ids, &mut self.row);
            }
            self.row.rows(used, &frame, out);
            used = frame.indent;
            if lines.peek().is_some() {
                out.extend(std::iter::repeat_n(b' ', frame.indent));
            }
        }
    }

    /// Appends the error below the message, with its stack.
    fn error(&mut self, record: &FlatRecord<'_>, moment: &Moment, look: LevelLook, author: Author, out: &mut Vec<u8>) {
        let texts: Vec<&[u8]> = record.get("kata_error").into_iter().flat_map(Value::texts).collect();
        let error = texts.join(&b'\n');
        let error = String::from_utf8_lossy(&error);
        let frame = self.frame(self.layout.error_indent, author.mark(self.settings.unicode), ERROR_WIDTH);
        // Text of the guest must not stand for what the host says, so only errors of the host are compared.
        let repeated = if author == Author::Host {
            let record_name = || format!("{} {}", moment.time, one_line(record.text("kata_msg")));
            self.repeats.find(record.text("kata_sandbox"), error.trim_end(), record_name)
        } else {
            None
        };
        let text = repeated.as_ref().map_or(error.trim_end(), |repeated: &Repeated<'_>| repeated.head);
        let mut lines = error_lines(text);
        if lines.is_empty() {
            lines.push(ErrorLine::Text("".into()));
        }
        let last = lines.len() - 1;
        for (number, line) in lines.iter().enumerate() {
            self.row.clear();
            if number == 0 {
                self.row.push(ERROR, look.error);
            } else {
                self.row.blanks(ERROR_WIDTH);
            }
            self.error_line(line, look);
            if let Some(repeated) = repeated.as_ref().filter(|_| number == last) {
                self.row.push(if repeated.head.is_empty() { "= " } else { " = " }, Style::Dim);
                self.text.clear();
                push_safe(repeated.record.as_bytes(), Place::Value, &mut self.text);
                self.row.push(&self.ids.shorten(&self.text), Style::Dim);
            }
            out.extend(std::iter::repeat_n(b' ', frame.indent));
            self.row.rows(frame.indent, &frame, out);
        }
    }

    fn error_line(&mut self, line: &ErrorLine<'_>, look: LevelLook) {
        self.text.clear();
        let style = match line {
            ErrorLine::Text(text) => {
                push_safe(text.as_bytes(), Place::Line, &mut self.text);
                look.error
            }
            ErrorLine::Frame(frame) => {
                push_safe(frame.as_bytes(), Place::Line, &mut self.text);
                Style::Dim
            }
            ErrorLine::Folded(count, libraries) => {
                let dots = if self.settings.unicode { "…" } else { "..." };
                let frames = if *count == 1 { "frame" } else { "frames" };
                self.text.push_str(&format!("{dots} {count} {frames} of {}", libraries.join(", ")));
                Style::Dim
            }
        };
        self.row.push_found(&self.ids.shorten(&self.text), style, self.settings.highlight.as_ref());
    }

    /// Appends the help for a known failure below the record.
    fn help(&mut self, record: &FlatRecord<'_>, out: &mut Vec<u8>) {
        let Some(text) = self.help.as_mut().and_then(|help| help.find(record)) else { return };
        let frame = self.frame(self.layout.error_indent, ("", Style::Plain), HELP_WIDTH);
        self.row.clear();
        self.row.push(HELP, Style::Help);
        self.row.push(&text, Style::Help);
        out.extend(std::iter::repeat_n(b' ', frame.indent));
        self.row.rows(frame.indent, &frame, out);
    }

    fn frame(&self, indent: usize, mark: (&'static str, Style), hang: usize) -> Frame {
        let columns = self.settings.wrap.then_some(self.settings.columns);
        Frame { columns, indent, mark, hang, color: self.settings.color }.fitted()
    }
}

/// Returns the number of errors of a block, and of those that the guest wrote.
fn errors(head: &GroupHead) -> String {
    let errors = counted(head.errors, "error");
    match head.errors_of_guest {
        0 => errors,
        guest => format!("{errors} ({guest} by the guest)"),
    }
}

/// Returns a number of things.
fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Returns the beginning of a message in one line.
fn one_line(message: &[u8]) -> String {
    let mut text = String::new();
    push_safe(safe::lines(message).next().unwrap_or_default(), Place::Line, &mut text);
    limited(&text, MAX_MESSAGE).into_owned()
}

#[cfg(test)]
mod tests;
