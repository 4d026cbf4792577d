#![expect(
    clippy::disallowed_methods,
    reason = "writes and reads the files of saved plans, and says when one was made"
)]

//! Saved plans as files: `plan --out FILE`, `apply --plan FILE` and `--expect`. What they mean is [`crate::saved`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::args::{ApplyArgs, Common, PlanningArgs};
use super::planning::{Made, job, read_failed};
use super::session::{Failure, Session};
use super::settings::Settings;
use crate::api::ReadApi;
use crate::config::Updates;
use crate::files::{self, Readers};
use crate::inventory::Inventory;
use crate::plan::{Action, Guard, Plan, Prune};
use crate::render::text::{clean, count};
use crate::saved::{self, Judged, Look, Options, SavedPlan};

/// The flags that decide what a plan holds.
fn options(common: &Common, planning: &PlanningArgs) -> Options {
    Options {
        updates: planning.updates.map(|updates| updates.as_str().to_owned()),
        only: common.only.clone(),
        base: planning.base.clone(),
        allow_create: planning.allow_create.clone(),
        allow_run_once: planning.allow_run_once.clone(),
        set_scripts: planning.set_scripts.clone(),
        allow_script_loss: planning.allow_script_loss.clone(),
        prune: planning.prune.map(|prune| word(prune).to_owned()),
        max_deletes: planning.max_deletes,
        allow_unknown_fields: common.allow_unknown_fields,
        overrides: planning.overrides.clone(),
    }
}

fn word(prune: Prune) -> &'static str {
    match prune {
        Prune::Known => "known",
        Prune::Scan => "scan",
    }
}

/// Writes a plan to a file, whole or not at all, for its owner's eyes only.
pub(super) fn save(
    path: &Path,
    made: &Made,
    common: &Common,
    planning: &PlanningArgs,
    settings: &Settings,
    session: &Session,
) -> Result<(), Failure> {
    let document = SavedPlan::of(
        &made.plan,
        &made.scripts,
        saved::Made {
            created_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            gateway: session.identity.clone(),
            subscription: made.subscription.clone(),
            owner: settings.owner.clone(),
            options: options(common, planning),
        },
    );
    files::put(path, document.text().as_bytes(), Readers::Owner).map_err(|error| {
        let message = format!("the plan could not be saved as `{}`", path.display());
        let help = "--out names a file in a folder that is there; nothing was changed";
        Failure::Error(vec![message, error.to_string()], Some(help.to_owned()))
    })
}

/// A saved plan that is to be carried out, with the flags that it was made with.
pub(super) struct Saved {
    path: PathBuf,
    plan: SavedPlan,
    pub(super) common: Common,
    pub(super) args: ApplyArgs,
}

impl Saved {
    /// Reads the file that `--plan` names, if it was given.
    pub(super) fn open(args: &ApplyArgs, common: &Common) -> Result<Option<Self>, Failure> {
        let Some(path) = &args.plan else { return Ok(None) };
        let refused = |cause: String, help: String| {
            let message = format!("the saved plan `{}` can not be used", path.display());
            Failure::Error(vec![message, cause], Some(format!("{help}; nothing was changed")))
        };
        let text = std::fs::read(path).map_err(|error| {
            refused(error.to_string(), "--plan takes a file that `patchctl plan --out FILE` wrote".to_owned())
        })?;
        let plan = SavedPlan::read(&text).map_err(|error| refused(error.message, error.help))?;
        let damaged = |what: &str| {
            let help = "make a new one with `patchctl plan --out FILE`";
            refused(format!("it holds an option that this build does not know: {what}"), help.to_owned())
        };
        contradictions(&options(common, &args.planning), &plan.options)?;
        let (mut common, mut args) = (common.clone(), args.clone());
        let options = plan.options.clone();
        let updates = match options.updates.as_deref() {
            // Whatever the gateway is known to do, the whole job is right; and it is what the plan shows.
            _ if plan.updates == Updates::Full.as_str() => Some(Updates::Full),
            None => None,
            Some(word) => {
                let all = [Updates::Auto, Updates::Minimal, Updates::Full];
                Some(all.into_iter().find(|updates| updates.as_str() == word).ok_or_else(|| damaged(word))?)
            }
        };
        let prune = match options.prune.as_deref() {
            None => None,
            Some(text) => {
                let all = [Prune::Known, Prune::Scan];
                Some(all.into_iter().find(|prune| word(*prune) == text).ok_or_else(|| damaged(text))?)
            }
        };
        common.only = options.only;
        common.allow_unknown_fields = options.allow_unknown_fields;
        // What was held when it was shown is decided by applying it.
        let mut overrides = options.overrides;
        overrides.extend(plan.steps.iter().filter(|step| step.held).map(|step| step.key.clone()));
        args.planning = PlanningArgs {
            updates,
            overrides,
            set_scripts: options.set_scripts,
            allow_script_loss: options.allow_script_loss,
            base: options.base,
            allow_create: options.allow_create,
            allow_run_once: options.allow_run_once,
            prune,
            max_deletes: options.max_deletes,
            ..args.planning
        };
        // Whoever saved it has seen it: the file is the approval.
        args.auto_approve = true;
        Ok(Some(Self { path: path.clone(), plan, common, args }))
    }

