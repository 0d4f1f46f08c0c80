//! What can be wrong with an entry: a closed list, carried as a set of bits.

macro_rules! flaws {
    ($($(#[$doc:meta])+ $name:ident = $text:literal,)+) => {
        /// One thing that was wrong with an entry. The name is what `kata_flaws` holds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Flaw { $($(#[$doc])+ $name,)+ }

        impl Flaw {
            /// Every flaw, in the order in which `kata_flaws` lists them.
            pub const ALL: &'static [Flaw] = &[$(Flaw::$name,)+];

            /// The name that stands in `kata_flaws` and in the statistics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Flaw::$name => $text,)+ }
            }
        }
    };
}

flaws! {
    /// The entry was longer than the limit, or a writer before us cut it; what is missing is lost.
    Truncated = "truncated",
    /// The input ended inside the entry.
    Unfinished = "unfinished",
    /// journald split the line at its length limit; the rest is in the entries that follow.
    SplitByJournald = "split-by-journald",
    /// `journalctl` printed null for a field: it was there but too long. Run it with `--all`.
    NotDelivered = "not-delivered",
    /// The carrier around the message (journal JSON, export, Docker) could not be read to its end.
    BadEnvelope = "bad-carrier",
    /// JSON that could not be read to its end; the members before the damage are kept.
    BadJson = "bad-json",
    /// A quoted logfmt value without its closing quote.
    UnterminatedQuote = "unterminated-quote",
    /// A quote inside a quoted value, as left by copies that lost their backslashes.
    StrayQuote = "stray-quote",
    /// Two pairs without a space between them.
    MissingSpace = "missing-space",
    /// A backslash sequence that its writer cannot have written; it is kept as it stands.
    BadEscape = "bad-escape",
    /// A bare value with `=` or a quote in it: often two entries that ran together.
    BareValue = "bare-value",
    /// Words at the end of a line that belong to no key.
    BareWords = "bare-words",
    /// A key that is empty or has bytes that cannot be printed.
    BadKey = "bad-key",
    /// More pairs than any writer logs; the rest of the entry is kept as text in `kata_rest`.
    TooManyPairs = "too-many-pairs",
    /// The same key twice in one entry; both values are kept.
    DuplicateKey = "duplicate-key",
    /// A number was expected; the text is kept under the key with `_text` behind it.
    NotANumber = "not-a-number",
    /// A level that no writer of Kata uses.
    BadLevel = "bad-level",
    /// A time in none of the known layouts; the text is kept in `kata_time_text`.
    BadTime = "bad-time",
    /// No usable time in the entry or around it.
    NoTime = "no-time",
    /// Bytes that are not UTF-8; the field is listed in `kata_escaped`.
    NotUtf8 = "not-utf8",
    /// Go's `fmt` reported misuse in the text (`%!s(MISSING)`).
    GoFormatError = "go-format-error",
    /// A line of the guest kernel in the middle of a line of the guest agent; both parts are kept.
    KernelTextInside = "kernel-text-inside",
    /// A guest agent's record that could not be read; it is kept as text.
    BadAgentRecord = "bad-agent-record",
    /// Text under a container manager's identifier, such as a panic or the rest of a line that was split: most likely
    /// the shim's, but nothing in the line proves it, so it counts as the guest's word.
    UnprovenOrigin = "unproven-origin",
}

/// A set of flaws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaws(u32);

impl Flaws {
    /// Adds one flaw; adding it twice is adding it once.
    pub fn add(&mut self, flaw: Flaw) {
        self.0 |= 1 << flaw as u8;
    }

    /// Adds a flaw where `when` holds.
    pub fn add_if(&mut self, when: bool, flaw: Flaw) {
        self.0 |= u32::from(when) << flaw as u8;
    }

    /// Adds all flaws of another set.
    pub fn merge(&mut self, other: Flaws) {
        self.0 |= other.0;
    }

    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the set has this flaw.
    #[must_use]
    pub fn has(self, flaw: Flaw) -> bool {
        self.0 & 1 << flaw as u8 != 0
    }

    /// The flaws of the set, in the order of [`Flaw::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Flaw> {
        Flaw::ALL.iter().copied().filter(move |flaw| self.has(*flaw))
    }
}

const _: () = assert!(Flaw::ALL.len() <= 32, "the set is one u32");
