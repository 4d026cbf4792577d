//! Why a member of a job is equal or different, in all that the conclusion was drawn from (`--why KEY/member`).
//!
//! Pure, and no second opinion: it compares with the functions that the planner compares with, and only then looks for
//! the words that say which rule decided.

use serde_json::{Map, Value};

use crate::diff::{self, FieldChange, unescape};
use crate::elements::{self, Match};
use crate::ignore::{self, InForce};
use crate::job::{self, Element, Empty, JOB, Member, Owner, Type, canonical, nearest, schedules};
use crate::normalise::{self, Normalised};
use crate::overlay;
use crate::plan::{Change, Grounds, Origin, Why};
use crate::source::Place;

/// What was concluded of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Declared and live are the same.
    Equal,
    /// They are not.
    Different,
    /// It is not compared.
    NotCompared,
}

impl Verdict {
    /// The word used in output of every kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different => "different",
            Self::NotCompared => "not compared",
        }
    }
}

/// One side of the comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// The value as it was written, or answered; `None` where there is none, or where it may hold a script.
    pub raw: Option<Value>,
    /// The value in the form in which values are compared; `None` where there is none.
    pub normalised: Option<Value>,
    /// Where it was written.
    pub place: Option<Place>,
}

/// Everything that there is to say of one member.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The manifest's key.
    pub key: String,
    /// The live job, where there is one.
    pub id: Option<String>,
    /// JSON Pointer of the member.
    pub path: String,
    /// What was concluded.
    pub verdict: Verdict,
    /// The name of the rule that decided: small letters and underscores, stable for programs.
    pub rule: &'static str,
    /// The same in words.
    pub words: String,
    /// What the manifest declares; `raw` is the text of the YAML.
    pub declared: Side,
    /// What the live job has; `raw` is as the API answered it.
    pub live: Side,
    /// What the job should have, in the form in which values are compared.
    pub desired: Option<Value>,
    /// The differences below the member, as the plan has them.
    pub differences: Vec<FieldChange>,
    /// The row of the table; `None` for a member that the table does not know.
    pub row: Option<&'static Member>,
    /// The rule that leaves the member alone.
    pub ignored_by: Option<InForce>,
    /// Where the difference came from, where the plan has one.
    pub origin: Option<Origin>,
    /// Why that is not known, in words that say what would make it known; of the whole step, each reason once.
    pub unknown: Vec<Why>,
    /// What the base would make of the member.
    pub base: Option<Value>,
}

/// Why a member can not be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Parts `KEY/member` at the first slash. The member may be written as a pointer (`/a/b/0`) or as plans show it
/// (`a.b[0]`); the answer holds it as a JSON Pointer.
///
/// # Errors
/// Where one of the two is missing.
pub fn parse(text: &str) -> Result<(String, String), Unknown> {
    let parts = text.split_once('/').map(|(key, member)| (key.trim(), member.trim_matches('/').trim()));
    match parts {
        Some((key, member)) if !key.is_empty() && !member.is_empty() => {
            let is_dotted = !member.contains('/');
            let pointer =
                if is_dotted { member.replace(['.', '['], "/").replace(']', "") } else { member.to_owned() };
            Ok((key.to_owned(), format!("/{pointer}")))
        }
        Some(_) | None => Err(Unknown {
            message: format!("`{text}` names no member of a manifest"),
            help: "write the key, a slash and the member, such as \
                   windows-servers-weekly/postDeployment.rebootCountdown.interval"
                .to_owned(),
        }),
    }
}

