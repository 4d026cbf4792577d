//! The parser's events to trees: places, duplicate keys, tags, aliases, and all the limits.
//!
//! One stack of open collections, no recursion over the input. What must not reach the tree (the value of a merge
//! key, a mapping used as a key) is built all the same and dropped, so that errors inside it are reported too.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span as ParserSpan, StructureStyle, Tag};

use super::copies::{TooMuch, mark_as_copy, measure};
use super::tree::{Document, Entry, Node, Style, Value};
use super::{
    CODE_ALIAS, CODE_DUPLICATE_KEY, CODE_KEY, CODE_MERGE_KEY, CODE_SIZE, CODE_SYNTAX, CODE_TAG, Limits,
    places, scalar, syntax,
};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{Place, SourceFile, Span};

/// Mappings up to this many members look for duplicates by comparing all pairs, which is quicker than hashing.
const COMPARE_ALL_PAIRS: usize = 12;

/// The file is not read further; why stands among the findings.
struct Stop;

/// A collection that is not closed yet.
struct Frame {
    content: Content,
    style: Style,
    /// First byte; for block mappings unknown until the first key.
    start: Option<usize>,
    /// One past the last byte so far.
    end: usize,
    /// The parser's number of the anchor before it, 0 for none.
    anchor: usize,
    /// Whether it is only built to find errors in it, and dropped when it is closed.
    dropped: bool,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, key: Key },
}

/// How far the member at the end of an open mapping is.
enum Key {
    /// A key comes next.
    Awaited,
    /// The value of this key comes next.
    Read { text: String, span: Span },
    /// A value comes next, and is dropped, because its key was refused.
    Refused,
}

/// What an anchor stands for.
enum Anchor {
    /// A collection that is not closed yet.
    Open(Vec<usize>),
    /// A finished value, by the indices that lead to it from the root.
    Finished(Vec<usize>),
    /// A key, which the tree keeps no node of.
    Key(Box<Node>),
    /// A value that was reported and dropped.
    Dropped,
}

pub(super) struct Builder<'a> {
    file: &'a Arc<SourceFile>,
    limits: &'a Limits,
    diagnostics: Diagnostics,
    documents: Vec<Document>,
    stack: Vec<Frame>,
    /// The finished root of the document at hand.
    root: Option<Node>,
    /// Whether nothing of the document at hand was left out.
    complete: bool,
    /// By the parser's number; of the document at hand.
    anchors: HashMap<usize, Anchor>,
    n_anchors: usize,
    n_aliases: usize,
    /// What is left of [`Limits::expanded_bytes`].
    expansion_left: usize,
    /// End of the last event's text: where to look for the dash or header before the next one.
    cursor: usize,
}

impl<'a> Builder<'a> {
    pub(super) fn new(file: &'a Arc<SourceFile>, limits: &'a Limits) -> Self {
        Self {
            file,
            limits,
            diagnostics: Diagnostics::new(),
            documents: Vec::new(),
            stack: Vec::new(),
            root: None,
            complete: true,
            anchors: HashMap::new(),
            n_anchors: 0,
            n_aliases: 0,
            expansion_left: limits.expanded_bytes,
            cursor: 0,
        }
    }

    /// Reads the file to its end, or to the first thing after which nothing is sure.
    pub(super) fn run(mut self) -> (Vec<Document>, Diagnostics) {
        let options = granit_parser::options! {
            emit_comments: false,
            emit_unresolved_aliases: true,
            // As libyaml, and so `serde_yaml`, reads a text block that ends with the file.
            block_scalar_eof_without_line_feed: true,
            bom_inside_document_as_content: false,
            flow_nesting_limit: self.limits.depth,
            block_nesting_limit: self.limits.depth,
        };
        let file = self.file;
        for event in Parser::new_from_str_with_options(&file.text, options) {
            let step = match event {
                Ok((event, span)) => self.event(event, &span),
                Err(error) => {
                    let finding = self.with_open_bracket(syntax::finding(file, &error, self.limits));
                    self.report(finding).and(Err(Stop))
                }
            };
            if step.is_err() {
                break;
            }
        }
        (self.documents, self.diagnostics)
    }

