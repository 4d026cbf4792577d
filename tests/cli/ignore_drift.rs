//! Ignore rules beside what tells where differences came from: `drift`, `accept`, the base and the stamp.

use serde_json::{Value, json};

use crate::identity::{commit, git};
use crate::support::{Repo, Server, id, live_job, live_job_with, live_script};

const APPLY: [&str; 2] = ["apply", "--auto-approve"];
const EMAILS: &str = "/notification/notificationConfigs/recipientEmails";
const LINES: &str = "  timeout: 5
  notification:
    notificationConfigs:
      recipientEmails: [team@acme.example]
      completedPercentage: 90
";

fn rules() -> String {
    format!("owner: team\nignore:\n  - {{ keys: 'w*', member: {EMAILS}, reason: the desk edits them }}\n")
}

fn notification(email: &str, percentage: &str) -> Value {
    json!({
        "notificationTypes": {"email": true},
        "notificationConfigs": {"recipientEmails": email, "completedPercentage": percentage},
        "notificationEvents": {"onJobStart": false, "onJobComplete": true},
    })
}

/// The desk edits its member.
fn desk(server: &Server) {
    server.edit(&id(1), json!({"notification": notification("desk@acme.example", "90")}));
}

/// A repository in Git whose manifest was applied, under `config` or under no rule.
fn applied(config: &str) -> (Repo, Server) {
    let server = Server::of(vec![
        live_job_with(1, "web", json!({"notification": notification("old@acme.example", "90")})),
        live_job(9, "nine"),
    ]);
    let repo = Repo::with(&[("web", LINES)]);
    repo.write("patchctl.yaml", config);
    git(&repo.path(""), &["init", "-q", "-b", "main"]);
    commit(&repo);
    repo.run_at(&server, &APPLY).ends(0);
    server.take_requests();
    (repo, server)
}

/// Path and origin of every difference of the plan, and what it lists as no longer managed.
fn origins(repo: &Repo, server: &Server) -> (Vec<(String, String)>, Vec<String>) {
    let plan = repo.run_at(server, &["plan", "--output", "json"]).ends(0).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let changes = plan["changes"].as_array().unwrap().iter();
    let fields = changes.flat_map(|change| change["fields"].as_array().unwrap());
    let members = plan["no_longer_managed"].as_array().unwrap().iter();
    (
        fields.map(|field| (text(&field["path"]), text(&field["origin"]))).collect(),
        members.map(|member| text(&member["path"])).collect(),
    )
}

fn one(path: &str, origin: &str) -> (Vec<(String, String)>, Vec<String>) {
    (vec![(path.to_owned(), origin.to_owned())], Vec::new())
}

#[test]
fn what_is_ignored_changes_nothing_about_where_the_rest_came_from() {
    // A stamp that the rule had no part in proves as much as one that it had.
    for rule_comes_later in [false, true] {
        let none = "owner: team\n".to_owned();
        let (repo, server) = applied(&if rule_comes_later { none } else { rules() });
        repo.write("patchctl.yaml", rules());
        commit(&repo);
        desk(&server);
        assert_eq!(origins(&repo, &server), (Vec::new(), Vec::new()));
        // What Git changed, although the job is not as it was left.
        repo.edit("jobs.d/web.yaml", "timeout: 5", "timeout: 6");
        commit(&repo);
        assert_eq!(origins(&repo, &server), one("/timeout", "git"), "later: {rule_comes_later}");
        repo.edit("jobs.d/web.yaml", "timeout: 6", "timeout: 5");
        commit(&repo);
        // What the console changed, and then both.
        server.edit(&id(1), json!({"timeout": 7}));
        assert_eq!(origins(&repo, &server), one("/timeout", "console"), "later: {rule_comes_later}");
        repo.edit("jobs.d/web.yaml", "timeout: 5", "timeout: 8");
        // What Git says of the ignored member is not there either.
        repo.edit("jobs.d/web.yaml", "team@", "new@");
        commit(&repo);
        assert_eq!(origins(&repo, &server), one("/timeout", "both"), "later: {rule_comes_later}");
    }
}

