//! The command line: the arguments beside the options of [`crate::config::options`], the help, and the documents that
//! are generated from it. Help and version depend on nothing that can fail.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

use crate::config::options::Options;
use crate::config::words;
use crate::diagnostics;
use crate::exit::Exit;
use crate::source::Input;
use kata_records::Definition;

/// A streaming normalizer for the logs of Kata Containers
///
/// katalog reads what the components of Kata Containers log, from journals, log files, or standard input,
/// and writes each entry as one flat record whose fields always have the same names and types. What cannot be parsed
/// is kept as text, with the reason; nothing is dropped without being counted.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_SUMMARY)]
#[command(after_long_help = AFTER_HELP, disable_help_flag = true, disable_version_flag = true)]
pub struct Cli {
    /// Journals and files to read; - is standard input [default: -]
    ///
    /// What each holds is found out by looking at it. Log files are read one after the other, compressed or not: gzip, xz
    /// and zstd are recognized. Journal files, compressed or not, directories of them and of machines are read as one
    /// journal, each entry once, in the order that journalctl gives. Of a tar archive, compressed or not, and of any other
    /// directory the logs and the journals are read; nothing has to be unpacked. Without inputs, --journal, --follow, --merge
    /// and --namespace read the journal of this machine.
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it as the description of the program")]
    pub options: Options,

    /// Read the options that are not given from this file
    ///
    /// No other file is read, not even one in /etc. The keys are the names of the flags; --print-config shows them all.
    #[arg(short, long, env = "KATALOG_CONFIG", value_name = "FILE", help_heading = "Diagnostics")]
    pub config: Option<PathBuf>,

    /// Print the default configuration, with a comment on each key
    #[arg(long, help_heading = "Diagnostics")]
    pub print_config: bool,

    /// Print what stores want to know of records: an index template, or JSON Schema
    ///
    /// Of the schema that --schema names, with the fields that --tag-key and --record-id name.
    #[arg(long, value_name = "FOR", help_heading = "Diagnostics", value_parser = words::<Definition>())]
    pub print_schema: Option<Definition>,

    /// Check configuration file, environment and flags, and do nothing else
    #[arg(long, help_heading = "Diagnostics")]
    pub check_config: bool,

    /// Print the man page or the completions of a shell
    #[arg(long, value_name = "WHAT", help_heading = "Diagnostics")]
    pub generate: Option<Generate>,

    /// Print help: -h a summary, --help everything
    #[arg(short, long, action = clap::ArgAction::Help, help_heading = "Diagnostics")]
    help: Option<bool>,

    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version, help_heading = "Diagnostics")]
    version: Option<bool>,
}

const AFTER_SUMMARY: &str = "\
Each flag is also an environment variable (--max-line: KATALOG_MAX_LINE) and a key of the file that --config names.
--help says more, with examples and exit codes.";

const AFTER_HELP: &str = "\
Lists: the flag is repeated, or several values are separated by commas (but not those of --identifier). A list replaces the list of the configuration \
file; those of --drop and --prune are added to it. An empty environment variable counts as not set.

