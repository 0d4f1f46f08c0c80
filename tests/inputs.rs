//! Inputs that cannot be read as the user expects: the messages that name them and say what to do.

use std::fs;
use std::path::Path;

use crate::support::{expect_exit, katalog, stderr, write_file};

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
