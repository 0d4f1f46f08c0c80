//! The program as a function from bytes to records, with chosen read sizes. Tests and fuzz targets share this code.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kata_records::filter::FilterState;
use kata_records::findings::Errors;
use kata_records::{Batch, Chunk, Rules, Stats, Worker};
use katalog::cli::{self, Request};
use katalog::config::{Config, Layers, Options, Surroundings};
use katalog::delivery::FileDelivery;
use katalog::delivery::checkpoint::Checkpoint;
use katalog::run;
use katalog::service::signals::Signals;
use katalog::service::status::Status;
use katalog::sink::Output;
use katalog::source::{self, Fill, Group, Input, Source, SourceError};
use katalog::view::View;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// A configuration that many runs share.
pub struct Setup {
    config: Config,
    rules: Rules,
}

/// The sizes of the reads, and the number of workers.
#[derive(Clone, Debug)]
pub struct Cuts {
    /// Sizes of the reads, repeated; if empty, a read takes all it can.
    pub reads: Vec<usize>,
    /// A short read means that the next one may wait.
    pub live: bool,
    /// Target size of a batch, in bytes.
    pub block: usize,
    /// Workers that take the batches in turn.
    pub workers: usize,
}

impl Cuts {
    /// Returns one worker and unlimited reads.
    pub fn whole() -> Cuts {
        Cuts { reads: Vec::new(), live: false, block: 256 << 10, workers: 1 }
    }
}

/// The output, and the counters.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// All bytes for the sink.
    pub bytes: Vec<u8>,
    /// The statistics as the program prints them.
    pub stats: Value,
    /// True if the input was compressed and could not be decompressed to its end.
    pub damaged: bool,
}

impl Outcome {
    /// Returns true if one input may give both outcomes, depending on the read sizes. In a damaged input, these affect
    /// the number of bytes that zstd or gzip still decode before the damage. Then the lines of one outcome begin with
    /// those of the other. Only its last record may be cut.
    pub fn is_like(&self, other: &Outcome) -> bool {
        let (short, long) = if self.bytes.len() < other.bytes.len() { (self, other) } else { (other, self) };
        self == other || self.damaged && other.damaged && long.bytes.starts_with(without_last_line(&short.bytes))
    }
}

/// Returns lines without the last one.
pub fn without_last_line(lines: &[u8]) -> &[u8] {
    let line_ends = lines.strip_suffix(b"\n").unwrap_or(lines).iter().rposition(|byte| *byte == b'\n');
    &lines[..line_ends.map_or(0, |end| end + 1)]
}

