//! Options of the delivery: servers, positions, and the spool. Secrets never come from the command line.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use kata_records::{Facility, Format, SyslogFormat, SyslogSettings};
use log_clients::{
    Address, ForwardClientSettings, ForwardMode, Framing, Protocol, Receiver, Secret, ServerSettings, Spread,
    SyslogClientSettings, TlsSettings, Transport,
};

use super::command::SHIP;
use super::declaration::{AnyOption, Clash, List, Need, Single, choice, is, list, none, number, options, switch, text};
use super::environment::variable;
use super::layers::{Options, Origin};
use super::{ConfigError, Mode, output, parse};
use crate::delivery::{BatchLimits, RefusedPlace, SpoolSettings, WhenFull};
use crate::source::Input;

/// The environment variables that hold the secrets.
pub(super) const SHARED_KEY: &str = "KATALOG_SHARED_KEY";
pub(super) const PASSWORD: &str = "KATALOG_PASSWORD";

/// The directories that systemd creates for a unit, separated by colons (systemd.exec(5)).
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// The state directory where nothing names another one.
const DEFAULT_STATE_DIR: &str = "/var/lib/katalog";

/// The default length limits of syslog messages. rsyslog splits messages longer than about 8 KiB; datagrams should not
/// be fragmented.
const DEFAULT_MESSAGE: usize = 8000;
const DEFAULT_DATAGRAM: usize = 1024;

/// The datagram size that every receiver has to accept (RFC 5426, section 3.2).
const MAX_DATAGRAM: usize = 2048;

