//! The parser of a command's arguments, built from the declarations of its options.

use std::ffi::{OsStr, OsString};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};
use kata_records::Definition;

use super::help;
use crate::config::declaration::{Declaration, Kind};
use crate::config::{self, Command, Values, Words as _};

/// The names of arguments that are not options of the configuration.
pub(super) const INPUT: &str = "INPUT";
pub(super) const CONFIG: &str = "config";
pub(super) const DEFAULT: &str = "default";
pub(super) const CHECK: &str = "check";
pub(super) const REST: &str = "COMMAND";
pub(super) const STORE: &str = "STORE";
pub(super) const TEXT: &str = "TEXT";
pub(super) const SHELL: &str = "SHELL";
pub(super) const PAGE: &str = "PAGE";

/// The place of options that every command has.
const LAST: usize = usize::MAX;

/// The number of possible values that the short help lists.
const LISTED_VALUES: usize = 10;

/// Returns the parser of a command. `long` prepares the help with all details.
pub(super) fn of(command: Command, long: bool) -> clap::Command {
    let parser = clap::Command::new(command.name())
        .bin_name(format!("katalog {}", command.name()))
        .about(help::summary(command))
        .after_help(help::after(command, false))
        .after_long_help(help::after(command, true))
        .max_term_width(100)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(own_arguments(command));
    let parser = if command == Command::Config {
        parser
    } else {
        let options = config::all().map(|option| option.declaration());
        let own = options.enumerate().filter(|(_, option)| option.commands.contains(&command));
        // Options of few commands come first, because they are what the command is for.
        parser.args(own.map(|(place, option)| {
            let order = option.commands.len() * config::all().count() + place;
            let arg = argument(option, long);
            if option.everyday { arg.display_order(order) } else { arg.help_heading(option.group) }
        }))
    };
    let parser = if command.has_options() { parser.arg(config_argument()) } else { parser };
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).display_order(LAST);
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version).display_order(LAST);
    parser
        .display_name("katalog")
        .version(env!("CARGO_PKG_VERSION"))
        .args([help.help("Print help: -h a summary, --help everything"), version.help("Print the version")])
}

/// Returns the parser of a command line without a command, whose help is the overview.
pub(super) fn of_no_command(long: bool) -> clap::Command {
    of(Command::Print, long).bin_name("katalog").override_help(help::overview(long)).name("katalog")
}

/// Returns the parser of all commands, for completions and the manual.
pub(super) fn of_all() -> clap::Command {
    let commands = Command::ALL.iter().map(|command| of(*command, true));
    of_no_command(true).override_help(None).about(help::ABOUT).disable_help_subcommand(true).subcommands(commands)
}

