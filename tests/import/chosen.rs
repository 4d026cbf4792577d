//! Which jobs are imported and which not, where the files go, and what is said of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use patchctl::simulator::{Behaviour, Call, Effect, Event, Fault, Meanwhile};
use serde_json::{Value, json};

use crate::generated::STAMP;
use crate::setting::{Setting, names_of, weekly};

#[test]
fn only_what_is_asked_for_is_imported() {
    let jobs = vec![
        weekly(1, "Web 1", "Windows"),
        weekly(2, "Web 2", "Linux"),
        weekly(3, "Databases", "Windows"),
        weekly(4, "Mail / relay", "Linux"),
    ];
    let id = "00000000-0000-4000-8000-000000000003";
    #[track_caller]
    fn check(jobs: &[Value], arguments: &[&str], expected: &[&str]) {
        let setting = Setting::of(jobs.to_vec());
        let report = setting.json(&[&["import", "--dry-run"], arguments].concat(), 0);
        let mut names = names_of(&report, "files");
        names.sort();
        assert_eq!(names, expected, "{arguments:?}");
        assert!(!setting.path("jobs.d").exists(), "a dry run writes nothing");
        setting.stop();
    }
    check(&jobs, &["--all"], &["Databases", "Mail / relay", "Web 1", "Web 2"]);
    check(&jobs, &["--platform", "linux"], &["Mail / relay", "Web 2"]);
    check(&jobs, &["--all", "--platform", "Windows"], &["Databases", "Web 1"]);
    check(&jobs, &["--name", "Web*"], &["Web 1", "Web 2"]);
    check(&jobs, &["--name", "Mail*", "--name", "*1", "--id", id], &["Databases", "Mail / relay", "Web 1"]);
    check(&jobs, &["--name", "Web*", "--platform", "Windows"], &["Web 1"]);
    check(&jobs, &["--id", &id.to_uppercase()], &["Databases"]);
}

