//! The tree that a YAML document becomes: plain values, each with the bytes it was written at.

use std::fmt::Write as _;

use crate::source::Span;

/// Longest piece of a string that [`Value::describe`] quotes, in characters.
///
/// Messages stand on one line beside a file name; twice as much would wrap on an 80-column terminal.
const QUOTED_CHARACTERS: usize = 40;

/// One YAML document that holds something.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Number of the document in its file, from 1; documents that hold only comments are not counted.
    pub index: usize,
    /// What it holds.
    pub root: Node,
    /// Whether everything that was written is in the tree.
    ///
    /// `false` where a merge key, a key that is no name or an alias without a target was reported and left out:
    /// the absence of a member then proves nothing.
    pub complete: bool,
}

/// A value together with where and how it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// The bytes it was written at, without tag and anchor. For a value that came by an alias: where the anchor is.
    ///
    /// Quotes, brackets and the header of a block scalar (`|`, `>-`) belong to it. A block collection goes from
    /// its first key or dash to the end of its last value. An empty value has no length and stands just after the
    /// colon or dash.
    pub span: Span,
    /// The notation.
    pub style: Style,
    /// The `*alias` that this node, or one it lies in, came by. The outermost one, where aliases lead to aliases.
    pub via_alias: Option<Span>,
    /// Whether an `&anchor` stands before this very node: other places may show the same value.
    pub anchored: bool,
}

/// The notation a node was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A collection by indentation.
    Block,
    /// A collection in brackets, or a single `key: value` inside `[…]`.
    Flow,
    /// A scalar without quotes, also the empty one.
    Plain,
    /// `'text'`.
    SingleQuoted,
    /// `"text"`.
    DoubleQuoted,
    /// Lines kept as they are, after `|`.
    Literal,
    /// Lines joined, after `>`.
    Folded,
}

/// A value by the YAML 1.2 core schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false` (not `yes` or `on`, which are strings).
    Bool(bool),
    /// A whole number that fits 64 bits. A larger one stays a string, so that no digit is lost.
    Integer(i64),
    /// Any other number, `.inf` and `.nan` included.
    Float(f64),
    /// A text.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Members in the order of the text. A key written twice is reported and stands twice; [`Value::get`] finds
    /// the first.
    Mapping(Vec<Entry>),
}

/// One member of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name; where a number or a word like `true` is the key, the text as written.
    pub key: String,
    /// The bytes of the key, quotes included; of the `*alias` where the key came by one.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Value {
    /// Says in words what this is, to stand after "found" in a message: `a string "high"`, `the number 5`, `nothing`.
    ///
    /// Always one line of bounded length: long strings are cut, control characters escaped.
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => format!("the number {value}"),
            Self::Float(value) if value.is_nan() => "the number .nan".to_owned(),
            Self::Float(value) if value.is_infinite() => {
                format!("the number {}.inf", if *value < 0.0 { "-" } else { "" })
            }
            // Debug keeps the point of `1.0`, which is the reason why a whole number was not accepted.
            Self::Float(value) => format!("the number {value:?}"),
            Self::String(text) if text.is_empty() => "an empty string".to_owned(),
            Self::String(text) if super::scalar::is_large_integer(text) => {
                format!("{}, which is too large for a number", quoted(text))
            }
            Self::String(text) => format!("a string {}", quoted(text)),
            Self::Sequence(items) if items.is_empty() => "an empty list".to_owned(),
            Self::Sequence(items) => format!("a list of {}", items.len()),
            Self::Mapping(entries) if entries.is_empty() => "an empty mapping".to_owned(),
            Self::Mapping(_) => "a mapping".to_owned(),
        }
    }

    /// Whether this is [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The whole number, if it is one. `1.0` is not.
    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(value) = self { Some(*value) } else { None }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The items, if it is a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        if let Self::Sequence(items) = self { Some(items) } else { None }
    }

    /// The members, if it is a mapping.
    pub fn as_mapping(&self) -> Option<&[Entry]> {
        if let Self::Mapping(entries) = self { Some(entries) } else { None }
    }

    /// The member of this name with the place of its key; `None` too where this is not a mapping.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_mapping()?.iter().find(|entry| entry.key == key)
    }

    /// The value of the member of this name; `None` too where this is not a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }
}

/// A string in double quotes, cut and escaped so that it fits into a line.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for (count, character) in text.chars().enumerate() {
        if count == QUOTED_CHARACTERS {
            out.push('…');
            break;
        }
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            _ if character.is_control() => {
                write!(out, "{}", character.escape_default())
                    .expect("internal error: a string takes any text");
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Value, expected: &str) {
        assert_eq!(value.describe(), expected);
    }

    fn node(value: Value) -> Node {
        Node { value, span: Span::default(), style: Style::Plain, via_alias: None, anchored: false }
    }

    #[test]
    fn values_are_described_for_the_end_of_a_sentence() {
        check(Value::Null, "nothing");
        check(Value::Bool(false), "false");
        check(Value::Integer(-5), "the number -5");
        check(Value::Float(1.0), "the number 1.0");
        check(Value::Float(1.5e300), "the number 1.5e300");
        check(Value::Float(f64::NEG_INFINITY), "the number -.inf");
        check(Value::Float(f64::NAN), "the number .nan");
        check(Value::String("high".into()), r#"a string "high""#);
        check(Value::String("a\u{1b}[31m\n\"b\"\\ü".into()), r#"a string "a\u{1b}[31m\n\"b\"\\ü""#);
        check(Value::String("x".repeat(50)), &format!("a string \"{}…\"", "x".repeat(40)));
        check(Value::String(String::new()), "an empty string");
        check(
            Value::String("18446744073709551615".into()),
            r#""18446744073709551615", which is too large for a number"#,
        );
        check(Value::Sequence(vec![node(Value::Null); 3]), "a list of 3");
        check(Value::Sequence(Vec::new()), "an empty list");
        check(Value::Mapping(Vec::new()), "an empty mapping");
    }

    #[test]
    fn getters_answer_only_for_their_own_kind() {
        let entry =
            |key: &str, value| Entry { key: key.into(), key_span: Span::default(), value: node(value) };
        let map = Value::Mapping(vec![entry("a", Value::Integer(1)), entry("a", Value::Bool(true))]);
        assert_eq!(map.get("a").and_then(|node| node.value.as_integer()), Some(1));
        assert_eq!(map.get("b"), None);
        assert_eq!(map.as_str(), None);
        assert_eq!(Value::Float(1.0).as_integer(), None);
        assert!(Value::Null.is_null());
    }
}
