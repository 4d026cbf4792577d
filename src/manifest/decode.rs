//! The job's members: YAML nodes to canonical values, by the rows of the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::{Context, Declared, Places, links};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::diff::escape;
use crate::job::{self, Element, Member, Owner, Type, canonical};
use crate::links::{Placeholder, is_key};
use crate::script::{self, Scripts};
use crate::source::{Place, SourceFile, Span};
use crate::stamp;
use crate::yaml::{Entry, Node, Value};

/// What is gathered while one document is read.
pub(super) struct Decoder<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    context: Context<'a>,
    pub(super) diagnostics: Diagnostics,
    pub(super) scripts: Scripts,
    pub(super) script_files: BTreeMap<String, Option<String>>,
    /// Places of members, by the hash of their pointer.
    pub(super) declared: Vec<(u64, Declared)>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(file: &'a Arc<SourceFile>, context: Context<'a>) -> Self {
        Self {
            file,
            context,
            diagnostics: Diagnostics::new(),
            scripts: Scripts::default(),
            script_files: BTreeMap::new(),
            declared: Vec::new(),
        }
    }

    pub(super) fn place(&self, span: Span) -> Place {
        Place::new(self.file, span)
    }

    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        super::push_within_limit(&mut self.diagnostics, diagnostic);
    }

    pub(super) fn error(&mut self, code: &'static str, message: impl Into<String>, span: Span, label: &str) {
        let place = self.place(span);
        self.push(Diagnostic::error(code, message).at(place, label));
    }

    /// The members of a mapping, or a finding.
    pub(super) fn mapping<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        let found = node.value.as_mapping();
        if found.is_none() {
            self.error(
                "wrong-type",
                format!("`{what}` must be a mapping, found {}", node.value.describe()),
                node.span,
                "",
            );
        }
        found
    }

    /// Reads the members of one block.
    pub(super) fn block(
        &mut self,
        rows: &'static [Member],
        entries: &[Entry],
        prefix: &str,
    ) -> Map<String, Json> {
        let mut members = Map::new();
        for entry in entries {
            let pointer = format!("{prefix}/{}", escape(&entry.key));
            if let Some(row) = script_file_row(rows, &entry.key) {
                let pointer = format!("{prefix}/{}", row.name);
                if self.is_second(&members, row, entry) {
                    continue;
                }
                self.remember(&pointer, entry);
                if let Some(value) = self.script_file(entry, &pointer) {
                    members.insert(row.name.to_owned(), value);
                }
                continue;
            }
            let known = job::find(rows, &entry.key);
            // Hardly any key has to be looked for among the names that stand for others.
            let keyed = || rows.iter().find(|row| job::key_form(row) == Some(entry.key.as_str()));
            if known.is_none()
                && let Some(row) = keyed()
            {
                let pointer = format!("{prefix}/{}", row.name);
                if !self.is_second_link(&members, row, entry, &pointer) {
                    self.remember(&pointer, entry);
                    members.extend(self.linked_job(row, entry).map(|value| (row.name.to_owned(), value)));
                }
                continue;
            }
            let value = match known {
                None => self.unknown_member(rows, entry, prefix),
                Some(row) if row.name == "actionType" => {
                    self.action_type(entry, prefix);
                    None
                }
                Some(row) if row.owner == Owner::Server => {
                    self.server_member(entry);
                    None
                }
                Some(row) if row.owner == Owner::WriteOnly && self.is_second(&members, row, entry) => None,
                Some(row)
                    if matches!(row.kind, Type::Job)
                        && self.is_second_link(&members, row, entry, &pointer) =>
                {
                    None
                }
                Some(row) => {
                    if row.owner == Owner::Unknown {
                        let message = format!("it is not documented who decides `{}`", entry.key);
                        let place = self.place(entry.key_span);
                        self.push(Diagnostic::warning("undocumented-member", message).at(place, ""));
                    }
                    self.value(row, &entry.value, &pointer)
                }
            };
            if let Some(value) = value {
                self.remember(&pointer, entry);
                members.insert(entry.key.clone(), value);
            }
        }
        members
    }

    fn remember(&mut self, pointer: &str, entry: &Entry) {
        self.declared
            .push((Places::hash(pointer), Declared { key: entry.key_span, value: entry.value.span }));
    }

    /// A script may be declared in place or by file, not both.
    fn is_second(&mut self, members: &Map<String, Json>, row: &Member, entry: &Entry) -> bool {
        let second = members.contains_key(row.name);
        if second {
            let message = format!("`{0}` and `{0}File` exclude each other", row.name);
            self.error("script-twice", message, entry.key_span, "");
        }
        second
    }

    /// Another job may be declared by its key or by its id, not both.
    fn is_second_link(
        &mut self,
        members: &Map<String, Json>,
        row: &Member,
        entry: &Entry,
        pointer: &str,
    ) -> bool {
        let Some(name) = job::key_form(row).filter(|_| members.contains_key(row.name)) else { return false };
        let message = format!("`{name}` and `{}` exclude each other", row.name);
        let place = self.place(entry.key_span);
        let mut diagnostic = Diagnostic::error("linked-job-twice", message).at(place, "this one");
        let hash = Places::hash(pointer);
        if let Some((_, first)) = self.declared.iter().find(|(known, _)| *known == hash) {
            diagnostic = diagnostic.related(self.place(first.key), "and this one");
        }
        self.push(diagnostic.help("keep the key for a job of this repository, the id for any other"));
        true
    }

    /// A job by the key of its manifest; which live job that is, is known when the plan is made.
    fn linked_job(&mut self, row: &Member, entry: &Entry) -> Option<Json> {
        let key = match &entry.value.value {
            Value::Null => return Some(Json::Null),
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            _ => String::new(),
        };
        if is_key(&key) {
            return Some(Json::Object(Map::from_iter([(entry.key.clone(), Json::from(key))])));
        }
        let message = format!(
            "`{}` must be the key of another manifest, found {}",
            entry.key,
            entry.value.value.describe()
        );
        let place = self.place(entry.value.span);
        let help = format!("a key is of small letters, digits and dashes; an id belongs into `{}`", row.name);
        self.push(Diagnostic::error("wrong-value", message).at(place, "").help(help));
        None
    }

    fn unknown_member(&mut self, rows: &'static [Member], entry: &Entry, prefix: &str) -> Option<Json> {
        if self.context.allow_unknown_fields {
            let place = self.place(entry.key_span);
            let message = format!("`{}` is not known to this build and is passed on as it is", entry.key);
            self.push(Diagnostic::warning("unknown-member", message).at(place, ""));
            return Some(self.plain_json(&entry.value));
        }
        let place = self.place(entry.key_span);
        let within = if prefix.is_empty() { "a job".to_owned() } else { format!("`{}`", dotted(prefix)) };
        let diagnostic =
            Diagnostic::error("unknown-member", format!("`{}` is no member of {within}", entry.key))
                .at(place.clone(), "");
        let names = rows.iter().filter(|row| row.is_settable());
        let names = names.flat_map(|row| std::iter::once(row.name).chain(job::key_form(row)));
        let elsewhere = || {
            let mut found = None;
            job::walk(&mut |path, row| {
                if found.is_none() && row.name.eq_ignore_ascii_case(&entry.key) && row.is_settable() {
                    found = Some(path.to_owned());
                }
            });
            found
        };
        self.push(match job::nearest(&entry.key, names) {
            Some(near) => diagnostic.fix(place, near, "did you mean this?"),
            None => match elsewhere() {
                Some(path) => diagnostic.help(format!("it stands at `{path}`")),
                None => diagnostic.help(
                    "a member that is newer than this build is let through with --allow-unknown-fields",
                ),
            },
        });
        None
    }

    fn server_member(&mut self, entry: &Entry) {
        let place = self.place(entry.key_span);
        let message = format!("`{}` is set by the server and can not be declared", entry.key);
        let help = match entry.key.as_str() {
            "id" => "remove it; bind the manifest to a live job with `metadata.id`",
            _ => "remove it",
        };
        self.push(Diagnostic::error("server-owned-member", message).at(place, "").help(help));
    }

    /// The list says what an action is; saying it again is accepted, saying otherwise is not (DESIGN 2).
    fn action_type(&mut self, entry: &Entry, prefix: &str) {
        let expected = if prefix.starts_with("/pre") { "predeploy" } else { "postdeploy" };
        if entry.value.value.as_str() != Some(expected) {
            let place = self.place(entry.value.span);
            let message =
                format!("`actionType` follows from the list the action stands in, here `{expected}`");
            self.push(Diagnostic::error("action-type", message).at(place, "").help("remove it"));
        }
    }

    fn value(&mut self, row: &'static Member, node: &Node, pointer: &str) -> Option<Json> {
        match (row.kind, &node.value) {
            (Type::Object(_) | Type::List(..) | Type::Script, Value::Null) => Some(Json::Null),
            (Type::Object(rows), Value::Mapping(entries)) => {
                Some(Json::Object(self.block(rows, entries, pointer)))
            }
            (Type::List(rows, _), Value::Sequence(items)) => Some(self.list(rows, items, pointer)),
            (Type::Script, Value::String(text)) => self.script_in_place(text, node, pointer),
            (Type::Any, _) => Some(self.plain_json(node)),
            (Type::Set(Element::Tag), Value::Sequence(items)) => self.tags(row, items),
            (Type::Object(_) | Type::List(..) | Type::Script, _) => {
                self.mismatch(row, node, pointer, &canonical::expectation(row));
                None
            }
            _ => self.scalar(row, node, pointer),
        }
    }

    fn list(&mut self, rows: &'static [Member], items: &[Node], pointer: &str) -> Json {
        let mut values = Vec::new();
        for (position, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/{position}");
            self.declared.push((Places::hash(&pointer), Declared { key: item.span, value: item.span }));
            if let Some(entries) = self.mapping(item, &dotted(&pointer)) {
                values.push(Json::Object(self.block(rows, entries, &pointer)));
            }
        }
        values.into()
    }

    fn scalar(&mut self, row: &Member, node: &Node, pointer: &str) -> Option<Json> {
        // A text that would be taken for an id which is not known yet is no id.
        let is_forged = matches!(row.kind, Type::Job)
            && node.value.as_str().is_some_and(|text| Placeholder::parse(text.trim()).is_some());
        // A job is armed or it is not, and no third thing may be taken for one of the two.
        let is_no_status = is_status(row)
            && (matches!(node.value, Value::Null)
                || node.value.as_str().is_some_and(|text| text.trim().is_empty()));
        if is_forged || is_no_status || is_blank_of_another_kind(row, &node.value) {
            self.mismatch(row, node, pointer, &canonical::expectation(row));
            return None;
        }
        let json = self.plain_json(node);
        let mismatch = match canonical::canonical(row, &json) {
            Ok(value) => {
                self.warn_of_odd_ids(row, node, pointer);
                self.remember_actions(row, node, pointer);
                return Some(if pointer == "/description" { without_stamp(value) } else { value });
            }
            Err(mismatch) => mismatch,
        };
        // In a list only one element may be at fault: point at that one.
        let culprit = node.value.as_sequence().and_then(|items| {
            items.iter().find(|item| {
                let alone = Json::Array(vec![self.json_of(item)]);
                canonical::canonical(row, &alone).is_err()
            })
        });
        let at = culprit.unwrap_or(node);
        let place = self.place(at.span);
        let is_tolerable = mismatch.tolerable && !is_status(row);
        let verb = if is_tolerable { "is usually" } else { "must be" };
        let message =
            format!("`{}` {verb} {}, found {}", dotted(pointer), mismatch.expected, at.value.describe());
        if is_tolerable {
            let diagnostic = Diagnostic::warning("unusual-value", message).at(place, "sent as it is");
            self.push(diagnostic);
            return Some(json);
        }
        let diagnostic = Diagnostic::error("wrong-value", message).at(place.clone(), "");
        let diagnostic = match mismatch.fix {
            Some(fix) => diagnostic.fix(place, fix, "write it like this"),
            None => diagnostic.help(row.summary),
        };
        self.push(diagnostic);
        None
    }

    /// The API's ids are UUIDs in all samples; another text is sent all the same.
    fn warn_of_odd_ids(&mut self, row: &Member, node: &Node, pointer: &str) {
        let items = match row.kind {
            Type::Uuid | Type::Job => std::slice::from_ref(node),
            Type::Set(Element::Uuid) => node.value.as_sequence().unwrap_or_default(),
            _ => &[],
        };
        for item in items {
            if item.value.as_str().is_some_and(|text| !text.is_empty() && !canonical::is_uuid(text.trim())) {
                let expected = canonical::expectation(row);
                let message =
                    format!("`{}` is usually {expected}, found {}", dotted(pointer), item.value.describe());
                let place = self.place(item.span);
                self.push(Diagnostic::warning("unusual-value", message).at(place, "sent as it is"));
            }
        }
    }

    /// Keeps the place of each action that is named, for whoever looks for it.
    fn remember_actions(&mut self, row: &Member, node: &Node, pointer: &str) {
        let (Type::Set(Element::Action), Some(items)) = (row.kind, node.value.as_sequence()) else { return };
        for item in items {
            if let Some(name) = item.value.as_str() {
                let place = Declared { key: item.span, value: item.span };
                self.declared.push((Places::hash(&links::action_pointer(pointer, name.trim())), place));
            }
        }
    }

    fn mismatch(&mut self, row: &Member, node: &Node, pointer: &str, expected: &str) {
        let place = self.place(node.span);
        let message = format!("`{}` must be {expected}, found {}", dotted(pointer), node.value.describe());
        self.push(Diagnostic::error("wrong-value", message).at(place, "").help(row.summary));
    }

    /// Tags by UUID or by a name of the configuration's map.
    fn tags(&mut self, row: &Member, items: &[Node]) -> Option<Json> {
        let mut ids = Vec::new();
        let mut failed = false;
        for item in items {
            match item.value.as_str() {
                Some(text) if canonical::is_uuid(text) => ids.push(Json::from(text)),
                Some(text) => match self.context.tags.get(text) {
                    Some(id) => ids.push(Json::from(id.as_str())),
                    None => {
                        failed = true;
                        self.unknown_tag(text, item.span);
                    }
                },
                None => {
                    failed = true;
                    self.mismatch(row, item, &format!("/{}", row.name), "a tag's name or UUID");
                }
            }
        }
        if failed { None } else { canonical::canonical(row, &ids.into()).ok() }
    }

    fn unknown_tag(&mut self, name: &str, span: Span) {
        let place = self.place(span);
        let message = format!("the tag `{name}` is neither a UUID nor a name of the `tags` map");
        let diagnostic = Diagnostic::error("unknown-tag", message).at(place.clone(), "");
        let near = job::nearest(name, self.context.tags.keys().map(String::as_str)).map(str::to_owned);
        self.push(match near {
            Some(near) => diagnostic.fix(place, near, "did you mean this?"),
            None => diagnostic.help("add the name with its UUID to `tags:` in patchctl.yaml"),
        });
    }

    fn script_in_place(&mut self, text: &str, node: &Node, pointer: &str) -> Option<Json> {
        if script::is_storage_path(text) {
            let place = self.place(node.span);
            let message = "this is the storage path that the API answers with, not a script";
            let help = "leave the member out to keep the live script, or give the script's text or file";
            self.push(Diagnostic::error("script-path", message).at(place, "").help(help));
            return None;
        }
        self.script_files.insert(pointer.to_owned(), None);
        Some(self.scripts.keep(text.as_bytes()))
    }

    fn script_file(&mut self, entry: &Entry, pointer: &str) -> Option<Json> {
        let Some(path) = entry.value.value.as_str() else {
            let message = format!("`{}` must be a path, found {}", entry.key, entry.value.value.describe());
            self.error("wrong-value", message, entry.value.span, "");
            return None;
        };
        match self.context.scripts.read_script(&self.file.path, path) {
            Ok(content) if content.is_empty() => {
                let message = format!("the script file `{path}` is empty");
                self.error("script-file", message, entry.value.span, "");
                None
            }
            Ok(content) => {
                self.script_files.insert(pointer.to_owned(), Some(path.to_owned()));
                Some(self.scripts.keep_file(&content, path))
            }
            Err(problem) => {
                let place = self.place(entry.value.span);
                let message = format!("the script file `{path}` {}", problem.message);
                self.push(Diagnostic::error("script-file", message).at(place, "").help(problem.help));
                None
            }
        }
    }

    fn plain_json(&mut self, node: &Node) -> Json {
        self.json_of(node)
    }

    fn json_of(&self, node: &Node) -> Json {
        match &node.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Integer(value) => Json::from(*value),
            // A number that JSON has no way to write is left as it was written.
            Value::Float(value) => serde_json::Number::from_f64(*value)
                .map_or_else(|| Json::from(self.place(node.span).text()), Json::Number),
            Value::String(text) => Json::from(text.as_str()),
            Value::Sequence(items) => items.iter().map(|item| self.json_of(item)).collect(),
            Value::Mapping(entries) => Json::Object(
                entries.iter().map(|entry| (entry.key.clone(), self.json_of(&entry.value))).collect(),
            ),
        }
    }
}

