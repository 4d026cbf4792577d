//! A plan as text for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::text::{Layout, Tone, clean, count, dotted, value};
use super::words;
use crate::elements;
use crate::job::{Platform, Type, find_pointer};
use crate::plan::{Action, Change, Field, Origin, Plan, Why};

/// What a plan is shown with, beside itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Where the live jobs were read, as people know the gateway.
    pub gateway: &'a str,
    /// What the reading cost, in words.
    pub calls: &'a str,
    /// What carrying it out takes, in words.
    pub applying: Option<&'a str>,
    /// Whether it is saved, so that applying it decides what is held.
    pub is_saved: bool,
}

/// Renders a plan: the steps, what stands in the way, the summary last.
pub fn plan(plan: &Plan, context: Context<'_>, layout: &Layout) -> String {
    let mut out = String::new();
    let writer = Writer { layout, tag_names: &plan.tag_names };
    let (writes, rest): (Vec<_>, Vec<_>) = plan.changes.iter().partition(|change| change.action.writes());
    out.push_str(&super::probe::planned(plan, layout));
    for change in writes.iter().chain(&rest) {
        writer.change(&mut out, change);
        out.push('\n');
    }
    no_longer_managed(&mut out, plan, &writer);
    summary(&mut out, plan, context, layout);
    out
}

/// The most members that are listed one by one; JSON has them all.
const MOST_NO_LONGER_MANAGED: usize = 20;

/// Members that manifests stopped declaring, whose live values stay.
fn no_longer_managed(out: &mut String, plan: &Plan, writer: &Writer<'_>) {
    let members = &plan.no_longer_managed;
    if members.is_empty() {
        return;
    }
    let _ = writeln!(out, "No longer managed, live value stays:");
    for member in members.iter().take(MOST_NO_LONGER_MANAGED) {
        let line = format!("{}  {}: {}", member.key, dotted(&member.path), writer.element(&member.value));
        let _ = writeln!(out, "{}", writer.layout.wrap(&line, 4, 6));
    }
    let n_more = members.len().saturating_sub(MOST_NO_LONGER_MANAGED);
    if n_more > 0 {
        let _ = writeln!(out, "    and {}", count(n_more, "more member"));
    }
    out.push('\n');
}

/// Why it is not known where differences came from, each reason once. Of jobs that were never written there is nothing
/// that could be known, and nothing to be said.
fn not_known(out: &mut String, plan: &Plan, layout: &Layout) {
    let mut reasons: BTreeMap<Why, Vec<&str>> = BTreeMap::new();
    for change in &plan.changes {
        for why in change.unknown.iter().filter(|why| !why.is_first_time()) {
            reasons.entry(*why).or_default().push(&change.key);
        }
    }
    for (why, keys) in reasons {
        let of = match keys.as_slice() {
            [key] => format!("`{key}`"),
            keys => count(keys.len(), "change"),
        };
        let _ = writeln!(out, "{}", layout.wrap(&format!("{of}: {why}."), 0, 2));
    }
}

fn summary(out: &mut String, plan: &Plan, context: Context<'_>, layout: &Layout) {
    let line = if plan.is_empty() {
        layout.paint(Tone::Good, "No changes.") + &format!(" {} as declared in Git.", all(plan.n_manifests))
    } else {
        let mut parts: Vec<String> = Action::ALL
            .iter()
            .filter(|action| plan.count(**action) > 0)
            .map(|action| match action {
                Action::Blocked => layout.paint(Tone::Danger, &format!("{} blocked", plan.count(*action))),
                Action::Held => format!("{} held", plan.count(*action)),
                Action::Create | Action::Update | Action::Enable | Action::Disable | Action::Delete => {
                    format!("{} to {}", plan.count(*action), action.as_str())
                }
            })
            .collect();
        parts.push(format!("{} unchanged", plan.n_unchanged));
        format!("{} {}.", layout.paint(Tone::Strong, "Plan:"), parts.join(", "))
    };
    let _ = writeln!(out, "{line}");
    if let Some(guard) = &plan.guard {
        let stopped = layout.paint(Tone::Danger, "Stopped:");
        let _ = writeln!(out, "{stopped} {}", layout.wrap(&clean(&guard.reason), 0, 2));
        let _ = writeln!(out, "{}", layout.wrap(&format!("= help: {}", clean(&guard.help)), 2, 4));
    }
    if context.is_saved {
        decided(out, plan, layout);
    }
    not_known(out, plan, layout);
    let unmanaged = match plan.n_unmanaged {
        None | Some(0) => String::new(),
        Some(1) => " 1 live job is in no manifest and is left alone.".to_owned(),
        Some(n) => format!(" {n} live jobs are in no manifest and are left alone."),
    };
    if plan.n_orphans > 0 {
        let jobs = match plan.n_orphans {
            1 => "1 live job has lost its manifest and stays".to_owned(),
            n => format!("{n} live jobs have lost their manifests and stay"),
        };
        let words = format!("{jobs}; --prune shows what deleting would do.");
        let _ = writeln!(out, "{}", layout.wrap(&words, 0, 0));
    }
    let _ = writeln!(
        out,
        "{}",
        layout.wrap(&format!("Read from {}: {}.{unmanaged}", context.gateway, context.calls), 0, 0)
    );
    if let Some(applying) = context.applying {
        let _ = writeln!(out, "{}", layout.wrap(applying, 0, 0));
    }
}