    /// Refuses a plan that was made for another owner.
    pub(super) fn check_owner(&self, settings: &Settings) -> Result<(), Failure> {
        self.check("owner", &self.plan.owner, &settings.owner)
    }

    /// Refuses a plan that was made at another gateway.
    pub(super) fn check_gateway(&self, identity: &str) -> Result<(), Failure> {
        self.check("gateway", &self.plan.gateway, identity)
    }

    /// Refuses a plan that was made for another subscription; where no live job told it, there is none to compare.
    pub(super) fn check_subscription(&self, answered: &str) -> Result<(), Failure> {
        let is_known = !self.plan.subscription.is_empty() && !answered.is_empty();
        if is_known { self.check("subscription", &self.plan.subscription, answered) } else { Ok(()) }
    }

    fn check(&self, what: &str, planned: &str, found: &str) -> Result<(), Failure> {
        if planned == found {
            return Ok(());
        }
        let message = format!("the saved plan `{}` was made for another {what}", self.path.display());
        let cause = format!("it is for {}, and this is {}", clean(planned), clean(found));
        let help = "apply it where it was made for, or make a new plan; nothing was changed";
        Err(Failure::Error(vec![message, cause], Some(help.to_owned())))
    }

    /// Decides which steps are carried out.
    pub(super) async fn judge<A: ReadApi>(
        &self,
        made: &mut Made,
        inventory: &Inventory,
        api: &A,
    ) -> Result<Judged, Failure> {
        let Made { plan, scripts, details, bound, .. } = made;
        let planned: BTreeSet<String> = plan.changes.iter().filter_map(|change| change.id.clone()).collect();
        let mut live = BTreeMap::new();
        let bound = bound.iter().map(|(key, id)| (key.as_str(), id.as_str())).collect();
        for id in saved::moved_ids(&self.plan, plan, scripts, &bound) {
            // What the plan was just made from is fresh; of other jobs only the API knows whether they are there.
            let job = if planned.contains(&id) {
                job(details, &id, api).await?
            } else {
                api.get_job(&id).await.map_err(read_failed)?.map(crate::snapshot::LiveJob::new)
            };
            live.insert(id, job);
        }
        let keys = inventory.summaries.iter().map(|summary| summary.key.as_str()).collect();
        let look = Look { fresh: plan, scripts, keys: &keys, bound: &bound, live: &live };
        Ok(saved::judge(&self.plan, look))
    }

    /// The steps that were held when the plan was made, and are decided for Git by its approval.
    pub(super) fn held_steps(&self) -> BTreeSet<String> {
        self.plan.steps.iter().filter(|step| step.held).map(saved::Step::step).collect()
    }

    fn n_steps(&self) -> usize {
        self.plan.steps.iter().filter(|step| step.writes()).count()
    }

    /// One line for people: which plan it is, and how much of it holds still.
    pub(super) fn words(&self, n_going: usize) -> String {
        let n_steps = self.n_steps();
        let how_many = match n_steps {
            0 => "it has no steps".to_owned(),
            n if n == n_going => format!(
                "all of its {} still the same",
                if n == 1 { "1 step is".to_owned() } else { format!("{n} steps are") }
            ),
            n => format!(
                "{n_going} of its {} still the same",
                if n == 1 { "1 step is".to_owned() } else { format!("{n} steps are") }
            ),
        };
        format!("Saved plan {} of {}: {how_many}.\n", self.path.display(), clean(&self.plan.created_at))
    }

