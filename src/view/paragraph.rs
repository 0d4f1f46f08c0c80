//! Styled text, broken into rows at words. Each row begins with an indent and the mark of its author.

use std::ops::Range;

use kata_records::filter::Pattern;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::style::{RESET, Style};

/// The smallest room for text, which holds a wide character.
const LEAST: usize = 2;

/// The smallest room for the first row of a message. With less, the message begins on the next row.
const LEAST_FIRST: usize = 12;

/// Text of one line in several styles. It holds no control characters.
#[derive(Debug, Default)]
pub(super) struct Paragraph {
    text: String,
    /// The end and the style of each part.
    runs: Vec<(usize, Style)>,
}

/// The place of a paragraph on the screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// The width of the screen; `None` if rows have no limit.
    pub(super) columns: Option<usize>,
    /// The number of blanks before the mark.
    pub(super) indent: usize,
    /// The mark at the beginning of each row, and its style.
    pub(super) mark: (&'static str, Style),
    /// The number of blanks between the mark and the text of the second and further rows.
    pub(super) hang: usize,
    /// Write styles.
    pub(super) color: bool,
}

impl Frame {
    /// Returns a frame that leaves room for text even on a tiny screen.
    pub(super) fn fitted(self) -> Frame {
        let Some(columns) = self.columns else { return self };
        let columns = columns.max(LEAST + self.mark.0.width());
        let most = columns - LEAST - self.mark.0.width();
        let indent = self.indent.min(most / 2);
        Frame { columns: Some(columns), indent, hang: self.hang.min((most - indent) / 2), ..self }
    }

    /// Returns the number of cells for text behind the mark.
    pub(super) fn room(&self) -> Option<usize> {
        Some(self.columns?.saturating_sub(self.indent + self.mark.0.width()).max(LEAST))
    }
}

impl Paragraph {
    /// Removes the text.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.runs.clear();
    }

    /// Returns whether there is no text.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns the number of cells of the text.
    pub(super) fn width(&self) -> usize {
        self.text.width()
    }

    /// Appends text without control characters.
    pub(super) fn push(&mut self, text: &str, style: Style) {
        self.write(style, |out| out.push_str(text));
    }

    /// Appends text, and shows where a pattern occurs in it.
    pub(super) fn push_found(&mut self, text: &str, style: Style, pattern: Option<&Pattern>) {
        let mut start = 0;
        for place in pattern.iter().flat_map(|pattern| pattern.places(text.as_bytes())) {
            // A pattern without Unicode may match a part of a character.
            if let (Some(before), Some(found)) = (text.get(start..place.start), text.get(place.clone())) {
                self.push(before, style);
                self.push(found, Style::Found);
                start = place.end;
            }
        }
        self.push(text.get(start..).unwrap_or_default(), style);
    }

    /// Appends the text that a function writes.
    pub(super) fn write(&mut self, style: Style, write: impl FnOnce(&mut String)) {
        let before = self.text.len();
        write(&mut self.text);
        if self.text.len() == before {
            return;
        }
        match self.runs.last_mut() {
            Some((end, last)) if *last == style => *end = self.text.len(),
            _ => self.runs.push((self.text.len(), style)),
        }
    }

    /// Appends text, padded with blanks to a number of cells.
    pub(super) fn column(&mut self, text: &str, width: usize, style: Style) {
        self.push(text, style);
        self.blanks(width.saturating_sub(text.width()));
    }

    /// Appends blanks.
    pub(super) fn blanks(&mut self, count: usize) {
        self.write(Style::Plain, |out| out.extend(std::iter::repeat_n(' ', count)));
    }

    /// Appends the rows of the text to `out`, and a line end. The first row begins behind `used` cells of its line, or on
    /// the next line if there is no room.
    pub(super) fn rows(&self, used: usize, frame: &Frame, out: &mut Vec<u8>) {
        let mark = frame.mark.0.width();
        let room = frame.columns.map(|columns| columns.saturating_sub(used + mark));
        let mut first = room.unwrap_or(usize::MAX);
        let mut is_first = true;
        if used > frame.indent && first < LEAST_FIRST.min(self.width()) {
            end_row(out);
            is_first = false;
            first = frame.room().unwrap_or(usize::MAX);
        }
        let further = frame.room().map_or(usize::MAX, |room| room.saturating_sub(frame.hang).max(LEAST));
        let (mut hang, mut runs) = (0, self.runs.as_slice());
        break_rows(&self.text, first.max(LEAST), further, |row| {
            if !is_first {
                out.extend(std::iter::repeat_n(b' ', frame.indent));
            }
            is_first = false;
            styled(frame.mark.0, frame.mark.1, frame.color, out);
            out.extend(std::iter::repeat_n(b' ', hang));
            hang = frame.hang;
            styled_row(&self.text, &mut runs, row, frame.color, out);
            end_row(out);
        });
    }

    /// Appends the text without a line end.
    pub(super) fn inline(&self, color: bool, out: &mut Vec<u8>) {
        styled_row(&self.text, &mut self.runs.as_slice(), 0..self.text.len(), color, out);
    }

    /// Frees buffers that only giant records need.
    pub(super) fn shrink(&mut self, most: usize) {
        self.clear();
        self.text.shrink_to(most);
        self.runs.shrink_to(most / size_of::<(usize, Style)>());
    }
}