options! {
    "Delivery";

    /// Send records to this server; repeatable
    ///
    /// Fluentd's forward protocol: `forward://HOST:PORT` (port 24224 by default), `forward+tls://HOST:PORT`, `unix:PATH`.
    /// Syslog: `syslog+udp://HOST:PORT` and `syslog+tcp://HOST:PORT` (514), `syslog+tls://HOST:PORT` (6514). All servers
    /// have one protocol. The first reachable server receives the records; `?standby`, `?weight=N`, --spread and --fan-out
    /// change that. Settings of one server are parameters too, such as `?ca=FILE`. The position moves only when a server has
    /// acknowledged the records before it. Syslog has no acknowledgements: there it moves with what was sent.
    TO "to": List<Address> = list("URL", none, parse::from_str).split(parse::at_schemes).quotes_itself().of(SHIP).everyday().beside_records().clashes(&[
        Clash {
            with: "to",
            when: |options| Ok(has(options, Protocol::Forward)? && has(options, Protocol::Syslog)?),
            why: "forward and syslog servers do not go together; run one `katalog ship` for each protocol",
        },
    ]);

    /// Choice among several servers
    SPREAD "spread": Single<Spread> = choice("HOW", is!("failover")).of(SHIP).beside_records().needs(&[Need {
        what: "several servers in --to",
        met: |options| Ok(options.get(&TO)?.len() > 1),
    }]).idle(&[Clash {
        with: "fan-out",
        when: fans_out,
        why: "each server gets every record",
    }]);

    /// Deliver every record to each server
    ///
    /// Each server has its own position and, with --spool, its own queue on disk. A server that is away does not stop the
    /// others while its spool has room; then --spool-full decides. Without a spool, the slowest server stops the reading.
    /// If a server fails for good, the others deliver what was read, and katalog ends.
    FAN_OUT "fan-out": Single<bool> = switch().of(SHIP).beside_records().needs(&[Need {
        what: "several servers in --to",
        met: |options| Ok(options.get(&TO)?.len() > 1),
    }]).clashes(&[
        Clash {
            with: "to",
            when: |options| Ok(fans_out(options)? && options.get(&TO)?.iter().any(|server| server.standby)),
            why: "each server gets every record; leave out `standby`",
        },
        Clash {
            with: "to",
            when: |options| Ok(fans_out(options)? && has_twice(&options.get(&TO)?)),
            why: "a server is named twice, and would get every record twice",
        },
    ]);

    /// Form of forward requests
    FORWARD_MODE "forward-mode": Single<ForwardMode> = choice("MODE", is!("packed")).of(SHIP).beside_records().needs(&[FORWARD]);

    /// Send times in whole seconds, for servers from before 2016
    TIME_AS_INTEGER "time-as-integer": Single<bool> = switch().of(SHIP).beside_records().needs(&[FORWARD]);

    /// Format of syslog messages
    SYSLOG_FORMAT "syslog-format": Single<SyslogFormat> = choice("FORM", is!("rfc5424")).of(SHIP).beside_records().needs(&[SYSLOG]);

    /// Framing of syslog messages in TCP and TLS
    ///
    /// With `octet`, messages keep all bytes of a text, also line ends and control characters of a guest. A receiver that
    /// writes lines or shows texts has to escape them.
    SYSLOG_FRAMING "syslog-framing": Single<Framing> = choice("HOW", is!("octet")).of(SHIP).beside_records().needs(&[Need {
        what: "a syslog server behind TCP or TLS in --to (syslog+tcp://, syslog+tls://)",
        met: |options| Ok(options.get(&TO)?.iter().any(|server| server.protocol == Protocol::Syslog && !is_udp(server))),
    }]);

    /// Facility of syslog messages
    SYSLOG_FACILITY "syslog-facility": Single<Facility> = choice("NAME", is!("daemon")).of(SHIP).beside_records().needs(&[SYSLOG]);

    /// Longest syslog message
    ///
    /// From 1K to 64K, by UDP to 2K. `auto` is 8000 bytes, the limit of rsyslog's default configuration, and 1024 if a
    /// server uses UDP. In a longer message, values are cut first, then fields are left out, then the text is cut; the
    /// record has the flaw `truncated`.
    SYSLOG_MAX "syslog-max": Single<Option<usize>> = number("SIZE", is!("auto"), syslog_max).of(SHIP).beside_records()
        .needs(&[SYSLOG]).clashes(&[Clash {
            with: "to",
            when: |options| Ok(options.get(&SYSLOG_MAX)?.is_some_and(|max| max > MAX_DATAGRAM) && has_udp(options)?),
            why: "datagrams have at most 2048 bytes; use syslog+tcp:// or syslog+tls:// for longer messages",
        }]);

    /// Private enterprise number in the name of structured data
    ///
    /// The name is `kata@32473` by default; RFC 5612 reserves this number for examples. Give the number of your
    /// organization, if it has one.
    SYSLOG_ENTERPRISE "syslog-enterprise": Single<u32> =
        number("N", is!("32473"), |text| parse::number(text, 1..=u32::MAX)).of(SHIP).beside_records().needs(&[SYSLOG])
            .idle(&[RFC3164]);

    /// Size of one delivery
    ///
    /// After a crash, at most one delivery arrives twice. From 1K to 5M.
    BATCH_SIZE "batch-size": Single<usize> =
        number("SIZE", is!("1M"), |text| parse::bytes(text, 1 << 10..=5 << 20)).of(SHIP).beside_records();

    /// Longest wait for a full delivery
    BATCH_AGE "batch-age": Single<Duration> = text("TIME", is!("1s"), parse::duration).of(SHIP).beside_records();

    /// Longest wait for an acknowledgement, before sending again
    ///
    /// Half of the records are sent then. The connection stays open, and a late acknowledgement counts.
    ACK_TIMEOUT "ack-timeout": Single<Duration> = text("TIME", is!("60s"), parse::duration).of(SHIP).beside_records()
        .needs(&[FORWARD]);

    /// End if no server was reachable for this long
    ///
    /// For batch jobs. Without it, katalog tries without end, and reading waits.
    GIVE_UP_AFTER "give-up-after": Single<Option<Duration>> =
        text("TIME", none, |text| parse::optional(text, parse::duration)).of(SHIP).beside_records().needs(&[SERVERS]);

    /// File with the key that the servers share
    ///
    /// Or set the variable KATALOG_SHARED_KEY to the key itself. The command line never holds it, because every user of the
    /// host can read command lines.
    SHARED_KEY_FILE "shared-key-file": Single<Option<PathBuf>> =
        text("FILE", none, parse::optional_path).of(SHIP).beside_records().needs(&[FORWARD]);

    /// User to log in as
    USER "user": Single<Option<String>> =
        text("NAME", none, |text| parse::optional(text, parse::any)).of(SHIP).beside_records().needs(&[FORWARD, Need {
            what: "a password: --password-file FILE, or the variable KATALOG_PASSWORD",
            met: |options| {
                let in_address = |server: &Address| server.options.password_file.is_some();
                let named = options.get(&PASSWORD_FILE)?.is_some() || variable(PASSWORD).is_some();
                Ok(named || options.get(&TO)?.iter().any(in_address))
            },
        }]);

    /// File with the password of the user
    ///
    /// Or set the variable KATALOG_PASSWORD to the password itself.
    PASSWORD_FILE "password-file": Single<Option<PathBuf>> =
        text("FILE", none, parse::optional_path).of(SHIP).beside_records().needs(&[FORWARD, Need {
            what: "a user to log in as: --user NAME",
            met: |options| {
                let in_address = |server: &Address| server.options.user.is_some();
                Ok(options.get(&USER)?.is_some() || options.get(&TO)?.iter().any(in_address))
            },
        }]);

    /// Name of this host for the servers
    ///
    /// In the handshake of the forward protocol, where it must differ from the server's name, and in syslog messages of
    /// entries without a host name. The default is the name of the host.
    SELF_HOSTNAME "self-hostname": Single<Option<String>> =
        text("NAME", none, |text| parse::optional(text, parse::any)).of(SHIP).beside_records().needs(&[SERVERS]);

    /// Trust servers whose certificates are signed by these authorities
    ///
    /// A file of certificates in PEM. The default is the authorities that this host trusts.
    TLS_CA "tls-ca": Single<Option<PathBuf>> =
        text("FILE", none, parse::optional_path).of(SHIP).beside_records().needs(&[TLS]).idle(&[Clash {
            with: "tls-insecure",
            when: |options| options.get(&TLS_INSECURE),
            why: "every server is trusted",
        }]);

    /// Certificate of this client, followed by intermediate certificates
    TLS_CERT "tls-cert": Single<Option<PathBuf>> =
        text("FILE", none, parse::optional_path).of(SHIP).beside_records().needs(&[TLS, Need {
            what: "the key of the certificate: --tls-key FILE",
            met: |options| Ok(options.get(&TLS_KEY)?.is_some()),
        }]);

    /// Key of the certificate of this client
    TLS_KEY "tls-key": Single<Option<PathBuf>> =
        text("FILE", none, parse::optional_path).of(SHIP).beside_records().needs(&[TLS, Need {
            what: "the certificate of the key: --tls-cert FILE",
            met: |options| Ok(options.get(&TLS_CERT)?.is_some()),
        }]);

    /// Trust every server, whatever its certificate; for tests only
    TLS_INSECURE "tls-insecure": Single<bool> = switch().of(SHIP).beside_records().needs(&[TLS]);

    /// File for records that no server accepts
    ///
    /// The default is `refused.ndjson` in the state directory.
    REFUSED "refused": Single<Option<PathBuf>> =
        text("FILE", none, parse::optional_path).of(SHIP).beside_records().needs(&[FORWARD]);

    /// Directory that remembers the positions in the inputs
    ///
    /// The next run continues where this one ended, killed or not. One process at a time uses a directory. The default is
    /// the variable STATE_DIRECTORY, which systemd sets, or else /var/lib/katalog.
    STATE_DIR "state-dir": Single<Option<PathBuf>> =
        text("DIR", none, parse::optional_path).of(SHIP).everyday().beside_records().clashes(&[
            Clash {
                with: "no-state",
                // A flag may turn off what the file names.
                when: |options| Ok(options.get(&NO_STATE)? && state_dir_origin(options) <= options.origin(NO_STATE.declaration())),
                why: "no positions are kept",
            },
            Clash {
                with: "-",
                when: |options| Ok(options.inputs.contains(&Input::Stdin) && state_dir_origin(options) == Origin::Flag),
                why: "standard input cannot be read again, so it has no position; see --spool",
            },
        ]);

    /// Keep no positions
    ///
    /// Each run begins at the beginning, or where --since and --lines say. `-` implies it.
    NO_STATE "no-state": Single<bool> = switch().of(SHIP).everyday().beside_records();

    /// Read to the present end of each input, deliver, save the positions, and exit
    ///
    /// For timers, and for shippers that run a command every few seconds. With --no-state, it delivers inputs as a whole,
    /// archives too.
    ONCE "once": Single<bool> = switch().of(SHIP).everyday().beside_records().idle(&[Clash {
        with: "-",
        when: |options| Ok(options.inputs == [Input::Stdin]),
        why: "standard input ends by itself",
    }]);

    /// Directory that keeps records until they are delivered
    ///
    /// A pipe cannot be read twice, and rotation may delete log files before the receiver takes their records. The
    /// spool outlives the process; the next run delivers it first. The position in a log file moves when the spool has
    /// the records before it.
    SPOOL "spool": Single<Option<PathBuf>> =
        text("DIR", none, parse::optional_path).of(SHIP).beside_records().needs(&[SERVERS, Need {
            what: "standard input (`-`), log files or --fan-out: the journal of this machine is read again from its position",
            met: |options| Ok(!options.inputs.is_empty() || fans_out(options)?),
        }]);

    /// Size limit of the spool
    ///
    /// With --fan-out, of the spool of each server.
    SPOOL_LIMIT "spool-limit": Single<usize> =
        number("SIZE", is!("1G"), |text| parse::bytes(text, 1 << 10..=u64::MAX)).of(SHIP).beside_records().needs(&[SPOOLED]);

    /// Treatment of records when the spool is full
    ///
    /// The spool is full at --spool-limit, and while its disk has no room. With --fan-out, `drop` drops the records for the
    /// server whose spool is full; `wait` stops the reading for all servers.
    SPOOL_FULL "spool-full": Single<WhenFull> = choice("WHAT", is!("wait")).of(SHIP).beside_records().needs(&[SPOOLED]);
}

