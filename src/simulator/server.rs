//! The HTTP side: routes, the gate that every call passes, and the running server.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Extension, Path, RawQuery, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::SimulatorError;
use super::auth::Tokens;
use super::behaviour::{Behaviour, Call, Effect};
use super::connection::{Connection, CuttableListener};
use super::control;
use super::list::Query;
use super::record::{Record, RecordedRequest};
use super::refusal::Refusal;
use super::stored::Job;
use super::tenant::Tenant;

/// The largest body that is read; a hundred times the largest documented job, scripts included.
const MOST_BODY_BYTES: usize = 32 * 1024 * 1024;

/// How long [`Running::stop`] waits for calls that are under way.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// What `GET /pm/v1/details` tells; the newest release whose notes are known (REFERENCE section 11).
const APP_VERSION: &str = "3.12.0.0-1";

/// What all connections share. No two of the locks are held at once, and none across an await.
#[derive(Debug)]
pub(super) struct Shared {
    tenant: Mutex<Tenant>,
    behaviour: BehaviourHandle,
    record: Mutex<Record>,
    tokens: Mutex<Tokens>,
}

impl Shared {
    pub(super) fn tenant(&self) -> MutexGuard<'_, Tenant> {
        locked(&self.tenant)
    }

    pub(super) fn behaviour(&self) -> &BehaviourHandle {
        &self.behaviour
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        locked(&self.record)
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        locked(&self.tokens)
    }
}

/// A lock whose holder panicked is taken all the same: the values are whole between statements, and a test should
/// fail by its own words.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The switches of a running simulator; clones stand for the same ones.
#[derive(Clone)]
pub struct BehaviourHandle(Arc<Mutex<Behaviour>>);

impl BehaviourHandle {
    /// The switches as they stand.
    pub fn get(&self) -> Behaviour {
        locked(&self.0).clone()
    }

    /// Changes switches; the next call meets them.
    pub fn change<T>(&self, change: impl FnOnce(&mut Behaviour) -> T) -> T {
        change(&mut locked(&self.0))
    }
}

impl fmt::Debug for BehaviourHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BehaviourHandle").field(&self.get()).finish()
    }
}

/// The simulator, not yet running.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Serves a tenant on a loopback address; port 0 takes a free one. Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// An address that is not loopback, or that cannot be listened on.
    pub async fn start(
        tenant: Tenant,
        behaviour: Behaviour,
        listen: SocketAddr,
    ) -> Result<Running, SimulatorError> {
        if !listen.ip().is_loopback() {
            return Err(SimulatorError::NotLoopback { address: listen });
        }
        let failed = |source| SimulatorError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            tenant: Mutex::new(tenant),
            behaviour: BehaviourHandle(Arc::new(Mutex::new(behaviour))),
            record: Mutex::default(),
            tokens: Mutex::default(),
        });
        let service = routes(&shared).into_make_service_with_connect_info::<Connection>();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let server = axum::serve(CuttableListener(listener), service);
            // Serving ends by the signal or with the runtime; accepting has no errors of its own.
            let _ended = server.with_graceful_shutdown(async { drop(stopped.await) }).await;
        });
        Ok(Running { address, shared, stop: Some(stop), task })
    }
}

/// A simulator that serves. Dropping it ends the serving and gives up the tenant's state file.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// The gateway URL, such as `http://127.0.0.1:40123`; without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All calls so far, or the last 65,536 of them, in the order in which they came; `/_simulator` is left out.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.record().all()
    }

    /// Forgets the calls so far.
    pub fn clear_requests(&self) {
        self.shared.record().clear();
    }

    /// The switches, which may be changed while the simulator runs.
    pub fn behaviour(&self) -> BehaviourHandle {
        self.shared.behaviour.clone()
    }

    /// Makes all tokens handed out so far invalid.
    pub fn revoke_tokens(&self) {
        self.shared.tokens().revoke_all();
    }

    /// Looks at the tenant, or changes it behind the API's back; calls wait meanwhile.
    pub fn with_tenant<T>(&self, look: impl FnOnce(&mut Tenant) -> T) -> T {
        look(&mut self.shared.tenant())
    }

    /// Ends the serving: no new connections, calls under way have two seconds to end, the state file is given up.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // The receiver is gone only if serving has ended already.
            let _ended = stop.send(());
        }
        let _patience_ended = tokio::time::timeout(STOP_PATIENCE, &mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
        // Connections may outlive this for a moment; the lock on the state file must not.
        self.shared.tenant().close();
    }
}

fn routes(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/auth", post(auth))
        .route("/pm/v1/details", get(version))
        .route("/pm/v1/deploymentjobs/summary", get(list))
        .route("/pm/v1/deploymentjobs", get(list).delete(delete))
        .route("/pm/v1/deploymentjobs/update/status/{status}", post(set_status))
        .route("/pm/v1/deploymentjob", post(create))
        .route("/pm/v1/deploymentjob/{id}", get(job))
        .route("/pm/v1/deploymentjob/{id}/runs", get(runs))
        .route("/pm/v1/deploymentjob/update/{id}", patch(update))
        .fallback(async || refused(&Refusal::not_found("no such path")))
        .method_not_allowed_fallback(async || {
            refused(&Refusal { status: 405, ..Refusal::invalid("the path does not know this method") })
        })
        .layer(middleware::from_fn_with_state(Arc::clone(shared), gate))
        .merge(control::routes(shared))
        .with_state(Arc::clone(shared))
}

/// The user whose token came with the call.
#[derive(Clone, Debug)]
struct Caller(String);

