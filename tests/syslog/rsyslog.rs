//! rsyslog as the receiver, in Debian's version: every record arrives once, and equals that on standard output.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use serde_json::{Map, Value};

use super::*;
use crate::support::forward::tls::{Authority, CertificateFlaw};
use crate::support::skip::skip;

/// The path in Debian, which is not in every user's search path.
const PROGRAM: &str = "/usr/sbin/rsyslogd";

/// Returns the TLS driver: of the package rsyslog-openssl, else of rsyslog-gnutls.
fn driver() -> Option<&'static str> {
    let folders: Vec<PathBuf> = fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("rsyslog")))
        .chain([PathBuf::from("/usr/lib/rsyslog")])
        .collect();
    let is_there = |file: &str| folders.iter().any(|folder| folder.join(file).exists());
    [("lmnsd_ossl.so", "ossl"), ("lmnsd_gtls.so", "gtls")]
        .into_iter()
        .find_map(|(file, driver)| is_there(file).then_some(driver))
}

fn missing() -> bool {
    static MISSING: LazyLock<bool> = LazyLock::new(|| {
        let reason = if !Path::new(PROGRAM).exists() {
            "rsyslog is not installed"
        } else if driver().is_none() {
            "neither rsyslog-openssl nor rsyslog-gnutls is installed"
        } else {
            return false;
        };
        skip("tests of syslog with rsyslog", reason)
    });
    *MISSING
}

/// A message as rsyslog has parsed it.
#[derive(Clone, Debug)]
struct Message {
    fields: Map<String, Value>,
}

impl Message {
    fn text(&self, name: &str) -> &str {
        self.fields[name].as_str().unwrap()
    }

    /// Returns the structured data, as the module mmpstrucdata reads it.
    fn data(&self) -> Map<String, Value> {
        match self.text("data") {
            "" => Map::new(),
            text => match serde_json::from_str(text).unwrap() {
                Value::Object(mut elements) if elements.len() == 1 => {
                    elements["kata@32473"].take().as_object().unwrap().clone()
                }
                other => panic!("{other}"),
            },
        }
    }
}

/// A running rsyslog.
struct Rsyslog {
    child: Child,
    folder: tempfile::TempDir,
    udp: u16,
}

