//! Lines that look like records of katalog: only the operator can vouch for them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::archives::tar;
use crate::support::katalog;
use crate::support::pipeline::{Record, records};

/// A line that claims to be a record of the host.
const FORGED: &str = r#"{"kata_time":"2024-05-06T07:08:14.000000000Z","kata_level":"critical","kata_component":"shimv2","kata_format":"logfmt","kata_origin":"host","kata_msg":"x","kata_sandbox":"forged"}"#;

/// The same claim on several lines.
const OBJECT: &str = "{\n  \"kata_component\": \"shimv2\",\n  \"kata_format\": \"logfmt\",\n  \"kata_origin\": \"host\",\n  \"kata_sandbox\": \"forged\"\n}";

/// Returns the records of an input, with those of other programs.
fn read(input: &Path, flags: &[&str]) -> Vec<Record> {
    let output = katalog().args(["--others", "pass"]).args(flags).arg(input).output().unwrap();
    assert!(output.status.success(), "{}: {}", input.display(), String::from_utf8_lossy(&output.stderr));
    records(&output.stdout)
}

/// Returns the number of records that the forged line became.
fn taken(input: &Path, flags: &[&str]) -> usize {
    let records = read(input, flags);
    assert!(!records.is_empty(), "{}", input.display());
    records.iter().filter(|record| record.text("kata_sandbox") == Some("forged")).count()
}

/// Returns lines that carry the forged one, by their names.
fn carriers(text: &str) -> Vec<(&'static str, String)> {
    let lines = |line: &dyn Fn(&str) -> String| text.lines().map(line).collect::<String>();
    vec![
        ("cri.log", lines(&|line| format!("2024-05-06T07:08:14.3Z stdout F {line}\n"))),
        (
            "docker.json",
            lines(&|line| {
                json!({ "log": format!("{line}\n"), "stream": "stdout", "time": "2024-05-06T07:08:14.3Z" }).to_string()
                    + "\n"
            }),
        ),
        ("syslog.log", lines(&|line| format!("May  6 07:08:14 node kata[1]: {line}\n"))),
        ("bare.log", format!("May  6 07:08:14 node kata[1]: x\n{text}\n")),
        ("terminal.log", format!("INFO[0000] x\n{text}\n")),
        ("journal.json", json!({ "__CURSOR": "s=1", "SYSLOG_IDENTIFIER": "kata", "MESSAGE": text }).to_string() + "\n"),
        ("journal.export", format!("__CURSOR=s=1\nSYSLOG_IDENTIFIER=kata\nMESSAGE={}\n\n", text.replace('\n', " "))),
        ("rest.export", format!("__CURSOR=s=1\nSYSLOG_IDENTIFIER=kata\nMESSAGE=x\n\n{text}\n")),
        ("console.log", {
            let quoted = text.replace('\n', " ").replace('"', "\\\"");
            format!(
                "time=\"2024-05-06T07:08:14Z\" level=debug msg=\"reading guest console\" name=containerd-shim-v2 vmconsole=\"{quoted}\"\n"
            )
        }),
    ]
}

#[test]
fn a_message_is_no_record() {
    let folder = tempfile::tempdir().unwrap();
    for text in [FORGED, OBJECT] {
        for (name, content) in carriers(text) {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            for flags in [&[][..], &["--vouch"]] {
                assert_eq!(taken(&path, flags), 0, "{name} {flags:?}");
            }
        }
    }
}

#[test]
fn only_the_operator_vouches_for_records() {
    let folder = tempfile::tempdir().unwrap();
    for text in [FORGED, OBJECT] {
        let content = format!("{text}\n");
        let put = |path: &str| -> PathBuf {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &content).unwrap();
            path
        };
        let named = put("out.ndjson");
        assert_eq!([taken(&named, &[]), taken(&named, &["--vouch"])], [1, 1]);
        assert_eq!(read(&named, &[])[0].text("kata_origin"), Some("vouched"));
        assert_eq!(taken(&named, &["--untrusted"]), 0);
        for path in ["containerd.log", "var/log/pods/ns_app_1/c/0.log", "docker/containers/01/01-json.log"] {
            let path = put(path);
            for flags in [&[][..], &["--vouch"], &["--input-format", "kata"]] {
                assert_eq!(taken(&path, flags), 0, "{} {flags:?}", path.display());
            }
        }
        let members = ["var/log/messages", "var/log/kata/kata.log", "out.ndjson", "srv/app.log", "containerd.log"];
        // In a directory a file that begins with records is passed over, as the output of an earlier run.
        let content = "level=info msg=x name=kata-runtime\n".repeat(2000) + &content;
        let archive = folder.path().join("bundle.tar");
        fs::write(&archive, tar(members.map(|name| (name, content.as_bytes())))).unwrap();
        for member in members {
            fs::write(put(&format!("bundle/{member}")), &content).unwrap();
        }
        for flags in [&[][..], &["--vouch"], &["--input-format", "kata"]] {
            assert_eq!(taken(&archive, flags), 0, "archive {flags:?}");
            assert_eq!(taken(&folder.path().join("bundle"), flags), 0, "directory {flags:?}");
        }
    }
}

#[test]
fn the_text_of_a_tenant_stays_that_of_a_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cri.log");
    let line = "time=\"2024-05-06T07:08:14Z\" level=info msg=x name=containerd-shim-v2 sandbox=s source=virtcontainers";
    fs::write(&path, format!("2024-05-06T07:08:14.3Z stdout F {line}\n")).unwrap();
    let output = katalog().args(["--others", "pass"]).arg(&path).output().unwrap().stdout;
    let again = folder.path().join("out.ndjson");
    fs::write(&again, &output).unwrap();
    assert_eq!(read(&again, &[]), records(&output));
    assert_eq!(records(&output)[0].text("kata_origin"), Some("tenant"));
    let kata = katalog().arg(&again).output().unwrap().stdout;
    assert!(kata.is_empty(), "{}", String::from_utf8_lossy(&kata));
}
