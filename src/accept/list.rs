//! Elements of a list that come, go or change places, in the text.
//!
//! Elements that stay keep their lines, and so do comments that belong to none that goes.

use super::lines;
use super::proof::Slot;
use crate::edit::{Replacement, splice};
use crate::source::Span;
use crate::yaml::{Node, Style};

/// A new element, ready to be put into a list of either notation.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// In lines that end with `\n`, the first with its dash, at no indentation.
    pub(super) lines: String,
    /// In one line, for a list in brackets.
    pub(super) in_brackets: String,
}

/// A list as it stands in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    pub(super) text: &'a str,
    pub(super) node: &'a Node,
    /// Where the colon ends behind which the list stands; `None` for a list that stands elsewhere.
    pub(super) colon: Option<usize>,
    /// Whether it stands within brackets or braces.
    pub(super) in_brackets: bool,
    pub(super) line_break: &'static str,
    /// Column of the key, where there is one.
    pub(super) indent: usize,
    /// Whether new elements stand one below the other where there were none before.
    pub(super) wide: bool,
}

/// The edits that make a list of these elements, in the order of `slots`; those of `inner` that lie in what is moved
/// are taken over. `None` where the notation leaves no sure place.
pub(super) fn edits(
    list: List<'_>,
    slots: &[Slot<Piece>],
    inner: &mut Vec<Replacement>,
) -> Option<Vec<Replacement>> {
    let items = list.node.value.as_sequence().unwrap_or_default();
    match (list.node.style, items.is_empty()) {
        (_, true) => first(list, slots),
        (Style::Block, false) if slots.is_empty() => {
            let mut out = removed(list, &chunks(list)?, &vec![false; items.len()], None)?;
            out.push(beside_key(list, "[]")?);
            Some(out)
        }
        (Style::Block, false) => in_lines(list, &chunks(list)?, slots, inner, false),
        (_, false) => match flow_chunks(list) {
            // Brackets with comments between them stay, those without close up.
            Some(chunks) if slots.is_empty() => in_brackets(list, slots, inner)
                .or_else(|| removed(list, &chunks, &vec![false; items.len()], None)),
            Some(chunks) => in_lines(list, &chunks, slots, inner, true),
            None => in_brackets(list, slots, inner),
        },
    }
}

/// Puts a value behind the colon, where nothing but a comment may follow in the line.
fn beside_key(list: List<'_>, value: &str) -> Option<Replacement> {
    let colon = list.colon.filter(|colon| lines::is_open(list.text, *colon))?;
    Some(Replacement { span: Span::new(colon, colon), text: format!(" {value}") })
}

/// The first elements of a list that had none: `[]`, `null`, or nothing.
fn first(list: List<'_>, slots: &[Slot<Piece>]) -> Option<Vec<Replacement>> {
    let List { text, node, .. } = list;
    let pieces: Vec<&Piece> = slots
        .iter()
        .map(|slot| if let Slot::New(piece) = slot { Some(piece) } else { None })
        .collect::<Option<_>>()?;
    if text[node.span.start..node.span.end].contains(['#', '\n']) {
        return None;
    }
    if let (Some(colon), true, false) = (list.colon, list.wide, list.in_brackets) {
        if !lines::is_open(text, node.span.end)
            || text[colon..node.span.start].contains(['\n', '\r', '&', '!'])
        {
            return None;
        }
        let end = lines::end(text, node.span.end);
        let block: String =
            pieces.iter().map(|piece| indented(&piece.lines, list.indent + 2, list.line_break)).collect();
        let block = block.strip_suffix(list.line_break).unwrap_or(&block);
        return Some(vec![
            Replacement { span: Span::new(colon, node.span.end), text: String::new() },
            Replacement { span: Span::new(end, end), text: format!("{}{block}", list.line_break) },
        ]);
    }
    let items: Vec<&str> = pieces.iter().map(|piece| piece.in_brackets.as_str()).collect();
    let space = if text[..node.span.start].ends_with(':') { " " } else { "" };
    Some(vec![Replacement { span: node.span, text: format!("{space}[{}]", items.join(", ")) }])
}

