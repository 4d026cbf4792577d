#![expect(
    clippy::disallowed_methods,
    reason = "reads certificate files and the time for the jitter of retries"
)]

//! From settings to manifests, to an API, to a plan: the steps that the commands share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use futures_util::StreamExt;
use globset::{Glob, GlobSetBuilder};
use serde_json::{Value, json};

use super::args::{Arguments, Common, Output, PlanningArgs};
use super::settings::{Settings, SettingsError, Target};
use super::{Exit, pretty, show};
use crate::api::{self, ApiError, Client, Credentials, Gateway, Notice, Notices, ReadApi, UpdatesKnown};
use crate::apply::chain;
use crate::config::Updates;
use crate::details::{CacheUse, Details};
use crate::diagnostic::Diagnostics;
use crate::job::Platform;
use crate::load::{self, LoadContext};
use crate::manifest::DesiredSet;
use crate::patch::Envelope;
use crate::plan::{self, Binding, Plan, Policy};
use crate::render;
use crate::simulator::{self, Behaviour, Simulator, Tenant};
use crate::snapshot::{ListRow, LiveJob, Snapshot};
use crate::terminal::Terminal;

/// Why a command ends before it has done what it is for.
#[derive(Debug)]
pub(super) enum Failure {
    /// Manifests or configuration are wrong.
    Findings(Diagnostics),
    /// Anything else: what happened, outermost first, and what to do.
    Error(Vec<String>, Option<String>),
    /// The arguments do not fit.
    Usage(String, String),
}

impl Failure {
    fn error(error: &dyn std::error::Error, help: String) -> Self {
        Self::Error(chain(error), Some(help))
    }

    /// Shows it, in the form asked for, and chooses the exit status.
    pub(super) fn report(&self, command: &str, output: Output, terminal: &Terminal) -> Exit {
        let (findings, error) = match self {
            Self::Findings(findings) => {
                show(terminal, findings);
                (render::diagnostic::diagnostics_json(findings), Value::Null)
            }
            Self::Error(lines, help) => {
                terminal.error(lines, help.as_deref());
                (json!([]), json!({"message": lines, "help": help}))
            }
            Self::Usage(message, help) => {
                terminal.error(std::slice::from_ref(message), Some(help));
                (json!([]), json!({"message": [message], "help": help}))
            }
        };
        if output == Output::Json {
            terminal.data(&pretty(&json!({
                "format_version": render::json::FORMAT_VERSION,
                "command": command,
                "error": error,
                "diagnostics": findings,
            })));
        }
        match self {
            Self::Findings(_) | Self::Error(..) => Exit::Failed,
            Self::Usage(..) => Exit::Usage,
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Config(findings) => Self::Findings(findings),
            SettingsError::Message(message, help) => Self::Error(vec![message], Some(help)),
            SettingsError::Gateway(error) => Self::error(&error, error.help()),
        }
    }
}

/// The manifests that a run is about, with warnings.
pub(super) fn load_manifests(
    settings: &Settings,
    common: &Common,
) -> Result<(DesiredSet, Diagnostics), Failure> {
    let context = LoadContext { tags: &settings.tags, allow_unknown_fields: common.allow_unknown_fields };
    let shown = |path: &std::path::Path| settings.shown(path);
    let (mut set, findings) = load::load(&settings.jobs, &settings.root, &shown, context);
    if findings.has_errors() {
        return Err(Failure::Findings(findings));
    }
    if !common.only.is_empty() {
        let mut globs = GlobSetBuilder::new();
        for pattern in &common.only {
            let glob = Glob::new(pattern).map_err(|error| {
                Failure::Usage(format!("--only `{pattern}` is no pattern: {error}"), "use * and ?".to_owned())
            })?;
            globs.add(glob);
        }
        let globs =
            globs.build().map_err(|error| Failure::error(&error, "use simpler patterns".to_owned()))?;
        let all: Vec<String> = set.manifests.iter().map(|manifest| manifest.key.clone()).collect();
        set.manifests.retain(|manifest| globs.is_match(&manifest.key));
        if set.manifests.is_empty() {
            let patterns = common.only.join("`, `");
            let near = common
                .only
                .iter()
                .find_map(|pattern| crate::job::nearest(pattern, all.iter().map(String::as_str)));
            let help = near.map_or_else(
                || format!("there are {} manifests; `patchctl validate -v` lists their keys", all.len()),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Failure::Error(vec![format!("no manifest matches --only `{patterns}`")], Some(help)));
        }
    }
    Ok((set, findings))
}

