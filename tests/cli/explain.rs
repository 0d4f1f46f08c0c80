//! `katalog explain`: the list, the help on texts and lines, and its limits.

use std::io::Write as _;
use std::process::{Output, Stdio};

use super::{katalog, refused, stdout};
use crate::progress::terminal;
use crate::support::{expect_exit, stderr};

const NOT_VIABLE: &str = "QMP command failed: vfio 0000:1a:00.0: group 40 is not viable";

/// Runs the command on lines of standard input.
fn of_lines(lines: &[u8], code: i32) -> Output {
    let mut child =
        katalog(&["explain", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    output
}

#[test]
fn the_list_has_a_line_for_each_pattern() {
    let list = stdout(&expect_exit(&mut katalog(&["explain"]), 0));
    assert!(list.lines().count() >= 40, "{list}");
    for (at, line) in list.lines().enumerate() {
        assert!(line.starts_with(&format!("KX-{:04}  ", at + 1)) && line.ends_with('.'), "{line}");
    }
}

#[test]
fn the_list_keeps_to_the_columns_of_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    for columns in [80, 120] {
        let Some(output) = terminal(columns, &[], "\"$PROGRAM\" explain; \"$PROGRAM\" explain KX-0001", folder.path())
        else {
            return;
        };
        let shown = stdout(&output).replace('\r', "");
        assert!(
            shown.contains("KX-0001  QEMU cannot use KVM") && shown.contains("\nlook     ls -l /dev/kvm"),
            "{shown}"
        );
        let longest = shown.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= columns && longest > columns / 2, "{longest}: {shown}");
    }
}

#[test]
fn a_message_a_part_of_it_and_its_line_have_one_help() {
    let help = stdout(&expect_exit(&mut katalog(&["explain", NOT_VIABLE]), 0));
    assert!(help.starts_with("KX-") && help.contains("\nlook     ") && help.contains("\nsource   https://"), "{help}");
    let line = format!(
        "time=\"2022-06-13T17:28:07+08:00\" level=error msg=\"failed to hotplug VFIO device\" error=\"{NOT_VIABLE}\" \
         name=containerd-shim-v2 pid=17793 sandbox=arch source=virtcontainers subsystem=sandbox"
    );
    let event = format!("Warning  Failed  3s  kubelet  Error: failed to create shim task: {NOT_VIABLE}: unknown");
    let id = help.split(' ').next().unwrap();
    for words in [
        &["group 40 is not viable"][..],
        &["group", "40", "is", "not", "viable"],
        &[&line],
        &[&event],
        &["first\nsecond group 4 is not viable\n"],
        &[id],
        &[&id.to_lowercase()],
    ] {
        let found = stdout(&expect_exit(katalog(&["explain"]).args(words), 0));
        assert_eq!(found, help, "{words:?}");
    }
}

#[test]
fn lines_are_counted_for_each_failure() {
    let lines = format!("nothing\n{NOT_VIABLE}\nopen /dev/vhost-vsock: no such device\r\n{NOT_VIABLE}");
    let found = stdout(&of_lines(lines.as_bytes(), 0));
    let heads: Vec<&str> = found.lines().filter(|line| line.starts_with("KX-") || line.starts_with("seen")).collect();
    assert_eq!(heads.len(), 4, "{found}");
    assert_eq!((heads[1], heads[3]), ("seen     2 lines, first line 2", "seen     line 3"));
}

#[test]
fn what_nobody_knows_is_said_without_harm() {
    refused(&["explain", "\u{1b}[2Jnothing\u{202e}"], 1, &["\"\\x1b[2Jnothing\\u{202e}\"", "no known failure"]);
    refused(&["explain", ""], 1, &["no known failure"]);
    let output = of_lines(b"", 1);
    assert!(stderr(&output).contains("standard input, 0 lines: no known failure"), "{}", stderr(&output));
    let output = of_lines(&[b"\xff\x00".repeat(3 << 20), b"\ngroup 4 is not viable".to_vec()].concat(), 0);
    assert!(stdout(&output).contains("seen     line 2"), "{}", stdout(&output));
}

#[test]
fn a_line_of_the_guest_is_not_explained() {
    let console = "time=\"2025-03-11T02:14:07Z\" level=debug msg=\"reading guest console\" name=containerd-shim-v2 pid=1 \
                   sandbox=a source=virtcontainers subsystem=sandbox vmconsole=\"group 40 is not viable\"";
    refused(&["explain", console], 1, &["a guest or a container wrote it", "type the text alone"]);
    let output = of_lines(format!("{console}\n{console}\n").as_bytes(), 1);
    assert!(stderr(&output).contains("a guest or a container wrote it"), "{}", stderr(&output));
    let found = stdout(&of_lines(format!("{console}\n{NOT_VIABLE}\n{console}\n").as_bytes(), 0));
    assert!(found.contains("seen     line 2\n"), "{found}");
}