/// Returns the configuration of these words after `katalog`, on one core and without environment and files.
pub fn config(arguments: &[&str]) -> Config {
    let words: Vec<OsString> = ["katalog"].iter().chain(arguments).map(OsString::from).collect();
    let Ok(Request::Run(invocation)) = cli::read(&words) else { panic!("{arguments:?} cannot be run") };
    let layers = Layers { flags: invocation.flags, ..Layers::default() };
    let nowhere = Surroundings { cores: 1, ..Surroundings::default() };
    Options::new(invocation.command, invocation.inputs, layers)
        .and_then(|options| Config::new(&options, nowhere))
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

impl Setup {
    /// Creates the configuration of these words after `katalog`.
    pub fn new(arguments: &[&str]) -> Setup {
        let config = config(arguments);
        let rules = Rules::new(&config.records).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        Setup { config, rules }
    }

    /// Runs the program over the bytes.
    pub fn run(&self, bytes: &[u8], cuts: &Cuts) -> Outcome {
        let settings = source::Settings { block: cuts.block, ..self.config.source.clone() };
        let reader = Box::new(Pieces { bytes: bytes.to_vec(), at: 0, reads: cuts.reads.clone(), turn: 0 });
        let mut source = source::from_reader(reader, Input::Stdin, cuts.live, &settings);
        self.drain(source.as_mut(), cuts)
    }

    /// Runs the program over a journal file. Only the batch size and the workers of the cuts apply.
    pub fn run_journal(&self, path: &Path, cuts: &Cuts) -> Outcome {
        let (mut source, _) = source::open_journals(&[path.to_owned()], &self.config.journal, cuts.block, &self.rules);
        self.drain(source.as_mut(), cuts)
    }

    /// Runs the program over journal files on this many threads. `block`, the target size of a batch in bytes, also
    /// sets the number of entries in a file slice.
    pub fn run_journals(&self, paths: &[PathBuf], block: usize, threads: usize) -> Outcome {
        let mut config = self.config.clone();
        (config.source.block, config.output.threads) = (block, Some(threads));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let output = Output::open(Some(&path), false, &[]).unwrap();
        let delivery = Box::new(FileDelivery::new(
            output,
            config.records.encode.format,
            config.delivery.limits,
            Checkpoint::forgetful(),
        ));
        let groups = [Group::Journal(paths.to_vec())];
        let plan = run::Plan::new(&config, &[], &self.rules, &groups);
        let outcome = run::run(&plan, delivery, &Signals::default(), &Status::default());
        let mut stats = Vec::new();
        katalog::diagnostics::write_stats(
            &outcome.stats,
            &outcome.errors,
            katalog::diagnostics::StatsFormat::Json,
            &mut stats,
        )
        .unwrap();
        Outcome { bytes: fs::read(&path).unwrap(), stats: serde_json::from_slice(&stats).unwrap(), damaged: false }
    }

    fn drain(&self, source: &mut dyn Source, cuts: &Cuts) -> Outcome {
        let worker = |_| Worker::new(&self.rules);
        let mut workers: Vec<_> = (0..cuts.workers.max(1)).map(worker).collect();
        let mut batch = Batch::default();
        let (mut bytes, mut counted) = (Vec::new(), Stats::default());
        let mut state = FilterState::default();
        let mut damaged = false;
        for turn in 0.. {
            let fill = source.fill(&mut batch).into_result();
            damaged |= matches!(fill, Err(SourceError::Damaged { .. }));
            let worker = turn % workers.len();
            let mut chunk = Chunk::default();
            workers[worker].run(&batch, &mut chunk);
            chunk.resolve(&mut state, &batch.file);
            bytes.append(&mut chunk.out.bytes);
            counted.merge(&chunk.stats);
            // Undecodable data ends the input; the output before it counts.
            if !matches!(fill, Ok(Fill::More | Fill::Idle)) {
                break;
            }
        }
        let mut stats = Vec::new();
        let errors = Errors::default();
        katalog::diagnostics::write_stats(&counted, &errors, katalog::diagnostics::StatsFormat::Json, &mut stats)
            .unwrap();
        Outcome { bytes: self.shown(bytes), stats: serde_json::from_slice(&stats).unwrap(), damaged }
    }

    /// Returns records as the output shows them.
    fn shown(&self, records: Vec<u8>) -> Vec<u8> {
        let Some(settings) = &self.config.view else { return records };
        let mut lines = Vec::new();
        View::new(settings).render(&records, &mut lines);
        lines
    }

    /// Returns the records of an input that is read at once.
    pub fn records(&self, bytes: &[u8]) -> Vec<Record> {
        records(&self.run(bytes, &Cuts::whole()).bytes)
    }
}

/// A reader that returns chosen sizes.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    reads: Vec<usize>,
    turn: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.bytes[self.at..];
        let wanted = self.reads.get(self.turn % self.reads.len().max(1)).copied().unwrap_or(usize::MAX).max(1);
        let size = wanted.min(rest.len()).min(buffer.len());
        buffer[..size].copy_from_slice(&rest[..size]);
        self.at += size;
        self.turn += 1;
        Ok(size)
    }
}

/// One line of output: an object without duplicate keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Record(pub Vec<(String, Value)>);

impl Record {
    /// Returns the value under a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Returns the text under a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// Returns the original bytes of the text under a key: if the record marks it as not UTF-8, `\xHH` is a byte and
    /// `\\` a backslash.
    pub fn bytes(&self, key: &str) -> Option<Vec<u8>> {
        let text = self.text(key)?.as_bytes();
        let escaped = self.get("kata_escaped").and_then(Value::as_array);
        if !escaped.is_some_and(|keys| keys.iter().any(|name| name == key)) {
            return Some(text.to_vec());
        }
        let mut bytes = Vec::new();
        let mut rest = text;
        while let [first, behind @ ..] = rest {
            rest = match behind {
                [b'\\', behind @ ..] if *first == b'\\' => {
                    bytes.push(b'\\');
                    behind
                }
                [b'x', high, low, behind @ ..] if *first == b'\\' => {
                    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
                    bytes.push(digit(*high) << 4 | digit(*low));
                    behind
                }
                _ => {
                    assert_ne!(*first, b'\\', "{key} is listed as escaped and has a backslash that is not");
                    bytes.push(*first);
                    behind
                }
            };
        }
        Some(bytes)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Record, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Record;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, Value>()? {
                    fields.push(field);
                }
                Ok(Record(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Parses the records of an output in JSON.
///
/// # Panics
/// If a line is not a JSON object or has a key twice.
pub fn records(output: &[u8]) -> Vec<Record> {
    let lines = output.strip_suffix(b"\n").unwrap_or_else(|| {
        assert!(output.is_empty(), "the last line has no end");
        output
    });
    if lines.is_empty() {
        return Vec::new();
    }
    let mut records = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let record: Record =
            serde_json::from_slice(line).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)));
        let mut keys = HashSet::new();
        for (key, _) in &record.0 {
            assert!(keys.insert(key), "{key} comes twice: {}", String::from_utf8_lossy(line));
        }
        records.push(record);
    }
    records
}