/// What is held, and decided for Git by whoever applies the saved plan.
fn decided(out: &mut String, plan: &Plan, layout: &Layout) {
    if plan.waiting().next().is_some() {
        let _ = writeln!(out, "{}", layout.paint(Tone::Danger, "Applying the saved plan decides for Git:"));
    }
    for (held, waiting) in plan.waiting() {
        let one_way = if waiting.is_one_way { " (one-way door)" } else { "" };
        let line =
            format!("{}{one_way} {}: {}", waiting.action.as_str(), clean(&held.key), clean(&held.reason));
        let _ = writeln!(out, "{}", layout.wrap(&line, 2, 4));
    }
}

fn all(n_manifests: usize) -> String {
    match n_manifests {
        1 => "The live job is".to_owned(),
        n => format!("All {n} live jobs are"),
    }
}

/// The sign and colour of an action; the word stands beside it, for those who see neither.
pub(super) fn sign(action: Action) -> (char, Tone) {
    match action {
        Action::Create => ('+', Tone::Added),
        Action::Update => ('~', Tone::Changed),
        Action::Enable => ('>', Tone::Danger),
        Action::Disable => ('|', Tone::Changed),
        Action::Delete => ('-', Tone::Removed),
        Action::Blocked => ('!', Tone::Danger),
        Action::Held => ('=', Tone::Changed),
    }
}

/// Writes values and what became of them.
pub(super) struct Writer<'a> {
    /// How text is laid out.
    pub(super) layout: &'a Layout,
    /// Names of tags by UUID.
    pub(super) tag_names: &'a BTreeMap<String, String>,
}

