//! Single files: every shape, every option of systemd's writer, real files; all entries, all bytes, in both formats.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rayon::iter::{
    IndexedParallelIterator as _, IntoParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _,
};

use super::{assert_no_failures, differences, each_file, export, katalog_output, logs, shapes, write_file};
use crate::support::journal::remote::{self, JournalPath, WriterOptions};
use crate::support::journal::write::header;
use crate::support::journal::{Shape, compare, damage, exported, file, stream};

#[test]
fn every_shape_is_read_as_it_was_written() {
    assert_no_failures(&each_file(|name, shape, entries, place| {
        let difference = compare::export(&exported(shape, entries), &export(place, &[])).err();
        difference.map(|difference| format!("{name}: {difference}")).into_iter().collect()
    }));
}

#[test]
fn json_is_that_of_journalctl() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let logs = logs();
    let failures: Vec<String> = shapes()
        .into_par_iter()
        .enumerate()
        .flat_map_iter(|(number, (name, shape))| {
            // The shape does not affect the encoding of values, so each shape gets one of the logs.
            let (log, entries) = &logs[number % logs.len()];
            let place =
                JournalPath::file(write_file(folder.path(), format!("{number}.journal"), file(&shape, entries)));
            let difference =
                compare::json(&remote::json(&place), &katalog_output(&place, &["--format", "journal-json"]));
            difference.err().map(|difference| format!("{log}, {name}: {difference}"))
        })
        .collect();
    assert_no_failures(&failures);
}

#[test]
fn what_systemd_writes_is_read_as_journalctl_reads_it() {
    if remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let failures: Vec<String> = logs()
        .par_iter()
        .filter(|(_, entries)| !entries.is_empty())
        .flat_map_iter(|(log, entries)| {
            let folder = folder.path();
            WriterOptions::all().into_iter().flat_map(move |manner| {
                let name = format!("{log}, {manner:?}");
                let path = folder.join(format!("{name}.journal"));
                remote::append(&path, &stream(entries), manner);
                let mut failures = differences(&name, &JournalPath::file(&path));
                // As if the writer was killed, or has the file open.
                let mut bytes = fs::read(&path).unwrap();
                bytes[header::STATE] = 1;
                fs::write(&path, bytes).unwrap();
                failures.extend(differences(&format!("{name}, online"), &JournalPath::file(path)));
                failures
            })
        })
        .collect();
    assert_no_failures(&failures);
}

#[test]
fn real_files_lose_nothing() {
    let files = real_files();
    if files.is_empty() || remote::missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = files.iter().map(|path| unpacked(path, folder.path())).collect();
    let failures: Vec<String> = paths
        .par_iter()
        .flat_map_iter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            let place = JournalPath::file(path);
            let promised = damage::number(&fs::read(path).unwrap(), header::N_ENTRIES) as usize;
            let theirs = remote::readable_entries(path);
            if compare::entries(&theirs).len() == promised {
                return differences(&name, &place);
            }
            // The file is damaged, and `journalctl` gives up before the end.
            let ours = export(&place, &[]);
            let found = compare::entries(&ours).len();
            let mut failures = Vec::new();
            if let Err(difference) = compare::contains(&theirs, &ours) {
                failures.push(format!("{name}: {difference}"));
            }
            if found > promised {
                failures.push(format!("{name}: {found} entries, and its header promises {promised}"));
            }
            failures
        })
        .collect();
    assert_no_failures(&failures);

    // Together these files are the journals of four boots of one machine, two files a boot.
    let theirs = remote::export(&JournalPath::Directory(folder.path().to_owned()), &[]);
    let ours = export(&JournalPath::Directory(folder.path().to_owned()), &[]);
    compare::contains(&theirs, &ours).unwrap_or_else(|difference| panic!("all together: {difference}"));
}

/// Returns the journal files of other projects, which must not be redistributed. They are read from beside the project
/// if present.
pub(super) fn real_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/journals");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "zst"));
    files.sort();
    files
}

/// Decompresses a file into a folder.
pub(super) fn unpacked(path: &Path, folder: &Path) -> PathBuf {
    let to = folder.join(path.file_stem().unwrap());
    let mut packed = zstd::Decoder::new(fs::File::open(path).unwrap()).unwrap();
    io::copy(&mut packed, &mut fs::File::create(&to).unwrap()).unwrap();
    to
}

#[test]
fn records_are_those_of_the_export_stream() {
    let folder = tempfile::tempdir().unwrap();
    for (log, entries) in logs() {
        let shape = Shape::default();
        let journal = write_file(folder.path(), "system.journal", file(&shape, &entries));
        let stream = write_file(folder.path(), "system.export", exported(&shape, &entries));
        for arguments in [
            &[] as &[&str],
            &["--others", "pass", "--tag-key", "tag"],
            &["--threads", "3"],
            // A field that is not written may still affect the record.
            &["--drop", "*"],
            &["--keep", "MESSAGE"],
        ] {
            let (ours, expected) = (
                katalog_output(&JournalPath::file(&journal), arguments),
                katalog_output(&JournalPath::file(&stream), arguments),
            );
            let difference = compare::json(&expected, &ours).err();
            assert!(
                ours == expected,
                "{log}, {arguments:?}: {}",
                difference.unwrap_or("the same, in another form".into())
            );
        }
    }
}