/// A way to the live jobs.
pub(super) struct Session {
    /// The client.
    pub(super) client: Client,
    /// The gateway as people know it.
    pub(super) gateway: String,
    /// What tells this gateway's cache from that of others.
    pub(super) identity: String,
    /// The embedded simulator, kept alive as long as the session.
    simulator: Option<simulator::Running>,
}

impl Session {
    /// Opens the way; for `sim:` starts the simulator inside the process.
    pub(super) async fn open(
        settings: &Settings,
        planning: &PlanningArgs,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let (gateway, credentials, shown, identity, running) = match settings.target()? {
            Target::Simulator(path, text) => {
                let (url, credentials, running) =
                    start_simulator(settings, &path, planning.reset, terminal).await?;
                // Its port is another one each time.
                let path = std::fs::canonicalize(&path).unwrap_or(path);
                (url, credentials, text, format!("sim:{}", path.display()), Some(running))
            }
            Target::Gateway(_, _) if planning.reset => {
                let help = "leave it out; it forgets what the simulator keeps between runs";
                return Err(Failure::Usage(
                    "--reset is for the embedded simulator".to_owned(),
                    help.to_owned(),
                ));
            }
            Target::Gateway(gateway, credentials) => {
                let (shown, identity) = (gateway.host(), gateway.url().to_string());
                (gateway, credentials, shown, identity, None)
            }
        };
        let seed = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| u64::from(since.subsec_nanos()));
        let mut client = api::Settings::documented(gateway, credentials, seed);
        client.ca_certificates = certificates(&planning.cacert)?;
        client.notices = notices(*terminal);
        let client = Client::new(client).map_err(|error| Failure::error(&error, error.help()))?;
        Ok(Self { client, gateway: shown, identity, simulator: running })
    }

    /// Ends the embedded simulator, so that its files are free again.
    pub(super) async fn close(self) {
        if let Some(simulator) = self.simulator {
            simulator.stop().await;
        }
    }
}

async fn start_simulator(
    settings: &Settings,
    path: &std::path::Path,
    reset: bool,
    terminal: &Terminal,
) -> Result<(Gateway, Credentials, simulator::Running), Failure> {
    let failed = |error: &dyn std::error::Error, help: &str| Failure::error(error, help.to_owned());
    let tenant = Tenant::open(path, Some(&settings.state_dir), reset).map_err(|error| {
        failed(&error, "`sim:` takes a folder of JSON files, each one a job or a list of jobs")
    })?;
    if tenant.seed_changed() {
        terminal.note(&format!(
            "the files of {} changed since the simulator first read them; --reset starts afresh from them",
            settings.shown(path)
        ));
    }
    let login = simulator::Credentials::random();
    let behaviour = Behaviour { users: vec![login.clone()], ..Behaviour::default() };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let running = Simulator::start(tenant, behaviour, listen)
        .await
        .map_err(|error| failed(&error, "the simulator listens on a free port of the loopback address"))?;
    let gateway = Gateway::parse(&running.url()).map_err(|error| failed(&error, "please report this"))?;
    let credentials = Credentials::User { name: login.user, password: login.password.into() };
    Ok((gateway, credentials, running))
}

fn certificates(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, Failure> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| {
            let message = format!("could not read the certificates in `{}`", path.display());
            Failure::Error(vec![message, error.to_string()], Some("--cacert takes a PEM file".to_owned()))
        })
    };
    paths.iter().map(read).collect()
}

/// Says on stderr when the gateway makes us wait.
fn notices(terminal: Terminal) -> Notices {
    Notices::to(move |notice| match notice {
        Notice::Throttled { wait, goes_on_at, .. } => {
            let until = goes_on_at.strftime("%H:%M:%S");
            terminal
                .note(&format!("the gateway asks to wait {} s; it goes on at {until} UTC", wait.as_secs()));
        }
        Notice::Retrying { call, next_try, cause, .. } => {
            terminal.note(&format!("{call}: {cause}; try {next_try} follows"));
        }
        Notice::ConcurrencyLowered { to } => {
            terminal.note(&format!("at most {to} calls at a time from now on"))
        }
    })
}

