//! A probe and scratch jobs of earlier ones, as text for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::text::{Layout, Tone, clean, count};
use crate::apply::probe::{Left, Probed, Removal};
use crate::job::Platform;
use crate::patch::Envelope;
use crate::plan::Plan;
use crate::probe::{CALLS, Leftover};

/// What was done about the probe of a plan and about scratch jobs of earlier ones.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// The name of the scratch job and what became of the probe; `None` where none was carried out.
    pub probe: Option<(String, Probed)>,
    /// What became of each scratch job that was left behind earlier.
    pub removals: Vec<(Leftover, Removal)>,
}

impl Done {
    /// Whether the scratch job of this run's own probe is still there, or may be.
    pub fn is_left(&self) -> bool {
        self.probe.as_ref().is_some_and(|(_, probed)| probed.left.is_some())
    }
}

/// The first step of a plan, and what earlier probes left; empty where there is neither.
pub fn planned(plan: &Plan, layout: &Layout) -> String {
    let mut out = String::new();
    let head = |sign: &str| layout.paint(Tone::Changed, sign);
    for Leftover { id, name, .. } in &plan.leftovers {
        let _ = writeln!(out, "{} \"{}\"", head("* remove"), clean(name));
        let words = format!("{}: an earlier probe left this scratch job behind", clean(id));
        let _ = writeln!(out, "{}\n", layout.paint(Tone::Faint, &layout.wrap(&words, 4, 6)));
    }
    if let Some(probe) = &plan.probe {
        let what = layout.paint(Tone::Strong, "how this gateway takes updates");
        let _ = writeln!(out, "{} {what} ({})", head("* probe"), probe.platform.as_str());
        let words = format!(
            "it is not known whether it merges them: a scratch job \"{}\" is made, updated, read and deleted, in {}; no \
             other job is touched",
            clean(&probe.name()),
            count(CALLS, "call")
        );
        let _ = writeln!(out, "{}", layout.paint(Tone::Faint, &layout.wrap(&words, 4, 6)));
        let note = "= the requests below carry what changes; if the gateway replaces jobs, or the probe can not tell, each \
                    update carries the whole job as it is, with the same changes. --no-probe does that at once";
        let _ = writeln!(out, "{}\n", layout.paint(Tone::Changed, &layout.wrap(note, 4, 6)));
    }
    out
}

/// What became of them, in the form of outcomes; empty where there was nothing to do.
pub fn done(done: &Done, envelope: Envelope, layout: &Layout) -> String {
    let mut out = String::new();
    let word = |tone: Tone, word: &str| layout.paint(tone, &format!("{word:<13}"));
    let line = |out: &mut String, text: &str| {
        let _ = writeln!(out, "{}", layout.wrap(text, 14, 16));
    };
    for (Leftover { id, name, .. }, removal) in &done.removals {
        match removal {
            Removal::Gone => {
                let _ = writeln!(out, "{} scratch job \"{}\"", word(Tone::Good, "removed"), clean(name));
            }
            Removal::NotOurs(reason) => {
                let _ = writeln!(out, "{} scratch job \"{}\"", word(Tone::Danger, "left"), clean(name));
                line(&mut out, &format!("{}: it is left alone, because {}", clean(id), clean(reason)));
                line(&mut out, &format!("= help: {LOOK}"));
            }
            Removal::Failed(error) => {
                let _ = writeln!(out, "{} scratch job \"{}\"", word(Tone::Danger, "left"), clean(name));
                causes(error, &mut |text| line(&mut out, text));
                line(&mut out, &format!("= help: {AGAIN}"));
            }
        }
    }
    if let Some((_, probed)) = &done.probe {
        match probed.verdict {
            Some(verdict) => {
                let _ = writeln!(out, "{} the gateway {}", word(Tone::Good, "probed"), verdict.words());
            }
            None => {
                let _ = writeln!(
                    out,
                    "{} it is not known how the gateway takes updates",
                    word(Tone::Changed, "not probed")
                );
                causes(&probed.error, &mut |text| line(&mut out, text));
            }
        }
        let carry = match envelope {
            Envelope::Minimal => "only what changes",
            Envelope::Full => "the whole job",
        };
        line(&mut out, &format!("= updates carry {carry}"));
        if probed.is_forbidden {
            line(&mut out, "= help: `updates: full` in patchctl.yaml says so for good");
        }
        if let Some(Left { id, name, error }) = &probed.left {
            let _ = writeln!(out, "{} scratch job \"{}\"", word(Tone::Danger, "left"), clean(name));
            if let Some(id) = id {
                line(&mut out, &format!("= it is {}", clean(id)));
            }
            causes(error, &mut |text| line(&mut out, text));
            line(&mut out, &format!("= help: {AGAIN}"));
        }
    }
    out
}

/// What to do about a scratch job that nobody else should touch.
pub const AGAIN: &str =
    "it is Disabled and has no assets; the next apply, or doctor --probe-updates, removes it";

/// What to do about a job that only looks like one.
pub const LOOK: &str = "look at it in the console, and delete or rename it there";

fn causes(error: &[String], line: &mut dyn FnMut(&str)) {
    for (position, text) in error.iter().enumerate() {
        let lead = if position == 0 { "" } else { "caused by: " };
        line(&format!("{lead}{}", clean(text)));
    }
}

/// Adds the members `probe` and `scratch_jobs` to the document of a plan, where there is something to tell.
pub fn add_planned(document: &mut Value, plan: &Plan) {
    let Some(members) = document.as_object_mut() else { return };
    if let Some(probe) = &plan.probe {
        let object = json!({"name": probe.name(), "platform": probe.platform.as_str(), "calls": CALLS});
        members.insert("probe".to_owned(), object);
    }
    if !plan.leftovers.is_empty() {
        let jobs: Vec<Value> = plan.leftovers.iter().map(|job| Value::Object(leftover(job))).collect();
        members.insert("scratch_jobs".to_owned(), jobs.into());
    }
}

/// The same for the document of an apply or of `doctor`.
pub fn add_done(document: &mut Value, plan: Option<&Plan>, done: &Done, envelope: Envelope) {
    if let Some(plan) = plan {
        add_planned(document, plan);
    }
    let Some(members) = document.as_object_mut() else { return };
    if let Some((name, probed)) = &done.probe {
        let left = probed.left.as_ref();
        let object = json!({
            "name": name,
            "verdict": probed.verdict.map(|verdict| verdict.as_str()),
            "updates": envelope.as_str(),
            "error": probed.error,
            "scratch_job": left.map(|left| json!({"id": left.id, "name": left.name, "error": left.error})),
        });
        match (members.get_mut("probe"), object) {
            (Some(Value::Object(planned)), Value::Object(object)) => planned.extend(object),
            (_, object) => {
                members.insert("probe".to_owned(), object);
            }
        }
    }
    if !done.removals.is_empty() {
        let jobs = done.removals.iter().map(|(job, removal)| {
            let (outcome, error) = match removal {
                Removal::Gone => ("removed", Vec::new()),
                Removal::NotOurs(reason) => ("left", vec![reason.clone()]),
                Removal::Failed(error) => ("left", error.clone()),
            };
            let mut object = leftover(job);
            object.insert("outcome".to_owned(), outcome.into());
            object.insert("error".to_owned(), error.into());
            Value::Object(object)
        });
        members.insert("scratch_jobs".to_owned(), jobs.collect());
    }
}

fn leftover(job: &Leftover) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("id".to_owned(), job.id.as_str().into());
    members.insert("name".to_owned(), job.name.as_str().into());
    members.insert("platform".to_owned(), job.platform.map(Platform::as_str).into());
    members
}
