//! Jobs that wait for others: parents by key and by id, actions by name, the order of steps, rules that a step would
//! break.

use std::collections::BTreeMap;

use patchctl::simulator::{Call, Effect, Fault};
use serde_json::{Value, json};

use crate::support::{
    CUSTOMER, Repo, Server, bodies, but_its_cost, counts, id, live_job, live_job_with, manifest, snapshot,
};

/// The id of the n-th action made by [`action`].
fn action_id(n: u8) -> String {
    format!("bbbbbbbb-0000-4000-8000-0000000000{n:02}")
}

/// A live post-action with a stored script.
fn action(n: u8, item: &str) -> Value {
    json!({
        "actionId": action_id(n), "action": "Run Script", "actionType": "postdeploy",
        "params": {"actionItem": item, "timeout": 180},
        "script": format!("{CUSTOMER}/{}/Script", action_id(n)), "scriptType": "ps",
    })
}

/// A live parent with the post-actions `Stop` (1) and `Report` (2).
fn live_parent() -> Value {
    live_job_with(1, "parent", json!({"postDeployActions": [action(1, "Stop"), action(2, "Report")]}))
}

/// What a live job needs to wait for actions of the parent.
fn linked(actions: &[u8]) -> Value {
    let ids: Vec<String> = actions.iter().map(|n| action_id(*n)).collect();
    let condition = "Post Actions were successfully executed";
    json!({
        "linkedJobId": id(1),
        "chainedJobRule": [{"field": "postDeployAction", "actionIds": ids, "threshold": 90, "condition": condition}],
    })
}

/// The lines of a rule over actions of the parent.
fn rule(actions: &str) -> String {
    format!(
        "  chainedJobRule:\n    - field: postDeployAction\n      actionIds: [{actions}]\n      threshold: \"90\"\n      \
         condition: Post Actions were successfully executed\n"
    )
}

/// The lines of post-actions, each with a script of its own.
fn actions(items: &[&str]) -> String {
    let one = |item: &&str| {
        format!(
            "    - action: Run Script\n      params: {{ actionItem: {item}, timeout: 180 }}\n      scriptType: ps\n      \
             script: echo {item}\n"
        )
    };
    format!("  postDeployActions:\n{}", items.iter().map(one).collect::<String>())
}

fn rewrite(repo: &Repo, key: &str, lines: &str) {
    repo.write(&format!("jobs.d/{key}.yaml"), manifest(key, lines));
}

const APPLY: [&str; 2] = ["apply", "--auto-approve"];
const PLAN_JSON: [&str; 3] = ["plan", "--output", "json"];

fn ids_of_rule(job: &Value) -> &Value {
    &job["chainedJobRule"][0]["actionIds"]
}

#[test]
fn a_child_is_linked_by_key_and_by_name_and_the_next_plan_is_empty() {
    let server = Server::of(vec![live_parent(), live_job(2, "child")]);
    let named = format!("  linkedJob: parent\n{}", rule(&format!("Stop, {}", action_id(2))));
    let repo = Repo::with(&[("parent", ""), ("child", &named)]);
    let plan = repo.run_at(&server, &["plan"]).ends(0);
    snapshot("links-by-key", but_its_cost(&plan.stdout));
    repo.run_at(&server, &APPLY).ends(0).says("applied       update child");
    let [body] = <[Value; 1]>::try_from(bodies(&server.take_requests(), Call::Update)).unwrap();
    assert_eq!(body["linkedJobId"], id(1));
    assert_eq!(*ids_of_rule(&body), json!([action_id(1), action_id(2)]));
    let child = server.job(&id(2));
    assert_eq!((&child["linkedJobId"], ids_of_rule(&child)), (&json!(id(1)), ids_of_rule(&body)));
    server.take_requests();
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    // Once more without what was remembered, and once from nothing but it.
    repo.run_at(&server, &["plan", "--refresh"]).ends(0).says("No changes.");
    server.take_requests();
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2)]));
    // The stamp is of what Git says, so nothing is said to have changed there.
    server.edit(&id(2), json!({"timeout": 5}));
    rewrite(&repo, "child", &format!("  timeout: 4\n{named}"));
    repo.run_at(&server, &APPLY).ends(0);
    server.edit(&id(2), json!({"timeout": 5}));
    let plan = repo.run_at(&server, &PLAN_JSON).ends(0).json();
    assert_eq!(plan["changes"][0]["fields"][0]["origin"], "console");
}

