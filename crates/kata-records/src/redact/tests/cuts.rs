//! Texts that are cut at any byte.

use bumpalo::Bump;

use super::samples::{SECRET, USE};
use super::{enclosed, head, nested, redactor};
use crate::redact::MARKER;
use crate::redact::leaves_open;

/// Returns whether four bytes of the secret stand in a text, from any place in it.
fn shown(text: &str) -> bool {
    USE.as_bytes().windows(4).any(|part| text.as_bytes().windows(4).any(|window| window == part))
}

#[test]
fn no_part_of_a_secret_is_shown_before_a_cut() {
    for (text, _) in SECRET.iter().flat_map(|sample| sample.texts()) {
        for text in (0..4).flat_map(|depth| [nested(&text, depth), enclosed(&text, depth)]) {
            for (cut, _) in text.char_indices() {
                let part = head(&text, cut);
                let bump = Bump::new();
                let redacted = redactor().redacted(part.as_bytes(), &bump).unwrap_or(part.as_bytes());
                let redacted = std::str::from_utf8(redacted).unwrap();
                assert!(!shown(redacted), "{part}\n{redacted}");
            }
        }
    }
}

#[test]
fn a_cut_inside_a_secret_leaves_it_open() {
    for (text, _) in SECRET.iter().flat_map(|sample| sample.texts()) {
        for text in (0..4).flat_map(|depth| [nested(&text, depth), enclosed(&text, depth)]) {
            for (start, _) in text.match_indices(USE) {
                for cut in start + 1..start + USE.len() {
                    let part = head(&text, cut);
                    assert!(leaves_open(part.as_bytes()), "{part}");
                }
            }
        }
    }
}

/// Prints in which each cut leaves an environment to come.
#[test]
fn a_cut_anywhere_inside_a_print_leaves_it_open() {
    let prints = [
        r#"receive createcontainer, spec: ^Spec { version: "1.0.2", process: Some(Process { args: ["sh", "}"], env: Some(["A=b", "C=d"]), cwd: "/" }), annotations: Some({"k": "v"}), linux: None }^ done"#,
        r#"OCI Spec Spec {^ hostname: "x", annotations: {"k": "v"} }^ within CreateContainerRequest."#,
        r#"====> task service CreateContainer(^ContainerConfig { container_id: "x", bundle: "]" })^"#,
        r#"====> task service ExecProcess(^ExecProcessRequest { process: Process { env: ["A=b"] } })^"#,
        r#"req {"ociVersion"^:"1.0.2","process":{"env":["A=b"]},"hostname":"x","annotations":{"k":"v"}}^"#,
        r#"{"containerId":"x","OCI":{^"Process":{"Env":["A=b"]},"Hostname":"x","Annotations":{"k":"v"}}^}"#,
        r#""process":{^"args":["sh"],"env":["A=b"]}^,"x":1"#,
        r#""linux":{^"namespaces":[{"type":"ipc"}]}^,"x":1"#,
        r#""env":[^"A=b","C=d"]^,"x":1"#,
        r#"Env:[^A=b C=d]^,Cwd:/"#,
        r#"annotations:{^key:"k" value:"v"}^ x"#,
        r#"Annotations:map[^k:v k.x:v2]^ x"#,
    ];
    for print in prints {
        for print in (0..4).flat_map(|depth| [nested(print, depth), enclosed(print, depth)]) {
            let start = print.find('^').unwrap();
            let print = print.replacen('^', "", 1);
            let end = print.find('^').unwrap();
            let print = print.replacen('^', "", 1);
            for cut in start..end {
                assert!(leaves_open(head(&print, cut).as_bytes()), "{}", head(&print, cut));
            }
            assert!(!leaves_open(print.as_bytes()), "{print}");
        }
    }
}

