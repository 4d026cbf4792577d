//! `patchctl plan`: the main job's first half, on the manifests and the tenant of this repository.

use serde_json::{Value, json};

use crate::support::{
    Repo, Server, but_its_cost, files_below, live_job, live_job_with, manifest, snapshot, sources,
};

#[test]
fn the_first_plan_shows_all_that_differs() {
    let repo = Repo::of_the_sources();
    let ran = repo.run(&["plan"]).ends(0).keeps_quiet();
    snapshot("first-plan", &ran.stdout);
}

#[test]
fn one_job_as_json() {
    let repo = Repo::of_the_sources();
    let ran =
        repo.run(&["plan", "--output", "json", "--only", "windows-servers-weekly"]).ends(0).keeps_quiet();
    snapshot("plan-of-one-job.json", &ran.stdout);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let repo = Repo::of_the_sources();
    for output in ["human", "json"] {
        let plan = |flags: &[&str]| repo.run(&[&["plan", "--output", output], flags].concat()).ends(0).stdout;
        let first = plan(&["--reset"]);
        assert_eq!(plan(&["--refresh"]), first);
        assert_eq!(plan(&["--no-cache"]), first);
        assert_eq!(plan(&["--state-dir", &format!("{output}.state")]), first);
        // What earlier runs remember saves calls and changes nothing else.
        let warm = plan(&[]);
        assert_eq!(plan(&[]), warm);
        assert_ne!(warm, first);
        if output == "human" {
            assert_eq!(but_its_cost(&warm), but_its_cost(&first));
        } else {
            let but_its_cost = |plan: &str| {
                let mut plan: Value = serde_json::from_str(plan).unwrap();
                plan.as_object_mut().unwrap().remove("api");
                plan
            };
            assert_eq!(but_its_cost(&warm), but_its_cost(&first));
        }
    }
}

#[test]
fn an_order_of_the_servers_own_changes_nothing() {
    let repo = Repo::of_the_sources();
    let server = Server::of_the_examples();
    let plan = || but_its_cost(&repo.run_at(&server, &["plan", "--refresh"]).ends(0).stdout).to_owned();
    let first = plan();
    server.change(|behaviour| {
        behaviour.list_order = patchctl::simulator::ListOrder::Name;
        behaviour.max_page_size = Some(20);
    });
    assert_eq!(plan(), first);
    assert_eq!(but_its_cost(&repo.run(&["plan"]).stdout), first);
}

#[test]
fn committed_files_of_the_tenant_never_change() {
    let repo = Repo::of_the_sources();
    let before = files_below(&repo.path("examples"));
    repo.run(&["plan"]).ends(0);
    repo.run(&["apply", "--auto-approve"]).ends(0);
    repo.run(&["plan", "--reset"]).ends(0);
    assert_eq!(files_below(&repo.path("examples")), before);
    // All that was written lies in the one folder that Git ignores.
    let mut names: Vec<_> =
        std::fs::read_dir(repo.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".patchctl", "examples", "jobs.d", "patchctl.yaml"]);
    let ignored = std::fs::read_to_string(sources().join(".gitignore")).unwrap();
    assert!(ignored.lines().any(|line| line == ".patchctl/"));
}

#[test]
fn exit_statuses_with_and_without_detail() {
    let repo = Repo::with(&[("same", ""), ("other", "")]);
    let server = Server::of(vec![live_job(1, "same"), live_job(2, "other")]);
    let plan = |arguments: &[&str], code| {
        repo.run_at(&server, &[&["plan"], arguments].concat()).ends(code);
    };
    plan(&[], 0);
    plan(&["--detailed-exitcode"], 0);

    repo.write("jobs.d/other.yaml", manifest("other", "  timeout: 5\n"));
    plan(&[], 0);
    plan(&["--detailed-exitcode"], 2);
    plan(&["--detailed-exitcode", "--only", "same"], 0);

    // A job of another owner alone, then beside a difference, which wins.
    server.edit(
        &crate::support::id(1),
        json!({"description": "[patchctl:others/same 1:00000000:00000000:00000000]"}),
    );
    plan(&["--only", "same"], 0);
    plan(&["--detailed-exitcode", "--only", "same"], 3);
    plan(&["--detailed-exitcode"], 2);
}

