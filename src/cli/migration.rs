//! Commands of version 0.1, which had only options, as the commands to type now.

use std::ffi::OsString;

use super::precheck;

/// Flags of version 0.1 that are commands now, or arguments of commands.
const COMMANDS: &[(&str, &[&str])] = &[
    ("--print-config", &["config", "--default"]),
    ("--check-config", &["config", "--check"]),
    ("--print-schema", &["schema"]),
    ("--check", &["check"]),
    ("--output-dir", &["convert"]),
    ("--to", &["ship"]),
    ("--once", &["ship"]),
    ("--state-dir", &["ship"]),
    ("--for", &["ship"]),
];

/// Returns the words after `katalog` that do today what these arguments did in version 0.1; `None` if they are not of
/// that version.
pub(super) fn command(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let has = |flag: &str| place(arguments, flag).is_some();
    if has("--generate") {
        return Some(match value_of(arguments, "--generate") {
            Some(value) if value == "man" => vec!["man".into()],
            value => vec!["completions".into(), value.unwrap_or_else(|| "SHELL".into())],
        });
    }
    let (flag, command) = COMMANDS.iter().find(|(flag, _)| has(flag))?;
    let mut words: Vec<OsString> = command.iter().map(OsString::from).collect();
    match *flag {
        "--print-config" => {}
        "--check-config" => {
            // The settings were those of a command that the arguments decide.
            let rest = without(arguments, flag, false);
            let only_file = without(&without(&rest, "--config", true), "-c", true).is_empty();
            words.extend(self::command(&rest).unwrap_or_else(|| match only_file {
                true => rest,
                false => [&["print".into()], rest.as_slice()].concat(),
            }));
        }
        "--print-schema" => {
            words.extend(value_of(arguments, flag));
            words.extend(without(arguments, flag, true));
        }
        "--check" => words.extend(without(arguments, flag, false)),
        "--output-dir" => words.extend(arguments.iter().cloned()),
        _ => words = shipping(arguments),
    }
    Some(words)
}

