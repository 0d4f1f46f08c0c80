//! The command line: its commands, their arguments, and the help. The first word decides the command. Help and version
//! depend on nothing that can fail.

mod documents;
mod help;
mod migration;
mod mistakes;
mod parser;
mod precheck;
mod typed;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, ValueEnum as _};
use kata_records::Definition;

use crate::config::{Command, RESERVED, Values, Words as _};
use crate::diagnostics;
use crate::exit::Exit;
use crate::source::Input;

pub use documents::{completions, page, reference};

/// A request of the command line.
#[derive(Debug)]
pub enum Request {
    /// Run a command on inputs, or print the schema of its records.
    Run(Invocation),
    /// Explain a text, which these words make.
    Explain(Vec<OsString>),
    /// Print a document that depends on nothing.
    Print(Vec<u8>),
    /// Print the settings of a command; `check` only checks them.
    Settings {
        /// The command and its arguments.
        of: Invocation,
        /// Only check the settings.
        check: bool,
    },
}

/// A command with its arguments.
#[derive(Debug)]
pub struct Invocation {
    /// The command.
    pub command: Command,
    /// The inputs that the user named.
    pub inputs: Vec<Input>,
    /// The flags.
    pub flags: Values,
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The form of the schema.
    pub definition: Definition,
}

/// Reads the command line. Prints help, version and errors. The error is the exit code.
///
/// # Errors
/// If there is nothing left to do, or the command line cannot be used.
pub fn read(arguments: &[OsString]) -> Result<Request, Exit> {
    let arguments = arguments.get(1..).unwrap_or_default();
    let first = arguments.first().and_then(|first| first.to_str()).unwrap_or_default();
    if RESERVED.contains(&first) {
        return Err(refuse(&format!(
            "{first}: this word is reserved for a command of a later version; write ./{first} or `print {first}` for a file \
             of that name"
        )));
    }
    match Command::of_name(first) {
        Some(command) => of_command(command, arguments.get(1..).unwrap_or_default()),
        None => without_command(arguments),
    }
}

/// Reads a command line without a command, which prints.
fn without_command(arguments: &[OsString]) -> Result<Request, Exit> {
    let matches = matched(Command::Print, None, arguments)?;
    Ok(Request::Run(invocation(Command::Print, &matches)))
}

fn of_command(command: Command, arguments: &[OsString]) -> Result<Request, Exit> {
    let matches = matched(command, Some(command), arguments)?;
    let word = |name: &str| matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    Ok(match command {
        Command::Config => return settings(&matches),
        Command::Explain => Request::Explain(matches.get_many(parser::TEXT).unwrap_or_default().cloned().collect()),
        Command::Completions => {
            let shell = clap_complete::Shell::from_str(word(parser::SHELL), false);
            Request::Print(shell.map(completions).unwrap_or_default())
        }
        Command::Man => Request::Print(page(word(parser::PAGE)).map_err(|error| {
            diagnostics::report(format_args!("{error}"));
            Exit::Internal
        })?),
        _ => Request::Run(invocation(command, &matches)),
    })
}

/// Reads the arguments of `config`, among them those of the command whose settings are meant.
fn settings(matches: &ArgMatches) -> Result<Request, Exit> {
    if matches.get_flag(parser::DEFAULT) {
        return Ok(Request::Print(crate::config::DEFAULT.as_bytes().to_vec()));
    }
    let check = matches.get_flag(parser::CHECK);
    let config = matches.get_one::<OsString>(parser::CONFIG).map(PathBuf::from);
    let rest: Vec<OsString> = matches.get_many(parser::REST).unwrap_or_default().cloned().collect();
    let Some(first) = rest.first() else {
        let of = Invocation { config, ..invocation(Command::Config, matches) };
        return Ok(Request::Settings { of, check });
    };
    // The words of `katalog config` before the command.
    let mut before = vec![OsString::from("config")];
    before.extend(check.then(|| "--check".into()));
    before.extend(config.iter().flat_map(|path| ["--config".into(), path.clone().into_os_string()]));
    match first.to_str().and_then(Command::of_name) {
        Some(command) if command.has_options() && command != Command::Config => {
            if let Some(message) = mistakes::late_flag(&before, &rest) {
                return Err(refuse(&message));
            }
            let matches = matched(command, Some(command), rest.get(1..).unwrap_or_default())?;
            let mut of = invocation(command, &matches);
            of.config = of.config.or(config);
            Ok(Request::Settings { of, check })
        }
        _ => Err(refuse(&mistakes::no_settings(&first.to_string_lossy(), &before, &rest))),
    }
}

