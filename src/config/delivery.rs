//! Builds the delivery settings from the options, refuses contradictory options, and reads secrets. Secrets never come
//! from the command line.

use std::path::Path;

use super::options::Options;
use super::{Config, ConfigError};
use crate::source::{Backend, Input};
use kata_records::{Format, SyslogSettings};
use log_clients::{
    Address, ForwardClientSettings, Protocol, Receiver, Secret, ServerSettings, SyslogClientSettings, TlsSettings,
    Transport,
};

/// The environment variables that hold the secrets.
const SHARED_KEY: &str = "KATALOG_SHARED_KEY";
const PASSWORD: &str = "KATALOG_PASSWORD";

/// The default length limits of syslog messages. rsyslog splits messages longer than about 8 KiB; datagrams should not
/// be fragmented.
const DEFAULT_MESSAGE: usize = 8000;
const DEFAULT_DATAGRAM: usize = 1024;

/// The datagram size that every receiver has to accept (RFC 5426, section 3.2).
const MAX_DATAGRAM: usize = 2048;

/// The enterprise number for examples (RFC 5612).
const EXAMPLE_ENTERPRISE: u32 = 32473;

/// Returns the servers and their protocol, or `None` without servers. The first server's protocol counts;
/// [`Config::check`] refuses mixed ones.
pub(super) fn receiver(options: &mut Options) -> Option<Receiver> {
    let servers = options.to.take().filter(|servers| !servers.is_empty())?;
    let protocol = servers.first()?.protocol;
    let path = |path: &mut Option<std::path::PathBuf>| super::path(path.take());
    let non_empty = |text: &mut Option<String>| text.take().filter(|text| !text.is_empty());
    let net = ServerSettings {
        servers,
        spread: options.spread.unwrap_or_default(),
        tls: TlsSettings {
            ca: path(&mut options.tls_ca),
            cert: path(&mut options.tls_cert),
            key: path(&mut options.tls_key),
            insecure: options.tls_insecure.unwrap_or(false),
        },
        give_up_after: options.give_up_after.and_then(|patience| patience.0),
        // While a run follows, the user can fix an error without losing records.
        one_shot: !options.follow.unwrap_or(false),
        ..ServerSettings::default()
    };
    Some(match protocol {
        Protocol::Forward => {
            let defaults = ForwardClientSettings::default();
            Receiver::Forward(ForwardClientSettings {
                net,
                mode: options.forward_mode.unwrap_or_default(),
                time_as_integer: options.time_as_integer.unwrap_or(false),
                user: non_empty(&mut options.user),
                hostname: non_empty(&mut options.self_hostname),
                ack_timeout: options.ack_timeout.map_or(defaults.ack_timeout, |span| span.0),
                ..defaults
            })
        }
        Protocol::Syslog => {
            let framing = options.syslog_framing.unwrap_or_default();
            // A receiver that stalls may be waiting for its disk, and its progress is unknown. To leave it early would
            // send everything twice.
            let write_timeout = net.write_timeout * 2;
            Receiver::Syslog(SyslogClientSettings { net: ServerSettings { write_timeout, ..net }, framing })
        }
    })
}

/// Returns the settings of syslog messages.
pub(super) fn syslog_settings(options: &Options, receiver: Option<&Receiver>) -> SyslogSettings {
    let (datagrams, lines) = match receiver {
        Some(Receiver::Syslog(settings)) => (settings.net.servers.iter().any(is_udp), settings.needs_single_lines()),
        _ => (false, false),
    };
    SyslogSettings {
        format: options.syslog_format.unwrap_or_default(),
        facility: options.syslog_facility.unwrap_or_default(),
        max: options.syslog_max.and_then(|max| max.0).unwrap_or(if datagrams {
            DEFAULT_DATAGRAM
        } else {
            DEFAULT_MESSAGE
        }),
        enterprise: options.syslog_enterprise.map_or(EXAMPLE_ENTERPRISE, |number| number.0),
        lines,
        hostname: options
            .self_hostname
            .clone()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| String::from_utf8_lossy(rustix::system::uname().nodename().to_bytes()).into_owned()),
    }
}

fn is_udp(server: &Address) -> bool {
    matches!(server.transport, Transport::Udp { .. })
}

impl Config {
    /// Reads the secrets from files or the environment.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read.
    pub fn read_secrets(&mut self) -> Result<(), ConfigError> {
        let Some(Receiver::Forward(forward)) = &mut self.receiver else { return Ok(()) };
        forward.shared_key = secret("shared-key-file", self.shared_key_file.as_deref(), SHARED_KEY)?;
        forward.password = secret("password-file", self.password_file.as_deref(), PASSWORD)?;
        Ok(())
    }

