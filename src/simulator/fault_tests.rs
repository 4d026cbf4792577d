//! Every fault and lag over a real socket, as a plain HTTP client meets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::tests::{Api, NOW, loopback, start, tenant};
use super::{
    Behaviour, Call, Clock, Effect, ErrorBody, Event, Fault, Lag, Meanwhile, Quota, Running, Simulator,
    ThrottleForm,
};

const JOB: &str = "/pm/v1/deploymentjob/weekly";
const LIST: &str = "/pm/v1/deploymentjobs/summary?platform=Windows";

/// A simulator whose next call meets a fault, and a client that is logged in already.
async fn with_fault(effect: Effect) -> (Running, Api) {
    let (running, api) = start(Behaviour::default()).await;
    running.behaviour().change(|behaviour| behaviour.fail_next.push(Fault::next(effect)));
    (running, api)
}

/// The answer to one read that meets a fault.
async fn answer(effect: Effect) -> Response {
    let (_running, api) = with_fault(effect).await;
    api.send(Method::GET, JOB, None).await.expect("an answer")
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().expect("ASCII"))
}

#[tokio::test]
async fn refusals_have_their_forms() {
    let throttle = |form| answer(Effect::Throttle { form, seconds: 7 });
    let refused = throttle(ThrottleForm::RetryAfter).await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "7"));
    let refused = throttle(ThrottleForm::RetryAfterDate).await;
    assert_eq!(header(&refused, "date"), "Mon, 23 Nov 2026 00:00:00 GMT");
    assert_eq!(header(&refused, "retry-after"), "Mon, 23 Nov 2026 00:00:07 GMT");
    let refused = throttle(ThrottleForm::ToWait).await;
    assert_eq!(header(&refused, "x-ratelimit-towait-sec"), "7");
    let refused = throttle(ThrottleForm::RemainingWindow).await;
    assert_eq!(
        (header(&refused, "x-ratelimit-remaining"), header(&refused, "x-ratelimit-window-sec")),
        ("0", "7")
    );
    let refused = throttle(ThrottleForm::Silent).await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, ""));

    for (body, content_type, length) in [
        (ErrorBody::Json, "application/json", None),
        (ErrorBody::Html, "text/html; charset=utf-8", None),
        (ErrorBody::Empty, "", Some(0)),
    ] {
        let refused = answer(Effect::ServerError { code: 502, body }).await;
        assert_eq!((refused.status().as_u16(), header(&refused, "content-type")), (502, content_type));
        let text = refused.text().await.expect("a body");
        assert!(length.is_none_or(|length| text.len() == length), "{text}");
    }
    let elsewhere = "http://192.0.2.1/";
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let (running, _api) = with_fault(Effect::Redirect { to: elsewhere.to_owned() }).await;
    let moved = client.get(format!("{}{JOB}", running.url())).send().await.expect("an answer");
    assert_eq!((moved.status().as_u16(), header(&moved, "location")), (302, elsewhere));
}

#[tokio::test]
async fn good_answers_are_broken_on_the_way() {
    let whole = answer(Effect::Drip { bytes: 100, pause_ms: 0 }).await;
    assert_eq!(whole.json::<Value>().await.expect("JSON")["id"], json!("weekly"));

    let typed = answer(Effect::ContentType { value: "text/plain".to_owned() }).await;
    assert_eq!((typed.status().as_u16(), header(&typed, "content-type")), (200, "text/plain"));
    assert_eq!(typed.json::<Value>().await.expect("JSON")["id"], json!("weekly"));

    let garbage = answer(Effect::Garbage).await;
    assert_eq!((garbage.status().as_u16(), header(&garbage, "content-type")), (200, "application/json"));
    assert!(garbage.json::<Value>().await.is_err());

    let mut cut = answer(Effect::Truncated).await;
    let length: usize = header(&cut, "content-length").parse().expect("a length");
    let mut n_bytes = 0;
    let broken = loop {
        match cut.chunk().await {
            Ok(Some(chunk)) => n_bytes += chunk.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken && n_bytes == length / 2, "{n_bytes} of {length} bytes");

    for unannounced in [false, true] {
        let large = answer(Effect::Oversize { bytes: 300_001, unannounced }).await;
        assert_eq!(large.content_length(), (!unannounced).then_some(300_001));
        let text = large.text().await.expect("a body");
        assert_eq!(text.len(), 300_001);
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON")["id"], json!("weekly"));
    }
}

/// Waits for a condition of the server; a test that waits in vain fails by the time-out.
async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the condition comes true");
}

