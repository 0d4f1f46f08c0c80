//! Inputs that cannot be read as the user expects: the messages that name them and say what to do.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::archives::{piped, tar};
use crate::support::journal::samples::services;
use crate::support::journal::{Shape, file};
use crate::support::{expect_exit, katalog, namespaces, stderr, wait_for_exit, wait_until, write_file};

const ENTRY: &str = "level=info msg=one name=kata-agent\n";

/// Runs the program in a folder. Returns standard error.
#[track_caller]
fn refused(folder: &Path, arguments: &[&str], code: i32) -> String {
    let mut command = katalog();
    command.current_dir(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that follows does not end by itself.
    wait_for_exit(&mut child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    stderr(&output)
}

#[test]
fn a_url_is_no_input() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "kata.log", ENTRY);
    for (url, advice) in [
        ("http://a.example/kata.log", "`curl -fsSL \"http://a.example/kata.log\" | katalog -`"),
        ("https://a.example/x?y=1", "`curl -fsSL \"https://a.example/x?y=1\" | katalog -`"),
        ("s3://bucket/x", "download it, and name the file"),
        ("file:///var/log/kata.log", "name the path: \"/var/log/kata.log\""),
        ("forward://a.example:24224", "`katalog ship --to \"forward://a.example:24224\"`"),
        ("syslog+udp://a.example", "`katalog ship --to \"syslog+udp://a.example\"`"),
        ("unix:/run/fluent.sock", "`katalog ship --to \"unix:/run/fluent.sock\"`"),
    ] {
        for arguments in
            [&["kata.log", url][..], &["--follow", url], &["check", url], &["convert", "--output-dir=out", url]]
        {
            let message = refused(folder.path(), arguments, 64);
            let expected = format!("katalog: cannot read \"{url}\": it is a URL, and inputs are files; ");
            assert!(message.starts_with(&expected) && message.contains(advice), "{arguments:?}: {message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
        assert!(!folder.path().join("out").exists());
    }
    // A file may have such a name.
    for directory in ["http:/a.example", "unix:"] {
        fs::create_dir_all(folder.path().join(directory)).unwrap();
        fs::copy(folder.path().join("kata.log"), folder.path().join(directory).join("kata.log")).unwrap();
    }
    for path in ["http://a.example/kata.log", "./http:/a.example/kata.log", "unix:/kata.log"] {
        let output = expect_exit(katalog().current_dir(folder.path()).arg(path), 0);
        assert!(!output.stdout.is_empty(), "{path}");
    }
    assert!(refused(folder.path(), &["./http://b"], 66).contains("No such file"));
}

#[test]
fn a_pattern_is_expanded_only_where_files_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "kata.log", ENTRY);
    for arguments in [&[][..], &["convert", "--output-dir=out"]] {
        let run = |pattern: &str| refused(folder.path(), &[arguments, &[pattern]].concat(), 66);
        assert_eq!(
            run("*.nope"),
            "katalog: cannot read \"*.nope\": no file has this name, and no file matches it as a pattern; check the path\n"
        );
        assert_eq!(
            run("*.log"),
            "katalog: cannot read \"*.log\": no file has this name; only `katalog print -f` and `katalog ship` \
             without `--once --no-state` expand patterns, so leave out the quotes\n"
        );
    }
    write_file(folder.path(), "[x].log", "level=info msg=two name=kata-agent\n");
    assert!(refused(folder.path(), &["[x].log"], 0).is_empty(), "a file may have such a name");
}

/// Follows inputs in a folder until standard error has this many lines. Returns these and all that follow at the end.
fn followed(folder: &Path, arguments: &[&str], lines: usize) -> Vec<String> {
    let errors = folder.join("stderr");
    let mut command = katalog();
    command.current_dir(folder).arg("--follow").args(arguments).stdout(Stdio::null());
    let mut child = command.stderr(File::create(&errors).unwrap()).spawn().unwrap();
    let read = || fs::read_to_string(&errors).unwrap();
    wait_until("the notices", || {
        assert!(child.try_wait().unwrap().is_none(), "{arguments:?} ended: {}", read());
        read().lines().count() >= lines
    });
    assert_eq!(std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap().code(), Some(0));
    assert!(child.wait().unwrap().success());
    read().lines().map(str::to_owned).collect()
}

