use super::*;
use crate::load::LoadContext;

const MANIFEST: &str = "\
apiVersion: patchctl/v1
kind: DeploymentJob
metadata:
  key: KEY
  protect: true
spec:
  name: NAME
  platform: Linux
";

/// A real repository in a folder of its own.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new() -> Self {
        let repository = Self(tempfile::tempdir().expect("a folder"));
        repository.git(&["init", "-q", "-b", "main"]);
        repository
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(path, text).expect("writable");
    }

    fn manifest(&self, file: &str, key: &str, name: &str) {
        self.write(file, &MANIFEST.replace("KEY", key).replace("NAME", name));
    }

    #[track_caller]
    fn git(&self, arguments: &[&str]) -> String {
        git_in(self.0.path(), arguments)
    }

    fn commit(&self) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The manifests at a commit, from a folder of the repository.
    fn read(&self, root: &str, jobs: &str, reference: &str) -> Result<Base, BaseProblem> {
        let (root, jobs) = (self.path(root), self.path(jobs));
        let root = std::fs::canonicalize(root).expect("a folder");
        let tags = BTreeMap::new();
        let shown =
            |path: &Path| path.strip_prefix(self.0.path()).unwrap_or(path).to_string_lossy().into_owned();
        let sources = Sources {
            jobs: &jobs,
            root: &root,
            shown: &shown,
            context: LoadContext { tags: &tags, allow_unknown_fields: false },
            owner: "us",
            record: None,
            ignore: &crate::ignore::Rules::default(),
        };
        read(&resolve(&root, reference)?, sources)
    }
}

#[track_caller]
fn git_in(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]);
    command.args(["-c", "protocol.file.allow=always"]);
    let output = command.args(arguments).current_dir(folder).output().expect("git");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Keys, names and places.
fn said_of(base: &Base) -> Vec<String> {
    let declared = base.manifests.keys().filter_map(|key| Some((key, base.declared(key)?)));
    declared.map(|(key, d)| format!("{key} {} {}", d.name.unwrap_or_default(), d.place)).collect()
}

#[test]
fn the_manifests_of_then_whatever_lies_in_the_working_tree() {
    let repository = Repository::new();
    repository.manifest("jobs.d/a.yaml", "a", "A");
    repository.manifest("jobs.d/b/b.yml", "b", "B");
    repository.manifest("jobs.d/.c/c.yaml", "c", "C");
    repository.write("README.md", "no manifest");
    let first = repository.commit();
    repository.manifest("jobs.d/a.yaml", "a", "A, renamed");
    std::fs::remove_dir_all(repository.path("jobs.d/b")).expect("removable");
    repository.commit();
    let head = repository.path(".git/HEAD");
    let before = std::fs::read(&head).expect("readable");

    let base = repository.read("", "jobs.d", &first).expect("a base");
    assert_eq!(said_of(&base), ["a A jobs.d/a.yaml:4", "b B jobs.d/b/b.yml:4"]);
    assert!(base.manifests.values().all(|standing| standing.protect && standing.manifest.is_some()));
    assert_eq!(base.notes, Vec::<String>::new());
    assert_eq!(base.declared("a").map(|declared| declared.commit), Some(first[..10].to_owned()));
    for reference in ["HEAD~1", "main^", &first[..12]] {
        assert_eq!(
            said_of(&repository.read("", "jobs.d", reference).expect("a base")).len(),
            2,
            "{reference}"
        );
    }
    assert_eq!(
        said_of(&repository.read("", "jobs.d", "HEAD").expect("a base")),
        ["a A, renamed jobs.d/a.yaml:4"]
    );
    assert_eq!(std::fs::read(&head).expect("readable"), before);
    assert!(!repository.path("jobs.d/b").exists());
}

#[test]
fn a_repository_below_that_of_git_with_links_and_scripts() {
    let repository = Repository::new();
    let script = "  preDeployActions:\n    - {action: Run Script, params: {actionItem: One}, scriptType: sh, scriptFile: ../scripts/one.sh}\n";
    let scripted = MANIFEST.replace("KEY", "a").replace("NAME", "A") + script;
    repository.write("sub/real/a.yaml", &scripted);
    repository.write("sub/scripts/one.sh", "echo 1");
    repository.manifest("outside/b.yaml", "b", "B");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("real", repository.path("sub/jobs.d")).expect("a link");
        std::os::unix::fs::symlink("../../outside/b.yaml", repository.path("sub/real/b.yaml"))
            .expect("a link");
        repository.commit();
        repository.write("sub/scripts/one.sh", "echo 2");
        let base = repository.read("sub", "sub/jobs.d", "HEAD").expect("a base");
        // What lies outside of the repository as this program sees it is not read.
        assert_eq!(said_of(&base), ["a A sub/jobs.d/a.yaml:4"]);
        assert_eq!(base.notes, Vec::<String>::new());
        let manifest = base.manifests["a"].manifest.as_ref().expect("read in full");
        let digest = &manifest.spec["preDeployActions"][0]["script"]["sha256"];
        assert_eq!(digest.as_str(), Some(crate::fingerprint::sha256_hex(b"echo 1").as_str()));
    }
    repository.commit();
    assert_eq!(
        said_of(&repository.read("sub", "sub/real", "HEAD").expect("a base")),
        ["a A sub/real/a.yaml:4"]
    );
}

