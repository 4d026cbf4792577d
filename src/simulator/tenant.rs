//! The tenant: the jobs of one simulated subscription, and each call carried out on them.
//!
//! The calls themselves are pure functions elsewhere; this is where they meet the stored jobs, the clock and the
//! state file. A change is in the state file before it is answered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::SimulatorError;
use super::answer::{bulk_result, full_job, list_row, runs};
use super::behaviour::{Answer, Behaviour, Lag};
use super::fault::Event;
use super::lag::History;
use super::lifecycle;
use super::list::{self, Query};
use super::normalise::{UnknownPath, normalise};
use super::refusal::Refusal;
use super::semantics::{self, Write, mark_updated};
use super::store::{Jobs, Seed, StateFile};
use super::stored::{ACTION_LISTS, Job, StoredJob, User, deep_merge, stable_uuid, text};

/// Customer of a tenant whose seed names none.
const DEFAULT_CUSTOMER: &str = "5e6d0c1b-0000-4000-8000-000000000000";

/// The one place from which a tenant takes the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(|| jiff::Timestamp::now().as_millisecond()))
    }

    /// A clock that answers with what `epoch_milliseconds` returns.
    pub fn from_fn(epoch_milliseconds: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(epoch_milliseconds))
    }

    /// A clock that stands still at an instant, in epoch milliseconds.
    pub fn fixed(epoch_milliseconds: i64) -> Self {
        Self::from_fn(move || epoch_milliseconds)
    }

    /// Epoch milliseconds.
    pub(super) fn now(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

/// The jobs of one simulated subscription.
#[derive(Debug)]
pub struct Tenant {
    jobs: Jobs,
    /// How many jobs link to a job, by its id.
    n_children: HashMap<String, usize>,
    tags: BTreeMap<String, String>,
    /// Ids of users that the seed names, by user name.
    users: BTreeMap<String, String>,
    customer: String,
    clock: Clock,
    state: Option<StateFile>,
    history: History,
    seed_changed: bool,
    closed: bool,
}

impl Tenant {
    /// Opens the tenant whose jobs stand in `seed`: a folder of `*.json` files or one such file, each holding one
    /// job in full shape, an array of jobs, or `{"jobs": [...]}`.
    ///
    /// A job may bring the true contents of its scripts in a member `_scripts` (`{"<storage path>": "<text>"}`);
    /// paths without content get a made-up one. A file `tags.json` in the folder holds tag names by tag id.
    ///
    /// With `state_dir`, the first use copies the jobs into a file under `<state_dir>/simulator`, later uses go on
    /// from there, and `reset` starts afresh; without it, changes are gone with the process. The seed is never
    /// written.
    ///
    /// # Errors
    ///
    /// Files that cannot be read or written or are damaged, a seed without files, and a state that another process
    /// has open.
    pub fn open(seed: &Path, state_dir: Option<&Path>, reset: bool) -> Result<Self, SimulatorError> {
        let read = Seed::read(seed)?;
        let first_jobs = || stored_jobs(read.jobs()?);
        let (jobs, state) = match state_dir {
            None => (first_jobs()?, None),
            Some(dir) => {
                let (state, jobs) = StateFile::open(dir, seed, &read, reset, first_jobs)?;
                (jobs, Some(state))
            }
        };
        let seed_changed = state.as_ref().is_some_and(|state| state.seed_digest() != read.digest);
        Ok(Self { state, seed_changed, ..Self::holding(jobs, read.tags) })
    }

    /// A tenant in memory that holds these jobs, each as a seed file would hold it, with tag names by tag id.
    ///
    /// # Errors
    ///
    /// [`SimulatorError::DamagedSeed`] for values that are not jobs; it names no file.
    pub fn in_memory(jobs: Vec<Value>, tags: BTreeMap<String, String>) -> Result<Self, SimulatorError> {
        let damaged =
            || SimulatorError::DamagedSeed { path: "<memory>".into(), what: "a job is no object".into() };
        let jobs = jobs.into_iter().map(|job| match job {
            Value::Object(job) if !text(&job, "id").is_empty() => Ok((Path::new("<memory>"), job)),
            _ => Err(damaged()),
        });
        Ok(Self::holding(stored_jobs(jobs.collect::<Result<_, _>>()?)?, tags))
    }

    fn holding(jobs: Jobs, tags: BTreeMap<String, String>) -> Self {
        let mut n_children = HashMap::new();
        let mut users = BTreeMap::new();
        for stored in jobs.values().filter(|stored| !stored.deleted) {
            count_child(&mut n_children, &stored.job, true);
            for by in ["createdBy", "updatedBy"] {
                let user = stored.job.get(by).and_then(|by| by.get("user"));
                if let Some((name, id)) =
                    user.and_then(|user| Some((user["name"].as_str()?, user["id"].as_str()?)))
                {
                    users.insert(name.to_owned(), id.to_owned());
                }
            }
        }
        let customer = jobs
            .values()
            .map(|stored| text(&stored.job, "customerId"))
            .find(|customer| !customer.is_empty())
            .unwrap_or(DEFAULT_CUSTOMER)
            .to_owned();
        Self {
            jobs,
            n_children,
            tags,
            users,
            customer,
            clock: Clock::system(),
            state: None,
            history: History::default(),
            seed_changed: false,
            closed: false,
        }
    }

    /// The same tenant with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Whether the seed files are not those any more that the kept state started from.
    pub fn seed_changed(&self) -> bool {
        self.seed_changed
    }

    /// How many jobs there are, deleted ones left out.
    pub fn n_jobs(&self) -> usize {
        self.jobs.values().filter(|stored| !stored.deleted).count()
    }

    /// The customer's id, the first part of every storage path.
    pub fn customer(&self) -> &str {
        &self.customer
    }

    /// The true content behind a storage path of a job that is not deleted.
    pub fn script(&self, path: &str) -> Option<&[u8]> {
        let live = self.jobs.values().filter(|stored| !stored.deleted);
        live.filter_map(|stored| stored.scripts.get(path)).next().map(Vec::as_slice)
    }

    /// All that is stored: `{"jobs": [...], "deleted": [ids], "scripts": {path: text}}`.
    ///
    /// Jobs are in stored form, with `chainedJobRule` at the top level. Script contents that are not UTF-8 are shown
    /// with replacement characters.
    pub fn dump(&self) -> Value {
        let live: Vec<&StoredJob> = self.jobs.values().filter(|stored| !stored.deleted).collect();
        let scripts: Map<String, Value> = live
            .iter()
            .flat_map(|stored| &stored.scripts)
            .map(|(path, content)| (path.clone(), String::from_utf8_lossy(content).into()))
            .collect();
        let deleted: Vec<&String> =
            self.jobs.iter().filter(|(_, stored)| stored.deleted).map(|(id, _)| id).collect();
        let jobs: Vec<&Job> = live.iter().map(|stored| &stored.job).collect();
        json!({"jobs": jobs, "deleted": deleted, "scripts": scripts})
    }

    /// An edit in the console: `merge` is laid over the job at every depth (arrays are replaced) and the true
    /// contents of `scripts` (text by storage path) are replaced, in the name of `user`. No rule of the API holds an
    /// edit back, whatever the job's state.
    ///
    /// # Errors
    ///
    /// An unknown id or storage path, values that cannot be stored, and a state file that cannot be written; nothing
    /// is changed then.
    pub fn edit(
        &mut self,
        id: &str,
        user: &str,
        merge: &Map<String, Value>,
        scripts: &BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        let mut after = self.find(id)?.clone();
        deep_merge(&mut after.job, merge);
        let customer = self.customer_of(&after.job);
        after.scripts = normalise(&mut after.job, &after.scripts, &customer, UnknownPath::Literal)?;
        for (path, text) in scripts {
            let Some(content) = after.scripts.get_mut(path) else {
                return Err(Refusal::not_found(format!("the job has no script at `{path}`")));
            };
            *content = text.clone().into_bytes();
        }
        let user = self.user(user);
        mark_updated(&mut after, &Write { user: &user, now: self.clock.now() });
        self.put(vec![after])
    }

    /// Lets the server change what it changes by itself: counters, progress and runs; `updatedBy` stays.
    ///
    /// # Errors
    ///
    /// A state file that cannot be written; nothing is changed then.
    pub fn tick(&mut self) -> Result<(), Refusal> {
        let now = self.clock.now();
        let live = self.jobs.values().filter(|stored| !stored.deleted);
        let changed = live.map(|stored| lifecycle::tick(stored, now)).collect();
        self.put(changed)
    }

    /// Carries out what others do.
    ///
    /// # Errors
    ///
    /// An unknown id, values that cannot be stored, and a state file that cannot be written; nothing is changed then.
    pub fn happen(&mut self, event: &Event) -> Result<(), Refusal> {
        match event {
            Event::Edit { id, user, merge, scripts } => self.edit(id, user, merge, scripts),
            Event::Insert { user, job } => {
                let mut whole = json!({
                    "name": "Inserted", "type": "Install", "platform": "Windows", "scheduleType": "On-demand"
                });
                let members = whole.as_object_mut().expect("internal error: it is written as an object");
                deep_merge(members, job);
                self.create(members, user).map(|_| ())
            }
            Event::Delete { id, user } => {
                self.find(id)?;
                let results = self.delete(std::slice::from_ref(id), user)?;
                match results[0]["error"].as_str() {
                    Some(error) => Err(Refusal::invalid(error)),
                    None => Ok(()),
                }
            }
            Event::Tick => self.tick(),
            // Tokens are no part of the tenant.
            Event::RevokeTokens => Ok(()),
        }
    }

    /// Says whether former versions of jobs are needed from now on.
    pub(super) fn keep_history(&mut self, is_kept: bool) {
        self.history.keep(is_kept);
    }

    /// Counts a call, for answers that lag.
    pub(super) fn begin_call(&mut self) {
        self.history.begin_call();
    }

    /// Epoch milliseconds by the tenant's clock.
    pub(super) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Gives up the state file and its lock; no call changes anything from now on.
    pub(super) fn close(&mut self) {
        self.state = None;
        self.closed = true;
    }

    /// One job as it is.
    pub(super) fn get(&self, id: &str) -> Result<Value, Refusal> {
        self.find(id).map(|stored| self.answer(&stored.job))
    }

    /// `GET` of one job: as it is, or as it was where answers lag.
    pub(super) fn shown(&self, id: &str, lag: Lag) -> Result<Value, Refusal> {
        let stored = match self.history.hidden(lag).get(id) {
            Some(former) => *former,
            None => self.jobs.get(id),
        };
        let stored = stored.filter(|stored| !stored.deleted).ok_or_else(|| no_such_job(id))?;
        Ok(self.answer(&stored.job))
    }

    /// `GET` of a job's runs.
    pub(super) fn runs(&self, id: &str) -> Result<Value, Refusal> {
        self.find(id).map(runs)
    }

    /// `GET` of a page of the list.
    pub(super) fn list(&self, query: &Query, behaviour: &Behaviour) -> Result<Value, Refusal> {
        let hidden = self.history.hidden(behaviour.list_lag);
        let jobs = self.jobs.iter().filter_map(|(id, stored)| match hidden.get(id.as_str()) {
            Some(former) => *former,
            None => Some(stored),
        });
        let page = list::page(jobs, query, behaviour)?;
        let columns: Vec<_> = crate::job::list_columns().collect();
        let now = self.clock.now();
        let row =
            |stored: &StoredJob| list_row(stored, &columns, &self.tags, self.n_children_of(stored.id()), now);
        Ok(list::answered(page.into_iter().map(row).collect(), behaviour))
    }

    /// `POST` of a job.
    pub(super) fn create(&mut self, body: &Job, user: &str) -> Result<Value, Refusal> {
        self.check_parent(None, body)?;
        let write = Write { user: &self.user(user), now: self.clock.now() };
        let created = semantics::create(body, &Uuid::new_v4().to_string(), &self.customer, &write)?;
        let id = created.id().to_owned();
        self.put(vec![created])?;
        self.get(&id)
    }

    /// `PATCH` of a job.
    pub(super) fn patch(
        &mut self,
        id: &str,
        body: &Job,
        user: &str,
        behaviour: &Behaviour,
    ) -> Result<Value, Refusal> {
        let before = self.find(id)?;
        self.check_parent(Some(before), body)?;
        let customer = self.customer_of(&before.job);
        let write = Write { user: &self.user(user), now: self.clock.now() };
        let after = semantics::patch(before, body, &customer, behaviour, &write)?;
        let echo = match behaviour.answer {
            Answer::Stored => None,
            Answer::Echo => Some(semantics::echo(before, body, &customer)?),
        };
        self.put(vec![after])?;
        echo.map_or_else(|| self.get(id), |job| Ok(self.answer(&job)))
    }

    /// The status call: one result per id, failures inside a success.
    pub(super) fn set_status(&mut self, status: &str, ids: &[String], user: &str) -> Result<Value, Refusal> {
        let change = match status {
            "Enabled" => lifecycle::enabled,
            "Disabled" => lifecycle::disabled,
            other => {
                return Err(Refusal::invalid(format!("status must be Enabled or Disabled, not `{other}`")));
            }
        };
        self.bulk(ids, user, |_, before| change(before))
    }

    /// The delete call: one result per id, failures inside a success.
    pub(super) fn delete(&mut self, ids: &[String], user: &str) -> Result<Value, Refusal> {
        let user_id = self.user(user);
        let now = self.clock.now();
        self.bulk(ids, user, |tenant, before| {
            if tenant.n_children_of(before.id()) > 0 {
                return Err("Job is linked to other jobs and cannot be deleted".to_owned());
            }
            let mut after = before.clone();
            after.job.insert("deletedBy".to_owned(), user_id.at(now));
            after.deleted = true;
            Ok(after)
        })
    }

    fn bulk(
        &mut self,
        ids: &[String],
        user: &str,
        change: impl Fn(&Self, &StoredJob) -> Result<StoredJob, String>,
    ) -> Result<Value, Refusal> {
        let user = self.user(user);
        let mut results = Vec::new();
        for id in ids {
            // One after the other: deleting a child makes its parent deletable in the same call.
            let Ok(before) = self.find(id) else {
                results.push(bulk_result(id, None, Err("Job not found".to_owned())));
                continue;
            };
            let name = text(&before.job, "name").to_owned();
            let outcome = match change(self, before) {
                Ok(after) if after == *before => Ok(()),
                Ok(mut after) => {
                    mark_updated(&mut after, &Write { user: &user, now: self.clock.now() });
                    self.put(vec![after])?;
                    Ok(())
                }
                Err(error) => Err(error),
            };
            results.push(bulk_result(id, Some(&name), outcome));
        }
        Ok(Value::Array(results))
    }

    fn find(&self, id: &str) -> Result<&StoredJob, Refusal> {
        let stored = self.jobs.get(id).filter(|stored| !stored.deleted);
        stored.ok_or_else(|| no_such_job(id))
    }

    fn answer(&self, job: &Job) -> Value {
        let parent = self.find(text(job, "linkedJobId")).ok();
        let parent = parent.map(|parent| (parent, self.n_children_of(parent.id())));
        full_job(job, parent, self.clock.now())
    }

    fn n_children_of(&self, id: &str) -> usize {
        self.n_children.get(id).copied().unwrap_or(0)
    }

    fn customer_of(&self, job: &Job) -> String {
        let own = text(job, "customerId");
        if own.is_empty() { self.customer.clone() } else { own.to_owned() }
    }

    fn user(&self, name: &str) -> User {
        match self.users.get(name) {
            Some(id) => User { id: id.clone(), name: name.to_owned() },
            None => User::named(name),
        }
    }

    /// A parent that a body names anew must be another job that exists; one that was there before is left alone.
    fn check_parent(&self, before: Option<&StoredJob>, body: &Job) -> Result<(), Refusal> {
        let parent = text(body, "linkedJobId");
        if parent.is_empty() || before.is_some_and(|before| text(&before.job, "linkedJobId") == parent) {
            return Ok(());
        }
        if before.is_some_and(|before| before.id() == parent) {
            return Err(Refusal::invalid("a job cannot be linked to itself"));
        }
        match self.find(parent) {
            Ok(_) => Ok(()),
            Err(_) => Err(Refusal::invalid(format!("linkedJobId names no job: `{parent}`"))),
        }
    }

    /// Keeps changed jobs: in the state file first, then in memory.
    fn put(&mut self, changed: Vec<StoredJob>) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::internal("the simulator was stopped"));
        }
        if let Some(state) = &mut self.state {
            state.append(&changed).map_err(|error| unkept(&error))?;
        }
        for stored in changed {
            self.history.note(stored.id(), self.jobs.get(stored.id()));
            if !stored.deleted {
                count_child(&mut self.n_children, &stored.job, true);
            }
            if let Some(before) = self.jobs.insert(stored.id().to_owned(), stored)
                && !before.deleted
            {
                count_child(&mut self.n_children, &before.job, false);
            }
        }
        if let Some(state) = &mut self.state {
            // The change is kept already; a file that could not be shortened now is shortened later.
            let _later = state.compact_if_grown(&self.jobs);
        }
        Ok(())
    }
}

