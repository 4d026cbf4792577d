//! What differences, lists and blocks look like, apart from where they stand in a text.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::proof::{Slot, json_of};
use crate::diff::{FieldChange, unescape};
use crate::elements::Match;
use crate::import::emit;
use crate::job::{JOB, Member, Type, find};
use crate::source::SourceFile;
use crate::stamp;
use crate::yaml::Value;

/// A description without its stamp is compared without line ends behind it, so that it may keep the one it was written
/// with: a `|` need not become a `|-`.
pub(super) fn with_line_end(field: &FieldChange, value: Json, old: &Value) -> Json {
    match (&value, old) {
        (Json::String(new), Value::String(old))
            if field.pointer == "/description" && old.ends_with('\n') && !new.ends_with('\n') =>
        {
            let ended = format!("{new}\n");
            if stamp::split(&ended).0 == new { ended.into() } else { value }
        }
        _ => value,
    }
}

/// Whether a difference is about blocks of a list and not about a member of one.
pub(super) fn is_structural(pointer: &str) -> bool {
    let parts: Vec<&str> = pointer.split('/').skip(1).collect();
    let is_list = find(JOB, parts.first().copied().unwrap_or_default())
        .is_some_and(|row| matches!(row.kind, Type::List(..)));
    is_list && (parts.len() == 1 || (parts.len() == 2 && parts[1].bytes().all(|byte| byte.is_ascii_digit())))
}

pub(super) fn is_set(row: &Member) -> bool {
    matches!(row.kind, Type::Set(_) | Type::WeekDays | Type::Addresses)
}

/// Which element stands where afterwards: old ones by their position in the manifest, new ones by that in the live job.
pub(super) fn order(
    matches: &[Match],
    n_live: usize,
    gone: &BTreeSet<usize>,
    new: &BTreeSet<usize>,
    is_moved: bool,
) -> Vec<Slot<usize>> {
    let live_of = |item: usize| if let Match::Live(at) = matches[item] { Some(at) } else { None };
    let kept: Vec<usize> = (0..matches.len()).filter(|item| !gone.contains(item)).collect();
    let mut slots: Vec<Slot<usize>> = Vec::new();
    if is_moved {
        for at in 0..n_live {
            match kept.iter().find(|item| live_of(**item) == Some(at)) {
                Some(item) => slots.push(Slot::Old(*item)),
                None if new.contains(&at) => slots.push(Slot::New(at)),
                None => {}
            }
        }
        // What only the manifest has stays behind what it stood behind.
        for (at, item) in kept.iter().enumerate().filter(|(_, item)| live_of(**item).is_none()) {
            let before = at.checked_sub(1).map(|before| Slot::Old(kept[before]));
            let position = before.and_then(|before| slots.iter().position(|slot| *slot == before));
            slots.insert(position.map_or(0, |position| position + 1), Slot::Old(*item));
        }
        return slots;
    }
    slots.extend(kept.iter().map(|item| Slot::Old(*item)));
    for at in new {
        let is_before = |slot: &Slot<usize>| {
            let live = match slot {
                Slot::Old(item) => live_of(*item),
                Slot::New(live) => Some(*live),
            };
            live.is_some_and(|live| live < *at)
        };
        let position = slots.iter().rposition(is_before).map_or(0, |position| position + 1);
        slots.insert(position, Slot::New(*at));
    }
    slots
}

/// Puts a value into a tree of blocks, by the rest of its pointer.
pub(super) fn put(members: &mut Map<String, Json>, path: &str, value: &Json) {
    match path.split_once('/') {
        None => drop(members.insert(unescape(path).into_owned(), value.clone())),
        Some((name, rest)) => {
            let inner =
                members.entry(unescape(name).into_owned()).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// Lines of a block with the dash of a list before its first member; comments above that stand above the dash.
pub(super) fn with_dash(lines: &str) -> String {
    let mut out = String::new();
    let mut has_dash = false;
    for line in lines.lines() {
        if has_dash {
            out.push_str(if line.is_empty() { "" } else { "  " });
        } else if !line.trim_start().starts_with('#') {
            out.push_str("- ");
            has_dash = true;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// What written parts mean.
pub(super) fn json_of_parts(parts: &[emit::Part]) -> Json {
    let text = emit::parts(parts, 0);
    let (documents, _) = crate::yaml::parse(&SourceFile::new("", text));
    documents.first().map_or_else(|| Json::Object(Map::new()), |document| json_of(&document.root))
}
