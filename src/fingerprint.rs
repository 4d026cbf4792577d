//! Canonical bytes of JSON values, and digests over them.
//!
//! Members are sorted and nothing is indented, so the digest of a value does not depend on who built it.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::lean::Lean;

/// SHA-256 of some bytes, as 64 hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = Sha256::digest(bytes).into_iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// SHA-256 of a value's canonical bytes, as 64 hexadecimal digits.
pub fn of_value(value: &Value) -> String {
    let mut bytes = Vec::new();
    write_canonical(&Lean::from(value), &mut bytes);
    sha256_hex(&bytes)
}

/// [`short`] of the object that has these members.
pub fn short_of_members<'a, 'm>(members: impl IntoIterator<Item = &'a (Cow<'m, str>, Lean<'m>)>) -> String
where
    'm: 'a,
{
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
fn write_canonical(value: &Lean<'_>, out: &mut Vec<u8>) {
    match value {
        Lean::Object(members) => write_members(members, out),
        Lean::List(items) => {
            out.push(b'[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        Lean::Null => out.extend_from_slice(b"null"),
        Lean::Bool(value) => write_plain(value, out),
        Lean::Number(number) => write_plain(number, out),
        Lean::Text(text) => write_plain(text, out),
    }
}

fn write_members<'a, 'm>(members: impl IntoIterator<Item = &'a (Cow<'m, str>, Lean<'m>)>, out: &mut Vec<u8>)
where
    'm: 'a,
{
    let mut members: Vec<&(Cow<'_, str>, Lean<'_>)> = members.into_iter().collect();
    // Of several members of one name the last counts: turned round, it is the first of them in a stable order.
    members.reverse();
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    members.dedup_by(|(next, _), (first, _)| next == first);
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