const SERVERS: Need = Need { what: "a server: --to URL", met: has_servers };
const FORWARD: Need = Need {
    what: "a server of the forward protocol in --to (forward://, forward+tls://, unix:)",
    met: |options| has(options, Protocol::Forward),
};
const SYSLOG: Need = Need {
    what: "a syslog server in --to (syslog+udp://, syslog+tcp://, syslog+tls://)",
    met: |options| has(options, Protocol::Syslog),
};
const TLS: Need = Need {
    what: "a server behind TLS in --to (forward+tls://, syslog+tls://)",
    met: |options| Ok(options.get(&TO)?.iter().any(|server| matches!(server.transport, Transport::Tls { .. }))),
};
/// Syslog messages without fields.
pub(super) const RFC3164: Clash = Clash {
    with: "syslog-format",
    when: |options| Ok(has(options, Protocol::Syslog)? && options.get(&SYSLOG_FORMAT)? == SyslogFormat::Rfc3164),
    why: "its messages have no fields",
};
const SPOOLED: Need = Need { what: "--spool DIR", met: |options| Ok(options.get(&SPOOL)?.is_some()) };

/// The settings of the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverySettings {
    /// Servers that receive the records instead of the output.
    pub receiver: Option<Receiver>,
    /// Each server gets every record, instead of one of them.
    pub fan_out: bool,
    /// The limits of one delivery.
    pub limits: BatchLimits,
    /// The files with secrets, each with the option that names it.
    pub secret_files: Vec<(&'static str, PathBuf)>,
    /// The file for records that no server accepts.
    pub refused: Option<RefusedPlace>,
    /// The directory for the positions of the inputs.
    pub state_dir: Option<PathBuf>,
    /// The disk buffer for standard input and log files.
    pub spool: Option<SpoolSettings>,
}

