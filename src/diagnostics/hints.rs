//! Messages about entries that an option would make the host's or Kata's.

use std::io::{self, Write};

use kata_records::Stats;
use kata_records::visible::escape;

/// Writes a message for each kind of these entries.
pub(super) fn write(stats: &Stats, out: &mut dyn Write) -> io::Result<()> {
    let messages = [untrusted_uids(stats), missing_uids(stats), tenants(stats), others(stats)];
    messages.into_iter().flatten().try_for_each(|message| writeln!(out, "katalog: {}", escape(message.as_bytes())))
}

fn untrusted_uids(stats: &Stats) -> Option<String> {
    let (first, last) = stats.hints.uids?;
    let count = stats.hints.untrusted_uids;
    let (entries, are) = (entries(count)?, if count == 1 { "is" } else { "are" });
    Some(if first == last {
        format!("{entries} of uid {first} {are} unproven: if this user runs Kata, add --trusted-uids {first}")
    } else {
        format!(
            "{entries} of users from uid {first} to {last} {are} unproven: add --trusted-uids UID for each user that runs \
             Kata"
        )
    })
}

fn missing_uids(stats: &Stats) -> Option<String> {
    let count = stats.hints.missing_uids;
    let are = if count == 1 { "is" } else { "are" };
    Some(format!("{} without _UID {are} unproven: copy this field with the journal", entries(count)?))
}

fn tenants(stats: &Stats) -> Option<String> {
    let lines = match stats.hints.tenants {
        0 => return None,
        1 => "1 line of a container names a program of Kata".to_owned(),
        count => format!("{count} lines of containers name programs of Kata"),
    };
    Some(format!("{lines}: if the host runs this container, add --trusted-pods NS/POD, or --vouch for all inputs"))
}

fn others(stats: &Stats) -> Option<String> {
    let name = if stats.hints.others == 1 { "names" } else { "name" };
    // The identifier comes from the input, so it is quoted.
    let example = stats.hints.identifier.as_deref().map(String::from_utf8_lossy);
    let example = example.map_or_else(String::new, |identifier| format!(", such as those of {identifier:?}"));
    let entries = entries(stats.hints.others)?;
    Some(format!(
        "{entries} of other programs {name} programs of Kata{example}: to keep them, set --manager for a container manager, \
         or --identifier"
    ))
}

/// Returns a number of entries; `None` for none.
fn entries(count: u64) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 entry".to_owned()),
        count => Some(format!("{count} entries")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(stats: &Stats) -> String {
        let mut out = Vec::new();
        write(stats, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_kind_has_a_message_that_says_what_to_do() {
        let mut stats = Stats::default();
        assert_eq!(shown(&stats), "");
        stats.hints.untrusted_uid(Some(1000));
        stats.hints.untrusted_uid(None);
        stats.hints.tenant();
        stats.hints.others(Some(b"my-containerd"));
        let expected = "\
katalog: 1 entry of uid 1000 is unproven: if this user runs Kata, add --trusted-uids 1000
katalog: 1 entry without _UID is unproven: copy this field with the journal
katalog: 1 line of a container names a program of Kata: if the host runs this container, add --trusted-pods NS/POD, or --vouch for all inputs
katalog: 1 entry of other programs names programs of Kata, such as those of \"my-containerd\": to keep them, set --manager for a container manager, or --identifier
";
        assert_eq!(shown(&stats), expected);
        let once = stats.clone();
        stats.hints.untrusted_uid(Some(7));
        stats.merge(&once);
        let shown = shown(&stats);
        for part in [
            "3 entries of users from uid 7 to 1000 are unproven: add --trusted-uids UID",
            "2 entries without _UID are",
            "2 lines of containers name programs",
            "2 entries of other programs name programs",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
    }

    #[test]
    fn entries_that_were_taken_back_have_no_message() {
        let mut stats = Stats::default();
        stats.hints.untrusted_uid(Some(1000));
        stats.hints.others(Some(b"a"));
        let counted = stats.clone();
        stats.take_back(&counted);
        assert_eq!(shown(&stats), "");
    }

    #[test]
    fn identifiers_do_not_drive_the_terminal() {
        let mut stats = Stats::default();
        stats.hints.others(Some("\x1b[2J\n\"\u{202e}\u{3164}".as_bytes()));
        assert!(shown(&stats).contains(r#"those of "\u{1b}[2J\n\"\u{202e}\u{3164}":"#), "{}", shown(&stats));
        stats = Stats::default();
        stats.hints.others(None);
        assert!(shown(&stats).contains("programs of Kata: to keep"));
    }
}
