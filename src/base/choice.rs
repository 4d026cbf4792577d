//! Which commit is the base: what was applied last, as far as somebody says so.
//!
//! A person names it, a pipeline tells it, or the last apply recorded it, in this order. Where none is to be had, why.

use std::path::Path;

use super::{BaseProblem, Commit, Git, resolve};

/// Who said which commit is the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseSource {
    /// `--base`.
    Flag,
    /// The merge base with the target of a pull request on GitHub.
    PullRequest,
    /// The merge base with the target of a merge request on GitLab.
    MergeRequest,
    /// The commit that the last apply recorded.
    LastApply,
    /// The commit that is checked out: what should be live by now.
    Head,
}

impl BaseSource {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::PullRequest => "pull_request",
            Self::MergeRequest => "merge_request",
            Self::LastApply => "last_apply",
            Self::Head => "head",
        }
    }
}

/// The commit that manifests and jobs are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The commit.
    pub commit: Commit,
    /// Who said so.
    pub source: BaseSource,
    /// What it was called: a reference, a branch; empty where nothing names it but its id.
    pub named: String,
}

impl Chosen {
    /// One line for people.
    pub fn words(&self) -> String {
        let commit = self.commit.short();
        match self.source {
            BaseSource::Flag => format!("the base is {commit}, by --base {}", self.named),
            BaseSource::PullRequest => {
                format!("the base is {commit}, where this pull request left `{}`", self.named)
            }
            BaseSource::MergeRequest => {
                format!("the base is {commit}, where this merge request left `{}`", self.named)
            }
            BaseSource::LastApply => format!("the base is {commit}, which was applied last"),
            BaseSource::Head => {
                format!("the base is {commit}, which is checked out: it should be live by now")
            }
        }
    }
}

/// The base, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The base.
    Base(Chosen),
    /// There should be one, and there is none: why, and what to do.
    Lost(String),
    /// Nobody says anything of a base.
    Nothing,
}

/// Chooses the base: `flag` is what a person named, `variable` gives variables of the environment, `applied` is the id of
/// the commit that the last apply recorded.
///
/// # Errors
/// Where `flag` names no commit. Whoever names one wants that one: without it, manifests whose jobs vanished would look
/// new and be made a second time (DESIGN section 3).
pub fn choose(
    root: &Path,
    flag: Option<&str>,
    variable: &dyn Fn(&str) -> Option<String>,
    applied: Option<&str>,
) -> Result<Choice, BaseProblem> {
    if let Some(reference) = flag {
        let commit = resolve(root, reference)?;
        return Ok(Choice::Base(Chosen { commit, source: BaseSource::Flag, named: reference.to_owned() }));
    }
    if let Some(target) = Target::of(variable) {
        return Ok(target.merge_base(root));
    }
    Ok(applied.map_or(Choice::Nothing, |id| recorded(root, id)))
}

/// What should be live on a scheduled run that no state folder tells anything: the commit that is checked out.
///
/// That it was applied is not said: a job that no stamp and no ledger speaks of has differences of unknown origin.
///
/// # Errors
/// Where there is no Git, no repository, or no commit in it.
pub fn of_schedule(root: &Path) -> Result<Chosen, BaseProblem> {
    let commit = resolve(root, "HEAD")?;
    Ok(Chosen { commit, source: BaseSource::Head, named: "HEAD".to_owned() })
}

/// What a pull request is to be merged into.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    source: BaseSource,
    /// The branch.
    branch: String,
    /// The merge base itself, where the platform tells it.
    merge_base: Option<String>,
    /// What to do where the history is not here.
    help: &'static str,
}

impl Target {
    fn of(variable: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let is_github =
            matches!(set("GITHUB_EVENT_NAME").as_deref(), Some("pull_request" | "pull_request_target"));
        if let Some(branch) = set("GITHUB_BASE_REF").filter(|_| is_github) {
            return Some(Self {
                source: BaseSource::PullRequest,
                branch,
                merge_base: None,
                help: "fetch all of the history: `fetch-depth: 0` of actions/checkout",
            });
        }
        let branch = set("CI_MERGE_REQUEST_TARGET_BRANCH_NAME")?;
        Some(Self {
            source: BaseSource::MergeRequest,
            branch,
            merge_base: set("CI_MERGE_REQUEST_DIFF_BASE_SHA"),
            help: "fetch all of the history: `GIT_DEPTH: 0`",
        })
    }

    fn merge_base(self, root: &Path) -> Choice {
        let git = match Git::open(root) {
            Ok(git) => git,
            Err(problem) => return Choice::Lost(format!("{problem}; {}", problem.help())),
        };
        let remote = format!("origin/{}", self.branch);
        let told = self.merge_base.as_deref().and_then(|id| git.commit(id));
        let found = told.or_else(|| {
            let tip = git.commit(&format!("refs/remotes/{remote}"))?;
            let id = git.line(&["merge-base", tip.id(), "HEAD"])?;
            git.commit(&id)
        });
        match found {
            Some(commit) => Choice::Base(Chosen { commit, source: self.source, named: self.branch }),
            None => {
                Choice::Lost(format!("where it left `{}` is not in this clone; {}", self.branch, self.help))
            }
        }
    }
}

/// The commit that an earlier run recorded, if it is still a part of this history.
fn recorded(root: &Path, id: &str) -> Choice {
    let short = id.get(..super::SHORT).unwrap_or(id).escape_debug();
    let git = match Git::open(root) {
        Ok(git) => git,
        Err(problem) => return Choice::Lost(format!("{problem}; {}", problem.help())),
    };
    if let Some(commit) = super::recorded(root, id) {
        return Choice::Base(Chosen { commit, source: BaseSource::LastApply, named: String::new() });
    }
    let is_shallow = git.line(&["rev-parse", "--is-shallow-repository"]).as_deref() == Some("true");
    Choice::Lost(if is_shallow {
        format!(
            "{short} was applied last and is not in this clone, which holds only a part of the history: fetch all of it"
        )
    } else {
        format!(
            "{short} was applied last and is no part of the history here: it was rewritten, or this is another branch; \
             name a commit with --base"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: Option<(BaseSource, &str, Option<&str>)>) {
        let variable = |name: &str| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        let found = Target::of(&variable);
        let found = found.as_ref().map(|t| (t.source, t.branch.as_str(), t.merge_base.as_deref()));
        assert_eq!(found, expected);
    }

    #[test]
    fn pull_requests_are_told_by_their_variables() {
        check(&[], None);
        // GitHub sets the variable to nothing where it is no pull request.
        check(&[("GITHUB_EVENT_NAME", "push"), ("GITHUB_BASE_REF", "")], None);
        check(&[("GITHUB_EVENT_NAME", "push"), ("GITHUB_BASE_REF", "main")], None);
        check(&[("GITHUB_BASE_REF", "main")], None);
        for event in ["pull_request", "pull_request_target"] {
            check(
                &[("GITHUB_EVENT_NAME", event), ("GITHUB_BASE_REF", "main")],
                Some((BaseSource::PullRequest, "main", None)),
            );
        }
        check(
            &[("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"), ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "abc")],
            Some((BaseSource::MergeRequest, "main", Some("abc"))),
        );
        check(
            &[("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main")],
            Some((BaseSource::MergeRequest, "main", None)),
        );
    }
}
