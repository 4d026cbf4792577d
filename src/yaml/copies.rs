//! What an alias stands for, copied within a budget.

use super::tree::{Entry, Node, Value};
use crate::source::Span;

/// Why an alias is not expanded.
pub(super) enum TooMuch {
    /// The tree would be deeper than allowed.
    Depth,
    /// The budget does not suffice.
    Bytes,
}

/// Takes what a copy of the node needs in memory from the budget; `room` is how many collections deep it may be.
pub(super) fn measure(node: &Node, room: usize, budget: &mut usize) -> Result<(), TooMuch> {
    let mut take = |bytes: usize| match budget.checked_sub(bytes) {
        Some(left) => {
            *budget = left;
            Ok(())
        }
        None => Err(TooMuch::Bytes),
    };
    take(size_of::<Entry>())?;
    match &node.value {
        Value::Sequence(items) => {
            let room = room.checked_sub(1).ok_or(TooMuch::Depth)?;
            items.iter().try_for_each(|item| measure(item, room, budget))
        }
        Value::Mapping(entries) => {
            let room = room.checked_sub(1).ok_or(TooMuch::Depth)?;
            entries.iter().try_for_each(|entry| {
                *budget = budget.checked_sub(entry.key.len()).ok_or(TooMuch::Bytes)?;
                measure(&entry.value, room, budget)
            })
        }
        Value::String(text) => take(text.len()),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => Ok(()),
    }
}

/// Notes on a copy and all in it which alias brought it.
pub(super) fn mark_as_copy(node: &mut Node, alias: Span) {
    node.via_alias = Some(alias);
    match &mut node.value {
        Value::Sequence(items) => items.iter_mut().for_each(|item| mark_as_copy(item, alias)),
        Value::Mapping(entries) => entries.iter_mut().for_each(|entry| mark_as_copy(&mut entry.value, alias)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::String(_) => {}
    }
}
