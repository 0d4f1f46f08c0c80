//! Messages about command lines that cannot be used: what is wrong, and what to type.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{migration, precheck, typed};
use crate::config::{self, Command, closest, shell_word};

/// Flags of other log tools, and what katalog has instead.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["-l", "--priority"], "the option is --level"),
    (&["--filter", "--pod"], "--sandbox, --container and --where choose records by their fields"),
    (&["-e", "--regexp"], "the option is --grep"),
    (&["--json", "-j"], "JSON lines are the default: --format ndjson"),
    (&["-u", "--unit", "-t"], "entries are selected by identifier: --identifier REGEX, or by --component"),
    (&["-q", "--quiet", "-s", "--silent"], "to see only errors: --stats none --progress=never"),
    (&["-b"], "--boot 0 is the last boot, --boot -1 the boot before it"),
    (&["--list-boots"], "journalctl --list-boots lists the boots; --boot reads one"),
    (&["-k", "--dmesg"], "--component guest-kernel shows the kernels of guests"),
    (&["-S"], "the option is --since"),
    (&["-U"], "the option is --until"),
    (&["-m"], "the option is --merge"),
    (&["--cursor", "--cursor-file"], "--after-cursor begins after an entry; `katalog ship` remembers its positions"),
    (&["-D", "--directory", "--file", "-i", "--input"], "journals and files are arguments: katalog [OPTION]... INPUT"),
    (&["-a", "--all", "--no-full", "--full", "--output-fields"], "--keep, --drop and --prune choose the fields"),
    (&["--no-pager"], "katalog has no pager"),
    (&["--no-tail"], "--lines all shows all entries"),
    (&["--tail"], "--lines N shows the last records"),
    (&["--utc"], "records have times in UTC; for text: TZ=UTC katalog …"),
    (&["--debug", "-d", "--trace", "--log-level", "-x"], "--verbose reports inputs and flaws"),
    (&["--insecure", "--tls-verify", "--tls-skip-verify"], "--tls-insecure trusts every server, for tests"),
    (&["--dry-run"], "`katalog config --check COMMAND [OPTION]...` checks the settings of a command"),
    (&["--help-all"], "`katalog COMMAND --help` explains every option"),
    (typed::SECRETS, "secrets come from files or variables: see --password-file and --shared-key-file"),
];

/// Options that a command does not have, because it always or never does so.
const ALWAYS: &[(Command, &[&str], &str)] = &[
    (Command::Ship, &["--follow", "-f"], "`katalog ship` always follows; leave it out, or use --once"),
    (
        Command::Check,
        &["--strict"],
        "`katalog check --fail-on notice` exits with 1 for the flaws that fail --strict elsewhere",
    ),
    (Command::Check, &["--lines", "-n"], "a check counts all records; --since and --until choose a range"),
    (
        Command::Convert,
        &["--lines", "-n"],
        "a conversion resumes input by input, so it writes all records of each; `katalog print --lines N` writes the last \
         ones, and --since and --until choose a range",
    ),
];

/// Returns the message for an error of the parser. `named` is the command if the user named one.
pub(super) fn message(error: &clap::Error, named: Option<Command>, arguments: &[OsString]) -> String {
    let command = named.unwrap_or(Command::Print);
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let argument = text(ContextKind::InvalidArg);
    // clap shows an argument with its value: `--max-line <SIZE>`.
    let flag = argument.split([' ', '=', '[']).next().unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => unknown(&argument, command, named, arguments),
        ErrorKind::InvalidValue => {
            let place = if flag.starts_with('-') { flag } else { command.name() };
            invalid_value(place, &text(ContextKind::InvalidValue), &text(ContextKind::ValidValue))
        }
        ErrorKind::InvalidUtf8 => "an argument is not text in UTF-8; only paths may be other bytes".to_owned(),
        ErrorKind::ArgumentConflict if text(ContextKind::PriorArg) == argument => {
            format!("{flag} is given twice; leave one out")
        }
        ErrorKind::ArgumentConflict => conflict(flag, &text(ContextKind::PriorArg)),
        ErrorKind::MissingRequiredArgument => missing(command, &argument),
        _ => {
            let rendered = error.render().to_string();
            let first = rendered.lines().next().unwrap_or_default();
            format!("{}; `katalog {} -h` shows the options", first.trim_start_matches("error: "), command.name())
        }
    }
}

