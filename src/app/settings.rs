//! Loads the settings of a command line, and prints or checks them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

use kata_records::Rules;
use kata_records::visible::escape;
use log_clients::Observer;

use super::error::AppError;
use crate::cli::{self, Invocation};
use crate::config::{self, Command, Config, Layers, Options, StandardOutput, Surroundings};
use crate::diagnostics::{self, report};
use crate::exit::Exit;

/// Loads the layers of the settings. Reports unknown variables.
pub(super) fn load(invocation: &Invocation) -> Result<Options, AppError> {
    let path = invocation.config.clone().or_else(|| config::variable("KATALOG_CONFIG").map(PathBuf::from));
    let file = path.as_deref().map(config::read_file).transpose()?.unwrap_or_default();
    let (variables, warnings) = config::read_environment(invocation.command, std::env::vars_os());
    warnings.iter().for_each(|warning| report(format_args!("{warning}")));
    let layers = Layers { flags: invocation.flags.clone(), variables, file, path };
    Ok(Options::new(invocation.command, invocation.inputs.clone(), layers)?)
}

/// Prints the effective settings, or only checks them.
pub(super) fn print_or_check(of: &Invocation, check: bool) -> Result<Exit, AppError> {
    let options = load(of)?;
    if of.command != Command::Config {
        let config = Config::new(&options, surroundings())?;
        Rules::new(&config.records)?;
        // A client reads its files when it is made, and connects later.
        let receiver = config.delivery.receiver.filter(|_| check);
        let client = receiver.map(|receiver| receiver.client(Observer::default()));
        client.transpose().map_err(|error| AppError::Net { error, from_file: options.path().is_some() })?;
    }
    if !check {
        let text = config::effective(&options)?;
        // Values of the environment and the file are shown as they are, except on a terminal.
        let shown = if io::stdout().is_terminal() { visible_lines(&text) } else { text };
        return Ok(cli::print(shown.as_bytes()));
    }
    let what = match of.command {
        Command::Config => "values are valid; `katalog config --check COMMAND` also checks how they combine".to_owned(),
        command => format!("`katalog {}` can use them", command.name()),
    };
    match options.path() {
        Some(path) => report(format_args!("settings of {path:?} and the environment: {what}")),
        None => report(format_args!("settings of the environment, without a configuration file: {what}")),
    }
    Ok(Exit::Success)
}

/// Returns lines in which nothing moves the cursor of a terminal or hides.
fn visible_lines(text: &str) -> String {
    text.lines().flat_map(|line| [escape(line.as_bytes()), "\n".into()]).collect()
}

/// Returns the environment of the program.
pub(super) fn surroundings() -> Surroundings {
    let set = |name| config::variable(name).is_some();
    let dumb = config::variable("TERM").is_some_and(|term| term == OsStr::new("dumb"));
    let kind =
        io::stdout().as_fd().try_clone_to_owned().and_then(|output| Ok(File::from(output).metadata()?.file_type()));
    let output = match kind {
        _ if io::stdout().is_terminal() => StandardOutput::Terminal,
        Ok(kind) if kind.is_file() || kind.is_char_device() => StandardOutput::File,
        _ => StandardOutput::Pipe,
    };
    Surroundings {
        colors: io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
        pages: io::stdout().is_terminal() && set("TERM") && !dumb,
        unicode: is_unicode(),
        error_terminal: io::stderr().is_terminal(),
        screen: io::stderr().is_terminal() && set("TERM") && !dumb,
        output,
        columns: (output == StandardOutput::Terminal).then(|| diagnostics::columns(io::stdout())),
        cores: cores(),
    }
}

/// Returns whether the locale has UTF-8.
fn is_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(config::variable);
    let locale = locale.unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Returns the number of threads that the host runs at once.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
