//! The worker in memory, beside crate `logfmt`. The name of a bench holds a hash of its sample, so that figures of
//! different samples are never compared.

#![expect(missing_docs, reason = "criterion's macros make public items")]

use std::hash::Hasher as _;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kata_records::{Batch, Chunk, Rules, Worker};
use katalog::config::{Command, Config, Layers, Options, Surroundings};
use katalog::source::{self, Input};
use siphasher::sip::SipHasher13;

const SAMPLES: &[&str] = &["logfmt-file.log", "runtime-json.json", "slog-json.json", "node.ndjson", "console.log"];

fn sample(name: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/inputs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn id(stage: &str, name: &str, bytes: &[u8]) -> String {
    let mut hash = SipHasher13::new();
    hash.write(bytes);
    let hash = hash.finish();
    format!("{stage}/{name}-{:04x}", hash as u16)
}

/// Parses the lines of a file by crate `logfmt`, which reads pairs into strings of its own and makes no records.
fn baseline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("baseline");
    let bytes = sample("logfmt-file.log");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function(id("crate-logfmt", "logfmt-file.log", &bytes), |bencher| {
        bencher.iter(|| {
            for line in text.lines() {
                black_box(logfmt::parse(line));
            }
        });
    });
    group.finish();
}

/// Runs everything from framed input to encoded records, with the defaults.
fn whole(criterion: &mut Criterion) {
    let nowhere = Surroundings { cores: 1, ..Surroundings::default() };
    let config = Options::new(Command::Print, Vec::new(), Layers::default())
        .and_then(|options| Config::new(&options, nowhere))
        .unwrap_or_else(|error| panic!("{error}"));
    let rules = Rules::new(&config.records).unwrap_or_else(|error| panic!("{error}"));
    let mut group = criterion.benchmark_group("whole");
    for name in SAMPLES {
        let bytes = sample(name);
        let input = Input::from(std::path::PathBuf::from(*name));
        let mut source =
            source::from_reader(Box::new(std::io::Cursor::new(bytes.clone())), input, false, &config.source);
        let mut batch = Batch::default();
        source.fill(&mut batch).into_result().unwrap_or_else(|error| panic!("{error}"));
        let mut worker = Worker::new(&rules);
        let mut chunk = Chunk::default();
        let mut run = || {
            worker.run(&batch, &mut chunk);
            chunk.out.bytes.clear();
        };
        // Until the buffers have grown to the size of the batch.
        for _ in 0..8 {
            run();
        }
        let entries = batch.len() as u64;
        let allocated = allocation_counter::measure(&mut run).count_total;
        assert_eq!(allocated, 0, "{name}: the steady state allocates, {allocated} times in {entries} entries");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(id("ndjson", name, &bytes), |bencher| bencher.iter(&mut run));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = baseline, whole
}
criterion_main!(benches);
