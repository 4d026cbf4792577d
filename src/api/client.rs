//! The client: token, gate, retries and transport put together into the calls of [`ReadApi`] and [`WriteApi`].

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde_json::{Value, json};

use super::counts::{CallCounts, CallKind, Counters, Traffic};
use super::error::{ApiError, CallFailure, ListFailure, WriteError, is_transient_status};
use super::gate::{Gate, Pass};
use super::gateway::Gateway;
use super::limits::LimitHeaders;
use super::retry::{RetryPolicy, Tries};
use super::settings::{Credentials, Settings};
use super::sweep::{Page, Sweep, error_code_of, is_record_limit, rows_of};
use super::token::{Token, TokenStore};
use super::transport::{Answer, Transport};
use super::{Listed, ReadApi, UpdatesKnown, WriteApi};
use crate::job::SettableStatus;
use crate::lean::Lean;

/// Longest wait of a write at the gate. Beyond it, what was read just before the write could be out of date.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// A client of one gateway with one login. Share it by reference; it holds no lock while it waits for an answer.
#[derive(Debug)]
pub struct Client {
    pub(super) gateway: Gateway,
    pub(super) transport: Transport,
    pub(super) gate: Gate,
    pub(super) retry: RetryPolicy,
    pub(super) counters: Counters,
    tokens: TokenStore,
    pub(super) page_size: u32,
    list_page_limit_bytes: usize,
    job_limit_bytes: usize,
    simulator: Mutex<Option<UpdatesKnown>>,
}

/// What a read came to, once retries, waiting and the token are dealt with.
#[derive(Debug)]
enum Reading<T> {
    /// What was made of the JSON.
    Json(T),
    NoContent,
    /// A 4xx, which the caller knows how to take.
    Refused {
        answer: Answer,
        tries: u32,
    },
}

impl Client {
    /// Makes a client; nothing is sent yet.
    ///
    /// Takes some 70 ms where a trust store is read, so make one only where calls will be made.
    ///
    /// # Errors
    /// [`ApiError::Setup`].
    pub fn new(settings: Settings) -> Result<Self, ApiError> {
        let transport = Transport::new(&settings)?;
        match &settings.credentials {
            Credentials::User { password, .. } => transport.masker.remember(password),
            Credentials::Token(token) => transport.masker.remember(token),
        }
        Ok(Self {
            transport,
            gate: Gate::new(&settings),
            retry: RetryPolicy::new(&settings),
            counters: Counters::default(),
            page_size: settings.page_size.get(),
            list_page_limit_bytes: settings.list_page_limit_bytes,
            job_limit_bytes: settings.job_limit_bytes,
            simulator: Mutex::new(None),
            gateway: settings.gateway,
            tokens: TokenStore::new(settings.credentials),
        })
    }

    /// Logs in, unless a token is held. Every call does this by itself; `doctor` wants it alone.
    ///
    /// # Errors
    /// As the login failed. A token that was given is not tried by this.
    pub async fn log_in(&self) -> Result<(), ApiError> {
        self.tokens.current(self).await.map(|_| ())
    }

    /// What the embedded simulator said at the login about its updates; `None` before it, and for any other gateway.
    ///
    /// Believed only of a gateway on this machine: the answer decides how much of a job a PATCH carries.
    pub fn simulator_updates(&self) -> Option<UpdatesKnown> {
        *self.simulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes received and time waited so far.
    pub fn traffic(&self) -> Traffic {
        Traffic { bytes_received: self.transport.bytes_received(), waited: self.gate.waited() }
    }

    /// The last rate-limit headers seen on any answer; `None` if there were none (REFERENCE section 3).
    pub fn limits_seen(&self) -> Option<LimitHeaders> {
        self.gate.last_seen()
    }

    /// How far the gateway's clock is ahead of this machine's, negative where it is behind, by the `Date` of the last
    /// answer that bears one; good to about a second, the time of the call not taken into account.
    pub fn clock_ahead(&self) -> Option<jiff::SignedDuration> {
        self.transport.clock_ahead()
    }

    /// The gateway that it speaks to.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    pub(super) fn note_simulator(&self, updates: Option<UpdatesKnown>) {
        if self.gateway.is_loopback() {
            *self.simulator.lock().unwrap_or_else(PoisonError::into_inner) = updates;
        }
    }