#[tokio::test]
async fn a_call_hangs_until_the_client_gives_up() {
    for (effect, expected) in [(Effect::HangBefore, "d"), (Effect::HangAfter, "hung")] {
        let (running, api) = with_fault(effect).await;
        let description =
            || running.with_tenant(|tenant| tenant.get("weekly").expect("a job")["description"].clone());
        let sending = api.patch("weekly", json!({"type": "Install", "description": "hung"}));
        let has_come = until(|| running.requests().len() == 2 && description() == json!(expected));
        tokio::select! {
            answer = sending => panic!("{answer:?}"),
            () = has_come => {}
        }
        assert_eq!(running.requests()[1].status, None);
        assert_eq!(api.get(JOB).await["description"], json!(expected));
    }
}

#[tokio::test]
async fn nothing_listens_for_a_while() {
    let (running, api) = with_fault(Effect::Unreachable { ms: 60_000 }).await;
    assert!(api.send(Method::GET, JOB, None).await.is_err());
    let refused = api.send(Method::GET, JOB, None).await.expect_err("no connection");
    assert!(refused.is_connect(), "{refused:?}");
    drop(running);

    let (_running, api) = with_fault(Effect::Unreachable { ms: 5 }).await;
    assert!(api.send(Method::GET, JOB, None).await.is_err());
    let back = async { while api.send(Method::GET, JOB, None).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("it comes back");
}

#[tokio::test]
async fn calls_wait_side_by_side() {
    let (running, api) = start(Behaviour::default()).await;
    running.behaviour().change(|behaviour| behaviour.latency_ms = 60_000);
    let calls = join_all((0..8).map(|_| api.send(Method::GET, JOB, None)));
    tokio::select! {
        _ = calls => panic!("none is answered for a minute"),
        () = until(|| running.requests().len() == 9) => {}
    }
}

#[tokio::test]
async fn a_quota_is_shared_and_leaves_the_login_out() {
    let clock = Arc::new(AtomicI64::new(NOW));
    let now = Arc::clone(&clock);
    let quota = Quota { calls: 3, window_seconds: 60, announce: true, refusal: ThrottleForm::RetryAfterDate };
    let behaviour = Behaviour { quota: Some(quota), ..Behaviour::default() };
    let tenant = tenant().with_clock(Clock::from_fn(move || now.load(Ordering::Relaxed)));
    let running = Simulator::start(tenant, behaviour, loopback()).await.expect("started");
    let one = Api::login(&running, "simulator", "simulator").await;
    let other = Api::login(&running, "simulator", "simulator").await;
    let check = async |api: &Api, status: u16, limits: [&str; 4], retry_after: &str| {
        let answer = api.send(Method::GET, JOB, None).await.expect("an answer");
        let names = ["limit", "remaining", "window-sec", "towait-sec"];
        let found = names.map(|name| header(&answer, &format!("x-ratelimit-{name}")).to_owned());
        assert_eq!((answer.status().as_u16(), found), (status, limits.map(str::to_owned)));
        assert_eq!(header(&answer, "retry-after"), retry_after);
    };
    check(&one, 200, ["3", "2", "60", "0"], "").await;
    check(&other, 200, ["3", "1", "60", "0"], "").await;
    clock.fetch_add(10_500, Ordering::Relaxed);
    check(&one, 200, ["3", "0", "60", "50"], "").await;
    check(&other, 429, ["3", "0", "60", "50"], "Mon, 23 Nov 2026 00:01:00 GMT").await;
    assert_eq!(one.auth("simulator", "simulator").await.status().as_u16(), 201);
    clock.fetch_add(49_500, Ordering::Relaxed);
    check(&one, 200, ["3", "2", "60", "0"], "").await;

    let silent = Quota { calls: 0, announce: false, refusal: ThrottleForm::Silent, ..quota };
    running.behaviour().change(|behaviour| behaviour.quota = Some(silent));
    check(&one, 429, ["", "", "", ""], "").await;
}

#[tokio::test]
async fn others_act_between_the_calls() {
    let (running, api) = start(Behaviour { token_life_calls: Some(4), ..Behaviour::default() }).await;
    let merge = json!({"description": "theirs"}).as_object().expect("an object").clone();
    let edit = |id: &str| Event::Edit {
        id: id.to_owned(),
        user: "anna".to_owned(),
        merge: merge.clone(),
        scripts: [].into(),
    };
    let insert = Event::Insert { user: "anna".to_owned(), job: serde_json::Map::new() };
    running.behaviour().change(|behaviour| {
        behaviour.meanwhile =
            vec![Meanwhile::before(Call::Get, 2, edit("weekly")), Meanwhile::before(Call::List, 1, insert)];
    });
    assert_eq!(api.get(JOB).await["description"], json!("d"));
    let edited = api.get(JOB).await;
    assert_eq!(
        (&edited["description"], &edited["updatedBy"]["user"]["name"]),
        (&json!("theirs"), &json!("anna"))
    );
    assert_eq!(api.get(LIST).await[0]["name"], json!("Inserted"));
    assert_eq!(api.get(LIST).await.as_array().map(Vec::len), Some(3));
    // The token was good for four calls.
    assert_eq!(api.call(Method::GET, LIST, None).await.0, 401);

    let api = Api::login(&running, "simulator", "simulator").await;
    let delete = |id: &str| Event::Delete { id: id.to_owned(), user: "anna".to_owned() };
    for (event, path, status) in [
        (delete("child"), "/pm/v1/deploymentjob/child", 404),
        (edit("nobody"), JOB, 422),
        (delete("nobody"), JOB, 422),
        (Event::RevokeTokens, JOB, 401),
    ] {
        running.behaviour().change(|behaviour| behaviour.meanwhile.push(Meanwhile::next(event)));
        assert_eq!(api.call(Method::GET, path, None).await.0, status);
    }
}

#[tokio::test]
async fn answers_are_behind() {
    let behaviour = Behaviour { list_lag: Lag::Calls(3), get_lag: Lag::Calls(1), ..Behaviour::default() };
    let (running, api) = start(behaviour).await;
    let name = async || api.get(JOB).await["name"].clone();
    let names = async || {
        let rows = api.get(LIST).await;
        let names =
            rows.as_array().expect("rows").iter().map(|row| row["name"].as_str().expect("a name").to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    let (status, answered) = api.patch("weekly", json!({"type": "Install", "name": "Renamed"})).await;
    assert_eq!((status, &answered["name"]), (200, &json!("Renamed")), "the answer itself is not behind");
    assert_eq!(name().await, json!("Weekly"));
    assert_eq!(name().await, json!("Renamed"));
    assert_eq!(names().await, "Child Weekly");
    assert_eq!(names().await, "Child Renamed");

    running.behaviour().change(|behaviour| behaviour.list_lag = Lag::Never);
    let job = json!({"name": "New", "type": "Install", "platform": "Windows", "scheduleType": "On-demand"});
    let (status, created) = api.call(Method::POST, "/pm/v1/deploymentjob", Some(&job)).await;
    assert_eq!(status, 201);
    let path = format!("/pm/v1/deploymentjob/{}", created["id"].as_str().expect("an id"));
    assert_eq!(api.call(Method::GET, &path, None).await.0, 404);
    assert_eq!(api.call(Method::GET, &path, None).await.0, 200);
    assert_eq!(
        api.call(Method::DELETE, "/pm/v1/deploymentjobs", Some(&json!({"ids": ["child"]}))).await.0,
        200
    );
    assert_eq!(api.call(Method::GET, "/pm/v1/deploymentjob/child", None).await.0, 200);
    assert_eq!(api.call(Method::GET, "/pm/v1/deploymentjob/child", None).await.0, 404);
    // Nor does anything else that was changed since answers lag.
    assert_eq!(names().await, "Child Weekly");
    running.behaviour().change(|behaviour| behaviour.list_lag = Lag::None);
    assert_eq!(names().await, "New Renamed");
}

/// Closing sends an end of stream, and a reset is an error.
#[tokio::test]
async fn a_connection_ends_or_is_reset() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for (effect, is_processed, expected) in [
        (Effect::CloseBefore, false, Ok(0)),
        (Effect::CloseAfter, true, Ok(0)),
        (Effect::ResetBefore, false, Err(std::io::ErrorKind::ConnectionReset)),
        (Effect::ResetAfter, true, Err(std::io::ErrorKind::ConnectionReset)),
    ] {
        let (running, _api) = with_fault(effect.clone()).await;
        let address = running.url().replace("http://", "");
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("a connection");
        let request = format!("GET {JOB} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer).await.map_err(|error| error.kind());
        assert_eq!(end, expected, "{effect:?}: {}", String::from_utf8_lossy(&answer));
        let (running, api) = with_fault(effect.clone()).await;
        let body = json!({"type": "Install", "description": "lost"});
        let path = "/pm/v1/deploymentjob/update/weekly";
        let changed = api.send(Method::PATCH, path, Some(&body)).await;
        let description =
            running.with_tenant(|tenant| tenant.get("weekly").expect("a job")["description"].clone());
        assert!(changed.is_err(), "{effect:?}: {changed:?}");
        assert_eq!(description == json!("lost"), is_processed, "{effect:?}");
    }
}
