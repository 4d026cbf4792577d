//! What becomes of differences that did not come from Git alone (DESIGN section 5, "What apply does with them").
//!
//! Pure. A step is held as a whole: the stamp that goes with a change says that all that is declared was applied, so a
//! part of it can not be left out.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Action, Change, Field, Origin, Plan};
use crate::normalise;
use crate::render::text::dotted;
use crate::snapshot::Edit;

/// What `apply` does with what was changed in the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsoleChanges {
    /// Puts back what Git says.
    #[default]
    Revert,
    /// Leaves it, until somebody decides.
    Hold,
}

impl ConsoleChanges {
    /// The word of the configuration file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revert => "revert",
            Self::Hold => "hold",
        }
    }
}

/// What was decided of differences that did not come from Git alone.
#[derive(Clone, Debug, Default)]
pub struct Decisions {
    /// What becomes of changes in the console.
    pub console: ConsoleChanges,
    /// Keys of the manifests for which Git wins, whatever the console did.
    pub overridden: BTreeSet<String>,
}

impl Plan {
    /// The held steps which a saved plan of this one decides for Git, each with what would be carried out.
    pub fn waiting(&self) -> impl Iterator<Item = (&Change, &Change)> {
        self.changes.iter().filter_map(|change| Some((change, change.waiting.as_deref()?)))
    }

    /// The plan as it is carried out once it was saved and approved: with what waits in place of what is held.
    pub fn decided(&self) -> Self {
        let mut plan = self.clone();
        for change in &mut plan.changes {
            if let Some(waiting) = change.waiting.take() {
                *change = *waiting;
            }
        }
        plan
    }
}

/// Holds a change of content which the console took part in, unless that was decided.
pub(super) fn content(decisions: &Decisions, change: Change, editor: Option<&Edit>) -> Change {
    if change.action != Action::Update || decisions.overridden.contains(&change.key) {
        return change;
    }
    let of = |origin: Origin| change.fields.iter().filter(move |field| field.origin == origin);
    let leaves = decisions.console == ConsoleChanges::Hold && of(Origin::Console).next().is_some();
    let by = by(editor);
    if of(Origin::Both).next().is_some() {
        let reason = format!("Git and the console both changed {}{by}", names(of(Origin::Both)));
        return hold(change, reason, !leaves);
    }
    if leaves {
        let reason =
            format!("the console changed {}{by}; `console: hold` leaves it", names(of(Origin::Console)));
        return hold(change, reason, false);
    }
    change
}

/// Holds a change of status: of a job that the console disabled, and of one whose content is held.
pub(super) fn status(
    decisions: &Decisions,
    change: Change,
    content: Option<&Change>,
    editor: Option<&Edit>,
) -> Change {
    let is_enabling = change.action == Action::Enable;
    let is_console = change.fields.iter().any(|field| field.origin == Origin::Console);
    if let Some(content) = content.filter(|content| is_enabling && content.action == Action::Held) {
        let is_decided_by_plan = content.waiting.is_some();
        let disabled = if is_console { format!("; {}", disabled(editor)) } else { String::new() };
        let reason = format!("{WAITS}{disabled}");
        return hold(change, reason, is_decided_by_plan);
    }
    if !change.action.writes() || decisions.overridden.contains(&change.key) {
        return change;
    }
    let by = by(editor);
    match (change.action, is_console) {
        (Action::Enable, true) => hold(change, disabled(editor), true),
        (_, true) if decisions.console == ConsoleChanges::Hold => {
            let reason = format!("the job was enabled in the console{by}; `console: hold` leaves it");
            hold(change, reason, false)
        }
        (_, _) => change,
    }
}

impl Change {
    /// Whether it would enable a live job, now or once somebody has decided.
    pub fn is_enabling(&self) -> bool {
        self.action == Action::Enable
            || (self.action == Action::Held
                && self
                    .fields
                    .iter()
                    .any(|field| field.path == "/status" && normalise::is_armed(field.after.as_str())))
    }

    /// Takes back that the console disabled the job, as it was found to have been ourselves; whether it is carried out.
    ///
    /// With `has_to_wait` a step that is held stays so.
    pub fn not_by_console(&mut self, has_to_wait: bool) -> bool {
        if !has_to_wait && let Some(waiting) = self.waiting.take() {
            // What it comes after, and who edited the job, was found out when it was held already.
            let Self { action, reason, request, notes, is_one_way, .. } = *waiting;
            (self.action, self.reason, self.request, self.is_one_way) = (action, reason, request, is_one_way);
            self.notes = notes;
        } else if has_to_wait && self.action == Action::Held {
            WAITS.clone_into(&mut self.reason);
        }
        if let Some(waiting) = &mut self.waiting {
            waiting.not_by_console(has_to_wait);
        }
        self.notes.retain(|note| !note.starts_with(CHANGED_LIVE));
        for field in self.fields.iter_mut().filter(|field| field.path == "/status") {
            field.origin = Origin::Unknown;
        }
        self.action == Action::Enable
    }
}

/// Why a job is not enabled whose content is held.
const WAITS: &str = "waits for a change that is held";

/// How the note begins that says who changed something in the console.
const CHANGED_LIVE: &str = "changed live since the last apply";

/// A step that waits for a decision; `by_plan` says whether a saved plan that shows it decides.
fn hold(change: Change, reason: String, by_plan: bool) -> Change {
    let plan = if by_plan { ", or apply a saved plan that shows it" } else { "" };
    let notes = vec![
        format!("to do what Git says: --override {0}{plan}", change.key),
        format!("to keep what the console says: `patchctl accept {}`", change.key),
    ];
    let waiting = by_plan.then(|| Box::new(change.clone()));
    Change { action: Action::Held, reason, request: None, notes, is_one_way: false, waiting, ..change }
}

/// Says where the differences of a step came from, as far as there is evidence.
pub(super) fn words(fields: &[Field], editor: Option<&Edit>) -> Vec<String> {
    let n = |origin: Origin| fields.iter().filter(|field| field.origin == origin).count();
    let (n_git, n_console) = (n(Origin::Git), n(Origin::Console));
    let mut words = Vec::new();
    if n_git > 0 && n_git == fields.len() {
        words.push("changed in Git since the last apply".to_owned());
    }
    if n_console > 0 {
        let what = if n_console == fields.len() { String::new() } else { format!("{n_console} of them ") };
        let who = match editor {
            Some(edit) => format!("last by {}", who(edit)),
            None => "by whom is not known, because the last edit is our own".to_owned(),
        };
        words.push(format!("{what}{CHANGED_LIVE}, {who}; apply puts it back"));
    }
    words
}

/// The last edit, as the end of a sentence.
fn by(editor: Option<&Edit>) -> String {
    editor.map_or_else(String::new, |edit| format!(", last edited by {}", who(edit)))
}

/// Why a job is not enabled.
fn disabled(editor: Option<&Edit>) -> String {
    format!("the job was disabled in the console{}", by(editor))
}

/// Who and when.
fn who(edit: &Edit) -> String {
    let user = edit.user.as_deref().unwrap_or("an unknown user");
    let at = edit.at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let when = at.map_or(String::new(), |at| format!(" on {}", at.strftime("%Y-%m-%d at %H:%M UTC")));
    format!("{user}{when}")
}

/// The first of some members, and how many more.
fn names<'a>(fields: impl Iterator<Item = &'a Field>) -> String {
    let paths: Vec<String> = fields.map(|field| format!("`{}`", dotted(&field.path))).collect();
    match paths.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [one, rest @ ..] => format!("{one} and {} more members", rest.len()),
    }
}
