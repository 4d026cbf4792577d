//! Ignore rules, in the manifest and in the configuration: what they hide, keep and tell.

use patchctl::simulator::{Call, Updates};
use serde_json::{Value, json};

use crate::support::{Repo, Server, bodies, id, live_job_with, says_nothing};

const NOTIFICATION: &str = "  notification:
    notificationConfigs:
      recipientEmails: [team@acme.example]
      completedPercentage: 90
";

fn rule(keys: &str, rest: &str) -> String {
    format!(
        "owner: team\nignore:\n  - keys: '{keys}'\n    member: /notification/notificationConfigs/recipientEmails\n    \
         reason: the service desk edits the recipients\n{rest}"
    )
}

fn web() -> Value {
    live_job_with(
        1,
        "web",
        json!({"notification": {
            "notificationTypes": {"email": true},
            "notificationConfigs": {"recipientEmails": "desk@acme.example", "completedPercentage": "90"},
            "notificationEvents": {"onJobStart": false, "onJobComplete": true},
        }}),
    )
}

fn emails(job: &Value) -> &Value {
    &job["notification"]["notificationConfigs"]["recipientEmails"]
}

#[test]
fn a_rule_of_the_configuration_hides_the_difference_until_it_is_asked_for() {
    let repo = Repo::with(&[("web", NOTIFICATION)]);
    let server = Server::of(vec![web()]);
    repo.run_at(&server, &["plan"]).ends(0).says("1 to update");
    repo.write("patchctl.yaml", rule("we*", "    until: 2999-12-31\n"));
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(0).says("No changes.").keeps_quiet();
    // A run that remembers the manifest as unchanged tells as well, and without another call.
    server.take_requests();
    let ran = repo.run_at(&server, &["plan", "--show-ignored"]).ends(0).keeps_quiet();
    assert_eq!(
        ran.stdout.split("No changes.").next().unwrap(),
        ". ignored web  \"web\"\n    notification.notificationConfigs.recipientEmails: declared [team@acme.example], live \
         [desk@acme.example]\n    = patchctl.yaml:4:13: the service desk edits the recipients (until 2999-12-31)\n\n"
    );
    assert_eq!(server.take_counts().get("read"), None);
    let document = repo.run_at(&server, &["plan", "--show-ignored", "--output", "json"]).ends(0).json();
    assert_eq!(
        document["ignored"],
        json!([{
            "key": "web", "id": id(1), "name": "web",
            "path": "/notification/notificationConfigs/recipientEmails",
            "declared": ["team@acme.example"], "live": ["desk@acme.example"],
            "reason": "the service desk edits the recipients", "until": "2999-12-31",
            "rule": {"file": "patchctl.yaml", "line": 4, "column": 13},
            "source": {"file": "jobs.d/web.yaml", "line": document["ignored"][0]["source"]["line"], "column": 7},
        }])
    );
    assert_eq!(repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json().get("ignored"), None);
    // The rule goes, and what is remembered goes with it.
    repo.write("patchctl.yaml", "owner: team\n");
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(2).says("1 to update");
}

#[test]
fn a_write_beside_what_is_ignored_leaves_it_as_it_is() {
    for updates in [Updates::Merge, Updates::MergeTop, Updates::Replace] {
        for mode in ["minimal", "full"] {
            if updates == Updates::Replace && mode == "minimal" {
                continue;
            }
            let repo = Repo::with(&[("web", NOTIFICATION)]);
            repo.write("patchctl.yaml", rule("*", ""));
            repo.edit("jobs.d/web.yaml", "completedPercentage: 90", "completedPercentage: 50");
            let server = Server::behaving(vec![web()], says_nothing(updates));
            let apply = ["apply", "--auto-approve", "--no-probe", "--updates", mode];
            repo.run_at(&server, &apply).ends(0).says("1 applied");
            let sent = bodies(&server.take_requests(), Call::Update);
            assert_eq!(emails(&sent[0]), "desk@acme.example", "{mode}");
            assert_eq!(emails(&server.job(&id(1))), "desk@acme.example", "{mode}");
            repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(0).says("No changes.");
            // What is ignored moves on both sides, and nothing follows from it.
            server.edit(&id(1), json!({"notification": {
                "notificationTypes": {"email": true},
                "notificationConfigs": {"recipientEmails": "other@acme.example", "completedPercentage": "50"},
                "notificationEvents": {"onJobStart": false, "onJobComplete": true},
            }}));
            repo.edit("jobs.d/web.yaml", "team@acme.example", "new@acme.example");
            repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(0).says("No changes.");
        }
    }
}

