//! The files of the tests' own writer are correct: `journalctl` reads them as written, verifies them, and cannot tell
//! them from those of systemd's writer.

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::{assert_no_failures, each_file, logs};
use crate::support::journal::remote::{self, JournalPath, WriterOptions};
use crate::support::journal::{Shape, compare, exported, stream};

#[test]
fn journalctl_reads_what_was_written() {
    if remote::missing() {
        return;
    }
    assert_no_failures(&each_file(|name, shape, entries, place| {
        let mut failures = Vec::new();
        if let Err(difference) = compare::export(&exported(shape, entries), &remote::export(place, &[])) {
            failures.push(format!("{name}: {difference}"));
        }
        // A seal needs a key, and version 252 does not verify files of later versions.
        if shape.sealed.is_none() && shape.header_size < 272 {
            let output = remote::journalctl(place).arg("--verify").output().unwrap();
            if !output.status.success() {
                failures.push(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
            }
        }
        failures
    }));
}

#[test]
fn both_writers_store_the_same() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut logs = logs();
    logs.retain(|(name, _)| !["nothing", "boots that differ"].contains(name));
    let failures: Vec<String> = logs
        .par_iter()
        .flat_map_iter(|(log, entries)| {
            let folder = folder.path();
            WriterOptions::all().into_iter().filter_map(move |manner| {
                let path = folder.join(format!("{log} {manner:?}.journal"));
                remote::append(&path, &stream(entries), manner);
                let theirs = remote::export(&JournalPath::file(&path), &[]);
                // The id of their file is random, and only the id may differ.
                let id = compare::cursor(compare::entries(&theirs)[0]).get(2..34).unwrap();
                let seqnum_id = u128::from_str_radix(id, 16).unwrap();
                let ours = exported(&Shape { seqnum_id, ..Shape::default() }, entries);
                Some(format!("{log}, {manner:?}: {}", compare::export(&theirs, &ours).err()?))
            })
        })
        .collect();
    assert_no_failures(&failures);
}