#[test]
fn a_child_is_linked_by_id_to_a_job_that_no_manifest_manages() {
    let server = Server::of(vec![live_parent(), live_job(2, "child")]);
    let lines = format!("  linkedJobId: {}\n{}", id(1).to_uppercase(), rule("Report"));
    let repo = Repo::with(&[("child", &lines)]);
    repo.run_at(&server, &APPLY).ends(0);
    // The parent is read once, for the names.
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("get", 4), ("list", 2), ("update", 1)]));
    assert_eq!(*ids_of_rule(&server.job(&id(2))), json!([action_id(2)]));
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    server.take_requests();
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2)]));
    // The parent that is there live does for names as well.
    rewrite(&repo, "child", &rule("Stop"));
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(*ids_of_rule(&server.job(&id(2))), json!([action_id(1)]));
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn a_parent_whose_actions_moved_is_not_taken_from_memory() {
    let server = Server::of(vec![live_parent(), live_job_with(2, "child", linked(&[1]))]);
    let repo = Repo::with(&[("child", &format!("  linkedJobId: {}\n{}", id(1), rule("Stop")))]);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    // Somebody makes the action anew in the console.
    server.edit(&id(1), json!({"postDeployActions": [action(3, "Stop")]}));
    let plan = repo.run_at(&server, &PLAN_JSON).ends(0).json();
    let fields = plan["changes"][0]["fields"].as_array().unwrap();
    assert_eq!((fields.len(), &fields[0]["after"]), (1, &json!([action_id(3)])));
}

#[test]
fn a_child_is_unlinked() {
    for none in ["linkedJob: null", "linkedJobId: null"] {
        let server = Server::of(vec![live_parent(), live_job_with(2, "child", linked(&[1]))]);
        let repo = Repo::with(&[("parent", ""), ("child", &format!("  {none}\n  chainedJobRule: []\n"))]);
        repo.run_at(&server, &APPLY).ends(0).says("applied       update child");
        let child = server.job(&id(2));
        assert_eq!((&child["linkedJobId"], child.get("chainedJobRule")), (&Value::Null, None), "{none}");
        repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    }
}

#[test]
fn mistakes_in_links_are_found_offline_and_cost_no_call() {
    let server = Server::of(vec![live_parent()]);
    let repo = Repo::with(&[
        ("a", "  linkedJob: b\n"),
        ("b", "  linkedJob: c\n"),
        ("c", "  linkedJob: a\n"),
        ("self", "  linkedJob: self\n"),
        ("lost", "  linkedJob: parnt\n"),
        ("parent", ""),
        ("both", &format!("  linkedJob: parent\n  linkedJobId: {}\n", id(1))),
        ("forged", "  linkedJobId: \"{id of parent}\"\n"),
        ("shout", "  linkedJob: Parent\n"),
    ]);
    let validated = repo.run(&["validate"]).ends(1);
    snapshot("links-mistakes", &validated.stderr);
    repo.write("jobs.d/both.yaml", manifest("both", ""));
    repo.write("jobs.d/forged.yaml", manifest("forged", ""));
    repo.write("jobs.d/shout.yaml", manifest("shout", ""));
    let validated = repo.run(&["validate"]).ends(1);
    snapshot("links-mistakes-together", &validated.stderr);
    let planned = repo.run_at(&server, &["plan"]).ends(1);
    assert_eq!(
        planned.stderr.replace("nothing was changed", ""),
        validated.stderr.replace("nothing was changed", "")
    );
    assert_eq!(server.take_counts(), counts(&[]));
}

