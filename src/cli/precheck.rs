//! Mistakes that the parser would misread: a command after its options, a misspelled command, a long option with one dash,
//! and a value after an option that takes it only behind `=`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::parser::CONFIG;
use super::typed;
use crate::config::declaration::AnyOption;
use crate::config::{self, Command, closest};

/// First words of other tools, and what to type instead.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["help"], "type: katalog -h, or katalog COMMAND -h"),
    (&["version"], "type: katalog --version"),
    (&["tail", "logs", "follow", "watch"], "to follow the journal of this machine: katalog -f"),
    (&["journal", "journalctl"], "to read the journal of this machine: katalog --journal"),
];

/// The part that an argument plays.
enum Role {
    /// A command, an input, or a word of the command.
    Operand,
    /// An option without a value, or with its value behind `=`.
    Option,
    /// An option whose value is the next argument.
    OptionBeforeValue,
    /// An option that no command has. The next argument may be its value.
    Unknown,
}

/// Returns the message for arguments that the parser would misread. `named` is the command if the user named one.
pub(super) fn message(named: Option<Command>, arguments: &[OsString]) -> Option<String> {
    let mut words = arguments.iter().take_while(|word| *word != "--").enumerate();
    while let Some((at, word)) = words.next() {
        if let Some(name) = word.to_str().and_then(single_dash) {
            return Some(format!("-{name}: a long option has two dashes: --{name}"));
        }
        match role(word) {
            Role::Operand if named.is_none() && word != "-" => return operand(at, word, arguments),
            Role::Operand => {}
            Role::OptionBeforeValue => _ = words.next(),
            Role::Option => {
                if let Some(message) = misplaced_value(word, arguments.get(at + 1)) {
                    return Some(message);
                }
            }
            Role::Unknown => return None,
        }
    }
    None
}

/// Returns whether some argument is an input other than standard input.
pub(super) fn has_operand(arguments: &[OsString]) -> bool {
    let words = places(arguments).into_iter().filter_map(|place| arguments.get(place));
    let mut operands = words.filter(|word| matches!(role(word), Role::Operand) && *word != "-");
    operands.next().is_some() || arguments.iter().any(|word| word == "--")
}

/// Returns the places of the arguments that are no values of options, up to `--`.
pub(super) fn places(arguments: &[OsString]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut words = arguments.iter().take_while(|word| *word != "--").enumerate();
    while let Some((at, word)) = words.next() {
        places.push(at);
        if matches!(role(word), Role::OptionBeforeValue) {
            words.next();
        }
    }
    places
}

/// Returns the arguments with an option in each word: `-vn5` becomes `-v`, `-n` and `5`.
pub(super) fn letters_apart(arguments: &[OsString]) -> Vec<OsString> {
    let places = places(arguments);
    let words = arguments.iter().enumerate();
    words.flat_map(|(at, word)| if places.contains(&at) { apart(word) } else { vec![word.clone()] }).collect()
}

fn apart(word: &OsString) -> Vec<OsString> {
    let letters = word.to_str().and_then(|text| text.strip_prefix('-')).filter(|text| !text.starts_with('-'));
    let Some(letters) = letters.filter(|letters| !letters.is_empty() && !matches!(role(word), Role::Unknown)) else {
        return vec![word.clone()];
    };
    let mut words = Vec::new();
    let mut letters = letters.chars();
    while let Some(letter) = letters.next() {
        let option = OsString::from(format!("-{letter}"));
        let before_value = matches!(role(&option), Role::OptionBeforeValue);
        words.push(option);
        if before_value {
            let value = letters.as_str();
            words.extend((!value.is_empty()).then(|| value.strip_prefix('=').unwrap_or(value).into()));
            break;
        }
    }
    words
}

/// Returns the option that an argument names alone: `--lines`, `-n`, or a cluster that ends in `n`.
pub(super) fn option_of(word: &OsStr) -> Option<&'static dyn AnyOption> {
    let word = word.to_str()?;
    match word.strip_prefix("--") {
        Some(name) => config::named(name),
        None => of_letter(word.strip_prefix('-')?.chars().last()?),
    }
}

fn of_letter(letter: char) -> Option<&'static dyn AnyOption> {
    config::all().find(|option| option.declaration().short == Some(letter))
}

