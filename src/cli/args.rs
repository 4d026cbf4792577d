//! Arguments of all commands. The doc comments here are the help that people read.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::drift_args::DriftArgs;
use super::values::{fingerprint, patience, wait};
use crate::config::Updates;
use crate::details::CacheUse;
use crate::plan::Prune;
use crate::terminal::ColourChoice;

const AFTER_HELP: &str = "\
Exit status:
  0  done (plan: also when there are changes)
  1  failed: bad manifests, API out of reach, refused credentials, or the question was answered with no
  2  differences (drift, and plan --detailed-exitcode)
  3  nothing was written because of a guard
  4  applied in part: something was written and something planned was not
  64 wrong usage

Credentials come from the environment: QUALYS_USERNAME and QUALYS_PASSWORD, or QUALYS_TOKEN.
The gateway comes from --gateway, QUALYS_GATEWAY_URL or patchctl.yaml.";

/// Keep Qualys Patch Management deployment jobs equal to YAML manifests in Git
#[derive(Debug, Parser)]
#[command(name = "patchctl", version, after_help = AFTER_HELP, max_term_width = 110, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Flags that every command shares.
    #[command(flatten)]
    pub common: Common,
}

/// Flags that every command shares
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// URL of the gateway, or sim:PATH for the embedded simulator
    #[arg(long, global = true, value_name = "URL|sim:PATH")]
    pub gateway: Option<String>,
    /// Folder with the manifests [default: jobs.d]
    #[arg(long, global = true, value_name = "DIR")]
    pub jobs: Option<PathBuf>,
    /// Only manifests whose key matches; may be repeated
    #[arg(long, global = true, value_name = "KEY-GLOB")]
    pub only: Vec<String>,
    /// Folder for the simulator's jobs and other state [default: .patchctl]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Configuration file [default: patchctl.yaml, here or in a folder above]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Form of the output
    #[arg(long, global = true, value_enum, default_value_t = Output::Human)]
    pub output: Output,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = ColourChoice::Auto)]
    pub color: ColourChoice,
    /// Let members through that are newer than this build
    #[arg(long, global = true)]
    pub allow_unknown_fields: bool,
    /// Only data and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more of what is done
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
}

/// Form of the output
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text for people
    Human,
    /// JSON for programs
    Json,
    /// Markdown for a comment in a pull request (validate, plan, apply, drift)
    Markdown,
}

/// Here and not beside the type, because the core names no command line.
impl ValueEnum for Updates {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Minimal, Self::Full]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Auto => {
                "Minimal where the gateway is known to merge, else full; where nothing is known, a probe tells"
            }
            Self::Minimal => "Only the members that change, each whole",
            Self::Full => "The whole job as read, overlaid with the changes",
        };
        Some(PossibleValue::new(self.as_str()).help(help))
    }
}

/// Here and not beside the type, because the core names no command line.
impl ValueEnum for Prune {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Known, Self::Scan]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Known => PossibleValue::new("known")
                .help("Of manifests in the base, and of those that earlier runs bound"),
            Self::Scan => PossibleValue::new("scan").help("Also every live job that bears our stamp"),
        })
    }
}

/// The commands
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the manifests, offline and without credentials
    #[command(
        after_help = "Examples:\n  patchctl validate\n  patchctl validate --jobs other.d --output json"
    )]
    Validate(ValidateArgs),
    /// Show what apply would change; writes nothing
    #[command(after_help = "\
Examples:
  patchctl plan
  patchctl plan --only 'windows-*'
  patchctl plan --base origin/main      # in a pull request
  patchctl plan --output json > changes.json
  patchctl plan --out plan.json         # to be looked at, and carried out by apply --plan
  patchctl plan --detailed-exitcode     # 2 where there are changes, for scripts
  patchctl plan --why windows-servers-weekly/timezone
  patchctl plan --gateway sim:examples/tenant")]
    Plan(PlanArgs),
    /// Show the plan, ask, and carry it out
    #[command(after_help = "\
