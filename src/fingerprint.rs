//! Canonical bytes of JSON values, and digests over them.
//!
//! Members are sorted and nothing is indented, so the digest of a value does not depend on who built it.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256 of some bytes, as 64 hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = Sha256::digest(bytes).into_iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// SHA-256 of a value's canonical bytes, as 64 hexadecimal digits.
pub fn of_value(value: &Value) -> String {
    let mut bytes = Vec::new();
    write_canonical(value, &mut bytes);
    sha256_hex(&bytes)
}

/// [`short`] of the object that has these members.
pub fn short_of_members<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    let mut bytes = Vec::new();
    write_members(members, &mut bytes);
    let mut digest = sha256_hex(&bytes);
    digest.truncate(8);
    digest
}

/// The first 8 digits of [`of_value`]: what a stamp has room for.
///
/// 32 bits tell an edited job from an unedited one; they are not meant to withstand somebody who forges them.
pub fn short(value: &Value) -> String {
    let mut digest = of_value(value);
    digest.truncate(8);
    digest
}

/// Writes a value with sorted members.
fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(members) => write_members(members.iter(), out),
        Value::Array(items) => {
            out.push(b'[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => write_plain(value, out),
    }
}

fn write_members<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>, out: &mut Vec<u8>) {
    let mut members: Vec<(&String, &Value)> = members.collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    out.push(b'{');
    for (position, (name, value)) in members.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_plain(name, out);
        out.push(b':');
        write_canonical(value, out);
    }
    out.push(b'}');
}

/// Writes a name or a scalar as JSON.
fn write_plain(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("internal error: JSON values can be written to memory");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_members_does_not_matter_and_everything_else_does() {
        assert_eq!(of_value(&json!({"a": 1, "b": [2]})), of_value(&json!({"b": [2], "a": 1})));
        assert_ne!(of_value(&json!({"a": [1, 2]})), of_value(&json!({"a": [2, 1]})));
        assert_ne!(of_value(&json!({"a": "1"})), of_value(&json!({"a": 1})));
        assert_eq!(short(&json!({})), "44136fa3");
    }
}