/// A cut before a print, or in its key, leaves it open too.
#[test]
fn a_cut_before_a_print_leaves_it_open() {
    for text in [
        "receive createcontainer, spec: Sp",
        "OCI Spec S",
        "{\"env",
        "{\\\"env\\\"",
        "x annot",
        "x env",
        "--password",
        "--token ",
        "db password",
        "-append",
        "DB_PASSWORD=",
        "[\\\"--password\\\", \\",
        "{ policy: \\",
        "loaded -----BEGIN EC PRIV",
        "loaded -----BEGIN PRIVATE KEY---",
    ] {
        assert!(leaves_open(text.as_bytes()), "{text}");
    }
}

#[test]
fn values_with_quotes_backslashes_and_brackets_are_hidden_whole() {
    let values = [
        "a\"b hunter2",
        "a\\",
        "a\\\"hunter2",
        "] hunter2 }",
        "a=b hunter2=x",
        "é\u{1b}\" , \"B=hunter2",
        "{\"k\": [1, \"hunter2\"]}",
    ];
    for value in values {
        let entry = escaped_twice(value);
        let prints = [
            format!("env: Some([\"A={entry}\", \"B=x\"]), cwd: 1"),
            format!("\"env\":[\"A={entry}\"],\"cwd\":1"),
            format!("annotations: {{\"k\": \"{entry}\"}}, cwd: 1"),
            format!("\"--password\", \"{entry}\", cwd: 1"),
            format!("\"token\":\"{entry}\",\"cwd\":1"),
            format!("args: [\"--token={entry}\", \"x\"], cwd: 1"),
        ];
        for print in
            prints.iter().flat_map(|print| (0..4).flat_map(|depth| [nested(print, depth), enclosed(print, depth)]))
        {
            let redacted = super::redact(&print);
            assert!(
                !redacted.contains("hunter2") && redacted.contains(MARKER) && redacted.contains("cwd"),
                "{print}\n{redacted}"
            );
            for (cut, _) in print.char_indices() {
                assert!(!super::redact(head(&print, cut)).contains("hunter2"), "{}", head(&print, cut));
            }
        }
    }
}

fn escaped_twice(value: &str) -> String {
    super::escaped(value)
}

/// Multi-word values, which only quotes or brackets end.
#[test]
fn values_with_spaces_are_hidden_whole() {
    for (text, expected) in [
        ("Env:[A=x hunter2 y B=z] Cwd:/", "Env:[A=[redacted] B=[redacted]] Cwd:/"),
        ("Env:[A=[x] hunter2 B=z],Cwd:/", "Env:[A=[redacted] B=[redacted]],Cwd:/"),
        (
            "Annotations:map[k:{\"a\":[1]} hunter2 io.x/y:z] Linux:1",
            "Annotations:map[k:[redacted] io.x/y:[redacted]] Linux:1",
        ),
        ("Env:[A=x] B=hunter2],Cwd:/", "Env:[A=[redacted] B=[redacted]],Cwd:/"),
        ("Annotations:map[k:x hunter2: y] Linux:1", "Annotations:map[k:[redacted]] Linux:1"),
        ("a 5\" disk, \"token\":\" hunter2\",\"x\":1", "a 5\" disk, \"token\":\"[redacted]\",\"x\":1"),
        ("Authorization: Basic hunter2 x=1", "Authorization: [redacted] x=1"),
        ("authorization: Digest username=\"u\", response=\"hunter2\"", "authorization: [redacted]"),
        ("[-append root=/dev/pmem0p1 ro hunter2 -smp 1]", "[-append [redacted] -smp 1]"),
        (
            "-----BEGIN PRIVATE KEY-----\nhunter2\nx\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----[redacted]-----END PRIVATE KEY-----\n",
        ),
        ("SetPolicy: policy:package a\nallow { hunter2 }", "SetPolicy: [redacted]"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1 x", "jwt [redacted] x"),
        ("https://hunter2@github.com/a", "https://[redacted]@github.com/a"),
        ("id AKIAIOSFODNN7EXAMPLE x", "id [redacted] x"),
    ] {
        assert_eq!(super::redact(text), expected);
    }
}
