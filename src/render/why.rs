//! The explanation of one member, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::text::{Layout, Tone, clean, dotted, value};
use crate::job::{Empty, Member, canonical, page, schedules};
use crate::plan::Grounds;
use crate::source::Place;
use crate::stamp::Found;
use crate::why::{Explanation, Side, Verdict};

/// How far the values of an explanation stand from the left edge.
const INDENT: usize = 14;

/// The explanation for people.
pub fn why(explanation: &Explanation, grounds: &Grounds, layout: &Layout) -> String {
    let mut out = String::new();
    let Explanation { key, id, path, verdict, words, declared, live, desired, differences, row, .. } =
        explanation;
    let tone = match verdict {
        Verdict::Equal => Tone::Good,
        Verdict::Different => Tone::Changed,
        Verdict::NotCompared => Tone::Faint,
    };
    let _ = writeln!(out, "{}  {}", layout.paint(Tone::Strong, key), dotted(path));
    let id = id.as_ref().map_or_else(|| "no live job".to_owned(), |id| format!("live job {}", clean(id)));
    let _ = writeln!(out, "{}", layout.paint(Tone::Faint, &id));
    let _ = writeln!(out, "{}: {}", layout.paint(tone, verdict.as_str()), layout.wrap(&clean(words), 0, 2));
    out.push('\n');
    let mut line = |name: &str, text: &str| {
        let text = layout.wrap(text, INDENT, INDENT);
        let _ = writeln!(out, "  {name:<12}{}", text.trim_start());
    };
    let place = declared.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    line("declared", &format!("{}{}", raw(declared), clean(&place)));
    line("", &format!("normalised: {}", normalised(declared)));
    line("live", &raw(live));
    line("", &format!("normalised: {}", normalised(live)));
    line("desired", &desired.as_ref().map_or_else(|| "(none)".to_owned(), value));
    for field in differences.iter().filter(|field| field.pointer != *path) {
        let sides =
            format!("{}: {} -> {}", dotted(&field.pointer), value(&field.before), value(&field.after));
        line("differs", &sides);
    }
    match row {
        Some(row) => {
            line("table", &format!("{}; {}", canonical::expectation(row), clean(row.summary)));
            line("", &format!("decided by {}; none: {}", page::decided_by(row), none(row)));
            line(
                "",
                &format!(
                    "{}; {}; since {}, known from [{}]",
                    platforms(row),
                    used_by(row),
                    row.since,
                    row.evidence.as_str()
                ),
            );
        }
        None => line("table", "the table of this build does not have it"),
    }
    if let Some(base) = &explanation.base {
        line("base", &value(base));
    }
    for text in stamp_words(grounds) {
        line(if text.starts_with("  ") { "" } else { "stamp" }, text.trim());
    }
    if let Some(origin) = explanation.origin {
        line("origin", origin.as_str());
    }
    for why in &explanation.unknown {
        line("", &why.to_string());
    }
    out
}

/// What was written or answered, in one line.
fn raw(side: &Side) -> String {
    match (&side.raw, &side.normalised) {
        (Some(Value::String(text)), _) if side.place.is_some() => {
            clean(text.split('\n').next().unwrap_or_default()) + if text.contains('\n') { " …" } else { "" }
        }
        (Some(value), _) => clean(&value.to_string()),
        (None, Some(_)) => "(not shown: it holds a script)".to_owned(),
        (None, None) => "(absent)".to_owned(),
    }
}

fn normalised(side: &Side) -> String {
    side.normalised.as_ref().map_or_else(|| "(none)".to_owned(), value)
}

fn none(row: &Member) -> String {
    match row.empty {
        Empty::Null => "null".to_owned(),
        Empty::Blank => "null and what is empty".to_owned(),
        Empty::False => "null and false".to_owned(),
        Empty::Zero => "null and 0".to_owned(),
        Empty::Default(default) => format!("null, which means {default}"),
        Empty::AllMembers => "null and a block in which nothing is set".to_owned(),
    }
}

