//! Holds records back until all are there, and hands them on in order of time.

use super::{Delivered, Delivery, End};
use crate::encode::Encoded;
use crate::report;
use crate::sort::{SortError, Sorter};

/// On the way to another delivery, which gets nothing before the end.
#[derive(Debug)]
pub struct Sorted {
    pub(super) inner: Delivery,
    /// The error is how it failed. Nothing is handed on then: what is there would pass for all there is.
    sorter: Result<Sorter, End>,
    /// Say that merging begins.
    verbose: bool,
}

impl Sorted {
    /// Sorts in so many bytes of memory and, where they are not enough, in files in the directory that TMPDIR names.
    #[must_use]
    pub fn new(inner: Delivery, memory: usize, verbose: bool) -> Sorted {
        let directory = Some(std::env::temp_dir()).filter(|directory| !directory.as_os_str().is_empty());
        let sorter = Sorter::new(memory, directory.unwrap_or_else(|| "/tmp".into()));
        Sorted { inner, sorter: Ok(sorter), verbose }
    }

    pub(super) fn begin_input(&mut self) {
        if let Ok(sorter) = &mut self.sorter {
            sorter.begin_input();
        }
    }

    pub(super) fn put(&mut self, out: &mut Encoded) -> Result<(), End> {
        let sorter = self.sorter.as_mut().map_err(|end| *end)?;
        debug_assert_eq!(out.rows.last().map_or(0, |row| row.end), out.bytes.len(), "all bytes are records");
        let pushed = out.records().try_for_each(|(record, time)| sorter.push(record, time));
        out.clear(usize::MAX);
        pushed.map_err(|error| {
            let end = said(&error);
            // Its files are not needed any more.
            self.sorter = Err(end);
            end
        })
    }

    pub(super) fn finish(self) -> Delivered {
        let Sorted { mut inner, sorter, verbose } = self;
        let handed_on = sorter.and_then(|sorter| hand_on(sorter, &mut inner, verbose));
        let mut delivered = inner.finish();
        delivered.end = delivered.end.or(handed_on.err());
        delivered
    }
}

/// Hands everything on, in pieces.
fn hand_on(sorter: Sorter, inner: &mut Delivery, verbose: bool) -> Result<(), End> {
    if verbose && sorter.spilled() > 0 {
        let (directory, size) = (sorter.directory().display(), sorter.spilled() >> 20);
        report::diagnostic(format_args!(
            "sort: merging; {size} MiB of records are in temporary files in \"{directory}\""
        ));
    }
    let mut merged = sorter.finish().map_err(|error| said(&error))?;
    let mut out = Encoded::default();
    while merged.fill(&mut out).map_err(|error| said(&error))? {
        inner.put(&mut out, None)?;
    }
    Ok(())
}

fn said(error: &SortError) -> End {
    report::diagnostic(format_args!("{error}"));
    End::Failed(error.exit())
}
