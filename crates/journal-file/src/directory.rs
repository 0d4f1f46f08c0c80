//! Which journal files there are: at a path, or of this machine.
//!
//! The layout is journald's (man page systemd-journald.service(8); systemd: `src/libsystemd/sd-journal/sd-journal.c`):
//!
//! ```text
//! /run/log/journal/  /var/log/journal/   roots; each may hold files itself
//!   <machine id>/                        a machine: 32 hexadecimal digits
//!   <machine id>.<namespace>/            a namespace of it
//!   remote/                              what systemd-journal-remote received: a root of its own
//! ```
//!
//! In these directories a journal file is a regular file, or a link to one, whose name ends in `.journal` or `.journal~`.
//! Compressed copies (such as `.journal.zst`, if [`OpenFile`] knows them) are collected in directories that are named, unless
//! these are followed: what is stored elsewhere may be kept so, and to look through all of them costs their unpacking. As a path
//! of its own any file is taken. Nothing is looked for in other directories, so links cannot lead in circles.
//!
//! What cannot be read is reported beside what can, and never hides it.

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

/// A journal file that could be opened. What its name says is a hint; what its header says counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The device that it is on.
    pub(crate) device: u64,
    /// The number of its inode there. With the device it tells a file from all others as long as it exists.
    pub(crate) inode: u64,
    /// Whose entries it holds, by its name.
    pub(crate) owner: Owner,
    /// Where in its life it is, by its name and by whether it is compressed.
    pub(crate) stage: Stage,
}

/// Whose entries a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// `system`: the services and the kernel.
    System,
    /// `user-UID`: the sessions of a user.
    User(u32),
    /// Any other name, such as those of `systemd-journal-remote`.
    Other,
}

/// Where in its life a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// `NAME.journal`: may be written to.
    Current,
    /// `NAME@ID-SEQNUM-REALTIME.journal`: rotated, complete.
    Archived {
        /// The source of its sequence numbers.
        seqnum_id: [u8; 16],
        /// The number of its first entry.
        seqnum: u64,
        /// The time of its first entry, in microseconds since 1970.
        realtime: u64,
    },
    /// `NAME@TIME-RANDOM.journal~`: put aside because it was not closed properly.
    Disposed,
    /// A compressed copy: complete.
    Compressed,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct FoundFiles {
    /// The files, ordered by their paths, each once however many names it has.
    pub(crate) files: Vec<Candidate>,
    /// The directories that were looked into, in no order: where further files would appear.
    pub(crate) directories: Vec<PathBuf>,
    /// What could not be read.
    pub(crate) errors: Vec<AccessError>,
}

impl FoundFiles {
    /// Adds what was found elsewhere.
    pub(crate) fn add(&mut self, other: FoundFiles) {
        self.files.extend(other.files);
        self.directories.extend(other.directories);
        self.errors.extend(other.errors);
    }
}

/// A file or directory that could not be read.
#[derive(Debug)]
pub(crate) struct AccessError {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// How many more may not be read. A user whom one of these files is denied is mostly denied all, and one message is
    /// enough.
    pub(crate) others: usize,
    /// What the system said.
    pub(crate) cause: io::Error,
}

impl From<AccessError> for Error {
    fn from(AccessError { path, others, cause }: AccessError) -> Error {
        Error::Access { path, others, cause }
    }
}

/// Which namespaces of a machine are meant, as `journalctl --namespace` says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Namespace {
    /// The default one, which has no name.
    #[default]
    Default,
    /// `*`: all of them.
    All,
    /// `NAME`: this one.
    Only(String),
    /// `+NAME`: this one and the default one.
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

/// The files at a path: the file itself, whatever its name; or those in the directory, taken as a root, of all machines
/// and namespaces. With `compressed` those that are compressed too.
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

/// The files beside the one at a path that were archived from there, by their names. For a directory there are none.
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

/// The files of this machine below `/run/log/journal` and `/var/log/journal`. As for `journalctl`, everything below `/run`
/// is of this machine, and files right in the two directories are of every namespace. With `merge` those of other machines
/// too, and what was received from them. `root` is put before all paths; it is `/` but for tests and mounted images.
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

    /// The files in a root, if it exists, and in those of its machines' directories that are wanted by id and namespace.
    fn root(&mut self, path: &Path, wanted: impl Fn([u8; 16], Option<&[u8]>) -> bool) {
        for name in self.directory(path, false) {
            if machine(&name).is_some_and(|(id, namespace)| wanted(id, namespace)) {
                self.directory(&path.join(name), true);
            }
        }
    }

    /// Adds the files in a directory and returns the other names. Where the path leads to something else there are none.
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

    /// Adds a file, unless it is known by another name. What is no regular file is left out, silently if it was not asked
    /// for by name.
    fn file(&mut self, path: PathBuf, asked: bool) {
        let metadata = match fs::metadata(&path) {
            // Opened on trial: permissions alone do not tell whether it can be.
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

    /// The id of the machine, if its file can be read and holds one.
    fn machine_id(&mut self, path: &Path) -> Option<[u8; 16]> {
        let id = fs::read(path).and_then(|text| {
            parse_id(text.trim_ascii()).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "expected the machine's id, 32 hexadecimal digits")
            })
        });
        id.map_err(|cause| self.failed(path, cause)).ok()
    }

    /// The name without what compression appends to it, if that is so.
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

/// The id and the namespace that the name of a machine's directory holds.
fn machine(name: &OsStr) -> Option<([u8; 16], Option<&[u8]>)> {
    let (id, namespace) = name.as_bytes().split_at_checked(32)?;
    match namespace {
        [] => Some((parse_id(id)?, None)),
        [b'.', namespace @ ..] if !namespace.is_empty() => Some((parse_id(id)?, Some(namespace))),
        _ => None,
    }
}

/// What the name of a file says.
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

/// What the name of an archived file holds after the `@`.
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