#[test]
fn what_is_waited_for_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "here.log", ENTRY);
    fs::create_dir(folder.path().join("journal")).unwrap();
    for (inputs, expected) in [
        (&["*.nope"][..], &["no file matches \"*.nope\" yet; katalog waits for one"][..]),
        (&["here.log", "*.nope"], &["no file matches \"*.nope\" yet; katalog waits for one"]),
        (
            &["no/*/x.log", "no.log"],
            &[
                "no file matches \"no/*/x.log\" yet, and the directory \"no\" does not exist; katalog waits for both",
                "the file \"no.log\" does not exist yet; katalog waits for it",
            ],
        ),
        (
            &["no/x/kata.log", "here.log"],
            &["the file \"no/x/kata.log\" does not exist yet, nor does the directory \"no/x\"; katalog waits for both"],
        ),
        (
            &["journal"],
            &["the directory \"journal\" holds no journal files yet; katalog waits for them; to follow log files in \
                it, name a pattern, as in \"journal/*.log\""],
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|notice| format!("katalog: {notice}")).collect();
        assert_eq!(followed(folder.path(), inputs, expected.len()), expected, "{inputs:?}");
    }
    // A timer finds a pattern without files at each run. A file that is named is missing, as ever.
    let once = ["ship", "--once", "--state-dir=state"];
    let notice = refused(folder.path(), &[&once[..], &["*.nope", "h*.log"]].concat(), 0);
    assert_eq!(notice, "katalog: no file matches \"*.nope\" yet; the next run looks for one\n");
    let missing = refused(folder.path(), &[&once[..], &["no.log"]].concat(), 66);
    assert_eq!(missing, "katalog: failed to open \"no.log\" for reading: No such file or directory (os error 2)\n");
}

/// The first bytes of files in formats that katalog does not read, the format, and the command that unpacks such a file.
const FOREIGN: [(&str, &[u8], &str, &str); 6] = [
    ("x.zip", b"PK\x03\x04\x14\0\0\0\x08\0", "a zip archive", "unzip -p"),
    ("x.bz2", b"BZh91AY&SY\x1c\x11", "compressed with bzip2", "bzip2 -dc"),
    ("x1.bz2", b"BZh11AY&SY\x1c\x11", "compressed with bzip2", "bzip2 -dc"),
    ("x.lz4", b"\x04\x22\x4d\x18\x64\x40", "compressed with lz4", "lz4 -dc"),
    ("x.7z", b"7z\xbc\xaf\x27\x1c\0\x04", "a 7z archive", "7z x -so"),
    ("core", b"\x7fELF\x02\x01\x01\0", "an ELF file (a program or a core dump)", ""),
];

#[test]
fn formats_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("bundle");
    fs::create_dir(&inside).unwrap();
    write_file(&inside, "a.log", ENTRY);
    for (name, head, format, unpack) in FOREIGN {
        let bytes = [head, &[0xa5; 3000]].concat();
        write_file(folder.path(), name, &bytes);
        let advice = |input: &str| match unpack {
            "" => "; name a log or a journal".to_owned(),
            _ => format!("; unpack it first, as in `{unpack} {input} | katalog -`"),
        };
        let quoted = format!("{name:?}");
        let expected = format!(
            "katalog: failed to read {quoted}: it is {format}, which katalog does not read{}\n",
            advice(&quoted)
        );
        for arguments in [&[name][..], &["convert", "--output-dir=out", name]] {
            assert_eq!(refused(folder.path(), arguments, 65), expected, "{arguments:?}");
        }
        let message = refused(folder.path(), &["ship", "--once", "--state-dir=state", name], 65);
        assert!(message.contains(&format!("{name}\": it is {format}, ")), "{message}");
        let output = expect_exit(katalog().arg("-").stdin(File::open(folder.path().join(name)).unwrap()), 65);
        assert_eq!(
            stderr(&output),
            expected.replace(&advice(&quoted), &advice("FILE")).replace(&quoted, "standard input")
        );
        assert!(output.stdout.is_empty());
        // The name of a file in a directory decides whether it was expected to be a log.
        write_file(&inside, "other", &bytes);
        assert!(refused(folder.path(), &["bundle"], 0).is_empty());
        write_file(&inside, "b.log.1", &bytes);
        assert!(refused(folder.path(), &["bundle"], 65).contains(&format!("\"bundle/b.log.1\": it is {format}")));
        fs::remove_file(inside.join("b.log.1")).unwrap();
    }
    for text in ["PK\x03", "BZh", "BZh91AY", "7z", "\x7fEL"] {
        write_file(folder.path(), "text.log", text);
        assert!(refused(folder.path(), &["text.log"], 0).is_empty(), "{text:?}");
    }
    let program = env!("CARGO_BIN_EXE_katalog");
    assert!(refused(folder.path(), &[program], 65).contains("an ELF file"));
}

