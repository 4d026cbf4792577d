//! The client against a scripted server: every fault, and every call counted.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::stream::{StreamExt as _, iter};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::testing::{PASSWORD, Reply, Request, Server, collected_notices, unreachable_settings};
use super::*;

fn client(server: &Server) -> Client {
    Client::new(server.settings()).unwrap()
}

fn job(id: &str) -> Value {
    json!({"id": id, "name": "Weekly"})
}

/// A server that gives one answer first and a good job afterwards.
fn first(reply: Reply) -> Server {
    let reply = Mutex::new(Some(reply));
    Server::with_login(move |_| reply.lock().unwrap().take().unwrap_or_else(|| Reply::json(&job("a"))))
}

fn always(reply: Reply) -> Server {
    Server::with_login(move |_| reply.clone())
}

/// The whole chain of an error, as `terminal` prints it, checked to hold no secret.
#[track_caller]
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(" / ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    assert_no_secret(&text);
    assert_no_secret(&format!("{error:?}"));
    text
}

#[track_caller]
fn assert_no_secret(text: &str) {
    for secret in [PASSWORD, "p%C3%A4", "tok-1", "given-token"] {
        assert!(!text.contains(secret), "`{secret}` in: {text}");
    }
}

#[tokio::test]
async fn one_login_serves_all_and_is_spoken_as_documented() {
    let server = always(Reply::json(&job("a")));
    let client = client(&server);
    for _ in 0..3 {
        assert_eq!(client.get_job("a").await.unwrap(), Some(job("a")));
    }
    let requests = server.requests();
    assert_eq!(requests[0].line, "POST /auth");
    assert_eq!(
        requests[0].body,
        "username=quays2ab&password=p%C3%A4%26s+%22word&token=true&permissions=true"
    );
    let read = &requests[1];
    assert_eq!(read.line, "GET /pm/v1/deploymentjob/a");
    assert!(read.has("authorization: Bearer tok-1"));
    assert!(read.has("accept: application/json"));
    assert!(read.has(&format!("user-agent: patchctl/{}", env!("CARGO_PKG_VERSION"))));
    assert!(read.has("accept-encoding: gzip"));
    assert_eq!(client.calls().to_string(), "4 calls (1 auth, 3 read)");
    assert_eq!(client.traffic().bytes_received, 5 + 3 * job("a").to_string().len() as u64);
    assert_no_secret(&format!("{client:?}"));
}

/// Every way in which a read can go wrong once, and then go well.
#[tokio::test]
async fn a_passing_fault_costs_one_more_read() {
    let whole = Reply::json(&job("a"));
    let faults = [
        Reply::status(408, ""),
        Reply::status(425, ""),
        Reply::status(500, "oops"),
        Reply::status(502, "<html>"),
        Reply::status(503, ""),
        Reply::new(503, &["retry-after: 0"], b""),
        Reply::status(504, ""),
        Reply::raw(b""),
        Reply::raw(b"HTTP/1.1 20"),
        Reply::raw(b"nonsense\r\n\r\n"),
        whole.clone().cut_by(1),
        Reply::status(200, "{\"id\": \"a\""),
        Reply::status(200, "\u{1}\u{2}garbage"),
        Reply::status(200, ""),
        Reply::raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"id\""),
        Reply::new(200, &["content-type: application/json", "content-encoding: gzip"], b"not gzip"),
    ];
    for fault in faults {
        let server = first(fault.clone());
        let client = client(&server);
        assert_eq!(client.get_job("a").await.unwrap(), Some(job("a")), "{fault:?}");
        assert_eq!(client.calls().to_string(), "3 calls (1 auth, 2 read, 1 of them retries)", "{fault:?}");
    }
}

#[tokio::test]
async fn a_lasting_fault_ends_after_five_tries() {
    let (notices, collected) = collected_notices();
    let server = always(Reply::status(500, "JWT parsing failed: tok-1"));
    let client = Client::new(Settings { notices, ..server.settings() }).unwrap();
    let error = client.get_job("a").await.unwrap_err();
    assert_eq!(
        chain(&error),
        "GET /pm/v1/deploymentjob/a failed after 5 tries / the answer was HTTP 500 Internal Server Error: \
         `JWT parsing failed: [hidden]`"
    );
    assert_eq!(server.lines().len(), 5);
    let notices = collected.lock().unwrap();
    assert_eq!(notices.len(), 4);
    assert!(matches!(&notices[3], Notice::Retrying { next_try: 5, .. }), "{notices:?}");
    assert_no_secret(&format!("{notices:?}"));
}

