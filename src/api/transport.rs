#![expect(
    clippy::disallowed_methods,
    reason = "the transport is given rate limits relative to the wall clock"
)]

//! One request out, one whole answer in: TLS, proxies, size limits and time-outs. It repeats and decides nothing.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Certificate, Method, RequestBuilder, StatusCode, Url, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use super::clock;
use super::error::{ApiError, CallFailure};
use super::excerpt::Masker;
use super::limits::LimitHeaders;
use super::settings::{CaFile, Settings};
use super::sweep::error_code_of;

/// Bytes read of an answer that is not a success; more is not needed to say what was wrong.
const ERROR_BODY_BYTES: usize = 64 << 10;

/// Most room that is made for an answer because it says that it will need it; it has to come before it gets more.
const MOST_RESERVED_BYTES: usize = 8 << 20;

/// The HTTP client and what it needs to describe answers.
#[derive(Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    request_timeout: Duration,
    bytes_received: AtomicU64,
    clock_ahead: Mutex<Option<jiff::SignedDuration>>,
    pub(super) masker: Masker,
}

/// An answer whose head and body came whole. The body of an answer that is not a success may be cut.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Transport {
    /// Builds the HTTP client; the one place that does.
    ///
    /// # Errors
    /// [`ApiError::CaFile`] for unusable certificates, [`ApiError::Setup`] for the trust store or proxy settings.
    pub(super) fn new(settings: &Settings) -> Result<Self, ApiError> {
        // Without a provider `reqwest` panics. A second call changes nothing and says so by an error.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("patchctl/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.request_timeout)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false);
        if settings.gateway.is_loopback() {
            builder = builder.no_proxy();
        }
        // Also where none is needed: a file that was named and says nothing is a mistake wherever it is found.
        for file in &settings.ca_certificates {
            check_certificates(file)?;
        }
        if settings.gateway.is_plain() {
            // Loading the trust store takes time, and fails where there is none, as in a bare container.
            builder = builder.tls_certs_only([]);
        } else {
            let mut certificates = Vec::new();
            for file in &settings.ca_certificates {
                certificates.extend(Certificate::from_pem_bundle(&file.pem).map_err(ApiError::Setup)?);
            }
            builder = builder.https_only(true).tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| ApiError::Setup(error.without_url()))?;
        Ok(Self {
            http,
            request_timeout: settings.request_timeout,
            bytes_received: AtomicU64::new(0),
            clock_ahead: Mutex::new(None),
            masker: Masker::default(),
        })
    }

    /// Starts a request.
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// Sends a request once and reads its answer to the end.
    ///
    /// # Errors
    /// [`CallFailure`] where no whole answer came; a status of any kind is an answer.
    pub(super) async fn exchange(
        &self,
        request: RequestBuilder,
        limit_bytes: usize,
    ) -> Result<Answer, CallFailure> {
        let mut response = request.send().await.map_err(|error| self.failure(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if let Some(ahead) = clock::ahead(&headers, SystemTime::now()) {
            *self.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
        let mut body = Vec::new();
        if !status.is_success() {
            // The status is known and counts; its text is only wanted.
            while let Ok(Some(chunk)) = response.chunk().await {
                body.extend_from_slice(&chunk[..chunk.len().min(ERROR_BODY_BYTES - body.len())]);
                if body.len() >= ERROR_BODY_BYTES {
                    break;
                }
            }
            self.received(body.len());
            return Ok(Answer { status, headers, body });
        }
        if let Some(length) = response.content_length() {
            if length > limit_bytes as u64 {
                return Err(CallFailure::TooLarge { limit_bytes, is_page: false });
            }
            body.reserve_exact(usize::try_from(length).unwrap_or(limit_bytes).min(MOST_RESERVED_BYTES));
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(error))? {
            self.received(chunk.len());
            if chunk.len() > limit_bytes - body.len() {
                return Err(CallFailure::TooLarge { limit_bytes, is_page: false });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }

    /// Bytes of answers so far, after decompression.
    pub(super) fn bytes_received(&self) -> u64 {
        self.bytes_received.load(Ordering::Relaxed)
    }

    /// How far the gateway's clock is ahead of ours, by the last answer that tells.
    pub(super) fn clock_ahead(&self) -> Option<jiff::SignedDuration> {
        *self.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(&self, n_bytes: usize) {
        self.bytes_received.fetch_add(n_bytes as u64, Ordering::Relaxed);
    }

    fn failure(&self, error: reqwest::Error) -> CallFailure {
        let error = error.without_url();
        // A request that cannot be built is never sent either; there is none among ours.
        if error.is_connect() || error.is_builder() {
            if names_tls(&error) { CallFailure::Tls(error) } else { CallFailure::Connect(error) }
        } else if error.is_timeout() {
            CallFailure::Timeout { after: self.request_timeout }
        } else {
            CallFailure::Broken(error)
        }
    }
}

impl Answer {
    /// What the headers say about the rate limit.
    pub(super) fn limits(&self) -> LimitHeaders {
        LimitHeaders::read(&self.headers, SystemTime::now())
    }

    /// The body as JSON; `None` for 204.
    ///
    /// # Errors
    /// [`CallFailure::NotJson`] by content type, [`CallFailure::BadJson`] by content.
    pub(super) fn json(&self, masker: &Masker) -> Result<Option<Value>, CallFailure> {
        self.json_as(masker, |body| serde_json::from_slice(body))
    }

    /// What a function makes of the body; `None` for 204.
    ///
    /// # Errors
    /// [`CallFailure::NotJson`] by content type, [`CallFailure::BadJson`] where the function finds no JSON.
    pub(super) fn json_as<T>(
        &self,
        masker: &Masker,
        parse: impl Fn(&[u8]) -> serde_json::Result<T>,
    ) -> Result<Option<T>, CallFailure> {
        if self.status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let content_type = self.content_type();
        // No content type at all is let through: then the body decides.
        if !content_type.is_empty() && !is_json(&content_type) {
            return Err(CallFailure::NotJson {
                content_type: self.shown_content_type(masker),
                excerpt: masker.excerpt(&self.body),
            });
        }
        parse(&self.body)
            .map(Some)
            .map_err(|source| CallFailure::BadJson { excerpt: masker.excerpt(&self.body), source })
    }

    /// The failure that an answer without success is.
    pub(super) fn as_failure(&self, masker: &Masker) -> CallFailure {
        if self.status.is_redirection() {
            let location = self.headers.get(LOCATION).map_or(&b""[..], |value| value.as_bytes());
            // Path and query are left out: they may hold what we sent.
            let to = match std::str::from_utf8(location).ok().and_then(|text| Url::parse(text).ok()) {
                Some(url) => {
                    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
                }
                None => "another path".to_owned(),
            };
            return CallFailure::Redirect { status: self.status, to: masker.excerpt(to.as_bytes()) };
        }
        let body: Option<Value> = serde_json::from_slice(&self.body).ok();
        CallFailure::Status {
            status: self.status,
            error_code: body.as_ref().and_then(error_code_of),
            excerpt: masker.excerpt(&self.body),
        }
    }

    /// Whether it is a page for people, so that its status is not that of the API.
    pub(super) fn is_web_page(&self) -> bool {
        self.content_type().trim_start().to_ascii_lowercase().starts_with("text/html")
    }

    /// The content type as it came; empty where there is none. What is judged is never masked: a password may be a word
    /// of the protocol.
    fn content_type(&self) -> Cow<'_, str> {
        self.headers
            .get(CONTENT_TYPE)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .unwrap_or_default()
    }

    /// The content type, fit to be shown; empty where there is none.
    pub(super) fn shown_content_type(&self, masker: &Masker) -> String {
        self.headers.get(CONTENT_TYPE).map(|value| masker.excerpt(value.as_bytes())).unwrap_or_default()
    }
}

/// A file without a certificate would be taken for one that adds none, and a broken one be named by nobody.
fn check_certificates(file: &CaFile) -> Result<(), ApiError> {
    let unusable = |problem| ApiError::CaFile { file: file.name.clone(), problem };
    let mut found = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&file.pem) {
        let added = certificate.is_ok_and(|certificate| found.add(certificate).is_ok());
        if !added {
            return Err(unusable("holds a damaged certificate"));
        }
    }
    if found.is_empty() { Err(unusable("holds no certificate in PEM form")) } else { Ok(()) }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// Whether TLS itself failed, as with a certificate that is not trusted: that does not mend itself.
fn names_tls(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = next {
        if current.is::<rustls::Error>() {
            return true;
        }
        // An I/O error shows as its source not what it wraps but the source of that.
        next = match current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => current.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: &str, expected: bool) {
        assert_eq!(is_json(content_type), expected, "{content_type}");
    }

    #[test]
    fn json_types() {
        check("application/json", true);
        check("Application/JSON; charset=utf-8", true);
        check("application/problem+json", true);
        check("text/html", false);
        check("text/plain", false);
        check("application/jsonx", false);
    }
}