    fn event(&mut self, event: Event<'_>, at: &ParserSpan) -> Result<(), Stop> {
        let span = bytes(at);
        match event {
            Event::DocumentEnd => self.end_document()?,
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), at)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.open(Content::Sequence(Vec::new()), style, anchor, tag.as_deref(), at)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                let content = Content::Mapping { entries: Vec::new(), key: Key::Awaited };
                self.open(content, style, anchor, tag.as_deref(), at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            Event::Alias(target) => self.alias(target, span)?,
            Event::UnresolvedAlias(name) => {
                self.count_alias(span)?;
                let finding = self
                    .error(
                        CODE_ALIAS,
                        format!("the alias `*{name}` has no anchor before it"),
                        span,
                        "not known",
                    )
                    .help(format!(
                        "put `&{name}` before the value it should repeat, further up in the same document"
                    ))
                    .help("put quotes around a text that starts with `*`");
                self.report(finding)?;
                self.add_unresolved(span)?;
            }
            // The parser is asked for no other events, and the structure does not depend on the rest.
            _ => {}
        }
        self.cursor = self.cursor.max(span.end);
        Ok(())
    }

    fn end_document(&mut self) -> Result<(), Stop> {
        if let Some(root) = self.root.take() {
            if self.documents.len() == self.limits.documents {
                let allowed = self.limits.documents;
                let message = format!("the file holds more than the {allowed} documents allowed");
                let finding = self
                    .error(CODE_SIZE, message, root.span, "one document too many")
                    .help("split the manifests over several files");
                self.report(finding)?;
                return Err(Stop);
            }
            self.documents.push(Document { index: self.documents.len() + 1, root, complete: self.complete });
        }
        self.complete = true;
        self.anchors.clear();
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: &ParserSpan,
    ) -> Result<(), Stop> {
        let mut span = bytes(at);
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        // An empty plain scalar is announced as `~` with no length.
        let empty = style == Style::Plain && span.start == span.end;
        if empty && tag.is_none() && anchor == 0 && self.stack.is_empty() {
            return Ok(());
        }
        if empty {
            span = places::of_nothing(&self.file.text, span.start, !self.expects_key());
        } else if matches!(style, Style::Literal | Style::Folded) {
            span = places::with_header(&self.file.text, self.cursor, span);
        }
        let text = if empty { "" } else { text };
        let value = match tag {
            None if style == Style::Plain => scalar::plain(text),
            None => Value::String(text.to_owned()),
            Some(tag) => self.tagged(tag, text, style, at)?,
        };
        let node = Node { value, span, style, via_alias: None, anchored: anchor != 0 };
        if anchor != 0 {
            self.count_anchor(span)?;
            let kept = if self.in_dropped() {
                Anchor::Dropped
            } else if self.expects_key() {
                Anchor::Key(Box::new(node.clone()))
            } else {
                Anchor::Finished(self.path())
            };
            self.anchors.insert(anchor, kept);
        }
        self.add(node, span, text)
    }

    /// The value of a scalar with a tag; of one with a wrong tag, its value without.
    fn tagged(&mut self, tag: &Tag, text: &str, style: Style, at: &ParserSpan) -> Result<Value, Stop> {
        let untagged = |style| match style {
            Style::Plain => scalar::plain(text),
            _ => Value::String(text.to_owned()),
        };
        let Some(suffix) = tag.core_suffix() else {
            self.report_unknown_tag(tag, at)?;
            return Ok(untagged(style));
        };
        if let Some(value) = scalar::tagged(suffix, text) {
            return Ok(value);
        }
        let value = untagged(style);
        let message = format!("the tag `!!{suffix}` does not fit {}", value.describe());
        let finding = self.error(CODE_TAG, message, tag_span(at), "this tag");
        self.report(finding)?;
        Ok(value)
    }

    fn report_unknown_tag(&mut self, tag: &Tag, at: &ParserSpan) -> Result<(), Stop> {
        let message = format!("the tag `{}` has no meaning here", tag.original());
        let finding = self
            .error(CODE_TAG, message, tag_span(at), "not a tag of YAML itself")
            .help("remove the tag, or put quotes around a text that starts with `!`");
        self.report(finding)
    }

    fn open(
        &mut self,
        content: Content,
        style: StructureStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: &ParserSpan,
    ) -> Result<(), Stop> {
        let span = bytes(at);
        if self.stack.len() == self.limits.depth {
            let finding = syntax::too_deep(self.file, span, self.limits);
            self.report(finding)?;
            return Err(Stop);
        }
        if let Some(tag) = tag {
            let (expected, kind) = match content {
                Content::Sequence(_) => ("seq", "a list"),
                Content::Mapping { .. } => ("map", "a mapping"),
            };
            match tag.core_suffix() {
                None => self.report_unknown_tag(tag, at)?,
                Some(suffix) if suffix == expected => {}
                Some(suffix) => {
                    let message = format!("the tag `!!{suffix}` does not fit {kind}");
                    let finding = self.error(CODE_TAG, message, tag_span(at), "this tag");
                    self.report(finding)?;
                }
            }
        }
        let is_key = self.expects_key();
        let dropped = is_key || self.in_dropped();
        if is_key && !self.in_dropped() {
            let finding = self
                .error(CODE_KEY, "a list or mapping cannot be a key", span, "used as a key")
                .help("write a plain name; put quotes around a text that starts with `[` or `{`");
            self.report(finding)?;
        }
        if anchor != 0 {
            self.count_anchor(span)?;
            let kept = if dropped { Anchor::Dropped } else { Anchor::Open(self.path()) };
            self.anchors.insert(anchor, kept);
        }
        let (style, start) = match (style, &content) {
            // A bracket; the `key: value` inside `[…]` has none and is measured by its parts like a block.
            (StructureStyle::Flow, _) if span.start < span.end => (Style::Flow, Some(span.start)),
            (StructureStyle::Flow, _) => (Style::Flow, None),
            (StructureStyle::Block, Content::Sequence(_)) => {
                let in_mapping =
                    matches!(self.stack.last(), Some(Frame { content: Content::Mapping { .. }, .. }));
                let start = if in_mapping {
                    places::first_dash(&self.file.text, self.cursor, span.start)
                } else {
                    span.start
                };
                (Style::Block, Some(start))
            }
            (StructureStyle::Block, Content::Mapping { .. }) => (Style::Block, None),
        };
        self.stack.push(Frame { content, style, start, end: span.end, anchor, dropped });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Stop> {
        let frame = self.stack.pop().expect("internal error: the parser closes what it opened");
        // Only a bracket has a length; the end of a block is where the next thing starts.
        let end = if end.start < end.end { end.end } else { frame.end };
        let value = match frame.content {
            // A vector starts with room for four, which in a file of tiny collections is most of the memory.
            Content::Sequence(mut items) => {
                items.shrink_to_fit();
                Value::Sequence(items)
            }
            Content::Mapping { mut entries, .. } => {
                self.report_duplicates(&entries)?;
                entries.shrink_to_fit();
                Value::Mapping(entries)
            }
        };
        let start = frame.start.unwrap_or(end).min(end);
        let span = Span::new(start, end);
        if let Some(anchor @ Anchor::Open(_)) = self.anchors.get_mut(&frame.anchor)
            && let Anchor::Open(path) = std::mem::replace(anchor, Anchor::Dropped)
        {
            *anchor = Anchor::Finished(path);
        }
        let node = Node { value, span, style: frame.style, via_alias: None, anchored: frame.anchor != 0 };
        self.add(node, span, "")
    }

    fn alias(&mut self, target: usize, span: Span) -> Result<(), Stop> {
        self.count_alias(span)?;
        let original = match self.anchors.get(&target) {
            Some(Anchor::Finished(path)) => self.at_path(path),
            Some(Anchor::Key(node)) => Some(&**node),
            Some(Anchor::Open(_)) => {
                let finding = self.error(
                    CODE_ALIAS,
                    "an alias repeats the very value it stands in",
                    span,
                    "without end",
                );
                self.report(finding)?;
                return self.add_unresolved(span);
            }
            Some(Anchor::Dropped) | None => None,
        };
        let Some(original) = original else {
            // What it repeats was reported where it stands.
            return self.add_unresolved(span);
        };
        let mut budget = self.expansion_left;
        let room = self.limits.depth - self.stack.len();
        match measure(original, room, &mut budget) {
            Err(TooMuch::Depth) => {
                let finding = syntax::too_deep(self.file, span, self.limits);
                self.report(finding)?;
                return Err(Stop);
            }
            Err(TooMuch::Bytes) => {
                let allowed = self.limits.expanded_bytes;
                let message =
                    format!("the aliases of this file stand for more than the {allowed} bytes allowed");
                let finding = self
                    .error(CODE_ALIAS, message, span, "too much with this one")
                    .help("repeat less, or split the manifests over several files");
                self.report(finding)?;
                return Err(Stop);
            }
            Ok(()) => {}
        }
        let mut node = original.clone();
        mark_as_copy(&mut node, span);
        self.expansion_left = budget;
        // A key that comes by an alias is named by the text that the anchor marks.
        let text = match &node.value {
            Value::String(text) => text.clone(),
            _ => self.file.text.get(node.span.start..node.span.end).unwrap_or_default().to_owned(),
        };
        self.add(node, span, &text)
    }

    /// Puts a finished node where it belongs; `place` is where it stands in the text, `text` what it is as a key.
    fn add(&mut self, node: Node, place: Span, text: &str) -> Result<(), Stop> {
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.start = frame.start.or(Some(place.start));
        frame.end = frame.end.max(place.end);
        let (entries, key) = match &mut frame.content {
            Content::Sequence(items) => {
                items.push(node);
                return Ok(());
            }
            Content::Mapping { entries, key } => (entries, key),
        };
        match std::mem::replace(key, Key::Awaited) {
            Key::Read { text, span } => {
                entries.push(Entry { key: text, key_span: span, value: node });
                Ok(())
            }
            Key::Refused => {
                self.complete = false;
                Ok(())
            }
            Key::Awaited => {
                *key = Key::Refused;
                let refused = match &node.value {
                    // Reported when it was opened, unless an alias brought it.
                    Value::Sequence(_) | Value::Mapping(_) if node.via_alias.is_none() => return Ok(()),
                    Value::Sequence(_) | Value::Mapping(_) => self
                        .error(CODE_KEY, "a list or mapping cannot be a key", place, "used as a key")
                        .help("write a plain name"),
                    Value::Null if text.is_empty() => self
                        .error(CODE_KEY, "a key is empty", place, "expected a name here")
                        .help("put quotes around a text that starts with `: ` or `? `"),
                    Value::String(text) if text == "<<" && node.style == Style::Plain => self
                        .error(CODE_MERGE_KEY, "merge keys (`<<`) are not supported", place, "a merge key")
                        .help("write the members out where they are needed"),
                    _ => {
                        *key = Key::Read { text: text.to_owned(), span: place };
                        return Ok(());
                    }
                };
                self.report(refused)
            }
        }
    }

    /// Stands in for a value that is not known, so that what follows keeps its place.
    fn add_unresolved(&mut self, span: Span) -> Result<(), Stop> {
        self.complete = false;
        if self.expects_key()
            && let Some(Frame { content: Content::Mapping { key, .. }, .. }) = self.stack.last_mut()
        {
            *key = Key::Refused;
            return Ok(());
        }
        let node =
            Node { value: Value::Null, span, style: Style::Plain, via_alias: Some(span), anchored: false };
        self.add(node, span, "")
    }

    fn report_duplicates(&mut self, entries: &[Entry]) -> Result<(), Stop> {
        let mut firsts: HashMap<&str, Span> = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            let first = if entries.len() <= COMPARE_ALL_PAIRS {
                entries[..index]
                    .iter()
                    .find(|earlier| earlier.key == entry.key)
                    .map(|earlier| earlier.key_span)
            } else {
                let first = *firsts.entry(&entry.key).or_insert(entry.key_span);
                (first != entry.key_span).then_some(first)
            };
            if let Some(first) = first {
                let message = format!("the key `{}` is written twice in one mapping", entry.key);
                let finding = self
                    .error(CODE_DUPLICATE_KEY, message, entry.key_span, "written again here")
                    .related(Place::new(self.file, first), "first written here")
                    .help("remove one of the two");
                self.report(finding)?;
            }
        }
        Ok(())
    }

    fn count_anchor(&mut self, span: Span) -> Result<(), Stop> {
        self.n_anchors += 1;
        self.refuse_more_than_allowed(self.n_anchors, "anchors", span)
    }

    fn count_alias(&mut self, span: Span) -> Result<(), Stop> {
        self.n_aliases += 1;
        self.refuse_more_than_allowed(self.n_aliases, "aliases", span)
    }

    fn refuse_more_than_allowed(&mut self, count: usize, things: &str, span: Span) -> Result<(), Stop> {
        let allowed = self.limits.aliases;
        if count <= allowed {
            return Ok(());
        }
        let message = format!("the file holds more than the {allowed} {things} allowed");
        let finding = self.error(CODE_ALIAS, message, span, "one too many");
        self.report(finding)?;
        Err(Stop)
    }

    fn error(&self, code: &'static str, message: impl Into<String>, span: Span, label: &str) -> Diagnostic {
        Diagnostic::error(code, message).at(Place::new(self.file, span), label)
    }

    /// Adds a finding, and stops where there are so many that the rest would only bury them.
    fn report(&mut self, finding: Diagnostic) -> Result<(), Stop> {
        let (n_errors, n_warnings) = self.diagnostics.counts();
        if n_errors + n_warnings < self.limits.findings {
            self.diagnostics.push(finding);
            return Ok(());
        }
        let allowed = self.limits.findings;
        let mut last = Diagnostic::error(CODE_SIZE, format!("the file has more than {allowed} errors"))
            .help("mend the ones above; the rest of the file was not read");
        last.place = finding.place;
        last.label = "not read from here on".to_owned();
        self.diagnostics.push(last);
        Err(Stop)
    }

    /// Names the bracket that a syntax error stands in: a forgotten `]` is noticed far below it.
    fn with_open_bracket(&self, finding: Diagnostic) -> Diagnostic {
        match self.stack.last() {
            Some(Frame { style: Style::Flow, start: Some(start), .. }) if finding.code == CODE_SYNTAX => {
                finding.related(
                    Place::new(self.file, Span::new(*start, start + 1)),
                    "this bracket is still open",
                )
            }
            _ => finding,
        }
    }

    /// Whether the next node is a key.
    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { content: Content::Mapping { key: Key::Awaited, .. }, .. }))
    }

    /// Whether the next node goes into something that is dropped.
    fn in_dropped(&self) -> bool {
        self.stack.last().is_some_and(|frame| {
            frame.dropped || matches!(frame.content, Content::Mapping { key: Key::Refused, .. })
        })
    }

    /// The indices that lead from the root to the next node.
    fn path(&self) -> Vec<usize> {
        let index = |frame: &Frame| match &frame.content {
            Content::Sequence(items) => items.len(),
            Content::Mapping { entries, .. } => entries.len(),
        };
        self.stack.iter().map(index).collect()
    }

    /// The finished node at a path from the root: first through open collections, then through finished ones.
    fn at_path(&self, path: &[usize]) -> Option<&Node> {
        let mut rest = path.iter();
        for frame in &self.stack {
            let index = *rest.next()?;
            let child = match &frame.content {
                Content::Sequence(items) => items.get(index),
                Content::Mapping { entries, .. } => entries.get(index).map(|entry| &entry.value),
            };
            if let Some(child) = child {
                return rest.try_fold(child, |node, index| match &node.value {
                    Value::Sequence(items) => items.get(*index),
                    Value::Mapping(entries) => entries.get(*index).map(|entry| &entry.value),
                    _ => None,
                });
            }
        }
        None
    }
}

fn bytes(span: &ParserSpan) -> Span {
    let range = span.byte_range().expect("internal error: a parser of a string knows byte offsets");
    Span::new(range.start, range.end)
}

/// The place of a node's tag, or of the node where the parser does not tell it.
fn tag_span(at: &ParserSpan) -> Span {
    at.tag_span().map_or_else(|| bytes(at), |tag| bytes(&tag))
}
