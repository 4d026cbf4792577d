//! A live job to the manifest that declares it: the half of `patchctl import` that decides.
//!
//! Pure: reads and writes nothing. What is declared comes from the table and from the normalised job, and every
//! manifest is read back and laid over the job before it is given away: one that would not plan as "nothing to do"
//! is not given away at all. So a member that this build can not read costs that member, never an empty plan.

pub mod emit;
pub mod key;
mod link;
mod spec;

use std::collections::BTreeMap;

use crate::diagnostic::Severity;
use crate::diff;
use crate::manifest::{self, Context, ReadScript, ScriptProblem};
use crate::normalise;
use crate::overlay::{self, Issue};
use crate::render::text::dotted;
use crate::snapshot::LiveJob;
use crate::source::SourceFile;
use emit::Part;
pub(crate) use spec::block;

/// What is known beside the job itself, for names next to ids.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The `tags:` map of the configuration: UUID by name.
    pub tags: BTreeMap<String, String>,
    /// Names of tags that rows of the list tell, by UUID.
    pub tag_names: BTreeMap<String, String>,
    /// Names of jobs, by id.
    pub job_names: BTreeMap<String, String>,
    /// Keys of the manifests that jobs have or are given now, by id.
    pub keys: BTreeMap<String, String>,
    /// Display names of actions, by id.
    pub action_names: BTreeMap<String, String>,
}

impl Known {
    /// Takes the names of actions out of a job as the API answered it: its own, and those of its parents' rules.
    pub fn learn_actions(&mut self, job: &LiveJob) {
        for (id, name) in link::action_names(&job.raw) {
            self.action_names.insert(id, name);
        }
    }

    /// The name by which manifests may call a tag: the first of the `tags:` map that has this UUID.
    pub(crate) fn configured_tag(&self, id: &str) -> Option<&str> {
        let mut named = self.tags.iter().filter(|(_, of_tag)| of_tag.eq_ignore_ascii_case(id));
        // A name that has the form of a UUID is read as one.
        named.find(|(name, _)| !crate::job::canonical::is_uuid(name)).map(|(name, _)| name.as_str())
    }
}

/// Why a live member is not in the manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The table does not know it.
    Unknown,
    /// It is not documented who decides it, so declaring it would be warned of.
    Undocumented,
    /// A manifest can not say it; with the words of the finding.
    Unreadable(String),
}

/// A live member that is not in the manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// Why.
    pub why: Why,
    /// Where it stands, as people write paths.
    pub path: String,
}

/// A manifest, written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The whole text of the file.
    pub text: String,
    /// Live members that it does not declare, each with the reason; those that say nothing are not mentioned.
    pub left_out: Vec<LeftOut>,
    /// Tags that it names by UUID though their names are known: UUID and name.
    pub unnamed_tags: BTreeMap<String, String>,
    /// Warnings that `validate` will have of it, because the live job is unusual.
    pub warnings: Vec<String>,
}

/// Writes the manifest of a live job.
///
/// # Errors
/// In words for people, where no manifest can be written that has no difference to the job.
pub fn manifest(job: &LiveJob, id: &str, key: &str, known: &Known) -> Result<Imported, String> {
    let mut refused: BTreeMap<&'static str, String> = BTreeMap::new();
    loop {
        let draft = spec::draft(job, key, known, &refused);
        let (text, members) = document(&draft, id, key);
        match check(&text, &members, job, id, key, known) {
            Ok(warnings) => {
                let spec::Draft { left_out, unnamed_tags, .. } = draft;
                return Ok(Imported { text, left_out, unnamed_tags, warnings });
            }
            // A second refusal of one member would be ours; and every round has one member less, so this ends.
            Err(Refusal { member: Some(name), why }) if !refused.contains_key(name) => {
                refused.insert(name, why);
            }
            Err(Refusal { why, .. }) => return Err(why),
        }
    }
}

