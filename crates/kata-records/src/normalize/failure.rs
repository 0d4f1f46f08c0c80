//! The texts of kernels and programs that fail. Nobody gives such a text a level of its own: the guest's kernel prints on a
//! console, and a panic goes to standard error. The level of the entry around it is that of the wrapper, often `debug`.

use memchr::memmem;

use crate::component::Component;
use crate::dictionary::KeyId;
use crate::flaw::Flaw;
use crate::parse::Payload;
use crate::record::{Pair, PayloadFormat, Value};

/// The writer of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// The guest's kernel, after the time since its start.
    Kernel,
    /// Any other program.
    Program,
}

/// A text that reports a failure.
#[derive(Clone, Copy, Debug)]
struct Failure {
    writer: Writer,
    /// The beginning of the text.
    start: &'static str,
    /// A part that follows anywhere, or nothing.
    part: &'static str,
}

const fn kernel(start: &'static str, part: &'static str) -> Failure {
    Failure { writer: Writer::Kernel, start, part }
}

const fn program(start: &'static str, part: &'static str) -> Failure {
    Failure { writer: Writer::Program, start, part }
}

/// The texts, with their sources. The kernel prints most of its own at KERN_ERR or above.
const FAILURES: &[Failure] = &[
    // Linux: kernel/panic.c.
    kernel("Kernel panic - not syncing", ""),
    // Linux: arch/x86/mm/fault.c and others.
    kernel("BUG: ", ""),
    // Linux: lib/bug.c, `report_bug`.
    kernel("kernel BUG at ", ""),
    kernel("Kernel BUG at ", ""),
    // Linux: `__die` in arch/x86/kernel/dumpstack.c and arch/powerpc/kernel/traps.c.
    kernel("Oops: ", ""),
    // Linux: arch/arm64/kernel/traps.c, `__die`.
    kernel("Internal error: ", ""),
    // Linux: arch/arm64/mm/fault.c, `die_kernel_fault`.
    kernel("Unable to handle kernel ", ""),
    // Linux: arch/x86/kernel/traps.c. The same fault of a process begins with `traps: `.
    kernel("general protection fault", ""),
    // Linux: mm/oom_kill.c; `Kill process` before 5.3.
    kernel("Out of memory: Kill", ""),
    kernel("Memory cgroup out of memory: Kill", ""),
    kernel("oom-kill:", ""),
    // Linux: kernel/watchdog.c, with the prefix `NMI watchdog: ` before 4.19.
    kernel("watchdog: BUG: soft lockup", ""),
    kernel("NMI watchdog: BUG: soft lockup", ""),
    kernel("watchdog: ", "Watchdog detected hard LOCKUP"),
    kernel("NMI watchdog: ", "Watchdog detected hard LOCKUP"),
    // Linux: kernel/rcu/tree_stall.h and tree_exp.h, without `rcu: ` before 4.19. A guest may survive a stall, but the
    // kernel itself calls it an error.
    kernel("rcu: INFO: ", " stall"),
    kernel("INFO: rcu_", " stall"),
    // Rust: library/std/src/panicking.rs. The thread's id may follow its name.
    program("thread '", " panicked at "),
    // Go: src/runtime/panic.go.
    program("panic: ", ""),
    program("fatal error: ", ""),
    // kata-containers: src/runtime-rs/crates/shim/src/panic_hook.rs, which writes to the host's kernel log too.
    program("A panic occurred at ", ""),
];

/// The first bytes of the texts. Most texts end here.
static FIRST: [bool; 256] = {
    let mut table = [false; 256];
    let mut row = 0;
    while row < FAILURES.len() {
        table[FAILURES[row].start.as_bytes()[0] as usize] = true;
        row += 1;
    }
    table
};

/// Returns whether a payload reports a failure, and has no level of its writer.
#[inline]
pub(super) fn is_reported(payload: &Payload<'_>, component: Component) -> bool {
    let pairs = match (payload.inner.as_slice(), payload.format) {
        ([], PayloadFormat::Text) => &payload.pairs,
        ([], _) => return false,
        (inner, _) => inner,
    };
    let Some(Pair { id: Some(KeyId::MSG), value: Value::Text(text), .. }) = pairs.first() else { return false };
    let is_failure = match component {
        Component::GuestKernel => after_time(text.bytes).is_some_and(|text| is_failure(Writer::Kernel, text)),
        _ => {
            is_failure(Writer::Program, text.bytes)
                || payload.flaws.has(Flaw::KernelTextInside) && is_kernel_inside(pairs)
        }
    };
    is_failure && pairs.iter().all(|pair| pair.id != Some(KeyId::LEVEL))
}

/// Returns whether the kernel interrupted another text with a failure.
#[cold]
fn is_kernel_inside(pairs: &[Pair<'_>]) -> bool {
    pairs.iter().any(|pair| match pair.value {
        Value::Text(text) if pair.key == b"kernel_text" => {
            after_time(text.bytes).is_some_and(|text| is_failure(Writer::Kernel, text))
        }
        _ => false,
    })
}

#[inline]
fn is_failure(writer: Writer, text: &[u8]) -> bool {
    text.first().is_some_and(|first| FIRST[usize::from(*first)]) && is_in_table(writer, text)
}

fn is_in_table(writer: Writer, text: &[u8]) -> bool {
    FAILURES.iter().filter(|failure| failure.writer == writer).any(|failure| {
        let rest = text.strip_prefix(failure.start.as_bytes());
        rest.is_some_and(|rest| failure.part.is_empty() || memmem::find(rest, failure.part.as_bytes()).is_some())
    })
}

/// Returns the text of a line of the kernel behind its time since the start.
#[inline]
fn after_time(line: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b']', line.get(..24).unwrap_or(line))?;
    line.get(end + 2..)
}
