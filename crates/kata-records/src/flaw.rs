//! Flaws of entries: a closed list with severities, stored as a set of bits.

use crate::named_enum::{described_enum, named_enum};

/// The severity of a flaw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The entry is as usual.
    Information,
    /// The entry is odd, but the record has all of its text.
    Notice,
    /// Text of the writer is lost, or cannot be read as its writer meant it.
    Damage,
}

named_enum!(Severity {
    Information => "information", "The entry is as usual";
    Notice => "notice", "The entry is odd, but the record has all of its text";
    Damage => "damage", "Text of the writer is lost or unreadable";
});

/// Declares the flaws: the name, the severity, and the meaning of each.
macro_rules! flaws {
    ($($Flaw:ident = $name:literal, $Severity:ident, $meaning:literal;)+) => {
        described_enum! {
            /// A flaw of an entry. Its name is an element of `kata_flaws`.
            pub(crate) enum Flaw { $($Flaw = $name, $meaning;)+ }
        }

        impl Flaw {
            /// Returns the severity.
            #[must_use]
            pub(crate) const fn severity(self) -> Severity {
                match self { $(Flaw::$Flaw => Severity::$Severity,)+ }
            }
        }
    };
}

// A cut quote, cut JSON and a broken carrier are damage, although the record keeps the rest as text: the end of the entry is
// missing, or nobody can tell its fields. A second value, an odd key or time are notices: a field of the record has them.
flaws! {
    Truncated = "truncated", Damage, "The entry was longer than the limit, or a writer before us cut it; what is missing is lost";
    Unfinished = "unfinished", Damage, "The input ended inside the entry";
    SplitByJournald = "split-by-journald", Notice, "journald split the line at its length limit; the rest is in the entries that follow";
    NotDelivered = "not-delivered", Damage, "`journalctl` printed null for a field: it was there but too long. Run it with `--all`";
    BadEnvelope = "bad-carrier", Damage, "The carrier around the message (journal JSON, export, Docker) could not be read to its end";
    BadJson = "bad-json", Damage, "JSON that could not be read to its end; the members before the damage are kept";
    UnterminatedQuote = "unterminated-quote", Damage, "A quoted logfmt value without its closing quote";
    StrayQuote = "stray-quote", Notice, "A quote inside a quoted value, as left by copies that lost their backslashes";
    MissingSpace = "missing-space", Notice, "Two pairs without a space between them";
    BadEscape = "bad-escape", Notice, "A backslash sequence that its writer cannot have written; it is kept as it stands";
    BareValue = "bare-value", Notice, "A bare value with `=` or a quote in it: often two entries that ran together";
    BareWords = "bare-words", Notice, "Words at the end of a line that belong to no key";
    BadKey = "bad-key", Notice, "A key that is empty or has bytes that cannot be printed";
    TooManyPairs = "too-many-pairs", Notice, "More pairs than any writer logs; the rest of the entry is kept as text in `kata_rest`";
    DuplicateKey = "duplicate-key", Notice, "The same key twice in one entry; both values are kept";
    NotANumber = "not-a-number", Notice, "A number was expected; the text is kept under the key with `_text` behind it";
    BadLevel = "bad-level", Notice, "A level that no writer of Kata uses";
    BadTime = "bad-time", Notice, "A time in none of the known layouts; the text is kept in `kata_time_text`";
    NoTime = "no-time", Notice, "No usable time in the entry or around it";
    NotUtf8 = "not-utf8", Notice, "Bytes that are not UTF-8; the field is listed in `kata_escaped`";
    GoFormatError = "go-format-error", Notice, "Go's `fmt` reported misuse in the text (`%!s(MISSING)`)";
    KernelTextInside = "kernel-text-inside", Notice, "A line of the guest kernel in the middle of a line of the guest agent; both parts are kept";
    BadAgentRecord = "bad-agent-record", Damage, "A guest agent's record that could not be read; it is kept as text";
    UnprovenOrigin = "unproven-origin", Information, "Nothing proves that a program of the host wrote the entry (`kata_origin` is `unproven`), such as a panic or the rest of a line that was split";
}

/// A set of flaws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flaws(u32);

impl Flaws {
    /// Returns the set as bits.
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// Returns the set of these bits.
    pub(crate) fn from_bits(bits: u32) -> Flaws {
        Flaws(bits)
    }

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
        Flaws(self.0 & FAILURES)
    }

    /// Returns the flaws of this set that another set lacks.
    #[must_use]
    pub(crate) fn without(self, other: Flaws) -> Flaws {
        Flaws(self.0 & !other.0)
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

/// The bits of the flaws that make a record flawed: notices and damage.
const FAILURES: u32 = {
    let (mut bits, mut at) = (0, 0);
    while at < Flaw::ALL.len() {
        if !matches!(Flaw::ALL[at].severity(), Severity::Information) {
            bits |= 1 << at;
        }
        at += 1;
    }
    bits
};

const _: () = assert!(Flaw::ALL.len() <= 32, "the set is one u32");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_ordered_and_have_their_names() {
        assert!(Severity::ALL.is_sorted());
        for severity in Severity::ALL {
            assert_eq!(severity.name().parse(), Ok(*severity));
        }
        assert!("worse".parse::<Severity>().is_err());
    }

    #[test]
    fn each_flaw_has_its_severity() {
        let of = |severity| {
            let flaws = Flaw::ALL.iter().filter(move |flaw| flaw.severity() == severity);
            flaws.map(|flaw| flaw.name()).collect::<Vec<_>>()
        };
        assert_eq!(of(Severity::Information), ["unproven-origin"]);
        let damage = [
            "truncated",
            "unfinished",
            "not-delivered",
            "bad-carrier",
            "bad-json",
            "unterminated-quote",
            "bad-agent-record",
        ];
        assert_eq!(of(Severity::Damage), damage);
        assert_eq!(of(Severity::Notice).len(), Flaw::ALL.len() - 8);
        for flaw in Flaw::ALL {
            let mut one = Flaws::default();
            one.add(*flaw);
            assert_eq!(one.failures().is_empty(), flaw.severity() == Severity::Information, "{}", flaw.name());
        }
    }
}
