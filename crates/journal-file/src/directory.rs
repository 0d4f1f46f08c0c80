//! The search for journal files at a path or of this machine.
//!
//! The layout is journald's (man page systemd-journald.service(8); systemd: `src/libsystemd/sd-journal/sd-journal.c`):
//!
//! ```text
//! /run/log/journal/  /var/log/journal/   roots; each may hold files itself
//!   <machine id>/                        a machine: 32 hexadecimal digits
//!   <machine id>.<namespace>/            a namespace of it
//!   remote/                              files of systemd-journal-remote: a root of its own
//! ```
//!
//! In these directories a journal file is a regular file, or a link to one, with a name that ends in `.journal` or
//! `.journal~`. Named directories may also hold compressed copies, such as `.journal.zst`, if [`OpenFile`] knows them.
//! They are left out of directories that are followed, because searching these again costs their decompression. A path
//! of its own may be any file. No other directories are searched, so links cannot form circles.
//!
//! Errors never hide the files that can be read.

use std::collections::HashSet;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::cursor::{parse_id, parse_number};
use crate::error::Error;
use crate::open_file::OpenFile;

/// A journal file that could be opened. Its name is a hint, and its header decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The path.
    pub(crate) path: PathBuf,
    /// The device of the file.
    pub(crate) device: u64,
    /// The number of the inode on the device. Both identify a file as long as it exists.
    pub(crate) inode: u64,
    /// The owner of the entries, by the file's name.
    pub(crate) owner: Owner,
    /// The stage of the file, by its name and its compression.
    pub(crate) stage: Stage,
}

/// The owner of the entries of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// `system`: the services and the kernel.
    System,
    /// `user-UID`: the sessions of a user.
    User(u32),
    /// Any other name, such as those of `systemd-journal-remote`.
    Other,
}

/// The stage of a file between creation and deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// `NAME.journal`: a writer may append entries.
    Current,
    /// `NAME@ID-SEQNUM-REALTIME.journal`: rotated and complete.
    Archived {
        /// The source of the sequence numbers.
        seqnum_id: [u8; 16],
        /// The sequence number of the first entry.
        seqnum: u64,
        /// The time of the first entry, in microseconds since 1970.
        realtime: u64,
    },
    /// `NAME@TIME-RANDOM.journal~`: put aside by journald, because it was not closed properly.
    Disposed,
    /// A compressed copy, which is complete.
    Compressed,
}

/// The results of a search.
#[derive(Debug, Default)]
pub(crate) struct FoundFiles {
    /// The files in the order of their paths. A file with several names occurs once.
    pub(crate) files: Vec<Candidate>,
    /// The directories that were searched, in no order. Further files would appear there.
    pub(crate) directories: Vec<PathBuf>,
    /// The files and directories that are not accessible.
    pub(crate) errors: Vec<AccessError>,
}

impl FoundFiles {
    /// Adds the results of another search.
    pub(crate) fn add(&mut self, other: FoundFiles) {
        self.files.extend(other.files);
        self.directories.extend(other.directories);
        self.errors.extend(other.errors);
    }
}

/// A file or directory that is not accessible.
#[derive(Debug)]
pub(crate) struct AccessError {
    /// The path.
    pub(crate) path: PathBuf,
    /// The number of further files and directories that are not accessible. A user without access to one of them mostly
    /// lacks access to all, so one message suffices.
    pub(crate) others: usize,
    /// The error of the system.
    pub(crate) cause: io::Error,
}

impl From<AccessError> for Error {
    fn from(AccessError { path, others, cause }: AccessError) -> Error {
        Error::Access { path, others, cause }
    }
}

/// A choice of namespaces of a machine, as in `journalctl --namespace`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Namespace {
    /// The default namespace, which has no name.
    #[default]
    Default,
    /// `*`: all namespaces.
    All,
    /// `NAME`: this namespace.
    Only(String),
    /// `+NAME`: this namespace and the default one.
    AndDefault(String),
}

impl Namespace {
    fn includes(&self, name: Option<&[u8]>) -> bool {
        match self {
            Namespace::Default => name.is_none(),
            Namespace::All => true,
            Namespace::Only(wanted) => name == Some(wanted.as_bytes()),
            Namespace::AndDefault(wanted) => name.is_none_or(|name| name == wanted.as_bytes()),
        }
    }
}

