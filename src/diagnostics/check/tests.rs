use std::path::Path;

use super::*;
use crate::diagnostics::Position;
use crate::diagnostics::tests::counted;
use kata_records::Others;

const SOUND: &str = "time=\"2031-01-01T00:00:00Z\" level=info msg=x source=runtime";

fn input(name: &str, lines: &[&str]) -> InputSummary {
    let mut input = InputSummary::new(name.to_owned());
    input.stats.merge(&counted(lines, Others::Drop));
    input
}

fn inputs() -> Vec<InputSummary> {
    let cut = SOUND.replace("msg=x", "msg=\"x");
    let mut node = input("node.log", &[&cut, &cut, SOUND, "bare"]);
    node.first.note("unterminated-quote", Position::Line(9117), Path::new(""), "node.log");
    let odd = SOUND.replace("2031-01", "2031-13");
    let mut bundle = input("/archive/2031/日本語/node-17/bundle.tar", &vec![odd.as_str(); 1200]);
    bundle.first.note("bad-time", Position::Byte(65_536), Path::new("bundle.tar:kata/kata\n.log"), "bundle.tar");
    let mut failed = input("gone\x1b[2J.log", &[]);
    failed.failures.push("failed to open \"gone\x1b[2J.log\" for reading: gone".to_owned());
    vec![node, bundle, input("system.journal", &[SOUND]), failed]
}

fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn each_input_has_a_row_and_each_flaw_a_line() {
    let expected = "\
input              format  records  worst   flaws
node.log           logfmt        4  DAMAGE  2 unterminated-quote, first at line
                                              9,117
                                            1 no-time
                                            1 unproven-origin
/arch…/bundle.tar  logfmt    1,200  notice  1,200 bad-time, first in
                                              bundle.tar:kata/kata\\n.log at byte
                                              65,536
                                            1,200 no-time
system.journal     logfmt        1  ok      -
gone\\x1b[2J.log    -             0  FAILED  failed to open \"gone\\x1b[2J.log\" for
                                              reading: gone
";
    let table = |width| written(|out| table(&inputs(), width, out));
    assert_eq!(table(80), expected);
    assert!(table(80).lines().all(|line| line.width() <= 80));
    let wide = table(200);
    assert!(
        wide.contains("\n/archive/2031/日本語/node-17/bundle.tar  logfmt    1,200  notice  1,200 bad-time, first in b"),
        "{wide}"
    );
    for width in 0..200 {
        assert!(!written(|out| super::table(&inputs(), width, out)).contains('\x1b'));
    }
}

#[test]
fn the_verdict_counts_inputs_and_names_the_exit_code() {
    let verdict = |inputs: &[InputSummary], fail_on, exit, unopened| {
        written(|out| verdict(inputs, &CheckEnd { fail_on, exit, unopened }, out))
    };
    let all = inputs();
    let damage = Some(Severity::Damage);
    for (inputs, fail_on, exit, unopened, expected) in [
        (
            &all[..3],
            damage,
            Exit::Unsatisfied,
            0,
            "1 of 3 inputs is damaged, 1 has notices (exit 1; --fail-on notice is stricter)",
        ),
        (
            &all[..],
            damage,
            Exit::NoInput,
            2,
            "3 of 6 inputs cannot be read, 1 is damaged, 1 has notices (exit 66; --fail-on notice is stricter)",
        ),
        (&all[1..3], damage, Exit::Success, 0, "1 of 2 inputs has notices (exit 0; --fail-on notice is stricter)"),
        (&all[1..2], Some(Severity::Notice), Exit::Unsatisfied, 0, "1 of 1 input has notices (exit 1)"),
        (&all[..1], None, Exit::Success, 0, "1 of 1 input is damaged (exit 0; --fail-on damage is stricter)"),
        (&all[2..3], damage, Exit::Success, 0, "the input is ok (exit 0)"),
        (&[all[2].clone(), all[2].clone()], damage, Exit::Success, 0, "all 2 inputs are ok (exit 0)"),
        (
            &[InputSummary::new("a".to_owned())],
            damage,
            Exit::Unsatisfied,
            0,
            "the input is ok; no record was written (exit 1)",
        ),
    ] {
        assert_eq!(verdict(inputs, fail_on, exit, unopened), format!("check: {expected}\n"));
    }
    let mut doubtful = all[2].clone();
    doubtful.notices.push("it looks\x1b binary".to_owned());
    assert!(verdict(&[doubtful], damage, Exit::Success, 0).starts_with("it looks\\x1b binary\ncheck: "));
}