/// Explains a member by all that the planner knows; `changes` are the steps of the manifest's plan.
///
/// # Errors
/// Where neither the table nor one of the two jobs has the member.
pub fn explain(grounds: &Grounds, pointer: &str, changes: &[Change]) -> Result<Explanation, Unknown> {
    let nothing = normalise::from_canonical(Map::new());
    let live = grounds.job.as_ref().map_or(&nothing, |job| &job.normalised);
    let desired = overlay::overlay(&grounds.manifest.spec, live, grounds.scripts_are_known).desired;
    let row = row(grounds, pointer, live)?;
    let live_pointer = live_pointer(pointer, live, &desired);
    let declared = declared(grounds, pointer, row);
    let live_side = Side {
        raw: live_pointer.as_ref().and_then(|pointer| raw_live(grounds, pointer)),
        normalised: live_pointer.as_ref().and_then(|pointer| live.at(pointer)).cloned(),
        place: None,
    };
    let differences: Vec<FieldChange> = diff::diff(live, &desired)
        .into_iter()
        .filter(|field| {
            concerns(&field.pointer, &field.before, &field.after, pointer) && grounds.job.is_some()
        })
        .collect();
    let of_plan = changes.iter().flat_map(|change| &change.fields);
    let of_plan = of_plan
        .filter(|field| concerns(&field.path, &field.before, &field.after, pointer))
        .collect::<Vec<_>>();
    let mut explanation = Explanation {
        key: grounds.manifest.key.clone(),
        id: grounds.job.as_ref().and_then(|job| job.raw.get("id")?.as_str().map(str::to_owned)),
        path: pointer.to_owned(),
        verdict: Verdict::Equal,
        rule: "",
        words: String::new(),
        declared,
        live: live_side,
        desired: desired.at(pointer).cloned(),
        differences,
        row,
        ignored_by: grounds.rules.iter().find(|rule| is_inside(&rule.member, pointer)).cloned(),
        origin: of_plan.first().map(|field| field.origin),
        unknown: unknown(changes, pointer),
        base: of_plan.iter().find(|field| field.path == pointer).and_then(|field| field.base.clone()),
    };
    let (verdict, rule, words) = decide(grounds, &explanation, live, &desired, changes);
    (explanation.verdict, explanation.rule, explanation.words) = (verdict, rule, words);
    Ok(explanation)
}

/// Why it is not known where the differences of a member came from, as far as they are not known.
fn unknown(changes: &[Change], pointer: &str) -> Vec<Why> {
    let mut reasons = Vec::new();
    for change in changes {
        let is_unknown = change.fields.iter().any(|field| {
            field.origin == Origin::Unknown && concerns(&field.path, &field.before, &field.after, pointer)
        });
        if is_unknown {
            reasons.extend(&change.unknown);
        }
    }
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

/// The row that a pointer leads to; none for a member that only one of the jobs knows.
fn row(grounds: &Grounds, pointer: &str, live: &Normalised) -> Result<Option<&'static Member>, Unknown> {
    let mut rows = JOB;
    let mut found: Option<&'static Member> = None;
    let mut walked = String::new();
    for part in pointer.split('/').skip(1) {
        let is_position = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_position && found.is_some_and(|row| matches!(row.kind, Type::List(..) | Type::Set(_))) {
            walked = format!("{walked}/{part}");
            continue;
        }
        let name = unescape(part);
        let Some(row) = job::find(rows, &name) else {
            let is_there = normalise::at(grounds.manifest.as_written(), pointer).is_some()
                || live.at(pointer).is_some()
                || grounds.job.as_ref().is_some_and(|job| job.raw.pointer(pointer).is_some());
            if is_there {
                return Ok(None);
            }
            let near = nearest(&name, rows.iter().map(|row| row.name));
            let help = match near {
                Some(near) => format!("did you mean `{}/{near}`?", walked.trim_start_matches('/')),
                None => "docs/members.md lists all members; a list is entered by positions from 0, such as \
                         preDeployActions[0].params.timeout"
                    .to_owned(),
            };
            let help = help.replace("`/", "`");
            let within = if found.is_some() {
                format!("`{}`", walked.trim_start_matches('/').replace('/', "."))
            } else {
                "a job".to_owned()
            };
            return Err(Unknown { message: format!("`{name}` is no member of {within}"), help });
        };
        walked = format!("{walked}/{part}");
        rows = row.members();
        found = Some(row);
    }
    Ok(found)
}

