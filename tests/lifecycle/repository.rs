//! A repository about a tenant, and what people do to both: edits of manifests, new and removed ones, and the console.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use patchctl::simulator::{Behaviour, Call, Event, Meanwhile, Running, Simulator, Tenant};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::cli::{LOGIN, Repo};
use crate::run::{Ran, bounded, text};
use crate::support::dice::Dice;
use crate::support::kept::Truth;
use crate::support::manifest::{Draft, ScriptMembers, faithful, subset};
use crate::support::{edit, live};
use crate::verdict::{is_armed, runs_once, truth};

/// Members that say when a job runs.
const SCHEDULE: [&str; 12] = [
    "scheduleType",
    "startDateTime",
    "recurring",
    "recurringWeekDays",
    "dayOfMonth",
    "recurringLastDayOfMonth",
    "recurringDayOfMonth",
    "recurringWeekDayOfMonth",
    "monthlyRecurringType",
    "patchTuesdayPlusXDays",
    "timezone",
    "timezoneType",
];

/// Further members of a new job that are never left out.
const KEPT: [&str; 8] = [
    "name",
    "type",
    "platform",
    "status",
    "assetTagIds",
    "dynamicPatchesQQL",
    "preDeployActions",
    "postDeployActions",
];

/// Manifests and the server that they are about.
pub(crate) struct World {
    pub(crate) dice: Dice,
    /// Manifests by key.
    pub(crate) drafts: BTreeMap<String, Draft>,
    /// The manifests of the last plan that could be made.
    accepted: BTreeMap<String, Draft>,
    repo: Repo,
    n_new: usize,
    pub(crate) simulator: Running,
    // Dropped last: the simulator serves on it.
    _runtime: Runtime,
}

impl World {
    /// Manifests about four of five jobs: faithful ones or parts of them.
    pub(crate) fn new(mut dice: Dice, n_jobs: usize, behaviour: Behaviour) -> Self {
        let jobs = live::tenant(&mut dice, n_jobs);
        let tenant = Tenant::in_memory(jobs.clone(), BTreeMap::new()).expect("good jobs");
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let runtime = Runtime::new().expect("a runtime");
        let simulator = runtime.block_on(Simulator::start(tenant, behaviour, listen)).expect("a free port");
        let repo = Repo::empty();
        repo.write("patchctl.yaml", format!("owner: acme\ncustomerId: {}\n", live::CUSTOMER));
        let mut drafts = BTreeMap::new();
        for (at, job) in jobs.iter().enumerate().filter(|(at, _)| at % 5 != 4) {
            let scripts = if dice.chance(20) { ScriptMembers::Declared } else { ScriptMembers::Left };
            let mut spec = faithful(&mut dice, job, scripts);
            if dice.chance(60) {
                spec = subset(&mut dice, &spec);
            }
            if let Some(status) = spec.get_mut("status") {
                *status = if is_armed(job) { "Enabled" } else { "Disabled" }.into();
            }
            let id = dice.chance(50).then(|| text(job, "id").to_owned());
            let key = format!("job-{at}");
            drafts.insert(key.clone(), Draft { key, id, spec });
        }
        let mut world =
            Self { dice, drafts, accepted: BTreeMap::new(), repo, n_new: 0, simulator, _runtime: runtime };
        for key in world.drafts.keys().cloned().collect::<Vec<_>>() {
            world.write(&key);
        }
        world
    }

    pub(crate) fn truth(&self) -> Truth {
        truth(&self.simulator.with_tenant(|tenant| tenant.dump()))
    }

