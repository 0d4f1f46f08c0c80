//! Flaws of entries: a closed list, stored as a set of bits.

use crate::named_enum::described_enum;

described_enum! {
    /// A flaw of an entry. Its name is an element of `kata_flaws`.
    pub(crate) enum Flaw {
        Truncated = "truncated", "The entry was longer than the limit, or a writer before us cut it; what is missing is lost";
        Unfinished = "unfinished", "The input ended inside the entry";
        SplitByJournald = "split-by-journald", "journald split the line at its length limit; the rest is in the entries that follow";
        NotDelivered = "not-delivered", "`journalctl` printed null for a field: it was there but too long. Run it with `--all`";
        BadEnvelope = "bad-carrier", "The carrier around the message (journal JSON, export, Docker) could not be read to its end";
        BadJson = "bad-json", "JSON that could not be read to its end; the members before the damage are kept";
        UnterminatedQuote = "unterminated-quote", "A quoted logfmt value without its closing quote";
        StrayQuote = "stray-quote", "A quote inside a quoted value, as left by copies that lost their backslashes";
        MissingSpace = "missing-space", "Two pairs without a space between them";
        BadEscape = "bad-escape", "A backslash sequence that its writer cannot have written; it is kept as it stands";
        BareValue = "bare-value", "A bare value with `=` or a quote in it: often two entries that ran together";
        BareWords = "bare-words", "Words at the end of a line that belong to no key";
        BadKey = "bad-key", "A key that is empty or has bytes that cannot be printed";
        TooManyPairs = "too-many-pairs", "More pairs than any writer logs; the rest of the entry is kept as text in `kata_rest`";
        DuplicateKey = "duplicate-key", "The same key twice in one entry; both values are kept";
        NotANumber = "not-a-number", "A number was expected; the text is kept under the key with `_text` behind it";
        BadLevel = "bad-level", "A level that no writer of Kata uses";
        BadTime = "bad-time", "A time in none of the known layouts; the text is kept in `kata_time_text`";
        NoTime = "no-time", "No usable time in the entry or around it";
        NotUtf8 = "not-utf8", "Bytes that are not UTF-8; the field is listed in `kata_escaped`";
        GoFormatError = "go-format-error", "Go's `fmt` reported misuse in the text (`%!s(MISSING)`)";
        KernelTextInside = "kernel-text-inside", "A line of the guest kernel in the middle of a line of the guest agent; both parts are kept";
        BadAgentRecord = "bad-agent-record", "A guest agent's record that could not be read; it is kept as text";
        UnprovenOrigin = "unproven-origin", "Nothing proves that a program of the host wrote the entry (`kata_origin` is `unproven`), such as a panic or the rest of a line that was split; this is information, not a defect";
    }
}

/// A set of flaws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flaws(u32);

impl Flaws {
    /// Adds a flaw.
    pub(crate) fn add(&mut self, flaw: Flaw) {
        self.0 |= 1 << flaw as u8;
    }

    /// Adds a flaw if `when` is true.
    pub(crate) fn add_if(&mut self, when: bool, flaw: Flaw) {
        self.0 |= u32::from(when) << flaw as u8;
    }

    /// Adds all flaws of another set.
    pub(crate) fn merge(&mut self, other: Flaws) {
        self.0 |= other.0;
    }

    /// Returns the set without flaws that are only information.
    #[must_use]
    pub(crate) fn failures(self) -> Flaws {
        Flaws(self.0 & !(1 << Flaw::UnprovenOrigin as u8))
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether the set has this flaw.
    #[must_use]
    pub(crate) fn has(self, flaw: Flaw) -> bool {
        self.0 & 1 << flaw as u8 != 0
    }

    /// Returns the flaws in the order of [`Flaw::ALL`].
    pub(crate) fn iter(self) -> impl Iterator<Item = Flaw> {
        Flaw::ALL.iter().copied().filter(move |flaw| self.has(*flaw))
    }
}

const _: () = assert!(Flaw::ALL.len() <= 32, "the set is one u32");
