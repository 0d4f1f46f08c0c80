use std::sync::LazyLock;

use kata_records::{Rules, Settings};
use regex::Regex;

use super::*;

/// The explainer, compiled once.
static EXPLAINER: LazyLock<Explainer> = LazyLock::new(|| Explainer::new().unwrap());

fn explainer() -> &'static Explainer {
    &EXPLAINER
}

/// Calls the function with a function that explains lines.
fn with_lines(check: impl FnOnce(&Explainer, &mut LineExplainer<'_>)) {
    let (explainer, rules) = (explainer(), Rules::new(&Settings::default()).unwrap());
    check(explainer, &mut LineExplainer::new(explainer, &rules));
}

/// Returns the id of the pattern that explains a line, or the reason that none does.
fn id(lines: &mut LineExplainer<'_>, line: &str) -> String {
    match lines.explain(line.as_bytes()) {
        Verdict::Known(pattern) => pattern.id.clone(),
        Verdict::NotOfHost => "not of host".to_owned(),
        Verdict::Unknown => "unknown".to_owned(),
    }
}

/// Returns the text that the guest wrote on its console, if the line has one.
fn console(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("vmconsole=\"")?;
    Some(rest.split_once('"')?.0)
}

#[test]
fn each_case_is_explained_by_its_pattern() {
    with_lines(|explainer, lines| {
        for pattern in explainer.patterns() {
            assert!(!pattern.cases.is_empty(), "{}", pattern.id);
            for case in &pattern.cases {
                if let Some(guest) = console(case) {
                    assert_eq!(id(lines, case), "not of host", "{case}");
                    let found = explainer.explain_text(guest).map(|pattern| pattern.id.as_str());
                    assert_eq!(found, Some(pattern.id.as_str()), "{case}");
                } else {
                    let is_entry = lines.is_entry(case.as_bytes());
                    assert_eq!(is_entry, !pattern.is_only_typed(), "{}: {case}", pattern.id);
                    assert_eq!(id(lines, case), pattern.id, "{case}");
                }
            }
        }
    });
}

#[test]
fn no_counterexample_is_explained_by_its_pattern() {
    with_lines(|explainer, lines| {
        for pattern in explainer.patterns() {
            assert!(!pattern.counterexamples.is_empty(), "{}", pattern.id);
            for line in &pattern.counterexamples {
                let naive = pattern.naive.to_lowercase();
                assert!(line.to_lowercase().contains(&naive), "{}: {naive:?} is not in {line}", pattern.id);
                if let Some(guest) = console(line) {
                    let found = explainer.explain_text(guest).map(|pattern| pattern.id.as_str());
                    assert_ne!(found, Some(pattern.id.as_str()), "{line}");
                } else {
                    assert!(lines.is_entry(line.as_bytes()), "{}: no record of the host: {line}", pattern.id);
                    assert_ne!(id(lines, line), pattern.id, "{line}");
                }
            }
            let naive = pattern.naive.to_lowercase();
            let is_in_a_case = pattern.cases.iter().any(|case| case.to_lowercase().contains(&naive));
            assert!(is_in_a_case, "{}: no case has {naive:?}", pattern.id);
        }
    });
}

#[test]
fn the_text_of_a_guest_explains_nothing() {
    with_lines(|explainer, lines| {
        for pattern in explainer.patterns().iter().filter(|pattern| !pattern.is_only_typed()) {
            for case in &pattern.cases {
                // A guest prints a line of the host on its console. The shim quotes it.
                let quoted = case.replace('\\', "\\\\").replace('"', "\\\"");
                let line = format!(
                    "time=\"2025-03-11T02:14:07.481205316Z\" level=debug msg=\"reading guest console\" \
                     console-protocol=unix name=containerd-shim-v2 pid=4107 sandbox=a source=virtcontainers \
                     subsystem=sandbox vmconsole=\"{quoted}\""
                );
                assert_eq!(id(lines, &line), "not of host", "{line}");
            }
        }
    });
}

#[test]
fn only_the_word_of_the_host_is_explained() {
    let explainer = explainer();
    let fields = [("kata_msg", "failed to launch qemu"), ("kata_error", "exit status 1")];
    for (origin, is_known) in
        [("host", true), ("vouched", true), ("guest", false), ("tenant", false), ("unproven", false), ("", false)]
    {
        let record = RecordText { origin, component: "shimv2", level: "error", fields: &fields };
        assert_eq!(explainer.explain(&record).is_some(), is_known, "{origin}");
    }
}

#[test]
fn ids_are_unique_and_in_order() {
    let explainer = explainer();
    for (at, pattern) in explainer.patterns().iter().enumerate() {
        assert_eq!(pattern.id, format!("KX-{:04}", at + 1));
        assert_eq!(explainer.of_id(&pattern.id.to_lowercase()).map(|found| &found.id), Some(&pattern.id));
    }
    assert!(explainer.patterns().len() >= 40, "{}", explainer.patterns().len());
    assert!(explainer.of_id("KX-0000").is_none() && explainer.of_id("").is_none());
}

#[test]
fn every_pattern_is_short_and_has_sources() {
    let source =
        Regex::new(r"^(https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+|[\w.-]+/[\w.-]+: [\w./-]+)$").unwrap();
    let version = Regex::new(r"^\d+\.\d+$").unwrap();
    let clause = Regex::new(r"^(What|Whether|How|Where|Which|That|All that|The same)\b").unwrap();
    for pattern in explainer().patterns() {
        let id = &pattern.id;
        let (means, look) = (pattern.means.chars().count(), pattern.look.chars().count());
        assert!((20..=100).contains(&means) && pattern.means.ends_with('.'), "{id}: {means}: {}", pattern.means);
        assert!((10..=120).contains(&look) && !pattern.look.ends_with('.'), "{id}: {look}: {}", pattern.look);
        assert!(!clause.is_match(&pattern.means) && !clause.is_match(&pattern.look), "{id}");
        assert!(!pattern.sources.is_empty(), "{id}");
        pattern.sources.iter().for_each(|text| assert!(source.is_match(text), "{id}: {text}"));
        let versions = [&pattern.since, &pattern.until].into_iter().flatten();
        versions.for_each(|text| assert!(version.is_match(text), "{id}: {text}"));
    }
}

/// Two patterns, a common one first.
const TWO: &str = r#"
[[pattern]]
id = "KX-0001"
match = "failed"
general = true
means = ""
look = ""
sources = []
cases = []
naive = ""
counterexamples = []

[[pattern]]
id = "KX-0002"
match = "failed to fly"
unless = "^harmless$"
fields = ["kata_error"]
components = ["shimv2"]
level = "warning"
means = ""
look = ""
sources = []
cases = []
naive = ""
counterexamples = []
"#;

/// Returns the end of the id of the pattern that explains a record.
fn of_two(component: &str, level: &str, fields: &[(&str, &str)]) -> Option<char> {
    let explainer = Explainer::of(TWO).unwrap();
    let record = RecordText { origin: "host", component, level, fields };
    explainer.explain(&record).and_then(|pattern| pattern.id.chars().last())
}

#[test]
fn the_special_pattern_wins_and_conditions_hold() {
    let error = [("kata_msg", "it failed"), ("kata_error", "failed to fly")];
    assert_eq!(of_two("shimv2", "error", &error), Some('2'));
    assert_eq!(of_two("shimv2", "warning", &error), Some('2'));
    // The common pattern is left if a condition does not hold.
    assert_eq!(of_two("shimv2", "info", &error), Some('1'));
    assert_eq!(of_two("shimv2", "", &error), Some('1'));
    assert_eq!(of_two("agent", "error", &error), Some('1'));
    assert_eq!(of_two("shimv2", "error", &[("kata_msg", "failed to fly")]), Some('1'));
    assert_eq!(of_two("shimv2", "error", &[error[1], ("kata_reason", "harmless")]), Some('1'));
    // Fields that no pattern names do not count.
    assert_eq!(of_two("shimv2", "error", &[("kata_reason", "failed to fly")]), None);
}

#[test]
fn a_typed_text_may_be_part_of_a_line() {
    let explainer = explainer();
    for text in [
        "image \"/opt/kata/x.img\" is empty",
        r#"error="/etc/k.toml: image \"/opt/kata/x.img\" is empty""#,
        r#"Message: \"error=\\\"image \\\\\\\"/opt/kata/x.img\\\\\\\" is empty\\\"\""#,
    ] {
        let found = explainer.explain_text(text).map(|pattern| pattern.look.clone()).unwrap_or_default();
        assert!(found.starts_with("ls -lL"), "{text}: {found}");
    }
    assert!(explainer.explain_text("").is_none());
    // Only the beginning of a long text counts, up to a character.
    for filler in ["x", "é", "€", "😀"] {
        let long = filler.repeat(COMPARED / filler.len() - 2);
        assert!(explainer.explain_text(&format!("{long} Link not found")).is_none(), "{filler}");
        assert!(explainer.explain_text(&format!("Link not found {long}{long}")).is_some(), "{filler}");
    }
    assert!(explainer.explain_text(&"\\".repeat(100_000)).is_none());
}

#[test]
fn an_entry_behind_a_syslog_head_is_an_entry() {
    with_lines(|_, lines| {
        let kernel = "time=\"2025-03-11T02:14:07.481205316Z\" level=debug msg=\"reading guest console\" \
                      name=containerd-shim-v2 pid=4107 sandbox=a source=virtcontainers subsystem=sandbox \
                      vmconsole=\"[ 1.0] Kernel panic - not syncing: x\"";
        assert_eq!(id(lines, &format!("Mar 11 02:14:07 node1 kata[4107]: {kernel}")), "not of host");
        assert_eq!(id(lines, &format!("MESSAGE={kernel}")), "not of host");
        assert_eq!(id(lines, "Kernel panic - not syncing: x"), "KX-0100");
        assert_eq!(id(lines, "nothing that is known"), "unknown");
        // Bytes that are no text do no harm.
        assert!(matches!(lines.explain(b"\xff\x00 Kernel panic - not syncing\xfe"), Verdict::Known(_)));
    });
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_are_explained_or_not(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), at in 0_usize..100) {
        with_lines(|explainer, lines| {
            lines.explain(&bytes);
            // A case that is cut and goes on with other bytes.
            let case = explainer.patterns().get(at).and_then(|pattern| pattern.cases.first()).unwrap();
            let cut = case.as_bytes().iter().take(bytes.len() * 2).chain(&bytes).copied().collect::<Vec<u8>>();
            lines.explain(&cut);
            let _ = explainer.explain_text(&String::from_utf8_lossy(&cut));
        });
    }
}

