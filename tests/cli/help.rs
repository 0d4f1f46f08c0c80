//! Help, version, completions and manual. None of them depends on the configuration.

use std::process::Command;

use super::{katalog, refused, stdout};
use crate::support::expect_exit;

/// The commands that have options of the configuration file, and all the others.
const COMMANDS: [&str; 5] = ["print", "ship", "convert", "check", "schema"];
const OTHERS: [&str; 3] = ["config", "completions", "man"];

/// Returns the command with a configuration that cannot be used.
fn misconfigured(arguments: &[&str]) -> Command {
    let mut command = katalog(arguments);
    command.envs([("KATALOG_CONFIG", "/no/such/file"), ("KATALOG_FORMAT", "xml"), ("KATALOG_MAX_LINE", "1")]);
    command
}

#[track_caller]
fn shown(arguments: &[&str]) -> String {
    let output = expect_exit(&mut misconfigured(arguments), 0);
    assert!(output.stderr.is_empty(), "{arguments:?}");
    stdout(&output)
}

#[track_caller]
fn assert_narrow(arguments: &[&str], help: &str) {
    for line in help.lines() {
        assert!(line.chars().count() <= 100, "{arguments:?}: {line}");
    }
}

#[test]
fn the_help_is_narrow_and_names_every_command() {
    for flag in ["-h", "--help"] {
        let help = shown(&[flag]);
        assert_narrow(&[flag], &help);
        for command in COMMANDS.into_iter().chain(OTHERS) {
            assert!(help.lines().any(|line| line.starts_with(&format!("  {command} "))), "{flag} has no {command}");
        }
        assert!(help.contains("--follow") && help.contains("--config") && help.contains("--version"));
    }
    assert!(shown(&["--help"]).contains("Exit codes:"));
}

#[test]
fn the_help_of_a_command_names_every_option_of_it() {
    for command in COMMANDS {
        let settings = stdout(&expect_exit(&mut katalog(&["config", command]), 0));
        let keys: Vec<&str> = settings.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
        assert!(keys.len() > 4, "{command}: {settings}");
        for flag in ["-h", "--help"] {
            let help = shown(&[command, flag]);
            assert_narrow(&[command, flag], &help);
            for key in keys.iter().chain(&["config", "help"]) {
                let names = |line: &str| line.split([' ', ',', '[']).any(|word| word == format!("--{key}"));
                assert!(help.lines().any(names), "{command} {flag} has no --{key}");
            }
        }
        assert!(shown(&[command, "--help"]).contains("Examples:"), "{command}");
    }
    for command in OTHERS {
        for flag in ["-h", "--help"] {
            let help = shown(&[command, flag]);
            assert_narrow(&[command, flag], &help);
            assert!(help.contains(&format!("Usage: katalog {command}")) && help.contains("Examples:"), "{help}");
        }
    }
}

#[test]
fn help_comes_whatever_else_is_asked() {
    for arguments in [
        &["--format", "xml", "--help"][..],
        &["ship", "--config", "/no/such/file", "-h"],
        &["convert", "-h", "kata.log"],
        &["config", "-h"],
    ] {
        assert!(shown(arguments).contains("Usage: katalog"), "{arguments:?}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    for flag in ["-V", "--version"] {
        assert_eq!(shown(&[flag]), concat!("katalog ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}

#[test]
fn completions_name_the_commands_and_their_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = shown(&["completions", shell]).replace('\\', "");
        for name in ["fail-if-empty", "output-dir", "state-dir", "convert", "schema"] {
            assert!(text.contains(name), "{shell} has no {name}");
        }
    }
    refused(&["completions"], 64, &["bash"]);
    refused(&["completions", "tcsh"], 64, &["tcsh", "bash"]);
}

#[test]
fn the_manual_has_a_page_for_each_command_and_the_file() {
    for page in COMMANDS.into_iter().chain(OTHERS) {
        let text = shown(&["man", page]).replace('\\', "");
        assert!(text.contains(&format!(".TH katalog-{page} 1")), "{text}");
        assert!(text.contains(&format!("katalog {page}")), "{page}");
    }
    assert_eq!(shown(&["man"]), shown(&["man", "katalog"]));
    assert!(shown(&["man"]).contains(".TH katalog 1"));
    let file = shown(&["man", "katalog.toml"]).replace('\\', "");
    for key in ["fail-if-empty", "output-dir", "state-dir"] {
        assert!(file.contains(key), "{key}");
    }
    refused(&["man", "kata.log"], 64, &["kata.log", "katalog.toml"]);
}

#[test]
fn the_default_configuration_does_not_depend_on_the_file() {
    assert_eq!(shown(&["config", "--default"]), katalog::config::DEFAULT);
    assert_eq!(shown(&["config", "--config", "/no/such/file", "--default"]), katalog::config::DEFAULT);
}
