//! Tests of the counters and their forms.

use kata_records::component::Component;
use kata_records::flaw::{Flaw, Flaws};
use kata_records::record::{Facts, Level, PayloadFormat};
use kata_records::stats::DropReason;

use super::*;

fn sample() -> Stats {
    let mut stats = Stats::default();
    let mut flaws = Flaws::default();
    flaws.add(Flaw::Truncated);
    flaws.add(Flaw::NoTime);
    let clean = Facts {
        time: None,
        level: Some(Level::Info),
        component: Component::Agent,
        format: PayloadFormat::Text,
        guest: true,
        flaws: Flaws::default(),
    };
    for _ in 0..12 {
        stats.read(100);
    }
    for _ in 0..7 {
        stats.wrote(Some(&clean));
    }
    stats.wrote(Some(&Facts { flaws, level: None, component: Component::Unknown, ..clean }));
    stats.wrote(None);
    stats.dropped(DropReason::Others);
    stats.dropped(DropReason::Others);
    stats.dropped(DropReason::Marker);
    stats.suppressed(40);
    stats.delivered(2_203_000);
    stats
}

fn shown(stats: &Stats, format: StatsFormat) -> String {
    let mut out = Vec::new();
    write_stats(stats, format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_text_is_aligned_and_leaves_zeros_out() {
    let expected = "\
read       12  1.1 KiB
written     9  2.1 MiB
passed      1  of others, unchanged
dropped     3  others 2, marker 1
flawed      1  truncated 1, no-time 1
suppressed 40  by journald, never readable
components agent 7, unknown 1
levels     info 7
";
    assert_eq!(shown(&sample(), StatsFormat::Text), expected);
    assert_eq!(shown(&Stats::default(), StatsFormat::Text), "read       0  0 B\nwritten    0  0 B\n");
}

#[test]
fn the_json_is_one_line() {
    let expected = r#"{"read":12,"written":9,"passed":1,"dropped":{"others":2,"marker":1},"flawed":1,"suppressed":40,"bytes_in":1200,"bytes_out":2203000,"components":{"agent":7,"unknown":1},"levels":{"info":7},"flaws":{"truncated":1,"no-time":1}}"#;
    assert_eq!(shown(&sample(), StatsFormat::Json), format!("{expected}\n"));
}

#[test]
fn merging_adds_every_counter() {
    let mut sum = sample();
    sum.merge(&sample());
    let mut twice = Stats::default();
    twice.merge(&sum);
    assert_eq!(twice, sum);
    twice.take_back(&sample());
    assert_eq!(twice, sample());
    assert!(shown(&sum, StatsFormat::Json).starts_with(r#"{"read":24,"written":18,"passed":2,"dropped":{"others":4,"marker":2},"flawed":2,"suppressed":80,"bytes_in":2400,"bytes_out":4406000,"components":{"agent":14,"#));
    assert_eq!((sum.written(), sum.flawed()), (18, 2));
}

#[test]
fn every_entry_is_accounted_for() {
    let stats = sample();
    assert_eq!(stats.read, stats.written + stats.parts()[0].1.iter().map(|(_, count)| count).sum::<u64>());
}

#[test]
fn messages_do_not_drive_the_terminal() {
    assert_eq!(escape_control("a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\nc");
}
