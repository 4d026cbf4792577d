#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own: it writes files, starts processes, has a clock and prints a table"
)]

//! Measures `patchctl validate` and a full `patchctl plan` over generated manifests.
//!
//! `cargo run --release --example bench -- [N]` writes N manifests of about 3 KB (1,000 by default, always the same
//! ones) and the matching live jobs to a temporary folder, serves the jobs with `patchctl simulator` as a process of
//! its own, and runs the release binary that stands beside this program: once with nothing remembered (cold) and once
//! after a run that changed nothing (warm). In between, a client that only asks for the same answers and drops them is
//! run in the same way, so that it is seen what of the cold plan is the network and the simulator. Printed are wall time, CPU time, peak memory and API calls of the measured
//! process alone; the simulator's share is in the wall time only.

mod bare;
mod generate;
mod measure;

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use serde_json::Value;

use measure::Measured;

/// Each command runs so often, and the run with the least wall time counts.
const RUNS: usize = 3;

/// So many jobs are edited by somebody else before `drift`.
const EDITED: usize = 3;

/// How `drift` ends where there is drift.
const DRIFT: i32 = 2;

/// Most manifests: what a query of the API can reach (REFERENCE section 3), on each of two platforms.
const MOST_MANIFESTS: usize = 20_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [first, url, ids] if first == bare::ARGUMENT => bare::run(url, Path::new(ids)),
        _ => run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let n_manifests = wanted()?;
    let binary = binary()?;
    let folder = tempfile::Builder::new().prefix("patchctl-bench-").tempdir()?;
    let n_bytes = generate::write(folder.path(), n_manifests)?;
    println!(
        "{n_manifests} manifests of {} bytes on average, {n_manifests} live jobs; best of {RUNS} runs",
        n_bytes / n_manifests
    );
    println!("{:<12} {:>10} {:>10} {:>12} {:>10}", "", "wall", "CPU", "peak memory", "API calls");

    let help = best(|| measure::run(&mut command(&binary, folder.path(), &["--help"])))?;
    row("--help", &help, None);

    let validate = best(|| measure::run(&mut command(&binary, folder.path(), &["validate"])))?;
    row("validate", &validate, None);

    let simulator = Simulator::start(&binary, folder.path())?;
    let plan = |flags: &[&str]| {
        let mut plan = command(&binary, folder.path(), &["plan", "-q", "--output", "json"]);
        plan.args(flags)
            .env("QUALYS_GATEWAY_URL", &simulator.url)
            .env("QUALYS_USERNAME", "simulator")
            .env("QUALYS_PASSWORD", "simulator");
        measure::run(&mut plan)
    };
    let bare = best(|| {
        let mut bare = Command::new(std::env::current_exe()?);
        bare.args([bare::ARGUMENT, &simulator.url]).arg(folder.path().join(generate::IDS_FILE));
        measure::run(&mut bare)
    })?;
    row("bare client", &bare, None);
    // A refresh reads every job and writes the cache, as the first run of all does.
    let cold = best(|| plan(&["--refresh"]))?;
    row("plan, cold", &cold, Some(calls(&cold, n_manifests)?));
    let warm = best(|| plan(&[]))?;
    row("plan, warm", &warm, Some(calls(&warm, n_manifests)?));
    // Once only: a second run would know the edited jobs.
    bare::edit(&simulator.url, &folder.path().join(generate::IDS_FILE), EDITED.min(n_manifests))?;
    let drift = {
        let mut drift = command(&binary, folder.path(), &["drift", "-q", "--output", "json"]);
        drift
            .env("QUALYS_GATEWAY_URL", &simulator.url)
            .env("QUALYS_USERNAME", "simulator")
            .env("QUALYS_PASSWORD", "simulator");
        measure::run_to(&mut drift, DRIFT)?
    };
    row("drift", &drift, Some(drift_calls(&drift, EDITED.min(n_manifests))?));
    let ratio = cold.wall.as_secs_f64() / bare.wall.as_secs_f64();
    println!("plan, cold takes {ratio:.1} times as long as the bare client");
    Ok(())
}

