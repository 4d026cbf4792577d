//! A plan for a comment: the summary first, what is dangerous unfolded, the rest folded, all of it within the limit.

use std::collections::BTreeSet;

use super::budget::{Form, Item, fit};
use super::step::{self, Danger};
use super::{MOST_OF_A_MESSAGE, Safe, details, findings, length, marker, thousands};
use crate::plan::{Action, Change, Plan};
use crate::render::text::count;

/// What a plan is shown with, beside itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Whose jobs they are.
    pub owner: &'a str,
    /// Where the live jobs were read, as people know the gateway.
    pub gateway: &'a str,
    /// What carrying it out takes, in words.
    pub applying: Option<&'a str>,
    /// Whether it is saved, so that approving it decides what is held.
    pub is_saved: bool,
}

/// Most characters of why a step is held, where it stands above the steps.
const MOST_OF_A_REASON: usize = 300;

/// Most characters that warnings take while there are steps to show.
const MOST_OF_WARNINGS: usize = 8_000;

/// Room for headings, folds and the sentences that count what is left out.
const FRAME: usize = 2_000;

/// Renders a plan; at most [`super::MOST_CHARACTERS`] characters.
pub fn plan(plan: &Plan, context: Context<'_>) -> String {
    let safe = Safe::new();
    let mut out = marker("plan", Some(context.owner));
    head(&mut out, plan, context, &safe);
    steps(&mut out, plan, &safe);
    out
}

/// Counts, what stops the plan, where it was made and what it takes.
fn head(out: &mut String, plan: &Plan, context: Context<'_>, safe: &Safe) {
    let gateway = safe.code_cut(context.gateway, 200);
    if plan.is_empty() {
        let all = match plan.n_manifests {
            1 => "The live job is".to_owned(),
            n => format!("All {} live jobs are", thousands(n)),
        };
        out.push_str(&format!("**No changes.** {all} as declared in Git, at {gateway}.\n"));
    } else {
        out.push_str(&format!("### Plan: {}\n\n", counts(plan)));
        if let Some(guard) = &plan.guard {
            out.push_str(&format!(
                "**Stopped: nothing of this would be applied.** {}. To allow it: {}.\n\n",
                safe.text_cut(&guard.reason, MOST_OF_A_MESSAGE),
                safe.text_cut(&guard.help, MOST_OF_A_MESSAGE)
            ));
        }
        if context.is_saved {
            decided(out, plan, safe);
        }
        out.push_str(&format!("Gateway {gateway}. "));
        if let Some(applying) = context.applying {
            out.push_str(&format!("{} ", safe.text_cut(applying, MOST_OF_A_MESSAGE)));
        }
        out.push_str(&format!("Fingerprint `{}`.\n", plan.fingerprint()));
        probe(out, plan, safe);
    }
    if plan.n_orphans > 0 {
        let jobs = match plan.n_orphans {
            1 => "1 live job has lost its manifest and stays".to_owned(),
            n => format!("{} live jobs have lost their manifests and stay", thousands(n)),
        };
        out.push_str(&format!("\n{jobs}; `--prune` shows what deleting would do.\n"));
    }
    match plan.n_unmanaged {
        _ if plan.is_empty() => {}
        None | Some(0) => {}
        Some(1) => out.push_str("\n1 live job is in no manifest and is left alone.\n"),
        Some(n) => {
            out.push_str(&format!("\n{} live jobs are in no manifest and are left alone.\n", thousands(n)));
        }
    }
}

/// What is held, and decided for Git by whoever approves the saved plan: nobody may approve that unseen.
fn decided(out: &mut String, plan: &Plan, safe: &Safe) {
    let n_waiting = plan.waiting().count();
    let these = match n_waiting {
        0 => return,
        1 => "this held step".to_owned(),
        n => format!("these {} held steps", thousands(n)),
    };
    out.push_str(&format!("**Approving this saved plan decides {these} for Git:**\n\n"));
    let waiting: Vec<_> = plan.waiting().collect();
    let lines = waiting.iter().map(|(held, waiting)| {
        let danger = Danger::of(waiting, &BTreeSet::new());
        format!(
            "- **{}{}** {}: {}\n",
            waiting.action.as_str(),
            danger.map_or("", Danger::words),
            safe.code_cut(&held.key, 100),
            safe.text_cut(&held.reason, MOST_OF_A_REASON)
        )
    });
    let n_left = super::lines(out, lines);
    if n_left > 0 {
        out.push_str(&format!("- **and {} more**, which are `held` below\n", thousands(n_left)));
    }
    out.push('\n');
}

/// What is done before the first step.
fn probe(out: &mut String, plan: &Plan, safe: &Safe) {
    if let Some(probe) = &plan.probe {
        out.push_str(&format!(
            "\n**Probe first:** it is not known whether this gateway merges updates. A scratch job {} ({}) is made, updated, read \
             and deleted; no other job is touched. If the gateway replaces jobs, each update carries the whole job, with the \
             same changes.\n",
            safe.code_cut(&probe.name(), 200),
            probe.platform.as_str()
        ));
    }
    for leftover in &plan.leftovers {
        out.push_str(&format!(
            "\n**Remove** the scratch job {} that an earlier probe left behind.\n",
            safe.code_cut(&leftover.name, 200)
        ));
    }
}