/// A read that fails at once, by what it says.
async fn check_final(reply: Reply, expected: &str) {
    let server = always(reply);
    let mut settings = server.settings();
    settings.job_limit_bytes = 1_000;
    let client = Client::new(settings).unwrap();
    let error = client.get_job("a").await.expect_err(expected);
    let text = chain(&error);
    assert!(text.contains(expected), "{text}");
    assert!(!error.help().is_empty());
    assert_eq!(client.calls().to_string(), "2 calls (1 auth, 1 read)", "{expected}");
}

#[tokio::test]
async fn what_does_not_mend_itself_fails_at_once() {
    let html = &["content-type: text/html"][..];
    let large = format!("\"{}\"", "x".repeat(999));
    check_final(Reply::new(404, html, b"<html>"), "HTTP 404").await;
    check_final(
        Reply::status(400, r#"{"_error":{"errorCode":"1903"}}"#),
        "HTTP 400 Bad Request: `{\"_error\"",
    )
    .await;
    check_final(Reply::status(409, ""), "HTTP 409").await;
    check_final(
        Reply::status(403, "no PM.API.ACCESS"),
        "is not allowed for this login (HTTP 403: `no PM.API.ACCESS`)",
    )
    .await;
    check_final(
        Reply::new(302, &["location: https://elsewhere.example/x?t=tok-1"], b""),
        "HTTP 302 Found, a redirect to `https://elsewhere.example`, and redirects are not followed",
    )
    .await;
    check_final(Reply::status(200, &large), "larger than 1000 bytes").await;
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{large}\r\n0\r\n\r\n");
    check_final(Reply::raw(chunked.as_bytes()), "larger than 1000 bytes").await;
    check_final(Reply::json(&job("b")), "the answer is not the job `a`").await;
    check_final(Reply::json(&json!([])), "the answer is not the job `a`").await;
    check_final(Reply::new(204, &[], b""), "without content").await;
}

#[tokio::test]
async fn slow_and_silent_servers_run_into_the_time_out() {
    let whole = Reply::json(&job("a"));
    for reply in [Reply::raw(b"").then_hangs(), whole.cut_by(3).then_hangs()] {
        let server = always(reply);
        let mut settings = server.settings();
        settings.request_timeout = Duration::from_millis(100);
        let client = Client::new(settings).unwrap();
        let text = chain(&client.get_job("a").await.unwrap_err());
        assert!(text.ends_with("failed after 5 tries / no whole answer came within 1 s"), "{text}");
        assert_eq!(server.lines().len(), 5);
    }
}

#[tokio::test]
async fn no_connection_is_said() {
    let mut settings = unreachable_settings();
    settings.retry_pause = Duration::from_millis(1);
    let client = Client::new(settings).unwrap();
    let error = client.get_job("a").await.unwrap_err();
    let text = chain(&error);
    assert!(text.starts_with("POST /auth failed after 5 tries / no connection could be made / "), "{text}");
    let error = client.update_job("a", &json!({})).await.unwrap_err();
    assert!(matches!(&error, WriteError::NotSent(_)), "{error:?}");
}

#[tokio::test]
async fn a_job_that_is_gone_is_none_and_a_bad_id_is_not_sent() {
    let server = always(Reply::status(404, r#"{"_error":{"errorCode":"1404"}}"#));
    let client = client(&server);
    assert_eq!(client.get_job("a").await.unwrap(), None);
    for id in ["", ".", "..", "a/b", "a?b", "a b", "ä", &"x".repeat(129)] {
        assert!(matches!(client.get_job(id).await, Err(ApiError::BadId { .. })), "{id}");
        let written = client.update_job(id, &json!({})).await;
        assert!(matches!(written, Err(WriteError::NotSent(ApiError::BadId { .. }))), "{id}");
    }
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn compressed_answers_are_read() {
    // `{"id":"a"}`
    let packed = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff, 0xab, 0x56, 0xca, 0x4c, 0x51, 0xb2, 0x52, 0x4a, 0x54, 0xaa, 5,
        0, 0x43, 0xe6, 0xa4, 0x9a, 10, 0, 0, 0,
    ];
    let reply = Reply::new(200, &["content-type: application/json", "content-encoding: gzip"], &packed);
    let client = client(&always(reply));
    assert_eq!(client.get_job("a").await.unwrap(), Some(json!({"id": "a"})));
}

/// A server whose token of generation n is refused from the moment that `is_over` says so.
fn server_with_expiry(n_accepted_of_first: usize) -> Server {
    let n_logins = Mutex::new(0_usize);
    let n_with_first = Mutex::new(0_usize);
    Server::start(move |request| {
        if request.line == "POST /auth" {
            let mut n_logins = n_logins.lock().unwrap();
            *n_logins += 1;
            return Reply::new(201, &[], format!("tok-{n_logins}").as_bytes());
        }
        if request.has("authorization: Bearer tok-1") {
            let mut n_with_first = n_with_first.lock().unwrap();
            *n_with_first += 1;
            if *n_with_first > n_accepted_of_first {
                return Reply::status(401, "");
            }
        }
        let id = request.line.rsplit('/').next().unwrap().to_owned();
        Reply::json(&job(&id))
    })
}

#[tokio::test]
async fn one_renewal_serves_all_calls_in_flight() {
    let server = server_with_expiry(3);
    let client = client(&server);
    let ids: Vec<String> = (0..40).map(|index| format!("job-{index}")).collect();
    let found: BTreeSet<String> = iter(&ids)
        .map(|id| client.get_job(id))
        .buffer_unordered(8)
        .map(|job| job.unwrap().unwrap()["id"].as_str().unwrap().to_owned())
        .collect()
        .await;
    assert_eq!(found.len(), 40);
    let calls = client.calls();
    assert_eq!(calls.auth, 2, "{calls}");
    // At most eight were in flight with the old token.
    assert!(calls.read > 40 && calls.read <= 48, "{calls}");
    assert_eq!(calls.read - 40, calls.retries, "{calls}");
}

#[tokio::test]
async fn a_write_is_sent_again_after_a_401_only() {
    let server = server_with_expiry(0);
    let client = client(&server);
    client.update_job("a", &json!({"type": "Install"})).await.unwrap();
    assert_eq!(client.calls().to_string(), "4 calls (2 auth, 2 update, 1 of them retries)");
    assert_eq!(server.lines(), ["PATCH /pm/v1/deploymentjob/update/a"; 2]);
}

#[tokio::test]
async fn a_new_token_that_is_refused_ends_it() {
    let server = always(Reply::status(401, ""));
    let client = client(&server);
    assert!(matches!(client.get_job("a").await, Err(ApiError::NewTokenRefused { .. })));
    assert_eq!(client.calls().to_string(), "4 calls (2 auth, 2 read, 1 of them retries)");
    assert!(matches!(client.get_job("a").await, Err(ApiError::NewTokenRefused { .. })));
    assert_eq!(client.calls().auth, 2, "no third login for a token that never worked");
    let error = client.update_job("a", &json!({})).await.unwrap_err();
    assert!(matches!(error, WriteError::Refused(ApiError::NewTokenRefused { .. })), "{error:?}");
}

#[tokio::test]
async fn a_given_token_is_used_as_it_is() {
    let server = always(Reply::status(401, "given-token is too old"));
    let mut settings = server.settings();
    settings.credentials = Credentials::Token(SecretString::from("given-token\n"));
    let client = Client::new(settings).unwrap();
    let error = client.get_job("a").await.unwrap_err();
    assert!(chain(&error).contains("refused the token given in QUALYS_TOKEN"), "{error}");
    assert_eq!(client.calls().to_string(), "1 call (1 read)");
    assert!(server.requests()[0].has("authorization: Bearer given-token"));

    let mut settings = server.settings();
    settings.credentials = Credentials::Token(SecretString::from("two\nlines"));
    let client = Client::new(settings).unwrap();
    assert!(matches!(client.get_job("a").await, Err(ApiError::BadToken)));
}

#[tokio::test]
async fn a_refused_login_is_tried_once() {
    let body = format!("bad login quays2ab {PASSWORD} / p%C3%A4%26s+%22word");
    let server = Server::start(move |_| Reply::status(401, &body));
    let client = client(&server);
    let outcomes: Vec<_> = iter(0..10).map(|_| client.get_job("a")).buffer_unordered(10).collect().await;
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, ApiError::LoginRefused { status: 401, .. }), "{error:?}");
        assert!(chain(&error).contains("bad login quays2ab [hidden] / [hidden]"), "{error}");
    }
    assert_eq!(client.calls().to_string(), "1 call (1 auth)");
}

