//! What people read after an import; that the plan is empty then is shown in `tests/import`.

use crate::support::{Repo, Server, live_job, snapshot};

#[test]
fn the_first_day() {
    let (server, repo) = (Server::of_the_examples(), Repo::empty());
    let ran = repo.run_at(&server, &["import", "--all"]).ends(0);
    snapshot("import-first-day", &ran.both());
    snapshot("import-windows-servers-weekly.yaml", &repo.read("jobs.d/windows-servers-weekly.yaml"));
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(0).says("No changes. All 15 live jobs");
    // The second day, and a manifest that went missing.
    std::fs::remove_file(repo.path("jobs.d/browsers-weekly.yaml")).unwrap();
    let ran = repo.run_at(&server, &["import", "--all", "--into", "jobs.d/late", "--dry-run"]).ends(0);
    snapshot("import-second-day", &ran.both());
}

#[test]
fn a_name_can_not_steer_the_terminal() {
    let server = Server::of(vec![live_job(1, "evil\u{1b}[2J\u{202e}\nname"), live_job(2, "")]);
    let ran = Repo::empty().run_at(&server, &["import", "--all"]).ends(0);
    assert!(!ran.stdout.contains(['\u{1b}', '\u{202e}']), "{}", ran.stdout);
    ran.says("+ evil-2j-name  \"evil\\u{1b}[2J\\u{202e}\\nname\" (Windows)  jobs.d/evil-2j-name.yaml\n")
        .says("+ windows-00000000  \"\" (Windows)  jobs.d/windows-00000000.yaml\n");
}

#[test]
fn quiet_says_only_what_was_written() {
    let server = Server::of(vec![live_job(1, "job")]);
    let ran = Repo::empty().run_at(&server, &["import", "--all", "--quiet"]).ends(0);
    assert_eq!((ran.stderr.as_str(), ran.cost.as_str()), ("", ""));
    ran.says("jobs.d/job.yaml");
}
