//! The first words of an answer, fit to be shown: no control characters, no password, no token.

use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};

/// Characters shown of an answer: enough for a server's sentence, too little to flood a log.
const SHOWN_CHARACTERS: usize = 200;

/// Bytes looked at. Masking comes before cutting, and a secret that starts before the cut at 200 characters must lie
/// whole within this range to be found; tokens are some 1,000 bytes long.
const EXAMINED_BYTES: usize = 64 << 10;

/// What stands in the place of a secret.
const MASK: &str = "[hidden]";

/// Knows the secrets of a client and takes them out of whatever is to be shown.
#[derive(Debug, Default)]
pub(super) struct Masker {
    secrets: Mutex<Vec<SecretString>>,
}

impl Masker {
    /// Remembers a secret in the spellings in which a server could echo it: as it is, form-encoded, JSON-escaped.
    pub(super) fn remember(&self, secret: &SecretString) {
        let plain = secret.expose_secret();
        if plain.is_empty() {
            return;
        }
        let encoded: String = url::form_urlencoded::byte_serialize(plain.as_bytes()).collect();
        let quoted = serde_json::Value::from(plain).to_string();
        let escaped = quoted.trim_matches('"').to_owned();
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        for spelling in [plain.to_owned(), encoded, escaped] {
            if !spelling.is_empty() && !secrets.iter().any(|known| known.expose_secret() == spelling) {
                secrets.push(SecretString::from(spelling));
            }
        }
        // The longest first, so that a secret within a secret does not leave half of it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
    }

    /// Returns at most the first 200 characters of a text on one line; empty for an empty one.
    pub(super) fn excerpt(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(&body[..body.len().min(EXAMINED_BYTES)]);
        let mut text = text.into_owned();
        for secret in self.secrets.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), MASK);
            }
        }
        cut(&one_line(&mask_tokens(&text)))
    }
}

/// Masks whatever looks like a JWT, also one that is not ours: `eyJ` is `{"` in base64.
fn mask_tokens(text: &str) -> String {
    let is_token_character = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("eyJ") {
        let (before, from) = rest.split_at(start);
        let end = from.find(|character| !is_token_character(character)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        masked.push_str(before);
        masked.push_str(if word.contains('.') { MASK } else { word });
        rest = after;
    }
    masked.push_str(rest);
    masked
}

/// Replaces control and formatting characters (escape sequences, direction marks) and runs of blanks by one blank.
fn one_line(text: &str) -> String {
    let is_unfit = |character: char| {
        character.is_control()
            || character.is_whitespace()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffd}' | '`')
    };
    text.split(is_unfit).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let masker = Masker::default();
        masker.remember(&SecretString::from("p&ss \"w"));
        masker.remember(&SecretString::from("opaque-token"));
        assert_eq!(masker.excerpt(body.as_bytes()), expected);
    }

    #[test]
    fn fit_to_be_shown() {
        check("", "");
        check("<html>\r\n\t<p>Hi</p>", "<html> <p>Hi</p>");
        check("a\u{1b}[31mred\u{202e}x\u{0}`y`", "a [31mred x y");
        check(&"é".repeat(300), &format!("{}…", "é".repeat(200)));
    }

    #[test]
    fn without_secrets() {
        check("no p&ss \"w here", "no [hidden] here");
        check("password=p%26ss+%22w&x", "password=[hidden]&x");
        check(r#"{"password":"p&ss \"w"}"#, r#"{"password":"[hidden]"}"#);
        check("Bearer opaque-token!", "Bearer [hidden]!");
        check("eyJhbGciOi.eyJleHAiOjF9.c2ln end", "[hidden] end");
        check("eyJonly eyJa.b", "eyJonly [hidden]");
        // A secret over the cut leaves no half.
        check(&format!("{}opaque-token", "x".repeat(195)), &format!("{}[hidd…", "x".repeat(195)));
    }

    #[test]
    fn broken_bytes_are_no_trouble() {
        assert_eq!(Masker::default().excerpt(b"\xff\xfe ok \x80"), "ok");
    }
}