#[test]
fn a_circle_that_only_live_jobs_show_is_an_error_too() {
    let server = Server::of(vec![live_parent(), live_job_with(2, "child", linked(&[1]))]);
    // The child's link is not declared, and there.
    let repo = Repo::with(&[("parent", "  linkedJob: child\n"), ("child", "  timeout: 5\n")]);
    let ran = repo.run_at(&server, &["plan"]).ends(1);
    ran.complains("jobs are linked in a circle: child → parent → child").complains("jobs.d/parent.yaml:11:");
    // Turned round, they are none.
    rewrite(&repo, "child", "  linkedJob: null\n  chainedJobRule: []\n");
    let plan = repo.run_at(&server, &PLAN_JSON).ends(0).json();
    let keys: Vec<&str> =
        plan["changes"].as_array().unwrap().iter().map(|change| change["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["child", "parent"]);
    assert_eq!(plan["changes"][1]["after"], json!(["child:update"]));
    repo.run_at(&server, &APPLY).ends(0);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn names_that_stand_for_no_action_are_errors_at_their_place() {
    let twice = json!({"postDeployActions": [action(1, "Stop"), action(2, "Report"), action(3, "Report")]});
    let server = Server::of(vec![
        live_job_with(1, "parent", twice),
        live_job(2, "child"),
        live_job(3, "second"),
        live_job(4, "orphan"),
    ]);
    let repo = Repo::with(&[
        ("child", &format!("  linkedJobId: {}\n{}", id(1), rule("Stopp, Report, Something else"))),
        ("second", &format!("  linkedJob: child\n{}", rule("Stop"))),
        ("orphan", &rule("Stop")),
    ]);
    let ran = repo.run_at(&server, &["plan"]).ends(1);
    snapshot("links-unknown-names", &ran.stderr);
    assert_eq!(server.take_counts().get("update"), None);
}

#[test]
fn an_action_that_the_parents_manifest_removes_can_not_be_waited_for() {
    let server = Server::of(vec![live_parent(), live_job(2, "child")]);
    let child = format!("  linkedJob: parent\n{}", rule("Report"));
    let repo = Repo::with(&[("parent", &actions(&["Stop"])), ("child", &child)]);
    repo.run_at(&server, &["plan", "--allow-script-loss", "parent"])
        .ends(1)
        .complains("the manifest of `parent` removes the post-action `Report`");
}

#[test]
fn what_is_remembered_of_a_child_says_nothing_once_its_parents_manifest_moved() {
    let server = Server::of(vec![live_parent(), live_job(2, "child")]);
    let child = format!("  linkedJob: parent\n{}", rule("Report"));
    let repo = Repo::with(&[("parent", &actions(&["Stop", "Report"])), ("child", &child)]);
    repo.run_at(&server, &APPLY).ends(0);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    rewrite(&repo, "parent", &actions(&["Stop"]));
    let plan = ["plan", "--allow-script-loss", "parent"];
    let warm = repo.run_at(&server, &plan).ends(1);
    let cold = repo.run_at(&server, &[&plan[..], &["--no-cache"]].concat()).ends(1);
    assert_eq!(warm.stderr, cold.stderr);
    warm.complains("the manifest of `parent` removes the post-action `Report`");
    // As long as the child alone is looked at, nothing is about to go.
    repo.run_at(&server, &["plan", "--only", "child"]).ends(0).says("No changes.");
    repo.run_at(&server, &plan).ends(1);
}

#[test]
fn the_parent_goes_first_and_a_child_waits_for_it() {
    let server = Server::of(vec![live_job(1, "z-parent"), live_job(2, "a-child"), live_job(3, "b-other")]);
    let repo = Repo::with(&[
        ("z-parent", "  timeout: 5\n"),
        ("a-child", "  timeout: 5\n  linkedJob: z-parent\n"),
        ("b-other", "  timeout: 5\n"),
    ]);
    let plan = repo.run_at(&server, &PLAN_JSON).ends(0).json();
    let steps: Vec<_> =
        plan["changes"].as_array().unwrap().iter().map(|c| (&c["key"], &c["after"])).collect();
    let (none, after) = (json!([]), json!(["z-parent:update"]));
    let keys = [json!("z-parent"), json!("a-child"), json!("b-other")];
    assert_eq!(steps, [(&keys[0], &none), (&keys[1], &after), (&keys[2], &none)]);
    // The parent's write is refused, and what does not depend on it goes on.
    let refused = Effect::Status { code: 400, body: None, headers: BTreeMap::new() };
    server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Update, refused)]);
    let ran = repo.run_at(&server, &APPLY).ends(4);
    let ran = ran.says("failed        update z-parent").says("skipped       update a-child");
    ran.says("waits for `z-parent:update`").says("applied       update b-other");
    repo.run_at(&server, &APPLY).ends(0);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn an_action_that_the_parent_gets_in_the_same_run_is_waited_for() {
    let server = Server::of(vec![live_parent(), live_job(2, "child")]);
    let child = format!("  linkedJob: parent\n{}", rule("Stop, New"));
    let repo = Repo::with(&[("parent", &actions(&["Stop", "Report", "New"])), ("child", &child)]);
    let plan = repo.run_at(&server, &["plan"]).ends(0);
    snapshot("links-new-action", but_its_cost(&plan.stdout));
    let plan = repo.run_at(&server, &PLAN_JSON).ends(0).json();
    assert_eq!(
        *ids_of_rule(&plan["changes"][1]["request"]["body"]),
        json!([action_id(1), "{action New of parent}"])
    );
    repo.run_at(&server, &APPLY).ends(0).says("applied       update child");
    let (parent, child) = (server.job(&id(1)), server.job(&id(2)));
    let new = parent["postDeployActions"][2]["actionId"].clone();
    let ids = ids_of_rule(&child).as_array().unwrap();
    assert!(ids.len() == 2 && ids.contains(&new) && ids.contains(&json!(action_id(1))), "{ids:?}");
    assert!(!child.to_string().contains("{action"), "{child}");
    // The stamp is that of the job with the ids in it.
    let again = repo.run_at(&server, &["plan", "--refresh"]).ends(0);
    again.says("No changes.");
    server.edit(&id(2), json!({"timeout": 5}));
    rewrite(&repo, "child", &format!("  timeout: 4\n  linkedJob: parent\n{}", rule("Stop, New")));
    let plan = repo.run_at(&server, &PLAN_JSON).ends(0).json();
    assert_eq!(plan["changes"][0]["fields"][0]["path"], "/timeout");

    // Where the parent is not part of the run, its new action is not there.
    let repo = Repo::with(&[("parent", &actions(&["Stop", "Report", "New", "Newer"])), ("child", "")]);
    rewrite(&repo, "child", &format!("  linkedJob: parent\n{}", rule("Newer")));
    repo.run_at(&server, &["plan", "--only", "child"])
        .ends(0)
        .says("its parent `parent` has no post-action `Newer` yet, and is not part of this run");
}

#[test]
fn a_parent_that_this_run_makes_stands_in_the_plan_as_what_it_will_be() {
    let server = Server::of(vec![live_job(2, "child")]);
    const START: &str = "  startDateTime: 2026-12-02T03:00\n  timezoneType: SPECIFIC_TZ\n  timezone: UTC\n";
    let child = format!("  linkedJob: parent\n{}", rule("Stop"));
    let (parent, new) = (actions(&["Stop"]) + START, child.clone() + START);
    let repo = Repo::with(&[("parent", &parent), ("child", &child), ("new", &new)]);
    let plan = repo.run_at(&server, &["plan"]).ends(0);
    snapshot("links-new-parent", but_its_cost(&plan.stdout));
    let plan = repo.run_at(&server, &PLAN_JSON).ends(0).json();
    let changes = plan["changes"].as_array().unwrap();
    let steps: Vec<String> = changes.iter().map(|c| format!("{} {}", c["action"], c["key"])).collect();
    assert_eq!(steps, ["\"create\" \"parent\"", "\"update\" \"child\"", "\"create\" \"new\""]);
    for child in &changes[1..] {
        let body = &child["request"]["body"];
        assert_eq!(body["linkedJobId"], "{id of parent}");
        assert_eq!(*ids_of_rule(body), json!(["{action Stop of parent}"]));
        assert_eq!(child["after"], json!(["parent:create"]));
    }
    // A parent that is refused takes its children with it.
    let refused = Effect::Status { code: 400, body: None, headers: BTreeMap::new() };
    server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Create, refused)]);
    let done = repo.run_at(&server, &["apply", "--auto-approve", "--output", "json"]).json();
    assert_eq!((&done["outcomes"]["failed"], &done["outcomes"]["skipped"]), (&json!(1), &json!(2)));
    assert_eq!(server.dump()["jobs"].as_array().unwrap().len(), 1);
    // A selection without the parent can not be carried out, and says so.
    let ran = repo.run_at(&server, &["plan", "--only", "child"]).ends(0);
    let ran = ran.says("1 blocked").says("its parent `parent` has no live job, and is not part of this run");
    ran.says("apply `parent` first");
    // All together they are made, linked, and as declared.
    server.take_requests();
    repo.run_at(&server, &APPLY).ends(0).says("applied       create new").says("applied       update child");
    let dump = server.dump();
    let job =
        |name: &str| dump["jobs"].as_array().unwrap().iter().find(|job| job["name"] == name).unwrap().clone();
    let (made, action) =
        (job("parent")["id"].clone(), job("parent")["postDeployActions"][0]["actionId"].clone());
    for child in ["child", "new"] {
        assert_eq!(
            (&job(child)["linkedJobId"], ids_of_rule(&job(child))),
            (&made, &json!([action])),
            "{child}"
        );
    }
    assert!(!server.take_requests().iter().any(|request| {
        request.body.as_ref().is_some_and(|body| body.to_string().contains("of parent}"))
    }));
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    repo.run_at(&server, &["plan", "--refresh"]).ends(0).says("No changes.");
    let wrong = format!("  linkedJob: parent\n{}", rule("Stip"));
    rewrite(&repo, "child", &wrong);
    repo.run_at(&server, &["plan"]).ends(1).complains("`parent` has no post-action called `Stip`");
}