/// Returns bytes without an order that begin like no known format.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn an_input_that_looks_binary_is_named_once() {
    let folder = tempfile::tempdir().unwrap();
    let notice = |name: &str| {
        format!(
            "{name} looks binary, not like a log: records of its lines have the component \"unknown\"; check whether \
             this is the right file"
        )
    };
    let alone = |name: &str| format!("katalog: {}\n", notice(name));
    fs::create_dir_all(folder.path().join("d/kata")).unwrap();
    for bytes in [noise(40), noise(9_000), noise(300_000), [b"head\0".as_slice(), &[0; 50]].concat()] {
        write_file(folder.path(), "bin.dat", &bytes);
        write_file(folder.path(), "d/kata/bin.log", &bytes);
        write_file(folder.path(), "a.tar", tar([("kata/bin.log", bytes.as_slice())]));
        for (input, name) in
            [("bin.dat", "\"bin.dat\""), ("d", "\"d/kata/bin.log\""), ("a.tar", "\"a.tar:kata/bin.log\"")]
        {
            for threads in ["1", "3"] {
                assert_eq!(refused(folder.path(), &["--threads", threads, input], 0), alone(name));
            }
            let checked = katalog().current_dir(folder.path()).args(["check", input]).output().unwrap();
            let checked = stderr(&checked);
            assert_eq!(checked.matches(&notice(name)).count(), 1, "{checked}");
            let checked = katalog().current_dir(folder.path()).args(["check", "--stats=json", input]).output().unwrap();
            let line: serde_json::Value = serde_json::from_slice(&checked.stderr).unwrap();
            assert_eq!(line["notices"][0], notice(name));
        }
        for stdin in [File::open(folder.path().join("bin.dat")).unwrap().into(), piped(&bytes)] {
            assert_eq!(stderr(&expect_exit(katalog().arg("-").stdin(stdin), 0)), alone("standard input"));
        }
        let once = ["ship", "--once", "--state-dir=state", "bin.dat"];
        assert!(refused(folder.path(), &once, 0).contains("/bin.dat\" looks binary"));
        assert!(!refused(folder.path(), &once, 0).contains("looks binary"), "a later run reads no more of it");
        fs::remove_dir_all(folder.path().join("state")).unwrap();
    }
}

#[test]
fn what_is_not_binary_is_not_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let core = [&5000_u64.to_le_bytes(), noise(5000).as_slice()].concat();
    let export = [b"__REALTIME_TIMESTAMP=1700000000000000\nCOREDUMP\n", core.as_slice(), b"\nMESSAGE=x\n\n"].concat();
    let logs: [(&str, Vec<u8>); 5] = [
        ("empty.log", Vec::new()),
        ("utf8.log", "日本語 \u{1b}[1mé\u{1b}[0m\r\n".repeat(100).into_bytes()),
        ("latin1.log", b"level=info msg=\"d\xe9j\xe0 vu\" name=kata-agent\n".repeat(100)),
        ("crash.log", [ENTRY.repeat(300).as_bytes(), &[0; 5000]].concat()),
        ("core.export", export),
    ];
    for (name, bytes) in logs {
        write_file(folder.path(), name, &bytes);
        assert_eq!(refused(folder.path(), &[name], 0), "", "{name}");
        assert_eq!(
            refused(folder.path(), &["ship", "--once", "--state-dir", &format!("{name}.state"), name], 0),
            "",
            "{name}"
        );
    }
}

