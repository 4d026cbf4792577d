//! The simulator over a real socket, spoken to by a plain HTTP client, and its files.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::{
    Behaviour, Call, Clock, Credentials, EditEnabled, Effect, Fault, Running, Simulator, SimulatorError,
    Tenant, Updates,
};

/// 2026-11-23T00:00:00Z, a Monday.
pub(super) const NOW: i64 = 1_795_392_000_000;

/// A logged-in client without retries.
pub(super) struct Api {
    client: reqwest::Client,
    url: String,
    pub(super) token: String,
}

impl Api {
    pub(super) async fn login(running: &Running, user: &str, password: &str) -> Self {
        // Installed by whichever test comes first; plain HTTP never uses it.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut api = Self { client, url: running.url(), token: String::new() };
        let answer = api.auth(user, password).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        api.token = answer.text().await.expect("a token");
        api
    }

    pub(super) async fn auth(&self, user: &str, password: &str) -> Response {
        let form = [("username", user), ("password", password), ("token", "true"), ("permissions", "true")];
        self.client.post(format!("{}/auth", self.url)).form(&form).send().await.expect("an answer")
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<Response> {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        match body {
            Some(body) => request.json(body).send().await,
            None => request.send().await,
        }
    }

    pub(super) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let answer = self.send(method, path, body).await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub(super) async fn patch(&self, id: &str, body: Value) -> (u16, Value) {
        self.call(Method::PATCH, &format!("/pm/v1/deploymentjob/update/{id}"), Some(&body)).await
    }

    async fn set_status(&self, status: &str, ids: Value) -> Value {
        let path = format!("/pm/v1/deploymentjobs/update/status/{status}");
        let (code, results) = self.call(Method::POST, &path, Some(&json!({"ids": ids}))).await;
        assert_eq!(code, 200, "{results}");
        results
    }
}

pub(super) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A weekly job with a script, its child, and an On-demand job.
fn jobs() -> Vec<Value> {
    let by = |date: i64| json!({"user": {"id": "u-1", "name": "anna"}, "date": date});
    vec![
        json!({
            "customerId": "c", "id": "weekly", "name": "Weekly", "type": "Install", "platform": "Windows",
            "status": "Disabled", "scheduleType": "Weekly", "startDateTime": "2026-1-05 02:00:00 AM",
            "recurringWeekDays": "0,0,1,0,0,0,0", "timezoneType": "SPECIFIC_TZ", "timezone": "UTC",
            "recurring": true, "assetIds": null, "assetTagIds": ["tag-1", "tag-2-unnamed"], "description": "d",
            "createdBy": by(100), "updatedBy": by(100), "deletedBy": {"user": null, "date": null},
            "patchCount": 0, "remediationQids": null, "notYetKnown": {"deep": [1]},
            "postDeployActions": [{"actionId": "x", "action": "Run Script", "actionType": "postdeploy",
                "params": {"actionItem": "post", "timeout": 180}, "script": "c/x/Script", "scriptType": "ps"}],
            "_scripts": {"c/x/Script": "Restart-Service w3svc"},
        }),
        json!({
            "customerId": "c", "id": "child", "name": "Child", "type": "Install", "platform": "Windows",
            "status": "Disabled", "scheduleType": "Daily", "startDateTime": "2026-1-05 04:00:00 AM",
            "createdBy": by(200), "assetIds": ["a"], "linkedJobId": "weekly",
            "linkedToJob": [{"id": "weekly", "chainedJobRule": [{"id": null, "field": "postDeployAction",
                "actionIds": ["x"], "threshold": 100, "condition": "c", "actionDetails": [{}]}]}],
        }),
        json!({
            "customerId": "c", "id": "once", "name": "Once", "type": "Install", "platform": "Linux",
            "status": "Disabled", "scheduleType": "On-demand", "startDateTime": "2026-1-05 04:00:00 AM",
            "createdBy": by(300), "assetIds": ["a"], "approvedPatches": ["p"],
        }),
    ]
}

pub(super) fn tenant() -> Tenant {
    let tags = BTreeMap::from([("tag-1".to_owned(), "Servers".to_owned())]);
    Tenant::in_memory(jobs(), tags).expect("jobs").with_clock(Clock::fixed(NOW))
}

pub(super) async fn start(behaviour: Behaviour) -> (Running, Api) {
    let running = Simulator::start(tenant(), behaviour, loopback()).await.expect("started");
    let api = Api::login(&running, "simulator", "simulator").await;
    (running, api)
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Simulator::start(tenant(), Behaviour::default(), everywhere).await;
    assert!(matches!(refused, Err(SimulatorError::NotLoopback { .. })));
}

#[tokio::test]
async fn calls_need_a_valid_token() {
    let (running, mut api) = start(Behaviour::default()).await;
    let (status, version) = api.call(Method::GET, "/pm/v1/details", None).await;
    assert_eq!((status, version["appVersion"].is_string()), (200, true));
    running.revoke_tokens();
    let (status, body) = api.call(Method::GET, "/pm/v1/details", None).await;
    assert_eq!((status, body["_error"]["errorCode"].is_string()), (401, true));
    assert_eq!(api.auth("simulator", "wrong").await.status(), StatusCode::UNAUTHORIZED);
    api.token = api.auth("simulator", "simulator").await.text().await.expect("a token");
    assert_eq!(api.call(Method::GET, "/pm/v1/details", None).await.0, 200);
    running.behaviour().change(|behaviour| behaviour.users = vec![Credentials::new("anna", "x")]);
    assert_eq!(api.auth("simulator", "simulator").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_login_says_what_a_patch_does() {
    #[track_caller]
    fn check(answer: &Response, expected: Option<&str>) {
        let said = answer.headers().get("x-patchctl-simulator").map(|value| value.to_str().expect("ASCII"));
        assert_eq!(said, expected);
    }
    let (running, api) = start(Behaviour::default()).await;
    check(&api.auth("simulator", "simulator").await, Some("updates=merge"));
    running.behaviour().change(|behaviour| behaviour.updates = Updates::MergeTop);
    check(&api.auth("simulator", "simulator").await, Some("updates=merge"));
    running.behaviour().change(|behaviour| behaviour.updates = Updates::Replace);
    check(&api.auth("simulator", "simulator").await, Some("updates=replace"));
    running.behaviour().change(|behaviour| behaviour.announce_updates = false);
    check(&api.auth("simulator", "simulator").await, None);
}

#[tokio::test]
async fn the_list_has_its_own_shape() {
    let (running, api) = start(Behaviour::default()).await;
    for path in ["/pm/v1/deploymentjobs/summary", "/pm/v1/deploymentjobs"] {
        let rows = api.get(&format!("{path}?platform=Windows&pageSize=1000&pageNumber=0")).await;
        let ids: Vec<&Value> = rows.as_array().expect("an array").iter().map(|row| &row["id"]).collect();
        assert_eq!(ids, [&json!("child"), &json!("weekly")]);
        let row = &rows[1];
        assert_eq!(
            row["tags"],
            json!([{"id": "tag-1", "name": "Servers"}, {"id": "tag-2-unnamed", "name": "tag tag-2-un"}])
        );
        assert_eq!((&row["linkedJobReferenceCount"], &row["deleted"]), (&json!(1), &json!(false)));
        assert_eq!((&row["isRecurring"], &row["updated"]["date"]), (&json!(true), &json!(100)));
        assert_eq!(row["nextScheduleDateTime"], Value::Null);
        for missing in ["description", "assetIds", "postDeployActions", "recurring", "updatedBy"] {
            assert_eq!(row.get(missing), None, "{missing}");
        }
    }
    api.set_status("Enabled", json!(["weekly"])).await;
    let rows = api.get("/pm/v1/deploymentjobs?platform=Windows").await;
    assert_eq!(rows[1]["nextScheduleDateTime"], json!(NOW + 26 * 3_600_000));
    assert_eq!(api.call(Method::GET, "/pm/v1/deploymentjobs", None).await.0, 400);
    drop(running);
}

#[tokio::test]
async fn unknown_things_are_refused_with_an_error_object() {
    let (_running, api) = start(Behaviour::default()).await;
    for (method, path, status) in [
        (Method::GET, "/pm/v1/deploymentjob/nobody", 404),
        (Method::GET, "/pm/v1/deploymentjob/nobody/runs", 404),
        (Method::GET, "/pm/v1/nothing", 404),
        (Method::GET, "/_simulator/jobs", 404),
        (Method::PUT, "/pm/v1/deploymentjobs", 405),
        (Method::POST, "/pm/v1/deploymentjobs/update/status/Paused", 400),
        (Method::DELETE, "/pm/v1/deploymentjobs", 400),
    ] {
        let (code, body) = api.call(method, path, None).await;
        assert_eq!((code, body["_error"]["errorCode"].is_string()), (status, true), "{path}");
    }
    assert_eq!(api.patch("nobody", json!({"type": "Install"})).await.0, 404);
    assert_eq!(api.patch("weekly", json!(["type"])).await.0, 400);
    assert_eq!(api.patch("weekly", json!({"type": "Install", "linkedJobId": "nobody"})).await.0, 400);
    assert_eq!(api.patch("weekly", json!({"type": "Install", "linkedJobId": "weekly"})).await.0, 400);
    let raw =
        api.client.patch(format!("{}/pm/v1/deploymentjob/update/weekly", api.url)).bearer_auth(&api.token);
    assert_eq!(raw.body("{\"type\":").send().await.expect("an answer").status(), StatusCode::BAD_REQUEST);
    let (code, _) = api
        .call(
            Method::POST,
            "/pm/v1/deploymentjobs/update/status/Enabled",
            Some(&json!({"jobIds": ["weekly"]})),
        )
        .await;
    assert_eq!(code, 400);
}

#[tokio::test]
async fn a_seed_job_is_answered_as_it_is() {
    let (_running, api) = start(Behaviour::default()).await;
    let mut expected = jobs().remove(0);
    expected.as_object_mut().expect("an object").remove("_scripts");
    assert_eq!(api.get("/pm/v1/deploymentjob/weekly").await, expected);
}

#[tokio::test]
async fn a_created_job_lives_and_dies() {
    let (running, api) = start(Behaviour { list_deleted: true, ..Behaviour::default() }).await;
    let body = json!({"name": "New", "type": "Install", "platform": "Windows", "scheduleType": "Once",
        "startDateTime": "2026-12-24 02:00:00 AM", "assetIds": ["a"], "linkedJobId": "weekly",
        "preDeployActions": [{"action": "Run Script", "script": "bHM="}]});
    let (status, job) = api.call(Method::POST, "/pm/v1/deploymentjob", Some(&body)).await;
    assert_eq!(status, 201);
    let id = job["id"].as_str().expect("an id");
    let path = job["preDeployActions"][0]["script"].as_str().expect("a path");
    assert_eq!(running.with_tenant(|tenant| tenant.script(path).map(<[u8]>::to_vec)), Some(b"ls".to_vec()));
    assert_eq!(api.get(&format!("/pm/v1/deploymentjob/{id}")).await, job);
    assert_eq!(job["linkedToJob"][0]["linkedJobReferenceCount"], json!(2));

    let results = api.set_status("Enabled", json!([id, "nobody"])).await;
    assert_eq!(results[0], json!({"id": id, "name": "New", "status": "success"}));
    assert_eq!((&results[1]["status"], results[1]["error"].is_string()), (&json!("failure"), true));
    let results = api.set_status("Disabled", json!([id])).await;
    assert_eq!(results[0]["error"], json!("Non-recurring jobs cannot be disabled once enabled by user"));
    let (status, _) = api.patch(id, json!({"type": "Install", "description": "x"})).await;
    assert_eq!(status, 400);

    let delete = async |ids: Value| {
        api.call(Method::DELETE, "/pm/v1/deploymentjobs", Some(&json!({"ids": ids}))).await.1
    };
    assert_eq!(delete(json!(["weekly"])).await[0]["status"], json!("failure"));
    let results = delete(json!(["child", id, "weekly", "weekly"])).await;
    let outcomes: Vec<&Value> =
        results.as_array().expect("an array").iter().map(|result| &result["status"]).collect();
    assert_eq!(outcomes, ["success", "success", "success", "failure"]);
    assert_eq!(api.call(Method::GET, "/pm/v1/deploymentjob/weekly", None).await.0, 404);
    let rows = api.get("/pm/v1/deploymentjobs?platform=Windows").await;
    assert!(rows.as_array().expect("an array").iter().all(|row| row["deleted"] == json!(true)), "{rows}");
    running.behaviour().change(|behaviour| behaviour.list_deleted = false);
    assert_eq!(api.get("/pm/v1/deploymentjobs?platform=Windows").await, json!([]));
    running.stop().await;
}

#[tokio::test]
async fn a_chained_rule_survives_a_merge_and_not_a_replacement_without_it() {
    let (running, api) = start(Behaviour::default()).await;
    let rule = |job: &Value| job["linkedToJob"][0]["chainedJobRule"].clone();
    let before = api.get("/pm/v1/deploymentjob/child").await;
    assert_eq!(rule(&before)[0]["actionDetails"][0]["script"], json!("c/x/Script"));
    assert_eq!(before.get("chainedJobRule"), None);
    let (_, after) = api.patch("child", json!({"type": "Install", "description": "x"})).await;
    assert_eq!(rule(&after), rule(&before));
    running.behaviour().change(|behaviour| behaviour.updates = Updates::Replace);
    // The body of a GET, sent back as it is: `linkedToJob` is the server's, so the rule is not in it.
    let (_, after) = api.patch("child", before).await;
    assert_eq!((&after["linkedJobId"], rule(&after)), (&json!("weekly"), Value::Null));
    let (_, after) = api.patch("child", json!({"type": "Install", "linkedJobId": null})).await;
    assert_eq!(after["linkedToJob"], Value::Null);
    assert_eq!(running.with_tenant(|tenant| tenant.dump()["jobs"][0].get("chainedJobRule").cloned()), None);
}

#[tokio::test]
async fn an_enabled_job_is_edited_where_the_switch_allows_it() {
    let (running, api) = start(Behaviour::default()).await;
    api.set_status("Enabled", json!(["weekly"])).await;
    let edit = || json!({"type": "Install", "status": "Disabled", "description": "x"});
    let (status, after) = api.patch("weekly", edit()).await;
    assert_eq!((status, &after["status"]), (200, &json!("Enabled")));
    running.behaviour().change(|behaviour| {
        behaviour.edit_enabled = EditEnabled::Refuse;
        behaviour.status_in_patch = true;
    });
    assert_eq!(api.patch("weekly", edit()).await.0, 400);
    running.behaviour().change(|behaviour| behaviour.edit_enabled = EditEnabled::Allow);
    assert_eq!(api.patch("weekly", edit()).await.1["status"], json!("Disabled"));
}

#[tokio::test]
async fn an_echo_says_nothing_of_what_is_stored() {
    let (_running, api) = start(Behaviour { answer: super::Answer::Echo, ..Behaviour::default() }).await;
    let body = json!({"type": "Install", "patchTuesdayPlusXDays": "3"});
    assert_eq!(api.patch("weekly", body).await.1, json!({"type": "Install", "patchTuesdayPlusXDays": 3}));
    let stored = api.get("/pm/v1/deploymentjob/weekly").await;
    assert_eq!((&stored["patchTuesdayPlusXDays"], &stored["description"]), (&json!(3), &json!("d")));
}

#[tokio::test]
async fn faults_meet_the_calls_they_are_meant_for() {
    let (running, api) = start(Behaviour::default()).await;
    let fail =
        |on, effect| running.behaviour().change(|behaviour| behaviour.fail_next.push(Fault::on(on, effect)));
    let edit = |text: &str| json!({"type": "Install", "description": text});
    let send = async |text: &str| {
        api.send(Method::PATCH, "/pm/v1/deploymentjob/update/weekly", Some(&edit(text))).await
    };
    let description = async || api.get("/pm/v1/deploymentjob/weekly").await["description"].clone();

    fail(Call::Update, Effect::CloseBefore);
    assert!(send("before").await.is_err());
    assert_eq!(description().await, json!("d"));

    fail(Call::Update, Effect::CloseAfter);
    assert!(send("after").await.is_err());
    assert_eq!(description().await, json!("after"));

    fail(Call::Update, Effect::NotJson);
    let answer = send("garbled").await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.json::<Value>().await.is_err());
    assert_eq!(description().await, json!("garbled"));

    let headers = BTreeMap::from([("Retry-After".to_owned(), "7".to_owned())]);
    fail(Call::Update, Effect::Status { code: 429, body: Some("slow down".to_owned()), headers });
    let answer = send("throttled").await.expect("an answer");
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (429, &"7".parse().expect("a value"))
    );
    assert_eq!(answer.text().await.expect("a body"), "slow down");
    assert_eq!(description().await, json!("garbled"));

    let updates: Vec<_> =
        running.requests().into_iter().filter(|request| request.call == Call::Update).collect();
    let statuses: Vec<_> = updates.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [None, None, Some(200), Some(429)]);
    assert!(running.behaviour().get().fail_next.is_empty());
}