#[test]
fn the_stamp_of_a_child_that_waited_for_ids_is_that_of_the_job_with_them() {
    for record in ["", "record: live.json\n"] {
        let server = Server::of(vec![live_parent(), live_job(2, "child")]);
        let lines = format!("  timeout: 4\n  linkedJob: parent\n{}", rule("Stop, New"));
        let repo = Repo::with(&[("parent", &actions(&["Stop", "Report", "New"])), ("child", &lines)]);
        repo.write("patchctl.yaml", format!("owner: team\n{record}"));
        repo.run_at(&server, &APPLY).ends(0);
        repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
        // An edit on either side is known for what it is.
        server.edit(&id(2), json!({"timeout": 5}));
        let origin = |plan: Value| plan["changes"][0]["fields"][0]["origin"].clone();
        assert_eq!(origin(repo.run_at(&server, &PLAN_JSON).ends(0).json()), "console", "{record}");
        server.edit(&id(2), json!({"timeout": 4}));
        rewrite(&repo, "child", &lines.replace("timeout: 4", "timeout: 6"));
        assert_eq!(origin(repo.run_at(&server, &PLAN_JSON).ends(0).json()), "git", "{record}");
    }
}

#[test]
fn a_child_outside_of_whose_selection_the_parent_is_finds_it_all_the_same() {
    let server = Server::of(vec![live_parent(), live_job(2, "child")]);
    let child = format!("  linkedJob: parent\n{}", rule("Stop"));
    let repo = Repo::with(&[("parent", "  timeout: 5\n"), ("child", &child)]);
    repo.run_at(&server, &["apply", "--auto-approve", "--only", "child"]).ends(0);
    assert_eq!(server.job(&id(2))["linkedJobId"], id(1));
    assert_eq!(server.job(&id(1))["timeout"], 4, "the parent is no part of the run");
    repo.run_at(&server, &["plan", "--only", "child"]).ends(0).says("No changes.");
}