/// `2 to create, 1 blocked, 7 unchanged`.
fn counts(plan: &Plan) -> String {
    let mut parts: Vec<String> = Action::ALL
        .iter()
        .filter(|action| plan.count(**action) > 0)
        .map(|action| match action {
            Action::Blocked | Action::Held => {
                format!("{} {}", thousands(plan.count(*action)), action.as_str())
            }
            Action::Create | Action::Update | Action::Enable | Action::Disable | Action::Delete => {
                format!("{} to {}", thousands(plan.count(*action)), action.as_str())
            }
        })
        .collect();
    parts.push(format!("{} unchanged", thousands(plan.n_unchanged)));
    parts.join(", ")
}

/// The steps, the dangerous ones first, then the warnings.
fn steps(out: &mut String, plan: &Plan, safe: &Safe) {
    let armed: BTreeSet<&str> = plan
        .changes
        .iter()
        .filter(|change| change.action == Action::Enable)
        .map(|change| change.key.as_str())
        .collect();
    let mut dangerous: Vec<(Danger, &Change)> = Vec::new();
    let mut others: Vec<&Change> = Vec::new();
    for change in &plan.changes {
        match Danger::of(change, &armed) {
            Some(danger) => dangerous.push((danger, change)),
            None => others.push(change),
        }
    }
    // Stable: within a danger the order is the plan's.
    dangerous.sort_by_key(|(danger, _)| *danger);
    let item = |change: &Change, danger| step::item(change, danger, &plan.tag_names, safe);
    let dangerous_items: Vec<Item> = dangerous.iter().map(|(d, change)| item(change, Some(*d))).collect();
    let other_items: Vec<Item> = others.iter().map(|change| item(change, None)).collect();
    let warning_items: Vec<Item> =
        plan.warnings.iter().map(|warning| findings::item(warning, safe)).collect();
    let masked = safe.masked_words();
    let room = super::MOST_CHARACTERS.saturating_sub(length(out) + length(&masked) + FRAME);
    let (dangerous_forms, room) = fit(&dangerous_items, room);
    let (warning_forms, left) = fit(&warning_items, room.min(MOST_OF_WARNINGS));
    let room = room - (room.min(MOST_OF_WARNINGS) - left);
    let (other_forms, _) = fit(&other_items, room);

    if !dangerous.is_empty() {
        let first = if others.is_empty() { "" } else { " first" };
        super::gap(out);
        out.push_str(&format!("#### Look at {}{first}\n\n", these(dangerous.len())));
        for (item, form) in dangerous_items.iter().zip(&dangerous_forms) {
            out.push_str(item.text(*form));
            if *form == Form::Full {
                out.push('\n');
            }
        }
        let left = left_out(&dangerous_forms, dangerous.iter().map(|(_, change)| change.action));
        if let Some(left) = left {
            super::gap(out);
            out.push_str(&format!(
                "**Not shown for lack of room, and to be looked at as well: {left}.** `patchctl plan` shows all.\n"
            ));
        }
    }
    if !others.is_empty() {
        let other = if dangerous.is_empty() { "step" } else { "other step" };
        super::gap(out);
        out.push_str(&format!("#### {}\n\n", count(others.len(), other)));
        folded(out, &other_items, &other_forms, "step");
        if let Some(left) = left_out(&other_forms, others.iter().map(|change| change.action)) {
            super::gap(out);
            out.push_str(&format!("Not shown for lack of room: {left}. `patchctl plan` shows all.\n"));
        }
    }
    if !warning_items.is_empty() {
        super::gap(out);
        out.push_str(&findings::warnings(&warning_items, &warning_forms));
    }
    if !masked.is_empty() {
        super::gap(out);
        out.push_str(&masked);
    }
}

fn these(n: usize) -> String {
    if n == 1 { "this step".to_owned() } else { format!("these {} steps", thousands(n)) }
}

/// What there is in full, then the rest in one fold with a line each.
pub(super) fn folded(out: &mut String, items: &[Item], forms: &[Form], noun: &str) {
    let mut lines = String::new();
    let mut n_lines = 0;
    for (item, form) in items.iter().zip(forms) {
        match form {
            Form::Full => out.push_str(&item.full),
            Form::Line | Form::Bare => {
                lines.push_str(item.text(*form));
                n_lines += 1;
            }
            Form::Left => {}
        }
    }
    if n_lines > 0 {
        let summary = if n_lines == items.len() {
            format!("{} in short", count(n_lines, noun))
        } else {
            format!("{} more in short", thousands(n_lines))
        };
        out.push_str(&details(&summary, &lines));
    }
}

/// How many steps of each action are not shown at all; `None` where all are.
pub(super) fn left_out(forms: &[Form], actions: impl Iterator<Item = Action>) -> Option<String> {
    let left: Vec<Action> = forms
        .iter()
        .zip(actions)
        .filter(|(form, _)| **form == Form::Left)
        .map(|(_, action)| action)
        .collect();
    if left.is_empty() {
        return None;
    }
    let parts: Vec<String> = Action::ALL
        .iter()
        .map(|action| (action, left.iter().filter(|one| *one == action).count()))
        .filter(|(_, n)| *n > 0)
        .map(|(action, n)| format!("{} {}", thousands(n), action.as_str()))
        .collect();
    let more = if left.len() == 1 {
        "1 more step".to_owned()
    } else {
        format!("{} more steps", thousands(left.len()))
    };
    Some(format!("{more} ({})", parts.join(", ")))
}
