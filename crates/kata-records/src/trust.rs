//! Decides who wrote an entry, as far as its route, its envelope and its structure prove it.
//!
//! A text never decides about its own origin by what it claims. The table of [`WAYS`] is the rule that the code runs on,
//! and the source of the table in `docs/trust.md`.

use crate::component::Component;
use crate::dictionary::KeyId;
use crate::envelope::{Entry, Transport};
use crate::flaw::Flaw;
use crate::origin::{Origin, Route};
use crate::parse::{Payload, begins_line, is_date};
use crate::record::{Escaping, Pair, PayloadFormat, Value};
use crate::select::IdentifierKind;

/// The condition under which an entry is the host's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The user that journald took from the socket is trusted.
    User,
    /// The user is trusted, and the line begins as only a whole line can.
    UserAndBeginning,
    /// Only root can write there.
    Root,
    /// The operator vouches, and the structure fits.
    Operator,
    /// The operator vouches, the structure fits, or the identifier is of a program that carries no text of guests.
    OperatorOfHeads,
    /// The operator vouches, the structure fits, or the line has logrus's layout for terminals.
    OperatorAtTerminal,
    /// The operator vouches, and the line begins as only a whole line can.
    OperatorAndBeginning,
    /// The operator trusts the pod.
    Pod,
    /// The output of a container is never the host's.
    Container,
    /// Nothing proves anything.
    Nothing,
}

macro_rules! ways {
    ($($name:ident: $rule:ident, $route:literal, $writers:literal, $proof:literal;)+) => {
        /// A way of an entry to katalog: its route, and its envelope.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Way { $($name,)+ }

        impl Way {
            const fn rule(self) -> Rule {
                match self { $(Way::$name => Rule::$rule,)+ }
            }
        }

        /// The ways: the route, who can write its bytes, and what it proves.
        pub(crate) const WAYS: &[[&str; 3]] = &[$([$route, $writers, $proof],)+];
    };
}

ways! {
    Datagram: User,
        "Journal: a datagram of syslog or of the native protocol (`_TRANSPORT` is `syslog` or `journal`)",
        "Every process of this machine, under the user that journald takes from the socket. A container that runs as root and mounts `/dev/log` or `/run/systemd/journal` is uid 0 too",
        "`host` if `_UID` is 0 or one of `--trusted-uids`, otherwise `unproven`. `SYSLOG_IDENTIFIER`, `_COMM`, `_EXE` and `_SYSTEMD_UNIT` prove nothing alone";
    Stream: UserAndBeginning,
        "Journal: the standard output of a service (`_TRANSPORT` is `stdout`), such as containerd's, CRI-O's, k3s's",
        "The service, and the shims whose shared standard error it copies. Lines are cut at any byte, so a guest's text can begin an entry",
        "`host` if the user is trusted and the entry begins with `time=\"<time>\" level=` or `{\"<key>\":`, and does not follow an entry of its `_STREAM_ID` with a `_LINE_BREAK`; otherwise `unproven`. Text inside a line is quoted, so it cannot hold such a beginning";
    ContainerDriver: Container,
        "Journal: entries of the `journald` log drivers of Docker and Podman (`CONTAINER_ID_FULL`)",
        "The container, through dockerd or conmon, which run as root",
        "`tenant`: the entry is another program's";
    Kernel: Root,
        "Journal: the kernel's messages (`_TRANSPORT` is `kernel`)",
        "The kernel, and root through `/dev/kmsg`",
        "`host`";
    Entries: Operator,
        "Journal entries without `_UID`, or among lines of another kind",
        "Whoever made the input that the operator names",
        "`vouched` if the message begins as above, or the fields are those of runtime-rs; otherwise `unproven`";
    Syslog: OperatorOfHeads,
        "An input that begins with a line of syslog or of `journalctl -o short`",
        "The programs of that machine. In such copies a line of the guest's agent under runtime-rs 3.20 or newer looks like a line of runtime-rs, because the fields that tell them apart are gone",
        "`vouched` if the message begins as above, or is plain text of a program that carries no text of guests, such as virtiofsd; other text, such as that of `kata`, is `unproven`";
    Mixed: Operator,
        "Lines with a head of syslog in other inputs",
        "Whoever made the input that the operator names. The rest of a line can look like a head",
        "`vouched` if the message begins as above; other text is `unproven`";
    Plain: Operator,
        "Other lines of standard input, of a named file, of a paste (`journalctl -o cat`)",
        "Whoever made the input that the operator names",
        "`vouched` if the line begins as above, otherwise `unproven`";
    Terminal: OperatorAtTerminal,
        "An input that begins with logrus's layout for terminals (`INFO[0000] `)",
        "The program whose output the operator pasted",
        "`vouched`, also for lines in this layout";
    ManagerFile: OperatorAndBeginning,
        "A container manager's log file: `containerd.log` of k3s and RKE2, the output of k0s",
        "The manager, and the shims whose shared standard error it copies",
        "`vouched` if the line begins as above, otherwise `unproven`";
    Container: Container,
        "The output of a container: CRI and Docker files, `current.log` of must-gather, wherever the file lies",
        "The container",
        "`tenant`: the entry is another program's";
    TrustedPod: Pod,
        "The output of a container whose pod is in `--trusted-pods`, or with `--vouch`",
        "The container, whose pod the operator trusts by namespace and name",
        "`vouched`; the time is the runtime's";
    Unlisted: Nothing,
        "Other files of an archive or of a directory, and inputs read with `--untrusted`",
        "Anyone",
        "`unproven`";
}

