//! The origins of entries, and what a source knows about them: the route of its input, and lines that continue others.

use crate::named_enum::described_enum;

pub use journal_file::Continuation;

described_enum! {
    /// The author of an entry, as far as it is proven. Its name is the value of `kata_origin`.
    pub enum Origin {
        Host = "host", "Fields that journald itself sets, or structure that no guest can produce, prove that a program of the host wrote the entry";
        Vouched = "vouched", "The operator named the input or trusts the pod, and the structure of the entry fits a program of the host";
        Guest = "guest", "The text came out of the guest";
        Tenant = "tenant", "A container wrote the entry to its own output";
        Unproven = "unproven", "The entry may be the host's, but nothing proves it";
    }
}

impl Origin {
    /// Returns whether the text of the entry itself is the host's word.
    #[must_use]
    pub(crate) const fn is_of_host(self) -> bool {
        matches!(self, Origin::Host | Origin::Vouched)
    }
}

/// The route of an input to katalog, as the source knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// A journal that katalog reads itself, or the output of `journalctl` in a format of entries: its first line is one.
    Journal,
    /// An input that the operator names: standard input, a file. A path in an archive or in a directory where hosts keep
    /// logs of Kata or of syslog counts too.
    #[default]
    Named,
    /// An input that the operator names and whose first line has a head of syslog.
    Syslog,
    /// An input that the operator names and whose first line has logrus's layout for terminals.
    Terminal,
    /// A file with the output of a container manager.
    Manager,
    /// A file with the output of a container.
    Container,
    /// A file with the output of a container that the operator trusts, by its pod or with `--vouch`.
    TrustedPod,
    /// A file at a path that says nothing, or an input that the operator does not trust.
    Unlisted,
}