impl DeliverySettings {
    /// Returns the names of the servers that each get everything; none if they share the records.
    #[must_use]
    pub fn fan_out_names(&self) -> Vec<String> {
        let servers = self.receiver.as_ref().filter(|_| self.fan_out).map(Receiver::servers);
        servers.unwrap_or_default().iter().map(Address::name).collect()
    }
}

/// Returns the settings of the delivery. Reads the secrets from files or the environment.
pub(super) fn settings(options: &Options, mode: Mode) -> Result<DeliverySettings, ConfigError> {
    let state_dir = state_dir(options, mode)?;
    let mut receiver = receiver(options, mode)?;
    if let Some(Receiver::Forward(forward)) = &mut receiver {
        forward.shared_key = secret(options, &SHARED_KEY_FILE, SHARED_KEY)?;
        forward.password = secret(options, &PASSWORD_FILE, PASSWORD)?;
    }
    let fan_out = fans_out(options)?;
    let spooled = receiver.is_some() && (!options.inputs.is_empty() || fan_out);
    let spool = match options.get(&SPOOL)?.filter(|_| spooled) {
        Some(directory) => Some(SpoolSettings {
            directory,
            limit: options.get(&SPOOL_LIMIT)? as u64,
            full: options.get(&SPOOL_FULL)?,
            messages: output::record_format(options)? == Format::Syslog,
        }),
        None => None,
    };
    Ok(DeliverySettings {
        receiver,
        fan_out,
        limits: BatchLimits { size: options.get(&BATCH_SIZE)?, age: options.get(&BATCH_AGE)? },
        secret_files: secret_files(options)?,
        refused: match options.get(&REFUSED)? {
            Some(path) => Some(RefusedPlace::Named(path)),
            None => state_dir.clone().map(RefusedPlace::InState),
        },
        state_dir,
        spool,
    })
}

