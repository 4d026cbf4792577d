#![expect(clippy::disallowed_methods, reason = "the end of a token's life is given as a wall-clock time")]

//! The token: got once, kept for its life, and renewed once for all calls in flight when the gateway refuses it.
//!
//! It is kept in memory only. A refused login is remembered and never tried a second time: accounts get locked.
//!
//! A login passes the gate like any other call. So nobody logs in, or waits for one who does, while holding a place
//! there: with one call at a time that would be for ever. Who has a place looks at [`TokenStore::newest`], and gives
//! the place back where there is none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::Instant;

use super::UpdatesKnown;
use super::client::Client;
use super::counts::CallKind;
use super::error::{ApiError, CallFailure};
use super::retry::Tries;
use super::settings::Credentials;
use super::transport::Answer;

/// Life of a token that does not say (REFERENCE section 2).
const DOCUMENTED_LIFE: Duration = Duration::from_hours(4);

/// How long before its end a token is no longer used: longer than any one request may take.
const MARGIN: Duration = Duration::from_mins(1);

/// Largest answer of `/auth`; tokens are a few kilobytes.
const TOKEN_LIMIT_BYTES: usize = 64 << 10;

/// Header by which the simulator says what it is (DESIGN section 6): `updates=merge` or `updates=replace`.
const SIMULATOR_HEADER: &str = "x-patchctl-simulator";

/// A token in use, as the header that carries it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    generation: u64,
    good_until: Option<Instant>,
    /// Got because the one before was refused.
    is_renewed: bool,
    /// Some call with it got another answer than 401.
    was_accepted: Arc<AtomicBool>,
}

impl Token {
    /// Takes note that the gateway accepts it.
    pub(super) fn accepted(&self) {
        self.was_accepted.store(true, Ordering::Relaxed);
    }

    /// Whether its life is not over by the clock.
    pub(super) fn is_good(&self) -> bool {
        self.good_until.is_none_or(|end| Instant::now() < end)
    }

    /// Got after a refusal, and never good for anything: another login would not help.
    fn is_hopeless(&self) -> bool {
        self.is_renewed && !self.was_accepted.load(Ordering::Relaxed)
    }
}

/// Holds the token of a client.
#[derive(Debug)]
pub(super) struct TokenStore {
    credentials: Credentials,
    /// `None` before the first login, and from a refusal to the login that comes of it.
    newest: Mutex<Option<Token>>,
    /// Held by who logs in, which makes a renewal one for all.
    logins: tokio::sync::Mutex<Logins>,
}

#[derive(Debug, Default)]
struct Logins {
    generation: u64,
    /// Whether the token before was refused.
    is_renewal: bool,
    refused: Option<(u16, String)>,
}

