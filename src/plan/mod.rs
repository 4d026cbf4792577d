//! The plan: a value that says what would be done, why, and with which requests.
//!
//! Pure: desired set, snapshot and policy in, plan out. What is shown is what is sent. The plan never reads a
//! clock or the network; carrying it out is `apply`'s business.

mod alike;
mod bind;
mod build;
mod dependents;
mod fill;
mod glance;
mod grounds;
mod hold;
mod ignored;
mod job;
mod links;
mod missing;
mod origin;
mod outcome;
mod prune;
mod resolve;
mod same;
mod status;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub use bind::{Binding, Bound, Identity, Remark, about, bind, bind_plainly};
pub use build::{Builder, Steps, build, build_with};
pub use dependents::Dependent;
pub use fill::filled;
pub use glance::is_as_declared;
pub use grounds::Grounds;
pub use hold::{ConsoleChanges, Decisions};
pub use ignored::{Ignored, in_force, managed};
pub use links::{Graph, Known, Node};
pub use missing::{Declared, Doubt, LastEdit, Past, Witness, doubt};
pub use origin::{AtBase, DisabledBy, Left, NoTrails, StampCounts, Trail, Trails, Why};
pub use outcome::{Outcome, OutcomeKind, Values, counts};
pub use prune::{Candidate, Evidence, Prune, PrunePolicy};
pub(crate) use prune::{Removal, dependent};
pub use resolve::ParentJob;
pub use same::Parts;
pub use status::RunOnce;

use crate::diagnostic::Diagnostics;
use crate::fingerprint;
use crate::ignore;
use crate::job::Platform;
use crate::normalise::Normalised;
use crate::patch::Envelope;
use crate::probe::{self, Leftover, Probe};
use crate::record::Record;
use crate::snapshot::{ApiUsers, Edit};
use crate::source::Place;
use crate::stamp::Stamp;

/// What one step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Makes a job.
    Create,
    /// Changes members of a job.
    Update,
    /// Arms a job.
    Enable,
    /// Disarms a job.
    Disable,
    /// Removes a job.
    Delete,
    /// Nothing: something forbids the change.
    Blocked,
    /// Nothing: the change waits for a decision.
    Held,
}

impl Action {
    /// All actions, in the order in which they are counted.
    pub const ALL: [Self; 7] =
        [Self::Create, Self::Update, Self::Enable, Self::Disable, Self::Delete, Self::Blocked, Self::Held];

    /// The word used in output of every kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Delete => "delete",
            Self::Blocked => "blocked",
            Self::Held => "held",
        }
    }

    /// Whether carrying it out writes.
    pub fn writes(self) -> bool {
        match self {
            Self::Create | Self::Update | Self::Enable | Self::Disable | Self::Delete => true,
            Self::Blocked | Self::Held => false,
        }
    }
}

/// Where a difference came from (DESIGN 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The manifest changed after the last apply.
    Git,
    /// The live job was changed after the last apply.
    Console,
    /// Both were.
    Both,
    /// There is no evidence.
    Unknown,
}

impl Origin {
    /// The word used in output of every kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Console => "console",
            Self::Both => "both",
            Self::Unknown => "unknown",
        }
    }
}

/// One member's difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// JSON Pointer from the job's root.
    pub path: String,
    /// The live value in canonical form, `null` for none.
    pub before: Value,
    /// The desired value in canonical form, `null` for none.
    pub after: Value,
    /// What the manifest of the base commit would make of the member, in canonical form; `None` where no base is known
    /// or it did not declare the member.
    pub base: Option<Value>,
    /// Where the difference came from.
    pub origin: Origin,
    /// Where the member is declared; `None` for one that follows from another.
    pub place: Option<Place>,
}

/// A call that changes something.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// `PATCH` or `POST`.
    pub method: &'static str,
    /// Path below the gateway; in a create's later steps the id is not known yet and stands as `{id}`.
    pub path: String,
    /// The body; scripts stand in it as digest and size.
    pub body: Value,
}

/// What a step needs beside its request, to be carried out safely.
#[derive(Clone, Debug)]
pub struct Basis {
    /// The owner that the write stamps the job with.
    pub owner: String,
    /// The declared members that the step was planned with.
    pub declared: Map<String, Value>,
    /// The live job as the plan saw it; nothing where it is to be made.
    pub live: Normalised,
    /// The job as it should be afterwards.
    pub desired: Normalised,
    /// The stamp that the write leaves: in the description, or in the record.
    pub stamp: Stamp,
    /// The description that is written, stamp included; `None` where the record keeps the stamp.
    pub description: Option<String>,
    /// Whether the live scripts are known to be the declared ones.
    pub scripts_are_known: bool,
}