/// Writes a log and a journal of six records.
fn log_and_journal(folder: &Path) {
    write_file(folder, "kata.log", ENTRY);
    write_file(folder, "x.journal", file(&Shape::default(), &services(10)));
}

/// The command lines that read files, without the files.
const COMMANDS: [&[&str]; 6] = [
    &[],
    &["--follow"],
    &["check"],
    &["convert", "--output-dir=out"],
    &["ship", "--once", "--state-dir=state"],
    &["ship", "--output=records", "--no-state"],
];

/// Flags that hold for journals only, as typed and as messages name them.
const RANGES: [(&[&str], &str); 3] = [
    (&["--boot=-1"], "--boot"),
    (&["--after-cursor=s=000102030405060708090a0b0c0d0e0f;i=2"], "--after-cursor"),
    (&["--until=now", "--boot=0", "--since=@5"], "--boot"),
];

#[test]
fn flags_of_journals_are_refused_with_log_files() {
    let folder = tempfile::tempdir().unwrap();
    log_and_journal(folder.path());
    for (flags, flag) in RANGES {
        let expected = format!(
            "katalog: {flag}: \"kata.log\" is no journal file, and {flag} holds for journals only; leave out {flag}\n"
        );
        for command in COMMANDS {
            let arguments = [command, flags, &["kata.log"]].concat();
            assert_eq!(refused(folder.path(), &arguments, 64), expected, "{arguments:?}");
        }
        for beside in ["x.journal", "."] {
            assert_eq!(refused(folder.path(), &[flags, &[beside, "kata.log"]].concat(), 64), expected, "{flags:?}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing was written");
    for command in
        [&["--follow"][..], &["ship", "--once", "--state-dir=state"], &["ship", "--output=records", "--no-state"]]
    {
        let lines = refused(folder.path(), &[command, &["-n3", "kata.log"]].concat(), 64);
        let expected = "katalog: --lines: \"kata.log\" is no journal file, and with `ship` and `print --follow` it holds for \
                        journals only; leave out --lines\n";
        assert_eq!(lines, expected, "{command:?}");
    }
    let missing = refused(folder.path(), &["--boot=0", "no.log"], 66);
    assert!(missing.contains("No such file"), "a missing file has another error: {missing}");
}

#[test]
fn a_boot_that_nobody_typed_leaves_logs_whole() {
    let folder = tempfile::tempdir().unwrap();
    log_and_journal(folder.path());
    write_file(folder.path(), "katalog.toml", "boot = \"2\"\njournal-backend = \"native\"\n");
    let records = |name: &str, value: &str, input: &str| {
        let mut command = katalog();
        let output = expect_exit(command.current_dir(folder.path()).env(name, value).arg(input), 0);
        assert!(output.stderr.is_empty(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap().lines().count()
    };
    for (name, value, of_journal) in [
        ("KATALOG_BOOT", "1", 6),
        ("KATALOG_BOOT", "2", 0),
        ("KATALOG_JOURNAL_BACKEND", "native", 6),
        ("KATALOG_CONFIG", "katalog.toml", 0),
    ] {
        assert_eq!(records(name, value, "kata.log"), 1, "{name}");
        assert_eq!(records(name, value, "x.journal"), of_journal, "{name}");
    }
}

#[test]
fn a_log_from_standard_input_is_refused_under_flags_of_journals() {
    let folder = tempfile::tempdir().unwrap();
    log_and_journal(folder.path());
    let open = |name: &str| File::open(folder.path().join(name)).unwrap().into();
    let journal = fs::read(folder.path().join("x.journal")).unwrap();
    for (flags, flag) in RANGES {
        let expected = format!(
            "katalog: {flag}: standard input is no journal file, and {flag} holds for journals only; leave out {flag}\n"
        );
        for (command, stdin) in [
            (&[][..], open("kata.log")),
            (&[], piped(ENTRY.as_bytes())),
            (&["check"], open("kata.log")),
            (&["convert", "--output-dir=out"], open("kata.log")),
            (&["ship", "--output=records"], piped(ENTRY.as_bytes())),
        ] {
            let arguments = [command, flags, &["-"]].concat();
            let output = expect_exit(katalog().current_dir(folder.path()).args(&arguments).stdin(stdin), 64);
            assert_eq!(stderr(&output), expected, "{arguments:?}");
            assert!(output.stdout.is_empty(), "{arguments:?}");
        }
        assert!(expect_exit(katalog().args(flags).stdin(piped(b"")), 0).stderr.is_empty(), "nothing is no log");
    }
    let output = expect_exit(katalog().args(["--lines=2"]).stdin(piped(&journal)), 0);
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2, "a journal obeys");
}

#[test]
fn logs_in_archives_are_left_out_under_flags_of_journals() {
    let folder = tempfile::tempdir().unwrap();
    log_and_journal(folder.path());
    let journal = fs::read(folder.path().join("x.journal")).unwrap();
    let members: [(&str, &[u8]); 3] =
        [("kata/a.log", ENTRY.as_bytes()), ("kata/b.log", ENTRY.as_bytes()), ("kata/x.journal", &journal)];
    write_file(folder.path(), "bundle.tar", tar(members));
    fs::create_dir_all(folder.path().join("bundle/kata")).unwrap();
    members.iter().for_each(|(name, bytes)| _ = write_file(&folder.path().join("bundle"), name, bytes));
    for (input, first) in [("bundle.tar", "bundle.tar:kata/a.log"), ("bundle", "bundle/kata/a.log")] {
        let message = |name: &str| {
            format!(
                "--boot: \"{name}\" is no journal file, and --boot holds for journals only; all logs of \"{input}\" are \
                 left out, unless you leave out --boot"
            )
        };
        let mut command = katalog();
        let output = expect_exit(command.current_dir(folder.path()).args(["--boot=0", input]), 64);
        assert_eq!(stderr(&output), format!("katalog: {}\n", message(first)), "one message for all logs");
        let records = String::from_utf8(output.stdout).unwrap();
        assert_eq!(records.lines().count(), 6, "{records}");
        assert!(!records.contains("kata-agent"), "{records}");
        // The rows of a check name each log of a directory.
        let rows = refused(folder.path(), &["check", "--boot=0", input], 64);
        let rows = rows.split_whitespace().collect::<Vec<_>>().join(" ");
        let named = ["kata/a.log", "kata/b.log"].map(|log| rows.contains(&message(&first.replace("kata/a.log", log))));
        assert_eq!(named, [true, input == "bundle"], "{rows}");
        let alone = refused(folder.path(), &["--boot=0", "--others=pass", "bundle/kata/x.journal"], 0);
        assert!(alone.is_empty(), "{alone}");
    }
}

#[test]
fn a_reader_of_journals_needs_an_input_that_may_be_one() {
    let folder = tempfile::tempdir().unwrap();
    log_and_journal(folder.path());
    fs::create_dir(folder.path().join("bundle")).unwrap();
    write_file(&folder.path().join("bundle"), "kata.log", ENTRY);
    let (native, other) = (["--journal-backend", "native"], ["--journal-backend", "libsystemd"]);
    let expected = "katalog: --journal-backend libsystemd has no effect without a journal among the inputs\n";
    // With a state directory there is another reason to refuse it.
    for command in COMMANDS.iter().filter(|command| !command.contains(&"--state-dir=state")) {
        let arguments = [*command, &other, &["kata.log"]].concat();
        assert_eq!(refused(folder.path(), &arguments, 64), expected, "{arguments:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing was written");
    let stdin = File::open(folder.path().join("kata.log")).unwrap();
    assert_eq!(stderr(&expect_exit(katalog().args(other).stdin(stdin), 64)), expected);
    for inputs in [&["x.journal"][..], &["x.journal", "kata.log"], &["bundle"]] {
        assert!(refused(folder.path(), &[&native, inputs].concat(), 0).is_empty(), "{inputs:?}");
    }
    let output = expect_exit(katalog().args(native).stdin(piped(ENTRY.as_bytes())), 0);
    assert!(output.stderr.is_empty() && !output.stdout.is_empty(), "a pipe may hold a journal");
}

/// Returns a directory with a log, a pipe and a socket, all of them named like logs.
fn with_special_files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "kata.log", "time=\"2031-01-01T00:00:00Z\" level=info msg=one source=runtime\n");
    expect_exit(std::process::Command::new("mkfifo").arg(folder.path().join("kata-pipe.log")), 0);
    std::os::unix::net::UnixListener::bind(folder.path().join("kata-socket.log")).unwrap();
    folder
}

/// Runs the program, which has to write one record. Returns the number of members that it passed over.
#[track_caller]
fn passed_over(command: &mut std::process::Command) -> serde_json::Value {
    let output = expect_exit(command.args(["--stats", "json", "--verbose"]), 0);
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
    let errors = stderr(&output);
    assert!(errors.contains("kata-pipe.log\": passed over"), "{errors}");
    let stats = errors.lines().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).unwrap();
    stats["members"].clone()
}

#[test]
fn pipes_and_sockets_in_a_directory_or_under_a_pattern_are_passed_over() {
    let folder = with_special_files();
    assert_eq!(passed_over(katalog().arg(folder.path())), 2, "a directory");
    let state = tempfile::tempdir().unwrap();
    let mut command = katalog();
    command.args(["ship", "--once", "--state-dir"]).arg(state.path()).arg(folder.path().join("*.log"));
    assert_eq!(passed_over(&mut command), 2, "a pattern");
}

#[test]
fn links_into_the_directories_of_pods_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_file(folder, "away.log", ENTRY.replace("one", "away"));
    write_file(folder, "pod.log", ENTRY);
    write_file(folder, "docker.log", ENTRY.replace("one", "two"));
    let command = namespaces::in_namespaces(
        folder,
        r#"
        mount -t tmpfs none /var/log
        mount -t tmpfs none /var/lib
        mkdir -p /var/log/containers /var/log/pods/ns_pod_uid/c /var/lib/docker/containers/1
        cp pod.log /var/log/pods/ns_pod_uid/c/0.log
        cp docker.log /var/lib/docker/containers/1/1-json.log
        ln -s /var/lib/docker/containers/1/1-json.log /var/log/pods/ns_pod_uid/c/1.log
        for FILE in /var/log/pods/ns_pod_uid/c/*.log $PWD/away.log; do
            ln -s $FILE /var/log/containers/${FILE##*/}
        done
        for FLAG in "" --follow-links; do
            "$KATALOG" ship --once --state-dir state$FLAG --vouch $FLAG "/var/log/containers/*.log" > out$FLAG 2> errors$FLAG
        done
        "#,
    );
    let Some(mut command) = command else { return };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    for (flag, expected) in [("", 2), ("--follow-links", 3)] {
        let found = read(&format!("out{flag}"));
        assert_eq!(found.lines().count(), expected, "{flag}: {found}{}", read(&format!("errors{flag}")));
        assert_eq!(found.contains("away"), !flag.is_empty());
    }
}

