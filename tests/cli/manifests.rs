//! `patchctl validate`, and what every command says of manifests that cannot be used.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::support::{Repo, manifest, snapshot, sources};

#[test]
fn all_mistakes_are_told_in_one_run() {
    let repo = Repo::of_the_sources();
    let ran = repo.run(&["validate", "--jobs", "examples/manifests/broken"]).ends(1);
    assert_eq!(ran.stdout, "");
    snapshot("broken", &ran.stderr);
    // Each file has at least one.
    for entry in std::fs::read_dir(sources().join("examples/manifests/broken")).unwrap() {
        let name = entry.unwrap().file_name();
        let place = format!("--> examples/manifests/broken/{}:", name.to_str().unwrap());
        assert!(ran.stderr.contains(&place), "{place}");
    }
}

#[test]
fn the_same_as_json() {
    let repo = Repo::of_the_sources();
    let ran = repo.run(&["validate", "--jobs", "examples/manifests/broken", "--output", "json"]).ends(1);
    let document = ran.json();
    let diagnostics = document["diagnostics"].as_array().unwrap();
    let codes: Vec<&str> = diagnostics.iter().map(|finding| finding["code"].as_str().unwrap()).collect();
    assert_eq!(
        codes,
        [
            "yaml-duplicate-key",
            "script-file",
            "unknown-member",
            "duplicate-manifest-key",
            "server-owned-member",
            "job-rule",
            "job-rule",
            "wrong-value",
        ]
    );
}

#[test]
fn validate_says_how_many_and_verbose_says_which() {
    let repo = Repo::of_the_sources();
    let ran = repo.run(&["validate"]).ends(0).keeps_quiet();
    assert_eq!(ran.stdout, "13 manifests in jobs.d are valid.\n");
    let ran = repo.run(&["validate", "-v"]).ends(0).keeps_quiet();
    let ran = ran.says("notepad-after-parent  jobs.d/windows/notepad-chain.yaml:34");
    assert_eq!(ran.stdout.lines().count(), 14);
    let ran = repo.run(&["validate", "--only", "linux-*", "--only", "browsers-weekly"]).ends(0);
    assert_eq!(ran.stdout, "5 manifests in jobs.d are valid.\n");
}

#[test]
fn no_manifests_are_an_error_and_never_no_changes() {
    let repo = Repo::empty();
    for command in [&["validate"][..], &["plan"], &["apply", "--auto-approve"]] {
        let ran = repo.run(command).ends(1);
        assert_eq!(
            ran.stderr,
            "error[no-manifests]: there is no folder `jobs.d`\n\
             \x20= help: say where the manifests are with --jobs DIR, or run this where `jobs.d` is\n\n\
             error: 1 error\n"
        );
        assert_eq!(ran.stdout, "");
    }
    repo.write("jobs.d/README.md", "no manifest");
    repo.write("jobs.d/.hidden.yaml", "not looked at");
    repo.write("jobs.d/.git/config.yaml", "not looked at");
    for command in [&["validate"][..], &["plan"], &["apply", "--auto-approve"]] {
        let ran =
            repo.run(command).ends(1).complains("error[no-manifests]: there are no manifests below `jobs.d`");
        assert_eq!(ran.stdout, "");
    }
    // A file with nothing but comments is no manifest either.
    repo.write("jobs.d/empty.yaml", "# later\n");
    repo.run(&["validate"]).ends(1);
    repo.write("jobs.d/jobs.yaml", manifest("job", ""));
    repo.run(&["validate", "--only", "nothing-*"])
        .ends(1)
        .complains("no manifest matches --only `nothing-*`");
    repo.run(&["validate", "--only", "["]).ends(64).complains("--only `[` is no pattern");
}

/// Runs `validate` over one more file and checks its exit status and stderr.
#[track_caller]
fn check(name: &str, content: impl AsRef<[u8]>) -> String {
    let repo = Repo::empty();
    repo.write(&format!("jobs.d/{name}"), content);
    let ran = repo.run(&["validate"]).ends(1);
    assert_eq!(ran.stdout, "");
    ran.stderr
}

#[test]
fn encodings() {
    let text = manifest("job", "  timeout: five\n");
    let mut latin = manifest("job", "  description: ").into_bytes();
    latin.extend(b"f\xfcr\n");
    snapshot("not-utf8", &check("latin.yaml", latin));
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let said = check("wide.yaml", [&[0xff, 0xfe][..], &utf16].concat());
    assert!(said.contains("`jobs.d/wide.yaml` is UTF-16 text, and YAML is read as UTF-8"), "{said}");

    // A mark at the start and line ends of Windows are no mistake, and lines and columns stay right.
    let plain = check("job.yaml", &text);
    assert!(plain.contains("--> jobs.d/job.yaml:11:12\n"), "{plain}");
    assert_eq!(check("job.yaml", format!("\u{feff}{text}")), plain);
    assert_eq!(check("job.yaml", text.replace('\n', "\r\n")), plain);
    let repo = Repo::empty();
    repo.write("jobs.d/job.yml", format!("\u{feff}{}", manifest("job", "").replace('\n', "\r\n")));
    repo.run(&["validate"]).ends(0).keeps_quiet();
}