    /// A bounded run, whose environment holds nothing but the simulator's login.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str], allowed: &BTreeSet<String>) -> Ran {
        let mut command = self.repo.command(arguments);
        command.args(["--gateway", &self.simulator.url(), "--output", "json"]).envs(LOGIN);
        if !allowed.is_empty() {
            let keys: Vec<&str> = allowed.iter().map(String::as_str).collect();
            command.args(["--allow-run-once", &keys.join(",")]);
        }
        bounded(&mut command)
    }

    /// Ids of the live jobs by the keys of their manifests.
    pub(crate) fn ids(&self, truth: &Truth) -> BTreeMap<String, String> {
        let mut by_name = BTreeMap::new();
        for (id, job) in &truth.0 {
            by_name.insert((text(job, "platform"), text(job, "name")), id);
        }
        let bound = |draft: &Draft| {
            let named = || by_name.get(&(draft.spec["platform"].as_str()?, draft.spec["name"].as_str()?));
            draft.id.clone().or_else(|| named().map(|id| (*id).clone()))
        };
        self.drafts.iter().filter_map(|(key, draft)| Some((key.clone(), bound(draft)?))).collect()
    }

    fn write(&mut self, key: &str) {
        let path = format!("jobs.d/{key}.yaml");
        match self.drafts.get(key) {
            Some(draft) => self.repo.write(&path, draft.text(&mut self.dice)),
            None => fs::remove_file(self.repo.path(&path)).expect("it was written"),
        }
    }

    /// A day's work: members, statuses and schedules change, manifests come and go.
    pub(crate) fn edit_manifests(&mut self) {
        let truth = self.truth();
        let ids = self.ids(&truth);
        for key in self.drafts.keys().cloned().collect::<Vec<_>>() {
            if self.dice.chance(2) {
                self.drafts.remove(&key);
                self.write(&key);
                continue;
            }
            if self.dice.chance(40) {
                continue;
            }
            let Some(draft) = self.drafts.get_mut(&key) else { continue };
            let gone = Value::Object(draft.spec.clone());
            let job = ids.get(&key).and_then(|id| truth.0.get(id)).unwrap_or(&gone);
            edit::edits(&mut self.dice, job, &mut draft.spec, 3);
            if self.dice.chance(40) {
                flip(&mut self.dice, &mut draft.spec);
            }
            self.write(&key);
        }
        for _ in 0..4 {
            self.n_new += 1;
            let draft = fresh(&mut self.dice, self.n_new);
            let key = draft.key.clone();
            self.drafts.insert(key.clone(), draft);
            self.write(&key);
        }
    }

    /// Members change in the console, jobs are armed and disarmed there, and one that a manifest is bound to goes.
    pub(crate) fn use_console(&mut self) {
        let truth = self.truth();
        for (id, job) in &truth.0 {
            if self.dice.chance(15) {
                let merge = console_edit(&mut self.dice, job);
                let edited =
                    self.simulator.with_tenant(|tenant| tenant.edit(id, "anna.k", &merge, &BTreeMap::new()));
                edited.expect("the console may do it");
            }
        }
        let is_parent = |id: &str| truth.0.values().any(|job| text(job, "linkedJobId") == id);
        let bound: Vec<String> = self.drafts.values().filter_map(|draft| draft.id.clone()).collect();
        let bound: Vec<String> =
            bound.into_iter().filter(|id| truth.0.contains_key(id) && !is_parent(id)).collect();
        if !bound.is_empty() {
            let event = Event::Delete { id: self.dice.pick(&bound), user: "anna.k".to_owned() };
            self.simulator.behaviour().change(|behaviour| behaviour.meanwhile.push(Meanwhile::next(event)));
        }
    }

    /// Lets the console act while an apply is under way; says on which jobs.
    pub(crate) fn interfere(&mut self, plan: &Value) -> BTreeSet<String> {
        let truth = self.truth();
        let ids = plan["changes"].as_array().expect("changes").iter();
        let ids: Vec<String> = ids.filter_map(|change| Some(change["id"].as_str()?.to_owned())).collect();
        let mut touched = BTreeSet::new();
        for _ in 0..4 {
            if ids.is_empty() {
                break;
            }
            let id = self.dice.pick(&ids);
            let Some(job) = truth.0.get(&id) else { continue };
            let merge = console_edit(&mut self.dice, job);
            let (call, nth) =
                self.dice.pick(&[(Call::Get, 9), (Call::Get, 40), (Call::Update, 2), (Call::Status, 2)]);
            let nth = nth + u64::try_from(self.dice.below(12)).expect("small");
            let event =
                Event::Edit { id: id.clone(), user: "anna.k".to_owned(), merge, scripts: BTreeMap::new() };
            let meanwhile = Meanwhile::before(call, nth, event);
            self.simulator.behaviour().change(|behaviour| behaviour.meanwhile.push(meanwhile));
            touched.insert(id);
        }
        touched
    }

    /// Plans; a manifest that can not be planned is put back as it was, or taken away.
    #[track_caller]
    pub(crate) fn plan(&mut self, allowed: &BTreeSet<String>) -> Value {
        for attempt in 0..4 {
            let ran = self.run(&["plan"], allowed);
            let document = ran.json();
            if ran.code == Some(0) {
                self.accepted = self.drafts.clone();
                return document;
            }
            assert_eq!(ran.code, Some(1), "{}", ran.stderr);
            let findings = document["diagnostics"].as_array().expect("findings").iter();
            let errors = findings.filter(|finding| finding["severity"] == "error");
            let files: BTreeSet<&str> = errors.filter_map(|error| error["source"]["file"].as_str()).collect();
            assert!(!files.is_empty(), "{}", ran.stderr);
            assert!(files.len() < self.drafts.len() / 4, "few edits are bad: {}", ran.stderr);
            for file in files {
                let key = file.trim_start_matches("jobs.d/").trim_end_matches(".yaml").to_owned();
                match self.accepted.get(&key).filter(|_| attempt == 0) {
                    Some(draft) => self.drafts.insert(key.clone(), draft.clone()),
                    None => self.drafts.remove(&key),
                };
                self.write(&key);
            }
        }
        panic!("no plan can be made");
    }
}

