//! Answers that are not as they should be: refusals without a reason, and good answers broken on the way out.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::response::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt as _};

use super::fault::ErrorBody;
use super::refusal::Refusal;
use super::server::{refused, status_of};

/// Blanks that pad an oversize answer are sent in pieces of this size, so that no answer is held whole.
static BLANKS: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// How long an answer drips at most; the rest comes at once then.
const LONGEST_DRIP: Duration = Duration::from_mins(1);

const PAGE: &str = "<!DOCTYPE html><html><body><h1>Please stand by</h1></body></html>";

/// A refusal with a status of choice, its body (an `_error` object without one) and further headers.
pub(super) fn refusing(code: u16, body: Option<String>, headers: &BTreeMap<String, String>) -> Response {
    let mut response = match body {
        None => refused(&told_to(code)),
        Some(text) => (status_of(code), text).into_response(),
    };
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A refusal for the rate limit with these headers.
pub(super) fn throttled(headers: HeaderMap) -> Response {
    let mut response = refused(&Refusal { status: 429, ..Refusal::invalid("too many calls") });
    response.headers_mut().extend(headers);
    response
}

/// An error of the server with one of the usual bodies.
pub(super) fn server_error(code: u16, body: ErrorBody) -> Response {
    match body {
        ErrorBody::Json => refused(&told_to(code)),
        ErrorBody::Html => web_page(code),
        ErrorBody::Empty => status_of(code).into_response(),
    }
}

/// A page for people.
pub(super) fn web_page(code: u16) -> Response {
    (status_of(code), [(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response()
}

/// A redirect; a `Location` that cannot stand in a header is left out.
pub(super) fn redirect(to: &str) -> Response {
    let mut response = StatusCode::FOUND.into_response();
    if let Ok(to) = HeaderValue::try_from(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

/// The answer with another content type; without any where it cannot stand in a header.
pub(super) fn under_another_type(mut response: Response, content_type: &str) -> Response {
    match HeaderValue::try_from(content_type) {
        Ok(value) => response.headers_mut().insert(header::CONTENT_TYPE, value),
        Err(_) => response.headers_mut().remove(header::CONTENT_TYPE),
    };
    response
}

/// The answer's head with bytes that are neither JSON nor a token.
pub(super) fn garbage(response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(&b"\x00\xff}{ garbage ]["[..]))
}

/// The first half of the answer under its whole length; the connection breaks then.
pub(super) async fn truncated(response: Response) -> Response {
    let (parts, body) = whole(response).await;
    let half = stream::once(std::future::ready(Ok(body.slice(..body.len() / 2))));
    let end = stream::once(async {
        // Lets the first half out before the connection is given up.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    Response::from_parts(parts, Body::from_stream(half.chain(end)))
}

/// The answer followed by blanks, `n_bytes` in all.
pub(super) async fn oversize(response: Response, n_bytes: u64, unannounced: bool) -> Response {
    let (mut parts, body) = whole(response).await;
    let n_blanks = n_bytes.saturating_sub(body.len() as u64);
    if unannounced {
        parts.headers.remove(header::CONTENT_LENGTH);
    } else {
        parts.headers.insert(header::CONTENT_LENGTH, (body.len() as u64 + n_blanks).into());
    }
    let padding = stream::unfold(n_blanks, |left| async move {
        let piece = usize::try_from(left).unwrap_or(usize::MAX).min(BLANKS.len());
        (piece > 0).then(|| (Ok(Bytes::from_static(&BLANKS[..piece])), left - piece as u64))
    });
    let start = stream::once(std::future::ready(Ok::<_, io::Error>(body)));
    Response::from_parts(parts, Body::from_stream(start.chain(padding)))
}

/// The answer in pieces of `n_bytes` with pauses in between.
pub(super) async fn drip(response: Response, n_bytes: usize, pause: Duration) -> Response {
    let (parts, body) = whole(response).await;
    let drops = stream::unfold((body, Duration::ZERO), move |(mut rest, paused)| async move {
        if rest.is_empty() {
            return None;
        }
        if paused >= LONGEST_DRIP {
            return Some((Ok::<_, io::Error>(rest), (Bytes::new(), paused)));
        }
        let drop = rest.split_to(n_bytes.clamp(1, rest.len()));
        tokio::time::sleep(pause).await;
        Some((Ok(drop), (rest, paused.saturating_add(pause))))
    });
    Response::from_parts(parts, Body::from_stream(drops))
}

/// Head and body of an answer, the head saying how long the body is.
async fn whole(response: Response) -> (Parts, Bytes) {
    let (mut parts, body) = response.into_parts();
    // Our own answers are in memory already, and reading them does not fail.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    (parts, body)
}

fn told_to(code: u16) -> Refusal {
    Refusal { status: code, ..Refusal::internal("the simulator was told to refuse this call") }
}