Examples:
  patchctl apply
  patchctl apply --only windows-servers-weekly
  patchctl apply --allow-run-once print-spooler-hotfix
  patchctl apply --prune --max-deletes 5
  patchctl apply --auto-approve         # in a pipeline, after the merge
  patchctl apply --plan plan.json       # what plan --out saved, as far as nothing moved since
  patchctl apply --write-ids            # and keep the ids of the live jobs in the manifests")]
    Apply(ApplyArgs),
    /// Undo an earlier apply: show the inverse plan, ask, and carry it out
    #[command(after_help = "\
Examples:
  patchctl revert --list                # the runs that can be undone
  patchctl revert --dry-run             # what undoing the last one would do
  patchctl revert                       # asks, then undoes the last apply not undone yet
  patchctl revert 4e8888ca --only windows-servers-weekly
  patchctl revert 4e8888ca --auto-approve
The manifests still say what they said: revert the commit in Git, too, or the next apply does it again.")]
    Revert(RevertArgs),
    /// Show who changed what in the live jobs since the last apply; never writes to the API
    #[command(after_help = "\
Examples:
  patchctl drift
  patchctl drift -q --new-only                      # for cron: says nothing unless something is new
  patchctl drift --since drift.json --output json   # a pipeline keeps drift.json between its runs
  patchctl drift --unmanaged                        # also live jobs that are in no manifest
  patchctl drift --only 'windows-*' --include-pending

Exit status:
  0  no drift
  1  could not tell: an incomplete read, bad manifests, refused credentials. Never taken for \"no drift\"
  2  drift: a member differs, a job is gone, a script can not be verified, or a job can not be compared;
     what waits in Git counts only with --include-pending; with --new-only, what is new alone
  64 wrong usage")]
    Drift(DriftArgs),
    /// Write what was changed in the console into the manifests; never writes to the API
    #[command(after_help = "\
A difference is taken by where it came from: without KEY what the console changed; with KEY also what is of unknown
origin; what both changed where KEY is given as it is and is no pattern; what only Git changed, never.

Examples:
  patchctl accept --dry-run                         # what that would write
  patchctl accept                                   # everything that the console changed
  patchctl accept windows-servers-weekly
  patchctl accept windows-servers-weekly/postDeployment/rebootCountdown
  patchctl accept 'linux-*/recurringWeekDays' web-hotfix/startDateTime
  patchctl accept --auto-approve --output json      # in a pipeline that opens a pull request")]
    Accept(AcceptArgs),
    /// Write manifests for live jobs that have none; never writes to the API
    #[command(after_help = "\
Examples:
  patchctl import --all                             # the first day: a manifest for every live job
  patchctl import --all --dry-run                   # what that would write
  patchctl import --platform Windows --into jobs.d/windows
  patchctl import --name 'Linux servers*' --name 'Oracle*'
  patchctl import --id c08769ba-aa65-4b77-b224-f2c789ce7970
  patchctl import --all --output json               # files[] and skipped[]")]
    Import(ImportArgs),
    /// Check everything that a run needs, with few calls, and say what to do
    #[command(after_help = "\
Examples:
  patchctl doctor
  patchctl doctor --probe-updates       # how the gateway takes updates, and the setting to commit
  patchctl doctor --output json         # checks[] with name, status, message, help
  patchctl doctor --gateway sim:examples/tenant")]
    Doctor(DoctorArgs),
    /// Print the JSON Schema of a manifest, for editors
    #[command(after_help = "\
Examples:
  patchctl schema > manifest.schema.json
  # in a manifest: # yaml-language-server: $schema=manifest.schema.json
  patchctl schema --members > members.md")]
    Schema(SchemaArgs),
    /// Serve the simulator of the API to other programs
    #[command(after_help = "\
Examples:
  patchctl simulator examples/tenant
  patchctl simulator --listen 127.0.0.1:8080 --control examples/tenant
  QUALYS_USERNAME=simulator QUALYS_PASSWORD=simulator patchctl plan --gateway http://127.0.0.1:8080")]
    Simulator(SimulatorArgs),
}

/// Arguments of `validate`
#[derive(Debug, Args)]
pub struct ValidateArgs {}

