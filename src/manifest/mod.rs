//! Manifests: YAML text to declared jobs, with everything that is wrong said at once.
//!
//! Reads no files itself; scripts come through [`ReadScript`]. Knows no members by name but those of the
//! manifest's own header: the job's members are the table's business.

mod decode;
mod header;
mod links;
mod set;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::{Map, Value};

pub use links::{Fault, Linked, NamedAction, Parent, circle_finding, circles, faults};
pub use set::DesiredSet;

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::ignore;
use crate::job::{Platform, rules};
use crate::script::Scripts;
use crate::source::{Place, SourceFile, Span};
use crate::stamp::{self, Stamp};
use crate::yaml;

/// The only version of the manifest format.
pub const API_VERSION: &str = "patchctl/v1";
/// The only kind of object.
pub const KIND: &str = "DeploymentJob";

/// Gives the contents of script files.
pub trait ReadScript: Sync {
    /// Reads the file that a manifest names, relative to the manifest.
    ///
    /// # Errors
    /// Where the file is missing, is no file, is too large or lies outside of the repository.
    fn read_script(&self, manifest: &str, path: &str) -> Result<Vec<u8>, ScriptProblem>;
}

/// Why a script file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptProblem {
    /// What was found, to follow the name of the file.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// What the decoder needs beside the text.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Tag names and their UUIDs, from the configuration.
    pub tags: &'a BTreeMap<String, String>,
    /// Whether members that the table does not know are let through.
    pub allow_unknown_fields: bool,
    /// Where scripts come from.
    pub scripts: &'a dyn ReadScript,
}

/// Where a member was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name; of an element of a list, the element.
    pub key: Span,
    /// Its value.
    pub value: Span,
}

/// One declared job.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Identity in Git: `[a-z0-9-]`, unique in the repository.
    pub key: String,
    /// The live job it is bound to, where the manifest says so.
    pub id: Option<String>,
    /// The name that the live job had before: a declared rename.
    pub previous_name: Option<String>,
    /// Whether the live job must never be deleted.
    pub protect: bool,
    /// Members that are left alone, by JSON Pointer, and where each stands: `metadata.ignore`.
    pub ignore: Vec<(String, Span)>,
    /// The declared members in canonical form; an explicit `null` is there as `null`.
    ///
    /// As read, a parent given by its key stands in it as `{"linkedJob": KEY}`, and actions of the parent may stand in
    /// it by name. What the planner works with has ids in their place ([`Manifest::resolved`]).
    pub spec: Map<String, Value>,
    /// The declared members as read, where `spec` has ids in the place of keys and names.
    unresolved: Option<Map<String, Value>>,
    /// The declared members as read, where rules have taken some of them out.
    written: Option<Map<String, Value>>,
    /// Where scripts came from, by the JSON Pointer of the script: the path as written, `None` where in place.
    pub script_files: BTreeMap<String, Option<String>>,
    file: Arc<SourceFile>,
    key_span: Span,
    id_span: Option<Span>,
    previous_name_span: Option<Span>,
    declared: Places,
}

/// Where the members of one manifest were declared, by JSON Pointer.
///
/// Pointers are kept as hashes: ten thousand manifests name the same few paths over and over, and the texts would
/// take more memory than the jobs. Two pointers of one manifest with one hash would at worst mark a wrong line.
#[derive(Clone, Debug, Default)]
struct Places(Vec<(u64, Declared)>);

impl Places {
    /// Keeps places by [`Self::hash`], sorted for look-up.
    fn new(mut places: Vec<(u64, Declared)>) -> Self {
        places.sort_by_key(|(hash, _)| *hash);
        places.shrink_to_fit();
        Self(places)
    }

    fn get(&self, pointer: &str) -> Option<Declared> {
        let hash = Self::hash(pointer);
        self.0.binary_search_by_key(&hash, |(hash, _)| *hash).ok().map(|at| self.0[at].1)
    }

    fn hash(pointer: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        pointer.hash(&mut hasher);
        hasher.finish()
    }
}

impl Manifest {
    /// The same without the text it was read from: its places point into `nowhere`, and it takes little memory.
    pub(crate) fn without_places(self, nowhere: &Arc<SourceFile>) -> Self {
        Self {
            file: Arc::clone(nowhere),
            key_span: Span::default(),
            id_span: None,
            declared: Places::default(),
            ..self
        }
    }

    /// Where the manifest's key stands.
    pub fn place(&self) -> Place {
        Place::new(&self.file, self.key_span)
    }

    /// Where a part of the manifest's text stands.
    pub(crate) fn place_of(&self, span: Span) -> Place {
        Place::new(&self.file, span)
    }

    /// The same manifest as if nobody had declared these members, which are given by JSON Pointer.
    #[must_use]
    pub fn leaving_out(&self, members: &[&str]) -> Self {
        let mut manifest = Self { written: Some(self.as_written().clone()), ..self.clone() };
        for member in members {
            ignore::leave_out(&mut manifest.spec, member);
            if let Some(unresolved) = &mut manifest.unresolved {
                ignore::leave_out(unresolved, member);
            }
        }
        manifest
    }

    /// Whether rules have taken something out of it.
    pub fn has_left_out(&self) -> bool {
        self.written.is_some()
    }

    /// The declared members as Git has them, those that rules leave alone included.
    pub fn as_written(&self) -> &Map<String, Value> {
        self.written.as_ref().unwrap_or_else(|| self.as_declared())
    }

