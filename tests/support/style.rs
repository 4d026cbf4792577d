//! Manifests as people write them: every notation of YAML, with comments, empty lines, anchors and aliases.

use patchctl::import::emit;
use serde_json::{Map, Value};

use super::dice::Dice;

/// Writes one document; every comment in it is another one.
pub(crate) struct Style<'d> {
    dice: &'d mut Dice,
    n_comments: usize,
    /// What anchors stand for, by their position.
    anchors: Vec<Value>,
    /// Of a hundred scalars, how many get an anchor.
    anchored: usize,
}

impl<'d> Style<'d> {
    pub(crate) fn new(dice: &'d mut Dice, anchored: usize) -> Self {
        Self { dice, n_comments: 0, anchors: Vec::new(), anchored }
    }

    pub(crate) fn document(&mut self, document: &Value) -> String {
        let members = document.as_object().expect("a manifest");
        if self.dice.chance(8) {
            return self.flow(document) + "\n";
        }
        let mut out = String::new();
        self.mapping(&mut out, members, 0, "");
        out
    }

    fn comment(&mut self) -> String {
        self.n_comments += 1;
        format!("# c{}: [x] - \"y\"", self.n_comments)
    }

    /// Lines that say nothing, before a member or an element.
    fn above(&mut self, out: &mut String, indent: usize) {
        if self.dice.chance(10) {
            out.push('\n');
        }
        if self.dice.chance(12) {
            let comment = self.comment();
            out.push_str(&format!("{}{comment}\n", " ".repeat(indent)));
        }
    }

    /// The rest of a line.
    fn beside(&mut self, out: &mut String) {
        if self.dice.chance(15) {
            let comment = self.comment();
            out.push_str(&format!("{} {comment}", " ".repeat(self.dice.below(3))));
        }
        out.push('\n');
    }

    fn mapping(&mut self, out: &mut String, members: &Map<String, Value>, indent: usize, first: &str) {
        for (at, (name, value)) in members.iter().enumerate() {
            if at == 0 && !first.is_empty() {
                out.push_str(first);
            } else {
                self.above(out, indent);
                out.push_str(&" ".repeat(indent));
            }
            out.push_str(&emit::scalar(name, false));
            out.push(':');
            self.value(out, value, indent, true);
        }
    }

    /// What stands behind a colon, or behind a dash.
    fn value(&mut self, out: &mut String, value: &Value, indent: usize, behind_key: bool) {
        let inner = indent + self.dice.pick(&[2, 2, 2, 4]);
        match value {
            Value::Object(members) if !members.is_empty() && !self.dice.chance(25) => {
                self.beside(out);
                self.mapping(out, members, inner, "");
            }
            Value::Array(items) if !items.is_empty() && self.dice.chance(60) => {
                self.beside(out);
                let indent = if behind_key && self.dice.chance(40) { indent } else { inner };
                self.items(out, items, indent);
            }
            Value::Array(items) if !items.is_empty() && self.dice.chance(40) => {
                out.push_str(" [");
                self.beside(out);
                let comma_at_end = self.dice.chance(50);
                for (at, item) in items.iter().enumerate() {
                    let item = self.flow(item);
                    let comma = if at + 1 < items.len() || comma_at_end { "," } else { "" };
                    out.push_str(&format!("{}{item}{comma}", " ".repeat(inner)));
                    self.beside(out);
                }
                out.push_str(&format!("{}]\n", " ".repeat(indent + 1)));
            }
            Value::String(text) if self.dice.chance(60) && lines(text, inner).is_some() => {
                out.push_str(&lines(text, inner).expect("just asked"));
            }
            value => {
                let text = self.flow_at(value, false);
                out.push_str(&format!(" {text}"));
                self.beside(out);
            }
        }
    }

    fn items(&mut self, out: &mut String, items: &[Value], indent: usize) {
        for item in items {
            self.above(out, indent);
            match item {
                Value::Object(members) if !members.is_empty() && self.dice.chance(80) => {
                    let dash = format!("{}- ", " ".repeat(indent));
                    self.mapping(out, members, indent + 2, &dash);
                }
                item => {
                    out.push_str(&format!("{}- ", " ".repeat(indent)));
                    let text = self.flow_at(item, false);
                    out.push_str(&text);
                    self.beside(out);
                }
            }
        }
    }

    fn flow(&mut self, value: &Value) -> String {
        self.flow_at(value, true)
    }

    /// A value in one line; `in_brackets` says whether it stands in another one.
    fn flow_at(&mut self, value: &Value, in_brackets: bool) -> String {
        let between = self.dice.pick(&[", ", ", ", ",  ", " , "]);
        match value {
            Value::Object(members) => {
                let quoted = self.dice.chance(30);
                let members = members.iter().map(|(name, value)| {
                    let name = if quoted { format!("\"{name}\"") } else { emit::scalar(name, true) };
                    format!("{name}: {}", self.flow_at(value, true))
                });
                let members = members.collect::<Vec<_>>().join(between);
                if self.dice.chance(50) { format!("{{{members}}}") } else { format!("{{ {members} }}") }
            }
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| self.flow_at(item, true)).collect();
                let items = items.join(between);
                if self.dice.chance(70) { format!("[{items}]") } else { format!("[ {items} ]") }
            }
            scalar => self.scalar(scalar, in_brackets),
        }
    }

    fn scalar(&mut self, value: &Value, in_brackets: bool) -> String {
        if let Some(at) = self.anchors.iter().position(|anchored| anchored == value)
            && self.dice.chance(60)
        {
            return format!("*a{at} ");
        }
        let text = match value {
            Value::String(text) => {
                let plain = emit::scalar(text, in_brackets);
                let single = !text.chars().any(|c| c.is_control()) && self.dice.chance(30);
                match self.dice.below(4) {
                    _ if single => format!("'{}'", text.replace('\'', "''")),
                    0 => serde_json::to_string(text).expect("a text"),
                    _ => plain,
                }
            }
            Value::Null => self.dice.pick(&["null", "~"]).to_owned(),
            other => other.to_string(),
        };
        if !value.is_null() && self.dice.chance(self.anchored) {
            self.anchors.push(value.clone());
            return format!("&a{} {text}", self.anchors.len() - 1);
        }
        text
    }
}

/// A text as lines, with its own line end or without; `None` where they would not be told from layout.
fn lines(text: &str, indent: usize) -> Option<String> {
    let (body, sign) = match text.strip_suffix('\n') {
        Some(body) => (body, "|"),
        None => (text, "|-"),
    };
    let odd = |line: &str| line.is_empty() || line.starts_with(' ') || line.chars().any(char::is_control);
    if body.split('\n').any(odd) {
        return None;
    }
    let pad = " ".repeat(indent);
    let lines: String = body.split('\n').map(|line| format!("{pad}{line}\n")).collect();
    Some(format!(" {sign}\n{lines}"))
}
