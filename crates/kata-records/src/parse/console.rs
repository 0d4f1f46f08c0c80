//! Text of other writers inside a host's entry: records of the agent, lines of the guest's console, output of programs
//! that the shim watches.
//!
//! Guests write any text. It goes to `inner` and never counts as the host's word.

use bumpalo::Bump;
use memchr::{memchr, memmem};

use super::{Payload, begins_line, content, logfmt};
use crate::component::{Component, by_name};
use crate::dictionary::{KeyId, PresentKeys, TrackedKey};
use crate::envelope::Entry;
use crate::escapes::{rust_escape, unescape};
use crate::flaw::Flaw;
use crate::json;
use crate::record::{Pair, PayloadFormat, Text, Value};

/// Texts of runtime-rs's own about its connection to the agent, at level info under the agent's subsystem (kata-containers:
/// `src/runtime-rs/crates/agent`). An agent that prints one of them cannot be told apart.
const OWN_TEXTS: [&[u8]; 11] = [
    b"try to connect to agent-log",
    b"try to connect to get agent log",
    b"try to connect agent server through ",
    b"connected to agent-log successfully",
    b"abort log forwarder thread",
    b"begin to connect agent",
    b"get stream raw fd ",
    b"connect success on ",
    b"connect uds ",
    b"vsock: connected to ",
    b"hybrid vsock: connected to ",
];

/// Moves text of another writer from the host's pairs to `inner`. If the entry is not the host's word, only text that
/// says that it is a guest's is moved.
pub(crate) fn unpack<'b>(entry: &Entry<'b>, payload: &mut Payload<'b>, is_of_host: bool, bump: &'b Bump) {
    let name = payload.name;
    if name == Some(b"kata-agent") {
        all_of_agent(payload);
    } else if payload.keys.has(TrackedKey::VMCONSOLE)
        && let Some(line) = payload.take(TrackedKey::VMCONSOLE, bump)
    {
        console(line, bump, payload);
    } else if payload.format == PayloadFormat::Logfmt {
        if matches!(name, None | Some(b"kata-proxy" | b"kata-shim"))
            && matches!(payload.host(TrackedKey::SOURCE, bump), None | Some(b"agent"))
        {
            proxied(name, bump, payload);
        }
    } else if is_of_host && payload.is_runtime_rs() {
        runtime_rs(entry, bump, payload);
    } else if payload.format == PayloadFormat::Text {
        forwarded(is_of_host, bump, payload);
    }
}

/// Adds ids that other pairs hold.
pub(crate) fn add_ids<'b>(payload: &mut Payload<'b>, bump: &'b Bump) {
    if payload.keys.has(TrackedKey::REQ) || payload.inner.iter().any(|pair| pair.id == Some(KeyId::REQ)) {
        containers(payload, bump);
    }
    sandbox_of_bundle(payload, bump);
}

/// Marks the whole entry as the agent's.
pub(crate) fn all_of_agent(payload: &mut Payload<'_>) {
    std::mem::swap(&mut payload.inner, &mut payload.pairs);
    payload.keys = PresentKeys::default();
    payload.writer = Some(Component::Agent);
    payload.guest = true;
}

impl<'b> Payload<'b> {
    /// Removes and returns the host's text under a key.
    fn take(&mut self, key: TrackedKey, bump: &'b Bump) -> Option<&'b [u8]> {
        if !self.keys.has(key) {
            return None;
        }
        let at =
            self.pairs.iter().position(|pair| pair.id == Some(key.id()) && matches!(pair.value, Value::Text(_)))?;
        let Value::Text(text) = self.pairs.remove(at).value else { return None };
        Some(text.decode(bump))
    }

    /// Sets `inner` to one text.
    fn text(&mut self, writer: Component, guest: bool, text: &'b [u8]) {
        self.inner.push(Pair::text(b"msg", Text::plain(text)));
        self.writer = Some(writer);
        self.guest = guest;
    }
}

/// Unpacks lines that kata-proxy and kata-shim of 1.x read from the agent (`source=agent`). Their own entries always
/// have another source, so an entry without a source may be the guest's.
fn proxied<'b>(name: Option<&[u8]>, bump: &'b Bump, payload: &mut Payload<'b>) {
    let message = payload.host(TrackedKey::MSG, bump).unwrap_or_default();
    if (name.is_some() || message.starts_with(b"time="))
        && let Some(line) = payload.take(TrackedKey::MSG, bump)
    {
        console(line, bump, payload);
    }
}

