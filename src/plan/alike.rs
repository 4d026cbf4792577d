//! Live jobs that no manifest is about and that look like one that is to be made.
//!
//! They are named beside the create, because the accident to prevent is two jobs that patch the same servers.
//! Nothing is concluded from likeness.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde_json::Value;

use super::{Action, Change};
use crate::job::{JOB, Platform, canonical, find};
use crate::snapshot::ListRow;

/// Jobs named beside one create: more than three would hide what the step is about.
const MOST_NAMED: usize = 3;

/// Pairs of a create and a live job whose names are compared letter by letter.
///
/// A comparison takes about a microsecond, so this is a second at the very most. Beyond it, on the first day of a
/// large tenant, schedules and tags still speak.
const MOST_COMPARISONS: usize = 1_000_000;

/// What of a job is compared.
struct Traits<'a> {
    name: String,
    platform: Option<Platform>,
    schedule: Option<(Value, Value, Value)>,
    tags: BTreeSet<&'a str>,
}

/// A live job that looks like one that is to be made.
pub(super) struct Alike<'r> {
    pub(super) row: &'r ListRow,
    words: Vec<&'static str>,
}

impl Alike<'_> {
    /// Whether it is worth a word: tags alone are what half of the jobs of a team have in common.
    fn is_telling(&self) -> bool {
        self.words != ["same tags"]
    }
}

/// For each create, by its position, the jobs that look like it, best first; `is_managed` says whether a manifest is
/// bound to a job.
pub(super) fn find_all<'r>(
    changes: &[Change],
    rows: &'r [ListRow],
    is_managed: &dyn Fn(&str) -> bool,
) -> Vec<(usize, Vec<Alike<'r>>)> {
    let n_creates = changes.iter().filter(|change| change.action == Action::Create).count();
    if n_creates == 0 {
        return Vec::new();
    }
    let free: Vec<(&ListRow, Traits<'_>)> =
        rows.iter().filter(|row| !is_managed(&row.id)).map(|row| (row, of_row(row))).collect();
    let compares_names = n_creates.saturating_mul(free.len()) <= MOST_COMPARISONS;
    let mut found = Vec::new();
    for (at, change) in changes.iter().enumerate().filter(|(_, change)| change.action == Action::Create) {
        let wanted = of_create(change);
        let mut alike: Vec<_> = free
            .iter()
            .filter_map(|(row, traits)| Some((likeness(&wanted, traits, compares_names)?, *row)))
            .collect();
        alike.sort_by_key(|(likeness, row)| (Reverse(likeness.words.len()), likeness.distance, &row.id));
        let alike = alike.into_iter().take(MOST_NAMED);
        found.push((at, alike.map(|(likeness, row)| Alike { row, words: likeness.words }).collect()));
    }
    found
}

/// Adds notes to the creates of a plan; `is_managed` says whether a manifest is bound to a job.
pub(super) fn note(changes: &mut [Change], rows: &[ListRow], is_managed: &dyn Fn(&str) -> bool) {
    for (at, alike) in find_all(changes, rows, is_managed) {
        let change = &mut changes[at];
        let notes: Vec<String> = alike
            .iter()
            .filter(|alike| alike.is_telling())
            .map(|Alike { row, words }| {
                let words = words.join(", ");
                format!("the live job {} `{}` is in no manifest and looks like it: {words}", row.id, row.name)
            })
            .collect();
        if !notes.is_empty() {
            let which = if notes.len() == 1 { "if it is" } else { "if one of them is" };
            change.notes.extend(notes);
            change.notes.push(format!("{which} the job meant, bind the manifest to it with `metadata.id`"));
        }
    }
}

/// In what two jobs are alike, and how far their names are apart.
struct Likeness {
    words: Vec<&'static str>,
    distance: usize,
}

fn likeness(wanted: &Traits<'_>, live: &Traits<'_>, compares_names: bool) -> Option<Likeness> {
    if wanted.platform != live.platform {
        return None;
    }
    let distance = if compares_names { distance(&wanted.name, &live.name) } else { None };
    let mut words = Vec::new();
    match distance {
        Some(0) => words.push("same name but for capitals and blanks"),
        Some(_) => words.push("nearly the same name"),
        None => {}
    }
    if wanted.schedule.is_some() && wanted.schedule == live.schedule {
        words.push("same schedule");
    }
    if !wanted.tags.is_empty() && wanted.tags == live.tags {
        words.push("same tags");
    }
    (!words.is_empty()).then_some(Likeness { words, distance: distance.unwrap_or(usize::MAX) })
}

/// How many letters differ, where that is few for the length.
fn distance(a: &str, b: &str) -> Option<usize> {
    let (shorter, longer) = (a.len().min(b.len()), a.len().max(b.len()));
    let most = shorter / 5;
    if longer - shorter > most.saturating_mul(4) {
        return None;
    }
    if a == b {
        return Some(0);
    }
    Some(strsim::osa_distance(a, b)).filter(|distance| *distance <= most)
}

/// A name without what the eye passes over.
fn plain(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn of_row(row: &ListRow) -> Traits<'_> {
    let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    Traits {
        name: plain(&row.name),
        platform: row.platform,
        schedule: schedule(&text(&row.schedule_type), &text(&row.start), &text(&row.timezone)),
        tags: row.tag_names.keys().map(String::as_str).collect(),
    }
}

fn of_create(change: &Change) -> Traits<'_> {
    let value = |path: &str| {
        let field = change.fields.iter().find(|field| field.path == path);
        field.map_or(&Value::Null, |field| &field.after)
    };
    Traits {
        name: plain(&change.name),
        platform: change.platform,
        schedule: schedule(value("/scheduleType"), value("/startDateTime"), value("/timezone")),
        tags: value("/assetTagIds").as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    }
}

