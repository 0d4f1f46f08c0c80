//! The part of the settings that is about delivery: what goes together, and the secrets, which no command line has.

use std::path::Path;

use super::options::Options;
use super::{Config, ConfigError};
use crate::encode::Format;
use crate::sink::forward::{Secret, Settings, TlsSettings};
use crate::source::{Backend, Input};

/// The variables that hold the secrets themselves.
const SHARED_KEY: &str = "KATALOG_SHARED_KEY";
const PASSWORD: &str = "KATALOG_PASSWORD";

/// The forward servers and how to speak to them; none where no server is named.
pub(super) fn servers(options: &mut Options) -> Option<Settings> {
    let servers = options.to.take().filter(|servers| !servers.is_empty())?;
    let path = |path: &mut Option<std::path::PathBuf>| super::path(path.take());
    let word = |word: &mut Option<String>| word.take().filter(|word| !word.is_empty());
    let defaults = Settings::default();
    Some(Settings {
        servers,
        spread: options.spread.unwrap_or_default(),
        mode: options.forward_mode.unwrap_or_default(),
        time_as_integer: options.time_as_integer.unwrap_or(false),
        tls: TlsSettings {
            ca: path(&mut options.tls_ca),
            cert: path(&mut options.tls_cert),
            key: path(&mut options.tls_key),
            insecure: options.tls_insecure.unwrap_or(false),
        },
        user: word(&mut options.user),
        hostname: word(&mut options.self_hostname),
        ack_timeout: options.ack_timeout.map_or(defaults.ack_timeout, |span| span.0),
        give_up_after: options.give_up_after.and_then(|patience| patience.0),
        // Where nobody waits for the end, a mistake can be mended meanwhile.
        one_shot: !options.follow.unwrap_or(false),
        ..defaults
    })
}

impl Config {
    /// Reads the secrets from where they are.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read_secrets(&mut self) -> Result<(), ConfigError> {
        let Some(forward) = &mut self.forward else { return Ok(()) };
        forward.shared_key = secret("shared-key-file", self.shared_key_file.as_deref(), SHARED_KEY)?;
        forward.password = secret("password-file", self.password_file.as_deref(), PASSWORD)?;
        Ok(())
    }

    /// Whether the run is one that may be told to end, and that then has something to save or to deliver.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.journal.follow || self.once || self.forward.is_some()
    }

    /// Looks for settings that do not go together.
    ///
    /// # Errors
    /// The first of them, and what to do.
    pub fn check(&self, inputs: &[Input]) -> Result<(), ConfigError> {
        let live = self.journal.follow || self.once;
        let forward = self.forward.is_some();
        let stdin = inputs.contains(&Input::Stdin);
        let conflict = if let Some(conflict) = self.schema_conflict() {
            conflict
        } else if self.record_id.is_some() && self.record_id == self.tag_key {
            "record-id: it has the name of tag-key; choose another one"
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
        } else if forward && self.encode.format != Format::Event {
            "format: forward servers get events; leave it out, or --to"
        } else if forward && self.output.is_some() {
            "output: records go to forward servers; leave it out, or --to"
        } else if self.sort.is_some() && self.journal.follow {
            "sort: what is followed has no end, before which nothing could come; leave out --follow, or --sort"
        } else if self.sort.is_some() && self.once {
            "sort: with --once records go out as they are read; leave out --once, or --sort"
        } else if self.sort.is_some() && forward {
            "sort: forward servers get records as they are read; leave out --to, or --sort"
        } else if self.sort.is_some() && !matches!(self.encode.format, Format::Ndjson | Format::Msgpack) {
            "sort: records can be sorted in --format ndjson and msgpack; name one of them, or leave out --sort"
        } else if self.delta && self.encode.format.with_delta().is_none() {
            "delta: only --format ndjson has a place for it; leave out --delta, --format or --to"
        } else if self.spool.is_some() && !forward {
            "spool: it is for records on their way to forward servers; name one with --to"
        } else if self.spool.is_some() && !stdin {
            "spool: it is for standard input; files and journals are read again, with --state-dir"
        } else {
            return Ok(());
        };
        Err(ConfigError::Conflict(conflict))
    }
}

/// A secret from its file, without the line end of an editor, or from its variable.
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