impl FromStr for Namespace {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text, text.strip_prefix('+')) {
            ("", _) => Namespace::Default,
            ("*", _) => Namespace::All,
            (_, Some(name)) => Namespace::AndDefault(name.to_owned()),
            (name, None) => Namespace::Only(name.to_owned()),
        })
    }
}

/// Finds the files at a path: the file itself, whatever its name, or the files in a directory, of all machines and
/// namespaces. `compressed` includes compressed files.
pub(crate) fn at(path: &Path, opener: &dyn OpenFile, compressed: bool) -> FoundFiles {
    let mut search = DirectorySearch::new(opener, compressed);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            search.root(path, |_, _| true);
            search.root(&path.join("remote"), |_, _| true);
        }
        Ok(_) => search.file(path.to_owned(), true),
        Err(cause) => search.failed(path, cause),
    }
    search.end()
}

/// Finds the files archived from the file at a path, by their names beside it. A directory has none.
pub(crate) fn archived_from(path: &Path, opener: &dyn OpenFile) -> FoundFiles {
    let mut search = DirectorySearch::new(opener, false);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().filter(|_| !path.is_dir())) else {
        return search.end();
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    search.directory(folder, false);
    let stem = name.as_bytes().strip_suffix(b".journal").unwrap_or(name.as_bytes());
    search.found.files.retain(|file| {
        let name = file.path.file_name().map(OsStrExt::as_bytes).and_then(|name| name.strip_prefix(stem));
        matches!(file.stage, Stage::Archived { .. }) && name.is_some_and(|rest| rest.starts_with(b"@"))
    });
    search.end()
}

/// Finds the files of this machine below `/run/log/journal` and `/var/log/journal`. As in `journalctl`, all files below
/// `/run` belong to this machine, and files directly in the two directories belong to every namespace. `merge` includes
/// files of other machines and files received from them. `root` precedes all paths. It is `/` except for tests and
/// mounted images.
pub(crate) fn of_this_machine(root: &Path, opener: &dyn OpenFile, namespace: &Namespace, merge: bool) -> FoundFiles {
    let mut search = DirectorySearch::new(opener, false);
    let own = if merge { None } else { search.machine_id(&root.join("etc/machine-id")) };
    search.root(&root.join("run/log/journal"), |_, name| namespace.includes(name));
    search.root(&root.join("var/log/journal"), |id, name| (merge || own == Some(id)) && namespace.includes(name));
    if merge {
        search.root(&root.join("var/log/journal/remote"), |_, name| namespace.includes(name));
    }
    search.end()
}

struct DirectorySearch<'o> {
    opener: &'o dyn OpenFile,
    found: FoundFiles,
    /// Compressed files in directories count.
    compressed: bool,
    /// Device and inode of the files found.
    known: HashSet<(u64, u64)>,
}

