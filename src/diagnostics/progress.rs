//! Shows the progress of a run on standard error: a bar on a terminal, lines elsewhere. The run does not depend on it.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::style::ProgressTracker;
use indicatif::{FormattedDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use kata_records::visible::escape;

use super::inputs::{DEFAULT_WIDTH, InputSummary, shortened};
use super::{report, size};

/// The display of progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressMode {
    /// No display.
    #[default]
    Off,
    /// A bar on the terminal, if the size of every input is known.
    Auto,
    /// A bar on the terminal.
    Display,
    /// A line at intervals, and a line after each input.
    Lines,
}

/// The time between two lines.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The templates of the bar, with and without known sizes. Both fit into 80 columns.
const TEMPLATE_WITH_TOTAL: &str =
    "{wide_msg} {entries}\n{percent:>3}% [{wide_bar}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
const TEMPLATE_WITHOUT_TOTAL: &str = "{wide_msg} {entries}\n{bytes}, {bytes_per_sec}, {elapsed_precise}";

/// The bar on the terminal, which messages suspend.
static DRAWN_BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Prints while the bar is suspended.
pub(super) fn suspend_bar(print: impl FnOnce()) {
    let drawn = DRAWN_BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match drawn {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Returns the number of columns of standard error, for tables.
pub(super) fn width() -> usize {
    columns(io::stderr()).max(DEFAULT_WIDTH)
}

/// Returns the number of columns of a terminal, and a usual number if they are not known.
#[must_use]
pub fn columns(terminal: impl AsFd) -> usize {
    match rustix::termios::tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => DEFAULT_WIDTH,
    }
}

/// The progress of a run.
#[derive(Debug)]
pub struct Progress {
    /// `None` if nothing is shown.
    active: Option<ActiveProgress>,
}

#[derive(Debug)]
struct ActiveProgress {
    /// Computes rate and remaining time, and draws.
    bar: ProgressBar,
    /// The size of each input on disk, in bytes.
    sizes: Vec<Option<u64>>,
    /// The number of finished inputs, and their bytes and entries.
    finished_inputs: usize,
    finished_bytes: u64,
    finished_entries: u64,
    /// The name of the current input.
    name: String,
    /// The number of entries of all inputs, shared with the bar.
    entries_read: Arc<AtomicU64>,
    /// The time of the last line. `None` with a bar.
    last_line: Option<Instant>,
}

impl Progress {
    /// Starts the display. `sizes` returns the size of each input on disk in bytes, or `None` if it is not known.
    #[must_use]
    pub fn new(mode: ProgressMode, sizes: impl FnOnce() -> Vec<Option<u64>>) -> Progress {
        if mode == ProgressMode::Off {
            return Progress { active: None };
        }
        let sizes = sizes();
        let total: Option<u64> = sizes.iter().copied().sum();
        let drawn = match mode {
            ProgressMode::Auto if total.is_none() => return Progress { active: None },
            ProgressMode::Off | ProgressMode::Lines => false,
            ProgressMode::Auto | ProgressMode::Display => true,
        };
        let entries_read = Arc::<AtomicU64>::default();
        let template = if total.is_some() { TEMPLATE_WITH_TOTAL } else { TEMPLATE_WITHOUT_TOTAL };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.progress_chars("=> ").with_key("entries", Entries(Arc::clone(&entries_read)));
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()).with_style(style);
        if drawn {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            *DRAWN_BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        }
        let last_line = (!drawn).then(Instant::now);
        let name = String::new();
        Progress {
            active: Some(ActiveProgress {
                bar,
                sizes,
                finished_inputs: 0,
                finished_bytes: 0,
                finished_entries: 0,
                name,
                entries_read,
                last_line,
            }),
        }
    }

    /// Returns true if progress is shown.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.active.is_some()
    }

    /// Begins an input.
    pub fn begin(&mut self, name: &str) {
        let Some(active) = &mut self.active else { return };
        active.name = escape(name.as_bytes()).into_owned();
        if active.last_line.is_none() {
            let place = match active.sizes.len() {
                0 | 1 => String::new(),
                inputs => format!(" ({} of {inputs})", active.finished_inputs + 1),
            };
            // The number of entries follows the name.
            let room = width().saturating_sub(place.len() + " 12345678901 entries".len());
            active.bar.set_message(shortened(&active.name, room) + &place);
            active.bar.tick();
        }
    }

    /// Updates the progress in the input: bytes on disk, if they are known, and entries.
    pub fn update(&mut self, done: Option<u64>, entries: u64) {
        let Some(active) = &mut self.active else { return };
        active.entries_read.store(active.finished_entries + entries, Ordering::Relaxed);
        if let Some(done) = done {
            let size = active.sizes.get(active.finished_inputs).copied().flatten().unwrap_or(u64::MAX);
            active.bar.set_position(active.finished_bytes + done.min(size));
        }
        if let Some(last) = active.last_line.filter(|last| last.elapsed() >= LINE_INTERVAL) {
            let (elapsed, left) = (active.bar.elapsed(), active.bar.eta());
            let line = active.line(elapsed - (Instant::now() - last).min(elapsed), left);
            report(format_args!("{line}"));
            active.last_line = Some(Instant::now());
        }
    }

    /// Ends an input.
    pub fn end(&mut self, input: &InputSummary) {
        let Some(active) = &mut self.active else { return };
        let size = active.sizes.get(active.finished_inputs).copied().flatten();
        active.finished_bytes = size.map_or(active.bar.position(), |size| active.finished_bytes + size);
        active.finished_inputs += 1;
        active.finished_entries += input.stats.read;
        active.entries_read.store(active.finished_entries, Ordering::Relaxed);
        active.bar.set_position(active.finished_bytes);
        if active.last_line.is_some() {
            let (finished, all) = (active.finished_inputs, active.sizes.len());
            let failed = if input.failures.is_empty() { "" } else { ", failed" };
            report(format_args!(
                "progress: {finished} of {all} inputs, {}: {}: {} entries, {} records{failed}",
                active.share(),
                active.name,
                input.stats.read,
                input.stats.written
            ));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(active) = &self.active {
            *DRAWN_BAR.lock().unwrap_or_else(PoisonError::into_inner) = None;
            active.bar.finish_and_clear();
        }
    }
}