fn invocation(command: Command, matches: &ArgMatches) -> Invocation {
    let inputs = matches.try_get_many::<OsString>(parser::INPUT).ok().flatten().unwrap_or_default();
    let store = matches.try_get_one::<String>(parser::STORE).ok().flatten();
    let definition = Definition::EVERY.iter().copied().find(|known| Some(known.word()) == store.map(String::as_str));
    Invocation {
        command,
        inputs: inputs.map(|input| Input::from(PathBuf::from(input))).collect(),
        flags: parser::flags(command, matches),
        config: matches.get_one::<OsString>(parser::CONFIG).map(PathBuf::from),
        definition: definition.unwrap_or(Definition::JsonSchema),
    }
}

/// Parses the arguments of a command. `named` is the command if the user named it.
fn matched(command: Command, named: Option<Command>, arguments: &[OsString]) -> Result<ArgMatches, Exit> {
    if let Some(message) = precheck::message(named, arguments) {
        return Err(refuse(&message));
    }
    let long = arguments.iter().any(|argument| argument == "--help");
    let mut parser = if named.is_some() { parser::of(command, long) } else { parser::of_no_command(long) };
    let words = std::iter::once(OsString::from("katalog")).chain(arguments.iter().cloned());
    parser.try_get_matches_from_mut(words).map_err(|error| {
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            // A reader that closes the output early is no failure.
            let _ = error.print();
            return Exit::Success;
        }
        refuse(&mistakes::message(&error, named, arguments))
    })
}

/// Returns examples of inputs for a command without one.
#[must_use]
pub fn input_examples(command: Command) -> [&'static str; 3] {
    match command {
        Command::Check => ["katalog check bundle.tar.xz", "katalog check --journal", "katalog check - < kata.log"],
        Command::Convert => [
            "katalog convert --output-dir DIR bundle.tar.xz",
            "katalog convert --output-dir DIR --journal",
            "katalog convert --output-dir DIR - < kata.log",
        ],
        _ => ["katalog kata.log", "katalog --journal --since today", "journalctl -o json --all | katalog"],
    }
}

/// Returns the message for a command without an input, above its examples.
#[must_use]
pub fn no_input(command: Command) -> String {
    let file = mistakes::file_of_the_name(command);
    format!("no input, and standard input is a terminal{file}; for example:")
}

/// Returns the message for a conversion without a directory.
#[must_use]
pub fn no_directory() -> String {
    let file = mistakes::file_of_the_name(Command::Convert);
    format!("convert: no directory for the files; type: katalog convert --output-dir DIR INPUT...{file}")
}

/// Returns the message for a delivery whose records would go to a terminal.
#[must_use]
pub fn no_receiver() -> String {
    let file = mistakes::file_of_the_name(Command::Ship);
    format!(
        "ship: records would go to this terminal; name servers with --to URL or a file with --output FILE, or print them \
         with `katalog -f`{file}"
    )
}

fn refuse(message: &str) -> Exit {
    diagnostics::report(format_args!("{message}"));
    Exit::Usage
}

/// Prints a document to standard output.
#[must_use]
pub fn print(text: &[u8]) -> Exit {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            diagnostics::report(format_args!("cannot write to standard output: {error}"));
            Exit::from_write_error(&error)
        }
        _ => Exit::Success,
    }
}