/// Decides about origins by the settings.
#[derive(Debug)]
pub(crate) struct Trust {
    /// The trusted users, as `_UID` has them.
    users: Vec<Vec<u8>>,
    /// Journals prove nothing.
    untrusted: bool,
}

impl Trust {
    pub(crate) fn new(users: &[u32], untrusted: bool) -> Trust {
        Trust { users: users.iter().map(|user| user.to_string().into_bytes()).collect(), untrusted }
    }

    /// Returns whether not even journals prove anything.
    pub(crate) fn is_untrusted(&self) -> bool {
        self.untrusted
    }

    /// Returns the way of an entry.
    #[inline]
    fn way(&self, entry: &Entry<'_>, route: Route) -> Way {
        if self.untrusted && route == Route::Journal { Way::Unlisted } else { way(entry, route) }
    }

    /// Returns the origin of an entry before the guest's text in it, if there is some, is looked at.
    #[inline]
    pub(crate) fn origin(
        &self,
        entry: &Entry<'_>,
        kind: IdentifierKind,
        route: Route,
        payload: &Payload<'_>,
    ) -> Origin {
        let proven = |is_proven: bool, origin| if is_proven { origin } else { Origin::Unproven };
        let begins = || entry.message.is_some_and(|message| begins(message, payload));
        match self.way(entry, route).rule() {
            Rule::User => proven(self.has_user(entry), Origin::Host),
            Rule::UserAndBeginning => proven(self.has_user(entry) && begins(), Origin::Host),
            Rule::Root => Origin::Host,
            Rule::Operator => {
                let may_speak = entry.user.is_none() || self.has_user(entry);
                proven(may_speak && (begins() || fits(entry, payload)), Origin::Vouched)
            }
            Rule::OperatorOfHeads => {
                let is_own = payload.format == PayloadFormat::Text && carries_no_guest(kind);
                proven(begins() || fits(entry, payload) || is_own, Origin::Vouched)
            }
            Rule::OperatorAtTerminal => {
                proven(payload.format != PayloadFormat::Text || fits(entry, payload), Origin::Vouched)
            }
            Rule::OperatorAndBeginning => proven(begins(), Origin::Vouched),
            Rule::Pod => Origin::Vouched,
            Rule::Container => Origin::Tenant,
            Rule::Nothing => Origin::Unproven,
        }
    }

