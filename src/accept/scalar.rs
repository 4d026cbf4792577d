//! A scalar in the quoting of the one that it replaces; every notation is tried by reading it back.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::proof::json_of;
use crate::import::emit;
use crate::source::SourceFile;
use crate::yaml::{self, Style};

/// What stands around a scalar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// Whether it is within brackets or braces.
    pub(super) in_brackets: bool,
    /// Column of the key or dash that it belongs to: the lines of a text must be indented further.
    pub(super) indent: usize,
    /// The line break of the file.
    pub(super) line_break: &'static str,
}

/// The text of a value in the style of the one that stands there now, `old` being its text.
///
/// `None` where no notation reads back as that value.
pub(super) fn written(value: &Json, style: Style, old: &str, around: Around) -> Option<String> {
    let text = match value {
        Json::String(text) => text,
        Json::Null | Json::Bool(_) | Json::Number(_) => return Some(value.to_string()),
        Json::Array(_) | Json::Object(_) => return None,
    };
    let plain = || Some(emit::scalar(text, around.in_brackets));
    let double = || Some(emit::double_quoted(text));
    let lines = |style| if around.in_brackets { None } else { block(text, style, old, around) };
    let ways: [Option<String>; 4] = match style {
        Style::SingleQuoted => [single_quoted(text), double(), None, None],
        Style::DoubleQuoted => [double(), None, None, None],
        Style::Literal => [lines(Style::Literal), plain(), double(), None],
        Style::Folded => [lines(Style::Folded), lines(Style::Literal), plain(), double()],
        Style::Plain | Style::Block | Style::Flow => {
            let lines = if text.contains('\n') { lines(Style::Literal) } else { None };
            [lines, plain(), double(), None]
        }
    };
    ways.into_iter().flatten().find(|way| reads_back(way, value, around))
}

fn single_quoted(text: &str) -> Option<String> {
    let fits = !text.chars().any(|c| emit::needs_escape(c) || c == '\n');
    fits.then(|| format!("'{}'", text.replace('\'', "''")))
}

/// Lines after a `|` or `>`, as far as the text can be written so.
fn block(text: &str, style: Style, old: &str, around: Around) -> Option<String> {
    let (body, chomping) = match text.strip_suffix('\n') {
        Some(body) => (body, ""),
        None => (text, "-"),
    };
    let hidden = |c: char| c != '\n' && c != '\t' && emit::needs_escape(c);
    if body.is_empty() || body.ends_with('\n') || body.chars().any(hidden) {
        return None;
    }
    let is_block = old.starts_with(['|', '>']);
    let old_lines: Vec<&str> = if is_block { old.lines().skip(1).collect() } else { Vec::new() };
    let indent_of = |line: &&str| line.len() - line.trim_start_matches(' ').len();
    let used = old_lines.iter().find(|line| !line.trim().is_empty()).map(indent_of);
    let indent = used.filter(|indent| *indent > around.indent).unwrap_or(around.indent + 2);
    let first = body.split('\n').next().unwrap_or_default();
    let indicator = if first.is_empty() || first.starts_with([' ', '\t']) {
        let digit = indent - around.indent;
        if digit > 9 {
            return None;
        }
        digit.to_string()
    } else {
        String::new()
    };
    let mut out = String::new();
    let sign = if style == Style::Folded { '>' } else { '|' };
    let _ = write!(out, "{sign}{indicator}{chomping}");
    let lines = if style == Style::Folded {
        folded(body, old_lines.iter().map(|line| line.trim().chars().count()).max().unwrap_or(0))?
    } else {
        body.split('\n').map(str::to_owned).collect()
    };
    for line in lines {
        out.push_str(around.line_break);
        if !line.is_empty() {
            let _ = write!(out, "{}{line}", " ".repeat(indent));
        }
    }
    Some(out)
}

