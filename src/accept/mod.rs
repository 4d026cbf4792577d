//! Live values into the manifests that declare others: the half of `patchctl accept` that decides.
//!
//! Pure: a text and differences in, a text out. Only the spans of the members concerned change; comments, order,
//! quoting, anchors elsewhere, line ends and the end of the file stay. What can not be written is refused with the
//! reason, member by member. Afterwards the whole text is read again, by the reader of this program and by another one,
//! and laid over the live job: it must say what it said before but for the accepted members, and those must not differ
//! any more; otherwise nothing of the file is given away.

mod anchors;
mod editor;
mod forms;
mod lines;
mod list;
mod proof;
mod scalar;
mod select;
mod shape;

use std::sync::Arc;

use serde_json::{Map, Value as Json};

pub use select::{Target, TargetError, Wish, wish};

use crate::diagnostic::Diagnostic;
use crate::diff::{self, FieldChange, top_level};
use crate::edit::{Replacement, splice};
use crate::ignore;
use crate::import::Known;
use crate::job::{Owner, canonical, find_pointer};
use crate::manifest::{self, Manifest};
use crate::overlay;
use crate::plan;
use crate::snapshot::LiveJob;
use crate::source::SourceFile;
use crate::yaml;

/// A manifest, its live job, and where they differ.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The manifest's key.
    pub key: &'a str,
    /// The live job.
    pub live: &'a LiveJob,
    /// Every difference, and whether its live value is to be accepted.
    pub differences: Vec<(FieldChange, bool)>,
}

/// What the editor knows beside text and jobs.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// How manifests are read.
    pub manifests: manifest::Context<'a>,
    /// Names beside ids.
    pub known: &'a Known,
    /// Members that are left alone in many jobs; nothing is accepted into them.
    pub ignore: &'a ignore::Rules,
}

/// A member whose live value was not written, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// The manifest's key.
    pub key: String,
    /// JSON Pointer from the job's root.
    pub pointer: String,
    /// What was found, where, and what to do.
    pub finding: Diagnostic,
}

/// What became of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accepted {
    /// The new text; `None` where nothing is to be written.
    pub text: Option<String>,
    /// Keys and pointers of the differences that the new text does away with.
    pub members: Vec<(String, String)>,
    /// Those that were to be accepted and are not.
    pub refused: Vec<Refused>,
}

