//! A job: the checked configuration, the compiled rules and the inputs, and the delivery of its records.

use std::io::{self, IsTerminal as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use kata_records::filter::FilterSettings;
use kata_records::{Format, Rules};
use log_clients::{Client, Observer, Receiver};

use super::error::AppError;
use super::settings::{self, cores};
use crate::cli::{self, Invocation};
use crate::config::{self, Command, Config, Mode, Options};
use crate::delivery::checkpoint::Checkpoint;
use crate::delivery::shutdown::WatchedShutdown;
use crate::delivery::{
    ContextDelivery, Delivery, DeliveryMetrics, DeltaDelivery, FanOut, FileDelivery, GroupedDelivery, LastDelivery,
    NoDelivery, OutputDir, RefusedFile, ServerDelivery, ServerDeliveryConfig, SortedDelivery, Spool, ViewDelivery,
};
use crate::diagnostics::report;
use crate::exit::Exit;
use crate::run::{self, Outcome, Plan};
use crate::service::signals::Signals;
use crate::service::status::Status;
use crate::sink::{Compression, Output};
use crate::source::position::FilePosition;
use crate::source::{self, Backend, Group, HeldFile, Input};
use crate::view::View;

/// The input of a run: the checked configuration, the compiled rules, and the inputs in groups.
pub(super) struct Job {
    pub(super) config: Config,
    rules: Rules,
    inputs: Vec<Input>,
    groups: Vec<Group>,
    /// A configuration file is part of the settings.
    has_file: bool,
    /// The saved positions in log files.
    files: Vec<FilePosition>,
    /// The exit code of the first input that failed before the run.
    pub(super) failure: Option<Exit>,
    /// The number of inputs that failed before the run.
    pub(super) unopened: usize,
}

/// The servers of a run.
struct Servers {
    clients: Vec<Box<dyn Client>>,
    /// The spool of each client; none without `--spool`.
    spools: Vec<Spool>,
    /// The name of each client, if each gets everything.
    names: Vec<String>,
}

impl Servers {
    /// Moves the checkpoint past the records in the spools.
    fn resume(&mut self, checkpoint: &Checkpoint, continues: bool) {
        let own = |name: &String| checkpoint.of_server(name);
        let mut each = self.names.iter().map(own);
        for spool in &mut self.spools {
            spool.resume(each.next().unwrap_or_else(|| checkpoint.clone()), continues);
        }
    }
}

impl Job {
    /// Checks everything that can be checked before a run.
    ///
    /// # Errors
    /// If settings or inputs cannot be used, or something is missing.
    pub(super) fn new(invocation: &Invocation) -> Result<Job, AppError> {
        let surroundings = settings::surroundings();
        let options = settings::load(invocation)?.for_output(surroundings.output)?;
        let mut config = Config::new(&options, surroundings)?;
        let rules = Rules::new(&config.records)?;
        let inputs = inputs(&mut config, &options.inputs)?;
        check_output(&config)?;
        source::refuse_urls(&inputs).map_err(AppError::Usage)?;
        let (groups, failure, unopened) = grouped(&mut config, &inputs);
        check_groups(&config, &options, &groups)?;
        begin_near_the_end(&mut config, &groups);
        if config.output.threads.is_none() && !config.is_live() && groups.iter().all(Group::ends) {
            config.output.threads = Some(cores());
        }
        Ok(Job {
            config,
            rules,
            inputs,
            groups,
            has_file: options.path().is_some(),
            files: Vec::new(),
            failure,
            unopened,
        })
    }

    /// Runs the job from a checkpoint, with the deleted files that the run before held open. Without a checkpoint, resumes from the state directory, if the command has one.
    /// Returns `None` if an earlier run has delivered everything.
    ///
    /// # Errors
    /// If the state directory or the receiver cannot be used.
    pub(super) fn run(
        &mut self,
        checkpoint: Option<Checkpoint>,
        held: Vec<HeldFile>,
        signals: &Signals,
        status: &Status,
    ) -> Result<Option<Outcome>, AppError> {
        let first = checkpoint.is_none();
        let mut checkpoint = match (checkpoint, &self.config.delivery.state_dir) {
            (Some(checkpoint), _) => checkpoint,
            (None, Some(path)) => Checkpoint::open(path)?,
            (None, None) => Checkpoint::forgetful(),
        };
        checkpoint.set_servers(&self.config.delivery.fan_out_names());
        let mut servers = self.servers()?;
        if let Some(servers) = &mut servers {
            servers.resume(&checkpoint, !first || !checkpoint.is_new());
        }
        self.config.journal.resume = checkpoint.journal();
        self.files = checkpoint.files();
        self.begin_at_positions()?;
        let noted = Some(checkpoint.clone());
        status.watch_saves(checkpoint.metrics());
        let Some(delivery) = self.delivery(checkpoint, servers, first, signals, status)? else {
            return Ok(None);
        };
        let plan = Plan {
            checkpoint: noted,
            held: Mutex::new(held),
            ..Plan::new(&self.config, &self.files, &self.rules, &self.groups)
        };
        Ok(Some(run::run(&plan, delivery, signals, status)))
    }

    /// Lets records from before `--since` pass if there are positions to continue from. Another beginning would leave out
    /// records that came while katalog was not running.
    fn begin_at_positions(&mut self) -> Result<(), AppError> {
        let resumes = self.config.journal.is_resumed() || self.files.iter().any(|file| file.offset > 0);
        if resumes && self.config.records.filter.since.is_some() {
            let mut records = self.config.records.clone();
            records.filter.since = None;
            self.rules = Rules::new(&records)?;
        }
        Ok(())
    }

    /// Opens the delivery to servers, a directory or an output. Returns `None` if an earlier run delivered everything.
    fn delivery(
        &mut self,
        checkpoint: Checkpoint,
        servers: Option<Servers>,
        first: bool,
        signals: &Signals,
        status: &Status,
    ) -> Result<Option<Box<dyn Delivery>>, AppError> {
        let config = &self.config;
        let delivery: Box<dyn Delivery> = if let Some(servers) = servers {
            self.to_servers(servers, checkpoint, signals, status)?
        } else if config.command == Command::Check {
            Box::new(NoDelivery(checkpoint))
        } else if let Some(settings) = config.conversion.clone() {
            let path = settings.directory.clone();
            let Some(directory) = OutputDir::open(settings, &self.groups)? else {
                report(format_args!("{path:?} is finished: nothing is left to do"));
                return Ok(None);
            };
            if directory.finished() > 0 {
                report(format_args!("resuming after {} of {} inputs", directory.finished(), self.groups.len()));
            }
            self.failure = directory.failure().or(self.failure);
            Box::new(directory)
        } else {
            self.to_output(checkpoint, first)?
        };
        let output = &self.config.output;
        let format = self.config.records.encode.format;
        // A delta refers to the previous record in output order, so sorting comes before it.
        let delivery: Box<dyn Delivery> =
            if output.delta { Box::new(DeltaDelivery::new(delivery, format)) } else { delivery };
        let delivery: Box<dyn Delivery> = match output.sort {
            Some(settings) => {
                Box::new(SortedDelivery::new(delivery, settings, output.last, self.config.diagnostics.verbose))
            }
            None => match output.last {
                Some(last) => Box::new(LastDelivery::new(delivery, last, output.memory)),
                None => delivery,
            },
        };
        Ok(Some(match output.context {
            Some(context) => Box::new(ContextDelivery::new(delivery, context)),
            None => delivery,
        }))
    }

    fn to_output(&self, checkpoint: Checkpoint, first: bool) -> Result<Box<dyn Delivery>, AppError> {
        let Config { output, view, records, delivery, command, .. } = &self.config;
        // Checked before the file is emptied.
        output.compress.check()?;
        let append = !first || *command == Command::Ship;
        let format = records.encode.format;
        let sink = match self.pager() {
            Some(pager) => pager,
            None => Output::open(output.path.as_deref(), append, &self.inputs)?,
        };
        if sink.is_terminal() && (output.compress != Compression::None || !format.is_text()) {
            return Err(AppError::Incomplete(no_text(format, output.compress)));
        }
        let mut sink = sink.compressed(output.compress)?;
        // A run after a reload has written the header already.
        sink.begin(if first { format.header() } else { b"" })?;
        let delivery = Box::new(FileDelivery::new(sink, format, delivery.limits, checkpoint));
        Ok(match view {
            Some(settings) if output.grouped => {
                Box::new(GroupedDelivery::new(delivery, View::new(settings), output.memory))
            }
            Some(settings) => {
                Box::new(ViewDelivery::new(delivery, View::new(settings), self.config.mode == Mode::Follow))
            }
            None => delivery,
        })
    }

    /// Starts the pager, if records go through one. Without it they go to the terminal.
    fn pager(&self) -> Option<Output> {
        let command = config::variable("PAGER").filter(|_| self.config.paging);
        let command = command.as_ref().map(|command| command.to_string_lossy());
        let started = if self.config.paging { Output::page(command.as_deref()) } else { Ok(None) };
        started.unwrap_or_else(|error| {
            report(format_args!("{error}; the records go to the terminal without a pager"));
            None
        })
    }

    /// Opens the clients of the servers and their spools, before the input begins. Returns `None` without servers.
    fn servers(&self) -> Result<Option<Servers>, AppError> {
        let settings = &self.config.delivery;
        let refused = |error| AppError::Net { error, from_file: self.has_file };
        let Some(receiver) = settings.receiver.clone() else { return Ok(None) };
        let names = settings.fan_out_names();
        let receivers = if names.is_empty() { vec![receiver] } else { receiver.each_server() };
        let client = |receiver: Receiver| receiver.client(Observer::new(|event| report(format_args!("{event}"))));
        let clients: Vec<_> = receivers.into_iter().map(client).collect::<Result<_, _>>().map_err(refused)?;
        settings.secret_files.iter().for_each(|(named_by, path)| warn_if_public(named_by, path));
        let spools = match &settings.spool {
            Some(spool) if names.is_empty() => vec![Spool::open(spool.clone())?],
            Some(spool) => Spool::open_each(spool, &names)?,
            None => Vec::new(),
        };
        Ok(Some(Servers { clients, spools, names }))
    }

    fn to_servers(
        &self,
        servers: Servers,
        checkpoint: Checkpoint,
        signals: &Signals,
        status: &Status,
    ) -> Result<Box<dyn Delivery>, AppError> {
        let settings = &self.config.delivery;
        let Servers { clients, spools, names } = servers;
        let refused_file = RefusedFile::new(settings.refused.clone());
        let (mut spools, mut names) = (spools.into_iter(), names.into_iter());
        let config = |client: Box<dyn Client>| {
            let shutdown = WatchedShutdown::new(signals.current_shutdown());
            ServerDeliveryConfig {
                metrics: DeliveryMetrics::new(&*client, Arc::clone(&shutdown)),
                client,
                limits: settings.limits,
                refused_file: refused_file.clone(),
                spool: spools.next(),
                shutdown,
                server: names.next(),
            }
        };
        let mut configs: Vec<_> = clients.into_iter().map(config).collect();
        status.watch_delivery(configs.iter().map(|config| Arc::clone(&config.metrics)).collect());
        let started: std::io::Result<Box<dyn Delivery>> = match configs.pop() {
            Some(config) if config.server.is_none() => {
                ServerDelivery::start(config, checkpoint).map(|delivery| Box::new(delivery) as _)
            }
            last => {
                configs.extend(last);
                FanOut::start(configs, checkpoint).map(|delivery| Box::new(delivery) as _)
            }
        };
        started.map_err(|error| AppError::Unavailable(error.to_string()))
    }
}

/// Returns the message for records that a terminal would take for commands.
fn no_text(format: Format, compression: Compression) -> String {
    let (flag, instead) = match compression {
        Compression::None => (format!("--format {}", format.name()), "choose ndjson, csv, text or journal-json"),
        Compression::Gzip | Compression::Zstd => ("--compress".to_owned(), "leave out --compress"),
    };
    format!(
        "{flag}: these records are no text, and a terminal would act on them; write them to a file with --output FILE or to \
         a pipe, or {instead}"
    )
}

/// Warns of a file with a secret that every user can read or replace.
fn warn_if_public(named_by: &str, path: &Path) {
    let mode = path.metadata().map_or(0, |found| found.permissions().mode() & 0o7777);
    if mode & 0o006 != 0 {
        report(format_args!("{named_by}: every user can read or change {path:?} (mode {mode:o}); use chmod o-rwx"));
    }
}

/// Returns the inputs. Without any, it is the journal of this machine if the command or an option asks for it, else
/// standard input.
fn inputs(config: &mut Config, named: &[Input]) -> Result<Vec<Input>, AppError> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    if config.defaults_to_journal {
        let by_option = std::mem::replace(&mut config.journal.of_this_machine, true);
        if !by_option && source::stdin_has_content() {
            report(format_args!(
                "reading the journal of this machine, not standard input; `katalog {} -` reads standard input",
                config.command.name()
            ));
        }
        return Ok(Vec::new());
    }
    if io::stdin().is_terminal() {
        return Err(AppError::NoInput(config.command));
    }
    Ok(vec![Input::Stdin])
}