/// A plan and what it was made from.
pub(super) struct Made {
    /// The plan.
    pub(super) plan: Plan,
    /// The manifests.
    pub(super) set: DesiredSet,
    /// The live jobs, to be remembered as they are after the writes.
    pub(super) details: Details,
}

/// Reads the live jobs and plans.
pub(super) async fn make_plan<A: ReadApi>(
    api: &A,
    known: impl Fn() -> Option<UpdatesKnown>,
    settings: &Settings,
    arguments: &Arguments,
    planning: &PlanningArgs,
    gateway: &str,
    terminal: &Terminal,
) -> Result<Made, Failure> {
    let (set, warnings) = load_manifests(settings, &arguments.common)?;
    if !warnings.is_empty() {
        show(terminal, &warnings);
    }
    let policy = Policy {
        owner: settings.owner.clone(),
        envelope: Envelope::Full,
        is_whole: arguments.common.only.is_empty(),
        allow_script_loss: planning.allow_script_loss.clone(),
        tag_names: settings.tags.iter().map(|(name, id)| (id.to_ascii_lowercase(), name.clone())).collect(),
    };
    let mut live = read_live(api, &set, settings, planning, gateway, terminal).await?;
    // Known only after the first call, because the gateway says it with the token.
    let policy = Policy {
        envelope: envelope(planning.updates.unwrap_or(settings.updates), known(), terminal),
        ..policy
    };
    let mut builder = plan::Builder::new(&policy, live.details.stamps());
    for (manifest, binding) in set.manifests.iter().zip(&live.bindings) {
        let job = match binding.id() {
            None => None,
            Some(id) => match live.details.job(id) {
                Ok(job) => job,
                // A damaged entry of the cache costs a call, nothing else.
                Err(_) => {
                    let job = api.get_job(id).await.map_err(read_failed)?;
                    live.details.put(id, job.as_ref(), None).map_err(|error| spill_failed(&error))?;
                    job.map(LiveJob::new)
                }
            },
        };
        builder.add(manifest, binding, job.as_ref());
    }
    if let Err(error) = live.details.save() {
        terminal.note(&format!("the cache could not be written: {error}"));
    }
    let plan = builder.finish(&live.bindings, &live.rows).map_err(Failure::Findings)?;
    if !plan.warnings.is_empty() {
        show(terminal, &plan.warnings);
    }
    Ok(Made { plan, set, details: live.details })
}

/// What was read of the live jobs.
struct Live {
    rows: Vec<ListRow>,
    bindings: Vec<Binding>,
    details: Details,
}

fn read_failed(error: ApiError) -> Failure {
    Failure::Error(chain(&error), Some(format!("{}; nothing was changed", error.help())))
}

fn spill_failed(error: &std::io::Error) -> Failure {
    let message = "could not write to a temporary file".to_owned();
    Failure::Error(vec![message, error.to_string()], Some("is the disk full? nothing was changed".to_owned()))
}

/// Lists the platforms in use and reads the jobs that manifests are bound to, as far as the cache does not know them.
async fn read_live<A: ReadApi>(
    api: &A,
    set: &DesiredSet,
    settings: &Settings,
    planning: &PlanningArgs,
    gateway: &str,
    terminal: &Terminal,
) -> Result<Live, Failure> {
    let mut rows = Vec::new();
    let mut customers = BTreeSet::new();
    for platform in platforms_in_use(set) {
        for row in api.list_jobs(platform.as_str()).await.map_err(read_failed)? {
            customers.extend(row.get("customerId").and_then(Value::as_str).map(str::to_ascii_lowercase));
            rows.extend(ListRow::read(&row));
        }
    }
    check_customer(&customers, settings, terminal)?;
    let rows = Snapshot::new(rows).rows;
    let (bindings, findings) = plan::bind(set, &rows);
    if findings.has_errors() {
        return Err(Failure::Findings(findings));
    }
    let customer = customers.into_iter().collect::<Vec<_>>().join(",");
    let folder = settings.state_dir.join("cache");
    let now = jiff::Timestamp::now().as_millisecond();
    let mut details = Details::open(&folder, gateway, &customer, cache_use(planning), now)
        .map_err(|error| spill_failed(&error))?;
    if let Some(note) = details.note.take() {
        terminal.note(&note);
    }
    let ids: BTreeSet<String> = bindings.iter().filter_map(Binding::id).map(str::to_owned).collect();
    let missing = details.missing(ids.into_iter(), &rows);
    let fetched = fetch(api, missing, &rows, &mut details, settings, terminal).await;
    if fetched.is_err() {
        // What was read stays, so that the next run goes on from there.
        let _ = details.save();
    }
    fetched?;
    Ok(Live { rows, bindings, details })
}