#[test]
fn a_parent_that_does_not_exist_blocks_the_link() {
    let server = Server::of(vec![live_job(2, "child")]);
    let repo = Repo::with(&[("child", &format!("  linkedJobId: {}\n", id(77)))]);
    let ran = repo.run_at(&server, &["apply", "--auto-approve"]).ends(3);
    ran.says(&format!("there is no live job {} to be linked to", id(77)));
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("get", 2), ("list", 2)]));
    // By key, where the parent's own manifest says that it is gone.
    let bound = manifest("parent", "").replace("spec:", &format!("  id: {}\nspec:", id(77)));
    let repo = Repo::with(&[("child", "  linkedJob: parent\n")]);
    repo.write("jobs.d/parent.yaml", bound);
    let plan = repo.run_at(&server, &PLAN_JSON).ends(0).json();
    assert_eq!(plan["summary"]["blocked"], 2);
}

/// `Report` is taken away by the parent's manifest.
fn removal() -> Repo {
    let repo = Repo::with(&[("parent", &actions(&["Stop"]))]);
    repo.write("patchctl.yaml", "owner: team\n");
    repo
}

const ALLOW: [&str; 4] = ["apply", "--auto-approve", "--allow-script-loss", "parent"];

#[test]
fn an_edit_that_would_break_the_rule_of_another_job_is_blocked() {
    let others = [live_job_with(2, "child", linked(&[2])), live_job_with(3, "free", linked(&[1]))];
    let server = Server::of([vec![live_parent()], others.to_vec()].concat());
    let repo = removal();
    let plan = repo.run_at(&server, &["plan", "--allow-script-loss", "parent"]).ends(0);
    snapshot("links-broken-rule", but_its_cost(&plan.stdout));
    // Both children are read, because both are linked: their rules are not in the list.
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("get", 3), ("list", 2)]));
    repo.run_at(&server, &ALLOW).ends(3);
    // They are remembered.
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2)]));
    assert_eq!(server.job(&id(1))["postDeployActions"].as_array().unwrap().len(), 2);
    // Once nobody waits for it, it goes.
    server.edit(&id(2), linked(&[1]));
    repo.run_at(&server, &ALLOW).ends(0);
    assert_eq!(server.job(&id(1))["postDeployActions"].as_array().unwrap().len(), 1);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn a_job_that_was_deleted_waits_for_nothing_and_is_no_parent() {
    let deleted =
        json!({"deletedBy": {"user": {"id": id(9), "name": "anna.k"}, "date": 1_780_000_000_000_i64}});
    let mut child = live_job_with(2, "child", linked(&[2]));
    child["deletedBy"] = deleted["deletedBy"].clone();
    let server = Server::of(vec![live_parent(), child]);
    removal().run_at(&server, &ALLOW).ends(0).says("applied       update parent");

    let mut parent = live_parent();
    parent["deletedBy"] = deleted["deletedBy"].clone();
    let server = Server::of(vec![parent, live_job(2, "child")]);
    let repo = Repo::with(&[("child", &format!("  linkedJobId: {}\n{}", id(1), rule("Stop")))]);
    repo.run_at(&server, &APPLY).ends(3).says(&format!("its parent, the live job {}, is gone", id(1)));
}