/// Returns whether the command saves its positions.
pub(super) fn keeps_positions(options: &Options) -> Result<bool, ConfigError> {
    state_dir(options, super::mode(options)?).map(|directory| directory.is_some())
}

/// Returns the state directory; `None` for runs that keep no positions.
pub(super) fn state_dir(options: &Options, mode: Mode) -> Result<Option<PathBuf>, ConfigError> {
    if !options.command.keeps_positions() || mode == Mode::Bulk || options.get(&NO_STATE)? {
        return Ok(None);
    }
    let named = options.get(&STATE_DIR)?;
    Ok(Some(named.or_else(of_the_unit).unwrap_or_else(|| PathBuf::from(DEFAULT_STATE_DIR))))
}

fn state_dir_origin(options: &Options) -> Origin {
    options.origin(STATE_DIR.declaration())
}

/// Returns the first state directory of the systemd unit that runs katalog.
fn of_the_unit() -> Option<PathBuf> {
    let directories = variable(STATE_DIRECTORY)?;
    std::env::split_paths(&directories).find(|directory| !directory.as_os_str().is_empty())
}

/// Returns the servers and their protocol, without secrets; `None` without servers. The first server decides the
/// protocol; a rule refuses mixed ones.
pub(super) fn receiver(options: &Options, mode: Mode) -> Result<Option<Receiver>, ConfigError> {
    let servers = options.get(&TO)?;
    let Some(protocol) = servers.first().map(|server| server.protocol) else { return Ok(None) };
    let net = ServerSettings {
        servers,
        spread: options.get(&SPREAD)?,
        tls: TlsSettings {
            ca: options.get(&TLS_CA)?,
            cert: options.get(&TLS_CERT)?,
            key: options.get(&TLS_KEY)?,
            insecure: options.get(&TLS_INSECURE)?,
        },
        give_up_after: options.get(&GIVE_UP_AFTER)?,
        // While a run follows, the user can fix an error without losing records.
        one_shot: mode != Mode::Follow,
        ..ServerSettings::default()
    };
    Ok(Some(match protocol {
        Protocol::Forward => Receiver::Forward(ForwardClientSettings {
            net,
            mode: options.get(&FORWARD_MODE)?,
            time_as_integer: options.get(&TIME_AS_INTEGER)?,
            user: options.get(&USER)?,
            hostname: options.get(&SELF_HOSTNAME)?,
            ack_timeout: options.get(&ACK_TIMEOUT)?,
            ..ForwardClientSettings::default()
        }),
        Protocol::Syslog => {
            // A receiver that stalls may be waiting for its disk, and its progress is unknown. To leave it early would
            // send everything twice.
            let write_timeout = net.write_timeout * 2;
            let framing = options.get(&SYSLOG_FRAMING)?;
            Receiver::Syslog(SyslogClientSettings { net: ServerSettings { write_timeout, ..net }, framing })
        }
    }))
}

