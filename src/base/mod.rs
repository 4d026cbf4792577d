#![expect(clippy::disallowed_methods, reason = "this module asks Git for files of a commit")]

//! The manifests as they stood at a commit: `--base REF`, or what the last apply recorded.
//!
//! Git is asked for objects only: the working tree is neither read nor touched, nothing is fetched, and no hook or
//! file system monitor is started. What does not parse at the base is a note and not an error, because
//! nobody can mend a commit that is done.

mod choice;
mod lookup;
mod tree;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

pub use choice::{BaseSource, Choice, Chosen, choose, of_schedule};
pub use lookup::Lookup;
use tree::{Entry, Found, Tree};

use crate::inventory::Sources;
use crate::job::Platform;
use crate::manifest::{self, Context, Manifest, ReadScript, ScriptProblem};
use crate::plan::Declared;
use crate::script::Scripts;
use crate::source::{Place, SourceFile};
use crate::yaml;

/// Largest file that is taken from a commit, in bytes: manifests and scripts have at most 1 MiB.
const MOST_FILE_BYTES: u64 = 1 << 20;

/// Digits of a commit's id in messages.
const SHORT: usize = 10;

/// Why there is no base.
#[derive(Debug, thiserror::Error)]
pub enum BaseProblem {
    /// Git could not be started.
    #[error("`git` could not be started")]
    NoGit(#[source] io::Error),
    /// The manifests lie in no repository.
    #[error("`{folder}` lies in no Git repository: {said}")]
    NoRepository {
        /// The folder.
        folder: String,
        /// What Git said.
        said: String,
    },
    /// The text can be no name of a commit.
    #[error("`{0}` is no name of a commit")]
    BadReference(String),
    /// No commit has this name here.
    #[error("`{reference}` names no commit of this repository")]
    Unknown {
        /// The name.
        reference: String,
        /// Whether only a part of the history is here.
        is_shallow: bool,
    },
    /// The commit is here and its files can not be read.
    #[error("the files of commit {commit} can not be read: {said}")]
    Unreadable {
        /// The commit.
        commit: String,
        /// What Git said.
        said: String,
    },
}

impl BaseProblem {
    /// What to do.
    pub fn help(&self) -> String {
        match self {
            Self::NoGit(_) => "install Git, or leave out --base".to_owned(),
            Self::NoRepository { said, .. } if said.contains("dubious ownership") => {
                "Git refuses folders of other users: `git config --global --add safe.directory FOLDER`".to_owned()
            }
            Self::NoRepository { .. } => "run this in a clone of the repository, or leave out --base".to_owned(),
            Self::BadReference(_) => {
                "give a branch, a tag or a commit, such as origin/main or HEAD~1".to_owned()
            }
            Self::Unknown { is_shallow: true, .. } => {
                "this clone holds only a part of the history: `git fetch --unshallow`, or in a pipeline fetch all \
                 of it (`fetch-depth: 0` of actions/checkout, `GIT_DEPTH: 0` of GitLab)"
                    .to_owned()
            }
            Self::Unknown { is_shallow: false, .. } => {
                "fetch it (`git fetch origin`), or name another commit; branches of the remote are called \
                 origin/NAME"
                    .to_owned()
            }
            Self::Unreadable { .. } => {
                "a partial clone may not hold them: clone without --filter, or run `git fsck`".to_owned()
            }
        }
    }
}

/// A commit of the repository that the manifests lie in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit(String);

impl Commit {
    /// All digits of its id.
    pub fn id(&self) -> &str {
        &self.0
    }

    /// The id as messages show it.
    pub fn short(&self) -> &str {
        self.0.get(..SHORT).unwrap_or(&self.0)
    }
}

/// A manifest as it stood at the base.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its key.
    pub key: String,
    /// `metadata.id`.
    pub id: Option<String>,
    /// The declared name.
    pub name: Option<String>,
    /// The declared platform.
    pub platform: Option<Platform>,
    /// Whether it said that the job must never be deleted.
    pub protect: bool,
    /// Where it stood.
    pub place: Place,
    /// The whole manifest; `None` where this build can not read it any more.
    pub manifest: Option<Manifest>,
}