fn no_such_job(id: &str) -> Refusal {
    Refusal::not_found(format!("no job has the id `{id}`"))
}

/// The whole chain of causes, since only one text reaches the caller.
fn unkept(error: &dyn std::error::Error) -> Refusal {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    Refusal::internal(format!("{error}{cause}"))
}

fn count_child(n_children: &mut HashMap<String, usize>, job: &Job, added: bool) {
    let parent = text(job, "linkedJobId");
    if parent.is_empty() {
        return;
    }
    let count = n_children.entry(parent.to_owned()).or_default();
    *count = if added { *count + 1 } else { count.saturating_sub(1) };
}

/// Brings seed jobs into stored form. Members are left as the seed has them (a seed is what a server answered),
/// except for scripts and chained rules, which are stored in another place than they are answered in.
fn stored_jobs(jobs: Vec<(&Path, Job)>) -> Result<Jobs, SimulatorError> {
    let mut stored = Jobs::new();
    let customers: BTreeSet<String> =
        jobs.iter().map(|(_, job)| text(job, "customerId").to_owned()).collect();
    let customer = customers.into_iter().find(|customer| !customer.is_empty());
    let customer = customer.unwrap_or_else(|| DEFAULT_CUSTOMER.to_owned());
    for (file, mut job) in jobs {
        let id = text(&job, "id").to_owned();
        let damaged = |what: String| SimulatorError::DamagedSeed {
            path: file.to_owned(),
            what: format!("job `{id}`: {what}"),
        };
        if text(&job, "customerId").is_empty() {
            job.insert("customerId".to_owned(), customer.clone().into());
        }
        let contents = match job.shift_remove("_scripts") {
            None => BTreeMap::new(),
            Some(given) => serde_json::from_value::<BTreeMap<String, String>>(given)
                .map_err(|error| damaged(format!("`_scripts` must be an object of texts: {error}")))?,
        };
        let contents: BTreeMap<String, Vec<u8>> =
            contents.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
        lift_rule(&mut job);
        name_actions(&mut job, &id);
        // Only what belongs to another place is taken from the normalised job; the rest stays as the seed has it.
        let mut normalised = job.clone();
        let customer = text(&job, "customerId").to_owned();
        let scripts = normalise(&mut normalised, &contents, &customer, UnknownPath::Synthetic)
            .map_err(|refusal| damaged(refusal.message))?;
        if let Some(path) = contents.keys().find(|path| !scripts.contains_key(*path)) {
            return Err(damaged(format!("`_scripts` names `{path}`, which none of its actions has")));
        }
        for member in ACTION_LISTS.iter().chain(&["chainedJobRule"]) {
            match normalised.shift_remove(*member) {
                Some(value) => job.insert((*member).to_owned(), value),
                None => job.shift_remove(*member),
            };
        }
        stored.insert(id, StoredJob { job, scripts, ..StoredJob::default() });
    }
    Ok(stored)
}

/// Moves the rule of an answered job from its parent's summary to the top level.
fn lift_rule(job: &mut Job) {
    let rule = job.get_mut("linkedToJob").and_then(|parents| parents.pointer_mut("/0/chainedJobRule"));
    let Some(rule) = rule.map(Value::take) else { return };
    if !rule.is_null() && job.get("chainedJobRule").is_none_or(Value::is_null) {
        job.insert("chainedJobRule".to_owned(), rule);
    }
}

/// Gives seed actions without an id one that is the same in every run.
fn name_actions(job: &mut Job, id: &str) {
    for list in ACTION_LISTS {
        for (at, action) in job.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().enumerate()
        {
            if let Value::Object(action) = action
                && text(action, "actionId").is_empty()
            {
                action.insert("actionId".to_owned(), stable_uuid(&format!("action/{id}/{list}/{at}")).into());
            }
        }
    }
}
