#![expect(clippy::disallowed_methods, reason = "this module reads the manifest folder")]

//! Walks the manifest folder and hands its text to `manifest`; decides nothing about jobs.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::manifest::{self, Context, DesiredSet, Parsed, ReadScript, ScriptProblem};
use crate::source::SourceFile;
use crate::yaml;

/// Largest script that is read, in bytes.
///
/// The API's limit is not known; 500 KB is the limit of a sister product (REFERENCE 5.8), so this refuses only what
/// is surely a mistake.
const SCRIPT_LIMIT_BYTES: u64 = 1 << 20;

/// Reads all manifests below a folder, in sorted order, with everything that is wrong.
///
/// `root` is the repository: script files must lie in it. `shown` turns a path into the words of messages.
pub fn load(
    jobs: &Path,
    root: &Path,
    shown: &(dyn Fn(&Path) -> String + Sync),
    context: LoadContext<'_>,
) -> (DesiredSet, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    if !jobs.is_dir() {
        let message = format!("there is no folder `{}`", shown(jobs));
        let help = "say where the manifests are with --jobs DIR, or run this where `jobs.d` is";
        diagnostics.push(Diagnostic::error("no-manifests", message).help(help));
        return (DesiredSet::default(), diagnostics);
    }
    let scripts = RepositoryScripts { root, shown };
    let context =
        Context { tags: context.tags, allow_unknown_fields: context.allow_unknown_fields, scripts: &scripts };
    let paths = manifest_paths(jobs, shown, &mut diagnostics);
    let parsed: Vec<Parsed> = paths.iter().map(|path| read(path, shown, context)).collect();
    let (set, found) = DesiredSet::join(parsed);
    diagnostics.append(found);
    if set.manifests.is_empty() && diagnostics.is_empty() {
        let message = format!("there are no manifests below `{}`", shown(jobs));
        let help = "manifests are files that end in .yaml or .yml";
        diagnostics.push(Diagnostic::error("no-manifests", message).help(help));
    }
    diagnostics.sort();
    (set, diagnostics)
}

/// What loading needs beside paths.
#[derive(Clone, Copy)]
pub struct LoadContext<'a> {
    /// Tag names and their UUIDs.
    pub tags: &'a std::collections::BTreeMap<String, String>,
    /// Whether unknown members are let through.
    pub allow_unknown_fields: bool,
}

/// Reads one text file as the YAML reader wants it.
///
/// # Errors
/// One finding: the file can not be read, is no UTF-8, or is too large.
#[expect(
    clippy::result_large_err,
    reason = "once per file, and callers push the finding into a list as it is"
)]
pub fn read_text(path: &Path, shown: &str) -> Result<std::sync::Arc<SourceFile>, Diagnostic> {
    match std::fs::read(path) {
        Ok(bytes) => yaml::decode(shown, bytes),
        Err(error) => {
            Err(Diagnostic::error("unreadable-file", format!("could not read `{shown}`: {}", cause(&error))))
        }
    }
}

fn read(path: &Path, shown: &dyn Fn(&Path) -> String, context: Context<'_>) -> Parsed {
    match read_text(path, &shown(path)) {
        Ok(file) => manifest::parse(&file, context),
        Err(finding) => {
            let mut parsed = Parsed::default();
            parsed.diagnostics.push(finding);
            parsed
        }
    }
}

/// The files that end in `.yaml` or `.yml`, sorted; hidden folders and files are passed over.
pub(crate) fn manifest_paths(
    jobs: &Path,
    shown: &dyn Fn(&Path) -> String,
    diagnostics: &mut Diagnostics,
) -> Vec<PathBuf> {
    let is_hidden = |entry: &walkdir::DirEntry| {
        entry.depth() > 0 && entry.file_name().to_str().is_some_and(|name| name.starts_with('.'))
    };
    let walk = walkdir::WalkDir::new(jobs).follow_links(true).sort_by_file_name().into_iter();
    let mut paths = Vec::new();
    for entry in walk.filter_entry(|entry| !is_hidden(entry)) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => {
                let ending = entry.path().extension().and_then(|ending| ending.to_str()).unwrap_or_default();
                if matches!(ending, "yaml" | "yml") {
                    paths.push(entry.into_path());
                }
            }
            Err(error) => {
                let path = error.path().map_or_else(|| shown(jobs), shown);
                let why = error.io_error().map_or_else(|| "the links go in a circle".to_owned(), cause);
                diagnostics
                    .push(Diagnostic::error("unreadable-file", format!("could not read `{path}`: {why}")));
            }
        }
    }
    paths
}

/// What the system said, without the number that it adds.
fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// Reads scripts that lie in the repository.
pub struct RepositoryScripts<'a> {
    /// The repository.
    pub root: &'a Path,
    /// Turns a path into the words of messages.
    pub shown: &'a (dyn Fn(&Path) -> String + Sync),
}

impl ReadScript for RepositoryScripts<'_> {
    fn read_script(&self, manifest: &str, path: &str) -> Result<Vec<u8>, ScriptProblem> {
        let problem =
            |message: &str, help: &str| ScriptProblem { message: message.to_owned(), help: help.to_owned() };
        let relative = Path::new(path);
        if path.is_empty()
            || relative.is_absolute()
            || relative.components().any(|c| matches!(c, Component::Prefix(_)))
        {
            return Err(problem("is not relative", "give the path from the manifest's own folder"));
        }
        let folder = Path::new(manifest).parent().unwrap_or(Path::new(""));
        let joined = folder.join(relative);
        let resolved = std::fs::canonicalize(&joined).map_err(|error| {
            let looked = (self.shown)(&joined);
            problem(
                &format!("can not be read: {}", cause(&error)),
                &format!("it was looked for at `{looked}`"),
            )
        })?;
        // Links are resolved first: a link that leads out of the repository is outside.
        let root = std::fs::canonicalize(self.root).unwrap_or_else(|_| self.root.to_path_buf());
        if !resolved.starts_with(&root) {
            let help = "scripts are reviewed with their manifests: move the file into the repository";
            return Err(problem("lies outside of the repository", help));
        }
        let metadata =
            std::fs::metadata(&resolved).map_err(|error| problem(&cause(&error), "check its rights"))?;
        if !metadata.is_file() {
            return Err(problem("is no file", "name the script itself"));
        }
        if metadata.len() > SCRIPT_LIMIT_BYTES {
            return Err(problem("is larger than 1 MiB", "a script of this size can not be meant"));
        }
        std::fs::read(&resolved)
            .map_err(|error| problem(&format!("can not be read: {}", cause(&error)), "check its rights"))
    }
}
