//! Decides by which way an input came to katalog. The path says who can write the input; for an input of the host, the
//! first line says in which form the entries are.
//!
//! A path is judged wherever the file lies: named, in a directory or in an archive. Tenants can create files, but only
//! below directories that the table knows. So if any part of a path is a container's, the file is a container's.

use std::path::{Component, Path, PathBuf};

use kata_records::origin::Route;
use kata_records::{Batch, InputFormat};

use super::Input;
use super::archive::PathClass;
use super::codec::COMPRESSED_SUFFIXES;
use super::continuation::has_syslog_head;
use super::journal_text;
use super::trust::{Trust, matches_glob};

/// The number of bytes of the first line that decide. Followed files know no more of their beginning.
const MAX_FIRST_LINE: usize = super::position::HEAD;

/// The writer of the files at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// A container manager. Its output includes texts of shims and guests.
    Manager,
    /// A container. The path says which pod it belongs to.
    Container(PodPlace),
}

/// The place of a pod's name in a path, by components of its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PodPlace {
    /// The path names no pod with its namespace.
    None,
    /// A component `<namespace>_<pod>_<uid>`.
    Directory(usize),
    /// A component `<pod>_<namespace>_<container>-<id>.log`.
    Link(usize),
    /// Two components.
    Parts { namespace: usize, pod: usize },
}

/// The paths for which a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Any path.
    Any,
    /// A path within an archive or a directory. Elsewhere the names are too common.
    Within,
}

/// A rule for paths. The components of `path` follow each other anywhere in the path, and the last is the file's. With
/// `**` at the end, the file lies at any depth below.
struct PathRule {
    path: &'static str,
    writer: Writer,
    scope: Scope,
}

const fn container(path: &'static str, pod: PodPlace) -> PathRule {
    PathRule { path, writer: Writer::Container(pod), scope: Scope::Any }
}

const fn within(path: &'static str) -> PathRule {
    PathRule { path, writer: Writer::Container(PodPlace::None), scope: Scope::Within }
}

const fn manager(path: &'static str) -> PathRule {
    PathRule { path, writer: Writer::Manager, scope: Scope::Any }
}

/// The paths that have a writer. The first rule that matches at a component decides there.
const RULES: &[PathRule] = &[
    // Kubernetes: `pkg/kubelet/kuberuntime/helpers.go`, `BuildPodLogsDirectory` and `logSymlink`.
    container("log/pods/*_*_*/*/*", PodPlace::Directory(2)),
    container("pods/*_*_*/*/*", PodPlace::Directory(1)),
    container("log/containers/*_*_*-*", PodPlace::Link(2)),
    container("containers/*_*_*-*.log*", PodPlace::Link(1)),
    // `oc adm inspect`, and so must-gather.
    container("namespaces/*/pods/*/*/*/logs/*", PodPlace::Parts { namespace: 1, pod: 3 }),
    container("current.log*", PodPlace::None),
    container("previous.log*", PodPlace::None),
    container("previous.insecure.log*", PodPlace::None),
    container("log/pods/**", PodPlace::None),
    container("kubelet/pods/**", PodPlace::None),
    container("log/containers/**", PodPlace::None),
    container("docker/containers/**", PodPlace::None),
    container("containers/*/*-json.log*", PodPlace::None),
    container("overlay-containers/**", PodPlace::None),
    // The root directories and volumes of containers.
    container("io.containerd.runtime.*/*/*/rootfs/**", PodPlace::None),
    container("snapshots/*/fs/**", PodPlace::None),
    container("lib/docker/**", PodPlace::None),
    container("docker/overlay2/**", PodPlace::None),
    container("docker/volumes/**", PodPlace::None),
    container("io.containerd.snapshotter.*/**", PodPlace::None),
    container("storage/overlay/**", PodPlace::None),
    container("storage/vfs/**", PodPlace::None),
    container("storage/btrfs/**", PodPlace::None),
    container("k3s/storage/**", PodPlace::None),
    container("local-path-provisioner/**", PodPlace::None),
    container("storage/volumes/**", PodPlace::None),
    container("kata-containers/shared/**", PodPlace::None),
    // A part of a log directory, an old layout of it, and reports that copy the output of pods.
    within("*_*_*-*-*-*-*/*/*.log*"),
    within("pods/**"),
    within("podlogs/**"),
    within("*/*/logs.txt"),
    manager("containerd.log*"),
    manager("agent/containerd/containerd-*.log*"),
    manager("crio.log*"),
    manager("k3s.log*"),
    manager("k0s*.log*"),
    manager("rke2*.log*"),
];