/// One planned step.
#[derive(Clone, Debug)]
pub struct Change {
    /// The manifest's key.
    pub key: String,
    /// The live job's id, where there is one.
    pub id: Option<String>,
    /// The name that people know the job by.
    pub name: String,
    /// The job's platform.
    pub platform: Option<Platform>,
    /// What is done.
    pub action: Action,
    /// Why, for people; nothing branches on it.
    pub reason: String,
    /// Where the manifest stands.
    pub place: Place,
    /// The differences.
    pub fields: Vec<Field>,
    /// The call; `None` where nothing is sent.
    pub request: Option<Request>,
    /// Steps of this plan that must have succeeded before, as `key:action`.
    pub after: Vec<String>,
    /// The schedule in words, before and after, where it changes.
    pub schedule: Option<(String, String)>,
    /// What people should know beside the differences.
    pub notes: Vec<String>,
    /// What carrying it out safely needs; for steps that write.
    pub basis: Option<Basis>,
    /// Whether it arms a job that runs once, which can not be taken back.
    pub is_one_way: bool,
    /// Who edited the live job last, and when; `None` where there is no live job.
    pub edited: Option<Edit>,
    /// Why the origins of differences are not known, each reason once.
    pub unknown: Vec<Why>,
    /// The step as it would be carried out, where it is held until somebody decides.
    pub waiting: Option<Box<Change>>,
}

impl Change {
    /// Name of the step within its plan.
    pub fn step(&self) -> String {
        format!("{}:{}", self.key, self.action.as_str())
    }
}

/// What a plan is made by, beside manifests and live jobs.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The owner in our stamps.
    pub owner: String,
    /// What updates carry.
    pub envelope: Envelope,
    /// Whether the manifests are all that the repository has, and not a selection.
    pub is_whole: bool,
    /// When the plan is made, in milliseconds since 1970-01-01 UTC: a start may be past.
    pub now: i64,
    /// What stands in place of stamps in the jobs' descriptions, where that is configured.
    pub record: Option<Record>,
    /// Who may arm jobs that run once.
    pub run_once: RunOnce,
    /// Login names of the API users that we write as, as far as they are known.
    pub api_users: ApiUsers,
    /// What becomes of differences that did not come from Git alone.
    pub decisions: Decisions,
    /// Keys of the manifests whose scripts are sent again, although the stamp says that they are the applied ones.
    pub set_scripts: Vec<String>,
    /// Keys of the manifests that may remove live scripts whose content can not be read back.
    pub allow_script_loss: Vec<String>,
    /// Names of tags by UUID, from the configuration.
    pub tag_names: BTreeMap<String, String>,
    /// Whether what is wrong with a live job as it would be stops the plan. `drift` only tells of it: an edit in the
    /// console can bring it about, and is then what there is to report.
    pub findings_stop: bool,
    /// Members that are left alone in many jobs, on the day of the plan.
    pub ignore: ignore::Rules,
}

/// What stops a whole plan.
#[derive(Clone, Debug)]
pub struct Guard {
    /// What is over the limit.
    pub reason: String,
    /// What allows it for this once.
    pub help: String,
}

/// The word for updates of which a probe settles what they carry.
pub const PROBE: &str = "probe";

/// The commit that manifests and jobs were compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanBase {
    /// All digits of its id.
    pub commit: String,
    /// The word for who said so: `flag`, `pull_request`, `merge_request`, `last_apply` or `head`.
    pub source: &'static str,
}

/// A member that a manifest stopped declaring: its live value stays.
#[derive(Clone, Debug, PartialEq)]
pub struct NoLongerManaged {
    /// The manifest's key.
    pub key: String,
    /// JSON Pointer from the job's root.
    pub path: String,
    /// The live value in canonical form.
    pub value: Value,
}

