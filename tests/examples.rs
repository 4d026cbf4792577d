//! The manifests that people copy from are valid.

#![expect(clippy::disallowed_methods, reason = "runs the program on the repository's own files")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails it")]

use std::path::Path;
use std::process::Command;

/// Runs `validate` in the repository; a warning in an example is a mistake as well.
#[track_caller]
fn check(jobs: &str, n_manifests: usize) {
    let output = Command::new(env!("CARGO_BIN_EXE_patchctl"))
        .args(["validate", "--jobs", jobs])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .env_clear()
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{jobs}");
    let verb = if n_manifests == 1 { "manifest in JOBS is" } else { "manifests in JOBS are" };
    let expected = format!("{n_manifests} {verb} valid.\n").replace("JOBS", jobs);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn jobs_d() {
    check("jobs.d", 13);
}

#[test]
fn the_minimal_example() {
    check("examples/manifests/minimal", 1);
}

#[test]
fn the_linked_example() {
    check("examples/manifests/linked-jobs", 2);
}
