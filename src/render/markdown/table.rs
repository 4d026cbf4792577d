//! Values in the cells of a table: what is there, and what will be.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Safe;
use crate::elements;
use crate::job::{Type, find_pointer};
use crate::plan::{Change, Field, Origin};
use crate::render::plan::path_words;
use crate::render::text::value;

/// Most characters of one value; longer ones are cut around what differs, and their length is told.
const MOST_OF_A_VALUE: usize = 200;

/// Most elements of a set that are named in a cell; the rest is counted.
const MOST_OF_A_SET: usize = 12;

/// The differences of a step as a table; empty where there are none. A new job has no values that are there.
pub(super) fn fields(
    change: &Change,
    is_new: bool,
    tag_names: &BTreeMap<String, String>,
    safe: &Safe,
) -> String {
    if change.fields.is_empty() {
        return String::new();
    }
    // A column that would say "unknown" in each row says nothing.
    let has_origin = change.fields.iter().any(|field| field.origin != Origin::Unknown);
    let mut names = if is_new { vec!["member", "declared"] } else { vec!["member", "live", "declared"] };
    if has_origin {
        names.push("changed by");
    }
    let mut out = super::table_head(&names);
    for field in &change.fields {
        let path = safe.code_cut(&path_words(change, field), MOST_OF_A_VALUE);
        let (before, after) = pair(field, tag_names, safe);
        let mut cells = if is_new { vec![path, after] } else { vec![path, before, after] };
        if has_origin {
            cells.push(origin(field, tag_names, safe));
        }
        out.push_str(&super::row(&cells.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    out
}

/// Who changed the member; a conflict with the value that both left.
fn origin(field: &Field, tag_names: &BTreeMap<String, String>, safe: &Safe) -> String {
    match (field.origin, &field.base) {
        (Origin::Unknown, _) => String::new(),
        (Origin::Both, Some(base)) => format!("**both**; it was {}", one(base, tag_names, safe)),
        (Origin::Both, None) => "**both**".to_owned(),
        (Origin::Git, _) => "Git".to_owned(),
        (Origin::Console, _) => "console".to_owned(),
    }
}

/// What is live and what is declared, as two cells.
pub(super) fn pair(field: &Field, tag_names: &BTreeMap<String, String>, safe: &Safe) -> (String, String) {
    let row = find_pointer(&field.path);
    let is_set = row.is_some_and(|row| matches!(row.kind, Type::Set(_) | Type::Addresses));
    let is_list = row.is_some_and(|row| matches!(row.kind, Type::List(..)));
    match (&field.before, &field.after) {
        (before, after) if is_set => set(before, after, tag_names, safe),
        (Value::Array(before), Value::Array(after)) if is_list => {
            let order = |items: &[Value]| {
                let labels: Vec<String> =
                    items.iter().enumerate().map(|(at, item)| elements::label(item, at)).collect();
                format!("order: {}", safe.code_cut(&labels.join(", "), MOST_OF_A_VALUE))
            };
            (order(before), order(after))
        }
        (Value::String(before), Value::String(after))
            if before.chars().count().max(after.chars().count()) > MOST_OF_A_VALUE =>
        {
            let start = difference_starts(before, after);
            (excerpt(before, start, safe), excerpt(after, start, safe))
        }
        (before, after) => (one(before, tag_names, safe), one(after, tag_names, safe)),
    }
}

/// One value in a cell; scripts by digest and size, tags by name and id.
fn one(item: &Value, tag_names: &BTreeMap<String, String>, safe: &Safe) -> String {
    match item {
        Value::Null => "(none)".to_owned(),
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| !item.is_object()) => {
            named(&items.iter().collect::<Vec<_>>(), tag_names, safe)
        }
        item => safe.code_cut(&words(item, tag_names), MOST_OF_A_VALUE),
    }
}

fn words(item: &Value, tag_names: &BTreeMap<String, String>) -> String {
    match item.as_str().and_then(|id| tag_names.get(id)) {
        Some(name) => format!("{name} ({})", value(item)),
        None => value(item),
    }
}

/// Only what comes and goes; what stays is counted.
fn set(before: &Value, after: &Value, tag_names: &BTreeMap<String, String>, safe: &Safe) -> (String, String) {
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (live, declared) = (items(before), items(after));
    let gone: Vec<&Value> = live.iter().filter(|item| !declared.contains(item)).collect();
    let new: Vec<&Value> = declared.iter().filter(|item| !live.contains(item)).collect();
    let n_kept = live.len() - gone.len();
    if n_kept == 0 {
        return (named(&gone, tag_names, safe), named(&new, tag_names, safe));
    }
    let side = |sign: &str, items: &[&Value]| match items {
        [] => format!("{n_kept} kept"),
        items => format!("{sign} {}; {n_kept} kept", named(items, tag_names, safe)),
    };
    (side("−", &gone), side("+", &new))
}

fn named(items: &[&Value], tag_names: &BTreeMap<String, String>, safe: &Safe) -> String {
    if items.is_empty() {
        return "(none)".to_owned();
    }
    let mut names: Vec<String> = items
        .iter()
        .take(MOST_OF_A_SET)
        .map(|item| safe.code_cut(&words(item, tag_names), MOST_OF_A_VALUE))
        .collect();
    if items.len() > MOST_OF_A_SET {
        names.push(format!("and {} more", super::thousands(items.len() - MOST_OF_A_SET)));
    }
    names.join(", ")
}

/// Where two texts begin to differ, in characters.
fn difference_starts(before: &str, after: &str) -> usize {
    before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count()
}

/// A long text from a little before a place on, with its length.
///
/// It is masked as a whole before it is cut, because half an address is not seen as one. So the place moves by as much
/// as the masks are shorter: it is where to begin reading, nothing else.
fn excerpt(text: &str, start: usize, safe: &Safe) -> String {
    let n = text.chars().count();
    // Before the difference, enough to see where it is.
    let from = start.saturating_sub(40);
    safe.code_around(text, from, MOST_OF_A_VALUE, n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sets_show_what_comes_and_goes() {
        let names = BTreeMap::from([("u-1".to_owned(), "Web | servers".to_owned())]);
        let safe = Safe::new();
        let (live, declared) = set(&json!(["u-1", "u-2"]), &json!(["u-2", "u-3"]), &names, &safe);
        assert_eq!(live, "− <code>Web &#124; servers &#40;u-1&#41;</code>; 1 kept");
        assert_eq!(declared, "+ `u-3`; 1 kept");
        let many: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
        let (live, declared) = set(&json!(null), &json!(many), &names, &safe);
        assert_eq!(live, "(none)");
        assert!(declared.ends_with("`t11`, and 28 more"), "{declared}");
    }

    #[test]
    fn long_texts_are_cut_around_what_differs() {
        let before = format!("{}old{}", "a".repeat(500), "z".repeat(500));
        let after = before.replace("old", "new");
        let safe = Safe::new();
        let shown = excerpt(&after, difference_starts(&before, &after), &safe);
        assert!(
            shown.starts_with("`…aaa") && shown.contains("new") && shown.ends_with("… (1,003 characters)"),
            "{shown}"
        );
        assert!(shown.chars().count() < 260, "{shown}");
    }
}
