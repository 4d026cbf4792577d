//! One manifest: from differences to replacements in its text, and to what they do to its tree.

mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::anchors::Copies;
use super::list::{self, List, Piece};
use super::proof::{Change, Slot, Step};
use super::scalar::{self, Around};
use super::shape::{is_set, is_structural, json_of_parts, order, put, with_dash, with_line_end};
use super::{Job, Refused, forms, is_script, lines};
use crate::diagnostic::Diagnostic;
use crate::diff::{FieldChange, escape, top_level, unescape};
use crate::edit::Replacement;
use crate::elements;
use crate::import::{self, Known, emit};
use crate::job::{self, JOB, Member, Type, canonical, find, find_pointer, schedules};
use crate::manifest::Manifest;
use crate::render::text::dotted;
use crate::source::{Place, SourceFile, Span};
use crate::yaml::{Document, Entry, Node, Style, Value};

/// Columns that a list in brackets fills at most where it is new.
const WIDTH: usize = 100;

/// The key of a manifest.
pub(super) fn key_of(document: &Document) -> Option<String> {
    match &document.root.value.get("metadata")?.value.get("key")?.value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What is to be done to one manifest.
#[derive(Debug, Default)]
pub(super) struct Edited {
    pub(super) replacements: Vec<Replacement>,
    pub(super) changes: Vec<Change>,
    /// Pointers of the differences that are done away with.
    pub(super) members: Vec<String>,
    pub(super) refused: Vec<Refused>,
}

pub(super) struct Editor<'a> {
    file: &'a Arc<SourceFile>,
    text: &'a str,
    document: &'a Document,
    manifest: &'a Manifest,
    job: &'a Job<'a>,
    known: &'a Known,
    copies: Copies,
    line_break: &'static str,
    done: Edited,
}

/// A value on its way from the root.
#[derive(Clone)]
struct At<'a> {
    node: &'a Node,
    /// The member whose value it is; `None` for an element of a list.
    entry: Option<&'a Entry>,
    /// Whether it stands within brackets or braces.
    in_brackets: bool,
    /// Column of its key or dash.
    indent: usize,
    path: Vec<Step>,
}

