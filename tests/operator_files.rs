//! The files for operators, checked by the programs that read them: systemd, and a YAML parser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use katalog::exit::Exit;

use crate::support::skip::skip;
use crate::support::{expect_exit, katalog};

/// The maximum exposure in `systemd-analyze security`, in tenths of its points.
const EXPOSURE: &str = "15";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

fn unit() -> String {
    fs::read_to_string(folder().join("katalog.service")).unwrap()
}

/// Returns the values of a setting of the unit.
fn values<'u>(unit: &'u str, name: &str) -> Vec<&'u str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

/// Returns true, with a notice, if `systemd-analyze` is missing.
fn no_systemd(test: &str) -> bool {
    let there = Command::new("systemd-analyze").arg("--version").output().is_ok_and(|output| output.status.success());
    !there && skip(test, "systemd-analyze is not installed")
}

/// Runs `systemd-analyze` on the unit, with the built program instead of the installed one.
fn analyze(arguments: &[&str]) -> (Output, String) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("katalog.service");
    fs::write(&path, unit().replace("/usr/bin/katalog", env!("CARGO_BIN_EXE_katalog"))).unwrap();
    let output = Command::new("systemd-analyze").args(arguments).arg(&path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, text)
}

#[test]
fn the_unit_can_be_used() {
    if no_systemd("units::the_unit_can_be_used") {
        return;
    }
    let (output, text) = analyze(&["verify", "--man=no", "--recursive-errors=no"]);
    assert!(output.status.success() && text.is_empty(), "{text}");
}

#[test]
fn the_unit_may_do_little() {
    if no_systemd("units::the_unit_may_do_little") {
        return;
    }
    let (output, text) = analyze(&["security", "--offline=true", "--no-pager", &format!("--threshold={EXPOSURE}")]);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Overall exposure level"), "{text}");
}

#[test]
fn unit_configuration_and_program_agree() {
    let unit = unit();
    let mut check = katalog();
    check.args(["config", "--check", "ship", "--config"]).arg(folder().join("katalog.toml"));
    expect_exit(&mut check, 0);
    let fatal: Vec<String> = [Exit::Usage, Exit::Config].iter().map(|exit| exit.code().to_string()).collect();
    assert_eq!(values(&unit, "RestartPreventExitStatus"), [fatal.join(" ")]);
    // systemd names the state directory by STATE_DIRECTORY, so the configuration names none.
    let config: toml::Table = fs::read_to_string(folder().join("katalog.toml")).unwrap().parse().unwrap();
    assert_eq!((values(&unit, "StateDirectory"), config.get("state-dir")), (vec!["katalog"], None));
    let [start] = values(&unit, "ExecStart")[..] else { panic!("{unit}") };
    let program = start.strip_prefix("/usr/bin/katalog ").unwrap();
    assert_eq!(program, "ship --config /etc/katalog/katalog.toml");
    // Delivery at the end takes up to 8 seconds, and the loops run once a second.
    let seconds = |name| values(&unit, name)[0].strip_suffix('s').unwrap().parse::<u64>().unwrap();
    assert!(seconds("TimeoutStopSec") > katalog::delivery::shutdown::GRACE.as_secs());
    assert!(seconds("WatchdogSec") >= 10);
}

#[test]
fn the_alerts_are_rules() {
    let parse = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    let alerts = fs::File::open(folder().join("../observability/alerts.yaml")).unwrap();
    let output = Command::new("python3").args(["-c", parse]).stdin(alerts).stderr(Stdio::piped()).output();
    let Some(output) = output.ok().filter(|output| {
        output.status.success() || !String::from_utf8_lossy(&output.stderr).contains("ModuleNotFoundError")
    }) else {
        skip("units::the_alerts_are_rules", "python3 with yaml is not installed");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let parsed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rules = parsed["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 5);
    for rule in rules {
        for text in [&rule["alert"], &rule["expr"], &rule["labels"]["severity"], &rule["annotations"]["summary"]] {
            assert!(text.is_string(), "{rule}");
        }
    }
}