/// The writer of a file, as its path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathWriter<'p> {
    Manager,
    /// A container of this pod, given as namespace and name.
    Pod(&'p str, &'p str),
    /// A container of any pod.
    Container,
}

/// Returns whether a path within an archive or a directory is a container's.
pub(super) fn is_of_container(path: &Path) -> bool {
    matches!(writer(path, Scope::Within), Some(PathWriter::Pod(..) | PathWriter::Container))
}

/// Returns the writer of the file at a path, if the path has one.
fn writer(path: &Path, scope: Scope) -> Option<PathWriter<'_>> {
    let parts: Vec<&str> = path
        .components()
        .filter_map(
            |part| if let Component::Normal(part) = part { Some(part.to_str().unwrap_or("\u{fffd}")) } else { None },
        )
        .collect();
    let mut found: Option<PathWriter<'_>> = None;
    let mut at = 0;
    while let Some(rest) = parts.get(at..).filter(|rest| !rest.is_empty()) {
        let rule = RULES.iter().filter(|rule| rule.scope == Scope::Any || scope == Scope::Within);
        let Some((rule, length)) = rule.filter_map(|rule| Some((rule, rule.matched(rest)?))).next() else {
            at += 1;
            continue;
        };
        let here = rule.writer_of(rest);
        found = Some(match (found, here) {
            (None, here) => here,
            // A file of a manager below a container's directory, or of a pod below another's, is a tenant's.
            (Some(_), _) => PathWriter::Container,
        });
        at += length;
    }
    found
}

impl PathRule {
    /// Returns the number of components that the rule matches at the beginning of `parts`.
    fn matched(&self, parts: &[&str]) -> Option<usize> {
        let below = self.path.strip_suffix("/**");
        let mut length = 0;
        for pattern in below.unwrap_or(self.path).split('/') {
            parts.get(length).filter(|part| matches_glob(pattern.as_bytes(), part.as_bytes()))?;
            length += 1;
        }
        (if below.is_some() { length < parts.len() } else { length == parts.len() }).then_some(length)
    }

    /// Returns the writer of a file that matches.
    fn writer_of<'p>(&self, parts: &[&'p str]) -> PathWriter<'p> {
        let Writer::Container(place) = self.writer else { return PathWriter::Manager };
        let three = |part: &'p str| {
            let mut names = part.split('_');
            let names = (names.next()?, names.next()?, names.next()?, names.next());
            if let (a, b, _, None) = names { Some((a, b)) } else { None }
        };
        let part = |index: usize| parts.get(index).copied();
        let pod = match place {
            PodPlace::None => None,
            PodPlace::Directory(index) => part(index).and_then(three),
            PodPlace::Link(index) => part(index).and_then(three).map(|(pod, namespace)| (namespace, pod)),
            PodPlace::Parts { namespace, pod } => part(namespace).zip(part(pod)),
        };
        pod.map_or(PathWriter::Container, |(namespace, pod)| PathWriter::Pod(namespace, pod))
    }
}

/// The use of an input's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstLine {
    /// The path alone decides.
    Ignored,
    /// The line says in which form the entries are.
    Decides,
    /// The path is that of an exported journal, which the line confirms.
    Confirms,
}

/// The route of one input, until its first line is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InputRoute {
    route: Route,
    first_line: FirstLine,
    /// The operator names the input, and its path is neither a container's nor a manager's.
    is_plain: bool,
}

/// The route of one input, as its path and its first line decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecidedRoute {
    /// The route.
    pub(super) route: Route,
    /// Whole lines may be records that katalog wrote.
    pub(super) has_records: bool,
}

impl From<Route> for DecidedRoute {
    fn from(route: Route) -> DecidedRoute {
        DecidedRoute { route, has_records: false }
    }
}

impl DecidedRoute {
    /// Sets the route of a batch.
    pub(super) fn mark(self, batch: &mut Batch) {
        (batch.route, batch.has_records) = (self.route, self.has_records);
    }
}