/// Whether a row is the status, which is never sent as it stands: it decides between two calls, and whatever is not
/// `Disabled` would arm the job.
fn is_status(row: &Member) -> bool {
    row.owner == Owner::Status
}

/// Whether this is the empty value of another kind, which `canonical` takes for none because API answers hold such.
///
/// In a manifest it is a mistake: `assetTagIds: {}` would empty the list without a word.
fn is_blank_of_another_kind(row: &Member, value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty() && matches!(row.kind, Type::Bool | Type::Set(_)),
        Value::Sequence(items) => {
            items.is_empty() && !matches!(row.kind, Type::Set(_) | Type::WeekDays | Type::Addresses)
        }
        Value::Mapping(entries) => entries.is_empty(),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => false,
    }
}

/// The stamp is ours to write: a description that was copied from the console loses it.
fn without_stamp(value: Json) -> Json {
    match value {
        Json::String(text) => match stamp::split(&text).0 {
            "" => Json::Null,
            text => Json::from(text),
        },
        value => value,
    }
}

/// The row whose content `scriptFile` or `detectionScriptFile` names.
fn script_file_row(rows: &'static [Member], key: &str) -> Option<&'static Member> {
    let name = key.strip_suffix("File")?;
    job::find(rows, name).filter(|row| row.owner == Owner::WriteOnly)
}

/// A pointer as people write paths: `postDeployment.rebootCountdown.interval`, `preDeployActions[0].script`.
pub(super) fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{part}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(part);
        }
    }
    path
}
