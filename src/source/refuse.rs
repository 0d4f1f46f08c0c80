//! Refuses inputs that do not go together with the options, before anything is read.

use std::fs::File;

use super::error::SourceError;
use super::group::Group;
use super::input::Input;
use super::journal::{Backend, JournalSettings};

/// The schemes of servers that receive records.
const SERVER_SCHEMES: [&str; 3] = ["forward", "syslog", "unix"];

/// Refuses URLs. A file with such a name is no URL.
///
/// # Errors
///
/// Fails at the first URL.
pub fn refuse_urls(inputs: &[Input]) -> Result<(), SourceError> {
    let url = inputs.iter().find_map(|input| match input {
        Input::File(path) if path.symlink_metadata().is_err() => path.to_str().filter(|text| scheme(text).is_some()),
        Input::File(_) | Input::Stdin => None,
    });
    url.map_or(Ok(()), |url| {
        let url = without_secrets(url);
        Err(SourceError::Url { advice: url_advice(&url), url })
    })
}

/// Returns a URL without its user and password, and without a query that is signed or has a key.
fn without_secrets(url: &str) -> String {
    const SECRET: [&str; 6] = ["sig", "token", "key", "pass", "secret", "credential"];
    let (url, query) = url.split_at(url.find('?').unwrap_or(url.len()));
    let is_secret = SECRET.iter().any(|word| query.to_ascii_lowercase().contains(word));
    let query = if is_secret { "?***" } else { query };
    let Some((scheme, rest)) = url.split_once("//") else { return format!("{url}{query}") };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host.to_owned(), |(_, host)| format!("***@{host}"));
    format!("{scheme}//{host}{path}{query}")
}

/// Returns the scheme of a URL, or `None` if the text is none.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    (is_scheme && (rest.starts_with("//") || scheme == "unix" && rest.starts_with('/'))).then_some(scheme)
}

/// Returns what to do instead of reading a URL.
fn url_advice(url: &str) -> String {
    let scheme = scheme(url).unwrap_or_default();
    match scheme {
        "http" | "https" | "ftp" => format!("download it and pipe it in: `curl -fsSL {url:?} | katalog -`"),
        "file" => format!("name the path: {:?}", url.trim_start_matches("file://")),
        _ if SERVER_SCHEMES.iter().any(|server| scheme.starts_with(server)) => {
            format!("to send records to a server, run `katalog ship --to {url:?}`")
        }
        _ => "download it, and name the file or pipe it into `katalog -`".to_owned(),
    }
}

/// Refuses logs if flags were given that hold for journals only: `--since`, `--until`, `--boot`, `--after-cursor` and
/// `--lines`. Pipes, archives and directories may hold journals, which obey these flags; for the logs in them, see
/// [`Logs::RefusedBy`](super::Logs::RefusedBy).
///
/// # Errors
///
/// Fails at the first log, and names the first of the flags.
pub fn refuse_logs(groups: &[Group], flags: &[&'static str]) -> Result<(), SourceError> {
    let Some(flag) = flags.first() else { return Ok(()) };
    let log = groups.iter().find_map(|group| match group {
        // An input that cannot be opened has another error.
        Group::Stream(Input::File(path)) if group.ends() && File::open(path).is_ok() => Some(Input::File(path.clone())),
        Group::Stream(Input::Stdin) if group.ends() => Some(Input::Stdin),
        Group::Files(paths) => paths.first().map(|path| Input::File(path.clone())),
        _ => None,
    });
    log.map_or(Ok(()), |input| Err(SourceError::LogRefused { input, flag, others_of: None }))
}

/// Refuses archives, which can be neither followed nor resumed.
///
/// # Errors
///
/// Fails at the first archive.
pub fn refuse_archives(groups: &[Group]) -> Result<(), SourceError> {
    let archive = groups.iter().find_map(|group| if let Group::Archive(path) = group { Some(path) } else { None });
    archive.map_or(Ok(()), |path| Err(SourceError::ArchiveFollowed { input: Input::File(path.clone()) }))
}

/// Checks that these groups can be followed: one journal, or log files, or one live input, but no combination. Missing
/// inputs are reported when they are opened.
///
/// # Errors
///
/// Fails at the first input that cannot be followed, and if libsystemd would have to follow.
pub fn check_followable(groups: &[Group], settings: &JournalSettings) -> Result<(), SourceError> {
    if settings.backend == Backend::Libsystemd && groups.iter().any(Group::may_hold_journals) {
        return Err(SourceError::FollowedByLibsystemd);
    }
    // A followed group has no end, so nothing can come after it.
    let endless = groups.iter().position(|group| !matches!(group, Group::Stream(_)));
    let beside = groups.iter().enumerate().find(|(at, _)| endless.is_some_and(|endless| *at != endless));
    match beside.map(|(_, group)| group) {
        None => Ok(()),
        Some(Group::Stream(input)) => Err(SourceError::NotFollowed { input: input.clone() }),
        Some(Group::Archive(path) | Group::DirectoryFile(_, path)) => {
            Err(SourceError::NotFollowed { input: Input::File(path.clone()) })
        }
        Some(Group::Journal(paths) | Group::Machine(_, paths) | Group::Files(paths)) => {
            let input = Input::File(paths.first().cloned().unwrap_or_default());
            Err(SourceError::NotFollowed { input })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test fails by it

    use std::path::PathBuf;

    use super::*;

    fn log(directory: &tempfile::TempDir) -> PathBuf {
        let path = directory.path().join("kata.log");
        std::fs::write(&path, "one\n").unwrap();
        path
    }

    #[test]
    fn flags_that_hold_for_journals_only_refuse_logs() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(&directory);
        let stream = |path: &str| Group::Stream(Input::from(PathBuf::from(path)));
        let logs = [Group::Stream(Input::File(log.clone())), Group::Files(vec![log.clone(), "other.log".into()])];
        for refused in &logs {
            let groups = [Group::Journal(vec!["a.journal".into()]), refused.clone()];
            assert!(refuse_logs(&groups, &[]).is_ok());
            let error = refuse_logs(&groups, &["--since", "--lines"]).unwrap_err();
            let expected =
                format!("--since: {log:?} is no journal file, and --since holds for journals only; leave out --since");
            assert_eq!((error.to_string(), error.exit().code()), (expected, 64));
        }
        // A pipe, an archive and a directory may hold journals. A missing file has another error.
        let others = [
            stream("/dev/null"),
            stream("none.log"),
            Group::Archive("a.tar".into()),
            Group::Machine("0123".to_owned(), vec!["a.journal".into()]),
        ];
        assert!(refuse_logs(&others, &["--since"]).is_ok());
    }

    #[test]
    fn libsystemd_follows_no_journal() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(&directory);
        let settings = JournalSettings { backend: Backend::Libsystemd, ..JournalSettings::default() };
        let error = check_followable(&[Group::Journal(Vec::new())], &settings).unwrap_err();
        assert!(matches!(error, SourceError::FollowedByLibsystemd));
        assert!(check_followable(&[Group::Files(vec![log])], &settings).is_ok(), "logs have no such reader");
    }

    #[test]
    fn a_group_may_hold_journals_unless_it_is_of_logs() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(&directory);
        assert!(!Group::Stream(Input::File(log.clone())).may_hold_journals());
        assert!(!Group::Files(vec![log]).may_hold_journals());
        assert!(Group::Stream(Input::File("/dev/null".into())).may_hold_journals());
        assert!(Group::Journal(Vec::new()).may_hold_journals());
        assert!(Group::Archive("a.tar".into()).may_hold_journals());
    }
}
