//! What became of a plan, for a comment: what was not done unfolded, what was done folded.

use std::collections::BTreeSet;

use super::budget::{Form, Item, fit};
use super::plan::{folded, left_out};
use super::{MOST_OF_A_MESSAGE, Safe, edited, length, marker, row, table_head, thousands};
use crate::plan::{Change, Outcome, OutcomeKind, Plan, Values};
use crate::render::text::{count, dotted, value};

/// What the outcomes are shown with, beside themselves.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Whose jobs they are.
    pub owner: &'a str,
    /// Where the jobs are, as people know the gateway.
    pub gateway: &'a str,
    /// The calls of the whole run, in words.
    pub calls: &'a str,
    /// The run's id, as the journal has it.
    pub run: &'a str,
    /// Steps (`key:action`) that were held until the saved plan was approved.
    pub decided: &'a BTreeSet<String>,
}

/// Room for headings, folds and the sentences that count what is left out.
const FRAME: usize = 2_000;

/// Renders what became of each step; at most [`super::MOST_CHARACTERS`] characters.
pub fn apply(plan: &Plan, outcomes: &[Outcome], context: Context<'_>) -> String {
    let safe = Safe::new();
    let mut out = marker("apply", Some(context.owner));
    let gateway = safe.code_cut(context.gateway, 200);
    if plan.is_empty() {
        let all = match plan.n_manifests {
            1 => "The live job is".to_owned(),
            n => format!("All {} live jobs are", thousands(n)),
        };
        out.push_str(&format!("**Nothing to do.** {all} as declared in Git, at {gateway}.\n"));
        return out;
    }
    let kinds: Vec<String> = OutcomeKind::ALL
        .iter()
        .map(|kind| (kind, outcomes.iter().filter(|outcome| outcome.kind == *kind).count()))
        .filter(|(_, n)| *n > 0)
        .map(|(kind, n)| format!("{} {}", thousands(n), kind.as_str().replace('_', " ")))
        .collect();
    out.push_str(&format!("### Apply: {} of {}\n\n", kinds.join(", "), count(plan.changes.len(), "step")));
    if let Some(guard) = &plan.guard {
        out.push_str(&format!(
            "**Stopped: nothing was written.** {}. To allow it: {}.\n\n",
            safe.text_cut(&guard.reason, MOST_OF_A_MESSAGE),
            safe.text_cut(&guard.help, MOST_OF_A_MESSAGE)
        ));
    }
    out.push_str(&format!("Gateway {gateway}. Run `{}`. {}.\n", context.run, safe.text(context.calls)));
    decided(&mut out, plan, outcomes, context.decided, &safe);
    let (done, undone): (Vec<_>, Vec<_>) = plan
        .changes
        .iter()
        .zip(outcomes)
        .partition(|(_, outcome)| matches!(outcome.kind, OutcomeKind::Applied | OutcomeKind::Unchanged));
    let items = |steps: &[(&Change, &Outcome)]| -> Vec<Item> {
        steps.iter().map(|(change, outcome)| item(change, outcome, &safe)).collect()
    };
    let (undone_items, done_items) = (items(&undone), items(&done));
    let masked = safe.masked_words();
    let room = super::MOST_CHARACTERS.saturating_sub(length(&out) + length(&masked) + FRAME);
    let (undone_forms, room) = fit(&undone_items, room);
    let (done_forms, _) = fit(&done_items, room);
    if !undone.is_empty() {
        super::gap(&mut out);
        out.push_str("#### Not as planned\n\n");
        for (item, form) in undone_items.iter().zip(&undone_forms) {
            out.push_str(item.text(*form));
        }
        if let Some(left) = left_out(&undone_forms, undone.iter().map(|(change, _)| change.action)) {
            out.push_str(&format!(
                "\n**Not shown for lack of room: {left}.** The output of the run has them.\n"
            ));
        }
    }
    if !done.is_empty() {
        super::gap(&mut out);
        out.push_str("#### Done\n\n");
        // A line each, whatever its length: there is nothing to fold in a line.
        let lines: Vec<Form> =
            done_forms.iter().map(|form| if *form == Form::Full { Form::Line } else { *form }).collect();
        folded(&mut out, &done_items, &lines, "step");
        if let Some(left) = left_out(&lines, done.iter().map(|(change, _)| change.action)) {
            out.push_str(&format!("\nNot shown for lack of room: {left}.\n"));
        }
    }
    if !masked.is_empty() {
        super::gap(&mut out);
        out.push_str(&masked);
    }
    out
}

