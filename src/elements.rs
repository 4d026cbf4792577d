//! Which block of a declared list is which block of the live one.
//!
//! Actions are told apart by `actionId` if given, else by kind and display name; blocks that have neither
//! (chained rules) by their position. A matched block keeps its id and its undeclared members (DESIGN 4).

use serde_json::Value;

/// What one declared block corresponds to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// The live block at this position.
    Live(usize),
    /// No live block.
    New,
    /// Several live blocks, by position: only an id can say which.
    Ambiguous(Vec<usize>),
}

/// Matches the blocks of a declared list to those of a live one; no live block is matched twice.
pub fn match_elements(declared: &[Value], live: &[Value]) -> Vec<Match> {
    let mut taken = vec![false; live.len()];
    let mut matches: Vec<Option<Match>> = declared
        .iter()
        .map(|element| {
            let id = action_id(element)?;
            let found = live.iter().position(|other| action_id(other) == Some(id));
            Some(match found {
                Some(position) if !taken[position] => {
                    taken[position] = true;
                    Match::Live(position)
                }
                Some(_) | None => Match::New,
            })
        })
        .collect();
    for (position, element) in declared.iter().enumerate() {
        if matches[position].is_some() {
            continue;
        }
        let candidates: Vec<usize> = match identity(element) {
            Some(identity_of_element) => (0..live.len())
                .filter(|at| !taken[*at] && identity(&live[*at]) == Some(identity_of_element))
                .collect(),
            None => (position..live.len())
                .take(1)
                .filter(|at| !taken[*at] && identity(&live[*at]).is_none())
                .collect(),
        };
        matches[position] = Some(match candidates.as_slice() {
            [] => Match::New,
            [only] => {
                taken[*only] = true;
                Match::Live(*only)
            }
            [..] => Match::Ambiguous(candidates),
        });
    }
    matches.into_iter().map(|found| found.unwrap_or(Match::New)).collect()
}

/// The action's id, where it has one.
pub fn action_id(element: &Value) -> Option<&str> {
    element.get("actionId").and_then(Value::as_str)
}

/// Kind and display name of an action.
fn identity(element: &Value) -> Option<(&str, &str)> {
    let kind = element.get("action").and_then(Value::as_str);
    let item = element.pointer("/params/actionItem").and_then(Value::as_str);
    (kind.is_some() || item.is_some()).then(|| (kind.unwrap_or_default(), item.unwrap_or_default()))
}

/// The words by which people know a block: the display name, else the kind, else its position from 1.
pub fn label(element: &Value, position: usize) -> String {
    let item = element.pointer("/params/actionItem").and_then(Value::as_str);
    let kind = element.get("action").and_then(Value::as_str);
    match item.or(kind) {
        Some(words) => words.to_owned(),
        None => format!("#{}", position + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn action(item: &str, id: Option<&str>) -> Value {
        let mut value = json!({"action": "Run Script", "params": {"actionItem": item}});
        if let Some(id) = id {
            value["actionId"] = json!(id);
        }
        value
    }

    #[track_caller]
    fn check(declared: &[Value], live: &[Value], expected: &[Match]) {
        assert_eq!(match_elements(declared, live), expected);
    }

    #[test]
    fn an_id_wins_over_a_name_and_a_name_over_a_position() {
        let live = [action("A", Some("1")), action("B", Some("2"))];
        check(&[action("B", None), action("A", None)], &live, &[Match::Live(1), Match::Live(0)]);
        check(&[action("Renamed", Some("2"))], &live, &[Match::Live(1)]);
        check(&[action("A", None), action("C", None)], &live, &[Match::Live(0), Match::New]);
        check(&[action("A", Some("9"))], &live, &[Match::New]);
        check(&[json!({"actionId": "1", "params": {"timeout": 5}})], &live, &[Match::Live(0)]);
        let twice = [action("A", Some("1")), action("A", Some("2"))];
        check(&[action("A", None)], &twice, &[Match::Ambiguous(vec![0, 1])]);
        check(&[action("A", Some("2")), action("A", None)], &twice, &[Match::Live(1), Match::Live(0)]);
        check(&[action("A", None), action("A", None)], &live[..1], &[Match::Live(0), Match::New]);
        check(
            &[json!({"threshold": 1}), json!({"threshold": 2})],
            &[json!({"threshold": 3})],
            &[Match::Live(0), Match::New],
        );
    }
}
