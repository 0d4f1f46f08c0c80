//! Directories give the records of their files, as archives of them do.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::{COMPRESSIONS, journals, stdout_of, tar};
use crate::support::{expect_exit, katalog, stderr, with_limit};

#[test]
fn a_directory_is_read_as_an_archive_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let [(_, first), (_, second)] = journals();
    let record = |message: &str, name: &str| {
        format!("time=\"2024-05-06T07:08:09Z\" level=info msg={message} name={name} source=virtcontainers\n")
            .into_bytes()
    };
    let inner = tar([("kata/inner.log", record("inner", "kata-agent").as_slice())]);
    let (_, pack) = COMPRESSIONS[COMPRESSIONS.len() - 1];
    let named = record("named", "kata-agent");
    // In path order, as the directory is read.
    let members: [(&str, &[u8]); 9] = [
        ("bundle/etc/kata.toml", b"[hypervisor.qemu]\n"),
        ("bundle/sos.tar", &inner),
        ("bundle/var/log/journal/0123/system.journal", &second),
        ("bundle/var/log/journal/0123/system@1.journal.packed", &pack(&first)),
        ("bundle/var/log/kata/agent", b"free text of Kata's\n"),
        ("bundle/var/log/messages", &[b"no identifier\n", named.as_slice()].concat()),
        ("bundle/var/log/syslog.1", &record("rotated", "containerd-shim-v2")),
        ("bundle/var/log/zeros", &[0; 600]),
        // Anyone may have written a file at such a path.
        ("bundle/z.log", &record("last", "kata-runtime")),
    ];
    for (name, bytes) in members {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(folder.path().join("bundle.tar"), tar(members)).unwrap();
    // File types that have no bytes in an archive.
    std::os::unix::fs::symlink("messages", folder.path().join("bundle/var/log/link.log")).unwrap();
    std::os::unix::fs::symlink("..", folder.path().join("bundle/var/circle")).unwrap();
    for arguments in [
        &["--stats", "json"][..],
        &["--threads", "3", "--record-id", "id"],
        &["--others", "pass"],
        &["--format", "export"],
    ] {
        let [expected, output] = ["bundle.tar", "bundle"]
            .map(|name| expect_exit(katalog().current_dir(folder.path()).arg(name).args(arguments), 0));
        assert_eq!(stderr(&output), stderr(&expected), "{arguments:?}");
        let [expected, output] = [expected, output].map(|output| String::from_utf8(output.stdout).unwrap());
        assert_eq!(output, expected, "{arguments:?}");
        assert!(output.lines().count() > 5, "{arguments:?}");
    }
    // An archive has no sockets.
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("bundle/kata.sock")).unwrap();
    let output = expect_exit(katalog().current_dir(folder.path()).args(["-v", "bundle"]), 0);
    assert!(stderr(&output).contains("bundle/kata.sock\": passed over"), "{}", stderr(&output));
    assert!(stderr(&output).contains("bundle/var/log/zeros\": passed over"), "{}", stderr(&output));
    expect_exit(katalog().current_dir(folder.path()).args(["convert", "bundle", "--output-dir", "out"]), 0);
    for component in ["agent", "runtime", "shimv2", "unknown"] {
        assert!(folder.path().join(format!("out/{component}.ndjson")).exists(), "{component}");
    }
    let unknown = fs::read_to_string(folder.path().join("out/unknown.ndjson")).unwrap();
    let last = unknown.lines().find(|line| line.contains("\"kata_msg\":\"last\"")).unwrap();
    assert!(last.contains("\"kata_origin\":\"unproven\""), "{last}");
}

#[test]
fn what_is_written_into_a_directory_is_not_read_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    fs::create_dir(&bundle).unwrap();
    // Large enough that output begins before all input is read.
    let entry = r#"{"SYSLOG_IDENTIFIER":"kata-runtime","MESSAGE":"level=info msg=one name=kata-runtime"}"#;
    let log = format!("{entry}\n").repeat(60_000);
    fs::write(bundle.join("a.log"), &log).unwrap();
    // A program that reads its own output would only end when the disk is full.
    let run = |arguments: &[&str], stdout: Stdio| {
        let mut command = katalog();
        command.args(arguments).args(["--threads", "1", "bundle"]).current_dir(folder.path());
        assert!(with_limit("-f 100000", &command).stdout(stdout).status().unwrap().success(), "{arguments:?}");
    };
    let lines = |path: &str| fs::read_to_string(bundle.join(path)).unwrap().lines().count();
    run(&["--output", "bundle/b.ndjson"], Stdio::null());
    assert_eq!(lines("b.ndjson"), 60_000);
    // Beside the output of an earlier run; an archive of that output was made on purpose.
    let packed = tar([("kata.ndjson", &fs::read(bundle.join("b.ndjson")).unwrap()[..4096])]);
    fs::write(bundle.join("b.tar"), packed).unwrap();
    let archived = stdout_of(&bundle, &["b.tar"]).lines().count();
    assert!(archived > 0);
    run(&[], File::create(bundle.join("c.ndjson")).unwrap().into());
    assert_eq!(lines("c.ndjson"), 60_000 + archived);
    fs::remove_file(bundle.join("b.tar")).unwrap();
    for again in [&[][..], &["--force"]] {
        run(&[&["convert", "--output-dir", "bundle/out"], again].concat(), Stdio::null());
        assert_eq!(lines("out/unknown.ndjson"), 60_000);
    }
}