/// What the manifest says; the text of a script is never part of it.
fn declared(grounds: &Grounds, pointer: &str, row: Option<&'static Member>) -> Side {
    let normalised = normalise::at(&grounds.manifest.spec, pointer)
        .or_else(|| normalise::at(grounds.manifest.as_written(), pointer))
        .cloned();
    let place =
        normalised.as_ref().and_then(|_| grounds.manifest.declared_at(pointer)).map(|(_, value)| value);
    let raw = match (grounds.manifest.script_files.get(pointer), row) {
        // The path of a file is no content.
        (Some(Some(path)), _) => Some(path.as_str().into()),
        (_, Some(row)) if holds_contents(row) => None,
        (_, _) => place.as_ref().map(|place| place.text().into()),
    };
    Side { raw, normalised, place }
}

fn holds_contents(row: &'static Member) -> bool {
    row.owner == Owner::WriteOnly || row.members().iter().any(holds_contents)
}

/// A value as the API answered it.
fn raw_live(grounds: &Grounds, pointer: &str) -> Option<Value> {
    let job = grounds.job.as_ref()?;
    match pointer.strip_prefix("/chainedJobRule") {
        Some(rest) => normalise::chained_rules(job.raw.as_object()?)?.pointer(rest).cloned(),
        None => job.raw.pointer(pointer).cloned(),
    }
}

/// The pointer of the same member in the live job: blocks of a list stand in another order there. `None` where the block
/// is not there.
fn live_pointer(pointer: &str, live: &Normalised, desired: &Normalised) -> Option<String> {
    let mut parts = pointer.splitn(4, '/').skip(1);
    let (Some(name), Some(position), rest) = (parts.next(), parts.next(), parts.next()) else {
        return Some(pointer.to_owned());
    };
    let is_list = job::find(JOB, name).is_some_and(|row| matches!(row.kind, Type::List(..)));
    let (Ok(position), true) = (position.parse::<usize>(), is_list) else { return Some(pointer.to_owned()) };
    let items =
        |job: &Normalised| job.members().get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    match elements::match_elements(&items(desired), &items(live)).get(position) {
        Some(Match::Live(at)) => {
            Some(format!("/{name}/{at}{}", rest.map_or(String::new(), |rest| format!("/{rest}"))))
        }
        Some(Match::New | Match::Ambiguous(_)) => None,
        // Beyond what is declared: the position is a live one.
        None => Some(pointer.to_owned()),
    }
}

