//! The author of a record: the name of its component, and the mark of text that is not the host's.

use super::record::FlatRecord;
use super::style::Style;

/// The author of a record, by its proven origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// A program of the host.
    Host,
    /// The guest.
    Guest,
    /// A container, in its own output.
    Tenant,
    /// Nobody is proven.
    Unproven,
}

impl Author {
    /// Returns the author of a record. Nothing proves an entry of another program.
    pub(super) fn of(record: &FlatRecord<'_>) -> Author {
        match record.text("kata_origin") {
            b"host" | b"vouched" => Author::Host,
            b"guest" => Author::Guest,
            b"tenant" => Author::Tenant,
            _ => Author::Unproven,
        }
    }

    /// Returns the mark with which each row of the text begins.
    pub(super) fn mark(self, unicode: bool) -> (&'static str, Style) {
        match self {
            Author::Host => ("", Style::Plain),
            Author::Guest if unicode => ("┊ ", Style::Guest),
            Author::Guest => ("| ", Style::Guest),
            Author::Tenant => ("> ", Style::Guest),
            Author::Unproven => ("? ", Style::Guest),
        }
    }

    /// Returns the style of the component.
    pub(super) fn style(self) -> Style {
        match self {
            Author::Host => Style::Host,
            Author::Guest => Style::Guest,
            Author::Tenant | Author::Unproven => Style::Dim,
        }
    }

    /// Returns whether the host vouches for the envelope of the entry, such as the name of the host.
    pub(super) fn has_envelope_of_host(self) -> bool {
        matches!(self, Author::Host | Author::Guest)
    }
}

/// Returns the short name of a component, of at most seven letters.
pub(super) fn component(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"runtime" => "runtime",
        b"proxy" => "proxy",
        b"shim" => "shim-v1",
        b"shimv2" => "shim",
        b"runtime-rs" => "shim-rs",
        b"agent" => "agent",
        b"guest-kernel" => "kernel",
        b"guest-console" => "console",
        b"hypervisor" => "vmm",
        b"virtiofsd" => "virtfsd",
        b"monitor" => "monitor",
        b"netmon" => "netmon",
        b"throttler" => "ksm",
        b"unknown" => "unknown",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use kata_records::Component;
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    #[test]
    fn each_component_has_a_short_name() {
        let names = Component::ALL.iter().map(|one| component(one.name().as_bytes()).unwrap());
        let names: HashSet<&str> = names.inspect(|name| assert!(name.len() <= 7, "{name}")).collect();
        assert_eq!(names.len(), Component::ALL.len());
        assert_eq!(component(b"other"), None);
    }

    #[test]
    fn marks_take_two_cells_and_differ() {
        for unicode in [false, true] {
            let marks = [Author::Guest, Author::Tenant, Author::Unproven].map(|author| author.mark(unicode).0);
            assert!(marks.iter().all(|mark| mark.width() == 2), "{marks:?}");
            assert_eq!(HashSet::from(marks).len(), 3);
        }
    }
}