#[test]
fn a_new_job_gets_what_is_declared() {
    let start = "  startDateTime: 2026-12-01T02:00\n  timezoneType: SPECIFIC_TZ\n  timezone: UTC\n";
    let repo = Repo::with(&[("web", &format!("{start}{NOTIFICATION}"))]);
    repo.edit(
        "jobs.d/web.yaml",
        "key: web",
        "key: web\n  ignore: [/notification/notificationConfigs/recipientEmails]",
    );
    let server = Server::of(vec![]);
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    let made = server.dump()["jobs"][0].clone();
    assert_eq!(emails(&made), "team@acme.example");
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(0).says("No changes.");
    repo.edit("jobs.d/web.yaml", "team@acme.example", "new@acme.example");
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(0).says("No changes.");
}

#[test]
fn a_rule_of_the_manifest_names_the_member_and_is_held_against_the_table() {
    let repo = Repo::with(&[("web", NOTIFICATION)]);
    let server = Server::of(vec![web()]);
    let member = "/notification/notificationConfigs/recipientEmails";
    repo.edit("jobs.d/web.yaml", "key: web", &format!("key: web\n  ignore: [{member}]"));
    repo.run(&["validate"]).ends(0).keeps_quiet();
    repo.run_at(&server, &["plan", "--show-ignored"]).ends(0).says("= jobs.d/web.yaml:").says("No changes.");
    repo.edit("jobs.d/web.yaml", member, "/notification/notificationConfigs/recipientEmail");
    let ran = repo.run(&["validate"]).ends(1);
    let ran = ran.complains(
        "error[ignored-member]: `recipientEmail` is no member of `notification.notificationConfigs`",
    );
    ran.complains("did you mean this?").complains("jobs.d/web.yaml:5:12");
    repo.edit("jobs.d/web.yaml", "/notification/notificationConfigs/recipientEmail]", "/timeout]");
    repo.run(&["validate"]).ends(0).complains("warning[unused-ignore]: `metadata.ignore` names `/timeout`");
}

#[test]
fn rules_that_are_over_or_do_nothing_are_told_with_their_places() {
    let repo = Repo::with(&[("web", NOTIFICATION), ("db", "")]);
    let server = Server::of(vec![web(), crate::support::live_job(2, "db")]);
    repo.write("patchctl.yaml", rule("web", "    until: 2020-01-31\n"));
    let expired = "warning[expired-ignore]: the rule that ignores `notification.notificationConfigs.recipientEmails` held \
                   until 2020-01-31";
    repo.run(&["validate"]).ends(0).complains(expired).complains("patchctl.yaml:6:12");
    repo.run(&["validate", "--only", "db"]).ends(0).complains(expired);
    let ran =
        repo.run_at(&server, &["plan", "--detailed-exitcode", "--output", "json"]).ends(2).complains(expired);
    assert_eq!(ran.json()["warnings"][0]["code"], "expired-ignore", "it does not hold any more");
    for (keys, words, place) in [
        ("mail-*", "matches no manifest", "patchctl.yaml:3:11"),
        ("d?", "no manifest that matches `d?` declares `notification", "patchctl.yaml:4:13"),
    ] {
        repo.write("patchctl.yaml", rule(keys, ""));
        repo.run(&["validate"]).ends(0).complains("warning[unused-ignore]").complains(words).complains(place);
        repo.run_at(&server, &["plan"]).ends(0).complains(words).complains(place);
        // Remembered manifests are counted with.
        repo.run_at(&server, &["plan"]).ends(0).complains(words);
        repo.run(&["validate", "--only", "db"]).ends(0).keeps_quiet();
        repo.run_at(&server, &["plan", "--only", "db"]).ends(0).keeps_quiet();
    }
    repo.write(
        "patchctl.yaml",
        rule("w*", "").replace("/notification/notificationConfigs/recipientEmails", "/status"),
    );
    let ran = repo.run(&["validate"]).ends(1);
    ran.complains("error[config]: whether a job is armed is not left to a rule")
        .complains("patchctl.yaml:4:13");
}
