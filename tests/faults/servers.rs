//! Every kind of server that the list may come from, and answers that are behind.

use futures_util::stream::{self, StreamExt as _};
use patchctl::api::{ApiError, ListFailure};
use patchctl::simulator::{
    Behaviour, Call, Effect, ErrorBody, Event, Fault, Lag, ListShape, Meanwhile, PageZero,
};
use serde_json::{Map, Value, json};

use super::{Server, right};

/// All combinations of page base, cap, shape, repeated and deleted rows.
fn behaviours() -> Vec<Behaviour> {
    let mut all = Vec::new();
    for (first_page, page_zero) in
        [(0, PageZero::AsFirst), (1, PageZero::AsFirst), (1, PageZero::Empty), (1, PageZero::Refuse)]
    {
        for max_page_size in [None, Some(1)] {
            for list_shape in [ListShape::Array, ListShape::Data] {
                for list_repeats in [0, 1] {
                    all.push(Behaviour {
                        first_page,
                        page_zero,
                        max_page_size,
                        list_shape,
                        list_repeats,
                        list_deleted: list_repeats == 1,
                        ..Behaviour::default()
                    });
                }
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_server_gives_the_same_jobs() {
    let right = right().await;
    stream::iter(behaviours())
        .for_each_concurrent(8, |behaviour| async {
            let what = format!("{behaviour:?}");
            let server = Server::start(behaviour).await;
            let deleted = Event::Insert { user: "anna".to_owned(), job: Map::new() };
            let again =
                Behaviour { meanwhile: vec![Meanwhile::next(deleted)], ..server.running.behaviour().get() };
            assert_eq!(server.read().await.expect(&what), right, "{what}");
            // The same with a job that was made and deleted in the meantime.
            server.running.behaviour().change(|behaviour| *behaviour = again);
            let made = server.read().await.expect(&what);
            let made =
                made.ids().into_iter().find(|id| !right.ids().contains(id)).expect("a new job").to_owned();
            let gone = Meanwhile::next(Event::Delete { id: made, user: "anna".to_owned() });
            server.running.behaviour().change(|behaviour| behaviour.meanwhile.push(gone));
            assert_eq!(server.read().await.expect(&what), right, "{what}");
        })
        .await;
}

#[tokio::test]
async fn counters_as_text_are_let_through() {
    let server = Server::start(Behaviour { list_counters_as_text: true, ..Behaviour::default() }).await;
    let read = server.read().await.expect("a list");
    assert_eq!(read.rows[0]["patchCount"], json!("4"));
    assert_eq!(read.jobs, right().await.jobs);
}

/// A job that is made while the pages are read moves the others from page to page; none of them is lost.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_made_between_pages_lose_no_other() {
    let right = right().await;
    let cases =
        behaviours().into_iter().flat_map(|behaviour| (1..=5).map(move |page| (behaviour.clone(), page)));
    stream::iter(cases)
        .for_each_concurrent(8, |(behaviour, page)| {
            let right = &right;
            async move {
                let what = format!("before list call {page} of {behaviour:?}");
                let insert = Event::Insert { user: "anna".to_owned(), job: Map::new() };
                let meanwhile = vec![
                    Meanwhile::before(Call::List, page, insert.clone()),
                    Meanwhile::before(Call::List, page, insert),
                ];
                let server = Server::start(Behaviour { meanwhile, ..behaviour }).await;
                let mut read = server.read().await.expect(&what);
                read.rows.retain(|row| row["name"] != "Inserted");
                read.jobs.retain(|id, _| right.jobs.contains_key(id));
                read.rows.sort_by_key(|row| std::cmp::Reverse(row["id"].to_string()));
                assert_eq!(read, *right, "{what}");
            }
        })
        .await;
}

/// Refusing page 0 once does not make a server one that counts from 1.
#[tokio::test]
async fn one_refusal_of_page_0_loses_no_page() {
    let right = right().await;
    let refusal = || Effect::Status { code: 400, body: None, headers: [].into() };
    let server = Server::start(Behaviour {
        fail_next: vec![Fault::on(Call::List, refusal())],
        ..Behaviour::default()
    })
    .await;
    assert_eq!(server.read().await.expect("a list"), right);
    let pages: Vec<String> = server
        .running
        .requests()
        .into_iter()
        .filter(|request| request.call == Call::List)
        .map(|request| request.query)
        .collect();
    let numbers = [0, 1, 0, 1, 2].map(|page| format!("platform=Windows&pageNumber={page}&pageSize=2"));
    assert_eq!(pages, numbers);
}

#[tokio::test]
async fn a_list_that_breaks_off_is_no_list() {
    for page in 0..3 {
        let server = Server::start(Behaviour { list_breaks_at: Some(page), ..Behaviour::default() }).await;
        match server.read().await {
            Err(ApiError::List { pages_read, cause: ListFailure::Page(_), .. }) => {
                assert_eq!(pages_read as usize, page);
            }
            other => panic!("page {page}: {other:?}"),
        }
        assert!(server.running.requests().iter().all(|request| request.call != Call::Get));
    }
}

/// By kind: all reads of jobs fail from the second on, and the list does not.
#[tokio::test]
async fn faults_by_kind_leave_other_calls_alone() {
    let broken = Effect::ServerError { code: 500, body: ErrorBody::Html };
    let fault = Fault::on(Call::Get, broken).nth(2).always();
    let server = Server::start(Behaviour { fail_next: vec![fault], ..Behaviour::default() }).await;
    let error = server.read().await.expect_err("jobs cannot be read");
    assert!(matches!(error, ApiError::Call { tries: 5, .. }), "{error:?}");
    let statuses: Vec<_> = server
        .running
        .requests()
        .iter()
        .filter(|request| request.call == Call::List)
        .map(|request| request.status)
        .collect();
    assert_eq!(statuses, [Some(200); 3]);
}

/// Where answers are behind, each of them is still one that was right at some time.
#[tokio::test]
async fn answers_that_are_behind_are_former_versions() {
    let right = right().await;
    for (list_lag, get_lag, in_list, in_job) in [
        (Lag::None, Lag::None, "new", "new"),
        (Lag::Never, Lag::None, "Job a", "new"),
        (Lag::None, Lag::Never, "new", "Job a"),
        (Lag::Calls(100), Lag::Calls(100), "Job a", "Job a"),
        (Lag::Calls(1), Lag::Calls(1), "new", "new"),
    ] {
        let merge = json!({"name": "new"}).as_object().cloned().expect("an object");
        let event = Event::Edit { id: "a".to_owned(), user: "anna".to_owned(), merge, scripts: [].into() };
        let insert = Event::Insert { user: "anna".to_owned(), job: Map::new() };
        let meanwhile = vec![Meanwhile::next(event), Meanwhile::next(insert)];
        let server = Server::start(Behaviour { list_lag, get_lag, meanwhile, ..Behaviour::default() }).await;
        let read = server.read().await.expect("a list");
        let row: &Value = read.rows.iter().find(|row| row["id"] == "a").expect("the job is listed");
        let job = read.jobs["a"].as_ref().expect("the job is there");
        assert_eq!(
            (&row["name"], &job["name"]),
            (&json!(in_list), &json!(in_job)),
            "{list_lag:?} {get_lag:?}"
        );
        let others = |read: &super::Read| read.rows.iter().filter(|row| row["name"] == "Inserted").count();
        assert!(read.rows.len() - others(&read) == right.rows.len());
    }
}