/// The manifests of a commit.
#[derive(Debug)]
pub struct Base {
    /// The commit.
    pub commit: Commit,
    /// By key.
    pub manifests: BTreeMap<String, Standing>,
    /// The contents of their scripts.
    pub scripts: Scripts,
    /// What could not be read, for people.
    pub notes: Vec<String>,
}

impl Base {
    /// Who the manifest of a key was about.
    pub fn declared(&self, key: &str) -> Option<Declared> {
        let standing = self.manifests.get(key)?;
        let (line, _) = standing.place.line_column();
        Some(Declared {
            id: standing.id.clone(),
            name: standing.name.clone(),
            platform: standing.platform,
            commit: self.commit.short().to_owned(),
            place: format!("{}:{line}", standing.place.file.path),
        })
    }
}

/// Finds the commit that a person named.
///
/// # Errors
/// Every [`BaseProblem`] but the last.
pub fn resolve(root: &Path, reference: &str) -> Result<Commit, BaseProblem> {
    let is_option = reference.starts_with('-');
    if reference.trim().is_empty() || is_option || reference.chars().any(char::is_control) {
        return Err(BaseProblem::BadReference(reference.escape_debug().to_string()));
    }
    let git = Git::open(root)?;
    match git.commit(reference) {
        Some(commit) => Ok(commit),
        None => {
            let is_shallow = git.line(&["rev-parse", "--is-shallow-repository"]).as_deref() == Some("true");
            Err(BaseProblem::Unknown { reference: reference.to_owned(), is_shallow })
        }
    }
}

/// Finds a commit that an earlier run recorded; `None` where it is not here or no part of this history any more.
pub fn recorded(root: &Path, id: &str) -> Option<Commit> {
    let is_id = matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let git = Git::open(root).ok().filter(|_| is_id)?;
    let commit = git.commit(id)?;
    let is_past = git.run(&["merge-base", "--is-ancestor", commit.id(), "HEAD"]).is_ok();
    is_past.then_some(commit)
}

/// A commit that an earlier run recorded and those before it, newest first; none where it is not here.
pub fn earlier(root: &Path, id: Option<&str>, most: usize) -> Vec<Commit> {
    let is_id = |id: &str| matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let from = id.filter(|id| is_id(id)).unwrap_or("HEAD");
    let Ok(git) = Git::open(root) else { return Vec::new() };
    let most = format!("--max-count={most}");
    let list = git.run(&["rev-list", most.as_str(), from, "--"]).unwrap_or_default();
    String::from_utf8_lossy(&list).lines().filter(|id| is_id(id)).map(|id| Commit(id.to_owned())).collect()
}

/// The commit that is checked out, if the manifest folder is as it says.
///
/// A manifest that Git ignores is not seen to be there; whoever ignores manifests does not compare commits.
pub fn clean_head(root: &Path, jobs: &Path) -> Option<Commit> {
    let git = Git::open(root).ok()?;
    let head = git.commit("HEAD")?;
    let status = ["status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=all", "--"];
    let arguments = status.iter().map(OsStr::new).chain([jobs.as_os_str()]).collect::<Vec<_>>();
    git.run(&arguments).ok().filter(Vec::is_empty).map(|_| head)
}

/// Reads the manifests of a commit, with the settings of today.
///
/// # Errors
/// Where Git can not be asked or the files are not there.
pub fn read(commit: &Commit, sources: Sources<'_>) -> Result<Base, BaseProblem> {
    let git = Git::open(sources.root)?;
    let files = Files::list(commit, &git, sources)?;
    let mut base = Base::nothing(commit);
    for (path, id) in files.tree.manifests(&files.folder) {
        base.read_file(&files, &path, &id, sources)?;
    }
    Ok(base)
}

/// The files of a commit, as the repository sees them.
struct Files {
    commit: Commit,
    tree: Tree,
    /// The manifest folder as a path in the repository.
    folder: String,
    batch: Mutex<Batch>,
}

