use super::super::samples::{self, field, text};
use super::*;
use crate::component::Component;
use crate::flaw::Flaws;
use crate::record::{EnvelopeHead, Escaping, OwnedKey, Text};
use crate::time::UtcTimestamp;

fn settings() -> SyslogSettings {
    SyslogSettings { hostname: "here".to_owned(), ..SyslogSettings::default() }
}

fn old() -> SyslogSettings {
    SyslogSettings { format: SyslogFormat::Rfc3164, ..settings() }
}

fn facts() -> Facts {
    samples::facts("2025-12-05T11:55:10.812522759Z")
}

/// Returns a record of Kata's with these fields and a message.
fn record<'b>(message: &'b str, fields: &[(&str, &'b str)]) -> Record<'b> {
    let mut payload = vec![field("kata_msg", message)];
    payload.extend(fields.iter().map(|(name, value)| field(name, *value)));
    Record {
        head: EnvelopeHead { host: Some(b"node1"), pid: Some(b"77"), priority: Some(4), ..EnvelopeHead::default() },
        facts: Some(facts()),
        payload,
        ..Record::default()
    }
}

fn bytes(settings: SyslogSettings, own: &OwnNames, record: &mut Record<'_>) -> Vec<u8> {
    let mut events = Events::default();
    Syslog::new(settings, own, TimeZone::UTC).encode(
        record,
        UnixTime { seconds: 1_700_000_000, nanos: 0 },
        &mut events,
    );
    assert_eq!(events.ends, [events.bytes.len()]);
    events.bytes
}

fn message(settings: SyslogSettings, record: &mut Record<'_>) -> String {
    message_with(settings, None, record)
}

/// Returns a message with one own field.
fn message_with(settings: SyslogSettings, own: Option<&str>, record: &mut Record<'_>) -> String {
    let own = OwnNames { record_id: own.map(str::to_owned), ..OwnNames::default() };
    String::from_utf8(bytes(settings, &own, record)).unwrap()
}

#[test]
fn the_form_of_rfc_5424() {
    let mut record = record("Stopping VM", &[("kata_arch", "amd64"), ("kata_container", "c1")]);
    record.payload.push(field("kata_pid", Value::Int(3_233_634)));
    record.payload.push(field("kata_sandbox", "s1"));
    record.payload.push(field("kata_subsystem", "sandbox"));
    assert_eq!(
        message(settings(), &mut record),
        "<30>1 2025-12-05T11:55:10.812522Z node1 kata-runtime 3233634 sandbox [kata@32473 component=\"runtime\" \
         level=\"info\" origin=\"host\" format=\"logfmt\" time=\"2025-12-05T11:55:10.812522759Z\" sandbox=\"s1\" container=\"c1\" \
         arch=\"amd64\" pid=\"3233634\" subsystem=\"sandbox\"] Stopping VM"
    );
}

#[test]
fn the_form_of_rfc_3164() {
    let mut plain = record("Stopping VM", &[("kata_sandbox", "s1")]);
    assert_eq!(message(old(), &mut plain), "<30>Dec  5 11:55:10 node1 kata-runtime[77]: Stopping VM");
    // RFC 3164 has no domains, and an address has none.
    plain.head = EnvelopeHead { host: Some(b"node1.example.org"), ..EnvelopeHead::default() };
    assert_eq!(message(old(), &mut plain), "<30>Dec  5 11:55:10 node1 kata-runtime: Stopping VM");
    plain.head.host = Some(b"192.0.2.1");
    assert_eq!(message(old(), &mut plain), "<30>Dec  5 11:55:10 192.0.2.1 kata-runtime: Stopping VM");
    // RFC 3164 requires a time.
    plain.facts = None;
    plain.head.program = Some(b"sshd");
    plain.head.priority = Some(3);
    assert_eq!(message(old(), &mut plain), "<27>Nov 14 22:13:20 192.0.2.1 sshd: Stopping VM");
}

#[test]
fn what_is_not_known_is_nil() {
    let mut record = Record { facts: Some(Facts { time: None, level: None, ..facts() }), ..Record::default() };
    let data = "[kata@32473 component=\"runtime\" origin=\"host\" format=\"logfmt\"]";
    assert_eq!(message(settings(), &mut record), format!("<30>1 - here kata-runtime - - {data}"));
    let mut nothing = Record::default();
    assert_eq!(message(settings(), &mut nothing), "<30>1 - here - - - -");
    // The message of the envelope replaces a missing `kata_msg`.
    record.head.message = Some(Text { bytes: b"tab\\there", escaping: Escaping::Go });
    assert_eq!(message(settings(), &mut record), format!("<30>1 - here kata-runtime - - {data} tab\there"));
}

#[test]
fn entries_of_others() {
    let mut other = Record {
        time: UtcTimestamp::parse(b"2025-12-15T11:55:10Z"),
        head: EnvelopeHead {
            host: Some(b"node1"),
            program: Some(b"sshd"),
            pid: Some(b"9"),
            priority: Some(5),
            message: Some(Text::plain(b"closed")),
        },
        envelope: vec![field("_UID", "0"), field("id", "0f")],
        ..Record::default()
    };
    assert_eq!(message(settings(), &mut other), "<29>1 2025-12-15T11:55:10.000000Z node1 sshd 9 - - closed");
    // Own fields go with every record, and a cut adds the flaw.
    let settings = || SyslogSettings { max: 1024, ..settings() };
    let data = "[kata@32473 id=\"0f\"]";
    assert_eq!(
        message_with(settings(), Some("id"), &mut other),
        format!("<29>1 2025-12-15T11:55:10.000000Z node1 sshd 9 - {data} closed")
    );
    let long = "x".repeat(5000);
    other.head.message = Some(Text::plain(long.as_bytes()));
    let cut = message_with(settings(), Some("id"), &mut other);
    assert!(cut.contains("sshd 9 - [kata@32473 flaws=\"truncated\" id=\"0f\"] xxx") && cut.len() == 1024, "{cut}");
}

#[test]
fn levels_and_facilities() {
    for (level, severity) in [
        (Level::Trace, 7),
        (Level::Debug, 7),
        (Level::Info, 6),
        (Level::Warning, 4),
        (Level::Error, 3),
        (Level::Critical, 2),
    ] {
        for (facility, number) in
            [(Facility::Kern, 0), (Facility::Ftp, 11), (Facility::Local0, 16), (Facility::Local7, 23)]
        {
            let mut record = record("m", &[]);
            record.facts = Some(Facts { level: Some(level), ..facts() });
            let message = message(SyslogSettings { facility, ..settings() }, &mut record);
            assert!(message.starts_with(&format!("<{}>1 ", number * 8 + severity)), "{message}");
        }
    }
}

#[test]
fn guests_and_flaws_are_told_of() {
    let mut record = record("m", &[("kata_guest_time", "x")]);
    let mut flaws = Flaws::default();
    [Flaw::BadTime, Flaw::NotUtf8].into_iter().for_each(|flaw| flaws.add(flaw));
    record.facts = Some(Facts { component: Component::GuestKernel, origin: Origin::Guest, flaws, ..facts() });
    record.escaped = vec![OwnedKey::new("MESSAGE").leaked(), OwnedKey::new("kata_msg").leaked()];
    let message = message(settings(), &mut record);
    assert!(message.contains(" node1 kata-guest-kernel 77 - [kata@32473 flaws=\"bad-time,not-utf8\""), "{message}");
    assert!(message.contains(" guest=\"true\" ") && message.contains(" guest_time=\"x\" "), "{message}");
    assert!(message.ends_with(" escaped=\"MESSAGE,kata_msg\"] m"), "{message}");
}

#[test]
fn values_are_escaped_and_kinds_of_them_are_text() {
    let mut record = record("[ü] \"quoted\" \\ back", &[("kata_q", "a\"b\\c]d[e=ü\n\t\u{7}")]);
    record.payload.push(field("kata_go", text(b"a\\tb \\\"q\\\" \\u00fc", Escaping::Go)));
    record.payload.push(field("kata_json", text(b"a\\u0041\\\\", Escaping::Json)));
    record.payload.push(field("kata_nested", Value::Nested(br#"{"a":["b"]}"#)));
    record.payload.push(field("kata_hotplug", Value::Bool(false)));
    record.payload.push(field("kata_guest_pid", Value::Int(-1)));
    record.facts = None;
    assert_eq!(
        message(settings(), &mut record),
        "<28>1 - node1 - 77 - [kata@32473 q=\"a\\\"b\\\\c\\]d[e=ü\n\t\u{7}\" go=\"a\tb \\\"q\\\" ü\" json=\"aA\\\\\" \
         nested=\"{\\\"a\\\":[\\\"b\\\"\\]}\" hotplug=\"false\" guest_pid=\"-1\"] [ü] \"quoted\" \\ back"
    );
}

#[test]
fn a_line_is_one_line() {
    let mut record = record("first\nsecond\r\n\0third\\n", &[("kata_a", "x\ny\0\r]")]);
    let message = message(SyslogSettings { lines: true, ..settings() }, &mut record);
    assert!(message.ends_with(" a=\"x\\\\ny\\\\0\\\\r\\]\"] first\\nsecond\\r\\n\\0third\\n"), "{message}");
    assert!(!message.contains(['\n', '\r', '\0']));
}

#[test]
fn names_are_those_of_the_syntax() {
    let long = "kata_a234567890b234567890c234567890d234";
    let other = "kata_a234567890b234567890c234567890e234";
    let mut record = record("m", &[(long, "1"), (other, "2"), ("kata_exit-code", "3")]);
    record.envelope.push(field("a]b=c\"d", "4"));
    let message = message_with(settings(), Some("a]b=c\"d"), &mut record);
    let names: Vec<&str> = message.split(' ').filter_map(|word| word.split_once("=\"").map(|(name, _)| name)).collect();
    assert!(names.contains(&"a_b_c_d") && names.contains(&"exit-code"), "{names:?}");
    let cut: Vec<&&str> = names.iter().filter(|name| name.starts_with("a234567890b234567890c23-")).collect();
    assert!(cut.len() == 2 && cut[0] != cut[1] && cut.iter().all(|name| name.len() == 32), "{names:?}");
}

#[test]
fn words_of_the_head_are_printable_and_have_their_lengths() {
    let host = "h ü".repeat(100);
    let mut record = record("m", &[("kata_subsystem", "a very long subsystem with spaces in it")]);
    record.head.host = Some(host.as_bytes());
    record.payload.push(field("kata_pid", "12 34"));
    let message = message(settings(), &mut record);
    let words: Vec<&str> = message.split(' ').collect();
    assert!(words[2].starts_with("h___h___") && words[2].len() == 255, "{message}");
    assert_eq!(words[4..6], ["12_34", "a_very_long_subsystem_with_space"]);
}

/// Returns the structured data of a message, after its bracket.
fn data(message: &str) -> &str {
    message.split_once(" [").unwrap().1
}

#[test]
fn what_is_too_long_is_cut_in_this_order() {
    let (sandbox, command, words) = ("s".repeat(64), "c".repeat(300), "w".repeat(200));
    let fields = [("kata_a", "1"), ("kata_command", &command), ("kata_words", &words), ("kata_sandbox", &sandbox)];
    let whole = message(settings(), &mut record("message", &fields));
    assert!(whole.contains(&command) && !whole.contains("truncated"));
    let limited = |max: usize, said: &str| {
        let mut record = record(said, &fields);
        let message = message(SyslogSettings { max, ..settings() }, &mut record);
        let truncated = record.facts.unwrap().flaws.has(Flaw::Truncated);
        assert_eq!(message.contains("[kata@32473 flaws=\"truncated\" component="), truncated, "{message}");
        assert!(message.len() <= max, "{max}: {message}");
        message
    };
    // A message of the maximum length is not cut.
    assert_eq!(limited(whole.len(), "message"), whole);
    // Long values are cut to 256 bytes,
    let cut = limited(whole.len() - 1, "message");
    assert!(cut.contains(&format!("command=\"{}\"", "c".repeat(256))) && cut.contains(&words), "{cut}");
    // then to 64, and short values stay.
    let cut = limited(640, "message");
    assert!(
        cut.contains(&format!("command=\"{}\"", "c".repeat(64)))
            && cut.contains(&format!("words=\"{}\"", "w".repeat(64)))
    );
    assert!(cut.contains(" a=\"1\" ") && cut.ends_with("] message"), "{cut}");
    // Then the last fields are removed,
    let said = "m".repeat(250);
    let cut = limited(640, &said);
    assert!(!cut.contains("words=") && cut.contains("sandbox=\"sss") && cut.ends_with(&format!("] {said}")), "{cut}");
    // and last the message is cut. The identity stays.
    let said = "ü".repeat(1000);
    let cut = limited(1024, &said);
    assert!(data(&cut).contains(&sandbox) && !cut.contains("words=") && cut.ends_with("ü"), "{cut}");
    assert!(cut.len() >= 1023, "{}", cut.len());
}

#[test]
fn no_message_is_longer_than_it_may_be() {
    let long = "ä]\n".repeat(200);
    let names: Vec<String> = (0..120).map(|number| format!("kata_{number}{}", "n".repeat(number % 90))).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
    for settings in [settings(), SyslogSettings { lines: true, ..settings() }, old()] {
        for max in [1024, 1500, 2048, 8000, 65536] {
            for said in ["", "short", &long] {
                for host in ["h", &"h".repeat(300)] {
                    let mut record = record(said, &fields);
                    record.head.host = Some(host.as_bytes());
                    record.payload.push(field("kata_subsystem", long.as_str()));
                    record.payload.push(field("kata_pid", long.as_str()));
                    let mut flaws = Flaws::default();
                    Flaw::ALL.iter().for_each(|flaw| flaws.add(*flaw));
                    record.facts = Some(Facts { flaws, ..facts() });
                    let message = message(SyslogSettings { max, ..settings.clone() }, &mut record);
                    assert!(message.len() <= max, "{max}: {}", message.len());
                    if settings.format == SyslogFormat::Rfc5424 {
                        assert!(data(&message).starts_with("kata@32473 flaws=\"truncated,"), "{message}");
                        assert!(message.contains("component=\"runtime\""), "{message}");
                        assert_eq!(message.contains("] short"), said == "short");
                    }
                    assert!(!settings.lines || !message.contains('\n'));
                }
            }
        }
    }
}

#[test]
fn the_steady_state_allocates_nothing() {
    for settings in [settings(), SyslogSettings { lines: true, ..settings() }, old()] {
        let mut record = record("a\nb", &[("kata_a", "1"), ("kata_b", "a\\b"), ("kata_pid", "7")]);
        let (mut encoder, mut events) = (Syslog::new(settings, &OwnNames::default(), TimeZone::UTC), Events::default());
        encoder.encode(&mut record, UnixTime::default(), &mut events);
        let counted = allocation_counter::measure(|| {
            events.clear(usize::MAX);
            encoder.encode(&mut record, UnixTime::default(), &mut events);
        });
        assert_eq!(counted.count_total, 0);
    }
}