    /// The same for programs.
    pub(super) fn json(&self, n_going: usize) -> Value {
        json!({
            "created_at": self.plan.created_at,
            "program": self.plan.program,
            "fingerprint": self.plan.fingerprint,
            "steps": self.n_steps(),
            "same": n_going,
        })
    }
}

/// The flags that were given must be those that the plan was made with, or be left out.
fn contradictions(given: &Options, planned: &Options) -> Result<(), Failure> {
    let lists = [
        ("--only", &given.only, &planned.only),
        ("--allow-create", &given.allow_create, &planned.allow_create),
        ("--allow-run-once", &given.allow_run_once, &planned.allow_run_once),
        ("--set-scripts", &given.set_scripts, &planned.set_scripts),
        ("--allow-script-loss", &given.allow_script_loss, &planned.allow_script_loss),
        ("--override", &given.overrides, &planned.overrides),
    ];
    let lists = lists.into_iter().filter(|(_, given, planned)| !given.is_empty() && given != planned);
    let number = |n: Option<usize>| n.map(|n| n.to_string());
    let (given_most, planned_most) = (number(given.max_deletes), number(planned.max_deletes));
    let single = [
        ("--updates", &given.updates, &planned.updates),
        ("--base", &given.base, &planned.base),
        ("--prune", &given.prune, &planned.prune),
        ("--max-deletes", &given_most, &planned_most),
    ];
    let single = single.into_iter().filter(|(_, given, planned)| given.is_some() && given != planned);
    let unknown = given.allow_unknown_fields && !planned.allow_unknown_fields;
    let mut flags: Vec<&str> = lists.map(|(flag, ..)| flag).chain(single.map(|(flag, ..)| flag)).collect();
    flags.extend(unknown.then_some("--allow-unknown-fields"));
    match flags.first() {
        None => Ok(()),
        Some(flag) => Err(Failure::Usage(
            format!("{flag} is not as it was when the saved plan was made"),
            "leave it out: --plan brings the flags of the plan along; or make a new plan".to_owned(),
        )),
    }
}

/// Stops a plan that is not the one that `--expect` names; returns whether it did.
pub(super) fn expect(plan: &mut Plan, fingerprint: &str, expected: Option<&str>) -> bool {
    let Some(expected) = expected.filter(|expected| !expected.eq_ignore_ascii_case(fingerprint)) else {
        return false;
    };
    plan.guard = Some(Guard {
        reason: format!("the plan has the fingerprint {fingerprint}, and --expect says {expected}"),
        help: "something moved since the plan that was looked at: look at this one; if it is right, give its fingerprint"
            .to_owned(),
    });
    true
}

/// How many calls the steps take that are carried out.
pub(super) fn calls_needed(plan: &Plan, judged: &Judged) -> usize {
    if judged.decided.is_empty() {
        return plan.calls_needed();
    }
    let mut going = plan.clone();
    let mut at = 0;
    going.changes.retain(|_| {
        at += 1;
        !judged.decided.contains_key(&(at - 1))
    });
    going.probe = going.probe.filter(|_| going.changes.iter().any(|change| change.action == Action::Update));
    going.calls_needed()
}

/// What `plan --out` says of the file.
pub(super) fn saved_words(path: &Path, plan: &Plan) -> String {
    let n_steps = plan.changes.iter().filter(|change| change.action.writes()).count();
    let n_held = plan.changes.iter().filter(|change| change.waiting.is_some()).count();
    // The file is the approval, so whoever saves one is told what it approves beside what is planned.
    let held = match n_held {
        0 => String::new(),
        1 => ", with 1 held step: whoever applies it decides that one for Git".to_owned(),
        n => format!(", with {n} held steps: whoever applies it decides them for Git"),
    };
    format!(
        "saved {} as `{1}`{held}; carry it out with `patchctl apply --plan {1}`",
        count(n_steps, "step"),
        path.display()
    )
}
