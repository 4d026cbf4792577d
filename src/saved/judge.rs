//! What becomes of each step of a saved plan, now that the plan was made afresh.

use std::collections::{BTreeMap, BTreeSet};

use super::{SavedPlan, Step, action};
use crate::diff::FieldChange;
use crate::normalise;
use crate::plan::{self, Action, Change, Origin, Outcome, OutcomeKind, Plan};
use crate::render::text::{dotted, value};
use crate::script::{self, Scripts};
use crate::snapshot::LiveJob;
use crate::source::{Place, SourceFile, Span};
use crate::stamp::{self, Found};

/// What a saved plan is held against.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The plan as it was made now.
    pub fresh: &'a Plan,
    /// The scripts of the fresh plan.
    pub scripts: &'a Scripts,
    /// Keys of all manifests that there are.
    pub keys: &'a BTreeSet<&'a str>,
    /// Keys of manifests and ids of the live jobs that they are bound to.
    pub bound: &'a BTreeMap<&'a str, &'a str>,
    /// The live jobs that [`moved_ids`] names, as they are now; `None` for one that is gone.
    pub live: &'a BTreeMap<String, Option<LiveJob>>,
}

/// What becomes of every step of both plans.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// Steps that only the saved plan has, with what became of them.
    pub gone: Vec<(Change, Outcome)>,
    /// Steps of the fresh plan that are not carried out, by their position in it.
    pub decided: BTreeMap<usize, Outcome>,
    /// How many steps of the saved plan are carried out.
    pub n_going: usize,
}

/// Ids of the live jobs whose state says what became of steps that are not the same any more.
///
/// A job that the plan was to make has its id from the binding of its manifest.
pub fn moved_ids(
    saved: &SavedPlan,
    fresh: &Plan,
    scripts: &Scripts,
    bound: &BTreeMap<&str, &str>,
) -> BTreeSet<String> {
    let fresh = by_name(fresh, scripts);
    let moved = saved.steps.iter().filter(|step| {
        step.writes() && fresh.get(&step.step()).is_none_or(|(_, now)| now.facts() != step.facts())
    });
    moved.filter_map(|step| id_of(step, bound)).collect()
}

/// Decides for every step of both plans whether it is carried out.
///
/// A step goes if it is the same in both: key, id, action, request, before-values, and what it was judged by. One whose
/// work is done is `unchanged`, every other one of the saved plan is `stale`, and what only the fresh plan holds is
/// `held`. Steps that wait for one that is not carried out are left to the executor, which skips them.
pub fn judge(saved: &SavedPlan, look: Look<'_>) -> Judged {
    let Look { fresh, scripts, .. } = look;
    let now = by_name(fresh, scripts);
    let mut judged = Judged::default();
    let mut going = BTreeSet::new();
    let mut lost = BTreeSet::new();
    for step in saved.steps.iter().filter(|step| step.writes()) {
        let name = step.step();
        match now.get(&name) {
            Some((at, twin)) => match difference(saved, step, twin, look) {
                None => {
                    going.insert(*at);
                }
                Some(outcome) => {
                    judged.decided.insert(*at, outcome);
                }
            },
            None => {
                let outcome = without_twin(step, look);
                if outcome.kind != OutcomeKind::Unchanged {
                    lost.insert(name);
                }
                judged.gone.extend(change(step).map(|change| (change, outcome)));
            }
        }
    }
    let waits: BTreeMap<String, &Step> = saved.steps.iter().map(|step| (step.step(), step)).collect();
    for (at, change) in fresh.changes.iter().enumerate().filter(|(_, change)| change.action.writes()) {
        if !going.contains(&at) {
            judged.decided.entry(at).or_insert_with(|| {
                Outcome::said(OutcomeKind::Held, "new since the plan was made")
                    .helped("nothing was written; make a new plan to have it carried out")
            });
            continue;
        }
        // A step that went from the plan altogether is none that the executor knows of.
        let after = waits.get(&change.step()).map(|step| step.after.as_slice()).unwrap_or_default();
        if let Some(step) = after.iter().find(|step| lost.contains(*step)) {
            let words = format!("waits for `{step}`, which was not carried out");
            judged.decided.insert(at, Outcome::said(OutcomeKind::Skipped, words));
        } else {
            judged.n_going += 1;
        }
    }
    judged
}

fn id_of(step: &Step, bound: &BTreeMap<&str, &str>) -> Option<String> {
    step.id.clone().or_else(|| bound.get(step.key.as_str()).map(|id| (*id).to_owned()))
}

/// The steps of a plan as documents, by name, with their positions.
fn by_name(plan: &Plan, scripts: &Scripts) -> BTreeMap<String, (usize, Step)> {
    let steps = plan.changes.iter().enumerate();
    steps
        .map(|(at, change)| {
            // What is held now is not what waits behind it.
            let step = match &change.waiting {
                Some(_) => Step::of(&Change { waiting: None, ..change.clone() }, scripts),
                None => Step::of(change, scripts),
            };
            (change.step(), (at, step))
        })
        .collect()
}

