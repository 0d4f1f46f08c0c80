//! Inputs that cannot be read as the user expects: the messages that name them and say what to do.

use std::fs::{self, File};
use std::path::Path;

use crate::archives::{piped, tar};
use crate::support::{expect_exit, katalog, stderr, wait_until, write_file};

/// Runs the program in a folder. Returns standard error.
fn refused(folder: &Path, arguments: &[&str], code: i32) -> String {
    stderr(&expect_exit(katalog().current_dir(folder).args(arguments), code))
}

#[test]
fn a_url_is_no_input() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path(), "kata.log", "level=info msg=one name=kata-agent\n");
    for (url, advice) in [
        ("http://a.example/kata.log", "`curl -fsSL \"http://a.example/kata.log\" | katalog -`"),
        ("https://a.example/x?y=1", "`curl -fsSL \"https://a.example/x?y=1\" | katalog -`"),
        ("s3://bucket/x", "download it, and name the file"),
        ("file:///var/log/kata.log", "name the path: \"/var/log/kata.log\""),
        ("forward://a.example:24224", "`katalog ship --to \"forward://a.example:24224\"`"),
        ("syslog+udp://a.example", "`katalog ship --to \"syslog+udp://a.example\"`"),
        ("unix:/run/fluent.sock", "`katalog ship --to \"unix:/run/fluent.sock\"`"),
    ] {
        for arguments in [&["kata.log", url][..], &["--follow", url], &["--check", url], &["--output-dir=out", url]] {
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
    write_file(folder.path(), "kata.log", "level=info msg=one name=kata-agent\n");
    for arguments in [&[][..], &["--output-dir=out"]] {
        let run = |pattern: &str| refused(folder.path(), &[arguments, &[pattern]].concat(), 66);
        assert_eq!(
            run("*.nope"),
            "katalog: cannot read \"*.nope\": no file has this name, and no file matches it as a pattern; check the path\n"
        );
        assert_eq!(
            run("*.log"),
            "katalog: cannot read \"*.log\": no file has this name; only `katalog print -f` and `katalog ship` expand \
             patterns, so leave out the quotes and let the shell expand it\n"
        );
    }
    write_file(folder.path(), "[x].log", "level=info msg=two name=kata-agent\n");
    assert!(refused(folder.path(), &["[x].log"], 0).is_empty(), "a file may have such a name");
}

/// Follows inputs in a folder until standard error has this many lines. Returns these and all that follow at the end.
fn followed(folder: &Path, arguments: &[&str], lines: usize) -> Vec<String> {
    let errors = folder.join("stderr");
    let mut command = katalog();
    command.current_dir(folder).arg("--follow").args(arguments).stdout(std::process::Stdio::null());
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
    write_file(folder.path(), "here.log", "level=info msg=one name=kata-agent\n");
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
    let once = ["--once", "--state-dir=state"];
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
    write_file(&inside, "a.log", "level=info msg=one name=kata-agent\n");
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
        for arguments in [&[name][..], &["--output-dir=out", name]] {
            assert_eq!(refused(folder.path(), arguments, 65), expected, "{arguments:?}");
        }
        let message = refused(folder.path(), &["--once", "--state-dir=state", name], 65);
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
            let checked = katalog().current_dir(folder.path()).args(["--check", input]).output().unwrap();
            let checked = stderr(&checked);
            assert_eq!(checked.matches(&notice(name)).count(), 1, "{checked}");
            let checked =
                katalog().current_dir(folder.path()).args(["--check", "--stats=json", input]).output().unwrap();
            let line: serde_json::Value = serde_json::from_slice(&checked.stderr).unwrap();
            assert_eq!(line["notices"][0], notice(name));
        }
        for stdin in [File::open(folder.path().join("bin.dat")).unwrap().into(), piped(&bytes)] {
            assert_eq!(stderr(&expect_exit(katalog().arg("-").stdin(stdin), 0)), alone("standard input"));
        }
        let once = ["--once", "--state-dir=state", "bin.dat"];
        assert!(refused(folder.path(), &once, 0).contains("/bin.dat\" looks binary"));
        assert_eq!(refused(folder.path(), &once, 0), "", "a later run reads no more of it");
        fs::remove_dir_all(folder.path().join("state")).unwrap();
    }
}

#[test]
fn what_is_not_binary_is_not_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let entry = "level=info msg=one name=kata-agent\n";
    let core = [&5000_u64.to_le_bytes(), noise(5000).as_slice()].concat();
    let export = [b"__REALTIME_TIMESTAMP=1700000000000000\nCOREDUMP\n", core.as_slice(), b"\nMESSAGE=x\n\n"].concat();
    let logs: [(&str, Vec<u8>); 5] = [
        ("empty.log", Vec::new()),
        ("utf8.log", "日本語 \u{1b}[1mé\u{1b}[0m\r\n".repeat(100).into_bytes()),
        ("latin1.log", b"level=info msg=\"d\xe9j\xe0 vu\" name=kata-agent\n".repeat(100)),
        ("crash.log", [entry.repeat(300).as_bytes(), &[0; 5000]].concat()),
        ("core.export", export),
    ];
    for (name, bytes) in logs {
        write_file(folder.path(), name, &bytes);
        assert_eq!(refused(folder.path(), &[name], 0), "", "{name}");
        assert_eq!(refused(folder.path(), &["--once", "--state-dir", &format!("{name}.state"), name], 0), "", "{name}");
    }
}