/// Returns the settings of syslog messages.
pub(super) fn syslog_settings(options: &Options, receiver: Option<&Receiver>) -> Result<SyslogSettings, ConfigError> {
    let default = if has_udp(options)? { DEFAULT_DATAGRAM } else { DEFAULT_MESSAGE };
    let host = || String::from_utf8_lossy(rustix::system::uname().nodename().to_bytes()).into_owned();
    Ok(SyslogSettings {
        format: options.get(&SYSLOG_FORMAT)?,
        facility: options.get(&SYSLOG_FACILITY)?,
        max: options.get(&SYSLOG_MAX)?.unwrap_or(default),
        enterprise: options.get(&SYSLOG_ENTERPRISE)?,
        lines: matches!(receiver, Some(Receiver::Syslog(settings)) if settings.needs_single_lines()),
        hostname: options.get(&SELF_HOSTNAME)?.unwrap_or_else(host),
    })
}

/// Returns whether records go to servers.
pub(super) fn has_servers(options: &Options) -> Result<bool, ConfigError> {
    Ok(!options.get(&TO)?.is_empty())
}

/// Returns whether each of several servers gets every record.
fn fans_out(options: &Options) -> Result<bool, ConfigError> {
    Ok(options.get(&FAN_OUT)? && options.get(&TO)?.len() > 1)
}

/// Returns whether a server is named twice. Parameters do not tell servers apart.
fn has_twice(servers: &[Address]) -> bool {
    let names: HashSet<String> = servers.iter().map(Address::name).collect();
    names.len() < servers.len()
}

fn has(options: &Options, protocol: Protocol) -> Result<bool, ConfigError> {
    Ok(options.get(&TO)?.iter().any(|server| server.protocol == protocol))
}

fn has_udp(options: &Options) -> Result<bool, ConfigError> {
    Ok(options.get(&TO)?.iter().any(is_udp))
}

fn is_udp(server: &Address) -> bool {
    matches!(server.transport, Transport::Udp { .. })
}

/// Parses the longest syslog message; `None` for `auto`.
fn syslog_max(text: &std::ffi::OsStr) -> Result<Option<usize>, String> {
    if text == "auto" {
        return Ok(None);
    }
    parse::bytes(text, 1 << 10..=64 << 10).map(Some).map_err(|message| message + ", or auto")
}

/// Returns the files with secrets of options and of the addresses of servers.
fn secret_files(options: &Options) -> Result<Vec<(&'static str, PathBuf)>, ConfigError> {
    let mut files = Vec::new();
    for (flag, option) in
        [("--shared-key-file", &SHARED_KEY_FILE), ("--password-file", &PASSWORD_FILE), ("--tls-key", &TLS_KEY)]
    {
        files.extend(options.get(option)?.map(|path| (flag, path)));
    }
    for server in options.get(&TO)? {
        let own = server.options;
        let named = [("shared-key-file", own.shared_key_file), ("password-file", own.password_file), ("key", own.key)];
        files.extend(named.into_iter().filter_map(|(parameter, path)| Some((parameter, path?))));
    }
    Ok(files)
}

/// Reads a secret from its file, without a trailing line end, or from its environment variable.
fn secret(options: &Options, file: &Single<Option<PathBuf>>, name: &str) -> Result<Option<Secret>, ConfigError> {
    let Some(path) = options.get(file)? else {
        return Ok(variable(name).map(|value: OsString| Secret::new(std::os::unix::ffi::OsStringExt::into_vec(value))));
    };
    let declaration = file.declaration();
    let refused = |why: String| ConfigError::Setting {
        message: format!("{}: {why}", options.shown(declaration)),
        from_file: options.origin(declaration) == Origin::File,
    };
    let bytes = std::fs::read(&path).map_err(|error| refused(format!("cannot read the file: {error}")))?;
    if bytes.trim_ascii().is_empty() {
        return Err(refused("the file is empty; write the secret into it".to_owned()));
    }
    Ok(Some(Secret::from_file_content(bytes)))
}