/// Unpacks the line of Kata's shim in containerd's own line about a shim that failed: its `error` begins with what the
/// shim printed (containerd: `core/runtime/v2/binary.go`, `Delete`).
pub(crate) fn unpack_error<'b>(payload: &mut Payload<'b>, bump: &'b Bump) {
    if payload.name.is_some() || payload.writer.is_some() || !payload.keys.has(TrackedKey::ERROR) {
        return;
    }
    // Other errors repeat what a guest's agent answers.
    if payload.host(TrackedKey::MSG, bump) != Some(b"failed to clean up after shim disconnected") {
        return;
    }
    let Some(error) = payload.host(TrackedKey::ERROR, bump).filter(|error| begins_line(error)) else { return };
    let line = error.split(|byte| *byte == b'\n').next().unwrap_or(error);
    logfmt::scan(line, bump, &mut payload.inner);
    match content(&payload.inner, KeyId::NAME, bump).and_then(by_name) {
        Some(writer) if writer != Component::Agent => payload.writer = Some(writer),
        _ => payload.inner.clear(),
    }
}

/// Unpacks text that runtime-rs forwards, by the subsystem that forwards it. What the text itself looks like decides
/// only after that.
fn runtime_rs<'b>(entry: &Entry<'b>, bump: &'b Bump, payload: &mut Payload<'b>) {
    let Some(message) = payload.host(TrackedKey::MSG, bump) else { return };
    match payload.host(TrackedKey::SUBSYSTEM, bump) {
        Some(b"dmesg") => {
            payload.take(TrackedKey::MSG, bump);
            console(message, bump, payload);
        }
        Some(b"agent") => of_agent(message, entry, bump, payload),
        _ => forwarded(true, bump, payload),
    }
}

/// Unpacks an entry under the agent's subsystem. runtime-rs forwards each line of the agent there: a JSON object at its
/// own level, any other line at level info (kata-containers: `crates/agent/src/log_forwarder.rs`). So other text at
/// another level is runtime-rs's own.
fn of_agent<'b>(message: &'b [u8], entry: &Entry<'b>, bump: &'b Bump, payload: &mut Payload<'b>) {
    let line = message.trim_ascii_start();
    let is_info = match payload.host(TrackedKey::LEVEL, bump) {
        Some(level) => level.eq_ignore_ascii_case(b"info"),
        None => entry.priority.is_none_or(|priority| priority == 5),
    };
    if line.starts_with(b"{") {
        payload.take(TrackedKey::MSG, bump);
        console(line, bump, payload);
        if payload.writer == Some(Component::GuestConsole) {
            payload.writer = Some(Component::Agent);
        }
    } else if is_info && OWN_TEXTS.iter().any(|text| line.starts_with(text)) {
        payload.is_ambiguous = true;
    } else if is_info {
        payload.take(TrackedKey::MSG, bump);
        payload.text(Component::Agent, true, message);
    }
}

/// Unpacks text of the console and of the hypervisor, in Rust's debug form, even if only the text of the entry remains.
/// If the entry is not the host's word, only the console's text is unpacked, which is a guest's in any case.
fn forwarded<'b>(is_of_host: bool, bump: &'b Bump, payload: &mut Payload<'b>) {
    let Some(message) = payload.host(TrackedKey::MSG, bump) else { return };
    if let Some(quoted) = message.strip_prefix(b"vm console: ") {
        let line = debug_string(quoted, bump, payload);
        payload.take(TrackedKey::MSG, bump);
        console(line, bump, payload);
        return;
    }
    if !is_of_host {
        return;
    }
    if let Some(quoted) = message.strip_prefix(b"qemu stderr: ").or(message.strip_prefix(b"fc stderr: ")) {
        let line = debug_string(quoted, bump, payload);
        payload.take(TrackedKey::MSG, bump);
        payload.text(Component::Hypervisor, false, line);
    } else if message.starts_with(b"source: virtiofsd ") {
        payload.writer = Some(Component::Virtiofsd);
    } else if message.starts_with(b"\"") && payload.host(TrackedKey::STREAM, bump).is_some() {
        // Cloud Hypervisor prints the guest's console on its own output.
        let line = debug_string(message, bump, payload);
        payload.take(TrackedKey::MSG, bump);
        if kernel_line(line).is_some() {
            console(line, bump, payload);
        } else {
            payload.text(Component::GuestConsole, true, line);
        }
    }
}

/// Returns the content of a string in Rust's debug form, even if the string is cut.
fn debug_string<'b>(quoted: &'b [u8], bump: &'b Bump, payload: &mut Payload<'b>) -> &'b [u8] {
    let Some(inside) = quoted.strip_prefix(b"\"") else { return quoted };
    let closed = inside.strip_suffix(b"\"");
    payload.flaws.add_if(closed.is_none(), Flaw::UnterminatedQuote);
    let (text, well_formed) = unescape(closed.unwrap_or(inside), bump, rust_escape);
    payload.flaws.add_if(!well_formed, Flaw::BadEscape);
    text
}

