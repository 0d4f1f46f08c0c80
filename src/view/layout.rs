//! The columns before a message. The width of the screen decides them.

use super::TimeStyle;
use super::clock::Moment;
use super::paragraph::Paragraph;
use super::style::Style;

/// The width from which the columns have gaps and levels of three letters.
const WIDE: usize = 100;

/// The width below which the columns have a row of their own.
const TINY: usize = 60;

/// The widths of `05:01:54.811`, `2024-03-05 05:01:54.811` and `+0.019`.
const TIME: usize = 12;
const FULL: usize = 23;
const GAP: usize = 7;

/// The columns of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    time: TimeStyle,
    /// There is room for the gap and for levels of three letters.
    pub(super) is_wide: bool,
    /// The columns have a row of their own.
    pub(super) is_tiny: bool,
    /// The cells of the level.
    pub(super) level: usize,
    /// The cells of the component.
    pub(super) component: usize,
    /// The cells of the sandbox.
    pub(super) sandbox: usize,
    /// The number of blanks before the message.
    pub(super) gap: usize,
    /// The column of the message.
    pub(super) indent: usize,
    /// The column of errors.
    pub(super) error_indent: usize,
}

impl Layout {
    /// Returns the layout for a width.
    pub(super) fn new(columns: usize, time: TimeStyle) -> Layout {
        let (is_wide, is_tiny) = (columns >= WIDE, columns < TINY);
        let times = match time {
            TimeStyle::Short => TIME,
            TimeStyle::Full => FULL,
            TimeStyle::Delta => GAP,
        };
        let has_gap = is_wide && time != TimeStyle::Delta;
        let (level, component, sandbox) = if is_wide { (3, 8, 8) } else { (1, 7, 8) };
        let gap = if is_wide { 2 } else { 1 };
        let times = times + if has_gap { GAP + 1 } else { 0 };
        let message = times + 1 + level + 1 + component + 1 + sandbox + gap;
        let indent = if is_tiny { 2 } else { message };
        let error_indent = if is_wide { message } else { 4 };
        Layout { time, is_wide, is_tiny, level, component, sandbox, gap, indent, error_indent }
    }

    /// Appends the columns of the times.
    pub(super) fn times(&self, moment: &Moment, row: &mut Paragraph) {
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        match self.time {
            TimeStyle::Short => row.column(&or_dash(&moment.time), TIME, Style::Dim),
            TimeStyle::Full if moment.time.is_empty() => row.column("-", FULL, Style::Dim),
            TimeStyle::Full => row.column(&format!("{} {}", moment.date, moment.time), FULL, Style::Dim),
            TimeStyle::Delta => gap(moment, row),
        }
        row.blanks(1);
        if self.is_wide && self.time != TimeStyle::Delta {
            gap(moment, row);
            row.blanks(1);
        }
    }
}

/// Appends the time since the record before, at the right of its column.
fn gap(moment: &Moment, row: &mut Paragraph) {
    row.blanks(GAP.saturating_sub(moment.gap.len()));
    row.push(&moment.gap, Style::Dim);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_begin_at_these_columns() {
        for (columns, time, indent, error) in [
            (40, TimeStyle::Short, 2, 4),
            (80, TimeStyle::Short, 32, 4),
            (99, TimeStyle::Short, 32, 4),
            (100, TimeStyle::Short, 44, 44),
            (200, TimeStyle::Short, 44, 44),
            (80, TimeStyle::Full, 43, 4),
            (120, TimeStyle::Delta, 31, 31),
        ] {
            let layout = Layout::new(columns, time);
            assert_eq!((layout.indent, layout.error_indent), (indent, error), "{columns} {time:?}");
        }
    }
}