impl InputRoute {
    /// Returns the route of an input that the user named. `paths` are its names: as typed, and without symbolic links.
    /// Standard input has none.
    pub(super) fn of_named(paths: &[&Path], trust: &Trust) -> InputRoute {
        let writers = paths.iter().filter_map(|path| writer(path, Scope::Any));
        InputRoute::of_writers(writers, trust)
            .unwrap_or(InputRoute { route: named(trust), first_line: FirstLine::Decides, is_plain: true })
            .demoted(trust)
    }

    /// Returns the route of an input, and its path without symbolic links.
    pub(super) fn of_input(input: &Input, trust: &Trust) -> (InputRoute, PathBuf) {
        let Input::File(path) = input else { return (InputRoute::of_named(&[], trust), PathBuf::new()) };
        let whole = resolved(path);
        (InputRoute::of_named(&[path, &whole], trust), whole)
    }

    /// Returns the route of a file in an archive or a directory: `within` is its path there, `whole` the path that
    /// includes the one of the archive or directory.
    pub(super) fn of_found(within: &Path, whole: &Path, class: PathClass, trust: &Trust) -> InputRoute {
        let writers = [writer(within, Scope::Within), writer(whole, Scope::Any)].into_iter().flatten();
        let listed = || {
            let unlisted = if trust.vouch { named(trust) } else { Route::Unlisted };
            match (class.is_of_host, is_exported(within)) {
                (true, _) => InputRoute { route: named(trust), first_line: FirstLine::Decides, is_plain: false },
                (false, true) => InputRoute { route: unlisted, first_line: FirstLine::Confirms, is_plain: false },
                (false, false) => InputRoute { route: unlisted, first_line: FirstLine::Ignored, is_plain: false },
            }
        };
        InputRoute::of_writers(writers, trust).unwrap_or_else(listed).demoted(trust)
    }

    /// Returns the route of a file whose paths have these writers. A container's path outweighs a manager's, and a pod
    /// is trusted only if each path that names a pod names a trusted one.
    fn of_writers<'p>(writers: impl Iterator<Item = PathWriter<'p>>, trust: &Trust) -> Option<InputRoute> {
        let (mut manager, mut container, mut pods) = (false, false, None);
        for writer in writers {
            match writer {
                PathWriter::Manager => manager = true,
                PathWriter::Container => container = true,
                PathWriter::Pod(namespace, pod) => {
                    container = true;
                    pods = Some(pods.unwrap_or(true) && trust.trusts_pod(namespace, pod));
                }
            }
        }
        let route = match (container, pods) {
            (true, Some(true)) => Route::TrustedPod,
            (true, _) if trust.vouch && !trust.untrusted => Route::TrustedPod,
            (true, _) => Route::Container,
            (false, _) if manager => Route::Manager,
            (false, _) => return None,
        };
        Some(InputRoute { route, first_line: FirstLine::Ignored, is_plain: false })
    }

    /// Returns the route after `--untrusted`.
    fn demoted(self, trust: &Trust) -> InputRoute {
        match self.route {
            _ if !trust.untrusted => self,
            Route::Container | Route::TrustedPod => InputRoute { route: Route::Container, ..self },
            _ => InputRoute { route: Route::Unlisted, first_line: FirstLine::Ignored, is_plain: false },
        }
    }

    /// Returns the route as far as the path decides.
    pub(super) fn by_path(self) -> Route {
        self.route
    }

    /// Returns whether records that katalog wrote may be in the input, as far as the path decides.
    pub(super) fn may_have_records(self) -> bool {
        self.is_plain
    }

    /// Returns whether the first line matters.
    pub(super) fn needs_first_line(self) -> bool {
        self.first_line != FirstLine::Ignored
    }

    /// Returns the route of an input that begins with this line. `is_export` says that the line begins an entry of the
    /// Journal Export Format.
    pub(super) fn by_first_line(self, line: &[u8], is_export: bool, format: InputFormat) -> DecidedRoute {
        if !self.needs_first_line() {
            return self.route.into();
        }
        let line = line.get(..MAX_FIRST_LINE).unwrap_or(line);
        let may_be_json = matches!(format, InputFormat::Auto | InputFormat::JournalJson);
        let may_be_syslog = matches!(format, InputFormat::Auto | InputFormat::Syslog);
        let may_be_terminal = matches!(format, InputFormat::Auto | InputFormat::Logfmt | InputFormat::Text);
        let is_terminal = may_be_terminal && is_terminal_line(line);
        let is_syslog = !is_terminal && may_be_syslog && has_syslog_head(line);
        let route = if is_export || may_be_json && journal_text::is_json_entry(line) {
            Route::Journal
        } else if self.route == Route::Named && is_terminal {
            Route::Terminal
        } else if self.route == Route::Named && is_syslog {
            Route::Syslog
        } else {
            self.route
        };
        // A record may begin like an entry of the journal, whose fields it repeats.
        DecidedRoute { route, has_records: self.is_plain && !is_export && !is_terminal && !is_syslog }
    }

    /// Returns the route of an input by its first bytes. Returns `None` if more bytes are needed; `all` says that no
    /// more follow.
    pub(super) fn by_head(self, head: &[u8], all: bool, format: InputFormat) -> Option<DecidedRoute> {
        if !self.needs_first_line() {
            return Some(self.route.into());
        }
        let is_whole = |line: &[u8]| line.ends_with(b"\n") || all || head.len() >= MAX_FIRST_LINE;
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        let Some(line) = lines.find(|line| format == InputFormat::Export || !is_heading(line)) else {
            return (all || head.len() >= MAX_FIRST_LINE).then_some(self.route.into());
        };
        let exports = matches!(format, InputFormat::Auto | InputFormat::Export);
        let is_export = exports && super::framer::is_export_start(line, format);
        is_whole(line).then(|| self.by_first_line(line, is_export, format))
    }
}

