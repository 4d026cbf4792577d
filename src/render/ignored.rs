//! What rules leave alone, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::text::{Layout, Tone, clean, dotted, value};
use crate::plan::Ignored;
use crate::source::Place;

/// Said where the list was asked for in Markdown.
pub const NOT_IN_MARKDOWN: &str = "what is ignored is not in the Markdown; --output human and json list it";

/// The list of what is ignored although declared and live differ.
pub fn ignored(ignored: &[Ignored], layout: &Layout) -> String {
    let mut out = String::new();
    if ignored.is_empty() {
        let _ = writeln!(out, "Nothing that rules leave alone differs.\n");
        return out;
    }
    for (at, one) in ignored.iter().enumerate() {
        if at == 0 || ignored[at - 1].key != one.key {
            let head = layout.paint(Tone::Faint, ". ignored");
            let key = layout.paint(Tone::Strong, &one.key);
            let _ = writeln!(out, "{head} {key}  \"{}\"", clean(&one.name));
        }
        let sides =
            format!("{}: declared {}, live {}", dotted(&one.path), value(&one.declared), value(&one.live));
        let _ = writeln!(out, "{}", layout.wrap(&sides, 4, 6));
        let mut rule = format!("= {}", clean(&one.rule.to_string()));
        if let Some(reason) = &one.reason {
            let _ = write!(rule, ": {}", clean(reason));
        }
        if let Some(until) = one.until {
            let _ = write!(rule, " (until {until})");
        }
        let _ = writeln!(out, "{}", layout.paint(Tone::Faint, &layout.wrap(&rule, 4, 6)));
        if ignored.get(at + 1).is_none_or(|next| next.key != one.key) {
            out.push('\n');
        }
    }
    out
}

/// The same for programs.
pub fn json(ignored: &[Ignored]) -> Value {
    ignored
        .iter()
        .map(|one| {
            json!({
                "key": one.key,
                "id": one.id,
                "name": one.name,
                "path": one.path,
                "declared": one.declared,
                "live": one.live,
                "reason": one.reason,
                "until": one.until.map(|day| day.to_string()),
                "rule": place(&one.rule),
                "source": one.place.as_ref().map(place),
            })
        })
        .collect()
}

fn place(place: &Place) -> Value {
    let (line, column) = place.line_column();
    json!({"file": place.file.path, "line": line, "column": column})
}
