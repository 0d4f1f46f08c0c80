//! The program: command line → settings → rules → run → exit code. Everything it does is in the library.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use kata_records::rules::Rules;
use kata_records::schema::Definition;
use kata_records::stats::Stats;
use katalog::cli::{self, Cli};
use katalog::config::{self, Config, StandardOutput, Surroundings};
use katalog::delivery::checkpoint::Checkpoint;
use katalog::delivery::{Delivery, Deltas, Direct, Flow, Forwarding, Queue, Sorted, Spool, Tree};
use katalog::diagnostics::{self, StatsFormat, report};
use katalog::exit::Exit;
use katalog::run::{self, Outcome};
use katalog::service::health;
use katalog::service::notify::Notifier;
use katalog::service::signals::Signals;
use katalog::service::status::{self, Status};
use katalog::sink::{Client, Output};
use katalog::source::{self, Group, Input};

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
    if let Some(definition) = cli.print_schema {
        return print_schema(cli, definition);
    }
    let (check, path) = (cli.check_config, cli.config.clone());
    let mut job = Job::new(cli)?;
    if check {
        match path {
            Some(path) => report(format_args!("configuration file \"{}\" can be used", path.display())),
            None => report(format_args!("flags and environment can be used; no configuration file is named")),
        }
        return Ok(Exit::Success);
    }
    let signals =
        if job.config.is_service() { Signals::listen().map_err(failed(Exit::Unavailable))? } else { Arc::default() };
    let status = watched(&job.config, &signals)?;
    let mut outcome = job.run(None, &signals, &status)?;
    while outcome.reload {
        match Cli::read(std::env::args_os()).and_then(Job::new) {
            Ok(new) if new.config.state_dir != job.config.state_dir => {
                report(format_args!("state-dir: it stays as long as katalog runs; the old configuration goes on"));
            }
            Ok(new) if new.config.listen != job.config.listen => {
                report(format_args!("listen: it stays as long as katalog runs; the old configuration goes on"));
            }
            Ok(new) => job = new,
            Err(_) => report(format_args!("the old configuration goes on")),
        }
        signals.renew();
        let (before, mut inputs) = (outcome.stats, outcome.inputs);
        status.begin(&before);
        outcome = job.run(Some(outcome.checkpoint), &signals, &status)?;
        outcome.stats.merge(&before);
        inputs.append(&mut outcome.inputs);
        outcome.inputs = inputs;
    }
    status.stopping();
    let by_input = job.config.stats_by_input && outcome.progress;
    let format = if by_input { Some(StatsFormat::Table) } else { job.config.stats };
    match format {
        Some(format) if job.config.check => diagnostics::checked(&outcome.stats, &outcome.inputs, format),
        Some(format) if !outcome.closed => diagnostics::summary(&outcome.stats, &outcome.inputs, format),
        _ => {}
    }
    // What failed before anything was read comes first.
    Ok(job.failure.unwrap_or(outcome.exit))
}

/// What is known of the runs, and those who are told of it: the service manager, and who asks through HTTP.
fn watched(config: &Config, signals: &Arc<Signals>) -> Result<Arc<Status>, Exit> {
    if !config.is_service() {
        return Ok(Arc::default());
    }
    let refused = |error| failed(Exit::Unavailable)(format_args!("cannot speak to NOTIFY_SOCKET: {error}"));
    let status = Arc::new(Status::new(Notifier::from_environment().map_err(refused)?));
    status::tell(&status, signals).map_err(failed(Exit::Unavailable))?;
    if let Some(address) = config.listen {
        let at = health::listen(address, Arc::clone(&status));
        let at =
            at.map_err(|error| failed(Exit::Unavailable)(format_args!("listen: cannot use {address}: {error}")))?;
        // With port 0 nobody else knows where it is.
        if config.records.verbose || address.port() == 0 {
            report(format_args!("listening on http://{at}/metrics"));
        }
    }
    Ok(status)
}

/// Prints what there is to know of records by the settings.
fn print_schema(cli: Cli, definition: Definition) -> Result<Exit, Exit> {
    let file = cli.config.as_deref().map(config::read).transpose().map_err(failed(Exit::Config))?;
    let blame = if file.is_some() { Exit::Config } else { Exit::Usage };
    let config = Config::new(cli.options, file.unwrap_or_default(), surroundings());
    config.check(&[]).map_err(failed(blame))?;
    Ok(cli::print(definition.of(config.records.encode.schema, &config.named()).as_bytes()))
}

/// What is to be done: the settings, checked and compiled, and the inputs.
struct Job {
    config: Config,
    rules: Rules,
    inputs: Vec<Input>,
    groups: Vec<Group>,
    /// What inputs that cannot be read come to, where that shows before any is.
    failure: Option<Exit>,
}

