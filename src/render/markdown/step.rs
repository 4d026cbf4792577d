//! One step of a plan: how dangerous it is, and what it looks like in each length.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::budget::Item;
use super::{Safe, details, edited, table};
use crate::normalise;
use crate::plan::{Action, Change, Origin};
use crate::script;

/// Most characters of a name where it is one of several things in a line.
const MOST_OF_A_NAME: usize = 100;

/// Most characters of a reason in a line.
const MOST_OF_A_REASON: usize = 300;

/// Why a step must be seen, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Danger {
    /// It arms a job that can not be disarmed.
    OneWay,
    /// It removes a job.
    Delete,
    /// It removes a script that nobody can read back.
    ScriptLoss,
    /// A job will run because of it.
    Arms,
    /// Something forbids it.
    Blocked,
    /// It waits for a decision.
    Held,
}

impl Danger {
    /// Why a step must be seen; `armed` holds the keys of the jobs that the plan enables.
    pub(super) fn of(change: &Change, armed: &BTreeSet<&str>) -> Option<Self> {
        if change.is_one_way {
            return Some(Self::OneWay);
        }
        match change.action {
            Action::Delete => Some(Self::Delete),
            Action::Blocked => Some(Self::Blocked),
            Action::Held => Some(Self::Held),
            Action::Update | Action::Disable if loses_script(change) => Some(Self::ScriptLoss),
            Action::Enable => Some(Self::Arms),
            Action::Create if armed.contains(change.key.as_str()) || is_armed(change) => Some(Self::Arms),
            Action::Create | Action::Update | Action::Disable => None,
        }
    }

    /// The words beside the action.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::OneWay => " (one-way door)",
            Self::Delete => " (can not be taken back)",
            Self::ScriptLoss => " (removes a script that can not be read back)",
            Self::Arms => " (the job will run)",
            Self::Blocked | Self::Held => "",
        }
    }
}

/// Whether the job is armed after the step.
fn is_armed(change: &Change) -> bool {
    let status = change.basis.as_ref().and_then(|basis| basis.desired.text("status"));
    normalise::is_armed(status)
        || change
            .fields
            .iter()
            .any(|field| field.path == "/status" && normalise::is_armed(field.after.as_str()))
}

/// Whether a script goes whose content only the server has.
fn loses_script(change: &Change) -> bool {
    fn holds_stored(value: &Value) -> bool {
        script::stored_path(value).is_some()
            || match value {
                Value::Array(items) => items.iter().any(holds_stored),
                Value::Object(members) => members.values().any(holds_stored),
                _ => false,
            }
    }
    change.fields.iter().any(|field| field.after.is_null() && holds_stored(&field.before))
        || change.notes.iter().any(|note| note.starts_with("irreversible"))
}

/// What a step looks like; the dangerous ones are never folded.
pub(super) fn item(
    change: &Change,
    danger: Option<Danger>,
    tag_names: &BTreeMap<String, String>,
    safe: &Safe,
) -> Item {
    let action = change.action.as_str();
    let words = danger.map_or("", Danger::words);
    let key = safe.code_cut(&change.key, MOST_OF_A_NAME);
    let name = safe.code_cut(&change.name, MOST_OF_A_NAME);
    let platform = change.platform.map_or(String::new(), |platform| format!(", {}", platform.as_str()));
    let body = body(change, tag_names, safe);
    let full = match danger {
        Some(_) => format!("**{action}{words}** {key}: {name}{platform}\n\n{}\n", body.trim_end()),
        None => {
            let key = safe.html(&change.key, MOST_OF_A_NAME);
            let name = safe.html(&change.name, MOST_OF_A_NAME);
            details(&format!("{action} {key}: {name}{platform}"), &body) + "\n"
        }
    };
    let reason = safe.text_cut(&change.reason, MOST_OF_A_REASON);
    Item {
        full,
        line: format!("- **{action}{words}** {key}: {name}{platform}; {reason}\n"),
        bare: format!("- {action} {key}\n"),
    }
}

/// Everything about a step below its heading.
fn body(change: &Change, tag_names: &BTreeMap<String, String>, safe: &Safe) -> String {
    let mut out = String::new();
    let (line, _) = change.place.line_column();
    // Of a manifest that is gone the text may not be known, and then no line of it is either.
    let place = if change.place.file.text.is_empty() {
        String::new()
    } else {
        format!("{}: ", safe.code(&format!("{}:{line}", change.place.file.path)))
    };
    out.push_str(&format!("{place}{}\n", safe.text(&change.reason)));
    if let Some((before, after)) = &change.schedule {
        let words = if before.is_empty() || before == after {
            format!("Runs {}", safe.code(after))
        } else {
            format!("Runs {} → {}", safe.code(before), safe.code(after))
        };
        out.push_str(&format!("\n{words}\n"));
    }
    let is_disputed = change.fields.iter().any(|f| matches!(f.origin, Origin::Console | Origin::Both));
    let is_stopped = matches!(change.action, Action::Blocked | Action::Held);
    if let Some(edit) = change.edited.as_ref().filter(|edit| {
        // Who edited a job last matters where a person's edit stands against Git.
        (is_disputed || is_stopped) && (edit.user.is_some() || edit.at.is_some())
    }) {
        out.push_str(&format!("\nLast edited in the console or over the API by {}\n", edited(edit, safe)));
    }
    let table = table::fields(change, change.action == Action::Create, tag_names, safe);
    if !table.is_empty() {
        out.push_str(&format!("\n{table}"));
    }
    let mut notes: Vec<String> = change.notes.iter().map(|note| safe.text(note)).collect();
    if !change.after.is_empty() && change.action.writes() {
        let steps: Vec<String> = change.after.iter().map(|step| safe.code(step)).collect();
        notes.push(format!("after {}", steps.join(", ")));
    }
    if !notes.is_empty() {
        out.push('\n');
    }
    for note in notes {
        out.push_str(&format!("- {note}\n"));
    }
    out
}