fn stale(words: impl Into<String>) -> Outcome {
    Outcome::said(OutcomeKind::Stale, words)
        .helped("nothing was written; make a new plan, look at what moved, and apply that one")
}

/// What moved between a step and the one that stands in its place now; `None` if it is the same.
fn difference(saved: &SavedPlan, step: &Step, now: &Step, look: Look<'_>) -> Option<Outcome> {
    let updates = look.fresh.updates();
    // Whoever approved that a probe tells has approved both that it can tell.
    let is_other_envelope =
        step.action == Action::Update.as_str() && saved.updates != updates && saved.updates != plan::PROBE;
    if step.facts() == now.facts() && !is_other_envelope {
        return None;
    }
    let mut outcome = stale("the change is not the one that was planned");
    // Whether it is the live job that is not as it was: only then is it said who edited it last.
    let mut live_moved = false;
    let mut lines = script_lines(step, now);
    if is_other_envelope {
        lines.push(match updates {
            plan::PROBE => format!(
                "updates carried `{}` when the plan was made; now it is not known how this gateway takes them, and a \
                 probe would have to tell",
                saved.updates
            ),
            _ => format!(
                "updates carried `{}` when the plan was made, and carry `{updates}` now",
                saved.updates
            ),
        });
    }
    if step.id != now.id {
        let shown = |id: &Option<String>| id.clone().unwrap_or_else(|| "a new job".to_owned());
        lines.push(format!("it was about {}, and is about {} now", shown(&step.id), shown(&now.id)));
    }
    for field in &step.fields {
        let path = dotted(&field.path);
        match now.fields.iter().find(|other| other.path == field.path) {
            None => {
                live_moved = true;
                lines.push(format!("`{path}` is to be changed no longer"));
            }
            Some(other) => {
                if other.before != field.before {
                    live_moved = true;
                    outcome.fields.push(FieldChange {
                        pointer: field.path.clone(),
                        before: field.before.clone(),
                        after: other.before.clone(),
                    });
                }
                if other.after != field.after && script::declared_digest(&other.after).is_none() {
                    let (then, now) = (value(&field.after), value(&other.after));
                    lines.push(format!("`{path}` was to become {then}, and is to become {now} now"));
                }
            }
        }
    }
    for field in now.fields.iter().filter(|other| step.fields.iter().all(|field| field.path != other.path)) {
        live_moved = true;
        let path = dotted(&field.path);
        lines.push(format!("`{path}` differs now, too: {} -> {}", value(&field.before), value(&field.after)));
    }
    let names = moved_members(step, now);
    if !names.is_empty() {
        live_moved = true;
        lines.push(format!("the job is another than the one that was looked at: {} moved", names.join(", ")));
    }
    if lines.is_empty() && outcome.fields.is_empty() {
        live_moved = true;
        lines.extend(moved_beside(step, now));
    }
    outcome.error.extend(lines);
    if live_moved {
        let live = now.id.as_ref().and_then(|id| look.live.get(id)).and_then(Option::as_ref);
        outcome.edit = live.map(LiveJob::last_edit);
    }
    Some(outcome)
}

/// Scripts of the plan that are not what is sent now, by their files.
fn script_lines(step: &Step, now: &Step) -> Vec<String> {
    let changed = step.scripts.iter().filter(|script| !now.scripts.contains(script));
    changed
        .map(|script| {
            let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
            let then = short(&script.sha256);
            match &script.file {
                Some(file) => match now.scripts.iter().find(|other| other.file == script.file) {
                    Some(other) => format!(
                        "the script file `{file}` is not what it was: sha256 {then}… then, {}… now",
                        short(&other.sha256)
                    ),
                    None => format!("the script file `{file}` (sha256 {then}…) is not what is sent now"),
                },
                None => format!("a script in the manifest is not what it was (sha256 {then}…)"),
            }
        })
        .collect()
}

/// Members of the whole job that are not as they were when the step was judged by it.
fn moved_members(step: &Step, now: &Step) -> Vec<String> {
    let empty = BTreeMap::new();
    let (then, now) = (step.judged_by.as_ref().unwrap_or(&empty), now.judged_by.as_ref().unwrap_or(&empty));
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    names
        .into_iter()
        .filter(|name| then.get(*name) != now.get(*name))
        .map(|name| format!("`{name}`"))
        .collect()
}

/// What else is sent along, inside of a member that is sent whole.
fn moved_beside(step: &Step, now: &Step) -> Vec<String> {
    let (then, now) = (step.body(), now.body());
    let names: BTreeSet<&String> =
        then.as_object().into_iter().chain(now.as_object()).flat_map(|body| body.keys()).collect();
    let moved: Vec<String> = names
        .into_iter()
        .filter(|name| then.get(name) != now.get(name))
        .map(|name| format!("`{name}`"))
        .collect();
    if moved.is_empty() {
        vec!["the request is not the one that was planned".to_owned()]
    } else {
        vec![format!("something else inside of {}, which is sent whole, moved", moved.join(", "))]
    }
}