#[test]
fn a_rule_of_the_manifest_that_comes_or_goes_is_a_change_in_git_and_of_nothing_else() {
    let (repo, server) = applied("owner: team\n");
    repo.edit("jobs.d/web.yaml", "key: web", &format!("key: web\n  ignore: [{EMAILS}]"));
    commit(&repo);
    server.edit(&id(1), json!({"timeout": 7}));
    assert_eq!(origins(&repo, &server), one("/timeout", "console"), "ignored is not: no longer managed");
    repo.run_at(&server, &APPLY).ends(0);
    desk(&server);
    repo.edit("jobs.d/web.yaml", &format!("key: web\n  ignore: [{EMAILS}]"), "key: web");
    commit(&repo);
    // The base, which was applied, left it alone: Git begins to manage it.
    assert_eq!(origins(&repo, &server), one(EMAILS, "git"));
    // Another rule, of which no stamp was written, takes nothing from what the base proves.
    repo.edit("jobs.d/web.yaml", "key: web", &format!("key: web\n  ignore: [{EMAILS}, /timeout]"));
    commit(&repo);
    server.edit(&id(1), json!({"notification": notification("desk@acme.example", "50"), "timeout": 9}));
    let percentage = "/notification/notificationConfigs/completedPercentage";
    assert_eq!(origins(&repo, &server), one(percentage, "console"));
}

#[test]
fn no_longer_managed_is_what_was_managed() {
    let (repo, server) = applied(&rules());
    desk(&server);
    repo.edit("jobs.d/web.yaml", "      recipientEmails: [team@acme.example]\n", "");
    commit(&repo);
    assert_eq!(origins(&repo, &server), (Vec::new(), Vec::new()));
    repo.edit("jobs.d/web.yaml", "  timeout: 5\n", "");
    commit(&repo);
    assert_eq!(origins(&repo, &server), (Vec::new(), vec!["/timeout".to_owned()]));
}

#[test]
fn drift_lists_what_is_ignored_and_counts_none_of_it() {
    let (repo, server) = applied(&rules());
    desk(&server);
    repo.run_at(&server, &["drift"]).ends(0).says("No drift.").keeps_quiet();
    let ran = repo.run_at(&server, &["drift", "--show-ignored"]).ends(0).keeps_quiet();
    let ran =
        ran.says(". ignored web").says("recipientEmails: declared [team@acme.example], live [desk@acme");
    let ran = ran.says("= patchctl.yaml:3:27: the desk edits them");
    ran.says("No drift. But for what rules leave alone the live job is as Git had it last.");
    // Remembered as equal, and listed still.
    let report = repo.run_at(&server, &["drift", "--show-ignored", "--output", "json"]).ends(0).json();
    assert_eq!(report["ignored"][0]["path"], EMAILS);
    assert_eq!(report["ignored"].as_array().unwrap().len(), 1);
    assert_eq!(repo.run_at(&server, &["drift", "--output", "json"]).ends(0).json().get("ignored"), None);
    let markdown = repo.run_at(&server, &["drift", "--show-ignored", "--output", "markdown"]).ends(0);
    markdown.complains("what is ignored is not in the Markdown");

    server.edit(&id(1), json!({"timeout": 7}));
    let drift = repo.run_at(&server, &["drift", "--output", "json"]).ends(2).json();
    assert_eq!(
        (&drift["summary"]["members"], &drift["changes"][0]["fields"][0]["path"]),
        (&json!(1), &json!("/timeout"))
    );
}