/// Lines moved to an indentation, with the file's line break.
pub(super) fn indented(text: &str, indent: usize, line_break: &str) -> String {
    let pad = " ".repeat(indent);
    text.lines()
        .map(|line| if line.is_empty() { line_break.to_owned() } else { format!("{pad}{line}{line_break}") })
        .collect()
}

/// Where an element was written, also one that came by an alias.
fn written_at(item: &Node) -> Span {
    item.via_alias.unwrap_or(item.span)
}

/// The lines of each element of a list with dashes.
fn chunks(list: List<'_>) -> Option<Vec<Span>> {
    let List { text, node, .. } = list;
    let items = node.value.as_sequence()?;
    let column = lines::column(text, node.span.start);
    let mut dashes = Vec::new();
    for item in items {
        let mut line = lines::start(text, written_at(item).start);
        loop {
            let content = lines::content(text, line);
            let is_dash = content.len() > column
                && content.as_bytes()[..column].iter().all(|byte| *byte == b' ')
                && content.as_bytes()[column] == b'-';
            if is_dash {
                break;
            }
            line = lines::previous(text, line).filter(|line| line + column >= node.span.start)?;
        }
        dashes.push(line + column);
    }
    if !dashes.is_sorted_by(|a, b| a < b) {
        return None;
    }
    // Comments above the first element reach up to the line of the key.
    let mut from = match list.colon {
        Some(colon) => lines::next(text, colon),
        None => lines::start(text, dashes[0]),
    };
    if from > dashes[0] {
        return None;
    }
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let last = written_at(item).end.max(dashes[at]);
        let until = dashes.get(at + 1).map_or(text.len(), |dash| lines::start(text, *dash));
        let chunk = lines::chunk(text, dashes[at], last, from, until);
        from = chunk.end;
        found.push(chunk);
    }
    Some(found)
}

/// The lines of each element of a list in brackets, where each stands in lines of its own.
fn flow_chunks(list: List<'_>) -> Option<Vec<Span>> {
    let List { text, node, .. } = list;
    let items = node.value.as_sequence()?;
    let mut from = lines::next(text, node.span.start);
    let mut found = Vec::new();
    for item in items {
        let span = written_at(item);
        let behind = comma(text, span.end, node.span.end).map_or(span.end, |comma| comma + 1);
        let is_alone = lines::begins_at(text, span.start)
            && lines::start(text, span.start) >= from
            && lines::is_open(text, behind)
            && lines::start(text, behind) == lines::start(text, span.end);
        if !is_alone {
            return None;
        }
        let until = lines::next(text, span.end);
        let chunk = lines::chunk(text, span.start, span.end, from, until);
        from = chunk.end;
        found.push(chunk);
    }
    Some(found)
}

/// The comma behind an element, comments passed over.
fn comma(text: &str, from: usize, until: usize) -> Option<usize> {
    let mut at = from;
    while at < until {
        let rest = &text[at..until];
        let blank = rest.len() - rest.trim_start().len();
        at += blank;
        match text[at..until].chars().next()? {
            ',' => return Some(at),
            '#' => at = lines::end(text, at),
            _ => return None,
        }
    }
    None
}