#[test]
fn a_selection_that_names_nothing_is_an_error() {
    let setting = Setting::of(vec![weekly(1, "Web 1", "Windows"), weekly(2, "Mail", "Linux")]);
    for (arguments, code, words) in [
        (&["import"][..], 64, "give --all, or choose with --id ID, --name GLOB or --platform"),
        (&["import", "--only", "web*", "--all"], 64, "--only chooses manifests"),
        (&["import", "--id", "7"], 64, "is not the UUID of a job"),
        (&["import", "--name", "["], 64, "is no pattern"),
        (&["import", "--all", "--name", "x"], 64, "cannot be used with"),
        (&["import", "--platform", "MacOS"], 64, "MacOS"),
        (&["import", "--name", "Wep 1"], 1, "did you mean `Web 1`?"),
        (&["import", "--name", "Web*", "--name", "Oracle*"], 1, "no live jobs match --name `Oracle*`"),
        (&["import", "--id", "00000000-0000-4000-8000-000000000009"], 1, "no live jobs match --id 00000000"),
        (
            &["import", "--name", "Mail", "--platform", "Windows"],
            1,
            "no live Windows jobs match --name `Mail`",
        ),
    ] {
        let said = setting.human(arguments, code);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert!(!setting.path("jobs.d").exists());
    let failure = setting.json(&["import", "--name", "x"], 1);
    assert_eq!(failure["command"], "import");
    assert_eq!(setting.json(&["import"], 64)["command"], "import");
    setting.stop();
    let empty = Setting::of(Vec::new());
    assert!(empty.human(&["import", "--all"], 1).contains("there are no live jobs"));
    empty.stop();
}

#[test]
fn jobs_that_are_not_ours_to_declare_are_skipped_with_the_reason() {
    let with = |mut job: Value, name: &str, value: Value| {
        job[name] = value;
        job
    };
    let jobs = vec![
        weekly(1, "By id", "Windows"),
        weekly(2, "By name", "Windows"),
        weekly(3, "By name", "Linux"),
        with(
            weekly(4, "Theirs", "Windows"),
            "description",
            json!("x\n[patchctl:other-team/k 1:9f3ac21b:77e01c44:5e6f7a8b]"),
        ),
        with(weekly(5, "Theirs, cut", "Linux"), "description", json!("x\n[patchctl:other-team/k 1:9f")),
        with(
            weekly(6, "Deleted", "Windows"),
            "deletedBy",
            json!({"user": {"id": "x", "name": "bob"}, "date": 1}),
        ),
        with(weekly(7, "Ours", "Windows"), "description", json!(format!("ours\n{STAMP}"))),
    ];
    let setting = Setting::behaving(jobs, Behaviour { list_deleted: true, ..Behaviour::default() });
    let header = "apiVersion: patchctl/v1\nkind: DeploymentJob\n";
    setting.put(
        "jobs.d/one.yaml",
        &format!("{header}metadata: {{key: one, id: 00000000-0000-4000-8000-000000000001}}\nspec: {{}}\n"),
    );
    setting.put(
        "jobs.d/by-name.yaml",
        &format!("{header}metadata: {{key: by-name}}\nspec: {{name: By name, platform: Windows}}\n"),
    );
    let report = setting.json(&["import", "--all"], 0);
    let skipped: BTreeMap<&str, &str> = report["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (job["id"].as_str().unwrap().rsplit_once('0').unwrap().1, job["reason"].as_str().unwrap()))
        .collect();
    let expected = [("1", "bound"), ("2", "bound"), ("4", "foreign"), ("5", "foreign"), ("6", "deleted")];
    assert_eq!(skipped, BTreeMap::from(expected), "{report:#}");
    let messages = report["skipped"].to_string();
    for words in
        ["one in jobs.d/one.yaml", "by-name in jobs.d/by-name.yaml", "`other-team`", "was deleted by bob"]
    {
        assert!(messages.contains(words), "{words}: {messages}");
    }
    let keys: Vec<&str> =
        report["files"].as_array().unwrap().iter().map(|file| file["key"].as_str().unwrap()).collect();
    assert_eq!(
        keys,
        ["by-name-linux", "of-old"],
        "a taken key is not taken again, and a stamped one is given back"
    );
    setting.json(&["plan", "--detailed-exitcode"], 0);
    setting.stop();
}

#[test]
fn an_existing_file_is_left_alone_whatever_it_holds() {
    let setting = Setting::of(vec![weekly(1, "Web", "Windows")]);
    setting.put("jobs.d/web.yaml", "# notes of a person\n");
    setting.put("jobs.d/web-2.yaml/keep.txt", "a folder");
    let report = setting.json(&["import", "--all"], 0);
    assert_eq!(report["files"][0]["file"], "jobs.d/web-3.yaml");
    assert_eq!(fs::read_to_string(setting.path("jobs.d/web.yaml")).unwrap(), "# notes of a person\n");
    setting.nothing_is_left(&report);
    let names: BTreeSet<_> =
        fs::read_dir(setting.path("jobs.d")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "no temporary file is left: {names:?}");
    setting.stop();
}

#[test]
fn a_job_that_is_to_be_renamed_has_its_manifest() {
    let setting = Setting::of(vec![weekly(1, "Old", "Windows"), weekly(2, "Other", "Windows")]);
    let renamed = |key: &str, name: &str| {
        format!(
            "apiVersion: patchctl/v1\nkind: DeploymentJob\nmetadata:\n  key: {key}\n  previousName: Old\nspec:\n  \
             name: {name}\n  platform: Windows\n"
        )
    };
    setting.put("jobs.d/renamed.yaml", &renamed("renamed", "New"));
    let report = setting.json(&["import", "--all", "--dry-run"], 0);
    assert_eq!(
        (names_of(&report, "files"), names_of(&report, "skipped")),
        (vec!["Other".to_owned()], vec!["Old".to_owned()])
    );
    // A manifest whose own name is there has left the former one behind.
    setting.put("jobs.d/renamed.yaml", &renamed("renamed", "Other"));
    let report = setting.json(&["import", "--all", "--dry-run"], 0);
    assert_eq!(
        (names_of(&report, "files"), names_of(&report, "skipped")),
        (vec!["Old".to_owned()], vec!["Other".to_owned()])
    );
    setting.stop();
}

#[test]
fn broken_manifests_stop_the_import_before_a_call() {
    let setting = Setting::of(vec![weekly(1, "Web", "Windows")]);
    setting.put("jobs.d/broken.yaml", "apiVersion: patchctl/v1\nkind: DeploymentJob\nmetadata: {key: A B}\n");
    let said = setting.human(&["import", "--all"], 1);
    assert!(said.contains("jobs.d/broken.yaml:3") && said.contains("nothing is imported"), "{said}");
    assert_eq!(setting.simulator.requests().len(), 0);
    // Also where the new manifests would go elsewhere: keys are unique in the repository.
    setting.human(&["import", "--all", "--into", "other"], 1);
    assert!(!setting.path("other").exists());
    setting.stop();
}

#[test]
fn a_folder_outside_of_the_manifest_folder_is_said_to_be_one() {
    let setting = Setting::of(vec![weekly(1, "Web", "Windows"), weekly(2, "Mail", "Linux")]);
    let said = setting.human(&["import", "--name", "Web", "--into", "staging"], 0);
    assert!(said.contains("`staging` is not in the manifest folder `jobs.d`"), "{said}");
    // As printed it can be run: with the gateway that this run was given.
    assert!(said.contains("Next: patchctl plan --gateway http://127.0.0.1:"), "{said}");
    assert!(said.contains(" --jobs staging\n"), "{said}");
    // What lies there is known, too.
    let again = setting.json(&["import", "--all", "--into", "staging"], 0);
    assert_eq!(again["summary"]["bound"], 1);
    assert_eq!(names_of(&again, "files"), ["Mail"]);
    let plan = setting.json(&["plan", "--detailed-exitcode", "--jobs", "staging"], 0);
    assert_eq!(plan["summary"]["unchanged"], 2);
    let hidden = setting.human(&["import", "--all", "--into", "jobs.d/.new", "--dry-run"], 0);
    assert!(hidden.contains("plan does not see"), "{hidden}");
    setting.stop();
}

#[test]
fn tags_get_their_names() {
    let id = "f81f37b3-a32b-4aa0-a428-12cad6e37db1";
    let setting = Setting::of(vec![weekly(1, "Web", "Windows"), weekly(2, "Mail", "Linux")]);
    let said = setting.human(&["import", "--name", "Web"], 0);
    assert!(said.contains(&format!("tags:\n  \"Windows: Pilot\": {id}\n")), "{said}");
    let text = fs::read_to_string(setting.path("jobs.d/web.yaml")).unwrap();
    assert!(text.contains(&format!("assetTagIds:\n    - {id} # Windows: Pilot\n")), "{text}");
    // With the lines that were shown, the next one is written by name.
    setting.put("patchctl.yaml", &format!("owner: acme\ntags:\n  \"Windows: Pilot\": {id}\n"));
    let report = setting.json(&["import", "--name", "Mail"], 0);
    assert_eq!(report["tags"], json!({}));
    let text = fs::read_to_string(setting.path("jobs.d/mail.yaml")).unwrap();
    assert!(text.contains("assetTagIds: [\"Windows: Pilot\"]\n"), "{text}");
    setting.json(&["plan", "--detailed-exitcode"], 0);
    setting.stop();
}

#[test]
fn a_job_that_goes_while_it_is_imported_is_skipped() {
    let jobs = vec![weekly(1, "Web", "Windows"), weekly(2, "Mail", "Windows"), weekly(3, "Old", "Windows")];
    let setting = Setting::behaving(jobs, Behaviour { list_deleted: true, ..Behaviour::default() });
    // One was deleted before and is still listed, as such: nobody asked for it. One goes between the list and the read.
    let delete = |n: u8| Event::Delete {
        id: format!("00000000-0000-4000-8000-0000000000{n:02}"),
        user: "bob".to_owned(),
    };
    setting.simulator.behaviour().change(|behaviour| {
        behaviour.meanwhile =
            vec![Meanwhile::before(Call::List, 1, delete(3)), Meanwhile::before(Call::Get, 1, delete(1))];
    });
    let report = setting.json(&["import", "--all", "--concurrency", "1"], 0);
    assert_eq!(names_of(&report, "files"), ["Mail"]);
    let reasons: Vec<&Value> =
        report["skipped"].as_array().unwrap().iter().map(|job| &job["reason"]).collect();
    assert_eq!(reasons, ["gone"], "{report:#}");
    setting.json(&["plan", "--detailed-exitcode"], 0);
    setting.stop();
}

#[test]
fn a_folder_that_can_not_be_made_is_an_error() {
    let setting = Setting::of(vec![weekly(1, "Web", "Windows")]);
    setting.put("jobs.d/taken", "a file");
    let said = setting.human(&["import", "--all", "--into", "jobs.d/taken/deeper"], 1);
    assert!(said.contains("could not write a manifest into `jobs.d/taken/deeper`"), "{said}");
    assert!(said.contains("0 manifests were written before"), "{said}");
    setting.stop();
}

#[test]
fn another_subscription_is_not_imported() {
    let setting = Setting::of(vec![weekly(1, "Web", "Windows")]);
    setting.put("patchctl.yaml", "owner: acme\ncustomerId: 00000000-4290-f28f-8181-95a46f519f52\n");
    let said = setting.human(&["import", "--all"], 1);
    assert!(said.contains("and `customerId` is 00000000-4290"), "{said}");
    assert!(!setting.path("jobs.d").exists());
    setting.stop();
}

/// A run that breaks off while it reads writes no file; what it read is remembered.
#[test]
fn a_failure_while_reading_leaves_no_manifest() {
    let setting = Setting::of((1..=8).map(|n| weekly(n, &format!("Web {n}"), "Windows")).collect());
    setting.simulator.behaviour().change(|behaviour| {
        let refusal = Effect::Status { code: 403, body: None, headers: BTreeMap::new() };
        behaviour.fail_next = vec![Fault::on(Call::Get, refusal).nth(6)];
    });
    let said = setting.human(&["import", "--all", "--concurrency", "1"], 1);
    assert!(said.contains("nothing was written"), "{said}");
    assert!(!setting.path("jobs.d").exists());
    setting.simulator.clear_requests();
    let report = setting.json(&["import", "--all"], 0);
    assert_eq!(report["summary"]["files"], 8);
    let n_reads = setting.simulator.requests().iter().filter(|request| request.call == Call::Get).count();
    assert!(n_reads < 8, "{n_reads} jobs were read again");
    setting.stop();
}