#[tokio::test]
async fn what_is_no_token_is_not_shown() {
    for body in ["<html>tok-1</html>", "{\"token\": \"tok-1\"}", ""] {
        let server = Server::start(move |_| Reply::new(200, &["content-type: text/html"], body.as_bytes()));
        let error = client(&server).log_in().await.unwrap_err();
        assert!(chain(&error).contains(&format!("(`text/html`, {} bytes)", body.len())), "{error}");
    }
}

#[tokio::test]
async fn only_a_simulator_on_this_machine_is_believed() {
    for (header, expected) in [
        ("x-patchctl-simulator: updates=merge", Some(UpdatesKnown::Merge)),
        ("x-patchctl-simulator: updates=replace; release=1", Some(UpdatesKnown::Replace)),
        ("x-patchctl-simulator: updates=perhaps", None),
        ("x-other: updates=merge", None),
    ] {
        let server = Server::start(move |_| Reply::new(201, &[header], b"tok-1"));
        let client = client(&server);
        assert_eq!(client.simulator_updates(), None);
        client.log_in().await.unwrap();
        assert_eq!(client.simulator_updates(), expected, "{header}");
    }
    let mut settings = unreachable_settings();
    settings.gateway = Gateway::parse("https://gateway.example.com").unwrap();
    let client = Client::new(settings).unwrap();
    client.note_simulator(Some(UpdatesKnown::Merge));
    assert_eq!(client.simulator_updates(), None);
}

