//! Findings as text that looks like a compiler's, and as JSON.
//!
//! Manifests and messages are foreign text: whatever stands in them, the output holds no control characters but line
//! breaks and, with colour, the renderer's own escapes. Nothing is printed here.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{
    Annotation, AnnotationKind, Element, Group, Level, Origin, Patch, Renderer, Snippet,
};
use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Diagnostics, Fix, Severity};
use crate::source::{Place, SourceFile, Span};

/// Narrowest output; below it the marks could not be told apart any more.
const MIN_WIDTH: usize = 40;

/// Largest stretch of a file that is shown, in bytes; of a larger one only the place is told.
///
/// The renderer cuts lines to the width, but works through all of each: a hundred findings on a line of a megabyte
/// would take seconds. Nobody reads such a line.
const MAX_PICTURE_BYTES: usize = 64 << 10;

/// Furthest that two marks in one file may be apart to be shown in one picture, in lines.
const MAX_LINES_BETWEEN: usize = 200;

/// How findings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// Whether terminal escapes for colours may be used.
    pub colour: bool,
    /// Width of the terminal in columns; source lines are cut to it, messages are not. Less than 40 counts as 40.
    pub width: usize,
}

/// One finding as text, with a line break at the end.
pub fn diagnostic(d: &Diagnostic, options: &RenderOptions) -> String {
    let level = match d.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let pictures = pictures(d);
    let mut group = Group::with_title(level.primary_title(clean(&d.message)).id(d.code));
    for picture in &pictures {
        group = group.elements(picture.elements());
    }
    // Without a picture there is no margin to hang the help on, and the renderer would draw an empty one.
    let (hung, loose) =
        if pictures.is_empty() { (&[][..], d.help.as_slice()) } else { (d.help.as_slice(), &[][..]) };
    for help in hung {
        group = group.element(Level::HELP.message(clean(help)));
    }
    let fix = d.fix.as_ref().map(fix_group);
    let report: Vec<Group<'_>> = std::iter::once(group).chain(fix).collect();
    let renderer = if options.colour { Renderer::styled().hyperlink(false) } else { Renderer::plain() };
    let mut text = renderer.term_width(options.width.max(MIN_WIDTH)).render(&report);
    text.push('\n');
    for help in loose {
        text.push_str(&format!(" = help: {}\n", clean(help)));
    }
    text
}

/// All findings in their order, a blank line between them, and a last line that counts them. Empty for none.
pub fn diagnostics(list: &Diagnostics, options: &RenderOptions) -> String {
    if list.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    for finding in list.iter() {
        text.push_str(&diagnostic(finding, options));
        text.push('\n');
    }
    let level = if list.has_errors() { Level::ERROR } else { Level::WARNING };
    let renderer = if options.colour { Renderer::styled() } else { Renderer::plain() };
    text.push_str(&renderer.render(&[Group::with_title(level.primary_title(count_line(list)))]));
    text.push('\n');
    text
}

/// `3 errors and 1 warning in 2 files`; files are counted where findings have a place.
fn count_line(list: &Diagnostics) -> String {
    let some = |count: usize, noun: &str| match count {
        0 => None,
        1 => Some(format!("1 {noun}")),
        _ => Some(format!("{count} {noun}s")),
    };
    let (n_errors, n_warnings) = list.counts();
    let files: BTreeSet<&str> =
        list.iter().filter_map(|finding| Some(finding.place.as_ref()?.file.path.as_str())).collect();
    let counts: Vec<String> =
        [some(n_errors, "error"), some(n_warnings, "warning")].into_iter().flatten().collect();
    let mut line = counts.join(" and ");
    if let Some(files) = some(files.len(), "file") {
        write!(line, " in {files}").expect("internal error: a string takes any text");
    }
    line
}

/// All findings as a JSON array of objects.
///
/// Members: `severity` (`error` or `warning`), `code`, `message`, `source` (`file`, `line`, `column`, or null),
/// `label` (or null), `help` (strings), `related` (`source`, `label`), and `fix` (or null): `message`, `replacement`, and a
/// `source` that also has `end_line` and `end_column`, one past the last character. Lines and columns count from 1,
/// columns in characters.
pub fn diagnostics_json(list: &Diagnostics) -> Value {
    list.iter().map(diagnostic_json).collect()
}

fn diagnostic_json(d: &Diagnostic) -> Value {
    let Diagnostic { severity, code, message, place, label, related, help, fix } = d;
    json!({
        "severity": match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "code": code,
        "message": message,
        "source": place.as_ref().map(place_json),
        "label": (!label.is_empty()).then_some(label),
        "help": help,
        "related": related
            .iter()
            .map(|(place, label)| json!({ "source": place_json(place), "label": label }))
            .collect::<Value>(),
        "fix": fix.as_ref().map(fix_json),
    })
}

fn place_json(place: &Place) -> Value {
    let (line, column) = place.line_column();
    json!({ "file": place.file.path, "line": line, "column": column })
}

fn fix_json(fix: &Fix) -> Value {
    let Fix { message, place, replacement } = fix;
    let mut source = place_json(place);
    let end = Place::new(&place.file, Span::new(place.span.end, place.span.end));
    let (end_line, end_column) = end.line_column();
    source["end_line"] = end_line.into();
    source["end_column"] = end_column.into();
    json!({ "message": message, "replacement": replacement, "source": source })
}

/// A stretch of one file with the marks in it.
struct Picture<'a> {
    file: &'a Arc<SourceFile>,
    marks: Vec<Mark<'a>>,
}

