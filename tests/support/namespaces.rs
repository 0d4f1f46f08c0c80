//! Scripts that need directories of the system: they run in namespaces, where these directories are empty and private.

use std::path::Path;
use std::process::{Command, Stdio};

use super::katalog;
use super::skip::skip;

/// Returns a command that runs a bash script in `folder`, in namespaces where /run, /var/log/journal and /etc/systemd are
/// empty and private. `$KATALOG` is the program. Returns `None`, with a notice, if this machine does not permit it.
pub(crate) fn in_namespaces(folder: &Path, script: &str) -> Option<Command> {
    let ways: [&[&str]; 3] = [&["unshare", "-mn"], &["unshare", "-Urmn"], &["sudo", "-n", "-E", "unshare", "-mn"]];
    let works = |way: &&&[&str]| {
        let mut command = Command::new(way[0]);
        let mount = "mount -t tmpfs none /run && mkdir -p /var/log/journal && mount -t tmpfs none /var/log/journal";
        command.args(&way[1..]).args(["--propagation", "private", "sh", "-c", mount]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let Some(way) = ways.iter().find(works) else {
        skip("tests with directories of the system", "unshare makes no mount namespace here");
        return None;
    };
    let script = format!(
        "set -euo pipefail
        mount -t tmpfs none /run
        mount -t tmpfs none /var/log/journal
        mount -t tmpfs none /etc/systemd
        mkdir -p /run/systemd /run/log/journal
        M=$(cat /etc/machine-id)
        {script}"
    );
    let program = katalog();
    let mut command = Command::new(way[0]);
    command.args(&way[1..]).args(["--propagation", "private", "bash", "-c", &script]).current_dir(folder);
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    command.env("KATALOG", program.get_program()).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    Some(command)
}