impl Files {
    fn unreadable(commit: &Commit, said: String) -> BaseProblem {
        BaseProblem::Unreadable { commit: commit.short().to_owned(), said }
    }

    fn content(&self, id: &str) -> io::Result<Vec<u8>> {
        let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        batch.get(id)
    }

    fn list(commit: &Commit, git: &Git, sources: Sources<'_>) -> Result<Self, BaseProblem> {
        let unreadable = |said: String| Self::unreadable(commit, said);
        // The path of the repository from the top of Git's, with a slash at its end unless it is the top.
        let prefix = git.line(&["rev-parse", "--show-prefix"]).unwrap_or_default();
        let mut list = vec!["ls-tree", "-r", "-z", "--full-tree", commit.id()];
        if !prefix.is_empty() {
            list.extend(["--", prefix.as_str()]);
        }
        let listed = git.run(&list).map_err(unreadable)?;
        let folder = folder_in(sources.root, sources.jobs);
        let batch = Mutex::new(Batch::start(git)?);
        let mut files = Self { commit: commit.clone(), tree: Tree::default(), folder, batch };
        for line in listed.split(|byte| *byte == 0) {
            let Some((path, mode, id)) = entry(line) else { continue };
            // Outside of the repository as this program sees it, there is nothing to be read.
            let Some(path) = path.strip_prefix(&prefix) else { continue };
            let entry = match mode {
                "100644" | "100755" => Entry::File(id.to_owned()),
                "120000" => {
                    let target = files.content(id).map_err(|error| unreadable(error.to_string()))?;
                    String::from_utf8(target).map_or(Entry::Other, Entry::Link)
                }
                _ => Entry::Other,
            };
            files.tree.0.insert(path.to_owned(), entry);
        }
        Ok(files)
    }
}

impl Base {
    /// A commit of which no manifest was read yet.
    fn nothing(commit: &Commit) -> Self {
        Self {
            commit: commit.clone(),
            manifests: BTreeMap::new(),
            scripts: Scripts::default(),
            notes: Vec::new(),
        }
    }

    /// Reads one manifest file of the commit.
    fn read_file(
        &mut self,
        files: &Files,
        path: &str,
        id: &str,
        sources: Sources<'_>,
    ) -> Result<(), BaseProblem> {
        let inside = path.strip_prefix(&files.folder).unwrap_or(path).trim_start_matches('/');
        let shown = (sources.shown)(&sources.jobs.join(inside));
        let unreadable = |error: io::Error| Files::unreadable(&files.commit, error.to_string());
        let bytes = files.content(id).map_err(unreadable)?;
        match yaml::decode(&shown, bytes) {
            Ok(file) => {
                let above = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let content = |id: &str| files.content(id);
                let scripts = CommitScripts { tree: &files.tree, above, content: &content };
                self.take(&file, sources, &scripts);
            }
            Err(finding) => self.notes.push(format!("at {}, {}", self.commit.short(), finding.message)),
        }
        Ok(())
    }

    /// Takes what one file declared; of a manifest that is wrong by the rules of today, who it was about.
    fn take(&mut self, file: &std::sync::Arc<SourceFile>, sources: Sources<'_>, scripts: &dyn ReadScript) {
        let context = Context { tags: sources.context.tags, allow_unknown_fields: true, scripts };
        let parsed = manifest::parse(file, context);
        self.scripts.extend(parsed.scripts);
        for manifest in parsed.manifests {
            let standing = Standing {
                key: manifest.key.clone(),
                id: manifest.id.clone(),
                name: manifest.name().map(str::to_owned),
                platform: manifest.platform(),
                protect: manifest.protect,
                place: manifest.place(),
                manifest: Some(manifest),
            };
            self.manifests.entry(standing.key.clone()).or_insert(standing);
        }
        let (n_errors, _) = parsed.diagnostics.counts();
        if n_errors == 0 {
            return;
        }
        let first =
            parsed.diagnostics.iter().find(|finding| finding.severity == crate::diagnostic::Severity::Error);
        let first = first.map_or(String::new(), |finding| format!(": {}", finding.message));
        self.notes.push(format!(
            "at {}, `{}` is not as this build and `patchctl.yaml` of today would have it{first}",
            self.commit.short(),
            file.path
        ));
        for document in yaml::parse(file).0 {
            if let Some(standing) = outline(file, &document.root) {
                self.manifests.entry(standing.key.clone()).or_insert(standing);
            }
        }
    }
}