#[test]
fn help_and_list_keep_to_the_columns() {
    let explainer = explainer();
    for columns in [40, 80, 200] {
        let help: String =
            explainer.patterns().iter().map(|pattern| help(pattern, Some("line 1"), Some(columns))).collect();
        for line in list(explainer.patterns(), Some(columns)).lines().chain(help.lines()) {
            let words = line.split_whitespace().count();
            // A word that is too long stands alone, behind the name of its part at most.
            assert!(line.chars().count() <= columns || words <= 2, "{columns}: {line}");
        }
    }
    let note = brief(explainer.of_id("KX-0009").unwrap());
    assert_eq!(
        note,
        "KX-0009: The kernel module tun is missing, so no tap device can be created. Look at: modprobe tun; ls -l /dev/net/tun"
    );
    let whole = list(explainer.patterns(), None);
    assert_eq!(whole.lines().count(), explainer.patterns().len());
    assert!(whole.starts_with("KX-0001  QEMU cannot use KVM: this host has no /dev/kvm.\n"), "{whole}");
}

#[test]
fn the_reference_has_a_row_for_each_pattern() {
    let explainer = explainer();
    let reference = reference(explainer.patterns());
    let rows: Vec<&str> = reference.lines().filter(|line| line.starts_with("| KX-")).collect();
    assert_eq!(rows.len(), explainer.patterns().len());
    for row in rows {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
    }
}