impl Rsyslog {
    fn start() -> Rsyslog {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let authority = Authority::new("authority");
        fs::write(path("ca.pem"), authority.pem()).unwrap();
        authority.server(CertificateFlaw::None).write(folder.path());
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let fields: String = [
            ("priority", "pri"),
            ("host", "hostname"),
            ("program", "app-name"),
            ("process", "procid"),
            ("id", "msgid"),
            ("text", "msg"),
            ("data", "$!rfc5424-sd"),
        ]
        .map(|(name, property)| format!("  property(outname=\"{name}\" name=\"{property}\" format=\"jsonf\")\n"))
        .concat();
        let configuration = format!(
            r#"global(workDirectory="{folder}" maxMessageSize="64k" net.enableDNS="off" preserveFQDN="on"
  parser.escapeControlCharactersOnReceive="off" parser.dropTrailingLFOnReception="off"
  defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}")
module(load="imudp")
module(load="imtcp")
module(load="mmpstrucdata")
template(name="json" type="list" option.jsonf="on") {{
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
{fields}}}
ruleset(name="all") {{
  action(type="mmpstrucdata" sd_name.lowercase="off")
  action(type="omfile" file="{out}" template="json")
}}
input(type="imudp" address="127.0.0.1" port="{udp}" ruleset="all" rcvbufSize="1m")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{tcp}" ruleset="all")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{tls}" ruleset="all"
  streamDriver.name="{driver}" streamDriver.mode="1" streamDriver.authMode="anon")
"#,
            folder = folder.path().display(),
            ca = path("ca.pem"),
            certificate = path("certificate.pem"),
            key = path("key.pem"),
            out = path("out"),
            tcp = path("tcp"),
            tls = path("tls"),
            driver = driver().unwrap(),
        );
        let rsyslog = Rsyslog::run(folder, &configuration, udp);
        // Datagrams sent before the socket exists are lost.
        let listed = format!("{:08X}:{udp:04X}", u32::from_ne_bytes([127, 0, 0, 1]));
        rsyslog.wait("its sockets", || {
            rsyslog.port("tcp").is_some()
                && rsyslog.port("tls").is_some()
                && fs::read_to_string("/proc/net/udp").is_ok_and(|sockets| sockets.contains(&listed))
        });
        rsyslog
    }

    /// Runs rsyslog with a configuration, in a folder.
    fn run(folder: tempfile::TempDir, configuration: &str, udp: u16) -> Rsyslog {
        let path = |name: &str| folder.path().join(name);
        fs::write(path("rsyslog.conf"), configuration).unwrap();
        let child = Command::new(PROGRAM)
            .args(["-n", "-C", "-f"])
            .arg(path("rsyslog.conf"))
            .arg("-i")
            .arg(path("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(path("errors")).unwrap())
            .spawn()
            .unwrap();
        Rsyslog { child, folder, udp }
    }

    /// Returns the port of one of its sockets.
    fn port(&self, name: &str) -> Option<u16> {
        fs::read_to_string(self.folder.path().join(name)).ok()?.trim().parse().ok()
    }

    fn url(&self, way: &str) -> String {
        let port = match way {
            "udp" => self.udp,
            way => self.port(way).unwrap(),
        };
        format!("syslog+{way}://127.0.0.1:{port}")
    }

    #[track_caller]
    fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            let errors = fs::read_to_string(self.folder.path().join("errors")).unwrap_or_default();
            assert!(start.elapsed() < TIMEOUT, "{what} does not come; rsyslog says: {errors}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn written(&self) -> Vec<Message> {
        let text = fs::read_to_string(self.folder.path().join("out")).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| Message { fields: serde_json::from_str(line).unwrap() }).collect()
    }

    /// Returns the messages after the first `before`, once there are `count` more. A later message that has arrived
    /// shows that rsyslog has written all earlier ones.
    #[track_caller]
    fn next(&self, before: usize, count: usize) -> Vec<Message> {
        self.wait(&format!("message {count}"), || self.written().len() >= before + count);
        self.written().split_off(before)
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Returns the records that the program writes of an input.
fn records(input: &Path, flags: &[&str]) -> Vec<Map<String, Value>> {
    let output = katalog().args(flags).arg(input).output().unwrap();
    assert!(output.status.success());
    let values = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    values.map(|value| value.map(|value: Map<String, Value>| value).unwrap()).collect()
}

/// Returns a value as structured data encodes it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) => elements.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Checks that a message equals the record: each field of katalog, and the header. With `lines`, some characters are
/// replaced by letters.
#[track_caller]
fn says_the_same(message: &Message, record: &Map<String, Value>, lines: bool) {
    let errors = message.data().into_iter().map(|(name, value)| (name, plain(&value)));
    let errors: BTreeMap<String, String> = errors.collect();
    let nul = record.iter().any(|(name, value)| name.starts_with("kata_") && plain(value).contains('\0'));
    let plain = |value: &Value| {
        let text = plain(value);
        if lines {
            text.replace('\n', "\\n").replace('\r', "\\r").replace('\0', "\\0")
        } else if nul {
            // rsyslog cannot hold a NUL, and omits the other control characters of a message with one.
            text.replace('\0', "#000").replace(|letter| letter < ' ' && letter != '\t', "")
        } else {
            text
        }
    };
    let text = |name: &str| record.get(name).map(plain);
    let head = |name| message.text(name);
    let fields = record.iter().filter_map(|(name, value)| Some((name.strip_prefix("kata_")?.to_owned(), plain(value))));
    let fields: BTreeMap<String, String> = fields.filter(|(name, _)| name != "msg").collect();
    assert_eq!(errors, fields, "{message:?}");
    let facts = record.contains_key("kata_component");
    let severity = match text("kata_level").as_deref() {
        _ if !facts => text("PRIORITY").map_or(6, |priority| priority.parse().unwrap()),
        Some("critical") => 2,
        Some("error") => 3,
        Some("warning") => 4,
        Some("debug" | "trace") => 7,
        _ => 6,
    };
    assert_eq!(head("priority"), (3 * 8 + severity).to_string());
    // If the record has neither, the message is the whole line of the log.
    if let Some(errors) = text("kata_msg").or(text("MESSAGE")) {
        assert_eq!(head("text"), errors);
    }
    assert_eq!(head("host"), text("_HOSTNAME").unwrap_or_else(|| "here".to_owned()));
    let program =
        text("kata_component").map_or_else(|| text("SYSLOG_IDENTIFIER").unwrap(), |name| format!("kata-{name}"));
    assert_eq!(head("program"), program);
    assert_eq!(
        head("process"),
        text("kata_pid").or(text("_PID")).or(text("SYSLOG_PID")).unwrap_or_else(|| "-".to_owned())
    );
    assert_eq!(head("id"), text("kata_subsystem").unwrap_or_else(|| "-".to_owned()));
    if let Some(time) = text("kata_time") {
        assert_eq!(head("time"), format!("{}Z", time.get(..26).unwrap()));
    }
}

#[test]
fn every_record_arrives_once_by_every_way() {
    if missing() {
        return;
    }
    let rsyslog = Rsyslog::start();
    let ca = rsyslog.folder.path().join("ca.pem");
    let mut before = 0;
    for (way, flags) in [
        ("tcp", &[][..]),
        ("tcp", &["--syslog-framing", "lf"]),
        ("tls", &["--tls-ca", ca.to_str().unwrap()]),
        ("tls", &["--tls-ca", ca.to_str().unwrap(), "--syslog-framing", "lf"]),
        // Truncated datagrams are the subject of another test.
        ("udp", &["--syslog-max", "2048"]),
        ("tcp", &["--others", "pass"]),
    ] {
        let expected = records(&node_journal(), if flags.contains(&"pass") { flags } else { &[] });
        run(whole_to(&rsyslog.url(way), flags).arg(node_journal()));
        let messages = rsyslog.next(before, expected.len());
        assert_eq!(messages.len(), expected.len(), "{way} {flags:?}");
        for (message, record) in messages.iter().zip(&expected) {
            says_the_same(message, record, flags.contains(&"lf"));
        }
        before += messages.len();
    }
}

#[test]
fn thousands_of_records_of_every_kind_arrive_once() {
    if missing() {
        return;
    }
    let mut inputs: Vec<PathBuf> =
        fs::read_dir(node_journal().parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    let inputs = [&inputs[..], &inputs].concat();
    let rsyslog = Rsyslog::start();
    let ca = rsyslog.folder.path().join("ca.pem");
    let expected: Vec<Map<String, Value>> = inputs.iter().flat_map(|input| records(input, &[])).collect();
    assert!(expected.len() > 3000, "{}", expected.len());
    let mut before = 0;
    for (way, flags) in
        [("tcp", &["--syslog-max", "64K"][..]), ("tls", &["--syslog-max", "64K", "--tls-ca", ca.to_str().unwrap()])]
    {
        run(whole_to(&rsyslog.url(way), flags).args(&inputs));
        let messages = rsyslog.next(before, expected.len());
        assert_eq!(messages.len(), expected.len(), "{way}");
        messages.iter().zip(&expected).for_each(|(message, record)| says_the_same(message, record, false));
        before += messages.len();
    }
}

#[test]
fn the_old_form_is_understood() {
    if missing() {
        return;
    }
    let rsyslog = Rsyslog::start();
    let expected = records(&node_journal(), &["--others", "pass"]);
    run(whole_to(&rsyslog.url("tcp"), &["--others", "pass", "--syslog-format", "rfc3164"]).arg(node_journal()));
    let messages = rsyslog.next(0, expected.len());
    assert_eq!(messages.len(), expected.len());
    for (message, record) in messages.iter().zip(&expected) {
        let text = |name: &str| record.get(name).map(plain);
        // To rsyslog, the space after the colon is part of the message.
        assert_eq!(message.text("text").trim_start(), text("kata_msg").or(text("MESSAGE")).unwrap().trim_start());
        assert_eq!(message.text("host"), "node1");
        let program = text("kata_component").map(|name| format!("kata-{name}")).or(text("SYSLOG_IDENTIFIER"));
        assert_eq!(message.text("program"), program.unwrap().chars().take(32).collect::<String>());
    }
}

#[test]
fn nothing_is_sent_to_one_that_is_not_trusted() {
    if missing() {
        return;
    }
    let rsyslog = Rsyslog::start();
    let strange = rsyslog.folder.path().join("strange.pem");
    fs::write(&strange, Authority::new("another").pem()).unwrap();
    let (input, url) = (node_journal(), rsyslog.url("tls"));
    let (code, errors) = refused(&["--to", &url, "--tls-ca", strange.to_str().unwrap(), input.to_str().unwrap()]);
    assert_eq!(code, Some(78), "{errors}");
    assert!(errors.contains("TLS fails") && errors.contains(&url), "{errors}");
    run(whole_to(&url, &["--tls-insecure"]).arg(&input));
    assert_eq!(rsyslog.next(0, 33).len(), 33);
}

/// Runs the configuration of README.md, unchanged but for the port and the file.
#[test]
fn the_receiver_of_the_readme_works() {
    if missing() {
        return;
    }
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let snippet =
        readme.split_once("<!-- rsyslog -->\n```text\n").unwrap().1.split_once("```\n<!-- /rsyslog -->").unwrap().0;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let port = format!("address=\"127.0.0.1\" port=\"0\" listenPortFileName=\"{}\"", path("tcp"));
    let configuration = snippet.replace("port=\"514\"", &port).replace("/var/log/kata.json", &path("out"));
    assert!(configuration.contains(&port) && configuration.contains(&path("out")));
    let configuration = format!("global(workDirectory=\"{}\")\n{configuration}", folder.path().display());
    let rsyslog = Rsyslog::run(folder, &configuration, 0);
    rsyslog.wait("its socket", || rsyslog.port("tcp").is_some());
    run(whole_to(&rsyslog.url("tcp"), &[]).arg(node_journal()));
    let (messages, records) = (rsyslog.next(0, 33), records(&node_journal(), &[]));
    for (message, record) in messages.iter().zip(&records) {
        for (name, field) in [("sandbox", "kata_sandbox"), ("level", "kata_level"), ("host", "_HOSTNAME")] {
            assert_eq!(message.text(name), record.get(field).map(plain).unwrap_or_default());
        }
        assert!(message.text("program").starts_with("kata-") && message.text("time").starts_with("2025-12-15T"));
    }
}