/// Who a manifest is about that can not be read as a whole.
fn outline(file: &std::sync::Arc<SourceFile>, root: &yaml::Node) -> Option<Standing> {
    let (metadata, spec) = (root.value.get("metadata")?, root.value.get("spec"));
    let key = metadata.value.get("key")?;
    let text = |node: Option<&yaml::Node>| match &node?.value {
        yaml::Value::String(text) if !text.is_empty() => Some(text.clone()),
        yaml::Value::Integer(number) => Some(number.to_string()),
        _ => None,
    };
    let of_spec = |name: &str| text(spec.and_then(|spec| spec.value.get(name)));
    Some(Standing {
        key: text(Some(key))?,
        id: text(metadata.value.get("id")).map(|id| id.to_ascii_lowercase()),
        name: of_spec("name"),
        platform: of_spec("platform").as_deref().and_then(Platform::parse),
        // What can not be read as "no" is a yes.
        protect: metadata.value.get("protect").is_some_and(|node| node.value.as_bool() != Some(false)),
        place: Place::new(file, key.span),
        manifest: None,
    })
}

/// One line of `ls-tree -z`: path, mode, id.
fn entry(line: &[u8]) -> Option<(&str, &str, &str)> {
    let (head, path) = std::str::from_utf8(line).ok()?.split_once('\t')?;
    let mut head = head.split(' ');
    let (mode, _, id) = (head.next()?, head.next()?, head.next()?);
    Some((path, mode, id))
}

/// The manifest folder as a path in the repository, with forward slashes; a link that it may be is not followed.
fn folder_in(root: &Path, jobs: &Path) -> String {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let root = real(root);
    let by_name = jobs.parent().zip(jobs.file_name()).map(|(above, name)| real(above).join(name));
    let inside = by_name.as_deref().and_then(|path| path.strip_prefix(&root).ok()).map(Path::to_path_buf);
    let inside = inside.or_else(|| real(jobs).strip_prefix(&root).ok().map(Path::to_path_buf));
    let inside = inside.unwrap_or_default();
    let parts = inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    parts.collect::<Vec<_>>().join("/")
}

/// Scripts of the same commit, for the manifests of one folder.
struct CommitScripts<'a, F> {
    tree: &'a Tree,
    above: &'a str,
    content: &'a F,
}

impl<F: Fn(&str) -> io::Result<Vec<u8>> + Sync> ReadScript for CommitScripts<'_, F> {
    fn read_script(&self, _: &str, path: &str) -> Result<Vec<u8>, ScriptProblem> {
        let problem = |message: &str| ScriptProblem {
            message: message.to_owned(),
            help: "as it stood at the base".to_owned(),
        };
        // Paths are written with the slashes of whoever wrote them; Git has one kind.
        let found = match path.starts_with('/') {
            true => Found::Outside,
            false => self.tree.resolve("", &tree::join(self.above, path)),
        };
        match found {
            Found::File(id) => {
                (self.content)(&id).map_err(|error| problem(&format!("can not be read: {error}")))
            }
            Found::Folder(_) | Found::Nothing => Err(problem("is no file of that commit")),
            Found::Outside => Err(problem("lies outside of the repository")),
        }
    }
}

/// Git, asked about one repository.
struct Git {
    folder: PathBuf,
}

impl Git {
    fn open(folder: &Path) -> Result<Self, BaseProblem> {
        let git = Self { folder: folder.to_path_buf() };
        let output = git.command().args(["rev-parse", "--is-inside-work-tree"]).output();
        let output = output.map_err(BaseProblem::NoGit)?;
        if output.status.success() && output.stdout.starts_with(b"true") {
            return Ok(git);
        }
        Err(BaseProblem::NoRepository { folder: folder.display().to_string(), said: said(&output.stderr) })
    }

