//! `patchctl simulator`: the simulator as a server of its own.

use crate::support::{Repo, Serving, files_below};

const LOGIN: [(&str, &str); 2] = [("QUALYS_USERNAME", "simulator"), ("QUALYS_PASSWORD", "simulator")];

#[test]
fn another_program_plans_and_applies_against_it() {
    let repo = Repo::of_the_sources();
    let seed = files_below(&repo.path("examples"));
    let serve = || Serving::start(repo.command(&["simulator", "--listen", "127.0.0.1:0", "examples/tenant"]));
    {
        let serving = serve();
        let at = |arguments: &[&str]| {
            repo.run_with(&LOGIN, &[arguments, &["--gateway", &serving.first_line]].concat())
        };
        at(&["plan"]).ends(0).says("Plan: 1 to create, 7 to update, 1 to disable, 4 unchanged.");
        at(&["apply", "--auto-approve"]).ends(0);
        at(&["plan"]).ends(0).says("No changes. All 13 live jobs are as declared in Git.");
        // One process at a time has a tenant open.
        repo.run(&["plan"]).ends(1).complains("in use by another process");
        repo.run(&["plan", "--state-dir", "elsewhere"]).ends(0);
    }
    // What was written is kept, and `sim:` is the same tenant.
    repo.run(&["plan"]).ends(0).says("No changes. All 13 live jobs are as declared in Git.");
    assert_eq!(files_below(&repo.path("examples")), seed);
}

#[test]
fn it_listens_on_this_machine_only_and_reads_its_switches() {
    let repo = Repo::of_the_sources();
    let simulator = |arguments: &[&str]| repo.run(&[&["simulator", "examples/tenant"], arguments].concat());
    simulator(&["--listen", "0.0.0.0:0"]).ends(1).complains("the simulator listens on loopback only");
    simulator(&["--listen", "here"]).ends(64);
    simulator(&["--behaviour", "{\"udpates\": \"merge\"}"])
        .ends(64)
        .complains("--behaviour could not be read");
    repo.run(&["simulator", "nowhere"]).ends(1).complains("could not read the tenant's jobs");
    repo.run(&["simulator"]).ends(64);
}