#[tokio::test]
async fn throttling_in_each_form_is_waited_out() {
    for header in [
        "retry-after: 0",
        "x-ratelimit-towait-sec: 0",
        "date: Mon, 07 Nov 1994 00:00:00 GMT\r\nretry-after: Mon, 07 Nov 1994 00:00:00 GMT",
        "x-nothing: said",
    ] {
        let (notices, collected) = collected_notices();
        let server = first(Reply::new(429, &[header], b""));
        let client = Client::new(Settings { notices, ..server.settings() }).unwrap();
        assert_eq!(client.get_job("a").await.unwrap(), Some(job("a")), "{header}");
        assert_eq!(client.calls().to_string(), "3 calls (1 auth, 2 read, 1 of them retries)", "{header}");
        assert!(!client.traffic().waited.is_zero());
        let notices = collected.lock().unwrap();
        assert!(matches!(&notices[0], Notice::ConcurrencyLowered { to: 4 }), "{notices:?}");
        assert!(matches!(&notices[1], Notice::Throttled { .. }), "{notices:?}");
    }
}

/// More refusals than a read has tries: time bounds them, not their number.
#[tokio::test]
async fn refusals_are_not_tries() {
    let server = Server::with_login(|request| {
        if request.index < 8 { Reply::new(429, &["retry-after: 0"], b"") } else { Reply::json(&job("a")) }
    });
    let client = client(&server);
    assert_eq!(client.get_job("a").await.unwrap(), Some(job("a")));
    assert_eq!(client.calls().read, 8);
}

#[tokio::test]
async fn a_wait_beyond_the_budget_stops_cleanly_and_holds_writes_back() {
    let server = always(Reply::new(429, &["retry-after: 3600"], b""));
    let client = client(&server);
    let error = client.list_jobs("Windows").await.unwrap_err();
    assert!(matches!(&error, ApiError::WaitBudget { .. }), "{error:?}");
    assert!(chain(&error).contains("with 15 min allowed in all"), "{error}");
    assert!(error.help().contains("--max-wait"));
    let error = client.update_job("a", &json!({})).await.unwrap_err();
    assert!(matches!(&error, WriteError::Throttled { wait, .. } if wait.as_secs() > 3_500), "{error:?}");
    assert_eq!(server.lines().len(), 1, "nothing was sent into a closed gate");
    assert_eq!(client.calls().update, 0);
}

