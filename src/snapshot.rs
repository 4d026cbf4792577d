//! What was read of the live jobs: rows of the list call, and whole jobs for those bound to manifests.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fingerprint;
use crate::job::{self, Platform};
use crate::lean::Lean;
use crate::normalise::{self, Normalised};
use crate::stamp;

/// One row of the list call, as far as it is needed (REFERENCE section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRow {
    /// The job's id, in small letters.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its platform; `None` for one that this build does not know.
    pub platform: Option<Platform>,
    /// Names of the tags the job uses, by UUID.
    pub tag_names: BTreeMap<String, String>,
    /// Its status, as the job object would say it.
    pub status: Option<String>,
    /// When the job was changed last, milliseconds since 1970-01-01 UTC.
    pub updated_at: Option<i64>,
    /// Login name of whoever changed it last.
    pub updated_by: Option<String>,
    /// Who made it, and when.
    pub created: Edit,
    /// Its `scheduleType`, as the row has it.
    pub schedule_type: Option<String>,
    /// Its `startDateTime`, as the row has it.
    pub start: Option<String>,
    /// Its `timezone`, as the row has it.
    pub timezone: Option<String>,
    /// When it runs next, milliseconds since 1970-01-01 UTC.
    pub next_run_at: Option<i64>,
    /// The job that it is linked to, in small letters.
    pub linked_job_id: Option<String>,
    /// How many jobs are linked to it; `None` where the row does not say.
    pub n_children: Option<u64>,
    /// Digest of everything in the row that does not move by itself.
    pub digest: String,
}

impl ListRow {
    /// Reads a row; `None` for one without an id, which can not be spoken about.
    pub fn read(row: &Value) -> Option<Self> {
        Self::of(&Lean::from(row))
    }

    /// The same for a row as it was answered.
    pub fn of(row: &Lean<'_>) -> Option<Self> {
        let text = |name: &str| row.get(name).and_then(Lean::as_str);
        let tags = row.get("tags").and_then(Lean::as_list).into_iter().flatten().filter_map(|tag| {
            let id = tag.get("id")?.as_str()?.to_ascii_lowercase();
            Some((id, tag.get("name")?.as_str()?.to_owned()))
        });
        let [updated, created] = ["updated", "created"].map(|name| Edit::of(row.get(name)));
        Some(Self {
            id: text("id")?.to_ascii_lowercase(),
            name: text("name").unwrap_or_default().to_owned(),
            platform: text("platform").and_then(Platform::parse),
            tag_names: tags.collect(),
            status: text("status").map(str::to_owned),
            updated_at: updated.at,
            updated_by: updated.user,
            created,
            schedule_type: text("scheduleType").map(str::to_owned),
            start: text("startDateTime").filter(|text| !text.is_empty()).map(str::to_owned),
            timezone: text("timezone").filter(|text| !text.is_empty()).map(str::to_owned),
            next_run_at: row.get("nextScheduleDateTime").and_then(milliseconds).filter(|at| *at > 0),
            linked_job_id: text("linkedJobId").filter(|id| !id.is_empty()).map(str::to_ascii_lowercase),
            n_children: row.get("linkedJobReferenceCount").and_then(count),
            digest: digest(row),
        })
    }

    /// Who changed the job last, as far as the list says it: without the user's id.
    pub fn last_edit(&self) -> Edit {
        Edit { user_id: None, user: self.updated_by.clone(), at: self.updated_at }
    }
}

/// Milliseconds, which may come as digits in a text.
fn milliseconds(value: &Lean<'_>) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A number of things, which may come as digits in a text.
fn count(value: &Lean<'_>) -> Option<u64> {
    milliseconds(value).and_then(|count| u64::try_from(count).ok())
}

/// Digest of a row without counters, progress and run times.
fn digest(row: &Lean<'_>) -> String {
    let members = row.as_object().unwrap_or_default();
    fingerprint::short_of_members(members.iter().filter(|(name, _)| !job::is_volatile_in_list(name)))
}

/// Who changed a job last, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// The user's id.
    pub user_id: Option<String>,
    /// The user's login name.
    pub user: Option<String>,
    /// Milliseconds since 1970-01-01 UTC: the revision of the job, compared only for equality.
    pub at: Option<i64>,
}

