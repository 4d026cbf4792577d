//! Values that stand in several places at once: what an alias shows can not be changed in one of them alone.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::render::text::dotted;
use crate::source::{Place, SourceFile, Span};
use crate::yaml::{Node, Value};

/// What aliases of one document show, and where.
#[derive(Debug, Default)]
pub(super) struct Copies(Vec<Copy>);

/// A value that came by an alias.
#[derive(Debug)]
struct Copy {
    alias: Span,
    /// Where it was written.
    written: Span,
}

impl Copies {
    pub(super) fn of(root: &Node) -> Self {
        let mut found = Self::default();
        found.collect(root);
        found
    }

    fn collect(&mut self, node: &Node) {
        if let Some(alias) = node.via_alias {
            self.0.push(Copy { alias, written: node.span });
        }
        match &node.value {
            Value::Sequence(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Mapping(entries) => entries.iter().for_each(|entry| self.collect(&entry.value)),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::String(_) => {}
        }
    }

    /// The aliases that show what is written here.
    fn of_written(&self, written: Span) -> Vec<Span> {
        let mut found: Vec<Span> =
            self.0.iter().filter(|copy| copy.written == written).map(|copy| copy.alias).collect();
        found.sort();
        found.dedup();
        found
    }

    /// Why a value can not be changed for one place alone, if so; with `whole` all that it holds goes.
    pub(super) fn forbid(
        &self,
        file: &Arc<SourceFile>,
        node: &Node,
        pointer: &str,
        whole: bool,
    ) -> Option<Diagnostic> {
        let path = dotted(pointer);
        if let Some(alias) = node.via_alias {
            let place = Place::new(file, alias);
            let name = place.text().trim_start_matches('*').to_owned();
            let anchor = anchor(&file.text, &name, alias.start).map(|span| Place::new(file, span));
            let line = anchor.as_ref().map_or(0, |place| place.line_column().0);
            let message = format!(
                "`{path}` comes from the anchor `&{name}` on line {line}, and a change there would change every place that shows it"
            );
            let mut finding =
                Diagnostic::error("accept-anchor", message).at(place, "this one was changed live");
            if let Some(anchor) = anchor {
                finding = finding.related(anchor, "the value stands here");
            }
            for other in self.of_written(node.span).into_iter().filter(|other| *other != alias) {
                finding = finding.related(Place::new(file, other), "and is shown here, too");
            }
            return Some(finding.help("write the value out in place of the alias, then accept again"));
        }
        let mut nodes = vec![node];
        while let Some(next) = nodes.pop() {
            let shown = self.of_written(next.span);
            if let Some(first) = shown.first() {
                let name = Place::new(file, *first).text().trim_start_matches('*').to_owned();
                let place = Place::new(file, next.span);
                let lines: Vec<String> =
                    shown.iter().map(|alias| Place::new(file, *alias).line_column().0.to_string()).collect();
                let message = format!(
                    "`{path}` has the anchor `&{name}`, and a change would also change line {}",
                    lines.join(", ")
                );
                let mut finding =
                    Diagnostic::error("accept-anchor", message).at(place, "this one was changed live");
                for alias in shown {
                    finding = finding.related(Place::new(file, alias), "shows the same value");
                }
                return Some(finding.help("write the value out in place of the aliases, then accept again"));
            }
            if whole {
                match &next.value {
                    Value::Sequence(items) => {
                        nodes.extend(items.iter().filter(|item| item.via_alias.is_none()))
                    }
                    Value::Mapping(entries) => nodes.extend(
                        entries.iter().map(|entry| &entry.value).filter(|value| value.via_alias.is_none()),
                    ),
                    Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::String(_) => {
                    }
                }
            }
        }
        None
    }
}

/// The last anchor of this name before a byte.
fn anchor(text: &str, name: &str, before: usize) -> Option<Span> {
    let word = format!("&{name}");
    let ends = |at: usize| {
        text[at + word.len()..].chars().next().is_none_or(|c| c.is_whitespace() || ",[]{}".contains(c))
    };
    let at = text[..before].rmatch_indices(&word).map(|(at, _)| at).find(|at| ends(*at))?;
    Some(Span::new(at, at + word.len()))
}
