//! The members of one manifest, in the order in which people want to read them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::emit::{Item, Node, Part};
use super::{Known, LeftOut, Why, is_past_editing, link};
use crate::job::{Element, JOB, Member, Owner, Type, canonical, find, paragraphs};
use crate::normalise::{self, unknown_members};
use crate::script;
use crate::snapshot::LiveJob;

/// Columns of a line of remarks.
const REMARK_WIDTH: usize = 110;

/// A manifest in the making.
pub(super) struct Draft {
    /// What stands below `spec`.
    pub(super) parts: Vec<Part>,
    /// What stands at the end of the file.
    pub(super) remarks: Vec<Part>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) unnamed_tags: BTreeMap<String, String>,
}

/// Declares what the job says, but for members that were refused before.
pub(super) fn draft(
    job: &LiveJob,
    key: &str,
    known: &Known,
    refused: &BTreeMap<&'static str, String>,
) -> Draft {
    let mut writer = Writer {
        job,
        key,
        known,
        left_out: Vec::new(),
        unnamed_tags: BTreeMap::new(),
        script_files: BTreeSet::new(),
    };
    let mut parts = Vec::new();
    for rows in paragraphs() {
        let mut paragraph = Vec::new();
        for row in rows {
            match (refused.get(row.name), job.normalised.members().get(row.name)) {
                (_, None) => {}
                (Some(why), Some(_)) => {
                    writer
                        .left_out
                        .push(LeftOut { why: Why::Unreadable(why.clone()), path: row.name.to_owned() });
                }
                (None, Some(_)) if follows(job, row) => {}
                (None, Some(value)) => paragraph.extend(writer.member(row, value, row.name)),
            }
        }
        if !parts.is_empty() && !paragraph.is_empty() {
            parts.push(Part::Blank);
        }
        parts.extend(paragraph);
    }
    writer.unknown(JOB, job.normalised.members(), "");
    let Writer { mut left_out, unnamed_tags, .. } = writer;
    left_out.sort();
    Draft { parts, remarks: remarks(&left_out), left_out, unnamed_tags }
}

/// A block of a job, or of one of its lists, as [`draft`] writes it: `path` is where it stands in the live job.
pub(crate) fn block(
    job: &LiveJob,
    key: &str,
    known: &Known,
    rows: &'static [Member],
    members: &Map<String, Value>,
    path: &str,
) -> Vec<Part> {
    let (left_out, unnamed_tags) = (Vec::new(), BTreeMap::new());
    let mut writer = Writer { job, key, known, left_out, unnamed_tags, script_files: BTreeSet::new() };
    writer.block(rows, members, path)
}

/// Whether a member follows from others, so that saying it again would only be one more thing to keep in step.
fn follows(job: &LiveJob, row: &Member) -> bool {
    let is_on_demand = job.normalised.schedule_type() == Some("On-demand");
    let is_filled_in = || {
        let text = |name: &str| job.normalised.text(name);
        (text("timezoneType"), text("timezone")) == (Some("SPECIFIC_TZ"), Some("UTC"))
    };
    match row.name {
        // It follows scheduleType; where it does not, declaring it would be warned of.
        "recurring" => true,
        // What the server fills in by itself when a job of this kind is made (REFERENCE 5.5).
        "timezoneType" | "timezone" => is_on_demand && is_filled_in(),
        _ => false,
    }
}

struct Writer<'a> {
    job: &'a LiveJob,
    key: &'a str,
    known: &'a Known,
    left_out: Vec<LeftOut>,
    unnamed_tags: BTreeMap<String, String>,
    /// Names of script files that were proposed.
    script_files: BTreeSet<String>,
}