/// What every call of the API passes: it is recorded, meets its fault, waits out the latency and needs a token.
///
/// All that goes wrong on purpose is decided here, from the call's ordinal and kind.
async fn gate(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let call = Call::of(parts.method.as_str(), parts.uri.path());
    let Ok(bytes) = to_bytes(body, MOST_BODY_BYTES).await else {
        return refused(&Refusal { status: 413, ..Refusal::invalid("the body is too large") });
    };
    let now = shared.tenant().now();
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let caller = shared.tokens().caller(authorization, now).map(str::to_owned);
    let ordinal = shared.record().begin(RecordedRequest {
        ordinal: 0,
        call,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: if call == Call::Auth { None } else { serde_json::from_slice(&bytes).ok() },
        status: None,
        user: caller.clone(),
    });
    let (effect, latency) =
        shared.behaviour.change(|behaviour| (behaviour.take_fault(ordinal, call), behaviour.latency_ms));
    if latency > 0 {
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }
    let process = async {
        match caller {
            Some(name) => {
                parts.extensions.insert(Caller(name));
            }
            None if call == Call::Auth => {}
            None => return refused(&Refusal::unauthorised("a valid token is needed")),
        }
        next.run(Request::from_parts(parts, Body::from(bytes))).await
    };
    let response = match effect {
        None => process.await,
        Some(Effect::Status { code, body, headers }) => refusing(code, body, &headers),
        Some(Effect::NotJson) => {
            process.await;
            let page = "<!DOCTYPE html><html><body><h1>Please stand by</h1></body></html>";
            ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
        }
        Some(Effect::CloseAfter) => {
            process.await;
            connection.cut();
            return Response::default();
        }
        Some(Effect::CloseBefore) => {
            connection.cut();
            return Response::default();
        }
    };
    shared.record().finish(ordinal, Some(response.status().as_u16()));
    response
}

/// The answer of a fault that is a status.
fn refusing(
    code: u16,
    body: Option<String>,
    headers: &std::collections::BTreeMap<String, String>,
) -> Response {
    let refusal = Refusal { status: code, ..Refusal::internal("the simulator was told to refuse this call") };
    let mut response = match body {
        None => refused(&refusal),
        Some(text) => (status_of(code), text).into_response(),
    };
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn auth(State(shared): State<Arc<Shared>>, form: Bytes) -> Response {
    let now = shared.tenant().now();
    let behaviour = shared.behaviour.get();
    let answer = shared.tokens().login(&behaviour.users, &form, now, behaviour.token_life_seconds);
    let mut response = match answer {
        Ok(token) => (StatusCode::CREATED, [(header::CONTENT_TYPE, "text/plain")], token).into_response(),
        Err(refusal) => return refused(&refusal),
    };
    if behaviour.announce_updates {
        let updates = format!("updates={}", behaviour.updates.announced());
        let updates = HeaderValue::try_from(updates).expect("internal error: the words are plain ASCII");
        response.headers_mut().insert("x-patchctl-simulator", updates);
    }
    response
}

async fn version() -> Response {
    answered(StatusCode::OK, Ok(json!({"appVersion": APP_VERSION})))
}

async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let behaviour = shared.behaviour.get();
    let query = Query::parse(query.as_deref().unwrap_or_default());
    answered(StatusCode::OK, query.and_then(|query| shared.tenant().list(&query, &behaviour)))
}

async fn job(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    answered(StatusCode::OK, shared.tenant().get(&id))
}

async fn runs(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    answered(StatusCode::OK, shared.tenant().runs(&id))
}

async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(Caller(user)): Extension<Caller>,
    body: Bytes,
) -> Response {
    answered(StatusCode::CREATED, object(&body).and_then(|job| shared.tenant().create(&job, &user)))
}

async fn update(
    State(shared): State<Arc<Shared>>,
    Extension(Caller(user)): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let behaviour = shared.behaviour.get();
    let answer = object(&body).and_then(|job| shared.tenant().patch(&id, &job, &user, &behaviour));
    answered(StatusCode::OK, answer)
}

async fn set_status(
    State(shared): State<Arc<Shared>>,
    Extension(Caller(user)): Extension<Caller>,
    Path(status): Path<String>,
    body: Bytes,
) -> Response {
    answered(StatusCode::OK, ids(&body).and_then(|ids| shared.tenant().set_status(&status, &ids, &user)))
}

async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(Caller(user)): Extension<Caller>,
    body: Bytes,
) -> Response {
    answered(StatusCode::OK, ids(&body).and_then(|ids| shared.tenant().delete(&ids, &user)))
}

/// A body that is a JSON object.
pub(super) fn object(body: &[u8]) -> Result<Job, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(format!("the body is not a JSON object: {error}")))
}

/// The ids of a bulk call; a body with `jobIds` in their place is refused like any other (REFERENCE section 3).
fn ids(body: &[u8]) -> Result<Vec<String>, Refusal> {
    let ids = object(body)?.shift_remove("ids").map(serde_json::from_value::<Vec<String>>);
    match ids {
        Some(Ok(ids)) if !ids.is_empty() => Ok(ids),
        _ => Err(Refusal::invalid("the body must hold `ids`, an array of at least one id")),
    }
}

fn status_of(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A value or a refusal as an answer.
pub(super) fn answered(status: StatusCode, answer: Result<Value, Refusal>) -> Response {
    match answer {
        Ok(value) => {
            (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}

/// A refusal as an answer.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let body = refusal.body().to_string();
    (status_of(refusal.status), [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