/// What plan and apply share
#[derive(Clone, Debug, Default, Args)]
pub struct PlanningArgs {
    /// What updates carry [default: auto]
    #[arg(long, value_enum)]
    pub updates: Option<Updates>,
    /// Do not try on a scratch job how the gateway takes updates; where it is not known they carry the whole job
    #[arg(long)]
    pub no_probe: bool,
    /// Allow this manifest to remove live scripts whose content can not be read back; may be repeated
    #[arg(long, value_name = "KEY")]
    pub allow_script_loss: Vec<String>,
    /// Send the scripts of this manifest again, whatever the stamp says: after somebody could have replaced one in the
    /// console; may be repeated
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub set_scripts: Vec<String>,
    /// Commit that was applied last: tells changes in Git from changes in the console, and what was declared there and
    /// finds no live job is not taken for new [default: the merge base of a pull request, else what the last apply recorded]
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// Let Git win for these manifests, also over what was changed in the console at the same time; may be repeated
    #[arg(long = "override", value_name = "KEY-GLOB")]
    pub overrides: Vec<String>,
    /// Allow a job to be made for this manifest although there was one before; may be repeated
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub allow_create: Vec<String>,
    /// Allow this manifest's job, which runs once, to be enabled: that can not be taken back; more keys with commas, or
    /// by repeating it
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub allow_run_once: Vec<String>,
    /// Delete the live jobs whose manifests are gone; `scan` also looks for our stamp on all other live jobs
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "known")]
    pub prune: Option<Prune>,
    /// The most jobs that --prune may delete in this run [default: 3, and 10 % of those managed]
    #[arg(long, value_name = "N", requires = "prune")]
    pub max_deletes: Option<usize>,
    /// Start the embedded simulator afresh from its seed files
    #[arg(long)]
    pub reset: bool,
    /// How live jobs are read.
    #[command(flatten)]
    pub reading: ReadingArgs,
}

/// How live jobs are read; shared by the commands that read what manifests are, or will be, about
#[derive(Clone, Debug, Default, Args)]
pub struct ReadingArgs {
    /// Read every job again, whatever the cache knows
    #[arg(long)]
    pub refresh: bool,
    /// Neither read nor write the cache
    #[arg(long, conflicts_with = "refresh")]
    pub no_cache: bool,
    /// How the gateway is spoken to.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

impl ReadingArgs {
    /// What these flags say of the cache.
    pub(super) fn cache_use(&self) -> CacheUse {
        match (self.no_cache, self.refresh) {
            (true, _) => CacheUse::None,
            (false, true) => CacheUse::Refresh,
            (false, false) => CacheUse::Full,
        }
    }
}

/// How the gateway is spoken to; shared by the commands that do
#[derive(Clone, Debug, Default, Args)]
pub struct ConnectionArgs {
    /// Certificate authority to trust beside the platform's, a PEM file; may be repeated
    #[arg(long, value_name = "FILE")]
    pub cacert: Vec<PathBuf>,
    /// Jobs asked for in one page of the list, 1 to 10000 [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub page_size: Option<u32>,
    /// Most calls at the same time, 1 to 64 [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: Option<u16>,
    /// Longest wait in all for the gateway's rate limit, and for the pauses between two tries of a call, such as 90s,
    /// 15m or 1h; with 0 nothing is waited for or tried again [default: 15m]
    #[arg(long, value_name = "DURATION", value_parser = wait)]
    pub max_wait: Option<Duration>,
    /// Longest wait for the answer to one call, such as 30s or 2m, at least 1s [default: 1m]
    #[arg(long, value_name = "DURATION", value_parser = patience)]
    pub call_timeout: Option<Duration>,
}

/// Jobs in a page where `--page-size` is not given; see `api::Settings::documented` for why.
const DEFAULT_PAGE_SIZE: u32 = 1_000;

/// Calls at the same time where `--concurrency` is not given: eight keep a line with 100 ms of latency busy without
/// using up an hour's 300 calls before the first answers tell how many are left.
const DEFAULT_CONCURRENCY: u16 = 8;

/// Wait budget where `--max-wait` is not given: longer than the short windows of gateways, shorter than most
/// pipelines' own limits.
const DEFAULT_MAX_WAIT: Duration = Duration::from_mins(15);

/// Wait for one answer where `--call-timeout` is not given: ten times as long as the slowest page of the list takes.
const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_mins(1);

impl ConnectionArgs {
    /// Longest wait for the answer to one call; at least a second.
    pub fn call_timeout(&self) -> Duration {
        self.call_timeout.unwrap_or(DEFAULT_CALL_TIMEOUT)
    }