/// What became of a step that the fresh plan does not hold.
fn without_twin(step: &Step, look: Look<'_>) -> Outcome {
    let others: Vec<&Change> = look.fresh.changes.iter().filter(|change| change.key == step.key).collect();
    if let Some(stopped) = others.iter().find(|change| !change.action.writes()) {
        let mut outcome = stale(format!("it is {} now: {}", stopped.action.as_str(), stopped.reason));
        outcome.notes.clone_from(&stopped.notes);
        outcome.edit = edit(step, look);
        return outcome;
    }
    let edits =
        others.iter().any(|change| matches!(change.action, Action::Create | Action::Update | Action::Delete));
    if !edits && is_done(step, look) {
        return Outcome::plain(OutcomeKind::Unchanged);
    }
    if step.action == Action::Delete.as_str() {
        let words = "the job is to be deleted no longer: there is a manifest for it, or nothing proves that it is ours";
        return Outcome { edit: edit(step, look), ..stale(words) };
    }
    if !look.keys.contains(step.key.as_str()) {
        return stale("its manifest is gone");
    }
    let words = match others.first() {
        Some(other) => format!("the plan has `{}` in its place now", other.step()),
        None => "nothing asks for it any more: the manifest or the live job changed".to_owned(),
    };
    Outcome { edit: edit(step, look), ..stale(words) }
}

/// Who edited the job of a step last, where that is known.
fn edit(step: &Step, look: Look<'_>) -> Option<crate::snapshot::Edit> {
    let live = look.live.get(&id_of(step, look.bound)?)?.as_ref()?;
    Some(live.last_edit())
}

/// Whether the work of a step is done already, whoever did it.
fn is_done(step: &Step, look: Look<'_>) -> bool {
    let live = id_of(step, look.bound).and_then(|id| look.live.get(&id));
    let is_armed = |job: &LiveJob| normalise::is_armed(job.normalised.text("status"));
    match (action(&step.action), live) {
        (Some(Action::Delete), Some(None)) => true,
        // There is nothing left to do for its manifest, so the job is what was to be made.
        (Some(Action::Create), _) => look.bound.contains_key(step.key.as_str()),
        (Some(Action::Enable), Some(Some(job))) => is_armed(job),
        (Some(Action::Disable), Some(Some(job))) => !is_armed(job),
        (Some(Action::Update), Some(Some(job))) => is_as_planned(step, job),
        (_, _) => false,
    }
}

/// Whether a job is what an update was to make of it.
fn is_as_planned(step: &Step, job: &LiveJob) -> bool {
    let (scripts, plain): (Vec<_>, Vec<_>) =
        step.fields.iter().partition(|field| field.after.to_string().contains("\"sha256\""));
    let holds = plain
        .iter()
        .all(|field| job.normalised.at(&field.path).unwrap_or(&serde_json::Value::Null) == &field.after);
    // A content can not be read back: that it was written is known from the stamp that was to be written with it.
    holds
        && (scripts.is_empty()
            || planned_contents(step).is_some_and(|planned| Some(planned) == contents(&job.stamp)))
}

fn planned_contents(step: &Step) -> Option<String> {
    let description = step.request.as_ref()?.body.get("description")?.as_str()?;
    contents(&stamp::split(description).1)
}

fn contents(found: &Found) -> Option<String> {
    match found {
        Found::Stamp(stamp) => Some(stamp.contents.clone()),
        Found::Damaged | Found::None => None,
    }
}

/// A step of a saved plan as one that can be shown beside those of the fresh plan; it is never carried out.
fn change(step: &Step) -> Option<Change> {
    // A text of as many lines, so that the place is the one of the document.
    let line = step.source.line.min(MOST_LINES);
    let file = SourceFile::new(step.source.file.as_str(), "\n".repeat(line));
    let at = line.saturating_sub(1);
    let methods = ["POST", "PATCH", "DELETE", "PUT"];
    Some(Change {
        key: step.key.clone(),
        id: step.id.clone(),
        name: step.name.clone(),
        platform: step.platform(),
        action: action(&step.action)?,
        reason: step.reason.clone(),
        place: Place::new(&file, Span::new(at, at)),
        fields: step
            .fields
            .iter()
            .map(|field| plan::Field {
                path: field.path.clone(),
                before: field.before.clone(),
                after: field.after.clone(),
                base: None,
                origin: origin(&field.origin),
                place: None,
            })
            .collect(),
        request: step.request.as_ref().and_then(|request| {
            let method = methods.into_iter().find(|method| *method == request.method)?;
            Some(plan::Request { method, path: request.path.clone(), body: request.body.clone() })
        }),
        after: step.after.clone(),
        schedule: None,
        notes: step.notes.clone(),
        basis: None,
        is_one_way: step.one_way,
        unknown: Vec::new(),
        waiting: None,
        edited: None,
    })
}

/// No manifest has more lines that anybody would be led to.
const MOST_LINES: usize = 1_000_000;

fn origin(word: &str) -> Origin {
    let all = [Origin::Git, Origin::Console, Origin::Both, Origin::Unknown];
    all.into_iter().find(|origin| origin.as_str() == word).unwrap_or(Origin::Unknown)
}