impl Writer<'_> {
    /// The lines of one member; none where it says nothing.
    fn member(&mut self, row: &'static Member, value: &Value, path: &str) -> Vec<Part> {
        if *value == canonical::unset(row) {
            return Vec::new();
        }
        match row.owner {
            Owner::Server => return Vec::new(),
            Owner::Unknown => {
                self.left_out.push(LeftOut { why: Why::Undocumented, path: path.to_owned() });
                return Vec::new();
            }
            Owner::WriteOnly => return vec![Part::Comment(self.script(row, value, path))],
            Owner::Status => return vec![self.status(row, value)],
            Owner::User | Owner::UserAtCreation => {}
        }
        if let Some(part) = value.as_str().and_then(|id| link::parent(row, id, self.known)) {
            return vec![part];
        }
        let value = match (row.kind, value) {
            (Type::Object(rows), Value::Object(members)) => match self.block(rows, members, path) {
                parts if parts.is_empty() => return Vec::new(),
                parts => Node::Map(parts),
            },
            (Type::List(rows, _), Value::Array(items)) => Node::List(self.list(rows, items, path)),
            (Type::Set(element), Value::Array(items)) => Node::List(self.set(row, element, items)),
            (Type::DateTime, Value::String(text)) => date_time(text),
            (_, value) => plain(value),
        };
        vec![Part::entry(row.name, value)]
    }

    /// The members of a block that say something.
    fn block(&mut self, rows: &'static [Member], members: &Map<String, Value>, path: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        for row in rows {
            if let Some(value) = members.get(row.name) {
                parts.extend(self.member(row, value, &format!("{path}.{}", row.name)));
            }
        }
        self.unknown(rows, members, path);
        parts
    }

    fn list(&mut self, rows: &'static [Member], items: &[Value], path: &str) -> Vec<Item> {
        let blocks = items.iter().enumerate().map(|(at, item)| match item {
            Value::Object(members) => {
                Item::new(Node::Map(self.block(rows, members, &format!("{path}[{at}]"))))
            }
            other => Item::new(plain(other)),
        });
        blocks.collect()
    }

    /// Ids, with names where they are known: names of tags in place of the ids, all others beside them.
    fn set(&mut self, row: &'static Member, element: Element, items: &[Value]) -> Vec<Item> {
        let mut written: Vec<Item> = items
            .iter()
            .map(|item| match (element, item.as_str()) {
                (Element::Tag, Some(id)) => self.tag(id),
                (_, Some(id)) => link::action(row, id, self.known).unwrap_or_else(|| Item::new(plain(item))),
                (_, None) => Item::new(plain(item)),
            })
            .collect();
        // Tags by name, and behind them those that have none; the rest is in the order of the table.
        if element == Element::Tag {
            let is_id = |item: &Item| matches!(&item.value, Node::Text(text) if canonical::is_uuid(text));
            let text =
                |item: &Item| if let Node::Text(text) = &item.value { text.clone() } else { String::new() };
            written.sort_by_cached_key(|item| (is_id(item), text(item)));
        }
        written
    }

    fn tag(&mut self, id: &str) -> Item {
        if let Some(name) = self.known.configured_tag(id) {
            return Item::new(Node::Text(name.to_owned()));
        }
        let name = self.known.tag_names.get(&id.to_ascii_lowercase()).cloned();
        if let Some(name) = &name {
            self.unnamed_tags.insert(id.to_owned(), name.clone());
        }
        Item { value: Node::Text(id.to_owned()), beside: name }
    }

    /// Declared `Enabled` equals every live status but `Disabled` (DESIGN section 4).
    fn status(&self, row: &'static Member, value: &Value) -> Part {
        let Some(status) = value.as_str() else { return Part::entry(row.name, plain(value)) };
        let declared = if normalise::is_armed(Some(status)) { "Enabled" } else { "Disabled" };
        let mut said = Vec::new();
        if !status.eq_ignore_ascii_case(declared) {
            said.push(format!("live: {status}"));
        }
        if is_past_editing(self.job) {
            said.push("it runs once, so it can not be edited any more".to_owned());
        }
        let beside = (!said.is_empty()).then(|| said.join("; "));
        Part::Entry { key: row.name, value: Node::Text(declared.to_owned()), beside }
    }

    /// What is said in place of a script: it is live, nobody can read it, and how it comes into Git.
    fn script(&mut self, row: &'static Member, value: &Value, path: &str) -> String {
        if script::stored_path(value).is_none() {
            return format!("{}: not declared, because its form is not known.", row.name);
        }
        let what = if row.name == "script" { "script" } else { "detection script" };
        let file = format!("scripts/{}", self.script_file(row, path));
        format!(
            "The live {what} is kept: the API never shows its content. To take it over, put it into a file:\n{}File: {file}",
            row.name
        )
    }

    /// A name for the file of a script: by manifest, action and language, so that no two are alike.
    fn script_file(&mut self, row: &'static Member, path: &str) -> String {
        let action = path.rsplit_once('.').map_or("", |(action, _)| action);
        let pointer = format!("/{}", action.replace('[', "/").replace(']', ""));
        let action = self.job.normalised.at(&pointer);
        let text = |pointer: &str| action.and_then(|action| action.pointer(pointer)).and_then(Value::as_str);
        let language = text(&format!("/{}Type", row.name)).or_else(|| text("/scriptType"));
        let ending = match language {
            Some("ps") => "ps1",
            Some("sh") => "sh",
            Some(_) | None => "txt",
        };
        let item = super::key::word(text("/params/actionItem").unwrap_or_default());
        let parts = [self.key, item.as_str(), if row.name == "script" { "" } else { "detection" }];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let stem = parts.join("-");
        let more = (2..).map(|n| format!("{stem}-{n}.{ending}"));
        let mut names = std::iter::once(format!("{stem}.{ending}")).chain(more);
        names.find(|name| self.script_files.insert(name.clone())).unwrap_or_default()
    }

    fn unknown(&mut self, rows: &'static [Member], members: &Map<String, Value>, path: &str) {
        for (name, value) in unknown_members(rows, members) {
            if !value.is_null() {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                self.left_out.push(LeftOut { why: Why::Unknown, path });
            }
        }
    }
}

