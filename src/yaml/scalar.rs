//! What a scalar means: the YAML 1.2 core schema exactly as `serde_yaml` reads it.
//!
//! `no`, `on`, `0755`, `1_000`, `12:30` and dates are strings; `0x1F`, `0o17` and `0b11` are numbers. The one
//! difference: a whole number beyond 64 bits with sign stays a string here, where `serde_yaml` refuses some and
//! rounds others.

use super::tree::Value;

/// A whole number as it was read.
enum Whole {
    Fits(i64),
    TooLarge,
}

/// The value of a scalar without quotes and without a tag.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    // Most scalars of a manifest are words, and a number starts with none of their letters.
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return Value::String(text.to_owned());
    }
    match whole(text) {
        Some(Whole::Fits(value)) => Value::Integer(value),
        Some(Whole::TooLarge) => Value::String(text.to_owned()),
        None => match float(text) {
            Some(value) if !is_digits_with_leading_zero(text) => Value::Float(value),
            _ => Value::String(text.to_owned()),
        },
    }
}

/// The value of a scalar with one of the core schema's tags, given without its prefix (`int` for `!!int`).
///
/// `None` where the text is no such value, or the tag is one of a collection.
pub(super) fn tagged(tag: &str, text: &str) -> Option<Value> {
    match tag {
        "str" => Some(Value::String(text.to_owned())),
        "null" => plain(text).is_null().then_some(Value::Null),
        "bool" => plain(text).as_bool().map(Value::Bool),
        "int" => match whole(text)? {
            Whole::Fits(value) => Some(Value::Integer(value)),
            Whole::TooLarge => None,
        },
        "float" => float(text).map(Value::Float),
        _ => None,
    }
}

/// Whether the text is a whole number that [`Value::Integer`] cannot hold.
pub(super) fn is_large_integer(text: &str) -> bool {
    matches!(whole(text), Some(Whole::TooLarge))
}

fn whole(text: &str) -> Option<Whole> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match rest.as_bytes() {
        [b'0', b'x', ..] => (16, &rest[2..]),
        [b'0', b'o', ..] => (8, &rest[2..]),
        [b'0', b'b', ..] => (2, &rest[2..]),
        _ if is_digits_with_leading_zero(text) => return None,
        _ => (10, rest),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    // The standard library refuses only for size once each character is known to be a digit.
    let value = i128::from_str_radix(digits, radix).ok().map(|value| if negative { -value } else { value });
    Some(value.and_then(|value| i64::try_from(value).ok()).map_or(Whole::TooLarge, Whole::Fits))
}

fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if unsigned.len() < text.len() && unsigned.starts_with(['+', '-']) {
        return None;
    }
    match (text, unsigned) {
        (_, ".inf" | ".Inf" | ".INF") => Some(f64::INFINITY),
        ("-.inf" | "-.Inf" | "-.INF", _) => Some(f64::NEG_INFINITY),
        (".nan" | ".NaN" | ".NAN", _) => Some(f64::NAN),
        // The standard library also reads the words `inf` and `nan`, which are strings in YAML.
        _ => unsigned.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// Whether the text is digits that start with a needless zero: a string by YAML 1.2, an octal number by YAML 1.1.
fn is_digits_with_leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Value) {
        assert_eq!(plain(text), expected, "{text:?}");
    }

    fn string(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for text in
            ["no", "yes", "on", "off", "y", "0755", "-01", "1_000", "12:30:45", "2026-12-01", "0x", "0o8"]
        {
            check(text, string(text));
        }
        for text in
            ["inf", "nan", "-.nan", "++1", "+-1", "--1", "0x-1", "-0b2", "1e999", ".", "tRUE", "null ", "_1"]
        {
            check(text, string(text));
        }
        for text in ["", "~", "null", "Null", "NULL"] {
            check(text, Value::Null);
        }
        check("True", Value::Bool(true));
        check("0", Value::Integer(0));
        check("-0", Value::Integer(0));
        check("+12", Value::Integer(12));
        check("0x1F", Value::Integer(31));
        check("-0x1f", Value::Integer(-31));
        check("0o17", Value::Integer(15));
        check("0b101", Value::Integer(5));
        check("-0b1", Value::Integer(-1));
        check("1e3", Value::Float(1000.0));
        check("-.5", Value::Float(-0.5));
        check("007.5", Value::Float(7.5));
        check("-.inf", Value::Float(f64::NEG_INFINITY));
        check("-9223372036854775808", Value::Integer(i64::MIN));
        check("9223372036854775808", string("9223372036854775808"));
        check(&"9".repeat(60), string(&"9".repeat(60)));
        check("0xFFFFFFFFFFFFFFFF", string("0xFFFFFFFFFFFFFFFF"));
    }

    #[test]
    fn tags_force_a_kind_or_are_refused() {
        assert_eq!(tagged("str", "5"), Some(string("5")));
        assert_eq!(tagged("int", "0x1F"), Some(Value::Integer(31)));
        assert_eq!(tagged("int", "5.0"), None);
        assert_eq!(tagged("int", "9223372036854775808"), None);
        assert_eq!(tagged("float", "5"), Some(Value::Float(5.0)));
        assert_eq!(tagged("bool", "yes"), None);
        assert_eq!(tagged("null", ""), Some(Value::Null));
        assert_eq!(tagged("null", "x"), None);
        assert_eq!(tagged("map", "x"), None);
    }

    proptest! {
        #[test]
        fn what_serde_yaml_reads_is_read_alike(text in "[-+]?(0[xob])?[0-9a-fA-F_.:eE+-]{0,24}|[a-zA-Z.~]{1,6}") {
            let Ok(theirs) = serde_yaml::from_str::<serde_yaml::Value>(&text) else { return Ok(()) };
            if matches!(theirs, serde_yaml::Value::Mapping(_) | serde_yaml::Value::Sequence(_)) || text.contains("---") {
                return Ok(());
            }
            if !is_large_integer(&text) {
                prop_assert!(super::super::tests::same(&plain(&text), &theirs), "{text:?}: {theirs:?}");
            }
        }
    }
}
