//! The styles of the view, as SGR sequences. Red and yellow mean error and warning, and nothing else.

/// A style of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    /// The terminal's own.
    #[default]
    Plain,
    /// For what matters least.
    Dim,
    /// The message of an error.
    Bold,
    /// The text of an error.
    Red,
    /// The level of an error.
    BoldRed,
    /// A warning.
    Yellow,
    /// The help for a known failure.
    Help,
    /// The text that the user searches.
    Found,
    /// A program of the host.
    Host,
    /// The guest.
    Guest,
    /// A sandbox, by the number of its color.
    Sandbox(usize),
}

/// The colors of sandboxes, of the palette with 256 colors. None of them is close to red or yellow.
const SANDBOXES: [&str; 6] =
    ["\x1b[38;5;75m", "\x1b[38;5;114m", "\x1b[38;5;141m", "\x1b[38;5;209m", "\x1b[38;5;180m", "\x1b[38;5;80m"];

/// The end of a style.
pub(super) const RESET: &str = "\x1b[0m";

impl Style {
    /// Returns the style of a sandbox, which depends on nothing but its id.
    pub(super) fn of_sandbox(id: &[u8]) -> Style {
        // FNV-1a: a sandbox keeps its color in every run and on every machine.
        let hash = id
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        Style::Sandbox((hash % SANDBOXES.len() as u64) as usize)
    }

    /// Returns the sequence that begins the style; empty if there is none.
    pub(super) fn begin(self) -> &'static str {
        match self {
            Style::Plain => "",
            Style::Dim => "\x1b[2m",
            Style::Bold => "\x1b[1m",
            Style::Red => "\x1b[31m",
            Style::BoldRed => "\x1b[1;31m",
            Style::Yellow => "\x1b[33m",
            Style::Help => "\x1b[32m",
            Style::Found => "\x1b[7m",
            Style::Host => "\x1b[36m",
            Style::Guest => "\x1b[35m",
            Style::Sandbox(number) => SANDBOXES.get(number).copied().unwrap_or_default(),
        }
    }
}