    /// Whether a stamp was written for what is declared now, scripts apart, as far as it is not left alone.
    ///
    /// A stamp of before a rule, or one that a rule had no part in, was taken over everything that is declared; if that
    /// is still the same, so is the rest of it.
    pub fn is_as_stamped(&self, stamp: &Stamp) -> bool {
        let is_same = |declared| stamp.declared == stamp::declared_digest(declared);
        is_same(self.as_declared()) || self.written.as_ref().is_some_and(is_same)
    }

    /// Whether a stamp was written with the scripts that are declared now, as far as they are not left alone.
    pub fn has_stamped_contents(&self, stamp: &Stamp) -> bool {
        let is_same = |declared| stamp.contents == stamp::contents_digest(declared);
        is_same(&self.spec) || self.written.as_ref().is_some_and(is_same)
    }

    /// Where `metadata.id` stands.
    pub fn id_place(&self) -> Option<Place> {
        self.id_span.map(|span| Place::new(&self.file, span))
    }

    /// Where `metadata.previousName` stands.
    pub fn previous_name_place(&self) -> Option<Place> {
        self.previous_name_span.map(|span| Place::new(&self.file, span))
    }

    /// Where the member at a JSON Pointer is declared, if it is, itself or with a block around it.
    pub fn declared_at(&self, pointer: &str) -> Option<(Place, Place)> {
        let mut pointer = pointer;
        loop {
            if let Some(found) = self.declared.get(pointer) {
                return Some((Place::new(&self.file, found.key), Place::new(&self.file, found.value)));
            }
            pointer = pointer.rsplit_once('/').map(|(rest, _)| rest).filter(|rest| !rest.is_empty())?;
        }
    }

    /// The declared name.
    pub fn name(&self) -> Option<&str> {
        self.spec.get("name").and_then(Value::as_str)
    }

    /// The declared platform.
    pub fn platform(&self) -> Option<Platform> {
        self.spec.get("platform").and_then(Value::as_str).and_then(Platform::parse)
    }

    /// Turns a broken rule into a finding at the member it is about.
    pub fn violation(&self, violation: &rules::Violation) -> Diagnostic {
        let code = "job-rule";
        let diagnostic = if violation.evidence.is_firm() {
            Diagnostic::error(code, violation.message.clone())
        } else {
            Diagnostic::warning(code, violation.message.clone())
        };
        self.at_member(diagnostic, &violation.pointer).help(violation.help.clone())
    }

    /// Places a finding at a member, at what encloses it, or at the manifest's key.
    pub fn at_member(&self, diagnostic: Diagnostic, pointer: &str) -> Diagnostic {
        match self.declared_at(pointer) {
            Some((_, value)) => diagnostic.at(value, ""),
            None => diagnostic.at(self.place(), "in this manifest"),
        }
    }
}

/// Everything that one file declares.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The manifests, in the order of the documents; those with errors are left out.
    pub manifests: Vec<Manifest>,
    /// The contents of their scripts.
    pub scripts: Scripts,
    /// What is wrong.
    pub diagnostics: Diagnostics,
}

/// Errors of one file, and apart from them warnings, after which no more of them are said.
///
/// As many as the YAML reader says ([`yaml::Limits::findings`]): nobody mends more in one go, and each one costs a walk
/// through the file when it is shown, so that a file of a hundred thousand wrong lines would take minutes.
const MOST_FINDINGS: usize = 100;

/// Adds a finding, unless the file has enough of its severity.
fn push_within_limit(diagnostics: &mut Diagnostics, finding: Diagnostic) {
    let (n_errors, n_warnings) = diagnostics.counts();
    let n = if finding.severity == Severity::Error { n_errors } else { n_warnings };
    if n < MOST_FINDINGS {
        diagnostics.push(finding);
    }
}

/// Reads all manifests of one file.
pub fn parse(file: &Arc<SourceFile>, context: Context<'_>) -> Parsed {
    let (documents, diagnostics) = yaml::parse(file);
    let n_yaml_errors = diagnostics.counts().0;
    let mut parsed = Parsed { diagnostics, ..Parsed::default() };
    for document in &documents {
        if parsed.diagnostics.counts().0 >= MOST_FINDINGS {
            break;
        }
        let mut decoder = decode::Decoder::new(file, context);
        let manifest = header::manifest(&mut decoder, document);
        parsed.scripts.extend(decoder.scripts);
        let failed = decoder.diagnostics.has_errors();
        for finding in decoder.diagnostics.iter() {
            push_within_limit(&mut parsed.diagnostics, finding.clone());
        }
        if let Some(manifest) = manifest
            && !failed
        {
            for violation in rules::check(&manifest.spec, rules::Scope::Declared) {
                push_within_limit(&mut parsed.diagnostics, manifest.violation(&violation));
            }
            parsed.manifests.push(manifest);
        }
    }
    // The YAML reader has said so itself where it stopped.
    if n_yaml_errors < MOST_FINDINGS && parsed.diagnostics.counts().0 >= MOST_FINDINGS {
        let message = format!("`{}` has {MOST_FINDINGS} errors or more", file.path);
        let help = "mend the ones that are shown first";
        parsed.diagnostics.push(Diagnostic::error(yaml::CODE_SIZE, message).help(help));
    }
    parsed
}