    /// Returns the origin of an entry of another program. A container manager's line has to prove itself, as Kata's do.
    pub(crate) fn origin_of_others(&self, entry: &Entry<'_>, kind: IdentifierKind, route: Route) -> Origin {
        let rule = self.way(entry, route).rule();
        let may_speak = entry.user.is_none() || self.has_user(entry);
        let is_copy = matches!(kind, IdentifierKind::Manager) || rule == Rule::OperatorAndBeginning;
        let begins = !is_copy || entry.message.is_some_and(begins_line);
        match rule {
            Rule::User if self.has_user(entry) => Origin::Host,
            Rule::UserAndBeginning if self.has_user(entry) && begins => Origin::Host,
            Rule::Root => Origin::Host,
            Rule::Container => Origin::Tenant,
            Rule::Pod => Origin::Vouched,
            Rule::Operator | Rule::OperatorOfHeads | Rule::OperatorAtTerminal | Rule::OperatorAndBeginning
                if may_speak && begins =>
            {
                Origin::Vouched
            }
            _ => Origin::Unproven,
        }
    }

    /// Returns whether journald took a trusted user from the socket.
    pub(crate) fn has_user(&self, entry: &Entry<'_>) -> bool {
        entry.user.is_some_and(|user| self.users.iter().any(|trusted| trusted == user))
    }
}

/// Returns the way of an entry.
#[inline]
fn way(entry: &Entry<'_>, route: Route) -> Way {
    match route {
        Route::Unlisted => Way::Unlisted,
        Route::Container => Way::Container,
        Route::TrustedPod if entry.from_container => Way::TrustedPod,
        _ if entry.from_container => Way::Container,
        Route::Journal if entry.from_journal => match entry.transport {
            Transport::Kernel => Way::Kernel,
            // journald always sets the user, so somebody selected the fields of the output.
            _ if entry.user.is_none() => Way::Entries,
            Transport::Journal if entry.has_driver => Way::ContainerDriver,
            Transport::Syslog | Transport::Journal => Way::Datagram,
            Transport::Stdout | Transport::Other => Way::Stream,
        },
        Route::Manager if entry.from_journal => Way::Unlisted,
        Route::Manager => Way::ManagerFile,
        _ if entry.from_journal => Way::Entries,
        Route::Terminal => Way::Terminal,
        Route::Syslog | Route::TrustedPod if entry.identifier.is_some() => Way::Syslog,
        _ if entry.identifier.is_some() => Way::Mixed,
        Route::Journal | Route::Named | Route::Syslog | Route::TrustedPod => Way::Plain,
    }
}

/// Returns whether a message begins as only a whole line can, as [`begins_line`] does, with the help of its pairs.
#[inline]
fn begins(message: &[u8], payload: &Payload<'_>) -> bool {
    match (payload.format, payload.pairs.as_slice()) {
        (PayloadFormat::Logfmt, [time, level, ..]) => {
            let Value::Text(text) = time.value else { return false };
            message.starts_with(b"time=\"")
                && time.id == Some(KeyId::TIME)
                && level.id == Some(KeyId::LEVEL)
                && text.escaping == Escaping::Clean
                && is_date(text.bytes)
        }
        (PayloadFormat::Json | PayloadFormat::Slog, pairs) => begins_line(message) && !is_followed(payload, pairs),
        _ => false,
    }
}

/// Returns whether text follows the object of a message. A line of a logger is an object alone; the print of a map inside
/// another text is not.
fn is_followed(payload: &Payload<'_>, pairs: &[Pair<'_>]) -> bool {
    payload.flaws.has(Flaw::BadJson) && pairs.last().is_some_and(|pair| pair.key == b"rest")
}

/// Returns whether an identifier is of a program of Kata whose plain text is its own. The shims forward that of guests.
fn carries_no_guest(kind: IdentifierKind) -> bool {
    matches!(kind, IdentifierKind::Own(Some(component)) if !matches!(component, Component::Unknown | Component::Agent))
}

/// Returns whether an entry that an operator vouches for claims nothing, or has the fields of runtime-rs.
fn fits(entry: &Entry<'_>, payload: &Payload<'_>) -> bool {
    entry.message.is_none() || payload.format == PayloadFormat::Native
}

#[cfg(test)]
mod tests;
