//! Command lines that messages tell the user to type. None of them is refused when it is typed, or shows a secret.

use std::ffi::{OsStr, OsString};

use clap::ArgMatches;
use clap::error::ErrorKind;
use log_clients::{Address, AddressError};

use super::{invocation, mistakes, parser, precheck};
use crate::config::{self, Command, Layers, Options, shell_word};

/// Flags that katalog does not have because other users can read their values.
pub(super) const SECRETS: &[&str] = &["--password", "--shared-key", "--token"];

/// Returns the end of a message: the command line to type, or the help to read if that line would be refused.
pub(super) fn advice(words: &[OsString]) -> String {
    match refusal(words) {
        None => format!("type: katalog {}", shown(words)),
        Some(_) => {
            let command = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
            format!("see `katalog {command} -h`")
        }
    }
}

/// Returns the message for the words after `katalog`, the first of which is a command, if they would be refused.
pub(super) fn refusal(words: &[OsString]) -> Option<String> {
    // The user replaces such an address.
    let words = without_secrets(words, "forward://host");
    let (first, rest) = words.split_first()?;
    check(Command::of_name(first.to_str()?)?, rest).err()
}

fn check(command: Command, arguments: &[OsString]) -> Result<(), String> {
    let Some(matches) = parse(command, arguments)? else { return Ok(()) };
    if command != Command::Config {
        return check_settings(command, &matches);
    }
    let rest: Vec<OsString> = matches.get_many(parser::REST).unwrap_or_default().cloned().collect();
    let Some((first, of_command)) = rest.split_first() else { return Ok(()) };
    match first.to_str().and_then(Command::of_name) {
        Some(command) if command.has_options() && command != Command::Config => check(command, of_command),
        _ => Err(mistakes::no_settings(&first.to_string_lossy(), &["config".into()], &rest)),
    }
}

/// Parses the arguments of a command. Help and version have no matches.
fn parse(command: Command, arguments: &[OsString]) -> Result<Option<ArgMatches>, String> {
    if let Some(message) = precheck::message(Some(command), arguments) {
        return Err(message);
    }
    let words = std::iter::once(OsString::from("katalog")).chain(arguments.iter().cloned());
    match parser::of(command, false).try_get_matches_from(words) {
        Ok(matches) => Ok(Some(matches)),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => Ok(None),
        Err(error) => Err(mistakes::message(&error, Some(command), arguments)),
    }
}

/// Checks the settings, unless some of them are in a file.
fn check_settings(command: Command, matches: &ArgMatches) -> Result<(), String> {
    if !command.has_options() || config::variable("KATALOG_CONFIG").is_some() {
        return Ok(());
    }
    let of = invocation(command, matches);
    if of.config.is_some() {
        return Ok(());
    }
    let (variables, _) = config::read_environment(command, std::env::vars_os());
    let layers = Layers { flags: of.flags, variables, ..Layers::default() };
    let options = Options::new(command, of.inputs, layers).map_err(|error| error.to_string())?;
    config::check(&options).map_err(|error| error.to_string())
}

/// Returns words as a shell takes them, without secrets.
pub(super) fn shown(words: &[OsString]) -> String {
    without_secrets(words, "URL").iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// Returns words with `address` for addresses that hold secrets, and with `…` for the values of flags that are secrets.
fn without_secrets(words: &[OsString], address: &str) -> Vec<OsString> {
    let mut before: &OsStr = OsStr::new("");
    let mut rest = Vec::new();
    for word in words {
        let text = word.to_string_lossy();
        let (flag, value) = match text.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (format!("{flag}="), value),
            _ => (String::new(), text.as_ref()),
        };
        let is_secret = |flag: &str| SECRETS.contains(&flag);
        rest.push(if is_secret(flag.trim_end_matches('=')) || before.to_str().is_some_and(is_secret) {
            format!("{flag}…").into()
        } else if matches!(value.parse::<Address>(), Err(AddressError::Secret { .. })) {
            format!("{flag}{address}").into()
        } else {
            word.clone()
        });
        before = word;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn secrets_are_not_shown() {
        for (line, expected) in [
            ("ship --password hush a", "ship --password … a"),
            ("ship --password=hush a", "ship --password=… a"),
            ("ship --shared-key hush --token=hush", "ship --shared-key … --token=…"),
            ("ship --to=forward://u:hush@h", "ship --to=URL"),
            ("ship --to forward://u:hush@h", "ship --to URL"),
            ("ship --to=forward://h", "ship --to=forward://h"),
        ] {
            let shown = shown(&words(line)).replace('\'', "");
            assert_eq!(shown, expected, "{line}");
        }
    }

    #[test]
    fn only_lines_that_work_are_advised() {
        for line in ["ship --once", "config --check ship --once", "config --default", "man", "check -h", "schema"] {
            assert_eq!(advice(&words(line)), format!("type: katalog {line}"));
        }
        for line in ["ship --to", "ship --to -", "check -f a", "print --lines 1 --lines 2", "completions SHELL"] {
            let command = line.split(' ').next().unwrap();
            assert_eq!(advice(&words(line)), format!("see `katalog {command} -h`"), "{line}");
        }
    }
}