/// A date without seconds where there are none.
fn date_time(text: &str) -> Node {
    match canonical::canonical(find(JOB, "startDateTime").unwrap_or(&JOB[0]), &Value::from(text)) {
        Ok(Value::String(read)) if read == text && text.len() == 19 => {
            Node::Plain(text.strip_suffix(":00").unwrap_or(text).to_owned())
        }
        Ok(_) | Err(_) => Node::Text(text.to_owned()),
    }
}

/// A value as it is; one of a shape that no member takes is refused when the manifest is read back.
fn plain(value: &Value) -> Node {
    match value {
        Value::String(text) => Node::Text(text.clone()),
        Value::Array(items) => Node::List(items.iter().map(|item| Item::new(plain(item))).collect()),
        // Its members are names that only a server knows, and a mapping of those can not be declared anyway.
        Value::Object(_) => Node::Map(Vec::new()),
        Value::Null | Value::Bool(_) | Value::Number(_) => Node::Plain(value.to_string()),
    }
}

/// What is said at the end of the file of members that the manifest does not declare.
fn remarks(left_out: &[LeftOut]) -> Vec<Part> {
    let paths = |why: &Why| -> Vec<&str> {
        left_out.iter().filter(|left| left.why == *why).map(|left| left.path.as_str()).collect()
    };
    let mut lines = Vec::new();
    let mut say = |words: &str, paths: Vec<&str>| {
        if !paths.is_empty() {
            lines.push(format!("{words}: {}", paths.join(", ")));
        }
    };
    say("Left as they are live, because this build does not know them", paths(&Why::Unknown));
    say("Left as they are live, because it is not documented who decides them", paths(&Why::Undocumented));
    for left in left_out {
        if let Why::Unreadable(why) = &left.why {
            lines.push(format!(
                "Left as it is live, because a manifest can not say it: {} ({why})",
                left.path
            ));
        }
    }
    if lines.is_empty() {
        return Vec::new();
    }
    let layout = crate::render::text::Layout { colour: false, width: REMARK_WIDTH };
    let wrapped = lines.iter().map(|line| Part::Comment(layout.wrap(&super::emit::one_line(line), 0, 2)));
    std::iter::once(Part::Blank).chain(wrapped).collect()
}