#[test]
fn what_cannot_be_read_of_a_directory_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], code| expect_exit(katalog().current_dir(folder.path()).args(arguments), code);
    fs::create_dir_all(folder.path().join("bundle/empty")).unwrap();
    let none = "failed to read \"bundle\": it is a directory without journals and without files that are logs";
    assert!(stderr(&run(&["bundle"], 65)).contains(none));
    fs::write(folder.path().join("bundle/x.bin"), "of no interest").unwrap();
    assert!(stderr(&run(&["bundle"], 65)).contains(none));
    fs::write(folder.path().join("bundle/kata.log"), "").unwrap();
    assert!(run(&["bundle"], 0).stderr.is_empty(), "a log that has nothing in it");
    assert!(stderr(&run(&["--format", "export", "bundle"], 65)).contains(none), "logs are not what is asked for");
    fs::write(folder.path().join("bundle/bad.log.gz"), b"\x1f\x8b\x08 nonsense").unwrap();
    fs::create_dir(folder.path().join("bundle/journal")).unwrap();
    fs::write(folder.path().join("bundle/journal/cut.journal"), b"LPKSHHRH and no more").unwrap();
    fs::write(folder.path().join("bundle/empty/kata.log"), "level=info msg=one name=kata-agent\n").unwrap();
    let output = run(&["bundle"], 65);
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    let errors = stderr(&output);
    assert!(errors.contains("bundle/bad.log.gz") && errors.contains("bundle/journal/cut.journal"), "{errors}");
}

/// Checks inputs in a folder. Returns the name of each row with its entries, records and flawed records, and the exit
/// code.
fn checked(folder: &Path, inputs: &[&str]) -> (Vec<String>, Option<i32>) {
    let output = katalog().current_dir(folder).args(["check", "--stats=json"]).args(inputs).output().unwrap();
    let errors = stderr(&output);
    let rows = errors.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let failed = if row["failures"] == serde_json::json!([]) { "" } else { " failed" };
        let [name, read, written, flawed] = ["input", "read", "written", "flawed"].map(|key| row[key].clone());
        format!("{} {read} {written} {flawed}{failed}", name.as_str().unwrap())
    });
    (rows.collect(), output.status.code())
}

#[test]
fn a_check_has_a_row_for_each_file_of_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let [(_, first), (_, second)] = journals();
    let kata = b"time=\"2024-05-06T07:08:09Z\" level=info msg=one name=containerd-shim-v2 source=virtcontainers\n";
    let inner = tar([("kata/inner.log", kata.as_slice()), ("x.journal", &second)]);
    let files: [(&str, &[u8]); 11] = [
        ("bundle/etc/hosts", b"127.0.0.1 localhost\n"),
        ("bundle/sos.tar", &inner),
        ("bundle/var/log/journal/1/cut.journal", b"LPKSHHRH and no more"),
        ("bundle/var/log/journal/1/system.journal", &second),
        ("bundle/var/log/journal/1/system@1.journal", &first),
        ("bundle/var/log/kata/agent", b"free text of Kata's\n"),
        ("bundle/var/log/kata/empty.log", b""),
        (
            "bundle/var/log/messages",
            b"no identifier\ntime=\"2024-05-06T07:08:09Z\" level=info msg=a name=containerd-shim-v2 source=x\n",
        ),
        ("bundle/var/log/out.ndjson", b"{\"kata_component\":\"agent\"}\n"),
        ("j/system.journal", &second),
        ("j/system@1.journal", &first),
    ];
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::create_dir(folder.path().join("nothing")).unwrap();
    let journals = ["j/system.journal 20 12 0", "j/system@1.journal 40 24 0"];
    assert_eq!(checked(folder.path(), &["j"]), (journals.map(str::to_owned).to_vec(), Some(0)));
    let bundle = [
        "bundle/sos.tar 21 13 0",
        "bundle/var/log/journal/1/cut.journal 0 0 0 failed",
        "bundle/var/log/journal/1/system.journal 20 12 0",
        "bundle/var/log/journal/1/system@1.journal 40 24 0",
        "bundle/var/log/kata/agent 1 1 1",
        "bundle/var/log/kata/empty.log 0 0 0",
        "bundle/var/log/messages 2 1 0",
    ];
    assert_eq!(checked(folder.path(), &["bundle"]), (bundle.map(str::to_owned).to_vec(), Some(65)));
    // Inputs stay in their order. A directory without a readable file is a row that says so.
    let (rows, code) = checked(folder.path(), &["nothing", "bundle/var/log/messages", "j", "none"]);
    let named =
        ["nothing 0 0 0 failed", "bundle/var/log/messages 2 2 1", journals[0], journals[1], "none 0 0 0 failed"];
    assert_eq!(rows, named);
    assert_eq!(code, Some(65));
    let output = katalog().current_dir(folder.path()).args(["check", "--progress", "bundle"]).output().unwrap();
    assert!(stderr(&output).contains("progress: 7 of 7 inputs, 100% of "), "{}", stderr(&output));
}
