//! Composes the program: command line → settings → job → run → exit code.

mod error;
mod explain;
mod job;
mod settings;

use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cli::{self, Invocation, Request};
use crate::config::{Command, Config};
use crate::diagnostics::{self, CheckEnd, StatsFormat, report};
use crate::exit::Exit;
use crate::run::Outcome;
use crate::service::http;
use crate::service::notify::Notifier;
use crate::service::signals::{OnHangup, Signals};
use crate::service::status::{self, Status};
use error::AppError;
use job::Job;

/// Runs the program and returns its exit code.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.collect();
    match cli::read(&arguments) {
        Ok(request) => start(request, &arguments).unwrap_or_else(|error| error.report()),
        Err(exit) => exit,
    }
}

fn start(request: Request, arguments: &[OsString]) -> Result<Exit, AppError> {
    match request {
        Request::Print(text) => Ok(cli::print(&text)),
        Request::Explain(words) => explain::explain(&words),
        Request::Settings { of, check } => settings::print_or_check(&of, check),
        Request::Run(invocation) if invocation.command == Command::Schema => print_schema(&invocation),
        Request::Run(invocation) => {
            allow_open_files();
            let mut job = Job::new(&invocation)?;
            let Some(outcome) = run_and_reload(&mut job, arguments)? else { return Ok(Exit::Success) };
            // The failure of an input that could not be opened precedes failures of the run.
            let exit = job.failure.unwrap_or(outcome.exit);
            summarize(&job, &outcome, exit);
            Ok(exit)
        }
    }
}

/// Raises the soft limit on open files to the hard one, because each file of a journal stays open. Only a pager
/// inherits the limit. On failure the limit stays.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Prints the schema of the records that this configuration produces.
fn print_schema(invocation: &Invocation) -> Result<Exit, AppError> {
    let options = settings::load(invocation)?;
    let config = Config::new(&options, settings::surroundings())?;
    Ok(cli::print(invocation.definition.of(&config.records).as_bytes()))
}

/// Runs the job, and runs it again after each reload of the configuration. Returns the outcome of all runs together;
/// `None` if nothing is left to do.
fn run_and_reload(job: &mut Job, arguments: &[OsString]) -> Result<Option<Outcome>, AppError> {
    let signals = if job.config.is_service() {
        // A command that prints ends with its terminal.
        let on_hangup = if job.config.command == Command::Ship { OnHangup::Reload } else { OnHangup::Stop };
        Signals::listen(on_hangup).map_err(|error| AppError::Unavailable(error.to_string()))?
    } else if job.config.paging {
        Signals::listen_beside_pager().map_err(|error| AppError::Unavailable(error.to_string()))?
    } else {
        Arc::default()
    };
    let status = watched(&job.config, &signals)?;
    let Some(mut outcome) = job.run(None, Vec::new(), &signals, &status)? else { return Ok(None) };
    while outcome.reload {
        reload(job, arguments);
        signals.renew();
        let (before, mut errors, mut inputs) = (outcome.stats, outcome.errors, outcome.inputs);
        status.begin(&before);
        let Some(next) = job.run(Some(outcome.checkpoint), outcome.held, &signals, &status)? else { return Ok(None) };
        outcome = next;
        outcome.stats.merge(&before);
        errors.merge(&outcome.errors);
        outcome.errors = errors;
        inputs.append(&mut outcome.inputs);
        outcome.inputs = inputs;
    }
    status.stopping();
    Ok(Some(outcome))
}

/// Replaces the job with one for the reloaded configuration. Keeps the old job if the new configuration is unusable.
fn reload(job: &mut Job, arguments: &[OsString]) {
    const KEPT: &str = "the configuration stays as it was";
    let new = match cli::read(arguments) {
        Ok(Request::Run(invocation)) => Job::new(&invocation).map_err(|error| error.report()),
        Ok(_) => Err(Exit::Internal),
        Err(exit) => Err(exit),
    };
    match new {
        Ok(new) if new.config.delivery.state_dir != job.config.delivery.state_dir => {
            report(format_args!("--state-dir cannot change while katalog runs; {KEPT}: restart katalog to change it"));
        }
        Ok(new) if new.config.diagnostics.listen != job.config.diagnostics.listen => {
            report(format_args!("--listen cannot change while katalog runs; {KEPT}: restart katalog to change it"));
        }
        Ok(new) => *job = new,
        Err(_) => report(format_args!("{KEPT}")),
    }
}

/// Prints the counters in the configured format, or without one the hints of a run that wrote no record. Prints nothing if the
/// reader of the output closed it early.
fn summarize(job: &Job, outcome: &Outcome, exit: Exit) {
    let config = &job.config;
    let by_input = config.diagnostics.stats_by_input && outcome.progress;
    let format = if by_input { Some(StatsFormat::Table) } else { config.diagnostics.stats };
    match format {
        Some(format) if config.command == Command::Check => {
            let end = CheckEnd { fail_on: config.diagnostics.fail_on, exit, unopened: job.unopened };
            diagnostics::check_summary(&outcome.stats, &outcome.inputs, &end, format);
        }
        Some(format) if !outcome.closed => {
            diagnostics::summary(&outcome.stats, &outcome.errors, &outcome.inputs, format)
        }
        // A run without records needs an explanation.
        None if !outcome.closed && outcome.stats.written() == 0 => diagnostics::hints(&outcome.stats),
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
    if let Some(address) = config.diagnostics.listen {
        let refused = |error| AppError::Unavailable(format!("--listen {address}: cannot listen: {error}"));
        let at = http::listen(address, Arc::clone(&status)).map_err(refused)?;
        // With port 0 nobody else knows the port.
        if config.diagnostics.verbose || address.port() == 0 {
            report(format_args!("listening on http://{at}/metrics"));
        }
    }
    Ok(status)
}
