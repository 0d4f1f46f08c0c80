//! The files of the tests' own writer are what they are meant to be: `journalctl` reads them as written, finds them
//! sound, and cannot tell them from those of systemd's writer.

use rayon::iter::{
    IndexedParallelIterator as _, IntoParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _,
};

use super::{logs, none, put, shapes};
use crate::support::journal::remote::{self, Manner, Place};
use crate::support::journal::{Shape, compare, exported, file, stream};

#[test]
fn journalctl_reads_what_was_written() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let logs = logs();
    let failures: Vec<String> = shapes()
        .into_par_iter()
        .enumerate()
        .flat_map_iter(|(number, (name, shape))| {
            let mut failures = Vec::new();
            for (log, entries) in &logs {
                let path = put(folder.path(), format!("{number} {log}.journal"), &file(&shape, entries));
                let read = remote::export(&Place::file(&path), &[]);
                if let Err(difference) = compare::export(&exported(&shape, entries), &read) {
                    failures.push(format!("{log}, {name}: {difference}"));
                }
                // A seal needs a key, and version 252 does not verify files of later versions.
                if shape.sealed.is_none() && shape.header_size < 272 {
                    let mut verify = remote::journalctl(&Place::file(&path));
                    let output = verify.arg("--verify").output().unwrap();
                    if !output.status.success() {
                        failures.push(format!("{log}, {name}: {}", String::from_utf8_lossy(&output.stderr)));
                    }
                }
            }
            failures
        })
        .collect();
    none(&failures);
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
            Manner::all().into_iter().filter_map(move |manner| {
                let path = folder.join(format!("{log} {manner:?}.journal"));
                remote::append(&path, &stream(entries), manner);
                let theirs = remote::export(&Place::file(&path), &[]);
                // Their file has a random id, and it is all that may differ.
                let id = compare::cursor(compare::entries(&theirs)[0]).get(2..34).unwrap();
                let seqnum_id = u128::from_str_radix(id, 16).unwrap();
                let ours = exported(&Shape { seqnum_id, ..Shape::default() }, entries);
                Some(format!("{log}, {manner:?}: {}", compare::export(&theirs, &ours).err()?))
            })
        })
        .collect();
    none(&failures);
}