#[tokio::test]
async fn an_announced_limit_closes_the_gate_before_a_refusal() {
    let headers = [
        "content-type: application/json",
        "x-ratelimit-limit: 300",
        "x-ratelimit-remaining: 0",
        "x-ratelimit-towait-sec: 1800",
    ];
    let server = always(Reply::new(200, &headers, job("a").to_string().as_bytes()));
    let client = client(&server);
    assert!(client.get_job("a").await.is_ok(), "the answer itself is good");
    assert!(matches!(client.get_job("a").await, Err(ApiError::WaitBudget { .. })));
    assert_eq!(client.calls().read, 1);
    assert_eq!(client.limits_seen().unwrap().limit, Some(300));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Done,
    Refused,
    Unclear,
    Throttled,
}

/// What is known after each answer to a write; it is sent exactly once whatever comes.
async fn check_write(reply: Reply, expected: Known) {
    let server = always(reply.clone());
    let mut settings = server.settings();
    settings.request_timeout = Duration::from_millis(300);
    let client = Client::new(settings).unwrap();
    let known = match client.update_job("a", &json!({"type": "Install"})).await {
        Ok(_) => Known::Done,
        Err(error) => {
            chain(&error);
            assert!(!error.help().is_empty());
            match error {
                WriteError::Refused(_) => Known::Refused,
                WriteError::Unclear(_) => Known::Unclear,
                WriteError::Throttled { .. } => Known::Throttled,
                WriteError::NotSent(error) => panic!("{error:?}"),
                WriteError::NotNoted(error) => panic!("{error:?}"),
            }
        }
    };
    assert_eq!(known, expected, "{reply:?}");
    assert_eq!(server.lines().len(), 1, "{reply:?}");
    assert_eq!(client.calls().update, 1);
}

#[tokio::test]
async fn a_write_is_sent_once_and_says_what_is_known() {
    let whole = Reply::json(&job("a"));
    check_write(whole.clone(), Known::Done).await;
    check_write(Reply::status(201, "[]"), Known::Done).await;
    for status in [400, 403, 404, 405, 409, 422] {
        check_write(Reply::status(status, "no"), Known::Refused).await;
    }
    for status in [302, 307, 408, 425, 500, 502, 503, 504] {
        check_write(Reply::status(status, ""), Known::Unclear).await;
    }
    check_write(Reply::status(429, ""), Known::Throttled).await;
    check_write(whole.clone().cut_by(1), Known::Unclear).await;
    check_write(Reply::raw(b""), Known::Unclear).await;
    check_write(Reply::raw(b"").then_hangs(), Known::Unclear).await;
    check_write(Reply::status(200, "garbage"), Known::Unclear).await;
    check_write(Reply::new(200, &["content-type: text/html"], b"<html>"), Known::Unclear).await;
    check_write(Reply::new(204, &[], b""), Known::Unclear).await;
    check_write(Reply::json(&json!({"_error": {"errorCode": "1"}})), Known::Unclear).await;
}

#[tokio::test]
async fn writes_as_documented() {
    let server = always(Reply::json(&json!([])));
    let client = client(&server);
    client.create_job(&json!({"type": "Install"})).await.unwrap();
    client.set_status(SettableStatus::Enabled, &["a", "b"]).await.unwrap();
    client.set_status(SettableStatus::Disabled, &["a"]).await.unwrap();
    client.delete_jobs(&["a"]).await.unwrap();
    let sent: Vec<String> =
        server.requests()[1..].iter().map(|Request { line, body, .. }| format!("{line} {body}")).collect();
    assert_eq!(
        sent,
        [
            r#"POST /pm/v1/deploymentjob {"type":"Install"}"#,
            r#"POST /pm/v1/deploymentjobs/update/status/Enabled {"ids":["a","b"]}"#,
            r#"POST /pm/v1/deploymentjobs/update/status/Disabled {"ids":["a"]}"#,
            r#"DELETE /pm/v1/deploymentjobs {"ids":["a"]}"#,
        ]
    );
    assert!(server.requests()[1].has("content-type: application/json"));
    assert_eq!(client.calls().to_string(), "5 calls (1 auth, 1 create, 2 status, 1 delete)");
}

