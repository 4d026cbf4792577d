//! YAML for people: a small tree with comments to text.
//!
//! Pure, and knows nothing of jobs. What it must hold, by property test: every text reads back as itself, under the
//! reader of this project and under `serde_yaml`, in every place where a value may stand. So a text is written plain
//! only where that is surely right, in lines only where no character of it could be lost, and in double quotes
//! elsewhere. Characters that cannot be seen, or that turn the direction of what follows, are written as escapes: a
//! name that somebody gave a job in the console must not show a reviewer something that is not there.

use std::fmt::Write as _;

/// Columns to which lists and small mappings are written in brackets; longer ones get a line for each element.
///
/// As wide as people's own manifests; at twice the number a review shows them cut.
const WIDTH: usize = 100;

/// Members that a mapping in brackets has at most; more are easier to read one below the other.
const MOST_IN_BRACKETS: usize = 4;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Written as it is: a number, `true`, a date.
    Plain(String),
    /// A text, quoted where it must be.
    Text(String),
    /// A list.
    List(Vec<Item>),
    /// A mapping.
    Map(Vec<Part>),
}

/// One element of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The element.
    pub value: Node,
    /// The comment beside it.
    pub beside: Option<String>,
}

/// One line, or some, of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A member; the key must be a name of letters.
    Entry {
        /// The name.
        key: &'static str,
        /// The value.
        value: Node,
        /// The comment beside it.
        beside: Option<String>,
    },
    /// A comment of its own, one line for each line of it.
    Comment(String),
    /// An empty line.
    Blank,
}

impl Part {
    /// A member without a comment.
    pub fn entry(key: &'static str, value: Node) -> Self {
        Self::Entry { key, value, beside: None }
    }
}

impl Item {
    /// An element without a comment.
    pub fn new(value: Node) -> Self {
        Self { value, beside: None }
    }
}

/// Writes the parts of a mapping at an indentation of so many blanks.
pub fn parts(parts: &[Part], indent: usize) -> String {
    let mut out = String::new();
    write_parts(&mut out, parts, indent);
    out
}

fn write_parts(out: &mut String, parts: &[Part], indent: usize) {
    for part in parts {
        match part {
            Part::Blank => out.push('\n'),
            Part::Comment(text) => write_comment(out, text, indent),
            Part::Entry { key, value, beside } => {
                let pad = " ".repeat(indent);
                let is_block = bracketed(value).is_none_or(|text| {
                    indent + key.len() + 2 + text.chars().count() > WIDTH && !is_scalar(value)
                });
                if let (Some(beside), true) = (beside, is_block) {
                    write_comment(out, beside, indent);
                }
                let _ = write!(out, "{pad}{key}:");
                write_value(out, value, indent, key.len() + 1);
                end_line(out, beside.as_deref().filter(|_| !is_block));
            }
        }
    }
}