#[test]
fn drift_answers_why_and_remembers_nothing_of_it() {
    let (repo, server) = applied(&rules());
    desk(&server);
    server.edit(&id(1), json!({"timeout": 7}));
    let why = |member: &str| {
        let ran = repo.run_at(&server, &["drift", "--why", &format!("web/{member}"), "--output", "json"]);
        let document = ran.ends(0).keeps_quiet().json();
        assert_eq!((&document["command"], document.get("changes")), (&json!("drift"), None));
        document["why"].clone()
    };
    let found = why("timeout");
    let told = (&found["verdict"], &found["origin"], &found["base"], &found["unknown"]);
    assert_eq!(told, (&json!("different"), &json!("console"), &json!(5), &json!([])));
    let found = why(EMAILS.trim_start_matches('/'));
    assert_eq!(
        (&found["rule"], &found["ignored_by"]["reason"]),
        (&json!("ignored"), &json!("the desk edits them"))
    );
    repo.run_at(&server, &["drift", "--why", "web/timeout"]).ends(0).says("origin      console");
    repo.run_at(&server, &["drift", "--why", "web/timeot"]).ends(1).complains("did you mean `timeout`?");
    repo.run_at(&server, &["drift", "--why", "web/timeout", "--new-only"]).ends(64);
    // Nobody was told of drift yet.
    repo.run_at(&server, &["drift", "--new-only"]).ends(2).says("timeout: 5 -> 7");
    repo.run_at(&server, &["drift", "--new-only"]).ends(0);
}

#[test]
fn a_script_in_ignored_actions_is_nothing_to_verify() {
    let action = "  preDeployActions:\n    - action: Run Script\n      params: { actionItem: A }\n      scriptType: ps\n      \
                  script: |\n        Get-Date\n";
    let server =
        Server::of(vec![live_job_with(1, "web", json!({"preDeployActions": [live_script(1, "A")]}))]);
    let repo = Repo::with(&[("web", action)]);
    repo.run_at(&server, &APPLY).ends(0);
    server.edit(&id(1), json!({"timeout": 7}));
    repo.run_at(&server, &["drift"]).ends(2).says("can not be verified");
    repo.edit("jobs.d/web.yaml", "key: web", "key: web\n  ignore: [/preDeployActions]");
    repo.run_at(&server, &["drift", "--no-cache"]).ends(0).says("No drift.");
}

#[test]
fn accept_leaves_what_is_ignored_as_it_is() {
    let (repo, server) = applied(&rules());
    server.edit(&id(1), json!({"notification": notification("desk@acme.example", "50"), "timeout": 7}));
    let before = repo.read("jobs.d/web.yaml");
    let accept = |target: &[&str]| repo.run_at(&server, &[&["accept", "--auto-approve"], target].concat());
    let ran = accept(&[&format!("web{EMAILS}")]).ends(0).says("nothing to accept");
    ran.complains(
        "notification.notificationConfigs.recipientEmails` is left alone by the rule at patchctl.yaml:3:27",
    );
    assert_eq!(repo.read("jobs.d/web.yaml"), before);
    accept(&["web"]).ends(0).keeps_quiet().says("2 live values written into 1 file");
    let expected = before.replace("timeout: 5", "timeout: 7").replace("Percentage: 90", "Percentage: 50");
    assert_eq!(repo.read("jobs.d/web.yaml"), expected);
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(0).says("No changes.");
    assert_eq!(
        server.job(&id(1))["notification"]["notificationConfigs"]["recipientEmails"],
        "desk@acme.example"
    );
}

#[test]
fn accept_of_a_whole_block_leaves_the_ignored_member_of_it() {
    let (repo, server) = applied(&rules());
    server.edit(&id(1), json!({"notification": null}));
    repo.run_at(&server, &["accept", "--auto-approve", "web"]).ends(0);
    let text = repo.read("jobs.d/web.yaml");
    assert!(text.contains("recipientEmails: [team@acme.example]"), "{text}");
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(0).says("No changes.");

    // Declared as none, and filled in the console.
    let none = "  notification: null\n";
    let server = Server::of(vec![live_job(1, "web")]);
    let repo = Repo::with(&[("web", none)]);
    repo.write("patchctl.yaml", rules());
    server.edit(&id(1), json!({"notification": notification("desk@acme.example", "50")}));
    repo.run_at(&server, &["accept", "--auto-approve", "web"]).ends(0);
    let text = repo.read("jobs.d/web.yaml");
    assert!(text.contains("completedPercentage: 50") && !text.contains("desk@"), "{text}");
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(0).says("No changes.");
}
