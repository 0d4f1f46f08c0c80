//! The program: command line → settings → rules → run → exit code. Everything it does is in the library.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use katalog::cli::{self, Cli};
use katalog::config::{self, Config, Surroundings};
use katalog::exit::Exit;
use katalog::report::diagnostic;
use katalog::rules::Rules;
use katalog::run;
use katalog::sink::Sink;
use katalog::source::{self, Input};

fn main() -> ExitCode {
    let exit = Cli::read(std::env::args_os()).and_then(start);
    exit.unwrap_or_else(|exit| exit).into()
}

/// The error is how to end, after the reason was printed.
fn start(cli: Cli) -> Result<Exit, Exit> {
    if let Some(what) = cli.generate {
        return Ok(cli::print(&cli::generate(what).map_err(failed(Exit::Internal))?));
    }
    if cli.print_config {
        return Ok(cli::print(config::DEFAULT.as_bytes()));
    }
    let file = cli.config.as_deref().map(config::read).transpose().map_err(failed(Exit::Config))?;
    let mut inputs = cli.inputs();
    let blame = if file.is_some() { Exit::Config } else { Exit::Usage };
    let mut config = Config::new(cli.options, file.unwrap_or_default(), surroundings());
    if cli.inputs.is_empty() && config.journal.is_meant() {
        config.journal.of_this_machine = true;
        inputs.clear();
    } else if !cli.check_config && cli.inputs.is_empty() && io::stdin().is_terminal() {
        diagnostic(format_args!("no input: name a file, or pipe one in, as in `journalctl -o json --all | katalog`"));
        diagnostic(format_args!("`katalog --help` says more; `katalog -` reads what you type"));
        return Err(Exit::Usage);
    }
    let rules = Rules::new(&config).map_err(failed(blame))?;
    if cli.check_config {
        match &cli.config {
            Some(path) => diagnostic(format_args!("configuration file \"{}\" can be used", path.display())),
            None => diagnostic(format_args!("flags and environment can be used; no configuration file is named")),
        }
        return Ok(Exit::Success);
    }
    work(&config, &rules, &inputs)
}

fn work(config: &Config, rules: &Rules, inputs: &[Input]) -> Result<Exit, Exit> {
    if config.journal.follow {
        // Before the output is opened, which would empty it.
        let groups = source::groups(inputs, &config.journal);
        source::followable(&groups, &config.journal).map_err(|error| failed(Exit::Usage)(error))?;
    }
    let mut sink = Sink::open(config.output.as_deref(), inputs).map_err(|error| failed(error.exit())(error))?;
    let outcome = run::run(config, rules, inputs, &mut sink);
    if let Some(format) = config.stats.filter(|_| !outcome.closed) {
        katalog::report::summary(&outcome.stats, format);
    }
    Ok(outcome.exit)
}

/// Prints an error and says how to end for it.
fn failed<E: fmt::Display>(exit: Exit) -> impl FnOnce(E) -> Exit {
    move |error| {
        diagnostic(format_args!("{error}"));
        exit
    }
}

fn surroundings() -> Surroundings {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    Surroundings {
        colors: io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
        error_terminal: io::stderr().is_terminal(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    }
}
