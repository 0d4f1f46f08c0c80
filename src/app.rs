//! Composes the program: command line → settings → plan → delivery → run → exit code.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::Arc;

use kata_records::{Definition, Rules, SettingsError, Stats};
use log_clients::{NetError, Observer};

use crate::cli::{self, Cli};
use crate::config::{self, Config, ConfigError, StandardOutput, Surroundings};
use crate::delivery::checkpoint::{Checkpoint, CheckpointError};
use crate::delivery::{
    Delivery, DeliveryMetrics, DeltaDelivery, FileDelivery, NoDelivery, OutputDir, OutputDirError, ServerDelivery,
    ServerDeliveryConfig, SortedDelivery, Spool,
};
use crate::diagnostics::{self, StatsFormat, report};
use crate::exit::Exit;
use crate::run::{self, Outcome, Plan};
use crate::service::http;
use crate::service::notify::Notifier;
use crate::service::signals::{OnHangup, Signals};
use crate::service::status::{self, Status};
use crate::sink::{Output, SinkError};
use crate::source::{self, Group, Input, SourceError};

/// Runs the program and returns its exit code.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.collect();
    match Cli::read(arguments.iter().cloned()) {
        Ok(cli) => start(cli, &arguments).unwrap_or_else(|error| error.report()),
        Err(exit) => exit,
    }
}

