//! Journal files: the program's output compared with that of `journalctl`.

mod corruption;
mod filters;
mod follow;
#[cfg(feature = "libsystemd")]
mod libsystemd;
mod large_values;
mod limits;
mod live;
mod merge;
mod read;
mod resume;
mod seeds;
mod selection;
mod threads;
mod writer;

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rayon::iter::{IndexedParallelIterator as _, IntoParallelIterator as _, ParallelIterator as _};

use crate::support::journal::remote::{self, JournalPath};
use crate::support::journal::{Entry, Shape, compare, file, write};
use crate::support::{katalog, write_file};

/// Returns the program's output for these files with these arguments.
fn katalog_output(place: &JournalPath, arguments: &[&str]) -> Vec<u8> {
    let mut command = katalog();
    command.env("TZ", "UTC").args(arguments).args(place.paths());
    let output = run_with_timeout(&mut command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{command:?}: {errors}");
    output.stdout
}

/// Returns the export stream of the entries that these arguments select.
fn export(place: &JournalPath, arguments: &[&str]) -> Vec<u8> {
    katalog_output(place, &[&["--format", "export"], arguments].concat())
}

/// Runs a command that has to exit within half a minute.
fn run_with_timeout(command: &mut Command) -> Output {
    let (mut stdout, mut stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    command.stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
    let mut child = command.spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let content = |file: &mut File| {
        let mut content = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut content).unwrap();
        content
    };
    Output { status, stdout: content(&mut stdout), stderr: content(&mut stderr) }
}

/// Returns the differences between the program and `journalctl`, in both formats.
fn differences(name: &str, place: &JournalPath) -> Vec<String> {
    let exported = compare::export(&remote::export(place, &[]), &export(place, &[]));
    let json = compare::json(&remote::json(place), &katalog_output(place, &["--format", "journal-json"]));
    [("export", exported), ("JSON", json)]
        .into_iter()
        .filter_map(|(format, result)| Some(format!("{name}, {format}: {}", result.err()?)))
        .collect()
}

/// Fails if there are failures, and lists them.
fn assert_no_failures(failures: &[String]) {
    assert!(failures.is_empty(), "{} failures:\n\n{}", failures.len(), failures.join("\n\n"));
}

/// Runs a check on a file of every shape with every log. The check gets a name, the shape, the log and the file.
fn each_file(check: impl Fn(&str, &Shape, &[Entry], &JournalPath) -> Vec<String> + Sync) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs();
    shapes()
        .into_par_iter()
        .enumerate()
        .flat_map_iter(|(number, (name, shape))| {
            let mut failures = Vec::new();
            for (log, entries) in &logs {
                let path = write_file(folder.path(), format!("{number} {log}.journal"), file(&shape, entries));
                failures.extend(check(&format!("{log}, {name}"), &shape, entries, &JournalPath::file(path)));
            }
            failures
        })
        .collect()
}

/// Returns all shapes of a file, each with a name.
fn shapes() -> Vec<(String, Shape)> {
    let mut shapes = Vec::new();
    let codecs = [None, Some(write::Codec::Xz), Some(write::Codec::Lz4), Some(write::Codec::Zstd)];
    for compression in codecs.map(|codec| codec.map(|codec| (codec, 512))) {
        for (compact, keyed) in [(true, true), (true, false), (false, true), (false, false)] {
            shapes.push(Shape { compression, compact, keyed, ..Shape::default() });
        }
    }
    for codec in [write::Codec::Xz, write::Codec::Lz4, write::Codec::Zstd] {
        shapes.push(Shape { compression: Some((codec, 8)), ..Shape::default() });
    }
    for header_size in [208, 224, 240, 256, 272, 304] {
        shapes.push(Shape { header_size, compact: false, ..Shape::default() });
    }
    for state in [write::State::Online, write::State::Archived] {
        shapes.push(Shape { state, ..Shape::default() });
    }
    shapes.push(Shape { sealed: Some(3), ..Shape::default() });
    shapes.push(Shape { sealed: Some(1), compact: false, keyed: false, ..Shape::default() });
    shapes.push(Shape { buckets: (1, 1), ..Shape::default() });
    shapes.push(Shape { buckets: (2047, 333), array: Some(1), ..Shape::default() });
    shapes.push(Shape { array: Some(7), compact: false, ..Shape::default() });
    shapes.push(Shape { array: Some(100_000), ..Shape::default() });
    shapes.push(Shape { spare: 1 << 20, state: write::State::Online, ..Shape::default() });
    shapes.push(Shape { first_seqnum: u64::from(u32::MAX) + 1, machine_id: 0, ..Shape::default() });
    shapes.into_iter().map(|shape| (format!("{shape:?}"), shape)).collect()
}

/// Returns logs to write into files, each with a name.
fn logs() -> Vec<(&'static str, Vec<Entry>)> {
    use crate::support::journal::samples;
    vec![
        ("nothing", Vec::new()),
        ("one entry", samples::services(1)),
        ("boots that differ", samples::boots_that_differ()),
        ("a node", samples::node()),
        ("odd values", samples::odd()),
        ("hundreds of entries", samples::services(350)),
    ]
}
