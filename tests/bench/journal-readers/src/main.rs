//! Reads all fields of all entries of a journal through one library, and prints totals that are equal for equal
//! contents.
//!
//!     journal-readers ours|sdjournal|sdk|libsystemd FILE-OR-DIR [CUT-AFTER]
//!
//! With CUT-AFTER the program halves the file after this number of entries; 0 halves the file before it is opened.
//!
//! Each reader uses the public interface of its library that copies least, in one thread, with the default settings.

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Cuts leave whole pages, because the rest of a cut page reads as zeros through a mapping, which hides the cut.
const PAGE: u64 = 4096;

type Outcome = Result<(), Box<dyn Error>>;

/// A function that reads the journal at a path.
type Reader = fn(&Path, &mut Totals) -> Outcome;

const READERS: &[(&str, Reader)] = &[
    #[cfg(feature = "ours")]
    ("ours", ours),
    ("sdjournal", sdjournal),
    ("sdk", sdk),
    ("libsystemd", libsystemd),
];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some((reader, path, cut)) = parse(&arguments) else {
        let names: Vec<&str> = READERS.iter().map(|(name, _)| *name).collect();
        eprintln!("usage: journal-readers {} FILE-OR-DIR [CUT-AFTER]", names.join("|"));
        return ExitCode::from(64);
    };
    let mut totals = Totals { cut, ..Totals::default() };
    let outcome = totals.cut_if_due().map_err(Into::into).and_then(|()| reader(path, &mut totals));
    let Totals { entries, fields, bytes, checksum, .. } = totals;
    println!("{entries} entries, {fields} fields, {bytes} bytes, checksum {checksum:016x}");
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// Returns the reader, the path and the cut that the arguments ask for, or `None` if they are wrong.
fn parse(arguments: &[OsString]) -> Option<(Reader, &Path, Option<Cut>)> {
    let (reader, path, cut) = match arguments {
        [reader, path] => (reader, Path::new(path), None),
        [reader, path, after] => {
            let after = after.to_str()?.parse().ok()?;
            (reader, Path::new(path), Some(Cut { file: path.into(), after }))
        }
        _ => return None,
    };
    let (_, reader) = READERS.iter().find(|(name, _)| reader == name)?;
    Some((*reader, path, cut))
}

/// Reads with our own crate.
#[cfg(feature = "ours")]
fn ours(path: &Path, totals: &mut Totals) -> Outcome {
    let journal = journal_file::Journal::open(path)?;
    let mut entries = journal.entries();
    while let Some(entry) = entries.next()? {
        for (name, value) in entry.fields() {
            totals.add_field(name, value);
        }
        totals.end_entry()?;
    }
    for damaged in entries.damages() {
        eprintln!("{}: {}, first at byte {}", damaged.path.display(), damaged.reason.name(), damaged.offset);
    }
    Ok(())
}

/// Reads with sdjournal, which opens directories only: a file is linked into one of its own.
fn sdjournal(path: &Path, totals: &mut Totals) -> Outcome {
    let journal = if path.is_dir() {
        sdjournal::Journal::open_dir(path)?
    } else {
        let directory = path.with_extension("sdjournal");
        fs::create_dir(&directory)?;
        let journal = fs::hard_link(path, directory.join("system.journal"))
            .map_err(Box::<dyn Error>::from)
            .and_then(|()| Ok(sdjournal::Journal::open_dir(&directory)?));
        fs::remove_dir_all(&directory)?;
        journal?
    };
    for entry in journal.query().iter()? {
        for (name, value) in entry?.iter_fields() {
            totals.add_field(name.as_bytes(), value);
        }
        totals.end_entry()?;
    }
    Ok(())
}

/// Reads with systemd-journal-sdk; `visit_entry_payloads` lends the bytes that its `get_entry` copies.
fn sdk(path: &Path, totals: &mut Totals) -> Outcome {
    let mut reader = if path.is_dir() {
        journal::DirectoryReader::open(path)?
    } else {
        journal::DirectoryReader::open_files([path])?
    };
    while reader.next()? {
        reader.visit_entry_payloads(|payload| {
            if let Some(equals) = payload.iter().position(|byte| *byte == b'=') {
                totals.add_field(&payload[..equals], &payload[equals + 1..]);
            }
            Ok(())
        })?;
        totals.end_entry()?;
    }
    Ok(())
}

/// Reads with libsystemd. By default libsystemd may cut fields at 64 KiB; 0 lifts the limit.
fn libsystemd(path: &Path, totals: &mut Totals) -> Outcome {
    let absolute = std::path::absolute(path)?.as_os_str().as_bytes().to_vec();
    let mut journal = if path.is_dir() {
        systemd::journal::OpenDirectoryOptions::default().open_directory(absolute)?
    } else {
        systemd::journal::OpenFilesOptions::default().open_files([absolute])?
    };
    journal.set_data_threshold(0)?;
    while journal.next()? != 0 {
        journal.restart_data();
        while let Some(field) = journal.enumerate_data()? {
            totals.add_field(field.name(), field.value().unwrap_or_default());
        }
        totals.end_entry()?;
    }
    Ok(())
}

/// The totals of all that was read so far. The order of entries and fields does not matter.
#[derive(Default)]
struct Totals {
    entries: u64,
    fields: u64,
    bytes: u64,
    checksum: u64,
    cut: Option<Cut>,
}

/// A file to halve after some entries.
struct Cut {
    file: PathBuf,
    after: u64,
}

impl Totals {
    /// Adds a field of the current entry.
    #[inline]
    fn add_field(&mut self, name: &[u8], value: &[u8]) {
        self.fields += 1;
        self.bytes += (name.len() + value.len()) as u64;
        self.checksum = self.checksum.wrapping_add(mix(mix(0, name), value));
    }

    /// Counts the current entry, whose fields were added.
    #[inline]
    fn end_entry(&mut self) -> io::Result<()> {
        self.entries += 1;
        self.cut_if_due()
    }

    fn cut_if_due(&self) -> io::Result<()> {
        match &self.cut {
            Some(cut) if cut.after == self.entries => {
                let file = File::options().write(true).open(&cut.file)?;
                file.set_len(file.metadata()?.len() / 2 / PAGE * PAGE)
            }
            _ => Ok(()),
        }
    }
}

/// Mixes bytes into a hash, eight at a time: little work, but a wrong byte changes the result.
#[inline]
fn mix(hash: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let hash = step(hash, bytes.len() as u64);
    let (words, rest) = bytes.as_chunks::<8>();
    match bytes.last_chunk::<8>() {
        // The last word may overlap the one before it.
        Some(last) => words.iter().chain([last]).fold(hash, |hash, word| step(hash, u64::from_le_bytes(*word))),
        None => rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte))),
    }
}
