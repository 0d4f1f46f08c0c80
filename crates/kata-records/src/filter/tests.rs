use bumpalo::Bump;

use super::carry::{Carry, FilterState, Verdict};
use super::*;
use crate::component::Component;
use crate::encode::{Encoded, Row};
use crate::findings::Findings;
use crate::record::{Field, OwnedKey, PayloadFormat, Text};
use crate::stats::Stats;

fn field(name: &str, value: Value<'static>) -> Field<'static> {
    Field::new(OwnedKey::new(name).leaked(), value)
}

fn text(value: &'static str) -> Value<'static> {
    Value::Text(Text::plain(value.as_bytes()))
}

fn record() -> Record<'static> {
    let mut flaws = Flaws::default();
    flaws.add(Flaw::NoTime);
    flaws.add(Flaw::BadLevel);
    const PARTS: &[Text<'static>] = &[Text::clean(b"one"), Text::clean(b"two")];
    Record {
        facts: Some(Facts {
            time: None,
            level: None,
            component: Component::Shimv2,
            format: PayloadFormat::Logfmt,
            origin: Origin::Guest,
            flaws,
        }),
        envelope: vec![field("_PID", text("4242")), field("PARTS", Value::List(PARTS))],
        payload: vec![
            field("kata_msg", text("VM started")),
            field("kata_pid", Value::Int(-7)),
            field("kata_huge", Value::Int(9_007_199_254_740_993)),
            field("kata_ok", Value::Bool(true)),
            field("kata_empty", text("")),
            field("kata_nested", Value::Nested(br#"{"a":1}"#)),
        ],
        ..Record::default()
    }
}

#[test]
fn conditions_know_each_type() {
    let bump = Bump::new();
    let record = record();
    for (condition, holds) in [
        ("kata_msg=VM started", true),
        ("kata_msg = vm started", false),
        ("kata_msg~start", true),
        ("kata_msg!~^VM", false),
        ("kata_pid=-7", true),
        ("kata_pid=-7.0", true),
        ("kata_pid<0", true),
        ("kata_pid>=-6.5", false),
        ("kata_pid~^-", true),
        ("kata_pid>zero", false),
        ("kata_huge=9007199254740993", true),
        ("kata_huge=9007199254740992", false),
        ("kata_huge>9007199254740992", true),
        ("_PID>999", true),
        ("_PID=4242.0", false),
        ("_PID<5e3", true),
        ("kata_ok=true", true),
        ("kata_ok!=true", false),
        ("kata_empty=", true),
        ("kata_empty!=", false),
        ("kata_nested~\"a\":1", true),
        ("PARTS=two", true),
        ("PARTS!=two", false),
        ("PARTS!=three", true),
        ("PARTS~^t", true),
        ("PARTS!~^t", false),
        ("PARTS<p", true),
        ("kata_flaws=bad-level", true),
        ("kata_flaws!=bad-level", false),
        ("kata_flaws>=no", true),
        ("kata_guest=true", true),
        ("kata_component=shimv2", true),
        ("kata_level=info", false),
        ("kata_level!=info", true),
        ("kata_level<z", false),
        ("no-such!~x", true),
        ("no-such!=x", true),
        ("no-such=", false),
        ("a=b=c", false),
    ] {
        let parsed: Condition = condition.parse().unwrap();
        assert_eq!(parsed.holds(&record, &bump), holds, "{condition}");
    }
}

#[test]
fn a_word_that_some_would_parse_is_no_number() {
    let bump = Bump::new();
    let record = Record { payload: vec![field("kata_size", text("infinite"))], ..Record::default() };
    for (condition, holds) in [("kata_size>inf", true), ("kata_size<9", false), ("kata_size>nan", false)] {
        assert_eq!(condition.parse::<Condition>().unwrap().holds(&record, &bump), holds, "{condition}");
    }
}

#[test]
fn ids_are_found_as_they_are_and_behind_escapes() {
    let search = IdSearch::new(&["5fbd".to_owned(), "a1".to_owned()]);
    for (entry, may_be) in [
        ("level=info sandbox=5fbd3e", true),
        ("level=info sandbox=5fbc3e", false),
        ("level=info sandbox=xa1", true),
        (r#"{"sandbox":"\u0035fbd"}"#, true),
        (r"msg=\x35fbd", true),
        (r"msg=\\x35fbd", true),
        (r#"msg="a\nb\"c\\""#, false),
        (r#"{"MESSAGE":[53,102,98,100]}"#, true),
        (r"msg=[53,102]", false),
        (r#"{"endpoints":["none"]}"#, false),
    ] {
        assert_eq!(search.may_be_in(|| std::iter::once(entry.as_bytes())), may_be, "{entry}");
    }
    assert!(!search.may_be_in(std::iter::empty::<&[u8]>));
    assert!(IdSearch::new(&[]).may_be_in(std::iter::empty::<&[u8]>));
}

/// A batch of records by their decisions, and what has to become of them.
fn run(state: &mut FilterState, file: &str, batch: &[(Option<bool>, Option<bool>)]) -> (Vec<u8>, u64) {
    let (mut carry, mut out, mut stats) = (Carry::default(), Encoded::default(), Stats::default());
    carry.begin(false);
    for (number, (time, level)) in batch.iter().enumerate() {
        let decision = Decision { passes: true, time: *time, level: *level };
        let verdict = carry.next(decision);
        let (out, stats) = match verdict {
            Verdict::Drop => continue,
            Verdict::Write(_) => (&mut out, &mut stats),
            Verdict::Follows { time, level, .. } => {
                let part = carry.part(time, level, &out);
                (&mut part.out, &mut part.stats)
            }
        };
        out.bytes.push(number as u8);
        out.rows.push(Row { end: out.bytes.len(), ..Row::default() });
        stats.wrote(None);
    }
    let (mut notes, mut findings) = (Vec::new(), Findings::default());
    let chunk = Resolved { out: &mut out, notes: &mut notes, stats: &mut stats, findings: &mut findings };
    state.resolve(&mut carry, std::path::Path::new(file), chunk);
    let ends: Vec<usize> = out.rows.iter().map(|row| row.end).collect();
    assert_eq!(ends, (1..=out.bytes.len()).collect::<Vec<_>>());
    assert_eq!(stats.written(), out.bytes.len() as u64);
    let [(_, dropped), ..] = stats.parts();
    (out.bytes, dropped.iter().map(|(_, count)| count).sum())
}

#[test]
fn the_first_records_of_a_batch_follow_the_batch_before() {
    let (yes, no, unknown) = (Some(true), Some(false), None);
    let mut state = FilterState::default();
    // Nothing comes before: a time may be any, a level is none.
    assert_eq!(run(&mut state, "a", &[(unknown, yes), (unknown, unknown)]), (vec![0, 1], 0));
    assert_eq!(
        run(&mut state, "a", &[(unknown, unknown), (no, unknown), (unknown, yes), (yes, unknown)]),
        (vec![0, 3], 0)
    );
    assert_eq!(run(&mut state, "a", &[(unknown, unknown), (yes, no), (unknown, unknown)]), (vec![0], 0));
    assert_eq!(run(&mut state, "a", &[(unknown, unknown), (unknown, unknown)]), (vec![], 2));
    assert_eq!(run(&mut state, "a", &[]), (vec![], 0));
    assert_eq!(run(&mut state, "a", &[(yes, unknown), (yes, yes)]), (vec![1], 1));
    assert_eq!(run(&mut state, "a", &[(no, unknown), (yes, unknown)]), (vec![1], 0));
    // Another file begins anew.
    assert_eq!(run(&mut state, "b", &[(yes, unknown), (unknown, unknown)]), (vec![], 2));
}
