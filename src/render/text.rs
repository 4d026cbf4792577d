//! Pieces of text for people: colours, safe foreign text, paths, values, wrapping.

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::script;

/// How text is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Whether escape codes may be used.
    pub colour: bool,
    /// Columns to fill at most.
    pub width: usize,
}

/// What a piece of text says by its colour; without colour the words alone must say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something comes.
    Added,
    /// Something goes.
    Removed,
    /// Something changes.
    Changed,
    /// Something is wrong or dangerous.
    Danger,
    /// Something is right.
    Good,
    /// Worth finding quickly.
    Strong,
    /// Worth less attention.
    Faint,
}

impl Layout {
    /// Puts a piece of text into its colour.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let style = anstyle::Style::new();
        let colour = |colour: anstyle::AnsiColor| style.fg_color(Some(colour.into()));
        let style = match tone {
            Tone::Added | Tone::Good => colour(anstyle::AnsiColor::Green),
            Tone::Removed => colour(anstyle::AnsiColor::Red),
            Tone::Changed => colour(anstyle::AnsiColor::Yellow),
            Tone::Danger => colour(anstyle::AnsiColor::Red).bold(),
            Tone::Strong => style.bold(),
            Tone::Faint => style.dimmed(),
        };
        format!("{style}{text}{style:#}")
    }

    /// Breaks a text at blanks so that it fits, further lines indented; a longer word stays whole.
    pub fn wrap(&self, text: &str, first_indent: usize, indent: usize) -> String {
        let mut out = " ".repeat(first_indent);
        let mut used = first_indent;
        let mut is_first = true;
        for word in text.split(' ') {
            let width = word.width();
            if !is_first && used + 1 + width > self.width.max(indent + 20) {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                used = indent;
            } else if !is_first {
                out.push(' ');
                used += 1;
            }
            out.push_str(word);
            used += width;
            is_first = false;
        }
        out
    }
}

/// Makes text from elsewhere safe to print in one line: control characters are written out.
///
/// A job's name comes from whoever may edit jobs; it must not be able to move the cursor or hide a line.
pub fn clean(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        let hidden = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        match character {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            character if hidden => out.push_str(&character.escape_unicode().to_string()),
            character => out.push(character),
        }
    }
    out
}

/// A JSON Pointer as people write paths: `postDeployment.rebootCountdown.interval`, `preDeployActions[0]`.
pub fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        let is_position = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_position {
            path.push_str(&format!("[{part}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&part.replace("~1", "/").replace("~0", "~"));
        }
    }
    clean(&path)
}

/// A canonical value in one line.
pub fn value(value: &Value) -> String {
    if let Some(words) = script_words(value) {
        return words;
    }
    match value {
        Value::Null => "(none)".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => scalar_text(text),
        Value::Array(items) => format!("[{}]", items.iter().map(self::value).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members =
                members.iter().map(|(name, inner)| format!("{}: {}", clean(name), self::value(inner)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text bare where it can not be mistaken, in quotes elsewhere; dates with a blank in place of the T.
fn scalar_text(text: &str) -> String {
    if text.len() == 19 && text.as_bytes()[10] == b'T' && text.parse::<jiff::civil::DateTime>().is_ok() {
        return text.replacen('T', " ", 1).trim_end_matches(":00").to_owned()
            + if text.ends_with("00:00") { ":00" } else { "" };
    }
    let bare = !text.is_empty()
        && !text.contains(char::is_whitespace)
        && text.chars().all(|c| c.is_alphanumeric() || "-_.@/+".contains(c));
    if bare { text.to_owned() } else { format!("\"{}\"", clean(text)) }
}

/// A script in words: its content is never shown here.
fn script_words(value: &Value) -> Option<String> {
    if let Some(digest) = script::declared_digest(value) {
        let bytes = value.get("bytes").and_then(Value::as_u64).unwrap_or_default();
        return Some(format!("{} bytes, sha256 {}", bytes, digest.get(..12).unwrap_or(digest)));
    }
    script::stored_path(value).map(|_| "(content unknown)".to_owned())
}

/// `1 job`, `2 jobs`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_read_like_what_people_write() {
        assert_eq!(value(&json!("2026-12-01T02:00:00")), "2026-12-01 02:00");
        assert_eq!(value(&json!("2026-12-01T00:00:00")), "2026-12-01 00:00");
        assert_eq!(value(&json!("2026-12-01T02:30:15")), "2026-12-01 02:30:15");
        assert_eq!(value(&json!(["Tue", "Thu"])), "[Tue, Thu]");
        assert_eq!(value(&json!("Run Script")), "\"Run Script\"");
        assert_eq!(value(&json!("")), "\"\"");
        assert_eq!(value(&json!(null)), "(none)");
        assert_eq!(value(&json!({"stored": "a/b/Script"})), "(content unknown)");
    }

    #[test]
    fn foreign_text_can_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\nc\\u{202e}d");
    }

    #[test]
    fn text_is_wrapped_at_blanks() {
        let layout = Layout { colour: false, width: 24 };
        assert_eq!(layout.wrap("one two three four five six", 2, 4), "  one two three four\n    five six");
        assert_eq!(
            layout.wrap("averyveryverylongwordthatdoesnotfit x", 0, 2),
            "averyveryverylongwordthatdoesnotfit\n  x"
        );
    }

    #[test]
    fn pointers_read_like_paths() {
        assert_eq!(dotted("/preDeployActions/0/params/timeout"), "preDeployActions[0].params.timeout");
        assert_eq!(dotted("/a~1b"), "a/b");
    }
}