/// Returns the message for a flag or an argument that the command does not have.
fn unknown(argument: &str, command: Command, named: Option<Command>, arguments: &[OsString]) -> String {
    let shown = argument.escape_debug();
    let flag = argument.split('=').next().unwrap_or_default();
    if typed::SECRETS.contains(&flag) {
        return format!("{flag}: {}", elsewhere(flag).unwrap_or_default());
    }
    if named.is_none()
        && let Some(now) = migration::command(arguments)
    {
        return format!("{shown}: katalog has commands now; {}", typed::advice(&now));
    }
    let name = command.name();
    if !argument.starts_with('-') {
        return format!("{shown}: `katalog {name}` takes one argument; leave this one out");
    }
    if let Some((_, _, instead)) = ALWAYS.iter().find(|(owner, flags, _)| *owner == command && flags.contains(&flag)) {
        return format!("{shown}: {instead}");
    }
    let mut known = config::all().map(|option| option.declaration());
    let of_another_command = known.find(|option| {
        flag.strip_prefix("--") == Some(option.name) || option.short.is_some_and(|short| flag == format!("-{short}"))
    });
    if let Some(option) = of_another_command {
        return belongs_elsewhere(flag, option.commands, command, named, arguments);
    }
    if let Some(message) = refused_number(argument, arguments) {
        return message;
    }
    if let Some(instead) = elsewhere(flag) {
        return format!("{shown}: {instead}");
    }
    match suggestion(flag, command) {
        Some(known) => format!("{shown}: there is no such option; did you mean {known}?"),
        None => format!("{shown}: there is no such option; `katalog {name} -h` shows the options"),
    }
}

/// Returns what katalog has instead of a flag of another tool.
fn elsewhere(flag: &str) -> Option<String> {
    let (_, instead) = ELSEWHERE.iter().find(|(flags, _)| flags.contains(&flag))?;
    Some(format!("there is no such option; {instead}"))
}

/// Returns the message for a negative number, which the parser takes for an option.
fn refused_number(argument: &str, arguments: &[OsString]) -> Option<String> {
    if !argument.starts_with("-") || !argument.chars().nth(1)?.is_ascii_digit() {
        return None;
    }
    let at = arguments.iter().position(|word| word == argument);
    let before = at.and_then(|at| arguments.get(at.checked_sub(1)?)).and_then(|word| precheck::option_of(word));
    Some(match before {
        Some(option) => {
            let expected = option.check(argument.as_ref()).err().unwrap_or_default();
            format!("--{} {argument}: {expected}", option.declaration().name)
        }
        None => format!("{argument}: there is no such option; --lines N shows the last entries of journals"),
    })
}

/// Returns the closest option, and its commands if the given command does not have it.
fn suggestion(flag: &str, command: Command) -> Option<String> {
    let word = flag.strip_prefix("--")?;
    let own: &[&str] = if command.has_options() { &["help", "config"] } else { &["help"] };
    let name = closest(word, config::all().map(|option| option.declaration().name).chain(own.iter().copied()))?;
    Some(match config::named(name).map(|option| option.declaration().commands) {
        Some(commands) if !commands.contains(&command) => format!("--{name} of {}", names(commands)),
        _ => format!("--{name}"),
    })
}