/// Everything that would be done, in order.
#[must_use]
#[derive(Clone, Debug)]
pub struct Plan {
    /// The steps.
    pub changes: Vec<Change>,
    /// How many manifests need no step.
    pub n_unchanged: usize,
    /// How many live jobs no manifest names; not known where only some manifests were planned.
    pub n_unmanaged: Option<usize>,
    /// How many manifests there are.
    pub n_manifests: usize,
    /// What updates carry.
    pub envelope: Envelope,
    /// How many live jobs are known to have lost their manifest, where the plan does not remove them.
    pub n_orphans: usize,
    /// Why nothing of it may be carried out, and what allows it.
    pub guard: Option<Guard>,
    /// The first step, where it is not known how the gateway takes updates. Until it has told, whole jobs are sent.
    pub probe: Option<Probe>,
    /// Scratch jobs that earlier probes of ours have left behind; they are removed before anything else.
    pub leftovers: Vec<Leftover>,
    /// How many calls reading a platform's list takes.
    pub list_calls: BTreeMap<Platform, usize>,
    /// Names of tags by UUID, for display.
    pub tag_names: BTreeMap<String, String>,
    /// The commit that manifests and jobs were compared with; `None` where there is none.
    pub base: Option<PlanBase>,
    /// Members that were declared at the base and are no longer, in the order of keys and paths.
    pub no_longer_managed: Vec<NoLongerManaged>,
    /// What rules leave alone although declared and live differ, of the manifests that were looked at in this run: what
    /// is remembered as unchanged is looked at only where that was asked for (`--show-ignored`).
    pub ignored: Vec<Ignored>,
    /// Warnings about the jobs as they would be.
    pub warnings: Diagnostics,
}

impl Plan {
    /// How many steps there are of an action.
    pub fn count(&self, action: Action) -> usize {
        self.changes.iter().filter(|change| change.action == action).count()
    }

    /// Whether anything would be written.
    pub fn has_writes(&self) -> bool {
        self.changes.iter().any(|change| change.action.writes())
    }

    /// Whether live and desired differ, or something stands in the way.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many calls carrying it out takes if nothing goes wrong: read, write, read back for each change, and write
    /// and read back for each new job. Before the first job of a platform is made or removed its list is read anew.
    ///
    /// Source: DESIGN 7, "a change costs at most three calls".
    pub fn calls_needed(&self) -> usize {
        let changes = [Action::Update, Action::Enable, Action::Disable, Action::Delete];
        let changes: usize = changes.into_iter().map(|action| self.count(action)).sum();
        let listed = |platform: &Platform| {
            self.changes.iter().any(|change| {
                matches!(change.action, Action::Create | Action::Delete) && change.platform == Some(*platform)
            })
        };
        let lists: usize = self.list_calls.iter().filter(|(on, _)| listed(on)).map(|(_, n)| n).sum();
        let probe = self.probe.as_ref().map_or(0, |_| probe::CALLS);
        let leftovers = self.leftovers.len() * probe::CALLS_OF_REMOVAL;
        changes * 3 + self.count(Action::Create) * 2 + lists + probe + leftovers
    }

    /// Makes a probe the first step, where the plan has updates; what they carry is settled by it.
    ///
    /// The requests are the smallest ones, and show exactly what changes. Where the probe does not tell, or nobody
    /// carries it out, whole jobs are sent, which suits every server.
    pub fn probe_first(&mut self, owner: &str) {
        self.envelope = Envelope::Full;
        let mut updates = self.changes.iter().filter(|change| change.action == Action::Update);
        self.probe = updates.next().map(|first| Probe {
            owner: owner.to_owned(),
            platform: first.platform.unwrap_or(Platform::Windows),
        });
    }

    /// What the requests carry as they stand in the plan.
    pub fn shown_envelope(&self) -> Envelope {
        if self.probe.is_some() { Envelope::Minimal } else { self.envelope }
    }

    /// How it is settled what updates carry, in a word: `minimal`, `full`, or `probe`.
    pub fn updates(&self) -> &'static str {
        if self.probe.is_some() { PROBE } else { self.envelope.as_str() }
    }

    /// Says whether two plans are the same: keys, ids, actions, what updates carry, requests, and the values they were
    /// made against ([`Change::facts`]).
    ///
    /// What a job counts by itself and who edited it last are not in it, so that it lasts from a review to an apply.
    pub fn fingerprint(&self) -> String {
        let updates = (self.count(Action::Update) > 0).then(|| self.updates());
        let changes: Vec<Value> = self.changes.iter().map(Change::facts).collect();
        fingerprint::of_value(&json!([updates, changes]))
    }
}