/// The edits where each element has lines of its own.
fn in_lines(
    list: List<'_>,
    chunks: &[Span],
    slots: &[Slot<Piece>],
    inner: &mut Vec<Replacement>,
    has_commas: bool,
) -> Option<Vec<Replacement>> {
    let List { text, node, line_break, .. } = list;
    let items = node.value.as_sequence()?;
    let first_at = if has_commas { written_at(&items[0]).start } else { node.span.start };
    let indent = lines::column(text, first_at);
    let last_comma = comma(text, written_at(items.last()?).end, node.span.end);
    let has_last_comma = has_commas && last_comma.is_some();
    let mut out = Vec::new();
    let last_slot = slots.len().checked_sub(1)?;
    let new_lines = |piece: &Piece, at: usize| {
        if !has_commas {
            return indented(&piece.lines, indent, line_break);
        }
        let comma = if at < last_slot || has_last_comma { "," } else { "" };
        format!("{}{}{comma}{line_break}", " ".repeat(indent), piece.in_brackets)
    };
    // The comma of an element that is the last one now, or is so no more.
    let mut fix_comma = |at: usize, item: usize| {
        let span = written_at(&items[item]);
        match comma(text, span.end, node.span.end) {
            Some(comma) if at == last_slot && !has_last_comma => {
                out.push(Replacement { span: Span::new(comma, comma + 1), text: String::new() });
            }
            None if at < last_slot => {
                out.push(Replacement { span: Span::new(span.end, span.end), text: ",".to_owned() });
            }
            Some(_) | None => {}
        }
    };
    if has_commas {
        for (at, slot) in slots.iter().enumerate() {
            if let Slot::Old(item) = slot {
                fix_comma(at, *item);
            }
        }
    }
    let kept: Vec<usize> =
        slots.iter().filter_map(|slot| if let Slot::Old(item) = slot { Some(*item) } else { None }).collect();
    if !kept.is_sorted() {
        inner.append(&mut out);
        return moved(list, chunks, slots, inner, &new_lines);
    }
    let is_kept: Vec<bool> = (0..items.len()).map(|item| kept.contains(&item)).collect();
    let between = chunks.windows(2).find(|pair| pair[0].end < pair[1].start).map(|pair| {
        // What parts elements is repeated only where it is nothing but empty lines.
        let gap = &text[pair[0].end..pair[1].start];
        if gap.trim().is_empty() { gap } else { "" }
    });
    let between = between.unwrap_or_default();
    out.extend(removed(list, chunks, &is_kept, kept.last().copied())?);
    let mut after: Option<usize> = None;
    for (at, slot) in slots.iter().enumerate() {
        let piece = match slot {
            Slot::Old(item) => {
                after = Some(*item);
                continue;
            }
            Slot::New(piece) => piece,
        };
        let new = new_lines(piece, at);
        let (at, new) = match after {
            Some(item) => (chunks[item].end, format!("{between}{new}")),
            None => (chunks[0].start, format!("{new}{between}")),
        };
        // A file whose last line has no line break keeps it so.
        let is_at_open_end = at == text.len() && !text.ends_with(['\n', '\r']);
        let new = if is_at_open_end {
            format!("{line_break}{}", new.strip_suffix(line_break).unwrap_or(&new))
        } else {
            new
        };
        out.push(Replacement { span: Span::new(at, at), text: new });
    }
    Some(out)
}

/// Takes the lines of elements away, and the empty lines that would be left over.
fn removed(
    list: List<'_>,
    chunks: &[Span],
    is_kept: &[bool],
    last_kept: Option<usize>,
) -> Option<Vec<Replacement>> {
    let text = list.text;
    let mut out = Vec::new();
    for (item, chunk) in chunks.iter().enumerate().filter(|(item, _)| !is_kept[*item]) {
        let mut span = *chunk;
        let before = item.checked_sub(1).map(|before| chunks[before].end);
        let gap = before.filter(|end| *end < span.start && text[*end..span.start].trim().is_empty());
        match chunks.get(item + 1) {
            // An empty line stood on either side: one goes with it.
            Some(next) if gap.is_some() && text[span.end..next.start].trim().is_empty() => {
                span.end = next.start
            }
            Some(_) => {}
            None => {
                if let Some(end) = gap {
                    span.start = end;
                }
                // Where the file ends without a line break, it does so afterwards.
                if span.end == text.len() && !text.ends_with(['\n', '\r']) {
                    span.start = text[..span.start].trim_end_matches(['\n', '\r']).len();
                }
            }
        }
        out.push(Replacement { span, text: String::new() });
    }
    // Several at the end that all reach to the open end of the file are one.
    if !text.ends_with(['\n', '\r'])
        && out.last().is_some_and(|last| last.span.end == text.len())
        && let Some(end) =
            last_kept.map(|item| chunks[item].end).or(list.colon.map(|colon| lines::next(text, colon)))
    {
        out.retain(|replacement| replacement.span.start < end);
        let start = text[..end].trim_end_matches(['\n', '\r']).len();
        out.push(Replacement { span: Span::new(start, text.len()), text: String::new() });
    }
    Some(out)
}