    /// Returns whether inputs are followed, or read up to now with their positions remembered.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.journal.follow || self.once
    }

    /// Returns whether the run can be asked to stop and then has something to save or deliver.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.is_live() || self.receiver.is_some()
    }

    /// Refuses settings that cannot be combined.
    ///
    /// # Errors
    ///
    /// Returns the first conflict, and what to do.
    pub fn check(&self, inputs: &[Input]) -> Result<(), ConfigError> {
        let live = self.is_live();
        let servers: &[Address] = match &self.receiver {
            Some(Receiver::Forward(settings)) => &settings.net.servers,
            Some(Receiver::Syslog(settings)) => &settings.net.servers,
            None => &[],
        };
        let sent = !servers.is_empty();
        let protocols = |protocol| servers.iter().any(|server| server.protocol == protocol);
        let stdin = inputs.contains(&Input::Stdin);
        let conflict = if let Some(conflict) = self.schema_conflict() {
            conflict
        } else if let Some(conflict) = self.host_conflict() {
            conflict
        } else if self.records.record_id.is_some() && self.records.record_id == self.records.tag_key {
            "record-id: it has the name of tag-key; choose another one"
        } else if self.check
            && (sent || self.output.is_some() || self.output_dir.is_some() || live || self.state_dir.is_some())
        {
            "check: it reads everything there is and writes nothing; leave out to, output, output-dir, follow, once and \
             state-dir"
        } else if self.journal.follow && self.once {
            "once: it ends where follow goes on; choose one"
        } else if self.state_dir.is_some() && !live {
            "state-dir: only a run with --follow or --once goes on where another ended"
        } else if self.once && self.state_dir.is_none() {
            "once: it needs a --state-dir to remember the position in"
        } else if live && self.state_dir.is_some() && self.journal.backend == Backend::Libsystemd {
            "state-dir: positions are those of katalog's own reader; leave out --journal-backend libsystemd"
        } else if live && self.state_dir.is_some() && stdin {
            "state-dir: what is read from standard input is gone, so there is no position to go on from; see --spool"
        } else if protocols(Protocol::Forward) && protocols(Protocol::Syslog) {
            "to: servers of the forward protocol and of syslog do not get the same; name those of one, and run another \
             katalog for the other"
        } else if servers.iter().any(is_udp) && self.records.encode.syslog.max > MAX_DATAGRAM {
            "syslog-max: datagrams have 2048 bytes at most; say so, or send longer messages by syslog+tcp:// or syslog+tls://"
        } else if sent && !matches!(self.records.encode.format, Format::Event | Format::Syslog) {
            "format: servers get records in the form of their protocol; leave it out, or --to"
        } else if sent && self.output.is_some() {
            "output: records go to servers; leave it out, or --to"
        } else if self.sort.is_some() && self.journal.follow {
            "sort: what is followed has no end, before which nothing could come; leave out --follow, or --sort"
        } else if self.sort.is_some() && self.once {
            "sort: with --once records go out as they are read; leave out --once, or --sort"
        } else if self.sort.is_some() && sent {
            "sort: servers get records as they are read; leave out --to, or --sort"
        } else if self.sort.is_some() && !self.records.encode.format.is_sortable() {
            "sort: records can be sorted in --format ndjson, msgpack and csv; name one of them, or leave out --sort"
        } else if self.delta && !self.records.encode.format.has_delta() {
            "delta: only --format ndjson has a place for it; leave out --delta, --format or --to"
        } else if self.listen.is_some() && !self.journal.follow && !sent {
            "listen: only a run with --follow or --to lasts long enough to be asked; leave it out"
        } else if self.spool.is_some() && !sent {
            "spool: it is for records on their way to servers; name one with --to"
        } else if self.spool.is_some() && !stdin {
            "spool: it is for standard input; files and journals are read again, with --state-dir"
        } else {
            return self.check_output_dir(live);
        };
        Err(ConfigError::Conflict(conflict))
    }
}

/// Reads a secret from its file, without a trailing line end, or from its environment variable.
fn secret(key: &'static str, file: Option<&Path>, variable: &str) -> Result<Option<Secret>, ConfigError> {
    let Some(path) = file else {
        let value = std::env::var_os(variable).filter(|value| !value.is_empty());
        return Ok(value.map(|value| Secret::new(std::os::unix::ffi::OsStringExt::into_vec(value))));
    };
    let mut bytes = std::fs::read(path).map_err(|source| ConfigError::Secret { key, path: path.to_owned(), source })?;
    if bytes.ends_with(b"\n") {
        bytes.pop();
        bytes.pop_if(|byte| *byte == b'\r');
    }
    Ok(Some(Secret::new(bytes)))
}