/// Accepts live values into the manifests of one file.
pub fn accept(file: &Arc<SourceFile>, jobs: &[Job<'_>], context: Context<'_>) -> Accepted {
    let mut result = Accepted::default();
    let (documents, findings) = yaml::parse(file);
    let before = manifest::parse(file, context.manifests);
    if findings.has_errors() || before.diagnostics.has_errors() {
        let message = format!("`{}` has errors, so nothing is written into it", file.path);
        let finding = Diagnostic::error("accept-unsure", message).help("run `patchctl validate` first");
        refuse_all(&mut result, jobs, &finding);
        return result;
    }
    let mut replacements: Vec<Replacement> = Vec::new();
    let mut changes = Vec::new();
    for job in jobs {
        let manifest = before.manifests.iter().find(|manifest| manifest.key == job.key);
        let at = documents.iter().position(|document| editor::key_of(document).as_deref() == Some(job.key));
        let (Some(manifest), Some(at)) = (manifest, at) else {
            let message = format!("`{}` holds no manifest with the key `{}`", file.path, job.key);
            refuse_all(&mut result, std::slice::from_ref(job), &Diagnostic::error("accept-unsure", message));
            continue;
        };
        let edited = editor::Editor::new(file, &documents[at], manifest, job, context.known).run();
        replacements.extend(edited.replacements);
        changes.extend(edited.changes.into_iter().map(|change| (at, change)));
        result.members.extend(edited.members.into_iter().map(|pointer| (job.key.to_owned(), pointer)));
        result.refused.extend(edited.refused);
    }
    if replacements.is_empty() {
        // What follows from a member that was refused does not go away by itself.
        give_up(&mut result, file, "nothing that it follows from was accepted");
        return result;
    }
    match proven(file, &replacements, &changes, jobs, &result, context) {
        Ok(text) => result.text = Some(text),
        Err(why) => give_up(&mut result, file, &why),
    }
    result
}

/// Refuses what was to be accepted.
fn refuse_all(result: &mut Accepted, jobs: &[Job<'_>], finding: &Diagnostic) {
    for job in jobs {
        for (difference, _) in job.differences.iter().filter(|(_, taken)| *taken) {
            result.refused.push(Refused {
                key: job.key.to_owned(),
                pointer: difference.pointer.clone(),
                finding: finding.clone(),
            });
        }
    }
}

/// Refuses all that is not refused yet: the file stays as it is.
fn give_up(result: &mut Accepted, file: &SourceFile, why: &str) {
    for (key, pointer) in std::mem::take(&mut result.members) {
        let message = format!("nothing is written into `{}`: {why}", file.path);
        let help = "edit the manifest by hand; `patchctl plan` shows the live values";
        let finding = Diagnostic::error("accept-unsure", message).help(help);
        result.refused.push(Refused { key, pointer, finding });
    }
}

/// The new text, if it is sure to mean what it should.
fn proven(
    file: &Arc<SourceFile>,
    replacements: &[Replacement],
    changes: &[(usize, proof::Change)],
    jobs: &[Job<'_>],
    result: &Accepted,
    context: Context<'_>,
) -> Result<String, String> {
    let text = splice(&file.text, replacements).map_err(|refusal| format!("it {refusal}"))?;
    let after = SourceFile::new(file.path.as_str(), text.as_str());
    if !proof::holds(file, &after, changes) {
        return Err("it would say something else afterwards than was wanted".to_owned());
    }
    let read = manifest::parse(&after, context.manifests);
    if let Some(error) = read.diagnostics.iter().find(|finding| is_error(finding)) {
        return Err(format!("it would not be valid any more: {}", error.message));
    }
    for job in jobs {
        let Some(manifest) = read.manifests.iter().find(|manifest| manifest.key == job.key) else {
            return Err(format!("the manifest `{}` would be gone", job.key));
        };
        let is_accepted = |pointer: &str| {
            result.members.iter().any(|(key, accepted)| key == job.key && accepted == pointer)
        };
        if let Some(pointer) = still_different(manifest, job, &is_accepted, context) {
            return Err(format!("`{}` would still differ", crate::render::text::dotted(&pointer)));
        }
    }
    Ok(text)
}

fn is_error(finding: &Diagnostic) -> bool {
    finding.severity == crate::diagnostic::Severity::Error
}

/// A member that differs though it was accepted, or that did not differ before.
///
/// Positions in lists shift where elements come and go, so what is left is counted below each member of the job.
fn still_different(
    manifest: &Manifest,
    job: &Job<'_>,
    is_accepted: &dyn Fn(&str) -> bool,
    context: Context<'_>,
) -> Option<String> {
    let manifest = plan::managed(context.ignore, manifest);
    let spec = resolved(manifest.as_declared(), context.known);
    // Scripts are compared by digests and never accepted, so they are left out of this.
    let desired = overlay::overlay(&spec, &job.live.normalised, true).desired;
    let mut left = diff::diff(&job.live.normalised, &desired);
    left.retain(|field| !is_only_form(field));
    let rest = |name: &str| {
        let left_before = job.differences.iter().filter(|(difference, _)| {
            top_level(&difference.pointer) == name
                && !is_accepted(&difference.pointer)
                && !is_script(&difference.pointer)
                && !is_only_form(difference)
        });
        left_before.count()
    };
    for field in left.iter().filter(|field| !is_script(&field.pointer)) {
        let name = top_level(&field.pointer);
        let n_left = left
            .iter()
            .filter(|other| top_level(&other.pointer) == name && !is_script(&other.pointer))
            .count();
        if n_left > rest(name) {
            return Some(field.pointer.clone());
        }
    }
    None
}

/// Whether both values mean none: of a block that is there on one side only, members are told that say nothing.
fn is_only_form(field: &FieldChange) -> bool {
    let Some(row) = find_pointer(&field.pointer) else { return false };
    let unset = canonical::unset(row);
    let is_none = |value: &Json| value.is_null() || *value == unset;
    is_none(&field.before) && is_none(&field.after)
}

/// Whether a difference is about the content of a script.
pub fn is_script(pointer: &str) -> bool {
    let is_position = pointer.ends_with(|c: char| c.is_ascii_digit());
    !is_position && find_pointer(pointer).is_some_and(|row| row.owner == Owner::WriteOnly)
}

/// Declared members with ids in the place of keys and names, as far as they are known.
fn resolved(declared: &Map<String, Json>, known: &Known) -> Map<String, Json> {
    let mut spec = declared.clone();
    if let Some(link) = spec.get_mut("linkedJobId")
        && let Some(key) = link.get("linkedJob").and_then(Json::as_str)
        && let Some((id, _)) = known.keys.iter().find(|(_, of_manifest)| *of_manifest == key)
    {
        *link = id.as_str().into();
    }
    let rules = spec.get_mut("chainedJobRule").and_then(Json::as_array_mut);
    for rule in rules.into_iter().flatten() {
        let Some(Json::Array(ids)) = rule.get_mut("actionIds") else { continue };
        for id in ids.iter_mut() {
            if let Some(found) = id.as_str().and_then(|name| forms::action_id(known, name)) {
                *id = found.into();
            }
        }
        if let Some(row) = find_pointer("/chainedJobRule/0/actionIds")
            && let Ok(sorted) = canonical::canonical(row, &Json::Array(ids.clone()))
        {
            rule["actionIds"] = sorted;
        }
    }
    spec
}

#[cfg(test)]
mod tests;
