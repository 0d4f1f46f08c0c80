use bumpalo::Bump;

use super::*;
use crate::input_format::InputFormat;
use crate::parse;

#[test]
fn a_parsed_line_begins_as_its_text_does() {
    let time = "2024-05-06T07:08:14.2Z";
    for (text, expected) in [
        (format!("time=\"{time}\" level=info msg=x"), true),
        (format!("time=\"{}\" level=info msg=x", time.replace('T', " ")), true),
        (format!("time=\"{time}\" msg=x level=info"), false),
        (format!("time=\"{time}\" Level=info msg=x"), false),
        (format!("time=\"{time}\\\" x\" level=info msg=x"), false),
        (format!("time=\"{time}\\n\" level=info msg=x"), false),
        (format!("time={time} level=info msg=x"), false),
        (format!("TIME=\"{time}\" level=info msg=x"), false),
        ("time=\"24-05-06\" level=info msg=x".to_owned(), false),
        ("level=info time=\"2024-05-06T07:08:14Z\" msg=x".to_owned(), false),
        (format!("{{\"msg\":\"x\",\"level\":\"INFO\",\"ts\":\"{time}\"}}"), true),
        (format!("{{\"arch\":\"amd64\",\"level\":\"info\",\"msg\":\"x\",\"time\":\"{time}\"}}"), true),
        (format!("{{\"level\":\"info\",\"msg\":\"x\",\"time\":\"{time}\"}} "), true),
        (format!("{{\"level\":\"info\",\"msg\":\"x\",\"time\":\"{time}\"}} text"), false),
        (format!("{{ \"level\":\"info\",\"msg\":\"x\",\"time\":\"{time}\"}}"), false),
        (format!("INFO[0000] x time=\"{time}\" level=info"), false),
        ("virtiofsd ended".to_owned(), false),
    ] {
        let bump = Bump::new();
        let mut entry = Entry { message: Some(text.as_bytes()), ..Entry::default() };
        let mut payload = Payload::default();
        parse::parse(&mut entry, InputFormat::Auto, &bump, &mut payload);
        assert_eq!(begins(text.as_bytes(), &payload), expected, "{text}");
        // The text behind an object is the only difference.
        if !text.ends_with("} text") && !text.contains("\\n") {
            assert_eq!(begins_line(text.as_bytes()), expected, "{text}");
        }
    }
}

#[test]
fn the_structure_and_the_input_decide_the_way() {
    let entry = |change: fn(&mut Entry<'static>)| {
        let mut entry = Entry::default();
        change(&mut entry);
        entry
    };
    let of_journal = |transport, user| Entry { from_journal: true, transport, user, ..Entry::default() };
    let stored = |transport| of_journal(transport, Some(b"0"));
    let driver = Entry { has_driver: true, ..stored(Transport::Journal) };
    let of_container = entry(|entry| entry.from_container = true);
    let headed = entry(|entry| entry.identifier = Some(b"kata"));
    let plain = Entry::default();
    let routes =
        |routes: &[Route], entry: &Entry<'_>| routes.iter().map(|route| way(entry, *route)).collect::<Vec<_>>();
    let all = [
        Route::Journal,
        Route::Named,
        Route::Syslog,
        Route::Terminal,
        Route::Manager,
        Route::TrustedPod,
        Route::Container,
        Route::Unlisted,
    ];
    use Way::{
        Container, ContainerDriver, Datagram, Entries, Kernel, ManagerFile, Mixed, Plain, Stream, Syslog, Terminal,
        TrustedPod, Unlisted,
    };
    for (entry, ways) in [
        (&plain, [Plain, Plain, Plain, Terminal, ManagerFile, Plain, Container, Unlisted]),
        (&headed, [Mixed, Mixed, Syslog, Terminal, ManagerFile, Syslog, Container, Unlisted]),
        (&of_container, [Container, Container, Container, Container, Container, TrustedPod, Container, Unlisted]),
        (&driver, [ContainerDriver, Entries, Entries, Entries, Unlisted, Entries, Container, Unlisted]),
        (
            &of_journal(Transport::Syslog, None),
            [Entries, Entries, Entries, Entries, Unlisted, Entries, Container, Unlisted],
        ),
    ] {
        assert_eq!(routes(&all, entry), ways);
    }
    for (transport, way) in [
        (Transport::Kernel, Kernel),
        (Transport::Syslog, Datagram),
        (Transport::Journal, Datagram),
        (Transport::Stdout, Stream),
        (Transport::Other, Stream),
    ] {
        assert_eq!(super::way(&stored(transport), Route::Journal), way);
    }
    assert_eq!(super::way(&of_journal(Transport::Kernel, None), Route::Journal), Kernel);
}
