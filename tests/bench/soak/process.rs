//! The resources of a process, from /proc.

use std::fs;
use std::io;
use std::time::Duration;

/// The length of a tick of CPU time in /proc: USER_HZ is 100 on x86 and Arm.
const TICK: Duration = Duration::from_millis(10);

/// The resources of a process at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// The resident memory in bytes.
    pub(crate) memory: u64,
    pub(crate) descriptors: u64,
    /// The CPU time since the start.
    pub(crate) cpu: Duration,
}

/// Reads the resources of a process.
pub(crate) fn sample(pid: u32) -> io::Result<Sample> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in parentheses, which may have blanks.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    Ok(Sample {
        memory: memory.unwrap_or(0_u64) * 1024,
        descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
        cpu: TICK * (ticks(11) + ticks(12)),
    })
}