impl Edit {
    /// Reads `updatedBy` of a job as the API answered it.
    pub fn last_of(job: &Value) -> Self {
        Self::of(job.get("updatedBy").map(Lean::from).as_ref())
    }

    /// Reads `createdBy` of a job as the API answered it.
    pub fn made_of(job: &Value) -> Self {
        Self::of(job.get("createdBy").map(Lean::from).as_ref())
    }

    /// Whoever it was, if it was not us, writing as one of our API users; `None` where it was us, and where nobody can
    /// tell.
    ///
    /// Our own status call is an edit, too, so being the last editor is what counts, and not what was edited.
    pub fn by_others(&self, us: &ApiUsers) -> Option<&str> {
        let them = self.user.as_deref().filter(|them| !them.is_empty())?;
        (us.are_known() && !us.has(them)).then_some(them)
    }

    /// Reads who did something and when, as rows and jobs say it.
    fn of(by: Option<&Lean<'_>>) -> Self {
        let user = by.and_then(|by| by.get("user"));
        let text = |name: &str| Some(user?.get(name)?.as_str()?.to_owned());
        let at = by.and_then(|by| by.get("date")).and_then(milliseconds);
        Self { user_id: text("id"), user: text("name"), at }
    }
}

/// Login names of the API users that this repository is written as: a pipeline may read as one and write as another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiUsers(Vec<String>);

impl ApiUsers {
    /// These names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// One more.
    pub fn add(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    /// Whether any is known; else nobody can be told from ourselves.
    pub fn are_known(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether it is one of them; upper and lower case are the same.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|user| user.eq_ignore_ascii_case(name))
    }
}

/// When a job was changed last, as its answer says it: [`Edit::at`] without the rest.
pub(crate) fn updated_at(job: &Lean<'_>) -> Option<i64> {
    milliseconds(job.get("updatedBy")?.get("date")?)
}

/// A whole live job.
#[derive(Clone, Debug)]
pub struct LiveJob {
    /// The job as the API answered it.
    pub raw: Value,
    /// The same, normalised.
    pub normalised: Normalised,
    /// What stood at the end of its description.
    pub stamp: stamp::Found,
}

impl LiveJob {
    /// Reads a job as the API answered it.
    pub fn new(raw: Value) -> Self {
        let normalised = normalise::live(&raw);
        let description = raw.get("description").and_then(Value::as_str).unwrap_or_default();
        let stamp = stamp::split(description).1;
        Self { raw, normalised, stamp }
    }

    /// Who changed it last; `updatedBy` of a job that nobody changed since it was made names nobody.
    pub fn last_edit(&self) -> Edit {
        Edit::last_of(&self.raw)
    }

    /// Who changed it last, or else made it.
    pub fn last_hand(&self) -> Edit {
        let last = self.last_edit();
        if last == Edit::default() { Edit::made_of(&self.raw) } else { last }
    }

    /// The subscription it belongs to.
    pub fn customer_id(&self) -> Option<&str> {
        self.raw.get("customerId").and_then(Value::as_str)
    }
}

/// All that one run read.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The rows of all platforms in use, sorted by id.
    pub rows: Vec<ListRow>,
    /// Whole jobs by id; `None` for an id that the API does not know.
    pub jobs: BTreeMap<String, Option<LiveJob>>,
}

impl Snapshot {
    /// Keeps the rows in an order that does not depend on the server's.
    pub fn new(mut rows: Vec<ListRow>) -> Self {
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        Self { rows, jobs: BTreeMap::new() }
    }

    /// Names of all tags that rows tell.
    pub fn tag_names_of(rows: &[ListRow]) -> BTreeMap<String, String> {
        rows.iter().flat_map(|row| row.tag_names.clone()).collect()
    }
}
