//! What every call of the API passes: others act, it is recorded, it meets its fault, waits out the latency, is
//! counted by the quota, and needs a token.
//!
//! All that goes wrong on purpose is decided here; how a broken answer is made is in `spoil`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;

use super::call::Call;
use super::connection::Connection;
use super::fault::{Effect, Event};
use super::quota::throttle_headers;
use super::record::RecordedRequest;
use super::refusal::Refusal;
use super::server::{Caller, Shared, refused};
use super::spoil;

/// The largest body that is read; a hundred times the largest documented job, scripts included.
const MOST_BODY_BYTES: usize = 32 * 1024 * 1024;

/// How long a call hangs if the client does not give up; ten times the time-out of the most patient one.
const LONGEST_HANG: Duration = Duration::from_mins(10);

/// How long nothing listens, whatever a fault asks for.
const LONGEST_OUTAGE: Duration = Duration::from_mins(1);

/// See the module's description.
pub(super) async fn gate(
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
    let (events, effect, latency, quota) = shared.behaviour().change(|behaviour| {
        let quota = behaviour.quota.filter(|_| call != Call::Auth);
        (behaviour.take_events(call), behaviour.take_fault(call), behaviour.latency_ms, quota)
    });
    let happened = events.iter().try_for_each(|event| happen(&shared, event));
    if call != Call::Auth {
        shared.tenant().begin_call();
    }
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
    if latency > 0 {
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }
    let process = async {
        if let Err(refusal) = happened {
            return refused(&Refusal { status: 422, ..refusal });
        }
        let now = shared.tenant().now();
        let verdict = quota.map(|quota| (quota, shared.usage().judge(&quota, now)));
        if let Some((quota, verdict)) = &verdict
            && verdict.is_refused
        {
            return spoil::throttled(verdict.refusal(quota, now));
        }
        let is_allowed = call == Call::Auth || caller.is_some();
        if let Some(name) = caller {
            parts.extensions.insert(Caller(name));
        }
        let mut response = if is_allowed {
            next.run(Request::from_parts(parts, Body::from(bytes))).await
        } else {
            refused(&Refusal::unauthorised("a valid token is needed"))
        };
        if let Some((quota, verdict)) = &verdict
            && quota.announce
        {
            verdict.announce(quota, response.headers_mut());
        }
        response
    };
    let response = match effect {
        None => process.await,
        Some(Effect::Status { code, body, headers }) => spoil::refusing(code, body, &headers),
        Some(Effect::Throttle { form, seconds }) => spoil::throttled(throttle_headers(form, seconds, now)),
        Some(Effect::ServerError { code, body }) => spoil::server_error(code, body),
        Some(Effect::Redirect { to }) => spoil::redirect(&to),
        Some(Effect::NotJson) => {
            process.await;
            spoil::web_page(200)
        }
        Some(Effect::ContentType { value }) => spoil::under_another_type(process.await, &value),
        Some(Effect::Truncated) => spoil::truncated(process.await).await,
        Some(Effect::Garbage) => spoil::garbage(process.await),
        Some(Effect::Oversize { bytes, unannounced }) => {
            spoil::oversize(process.await, bytes, unannounced).await
        }
        Some(Effect::Drip { bytes, pause_ms }) => {
            spoil::drip(process.await, bytes, Duration::from_millis(pause_ms)).await
        }
        Some(effect @ (Effect::HangBefore | Effect::HangAfter)) => {
            if effect == Effect::HangAfter {
                process.await;
            }
            // Dropped here once the client has closed the connection.
            tokio::time::sleep(LONGEST_HANG).await;
            return no_answer(&connection);
        }
        Some(Effect::CloseAfter) => {
            process.await;
            return no_answer(&connection);
        }
        Some(Effect::CloseBefore) => return no_answer(&connection),
        Some(effect @ (Effect::ResetBefore | Effect::ResetAfter)) => {
            if effect == Effect::ResetAfter {
                process.await;
            }
            connection.reset();
            return no_answer(&connection);
        }
        Some(Effect::Unreachable { ms }) => {
            connection.outage().begin(Duration::from_millis(ms).min(LONGEST_OUTAGE)).await;
            return no_answer(&connection);
        }
    };
    shared.record().finish(ordinal, Some(response.status().as_u16()));
    response
}

fn happen(shared: &Shared, event: &Event) -> Result<(), Refusal> {
    if *event == Event::RevokeTokens {
        shared.tokens().revoke_all();
    }
    shared.tenant().happen(event)
}

/// Closes the connection; what is returned does not arrive.
fn no_answer(connection: &Connection) -> Response {
    connection.cut();
    Response::default()
}
