//! Facts and the lines that they make.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use super::judge::{Login, access, cache, clock, subscription, throttling, updates};
use crate::api::{ApiError, LimitHeaders, ListProbe, Traffic, UpdatesKnown};
use crate::config::Updates;
use crate::details::CacheSummary;
use crate::render::doctor::{Check, Status};

/// `status: message`; a warning or failure must say what to do.
#[track_caller]
fn check(found: &Check, expected: &str) {
    let line = format!("{}: {}", found.status.as_str(), found.message);
    assert!(line.starts_with(expected), "{line}\n{expected}");
    let needs_help = matches!(found.status, Status::Warning | Status::Failed);
    assert_eq!(found.help.as_ref().is_some_and(|help| !help.is_empty()), needs_help, "{found:?}");
}

#[test]
fn clocks() {
    check(&clock(None), "ok: no answer told");
    check(&clock(Some(SignedDuration::from_secs(-1))), "ok: in step with the gateway's");
    check(&clock(Some(SignedDuration::from_secs(120))), "ok: 2 min from");
    let behind = "warning: this machine's clock is 2 min 1 s behind the gateway's";
    check(&clock(Some(SignedDuration::from_secs(121))), behind);
    check(&clock(Some(SignedDuration::from_hours(-1))), "warning: this machine's clock is 1 h ahead of");
}

#[test]
fn rate_limits() {
    let seen = |limit, remaining, wait: Option<u64>| {
        let headers = LimitHeaders {
            limit,
            remaining,
            window: limit.map(|_| Duration::from_hours(1)),
            retry_after: wait.map(Duration::from_secs),
            ..LimitHeaders::default()
        };
        throttling(Some(headers), Traffic::default())
    };
    check(&throttling(None, Traffic::default()), "ok: no answer bore");
    let waited = Traffic { waited: Duration::from_mins(1), ..Traffic::default() };
    check(&throttling(None, waited), "warning: had to wait 1 min; no answer bore");
    check(&seen(Some(300), Some(290), None), "ok: 300 calls allowed in 1 h, 290 left");
    check(&seen(Some(300), Some(29), None), "warning: 300 calls allowed in 1 h, 29 left");
    check(&seen(None, Some(30), Some(0)), "ok: 30 left");
    check(&seen(None, None, Some(7)), "warning: was told to wait 7 s");
    check(&seen(None, None, Some(0)), "ok: the headers are there");
}

#[test]
fn logins_and_lists() {
    let probe = |n_rows: usize, cap| ListProbe {
        rows: (0..n_rows).map(|row| json!({"id": row.to_string()})).collect(),
        page_size: 100,
        cap,
        counts_from_one: false,
    };
    let user = Login::User("anna".to_owned());
    let status = |checks: [Check; 3]| checks.map(|check| check.status.as_str()).join(" ");
    let of = |login: &Login, error| access(login, &Ok(()), "Windows", Some(&Err(error)));
    let good = |listed| access(&user, &Ok(()), "Windows", Some(&Ok(listed)));

    check(&good(probe(0, None))[2], "warning: the list of Windows jobs is empty");
    check(&good(probe(1, None))[2], "ok: 1 Windows job in one page of 100, and that is all");
    check(&good(probe(100, None))[2], "ok: a full page of 100 Windows jobs: the page size is not capped");
    check(&good(probe(20, Some(20)))[2], "ok: the server gives 20 Windows jobs a page where 100 were asked");
    let from_one = ListProbe { counts_from_one: true, ..probe(3, None) };
    assert!(good(from_one)[2].message.ends_with("; pages count from 1"));

    let refused = || ApiError::GivenTokenRefused { host: "h".to_owned(), call: "GET /x".to_owned() };
    let forbidden =
        || ApiError::Forbidden { call: "GET /x".to_owned(), excerpt: String::new(), is_web_page: false };
    let broken = || ApiError::BadId { id: "x".to_owned() };
    assert_eq!(status(access(&user, &Err(refused()), "Windows", None)), "failed not_checked not_checked");
    assert_eq!(status(of(&Login::GivenToken, refused())), "failed not_checked not_checked");
    assert_eq!(status(of(&user, forbidden())), "ok failed not_checked");
    assert_eq!(status(of(&user, broken())), "ok not_checked failed");
    // Nothing has shown that a given token is good.
    assert_eq!(status(of(&Login::GivenToken, broken())), "not_checked not_checked failed");
}

#[test]
fn subscriptions() {
    let of = |answered: &[&str], expected| {
        subscription(&answered.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<String>>(), expected)
    };
    check(&of(&["a"], Some("a")), "ok: a, as `customerId` says");
    check(&of(&["b"], Some("a")), "failed: this gateway answers for the subscription b");
    check(&of(&["a", "b"], Some("a")), "failed: ");
    check(&of(&[], Some("a")), "ok: no job was answered");
    check(&of(&["a"], None), "ok: a; with `customerId: a`");
    check(&of(&[], None), "ok: no job was answered");
}

#[test]
fn what_updates_carry() {
    check(&updates(Updates::Auto, Some(UpdatesKnown::Merge), None), "ok: the gateway merges, so");
    check(&updates(Updates::Auto, Some(UpdatesKnown::Replace), None), "ok: the gateway replaces, so");
    check(
        &updates(Updates::Minimal, Some(UpdatesKnown::Replace), None),
        "warning: the gateway replaces jobs",
    );
    check(&updates(Updates::Auto, None, None), "ok: not known whether");
    let told = updates(Updates::Auto, Some(UpdatesKnown::Merge), Some("2026-11-23"));
    check(&told, "ok: the gateway merges, so updates carry only what changes; a probe told it on 2026-11-23");
    check(&updates(Updates::Minimal, None, None), "ok: carry only what changes");
}

#[test]
fn caches() {
    let summary = |n_jobs, oldest_ms, bytes| CacheSummary { path: None, n_jobs, oldest_ms, bytes };
    let of = |summary: &CacheSummary| cache(summary, ".patchctl/cache/x", None);
    check(&of(&summary(0, None, None)), "ok: none yet; the next plan makes `.patchctl/cache/x`");
    let three = summary(3, Some(3 * 86_400_000 + 5), Some(12_345));
    check(&of(&three), "ok: 3 jobs, oldest read 3 days ago, 12.3 kB in `.patchctl/cache/x`");
    check(&of(&summary(1, Some(119_000), Some(999))), "ok: 1 job, oldest read 119 s ago, 999 bytes");
    check(&of(&summary(1, Some(-5), Some(2_500_000))), "ok: 1 job, oldest read 0 s ago, 2.5 MB");
    check(&cache(&three, "x", Some("it is not used")), "warning: it is not used");
}
