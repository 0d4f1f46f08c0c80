//! Spools of servers that each get everything: a directory for each server, below that of the settings.

use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use super::{EVENTS, MESSAGES, Spool, SpoolSettings, number};
use crate::delivery::checkpoint::{self, CheckpointError, LockedDirectory};
use crate::diagnostics;
use crate::sink::Privacy;

/// The extension of the directory of a server.
const EXTENSION: &str = "server";

/// The maximum number of characters of the server's name in the name of its directory. The hash tells names apart.
const MAX_SHOWN: usize = 80;

impl Spool {
    /// Opens a spool for each of these servers. The limit holds for each of them. Warns of records for other servers.
    ///
    /// # Errors
    /// As for [`Spool::open`], and if a run without `--fan-out` has left records, because no one server has to get them.
    pub fn open_each(settings: &SpoolSettings, servers: &[String]) -> Result<Vec<Spool>, CheckpointError> {
        let root = Arc::new(checkpoint::lock("--spool", &settings.directory)?);
        let shared = |name: &std::ffi::OsString| [EVENTS, MESSAGES].iter().any(|own| number(name, own).is_some());
        let names = root.entries().map_err(|source| {
            let path = settings.directory.clone();
            CheckpointError::Access { flag: "--spool", action: "read", path, source }
        })?;
        if let Some(name) = names.iter().find(|name| shared(name)) {
            return Err(CheckpointError::NotFannedOut { path: root.path().join(name) });
        }
        warn_of_others(&root, servers);
        let open = |server: &String| {
            let name = directory_name(server);
            let directory = settings.directory.join(&name);
            let created = root.create_folder(&name, Privacy::Owner).map_err(|source| {
                let path = directory.clone();
                CheckpointError::Access { flag: "--spool", action: "create", path, source }
            })?;
            let locked = checkpoint::lock_opened("--spool", created)?;
            let spool = Spool::in_directory(SpoolSettings { directory, ..settings.clone() }, locked)?;
            Ok(Spool { root: Some(Arc::clone(&root)), ..spool })
        };
        servers.iter().map(open).collect()
    }
}

/// Returns the name of the directory of a server.
fn directory_name(server: &str) -> PathBuf {
    let safe = |letter: char| if letter.is_ascii_alphanumeric() || "-.".contains(letter) { letter } else { '_' };
    let shown: String = server.chars().map(safe).take(MAX_SHOWN).collect();
    let mut hasher = SipHasher13::new();
    hasher.write(server.as_bytes());
    format!("{shown}-{:016x}.{EXTENSION}", hasher.finish()).into()
}

/// Reports records for servers that this run does not deliver to.
pub(super) fn warn_of_others(root: &LockedDirectory, servers: &[String]) {
    let named: Vec<PathBuf> = servers.iter().map(|server| directory_name(server)).collect();
    let is_other = |name: &PathBuf| name.extension().is_some_and(|own| own == EXTENSION) && !named.contains(name);
    let mut others: Vec<PathBuf> = root.entries().unwrap_or_default().into_iter().map(PathBuf::from).collect();
    others.retain(is_other);
    others.sort();
    for name in others {
        let files = root.folder(&name).and_then(|folder| folder.entries()).unwrap_or_default();
        let spooled = files.iter().filter(|file| number(file, EVENTS).or(number(file, MESSAGES)).is_some());
        let count = spooled.count();
        if count > 0 {
            let path: &Path = &root.path().join(&name);
            diagnostics::report(format_args!(
                "--spool: {path:?} has records for a server that --fan-out does not deliver to, in files: {count}; name the \
                 server with --to and --fan-out to deliver them, or delete the directory"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kata_records::{Encoded, Events};

    use super::*;
    use crate::delivery::spool::WhenFull;

    fn settings(directory: &Path) -> SpoolSettings {
        SpoolSettings { directory: directory.to_owned(), limit: 1 << 20, full: WhenFull::Wait, messages: false }
    }

    fn add(spool: &mut Spool) {
        let mut out = Encoded::default();
        out.events.push(Events { tag: b"a".to_vec(), bytes: b"x".to_vec(), ends: vec![1] });
        spool.add(&mut out, None, || false, || false).unwrap();
    }

    #[test]
    fn each_server_has_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        let servers = ["forward://a:1", "forward://a_1", "unix:/../é/.."].map(str::to_owned);
        let mut spools = Spool::open_each(&settings(folder.path()), &servers).unwrap();
        spools.iter_mut().for_each(add);
        let error = Spool::open(settings(folder.path())).unwrap_err();
        assert!(matches!(error, CheckpointError::InUse { .. }), "{error}");
        drop(spools);
        let mut found: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        found.sort();
        let shown: Vec<_> = found.iter().filter_map(|name| Some(name.to_str()?.rsplit_once('-')?.0)).collect();
        assert_eq!(shown, ["forward___a_1", "forward___a_1", "unix__..___.."]);
        let mut spools = Spool::open_each(&settings(folder.path()), &servers).unwrap();
        assert!(spools.iter_mut().all(|spool| spool.take_leftovers().len() == 1));
    }

    #[test]
    fn a_link_is_no_directory_of_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, victim) = (folder.path().join("spool"), folder.path().join("victim"));
        fs::create_dir_all(&spool).unwrap();
        fs::create_dir(&victim).unwrap();
        std::os::unix::fs::symlink(&victim, spool.join(directory_name("forward://a:1"))).unwrap();
        Spool::open_each(&settings(&spool), &["forward://a:1".to_owned()]).unwrap_err();
        assert_eq!(fs::read_dir(victim).unwrap().count(), 0);
    }

    #[test]
    fn records_for_one_of_several_servers_are_not_given_to_each() {
        let folder = tempfile::tempdir().unwrap();
        add(&mut Spool::open(settings(folder.path())).unwrap());
        let error = Spool::open_each(&settings(folder.path()), &["forward://a:1".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("without --fan-out"), "{error}");
    }
}
