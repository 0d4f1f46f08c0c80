//! Classifies the members of an archive by path: logs, Kata's own logs, journals. A host report holds thousands of
//! other files.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use crate::source::codec::COMPRESSED_SUFFIXES;
use crate::source::route::is_of_container;

/// The manifest that a conversion leaves in its output directory.
const MANIFEST: &str = ".katalog.json";

/// Prefixes, suffixes and infixes of log names that may contain lines from Kata.
const LOG_PREFIXES: [&str; 7] = ["messages", "syslog", "journalctl", "journal", "daemon.log", "containerd", "crio"];
const LOG_SUFFIXES: [&str; 4] = [".log", ".ndjson", ".jsonl", ".export"];
const LOG_INFIXES: [&str; 2] = [".log.", ".log-"];

/// Directories at the root of a host or report where `kata` in a name means a program or its configuration.
const PROGRAM_DIRS: [&str; 13] =
    ["bin", "boot", "dev", "etc", "lib", "lib64", "opt", "proc", "sbin", "sos_commands", "sos_reports", "sys", "usr"];
/// The remaining directories at the root of a host.
const OTHER_ROOT_DIRS: [&str; 8] = ["home", "mnt", "root", "run", "srv", "sos_logs", "tmp", "var"];

/// The classification of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::source) struct PathClass {
    /// The path names a log.
    pub(in crate::source) is_log: bool,
    /// The path names a Kata log: lines without an identifier count as Kata's.
    pub(in crate::source) is_kata: bool,
    /// The path names a log of Kata or of the host's services, not of a container.
    pub(in crate::source) is_of_host: bool,
    /// The path names a journal file. The content decides; the path counts only for unreadable files.
    pub(in crate::source) is_journal: bool,
}

impl PathClass {
    /// Classifies a member by its path.
    pub(in crate::source) fn of(path: &Path) -> PathClass {
        let parts: Vec<&str> = path
            .components()
            .filter_map(|part| if let Component::Normal(part) = part { part.to_str() } else { None })
            .collect();
        // Tenants choose the names of pods, so `kata` in a path of theirs means nothing.
        let is_tenant = is_of_container(path);
        let is_kata = !is_tenant && parts.last() != Some(&MANIFEST) && is_kata(&parts);
        let name = path.file_name().map(|name| String::from_utf8_lossy(name.as_bytes())).unwrap_or_default();
        let name = COMPRESSED_SUFFIXES.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        let is_of_service = LOG_PREFIXES.iter().any(|beginning| name.starts_with(beginning));
        let is_log = is_of_service
            || LOG_SUFFIXES.iter().any(|ending| name.ends_with(ending))
            || LOG_INFIXES.iter().any(|inside| name.contains(inside))
            || name == "log.json";
        let is_journal = name.ends_with(".journal") || name.ends_with(".journal~");
        let is_of_host = is_kata || is_of_service && !is_tenant;
        PathClass { is_log: (is_log || is_kata) && !is_journal, is_kata, is_of_host, is_journal }
    }
}

/// Returns whether a path belongs to Kata. The top directory of a report is ignored, because it may contain a host
/// name.
fn is_kata(parts: &[&str]) -> bool {
    let root = |part: &&str| PROGRAM_DIRS.contains(part) || OTHER_ROOT_DIRS.contains(part);
    let report = parts.get(1).is_some_and(root) || parts.first().is_some_and(|first| first.starts_with("sosreport"));
    let parts = parts.get(usize::from(report)..).unwrap_or_default();
    !parts.first().is_some_and(|first| PROGRAM_DIRS.contains(first)) && parts.iter().any(|part| part.contains("kata"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_logs_from_the_rest() {
        let name = |path| {
            let PathClass { is_log, is_kata, is_journal, .. } = PathClass::of(Path::new(path));
            match (is_log, is_kata, is_journal) {
                (true, true, false) => "own",
                (true, false, false) => "log",
                (false, _, true) => "journal",
                (false, false, false) => "none",
                other => panic!("{path}: {other:?}"),
            }
        };
        for (path, expected) in [
            ("kata.log", "own"),
            ("kata-logs/agent.txt", "own"),
            ("var/log/kata/agent.1", "own"),
            ("/var/log/kata/../agent", "own"),
            ("var/log/pods/ns_kata-pod_1/c/0.log", "log"),
            ("sosreport-kata-1/var/log/kata/x", "own"),
            ("sosreport-kata-1/var/log/messages", "log"),
            ("sosreport-kata-1/version.txt", "none"),
            ("kata-bundle/etc/hosts", "none"),
            ("kata-bundle/var/lib/x", "none"),
            ("a/etc/kata-containers/configuration.toml", "none"),
            ("opt/kata/bin/kata-runtime", "none"),
            ("opt/kata/install.log", "log"),
            ("a/sos_commands/kata/env", "none"),
            ("a/sos_commands/logs/journalctl_--no-pager_--boot", "log"),
            ("var/log/messages-20240506.xz", "log"),
            ("var/log/syslog.2.gz", "log"),
            ("var/log/daemon.log.1", "log"),
            ("var/log/containers/app.log", "log"),
            ("containerd.service.txt", "log"),
            ("crio.txt", "log"),
            ("node.ndjson.zst", "log"),
            ("node.export", "log"),
            ("log.json", "log"),
            ("dialog.json", "none"),
            ("kata/.katalog.json", "none"),
            ("catalog", "none"),
            ("a.logs", "none"),
            ("var/log/journal/1/system.journal", "journal"),
            ("var/log/journal/1/user-1000@2.journal~", "journal"),
            ("kata/system.journal.zst", "journal"),
            ("", "none"),
            ("..", "none"),
        ] {
            assert_eq!(name(path), expected, "{path}");
        }
    }
}