#[test]
fn a_long_value_is_decoded_once_for_all_keys_that_it_is_compared_with() {
    let folder = tempfile::tempdir().unwrap();
    let long = r"\n".repeat(400_000);
    let start = r#"time="2024-03-05T05:01:54.811777275Z" level=debug"#;
    let end = "name=containerd-shim-v2 source=virtcontainers";
    let aliases: String = (0..500).map(|number| format!("cri-name={number} ")).collect();
    let claims: Vec<String> = (0..900).map(|number| format!(r#"\"sandbox\":\"{number}\""#)).collect();
    let guest = format!(r#"{{\"msg\":\"x\",\"level\":\"INFO\",\"ts\":\"2024-03-05T05:01:54Z\",{}}}"#, claims.join(","));
    for (name, line) in [
        ("aliases", format!("{start} msg=x cri-name=\"{long}\" {aliases}{end}\n")),
        ("claims", format!("{start} msg=\"reading guest console\" sandbox=\"{long}\" vmconsole=\"{guest}\" {end}\n")),
    ] {
        write_file(folder.path(), name, &line);
        let mut command = Command::new("prlimit");
        command.arg(format!("--data={}", 96 << 20)).arg(env!("CARGO_BIN_EXE_katalog")).args(["--threads=1", name]);
        let mut child = command.current_dir(folder.path()).stdout(Stdio::null()).spawn().unwrap();
        assert!(wait_for_exit(&mut child).success(), "{name}");
    }
}