/// The whole file, and where each top-level member of `spec` begins in it, in bytes.
fn document(draft: &spec::Draft, id: &str, key: &str) -> (String, Vec<(&'static str, usize)>) {
    let mut text = format!(
        "apiVersion: {}\nkind: {}\nmetadata:\n  key: {}\n  id: {}\nspec:",
        manifest::API_VERSION,
        manifest::KIND,
        emit::scalar(key, false),
        emit::scalar(id, false),
    );
    let mut members = Vec::new();
    if draft.parts.iter().any(|part| matches!(part, Part::Entry { .. })) {
        text.push('\n');
    } else {
        // Nothing under a key is `null`, and `spec` must be a mapping.
        text.push_str(" {}\n");
    }
    for part in &draft.parts {
        if let Part::Entry { key, .. } = part {
            members.push((*key, text.len()));
        }
        text.push_str(&emit::parts(std::slice::from_ref(part), 2));
    }
    text.push_str(&emit::parts(&draft.remarks, 0));
    (text, members)
}

/// Why a manifest is not given away, and the member that is to blame, where one is.
struct Refusal {
    member: Option<&'static str>,
    why: String,
}

/// A manifest that was just made names no script.
struct NoScripts;

impl ReadScript for NoScripts {
    fn read_script(&self, _: &str, _: &str) -> Result<Vec<u8>, ScriptProblem> {
        Err(ScriptProblem { message: "is not there".to_owned(), help: String::new() })
    }
}

/// Reads the manifest as every later run will, and holds it against the job; returns the warnings.
fn check(
    text: &str,
    members: &[(&'static str, usize)],
    job: &LiveJob,
    id: &str,
    key: &str,
    known: &Known,
) -> Result<Vec<String>, Refusal> {
    let context = Context { tags: &known.tags, allow_unknown_fields: false, scripts: &NoScripts };
    let parsed = manifest::parse(&SourceFile::new("import", text), context);
    if let Some(finding) = parsed.diagnostics.iter().find(|finding| finding.severity == Severity::Error) {
        let at = finding.place.as_ref().map(|place| place.span.start);
        let before = |at: usize| members.iter().rev().find(|(_, start)| *start <= at).map(|(name, _)| *name);
        return Err(Refusal { member: at.and_then(before), why: finding.message.clone() });
    }
    let whole = |why: &str| Refusal { member: None, why: why.to_owned() };
    let [manifest] = parsed.manifests.as_slice() else {
        return Err(whole("its manifest could not be read back"));
    };
    if manifest.key != key || manifest.id.as_deref() != Some(id) {
        return Err(whole("its manifest would be bound to another job"));
    }
    let overlay = overlay::overlay(&manifest.spec, &job.normalised, true);
    if let Some(difference) = diff::diff(&job.normalised, &overlay.desired).first() {
        let top = diff::top_level(&difference.pointer);
        let why = format!("`{}` would be a difference", dotted(&difference.pointer));
        return Err(Refusal { member: members.iter().map(|(name, _)| *name).find(|name| *name == top), why });
    }
    if let Some(issue) = overlay.issues.first() {
        let top = match issue {
            Issue::AmbiguousAction { pointer, .. }
            | Issue::MissingScript { pointer, .. }
            | Issue::LostScript { pointer, .. } => diff::top_level(pointer),
        };
        let why = "actions can not be told apart".to_owned();
        return Err(Refusal { member: members.iter().map(|(name, _)| *name).find(|name| *name == top), why });
    }
    Ok(parsed.diagnostics.iter().map(|finding| finding.message.clone()).collect())
}

/// Whether a job is deleted, and by whom: a deleted job may still be answered.
pub fn deleted_by(job: &LiveJob) -> Option<String> {
    let deleted = job.raw.get("deletedBy").filter(|by| by.get("date").is_some_and(|date| !date.is_null()))?;
    let name = deleted.pointer("/user/name").and_then(serde_json::Value::as_str);
    Some(name.unwrap_or("somebody").to_owned())
}

/// The owner, other than `us`, whose stamp stands on a job: such a job is theirs to declare (DESIGN section 5).
pub fn other_owner<'j>(job: &'j LiveJob, us: &str) -> Option<&'j str> {
    let description = job.raw.get("description").and_then(serde_json::Value::as_str).unwrap_or_default();
    crate::stamp::owners(description).find(|owner| *owner != us)
}

/// What a key is made from for this job; `owner` is the owner in our stamps.
pub fn naming(job: &LiveJob, id: &str, owner: &str) -> key::Naming {
    let stamped = match &job.stamp {
        crate::stamp::Found::Stamp(stamp) if stamp.owner == owner => Some(stamp.key.clone()),
        crate::stamp::Found::Stamp(_) | crate::stamp::Found::Damaged | crate::stamp::Found::None => None,
    };
    key::Naming {
        id: id.to_owned(),
        name: job.normalised.text("name").unwrap_or_default().to_owned(),
        platform: job.normalised.text("platform").and_then(crate::job::Platform::parse),
        stamped,
    }
}

/// Whether the live job can not be edited any more: it runs once and was armed.
fn is_past_editing(job: &LiveJob) -> bool {
    normalise::is_armed(job.normalised.text("status"))
        && normalise::is_run_once(job.normalised.schedule_type())
}

#[cfg(test)]
mod tests;
