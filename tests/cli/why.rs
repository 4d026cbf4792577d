//! `plan --why KEY/MEMBER`: the rule that decided, and what it decided by.

use serde_json::{Value, json};

use crate::support::{Repo, Server, id, live_job, live_job_with, live_script};

const LINES: &str = "  timeout: '4'
  assetTagIds: [F81F37B3-a32b-4aa0-a428-12cad6e37db1]
  startDateTime: 2026-01-05T03:00
  dayOfMonth: null
  description: for people
  exclusionTagIds: null
  dynamicQQLType: 0
  timezone: Europe/Berlin
  preDeployActions:
    - { action: Run Script, params: { actionItem: B, timeout: 99 } }
    - { action: Run Script, params: { actionItem: A, timeout: 180 } }
";

fn web() -> Value {
    live_job_with(
        1,
        "web",
        json!({"preDeployActions": [live_script(1, "A"), live_script(2, "B")], "exclusionTagIds": []}),
    )
}

/// The explanation of one member.
#[track_caller]
fn why(repo: &Repo, server: &Server, member: &str) -> Value {
    let ran = repo.run_at(server, &["plan", "--why", &format!("web/{member}"), "--output", "json"]).ends(0);
    let document = ran.keeps_quiet().json();
    assert_eq!(document.get("changes"), None, "nothing else is printed");
    document["why"].clone()
}

#[test]
fn every_member_has_its_rule() {
    let repo = Repo::with(&[("web", LINES)]);
    let server = Server::of(vec![web()]);
    for (member, verdict, rule) in [
        ("name", "equal", "same"),
        ("timeout", "equal", "number"),
        ("assetTagIds", "equal", "set"),
        ("startDateTime", "equal", "civil_time"),
        ("recurringWeekDays", "equal", "days"),
        ("exclusionTagIds", "equal", "none"),
        ("description", "different", "different"),
        ("dayOfMonth", "not compared", "not_used_by_schedule"),
        ("recurring", "not compared", "undeclared"),
        ("assetCount", "not compared", "server"),
        ("updatedBy.user.name", "not compared", "server"),
        ("timezone", "different", "different"),
        ("preDeployActions", "different", "different"),
        ("preDeployActions[0].params.timeout", "different", "different"),
        ("preDeployActions/1/params/timeout", "equal", "same"),
        ("preDeployActions[1].script", "not compared", "undeclared"),
    ] {
        let found = why(&repo, &server, member);
        assert_eq!(
            (&found["verdict"], &found["rule"]),
            (&json!(verdict), &json!(rule)),
            "{member}: {found:#}"
        );
        assert!(found["table"].is_object(), "{member}");
    }
    // The blocks stand in another order live.
    let timeout = why(&repo, &server, "preDeployActions[0].params.timeout");
    assert_eq!((&timeout["declared"]["raw"], &timeout["live"]["raw"]), (&json!("99"), &json!(180)));
    assert_eq!(timeout["origin"], "unknown");
    let words = timeout["unknown"][0].as_str().unwrap();
    assert!(words.contains("the job bears no stamp of this manifest, and there is no base"), "{words}");
    assert_eq!(why(&repo, &server, "name")["unknown"], json!([]));
    let ran = repo.run_at(&server, &["plan", "--why", "web/timezone"]).ends(0);
    ran.says("origin      unknown\n              who changed it is not known: the job bears no stamp");
    let zone = why(&repo, &server, "timezone");
    assert_eq!(
        zone["differences"],
        json!([{"path": "/timezone", "before": "UTC", "after": "Europe/Berlin"}])
    );
    assert_eq!(zone["declared"]["source"], json!({"file": "jobs.d/web.yaml", "line": 18, "column": 13}));
}