/// A list of `n_jobs` from page 0, with the fault in place of one answer.
fn list_server(n_jobs: usize, fault: Option<(usize, Reply)>) -> Server {
    let fault = Mutex::new(fault);
    Server::with_login(move |request| {
        let mut fault = fault.lock().unwrap();
        if fault.as_ref().is_some_and(|(index, _)| *index == request.index) {
            return fault.take().unwrap().1;
        }
        let number = |name: &str| -> usize {
            let (_, rest) = request.line.split_once(name).unwrap();
            rest.split('&').next().unwrap().parse().unwrap()
        };
        let (page, size) = (number("pageNumber="), number("pageSize="));
        let rows: Vec<Value> =
            (0..n_jobs).skip(page * size).take(size).map(|id| job(&format!("job-{id}"))).collect();
        Reply::json(&json!(rows))
    })
}

#[tokio::test]
async fn a_list_is_read_to_its_empty_page() {
    let server = list_server(2_500, None);
    let client = client(&server);
    assert_eq!(client.list_jobs("Windows").await.unwrap().len(), 2_500);
    assert_eq!(client.calls().to_string(), "5 calls (1 auth, 4 list)");
    let path = "GET /pm/v1/deploymentjobs/summary?platform=Windows";
    assert_eq!(server.lines()[3], format!("{path}&pageNumber=3&pageSize=1000"));
}

/// Each answer of a sweep in turn is each kind of fault: the list is whole, or there is none.
#[tokio::test]
async fn a_list_is_whole_or_an_error() {
    let faults = [
        Reply::status(500, ""),
        Reply::status(429, ""),
        Reply::status(401, ""),
        Reply::status(400, ""),
        Reply::status(403, ""),
        Reply::raw(b""),
        Reply::status(200, "[{\"id\""),
        Reply::status(200, "garbage"),
        Reply::status(200, "null"),
        Reply::new(200, &["content-type: text/html"], b"<html>"),
        Reply::new(302, &["location: /login"], b""),
        Reply::status(400, r#"{"_error":{"errorCode":"2501"}}"#),
        Reply::status(200, r#"{"_error":{"errorCode":"2501"}}"#),
    ];
    for fault in faults {
        for index in 0..5 {
            let server = list_server(25, Some((index, fault.clone())));
            let mut settings = server.settings();
            settings.page_size = 10.try_into().unwrap();
            let client = Client::new(settings).unwrap();
            match client.list_jobs("Windows").await {
                Ok(jobs) => assert_eq!(jobs.len(), 25, "{fault:?} at {index}"),
                Err(error) => {
                    chain(&error);
                    assert!(!error.help().is_empty());
                }
            }
        }
    }
}

#[tokio::test]
async fn the_record_limit_is_its_own_error() {
    let limit = Reply::status(400, r#"{"_error":{"errorCode":"2501"}}"#);
    let server = list_server(10_000, Some((11, limit)));
    let error = client(&server).list_jobs("Linux").await.unwrap_err();
    assert_eq!(
        chain(&error),
        "the list of Linux jobs could not be read to its end (it broke off after 10 pages) / the server shows no \
         more than 10,000 records of a list, and refused to go on after 10000 jobs"
    );
}

#[test]
fn the_documented_settings_are_safe_to_show() {
    let settings = unreachable_settings();
    assert_no_secret(&format!("{settings:?}"));
    fn is_shown<T: Debug + Send + Sync>() {}
    is_shown::<Client>();
}

/// A caller that knows only the traits can spawn what it awaits.
#[test]
fn futures_can_be_sent() {
    fn is_send<T: Send>(_: &T) {}
    fn check<A: WriteApi + Sync>(api: &A) {
        is_send(&api.get_job("a"));
        is_send(&api.list_jobs("Windows"));
        is_send(&api.update_job("a", &Value::Null));
    }
    check(&Client::new(unreachable_settings()).unwrap());
}
