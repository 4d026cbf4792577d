//! The `/_simulator` endpoints, served only where the behaviour says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use super::server::{Shared, answered, refused};

pub(super) fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    Router::new()
        .route("/_simulator/requests", get(requests).delete(clear_requests))
        .route("/_simulator/behaviour", get(behaviour).put(set_behaviour))
        .route("/_simulator/jobs", get(jobs))
        .route("/_simulator/edit/{id}", post(edit))
        .route("/_simulator/tick", post(tick))
        .route("/_simulator/revoke", post(revoke))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), only_if_allowed))
}

async fn only_if_allowed(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if shared.behaviour().get().control {
        next.run(request).await
    } else {
        refused(&Refusal::not_found("no such path"))
    }
}

fn done() -> Response {
    answered(StatusCode::OK, Ok(json!({})))
}

async fn requests(State(shared): State<Arc<Shared>>) -> Response {
    answered(StatusCode::OK, Ok(json!(shared.record().all())))
}

async fn clear_requests(State(shared): State<Arc<Shared>>) -> Response {
    shared.record().clear();
    done()
}

async fn behaviour(State(shared): State<Arc<Shared>>) -> Response {
    answered(StatusCode::OK, Ok(json!(shared.behaviour().get())))
}

async fn set_behaviour(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let parsed = serde_json::from_slice::<Value>(&body)
        .map_err(|error| Refusal::invalid(format!("the body is not JSON: {error}")));
    let changed = parsed.and_then(|body| {
        shared.behaviour().change(|behaviour| {
            *behaviour = behaviour.changed_by(&body)?;
            Ok(json!(behaviour))
        })
    });
    answered(StatusCode::OK, changed)
}

async fn jobs(State(shared): State<Arc<Shared>>) -> Response {
    answered(StatusCode::OK, Ok(shared.tenant().dump()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    user: String,
    #[serde(default)]
    merge: Map<String, Value>,
    #[serde(default)]
    scripts: BTreeMap<String, String>,
}

async fn edit(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Response {
    let edit = serde_json::from_slice::<Edit>(&body)
        .map_err(|error| Refusal::invalid(format!("the body is not an edit: {error}")));
    let edited = edit.and_then(|Edit { user, merge, scripts }| {
        let mut tenant = shared.tenant();
        tenant.edit(&id, &user, &merge, &scripts)?;
        tenant.get(&id)
    });
    answered(StatusCode::OK, edited)
}

async fn tick(State(shared): State<Arc<Shared>>) -> Response {
    answered(StatusCode::OK, shared.tenant().tick().map(|()| json!({})))
}

async fn revoke(State(shared): State<Arc<Shared>>) -> Response {
    shared.tokens().revoke_all();
    done()
}