    /// A call that starts no pager, hook or monitor, asks nothing and fetches nothing.
    fn command(&self) -> Command {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os() {
            if is_foreign(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        let settings = [
            "core.fsmonitor=false",
            "core.untrackedCache=false",
            "core.hooksPath=/dev/null",
            "core.pager=cat",
            "core.quotePath=false",
            "protocol.allow=never",
        ];
        command.arg("--no-pager").arg("--no-replace-objects").arg("--literal-pathspecs");
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        command.arg("-C").arg(&self.folder);
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0").env("GIT_NO_LAZY_FETCH", "1");
        command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What a call printed, or what it said was wrong.
    fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Vec<u8>, String> {
        let output = self.command().args(arguments).output().map_err(|error| error.to_string())?;
        if output.status.success() { Ok(output.stdout) } else { Err(said(&output.stderr)) }
    }

    /// The one line that a call printed.
    fn line(&self, arguments: &[&str]) -> Option<String> {
        let text = String::from_utf8(self.run(arguments).ok()?).ok()?;
        Some(text.strip_suffix('\n').unwrap_or(&text).to_owned())
    }

    /// The commit that a name stands for.
    fn commit(&self, reference: &str) -> Option<Commit> {
        let name = format!("{reference}^{{commit}}");
        let id = self.line(&["rev-parse", "--verify", "--quiet", "--end-of-options", &name])?;
        // Older releases print the marker, too.
        let id = id.lines().last()?;
        id.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| Commit(id.to_owned()))
    }
}

/// Whether a variable would lead Git elsewhere: a hook sets where its repository is, and this one may be another.
///
/// Configuration that the environment brings is kept, because pipelines say there which folders may be trusted.
fn is_foreign(name: &str) -> bool {
    const KEPT: [&str; 5] = [
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_COUNT",
        "GIT_EXEC_PATH",
    ];
    let is_kept =
        KEPT.contains(&name) || name.starts_with("GIT_CONFIG_KEY_") || name.starts_with("GIT_CONFIG_VALUE_");
    name.starts_with("GIT_") && !is_kept
}

/// The first line that Git said, without its own word for it.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    line.trim_start_matches("fatal: ").trim_start_matches("error: ").to_owned()
}

/// One process that gives contents by their ids.
struct Batch {
    child: Child,
    asked: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Batch {
    fn start(git: &Git) -> Result<Self, BaseProblem> {
        let mut command = git.command();
        let child = command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.map_err(BaseProblem::NoGit)?;
        let broken = || BaseProblem::NoGit(io::ErrorKind::BrokenPipe.into());
        let asked = child.stdin.take().ok_or_else(broken)?;
        let answers = BufReader::new(child.stdout.take().ok_or_else(broken)?);
        Ok(Self { child, asked, answers })
    }

    /// One content at a time: the answer is read to its end before the next is asked for.
    fn get(&mut self, id: &str) -> io::Result<Vec<u8>> {
        let wrong = |words: &str| io::Error::new(io::ErrorKind::InvalidData, words.to_owned());
        writeln!(self.asked, "{id}")?;
        self.asked.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let size = line
            .trim_end()
            .rsplit_once(' ')
            .and_then(|(head, size)| head.ends_with(" blob").then(|| size.parse::<u64>().ok()).flatten());
        let Some(size) = size else {
            return Err(wrong(&format!("Git does not have the content {id}")));
        };
        let mut content = Vec::new();
        let kept = (&mut self.answers).take(size.min(MOST_FILE_BYTES + 1)).read_to_end(&mut content)?;
        // The line break after the content belongs to the answer.
        let rest = size + 1 - kept as u64;
        let skipped = io::copy(&mut (&mut self.answers).take(rest), &mut io::sink())?;
        if skipped != rest {
            return Err(wrong("Git ended in the middle of an answer"));
        }
        Ok(content)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // It holds nothing and waits for the next question, which never comes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests;
