//! What the files say, read as YAML.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::support::sources;

/// A file of `examples/ci`, as YAML.
#[track_caller]
pub(crate) fn yaml(name: &str) -> Value {
    let text = fs::read_to_string(sources().join("examples/ci").join(name)).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) const GITHUB: [&str; 3] =
    ["github/patchctl-plan.yml", "github/patchctl-apply.yml", "github/patchctl-drift.yml"];
pub(crate) const GITLAB: &str = "gitlab/patchctl.gitlab-ci.yml";

/// Members of a mapping.
pub(crate) fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

#[test]
fn every_script_is_there_and_used() {
    let mut used = BTreeSet::new();
    let folder = sources().join("examples/ci");
    for name in GITHUB.iter().chain([&GITLAB]) {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        for rest in text.split("sh ci/patchctl/").skip(1) {
            used.insert(rest.split_whitespace().next().unwrap().to_owned());
        }
    }
    // Read by others.
    used.insert("gitlab-api.sh".to_owned());
    let there: BTreeSet<String> = fs::read_dir(folder.join("scripts"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(used, there);
    for name in there {
        let text = fs::read_to_string(folder.join("scripts").join(&name)).unwrap();
        assert!(text.starts_with("#!/bin/sh\n# "), "{name} says what it is for");
        assert!(name == "gitlab-api.sh" || text.contains("\nset -eu\n"), "{name} stops at the first failure");
    }
}

#[test]
fn github_jobs_have_the_least_permissions() {
    for name in GITHUB {
        let workflow = yaml(name);
        assert_eq!(workflow["permissions"], serde_json::json!({}), "{name}: nothing unless a job asks");
        assert!(workflow["concurrency"]["group"].is_string(), "{name}");
        for (job, it) in members(&workflow["jobs"]) {
            let permissions: Vec<String> = members(&it["permissions"])
                .map(|(what, how)| format!("{what}: {}", how.as_str().unwrap()))
                .collect();
            let expected: &[&str] = match (name, job) {
                ("github/patchctl-plan.yml", _) => &["contents: read", "pull-requests: write"],
                ("github/patchctl-drift.yml", _) => &["contents: read", "issues: write"],
                _ => &["contents: read"],
            };
            assert_eq!(permissions, expected, "{name}, {job}");
            assert!(it["timeout-minutes"].is_u64(), "{name}, {job}");
            // Secrets stand with the one step that needs them, never with a whole job.
            for variables in [&workflow["env"], &it["env"]] {
                assert!(!variables.to_string().contains("secrets."), "{name}, {job}");
            }
            for step in it["steps"].as_array().unwrap() {
                check_step(name, step);
            }
        }
    }
    let plan = yaml(GITHUB[0]);
    assert!(plan["on"].get("pull_request_target").is_none());
    assert_eq!(
        plan["jobs"]["plan"]["if"], "github.event.pull_request.head.repo.full_name == github.repository",
        "no plan for a fork"
    );
    assert_eq!(yaml(GITHUB[1])["jobs"]["apply"]["environment"], "patching");
}

/// The journal and the bindings are needed most after a run that went wrong.
#[test]
fn github_jobs_keep_their_state_also_where_they_fail() {
    for name in GITHUB {
        for (job, it) in members(&yaml(name)["jobs"]) {
            let steps = it["steps"].as_array().unwrap();
            let at = |action: &str| {
                let uses = format!("actions/cache{action}@");
                steps.iter().position(|step| step["uses"].as_str().is_some_and(|it| it.starts_with(&uses)))
            };
            assert_eq!(at(""), None, "{name}, {job}: that one saves nothing where a job fails");
            let (restore, save) = (at("/restore").unwrap(), at("/save").unwrap());
            let runs = steps.iter().position(|step| step["env"].to_string().contains("secrets.")).unwrap();
            assert!(restore < runs && runs < save, "{name}, {job}");
            let (restore, save) = (&steps[restore], &steps[save]);
            assert_eq!(save["if"], "always()", "{name}, {job}");
            for member in ["path", "key"] {
                assert_eq!(save["with"][member], restore["with"][member], "{name}, {job}");
            }
        }
    }
}

#[track_caller]
fn check_step(name: &str, step: &Value) {
    if let Some(action) = step["uses"].as_str() {
        let (_, version) = action.split_once('@').unwrap();
        let is_pinned = version.len() == 40 && version.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_pinned, "{name}: {action} is not pinned to a commit");
        if action.starts_with("actions/checkout@") {
            assert_eq!(step["with"]["fetch-depth"], 0, "{name}");
            assert_eq!(step["with"]["persist-credentials"], false, "{name}");
        }
    }
    // What people outside write must not come to stand in a shell's line.
    assert!(!step["run"].as_str().unwrap_or_default().contains("${{"), "{name}: {step}");
    let has_secrets = step["env"].to_string().contains("secrets.");
    let needs_them = ["plan.sh", "save-plan.sh", "apply.sh", "drift.sh"]
        .iter()
        .any(|script| step["run"].as_str().unwrap_or_default().contains(&format!("/{script} ")));
    assert_eq!(has_secrets, needs_them, "{name}: {step}");
}

#[test]
fn gitlab_jobs_do_not_run_at_once_and_have_all_of_the_history() {
    let file = yaml(GITLAB);
    assert_eq!(file[".patchctl"]["variables"]["GIT_DEPTH"], "0");
    assert_eq!(file["patchctl-apply"]["resource_group"], file["patchctl-save-plan"]["resource_group"]);
    assert_eq!(file["patchctl-apply"]["environment"]["name"], "patching");
    for job in ["patchctl-plan", "patchctl-save-plan", "patchctl-apply", "patchctl-drift"] {
        assert_eq!(file[job]["extends"], ".patchctl", "{job}");
        assert!(file[job]["rules"][0]["if"].is_string(), "{job} runs at one moment only");
    }
}
