//! What a passing page of a proxy, a window without an end and a token that is over in mid-run come to.

use std::sync::Mutex;

use futures_util::stream::{StreamExt as _, iter};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::testing::{Reply, Server, collected_notices};
use super::*;

fn job(id: &str) -> Value {
    json!({"id": id, "name": "Weekly"})
}

fn stand_by(status: u16) -> Reply {
    Reply::new(status, &["content-type: text/html"], b"<html>\n<b>Please stand by</b>")
}

/// The error, its causes and what to do.
fn told(error: &ApiError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(" / {cause}"));
        next = cause.source();
    }
    format!("{text} / help: {}", error.help())
}

/// A page of a proxy that is put up for a moment passes, whatever status and content type it has.
#[tokio::test]
async fn a_passing_page_under_another_type_costs_one_more_read() {
    for page in [
        stand_by(200),
        stand_by(502),
        Reply::new(200, &["content-type: text/plain"], br#"{"id":"a"}"#),
        Reply::new(201, &["content-type: image/png"], b"\x89PNG"),
    ] {
        for at_list in [false, true] {
            let left = Mutex::new(Some(page.clone()));
            let server = Server::with_login(move |request| match left.lock().unwrap().take() {
                Some(page) => page,
                None if request.line.contains("/summary") => Reply::json(&json!([])),
                None => Reply::json(&job("a")),
            });
            let client = Client::new(server.settings()).unwrap();
            if at_list {
                assert!(client.list_jobs("Windows").await.unwrap().is_empty(), "{page:?}");
            } else {
                assert_eq!(client.get_job("a").await.unwrap(), Some(job("a")), "{page:?}");
            }
            assert_eq!(client.calls().retries, 1, "{page:?}");
        }
    }
}

#[tokio::test]
async fn a_page_that_stays_ends_the_run_after_five_tries() {
    let server = Server::with_login(|_| stand_by(200));
    let error = Client::new(server.settings()).unwrap().get_job("a").await.unwrap_err();
    let text = told(&error);
    assert!(text.contains("failed after 5 tries / the answer is not JSON but `text/html`"), "{text}");
    assert!(text.contains("no login page or proxy in front of it"), "{text}");
    assert_eq!(server.lines().len(), 5);
}

/// Nonsense in answer to a login is no refusal of it, so it is asked for again; a refusal never is.
#[tokio::test]
async fn a_login_that_was_answered_with_nonsense_is_repeated() {
    for nonsense in [stand_by(200), Reply::new(201, &[], b"\x00\xff}{"), Reply::new(204, &[], b"")] {
        let n_left = Mutex::new(2);
        let server = Server::start(move |request| {
            if request.line != "POST /auth" {
                return Reply::json(&job("a"));
            }
            let mut n_left = n_left.lock().unwrap();
            if *n_left == 0 {
                return Reply::new(201, &[], b"tok-1");
            }
            *n_left -= 1;
            nonsense.clone()
        });
        let (notices, collected) = collected_notices();
        let client = Client::new(Settings { notices, ..server.settings() }).unwrap();
        assert_eq!(client.get_job("a").await.unwrap(), Some(job("a")));
        assert_eq!(client.calls().to_string(), "4 calls (3 auth, 1 read, 2 of them retries)");
        let notices = collected.lock().unwrap();
        assert!(
            matches!(&notices[..], [Notice::Retrying { call, next_try: 2, .. }, Notice::Retrying { .. }] if call == "POST /auth"),
            "{notices:?}"
        );
        assert!(!format!("{notices:?}").contains("stand by"), "what a login is answered with is never shown");
    }
    let server = Server::start(|_| stand_by(200));
    let error = Client::new(server.settings()).unwrap().get_job("a").await.unwrap_err();
    assert!(
        told(&error).contains("something that is not a token (`text/html`, 29 bytes) after 5 tries"),
        "{}",
        told(&error)
    );
    assert_eq!(server.requests().len(), 5);
}

/// Passwords and tokens that are words of the protocol change what is shown, never what is done.
#[tokio::test]
async fn a_secret_that_is_part_of_a_header_decides_nothing() {
    for secret in
        ["json", "application", "application/json", "a", "10000", "2501", "_error", "text/html", "html"]
    {
        let server = Server::with_login(|request| {
            if request.line.contains("pageNumber=0") {
                Reply::json(&json!([{"id": "a"}]))
            } else if request.line.contains("/summary") {
                Reply::status(400, r#"{"message": "Only the first 10000 results can be displayed"}"#)
            } else if request.line.ends_with("/gone") {
                Reply::new(404, &["content-type: text/html"], b"<html>")
            } else {
                Reply::json(&job("a"))
            }
        });
        let mut settings = server.settings();
        settings.credentials =
            Credentials::User { name: "quays2ab".to_owned(), password: SecretString::from(secret) };
        let client = Client::new(settings).unwrap();
        assert_eq!(client.get_job("a").await.unwrap(), Some(job("a")), "{secret}");
        assert!(client.get_job("gone").await.is_err(), "a page is no word that the job is gone: {secret}");
        let error = client.list_jobs("Windows").await.unwrap_err();
        assert!(
            matches!(&error, ApiError::List { cause: ListFailure::RecordLimit { .. }, .. }),
            "{secret}: {error:?}"
        );
    }
}

/// A server of so many jobs that refuses every page whose window goes past its limit of records.
fn windowed(n_jobs: usize, limit: usize) -> Server {
    Server::with_login(move |request| {
        let number = |name: &str| -> usize {
            let (_, rest) = request.line.split_once(name).unwrap();
            rest.split('&').next().unwrap().parse().unwrap()
        };
        let (page, size) = (number("pageNumber="), number("pageSize="));
        if (page + 1) * size > limit {
            return Reply::status(400, r#"{"_error":{"errorCode":"2501"}}"#);
        }
        let row = |id| {
            let mut row = job(&format!("job-{id}"));
            row["deleted"] = (id % 4 == 3).into();
            row
        };
        Reply::json(&(0..n_jobs).skip(page * size).take(size).map(row).collect())
    })
}

#[tokio::test]
async fn a_list_that_fits_is_whole_where_the_window_is_refused() {
    for (n_jobs, page_size, expected) in [
        (25, 10, Some(19)),
        (21, 10, Some(16)),
        (29, 10, Some(22)),
        // The last page is as long as the first: more could follow.
        (30, 10, None),
        (35, 10, None),
        // There is nothing to compare the first page with: it may be cut short by the server.
        (5, 20, None),
    ] {
        let server = windowed(n_jobs, 30);
        let mut settings = server.settings();
        settings.page_size = page_size.try_into().unwrap();
        match (Client::new(settings).unwrap().list_jobs("Windows").await, expected) {
            (Ok(jobs), Some(n_left)) => assert_eq!(jobs.len(), n_left, "{n_jobs} jobs"),
            (Err(error), None) => {
                let text = told(&error);
                assert!(text.contains("the server shows no more than 10,000 records"), "{text}");
                let is_short = n_jobs < 20;
                assert_eq!(text.contains("--page-size"), is_short, "{n_jobs} jobs: {text}");
            }
            (outcome, expected) => panic!("{n_jobs} jobs: {outcome:?}, not {expected:?}"),
        }
    }
}

/// A token that is over with eight calls in flight: those eight meet it, and nobody who waits for a slot does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_for_a_slot_go_with_the_new_token() {
    for concurrency in [1, 2, 8] {
        let n_logins = Mutex::new(0_usize);
        let n_refused = std::sync::Arc::new(Mutex::new(0_usize));
        let counted = std::sync::Arc::clone(&n_refused);
        let n_with_first = Mutex::new(0_usize);
        let server = Server::start(move |request| {
            if request.line == "POST /auth" {
                let mut n_logins = n_logins.lock().unwrap();
                *n_logins += 1;
                return Reply::new(201, &[], format!("tok-{n_logins}").as_bytes());
            }
            if request.has("authorization: Bearer tok-1") {
                let mut n_with_first = n_with_first.lock().unwrap();
                *n_with_first += 1;
                if *n_with_first > 3 {
                    *counted.lock().unwrap() += 1;
                    return Reply::status(401, "");
                }
            }
            let id = request.line.rsplit('/').next().unwrap().to_owned();
            Reply::json(&job(&id))
        });
        let mut settings = server.settings();
        settings.concurrency = concurrency.try_into().unwrap();
        let client = Client::new(settings).unwrap();
        // Far more are begun than may be in flight, as lists side by side and their jobs are.
        let ids: Vec<String> = (0..60).map(|index| format!("job-{index}")).collect();
        let found: Vec<_> = iter(&ids).map(|id| client.get_job(id)).buffer_unordered(40).collect().await;
        assert!(found.iter().all(|job| matches!(job, Ok(Some(_)))), "{concurrency}: {found:?}");
        let n_refused = *n_refused.lock().unwrap();
        assert!(
            (1..=concurrency).contains(&n_refused),
            "{n_refused} calls met 401 with {concurrency} in flight"
        );
        assert_eq!(client.calls().auth, 2, "{concurrency}");
        assert_eq!(client.calls().read, 60 + n_refused as u64, "{concurrency}");
    }
}

/// Where something else than the API answers, the help is about that, and what is counted is spelled as people do.
#[tokio::test]
async fn words_that_say_what_it_was() {
    const NOT_THE_API: &str = "no login page or proxy in front of it";
    let large = Reply::json(&json!("x".repeat(2_000)));
    let page = |status| Reply::new(status, &["content-type: text/html"], b"<html>");
    let elsewhere = Reply::new(302, &["location: http://elsewhere.example:8443/x?t=1"], b"");
    for (reply, at_list, said, not_said) in [
        (large.clone(), true, "smaller pages with --page-size", NOT_THE_API),
        (large.clone(), false, NOT_THE_API, "--page-size"),
        (page(401), false, NOT_THE_API, "PM.API.ACCESS"),
        (page(403), false, NOT_THE_API, "PM.API.ACCESS"),
        (Reply::status(401, "{}"), false, "PM.API.ACCESS", NOT_THE_API),
        (Reply::status(403, "{}"), true, "PM.API.ACCESS", NOT_THE_API),
        (elsewhere, false, "a redirect to `http://elsewhere.example:8443`", "t=1"),
    ] {
        let what = format!("{reply:?}");
        let server = Server::with_login(move |_| reply.clone());
        let mut settings = server.settings();
        settings.list_page_limit_bytes = 1_000;
        settings.job_limit_bytes = 1_000;
        let client = Client::new(settings).unwrap();
        let error = if at_list {
            client.list_jobs("Windows").await.unwrap_err()
        } else {
            client.get_job("a").await.unwrap_err()
        };
        let text = told(&error);
        assert!(text.contains(said) && !text.contains(not_said), "{what}: {text}");
    }
    let login = Server::start(|_| Reply::new(200, &[], "x".repeat(70_000).as_bytes()));
    let error = Client::new(login.settings()).unwrap().log_in().await.unwrap_err();
    let text = told(&error);
    assert!(text.contains("larger than") && text.contains(NOT_THE_API), "{text}");

    for (n_pages, expected) in [(0, "after 0 pages)"), (1, "after 1 page)"), (2, "after 2 pages)")] {
        let server = Server::with_login(move |request| {
            if request.line.contains(&format!("pageNumber={n_pages}&")) || n_pages == 0 {
                return Reply::status(409, "");
            }
            let number = request.line.split_once("pageNumber=").unwrap().1;
            Reply::json(&json!([{"id": number.split('&').next()}]))
        });
        let error = Client::new(server.settings()).unwrap().list_jobs("Windows").await.unwrap_err();
        assert!(told(&error).contains(expected), "{}", told(&error));
    }
}