fn platforms(row: &Member) -> String {
    row.platform.map_or_else(|| "both platforms".to_owned(), |(only, _)| format!("{} only", only.as_str()))
}

/// The schedule types, by name.
fn schedule_types(row: &Member) -> Vec<&'static str> {
    let all = ["On-demand", "Once", "Daily", "Weekly", "Monthly"];
    all.into_iter().filter(|name| row.schedules & schedules::bit(name) != 0).collect()
}

fn used_by(row: &Member) -> String {
    match row.schedules {
        schedules::ALL => "every schedule type".to_owned(),
        _ => format!("used by {}", schedule_types(row).join(", ")),
    }
}

fn stamp_words(grounds: &Grounds) -> Vec<String> {
    let Found::Stamp(stamp) = &grounds.stamp else {
        return vec![match grounds.stamp {
            Found::Damaged => "damaged: it proves nothing".to_owned(),
            Found::None | Found::Stamp(_) => "none: it is not known what was applied last".to_owned(),
        }];
    };
    let proves = if grounds.is_proof {
        ""
    } else {
        "; it proves nothing: of another manifest or table, or on two jobs"
    };
    let agrees = |yes: bool| if yes { "as then" } else { "moved since" };
    vec![
        clean(&format!("{}/{}, table {}{proves}", stamp.owner, stamp.key, stamp.table_version)),
        format!(
            "  what is declared is {}, the live job is {}, scripts in Git are {}",
            agrees(grounds.is_as_declared),
            agrees(grounds.is_as_left),
            agrees(grounds.has_contents)
        ),
    ]
}

/// The explanation for programs.
pub fn json(explanation: &Explanation, grounds: &Grounds) -> Value {
    let Explanation {
        key,
        id,
        path,
        verdict,
        rule,
        words,
        declared,
        live,
        desired,
        differences,
        row,
        ignored_by,
        origin,
        unknown,
        base,
    } = explanation;
    let differences = differences
        .iter()
        .map(|field| json!({"path": field.pointer, "before": field.before, "after": field.after}));
    json!({
        "key": key,
        "id": id,
        "path": path,
        "verdict": verdict.as_str(),
        "rule": rule,
        "reason": words,
        "declared": side(declared),
        "live": side(live),
        "desired": desired,
        "differences": differences.collect::<Vec<_>>(),
        "table": row.map(table),
        "ignored_by": ignored_by.as_ref().map(|rule| json!({
            "member": rule.member,
            "reason": rule.reason,
            "until": rule.until.map(|day| day.to_string()),
            "source": place(&rule.place),
        })),
        "base": base,
        "stamp": stamp(grounds),
        "origin": origin.map(crate::plan::Origin::as_str),
        "unknown": unknown.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn side(side: &Side) -> Value {
    json!({
        "raw": side.raw,
        "normalised": side.normalised,
        "source": side.place.as_ref().map(place),
    })
}

fn table(row: &'static Member) -> Value {
    json!({
        "name": row.name,
        "type": canonical::expectation(row),
        "summary": row.summary,
        "decided_by": page::decided_by(row),
        "none": none(row),
        "platform": row.platform.map(|(only, _)| only.as_str()),
        "schedule_types": schedule_types(row),
        "since": row.since,
        "evidence": row.evidence.as_str(),
    })
}

fn stamp(grounds: &Grounds) -> Value {
    let Found::Stamp(stamp) = &grounds.stamp else {
        return json!({"found": if grounds.stamp == Found::Damaged { "damaged" } else { "none" }});
    };
    json!({
        "found": "stamp",
        "owner": stamp.owner,
        "key": stamp.key,
        "table": stamp.table_version,
        "proves": grounds.is_proof,
        "declared_agrees": grounds.is_as_declared,
        "job_agrees": grounds.is_as_left,
        "contents_agree": grounds.has_contents,
    })
}

fn place(place: &Place) -> Value {
    let (line, column) = place.line_column();
    json!({"file": place.file.path, "line": line, "column": column})
}