/// An error that ends the program before a run, or without one.
#[derive(Debug, thiserror::Error)]
enum AppError {
    /// There is no input.
    #[error("no input: name a file, or pipe one in, as in `journalctl -o json --all | katalog`")]
    NoInput,
    /// Flags and variables that cannot be used, or a configuration file where one is named.
    #[error("{source}")]
    Config { source: ConfigError, from_file: bool },
    /// Rules that cannot be compiled.
    #[error("{source}")]
    Rules { source: SettingsError, from_file: bool },
    /// Inputs that do not go together with the flags.
    #[error(transparent)]
    Usage(SourceError),
    /// The state directory cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The output cannot be used.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The output directory cannot be used.
    #[error(transparent)]
    OutputDir(#[from] OutputDirError),
    /// The servers cannot be used.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The host does not offer something.
    #[error("{0}")]
    Unavailable(String),
    /// Generated text cannot be written to memory.
    #[error(transparent)]
    Internal(io::Error),
}

impl AppError {
    /// Prints the error and returns its exit code.
    fn report(&self) -> Exit {
        report(format_args!("{self}"));
        if matches!(self, AppError::NoInput) {
            report(format_args!("`katalog --help` says more; `katalog -` reads what you type"));
        }
        Exit::of(self)
    }
}

impl Exit {
    /// Returns the exit code of an error.
    fn of(error: &AppError) -> Exit {
        match error {
            AppError::Config { from_file: true, .. } | AppError::Rules { from_file: true, .. } => Exit::Config,
            AppError::NoInput | AppError::Config { .. } | AppError::Rules { .. } | AppError::Usage(_) => Exit::Usage,
            AppError::Checkpoint(error) => error.exit(),
            AppError::Sink(error) => error.exit(),
            AppError::OutputDir(error) => error.exit(),
            AppError::Net(error) => Exit::from(error),
            AppError::Unavailable(_) => Exit::Unavailable,
            AppError::Internal(_) => Exit::Internal,
        }
    }
}

fn start(cli: Cli, arguments: &[OsString]) -> Result<Exit, AppError> {
    if let Some(what) = cli.generate {
        return Ok(cli::print(&cli::generate(what).map_err(AppError::Internal)?));
    }
    if cli.print_config {
        return Ok(cli::print(config::DEFAULT.as_bytes()));
    }
    if let Some(definition) = cli.print_schema {
        return print_schema(cli, definition);
    }
    if cli.check_config {
        let path = cli.config.clone();
        Job::new(cli)?;
        match path {
            Some(path) => report(format_args!("configuration file \"{}\" can be used", path.display())),
            None => report(format_args!("flags and environment can be used; no configuration file is named")),
        }
        return Ok(Exit::Success);
    }
    let mut job = Job::new(cli)?;
    let outcome = run_and_reload(&mut job, arguments)?;
    summarize(&job.config, &outcome);
    // The failure of an input that could not be opened precedes failures of the run.
    Ok(job.failure.unwrap_or(outcome.exit))
}

/// Runs the job, and runs it again after each reload of the configuration. Returns the outcome of all runs together.
fn run_and_reload(job: &mut Job, arguments: &[OsString]) -> Result<Outcome, AppError> {
    let signals = if job.config.is_service() {
        // A run that remembers or delivers is a service; another one only prints, and ends with its terminal.
        let serves = job.config.state_dir.is_some() || job.config.receiver.is_some();
        let on_hangup = if serves { OnHangup::Reload } else { OnHangup::Stop };
        Signals::listen(on_hangup).map_err(|error| AppError::Unavailable(error.to_string()))?
    } else {
        Arc::default()
    };
    let status = watched(&job.config, &signals)?;
    let mut outcome = job.run(None, &signals, &status)?;
    while outcome.reload {
        reload(job, arguments);
        signals.renew();
        let (before, mut inputs) = (outcome.stats, outcome.inputs);
        status.begin(&before);
        outcome = job.run(Some(outcome.checkpoint), &signals, &status)?;
        outcome.stats.merge(&before);
        inputs.append(&mut outcome.inputs);
        outcome.inputs = inputs;
    }
    status.stopping();
    Ok(outcome)
}

/// Replaces the job with one for the reloaded configuration. Keeps the old job if the new configuration is unusable.
fn reload(job: &mut Job, arguments: &[OsString]) {
    let new = Cli::read(arguments.iter().cloned()).and_then(|cli| Job::new(cli).map_err(|error| error.report()));
    match new {
        Ok(new) if new.config.state_dir != job.config.state_dir => {
            report(format_args!("state-dir: it stays as long as katalog runs; the old configuration goes on"));
        }
        Ok(new) if new.config.listen != job.config.listen => {
            report(format_args!("listen: it stays as long as katalog runs; the old configuration goes on"));
        }
        Ok(new) => *job = new,
        Err(_) => report(format_args!("the old configuration goes on")),
    }
}

/// Prints the counters in the configured format. Prints nothing if the reader of the output closed it early.
fn summarize(config: &Config, outcome: &Outcome) {
    let by_input = config.stats_by_input && outcome.progress;
    let format = if by_input { Some(StatsFormat::Table) } else { config.stats };
    match format {
        Some(format) if config.check => diagnostics::check_summary(&outcome.stats, &outcome.inputs, format),
        Some(format) if !outcome.closed => diagnostics::summary(&outcome.stats, &outcome.inputs, format),
        _ => {}
    }
}

/// Returns the status of the runs, connected to the service manager and to requests through HTTP.
fn watched(config: &Config, signals: &Arc<Signals>) -> Result<Arc<Status>, AppError> {
    if !config.is_service() {
        return Ok(Arc::default());
    }
    let unavailable = |error: io::Error| AppError::Unavailable(error.to_string());
    let refused = |error| AppError::Unavailable(format!("cannot speak to NOTIFY_SOCKET: {error}"));
    let status = Arc::new(Status::new(Notifier::from_environment().map_err(refused)?));
    status::notify_manager(&status, signals).map_err(unavailable)?;
    if let Some(address) = config.listen {
        let refused = |error| AppError::Unavailable(format!("listen: cannot use {address}: {error}"));
        let at = http::listen(address, Arc::clone(&status)).map_err(refused)?;
        // With port 0 nobody else knows the port.
        if config.records.verbose || address.port() == 0 {
            report(format_args!("listening on http://{at}/metrics"));
        }
    }
    Ok(status)
}

/// Prints the schema of the records that this configuration produces.
fn print_schema(cli: Cli, definition: Definition) -> Result<Exit, AppError> {
    let (config, from_file) = configured(cli.config.as_deref(), cli.options)?;
    config.check(&[]).map_err(|source| AppError::Config { source, from_file })?;
    Ok(cli::print(definition.of(&config.records).as_bytes()))
}

/// Returns the settings, and whether a configuration file is part of them.
fn configured(path: Option<&Path>, flags: config::options::Options) -> Result<(Config, bool), AppError> {
    let file = path.map(config::read).transpose().map_err(|source| AppError::Config { source, from_file: true })?;
    let from_file = file.is_some();
    Ok((Config::new(flags, file.unwrap_or_default(), surroundings()), from_file))
}

/// The input of a run: the checked configuration, the compiled rules, and the inputs in groups.
struct Job {
    config: Config,
    rules: Rules,
    inputs: Vec<Input>,
    groups: Vec<Group>,
    /// The exit code of the first input that failed before the run.
    failure: Option<Exit>,
}

impl Job {
    fn new(cli: Cli) -> Result<Job, AppError> {
        let (mut inputs, named, check_config) = (cli.inputs(), !cli.inputs.is_empty(), cli.check_config);
        let (mut config, from_file) = configured(cli.config.as_deref(), cli.options)?;
        if !named && (config.journal.is_meant() || config.once) {
            config.journal.of_this_machine = true;
            inputs.clear();
        } else if !check_config && !named && io::stdin().is_terminal() {
            return Err(AppError::NoInput);
        }
        source::refuse_urls(&inputs).map_err(AppError::Usage)?;
        config.check(&inputs).map_err(|source| AppError::Config { source, from_file })?;
        config.read_secrets().map_err(|source| AppError::Config { source, from_file: true })?;
        let rules = Rules::new(&config.records).map_err(|source| AppError::Rules { source, from_file })?;
        let (groups, failure) = if check_config { (Vec::new(), None) } else { grouped(&mut config, &inputs) };
        let live = config.is_live();
        if live {
            source::refuse_archives(&groups).map_err(AppError::Usage)?;
        }
        if config.journal.follow {
            source::check_followable(&groups, &config.journal).map_err(AppError::Usage)?;
        }
        if config.threads.is_none() && !live && groups.iter().all(Group::ends) {
            config.threads = Some(cores());
        }
        Ok(Job { config, rules, inputs, groups, failure })
    }

