//! The seeds of the fuzz target `journal`: small files of every kind, each with the structures unique to it.
//!
//! `UPDATE=1 cargo test --test main -- seeds` rewrites them.

use std::fs;
use std::path::Path;

use super::assert_no_failures;
use crate::support::journal::damage::{self, arrays, of};
use crate::support::journal::samples::{BOOT, NEXT_BOOT, boots_that_differ, odd, service, services};
use crate::support::journal::write::{State, header, object};
use crate::support::journal::{Codec, Entry, Shape, file};

/// Maximum size of a seed, because the fuzzer works better on small files.
const MOST: usize = 16 << 10;

#[test]
fn seeds_of_the_fuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz/journal");
    let update = std::env::var_os("UPDATE").is_some_and(|value| !value.is_empty());
    let mut failures = Vec::new();
    for (name, bytes) in seeds() {
        if bytes.len() > MOST {
            failures.push(format!("{name} has {} bytes", bytes.len()));
        }
        let path = folder.join(name);
        if update {
            fs::write(path, bytes).unwrap();
        } else if fs::read(path).ok() != Some(bytes) {
            failures.push(format!("{name} is not what the writer writes; `UPDATE=1 cargo test seeds` writes it anew"));
        }
    }
    assert_no_failures(&failures);
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let small = Shape { buckets: (13, 7), ..Shape::default() };
    let packed = |codec| Shape { compression: Some((codec, 64)), ..small.clone() };
    let regular = Shape { compact: false, keyed: false, compression: None, ..small.clone() };
    let all = services(12);
    let long: Vec<Entry> = (0..5)
        .map(|number| service(number, BOOT).with("LONG", format!("{number} {}", "compressed ".repeat(80))))
        .collect();
    let boots: Vec<Entry> = (0..9).map(|number| service(number, if number < 4 { BOOT } else { NEXT_BOOT })).collect();
    let strange: Vec<Entry> =
        odd().into_iter().filter(|entry| entry.payloads().map(|field| field.len()).sum::<usize>() < 400).collect();

    let unlisted = {
        let mut file = file(&small, &all);
        damage::overwrite(&mut file, header::ENTRY_ARRAY, &[0; 8]);
        file
    };
    let torn = {
        let mut file = file(&Shape { array: Some(4), ..regular.clone() }, &all);
        let second = arrays(&file)[1].at;
        damage::overwrite(&mut file, second + 16, &12_345_u64.to_le_bytes());
        let entry = of(&file, object::ENTRY)[6].at;
        damage::overwrite(&mut file, entry, &[object::TAG]);
        file
    };
    let cut = {
        let mut file = file(&Shape { state: State::Online, ..small.clone() }, &all);
        file.truncate(of(&file, object::ENTRY)[9].at + 30);
        file
    };
    vec![
        ("compact-zstd", file(&packed(Codec::Zstd), &long)),
        ("compact-lz4", file(&packed(Codec::Lz4), &long)),
        ("compact-xz", file(&packed(Codec::Xz), &long)),
        ("regular", file(&regular, &all)),
        ("regular-keyed-sealed", file(&Shape { keyed: true, sealed: Some(3), ..regular.clone() }, &all)),
        ("oldest-header", file(&Shape { header_size: 208, ..regular.clone() }, &all)),
        ("newest-header", file(&Shape { header_size: 272, state: State::Archived, ..small.clone() }, &all)),
        ("online", file(&Shape { state: State::Online, spare: 512, ..small.clone() }, &all)),
        ("one-bucket", file(&Shape { buckets: (1, 1), array: Some(1), ..small.clone() }, &all)),
        ("boots", file(&small, &boots)),
        ("boots-that-differ", file(&small, &boots_that_differ())),
        ("odd-values", file(&small, &strange)),
        ("empty", file(&small, &[])),
        ("unlisted", unlisted),
        ("torn", torn),
        ("cut", cut),
    ]
}