/// The lines that fold to a text, none longer than the longest there was.
fn folded(body: &str, width: usize) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    for (at, paragraph) in body.split('\n').enumerate() {
        // Indented lines are not folded, and a line end before one would count.
        if paragraph.starts_with([' ', '\t']) {
            return None;
        }
        if at > 0 {
            lines.push(String::new());
        }
        let mut line = String::new();
        let can_break = !paragraph.contains("  ") && !paragraph.ends_with(' ');
        for word in paragraph.split(' ') {
            if can_break
                && !line.is_empty()
                && line.chars().count() + 1 + word.chars().count() > width.max(20)
            {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    Some(lines)
}

/// Whether a notation means the value where it is to stand.
fn reads_back(notation: &str, value: &Json, around: Around) -> bool {
    let Around { in_brackets, indent, line_break } = around;
    let pad = " ".repeat(indent);
    let text = if in_brackets {
        format!("{{k: {notation}, z: 1}}")
    } else {
        format!("{pad}k: {notation}{line_break}{pad}z: 1{line_break}")
    };
    let (documents, findings) = yaml::parse(&SourceFile::new("", text));
    let [document] = documents.as_slice() else { return false };
    let found = document.root.value.get("k").map(json_of);
    findings.is_empty() && document.root.value.get("z").is_some() && found.as_ref() == Some(value)
}

/// A value in one line, collections in brackets; keys are quoted where the ones around them are.
pub(super) fn in_one_line(value: &Json, quoted: bool) -> String {
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string(),
        Json::String(text) if quoted => emit::double_quoted(text),
        Json::String(text) => {
            // Also in brackets; a text of several lines goes into quotes.
            emit::scalar(text, true)
        }
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| in_one_line(item, quoted)).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(members) => {
            let member = |(name, value): (&String, &Json)| {
                let name = if quoted { emit::double_quoted(name) } else { emit::scalar(name, true) };
                format!("{name}: {}", in_one_line(value, quoted))
            };
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, style: Style, old: &str, expected: &str) {
        let around = Around { in_brackets: false, indent: 2, line_break: "\n" };
        assert_eq!(written(&value.into(), style, old, around).as_deref(), Some(expected));
    }

    #[test]
    fn the_quoting_stays_where_it_can() {
        check("new", Style::Plain, "old", "new");
        check("no: 1", Style::Plain, "old", "\"no: 1\"");
        check("it's", Style::SingleQuoted, "'old'", "'it''s'");
        check("a\nb", Style::SingleQuoted, "'old'", "\"a\\nb\"");
        check("say \"x\"", Style::DoubleQuoted, "\"old\"", "\"say \\\"x\\\"\"");
        check("a\nb", Style::Plain, "old", "|-\n    a\n    b");
    }

    #[test]
    fn blocks_of_lines_stay_such() {
        check("a\nb\n", Style::Literal, "|\n      old\n", "|\n      a\n      b");
        check("a", Style::Literal, "|\n    old", "|-\n    a");
        check("  a\nb\n", Style::Literal, "|\n    old", "|2\n      a\n    b");
        check("", Style::Literal, "|\n    old", "\"\"");
        check("a\n\n\n", Style::Literal, "|\n    old", "\"a\\n\\n\\n\"");
        check(
            "one two three four five six seven\neight\n",
            Style::Folded,
            ">\n    some words of the old\n    text here",
            ">\n    one two three four\n    five six seven\n\n    eight",
        );
        check("a\n  b\n", Style::Folded, ">\n    old", "|\n    a\n      b");
    }

    #[test]
    fn within_brackets_a_text_has_one_line() {
        let around = Around { in_brackets: true, indent: 2, line_break: "\n" };
        let found = |value: &str, style| written(&value.into(), style, "old", around);
        assert_eq!(found("a, b", Style::Plain).as_deref(), Some("\"a, b\""));
        assert_eq!(found("a\nb", Style::Plain).as_deref(), Some("\"a\\nb\""));
    }
}
