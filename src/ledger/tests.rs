use super::*;

const GATEWAY: &str = "https://gateway.example/";

fn now() -> jiff::Timestamp {
    "2026-11-23T10:00:00Z".parse().expect("a time")
}

fn open_for(folder: &Path, customer: &str) -> Ledger {
    Ledger::open(folder, Whose { gateway: GATEWAY, owner: "us", customer }, false, now())
}

fn open(folder: &Path) -> Ledger {
    open_for(folder, "customer")
}

fn job(id: &str) -> BoundJob {
    let seen = second(now());
    BoundJob { id: id.to_owned(), name: "A".to_owned(), platform: None, protect: false, seen }
}

fn file(folder: &Path) -> PathBuf {
    open(folder).path
}

#[test]
fn what_one_run_learned_the_next_one_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = open(folder.path());
    first.bind("a", job("1"));
    first.bind("b", job("2"));
    first.applied("0123", None);
    first.save().expect("writable");
    first.create_sent("c", "C", Some(Platform::Linux)).expect("writable");
    let second = open(folder.path());
    assert_eq!(second.note, None);
    assert_eq!(second.bound("a"), Some(&job("1")));
    assert_eq!(second.applied_commit(), Some("0123"));
    assert_eq!(second.sent_create("c").map(|create| create.name.as_str()), Some("C"));
    let keys = BTreeSet::from(["a"]);
    assert_eq!(second.orphans(&keys).map(|(key, _)| key).collect::<Vec<_>>(), ["b"]);
    let others = Whose { gateway: GATEWAY, owner: "them", customer: "customer" };
    assert_eq!(Ledger::open(folder.path(), others, false, now()).bound("a"), None);
    assert_eq!(open_for(folder.path(), "another").bound("a"), None);
}

#[test]
fn nothing_new_is_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = open(folder.path());
    ledger.save().expect("writable");
    assert!(!folder.path().join("bindings").exists());
    ledger.bind("a", job("1"));
    ledger.save().expect("writable");
    std::fs::remove_file(&ledger.path).expect("it is there");
    ledger.bind("a", job("1"));
    ledger.save().expect("writable");
    assert!(!ledger.path.exists());
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = open(folder.path());
    ledger.bind("a", job("1"));
    ledger.save().expect("writable");
    let mode = std::fs::metadata(&ledger.path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_unusable_file_is_put_aside_with_a_note() {
    let other = r#"{"patchctl_ledger":1,"gateway":"other","owner":"us","subscriptions":{}}"#;
    let path = r#"{"patchctl_ledger":1,"gateway":"https://gateway.example/","owner":"us",
        "subscriptions":{"customer":{"jobs":{"a":{"id":"../x","name":"A","seen":""}}}}}"#;
    for (content, words) in [
        ("", "is damaged"),
        ("{", "is damaged"),
        (r#"{"patchctl_ledger":1}"#, "is damaged"),
        (r#"{"patchctl_ledger":2,"new":[]}"#, "is of version 2, and this build knows 1"),
        (other, "belongs to another gateway or owner"),
        (path, "is damaged"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = file(folder.path());
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        for round in 1..3 {
            std::fs::write(&path, content).expect("writable");
            let mut ledger = open(folder.path());
            let note = ledger.note.take().expect(content);
            assert!(note.contains(words), "{note}");
            let aside = path.with_extension(format!("aside-{round}"));
            assert_eq!(std::fs::read_to_string(aside).expect("kept"), content);
            assert_eq!(ledger.bound("a"), None);
            ledger.bind("a", job("1"));
            ledger.save().expect("writable");
            assert_eq!(open(folder.path()).bound("a"), Some(&job("1")));
        }
    }
}

#[test]
fn a_file_that_is_damaged_while_a_run_goes_on_costs_only_what_it_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = open(folder.path());
    ledger.bind("a", job("1"));
    ledger.save().expect("writable");
    std::fs::write(&ledger.path, "{").expect("writable");
    ledger.bind("b", job("2"));
    ledger.save().expect("writable");
    let after = open(folder.path());
    assert_eq!((after.bound("a"), after.bound("b")), (None, Some(&job("2"))));
}

#[test]
fn runs_at_the_same_time_lose_nothing_of_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    std::thread::scope(|scope| {
        for n in 0..8 {
            let folder = folder.path();
            scope.spawn(move || {
                let mut ledger = open(folder);
                for m in 0..4 {
                    ledger.bind(&format!("key-{n}-{m}"), job(&format!("{n}-{m}")));
                    ledger.save().expect("writable");
                }
            });
        }
    });
    let after = open(folder.path());
    assert_eq!(after.known.jobs.len(), 32);
    let names = std::fs::read_dir(folder.path().join("bindings")).expect("a folder");
    assert_eq!(names.count(), 2, "the file and its lock, nothing put aside");
}

#[test]
fn a_reset_forgets_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = open(folder.path());
    ledger.bind("a", job("1"));
    ledger.save().expect("writable");
    let whose = Whose { gateway: GATEWAY, owner: "us", customer: "customer" };
    let mut reset = Ledger::open(folder.path(), whose, true, now());
    assert_eq!(reset.bound("a"), None);
    reset.bind("b", job("2"));
    reset.save().expect("writable");
    let after = open(folder.path());
    assert_eq!((after.bound("a"), after.bound("b")), (None, Some(&job("2"))));
}

#[test]
fn an_empty_tenant_does_not_hide_what_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = open(folder.path());
    ledger.bind("a", job("1"));
    ledger.save().expect("writable");
    let mut nameless = open_for(folder.path(), "");
    assert_eq!(nameless.bound("a"), Some(&job("1")));
    nameless.create_sent("b", "B", None).expect("writable");
    assert!(open(folder.path()).sent_create("b").is_some());
}

#[test]
fn what_was_learned_before_the_subscription_was_known_is_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    open_for(folder.path(), "").create_sent("a", "Sent", None).expect("writable");
    let mut ledger = open(folder.path());
    assert!(ledger.sent_create("a").is_some());
    ledger.bind("b", job("2"));
    ledger.save().expect("writable");
    assert!(open(folder.path()).sent_create("a").is_some());
    assert!(open_for(folder.path(), "another").sent_create("a").is_none());
}
