//! Logging in and recognising tokens (REFERENCE section 2).
//!
//! A token looks like a JSON Web Token and carries `sub` and `exp`, but its signature is random: it is valid because
//! it is remembered, so that it can be revoked. Nothing here is kept between runs.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::behaviour::Credentials;
use super::refusal::Refusal;

/// A token that was handed out.
#[derive(Debug)]
struct Issued {
    user: String,
    /// Epoch milliseconds from which on the token is refused.
    expires: i64,
    /// Calls that it is still good for.
    calls_left: u64,
}

/// How long a token is valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenLife {
    /// Seconds from the login on.
    pub(super) seconds: u32,
    /// Calls that it is good for.
    pub(super) calls: u64,
}

/// The tokens that are valid.
#[derive(Debug, Default)]
pub(super) struct Tokens(HashMap<String, Issued>);

impl Tokens {
    /// Checks a login form and hands out a token.
    ///
    /// `now` is in epoch milliseconds. A wrong name or password is 401; a form that does not ask for a token
    /// (`token=true`) is 400.
    pub(super) fn login(
        &mut self,
        users: &[Credentials],
        form: &[u8],
        now: i64,
        life: TokenLife,
    ) -> Result<String, Refusal> {
        let fields: HashMap<_, _> = url::form_urlencoded::parse(form).into_owned().collect();
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        if field("token") != "true" {
            return Err(Refusal::invalid("the form must hold token=true"));
        }
        let known =
            |login: &&Credentials| login.user == field("username") && login.password == field("password");
        let Some(login) = users.iter().find(known) else {
            return Err(Refusal::unauthorised("wrong user name or password"));
        };
        self.0.retain(|_, issued| issued.expires > now);
        let expires = now.saturating_add(i64::from(life.seconds) * 1000);
        let token = new_token(&login.user, now, expires);
        self.0.insert(token.clone(), Issued { user: login.user.clone(), expires, calls_left: life.calls });
        Ok(token)
    }

    /// The user whose valid token stands in an `Authorization` header; counts as one call with that token.
    pub(super) fn caller(&mut self, authorization: Option<&str>, now: i64) -> Option<&str> {
        let token = authorization?.strip_prefix("Bearer ")?;
        let issued = self.0.get_mut(token).filter(|issued| issued.expires > now)?;
        issued.calls_left = issued.calls_left.checked_sub(1)?;
        Some(&issued.user)
    }

    /// Makes every token handed out so far invalid.
    pub(super) fn revoke_all(&mut self) {
        self.0.clear();
    }
}

fn new_token(user: &str, now: i64, expires: i64) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({"alg": "HS256", "typ": "JWT"}));
    let payload = part(&json!({
        "sub": user,
        "iss": "patchctl-simulator",
        "jti": Uuid::new_v4().to_string(),
        "iat": now / 1000,
        "exp": expires / 1000,
    }));
    let random = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &[u8] = b"username=anna+b&password=p%26w&token=true&permissions=true";

    const MINUTE: TokenLife = TokenLife { seconds: 60, calls: u64::MAX };

    fn users() -> Vec<Credentials> {
        vec![Credentials::new("anna b", "p&w")]
    }

    #[test]
    fn a_token_is_valid_until_it_expires_or_is_revoked() {
        let mut tokens = Tokens::default();
        let token = tokens.login(&users(), FORM, 5_000, MINUTE).expect("right password");
        let header = format!("Bearer {token}");
        assert_eq!(tokens.caller(Some(&header), 64_999), Some("anna b"));
        assert_eq!(tokens.caller(Some(&header), 65_000), None);
        assert_eq!(tokens.caller(Some(&token), 5_000), None);
        assert_eq!(tokens.caller(None, 5_000), None);
        tokens.revoke_all();
        assert_eq!(tokens.caller(Some(&header), 5_000), None);
    }

    #[test]
    fn a_token_is_good_for_so_many_calls() {
        let mut tokens = Tokens::default();
        let life = TokenLife { calls: 2, ..MINUTE };
        let token = tokens.login(&users(), FORM, 0, life).expect("right password");
        let header = format!("Bearer {token}");
        let callers: Vec<bool> = (0..4).map(|_| tokens.caller(Some(&header), 0).is_some()).collect();
        assert_eq!(callers, [true, true, false, false]);
    }

    #[test]
    fn the_payload_says_who_and_until_when() {
        let token = Tokens::default().login(&users(), FORM, 5_000, MINUTE).expect("right password");
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!(parts.len(), 3);
        let payload = URL_SAFE_NO_PAD.decode(parts[1]).expect("base64");
        let payload: Value = serde_json::from_slice(&payload).expect("JSON");
        assert_eq!((&payload["sub"], &payload["exp"]), (&json!("anna b"), &json!(65)));
    }

    #[test]
    fn wrong_logins_are_refused() {
        #[track_caller]
        fn check(form: &str, status: u16) {
            let answer = Tokens::default().login(&users(), form.as_bytes(), 0, MINUTE);
            assert_eq!(answer.map_err(|refusal| refusal.status), Err(status));
        }
        check("username=anna+b&password=x&token=true", 401);
        check("username=bert&password=p%26w&token=true", 401);
        check("token=true", 401);
        check("username=anna+b&password=p%26w", 400);
    }
}
