//! Files whose path says who writes them: containers, trusted pods, container managers.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use super::shown;
use crate::archives::tar;
use crate::support::pipeline::{Record, records};
use crate::support::{katalog, stderr, wait_until};

/// A line of Kata's shim, which any container can print.
const LINE: &str = "time=\"1999-01-01T00:00:00.5Z\" level=error msg=owned name=containerd-shim-v2 pid=666 sandbox=evil source=virtcontainers";

/// The rest of such a line.
const REST: &str = "time=1999-01-01T00:00:00Z level=error msg=owned name=containerd-shim-v2 pid=666 sandbox=evil source=virtcontainers";

const UID: &str = "5da5612b-9738-493c-af51-a213072997f6";

fn cri(text: &str) -> String {
    format!("2024-05-06T07:08:14.200000001Z stderr F {text}\n")
}

fn docker(text: &str) -> String {
    let log = format!("{text}\n");
    format!("{}\n", serde_json::json!({ "log": log, "stream": "stderr", "time": "2024-05-06T07:08:14.2Z" }))
}

/// The output of `oc adm inspect`.
fn inspected(text: &str) -> String {
    format!("2024-05-06T07:08:14.200000001Z {text}\n")
}

fn raw(text: &str) -> String {
    format!("{text}\n")
}

/// An entry of the journal in JSON, as a container can print it.
fn entry(text: &str) -> String {
    let entry = serde_json::json!({
        "__REALTIME_TIMESTAMP": "915148800000000", "_TRANSPORT": "syslog", "_UID": "0", "_PID": "666", "_HOSTNAME": "evil",
        "SYSLOG_IDENTIFIER": "kata", "MESSAGE": text,
    });
    format!("{entry}\n")
}

type Form = fn(&str) -> String;

/// Files of containers that nobody trusts.
fn tenants() -> Vec<(String, Form)> {
    let pods = |pod: &str| format!("var/log/pods/{pod}_{UID}/c/0.log");
    let id = "0123456789abcdef";
    let mut files: Vec<(String, Form)> = vec![
        (pods("default_evil"), cri),
        (pods("default_kata-monitor-x7k2p"), cri),
        (pods("default_kata-deploy"), cri),
        (pods("kube-system_evil"), cri),
        (pods("kube-system_my-kata-monitor"), cri),
        (pods("default_evil"), raw),
        (pods("default_evil"), entry),
        (format!("var/log/pods/default_evil_{UID}/c/0.log.20240506-070814"), cri),
        (format!("var/log/pods/default_evil_{UID}/containerd.log/0.log"), cri),
        (format!("var/log/containers/evil_default_c-{id}.log"), cri),
        (format!("var/log/containers/kata-monitor-x_default_kata-monitor-{id}.log"), cri),
        (format!("var/lib/docker/containers/{id}/{id}-json.log"), docker),
        ("must-gather.local/quay-io/namespaces/default/pods/evil/c/c/logs/current.log".to_owned(), inspected),
        ("must-gather.local/quay-io/namespaces/kube-system/pods/evil/c/c/logs/current.log".to_owned(), inspected),
        ("must-gather.local/quay-io/namespaces/default/pods/kata-monitor/c/c/logs/current.log".to_owned(), raw),
        ("must-gather.local/quay-io/namespaces/default/pods/evil/c/c/logs/previous.log".to_owned(), entry),
    ];
    // The format tells it too, where the path does not.
    files.extend([("kata.log".to_owned(), cri as Form), ("kata.log".to_owned(), docker)]);
    files
}

/// Writes a file and reads it by name, in a directory, in an archive, and if its format suffices from standard input.
#[track_caller]
fn each_way(path: &str, content: &str, flags: &[&str], mut check: impl FnMut(&str, &[Record])) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node1").join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, content).unwrap();
    let name = format!("node1/{path}");
    fs::write(folder.path().join("node1.tar"), tar([(name.as_str(), content.as_bytes())])).unwrap();
    for input in [&name, "node1", "node1.tar"] {
        let output = katalog().current_dir(folder.path()).args(flags).arg(input).output().unwrap();
        assert!(output.status.success(), "{path} {flags:?}: {}", stderr(&output));
        check(input, &records(&output.stdout));
    }
}

/// Returns origin, component, sandbox, process and time.
fn summary(record: &Record) -> String {
    ["kata_origin", "kata_component", "kata_sandbox", "kata_pid", "kata_time"].map(|key| shown(record, key)).join(" ")
}

#[test]
fn a_container_that_prints_a_shims_line_is_no_host() {
    for (path, form) in tenants() {
        let content = form(LINE);
        each_way(&path, &content, &[], |input, records| assert_eq!(records.len(), 0, "{path} as {input}: {records:?}"));
        each_way(&path, &content, &["--others=pass"], |input, records| {
            let [record] = records else { panic!("{path} as {input}: {records:?}") };
            assert_eq!(summary(record), "tenant - - - -", "{path} as {input}");
            assert_eq!(record.get("kata_guest"), None);
        });
    }
}