    /// Tells the gate what an answer says about the rate limit. Returns whether it was a refusal (429).
    pub(super) fn note(&self, pass: &Pass<'_>, answer: &Answer) -> bool {
        let limits = answer.limits();
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            self.gate.refused(pass, &limits);
            return true;
        }
        self.gate.answered(pass, &limits);
        if answer.status == StatusCode::SERVICE_UNAVAILABLE
            && let Some(wait) = limits.retry_after
        {
            self.gate.pause(wait);
        }
        false
    }

    fn request(&self, method: Method, url: &Url, token: &Token) -> RequestBuilder {
        self.transport
            .request(method, url.clone())
            .header(AUTHORIZATION, token.header.clone())
            .header(ACCEPT, "application/json")
    }

    /// Sends a read until it has an answer that is worth having, and makes of its JSON what is wanted.
    async fn read<T>(
        &self,
        kind: CallKind,
        url: Url,
        call: &str,
        limit_bytes: usize,
        parse: impl Fn(&[u8]) -> serde_json::Result<T>,
    ) -> Result<Reading<T>, ApiError> {
        let mut tries = Tries::new(&self.gate, &self.retry, call);
        let mut has_renewed = false;
        loop {
            let (pass, token) = self.enter_with_token(call).await?;
            tries.sends();
            self.counters.count(kind, tries.is_repeat());
            let request = self.request(Method::GET, &url, &token);
            let outcome = self.transport.exchange(request, limit_bytes).await;
            let is_throttled = outcome.as_ref().is_ok_and(|answer| self.note(&pass, answer));
            self.note_refused_token(&token, &outcome);
            drop(pass);
            if is_throttled {
                continue;
            }
            let answer = match outcome {
                Ok(answer) => answer,
                Err(cause) => {
                    tries.again(cause.of(kind)).await?;
                    continue;
                }
            };
            if answer.status == StatusCode::UNAUTHORIZED {
                if has_renewed {
                    return Err(ApiError::NewTokenRefused {
                        call: call.to_owned(),
                        is_web_page: answer.is_web_page(),
                    });
                }
                self.tokens.renew(self, &token, call, &answer).await?;
                has_renewed = true;
                continue;
            }
            token.accepted();
            let masker = &self.transport.masker;
            if answer.status.is_success() {
                match answer.json_as(masker, &parse) {
                    Ok(Some(body)) => return Ok(Reading::Json(body)),
                    Ok(None) => return Ok(Reading::NoContent),
                    Err(cause) => tries.again(cause).await?,
                }
            } else if answer.status == StatusCode::FORBIDDEN {
                return Err(ApiError::Forbidden {
                    call: call.to_owned(),
                    excerpt: masker.excerpt(&answer.body),
                    is_web_page: answer.is_web_page(),
                });
            } else if answer.status.is_client_error() && !is_transient_status(answer.status) {
                return Ok(Reading::Refused { answer, tries: tries.n_sent() });
            } else {
                tries.again(answer.as_failure(masker)).await?;
            }
        }
    }

    /// Sends a write once; a second time only after a 401, which is a definite answer that nothing was done.
    async fn write(
        &self,
        kind: CallKind,
        method: Method,
        segments: &[&str],
        body: &Value,
    ) -> Result<Value, WriteError> {
        let url = self.gateway.endpoint(segments);
        let call = format!("{method} {}", url.path());
        let bytes = serde_json::to_vec(body).expect("internal error: a JSON value can be written as JSON");
        let mut has_renewed = false;
        loop {
            let Some((pass, token)) = self.enter_soon(&call).await? else {
                let wait = self.gate.closed_for().unwrap_or_default();
                return Err(WriteError::Throttled { call, wait });
            };
            self.counters.count(kind, has_renewed);
            let request = self
                .request(method.clone(), &url, &token)
                .header(CONTENT_TYPE, "application/json")
                .body(bytes.clone());
            let outcome = self.transport.exchange(request, self.job_limit_bytes).await;
            let is_throttled = outcome.as_ref().is_ok_and(|answer| self.note(&pass, answer));
            self.note_refused_token(&token, &outcome);
            drop(pass);
            if is_throttled {
                let wait = self.gate.closed_for().unwrap_or_default();
                return Err(WriteError::Throttled { call, wait });
            }
            let answer = match outcome {
                Ok(answer) => answer,
                Err(cause @ (CallFailure::Connect(_) | CallFailure::Tls(_))) => {
                    return Err(WriteError::NotSent(once(call, cause)));
                }
                Err(cause) => return Err(WriteError::Unclear(once(call, cause))),
            };
            if answer.status == StatusCode::UNAUTHORIZED {
                if has_renewed {
                    return Err(WriteError::Refused(ApiError::NewTokenRefused {
                        call,
                        is_web_page: answer.is_web_page(),
                    }));
                }
                self.tokens.renew(self, &token, &call, &answer).await.map_err(WriteError::Refused)?;
                has_renewed = true;
                continue;
            }
            token.accepted();
            return self.judge_write(call, &answer);
        }
    }

    /// The right to send a read, and the token that is the newest when it comes: calls stand in line for long, and the
    /// one that was the newest before may be over or refused meanwhile.
    async fn enter_with_token(&self, call: &str) -> Result<(Pass<'_>, Token), ApiError> {
        let mut is_first = true;
        loop {
            self.tokens.current(self).await?;
            let pass = self.gate.enter(call).await?;
            if let Some(token) = self.token_for(is_first) {
                return Ok((pass, token));
            }
            is_first = false;
        }
    }

    /// The right to send a write and the newest token, or `None` where it would come too late.
    async fn enter_soon(&self, call: &str) -> Result<Option<(Pass<'_>, Token)>, WriteError> {
        let mut is_first = true;
        loop {
            self.tokens.current(self).await.map_err(WriteError::NotSent)?;
            // Asked before standing in line, so that a wait which nobody sits out is not charged to the budget.
            if self.gate.closed_for().is_some_and(|wait| wait > WRITE_PATIENCE) {
                return Ok(None);
            }
            let Ok(entered) = tokio::time::timeout(WRITE_PATIENCE, self.gate.enter(call)).await else {
                return Ok(None);
            };
            let pass = entered.map_err(WriteError::NotSent)?;
            if let Some(token) = self.token_for(is_first) {
                return Ok(Some((pass, token)));
            }
            is_first = false;
        }
    }

    /// The newest token for who has a place at the gate; `None` where a login is due, for which the place must be given
    /// back. One that is over by the clock is given back for only once: a life shorter than the way through the gate
    /// would go round for ever, and if it is over, a 401 tells.
    fn token_for(&self, is_first: bool) -> Option<Token> {
        self.tokens.newest().filter(|token| !is_first || token.is_good())
    }

    /// Keeps all further calls from a token that was just refused; before the place at the gate is given up.
    fn note_refused_token(&self, token: &Token, outcome: &Result<Answer, CallFailure>) {
        if outcome.as_ref().is_ok_and(|answer| answer.status == StatusCode::UNAUTHORIZED) {
            self.tokens.refused(token);
        }
    }

    fn judge_write(&self, call: String, answer: &Answer) -> Result<Value, WriteError> {
        let masker = &self.transport.masker;
        let unclear = |call, problem: &str| {
            let cause = CallFailure::Unexpected {
                problem: problem.to_owned(),
                excerpt: masker.excerpt(&answer.body),
            };
            WriteError::Unclear(once(call, cause))
        };
        if answer.status.is_success() {
            return match answer.json(masker) {
                Ok(Some(body)) if body.get("_error").is_some() => {
                    Err(unclear(call, "the answer is a success that holds an error"))
                }
                Ok(Some(body)) => Ok(body),
                Ok(None) => Err(unclear(call, "the answer is a success without content")),
                Err(cause) => Err(WriteError::Unclear(once(call, cause))),
            };
        }
        if answer.status == StatusCode::FORBIDDEN {
            return Err(WriteError::Refused(ApiError::Forbidden {
                call,
                excerpt: masker.excerpt(&answer.body),
                is_web_page: answer.is_web_page(),
            }));
        }
        let cause = answer.as_failure(masker);
        let is_definite = answer.status.is_client_error() && !is_transient_status(answer.status);
        let error = once(call, cause);
        Err(if is_definite { WriteError::Refused(error) } else { WriteError::Unclear(error) })
    }

    /// Asks for one page of the list, and makes of each row what is wanted.
    pub(super) async fn read_page<T>(
        &self,
        platform: &str,
        page: u32,
        make: impl Fn(&Lean<'_>) -> T,
    ) -> Result<Page<T>, ApiError> {
        let mut url = self.gateway.endpoint(&["pm", "v1", "deploymentjobs", "summary"]);
        let call = format!("GET {} (page {page} of {platform})", url.path());
        url.query_pairs_mut()
            .append_pair("platform", platform)
            .append_pair("pageNumber", &page.to_string())
            .append_pair("pageSize", &self.page_size.to_string());
        let masker = &self.transport.masker;
        let parse = |json: &[u8]| {
            let body = Lean::parse(json)?;
            Ok(match body.get("_error") {
                None => Ok(rows_of(&body, platform, &make)),
                Some(_) => {
                    let code = error_code_of(&body.to_value());
                    Err((is_record_limit(code.as_deref(), json), masker.excerpt(json)))
                }
            })
        };
        match self.read(CallKind::List, url, &call, self.list_page_limit_bytes, parse).await? {
            Reading::NoContent => Ok(Page::NoContent),
            Reading::Json(Ok(rows)) => Ok(Page::Body(rows)),
            Reading::Json(Err((is_record_limit, excerpt))) => {
                let problem = "the answer is a success that holds an error".to_owned();
                let error = once(call, CallFailure::Unexpected { problem, excerpt });
                Ok(Page::Refused { is_record_limit, error })
            }
            Reading::Refused { answer, tries } => {
                let cause = answer.as_failure(masker);
                let is_record_limit = match &cause {
                    CallFailure::Status { error_code, .. } => {
                        is_record_limit(error_code.as_deref(), &answer.body)
                    }
                    _ => false,
                };
                Ok(Page::Refused { is_record_limit, error: ApiError::Call { call, tries, cause } })
            }
        }
    }
}