#[tokio::test]
async fn requests_are_recorded_without_secrets() {
    let (running, api) = start(Behaviour::default()).await;
    running.clear_requests();
    api.patch("weekly", json!({"type": "Install"})).await;
    api.get("/pm/v1/deploymentjobs?platform=Linux").await;
    api.auth("simulator", "simulator").await;
    let requests = running.requests();
    assert_eq!(
        requests.iter().map(|request| request.call).collect::<Vec<_>>(),
        [Call::Update, Call::List, Call::Auth]
    );
    assert_eq!(requests[0].body, Some(json!({"type": "Install"})));
    assert_eq!((requests[1].query.as_str(), requests[1].body.as_ref()), ("platform=Linux", None));
    assert_eq!((requests[1].status, requests[1].user.as_deref()), (Some(200), Some("simulator")));
    assert_eq!((requests[2].body.as_ref(), requests[2].user.as_deref()), (None, None));
    assert_eq!(requests.iter().map(|request| request.ordinal).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn the_control_endpoints_see_and_change_everything() {
    let (running, mut api) = start(Behaviour { control: true, ..Behaviour::default() }).await;
    api.token = "no token is needed".to_owned();
    let edit = json!({"user": "anna", "merge": {"description": "console", "notYetKnown": {"more": 1}},
        "scripts": {"c/x/Script": "other"}});
    let (status, job) = api.call(Method::POST, "/_simulator/edit/weekly", Some(&edit)).await;
    assert_eq!((status, &job["notYetKnown"]), (200, &json!({"deep": [1], "more": 1})));
    assert_eq!(job["updatedBy"], json!({"user": {"id": "u-1", "name": "anna"}, "date": NOW}));
    let stored = api.get("/_simulator/jobs").await;
    assert_eq!(stored["scripts"], json!({"c/x/Script": "other"}));
    assert_eq!(stored["jobs"].as_array().map(Vec::len), Some(3));
    let unknown = json!({"user": "anna", "scripts": {"c/y/Script": "other"}});
    assert_eq!(api.call(Method::POST, "/_simulator/edit/weekly", Some(&unknown)).await.0, 404);

    let (status, _) = api.call(Method::POST, "/_simulator/tick", None).await;
    assert_eq!(status, 200);
    let ticked = api.get("/_simulator/jobs").await["jobs"][2].clone();
    assert_eq!((&ticked["patchCount"], &ticked["updatedBy"]), (&json!(1), &job["updatedBy"]));

    let change = json!({"updates": "replace", "latency_ms": 1});
    let (status, behaviour) = api.call(Method::PUT, "/_simulator/behaviour", Some(&change)).await;
    assert_eq!((status, &behaviour["updates"]), (200, &json!("replace")));
    assert_eq!(api.get("/_simulator/behaviour").await, behaviour);
    assert_eq!(api.call(Method::PUT, "/_simulator/behaviour", Some(&json!({"x": 1}))).await.0, 400);
    assert_eq!(running.behaviour().get().updates, Updates::Replace);
    assert_eq!(api.get("/_simulator/requests").await.as_array().map(Vec::len), Some(1));
    assert_eq!(api.call(Method::DELETE, "/_simulator/requests", None).await.0, 200);
    assert_eq!(running.requests(), []);
    assert_eq!(api.call(Method::POST, "/_simulator/revoke", None).await.0, 200);
}

/// A folder with a seed, and one for the state.
struct Folders(tempfile::TempDir);

impl Folders {
    fn new() -> Self {
        let folders = Self(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir_all(folders.seed()).expect("a folder");
        folders.write("b.json", &json!({"jobs": [jobs()[0], jobs()[1]]}).to_string());
        folders.write("a.json", &jobs()[2].to_string());
        folders.write("tags.json", "{\"tag-1\": \"Servers\"}");
        folders.write("notes.txt", "not a job");
        folders
    }

    fn seed(&self) -> std::path::PathBuf {
        self.0.path().join("tenant")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.seed().join(name), text).expect("written");
    }

    fn open(&self, reset: bool) -> Result<Tenant, SimulatorError> {
        let tenant = Tenant::open(&self.seed(), Some(&self.0.path().join("state")), reset)?;
        Ok(tenant.with_clock(Clock::fixed(NOW)))
    }

    fn state_file(&self) -> std::path::PathBuf {
        let files = std::fs::read_dir(self.0.path().join("state/simulator")).expect("a folder");
        let mut paths = files.map(|entry| entry.expect("an entry").path());
        paths
            .find(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .expect("a state file")
    }
}

fn describe(tenant: &mut Tenant, id: &str, description: &str) {
    let merge = json!({"description": description}).as_object().expect("an object").clone();
    tenant.edit(id, "anna", &merge, &BTreeMap::new()).expect("edited");
}

fn description(tenant: &Tenant, id: &str) -> Value {
    tenant.get(id).expect("a job")["description"].clone()
}

#[test]
fn changes_are_kept_between_runs_and_the_seed_is_not_touched() {
    let folders = Folders::new();
    let seed_before = std::fs::read(folders.seed().join("b.json")).expect("a file");
    let mut tenant = folders.open(false).expect("opened");
    assert_eq!((tenant.n_jobs(), tenant.customer()), (3, "c"));
    describe(&mut tenant, "weekly", "first");
    describe(&mut tenant, "weekly", "second");
    tenant.delete(&["once".to_owned()], "anna").expect("answered");
    drop(tenant);

    let tenant = folders.open(false).expect("opened");
    assert_eq!(description(&tenant, "weekly"), json!("second"));
    assert_eq!((tenant.n_jobs(), tenant.seed_changed()), (2, false));
    assert_eq!(tenant.script("c/x/Script"), Some(b"Restart-Service w3svc".as_slice()));
    drop(tenant);

    assert_eq!(std::fs::read(folders.seed().join("b.json")).expect("a file"), seed_before);
    let tenant = folders.open(true).expect("opened");
    assert_eq!((description(&tenant, "weekly"), tenant.n_jobs()), (json!("d"), 3));
}

#[test]
fn a_changed_seed_is_told() {
    let folders = Folders::new();
    drop(folders.open(false).expect("opened"));
    folders.write("c.json", "[]");
    assert!(folders.open(false).expect("opened").seed_changed());
    assert!(!folders.open(true).expect("opened").seed_changed());
}

#[test]
fn a_torn_line_is_cut_off_before_more_is_written() {
    let folders = Folders::new();
    drop(folders.open(false).expect("opened"));
    let path = folders.state_file();
    let mut text = std::fs::read_to_string(&path).expect("a file");
    text.push_str("{\"job\":{\"id\":\"weekly\",\"descr");
    std::fs::write(&path, text).expect("written");
    let mut tenant = folders.open(false).expect("opened");
    assert_eq!(description(&tenant, "weekly"), json!("d"));
    describe(&mut tenant, "weekly", "new");
    drop(tenant);
    assert_eq!(description(&folders.open(false).expect("opened"), "weekly"), json!("new"));
}

#[test]
fn a_state_that_has_grown_is_written_anew() {
    let folders = Folders::new();
    let mut tenant = folders.open(false).expect("opened");
    for n in 0..600 {
        describe(&mut tenant, "weekly", &format!("{n} {}", "x".repeat(1000)));
    }
    let n_bytes = std::fs::metadata(folders.state_file()).expect("a file").len();
    assert!(n_bytes < 500_000, "{n_bytes}");
    drop(tenant);
    let tenant = folders.open(false).expect("opened");
    assert!(description(&tenant, "weekly").as_str().expect("text").starts_with("599 "));
    assert_eq!(tenant.n_jobs(), 3);
}

#[cfg(unix)]
#[test]
fn the_state_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folders = Folders::new();
    drop(folders.open(false).expect("opened"));
    let mode = std::fs::metadata(folders.state_file()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_tenant_is_open_in_one_place_at_a_time() {
    let folders = Folders::new();
    let tenant = folders.open(false).expect("opened");
    let error = folders.open(false).expect_err("in use");
    assert!(matches!(error, SimulatorError::InUse { .. }), "{error}");
    let running = Simulator::start(tenant, Behaviour::default(), loopback()).await.expect("started");
    // A connection that is still open does not hold the tenant.
    let api = Api::login(&running, "simulator", "simulator").await;
    running.stop().await;
    drop(folders.open(false).expect("opened"));
    drop(api);
}

#[test]
fn bad_seeds_and_states_are_named() {
    #[track_caller]
    fn check(name: &str, text: &str, expected: &str) {
        let folders = Folders::new();
        folders.write(name, text);
        let error = folders.open(false).expect_err("refused").to_string();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
    check("c.json", "{", "not JSON");
    check("c.json", "3", "entry 0 is not an object");
    check("c.json", "{\"name\": \"x\"}", "neither a job");
    check("c.json", "[{\"id\": \"x\", \"name\": \"y\"}]", "no `platform`");
    check("c.json", "{\"id\": \"weekly\", \"name\": \"y\", \"platform\": \"Linux\"}", "occurs twice");
    check(
        "c.json",
        "{\"id\": \"x\", \"name\": \"y\", \"platform\": \"Linux\", \"_scripts\": {\"p\": \"t\"}}",
        "`p`",
    );
    check(
        "c.json",
        "{\"id\": \"x\", \"name\": \"y\", \"platform\": \"Linux\", \"preDeployActions\": 1}",
        "an array",
    );
    check("tags.json", "[]", "tag names");

    let folders = Folders::new();
    drop(folders.open(false).expect("opened"));
    std::fs::write(folders.state_file(), "nonsense\n").expect("written");
    let error = folders.open(false).expect_err("refused").to_string();
    assert!(error.contains("line 1") && error.contains("--reset"), "{error}");
    drop(folders.open(true).expect("a reset mends it"));

    let empty = tempfile::tempdir().expect("a folder");
    assert!(matches!(Tenant::open(empty.path(), None, false), Err(SimulatorError::EmptySeed { .. })));
    let missing = empty.path().join("missing");
    assert!(matches!(Tenant::open(&missing, None, false), Err(SimulatorError::ReadSeed { .. })));
}

#[test]
fn a_single_file_is_a_seed_and_paths_without_content_get_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("job.json");
    let mut job = jobs().remove(0);
    job.as_object_mut().expect("an object").remove("_scripts");
    std::fs::write(&file, job.to_string()).expect("written");
    let tenant = Tenant::open(&file, None, false).expect("opened");
    assert_eq!(tenant.script("c/x/Script"), Some(b"# simulated content of c/x/Script\n".as_slice()));
    assert_eq!(tenant.get("weekly").expect("a job")["postDeployActions"][0]["script"], json!("c/x/Script"));
}