/// How many manifests, from the one argument.
fn wanted() -> Result<usize, Box<dyn Error>> {
    let Some(argument) = std::env::args().nth(1) else { return Ok(1_000) };
    match argument.parse() {
        Ok(n) if (1..=MOST_MANIFESTS).contains(&n) => Ok(n),
        _ => Err(format!("`{argument}` is not a number of manifests from 1 to {MOST_MANIFESTS}").into()),
    }
}

/// The program under test, built into the folder above the one that holds the examples.
fn binary() -> Result<PathBuf, Box<dyn Error>> {
    let own = std::env::current_exe()?;
    let name = format!("patchctl{}", std::env::consts::EXE_SUFFIX);
    let beside = own.parent().and_then(Path::parent).map(|folder| folder.join(name));
    match beside {
        Some(path) if path.is_file() => Ok(path),
        _ => Err("the program itself is not built; run `cargo build --release --locked` first".into()),
    }
}

/// The program with its arguments, in the generated repository and with nothing of the caller's settings.
fn command(binary: &Path, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.args(arguments).current_dir(folder).env("NO_PROXY", "127.0.0.1");
    for name in ["QUALYS_GATEWAY_URL", "QUALYS_USERNAME", "QUALYS_PASSWORD", "QUALYS_TOKEN"] {
        command.env_remove(name);
    }
    command
}

/// The run with the least wall time.
fn best(mut run: impl FnMut() -> Result<Measured, Box<dyn Error>>) -> Result<Measured, Box<dyn Error>> {
    let mut best = run()?;
    for _ in 1..RUNS {
        let next = run()?;
        if next.wall < best.wall {
            best = next;
        }
    }
    Ok(best)
}

/// How many calls a plan took. One that is not empty would measure something else, so it is an error: either the
/// generator or the program is wrong.
fn calls(plan: &Measured, n_manifests: usize) -> Result<u64, Box<dyn Error>> {
    let answer: Value = serde_json::from_slice(&plan.stdout)?;
    match answer["summary"]["unchanged"].as_u64() {
        Some(n) if n == n_manifests as u64 => {}
        found => return Err(format!("the plan found {found:?} of {n_manifests} jobs unchanged").into()),
    }
    let kinds = ["auth", "list", "read"];
    Ok(kinds.iter().filter_map(|kind| answer["api"][kind].as_u64()).sum())
}

/// How many calls a drift took that found so many edited jobs; another number of them is an error.
fn drift_calls(drift: &Measured, n_edited: usize) -> Result<u64, Box<dyn Error>> {
    let answer: Value = serde_json::from_slice(&drift.stdout)?;
    match answer["summary"]["drifted"].as_u64() {
        Some(n) if n == n_edited as u64 => {}
        found => return Err(format!("drift found {found:?} of {n_edited} edited jobs").into()),
    }
    Ok(["auth", "list", "read"].iter().filter_map(|kind| answer["api"][kind].as_u64()).sum())
}

fn row(name: &str, measured: &Measured, calls: Option<u64>) {
    let wall = format!("{} ms", measured.wall.as_millis());
    let cpu = measured.cpu.map_or_else(|| "-".to_owned(), |cpu| format!("{} ms", cpu.as_millis()));
    let memory = measured
        .peak_kib
        .map_or_else(|| "-".to_owned(), |kib| format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024));
    let calls = calls.map_or_else(|| "-".to_owned(), |n| n.to_string());
    println!("{name:<12} {wall:>10} {cpu:>10} {memory:>12} {calls:>10}");
}

/// The simulator as a process of its own, ended when this is dropped.
struct Simulator {
    process: Child,
    url: String,
}

impl Simulator {
    /// Starts it and waits for the first line of its output, which is its URL.
    fn start(binary: &Path, folder: &Path) -> Result<Self, Box<dyn Error>> {
        let arguments = ["simulator", "--control", "--listen", "127.0.0.1:0", generate::TENANT_FILE];
        let mut process = command(binary, folder, &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .arg("--quiet")
            .spawn()?;
        let mut url = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut url)?;
        }
        let simulator = Self { process, url: url.trim().to_owned() };
        if simulator.url.is_empty() { Err("the simulator did not start".into()) } else { Ok(simulator) }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It holds nothing but its own temporary state, so there is nothing to end gently.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