impl<'o> DirectorySearch<'o> {
    fn new(opener: &'o dyn OpenFile, compressed: bool) -> DirectorySearch<'o> {
        DirectorySearch { opener, found: FoundFiles::default(), compressed, known: HashSet::new() }
    }

    /// Finds the files in a root, if it exists, and in the directories of its machines that are wanted by id and
    /// namespace.
    fn root(&mut self, path: &Path, wanted: impl Fn([u8; 16], Option<&[u8]>) -> bool) {
        for name in self.directory(path, false) {
            if machine(&name).is_some_and(|(id, namespace)| wanted(id, namespace)) {
                self.directory(&path.join(name), true);
            }
        }
    }

    /// Adds the files in a directory and returns the other names. A path that is no directory has none.
    fn directory(&mut self, path: &Path, expected: bool) -> Vec<OsString> {
        let mut names = Vec::new();
        let read = fs::read_dir(path).and_then(|mut entries| {
            entries.try_for_each(|entry| {
                names.push(entry?.file_name());
                Ok(())
            })
        });
        match read.map_err(|cause| (cause.kind(), cause)) {
            Ok(()) => self.found.directories.push(path.to_owned()),
            Err((io::ErrorKind::NotADirectory, _)) => {}
            Err((io::ErrorKind::NotFound, _)) if !expected => {}
            Err((_, cause)) => self.failed(path, cause),
        }
        names.sort_unstable();
        names.retain(|name| {
            let stem = self.unpacked(name.as_bytes()).filter(|_| self.compressed).unwrap_or(name.as_bytes());
            let journal = stem.ends_with(b".journal") || stem.ends_with(b".journal~");
            if journal {
                self.file(path.join(name), false);
            }
            !journal
        });
        names
    }

    /// Adds a file, unless it was found under another name. Anything but a regular file is left out, with an error only
    /// if it was named.
    fn file(&mut self, path: PathBuf, asked: bool) {
        let metadata = match fs::metadata(&path) {
            // Permissions do not tell whether the file can be opened, so it is opened.
            Ok(metadata) if metadata.is_file() => {
                File::open(&path).map(|file| (metadata, self.opener.is_compressed(&file.into())))
            }
            Ok(_) if !asked => return,
            Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a directory")),
            Err(cause) => Err(cause),
        };
        match metadata {
            Ok((metadata, compressed)) if self.known.insert((metadata.dev(), metadata.ino())) => {
                let (owner, stage) = path.file_name().map_or((Owner::Other, Stage::Current), parse_file_name);
                let stage = if compressed { Stage::Compressed } else { stage };
                let (device, inode) = (metadata.dev(), metadata.ino());
                self.found.files.push(Candidate { path, device, inode, owner, stage });
            }
            Ok(_) => {}
            Err(cause) => self.failed(&path, cause),
        }
    }

    /// Returns the id of the machine from its file.
    fn machine_id(&mut self, path: &Path) -> Option<[u8; 16]> {
        let id = fs::read(path).and_then(|text| {
            parse_id(text.trim_ascii()).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "expected the machine's id, 32 hexadecimal digits")
            })
        });
        id.map_err(|cause| self.failed(path, cause)).ok()
    }

    /// Returns the name without the suffix of a compressed file.
    fn unpacked<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        self.opener.suffixes().iter().find_map(|suffix| name.strip_suffix(suffix.as_bytes()))
    }

    fn failed(&mut self, path: &Path, cause: io::Error) {
        let denied = |cause: &io::Error| cause.kind() == io::ErrorKind::PermissionDenied;
        let mut errors = self.found.errors.iter_mut();
        match errors.find(|error| denied(&error.cause)) {
            Some(first) if denied(&cause) => first.others += 1,
            _ => self.found.errors.push(AccessError { path: path.to_owned(), others: 0, cause }),
        }
    }

    fn end(mut self) -> FoundFiles {
        self.found.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.found
    }
}

/// Returns the id and the namespace in the name of a machine's directory.
fn machine(name: &OsStr) -> Option<([u8; 16], Option<&[u8]>)> {
    let (id, namespace) = name.as_bytes().split_at_checked(32)?;
    match namespace {
        [] => Some((parse_id(id)?, None)),
        [b'.', namespace @ ..] if !namespace.is_empty() => Some((parse_id(id)?, Some(namespace))),
        _ => None,
    }
}

/// Returns the owner and the stage that the name of a file states.
fn parse_file_name(name: &OsStr) -> (Owner, Stage) {
    let name = name.as_bytes();
    let (stem, disposed) = match (name.strip_suffix(b".journal"), name.strip_suffix(b".journal~")) {
        (Some(stem), _) => (stem, false),
        (_, Some(stem)) => (stem, true),
        _ => (name, false),
    };
    let mut parts = stem.rsplitn(2, |&byte| byte == b'@');
    let (last, first) = (parts.next(), parts.next());
    let stage = match last {
        _ if disposed => Stage::Disposed,
        Some(last) if first.is_some() => archived(last).unwrap_or(Stage::Current),
        _ => Stage::Current,
    };
    let owner = match first.unwrap_or(stem) {
        b"system" => Owner::System,
        name => name.strip_prefix(b"user-").and_then(uid).map_or(Owner::Other, Owner::User),
    };
    (owner, stage)
}

/// Returns the stage stated after the `@` in the name of an archived file.
fn archived(text: &[u8]) -> Option<Stage> {
    let (seqnum_id, rest) = text.split_at_checked(32)?;
    let (seqnum, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
    let realtime = rest.strip_prefix(b"-").filter(|realtime| realtime.len() == 16)?;
    Some(Stage::Archived {
        seqnum_id: parse_id(seqnum_id)?,
        seqnum: parse_number(seqnum)?,
        realtime: parse_number(realtime)?,
    })
}

fn uid(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests;