/// Separates the writers that share the guest's console.
fn console<'b>(line: &'b [u8], bump: &'b Bump, payload: &mut Payload<'b>) {
    payload.guest = true;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.starts_with(b"{") {
        let flaws = json::members(line, &mut payload.order, bump, &mut payload.inner);
        if !flaws.has(Flaw::BadJson) && content(&payload.inner, KeyId::MSG, bump).is_some() {
            payload.writer = Some(Component::Agent);
            payload.flaws.merge(flaws);
            return;
        }
        payload.inner.clear();
        if line.starts_with(b"{\"msg\":") {
            payload.flaws.add(Flaw::BadAgentRecord);
            return interrupted(line, Component::Agent, payload);
        }
    } else if line.starts_with(b"time=") {
        let flaws = logfmt::scan(line, bump, &mut payload.inner).flaws;
        if flaws.is_empty() || kernel_inside(line).is_none() {
            payload.writer = Some(Component::Agent);
            payload.flaws.merge(flaws);
            return;
        }
        payload.inner.clear();
        return interrupted(line, Component::Agent, payload);
    }
    if let Some(uptime) = kernel_line(line) {
        payload.uptime = Some(uptime);
        payload.text(Component::GuestKernel, true, line);
    } else if line.starts_with(b"announce: name=\"kata-agent\"") {
        payload.text(Component::Agent, true, line);
    } else if line.ends_with(b"\"}") && memmem::find(line, b"\",\"").is_some() {
        // Another line of the console interrupted this record.
        payload.flaws.add(Flaw::BadAgentRecord);
        payload.text(Component::Agent, true, line);
    } else {
        payload.text(Component::GuestConsole, true, line);
    }
}

/// Keeps both parts of a record that the guest's kernel interrupted.
fn interrupted<'b>(line: &'b [u8], writer: Component, payload: &mut Payload<'b>) {
    match kernel_inside(line).and_then(|at| line.split_at_checked(at)) {
        Some((before, kernel)) => {
            payload.flaws.add(Flaw::KernelTextInside);
            payload.text(writer, true, before);
            payload.inner.push(Pair::text(b"kernel_text", Text::plain(kernel)));
        }
        None => payload.text(writer, true, line),
    }
}

/// Parses the time since boot of a kernel line, in nanoseconds: `[    0.395399] `.
fn kernel_line(line: &[u8]) -> Option<i64> {
    let inside = line.strip_prefix(b"[")?;
    let end = memchr(b']', inside.get(..24).unwrap_or(inside))?;
    let stamp = inside.get(..end)?.trim_ascii_start();
    let (seconds, micros) = stamp.split_at_checked(memchr(b'.', stamp)?)?;
    let micros = micros.get(1..).filter(|micros| micros.len() == 6)?;
    if !matches!(inside.get(end + 1), None | Some(b' ')) {
        return None;
    }
    let number = |digits: &[u8]| {
        let digits = digits.iter().all(u8::is_ascii_digit).then_some(digits)?;
        std::str::from_utf8(digits).ok()?.parse::<i64>().ok()
    };
    number(seconds)?.checked_mul(1_000_000_000)?.checked_add(number(micros)? * 1000)
}

/// Returns the offset of a kernel line inside another line.
fn kernel_inside(line: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'[', line).find(|at| *at > 0 && line.get(*at..).and_then(kernel_line).is_some())
}

/// Adds the container of a request if no key names one.
fn containers<'b>(payload: &mut Payload<'b>, bump: &'b Bump) {
    let Payload { pairs, inner, .. } = payload;
    for pairs in [pairs, inner] {
        if let Some(request) = content(pairs, KeyId::REQ, bump)
            && !names(pairs, "container")
            && let Some(id) = container_of(request)
        {
            pairs.push(Pair::text(b"container", Text::plain(id)));
        }
    }
}

/// Adds the sandbox of the bundle to an entry of containerd's shim library in Kata's shim.
fn sandbox_of_bundle<'b>(payload: &mut Payload<'b>, bump: &'b Bump) {
    if payload.host(TrackedKey::RUNTIME, bump).is_some_and(|runtime| runtime.starts_with(b"io.containerd.kata"))
        && !names(&payload.pairs, "sandbox")
        && let Some(path) = payload.pairs.iter().find(|pair| pair.key == b"path")
        && let Value::Text(path) = path.value
        && let Some(id) = path.decode(bump).rsplit(|byte| *byte == b'/').next().filter(|id| !id.is_empty())
    {
        payload.pairs.push(Pair::text(b"sandbox", Text::plain(id)));
        payload.keys.insert(TrackedKey::SANDBOX);
    }
}

/// Returns whether a pair gives the field of this name, by its key or as an alias.
fn names(pairs: &[Pair<'_>], name: &str) -> bool {
    pairs.iter().any(|pair| pair.id.is_some_and(|id| id.known().name == name))
}

/// Returns the container id in the text of a request: `container_id:"…"` of protobuf, `"containerId":"…"` of its JSON.
fn container_of(request: &[u8]) -> Option<&[u8]> {
    let behind = |key: &[u8]| memmem::find(request, key).and_then(|at| request.get(at + key.len()..));
    let value = behind(b"container_id:").or(behind(b"\"containerId\":"))?.trim_ascii_start().strip_prefix(b"\"")?;
    value.get(..memchr(b'"', value)?).filter(|id| !id.is_empty())
}