#[test]
fn what_does_not_parse_is_a_note_and_still_says_who_it_is_about() {
    let repository = Repository::new();
    repository.manifest("jobs.d/good.yaml", "good", "Good");
    repository.write(
        "jobs.d/old.yaml",
        &(MANIFEST.replace("KEY", "old").replace("NAME", "Old") + "  timeout: [1]\n"),
    );
    repository.write("jobs.d/broken.yaml", "metadata: {");
    repository.write("jobs.d/bytes.yaml", "ä");
    std::fs::write(repository.path("jobs.d/bytes.yaml"), [0xC3, 0x28]).expect("writable");
    repository.commit();
    let base = repository.read("", "jobs.d", "HEAD").expect("a base");
    assert_eq!(said_of(&base), ["good Good jobs.d/good.yaml:4", "old Old jobs.d/old.yaml:4"]);
    assert!(base.manifests["old"].manifest.is_none() && base.manifests["old"].protect);
    assert_eq!(base.notes.len(), 3, "{:?}", base.notes);
    let none = repository.read("", "other.d", "HEAD").expect("a base");
    assert_eq!(said_of(&none), Vec::<String>::new());
}

#[test]
fn problems_say_what_to_do() {
    let repository = Repository::new();
    repository.manifest("jobs.d/a.yaml", "a", "A");
    repository.commit();
    let problem = |reference: &str| repository.read("", "jobs.d", reference).expect_err(reference);
    for reference in ["", " ", "-x", "--help", "--output=x", "a\nb", "a\0b"] {
        assert!(matches!(problem(reference), BaseProblem::BadReference(_)), "{reference:?}");
    }
    for reference in
        ["nowhere", "HEAD~5", "HEAD:jobs.d", "0123456789012345678901234567890123456789", "$(id)", "HEAD HEAD"]
    {
        let problem = problem(reference);
        assert!(matches!(problem, BaseProblem::Unknown { is_shallow: false, .. }), "{reference}: {problem}");
        assert!(problem.help().contains("git fetch origin"), "{}", problem.help());
    }
    let elsewhere = tempfile::tempdir().expect("a folder");
    let problem = resolve(elsewhere.path(), "HEAD").expect_err("no repository");
    assert!(matches!(problem, BaseProblem::NoRepository { .. }), "{problem}");
}

#[test]
fn a_shallow_clone_says_that_it_is_one() {
    let repository = Repository::new();
    repository.manifest("jobs.d/a.yaml", "a", "A");
    let first = repository.commit();
    repository.commit();
    let clone = tempfile::tempdir().expect("a folder");
    let url = format!("file://{}", repository.0.path().display());
    git_in(clone.path(), &["clone", "-q", "--depth", "1", &url, "."]);
    let problem = resolve(clone.path(), "HEAD~1").expect_err("it is not here");
    assert!(matches!(problem, BaseProblem::Unknown { is_shallow: true, .. }), "{problem}");
    assert!(problem.help().contains("fetch-depth: 0"), "{}", problem.help());
    assert_eq!(recorded(clone.path(), &first), None);
}

#[test]
fn a_recorded_commit_counts_only_as_part_of_this_history() {
    let repository = Repository::new();
    let first = repository.commit();
    let root = repository.0.path();
    assert_eq!(recorded(root, &first).as_ref().map(Commit::id), Some(first.as_str()));
    repository.git(&["checkout", "-q", "--orphan", "other"]);
    repository.write("x", "x");
    repository.commit();
    assert_eq!(recorded(root, &first), None);
    for id in ["HEAD", "--all", "", "0123456789012345678901234567890123456789"] {
        assert_eq!(recorded(root, id), None, "{id}");
    }
}

#[test]
fn the_head_counts_only_if_the_manifests_are_as_it_says() {
    let repository = Repository::new();
    let (root, jobs) = (repository.0.path(), repository.path("jobs.d"));
    assert_eq!(clean_head(root, &jobs), None);
    repository.manifest("jobs.d/a.yaml", "a", "A");
    let head = repository.commit();
    let found = || clean_head(root, &jobs).map(|commit| commit.id().to_owned());
    assert_eq!(found(), Some(head.clone()));
    repository.write("README.md", "elsewhere");
    assert_eq!(found(), Some(head));
    repository.manifest("jobs.d/b.yaml", "b", "B");
    assert_eq!(found(), None);
    repository.commit();
    assert!(found().is_some());
    repository.manifest("jobs.d/a.yaml", "a", "Changed");
    assert_eq!(found(), None);
}

#[test]
fn variables_of_a_hook_lead_nowhere_and_those_of_a_pipeline_stay() {
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_NAMESPACE",
        "GIT_CONFIG_PARAMETERS",
    ] {
        assert!(is_foreign(name), "{name}");
    }
    for name in
        ["GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0", "GIT_CONFIG_GLOBAL", "PATH", "HOME"]
    {
        assert!(!is_foreign(name), "{name}");
    }
}
