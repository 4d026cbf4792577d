//! JSON for one look: texts are borrowed from the bytes they stand in, and members lie in a row.
//!
//! A [`Value`] has a text of its own for every name and a table for every object, which takes most of the time in
//! which an answer is read. Thousands of jobs are looked at once, found to be as declared, and dropped: for those this
//! form is enough. Whatever is to be kept or changed is made a [`Value`].

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A JSON value that may point into the text it was read from.
#[derive(Clone, Debug, PartialEq)]
pub enum Lean<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text; its own only where it was written with escapes.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Self>),
    /// Names and values in the order in which they were written.
    Object(Vec<(Cow<'a, str>, Self)>),
}

impl<'a> Lean<'a> {
    /// Reads JSON; accepts and refuses what [`Value`] does.
    ///
    /// # Errors
    /// Where the bytes are no JSON.
    pub fn parse(json: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }

    /// The member of this name; of several the last, as in a [`Value`]. `None` too where this is no object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().rev().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// The members, if it is an object; of several of one name only the last counts.
    pub fn as_object(&self) -> Option<&[(Cow<'a, str>, Self)]> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// The whole number with 64 bits, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Number(number) = self { number.as_i64() } else { None }
    }

    /// The same as a value of its own.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone().into_owned()),
            Self::List(items) => items.iter().map(Self::to_value).collect(),
            Self::Object(members) => {
                let members =
                    members.iter().map(|(name, value)| (name.clone().into_owned(), value.to_value()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

impl<'a> From<&'a Value> for Lean<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(members) => Self::Object(
                members.iter().map(|(name, value)| (Cow::from(name), Self::from(value))).collect(),
            ),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Lean<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LeanVisitor)
    }
}

struct LeanVisitor;

impl<'de> Visitor<'de> for LeanVisitor {
    type Value = Lean<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Lean::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Lean::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Lean::Number(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Lean::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        // As in `Value`: JSON has no way to write what is no number.
        Ok(Number::from_f64(value).map_or(Lean::Null, Lean::Number))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Lean::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Lean::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Lean::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object = Vec::new();
        while let Some((Name(name), value)) = members.next_entry()? {
            object.push((name, value));
        }
        Ok(Lean::Object(object))
    }
}

/// The name of a member: `Cow` by itself never borrows.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fingerprint;

    #[track_caller]
    fn check(json: &[u8]) {
        let lean = Lean::parse(json);
        match serde_json::from_slice::<Value>(json) {
            Ok(value) => {
                let lean = lean.expect("JSON");
                // As text, which tells also the order and the zero below zero.
                assert_eq!(lean.to_value().to_string(), value.to_string());
                assert_eq!(Lean::from(&value).to_value(), value);
                let lean_digest = lean.as_object().map(fingerprint::short_of_members);
                assert_eq!(lean_digest, value.as_object().map(|_| fingerprint::short(&value)));
                for (name, value) in value.as_object().into_iter().flatten() {
                    assert_eq!(lean.get(name).map(Lean::to_value).as_ref(), Some(value));
                }
            }
            Err(_) => assert!(lean.is_err(), "{lean:?}"),
        }
    }

    #[test]
    fn it_reads_what_a_value_reads_and_nothing_else() {
        check(br#"{"b": [1, -1, 1.5, -0.0, 18446744073709551615, 1e999], "a": {"\u00e4": "\ud83d\ude00\n", "": null}}"#);
        check(br#"{"twice": 1, "other": 2, "twice": {"last": true}}"#);
        check(br#"["\ud83d"]"#);
        check(b"[\"\xff\"]");
        check(b"[1] 2");
        check(b"{\"a\": }");
        check(b"");
        check("[".repeat(200).as_bytes());
        let text = br#"{"plain": "text", "escaped": "a\tb"}"#;
        let lean = Lean::parse(text).expect("JSON");
        assert!(matches!(lean.get("plain"), Some(Lean::Text(Cow::Borrowed("text")))));
        assert!(matches!(lean.get("escaped"), Some(Lean::Text(Cow::Owned(_)))));
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_a_value_reads_it(json in r#"([\[{]|"[a-b\\u0]{0,3}"|[,:]|[\]}]|-?[0-9.eE]{1,4}|null|true){0,12}"#) {
            check(json.as_bytes());
        }
    }
}
