//! Lets katalog deliver a log file for a long time, while the file is rotated and the receiver goes away again and again.
//! Prints what the process needs in each interval, what arrived, and a verdict.

#![allow(clippy::unwrap_used, reason = "what cannot go on fails")]

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../support/forward/count.rs"]
mod count;
#[path = "../../support/forward/decompress.rs"]
mod decompress;
mod process;
mod receiver;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../support/forward/wire.rs"]
mod wire;
mod writer;

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Parser;

use process::{Sample, sample};
use receiver::{Arrived, Receiver};
use writer::Writer;

/// Delivers a rotated log file to a receiver that goes away, and measures memory, descriptors and CPU time of katalog.
#[derive(Parser)]
struct Options {
    /// Program to measure
    program: PathBuf,
    /// Duration
    #[arg(long, default_value_t = 30)]
    minutes: u32,
    /// Lines a second
    #[arg(long, default_value_t = 5000)]
    rate: u64,
    /// Seconds between rotations
    #[arg(long, default_value_t = 10)]
    rotation: u64,
    /// Rotated files that are kept
    #[arg(long, default_value_t = 2)]
    keep: usize,
    /// Seconds of each minute in which the receiver is away
    #[arg(long, default_value_t = 10)]
    away: u64,
    /// Seconds of an interval: a row of the table
    #[arg(long, default_value_t = 60)]
    interval: u64,
}

/// An interval of the run.
struct Row {
    written: u64,
    arrived: Arrived,
    /// The values at the end, and the largest memory and number of descriptors.
    end: Sample,
    most: Sample,
    cpu: Duration,
}

/// A measure of an interval that must not grow.
type Measure = fn(&Row) -> f64;

/// The second of each minute in which the receiver goes away.
const LEAVES: u64 = 30;

/// The time without arrivals after which missing lines count as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// The factor by which the last third of the run may exceed the first, and the descriptors that come and go.
const TOLERANCE: f64 = 1.25;
const SPARE_DESCRIPTORS: u64 = 4;

fn main() -> io::Result<ExitCode> {
    let options = Options::parse();
    let folder = tempfile::Builder::new().prefix("katalog-soak-").tempdir()?;
    let log = folder.path().join("kata-runtime.log");
    let mut writer = Writer::create(&log, options.rate, Duration::from_secs(options.rotation), options.keep)?;
    let receiver = Receiver::start()?;
    let errors = folder.path().join("errors");
    let mut program = Command::new(&options.program)
        .args(["ship", "--stats", "none", "--to", &format!("forward://{}", receiver.address())])
        .arg("--state-dir")
        .arg(folder.path().join("state"))
        .arg(&log)
        .stdin(Stdio::null())
        .stderr(File::create(&errors)?)
        .spawn()?;
    writer.start();
    let rows = watch(&options, &program, &writer, &receiver)?;
    let written = writer.stop();
    receiver.open(true);
    receiver.wait_for(written, PATIENCE);
    let status = stop(&mut program)?;
    let mut out = io::stdout();
    let arrived = receiver.arrived();
    let lost = written - arrived.lines;
    writeln!(
        out,
        "\n{written} lines written, {} arrived, {lost} lost, {} twice; exit {status:?}",
        arrived.lines, arrived.twice
    )?;
    let messages = std::fs::read_to_string(&errors)?;
    for word in ["cannot connect", "takes records again", "bytes are lost"] {
        writeln!(out, "messages with \"{word}\": {}", messages.lines().filter(|line| line.contains(word)).count())?;
    }
    let good = verdict(&mut out, &rows)? && lost == 0 && status == Some(0);
    writeln!(out, "{}", if good { "passed" } else { "FAILED" })?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Samples the program each second, lets the receiver leave and come back, and prints a row for each interval.
fn watch(options: &Options, program: &Child, writer: &Writer, receiver: &Receiver) -> io::Result<Vec<Row>> {
    let mut out = io::stdout();
    writeln!(
        out,
        "| minute | lines written | arrived | twice | behind | RSS, MiB | most | descriptors | most | CPU, s |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|---|")?;
    let (start, mut rows, mut most) = (Instant::now(), Vec::new(), Sample::default());
    let mut before = sample(program.id())?;
    for second in 1..=u64::from(options.minutes) * 60 {
        std::thread::sleep((start + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
        let of_minute = second % 60;
        receiver.open(!(LEAVES..LEAVES + options.away).contains(&of_minute));
        let now = sample(program.id())?;
        most = Sample {
            memory: most.memory.max(now.memory),
            descriptors: most.descriptors.max(now.descriptors),
            cpu: now.cpu,
        };
        if second % options.interval == 0 {
            let (written, arrived) = (writer.written().load(Ordering::Acquire), receiver.arrived());
            let row = Row { written, arrived, end: now, most, cpu: now.cpu.saturating_sub(before.cpu) };
            write_row(&mut out, second as f64 / 60.0, &row)?;
            rows.push(row);
            (before, most) = (now, Sample::default());
        }
    }
    Ok(rows)
}

fn write_row(out: &mut impl Write, minute: f64, row: &Row) -> io::Result<()> {
    let Row { written, arrived: Arrived { lines, twice }, end, most, cpu } = row;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let behind = written.saturating_sub(*lines);
    let (rss, rss_most, descriptors, fd_most) = (mib(end.memory), mib(most.memory), end.descriptors, most.descriptors);
    writeln!(
        out,
        "| {minute:.1} | {written} | {lines} | {twice} | {behind} | {rss:.1} | {rss_most:.1} | {descriptors} | {fd_most} | {:.2} |",
        cpu.as_secs_f64()
    )?;
    out.flush()
}

/// Ends the program as systemd does. Returns its exit code.
fn stop(program: &mut Child) -> io::Result<Option<i32>> {
    if let Some(pid) = rustix::process::Pid::from_raw(program.id().cast_signed()) {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    }
    Ok(program.wait()?.code())
}

/// Compares the last third of the run with the first, without its first interval, in which buffers grow. Returns true if
/// nothing has grown.
fn verdict(out: &mut impl Write, rows: &[Row]) -> io::Result<bool> {
    let rows = rows.get(1..).unwrap_or_default();
    let third = rows.len() / 3;
    if third == 0 {
        writeln!(out, "too few intervals for a comparison")?;
        return Ok(true);
    }
    let (first, last) = (&rows[..third], &rows[rows.len() - third..]);
    let mut is_flat = true;
    let measures: [(&str, Measure, f64); 3] = [
        ("memory, MiB", |row| row.most.memory as f64 / f64::from(1 << 20), 0.0),
        ("descriptors", |row| row.most.descriptors as f64, SPARE_DESCRIPTORS as f64),
        ("CPU seconds of an interval", |row| row.cpu.as_secs_f64(), 0.0),
    ];
    for (name, of, spare) in measures {
        let [first, last] = [first, last].map(|rows| median(rows.iter().map(of).collect()));
        let flat = last <= first * TOLERANCE + spare;
        let result = if flat { "flat" } else { "NOT FLAT" };
        writeln!(out, "{name}: median {first:.2} in the first third, {last:.2} in the last: {result}")?;
        is_flat &= flat;
    }
    Ok(is_flat)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