#[test]
fn children_are_read_only_for_an_edit_that_takes_an_action_away() {
    let server = Server::of(vec![live_parent(), live_job_with(2, "child", linked(&[2]))]);
    let repo = Repo::with(&[("parent", "  timeout: 5\n")]);
    repo.run_at(&server, &["plan"]).ends(0).says("1 to update");
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("get", 1), ("list", 2)]));
}

#[test]
fn a_rule_that_a_manifest_lets_go_of_goes_first_and_the_second_run_converges() {
    let server = Server::of(vec![live_parent(), live_job_with(2, "child", linked(&[2]))]);
    let repo = removal();
    rewrite(&repo, "child", &format!("  linkedJob: parent\n{}", rule("Stop")));
    let plan = repo.run_at(&server, &["plan", "--allow-script-loss", "parent"]).ends(0);
    snapshot("links-let-go", but_its_cost(&plan.stdout));
    repo.run_at(&server, &ALLOW).ends(4).says("applied       update child");
    assert_eq!(*ids_of_rule(&server.job(&id(2))), json!([action_id(1)]));
    repo.run_at(&server, &ALLOW).ends(0).says("applied       update parent");
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn a_manifest_that_keeps_to_its_rule_is_named() {
    let server = Server::of(vec![live_parent(), live_job_with(2, "child", linked(&[2]))]);
    let repo = removal();
    rewrite(&repo, "child", "  timeout: 5\n");
    let ran = repo.run_at(&server, &ALLOW).ends(4);
    // What has nothing to do with the rule is not held up.
    let ran = ran.says("which the rule of `child` waits for").says("applied       update child");
    ran.says("change the rule of that job");
    // Also where its manifest is not part of the run.
    let only = ["plan", "--allow-script-loss", "parent", "--only", "parent"];
    repo.run_at(&server, &only).ends(0).says("which the rule of `child` waits for");
}

#[test]
fn ids_of_actions_stay_under_edits_and_rules_hold() {
    let server = Server::of(vec![live_parent(), live_job(2, "child")]);
    let child = format!("  linkedJob: parent\n{}", rule("Stop, Report"));
    let repo = Repo::with(&[("parent", &actions(&["Stop", "Report"])), ("child", &child)]);
    repo.run_at(&server, &APPLY).ends(0);
    let ids = |server: &Server| -> Vec<(String, String)> {
        let job = server.job(&id(1));
        let one = |action: &Value| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&action["params"]["actionItem"]), text(&action["actionId"]))
        };
        job["postDeployActions"].as_array().unwrap().iter().map(one).collect()
    };
    let pair = |item: &str, n: u8| (item.to_owned(), action_id(n));
    let edits = [
        // Other scripts.
        (actions(&["Stop", "Report"]).replace("echo", "print"), vec![pair("Stop", 1), pair("Report", 2)]),
        // Another order.
        (actions(&["Report", "Stop"]).replace("echo", "print"), vec![pair("Report", 2), pair("Stop", 1)]),
        // Another name for the action of an id.
        (
            actions(&["Report", "Halt"]).replace("echo", "print").replace(
                "- action: Run Script\n      params: { actionItem: Halt",
                &format!(
                    "- actionId: {}\n      action: Run Script\n      params: {{ actionItem: Halt",
                    action_id(1)
                ),
            ),
            vec![pair("Report", 2), pair("Halt", 1)],
        ),
    ];
    for (lines, expected) in edits {
        rewrite(&repo, "parent", &lines);
        let halt = if lines.contains("Halt") { "Halt, Report" } else { "Stop, Report" };
        rewrite(&repo, "child", &format!("  linkedJob: parent\n{}", rule(halt)));
        repo.run_at(&server, &APPLY).ends(0);
        assert_eq!(ids(&server), expected);
        assert_eq!(*ids_of_rule(&server.job(&id(2))), json!([action_id(1), action_id(2)]));
        repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    }
    // One more.
    rewrite(&repo, "parent", &actions(&["First", "Report", "Halt"]).replace("echo", "print"));
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(ids(&server)[1..], [pair("Report", 2), pair("Halt", 1)]);
    assert_eq!(*ids_of_rule(&server.job(&id(2))), json!([action_id(1), action_id(2)]));
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