/// Returns the positional arguments of a command, and flags that are not in the configuration file.
fn own_arguments(command: Command) -> Vec<Arg> {
    let flag = |name, help| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let words = |name, values: Vec<[&'static str; 2]>| Arg::new(name).value_parser(possible_values(values));
    match command {
        Command::Print | Command::Ship | Command::Convert | Command::Check => vec![
            Arg::new(INPUT)
                .num_args(0..)
                .value_parser(value_parser!(OsString))
                .value_hint(ValueHint::AnyPath)
                .help(help::input(command)),
        ],
        Command::Explain => {
            vec![Arg::new(TEXT).num_args(0..).value_parser(value_parser!(OsString)).value_hint(ValueHint::Other).help(
                "Message, part of one, line of a log, or id of a known failure; - reads lines from standard input",
            )]
        }
        Command::Schema => vec![
            words(STORE, Definition::EVERY.iter().map(|definition| [definition.word(), definition.help()]).collect())
                .default_value(help::DEFAULT_STORE)
                .help("Store, or form of the schema"),
        ],
        Command::Config => vec![
            flag(DEFAULT, "Print the default configuration file, with a comment on each key")
                .conflicts_with_all([CHECK, REST]),
            flag(CHECK, "Check the configuration file, the environment and the arguments; print nothing else"),
            Arg::new(REST)
                .num_args(0..)
                .value_parser(value_parser!(OsString))
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .help("Command and arguments whose settings are meant, such as `ship --once`"),
        ],
        Command::Completions => {
            let shells = ["bash", "zsh", "fish", "elvish", "powershell"];
            vec![words(SHELL, shells.map(|shell| [shell, ""]).to_vec()).required(true).help("Shell that completes")]
        }
        Command::Man => {
            vec![words(PAGE, help::pages()).default_value("katalog").help("Page of the manual")]
        }
    }
}

fn config_argument() -> Arg {
    Arg::new(CONFIG)
        .short('c')
        .long(CONFIG)
        .value_name("FILE")
        .value_parser(value_parser!(OsString))
        .value_hint(ValueHint::FilePath)
        .display_order(LAST)
        .help("Read options that are not given from this file")
        .long_help(
            "Read options that are not given from this file\n\nNo other file is read, not even one in /etc. The keys are \
             the names of the flags. The variable KATALOG_CONFIG can name the file too.",
        )
}

/// Returns the argument of an option.
fn argument(option: &'static Declaration, long: bool) -> Arg {
    let (summary, details) = option.help();
    let default = option.shown_default().map_or(String::new(), |default| format!(" [default: {default}]"));
    let summary = format!("{summary}{default}");
    let mut arg = Arg::new(option.name)
        .long(option.name)
        .value_name(option.value)
        .allow_hyphen_values(option.hyphens)
        .allow_negative_numbers(option.kind == Kind::Number)
        .long_help([std::slice::from_ref(&summary), details.as_slice()].concat().join("\n\n"))
        .help(summary);
    if let Some(short) = option.short {
        arg = arg.short(short);
    }
    if let Some(bare) = option.bare {
        arg = arg.num_args(0..=1).require_equals(true).default_missing_value(bare);
    }
    arg = match option.kind {
        Kind::List | Kind::AddedList | Kind::Table | Kind::CommaList => arg.action(ArgAction::Append),
        Kind::Switch | Kind::Number | Kind::Text => arg,
    };
    let hint = match option.value {
        "FILE" => ValueHint::FilePath,
        "DIR" => ValueHint::DirPath,
        _ => ValueHint::Other,
    };
    let words = option.words.map(|words| words()).unwrap_or_default();
    let hidden = words.is_empty() || !long && words.len() > LISTED_VALUES;
    let words = if option.kind == Kind::Switch { vec![["true", ""], ["false", ""]] } else { words };
    arg.value_parser(Suggested(words)).hide_possible_values(hidden).value_hint(hint)
}

/// A parser that takes every value, and suggests some. The declaration checks the value, so that a flag, a variable and a
/// key have one message.
#[derive(Clone)]
struct Suggested(Vec<[&'static str; 2]>);

impl TypedValueParser for Suggested {
    type Value = OsString;

    fn parse_ref(&self, _: &clap::Command, _: Option<&Arg>, value: &OsStr) -> Result<OsString, clap::Error> {
        Ok(value.to_owned())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        if self.0.is_empty() { None } else { Some(Box::new(self.0.iter().map(possible_value))) }
    }
}

fn possible_value([word, help]: &[&'static str; 2]) -> PossibleValue {
    let value = PossibleValue::new(*word);
    if help.is_empty() { value } else { value.help(*help) }
}

fn possible_values(words: Vec<[&'static str; 2]>) -> PossibleValuesParser {
    PossibleValuesParser::new(words.iter().map(possible_value))
}

/// Returns the values of the flags that the user gave.
pub(super) fn flags(command: Command, matches: &ArgMatches) -> Values {
    let options = config::all().map(|option| option.declaration());
    let options = options.filter(|option| option.commands.contains(&command));
    let given = options.filter_map(|option| {
        let texts = matches.get_raw(option.name)?.flat_map(|text| option.split(text)).collect();
        Some((option.name, texts))
    });
    given.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parser_holds_together() {
        for long in [true, false] {
            of_no_command(long).debug_assert();
            for command in Command::ALL {
                of(*command, long).debug_assert();
            }
        }
        of_all().debug_assert();
    }
}