impl ReadApi for Client {
    async fn list_jobs(&self, platform: &str) -> Result<Vec<Value>, ApiError> {
        Ok(self.list_rows(platform, |row| row.to_value()).await?.rows)
    }

    async fn list_rows<T: Send>(
        &self,
        platform: &str,
        make: impl Fn(&Lean<'_>) -> T + Send + Sync,
    ) -> Result<Listed<T>, ApiError> {
        let mut sweep = Sweep::new(self.page_size);
        let mut n_calls = 0;
        while let Some(page) = sweep.next_page() {
            n_calls += 1;
            let taken = match self.read_page(platform, page, &make).await {
                Ok(answer) => sweep.take(answer),
                Err(error @ ApiError::Call { .. }) => Err(ListFailure::Page(Box::new(error))),
                // The login and the wait budget are no matter of this list.
                Err(error) => return Err(error),
            };
            taken.map_err(|cause| ApiError::List {
                platform: platform.to_owned(),
                pages_read: sweep.pages_read(),
                cause,
            })?;
        }
        Ok(Listed { rows: sweep.finish(), n_calls })
    }

    async fn get_job(&self, id: &str) -> Result<Option<Value>, ApiError> {
        self.look_at_job(id, |_, job| job.to_value()).await
    }

    async fn look_at_job<T: Send>(
        &self,
        id: &str,
        look: impl Fn(&[u8], &Lean<'_>) -> T + Send + Sync,
    ) -> Result<Option<T>, ApiError> {
        let id = checked_id(id)?;
        let url = self.gateway.endpoint(&["pm", "v1", "deploymentjob", id]);
        let call = format!("GET {}", url.path());
        let masker = &self.transport.masker;
        let parse = |json: &[u8]| {
            let job = Lean::parse(json)?;
            let is_it =
                job.get("id").and_then(Lean::as_str).is_some_and(|found| found.eq_ignore_ascii_case(id));
            Ok(if is_it { Ok(look(json, &job)) } else { Err(masker.excerpt(json)) })
        };
        match self.read(CallKind::Read, url, &call, self.job_limit_bytes, parse).await? {
            Reading::Json(Ok(job)) => Ok(Some(job)),
            Reading::Json(Err(excerpt)) => {
                let problem = format!("the answer is not the job `{id}`");
                Err(once(call, CallFailure::Unexpected { problem, excerpt }))
            }
            Reading::NoContent => {
                let problem = "the answer is a success without content".to_owned();
                Err(once(call, CallFailure::Unexpected { problem, excerpt: String::new() }))
            }
            // A proxy's page is no word of the API that the job is gone.
            Reading::Refused { answer, .. }
                if answer.status == StatusCode::NOT_FOUND && !answer.is_web_page() =>
            {
                Ok(None)
            }
            Reading::Refused { answer, tries } => {
                Err(ApiError::Call { call, tries, cause: answer.as_failure(masker) })
            }
        }
    }

    fn calls(&self) -> CallCounts {
        self.counters.snapshot()
    }

    fn waited(&self) -> Duration {
        self.gate.waited()
    }
}

impl WriteApi for Client {
    async fn update_job(&self, id: &str, body: &Value) -> Result<Value, WriteError> {
        let id = checked_id(id).map_err(WriteError::NotSent)?;
        self.write(CallKind::Update, Method::PATCH, &["pm", "v1", "deploymentjob", "update", id], body).await
    }

    async fn create_job(&self, body: &Value) -> Result<Value, WriteError> {
        self.write(CallKind::Create, Method::POST, &["pm", "v1", "deploymentjob"], body).await
    }

    async fn set_status(&self, status: SettableStatus, ids: &[&str]) -> Result<Value, WriteError> {
        let segments = ["pm", "v1", "deploymentjobs", "update", "status", status.as_str()];
        self.write(CallKind::Status, Method::POST, &segments, &json!({ "ids": ids })).await
    }

    async fn delete_jobs(&self, ids: &[&str]) -> Result<Value, WriteError> {
        self.write(CallKind::Delete, Method::DELETE, &["pm", "v1", "deploymentjobs"], &json!({ "ids": ids }))
            .await
    }
}

/// An id that stays one segment of a path: an empty one would turn a read of one job into another call.
fn checked_id(id: &str) -> Result<&str, ApiError> {
    let is_fit = (1..=128).contains(&id.len())
        && id.chars().all(|character| character.is_ascii_alphanumeric() || "-_".contains(character));
    if is_fit { Ok(id) } else { Err(ApiError::BadId { id: id.escape_debug().take(128).collect() }) }
}

fn once(call: String, cause: CallFailure) -> ApiError {
    ApiError::Call { call, tries: 1, cause }
}