#[test]
fn tabs_and_other_syntax() {
    snapshot("tab", &check("tab.yaml", manifest("job", "  preDeployment:\n\tuserMessage: hello\n")));
    let open = check("open.yaml", manifest("job", "  assetTagIds: [a, b\n"));
    assert!(open.contains("--> jobs.d/open.yaml:"), "{open}");
    let huge = check("huge.yaml", vec![b'#'; (1 << 20) + 1]);
    assert!(huge.starts_with("error[yaml-size]"), "{huge}");
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
                c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
                e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                g: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    assert!(check("bomb.yaml", bomb).starts_with("error["));
    let deep = format!("{}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    assert!(check("deep.yaml", deep).starts_with("error["));
}

#[test]
fn one_bad_file_does_not_hide_another() {
    let repo = Repo::empty();
    repo.write("jobs.d/a.yaml", b"\xff\xfe\xfd");
    repo.write("jobs.d/b.yaml", "a: [\n");
    repo.write("jobs.d/c.yaml", manifest("job", "  timeout: five\n  assetCount: 3\n"));
    let ran = repo.run(&["validate"]).ends(1);
    for place in ["jobs.d/a.yaml", "jobs.d/b.yaml", "jobs.d/c.yaml:11:", "jobs.d/c.yaml:12:"] {
        assert!(ran.stderr.contains(place), "{place} in:\n{}", ran.stderr);
    }
    ran.complains("error: 4 errors in ");
}

/// The lines of an action with a script.
fn action(script: &str) -> String {
    let head =
        "  preDeployActions:\n    - action: Run Script\n      params: { actionItem: A, timeout: 60 }\n";
    manifest("job", &format!("{head}      scriptType: ps\n      {script}\n"))
}

#[test]
fn scripts_lie_in_the_repository() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.ps1"), "exit 0").unwrap();
    let repo = Repo::empty();
    repo.write("scripts/inside.ps1", "exit 0");
    std::fs::create_dir_all(repo.path("jobs.d/links")).unwrap();
    symlink(outside.path().join("secret.ps1"), repo.path("jobs.d/links/file.ps1")).unwrap();
    symlink(outside.path(), repo.path("jobs.d/links/folder")).unwrap();
    symlink(repo.path("scripts/inside.ps1"), repo.path("jobs.d/links/inside.ps1")).unwrap();
    let validate = |script: &str| {
        repo.write("jobs.d/job.yaml", action(script));
        repo.run(&["validate"])
    };
    for path in ["../scripts/inside.ps1", "links/inside.ps1", "./links/../../scripts/inside.ps1"] {
        validate(&format!("scriptFile: {path}")).ends(0).keeps_quiet();
    }
    for path in ["links/file.ps1", "links/folder/secret.ps1", "../../../../../../../../etc/hostname"] {
        validate(&format!("scriptFile: {path}"))
            .ends(1)
            .complains(&format!("error[script-file]: the script file `{path}` "));
    }
    let said = validate("scriptFile: links/file.ps1").stderr;
    snapshot("script-outside", &said);
    validate("scriptFile: /etc/hostname").ends(1).complains("is not relative");
    validate("scriptFile: links").ends(1).complains("is no file");
    validate("scriptFile: nowhere.ps1").ends(1).complains("it was looked for at `jobs.d/nowhere.ps1`");
}

#[test]
fn a_storage_path_is_no_script() {
    let repo = Repo::empty();
    let path = "bc023fd7-4290-f28f-8181-95a46f519f52/b09fef6a-12ea-41af-9152-17005f0828d4/Script";
    repo.write("jobs.d/job.yaml", action(&format!("script: {path}")));
    let ran = repo.run(&["validate"]).ends(1);
    snapshot("storage-path", &ran.stderr);
}

#[test]
fn the_configuration_is_checked_like_a_manifest() {
    let repo = Repo::with(&[("job", "")]);
    let validate = |text: &str| {
        repo.write("patchctl.yaml", text);
        repo.run(&["validate"])
    };
    validate("ownr: team\n").ends(1).complains("patchctl.yaml:1:");
    validate("owner: team\nowner: other\n").ends(1).complains("written twice");
    validate("owner: a/b\n").ends(1).complains("`owner` must be");
    validate("customerId: mine\n").ends(1).complains("`customerId` must be a UUID");
    validate("tags: { Pilot: 12 }\n").ends(1).complains("tag");
    validate("tags: { Pilot: f81f37b3-a32b-4aa0-a428-12cad6e37db1 }\n").ends(0);
    repo.run(&["validate", "--config", "missing.yaml"]).ends(1).complains("could not read `missing.yaml`");
}

#[test]
fn a_tag_is_known_by_the_configuration_or_by_its_uuid() {
    let repo = Repo::empty();
    repo.write("patchctl.yaml", "tags: { Windows Pilot: f81f37b3-a32b-4aa0-a428-12cad6e37db1 }\n");
    let tags = |tag: &str| {
        repo.write("jobs.d/job.yaml", manifest("job", &format!("  assetTagIds: [{tag}]\n")));
        repo.run(&["validate"])
    };
    tags("Windows Pilot").ends(0);
    tags("04c7f3e9-8d52-4b1a-9e70-63fa1b85c2d7").ends(0);
    snapshot("unknown-tag", &tags("Windows Pilots").ends(1).stderr);
}

#[test]
fn a_member_that_is_newer_than_this_build_is_let_through_when_allowed() {
    let repo = Repo::with(&[("job", "  futureMember: 1\n")]);
    repo.run(&["validate"]).ends(1).complains("error[unknown-member]: `futureMember` is no member of a job");
    let document = repo.run(&["validate", "--allow-unknown-fields", "--output", "json"]).ends(0).json();
    assert_eq!(document["summary"]["errors"], json!(0));
}

#[test]
fn from_a_folder_within_the_repository() {
    let repo = Repo::of_the_sources();
    let mut command = repo.command(&["validate"]);
    let output = command.current_dir(repo.path("jobs.d/windows")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("13 manifests"));
}
