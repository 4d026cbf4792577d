use super::seen::{Problem, Seen, Whose};
use super::*;
use crate::source::{SourceFile, Span};

fn whose() -> Whose {
    Whose { gateway: "g".to_owned(), owner: "acme".to_owned(), customer: "c".to_owned() }
}

fn place() -> Place {
    Place::new(&SourceFile::new("jobs.d/a.yaml", "a: 1\n"), Span { start: 0, end: 1 })
}

fn job(key: &str, kind: Kind, path: &str, is: Value) -> JobDrift<'static> {
    let difference = Difference {
        kind,
        path: path.to_owned(),
        label: String::new(),
        was: Value::Null,
        is,
        declared: Value::Null,
        origin: Origin::Console,
        words: String::new(),
        place: None,
        step: None,
        state: State::New,
    };
    JobDrift {
        key: key.to_owned(),
        id: None,
        name: key.to_uppercase(),
        platform: None,
        place: place(),
        action: Action::Update,
        edited: Some(Edit { user_id: None, user: Some("anna.k".to_owned()), at: Some(5) }),
        is_our_edit: false,
        is_before_ours: false,
        differences: vec![difference],
        notes: Vec::new(),
    }
}

fn of(drifted: Vec<JobDrift<'static>>) -> Report<'static> {
    Report { drifted, n_manifests: 3, ..Report::default() }
}

/// Compares and goes on with what is to be remembered, as the next run reads it.
#[track_caller]
fn step(seen: &Seen, report: &mut Report<'_>, now: i64) -> Seen {
    let next = seen.compare(report, whose(), now, |_| true);
    let read = Seen::parse(&next.text(), &whose()).expect("it reads what it wrote");
    assert_eq!(read, next);
    next
}

#[test]
fn a_difference_is_new_ongoing_resolved_and_new_again() {
    let mut seen = Seen::nothing(whose());
    let drifted = || vec![job("a", Kind::Member, "/timeout", 5.into())];
    for (now, expected) in [(10, State::New), (20, State::Ongoing(10)), (30, State::Ongoing(10))] {
        let mut report = of(drifted());
        seen = step(&seen, &mut report, now);
        assert_eq!(report.drifted[0].differences[0].state, expected);
        assert_eq!(report.resolved, []);
    }
    // Another value is another edit, and not the end of the first.
    let mut other = of(vec![job("a", Kind::Member, "/timeout", 6.into())]);
    seen = step(&seen, &mut other, 40);
    assert_eq!((other.n_new(), other.resolved.len()), (1, 0));
    let mut clean = of(Vec::new());
    seen = step(&seen, &mut clean, 50);
    assert_eq!((clean.resolved[0].key.as_str(), clean.resolved[0].since), ("a", 40));
    let mut again = of(drifted());
    step(&seen, &mut again, 60);
    assert_eq!((again.n_new(), again.resolved.len()), (1, 0));
}

#[test]
fn a_script_is_another_alarm_with_another_edit_and_a_missing_job_never() {
    let kinds = |at: i64| {
        let mut script = job("a", Kind::Unverified, "/preDeployActions/0/script", Value::Null);
        script.edited = Some(Edit { user_id: None, user: None, at: Some(at) });
        of(vec![script, job("b", Kind::Missing, "", Value::Null)])
    };
    let seen = step(&Seen::nothing(whose()), &mut kinds(1), 10);
    let mut same = kinds(1);
    let seen = step(&seen, &mut same, 20);
    assert_eq!(same.n_new(), 0);
    let mut other = kinds(2);
    step(&seen, &mut other, 30);
    assert_eq!(other.drifted.iter().map(JobDrift::has_new).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_run_over_some_manifests_leaves_what_is_known_of_the_others() {
    let both = || vec![job("a", Kind::Member, "/x", 1.into()), job("b", Kind::Member, "/x", 1.into())];
    let seen = step(&Seen::nothing(whose()), &mut of(both()), 10);
    let mut only_a = of(Vec::new());
    let seen = seen.compare(&mut only_a, whose(), 20, |key| key == "a");
    assert_eq!(only_a.resolved.iter().map(|r| r.key.as_str()).collect::<Vec<_>>(), ["a"]);
    let mut all = of(both());
    step(&seen, &mut all, 30);
    assert_eq!(all.n_new(), 1);
    assert_eq!(all.drifted[1].since(), Some(10));
    all.keep_new();
    assert_eq!(all.drifted.iter().map(|job| job.key.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn documents_of_others_and_damaged_ones() {
    let good = step(&Seen::nothing(whose()), &mut of(vec![job("a", Kind::Member, "/x", 1.into())]), 10);
    let text = good.text();
    let check = |text: &str, expected: Result<Seen, Problem>| {
        assert_eq!(Seen::parse(text, &whose()), expected, "{text}");
    };
    check(&text, Ok(good.clone()));
    check(" \n", Ok(Seen::nothing(whose())));
    check(&text[..text.len() / 2], Err(Problem::Damaged));
    check(&text.replace("\"patchctl_drift\": 1", "\"patchctl_drift\": 2"), Err(Problem::Damaged));
    check("{\"a\": 1}", Err(Problem::NotOurs));
    check("notes", Err(Problem::NotOurs));
    let other = Whose { owner: "other".to_owned(), ..whose() };
    let mut of_other = of(Vec::new());
    let foreign = good.compare(&mut of_other, other.clone(), 20, |_| true);
    check(&foreign.text(), Err(Problem::Other(other)));
    // Where no live job told the subscription, it is not held against the file, and not forgotten either.
    let unknown = Whose { customer: String::new(), ..whose() };
    let kept =
        Seen::parse(&text, &unknown).expect("ours").compare(&mut of(Vec::new()), unknown, 20, |_| true);
    assert!(kept.text().contains("\"customer\": \"c\""));
}

#[test]
fn who_made_an_edit() {
    let edit = |user: &str| Edit { user_id: None, user: Some(user.to_owned()), at: Some(1) };
    let us = ApiUsers::new(["reader".to_owned(), "svc".to_owned()]);
    assert_eq!(edit("reader").by_others(&us), None);
    assert_eq!(edit("anna.k").by_others(&us), Some("anna.k"));
    assert_eq!(edit("SVC").by_others(&us), None);
    assert_eq!(edit("").by_others(&us), None);
    assert_eq!(edit("anna.k").by_others(&ApiUsers::default()), None);
    assert_eq!(Edit::default().by_others(&us), None);
}
