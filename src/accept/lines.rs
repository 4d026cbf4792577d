//! Lines of a text: where they begin and end, what they are indented by, which comments belong to what.

use crate::source::Span;

/// Where the line begins that holds this byte.
pub(super) fn start(text: &str, at: usize) -> usize {
    text[..at].rfind(['\n', '\r']).map_or(0, |found| found + 1)
}

/// Where the line that holds this byte ends, before its line break.
pub(super) fn end(text: &str, at: usize) -> usize {
    text[at..].find(['\n', '\r']).map_or(text.len(), |found| at + found)
}

/// Where the line after the one that holds this byte begins; the end of the text where it is the last.
pub(super) fn next(text: &str, at: usize) -> usize {
    let end = end(text, at);
    end + if text[end..].starts_with("\r\n") { 2 } else { usize::from(end < text.len()) }
}

/// Where the line before the one that begins here begins.
pub(super) fn previous(text: &str, line: usize) -> Option<usize> {
    let before = text[..line].strip_suffix("\r\n").or_else(|| text[..line].strip_suffix(['\n', '\r']))?;
    Some(start(text, before.len()))
}

/// The line break that a text uses.
pub(super) fn usual_break(text: &str) -> &'static str {
    match text.find(['\n', '\r']) {
        Some(at) if text[at..].starts_with("\r\n") => "\r\n",
        Some(at) if text[at..].starts_with('\r') => "\r",
        Some(_) | None => "\n",
    }
}

/// How many bytes stand before this one in its line.
pub(super) fn column(text: &str, at: usize) -> usize {
    at - start(text, at)
}

/// The text of the line that begins here, without its line break.
pub(super) fn content(text: &str, line: usize) -> &str {
    &text[line..end(text, line)]
}

/// Whether nothing but blanks stands between the beginning of the line and this byte.
pub(super) fn begins_at(text: &str, at: usize) -> bool {
    text[start(text, at)..at].bytes().all(|byte| byte == b' ')
}

/// Whether the line that begins here holds nothing.
pub(super) fn is_blank(text: &str, line: usize) -> bool {
    content(text, line).trim().is_empty()
}

/// How far a line is indented that holds a comment and nothing else.
pub(super) fn comment(text: &str, line: usize) -> Option<usize> {
    let content = content(text, line);
    let rest = content.trim_start();
    rest.starts_with('#').then_some(content.len() - rest.len())
}

/// Whether what is left of a line behind this byte is a comment, or nothing.
pub(super) fn is_open(text: &str, at: usize) -> bool {
    let rest = text[at..end(text, at)].trim_start();
    rest.is_empty() || rest.starts_with('#')
}

/// The lines of an element of a list with the comments that belong to it, line breaks included.
///
/// Those directly above it belong to it, and those below it that are indented further than its dash. `from` is where
/// the lines of what stands before it end, `until` where what comes after it begins.
pub(super) fn chunk(text: &str, dash: usize, last: usize, from: usize, until: usize) -> Span {
    let indent = column(text, dash);
    let mut first = start(text, dash);
    while let Some(line) = previous(text, first).filter(|line| *line >= from) {
        if comment(text, line).is_none() {
            break;
        }
        first = line;
    }
    let mut end = next(text, last);
    let mut line = end;
    while line < until && line < text.len() {
        match comment(text, line) {
            Some(column) if column > indent => end = next(text, line),
            Some(_) => break,
            None if is_blank(text, line) => {}
            None => break,
        }
        line = next(text, line);
    }
    Span::new(first, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_every_kind_of_line_break() {
        for (text, line_break) in [("a\nbc\nd", "\n"), ("a\r\nbc\r\nd", "\r\n"), ("a\rbc\rd", "\r")] {
            let at = text.find('c').expect("there");
            assert_eq!(content(text, start(text, at)), "bc");
            assert_eq!(content(text, next(text, at)), "d");
            assert_eq!(previous(text, start(text, at)), Some(0));
            assert_eq!(previous(text, 0), None);
            assert_eq!(next(text, text.len()), text.len());
            assert_eq!(usual_break(text), line_break);
            assert_eq!(column(text, at), 1);
        }
        assert_eq!(usual_break(""), "\n");
    }

    #[test]
    fn comments_belong_to_what_they_stand_above_or_inside_of() {
        let text = "list:\n  # one\n\n  # two\n  # more of two\n  - b: 1\n    # in two\n\n    # too\n  # three\n  - c\n";
        let dash = text.find("- b").expect("there");
        let found = chunk(text, dash, dash + 5, 6, text.find("- c").expect("there"));
        assert_eq!(
            &text[found.start..found.end],
            "  # two\n  # more of two\n  - b: 1\n    # in two\n\n    # too\n"
        );
    }
}