/// Appends the parts of a row. Removes the runs that end before it.
fn styled_row(text: &str, runs: &mut &[(usize, Style)], row: Range<usize>, color: bool, out: &mut Vec<u8>) {
    let mut start = row.start;
    while let Some(((end, style), behind)) = runs.split_first() {
        if let Some(part) = text.get(start..(*end).min(row.end)).filter(|part| !part.is_empty()) {
            styled(part, *style, color, out);
        }
        start = start.max(*end);
        if *end > row.end {
            return;
        }
        *runs = behind;
    }
}

/// Appends text in a style.
fn styled(text: &str, style: Style, color: bool, out: &mut Vec<u8>) {
    let begin = if color { style.begin() } else { "" };
    out.extend_from_slice(begin.as_bytes());
    out.extend_from_slice(text.as_bytes());
    if !begin.is_empty() {
        out.extend_from_slice(RESET.as_bytes());
    }
}

/// Ends a row without trailing blanks.
pub(super) fn end_row(out: &mut Vec<u8>) {
    while out.last() == Some(&b' ') {
        out.pop();
    }
    out.push(b'\n');
}

/// Calls a function for each row of a text: at most `first` cells in the first row and `further` cells in the others.
fn break_rows(text: &str, first: usize, further: usize, mut row: impl FnMut(Range<usize>)) {
    let (mut start, mut room) = (0, first);
    while let Some(rest) = text.get(start..) {
        let whole = || (rest.trim_end_matches(' ').len(), None);
        let (end, next) = first_row(rest, room).map_or_else(whole, |(end, next)| (end, Some(next)));
        row(start..start + end);
        let Some(next) = next else { return };
        (start, room) = (start + next, further);
    }
}

/// Returns the end of the first row and the start of the next one; `None` if the text fits into one row. A row ends at
/// blanks, which are left out. Only a word that is longer than a row is cut.
fn first_row(text: &str, room: usize) -> Option<(usize, usize)> {
    let mut used = 0;
    // The last blanks behind a word.
    let mut blanks: Option<(usize, usize)> = None;
    let mut has_word = false;
    for (at, c) in text.char_indices() {
        if c == ' ' {
            let end = at + 1;
            blanks = match blanks {
                Some((start, before)) if before == at => Some((start, end)),
                _ if has_word => Some((at, end)),
                none => none,
            };
            used += 1;
            continue;
        }
        used += c.width().unwrap_or(0);
        if used > room && at > 0 {
            // Blanks that fill the row would stand beyond it.
            return Some(blanks.unwrap_or(if has_word { (at, at) } else { (0, at) }));
        }
        has_word = true;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str, first: usize, further: usize) -> Vec<&str> {
        let mut rows = Vec::new();
        break_rows(text, first, further, |row| rows.push(text.get(row).unwrap()));
        rows
    }

    #[test]
    fn rows_end_at_blanks_if_there_are_any() {
        for (text, first, further, rows) in [
            ("", 10, 10, &[""][..]),
            ("end:  ", 4, 4, &["end:"]),
            ("short", 10, 10, &["short"]),
            ("exactly 10", 10, 10, &["exactly 10"]),
            ("one two three", 10, 10, &["one two", "three"]),
            ("abcdefghijklm", 5, 4, &["abcde", "fghi", "jklm"]),
            ("  indented text", 10, 8, &["  indented", "text"]),
            ("日本語日本語", 7, 4, &["日本語", "日本", "語"]),
            ("msg  file=/a/b/c", 8, 20, &["msg", "file=/a/b/c"]),
            ("e\u{301}e\u{301}", 2, 2, &["e\u{301}e\u{301}"]),
            ("     a", 4, 4, &["", "a"]),
            ("one abcdefgh", 10, 3, &["one", "abc", "def", "gh"]),
        ] {
            assert_eq!(broken(text, first, further), rows, "{text:?} in {first} and {further}");
        }
    }

    #[test]
    fn no_row_is_wider_than_the_screen_and_nothing_is_lost() {
        let text = "a bb \u{65e5}\u{672c} cccccccc d\u{301}   eeeeeeeeeeeeeee  f ".repeat(20);
        for columns in 2..60 {
            let mut paragraph = Paragraph::default();
            paragraph.push(&text, Style::Plain);
            for (used, indent) in [(0, 0), (columns / 2, columns / 3), (columns, 44)] {
                let frame = Frame { columns: Some(columns), indent, mark: ("| ", Style::Guest), hang: 3, color: false };
                let (mut out, frame) = (vec![b'x'; used], frame.fitted());
                paragraph.rows(used, &frame, &mut out);
                let out = String::from_utf8(out).unwrap();
                let all = |text: &str| text.chars().filter(|c| !" \n|x".contains(*c)).collect::<String>();
                assert_eq!(all(&out), all(&text));
                for line in out.lines() {
                    assert!(line.width() <= columns.max(4), "{columns}: {line:?}");
                    let rest = line.trim_start_matches(['x', ' ']);
                    assert!(rest.is_empty() || rest.starts_with('|'), "{columns}: {line:?}");
                }
            }
        }
    }

    #[test]
    fn each_row_has_its_style_and_ends_it() {
        let mut paragraph = Paragraph::default();
        paragraph.push("one two", Style::Red);
        paragraph.push(" three", Style::Plain);
        let frame = Frame { columns: Some(8), indent: 1, mark: ("", Style::Plain), hang: 0, color: true };
        let mut out = Vec::new();
        paragraph.push(" four", Style::Red);
        paragraph.rows(1, &frame, &mut out);
        let rows = ["\x1b[31mone two\x1b[0m", " three", " \x1b[31mfour\x1b[0m", ""];
        assert_eq!(String::from_utf8(out).unwrap(), rows.join("\n"));
    }
}