impl Writer<'_> {
    fn change(&self, out: &mut String, change: &Change) {
        let (sign, tone) = sign(change.action);
        let head = self.layout.paint(tone, &format!("{sign} {}", change.action.as_str()));
        let key = self.layout.paint(Tone::Strong, &change.key);
        let platform =
            change.platform.map_or(String::new(), |platform: Platform| format!(" ({})", platform.as_str()));
        let _ = writeln!(out, "{head} {key}  \"{}\"{platform}", clean(&change.name));
        let (line, _) = change.place.line_column();
        // Of a manifest that is gone the text may not be known, and then no line of it is either.
        let from = if change.place.file.text.is_empty() {
            clean(&change.reason)
        } else {
            format!("{}:{line}: {}", clean(&change.place.file.path), clean(&change.reason))
        };
        let _ = writeln!(out, "{}", self.layout.paint(Tone::Faint, &self.layout.wrap(&from, 4, 6)));
        self.schedule(out, change);
        if change.action == Action::Create {
            self.created(out, change);
        } else {
            for field in &change.fields {
                self.field(out, change, field);
            }
        }
        for note in &change.notes {
            let text = self.layout.wrap(&format!("= {}", clean(note)), 4, 6);
            let _ = writeln!(out, "{}", self.layout.paint(Tone::Changed, &text));
        }
        if !change.after.is_empty() && change.action.writes() {
            let _ = writeln!(out, "    = after {}", change.after.join(", "));
        }
        self.request(out, change);
    }

    fn schedule(&self, out: &mut String, change: &Change) {
        let Some((before, after)) = &change.schedule else { return };
        if before.is_empty() || before == after {
            let _ = writeln!(out, "{}", self.layout.wrap(&format!("runs {}", clean(after)), 4, 9));
        } else {
            let removed = self.layout.paint(Tone::Removed, &clean(before));
            let added = self.layout.paint(Tone::Added, &clean(after));
            let _ = writeln!(out, "    runs {removed}");
            let _ = writeln!(out, "      -> {added}");
        }
    }

    /// A new job is shown by what is declared, one line a member.
    fn created(&self, out: &mut String, change: &Change) {
        for field in &change.fields {
            let path = dotted(&field.path);
            match &field.after {
                Value::Object(members) => {
                    let _ = writeln!(out, "    {path}");
                    self.block(out, members, 6, Tone::Added, "");
                }
                Value::Array(items) if self.is_set(field) => {
                    let names: Vec<String> = items.iter().map(|item| self.element(item)).collect();
                    let _ =
                        writeln!(out, "{}", self.layout.wrap(&format!("{path}: {}", names.join(", ")), 4, 6));
                }
                Value::Array(items) if items.iter().any(Value::is_object) => {
                    for (position, item) in items.iter().enumerate() {
                        let _ = writeln!(
                            out,
                            "    {path}[{position}] \"{}\"",
                            clean(&elements::label(item, position))
                        );
                        if let Value::Object(members) = item {
                            self.block(out, members, 6, Tone::Added, "");
                        }
                    }
                }
                other => {
                    let _ = writeln!(out, "{}", self.layout.wrap(&format!("{path}: {}", value(other)), 4, 6));
                }
            }
        }
    }

    fn field(&self, out: &mut String, change: &Change, field: &Field) {
        self.values(out, format!("{}{}", path_words(change, field), origin(change, field)), field);
        // A conflict is shown with all three values.
        if let (Origin::Both, Some(base)) = (field.origin, &field.base) {
            let words = format!(
                "at the base {}; the console says {}, Git {}",
                self.element(base),
                self.element(&field.before),
                self.element(&field.after)
            );
            let _ = writeln!(out, "{}", self.layout.paint(Tone::Faint, &self.layout.wrap(&words, 6, 8)));
        }
    }

    /// A member, called by its path in words, and what becomes of it: from `before` to `after`.
    pub(super) fn values(&self, out: &mut String, path: String, field: &Field) {
        match (&field.before, &field.after) {
            (before, after) if self.is_set(field) => {
                let _ = writeln!(out, "    {path}");
                self.set(out, before, after);
            }
            (Value::String(before), Value::String(after)) if is_long(before) || is_long(after) => {
                let _ = writeln!(out, "    {path}");
                out.push_str(&words::difference(before, after, 6, self.layout));
            }
            (Value::Array(before), Value::Array(after)) if self.is_list(field) => {
                let order = |items: &[Value]| {
                    let labels = items.iter().enumerate().map(|(at, item)| clean(&elements::label(item, at)));
                    labels.collect::<Vec<_>>().join(", ")
                };
                let _ = writeln!(out, "    {path} (order)");
                let _ = writeln!(
                    out,
                    "      {}",
                    self.layout.paint(Tone::Removed, &format!("- {}", order(before)))
                );
                let _ =
                    writeln!(out, "      {}", self.layout.paint(Tone::Added, &format!("+ {}", order(after))));
            }
            (Value::Object(members), Value::Null) if !is_script(field) => {
                let _ = writeln!(out, "    {path} {}", self.layout.paint(Tone::Removed, "removed"));
                self.block(out, members, 6, Tone::Removed, "- ");
            }
            (Value::Null, Value::Object(members)) if !is_script(field) => {
                let _ = writeln!(out, "    {path} {}", self.layout.paint(Tone::Added, "added"));
                self.block(out, members, 6, Tone::Added, "+ ");
            }
            (before, after) => self.scalar(out, &path, before, after),
        }
    }

    fn scalar(&self, out: &mut String, path: &str, before: &Value, after: &Value) {
        let (before, after) = (self.element(before), self.element(after));
        if path.len() + before.len() + after.len() + 11 <= self.layout.width {
            let before = self.layout.paint(Tone::Removed, &before);
            let after = self.layout.paint(Tone::Added, &after);
            let _ = writeln!(out, "    {path}: {before} -> {after}");
        } else {
            let _ = writeln!(out, "    {path}");
            let before = self.layout.wrap(&format!("- {before}"), 6, 8);
            let after = self.layout.wrap(&format!("+ {after}"), 6, 8);
            let _ = writeln!(out, "{}", self.layout.paint(Tone::Removed, &before));
            let _ = writeln!(out, "{}", self.layout.paint(Tone::Added, &after));
        }
    }

    /// Only what comes and goes; what stays is counted.
    fn set(&self, out: &mut String, before: &Value, after: &Value) {
        let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let (before, after) = (items(before), items(after));
        for item in before.iter().filter(|item| !after.contains(item)) {
            let _ = writeln!(
                out,
                "      {}",
                self.layout.paint(Tone::Removed, &format!("- {}", self.element(item)))
            );
        }
        for item in after.iter().filter(|item| !before.contains(item)) {
            let _ = writeln!(
                out,
                "      {}",
                self.layout.paint(Tone::Added, &format!("+ {}", self.element(item)))
            );
        }
        let n_kept = after.iter().filter(|item| before.contains(item)).count();
        if n_kept > 0 {
            let _ = writeln!(out, "      {}", self.layout.paint(Tone::Faint, &format!("  {n_kept} kept")));
        }
    }

    fn block(&self, out: &mut String, members: &Map<String, Value>, indent: usize, tone: Tone, sign: &str) {
        for (name, inner) in members {
            match inner {
                Value::Object(members) if inner.get("sha256").is_none() && inner.get("stored").is_none() => {
                    let line = self.layout.paint(tone, &format!("{sign}{}", clean(name)));
                    let _ = writeln!(out, "{}{line}", " ".repeat(indent));
                    self.block(out, members, indent + 2, tone, sign);
                }
                other => {
                    let text = format!("{sign}{}: {}", clean(name), self.element(other));
                    let text = self.layout.wrap(&text, indent, indent + 2);
                    let _ = writeln!(out, "{}", self.layout.paint(tone, &text));
                }
            }
        }
    }

    /// A value with the name of the tag it is the id of, where that is known.
    fn element(&self, item: &Value) -> String {
        match item.as_str().and_then(|id| self.tag_names.get(id)) {
            Some(name) => format!("{} ({})", clean(name), value(item)),
            None => value(item),
        }
    }

    fn is_set(&self, field: &Field) -> bool {
        find_pointer(&field.path).is_some_and(|row| matches!(row.kind, Type::Set(_) | Type::Addresses))
    }

    /// Whether the order of blocks is what differs.
    fn is_list(&self, field: &Field) -> bool {
        find_pointer(&field.path).is_some_and(|row| matches!(row.kind, Type::List(..)))
    }

    /// Exactly which members go out; the stamp is named because it was not declared.
    fn request(&self, out: &mut String, change: &Change) {
        let Some(request) = &change.request else { return };
        let is_declared = change.fields.iter().any(|field| field.path == "/description");
        let names: Vec<String> = match change.action {
            Action::Update => request
                .body
                .as_object()
                .into_iter()
                .flat_map(Map::keys)
                .map(|name| match name.as_str() {
                    "description" if !is_declared => "description (stamp)".to_owned(),
                    name => clean(name),
                })
                .collect(),
            Action::Create
            | Action::Enable
            | Action::Disable
            | Action::Delete
            | Action::Blocked
            | Action::Held => Vec::new(),
        };
        let sent = match names.len() {
            0 => format!("{} {}", request.method, request.path),
            n if n > 20 => format!("{} the whole job, {}", request.method, count(n, "member")),
            _ => format!("{} {}", request.method, names.join(", ")),
        };
        let _ = writeln!(out, "{}", self.layout.paint(Tone::Faint, &self.layout.wrap(&sent, 4, 6)));
    }
}