impl ActiveProgress {
    /// Returns the share of all inputs that is read.
    fn share(&self) -> String {
        match self.bar.length() {
            Some(all) => {
                let percent = (u128::from(self.bar.position()) * 100).checked_div(all.into()).unwrap_or(100);
                format!("{percent}% of {}", size(all))
            }
            None => size(self.bar.position()),
        }
    }

    /// Returns the line that is printed at intervals.
    fn line(&self, elapsed: Duration, left: Duration) -> String {
        let entries = self.entries_read.load(Ordering::Relaxed);
        let rate = size((self.bar.position() as f64 / elapsed.as_secs_f64().max(0.001)) as u64);
        let left = match self.bar.length() {
            Some(_) => format!(", {} left", FormattedDuration(left)),
            None => String::new(),
        };
        format!("progress: {}, {entries} entries, {rate}/s{left}; reading {}", self.share(), self.name)
    }
}

/// The number of entries, as a key of the bar.
#[derive(Clone)]
struct Entries(Arc<AtomicU64>);

impl ProgressTracker for Entries {
    fn clone_box(&self) -> Box<dyn ProgressTracker> {
        Box::new(self.clone())
    }

    fn tick(&mut self, _: &ProgressState, _: Instant) {}

    fn reset(&mut self, _: &ProgressState, _: Instant) {}

    fn write(&self, _: &ProgressState, out: &mut dyn std::fmt::Write) {
        let _ = write!(out, "{} entries", self.0.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sizes: Vec<Option<u64>>) -> Progress {
        Progress::new(ProgressMode::Lines, || sizes)
    }

    #[test]
    fn sizes_that_are_not_known_are_shown_only_where_asked_for() {
        for (mode, expected) in [(ProgressMode::Off, false), (ProgressMode::Auto, false), (ProgressMode::Lines, true)] {
            assert_eq!(Progress::new(mode, || vec![Some(1), None]).is_shown(), expected, "{mode:?}");
        }
        assert!(!Progress::new(ProgressMode::Off, || unreachable!("nobody looks at sizes")).is_shown());
    }

    #[test]
    fn a_line_says_how_much_is_read_and_how_long_it_takes() {
        let mut progress = shown(vec![Some(3 << 20), Some(1 << 20)]);
        progress.begin("a");
        progress.update(Some(2 << 20), 1000);
        let line = |progress: &Progress| {
            progress.active.as_ref().unwrap().line(Duration::from_secs(2), Duration::from_secs(62))
        };
        assert_eq!(line(&progress), "progress: 50% of 4.0 MiB, 1000 entries, 1.0 MiB/s, 00:01:02 left; reading a");
        let mut summary = InputSummary::new("a".to_owned());
        summary.stats.read = 1500;
        progress.end(&summary);
        progress.begin("b\x1b\n");
        assert_eq!(
            line(&progress),
            "progress: 75% of 4.0 MiB, 1500 entries, 1.5 MiB/s, 00:01:02 left; reading b\\x1b\\n"
        );
        // The input has grown since the start.
        progress.update(Some(5 << 20), 7);
        assert!(line(&progress).starts_with("progress: 100% of 4.0 MiB, 1507 entries,"), "{}", line(&progress));
    }

    #[test]
    fn without_sizes_there_is_no_share_and_no_time_left() {
        let mut progress = shown(vec![None]);
        progress.begin("-");
        progress.update(Some(1 << 20), 3);
        let line = progress.active.as_ref().unwrap().line(Duration::from_secs(1), Duration::ZERO);
        assert_eq!(line, "progress: 1.0 MiB, 3 entries, 1.0 MiB/s; reading -");
    }
}
