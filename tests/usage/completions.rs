//! The completions have the options of each command, no other, and their values.

use std::process::{Command, Stdio};

use katalog::cli;
use katalog::config::Command as Name;
use regex::Regex;

use super::help::{commands, declarations};
use crate::support::skip::skip;

/// Returns the completions of a shell.
fn script(shell: clap_complete::Shell) -> String {
    String::from_utf8(cli::completions(shell)).unwrap()
}

/// Returns the long options in a part of a script, without those that every command has.
fn options(part: &str, form: &str) -> Vec<String> {
    let form = Regex::new(form).unwrap();
    let names = form.captures_iter(part).map(|found| found[1].to_owned());
    let mut names: Vec<String> = names.filter(|name| !["help", "version", "config"].contains(&name.as_str())).collect();
    names.sort();
    names.dedup();
    names
}

/// Checks that each command has exactly its own options. `part` returns the part of the script for a command.
fn check(shell: clap_complete::Shell, form: &str, part: impl Fn(&str, &str) -> String) {
    let script = script(shell);
    for command in commands() {
        let own = declarations().filter(|option| option.commands.contains(&command));
        let mut own: Vec<String> = own.map(|option| option.name.to_owned()).collect();
        own.sort();
        assert_eq!(options(&part(&script, command.name()), form), own, "{shell}, {}", command.name());
    }
}

#[test]
fn bash_has_the_options_of_each_command() {
    check(clap_complete::Shell::Bash, r"--([a-z-]+)", |script, command| {
        let block = Regex::new(&format!(r#"\n +katalog__(?:subcmd__)?{command}\)\s+opts="([^"]*)""#)).unwrap();
        block.captures(script).unwrap()[1].to_owned()
    });
}

#[test]
fn zsh_has_the_options_of_each_command() {
    check(clap_complete::Shell::Zsh, r"(?m)^'\*?--([a-z-]+)[=\[]", |script, command| {
        let rest = script.split_once(&format!("({command})\n_arguments")).unwrap().1;
        rest.split_once("\n;;").unwrap().0.to_owned()
    });
}

#[test]
fn fish_has_the_options_of_each_command() {
    check(clap_complete::Shell::Fish, r" -l ([a-z-]+)", |script, command| {
        let of_command = format!("complete -c katalog -n \"__fish_katalog_using_subcommand {command}\" ");
        script.lines().filter(|line| line.starts_with(&of_command)).map(|line| format!("{line}\n")).collect()
    });
}

#[test]
fn every_closed_list_of_values_is_completed() {
    let [bash, zsh, fish] =
        [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish].map(script);
    for option in declarations() {
        for [word, help] in option.words.map(|words| words()).unwrap_or_default() {
            let list = Regex::new(&format!(r#"--{}\)\s+COMPREPLY=\(\$\(compgen -W "([^"]*)""#, option.name)).unwrap();
            let listed = &list.captures(&bash).unwrap()[1];
            assert!(listed.split(' ').any(|value| value == word), "bash, --{}: {word}", option.name);
            let in_zsh = if help.is_empty() { word.to_owned() } else { format!("{word}\\:\"") };
            assert!(zsh.contains(&in_zsh), "zsh, --{}: {word}", option.name);
            assert!(fish.contains(&format!("{word}\\t'")), "fish, --{}: {word}", option.name);
        }
    }
}

#[test]
fn bash_completes_commands_options_and_values() {
    let complete = |words: &[&str]| -> Option<Vec<String>> {
        let (current, previous) = (words[words.len() - 1], words[words.len() - 2]);
        let array = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let line = format!(
            "{}\nCOMP_WORDS=({array}); COMP_CWORD={}; _katalog katalog '{current}' '{previous}' 2>/dev/null; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script(clap_complete::Shell::Bash),
            words.len() - 1
        );
        let output = Command::new("bash").args(["-c", &line]).stdin(Stdio::null()).output();
        let output =
            output.inspect_err(|error| _ = skip("completions of bash", &format!("bash does not run: {error}")));
        Some(String::from_utf8(output.ok()?.stdout).unwrap().lines().map(str::to_owned).collect())
    };
    for (words, expected) in [
        (&["katalog", "ch"][..], &["check"][..]),
        (&["katalog", "convert", "--output-d"], &["--output-dir"]),
        (&["katalog", "convert", "--sta"], &["--stats"]),
        (&["katalog", "print", "--component", "guest-"], &["guest-kernel", "guest-console"]),
        (&["katalog", "print", "-F", "nd"], &["ndjson"]),
        (&["katalog", "schema", "open"], &["opensearch"]),
        (&["katalog", "completions", "z"], &["zsh"]),
        (&["katalog", "man", "katalog."], &["katalog.toml"]),
    ] {
        let Some(completed) = complete(words) else { return };
        assert_eq!(completed, expected, "{words:?}");
    }
    assert!(
        Name::ALL.iter().all(|command| complete(&["katalog", command.name()]).is_none_or(|found| found.len() == 1))
    );
}