/// One marked range with the words beside it.
struct Mark<'a> {
    kind: AnnotationKind,
    span: Range<usize>,
    label: &'a str,
}

/// The marks of a finding, those that lie close together in one picture; the main one comes first.
fn pictures(d: &Diagnostic) -> Vec<Picture<'_>> {
    let mut pictures: Vec<Picture<'_>> = Vec::new();
    let main = d.place.iter().map(|place| (place, d.label.as_str(), AnnotationKind::Primary));
    let others = d.related.iter().map(|(place, label)| (place, label.as_str(), AnnotationKind::Context));
    for (place, label, kind) in main.chain(others) {
        let mark = Mark { kind, span: first_line(place), label };
        let close = |picture: &&mut Picture<'_>| {
            Arc::ptr_eq(picture.file, &place.file)
                && picture.marks.iter().all(|other| {
                    n_lines_between(&place.file.text, &mark.span, &other.span) <= MAX_LINES_BETWEEN
                })
        };
        match pictures.iter_mut().find(close) {
            Some(picture) => picture.marks.push(mark),
            None => pictures.push(Picture { file: &place.file, marks: vec![mark] }),
        }
    }
    pictures
}

impl<'a> Picture<'a> {
    fn elements(&self) -> Vec<Element<'a>> {
        let start = self.marks.iter().map(|mark| mark.span.start).min().unwrap_or(0);
        let end = self.marks.iter().map(|mark| mark.span.end).max().unwrap_or(0);
        let window = Window::around(&self.file.text, start..end);
        if window.source.len() > MAX_PICTURE_BYTES {
            return self.marks.iter().flat_map(|mark| self.without_source(mark)).collect();
        }
        let annotations = self.marks.iter().map(|mark| -> Annotation<'a> {
            let span = mark.span.start - window.start..mark.span.end - window.start;
            mark.kind.span(span).label((!mark.label.is_empty()).then(|| clean(mark.label)))
        });
        let snippet =
            Snippet::source(visible(window.source)).path(clean(&self.file.path)).line_start(window.line);
        vec![snippet.annotations(annotations).into()]
    }

    /// A mark told by its place and words alone.
    fn without_source(&self, mark: &Mark<'a>) -> Vec<Element<'a>> {
        let (line, column) = Place::new(self.file, Span::new(mark.span.start, mark.span.end)).line_column();
        let origin = Origin::path(clean(&self.file.path)).line(line).char_column(column).into();
        let label = (!mark.label.is_empty()).then(|| Level::NOTE.message(clean(mark.label)).into());
        std::iter::once(origin).chain(label).collect()
    }
}

/// The change itself, or only its words where the text around it is too large to show.
fn fix_group(fix: &Fix) -> Group<'_> {
    let span = clamp(&fix.place);
    let window = Window::around(&fix.place.file.text, span.clone());
    let group = Group::with_title(Level::HELP.secondary_title(clean(&fix.message)));
    if window.source.len() > MAX_PICTURE_BYTES {
        return group;
    }
    let patch = Patch::new(span.start - window.start..span.end - window.start, visible(&fix.replacement));
    let snippet =
        Snippet::source(visible(window.source)).path(clean(&fix.place.file.path)).line_start(window.line);
    group.element(snippet.patch(patch))
}

/// Whole lines out of a text.
struct Window<'a> {
    source: &'a str,
    /// First byte in the whole text.
    start: usize,
    /// Number of the first line.
    line: usize,
}

impl<'a> Window<'a> {
    fn around(text: &'a str, range: Range<usize>) -> Self {
        let start = text[..range.start].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[range.end..].find('\n').map_or(text.len(), |newline| range.end + newline + 1);
        let line = text[..start].bytes().filter(|byte| *byte == b'\n').count() + 1;
        Self { source: &text[start..end], start, line }
    }
}

/// The range of a place, moved onto the text and onto character boundaries where it is not.
fn clamp(place: &Place) -> Range<usize> {
    let text = &place.file.text;
    let boundary = |at: usize| text.floor_char_boundary(at.min(text.len()));
    let start = boundary(place.span.start);
    start..boundary(place.span.end).max(start)
}

/// What of a place is marked: of a value of many lines the first, since the mark only says where it is.
fn first_line(place: &Place) -> Range<usize> {
    let range = clamp(place);
    let marked = &place.file.text[range.clone()];
    let line = marked.lines().next().unwrap_or_default().trim_end();
    range.start..range.start + line.len()
}

fn n_lines_between(text: &str, a: &Range<usize>, b: &Range<usize>) -> usize {
    let (first, last) = if a.start <= b.start { (a.start, b.start) } else { (b.start, a.start) };
    text[first..last].bytes().filter(|byte| *byte == b'\n').count()
}

/// Source text with the control characters U+0080 to U+009F, which the renderer lets through, replaced.
///
/// Some terminals take U+009B for the start of an escape. The stand-in has as many bytes, so that places stay right;
/// the other control characters are shown by the renderer as pictures.
fn visible(source: &str) -> Cow<'_, str> {
    let is_hidden = |character: char| matches!(character, '\u{80}'..='\u{9F}');
    if source.contains(is_hidden) { source.replace(is_hidden, "¿").into() } else { source.into() }
}

/// A line of foreign text made harmless for a terminal: control and direction characters are written as escapes.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        // The direction marks make a line read differently from what it says (CVE-2021-42574).
        let turns_direction =
            matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}');
        if character.is_control() || turns_direction {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests;
