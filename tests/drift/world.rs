//! A tenant whose clock the test moves, and a repository about it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use patchctl::simulator::{Behaviour, Clock, Event, Running, Simulator, Tenant};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::cli::{LOGIN, Ran, Repo};
use crate::support::dice::Dice;
use crate::support::live;
use crate::support::manifest::{Draft, ScriptMembers, faithful};

/// When the clock of the tenant begins, in milliseconds since 1970-01-01 UTC.
const NOW: i64 = 1_790_000_000_000;

pub(crate) struct World {
    pub(crate) jobs: Vec<Value>,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) repo: Repo,
    pub(crate) simulator: Running,
    clock: Arc<AtomicI64>,
    // Dropped last: the simulator serves on it.
    _runtime: Runtime,
}

impl World {
    /// A faithful manifest for each of some generated jobs.
    pub(crate) fn new(dice: &mut Dice, n_jobs: usize) -> Self {
        let jobs = live::tenant(dice, n_jobs);
        let tenant = Tenant::in_memory(jobs, BTreeMap::new()).unwrap();
        let clock = Arc::new(AtomicI64::new(NOW));
        let shared = Arc::clone(&clock);
        let tenant = tenant.with_clock(Clock::from_fn(move || shared.fetch_add(1_000, Ordering::Relaxed)));
        let runtime = Runtime::new().unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let simulator = runtime.block_on(Simulator::start(tenant, Behaviour::default(), listen)).unwrap();
        // As they are stored: what a manifest says is held against that.
        let jobs = simulator.with_tenant(|tenant| tenant.dump())["jobs"].as_array().unwrap().clone();
        let repo = Repo::empty();
        repo.write("patchctl.yaml", "owner: acme\n");
        let mut drafts = Vec::new();
        for (at, job) in jobs.iter().enumerate() {
            let spec = faithful(dice, job, ScriptMembers::Left);
            let draft = Draft { key: format!("job-{at}"), id: Some(text(job, "id").to_owned()), spec };
            repo.write(&format!("jobs.d/{}.yaml", draft.key), draft.text(dice));
            drafts.push(draft);
        }
        Self { jobs, drafts, repo, simulator, clock, _runtime: runtime }
    }

    /// Moves the clock of the server on.
    pub(crate) fn pass(&self, milliseconds: i64) {
        self.clock.fetch_add(milliseconds, Ordering::Relaxed);
    }

    pub(crate) fn happen(&self, event: &Event) {
        self.simulator.with_tenant(|tenant| tenant.happen(event)).unwrap();
    }

    /// A job as it is stored.
    pub(crate) fn job(&self, id: &str) -> Value {
        let dump = self.simulator.with_tenant(|tenant| tenant.dump());
        dump["jobs"].as_array().unwrap().iter().find(|job| job["id"] == id).unwrap().clone()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.repo.command(arguments);
        Ran::of(command.args(["--gateway", &self.simulator.url()]).envs(LOGIN), &self.repo)
    }

    /// Drift as JSON, held to the published schema.
    #[track_caller]
    pub(crate) fn drift(&self, arguments: &[&str], code: i32) -> Value {
        self.run(&[&["drift", "--output", "json"], arguments].concat()).ends(code).json()
    }
}

pub(crate) fn text<'v>(job: &'v Value, name: &str) -> &'v str {
    job[name].as_str().unwrap_or_default()
}