fn role(word: &OsStr) -> Role {
    let Some(word) = word.to_str().filter(|word| word.starts_with('-') && *word != "-") else { return Role::Operand };
    let takes_value = |option: &dyn AnyOption| option.declaration().bare.is_none();
    if let Some(name) = word.strip_prefix("--") {
        let (name, attached) = name.split_once('=').map_or((name, false), |(name, _)| (name, true));
        return match (name, config::named(name)) {
            ("help" | "version", _) => Role::Option,
            (name, option) if name == CONFIG || option.is_some_and(takes_value) => {
                if attached {
                    Role::Option
                } else {
                    Role::OptionBeforeValue
                }
            }
            (_, Some(_)) => Role::Option,
            (_, None) => Role::Unknown,
        };
    }
    let letters: Vec<char> = word.chars().skip(1).collect();
    for (at, letter) in letters.iter().enumerate() {
        match (letter, of_letter(*letter)) {
            ('h' | 'V', _) => {}
            (letter, option) if *letter == 'c' || option.is_some_and(takes_value) => {
                // The rest of a cluster is the value: `-n20`.
                return if at + 1 == letters.len() { Role::OptionBeforeValue } else { Role::Option };
            }
            (_, Some(_)) => {}
            (_, None) => return Role::Unknown,
        }
    }
    Role::Option
}

/// Returns the name of a long option that is written with one dash.
fn single_dash(word: &str) -> Option<&str> {
    let name = word.strip_prefix('-')?.split('=').next()?;
    (name.len() > 1 && (name == CONFIG || config::named(name).is_some())).then_some(name)
}

/// Returns the message for a value behind an option that takes one only with `=`.
fn misplaced_value(word: &OsStr, next: Option<&OsString>) -> Option<String> {
    let declaration = option_of(word)?.declaration();
    let (next, name) = (next?.to_str()?, declaration.name);
    let words = declaration.words.map_or(vec![["true", ""], ["false", ""]], |words| words());
    let is_value = declaration.bare.is_some() && words.iter().any(|[value, _]| *value == next);
    (is_value && !Path::new(next).exists()).then(|| format!("--{name} {next}: write --{name}={next}"))
}

/// Returns the message for the first argument that is no option, if it was meant as a command.
fn operand(at: usize, word: &OsStr, arguments: &[OsString]) -> Option<String> {
    let word = word.to_str()?;
    if Command::of_name(word).is_some() {
        let mut words = arguments.to_vec();
        let first = words.remove(at);
        words.insert(0, first);
        let mistake = format!("{word}: a command comes before its options");
        return Some(match typed::refusal(&words) {
            None => format!("{mistake}; {} (or ./{word} for a file of that name)", typed::advice(&words)),
            Some(refusal) => format!("{mistake}, and {refusal}; write ./{word} for a file of that name"),
        });
    }
    if word.contains(['/', '.', '*', '?', '[', ':']) || Path::new(word).exists() {
        return None;
    }
    if let Some((_, instead)) = ELSEWHERE.iter().find(|(words, _)| words.contains(&word)) {
        return Some(format!("{word}: there is no such command and no such file; {instead}"));
    }
    let command = closest(word, Command::ALL.iter().map(|command| command.name()))?;
    Some(format!(
        "{}: there is no such command and no such file; did you mean `katalog {command}`?",
        word.escape_debug()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn values_are_no_commands() {
        for line in [
            "-o check kata.log",
            "-n ship",
            "--since ship",
            "-vo check",
            "-c check kata.log",
            "-- check",
            "-",
            "-u convert",
            "--generate man",
            "--dry-run ship",
        ] {
            assert_eq!(message(None, &words(line)), None, "{line}");
        }
        for line in [
            "-v check",
            "--config=k.toml check",
            "-n20 check",
            "--lines=20 check kata.log",
            "-vn 20 check",
            "--follow check",
            "- check",
        ] {
            let message = message(None, &words(line)).unwrap();
            assert!(message.starts_with("check: a command comes before its options"), "{line}: {message}");
        }
    }

    #[test]
    fn letters_are_taken_apart_but_values_are_not() {
        for (line, expected) in [
            ("-fvn5 a", "-f -v -n 5 a"),
            ("-n=5 -", "-n 5 -"),
            ("-o -fv -fo out", "-o -fv -f -o out"),
            ("-f? --follow -- -fv", "-f? --follow -- -fv"),
        ] {
            assert_eq!(letters_apart(&words(line)), words(expected), "{line}");
        }
        assert_eq!(places(&words("-v -n 5 a -- b")), [0, 1, 3]);
        assert!(has_operand(&words("-f -- -")) && !has_operand(&words("-o a -")));
    }

    #[test]
    fn misread_options_are_named() {
        let of = |line: &str| message(Some(Command::Print), &words(line)).unwrap_or_default();
        assert!(of("-format text").contains("--format"));
        assert!(of("-lines=20").contains("--lines"));
        assert!(of("--progress never a.log").ends_with("--progress=never"));
        assert!(of("-f true").ends_with("--follow=true"));
        for line in ["-f a.log", "--since -format", "-vf", "check", "--progress a.log"] {
            assert_eq!(of(line), "", "{line}");
        }
    }
}