/// How far a pointer leads into what is declared.
enum Look<'a> {
    Found(At<'a>),
    /// The deepest value there is on the way, and its pointer.
    Missing(At<'a>, String),
}

impl<'a> Editor<'a> {
    pub(super) fn new(
        file: &'a Arc<SourceFile>,
        document: &'a Document,
        manifest: &'a Manifest,
        job: &'a Job<'a>,
        known: &'a Known,
    ) -> Self {
        let (text, copies) = (file.text.as_str(), Copies::of(&document.root));
        let line_break = lines::usual_break(text);
        Self { file, text, document, manifest, job, known, copies, line_break, done: Edited::default() }
    }

    /// Members first, then elements of lists, because lists that change places take their elements along.
    pub(super) fn run(mut self) -> Edited {
        let job = self.job;
        let mut blocks: BTreeMap<String, Vec<&FieldChange>> = BTreeMap::new();
        let mut lists: BTreeMap<&str, Vec<&FieldChange>> = BTreeMap::new();
        let mut following = Vec::new();
        for (field, _) in job.differences.iter().filter(|(_, taken)| *taken) {
            if is_script(&field.pointer) {
                let finding = self.script(field);
                self.refuse(&[field], finding);
                continue;
            }
            if is_structural(&field.pointer) {
                lists.entry(top_level(&field.pointer)).or_default().push(field);
                continue;
            }
            if super::is_only_form(field) {
                following.push(field);
                continue;
            }
            match self.look(&field.pointer) {
                None => {
                    let finding = self.notation(field, None);
                    self.refuse(&[field], finding);
                }
                Some(Look::Found(at)) => {
                    let edited = self.member(field, &at);
                    self.keep(&[field], edited);
                }
                Some(Look::Missing(at, pointer)) if at.node.value.is_null() => {
                    drop(at);
                    blocks.entry(pointer).or_default().push(field);
                }
                Some(Look::Missing(..)) => following.push(field),
            }
        }
        for (pointer, fields) in blocks {
            let edited = self.block(&pointer, &fields);
            self.keep(&fields, edited);
        }
        for field in following {
            let edited = self.following(field);
            self.keep(&[field], edited);
        }
        for (name, fields) in lists {
            let edited = self.elements(name, &fields);
            self.keep(&fields, edited);
        }
        self.done
    }

    fn keep(&mut self, fields: &[&FieldChange], edited: Result<(Vec<Replacement>, Vec<Change>), Diagnostic>) {
        match edited {
            Ok((replacements, changes)) => {
                self.done.replacements.extend(replacements);
                self.done.changes.extend(changes);
                self.done.members.extend(fields.iter().map(|field| field.pointer.clone()));
            }
            Err(finding) => self.refuse(fields, finding),
        }
    }

    fn refuse(&mut self, fields: &[&FieldChange], finding: Diagnostic) {
        for field in fields {
            self.done.refused.push(Refused {
                key: self.job.key.to_owned(),
                pointer: field.pointer.clone(),
                finding: finding.clone(),
            });
        }
    }

    /// Follows a pointer into `spec`.
    fn look(&self, pointer: &str) -> Option<Look<'a>> {
        let entry = self.document.root.value.entry("spec")?;
        let mut at = At {
            node: &entry.value,
            entry: Some(entry),
            in_brackets: self.document.root.style == Style::Flow,
            indent: lines::column(self.text, entry.key_span.start),
            path: vec![Step::Member("spec".to_owned())],
        };
        let mut seen = String::new();
        for part in pointer.split('/').skip(1) {
            let in_brackets = at.in_brackets || at.node.style == Style::Flow;
            let next = match &at.node.value {
                Value::Sequence(items) => {
                    let position: usize = part.parse().ok()?;
                    let node = items.get(position)?;
                    let indent = lines::column(self.text, at.node.span.start);
                    (node, None, indent, Step::Element(position))
                }
                Value::Mapping(entries) => {
                    let name = unescape(part);
                    let row = find_pointer(&format!("{seen}/{part}"));
                    let by_key = row.and_then(job::key_form);
                    let is_it = |entry: &&Entry| entry.key == name || by_key == Some(entry.key.as_str());
                    let Some(entry) = entries.iter().find(is_it) else {
                        return Some(Look::Missing(at, seen));
                    };
                    let indent = lines::column(self.text, entry.key_span.start);
                    (&entry.value, Some(entry), indent, Step::Member(entry.key.clone()))
                }
                _ => return Some(Look::Missing(at, seen)),
            };
            let (node, entry, indent, step) = next;
            let mut path = at.path.clone();
            path.push(step);
            at = At { node, entry, in_brackets, indent, path };
            seen = format!("{seen}/{part}");
        }
        Some(Look::Found(at))
    }

    /// Where the colon behind a key ends.
    fn colon(&self, entry: &Entry) -> Option<usize> {
        let rest = self.text.get(entry.key_span.end..)?;
        let blank = rest.len() - rest.trim_start().len();
        rest.trim_start().starts_with(':').then_some(entry.key_span.end + blank + 1)
    }

    fn list_of(&self, at: &At<'a>, wide: bool) -> List<'a> {
        List {
            text: self.text,
            node: at.node,
            colon: at.entry.and_then(|entry| self.colon(entry)),
            in_brackets: at.in_brackets,
            line_break: self.line_break,
            indent: at.indent,
            wide,
        }
    }

    fn around(&self, at: &At<'_>) -> Around {
        Around { in_brackets: at.in_brackets, indent: at.indent, line_break: self.line_break }
    }

    /// Whether keys around a value are quoted, as in JSON.
    fn is_quoted(&self, at: &At<'_>) -> bool {
        at.in_brackets && at.entry.is_some_and(|entry| self.text[entry.key_span.start..].starts_with('"'))
            || at.node.value.as_sequence().and_then(<[Node]>::first).is_some_and(|item| {
                self.text[item.span.start..].trim_start_matches(['{', ' ', '\n', '\r']).starts_with('"')
            })
    }

    // --- one member -----------------------------------------------------------------------------------------

    /// A member that is declared: its value becomes the live one.
    fn member(
        &self,
        field: &FieldChange,
        at: &At<'a>,
    ) -> Result<(Vec<Replacement>, Vec<Change>), Diagnostic> {
        let is_collection = matches!(at.node.style, Style::Block | Style::Flow);
        let row = find_pointer(&field.pointer);
        if let Some(row) = row {
            self.check_sayable(row, field, at)?;
        }
        match row {
            Some(row) if matches!(row.kind, Type::Job) => {
                self.check_anchor(at, field, true)?;
                self.link(row, field, at)
            }
            Some(row) if is_set(row) && at.node.value.as_str().is_none_or(str::is_empty) => {
                self.set(row, field, at)
            }
            row => {
                self.check_anchor(at, field, is_collection)?;
                let value = row.map_or_else(
                    || field.before.clone(),
                    |row| forms::readable(row, &field.before, &at.node.value),
                );
                let value = with_line_end(field, value, &at.node.value);
                let is_date = row.is_some_and(|row| matches!(row.kind, Type::DateTime));
                let replacement =
                    self.value(&value, at, is_date).ok_or_else(|| self.notation(field, Some(at)))?;
                Ok((vec![replacement], vec![Change::Set(at.path.clone(), value)]))
            }
        }
    }

    /// Replaces a value that stands in one piece.
    fn value(&self, value: &Json, at: &At<'_>, is_date: bool) -> Option<Replacement> {
        let mut span = at.node.span;
        if matches!(at.node.style, Style::Literal | Style::Folded) {
            // Blanks at the end of its last line belong to the text.
            span.end = lines::end(self.text, span.end);
        }
        let old = &self.text[span.start..span.end];
        let new = match (at.node.style, value) {
            (Style::Block, _) => return None,
            (style, Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => {
                // A date needs no quotes, whatever its digits look like to readers of YAML 1.1.
                let plain = matches!(style, Style::Plain | Style::Flow);
                match value.as_str().filter(|_| is_date && plain) {
                    Some(text) => text.to_owned(),
                    None => scalar::written(value, style, old, self.around(at))?,
                }
            }
            (_, Json::Array(_) | Json::Object(_)) => scalar::in_one_line(value, self.is_quoted(at)),
        };
        // An empty value has no length and stands directly behind its colon or dash.
        let space = if span.start == span.end && !self.text[..span.start].ends_with(' ') { " " } else { "" };
        Some(Replacement { span, text: format!("{space}{new}") })
    }

    /// Another parent: the key of its manifest where one stood there and it has one, else its id.
    fn link(
        &self,
        row: &Member,
        field: &FieldChange,
        at: &At<'a>,
    ) -> Result<(Vec<Replacement>, Vec<Change>), Diagnostic> {
        let by_key = at.entry.filter(|entry| job::key_form(row) == Some(entry.key.as_str()));
        let id = field.before.as_str();
        let key = id.and_then(|id| self.known.keys.get(&id.to_ascii_lowercase()));
        let value = match (by_key, key) {
            (Some(_), Some(key)) => Json::from(key.as_str()),
            _ => field.before.clone(),
        };
        let notation = || self.notation(field, Some(at));
        let mut replacements = vec![self.value(&value, at, false).ok_or_else(notation)?];
        let mut changes = vec![Change::Set(at.path.clone(), value)];
        if let (Some(entry), Some(_), None) = (by_key, id, key) {
            let old = &self.text[entry.key_span.start..entry.key_span.end];
            if !old.contains(&entry.key) {
                return Err(notation());
            }
            let text = old.replace(&entry.key, row.name);
            replacements.push(Replacement { span: entry.key_span, text });
            changes.push(Change::Rename(at.path.clone(), row.name.to_owned()));
        }
        Ok((replacements, changes))
    }

    /// A set: elements that are live stay as they are written, the others go, new ones come at the end.
    fn set(
        &self,
        row: &'static Member,
        field: &FieldChange,
        at: &At<'a>,
    ) -> Result<(Vec<Replacement>, Vec<Change>), Diagnostic> {
        let live = field.before.as_array().map_or(&[][..], Vec::as_slice);
        let items = at.node.value.as_sequence().unwrap_or_default();
        let mut slots: Vec<Slot<Json>> = Vec::new();
        let mut kept: BTreeSet<String> = BTreeSet::new();
        for (position, item) in items.iter().enumerate() {
            let meaning = forms::meaning(row, item, self.known);
            if !meaning.is_empty() && meaning.iter().all(|one| live.contains(one)) {
                kept.extend(meaning.iter().map(Json::to_string));
                slots.push(Slot::Old(position));
            } else {
                self.check_removal(item, field, at)?;
            }
        }
        self.check_anchor(at, field, false)?;
        for new in live.iter().filter(|live| !kept.contains(&live.to_string())) {
            let value = forms::element(row, new, items, self.known);
            slots.insert(self.place_in_set(row, new, items, &slots), Slot::New(value));
        }
        let notation = || self.notation(field, Some(at));
        if slots.is_empty() && items.is_empty() {
            let value = self.value(&Json::Null, at, false).ok_or_else(notation)?;
            return Ok((vec![value], vec![Change::Set(at.path.clone(), Json::Null)]));
        }
        let quoted =
            items.first().is_some_and(|item| item.style == Style::DoubleQuoted) || self.is_quoted(at);
        let style = items.first().map_or(Style::Plain, |item| item.style);
        let in_brackets = at.in_brackets || at.node.style != Style::Block;
        let around = Around { in_brackets, indent: at.indent, line_break: self.line_break };
        let style = if quoted { Style::DoubleQuoted } else { style };
        let mut pieces = Vec::new();
        for slot in &slots {
            pieces.push(match slot {
                Slot::Old(position) => Slot::Old(*position),
                Slot::New(value) => {
                    let text = scalar::written(value, style, "", around).ok_or_else(notation)?;
                    Slot::New(Piece { lines: format!("- {text}\n"), in_brackets: text })
                }
            });
        }
        let width: usize = pieces
            .iter()
            .map(|piece| if let Slot::New(piece) = piece { piece.in_brackets.len() + 2 } else { 0 })
            .sum();
        let list = self.list_of(at, items.is_empty() && at.indent + row.name.len() + width > WIDTH);
        let mut replacements = list::edits(list, &pieces, &mut Vec::new()).ok_or_else(notation)?;
        replacements.retain(|edit| self.text.get(edit.span.start..edit.span.end) != Some(&edit.text));
        Ok((replacements, vec![Change::List(at.path.clone(), slots)]))
    }

    /// Where a new element goes: days into their order where they are in it, all others to the end.
    fn place_in_set(&self, row: &Member, new: &Json, items: &[Node], slots: &[Slot<Json>]) -> usize {
        let position = |value: &Json| canonical::DAYS.iter().position(|day| Some(*day) == value.as_str());
        if !matches!(row.kind, Type::WeekDays) {
            return slots.len();
        }
        let of_slot = |slot: &Slot<Json>| match slot {
            Slot::Old(at) => forms::meaning(row, &items[*at], self.known).first().and_then(position),
            Slot::New(value) => {
                let day = canonical::canonical(row, &Json::Array(vec![value.clone()])).ok();
                day.and_then(|days| days.get(0).and_then(position))
            }
        };
        let days: Vec<Option<usize>> = slots.iter().map(of_slot).collect();
        if !days.is_sorted() {
            return slots.len();
        }
        days.iter().position(|day| *day > position(new)).unwrap_or(slots.len())
    }

    // --- blocks and members that are not declared -----------------------------------------------------------

    /// A block that is declared as none and is live: it is written with the members that differ, which are all it has.
    fn block(
        &self,
        pointer: &str,
        fields: &[&FieldChange],
    ) -> Result<(Vec<Replacement>, Vec<Change>), Diagnostic> {
        let Some(Look::Found(at)) = self.look(pointer) else {
            return Err(self.notation(fields[0], None));
        };
        let below = format!("{pointer}/");
        let is_open = |(other, taken): &&(FieldChange, bool)| other.pointer.starts_with(&below) && !*taken;
        if let Some((other, _)) = self.job.differences.iter().find(is_open) {
            let message = format!(
                "`{}` is declared as none, so its members can be accepted together only, and `{}` is not among them",
                dotted(pointer),
                dotted(&other.pointer)
            );
            let help = format!("accept `{}{pointer}` as a whole", self.job.key);
            let place = Place::new(self.file, at.node.span);
            return Err(Diagnostic::error("accept-together", message).at(place, "").help(help));
        }
        self.check_anchor(&at, fields[0], false)?;
        let notation = || self.notation(fields[0], Some(&at));
        let rows = find_pointer(pointer).map_or(&[][..], Member::members);
        let mut members = Map::new();
        for field in fields {
            put(&mut members, field.pointer.strip_prefix(&below).unwrap_or_default(), &field.before);
        }
        let parts = import::block(self.job.live, self.job.key, self.known, rows, &members, &dotted(pointer));
        let value = json_of_parts(&parts);
        let is_wide = !at.in_brackets
            && lines::is_open(self.text, at.node.span.end)
            && at.entry.is_some_and(|entry| self.colon(entry).is_some());
        let replacements = match at.entry.and_then(|entry| self.colon(entry)).filter(|_| is_wide) {
            Some(colon) => {
                if self.text[colon..at.node.span.start].contains(['&', '!', '\n', '\r']) {
                    return Err(notation());
                }
                let end = lines::end(self.text, at.node.span.end);
                let block = list::indented(&emit::parts(&parts, 0), at.indent + 2, self.line_break);
                let block = block.strip_suffix(self.line_break).unwrap_or(&block);
                vec![
                    Replacement { span: Span::new(colon, at.node.span.end), text: String::new() },
                    Replacement { span: Span::new(end, end), text: format!("{}{block}", self.line_break) },
                ]
            }
            None => vec![self.value(&value, &at, false).ok_or_else(notation)?],
        };
        Ok((replacements, vec![Change::Set(at.path.clone(), value)]))
    }

    /// A member that is not declared differs because another one does: it is written where the schedule type brings it
    /// along, and goes away by itself elsewhere.
    fn following(&self, field: &FieldChange) -> Result<(Vec<Replacement>, Vec<Change>), Diagnostic> {
        let nothing = Ok((Vec::new(), Vec::new()));
        let row = find(JOB, top_level(&field.pointer)).filter(|row| row.schedules != schedules::ALL);
        let is_used = self.job.live.normalised.members().contains_key(top_level(&field.pointer));
        let (Some(row), true, Some(Look::Found(at))) = (row, is_used, self.look("/scheduleType")) else {
            return nothing;
        };
        let Some(Look::Missing(spec, _)) = self.look(&field.pointer) else { return nothing };
        // What the new type uses and is not set needs no line.
        let Some(entry) = at.entry.filter(|_| field.before != canonical::unset(row)) else { return nothing };
        self.check_anchor(&spec, field, false)?;
        self.check_sayable(row, field, &at)?;
        let notation = || self.notation(field, Some(&at));
        let value = forms::readable(row, &field.before, &Value::Null);
        let around = Around { in_brackets: spec.node.style == Style::Flow, ..self.around(&at) };
        let quoted = self.is_quoted(&at);
        let new = match &value {
            Json::String(text) if matches!(row.kind, Type::DateTime) && !quoted => text.clone(),
            Json::Array(_) => scalar::in_one_line(&value, quoted),
            Json::String(_) if quoted => scalar::in_one_line(&value, quoted),
            _ => scalar::written(&value, Style::Plain, "", around).ok_or_else(notation)?,
        };
        let name = if quoted { emit::double_quoted(row.name) } else { row.name.to_owned() };
        let end = at.node.span.end;
        let replacement = if spec.node.style == Style::Flow {
            Replacement { span: Span::new(end, end), text: format!(", {name}: {new}") }
        } else {
            if !lines::begins_at(self.text, entry.key_span.start) || at.node.via_alias.is_some() {
                return Err(notation());
            }
            // Behind a comment that stands beside it, and before the line break: a file may end without one.
            let end = lines::end(self.text, end);
            let pad = " ".repeat(at.indent);
            Replacement { span: Span::new(end, end), text: format!("{}{pad}{name}: {new}", self.line_break) }
        };
        let insert = Change::Insert(spec.path.clone(), entry.key.clone(), row.name.to_owned(), value);
        Ok((vec![replacement], vec![insert]))
    }

    // --- elements of lists ----------------------------------------------------------------------------------

    /// Blocks of a list that came, went or changed places.
    fn elements(
        &mut self,
        name: &str,
        fields: &[&FieldChange],
    ) -> Result<(Vec<Replacement>, Vec<Change>), Diagnostic> {
        let pointer = format!("/{}", escape(name));
        let Some(Look::Found(at)) = self.look(&pointer) else {
            return Err(self.notation(fields[0], None));
        };
        let row = find(JOB, name).ok_or_else(|| self.notation(fields[0], Some(&at)))?;
        let items = at.node.value.as_sequence().unwrap_or_default();
        let array = |value: Option<&Json>| value.and_then(Json::as_array).cloned().unwrap_or_default();
        let spec = super::resolved(self.manifest.as_declared(), self.known);
        let declared = array(spec.get(name));
        let live = array(self.job.live.normalised.members().get(name));
        if declared.len() != items.len() {
            return Err(self.notation(fields[0], Some(&at)));
        }
        let matches = elements::match_elements(&declared, &live);
        let position =
            |field: &FieldChange| field.pointer.rsplit('/').next().and_then(|part| part.parse().ok());
        let mut gone: BTreeSet<usize> = BTreeSet::new();
        let mut new: BTreeSet<usize> = BTreeSet::new();
        let mut is_moved = false;
        for field in fields {
            match position(field) {
                None => is_moved = true,
                Some(position) if field.before.is_null() => drop(gone.insert(position)),
                Some(position) => drop(new.insert(position)),
            }
        }
        for position in &gone {
            if let Some(item) = items.get(*position) {
                self.check_removal(item, fields[0], &at)?;
            }
        }
        self.check_anchor(&at, fields[0], is_moved)?;
        let order = order(&matches, live.len(), &gone, &new, is_moved);
        let mut slots = Vec::new();
        let mut pieces = Vec::new();
        for slot in order {
            match slot {
                Slot::Old(item) => {
                    slots.push(Slot::Old(item));
                    pieces.push(Slot::Old(item));
                }
                Slot::New(live_at) => {
                    let Some(members) = live.get(live_at).and_then(Json::as_object) else {
                        return Err(self.notation(fields[0], Some(&at)));
                    };
                    let path = format!("{name}[{live_at}]");
                    let parts =
                        import::block(self.job.live, self.job.key, self.known, row.members(), members, &path);
                    let value = json_of_parts(&parts);
                    pieces.push(Slot::New(Piece {
                        lines: with_dash(&emit::parts(&parts, 0)),
                        in_brackets: scalar::in_one_line(&value, self.is_quoted(&at)),
                    }));
                    slots.push(Slot::New(value));
                }
            }
        }
        let list = self.list_of(&at, true);
        let mut inner = std::mem::take(&mut self.done.replacements);
        let edits = list::edits(list, &pieces, &mut inner);
        self.done.replacements = inner;
        let edits = edits.ok_or_else(|| self.notation(fields[0], Some(&at)))?;
        Ok((edits, vec![Change::List(at.path.clone(), slots)]))
    }
}