/// Type, start and zone in canonical form; `None` for a job without a start, of which there are many alike.
fn schedule(kind: &Value, start: &Value, zone: &Value) -> Option<(Value, Value, Value)> {
    let canonical = |name: &str, value: &Value| canonical::canonical(find(JOB, name)?, value).ok();
    let start = canonical("startDateTime", start).filter(|start| !start.is_null())?;
    let kind = canonical("scheduleType", kind).filter(|kind| kind.as_str() != Some("On-demand"))?;
    Some((kind, start, canonical("timezone", zone)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Field, Origin};
    use crate::source::{Place, SourceFile, Span};
    use serde_json::json;

    fn create(name: &str, members: &[(&str, Value)]) -> Change {
        let place = Place::new(&SourceFile::new("a.yaml", "a"), Span::new(0, 1));
        let field = |(name, value): &(&str, Value)| Field {
            path: format!("/{name}"),
            before: Value::Null,
            after: value.clone(),
            base: None,
            origin: Origin::Unknown,
            place: None,
        };
        Change {
            key: "a".to_owned(),
            id: None,
            name: name.to_owned(),
            platform: Some(Platform::Windows),
            action: Action::Create,
            reason: String::new(),
            place,
            fields: members.iter().map(field).collect(),
            request: None,
            after: Vec::new(),
            schedule: None,
            notes: Vec::new(),
            basis: None,
            is_one_way: false,
            unknown: Vec::new(),
            waiting: None,
            edited: None,
        }
    }

    fn row(id: &str, name: &str, members: Value) -> ListRow {
        let mut row = json!({"id": id, "name": name, "platform": "Windows"});
        for (name, value) in members.as_object().expect("members") {
            row[name] = value.clone();
        }
        ListRow::read(&row).expect("a row")
    }

    /// Ids and words of what is named beside a create, in order.
    #[track_caller]
    fn check(mut change: Change, rows: &[ListRow], expected: &[&str]) {
        note(std::slice::from_mut(&mut change), rows, &|id| id == "managed");
        let notes = change.notes.iter().filter_map(|note| note.strip_prefix("the live job "));
        let notes: Vec<String> =
            notes.map(|note| note.replace(" is in no manifest and looks like it", "")).collect();
        assert_eq!(notes, expected);
        assert_eq!(change.notes.len(), notes.len() + usize::from(!notes.is_empty()), "{:?}", change.notes);
    }

    #[test]
    fn by_name_schedule_and_tags_best_first_and_three_at_most() {
        let weekly = |start: &str| {
            json!({"scheduleType": "Weekly", "startDateTime": start, "timezone": "UTC",
                "tags": [{"id": "T", "name": "servers"}]})
        };
        let rows = [
            row("1", "Something else", weekly("2026-1-05 03:00:00 AM")),
            row("2", "windows  servers weekly", weekly("2026-1-06 03:00:00 AM")),
            row("3", "Windows servers, weekli", weekly("2026-1-05 03:00:00 AM")),
            row("4", "Quite another", json!({"scheduleType": "Weekly"})),
            row("5", "And one more", json!({"tags": [{"id": "t"}]})),
            row("6", "And a last one", json!({"tags": [{"id": "t", "name": "servers"}]})),
            row("managed", "Windows servers weekly", weekly("2026-1-05 03:00:00 AM")),
        ];
        let wanted = create(
            "Windows servers weekly",
            &[
                ("scheduleType", json!("Weekly")),
                ("startDateTime", json!("2026-01-05T03:00:00")),
                ("timezone", json!("UTC")),
                ("assetTagIds", json!(["t"])),
            ],
        );
        check(
            wanted,
            &rows,
            &[
                "3 `Windows servers, weekli`: nearly the same name, same schedule, same tags",
                "2 `windows  servers weekly`: same name but for capitals and blanks, same tags",
                "1 `Something else`: same schedule, same tags",
            ],
        );
    }

    #[test]
    fn what_many_jobs_have_makes_none_alike() {
        let on_demand = json!({"scheduleType": "On-demand", "startDateTime": "2026-1-05 03:00:00 AM"});
        let rows = [row("1", "Abc", on_demand), row("2", "Quite another", json!({}))];
        check(create("Abd", &[("scheduleType", json!("On-demand"))]), &rows, &[]);
        let mut linux = create("Quite another", &[]);
        linux.platform = Some(Platform::Linux);
        check(linux, &rows, &[]);
    }
}