/// Returns the message for a flag of other commands.
fn belongs_elsewhere(
    flag: &str,
    commands: &[Command],
    command: Command,
    named: Option<Command>,
    arguments: &[OsString],
) -> String {
    match (named, commands) {
        (None, [Command::Ship]) => {
            format!("{flag} belongs to `katalog ship`; {}", typed::advice(&migration::ship(arguments)))
        }
        (None, [only]) => {
            let now = [&[OsString::from(only.name())], arguments].concat();
            format!("{flag} belongs to {}; {}", names(commands), typed::advice(&now))
        }
        _ => format!("{flag} belongs to {}, not to `katalog {}`", names(commands), command.name()),
    }
}

/// Returns the names of commands in a sentence.
fn names(commands: &[Command]) -> String {
    let names: Vec<&str> = commands.iter().map(|command| command.name()).collect();
    match names.as_slice() {
        [only] => format!("`katalog {only}`"),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
        [] => String::new(),
    }
}

fn conflict(flag: &str, other: &str) -> String {
    // The parser's name for the words after `config`.
    let other = if other.starts_with('[') { "a command" } else { other };
    format!("{flag} does not go with {other}; leave one out")
}

fn invalid_value(place: &str, value: &str, valid: &str) -> String {
    let valid: Vec<&str> = valid.split(", ").filter(|word| !word.is_empty()).collect();
    if value.is_empty() {
        let of = if valid.is_empty() { String::new() } else { format!(", one of {}", valid.join(", ")) };
        return format!("{place} needs a value{of}");
    }
    format!("{place} {}: {}", shell_word(value.as_ref()), config::expected(value, valid.iter().copied()))
}

fn missing(command: Command, argument: &str) -> String {
    let what = match command {
        Command::Completions => {
            "the shell is missing: katalog completions bash, zsh, fish, elvish or powershell".to_owned()
        }
        _ => format!("{argument} is missing; `katalog {} -h` shows the arguments", command.name()),
    };
    format!("{what}{}", file_of_the_name(command))
}

/// Returns the message for a flag of `config` behind the command. `before` are the words before the command.
pub(super) fn late_flag(before: &[OsString], rest: &[OsString]) -> Option<String> {
    let late = |place: &usize| rest.get(*place).is_some_and(|word| word == "--check" || word == "--default");
    let place = precheck::places(rest).into_iter().find(late)?;
    let mut rest = rest.to_vec();
    let flag = rest.remove(place);
    let now = match flag.to_str() {
        Some("--default") => vec!["config".into(), "--default".into()],
        _ if before.contains(&flag) => [before, rest.as_slice()].concat(),
        _ => [&before[..1], std::slice::from_ref(&flag), &before[1..], rest.as_slice()].concat(),
    };
    Some(format!("{} comes before the command; {}", flag.display(), typed::advice(&now)))
}

/// Returns the message for the words after `config` that name no command with settings. `before` are the words before
/// them.
pub(super) fn no_settings(first: &str, before: &[OsString], rest: &[OsString]) -> String {
    let commands = Command::ALL.iter().filter(|command| command.has_options() && **command != Command::Config);
    let expected = || config::expected(first, commands.map(|command| command.name()));
    let flag = first.split('=').next().unwrap_or_default();
    let Some(option) = precheck::option_of(flag.as_ref()) else {
        return match first.starts_with('-') {
            true => {
                let instead = || "there is no such option; `katalog config -h` shows the options".to_owned();
                format!("config {}: {}", flag.escape_debug(), elsewhere(flag).unwrap_or_else(instead))
            }
            false => format!("config {}: {}", shell_word(first.as_ref()), expected()),
        };
    };
    let command = option.declaration().commands.first().copied().unwrap_or(Command::Print);
    let now = [before, &[OsString::from(command.name())], rest].concat();
    format!("config {flag}: the option of a command follows the command; {}", typed::advice(&now))
}

/// Returns a note for the case that the user meant a file that has the name of the command.
pub(super) fn file_of_the_name(command: Command) -> String {
    let name = command.name();
    if std::path::Path::new(name).exists() {
        format!("; to read the file \"{name}\", write katalog ./{name} or katalog print {name}")
    } else {
        String::new()
    }
}