#[test]
fn no_change_is_said_in_so_many_words() {
    let server = Server::of(vec![live_job(1, "same"), live_job(2, "unmanaged")]);
    let repo = Repo::with(&[("same", "")]);
    let ran = repo.run_at(&server, &["plan"]).ends(0).keeps_quiet();
    let expected = "No changes. The live job is as declared in Git.\n\
                    Read from HOST: 4 calls (1 auth, 2 list, 1 read). 1 live job is in no manifest and is left alone.\n";
    assert_eq!(ran.stdout.replace(&server.host(), "HOST"), expected);
}

#[test]
fn members_that_no_build_knows_are_planned_around_and_left_alone() {
    let future = json!({"futureMember": {"a": [1, null]}, "timeout": 4});
    let server = Server::of(vec![live_job_with(1, "job", future.clone())]);
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    let change = &repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json()["changes"][0];
    let sent: Vec<&String> = change["request"]["body"].as_object().unwrap().keys().collect();
    assert_eq!(sent, ["type", "timeout", "description"]);

    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    let stored = server.job(&crate::support::id(1));
    assert_eq!((&stored["futureMember"], &stored["timeout"]), (&future["futureMember"], &json!(5)));
}

#[test]
fn an_undeclared_member_is_not_compared_and_not_sent() {
    let server = Server::of(vec![live_job_with(1, "job", json!({"timezone": "Asia/Kolkata"}))]);
    let repo = Repo::with(&[("job", "  timeout: 4\n")]);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn a_selection_that_matches_nothing_costs_no_call() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "")]);
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        repo.run_at(&server, &[command, &["--only", "jop"]].concat())
            .ends(1)
            .complains("did you mean `job`?");
    }
    assert!(server.take_requests().is_empty());
}