/// Refuses an output that is missing, or that nobody can read.
fn check_output(config: &Config) -> Result<(), AppError> {
    if config.command == Command::Convert && config.conversion.is_none() {
        return Err(AppError::Incomplete(cli::no_directory()));
    }
    if config.command == Command::Ship && config.writes_stdout() && io::stdout().is_terminal() {
        return Err(AppError::Incomplete(cli::no_receiver()));
    }
    Ok(())
}

/// Refuses inputs that do not go together with the command, and flags without an effect on them.
fn check_groups(config: &Config, options: &Options, groups: &[Group]) -> Result<(), AppError> {
    if config.is_live() {
        source::refuse_archives(groups).map_err(AppError::Usage)?;
    }
    if config.mode == Mode::Follow {
        source::check_followable(groups, &config.journal).map_err(AppError::Usage)?;
    }
    source::refuse_logs(groups, &config.range_flags).map_err(AppError::Usage)?;
    if config.records.encode.format.is_of_entries() && groups.len() > 1 && options.flag("lines").is_some() {
        let format = config.records.encode.format.name();
        let message = format!("--lines: --format {format} shows the last entries of one journal; name one input");
        return Err(AppError::Incomplete(message));
    }
    let journals = config.journal.of_this_machine || groups.iter().any(Group::may_hold_journals);
    let no_effect = |flag: Option<String>, what: &str| match flag {
        Some(flag) => Err(AppError::Incomplete(format!("{flag} has no effect without {what} among the inputs"))),
        None => Ok(()),
    };
    if !journals && !groups.is_empty() {
        no_effect(options.flag("journal-backend"), "a journal")?;
    }
    if !groups.is_empty() && groups.iter().all(|group| matches!(group, Group::Journal(_) | Group::Machine(..))) {
        no_effect(options.flag("default-identifier"), "a log")?;
    }
    Ok(())
}