/// The path with the name of the action it leads into.
pub(super) fn path_words(change: &Change, field: &Field) -> String {
    let path = dotted(&field.path);
    let mut parts = field.path.splitn(4, '/').skip(1);
    let (Some(list), Some(position)) = (parts.next(), parts.next().and_then(|part| part.parse().ok())) else {
        return path;
    };
    let element = match (&field.before, &field.after, &change.basis) {
        (gone @ Value::Object(_), Value::Null, _) if parts.next().is_none() => Some(gone.clone()),
        (Value::Null, new @ Value::Object(_), _) if field.path.split('/').count() == 3 => Some(new.clone()),
        (_, _, Some(basis)) => basis.desired.at(&format!("/{list}/{position}")).cloned(),
        (_, _, None) => None,
    };
    match element {
        Some(element) => format!("{path} \"{}\"", clean(&elements::label(&element, position))),
        None => path,
    }
}

/// Where a difference came from, where that is not the same for all of a step: else one line below says it of all.
fn origin(change: &Change, field: &Field) -> String {
    let is_same = change.fields.iter().all(|other| other.origin == field.origin);
    match field.origin {
        Origin::Both => " [git and console]".to_owned(),
        Origin::Git | Origin::Console | Origin::Unknown if is_same => String::new(),
        origin @ (Origin::Git | Origin::Console | Origin::Unknown) => format!(" [{}]", origin.as_str()),
    }
}

fn is_script(field: &Field) -> bool {
    find_pointer(&field.path).is_some_and(crate::patch::is_write_only)
}

fn is_long(text: &str) -> bool {
    text.contains('\n') || text.chars().count() > 40
}
