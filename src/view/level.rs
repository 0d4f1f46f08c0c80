//! The levels of records: their letters, and the brightness of messages.

use super::style::Style;

/// The look of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LevelLook {
    /// The letter, for narrow screens.
    pub(super) letter: &'static str,
    /// The three letters.
    pub(super) name: &'static str,
    /// The style of the letters.
    pub(super) style: Style,
    /// The style of the message.
    pub(super) message: Style,
    /// The style of the values of fields.
    pub(super) value: Style,
    /// The style of the text of an error.
    pub(super) error: Style,
}

/// Returns the look of a level by its name in records.
pub(super) fn level_look(level: &[u8]) -> LevelLook {
    let look = |letter, name, style, message| LevelLook {
        letter,
        name,
        style,
        message,
        value: if message == Style::Dim { Style::Dim } else { Style::Plain },
        error: if style == Style::Yellow { Style::Yellow } else { Style::Red },
    };
    match level {
        b"critical" => look("C", "CRT", Style::BoldRed, Style::Bold),
        b"error" => look("E", "ERR", Style::BoldRed, Style::Bold),
        b"warning" => look("W", "WRN", Style::Yellow, Style::Plain),
        b"info" => look("I", "INF", Style::Plain, Style::Plain),
        b"debug" => look("D", "DBG", Style::Dim, Style::Dim),
        b"trace" => look("T", "TRC", Style::Dim, Style::Dim),
        _ => look("-", "-", Style::Dim, Style::Plain),
    }
}