#[test]
fn trusted_are_pods_by_namespace_and_name() {
    let pods = |pod: &str| format!("var/log/pods/{pod}_{UID}/c/0.log");
    for (path, flags) in [
        (pods("kube-system_kata-monitor-x7k2p"), &[][..]),
        (pods("kata-system_kata-deploy-x7k2p"), &[]),
        ("var/log/containers/kata-deploy-x_kube-system_c-0123456789ab.log".to_owned(), &[]),
        (pods("default_evil"), &["--trusted-pods", "default/ev*"]),
        (pods("kube-system_kata-monitor-x7k2p"), &["--trusted-pods", "default/ev*"]),
    ] {
        each_way(&path, &cri(LINE), flags, |input, records| {
            let [record] = records else { panic!("{path} as {input}: {records:?}") };
            // The time is the runtime's.
            let expected = "vouched shimv2 evil 666 2024-05-06T07:08:14.200000001Z";
            assert_eq!(summary(record), expected, "{path} as {input}");
            assert_eq!(shown(record, "kata_guest_time"), "1999-01-01T00:00:00.500000000Z");
        });
    }
}

#[test]
fn the_operator_vouches_and_demotes() {
    let pod = format!("var/log/pods/default_evil_{UID}/c/0.log");
    let expect = |path: &str, content: &str, flags: &[&str], expected: &str| {
        each_way(path, content, flags, |input, records| {
            let found: Vec<String> = records.iter().map(summary).collect();
            assert_eq!(found, [expected], "{path} {flags:?} as {input}");
        });
    };
    expect(&pod, &cri(LINE), &["--vouch"], "vouched shimv2 evil 666 2024-05-06T07:08:14.200000001Z");
    let trusted = format!("var/log/pods/kube-system_kata-monitor_{UID}/c/0.log");
    expect(&trusted, &cri(LINE), &["--untrusted", "--others=pass"], "tenant - - - -");
    expect("var/log/messages", &raw(LINE), &[], "vouched shimv2 evil 666 1999-01-01T00:00:00.500000000Z");
    expect("var/log/messages", &raw(LINE), &["--untrusted"], "unproven unknown - - -");
    let entry = entry(LINE);
    expect("var/log/messages", &entry, &["--untrusted"], "unproven unknown - - 1999-01-01T00:00:00.000000000Z");
}

#[test]
fn lines_of_a_managers_file_prove_themselves_by_their_beginning() {
    let k0s =
        |line: &str| format!("time=\"2024-03-05 05:01:54\" level=info msg={line:?} component=containerd stream=stderr");
    let whole = "vouched shimv2 evil 666 1999-01-01T00:00:00.500000000Z";
    let unproven = "unproven unknown - - -";
    for (path, line, expected) in [
        ("var/lib/rancher/k3s/agent/containerd/containerd.log", LINE.to_owned(), whole),
        ("var/lib/rancher/k3s/agent/containerd/containerd.log", REST.to_owned(), unproven),
        ("var/lib/rancher/k3s/agent/containerd/containerd.log", LINE.replace('"', "\\\""), unproven),
        ("var/lib/rancher/k3s/agent/containerd/containerd.log", entry(LINE), unproven),
        ("var/lib/rancher/rke2/agent/containerd/containerd-2024-05-06T07-08-14.000.log", LINE.to_owned(), whole),
        ("var/lib/rancher/rke2/agent/containerd/containerd.log", REST.to_owned(), unproven),
        ("var/log/k0scontroller.log", k0s(LINE), whole),
        ("var/log/k0scontroller.log", k0s(REST), unproven),
        ("var/log/crio.log", "ERRO[0000] owned name=containerd-shim-v2 pid=666 sandbox=evil".to_owned(), unproven),
    ] {
        each_way(path, &raw(&line), &[], |input, records| {
            // In a directory, an object that is no line of Kata is another program's.
            if records.is_empty() && line.starts_with('{') {
                return;
            }
            let [record] = records else { panic!("{path} as {input}: {records:?}\n{line}") };
            assert_eq!(summary(record), expected, "{path} as {input}\n{line}");
        });
    }
}

#[test]
fn followed_files_of_containers_are_tenants() {
    let folder = tempfile::tempdir().unwrap();
    for pod in ["default_evil", "default_kata-monitor-x", "kube-system_kata-monitor-x"] {
        let directory = folder.path().join(format!("pods/{pod}_{UID}/c"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("0.log"), cri(LINE)).unwrap();
    }
    let out = folder.path().join("out.ndjson");
    let mut command = katalog();
    command.current_dir(folder.path()).args(["--others=pass", "--follow", "pods/*/*/*.log", "--output"]).arg(&out);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lines = |path: &Path| fs::read(path).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
    wait_until("the records of three files", || lines(&out) == 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut found: Vec<String> = records(&fs::read(&out).unwrap()).iter().map(summary).collect();
    found.sort();
    let trusted = "vouched shimv2 evil 666 2024-05-06T07:08:14.200000001Z";
    assert_eq!(found, ["tenant - - - -", "tenant - - - -", trusted]);
}
