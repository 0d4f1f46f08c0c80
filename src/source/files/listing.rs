//! Lists the files that match patterns, and the rotated files beside them. It opens none.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use glob::{MatchOptions, glob_with};

use crate::source::awaited::AwaitedInput;
use crate::source::codec::COMPRESSED_SUFFIXES;
use crate::source::{Input, SourceError};

/// Shell-like wildcards: they exclude hidden files and do not cross directories.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
/// The directories of the logs of containers: those of kubelet, and Docker's. A pattern such as
/// `/var/log/containers/*.log` follows links to their files.
const LINK_TARGETS: [&str; 2] = ["/var/log/pods", "/var/lib/docker"];

/// The number of attempts to list files that are being rotated.
const ATTEMPTS: usize = 3;

/// The identity of a file while it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileKey {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// The creation time, if the file system keeps it. It distinguishes files that reuse an inode.
    pub(super) created: Option<SystemTime>,
}

impl FileKey {
    pub(super) fn of(metadata: &Metadata) -> FileKey {
        FileKey { device: metadata.dev(), inode: metadata.ino(), created: metadata.created().ok() }
    }

    /// Returns whether device and inode are equal. Saved positions know nothing more.
    pub(super) fn is_same_inode(&self, other: &FileKey) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// An existing regular file.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The path without symbolic links.
    pub(super) path: PathBuf,
    /// The path as a pattern names it, if symbolic links lead to the file.
    pub(super) link: Option<PathBuf>,
    pub(super) key: FileKey,
    /// The modification time.
    pub(super) modified: SystemTime,
    pub(super) length: u64,
    /// A pattern names the file.
    pub(super) matches_pattern: bool,
    /// The path that all files of its log share, without rotation suffixes.
    pub(super) family: PathBuf,
}

impl Candidate {
    pub(super) fn new(path: PathBuf, metadata: &Metadata, family: PathBuf, matches_pattern: bool) -> Candidate {
        Candidate {
            path,
            link: None,
            family,
            key: FileKey::of(metadata),
            modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            length: metadata.len(),
            matches_pattern,
        }
    }

    /// Returns whether the file has the active name of its log, which no copy has.
    pub(super) fn has_active_name(&self) -> bool {
        self.path == self.family
    }

    /// Returns whether the file may hold a log of its own. Other files beside a log, such as excerpts, may not.
    pub(super) fn is_rotated(&self) -> bool {
        self.matches_pattern || family(&self.path) == self.family
    }
}

/// The result of listing files.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Each file once: rotated files by age, then the files that patterns name, by path.
    pub(super) files: Vec<Candidate>,
    /// The directories in which further files would appear.
    pub(super) directories: Vec<PathBuf>,
    /// Pipes, sockets, devices and links that match patterns and are not read.
    pub(super) passed_over: Vec<PathBuf>,
    /// Paths that could not be examined, including named files that do not exist.
    pub(super) errors: Vec<SourceError>,
    /// Paths and patterns that name no file.
    pub(super) absent: Vec<AwaitedInput>,
}

impl Listing {
    /// Returns whether every file was seen.
    pub(super) fn is_complete(&self) -> bool {
        self.errors.iter().all(is_missing)
    }
}

/// Returns whether an error means that a path does not exist.
pub(super) fn is_missing(error: &SourceError) -> bool {
    matches!(error, SourceError::Open { cause, .. } if is_absent(cause))
}

fn is_absent(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Returns the path that all files of one log share: the path without rotation and compression suffixes, such as `.1`,
/// `-20240506`, `.20240506-070814` and `.gz`.
pub(super) fn family(path: &Path) -> PathBuf {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return path.to_owned() };
    let mut stem = name;
    while let Some(short) = COMPRESSED_SUFFIXES.iter().find_map(|ending| stem.strip_suffix(ending)).or_else(|| {
        let short = stem.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let short = if short.len() < stem.len() { short.strip_suffix(['.', '-'])? } else { return None };
        Some(short)
    }) {
        if short.is_empty() {
            break;
        }
        stem = short;
    }
    path.with_file_name(stem)
}