#[test]
fn only_selects_and_says_nothing_of_the_rest() {
    let server = Server::of(vec![live_job(1, "aa"), live_job(2, "ab"), live_job(3, "b")]);
    let changed = "  timeout: 5\n";
    let repo = Repo::with(&[("aa", changed), ("ab", changed), ("b", changed)]);
    let keys = |arguments: &[&str]| -> Vec<String> {
        let plan = repo.run_at(&server, &[&["plan", "--output", "json"], arguments].concat()).ends(0).json();
        // What is in no manifest cannot be told from what is only not selected.
        assert_eq!(plan["unmanaged"].is_null(), !arguments.is_empty());
        let changes = plan["changes"].as_array().unwrap().iter();
        changes.map(|change| change["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&[]), ["aa", "ab", "b"]);
    assert_eq!(keys(&["--only", "a*"]), ["aa", "ab"]);
    assert_eq!(keys(&["--only", "b", "--only", "a?"]), ["aa", "ab", "b"]);
    let ran = repo.run_at(&server, &["plan", "--only", "ac"]).ends(1);
    assert_eq!(ran.stderr, "error: no manifest matches --only `ac`\n  = help: did you mean `aa`?\n");
    assert_eq!(ran.stdout, "");
}

#[test]
fn reset_starts_afresh_from_the_seed() {
    let repo = Repo::of_the_sources();
    let plan = |flags: &[&str]| {
        but_its_cost(&repo.run(&[&["plan"], flags].concat()).ends(0).keeps_quiet().stdout).to_owned()
    };
    let first = plan(&[]);
    repo.run(&["apply", "--auto-approve"]).ends(0);
    assert_ne!(plan(&[]), first);
    assert_eq!(plan(&["--reset"]), first);
    assert_eq!(plan(&[]), first);

    let server = Server::of(vec![]);
    repo.run_at(&server, &["plan", "--reset"]).ends(64).complains("--reset is for the embedded simulator");
    assert_eq!(server.take_requests(), []);
}

#[test]
fn a_seed_that_changed_is_told() {
    let repo = Repo::of_the_sources();
    repo.run(&["plan"]).ends(0).keeps_quiet();
    repo.edit("examples/tenant/anna-test.json", "please ignore", "please leave");
    let ran = repo.run(&["plan"]).ends(0);
    assert_eq!(
        ran.stderr,
        "note: the files of examples/tenant changed since the simulator first read them; --reset starts afresh \
         from them\n"
    );
    repo.run(&["plan", "--quiet"]).ends(0).keeps_quiet();
    repo.run(&["plan", "--reset"]).ends(0).keeps_quiet();
}

#[test]
fn the_whole_plan_as_json_is_about_the_same_changes() {
    let repo = Repo::of_the_sources();
    let plan = repo.run(&["plan", "--output", "json"]).ends(0).json();
    let steps: Vec<String> = plan["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| format!("{} {}", change["action"].as_str().unwrap(), change["key"].as_str().unwrap()))
        .collect();
    assert_eq!(
        steps,
        [
            "update defender-definitions-daily",
            "create domain-controllers-monthly",
            "disable linux-databases-monthly",
            "update linux-rollback",
            "update linux-servers-monthly",
            "update linux-storage-migration",
            "update notepad-after-parent",
            "update windows-servers-weekly",
            "update workstations-patch-tuesday",
        ]
    );
    assert_eq!(
        plan["summary"],
        json!({"create": 1, "update": 7, "enable": 0, "disable": 1, "delete": 0, "unchanged": 4, "blocked": 0, "held": 0})
    );
    assert_eq!(plan["unmanaged"], 3);
    assert_eq!(plan["updates"], "minimal");
    assert_eq!(plan["calls_needed"], 28);
    // Nobody is accused without evidence: nothing carries a stamp yet.
    let origins = plan["changes"].as_array().unwrap().iter().flat_map(|c| c["fields"].as_array().unwrap());
    assert!(origins.clone().all(|field| field["origin"] == "unknown"));
    // Every difference says where it is declared.
    for field in origins {
        let source = &field["source"];
        assert!(source["line"].is_u64() && source["column"].is_u64(), "{field}");
    }
}

#[test]
fn a_declared_enabled_holds_for_every_state_of_a_job_that_was_enabled() {
    for (live, declared, steps) in [
        ("Enabled", "Enabled", json!([])),
        ("Prepared", "Enabled", json!([])),
        ("Disabled", "Enabled", json!(["enable"])),
        ("Enabled", "Disabled", json!(["disable"])),
    ] {
        let members = json!({"status": live, "dynamicPatchesQQL": "q"});
        let server = Server::of(vec![live_job_with(1, "job", members)]);
        let repo = Repo::with(&[("job", &format!("  status: {declared}\n"))]);
        let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
        let actions: Vec<Value> =
            plan["changes"].as_array().unwrap().iter().map(|change| change["action"].clone()).collect();
        assert_eq!(json!(actions), steps, "{live} against {declared}");
    }
}

#[test]
fn an_explicit_null_is_managed_as_none() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo =
        Repo::with(&[("job", "  assetTagIds: null\n  assetIds: [d543e2a2-3860-461f-bd59-d718c31d2344]\n")]);
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    assert_eq!(plan["changes"][0]["request"]["body"]["assetTagIds"], Value::Null);
    let paths: Vec<&Value> =
        plan["changes"][0]["fields"].as_array().unwrap().iter().map(|field| &field["path"]).collect();
    assert_eq!(paths, ["/assetIds", "/assetTagIds"]);
}

#[test]
fn a_schedule_of_another_type_takes_its_members_along() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::empty();
    let text = manifest("job", "")
        .replace("scheduleType: Weekly\n  recurringWeekDays: [Wed]", "scheduleType: Daily");
    repo.write("jobs.d/job.yaml", text);
    let change = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json()["changes"][0].clone();
    let body = &change["request"]["body"];
    assert_eq!((&body["scheduleType"], &body["recurringWeekDays"]), (&json!("Daily"), &Value::Null));
    assert_eq!(
        change["schedule"],
        json!({"before": "every Wed at 03:00 UTC, from 2026-01-05", "after": "every day at 03:00 UTC, from 2026-01-05"})
    );
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}