Examples:
  katalog --journal --since yesterday
      What Kata logged on this host since then, as JSON lines
  katalog --follow
      The same as it comes
  katalog sosreport.tar.xz
      The same from the journals and logs of a support bundle
  katalog --format text --component agent kata.log
      What the agents said, for people
  katalog --follow --state-dir /var/lib/katalog --for fluentd-exec
      What Fluentd's exec input can run
  katalog --follow --state-dir /var/lib/katalog --to forward://aggregator:24224
      The journal to Fluentd, acknowledged, and gone on with after a restart
  katalog --output-dir out --split host,day --compress zstd archive/
      Archives as a tree of files; with --resume it goes on where it was interrupted
  katalog --check support-bundle/*.log*
      Whether these can be read to their ends, and what is wrong with them
  katalog --rename _HOSTNAME=host --drop '_*' --prune '!config.*' kata.log
      Other fields than the default ones

Exit codes:
   0  all is delivered, or the reader of the output went away
   1  a flawed record under --strict or --check, or no record under --fail-if-empty
  64  a flag or argument cannot be used
  65  an input is not what it claims to be
  66  an input is not there
  69  something is not available in this build or on this host
  70  a mistake in katalog
  74  reading or writing failed
  75  the state or output directory is in use by another katalog
  77  no permission
  78  the configuration file cannot be used
An input that fails does not keep the others from being read; the first failure decides.";

/// A document that is generated from the definition of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Generate {
    /// The manual page, in roff
    Man,
    /// Completions for bash
    Bash,
    /// Completions for zsh
    Zsh,
    /// Completions for fish
    Fish,
    /// Completions for elvish
    Elvish,
    /// Completions for PowerShell
    Powershell,
}

impl Cli {
    /// Reads the command line and the environment. Prints help, version and errors. The error is the exit code.
    ///
    /// # Errors
    /// If there is nothing left to do, or the command line cannot be used.
    pub fn read(arguments: impl Iterator<Item = OsString>) -> Result<Cli, Exit> {
        let arguments: Vec<OsString> = arguments.collect();
        let mut command = command(arguments.iter().any(|argument| argument == "--help"));
        let matches = command.try_get_matches_from_mut(&arguments);
        matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
                // A reader that closes the output early is no failure.
                let _ = error.print();
                return Exit::Success;
            }
            let text = error.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            diagnostics::report(format_args!("{}{}", text.trim_end(), variable_of(&error, &command, &arguments)));
            Exit::Usage
        })
    }

    /// Returns the inputs. Without any, returns standard input.
    #[must_use]
    pub fn inputs(&self) -> Vec<Input> {
        let named = self.inputs.iter().cloned().map(Input::from);
        if self.inputs.is_empty() { vec![Input::Stdin] } else { named.collect() }
    }
}

/// Returns the command for this host. Empty variables count as not set, so that a unit file or a container can unset an
/// inherited one. Only the long help shows variables, because their names follow from the flags.
fn command(show_variables: bool) -> Command {
    Cli::command().mut_args(|argument| {
        let empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
        let argument = if argument.get_env().is_some_and(empty) { argument.env(None::<&str>) } else { argument };
        argument.hide_env(!show_variables).hide_env_values(true)
    })
}

/// Returns a note that a wrong value comes from the environment. clap names only the flag.
fn variable_of(error: &clap::Error, command: &Command, arguments: &[OsString]) -> String {
    let Some(clap::error::ContextValue::String(shown)) = error.get(clap::error::ContextKind::InvalidArg) else {
        return String::new();
    };
    let argument = command.get_arguments().find(|argument| {
        argument.get_long().is_some_and(|long| shown.split(['=', ' ', '[']).next() == Some(&format!("--{long}")))
    });
    let Some(name) = argument.and_then(clap::Arg::get_env) else {
        return String::new();
    };
    let typed = arguments.iter().skip(1).any(|typed| {
        let typed = typed.to_string_lossy();
        argument.is_some_and(|argument| {
            argument
                .get_long()
                .is_some_and(|long| typed.strip_prefix("--").is_some_and(|typed| typed.starts_with(long)))
                || argument
                    .get_short()
                    .is_some_and(|short| typed.strip_prefix('-').is_some_and(|typed| typed.starts_with(short)))
        })
    });
    if typed || std::env::var_os(name).is_none() {
        return String::new();
    }
    format!("\n\nThe value comes from the environment variable {}.", name.to_string_lossy())
}

/// Generates the man page or completions.
///
/// # Errors
/// If they cannot be written to memory, which does not happen.
pub fn generate(what: Generate) -> io::Result<Vec<u8>> {
    use clap_complete::Shell;

    // Values of this host do not belong into documents for other hosts.
    let mut command = Cli::command().mut_args(|argument| argument.hide_env_values(true));
    let mut out = Vec::new();
    let shell = match what {
        Generate::Man => {
            clap_mangen::Man::new(command).render(&mut out)?;
            return Ok(out);
        }
        Generate::Bash => Shell::Bash,
        Generate::Zsh => Shell::Zsh,
        Generate::Fish => Shell::Fish,
        Generate::Elvish => Shell::Elvish,
        Generate::Powershell => Shell::PowerShell,
    };
    clap_complete::generate(shell, &mut command, "katalog", &mut out);
    Ok(out)
}

/// Prints a document to standard output: the default configuration, a schema, a manual page or shell completions.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_exit_code() {
        for exit in Exit::ALL {
            let number = format!("\n  {:>2}  ", exit.code());
            assert!(AFTER_HELP.contains(&number), "{number}");
        }
    }

    #[test]
    fn no_input_is_standard_input() {
        let inputs = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["katalog"], arguments].concat()).unwrap();
            cli.inputs().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(inputs(&[]), inputs(&["-"]));
        assert_eq!(inputs(&["a", "-", "b"]).len(), 3);
    }
}