/// Ends a line that is open, with the comment beside it; a block has ended its last line itself.
fn end_line(out: &mut String, beside: Option<&str>) {
    if let Some(beside) = beside {
        let _ = write!(out, " # {}", one_line(beside));
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

/// A comment, each line of it with its own sign; an empty line is an empty comment.
fn write_comment(out: &mut String, text: &str, indent: usize) {
    for line in text.split('\n') {
        let _ = writeln!(out, "{}# {}", " ".repeat(indent), one_line(line));
        while out.ends_with(" \n") {
            out.truncate(out.len() - 2);
            out.push('\n');
        }
    }
}

/// Writes the value behind `key:`; `used` is how many columns the key takes.
fn write_value(out: &mut String, value: &Node, indent: usize, used: usize) {
    if let Node::Text(text) = value
        && let Some(lines) = literal(text, indent + 2)
    {
        out.push(' ');
        out.push_str(&lines);
        return;
    }
    let in_brackets = bracketed(value);
    match (value, in_brackets) {
        (value, Some(text)) if is_scalar(value) || indent + used + 1 + text.chars().count() <= WIDTH => {
            out.push(' ');
            out.push_str(&text);
        }
        (Node::List(items), _) => {
            out.push('\n');
            write_items(out, items, indent + 2);
        }
        (Node::Map(parts), _) => {
            out.push('\n');
            write_parts(out, parts, indent + 2);
        }
        (Node::Plain(text), _) => {
            let _ = write!(out, " {text}");
        }
        (Node::Text(text), _) => {
            let _ = write!(out, " {}", scalar(text, false));
        }
    }
}

fn write_items(out: &mut String, items: &[Item], indent: usize) {
    let pad = " ".repeat(indent);
    for Item { value, beside } in items {
        match value {
            Node::Map(parts) if parts.iter().any(|part| matches!(part, Part::Entry { .. })) => {
                // The dash stands before the first member; what comes before that goes above the dash.
                let first = parts.iter().position(|part| matches!(part, Part::Entry { .. })).unwrap_or(0);
                if let Some(beside) = beside {
                    write_comment(out, beside, indent);
                }
                write_parts(out, &parts[..first], indent);
                let mut block = String::new();
                write_parts(&mut block, &parts[first..], indent + 2);
                let _ = write!(out, "{pad}- {}", block.trim_start_matches(' '));
                end_line(out, None);
            }
            value => {
                let _ = write!(out, "{pad}-");
                // A collection directly in a list does not occur in jobs; it goes into brackets, however wide.
                match (value, bracketed(value)) {
                    (Node::List(_) | Node::Map(_), Some(text)) => {
                        let _ = write!(out, " {text}");
                    }
                    (Node::List(items), None) => {
                        out.push('\n');
                        write_items(out, items, indent + 2);
                    }
                    (value, _) => write_value(out, value, indent, 1),
                }
                let is_open = !out.ends_with('\n');
                end_line(out, beside.as_deref().filter(|_| is_open));
            }
        }
    }
}

fn is_scalar(node: &Node) -> bool {
    matches!(node, Node::Plain(_) | Node::Text(_))
}

/// The value in one line, collections in brackets; `None` where it needs lines of its own.
fn bracketed(node: &Node) -> Option<String> {
    match node {
        Node::Plain(text) => Some(text.clone()),
        Node::Text(text) => literal(text, 0).is_none().then(|| scalar(text, false)),
        Node::List(items) => {
            let items = items.iter().map(|item| match (&item.beside, is_scalar(&item.value)) {
                (None, true) => in_brackets(&item.value),
                (_, _) => None,
            });
            Some(format!("[{}]", items.collect::<Option<Vec<_>>>()?.join(", ")))
        }
        Node::Map(parts) if parts.is_empty() => Some("{}".to_owned()),
        Node::Map(parts) => {
            let entries = parts.iter().map(|part| match part {
                Part::Entry { key, value, beside: None } if is_scalar(value) => {
                    Some(format!("{key}: {}", in_brackets(value)?))
                }
                Part::Entry { .. } | Part::Comment(_) | Part::Blank => None,
            });
            let entries = entries.collect::<Option<Vec<_>>>().filter(|all| all.len() <= MOST_IN_BRACKETS)?;
            Some(format!("{{ {} }}", entries.join(", ")))
        }
    }
}

/// A scalar as it stands within brackets; texts of several lines do not.
fn in_brackets(node: &Node) -> Option<String> {
    match node {
        Node::Plain(text) => Some(text.clone()),
        Node::Text(text) if text.contains('\n') => None,
        Node::Text(text) => Some(scalar(text, true)),
        Node::List(_) | Node::Map(_) => None,
    }
}

/// A text as a block of lines, `None` where a line of it could not be told from layout.
///
/// Left to quotes are: texts of one line; blanks at the end of a line, which editors take away; a first line that is
/// empty or starts with a blank, which would need an indentation of its own; more than one line end at the end; and
/// every character that needs an escape.
fn literal(text: &str, indent: usize) -> Option<String> {
    let (body, chomping) = match text.strip_suffix('\n') {
        Some(body) => (body, ""),
        None => (text, "-"),
    };
    if !body.contains('\n') || body.ends_with('\n') || body.starts_with(['\n', ' ']) {
        return None;
    }
    if body.split('\n').any(|line| line.ends_with(' ')) || body.chars().any(|c| c != '\n' && needs_escape(c))
    {
        return None;
    }
    let pad = " ".repeat(indent);
    let mut out = format!("|{chomping}\n");
    for line in body.split('\n') {
        if !line.is_empty() {
            out.push_str(&pad);
            out.push_str(line);
        }
        out.push('\n');
    }
    Some(out)
}

/// A text in one line: plain where that is surely the same text, else in quotes.
pub fn scalar(text: &str, in_brackets: bool) -> String {
    if is_plain(text, in_brackets) {
        text.to_owned()
    } else if text.contains(['"', '\\']) && !text.contains('\'') && !text.chars().any(needs_escape) {
        format!("'{text}'")
    } else {
        double_quoted(text)
    }
}

pub(crate) fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if needs_escape(c) && u32::from(c) <= 0xffff => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c if needs_escape(c) => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether a character can be written in double quotes only: control characters and line ends of every kind,
/// characters without width, those that turn the direction, and those that are none.
pub(crate) fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
        || u32::from(c) & 0xfffe == 0xfffe
        // Blanks that are not the blank: nobody sees the difference.
        || (c.is_whitespace() && c != ' ')
}

/// Characters with which a plain text may not begin: signs of YAML, and `=` and `<`, which older readers take for some.
const NO_BEGINNING: [char; 22] = [
    '-', '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', '~', '=',
    '<',
];

/// Whether a text needs no quotes in a value.
fn is_plain(text: &str, in_brackets: bool) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let ends = text.starts_with(' ') || text.ends_with([' ', ':']);
    let inside = text.contains(": ") || text.contains(" #") || text.chars().any(needs_escape);
    let in_flow = in_brackets && text.contains([',', '[', ']', '{', '}', ':', '"', '\'']);
    !NO_BEGINNING.contains(&first) && !ends && !inside && !in_flow && !is_something_else(text)
}