/// Arms, disarms, or leaves the status to others.
fn flip(dice: &mut Dice, spec: &mut Map<String, Value>) {
    match dice.pick(&["Enabled", "Enabled", "Disabled", ""]) {
        "" => {
            spec.shift_remove("status");
        }
        status => {
            spec.insert("status".to_owned(), status.into());
        }
    }
}

/// Something that the console lets people do to a job.
fn console_edit(dice: &mut Dice, job: &Value) -> Map<String, Value> {
    let other = if is_armed(job) { "Disabled" } else { "Enabled" };
    let mut ways = vec![
        json!({"description": format!("Changed by hand {}", dice.below(1000))}),
        json!({"duringDeployment": {"userMessage": "By hand"}}),
        json!({"notification": {"notificationTypes": {"email": true}}}),
    ];
    if !runs_once(job) {
        ways.extend([json!({"status": other}), json!({"status": other})]);
    }
    dice.pick(&ways).as_object().expect("members").clone()
}

/// The manifest of a job that does not exist yet.
fn fresh(dice: &mut Dice, n: usize) -> Draft {
    let template = live::tenant(dice, 1).remove(0);
    let mut spec = faithful(dice, &template, ScriptMembers::Declared);
    for name in spec.keys().cloned().collect::<Vec<_>>() {
        let is_kept = KEPT.contains(&name.as_str()) || SCHEDULE.contains(&name.as_str());
        if !is_kept && dice.chance(40) {
            spec.shift_remove(&name);
        }
    }
    for list in ["preDeployActions", "postDeployActions"] {
        for (at, action) in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().enumerate()
        {
            let members = action.as_object_mut().expect("an action");
            members.shift_remove("actionId");
            members["params"]["actionItem"] = format!("Step {at}").into();
            let is_cache = members.get("defaultScriptType").is_some_and(Value::is_string);
            if members["action"] == "Run Script" && !is_cache && !members.get("script").is_some_and(is_text) {
                members.insert("script".to_owned(), format!("echo {n} {at}\n").into());
            }
        }
    }
    if dice.chance(80) {
        spec.insert("assetTagIds".to_owned(), live::uuids(dice));
        spec.insert("dynamicPatchesQQL".to_owned(), "patch.severity: Critical".into());
    }
    spec.shift_remove("status");
    flip(dice, &mut spec);
    if n.is_multiple_of(3) {
        // Some that run once and are to be armed, whatever the dice say.
        for name in SCHEDULE {
            spec.shift_remove(name);
        }
        spec.insert("scheduleType".to_owned(), "On-demand".into());
        spec.insert("status".to_owned(), "Enabled".into());
        spec.insert("assetTagIds".to_owned(), live::uuids(dice));
        spec.insert("dynamicPatchesQQL".to_owned(), "patch.severity: Critical".into());
    }
    let key = format!("new-{n}");
    spec.insert("name".to_owned(), format!("New {n}").into());
    Draft { key, id: None, spec }
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}