type Decision = (Verdict, &'static str, String);

/// Which rule decided, in the order in which the planner applies them.
fn decide(
    grounds: &Grounds,
    explanation: &Explanation,
    live: &Normalised,
    desired: &Normalised,
    changes: &[Change],
) -> Decision {
    let not_compared = |rule, words: &str| (Verdict::NotCompared, rule, words.to_owned());
    let Explanation { path, row, .. } = explanation;
    let name = diff::top_level(path);
    if row.is_some_and(|row| row.owner == Owner::Server) {
        return not_compared("server", "the server sets it: it is never compared and never sent");
    }
    if grounds.job.is_none() {
        let reason = changes.first().map_or("no live job is bound", |change| change.reason.as_str());
        return (Verdict::NotCompared, "no_live_job", format!("there is nothing to compare with: {reason}"));
    }
    if let Some(blocked) = changes.iter().find(|change| change.fields.is_empty() && !change.action.writes()) {
        let words = format!("the step of this manifest is {}: {}", blocked.action.as_str(), blocked.reason);
        return (Verdict::NotCompared, "blocked", words);
    }
    if let Some(rule) = &explanation.ignored_by {
        let reason = rule.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
        let until = rule.until.map_or(String::new(), |day| format!(" (until {day})"));
        let words = format!("ignored by the rule at {}{reason}{until}; the live value stays", rule.place);
        return (Verdict::NotCompared, "ignored", words);
    }
    let spec = &grounds.manifest.spec;
    let is_declared = normalise::at(spec, path).is_some() || ignore::is_declared(spec, path);
    let is_different = !explanation.differences.is_empty();
    if !is_declared && !is_different {
        return not_compared("undeclared", "not declared: not managed, the live value stays");
    }
    let top = job::find(JOB, name);
    let schedule = desired.schedule_type();
    let used = schedule.map_or(schedules::ALL, schedules::bit);
    if let Some(top) = top.filter(|top| top.schedules & used == 0) {
        let schedule = schedule.unwrap_or_default();
        return if is_different {
            let words = format!("emptied: the schedule type {schedule} does not use `{}`", top.name);
            (Verdict::Different, "not_used_by_schedule", words)
        } else {
            not_compared("not_used_by_schedule", &format!("not used by the schedule type {schedule}"))
        };
    }
    if name == "timezone" && desired.text("timezoneType") == Some("AGENT_TZ") {
        let words = "with timezoneType AGENT_TZ each machine's own zone is meant, whatever stands here";
        return not_compared("agent_zone", words);
    }
    if !is_declared {
        let words = "not declared, and it follows from what else changes".to_owned();
        return (Verdict::Different, "follows", words);
    }
    if is_different {
        return (Verdict::Different, "different", different(explanation));
    }
    let (rule, words) = equal(grounds, explanation, live);
    (Verdict::Equal, rule, words)
}

/// In which sense two values differ.
fn different(explanation: &Explanation) -> String {
    let Explanation { path, row, differences, .. } = explanation;
    let inside =
        differences.iter().filter(|field| field.pointer != *path && is_inside(path, &field.pointer)).count();
    if inside > 0 {
        return match inside {
            1 => "1 member in it differs".to_owned(),
            n => format!("{n} members in it differ"),
        };
    }
    let Some(row) = row else {
        return "the two values differ; the table does not know the member".to_owned();
    };
    match row.kind {
        Type::Script => {
            "the content of a script can not be read back, and no stamp says that this one is there"
                .to_owned()
        }
        Type::Set(_) | Type::Addresses => {
            "the sets differ: order and repetition do not matter, but not the same elements are in both"
                .to_owned()
        }
        Type::DateTime => "the civil times differ; the zone is compared apart".to_owned(),
        Type::Integer(..) => "the numbers differ".to_owned(),
        Type::WeekDays | Type::WeekDay => "the days differ".to_owned(),
        Type::Choice(_) | Type::OpenChoice(_) => "the values differ, not only in capital letters".to_owned(),
        Type::List(..) => "the lists differ: blocks come, go or stand in another order".to_owned(),
        Type::Text | Type::Uuid | Type::Job | Type::Bool | Type::Object(_) | Type::Any => {
            "the two values differ in the form in which they are compared".to_owned()
        }
    }
}

/// By which rule two values are equal.
fn equal(grounds: &Grounds, explanation: &Explanation, live: &Normalised) -> (&'static str, String) {
    let Explanation { path, row, declared, live: live_side, .. } = explanation;
    let word = |rule: &'static str, words: &str| (rule, words.to_owned());
    let Some(row) = row else { return word("same", "the same value") };
    if row.owner == Owner::Status {
        if declared.normalised.as_ref().is_none_or(Value::is_null) {
            return word("no_status", "no status asks for nothing: a job can not be without one");
        }
        if declared.normalised != live_side.normalised {
            return word("armed", "a declared Enabled equals every live status but Disabled");
        }
    }
    let is_zone = matches!(path.as_str(), "/timezone" | "/timezoneType");
    if is_zone && live.schedule_type() == Some("On-demand") && declared.normalised != live_side.normalised {
        return word(
            "server_fills",
            "the server fills it in for On-demand jobs, so that a declared none can not hold",
        );
    }
    if row.owner == Owner::WriteOnly {
        return word("script_digest", "the stamp says that the live script is the declared one, by digest");
    }
    let live_is_none = live_side.normalised.is_none();
    let declared_is_none =
        declared.normalised.as_ref().is_none_or(|value| value.is_null() || *value == canonical::unset(row));
    let elsewhere = row
        .platform
        .filter(|(only, _)| grounds.manifest.platform().is_some_and(|platform| platform != *only));
    if let (Some((only, _)), true, true) = (elsewhere, live_is_none, declared_is_none) {
        let words = format!("jobs of this platform do not have it, and off is none ({} only)", only.as_str());
        return ("other_platform", words);
    }
    let written = declared.raw.as_ref().and_then(Value::as_str).unwrap_or_default();
    let answered = live_side.raw.as_ref();
    let is_same_text = match answered {
        Some(Value::String(text)) => written == text || written.trim_matches(['"', '\'']) == text,
        // As JSON writes it: `180`, `false`, `null`.
        Some(other) => {
            let text = other.to_string();
            written == text
        }
        None => false,
    };
    if is_same_text {
        return word("same", "the same value");
    }
    if declared_is_none && (live_is_none || live_side.normalised == Some(canonical::unset(row))) {
        let words = match row.empty {
            Empty::Null => "null and absent are none",
            Empty::Blank => "null, absent, the empty text and the empty list are none for this row",
            Empty::False => "null, absent and false are the same for this row",
            Empty::Zero => "null, absent and 0 are the same for this row",
            Empty::Default(_) => "null and absent mean the documented default",
            Empty::AllMembers => "null, absent and a block in which nothing is set are none for this row",
        };
        return word("none", words);
    }
    match row.kind {
        Type::Set(Element::Tag) => {
            word("set", "sets: order and repetition do not matter; a tag's name stands for its id")
        }
        Type::Set(Element::Action) => {
            word("set", "sets: order and repetition do not matter; an action's name stands for its id")
        }
        Type::Set(Element::Uuid | Element::Integer) => {
            word("set", "sets: order and repetition do not matter")
        }
        Type::Addresses => word("set", "sets of addresses: order, blanks and repetition do not matter"),
        Type::DateTime => word("civil_time", "compared as civil time; the zone is compared apart"),
        Type::Integer(..) => word("number", "a number is the same with quotes and without"),
        Type::Choice(_) | Type::OpenChoice(_) => {
            word("letters", "capital and small letters do not matter here")
        }
        Type::WeekDays | Type::WeekDay => word("days", "days are the same by name and in the API's own form"),
        Type::Uuid => word("letters", "capital and small letters do not matter in an id"),
        Type::Job => {
            word("link", "the key stands for the id of that job; letters of an id may be small or capital")
        }
        Type::Object(_) => {
            word("members", "a block: every declared member in it is equal, and the others stay as they are")
        }
        Type::List(..) if path.starts_with("/chainedJobRule") => {
            word("members", "every declared rule is equal; the API answers them inside of linkedToJob")
        }
        Type::List(..) => {
            word("members", "every declared block has its live one, in the same order, and is equal to it")
        }
        Type::Text if path == "/description" => {
            word("stamp", "the stamp at the end of a description is not compared")
        }
        Type::Text | Type::Bool | Type::Script | Type::Any => word("same", "the same value"),
    }
}

/// Whether a difference is about a member: at it, below it, or a block around it that comes or goes. Of a list whose blocks
/// stand in another order the members of the blocks need not differ.
fn concerns(field: &str, before: &Value, after: &Value, member: &str) -> bool {
    let is_order = before.is_array() && after.is_array();
    is_inside(member, field) || (is_inside(field, member) && !is_order)
}

fn is_inside(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        let found = parse(text).ok();
        assert_eq!(found.as_ref().map(|(key, member)| (key.as_str(), member.as_str())), expected, "{text}");
    }

    #[test]
    fn members_are_written_as_pointers_and_as_plans_show_them() {
        let interval = Some(("web", "/postDeployment/rebootCountdown/interval"));
        check("web/postDeployment.rebootCountdown.interval", interval);
        check("web/postDeployment/rebootCountdown/interval", interval);
        check("web//postDeployment/rebootCountdown/interval", interval);
        check("web/preDeployActions[0].params.timeout", Some(("web", "/preDeployActions/0/params/timeout")));
        check("web/name", Some(("web", "/name")));
        check("web", None);
        check("web/", None);
        check("/name", None);
        check("", None);
    }
}
