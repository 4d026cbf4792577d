//! Tokens that end in mid-run, and other people's edits in mid-run.

use std::num::NonZeroUsize;

use patchctl::api::ReadApi as _;
use patchctl::simulator::{Behaviour, Event, Meanwhile};
use serde_json::json;

use super::{N_CALLS, Server, right};

/// Tokens are revoked just before each call in turn: one new login, for all calls in flight.
#[tokio::test]
async fn a_revoked_token_costs_one_login() {
    let right = right().await;
    for nth in 1..=N_CALLS {
        let revoke = Meanwhile { nth, ..Meanwhile::next(Event::RevokeTokens) };
        let server = Server::start(Behaviour { meanwhile: vec![revoke], ..Behaviour::default() }).await;
        let client = server.client();
        assert_eq!(server.read_with(&client).await.expect("it logs in again"), right, "before call {nth}");
        assert_eq!(client.calls().auth, if nth == 1 { 1 } else { 2 }, "before call {nth}");
    }
}

#[tokio::test]
async fn tokens_that_are_good_for_a_few_calls_are_renewed() {
    let right = right().await;
    for n_good in 1..=N_CALLS {
        let behaviour = Behaviour { token_life_calls: Some(n_good), ..Behaviour::default() };
        let mut server = Server::start(behaviour).await;
        if let Ok(read) = server.read().await {
            // Of several calls in flight with one token, some may be refused twice, which ends the run.
            assert_eq!(read, right, "{n_good} calls");
        }
        server.settings.concurrency = NonZeroUsize::MIN;
        let client = server.client();
        assert_eq!(server.read_with(&client).await.expect("it logs in again"), right, "{n_good} calls");
        assert_eq!(client.calls().auth, (N_CALLS - 1).div_ceil(n_good), "{n_good} calls");
    }
}

/// Revoked before every single call: no token ever works, which is said after the second.
#[tokio::test]
async fn a_token_that_never_works_is_an_error() {
    let revoke = Meanwhile { always: true, ..Meanwhile::next(Event::RevokeTokens) };
    let server = Server::start(Behaviour { meanwhile: vec![revoke], ..Behaviour::default() }).await;
    let client = server.client();
    let error = server.read_with(&client).await.expect_err("nothing can be read");
    assert!(error.to_string().contains("with a token that was just handed out"), "{error}");
    assert_eq!(client.calls().auth, 2);
}

/// Somebody edits a job just before each call in turn: row and job are the old or the new version, whole.
#[tokio::test]
async fn an_edit_in_mid_run_is_seen_whole_or_not_at_all() {
    let right = right().await;
    for nth in 1..=N_CALLS {
        let merge =
            json!({"name": "theirs", "description": "theirs"}).as_object().cloned().expect("an object");
        let event = Event::Edit { id: "b".to_owned(), user: "bert".to_owned(), merge, scripts: [].into() };
        let edit = Meanwhile { nth, ..Meanwhile::next(event) };
        let server = Server::start(Behaviour { meanwhile: vec![edit], ..Behaviour::default() }).await;
        let read = server.read().await.expect("an edit is no fault");
        assert_eq!(read.ids(), right.ids());
        for (row, before) in read.rows.iter().zip(&right.rows) {
            let is_new = row["name"] == "theirs" && row["updated"]["user"]["name"] == "bert";
            assert!(row == before || is_new, "before call {nth}: {row}");
        }
        for (id, job) in &read.jobs {
            let job = job.as_ref().expect("the job is there");
            let is_new = ["name", "description"].iter().all(|member| job[*member] == "theirs")
                && job["updatedBy"]["user"]["name"] == "bert";
            assert!(right.jobs[id].as_ref() == Some(job) || is_new, "before call {nth}: {job}");
        }
    }
}
