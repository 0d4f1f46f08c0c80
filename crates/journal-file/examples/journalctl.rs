//! A small `journalctl --follow`: `journalctl DIRECTORY [--since=MICROS | --after-cursor=CURSOR | FIELD=VALUE]…`

#![allow(clippy::print_stdout, clippy::print_stderr)] // a program prints

use std::error::Error;
use std::time::Duration;

use journal_file::{Cursor, Journal};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut journal = Journal::open(arguments.next().ok_or("expected a directory")?)?.follow();
    for argument in arguments {
        journal = match argument.split_once('=').ok_or("expected NAME=VALUE")? {
            ("--since", micros) => journal.since(micros.parse()?),
            ("--after-cursor", cursor) => journal.after_cursor(cursor.parse()?),
            (field, value) => journal.matching(field, value),
        };
    }
    let mut entries = journal.entries();
    loop {
        while let Some(entry) = entries.next_within(Duration::from_secs(1))? {
            println!("{}", Cursor::from(*entry.place()));
            for (name, value) in entry.fields() {
                println!("    {}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
            }
        }
        for damaged in entries.damages() {
            eprintln!("{}: {} at byte {}", damaged.path.display(), damaged.reason.name(), damaged.offset);
        }
    }
}
