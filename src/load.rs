#![expect(clippy::disallowed_methods, reason = "this module reads the manifest folder")]

//! Walks the manifest folder and hands its text to `manifest`; decides nothing about jobs.

use std::io::{self, Read as _};
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
    let parsed: Vec<Parsed> = paths.iter().map(|path| read(path, root, shown, context)).collect();
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
pub fn read_text(path: &Path, shown: &str) -> Result<std::sync::Arc<SourceFile>, Diagnostic> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What is wrong with it is shown with its lines, as for manifests: so it must be what it seems to be.
    yaml::decode(shown, read_manifest(path, folder, shown)?)
}

/// Reads the bytes of a manifest, which must be a file of the repository.
///
/// A pull request may hold a link to anywhere, and what is wrong with a manifest is shown with its lines: so a link
/// out of the repository is refused before a byte of it is read.
///
/// # Errors
/// One finding, which never holds the content: the file lies outside, is no file, is too large or can not be read.
pub(crate) fn read_manifest(path: &Path, root: &Path, shown: &str) -> Result<Vec<u8>, Diagnostic> {
    let limit = yaml::Limits::default().file_bytes as u64;
    let unreadable = |message: String| Diagnostic::error("unreadable-file", message);
    read_within(path, root, limit).map_err(|refusal| match refusal {
        Refusal::System(error) => unreadable(format!("could not read `{shown}`: {}", cause(&error))),
        Refusal::Outside => unreadable(format!("`{shown}` lies outside of the repository"))
            .help("manifests are reviewed where they lie: move the file into the repository"),
        Refusal::NoFile => {
            unreadable(format!("`{shown}` is no file")).help("manifests are files that end in .yaml or .yml")
        }
        Refusal::TooLarge => {
            let message = format!("`{shown}` has more than the {limit} bytes allowed");
            Diagnostic::error(yaml::CODE_SIZE, message).help("split the manifests over several files")
        }
    })
}

/// Why a file of the repository is not read.
enum Refusal {
    /// The system said no.
    System(io::Error),
    /// It lies outside of the repository, links resolved.
    Outside,
    /// A folder, a pipe, a device.
    NoFile,
    /// It has more bytes than allowed.
    TooLarge,
}

/// Whether a path without links lies in a folder, whose own path may have some.
fn lies_within(resolved: &Path, root: &Path) -> bool {
    // The beginning of a path without links has none either. That saves asking the system for every file.
    let has_no_links = root.is_absolute() && resolved.starts_with(root);
    has_no_links || std::fs::canonicalize(root).is_ok_and(|root| resolved.starts_with(root))
}

/// Reads a regular file that lies in the repository and has at most `limit` bytes.
fn read_within(path: &Path, root: &Path, limit: u64) -> Result<Vec<u8>, Refusal> {
    let resolved = std::fs::canonicalize(path).map_err(Refusal::System)?;
    // Links are resolved first: a link that leads out of the repository is outside.
    if !lies_within(&resolved, root) {
        return Err(Refusal::Outside);
    }
    // Before it is opened: opening a pipe waits for somebody who writes to it.
    if !std::fs::metadata(&resolved).map_err(Refusal::System)?.is_file() {
        return Err(Refusal::NoFile);
    }
    let file = std::fs::File::open(&resolved).map_err(Refusal::System)?;
    let mut bytes = Vec::new();
    // The size that the system tells is not trusted: a file may grow while it is read.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Refusal::System)?;
    if bytes.len() as u64 > limit { Err(Refusal::TooLarge) } else { Ok(bytes) }
}

fn read(path: &Path, root: &Path, shown: &dyn Fn(&Path) -> String, context: Context<'_>) -> Parsed {
    let shown = shown(path);
    let failed = |finding| {
        let mut parsed = Parsed::default();
        parsed.diagnostics.push(finding);
        parsed
    };
    match read_manifest(path, root, &shown) {
        Ok(bytes) => yaml::decode(&shown, bytes).map_or_else(failed, |file| manifest::parse(&file, context)),
        Err(finding) => failed(finding),
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
        read_within(&joined, self.root, SCRIPT_LIMIT_BYTES).map_err(|refusal| match refusal {
            Refusal::System(error) => problem(
                &format!("can not be read: {}", cause(&error)),
                &format!("it was looked for at `{}`", (self.shown)(&joined)),
            ),
            Refusal::Outside => problem(
                "lies outside of the repository",
                "scripts are reviewed with their manifests: move the file into the repository",
            ),
            Refusal::NoFile => problem("is no file", "name the script itself"),
            Refusal::TooLarge => problem("is larger than 1 MiB", "a script of this size can not be meant"),
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[track_caller]
    fn check(root: &Path, name: &str, expected: Result<&str, &str>) {
        let found = read_manifest(&root.join("jobs.d").join(name), root, name);
        let found = found
            .map(|bytes| String::from_utf8(bytes).expect("text"))
            .map_err(|finding| finding.message.clone());
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn only_regular_files_of_the_repository_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let elsewhere = tempfile::tempdir().expect("a folder");
        let jobs = folder.path().join("jobs.d");
        std::fs::create_dir(&jobs).expect("writable");
        std::fs::write(folder.path().join("shared.yaml"), "inside").expect("writable");
        std::fs::write(elsewhere.path().join("secret"), "a secret").expect("writable");
        symlink("../shared.yaml", jobs.join("inside.yaml")).expect("writable");
        symlink(elsewhere.path().join("secret"), jobs.join("outside.yaml")).expect("writable");
        symlink("/dev/zero", jobs.join("device.yaml")).expect("writable");
        symlink("nowhere", jobs.join("broken.yaml")).expect("writable");
        // A socket stands for all that is neither file nor folder; a pipe can not be made without unsafe code.
        let _socket = std::os::unix::net::UnixListener::bind(jobs.join("socket.yaml")).expect("a socket");
        let large = vec![b' '; yaml::Limits::default().file_bytes + 1];
        std::fs::write(jobs.join("large.yaml"), large).expect("writable");

        check(folder.path(), "inside.yaml", Ok("inside"));
        check(folder.path(), "outside.yaml", Err("`outside.yaml` lies outside of the repository"));
        check(folder.path(), "device.yaml", Err("`device.yaml` lies outside of the repository"));
        check(folder.path(), "socket.yaml", Err("`socket.yaml` is no file"));
        check(folder.path(), "broken.yaml", Err("could not read `broken.yaml`: no such file or directory"));
        check(folder.path(), "large.yaml", Err("`large.yaml` has more than the 1048576 bytes allowed"));
    }
}
