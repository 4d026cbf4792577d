//! Help, wrong usage, and the commands that only print.

use crate::support::{Repo, snapshot};

#[test]
fn help() {
    let repo = Repo::empty();
    for command in [
        "",
        "validate",
        "plan",
        "apply",
        "revert",
        "drift",
        "accept",
        "import",
        "doctor",
        "schema",
        "simulator",
    ] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let ran = repo.run(&arguments).ends(0).keeps_quiet();
        // Every command shows how it is used.
        assert!(command.is_empty() || ran.stdout.contains("\nExamples:\n  patchctl "), "{}", ran.stdout);
        snapshot(&format!("help{}{command}", if command.is_empty() { "" } else { "-" }), &ran.stdout);
        for line in ran.stdout.lines() {
            assert!(line.chars().count() <= 110, "{line}");
        }
    }
    repo.run(&["--version"]).ends(0).says(concat!("patchctl ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_64_and_never_taken_for_a_difference() {
    let repo = Repo::empty();
    for arguments in [
        &[][..],
        &["reconcile"],
        &["plan", "--frobnicate"],
        &["plan", "--output", "xml"],
        &["plan", "--updates", "some"],
        &["plan", "--detailed-exit-code"],
        &["plan", "jobs.d"],
        &["apply", "--detailed-exitcode"],
        &["validate", "--auto-approve"],
        &["plan", "--only"],
    ] {
        let ran = repo.run(arguments).ends(64);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_schema_is_json() {
    let ran = Repo::empty().run(&["schema"]).ends(0).keeps_quiet();
    let schema = ran.json();
    assert!(schema.is_object(), "{schema}");
    assert!(schema["$schema"].as_str().is_some_and(|uri| uri.contains("json-schema.org")), "{schema}");
    assert!(jsonschema::meta::is_valid(&schema));
}

#[test]
fn the_members_are_a_page() {
    Repo::empty().run(&["schema", "--members"]).ends(0).keeps_quiet().says("recurringWeekDays");
}