/// Small numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

/// Jobs that are there and jobs that are not, linked at random, by key or by id, with rules by name or by id over actions
/// that are there or are not; then everything is linked anew. After each apply nothing is left to do.
#[test]
fn whatever_is_linked_to_whatever_one_apply_is_enough() {
    const START: &str = "  startDateTime: 2026-12-02T03:00\n  timezoneType: SPECIFIC_TZ\n  timezone: UTC\n";
    for seed in 0..6 {
        let mut numbers = Numbers(seed);
        let n_live = 2 + numbers.below(4);
        let live = (1..=n_live).map(|n| {
            let n = u8::try_from(n).unwrap();
            live_job_with(
                n,
                &format!("job-{n}"),
                json!({"postDeployActions": [action(2 * n, "A"), action(2 * n + 1, "B")]}),
            )
        });
        let server = Server::of(live.collect());
        let repo = Repo::empty();
        for round in 0..3 {
            // Who may be the parent of whom changes with each round, so that links turn round; never in a circle.
            let mut ranks: Vec<usize> = (1..=6).collect();
            for at in (1..ranks.len()).rev() {
                ranks.swap(at, numbers.below(at + 1));
            }
            for (at, n) in ranks.iter().enumerate() {
                let mut items = vec!["A", "B"];
                items.extend((0..=round).map(|extra| ["C", "D", "E"][extra]));
                let turn = numbers.below(items.len());
                items.rotate_left(turn);
                let mut lines = format!("{START}  timeout: {}\n{}", 4 + numbers.below(3), actions(&items));
                match (at, numbers.below(4)) {
                    (0, _) | (_, 0) => lines.push_str("  linkedJob: null\n  chainedJobRule: []\n"),
                    (_, how) => {
                        let parent = ranks[numbers.below(at)];
                        let by_id = how == 1 && parent <= n_live;
                        match by_id {
                            true => lines
                                .push_str(&format!("  linkedJobId: {}\n", id(u8::try_from(parent).unwrap()))),
                            false => lines.push_str(&format!("  linkedJob: job-{parent}\n")),
                        }
                        let names = ["A", "B, C", "C, A"][numbers.below(3)];
                        lines.push_str(&rule(names));
                    }
                }
                rewrite(&repo, &format!("job-{n}"), &lines);
            }
            let applied = repo.run_at(&server, &APPLY);
            assert_eq!(applied.code(), Some(0), "seed {seed}, round {round}: {}", applied.both());
            let plan = repo.run_at(&server, &["plan"]);
            assert!(plan.stdout.starts_with("No changes."), "seed {seed}, round {round}: {}", plan.both());
            let plan = repo.run_at(&server, &["plan", "--no-cache"]);
            assert!(plan.stdout.starts_with("No changes."), "seed {seed}, round {round}: {}", plan.both());
        }
    }
}
