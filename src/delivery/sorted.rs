//! Holds records back until all are there, and hands them on in order of time.

use super::{Delivered, Delivery, End, Ended};
use crate::delivery::sort::{SortError, Sorter};
use crate::diagnostics;
use crate::source::Group;
use crate::source::position::Position;
use kata_records::encode::{Encoded, Parts, Row};

/// On the way to another delivery, which gets nothing before the end.
#[derive(Debug)]
pub struct Sorted {
    inner: Box<dyn Delivery>,
    /// The error is how it failed. Nothing is handed on then: what is there would pass for all there is.
    sorter: Result<Sorter, End>,
    /// The parts of the output that records belong into, and those of the batch at hand by these numbers.
    parts: Parts,
    of_batch: Vec<u32>,
    /// The inputs so far, and how each ended.
    inputs: Vec<(Group, Ended)>,
    /// Say that merging begins.
    verbose: bool,
}

impl Sorted {
    /// Sorts in so many bytes of memory and, where they are not enough, in files in the directory that TMPDIR names.
    #[must_use]
    pub fn new(inner: Box<dyn Delivery>, memory: usize, verbose: bool) -> Sorted {
        let directory = Some(std::env::temp_dir()).filter(|directory| !directory.as_os_str().is_empty());
        let sorter = Sorter::new(memory, directory.unwrap_or_else(|| "/tmp".into()));
        Sorted { inner, sorter: Ok(sorter), parts: Parts::default(), of_batch: Vec::new(), inputs: Vec::new(), verbose }
    }
}

impl Delivery for Sorted {
    fn begin_input(&mut self, input: &Group) -> bool {
        if let Ok(sorter) = &mut self.sorter {
            sorter.begin_input();
        }
        self.inputs.push((input.clone(), Ended::default()));
        true
    }

    fn end_input(&mut self, ended: Ended) -> Result<(), End> {
        if let Some((_, last)) = self.inputs.last_mut() {
            *last = ended;
        }
        Ok(())
    }

    /// Ignores the position: nothing is delivered before the end, so there is none to save.
    fn deliver(&mut self, out: &mut Encoded, _position: Option<Position>) -> Result<(), End> {
        let sorter = self.sorter.as_mut().map_err(|end| *end)?;
        debug_assert_eq!(out.rows.last().map_or(0, |row| row.end), out.bytes.len(), "all bytes are records");
        self.of_batch.clear();
        self.of_batch.extend(out.parts.names().iter().map(|name| self.parts.number(name)));
        let part = |row: &Row| self.of_batch.get(row.part as usize).copied().unwrap_or_default();
        let pushed = out.records().try_for_each(|(record, row)| sorter.push(record, row.time, part(row)));
        out.clear(usize::MAX);
        pushed.map_err(|error| {
            let end = said(&error);
            // Its files are not needed any more.
            self.sorter = Err(end);
            end
        })
    }

    fn idle(&mut self) {
        self.inner.idle();
    }

    fn flush(&mut self) {
        self.inner.flush();
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn finish(self: Box<Self>) -> Delivered {
        let Sorted { mut inner, sorter, parts, inputs, verbose, .. } = *self;
        let handed_on = sorter.and_then(|sorter| {
            // It takes no other input before it has all records: to it they come from all of them at once.
            if inputs.iter().all(|(input, _)| inner.begin_input(input)) {
                hand_on(sorter, &parts, inner.as_mut(), verbose)?;
            }
            inputs.into_iter().try_for_each(|(_, ended)| inner.end_input(ended))
        });
        let mut delivered = inner.finish();
        delivered.end = delivered.end.or(handed_on.err());
        delivered
    }
}

/// Hands everything on, in pieces.
fn hand_on(sorter: Sorter, parts: &Parts, inner: &mut dyn Delivery, verbose: bool) -> Result<(), End> {
    if verbose && sorter.spilled() > 0 {
        let (directory, size) = (sorter.directory().display(), sorter.spilled() >> 20);
        diagnostics::report(format_args!(
            "sort: merging; {size} MiB of records are in temporary files in \"{directory}\""
        ));
    }
    let mut merged = sorter.finish().map_err(|error| said(&error))?;
    let mut out = Encoded::default();
    while merged.fill(&mut out).map_err(|error| said(&error))? {
        let Encoded { rows, parts: of_piece, .. } = &mut out;
        for row in rows {
            row.part = parts.names().get(row.part as usize).map_or(0, |name| of_piece.number(name));
        }
        inner.deliver(&mut out, None)?;
    }
    Ok(())
}

fn said(error: &SortError) -> End {
    diagnostics::report(format_args!("{error}"));
    End::Failed(error.exit())
}