#[test]
fn what_is_remembered_as_unchanged_is_explained_as_well() {
    let repo = Repo::with(&[("web", "  timeout: 4\n"), ("other", "")]);
    let server = Server::of(vec![live_job(1, "web"), live_job(2, "other")]);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    server.take_requests();
    let found = why(&repo, &server, "timeout");
    assert_eq!((&found["verdict"], &found["id"]), (&json!("equal"), &json!(id(1))));
    assert_eq!(server.take_counts().get("read"), None, "from the cache");
    assert_eq!(found["stamp"], json!({"found": "none"}));
}

#[test]
fn the_stamp_and_an_ignore_rule_are_told() {
    let repo = Repo::with(&[("web", "  timeout: 5\n")]);
    let server = Server::of(vec![live_job(1, "web")]);
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    let stamp = &why(&repo, &server, "timeout")["stamp"];
    assert_eq!(
        (&stamp["proves"], &stamp["declared_agrees"], &stamp["job_agrees"]),
        (&json!(true), &json!(true), &json!(true))
    );
    server.edit(&id(1), json!({"timeout": 9}));
    let found = why(&repo, &server, "timeout");
    assert_eq!((&found["origin"], &found["stamp"]["job_agrees"]), (&json!("console"), &json!(false)));
    let rule = "owner: team\nignore: [{keys: web, member: /timeout, reason: tuned by hand}]\n";
    repo.write("patchctl.yaml", rule);
    let found = why(&repo, &server, "timeout");
    assert_eq!((&found["verdict"], &found["rule"]), (&json!("not compared"), &json!("ignored")));
    assert_eq!(
        found["reason"],
        "ignored by the rule at patchctl.yaml:2:30: tuned by hand; the live value stays"
    );
    assert_eq!((&found["declared"]["normalised"], &found["live"]["normalised"]), (&json!(5), &json!(9)));
}

#[test]
fn it_is_read_by_people_and_holds_no_script() {
    let action = "  preDeployActions:\n    - action: Run Script\n      params: { actionItem: A }\n      scriptType: ps\n      \
                  script: |\n        $password = 'hunter2'\n";
    let repo = Repo::with(&[("web", action)]);
    let server =
        Server::of(vec![live_job_with(1, "web", json!({"preDeployActions": [live_script(1, "A")]}))]);
    for member in ["preDeployActions", "preDeployActions[0]", "preDeployActions[0].script"] {
        for output in ["human", "json"] {
            let ran = repo
                .run_at(&server, &["plan", "--why", &format!("web/{member}"), "--output", output])
                .ends(0);
            assert!(!ran.stdout.contains("hunter2"), "{}", ran.stdout);
        }
    }
    let ran =
        repo.run_at(&server, &["plan", "--why", "web/preDeployActions[0].script"]).ends(0).keeps_quiet();
    let ran = ran.says("different: the content of a script can not be read back");
    ran.says("declared    (not shown: it holds a script) (jobs.d/web.yaml:").says("sha256 ");
}

#[test]
fn what_is_not_known_is_an_error_with_the_nearest_name() {
    let repo =
        Repo::with(&[("web", ""), ("new", "  startDateTime: 2026-12-01T02:00\n  timezoneType: AGENT_TZ\n")]);
    let server = Server::of(vec![live_job(1, "web")]);
    let ask = |member: &str| repo.run_at(&server, &["plan", "--why", member]);
    ask("wep/name").ends(1).complains("no manifest has the key `wep`").complains("did you mean `web`?");
    ask("web/timezon")
        .ends(1)
        .complains("`timezon` is no member of a job")
        .complains("did you mean `timezone`?");
    let inner = ask("web/postDeployment.rebootCountdown.intervall").ends(1);
    inner.complains("`intervall` is no member of `postDeployment.rebootCountdown`");
    ask("web").ends(1).complains("names no member of a manifest");
    ask("new/name").ends(0).says("not compared: there is nothing to compare with: no live job has this name");
    repo.run_at(&server, &["plan", "--why", "web/name", "--out", "plan.json"]).ends(64);
}
