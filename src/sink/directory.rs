//! Opens files below a directory by its handle. Whoever can write to the directory cannot redirect katalog: names below
//! the handle never leave the directory, follow no links, and are regular files.
//!
//! `openat2` resolves a whole path at once. Kernels before 5.6 and some sandboxes lack it, so there each component is
//! opened below the one before. The directory itself may be a link, which the operator has named.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// The modes of files and directories that only their owner may use.
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIRECTORY: u32 = 0o700;

/// The flags of every open. `NONBLOCK` keeps a planted pipe from blocking, and has no effect on files.
const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// The maximum depth of directories that are removed. Each open one needs a handle.
const MAX_DEPTH: usize = 32;

/// The users who may read a new file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Only the owner, whatever the umask.
    Owner,
    /// Everyone whom the umask admits.
    Umask,
}

/// A directory by its handle.
#[derive(Debug)]
pub struct Directory {
    handle: File,
    path: PathBuf,
}

impl Directory {
    /// Opens a directory. The path may contain links.
    ///
    /// # Errors
    /// If it is no directory, or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Directory> {
        let flags = OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::RDONLY;
        let handle = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Directory { handle: handle.into(), path: path.to_owned() })
    }

    /// Opens a directory for its owner. Creates it, and missing ones above it, for the owner alone.
    ///
    /// # Errors
    /// If it cannot be created or opened.
    pub fn create_private(path: &Path) -> io::Result<Directory> {
        let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.is_dir();
        let missing: Vec<&Path> = path.ancestors().take_while(missing).collect();
        for folder in missing.into_iter().rev() {
            match DirBuilder::new().mode(PRIVATE_DIRECTORY).create(folder) {
                Ok(()) => fs::set_permissions(folder, Permissions::from_mode(PRIVATE_DIRECTORY))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        Directory::open(path)
    }

    /// Returns the path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the mode if users other than the owner can create and replace files in the directory.
    #[must_use]
    pub fn writable_by_others(&self) -> Option<u32> {
        let mode = self.handle.metadata().ok()?.mode() & 0o7777;
        (mode & 0o022 != 0).then_some(mode)
    }

    /// Returns the number of the device that the directory is on.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn device(&self) -> io::Result<u64> {
        Ok(self.handle.metadata()?.dev())
    }

    /// Opens a directory below this one.
    ///
    /// # Errors
    /// If it is a link or no directory, or cannot be opened.
    pub fn folder(&self, below: &Path) -> io::Result<Directory> {
        let handle = self.open_below(below, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        Ok(Directory { handle: handle.into(), path: self.path.join(below) })
    }

    /// Creates a directory below this one, unless it exists, and opens it.
    ///
    /// # Errors
    /// If it cannot be created, or is a link.
    pub fn create_folder(&self, below: &Path, privacy: Privacy) -> io::Result<Directory> {
        let name = below.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mode = match privacy {
            Privacy::Owner => PRIVATE_DIRECTORY,
            Privacy::Umask => 0o777,
        };
        let above = below.parent().filter(|above| !above.as_os_str().is_empty());
        let above = above.map(|above| self.folder(above)).transpose()?;
        let created = rustix::fs::mkdirat(&above.as_ref().unwrap_or(self).handle, name, Mode::from_raw_mode(mode));
        if let Err(error) = created
            && error != Errno::EXIST
        {
            return Err(error.into());
        }
        let folder = self.folder(below)?;
        if created.is_ok() && privacy == Privacy::Owner {
            folder.handle.set_permissions(Permissions::from_mode(mode))?;
        }
        Ok(folder)
    }

    /// Reads a file of at most `limit` bytes.
    ///
    /// # Errors
    /// If the file is a link or not regular, is longer, or cannot be read.
    pub fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.regular(name, OFlags::RDONLY)?;
        let mut content = Vec::new();
        file.take(limit + 1).read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")));
        }
        Ok(content)
    }

    /// Opens a file to lock it, and creates it for the owner alone if it is missing.
    ///
    /// # Errors
    /// If the file is a link or not regular, or cannot be opened.
    pub fn lock_file(&self, name: &str) -> io::Result<File> {
        match self.create_new(name, OFlags::WRONLY, Privacy::Owner) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.regular(name, OFlags::WRONLY),
            created => created,
        }
    }

    /// Opens a file for writing, at its beginning. The file has no other name.
    ///
    /// # Errors
    /// If the file is a link, not regular or missing, or has another name.
    pub fn write_existing(&self, name: &str) -> io::Result<File> {
        let file = self.regular(name, OFlags::WRONLY)?;
        sole(&file)?;
        Ok(file)
    }

    /// Opens a file for appending, and creates it if it is missing. The file has no other name.
    ///
    /// # Errors
    /// As for [`Directory::write_existing`], except for a missing file.
    pub fn append(&self, name: &str, privacy: Privacy) -> io::Result<File> {
        let file = match self.create_new(name, OFlags::WRONLY | OFlags::APPEND, privacy) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.regular(name, OFlags::WRONLY | OFlags::APPEND)?
            }
            created => created?,
        };
        sole(&file)?;
        Ok(file)
    }

    /// Creates a file. Whatever had its name is removed first, so no planted file or link is written.
    ///
    /// # Errors
    /// If the name belongs to a directory, or the file cannot be created.
    pub fn create(&self, name: &str, privacy: Privacy) -> io::Result<File> {
        self.remove_file(name)?;
        self.create_new(name, OFlags::WRONLY, privacy)
    }

    /// Creates a file whose name is free.
    fn create_new(&self, name: &str, flags: OFlags, privacy: Privacy) -> io::Result<File> {
        let bits = if privacy == Privacy::Owner { PRIVATE_FILE } else { 0o666 };
        let flags = flags | OFlags::CREATE | OFlags::EXCL;
        let name = Path::new(plain(OsStr::new(name))?);
        let file = File::from(self.open_below(name, flags, Mode::from_raw_mode(bits))?);
        if privacy == Privacy::Owner {
            file.set_permissions(Permissions::from_mode(bits))?;
        }
        Ok(file)
    }

    /// Replaces a file atomically: a crash leaves the old file or the new one.
    ///
    /// # Errors
    /// If the file cannot be written. The old file remains.
    pub fn replace(&self, name: &str, content: &[u8], privacy: Privacy) -> io::Result<()> {
        let beside = format!("{name}.new");
        let mut file = self.create(&beside, privacy)?;
        file.write_all(content)?;
        file.sync_data()?;
        self.rename(&beside, self, OsStr::new(name))?;
        self.sync()
    }

    /// Renames a file into a directory. A link that has the name is replaced, not followed.
    ///
    /// # Errors
    /// If the file cannot be renamed.
    pub fn rename(&self, from: &str, into: &Directory, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.handle, plain(OsStr::new(from))?, &into.handle, plain(to)?)?)
    }

    /// Removes a file, if it exists.
    ///
    /// # Errors
    /// If it is a directory, or cannot be removed.
    pub fn remove_file(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.handle, plain(OsStr::new(name))?, AtFlags::empty()) {
            Err(error) if error != Errno::NOENT => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Removes a file, or a directory with its content, if it exists. Links are removed, not followed.
    ///
    /// # Errors
    /// If something in it cannot be removed.
    pub fn remove_all(&self, name: &OsStr) -> io::Result<()> {
        self.remove_below(name, MAX_DEPTH)
    }

    fn remove_below(&self, name: &OsStr, depth: usize) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.handle, plain(name)?, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) if depth > 0 => {}
            Err(error) => return Err(error.into()),
        }
        let folder = self.folder(Path::new(name))?;
        for entry in folder.entries()? {
            folder.remove_below(&entry, depth - 1)?;
        }
        Ok(rustix::fs::unlinkat(&self.handle, name, AtFlags::REMOVEDIR)?)
    }

    /// Lists the names in the directory.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn entries(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Returns the length of a regular file below the directory, or `None` if nothing has its name.
    ///
    /// # Errors
    /// If it is a link or not regular, or cannot be found out.
    pub fn length(&self, below: &Path) -> io::Result<Option<u64>> {
        let name = below.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let stat = match below.parent().filter(|above| !above.as_os_str().is_empty()) {
            None => self.stat(name),
            Some(above) => self.folder(above).and_then(|folder| folder.stat(name)),
        };
        match stat {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Ok(Some(u64::try_from(stat.st_size).unwrap_or(0))),
                FileType::Symlink => Err(link()),
                _ => Err(irregular()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(rustix::fs::statat(&self.handle, plain(name)?, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Syncs the names in the directory.
    ///
    /// # Errors
    /// If the directory cannot be synced.
    pub fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    /// Opens a regular file of the directory.
    fn regular(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let opened = self.open_below(Path::new(plain(OsStr::new(name))?), flags, Mode::empty());
        // A pipe without a reader cannot be opened for writing.
        let file = opened.map_err(|error| if is(&error, Errno::NXIO) { irregular() } else { error })?;
        let file = File::from(file);
        if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
    }

    /// Opens a path below the directory, without links.
    fn open_below(&self, below: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        check_path(below)?;
        let opened = match rustix::fs::openat2(&self.handle, below, ALWAYS | flags, mode, resolve) {
            // The kernel or a filter of system calls lacks it, or a directory was renamed meanwhile.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => self.open_by_component(below, flags, mode),
            opened => opened.map_err(io::Error::from),
        };
        opened.map_err(|error| self.explain(below, error))
    }

    /// Opens a path below the directory one component after another.
    fn open_by_component(&self, below: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let mut names = below.components().peekable();
        let mut folder: Option<OwnedFd> = None;
        while let Some(name) = names.next() {
            let at = folder.as_ref().map_or(self.handle.as_fd(), |folder| folder.as_fd());
            if names.peek().is_none() {
                return Ok(rustix::fs::openat(at, name.as_os_str(), ALWAYS | flags, mode)?);
            }
            folder = Some(rustix::fs::openat(at, name.as_os_str(), ALWAYS | OFlags::DIRECTORY, Mode::empty())?);
        }
        Err(io::ErrorKind::InvalidInput.into())
    }

    /// Says what is in the way. A link is `ELOOP`, or `ENOTDIR` where a directory is expected.
    fn explain(&self, below: &Path, error: io::Error) -> io::Error {
        let is_link = || {
            let above: Vec<&Path> = below.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
            above.into_iter().any(|path| self.path.join(path).is_symlink())
        };
        let blocked = is(&error, Errno::LOOP) || is(&error, Errno::NOTDIR);
        if blocked && (is(&error, Errno::LOOP) || is_link()) { link() } else { error }
    }
}

/// Returns an error unless each component of the path is a name.
fn check_path(below: &Path) -> io::Result<()> {
    let names = below.components().all(|component| matches!(component, Component::Normal(_)));
    if names && !below.as_os_str().is_empty() { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Returns the name if it is a single one.
fn plain(name: &OsStr) -> io::Result<&OsStr> {
    check_path(Path::new(name))?;
    if name.as_bytes().contains(&b'/') { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(name) }
}

/// Returns an error if the file has another name, under which it may belong to someone else.
fn sole(file: &File) -> io::Result<()> {
    if file.metadata()?.nlink() == 1 { Ok(()) } else { Err(io::Error::other("it has hard links; remove it")) }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn link() -> io::Error {
    io::Error::other("it is a symbolic link, which katalog does not follow here; remove it")
}

fn irregular() -> io::Error {
    io::Error::other("it is not a regular file; remove it")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A way to open a path below a directory.
    type Open = fn(&Directory, &Path, OFlags, Mode) -> io::Result<OwnedFd>;

    #[test]
    fn both_ways_of_opening_stay_below_and_follow_no_links() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("in/a/b")).unwrap();
        fs::write(path("in/a/b/file"), "").unwrap();
        fs::write(path("outside"), "").unwrap();
        symlink("../outside", path("in/out")).unwrap();
        symlink("a", path("in/link")).unwrap();
        symlink("/", path("in/root")).unwrap();
        let directory = Directory::open(&path("in")).unwrap();
        let ways: [Open; 2] = [Directory::open_below, |directory, below, flags, mode| {
            check_path(below)?;
            directory.open_by_component(below, flags, mode)
        }];
        for open in ways {
            let open = |name: &str| open(&directory, Path::new(name), OFlags::RDONLY, Mode::empty());
            open("a/b/file").unwrap();
            open("a/b").unwrap();
            for hostile in
                ["out", "link", "link/b/file", "root/etc/passwd", "../outside", "a/../../outside", "/", "", "."]
            {
                open(hostile).unwrap_err();
            }
            let absolute = path("outside");
            open(absolute.to_str().unwrap()).unwrap_err();
        }
    }

    #[test]
    fn a_name_is_never_a_path() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("in")).unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        let directory = Directory::open(&root.path().join("in")).unwrap();
        for name in ["../file", "..", ".", "", "a/b"] {
            directory.remove_file(name).unwrap_err();
            directory.remove_all(OsStr::new(name)).unwrap_err();
            directory.rename(name, &directory, OsStr::new("x")).unwrap_err();
            directory.read(name, 1).unwrap_err();
        }
        assert!(root.path().join("file").exists());
    }

    #[test]
    fn links_in_a_removed_directory_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("away")).unwrap();
        fs::create_dir_all(path("in/a/b/c")).unwrap();
        fs::write(path("away/file"), "").unwrap();
        fs::write(path("in/a/b/file"), "").unwrap();
        symlink(path("away"), path("in/a/b/link")).unwrap();
        let directory = Directory::open(&path("in")).unwrap();
        directory.remove_all(OsStr::new("a")).unwrap();
        directory.remove_all(OsStr::new("a")).unwrap();
        assert!(directory.entries().unwrap().is_empty() && path("away/file").exists());
        let deep = (0..MAX_DEPTH + 2).fold(path("in"), |path, _| path.join("d"));
        fs::create_dir_all(deep).unwrap();
        directory.remove_all(OsStr::new("d")).unwrap_err();
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "four").unwrap();
        let directory = Directory::open(root.path()).unwrap();
        assert_eq!(directory.read("file", 4).unwrap(), b"four");
        assert_eq!(directory.read("file", 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
