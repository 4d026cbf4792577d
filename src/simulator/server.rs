//! The HTTP side: routes, what all connections share, and the running server.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::SimulatorError;
use super::auth::{TokenLife, Tokens};
use super::behaviour::Behaviour;
use super::connection::{Connection, CuttableListener};
use super::control;
use super::gate::gate;
use super::list::Query;
use super::quota::Usage;
use super::record::{Record, RecordedRequest};
use super::refusal::Refusal;
use super::stored::Job;
use super::tenant::Tenant;

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
    usage: Mutex<Usage>,
}

impl Shared {
    pub(super) fn tenant(&self) -> MutexGuard<'_, Tenant> {
        let lags = self.behaviour.change(|behaviour| behaviour.lags());
        let mut tenant = locked(&self.tenant);
        tenant.keep_history(lags);
        tenant
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

    pub(super) fn usage(&self) -> MutexGuard<'_, Usage> {
        locked(&self.usage)
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
            usage: Mutex::default(),
        });
        let service = routes(&shared).into_make_service_with_connect_info::<Connection>();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let server = axum::serve(CuttableListener::new(listener, address), service);
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

    /// How many calls [`Running::requests`] would tell of.
    pub fn n_requests(&self) -> usize {
        self.shared.record().n_requests()
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
pub(super) struct Caller(pub(super) String);

async fn auth(State(shared): State<Arc<Shared>>, form: Bytes) -> Response {
    let now = shared.tenant().now();
    let behaviour = shared.behaviour.get();
    let life = TokenLife {
        seconds: behaviour.token_life_seconds,
        calls: behaviour.token_life_calls.unwrap_or(u64::MAX),
    };
    let answer = shared.tokens().login(&behaviour.users, &form, now, life);
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
    let lag = shared.behaviour.change(|behaviour| behaviour.get_lag);
    answered(StatusCode::OK, shared.tenant().shown(&id, lag))
}

async fn runs(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    answered(StatusCode::OK, shared.tenant().runs(&id))
}

async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(Caller(user)): Extension<Caller>,
    body: Bytes,
) -> Response {
    let defaults = shared.behaviour.get().create_defaults;
    let created = object(&body).and_then(|mut job| {
        for (name, value) in defaults {
            job.entry(name).or_insert(value);
        }
        shared.tenant().create(&job, &user)
    });
    answered(StatusCode::CREATED, created)
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

/// A status code of choice; 500 for what is none.
pub(super) fn status_of(code: u16) -> StatusCode {
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