    /// Runs the job from a checkpoint. Without one, resumes from the state directory, if one is configured.
    fn run(&mut self, checkpoint: Option<Checkpoint>, signals: &Signals, status: &Status) -> Result<Outcome, AppError> {
        let first = checkpoint.is_none();
        let checkpoint = match (checkpoint, &self.config.state_dir) {
            (Some(checkpoint), _) => checkpoint,
            (None, Some(path)) => Checkpoint::open(path)?,
            (None, None) => Checkpoint::forgetful(),
        };
        self.config.journal.resume = checkpoint.journal().cloned();
        self.config.files = checkpoint.files().to_vec();
        let Some(delivery) = self.delivery(checkpoint, first, signals, status)? else {
            return Ok(nothing_left(&self.config));
        };
        Ok(run::run(&Plan::new(&self.config, &self.rules, &self.groups), delivery, signals, status))
    }

    /// Opens the delivery to servers, a directory or an output. Returns `None` if an earlier run delivered everything.
    fn delivery(
        &mut self,
        checkpoint: Checkpoint,
        first: bool,
        signals: &Signals,
        status: &Status,
    ) -> Result<Option<Box<dyn Delivery>>, AppError> {
        let config = &self.config;
        let delivery: Box<dyn Delivery> = if config.receiver.is_some() {
            self.to_servers(checkpoint, signals, status)?
        } else if config.check {
            Box::new(NoDelivery(checkpoint))
        } else if let Some(settings) = config.output_dir_settings() {
            let Some(directory) = OutputDir::open(settings, &self.groups)? else { return Ok(None) };
            if directory.finished() > 0 {
                report(format_args!("going on after {} of {} inputs", directory.finished(), self.groups.len()));
            }
            self.failure = directory.failure().or(self.failure);
            Box::new(directory)
        } else {
            self.to_output(checkpoint, first)?
        };
        let config = &self.config;
        // A delta refers to the previous record in output order, so sorting comes before it.
        let delivery: Box<dyn Delivery> =
            if config.delta { Box::new(DeltaDelivery::new(delivery, config.records.encode.format)) } else { delivery };
        Ok(Some(match config.sort {
            Some(memory) => Box::new(SortedDelivery::new(delivery, memory, config.records.verbose)),
            None => delivery,
        }))
    }

    fn to_output(&self, checkpoint: Checkpoint, first: bool) -> Result<Box<dyn Delivery>, AppError> {
        let config = &self.config;
        // Checked before the file is emptied.
        config.compress.check()?;
        let append = !first || config.state_dir.is_some();
        let mut output = Output::open(config.output.as_deref(), append, &self.inputs)?.compressed(config.compress)?;
        // A run after a reload has written the header already.
        output.begin(if first { config.records.encode.format.header() } else { b"" })?;
        Ok(Box::new(FileDelivery::new(output, config.limits, checkpoint)))
    }

    fn to_servers(
        &self,
        checkpoint: Checkpoint,
        signals: &Signals,
        status: &Status,
    ) -> Result<Box<dyn Delivery>, AppError> {
        let config = &self.config;
        let receiver = config.receiver.clone().ok_or(NetError::NoServers)?;
        let client = receiver.client(Observer::new(|event| report(format_args!("{event}"))))?;
        let spool = config.spool.clone().map(Spool::open).transpose()?;
        let (limits, refused, shutdown) = (config.limits, config.refused.clone(), signals.current_shutdown());
        let metrics = DeliveryMetrics::new(&*client, Arc::clone(&shutdown));
        status.watch_delivery(Arc::clone(&metrics));
        let server_config = ServerDeliveryConfig { client, limits, refused, spool, shutdown, metrics };
        let delivery = ServerDelivery::start(server_config, checkpoint)
            .map_err(|error| AppError::Unavailable(error.to_string()))?;
        Ok(Box::new(delivery))
    }
}

/// Groups inputs that are read as one source. Also returns the exit code of the first input that cannot be accessed.
fn grouped(config: &mut Config, inputs: &[Input]) -> (Vec<Group>, Option<Exit>) {
    let mut failure = None;
    let groups = if config.output_dir.is_some() || config.check {
        let group = if config.check { source::group_by_file } else { source::group_by_machine };
        let (units, errors) = group(inputs, &config.journal);
        for error in errors {
            failure = failure.or(Some(error.exit()));
            report(format_args!("{error}"));
        }
        // The files of this machine are among the units.
        config.journal.of_this_machine = false;
        units
    } else {
        source::group_inputs(inputs, &config.journal, config.is_live())
    };
    (groups, failure)
}

/// Returns the outcome of a run that has nothing left to do.
fn nothing_left(config: &Config) -> Outcome {
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