/// What was written although the console said otherwise; never folded.
fn decided(out: &mut String, plan: &Plan, outcomes: &[Outcome], decided: &BTreeSet<String>, safe: &Safe) {
    let steps = plan.changes.iter().zip(outcomes);
    let steps: Vec<_> = steps
        .filter(|(change, outcome)| outcome.kind.has_written() && decided.contains(&change.step()))
        .collect();
    if steps.is_empty() {
        return;
    }
    out.push_str("\n**Held in the plan, and decided for Git by its approval:**\n\n");
    let lines = steps.iter().map(|(change, _)| {
        let key = safe.code_cut(&change.key, 100);
        let editor = change.edited.as_ref().filter(|edit| edit.user.is_some() || edit.at.is_some());
        let editor = editor.map(|edit| format!(", which was last edited by {}", edited(edit, safe)));
        format!("- {} {key}{}\n", change.action.as_str(), editor.unwrap_or_default())
    });
    let n_left = super::lines(out, lines);
    if n_left > 0 {
        out.push_str(&format!("- and {} more\n", thousands(n_left)));
    }
}

/// One step with what became of it.
fn item(change: &Change, outcome: &Outcome, safe: &Safe) -> Item {
    let kind = outcome.kind.as_str().replace('_', " ");
    let action = if change.action.as_str() == outcome.kind.as_str() {
        String::new()
    } else {
        format!(" {}", change.action.as_str())
    };
    let key = safe.code_cut(&change.key, 100);
    let head = format!("- **{kind}**{action} {key}: {}", safe.code_cut(&change.name, 100));
    let mut full = format!("{head}\n");
    for (at, line) in outcome.error.iter().enumerate() {
        let lead = if at == 0 { "" } else { "caused by: " };
        full.push_str(&format!("  - {lead}{}\n", safe.text_cut(line, MOST_OF_A_MESSAGE)));
    }
    if let Some(id) = &outcome.made {
        full.push_str(&format!("  - the new job is {}\n", safe.code(id)));
    }
    for note in &outcome.notes {
        full.push_str(&format!("  - {}\n", safe.text_cut(note, MOST_OF_A_MESSAGE)));
    }
    if let Some(edit) = outcome.edit.as_ref().filter(|_| outcome.kind != OutcomeKind::Applied) {
        full.push_str(&format!("  - last edited by {}\n", edited(edit, safe)));
    }
    if let Some(help) = &outcome.help {
        full.push_str(&format!("  - help: {}\n", safe.text_cut(help, MOST_OF_A_MESSAGE)));
    }
    if !outcome.fields.is_empty() {
        full.push('\n');
        let was_written = matches!(outcome.kind, OutcomeKind::NotConverged | OutcomeKind::Collateral);
        let mut table = if was_written {
            table_head(&["member", "sent", "expected", "found"])
        } else {
            table_head(&["member", "was", "is"])
        };
        for field in &outcome.fields {
            let Values { sent, expected, found } = outcome.values(field);
            let cell = |text: &str| safe.code_cut(text, 200);
            let [member, expected, found] =
                [dotted(&field.pointer), value(expected), value(found)].map(|text| cell(&text));
            if was_written {
                let sent = sent.map_or_else(|| "not sent".to_owned(), |sent| cell(&value(sent)));
                table.push_str(&row(&[&member, &sent, &expected, &found]));
            } else {
                table.push_str(&row(&[&member, &expected, &found]));
            }
        }
        // Within the entry of the list.
        table.lines().for_each(|line| full.push_str(&format!("  {line}\n")));
        full.push('\n');
    }
    let line = match outcome.error.first() {
        Some(error) => format!("{head}; {}\n", safe.text_cut(error, 300)),
        None => format!(
            "{head}{}\n",
            outcome.made.as_ref().map_or(String::new(), |id| format!(", id {}", safe.code(id)))
        ),
    };
    Item { full, line, bare: format!("- {kind}{action} {key}\n") }
}
