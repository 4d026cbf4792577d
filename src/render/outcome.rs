//! What became of the steps of a plan, as text for people.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::text::{Layout, Tone, clean, count, dotted, value};
use crate::diff::FieldChange;
use crate::plan::{Change, Outcome, OutcomeKind, Plan, Values};
use crate::snapshot::Edit;

/// One step: a line where all is well, a few where it is not.
pub fn outcome(change: &Change, outcome: &Outcome, layout: &Layout) -> String {
    let tone = match outcome.kind {
        OutcomeKind::Applied | OutcomeKind::Unchanged => Tone::Good,
        OutcomeKind::Held | OutcomeKind::Skipped => Tone::Changed,
        OutcomeKind::Stale
        | OutcomeKind::Blocked
        | OutcomeKind::NotConverged
        | OutcomeKind::Collateral
        | OutcomeKind::Failed
        | OutcomeKind::Unsettled => Tone::Danger,
    };
    let word = layout.paint(tone, &format!("{:<13}", outcome.kind.as_str().replace('_', " ")));
    let key = layout.paint(Tone::Strong, &change.key);
    // What is blocked or held in the plan ends as just that: the word once is enough.
    let mut out = if change.action.as_str() == outcome.kind.as_str() {
        format!("{word} {key}\n")
    } else {
        format!("{word} {} {key}\n", change.action.as_str())
    };
    for (position, line) in outcome.error.iter().enumerate() {
        let lead = if position == 0 { "" } else { "caused by: " };
        let _ = writeln!(out, "{}", layout.wrap(&format!("{lead}{}", clean(line)), 14, 16));
    }
    if let Some(id) = &outcome.made {
        let _ = writeln!(out, "{}", layout.wrap(&format!("= the new job is {}", clean(id)), 14, 16));
    }
    for note in &outcome.notes {
        let _ = writeln!(out, "{}", layout.wrap(&format!("= {}", clean(note)), 14, 16));
    }
    if let Some(edit) = &outcome.edit
        && outcome.kind != OutcomeKind::Applied
    {
        let _ = writeln!(out, "{}", layout.wrap(&format!("last edited {}", edit_words(edit)), 14, 16));
    }
    for field in &outcome.fields {
        let line = format!("{}: {}", dotted(&field.pointer), values(outcome, field));
        let _ = writeln!(out, "{}", layout.wrap(&line, 14, 16));
    }
    if let Some(help) = &outcome.help {
        let _ = writeln!(out, "{}", layout.wrap(&format!("= help: {}", clean(help)), 14, 16));
    }
    out
}

/// What is told of a member: what was sent, expected and found where a write is not as it should be, else what was and
/// what is.
fn values(outcome: &Outcome, field: &FieldChange) -> String {
    if !matches!(outcome.kind, OutcomeKind::NotConverged | OutcomeKind::Collateral) {
        return format!("{} -> {}", value(&field.before), value(&field.after));
    }
    let Values { sent, expected, found } = outcome.values(field);
    let sent = sent.map_or_else(|| "not sent".to_owned(), |sent| format!("sent {}", value(sent)));
    format!("{sent}, expected {}, found {}", value(expected), value(found))
}

/// Who edited a job last, and when.
fn edit_words(edit: &Edit) -> String {
    let who = edit
        .user
        .as_deref()
        .map_or_else(|| "by an unknown user".to_owned(), |user| format!("by {}", clean(user)));
    let when = edit.at.and_then(|at| Timestamp::from_millisecond(at).ok());
    when.map_or(who.clone(), |when| format!("{who} on {}", when.strftime("%Y-%m-%d at %H:%M:%S UTC")))
}

/// The last lines: counts that add up to the plan, and what it cost.
pub fn summary(plan: &Plan, outcomes: &[Outcome], calls: &str, layout: &Layout) -> String {
    if plan.is_empty() {
        return String::new();
    }
    let parts: Vec<String> = OutcomeKind::ALL
        .iter()
        .map(|kind| (kind, outcomes.iter().filter(|outcome| outcome.kind == *kind).count()))
        .filter(|(_, n)| *n > 0)
        .map(|(kind, n)| format!("{n} {}", kind.as_str().replace('_', " ")))
        .collect();
    let head = layout.paint(Tone::Strong, "Apply:");
    format!("\n{head} {} of {}. {calls}.\n", parts.join(", "), count(plan.changes.len(), "step"))
}