/// Whether a plain text could be read as a number, a switch, a date or nothing, by YAML 1.2 or by readers of 1.1.
fn is_something_else(text: &str) -> bool {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if WORDS.iter().any(|word| word.eq_ignore_ascii_case(text)) || text.starts_with('.') {
        return true;
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '+') || crate::job::canonical::is_uuid(text) {
        return false;
    }
    let digits = text.trim_start_matches('+');
    let has_radix = digits.len() > 2
        && digits.starts_with('0')
        && digits[1..].starts_with(['x', 'X', 'o', 'O', 'b', 'B'])
        && digits[2..].chars().all(|c| c.is_ascii_hexdigit() || c == '_');
    // Numbers, and by YAML 1.1 also dates and numbers with colons.
    let like_a_date = text.chars().all(|c| c.is_ascii_digit() || "_.:+-TtZz ".contains(c));
    has_radix || like_a_date || text.replace('_', "").parse::<f64>().is_ok()
}

/// A comment's text without whatever could end its line or change how it looks.
pub(super) fn one_line(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if needs_escape(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::source::SourceFile;
    use crate::yaml;

    fn ours(text: &str) -> Value {
        fn json_of(node: &yaml::Node) -> Value {
            match &node.value {
                yaml::Value::Null => Value::Null,
                yaml::Value::Bool(value) => json!(value),
                yaml::Value::Integer(value) => json!(value),
                yaml::Value::Float(value) => json!(value),
                yaml::Value::String(text) => json!(text),
                yaml::Value::Sequence(items) => items.iter().map(json_of).collect(),
                yaml::Value::Mapping(entries) => entries
                    .iter()
                    .map(|entry| (entry.key.clone(), json_of(&entry.value)))
                    .collect::<Map<_, _>>()
                    .into(),
            }
        }
        let (documents, findings) = yaml::parse(&SourceFile::new("a.yaml", text));
        assert!(findings.is_empty(), "{:?} of\n{text}", findings.iter().next());
        assert_eq!(documents.len(), 1, "{text}");
        json_of(&documents[0].root)
    }

    /// Writes parts and reads them back with both readers.
    #[track_caller]
    fn check(tree: &[Part], expected: &Value) -> String {
        let text = parts(tree, 0);
        assert_eq!(&ours(&text), expected, "of\n{text}");
        let theirs: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{error} of\n{text}"));
        assert_eq!(&theirs, expected, "by the second opinion of\n{text}");
        text
    }

    fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    #[track_caller]
    fn line(value: &str, expected: &str) {
        let written = check(&[Part::entry("a", text(value))], &json!({ "a": value }));
        assert_eq!(written, format!("a: {expected}\n"));
    }

    #[test]
    fn texts_are_quoted_where_they_must_be_and_nowhere_else() {
        for plain in [
            "Windows servers, weekly",
            "Arbeitsplätze 😀",
            "isSuperseded:false and vendorSeverity:[Critical, Important]",
            "12 monkeys",
            "America/New_York",
            "08f1b2aa-12e3-4567-8901-123456789012",
            "a#b",
            "it's",
            "Europe/Berlin",
            "50% of (all)",
            "613f36bf5e98be7e56b7ea0c678cfb85",
            "2 a b",
            "0xyz",
        ] {
            line(plain, plain);
        }
        for quoted in [
            "",
            "yes",
            "No",
            "null",
            "~",
            "1e3",
            "12e345",
            "1_000",
            "0x1F",
            "+0b1",
            "0755",
            "12:30",
            "-12",
            "+1",
            ".5",
            "- a",
            "2026-12-01",
        ] {
            line(quoted, &format!("\"{quoted}\""));
        }
        for quoted in
            ["a: b", "a:", "a #b", "#a", " a", "a ", "@a", "&a", "*a", "!a", "%a", "'a", "{a}", "[a]", "<<"]
        {
            line(quoted, &format!("\"{quoted}\""));
        }
        line("\"a\" and \\", "'\"a\" and \\'");
        line("\"it's\"", "\"\\\"it's\\\"\"");
        line("a\r\nb", "\"a\\r\\nb\"");
        line("a\tb", "\"a\\tb\"");
        line("a\u{202e}b\u{0}\u{feff}\u{a0}", "\"a\\u202eb\\u0000\\ufeff\\u00a0\"");
        line("a\u{e0041}", "\"a\\U000e0041\"");
    }

    #[test]
    fn lines_stay_lines_where_nothing_is_lost() {
        line("one\ntwo", "|-\n  one\n  two");
        line("one\n\n  two\n", "|\n  one\n\n    two");
        line("# one\n--- two", "|-\n  # one\n  --- two");
        line("one \ntwo", "\"one \\ntwo\"");
        line(" one\ntwo", "\" one\\ntwo\"");
        line("one\ntwo\n\n", "\"one\\ntwo\\n\\n\"");
        line("one\n", "\"one\\n\"");
        line("\n", "\"\\n\"");
    }

    #[test]
    fn comments_stand_where_they_belong_and_never_become_values() {
        let tree = [
            Part::Comment("two\nlines".to_owned()),
            Part::Entry {
                key: "a",
                value: text("x"),
                beside: Some("evil\nb: c\r\u{85}d: e\u{2028}f".to_owned()),
            },
            Part::Blank,
            Part::entry(
                "list",
                Node::List(vec![
                    Item { value: text("one"), beside: Some("said so".to_owned()) },
                    Item::new(text("two")),
                ]),
            ),
            Part::entry(
                "blocks",
                Node::List(vec![Item::new(Node::Map(vec![
                    Part::Comment("above".to_owned()),
                    Part::entry("a", Node::Plain("1".to_owned())),
                    Part::Comment("within".to_owned()),
                    Part::entry("b", Node::Map(vec![Part::entry("c", text("d"))])),
                ]))]),
            ),
            Part::Entry { key: "long", value: text("one\ntwo"), beside: Some("above".to_owned()) },
        ];
        let expected = json!({
            "a": "x", "list": ["one", "two"], "blocks": [{"a": 1, "b": {"c": "d"}}], "long": "one\ntwo",
        });
        let written = check(&tree, &expected);
        assert_eq!(
            written,
            "# two\n# lines\na: x # evil\\nb: c\\r\\u{85}d: e\\u{2028}f\n\nlist:\n  - one # said so\n  - two\nblocks:\n  \
             # above\n  - a: 1\n    # within\n    b: { c: d }\n# above\nlong: |-\n  one\n  two\n"
        );
    }

    #[test]
    fn what_does_not_fit_a_line_gets_lines_of_its_own() {
        let items: Vec<String> = (0..12).map(|n| format!("recipient-{n}@example.org")).collect();
        let list = Node::List(items.iter().map(|item| Item::new(text(item))).collect());
        let written = check(&[Part::entry("to", list)], &json!({ "to": items }));
        assert_eq!(written.lines().count(), 13);
        let numbers: Vec<Part> =
            ["a", "b", "c", "d", "e"].map(|key| Part::entry(key, Node::Plain("1".to_owned()))).to_vec();
        check(
            &[Part::entry("map", Node::Map(numbers))],
            &json!({"map": {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}}),
        );
        check(&[Part::entry("map", Node::Map(Vec::new()))], &json!({"map": {}}));
        check(&[Part::entry("list", Node::List(Vec::new()))], &json!({"list": []}));
        let inner =
            Node::List(vec![Item::new(Node::List(vec![Item::new(text("a\nb"))])), Item::new(text("c\nd"))]);
        check(&[Part::entry("list", inner)], &json!({"list": [["a\nb"], "c\nd"]}));
    }

    /// Texts of what is special to YAML, and of anything.
    fn any_text() -> impl Strategy<Value = String> {
        let special = "[-?:,\\[\\]{}#&*!|>'\"%@`~=<.+0-9eExXoa-fnNyY_ \t\r\n\\\\T😀é\u{85}\u{2028}\u{202e}\u{feff}\u{0}\u{7f}]{0,24}";
        let pieces = prop::sample::select(vec![
            "yes",
            "1e3",
            "0x1F",
            ": ",
            " #",
            "- ",
            "---",
            "...",
            "\n",
            "\r\n",
            "  ",
            "text",
            "'",
            "\"",
            "%YAML",
            "null",
            "|",
            ">",
            "\t",
            "2026-12-01",
            "T02:00",
            "é",
            "\u{ad}",
            "\u{fffe}",
            "\u{1fffe}",
            "&a",
            "*a",
            "!!str",
            "{}",
            "[",
        ]);
        let joined = prop::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat());
        prop_oneof![special, joined, any::<String>(), "[a-z]{0,6}(\n {0,3}[a-z#]{0,5} ?){0,5}\n{0,2}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_text_reads_back_as_itself_wherever_it_stands(one in any_text(), two in any_text(), note in any_text()) {
            let item = |value: &str, beside: Option<&str>| Item { value: text(value), beside: beside.map(str::to_owned) };
            let map = |one: &str, two: &str| Node::Map(vec![Part::entry("a", text(one)), Part::entry("b", text(two))]);
            let tree = [
                Part::Comment(note.clone()),
                Part::Entry { key: "beside", value: text(&one), beside: Some(note.clone()) },
                Part::entry("flow", Node::List(vec![item(&one, None), item(&two, None)])),
                Part::entry("list", Node::List(vec![item(&one, Some(&note)), item(&two, None)])),
                Part::entry("map", map(&one, &two)),
                Part::entry("maps", Node::List(vec![Item { value: map(&two, &one), beside: Some(note.clone()) }, Item::new(map(&one, &two))])),
                Part::entry("deep", Node::Map(vec![Part::Comment(note.clone()), Part::entry("inner", map(&one, &two)), Part::entry("z", text(&two))])),
                Part::entry("last", text(&two)),
            ];
            let expected = json!({
                "beside": one, "flow": [one, two], "list": [one, two], "map": {"a": one, "b": two},
                "maps": [{"a": two, "b": one}, {"a": one, "b": two}],
                "deep": {"inner": {"a": one, "b": two}, "z": two}, "last": two,
            });
            check(&tree, &expected);
        }
    }
}