/// Lists the files that patterns name, and all files of their families and of `families`.
pub(super) fn list_files(patterns: &[PathBuf], families: &BTreeSet<PathBuf>, follow_links: bool) -> Listing {
    let mut attempt = 1;
    loop {
        let mut found = list_named(patterns, follow_links);
        let mut all = families.clone();
        all.extend(found.files.iter().map(|file| family(&file.path)));
        let (mut beside, torn) = list_siblings(&all, &mut found);
        // A file rotated between the two listings would look like an unknown one.
        if torn && attempt < ATTEMPTS {
            attempt += 1;
            continue;
        }
        beside.sort_by_key(|file| file.modified);
        beside.append(&mut found.files);
        found.files = beside;
        found.directories.sort();
        found.directories.dedup();
        return found;
    }
}

/// Lists the files that patterns name.
fn list_named(patterns: &[PathBuf], follow_links: bool) -> Listing {
    let mut found = Listing::default();
    let roots: Vec<PathBuf> = LINK_TARGETS.iter().filter_map(|root| fs::canonicalize(root).ok()).collect();
    let mut seen = BTreeSet::new();
    for pattern in patterns {
        let wild = pattern.to_str().filter(|_| is_pattern(pattern));
        let known_errors = found.errors.len();
        let mut exists = false;
        let fixed = wild.map(|_| fixed_part(pattern));
        let is_refused = |path: &Path, target: &Path| {
            let fixed = fixed.as_deref().filter(|_| !follow_links);
            fixed.is_some_and(|fixed| is_link(fixed, path) && !roots.iter().any(|root| target.starts_with(root)))
        };
        let paths = match wild {
            Some(text) => {
                watched_directories(text, &mut found.directories);
                glob_paths(text, &mut found.errors)
            }
            None => {
                found.directories.push(nearest_existing(pattern.parent()));
                vec![pattern.clone()]
            }
        };
        for path in paths {
            match resolve(&path) {
                Ok((target, metadata)) if metadata.is_file() && is_refused(&path, &target) => {
                    found.passed_over.push(path);
                }
                Ok((target, metadata)) if metadata.is_file() => {
                    exists = true;
                    found.directories.push(nearest_existing(target.parent()));
                    if seen.insert(FileKey::of(&metadata)) {
                        let family = family(&target);
                        let link = (target != path).then(|| path.clone());
                        found.files.push(Candidate { link, ..Candidate::new(target, &metadata, family, true) });
                    }
                }
                Ok((_, metadata)) if wild.is_some() => {
                    if !metadata.is_dir() {
                        found.passed_over.push(path);
                    }
                }
                Ok((_, metadata)) if metadata.is_dir() => {
                    found.errors.push(SourceError::Directory { input: Input::File(path) });
                }
                Ok(_) => {
                    let cause = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
                    found.errors.push(SourceError::Open { input: Input::File(path), cause });
                }
                // A dangling link, or a file deleted meanwhile.
                Err(cause) if wild.is_some() && is_absent(&cause) => {}
                Err(cause) => found.errors.push(SourceError::Open { input: Input::File(path), cause }),
            }
        }
        if !exists && found.errors.iter().skip(known_errors).all(is_missing) {
            let directory = missing_directory(pattern);
            found.absent.push(match wild {
                Some(_) => AwaitedInput::Pattern(pattern.clone(), directory),
                None => AwaitedInput::File(pattern.clone(), directory),
            });
        }
    }
    found
}

/// Lists the other files of these families. Also returns whether a named file was renamed meanwhile.
fn list_siblings(families: &BTreeSet<PathBuf>, found: &mut Listing) -> (Vec<Candidate>, bool) {
    let mut places: HashMap<&Path, Vec<&str>> = HashMap::new();
    for family in families {
        if let (Some(directory), Some(name)) = (family.parent(), family.file_name().and_then(|name| name.to_str())) {
            places.entry(directory).or_default().push(name);
        }
    }
    let named: HashMap<&Path, FileKey> = found.files.iter().map(|file| (file.path.as_path(), file.key)).collect();
    let keys: BTreeSet<_> = found.files.iter().map(|file| file.key).collect();
    let mut seen = BTreeSet::new();
    let mut beside = Vec::new();
    let mut torn = false;
    for (directory, names) in places {
        let listed = match fs::read_dir(directory) {
            Ok(listed) => listed,
            Err(cause) => {
                if !is_absent(&cause) {
                    found.errors.push(SourceError::Open { input: Input::File(directory.to_owned()), cause });
                }
                continue;
            }
        };
        found.directories.push(directory.to_owned());
        for entry in listed.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let of = |family: &&&str| {
                name.strip_prefix(**family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
            };
            let Some(family) = names.iter().filter(of).max_by_key(|family| family.len()) else { continue };
            let family = directory.join(family);
            let path = directory.join(name);
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let key = FileKey::of(&metadata);
            if !metadata.is_file() {
                continue;
            }
            torn |= named.get(path.as_path()).is_some_and(|named| *named != key);
            if !keys.contains(&key) && seen.insert(key) {
                beside.push(Candidate::new(path, &metadata, family, false));
            }
        }
    }
    (beside, torn)
}