impl Job {
    fn new(cli: Cli) -> Result<Job, Exit> {
        let file = cli.config.as_deref().map(config::read).transpose().map_err(failed(Exit::Config))?;
        let mut inputs = cli.inputs();
        let blame = if file.is_some() { Exit::Config } else { Exit::Usage };
        let mut config = Config::new(cli.options, file.unwrap_or_default(), surroundings());
        if cli.inputs.is_empty() && (config.journal.is_meant() || config.once) {
            config.journal.of_this_machine = true;
            inputs.clear();
        } else if !cli.check_config && cli.inputs.is_empty() && io::stdin().is_terminal() {
            report(format_args!("no input: name a file, or pipe one in, as in `journalctl -o json --all | katalog`"));
            report(format_args!("`katalog --help` says more; `katalog -` reads what you type"));
            return Err(Exit::Usage);
        }
        config.check(&inputs).map_err(failed(blame))?;
        config.read_secrets().map_err(failed(Exit::Config))?;
        let rules = Rules::new(&config.records).map_err(failed(blame))?;
        let live = config.journal.follow || config.once;
        let mut failure = None;
        let mut groups = if cli.check_config {
            Vec::new()
        } else if config.output_dir.is_some() {
            let (units, errors) = source::units(&inputs, &config.journal);
            for error in errors {
                failure = failure.or(Exit::from_code(error.exit_code()));
                report(format_args!("{error}"));
            }
            // The files of this machine are among the units.
            config.journal.of_this_machine = false;
            units
        } else {
            source::groups(&inputs, &config.journal, live)
        };
        if config.check && !config.journal.of_this_machine {
            groups = groups.into_iter().flat_map(Group::apart).collect();
        }
        if live {
            source::without_archives(&groups).map_err(failed(Exit::Usage))?;
        }
        if config.journal.follow {
            source::followable(&groups, &config.journal).map_err(failed(Exit::Usage))?;
        }
        if config.threads.is_none() && !live && groups.iter().all(Group::ends) {
            config.threads = Some(cores());
        }
        Ok(Job { config, rules, inputs, groups, failure })
    }

    /// Runs from where the checkpoint stands, or, the first time, from where an earlier run ended.
    fn run(&mut self, checkpoint: Option<Checkpoint>, signals: &Signals, status: &Status) -> Result<Outcome, Exit> {
        let Job { config, rules, inputs, groups, failure } = self;
        let first = checkpoint.is_none();
        let append = !first || config.state_dir.is_some();
        let checkpoint = match (checkpoint, &config.state_dir) {
            (Some(checkpoint), _) => checkpoint,
            (None, Some(path)) => Checkpoint::open(path).map_err(|error| failed(error.exit())(error))?,
            (None, None) => Checkpoint::forgetful(),
        };
        config.journal.resume = checkpoint.journal().cloned();
        config.files = checkpoint.files().to_vec();
        let delivery = match &config.receiver {
            None if config.check => Delivery::Nowhere(checkpoint),
            None if config.output_dir.is_some() => {
                let tree = config.tree().map(|settings| Tree::open(settings, groups)).transpose();
                let Some(tree) = tree.map_err(|error| failed(error.exit())(error))?.flatten() else {
                    return Ok(done(config));
                };
                if tree.finished() > 0 {
                    report(format_args!("going on after {} of {} inputs", tree.finished(), groups.len()));
                }
                *failure = tree.failure().or(*failure);
                Delivery::Tree(Box::new(tree))
            }
            None => {
                // Before the file is emptied.
                let possible = config.compress.check();
                let output = possible
                    .and_then(|()| Output::open(config.output.as_deref(), append, inputs))
                    .and_then(|output| output.compressed(config.compress))
                    .and_then(|mut output| {
                        // Who reads it anew with another configuration has the header already.
                        let header = if first { config.records.encode.format.header() } else { b"" };
                        output.begin(header).map(|_| output)
                    });
                let output = output.map_err(|error| failed(error.exit())(error))?;
                Delivery::Direct(Direct::new(output, config.window, checkpoint))
            }
            Some(receiver) => {
                let client = Client::new(receiver.clone()).map_err(|error| failed(error.exit())(error))?;
                let spool = config.spool.clone().map(Spool::open).transpose();
                let spool = spool.map_err(|error| failed(error.exit())(error))?;
                let (window, refused, stop) = (config.window, config.refused.clone(), signals.stop());
                let flow = Flow::new(&client, Arc::clone(&stop));
                status.goes_to(Arc::clone(&flow));
                let forwarding = Forwarding { client, window, refused, spool, stop, flow };
                Delivery::Queued(Queue::start(forwarding, checkpoint).map_err(failed(Exit::Unavailable))?)
            }
        };
        // What is said of the record before is said of the one that comes out before.
        let delivery = match config.records.encode.format.with_delta().filter(|_| config.delta) {
            Some(write) => Delivery::Deltas(Box::new(Deltas::new(delivery, write))),
            None => delivery,
        };
        let delivery = match config.sort {
            Some(memory) => Delivery::Sorted(Box::new(Sorted::new(delivery, memory, config.records.verbose))),
            None => delivery,
        };
        Ok(run::run(config, rules, groups, delivery, signals, status))
    }
}

/// What a run comes to that has nothing left to do.
fn done(config: &Config) -> Outcome {
    let directory = config.output_dir.as_deref().unwrap_or(Path::new("."));
    report(format_args!("nothing was interrupted in \"{}\", which has files: everything is done", directory.display()));
    Outcome {
        inputs: Vec::new(),
        progress: false,
        exit: Exit::Success,
        stats: Stats::default(),
        closed: true,
        reload: false,
        checkpoint: Checkpoint::forgetful(),
    }
}

/// Prints an error and says how to end for it.
fn failed<E: fmt::Display>(exit: Exit) -> impl FnOnce(E) -> Exit {
    move |error| {
        report(format_args!("{error}"));
        exit
    }
}

fn surroundings() -> Surroundings {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let kind =
        io::stdout().as_fd().try_clone_to_owned().and_then(|output| Ok(File::from(output).metadata()?.file_type()));
    let output = match kind {
        _ if io::stdout().is_terminal() => StandardOutput::Terminal,
        Ok(kind) if kind.is_file() || kind.is_char_device() => StandardOutput::File,
        _ => StandardOutput::Pipe,
    };
    Surroundings {
        colors: io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
        error_terminal: io::stderr().is_terminal(),
        screen: io::stderr().is_terminal() && set("TERM") && !dumb,
        output,
        cores: cores(),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