/// The most last records for which a journal is read from near its end. Beyond it, several threads read all of it faster.
const FEW_LINES: u64 = 1 << 16;

/// Lets the reader of a journal skip the entries before the last records, if these are those of the journal: it is the only
/// input, and nothing but its entries decides about the records and their order.
fn begin_near_the_end(config: &mut Config, groups: &[Group]) {
    let is_plain = config.output.sort.is_none()
        && config.records.select.components.is_empty()
        && config.records.filter == FilterSettings::default()
        && config.journal.backend == Backend::Native;
    if let ([Group::Journal(_)], Some(last), true) = (groups, config.output.last, is_plain)
        && last <= FEW_LINES
    {
        config.journal.lines = usize::try_from(last).ok();
        config.journal.lines_are_records = true;
    }
}

/// Groups inputs that are read as one source. Also returns the exit code of the first input that cannot be accessed,
/// and the number of these inputs.
fn grouped(config: &mut Config, inputs: &[Input]) -> (Vec<Group>, Option<Exit>, usize) {
    let mut failure = None;
    let group = match config.command {
        Command::Check => source::group_by_file,
        Command::Convert => source::group_by_machine,
        _ => return (source::group_inputs(inputs, &config.journal, config.is_live()), None, 0),
    };
    let (groups, errors) = group(inputs, &config.journal);
    for error in &errors {
        failure = failure.or(Some(error.exit()));
        report(format_args!("{error}"));
    }
    // The files of this machine are among the groups.
    config.journal.of_this_machine = false;
    (groups, failure, errors.len())
}