/// Returns whether a path is a pattern: it has wildcards, and no file has that name.
pub(in crate::source) fn is_pattern(path: &Path) -> bool {
    let wild = path.to_str().is_some_and(|text| text.contains(['*', '?', '[']));
    wild && fs::symlink_metadata(path).is_err()
}

/// Returns whether any path matches a pattern. Returns `None` for a path that is no pattern.
pub(in crate::source) fn matches_any(path: &Path) -> Option<bool> {
    let pattern = path.to_str().filter(|_| is_pattern(path))?;
    Some(glob_with(pattern, OPTIONS).is_ok_and(|found| found.flatten().next().is_some()))
}

/// Returns the paths that match a pattern.
fn glob_paths(pattern: &str, errors: &mut Vec<SourceError>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    match glob_with(pattern, OPTIONS) {
        Ok(found) => {
            for path in found {
                match path {
                    Ok(path) => paths.push(path),
                    Err(error) if is_absent(error.error()) => {}
                    Err(error) => {
                        let input = Input::File(error.path().to_owned());
                        errors.push(SourceError::Open { input, cause: error.into() });
                    }
                }
            }
        }
        Err(error) => {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, error);
            errors.push(SourceError::Open { input: Input::File(pattern.into()), cause });
        }
    }
    paths
}

/// Adds the directories in which matching files or directories would appear.
fn watched_directories(pattern: &str, directories: &mut Vec<PathBuf>) {
    let mut prefix = PathBuf::new();
    let mut wild = false;
    for part in Path::new(pattern).parent().unwrap_or(Path::new("")) {
        let part = Path::new(part);
        if !wild && has_wildcards(part) {
            directories.push(nearest_existing(Some(&prefix)));
            wild = true;
        }
        prefix.push(part);
        if let Some(prefix) = prefix.to_str().filter(|_| wild) {
            // Errors are reported when the whole pattern is expanded.
            directories.extend(glob_paths(prefix, &mut Vec::new()).into_iter().filter(|path| path.is_dir()));
        }
    }
    if !wild {
        directories.push(nearest_existing(Some(&prefix)));
    }
}

/// Returns the directory before the first wildcard, or before the file name.
fn fixed_part(pattern: &Path) -> PathBuf {
    let parent = pattern.parent().unwrap_or(Path::new(""));
    parent.iter().take_while(|part| !has_wildcards(Path::new(part))).collect()
}

/// Returns whether a path has a link behind the fixed part of its pattern. The operator has named that part.
fn is_link(fixed: &Path, path: &Path) -> bool {
    let depth = |path: &Path| path.components().filter(|part| *part != Component::CurDir).count();
    path.ancestors().take(depth(path).saturating_sub(depth(fixed))).any(Path::is_symlink)
}

/// Returns the directory before the first wildcard, or before the file name, if it does not exist.
fn missing_directory(pattern: &Path) -> Option<PathBuf> {
    let directory = fixed_part(pattern);
    (!directory.as_os_str().is_empty() && !directory.is_dir()).then_some(directory)
}

fn has_wildcards(part: &Path) -> bool {
    part.to_str().is_some_and(|part| part.contains(['*', '?', '[']))
}

/// Returns the directory, or its nearest existing ancestor.
fn nearest_existing(directory: Option<&Path>) -> PathBuf {
    let above = directory.into_iter().flat_map(Path::ancestors).filter(|path| !path.as_os_str().is_empty());
    let here = || if directory.is_some_and(Path::is_absolute) { PathBuf::from("/") } else { PathBuf::from(".") };
    above.map(Path::to_owned).find(|path| path.is_dir()).unwrap_or_else(here)
}

/// Follows symbolic links and returns the target and its metadata.
fn resolve(path: &Path) -> io::Result<(PathBuf, Metadata)> {
    let target = fs::canonicalize(path)?;
    let metadata = fs::metadata(&target)?;
    Ok((target, metadata))
}