/// The whole list written anew of its own lines: some changed places.
fn moved(
    list: List<'_>,
    chunks: &[Span],
    slots: &[Slot<Piece>],
    inner: &mut Vec<Replacement>,
    new_lines: &dyn Fn(&Piece, usize) -> String,
) -> Option<Vec<Replacement>> {
    let text = list.text;
    let (first, last) = (chunks.first()?, chunks.last()?);
    let all = Span::new(first.start, last.end);
    let gaps: Vec<&str> = chunks.windows(2).map(|pair| &text[pair[0].end..pair[1].start]).collect();
    let mut out = String::new();
    for (at, slot) in slots.iter().enumerate() {
        if at > 0 {
            out.push_str(gaps.get(at - 1).copied().unwrap_or_default());
        }
        match slot {
            Slot::Old(item) => {
                let lines = with_edits(text, chunks[*item], inner)?;
                out.push_str(&lines);
                if !lines.ends_with(['\n', '\r']) {
                    out.push_str(list.line_break);
                }
            }
            Slot::New(piece) => out.push_str(&new_lines(piece, at)),
        }
    }
    for gap in gaps.iter().skip(slots.len().saturating_sub(1)) {
        if !gap.trim().is_empty() {
            out.push_str(gap);
        }
    }
    if all.end == text.len() && !text.ends_with(['\n', '\r']) {
        out = out.strip_suffix(list.line_break).unwrap_or(&out).to_owned();
    }
    inner.retain(|edit| !(all.start <= edit.span.start && edit.span.end <= all.end));
    Some(vec![Replacement { span: all, text: out }])
}

/// A range of the text with the edits that lie in it.
fn with_edits(text: &str, span: Span, edits: &[Replacement]) -> Option<String> {
    let within: Vec<Replacement> = edits
        .iter()
        .filter(|edit| span.start <= edit.span.start && edit.span.end <= span.end)
        .map(|edit| Replacement {
            span: Span::new(edit.span.start - span.start, edit.span.end - span.start),
            text: edit.text.clone(),
        })
        .collect();
    splice(&text[span.start..span.end], &within).ok()
}

/// A list in brackets whose elements stand side by side; one with comments among them is left alone.
fn in_brackets(
    list: List<'_>,
    slots: &[Slot<Piece>],
    inner: &mut Vec<Replacement>,
) -> Option<Vec<Replacement>> {
    let List { text, node, .. } = list;
    let items = node.value.as_sequence()?;
    let spans: Vec<Span> = items.iter().map(written_at).collect();
    let (first, last) = (spans.first()?, spans.last()?);
    let mut edge = node.span.start;
    for span in &spans {
        // A comment, an anchor or a tag: what it belongs to would not be sure.
        if text.get(edge..span.start)?.contains(['#', '&', '!']) {
            return None;
        }
        edge = span.end;
    }
    if text.get(edge..node.span.end)?.contains('#') {
        return None;
    }
    if slots.is_empty() {
        let inside = Span::new(node.span.start + 1, node.span.end - 1);
        return Some(vec![Replacement { span: inside, text: String::new() }]);
    }
    let usual = spans
        .windows(2)
        .map(|pair| &text[pair[0].end..pair[1].start])
        .find(|gap| !gap.contains(['\n', '\r']));
    let usual = usual.unwrap_or(", ");
    let mut out = String::new();
    let mut before: Option<usize> = None;
    for (at, slot) in slots.iter().enumerate() {
        match slot {
            Slot::Old(item) => {
                if at > 0 {
                    let is_next = item.checked_sub(1).is_some_and(|left| before == Some(left));
                    out.push_str(if is_next {
                        &text[spans[item - 1].end..spans[*item].start]
                    } else {
                        usual
                    });
                }
                out.push_str(&with_edits(text, spans[*item], inner)?);
                before = Some(*item);
            }
            Slot::New(piece) => {
                if at > 0 {
                    out.push_str(usual);
                }
                out.push_str(&piece.in_brackets);
                before = None;
            }
        }
    }
    let all = Span::new(first.start, last.end);
    inner.retain(|edit| !(all.start <= edit.span.start && edit.span.end <= all.end));
    Some(vec![Replacement { span: all, text: out }])
}