impl TokenStore {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, newest: Mutex::default(), logins: tokio::sync::Mutex::default() }
    }

    /// The token of the last login; `None` where one is due. It may be over by the clock. Never waits.
    pub(super) fn newest(&self) -> Option<Token> {
        self.lock().clone()
    }

    /// Takes note that a call was refused with a token, so that no further call goes with it.
    ///
    /// To be said before the call gives up its place at the gate: who gets the place looks for the newest token.
    pub(super) fn refused(&self, token: &Token) {
        // A given token stays as it is, and so does one after which nothing else is tried.
        if matches!(self.credentials, Credentials::User { .. }) && !token.is_hopeless() {
            self.lock().take_if(|newest| newest.generation == token.generation);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Token>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token to use now; logs in where there is none or its life is over.
    ///
    /// # Errors
    /// As the login failed.
    pub(super) async fn current(&self, client: &Client) -> Result<Token, ApiError> {
        let mut logins = self.logins.lock().await;
        match self.newest().filter(Token::is_good) {
            Some(token) => Ok(token),
            None => self.obtain(client, &mut logins).await,
        }
    }

    /// Sees to it that there is a token to use after `refused` got a 401 for `call`: the newer one, where another call
    /// has renewed it meanwhile, or that of a new login.
    ///
    /// # Errors
    /// [`ApiError::GivenTokenRefused`] for `QUALYS_TOKEN`, [`ApiError::NewTokenRefused`] where the refused token was
    /// itself a renewal that never worked, or as the login failed.
    pub(super) async fn renew(
        &self,
        client: &Client,
        refused: &Token,
        call: &str,
        answer: &Answer,
    ) -> Result<(), ApiError> {
        if matches!(self.credentials, Credentials::Token(_)) {
            return Err(ApiError::GivenTokenRefused { host: client.gateway.host(), call: call.to_owned() });
        }
        let mut logins = self.logins.lock().await;
        if self.newest().is_some_and(|newest| newest.generation != refused.generation) {
            return Ok(());
        }
        if refused.is_hopeless() {
            return Err(ApiError::NewTokenRefused {
                call: call.to_owned(),
                is_web_page: answer.is_web_page(),
            });
        }
        logins.is_renewal = true;
        self.obtain(client, &mut logins).await.map(|_| ())
    }

    async fn obtain(&self, client: &Client, logins: &mut Logins) -> Result<Token, ApiError> {
        let (secret, life) = match &self.credentials {
            Credentials::Token(given) => (given.clone(), None),
            Credentials::User { name, password } => {
                if let Some((status, excerpt)) = logins.refused.clone() {
                    return Err(ApiError::LoginRefused {
                        host: client.gateway.host(),
                        user: name.clone(),
                        status,
                        excerpt,
                    });
                }
                let outcome = log_in(client, name, password).await;
                if let Err(ApiError::LoginRefused { status, excerpt, .. }) = &outcome {
                    logins.refused = Some((*status, excerpt.clone()));
                }
                let text = outcome?;
                let life = life_of(text.expose_secret(), SystemTime::now());
                (text, Some(life))
            }
        };
        client.transport.masker.remember(&secret);
        let mut header = HeaderValue::from_str(&format!("Bearer {}", secret.expose_secret().trim()))
            .map_err(|_| ApiError::BadToken)?;
        header.set_sensitive(true);
        logins.generation += 1;
        let token = Token {
            header,
            generation: logins.generation,
            good_until: life.map(|life| Instant::now() + life),
            is_renewed: std::mem::take(&mut logins.is_renewal),
            was_accepted: Arc::new(AtomicBool::new(false)),
        };
        *self.lock() = Some(token.clone());
        Ok(token)
    }
}

/// Turns name and password into a token. Repeated like a read, because it changes nothing, also where the answer is no
/// token; a refusal is final.
async fn log_in(client: &Client, name: &str, password: &SecretString) -> Result<SecretString, ApiError> {
    let url = client.gateway.endpoint(&["auth"]);
    let call = format!("POST {}", url.path());
    client.transport.masker.remember(password);
    let mut tries = Tries::new(&client.gate, &client.retry, &call);
    loop {
        let pass = tries.enter().await?;
        client.counters.count(CallKind::Auth, tries.is_repeat());
        let form = [
            ("username", name),
            ("password", password.expose_secret()),
            ("token", "true"),
            ("permissions", "true"),
        ];
        let request = client.transport.request(Method::POST, url.clone()).form(&form);
        let answer = match client.transport.exchange(request, TOKEN_LIMIT_BYTES).await {
            Ok(answer) => answer,
            Err(cause) => {
                drop(pass);
                tries.again(cause).await?;
                continue;
            }
        };
        if client.note(&pass, &answer) {
            continue;
        }
        drop(pass);
        match answer.status {
            status if status.is_success() => {
                client.note_simulator(simulator_updates(&answer));
                match token_in(client, answer) {
                    Ok(token) => return Ok(token),
                    // Nonsense is no word about the login, so that asking again does not count against the account.
                    Err(found) => {
                        if !tries.pause(format!("the answer is not a token ({found})")).await {
                            let host = client.gateway.host();
                            return Err(ApiError::NotAToken { host, found, tries: tries.n_sent() });
                        }
                    }
                }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(ApiError::LoginRefused {
                    host: client.gateway.host(),
                    user: name.to_owned(),
                    status: answer.status.as_u16(),
                    excerpt: client.transport.masker.excerpt(&answer.body),
                });
            }
            _ => tries.again(login_failure(client, &answer)).await?,
        }
    }
}

fn login_failure(client: &Client, answer: &Answer) -> CallFailure {
    answer.as_failure(&client.transport.masker)
}

/// The body is the bare token, not JSON (REFERENCE section 2), or else what is said of it. It is never shown, whatever
/// it is.
fn token_in(client: &Client, answer: Answer) -> Result<SecretString, String> {
    let content_type = answer.shown_content_type(&client.transport.masker);
    let n_bytes = answer.body.len();
    let text = String::from_utf8(answer.body).map(SecretString::from).ok();
    let token = text.as_ref().map(|text| text.expose_secret().trim()).filter(|token| is_token(token));
    match token {
        Some(token) => Ok(SecretString::from(token)),
        None => {
            let kind = if content_type.is_empty() {
                "no content type".to_owned()
            } else {
                format!("`{content_type}`")
            };
            Err(format!("{kind}, {n_bytes} bytes"))
        }
    }
}

/// The characters of RFC 6750, section 2.1; HTML and JSON have others.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "-._~+/=".contains(character))
}