    /// Jobs asked for in one page of the list, 1 to 10,000.
    pub fn page_size(&self) -> u32 {
        self.page_size.unwrap_or(DEFAULT_PAGE_SIZE)
    }

    /// Most calls at the same time, 1 to 64; the client goes below it when the gateway refuses.
    pub fn concurrency(&self) -> usize {
        usize::from(self.concurrency.unwrap_or(DEFAULT_CONCURRENCY))
    }

    /// Longest wait for the gateway's rate limit in all; zero means never to wait.
    pub fn max_wait(&self) -> Duration {
        self.max_wait.unwrap_or(DEFAULT_MAX_WAIT)
    }
}

/// Time for a write to show where `--settle-time` is not given (DESIGN section 6).
const DEFAULT_SETTLE_TIME: Duration = Duration::from_secs(30);

impl WritingArgs {
    /// For how long a write that does not show yet is read again; zero means once only.
    pub fn settle_time(&self) -> Duration {
        self.settle_time.unwrap_or(DEFAULT_SETTLE_TIME)
    }

    /// How many failures stop the run; `None` is no limit.
    pub fn failures(&self) -> Option<usize> {
        let most = self.max_failures.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        if self.fail_fast { Some(1) } else { most }
    }
}

impl DoctorArgs {
    /// For how long a write that does not show yet is read again; zero means once only.
    pub fn settle_time(&self) -> Duration {
        self.settle_time.unwrap_or(DEFAULT_SETTLE_TIME)
    }
}

/// Arguments of `plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// What both share.
    #[command(flatten)]
    pub planning: PlanningArgs,
    /// End with 2 where there are changes, with 3 where changes are blocked
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Show what changes in scripts since the base, as text; without it only digest and size are shown
    #[arg(long)]
    pub show_scripts: bool,
    /// List the members that ignore rules leave alone although declared and live differ
    #[arg(long)]
    pub show_ignored: bool,
    /// Print only why this member is equal or different, and all that this was concluded from
    #[arg(long, value_name = "KEY/MEMBER", conflicts_with_all = ["out", "show_ignored", "show_scripts", "detailed_exitcode", "prune"])]
    pub why: Option<String>,
    /// Save the plan to this file, for `apply --plan`; it holds no contents of scripts and no credentials
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `apply`
#[derive(Clone, Debug, Default, Args)]
pub struct ApplyArgs {
    /// What both share.
    #[command(flatten)]
    pub planning: PlanningArgs,
    /// Do not ask; jobs that run once stay Disabled unless --allow-run-once names them
    #[arg(long)]
    pub auto_approve: bool,
    /// Carry out this saved plan, as far as nothing moved since; its flags are those of the plan, and nothing is asked
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Write nothing unless the plan made now has this fingerprint; it does not approve the plan
    #[arg(long, value_name = "FINGERPRINT", value_parser = fingerprint)]
    pub expect: Option<String>,
    /// Afterwards write `metadata.id` of bound and created jobs into their manifests; comments are kept
    #[arg(long)]
    pub write_ids: bool,
    /// How the steps are carried out.
    #[command(flatten)]
    pub writing: WritingArgs,
}

/// How steps are carried out; shared by the commands that write to live jobs
#[derive(Clone, Debug, Default, Args)]
pub struct WritingArgs {
    /// How long a write that does not show yet is read again, such as 30s or 2m; 0 is once only [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = wait)]
    pub settle_time: Option<Duration>,
    /// Stop at the first step that fails; the rest is skipped
    #[arg(long, conflicts_with = "max_failures")]
    pub fail_fast: bool,
    /// Stop once this many steps failed; the rest is skipped [default: go on with what does not depend on them]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_failures: Option<u32>,
    /// How long to wait for another apply with the same state folder, such as 90s or 10m [default: 0, refuse at once]
    #[arg(long, value_name = "DURATION", value_parser = wait)]
    pub lock_wait: Option<Duration>,
    /// Append one JSON line for each step to this file: who, what, and what became of it; - is stdout
    #[arg(long, value_name = "FILE|-")]
    pub audit: Option<PathBuf>,
}

/// Arguments of `revert`
#[derive(Clone, Debug, Args)]
pub struct RevertArgs {
    /// The run to undo: its id, or the beginning of it [default: the last one that wrote something, is no revert
    /// itself and is not undone yet]
    pub run: Option<String>,
    /// List the runs that can be undone; asks no gateway
    #[arg(long, conflicts_with_all = ["run", "dry_run", "auto_approve"])]
    pub list: bool,
    /// Only show the inverse plan
    #[arg(long, conflicts_with = "auto_approve")]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub auto_approve: bool,
    /// Put the former values back also where this job was edited since; more keys with commas, or by repeating it
    #[arg(long = "override", value_name = "KEY", value_delimiter = ',')]
    pub overrides: Vec<String>,
    /// Put back what can be where a script's former content is not known; more keys with commas, or by repeating it
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub allow_partial: Vec<String>,
    /// What updates carry [default: auto]
    #[arg(long, value_enum)]
    pub updates: Option<Updates>,
    /// How the steps are carried out.
    #[command(flatten)]
    pub writing: WritingArgs,
    /// How the gateway is spoken to.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// Arguments of `accept`
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// Keys or patterns of keys, each with a member where only that is meant: as JSON Pointer or as the plan prints it
    #[arg(value_name = "KEY[/MEMBER]")]
    pub targets: Vec<String>,
    /// Do not ask
    #[arg(long)]
    pub auto_approve: bool,
    /// Only show what would be written
    #[arg(long, conflicts_with = "auto_approve")]
    pub dry_run: bool,
    /// Commit that was applied last: what was declared there tells who changed what
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// Start the embedded simulator afresh from its seed files
    #[arg(long)]
    pub reset: bool,
    /// How live jobs are read.
    #[command(flatten)]
    pub reading: ReadingArgs,
}

/// Arguments of `import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Every live job
    #[arg(long, conflicts_with_all = ["id", "name"])]
    pub all: bool,
    /// The job with this id; may be repeated
    #[arg(long, value_name = "ID")]
    pub id: Vec<String>,
    /// Jobs whose name matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub name: Vec<String>,
    /// Only jobs of this platform
    #[arg(long, value_name = "PLATFORM", ignore_case = true, value_parser = ["Windows", "Linux"])]
    pub platform: Option<String>,
    /// Folder for the manifests, made where it is missing [default: the folder of --jobs]
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
    /// Only show what would be written
    #[arg(long)]
    pub dry_run: bool,
    /// How live jobs are read.
    #[command(flatten)]
    pub reading: ReadingArgs,
}

/// Arguments of `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Try on a scratch job of its own how the gateway takes updates, delete it, and say which setting to commit
    #[arg(long)]
    pub probe_updates: bool,
    /// How long a write that does not show yet is read again, such as 30s or 2m; 0 is once only [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = wait, requires = "probe_updates")]
    pub settle_time: Option<Duration>,
    /// How the gateway is spoken to.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// Arguments of `schema`
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Print the page of all members as Markdown instead
    #[arg(long)]
    pub members: bool,
}

/// Arguments of `simulator`
#[derive(Debug, Args)]
pub struct SimulatorArgs {
    /// Folder or file with the tenant's jobs
    pub tenant: PathBuf,
    /// Address to listen on; loopback only; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Start afresh from the seed files
    #[arg(long)]
    pub reset: bool,
    /// Serve the control endpoints below /_simulator, too
    #[arg(long)]
    pub control: bool,
    /// Switches of the simulated server, as JSON; see docs/simulator.md
    #[arg(long, value_name = "JSON")]
    pub behaviour: Option<String>,
}