/// Returns whether an argument is this flag, with or without a value.
fn is(argument: &OsString, flag: &str) -> bool {
    let rest = argument.to_str().and_then(|text| text.strip_prefix(flag));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// Returns the place of a flag.
fn place(arguments: &[OsString], flag: &str) -> Option<usize> {
    precheck::places(arguments).into_iter().find(|place| is(&arguments[*place], flag))
}

/// Returns the words that ship as these arguments did. Version 0.1 read its inputs once, unless it was to follow them,
/// and kept positions only with `--state-dir`.
fn shipping(arguments: &[OsString]) -> Vec<OsString> {
    let arguments = &precheck::letters_apart(arguments);
    let has = |flags: &[&str]| flags.iter().any(|flag| place(arguments, flag).is_some());
    let follows = has(&["--follow", "-f"]);
    let reads_journal = has(&["--journal", "--namespace", "--merge"]);
    let begins = has(&["--lines", "-n", "--since", "--boot", "--after-cursor"]);
    let (mut first, mut last): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    if !has(&["--state-dir"]) {
        let reads_inputs = precheck::has_operand(arguments) || reads_journal;
        match follows || has(&["--once"]) {
            true => first.push("--no-state"),
            false if reads_inputs => first.extend(["--once", "--no-state"]),
            false if arguments.last().is_some_and(|last| last == "-") => {}
            false => last.push("-"),
        }
        if follows && !begins && !precheck::has_operand(arguments) {
            first.extend(["--lines", "10"]);
        }
    }
    let first = first.into_iter().map(OsString::from);
    let ship = ship(arguments);
    let (command, rest) = ship.split_at(1);
    command
        .iter()
        .cloned()
        .chain(first)
        .chain(rest.iter().cloned())
        .chain(last.into_iter().map(OsString::from))
        .collect()
}

/// Returns the command `ship` with these arguments, except those that it implies: it follows, and begins with all there
/// is.
pub(super) fn ship(arguments: &[OsString]) -> Vec<OsString> {
    let rest = precheck::letters_apart(arguments);
    let rest = without(&without(&rest, "--follow", false), "-f", false);
    let all = |flag| value_of(&rest, flag).is_some_and(|value| value == "all");
    let rest = match (all("--lines"), all("-n")) {
        (true, _) => without(&rest, "--lines", true),
        (_, true) => without(&rest, "-n", true),
        _ => rest,
    };
    [&[OsString::from("ship")], rest.as_slice()].concat()
}

/// Returns the value of a flag.
fn value_of(arguments: &[OsString], flag: &str) -> Option<OsString> {
    let place = place(arguments, flag)?;
    match arguments[place].to_str()?.split_once('=') {
        Some((_, value)) => Some(value.into()),
        None => arguments.get(place + 1).cloned(),
    }
}

/// Returns the arguments without a flag, and without its value if it has one.
fn without(arguments: &[OsString], flag: &str, has_value: bool) -> Vec<OsString> {
    let mut rest = arguments.to_vec();
    while let Some(place) = place(&rest, flag) {
        let word = rest.remove(place);
        if has_value && word == flag && place < rest.len() {
            rest.remove(place);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_of_the_first_version() {
        for (before, now) in [
            ("--follow --lines all --state-dir d --to forward://h", "ship --state-dir d --to forward://h"),
            ("-f --to=unix:/s", "ship --no-state --lines 10 --to=unix:/s"),
            ("-fv --to unix:/s", "ship --no-state --lines 10 -v --to unix:/s"),
            ("-f -n5 --to unix:/s", "ship --no-state -n 5 --to unix:/s"),
            ("-f -nall --to unix:/s", "ship --no-state --to unix:/s"),
            ("--to unix:/s --follow -o -f", "ship --no-state --lines 10 --to unix:/s -o -f"),
            ("--follow --lines all --to unix:/s a.log", "ship --no-state --to unix:/s a.log"),
            ("--once --for fluentd-exec", "ship --no-state --once --for fluentd-exec"),
            ("--state-dir d a.log", "ship --state-dir d a.log"),
            ("--once --state-dir d --for fluentd-exec", "ship --once --state-dir d --for fluentd-exec"),
            ("--to unix:/s kata.log", "ship --once --no-state --to unix:/s kata.log"),
            ("--to unix:/s --journal", "ship --once --no-state --to unix:/s --journal"),
            ("--spool d --to unix:/s", "ship --spool d --to unix:/s -"),
            ("--input-format text --for fluentd-exec -", "ship --input-format text --for fluentd-exec -"),
            ("--check a.log --stats json", "check a.log --stats json"),
            ("--output-dir out --split day a", "convert --output-dir out --split day a"),
            ("--print-config", "config --default"),
            ("--for fluentd-exec", "ship --for fluentd-exec -"),
            ("--check-config --config k.toml", "config --check --config k.toml"),
            ("--check-config --follow", "config --check print --follow"),
            ("--check-config --follow --to unix:/s", "config --check ship --no-state --lines 10 --to unix:/s"),
            ("--check-config --follow --state-dir d", "config --check ship --state-dir d"),
            ("--print-schema elasticsearch --schema ecs", "schema elasticsearch --schema ecs"),
            ("--print-schema=json-schema", "schema json-schema"),
            ("--print-schema", "schema"),
            ("--generate", "completions SHELL"),
            ("--generate man", "man"),
            ("--generate=zsh", "completions zsh"),
        ] {
            let words: Vec<OsString> = before.split(' ').map(OsString::from).collect();
            let expected: Vec<OsString> = now.split(' ').map(OsString::from).collect();
            assert_eq!(command(&words).unwrap(), expected, "{before}");
        }
        assert_eq!(command(&["--formt".into(), "a.log".into()]), None);
    }
}