/// How long a token may be used from now: to its `exp` less a minute, or four hours less a minute.
///
/// Where the token says when it was issued, its life is `exp - iat`, so that a wrong clock here does no harm. A token
/// that seems to be over already is used all the same: if it is, a 401 tells.
fn life_of(token: &str, now: SystemTime) -> Duration {
    let claims: Option<Value> = token
        .split('.')
        .nth(1)
        .and_then(|payload| URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok())
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let seconds = |name: &str| claims.as_ref()?.get(name)?.as_f64().filter(|value| *value >= 0.0);
    let now_seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let life = seconds("exp")
        .map(|end| end - seconds("iat").unwrap_or(now_seconds))
        .filter(|life| *life > 0.0)
        .and_then(|life| Duration::try_from_secs_f64(life).ok())
        .unwrap_or(DOCUMENTED_LIFE)
        .min(DOCUMENTED_LIFE * 6);
    // A life of less than two margins (the simulator can do that) is used to its half.
    life.saturating_sub(MARGIN).max(life / 2)
}

fn simulator_updates(answer: &Answer) -> Option<UpdatesKnown> {
    let text = answer.headers.get(SIMULATOR_HEADER)?.to_str().ok()?;
    text.split([';', ',', ' ']).find_map(|part| match part.trim() {
        "updates=merge" => Some(UpdatesKnown::Merge),
        "updates=replace" => Some(UpdatesKnown::Replace),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(claims: &str, expected_seconds: u64) {
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert_eq!(life_of(&token, now), Duration::from_secs(expected_seconds), "{claims}");
    }

    #[test]
    fn lives() {
        check(r#"{"exp":1003600}"#, 3_540);
        check(r#"{"exp":1003600,"iat":1000000}"#, 3_540);
        // The clock here is a day off.
        check(r#"{"exp":914400,"iat":900000}"#, 14_340);
        check(r#"{"exp":900000}"#, 14_340);
        check(r#"{"exp":1000060}"#, 30);
        check(r#"{"exp":1000010,"iat":1000000}"#, 5);
        check(r#"{"exp":1e12}"#, 86_340);
        check(r#"{"exp":1e300}"#, 14_340);
        check(r#"{"exp":"soon"}"#, 14_340);
        check("not json", 14_340);
        assert_eq!(life_of("opaque", UNIX_EPOCH), Duration::from_secs(14_340));
    }

    #[test]
    fn what_a_token_looks_like() {
        assert!(is_token("eyJ.a-b_c.d~+/="));
        assert!(!is_token(""));
        assert!(!is_token("<html>"));
        assert!(!is_token("{\"token\":\"x\"}"));
        assert!(!is_token("two words"));
    }
}
