//! Canonical bytes of JSON values, and digests over them.
//!
//! Members are sorted and nothing is indented, so the digest of a value does not depend on who built it.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256 of some bytes, as 64 hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a value's canonical bytes, as 64 hexadecimal digits.
pub fn of_value(value: &Value) -> String {
    let mut bytes = String::new();
    write_canonical(value, &mut bytes);
    sha256_hex(bytes.as_bytes())
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
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            out.push('{');
            for (position, name) in names.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(&members[name], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string())
        }
    }
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
