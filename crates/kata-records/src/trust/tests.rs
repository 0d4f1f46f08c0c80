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