/// Returns whether an input of which this is the first line may have records that katalog wrote. Its path has to allow for
/// them.
pub(super) fn may_begin_records(line: &[u8], format: InputFormat) -> bool {
    let route = InputRoute { route: Route::Named, first_line: FirstLine::Decides, is_plain: true };
    let exports = matches!(format, InputFormat::Auto | InputFormat::Export);
    let is_export = exports && super::framer::is_export_start(line, format);
    route.by_first_line(line, is_export, format).has_records
}

/// Returns the route of an input of the host. If the operator vouches, even lines of containers in it are the host's.
fn named(trust: &Trust) -> Route {
    if trust.vouch { Route::TrustedPod } else { Route::Named }
}

/// Returns whether a line is blank, or was added to a paste: a header of journalctl or a shell's prompt.
pub(super) fn is_heading(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    line.trim_ascii().is_empty() || [&b"-- "[..], b"$ ", b"# "].iter().any(|start| line.starts_with(start))
}

/// Returns the path of a named file without symbolic links, or a guess for a path that does not exist.
pub(super) fn resolved(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_default()
}

/// Returns whether a path is that of entries which `journalctl` exported.
fn is_exported(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = COMPRESSED_SUFFIXES.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    [".export", ".ndjson", ".jsonl"].iter().any(|ending| name.ends_with(ending))
}

/// Returns whether a line has logrus's layout for terminals, colored or not: `INFO[0000] text`.
pub(super) fn is_terminal_line(line: &[u8]) -> bool {
    let mut rest = skip_color(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line));
    let Some((level, behind)) = rest.split_at_checked(4) else { return false };
    if !matches!(level, b"INFO" | b"WARN" | b"ERRO" | b"DEBU" | b"FATA" | b"PANI" | b"TRAC") {
        return false;
    }
    rest = skip_color(behind);
    let Some(clock) = rest.strip_prefix(b"[") else { return false };
    let in_clock = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'T' | b'Z' | b'+' | b'.');
    let length = clock.iter().take(48).take_while(|byte| in_clock(byte)).count();
    length > 0 && clock.get(length) == Some(&b']')
}

/// Returns the text after one escape sequence for colors.
fn skip_color(text: &[u8]) -> &[u8] {
    let Some(sequence) = text.strip_prefix(b"\x1b[") else { return text };
    let length = sequence.iter().take(16).take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
    if sequence.get(length) == Some(&b'm') { sequence.get(length + 1..).unwrap_or_default() } else { text }
}

#[cfg(test)]
mod tests;
