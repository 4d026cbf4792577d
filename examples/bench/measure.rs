//! One run of a program: how long, how much of the processor, how much memory.
//!
//! CPU time and peak memory are read from `/proc`, which needs neither privileges nor `unsafe`; where there is no
//! `/proc` they are left out. A process that has ended keeps its times until it is waited for, so they are exact to
//! the clock's tick; its memory is looked at every millisecond, and as the kernel keeps the highest value itself, only
//! what the last millisecond added can be missed.

use std::error::Error;
use std::fs;
use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Length of the tick in which Linux tells times to programs (`USER_HZ` is 100 on every platform that Rust runs on).
const TICK: Duration = Duration::from_millis(10);

/// A process that ends sooner is not looked at often enough to tell its memory.
const SHORTEST_FOR_MEMORY: Duration = Duration::from_millis(20);

/// What one run took.
#[derive(Debug)]
pub(crate) struct Measured {
    /// From the start of the process to its end, to about a millisecond.
    pub(crate) wall: Duration,
    /// User and system time of all its threads, in steps of 10 ms; `None` where there is no `/proc`.
    pub(crate) cpu: Option<Duration>,
    /// The most memory it held at one time, in KiB; `None` where there is no `/proc` and for very short runs.
    pub(crate) peak_kib: Option<u64>,
    /// What it wrote to stdout.
    pub(crate) stdout: Vec<u8>,
}

/// Runs a program to its end; one that fails is an error.
pub(crate) fn run(command: &mut Command) -> Result<Measured, Box<dyn Error>> {
    run_to(command, 0)
}

/// Runs a program to its end; one that ends with another status is an error.
pub(crate) fn run_to(command: &mut Command, code: i32) -> Result<Measured, Box<dyn Error>> {
    // A file and not a pipe: nobody has to read while it runs, so nothing of the reader is in the time.
    let mut output = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?);
    let start = Instant::now();
    let mut process = command.spawn()?;
    let (mut cpu, mut peak_kib) = (None, None);
    while let Some(seen) = look(process.id()) {
        cpu = Some(seen.cpu);
        peak_kib = peak_kib.max(seen.peak_kib);
        if seen.has_ended {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let status = process.wait()?;
    let wall = start.elapsed();
    if status.code() != Some(code) {
        return Err(format!("{command:?} ended with {status}").into());
    }
    let mut stdout = Vec::new();
    output.rewind()?;
    output.read_to_end(&mut stdout)?;
    let peak_kib = peak_kib.filter(|_| wall >= SHORTEST_FOR_MEMORY);
    Ok(Measured { wall, cpu, peak_kib, stdout })
}

/// A process at one moment.
struct Seen {
    cpu: Duration,
    peak_kib: Option<u64>,
    has_ended: bool,
}

/// Looks at a process; `None` where there is no `/proc`.
fn look(id: u32) -> Option<Seen> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name of the program stands in brackets and may hold blanks; what follows has none.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| -> Option<u32> { fields.get(at)?.parse().ok() };
    // Fields 3 (state), 14 (utime) and 15 (stime) of proc_pid_stat(5).
    let cpu = TICK * (ticks(11)? + ticks(12)?);
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let peak_kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    Some(Seen { cpu, peak_kib, has_ended: fields.first() == Some(&"Z") })
}
