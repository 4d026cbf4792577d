//! `apply --write-ids`: what is put into manifests, and what is left alone.

use serde_json::json;

use crate::support::{Repo, Server, id, live_job, live_job_with, manifest};

const WRITE: [&str; 3] = ["apply", "--auto-approve", "--write-ids"];

#[test]
fn the_ids_of_bound_jobs_and_nothing_else() {
    let others = json!({"description": "[patchctl:others/three 1:00000000:00000000:00000000]"});
    let server = Server::of(vec![live_job(1, "one"), live_job(2, "two"), live_job_with(3, "three", others)]);
    let repo = Repo::with(&[("three", "")]);
    let one = manifest("one", "  timeout: 5  # hours\n")
        .replace("  key: one\n", "  key: \"one\"   # never change\n");
    let two = manifest("two", "").replace('\n', "\r\n");
    repo.write("jobs.d/both.yaml", format!("# ours\n{one}---\n{two}"));
    let done = repo.run_at(&server, &WRITE).ends(4);
    let words = |n: u8, key: &str| format!("wrote metadata.id {} of {key} into jobs.d/both.yaml\n", id(n));
    assert!(done.stdout.ends_with(&(words(1, "one") + &words(2, "two"))), "{}", done.stdout);
    let one = one.replace("never change\n", &format!("never change\n  id: {}\n", id(1)));
    let two = two.replace("key: two\r\n", &format!("key: two\r\n  id: {}\r\n", id(2)));
    assert_eq!(repo.read("jobs.d/both.yaml"), format!("# ours\n{one}---\n{two}"));
    // It belongs to somebody else, so it is not bound to this manifest.
    assert_eq!(repo.read("jobs.d/three.yaml"), manifest("three", ""));
    // Nothing more to write, and the same plan.
    let again = repo.run_at(&server, &[&WRITE[..], &["--only", "one", "--only", "two"]].concat()).ends(0);
    assert!(again.stdout.contains("No changes.") && !again.stdout.contains("wrote"), "{}", again.stdout);
}

#[test]
fn a_file_that_can_not_be_edited_is_named_and_left_alone() {
    let server = Server::of(vec![live_job(1, "one"), live_job(2, "two")]);
    let repo = Repo::with(&[("two", "")]);
    let odd = manifest("one", "").replace("  key: one\n", "  ? key\n  : one\n");
    repo.write("jobs.d/one.yaml", &odd);
    let done = repo.run_at(&server, &[&WRITE[..], &["--output", "json"]].concat()).ends(1);
    let json = done.json();
    assert_eq!(json["ids"]["written"], json!([{"key": "two", "id": id(2), "file": "jobs.d/two.yaml"}]));
    assert_eq!(json["ids"]["refused"][0]["file"], "jobs.d/one.yaml");
    assert!(
        done.stderr
            .contains("no id was written into `jobs.d/one.yaml`: it has `metadata` of `one` in a notation")
    );
    assert_eq!(repo.read("jobs.d/one.yaml"), odd);
}

#[cfg(unix)]
#[test]
fn links_and_permissions_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::of(vec![live_job(1, "one")]);
    let repo = Repo::empty();
    repo.write("shared/one.yaml", manifest("one", ""));
    std::fs::set_permissions(repo.path("shared/one.yaml"), std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::create_dir(repo.path("jobs.d")).unwrap();
    std::os::unix::fs::symlink("../shared/one.yaml", repo.path("jobs.d/one.yaml")).unwrap();
    repo.run_at(&server, &WRITE).ends(0);
    assert!(repo.path("jobs.d/one.yaml").is_symlink());
    assert!(repo.read("shared/one.yaml").contains(&format!("  key: one\n  id: {}\n", id(1))));
    let mode = std::fs::metadata(repo.path("shared/one.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    repo.write("shared/one.yaml", manifest("one", ""));
    std::fs::set_permissions(repo.path("shared/one.yaml"), std::fs::Permissions::from_mode(0o440)).unwrap();
    repo.run_at(&server, &WRITE).ends(1).complains("it is read-only");
    assert_eq!(repo.read("shared/one.yaml"), manifest("one", ""));
}

#[test]
fn without_the_flag_no_manifest_is_touched() {
    let server = Server::of(vec![live_job(1, "one")]);
    let repo = Repo::with(&[("one", "  timeout: 5\n")]);
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    assert_eq!(repo.read("jobs.d/one.yaml"), manifest("one", "  timeout: 5\n"));
}

#[test]
fn the_id_of_a_job_that_was_made() {
    let server = Server::of(Vec::new());
    let repo = Repo::with(&[("new", "  startDateTime: 2026-01-05T03:00\n")]);
    let done = repo.run_at(&server, &[&WRITE[..], &["--output", "json"]].concat()).ends(0).json();
    let jobs = server.dump()["jobs"].as_array().unwrap().clone();
    let id = jobs[0]["id"].as_str().unwrap();
    assert_eq!(done["ids"]["written"], json!([{"key": "new", "id": id, "file": "jobs.d/new.yaml"}]));
    assert!(repo.read("jobs.d/new.yaml").contains(&format!("  key: new\n  id: {id}\n")));
    repo.run_at(&server, &["plan"]).ends(0).keeps_quiet().says("No changes.");
}
