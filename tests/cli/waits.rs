//! What the rate limit makes old: whoever waited looks anew before it concludes something from a list, or writes to a
//! job. A run that does not wait reads the list once.

use patchctl::simulator::{Call, Effect, Event, Fault, Meanwhile, RecordedRequest, ThrottleForm};
use serde_json::{Value, json};

use crate::support::{Repo, Server, live_job_with, manifest};

const APPLY: [&str; 8] =
    ["apply", "--auto-approve", "--output", "json", "--settle-time", "0", "--max-deletes=2", "--prune"];

fn write(repo: &Repo, key: &str) {
    repo.write(&format!("jobs.d/{key}.yaml"), manifest(key, "  startDateTime: 2030-01-05T03:00\n"));
}

/// Jobs made by an apply; those in `gone` have no manifest any more.
fn world(keys: &[&str], gone: &[&str]) -> (Repo, Server) {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    keys.iter().for_each(|key| write(&repo, key));
    repo.run_at(&server, &APPLY).ends(0);
    gone.iter().for_each(|key| std::fs::remove_file(repo.path(&format!("jobs.d/{key}.yaml"))).unwrap());
    server.take_requests();
    (repo, server)
}

fn id_of(server: &Server, name: &str) -> String {
    let dump = server.dump();
    let job = dump["jobs"].as_array().unwrap().iter().find(|job| job["name"] == name).unwrap();
    job["id"].as_str().unwrap().to_owned()
}

/// The rate limit turns away the `nth` call of a kind, and something happens before that call is made again.
fn wait_at(server: &Server, call: Call, nth: u64, event: Event) {
    server.change(|behaviour| {
        let turned_away = Effect::Throttle { form: ThrottleForm::RetryAfter, seconds: 0 };
        behaviour.fail_next.push(Fault::on(call, turned_away).nth(nth));
        behaviour.meanwhile.push(Meanwhile::before(call, nth + 1, event));
    });
}

/// How many calls of a kind there are up to a place.
fn up_to(requests: &[RecordedRequest], call: Call, place: usize) -> u64 {
    requests[..=place].iter().filter(|request| request.call == call).count().try_into().unwrap()
}

fn places(requests: &[RecordedRequest], call: Call) -> Vec<usize> {
    (0..requests.len()).filter(|at| requests[*at].call == call).collect()
}

fn outcomes(document: &Value) -> Vec<String> {
    let changes = document["changes"].as_array().unwrap();
    let words = |change: &Value| format!("{} {} {}", change["key"], change["action"], change["outcome"]);
    changes.iter().map(|change| words(change).replace('"', "")).collect()
}

fn inserted(name: &str, parent: Option<String>) -> Event {
    let job = live_job_with(7, name, json!({"linkedJobId": parent}));
    Event::Insert { user: "anna.k".to_owned(), job: job.as_object().unwrap().clone() }
}

/// The second removal was checked with the list that the first one had read.
#[test]
fn a_job_that_was_linked_to_during_a_wait_is_not_removed() {
    let keys = ["p", "q", "stays"];
    let (repo, server) = world(&keys, &keys[..2]);
    repo.run_at(&server, &APPLY).ends(0);
    let calls = server.take_requests();
    let [first, second] = <[usize; 2]>::try_from(places(&calls, Call::Delete)).unwrap();
    assert_eq!(places(&calls[first..second], Call::List), [0; 0], "no wait, no list");

    let (repo, server) = world(&keys, &keys[..2]);
    let child = inserted("child", Some(id_of(&server, "q")));
    wait_at(&server, Call::Get, up_to(&calls, Call::Get, second - 1), child);
    let done = repo.run_at(&server, &APPLY).ends(4).json();
    assert_eq!(outcomes(&done), ["p delete applied", "q delete stale"], "{done:#}");
    let words = done["changes"][1]["error"]["message"].to_string();
    assert!(words.contains("the live job `child`") && words.contains("is linked to it"), "{words}");
    assert_eq!(server.take_counts()["delete"], 1);
}

/// The second job was made beside one of the same name.
#[test]
fn a_name_that_was_taken_during_a_wait_is_found() {
    let (repo, server) = world(&["stays"], &[]);
    ["a", "b"].iter().for_each(|key| write(&repo, key));
    // The first read is that of the new job `a`.
    wait_at(&server, Call::Get, 1, inserted("b", None));
    let done = repo.run_at(&server, &APPLY).ends(4).json();
    assert_eq!(outcomes(&done), ["a create applied", "b create stale"], "{done:#}");
    assert_eq!(server.take_counts()["create"], 1);
}

/// The job was read, and the list after it kept the removal waiting.
#[test]
fn a_job_that_was_edited_while_the_list_was_waited_for_is_not_removed() {
    let keys = ["p", "stays"];
    let (repo, server) = world(&keys, &keys[..1]);
    repo.run_at(&server, &APPLY).ends(0);
    let calls = server.take_requests();
    let delete = places(&calls, Call::Delete)[0];
    let read = places(&calls[..delete], Call::Get).pop().unwrap();
    let list = places(&calls[..delete], Call::List).into_iter().find(|at| *at > read).unwrap();

    let (repo, server) = world(&keys, &keys[..1]);
    let merge = json!({"timeout": 9}).as_object().unwrap().clone();
    let edit = Event::Edit { id: id_of(&server, "p"), user: "anna.k".to_owned(), merge, scripts: [].into() };
    wait_at(&server, Call::List, up_to(&calls, Call::List, list), edit);
    let done = repo.run_at(&server, &APPLY).ends(3).json();
    assert_eq!(outcomes(&done), ["p delete stale"], "{done:#}");
    assert_eq!(server.take_counts().get("delete"), None);
}

/// A wait alone changes nothing.
#[test]
fn a_removal_that_waited_is_carried_out() {
    let keys = ["p", "q", "stays"];
    for call in [Call::Get, Call::List, Call::Delete] {
        let (repo, server) = world(&keys, &keys[..2]);
        let turned_away = Effect::Throttle { form: ThrottleForm::RetryAfter, seconds: 0 };
        // The plan reads two pages.
        let nth = if call == Call::Delete { 2 } else { 3 };
        server.change(|behaviour| behaviour.fail_next.push(Fault::on(call, turned_away).nth(nth)));
        let done = repo.run_at(&server, &APPLY).ends(0).json();
        assert_eq!(outcomes(&done), ["p delete applied", "q delete applied"], "{call:?} {done:#}");
    }
}