async fn fetch<A: ReadApi>(
    api: &A,
    ids: Vec<String>,
    rows: &[ListRow],
    details: &mut Details,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let by_id: BTreeMap<&str, &ListRow> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
    let reads = futures_util::stream::iter(ids).map(|id| async move {
        let job = api.get_job(&id).await;
        (id, job)
    });
    let mut reads = std::pin::pin!(reads.buffer_unordered(CONCURRENT_READS));
    while let Some((id, job)) = reads.next().await {
        let job = job.map_err(read_failed)?;
        let customer = job.as_ref().and_then(|job| job.get("customerId")).and_then(Value::as_str);
        check_customer(&customer.map(str::to_ascii_lowercase).into_iter().collect(), settings, terminal)?;
        details
            .put(&id, job.as_ref(), by_id.get(id.as_str()).copied())
            .map_err(|error| spill_failed(&error))?;
    }
    Ok(())
}

/// A simulator that starts afresh has other jobs under the same dates, so nothing of it may be remembered.
fn cache_use(planning: &PlanningArgs) -> CacheUse {
    match (planning.no_cache, planning.refresh || planning.reset) {
        (true, _) => CacheUse::None,
        (false, true) => CacheUse::Refresh,
        (false, false) => CacheUse::Full,
    }
}

/// Jobs read at the same time; the client's own limit goes down from here when the gateway refuses.
const CONCURRENT_READS: usize = 8;

/// A platform that no manifest names is not listed; a manifest bound by id alone may be of any.
fn platforms_in_use(set: &DesiredSet) -> Vec<Platform> {
    let all = set.manifests.iter().any(|manifest| manifest.platform().is_none());
    let named =
        |platform: &Platform| set.manifests.iter().any(|manifest| manifest.platform() == Some(*platform));
    Platform::ALL.into_iter().filter(|platform| all || named(platform)).collect()
}

/// Stops before anything is planned for the wrong subscription.
fn check_customer(
    answered: &BTreeSet<String>,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let Some(expected) = &settings.customer_id else { return Ok(()) };
    match answered.iter().find(|id| *id != expected) {
        Some(other) => {
            let message =
                format!("this gateway answers for the subscription {other}, and `customerId` is {expected}");
            let help = "wrong gateway or wrong login; nothing was changed";
            Err(Failure::Error(vec![message], Some(help.to_owned())))
        }
        None => {
            if terminal.is_verbose() && answered.is_empty() {
                terminal.note("no job was answered, so `customerId` could not be compared");
            }
            Ok(())
        }
    }
}

/// Whether updates carry the changes only, by what is known of the gateway (DESIGN section 6).
fn envelope(updates: Updates, known: Option<UpdatesKnown>, terminal: &Terminal) -> Envelope {
    match (updates, known) {
        (Updates::Full, _) | (Updates::Auto, Some(UpdatesKnown::Replace)) => Envelope::Full,
        (Updates::Minimal, Some(UpdatesKnown::Replace)) => {
            terminal.note(
                "this gateway replaces jobs, and `updates: minimal` would wipe what is not sent; using full",
            );
            Envelope::Full
        }
        (Updates::Minimal, _) | (Updates::Auto, Some(UpdatesKnown::Merge)) => Envelope::Minimal,
        (Updates::Auto, None) => {
            if terminal.is_verbose() {
                terminal.note(
                    "it is not known whether this gateway merges updates, so they carry the whole job; \
                     set `updates: minimal` where you know that it does",
                );
            }
            Envelope::Full
        }
    }
}
