//! Places that the parser does not tell as people see them: empty values, block scalars, lists below their key.

use crate::source::Span;

/// The empty range just after the colon, dash, anchor or tag of an empty value, which the parser announces at `at`:
/// before the colon, or behind all the rest. `after_key` says whether a colon may follow.
pub(super) fn of_nothing(text: &str, at: usize, after_key: bool) -> Span {
    let (before, behind) = text.split_at(at);
    let to_colon = behind.len() - behind.trim_start().len();
    let end = match behind.as_bytes().get(to_colon) {
        Some(b':') if after_key => at + to_colon + 1,
        _ => before.trim_end().len(),
    };
    Span::new(end, end)
}

/// The range of a block scalar with its header and without the line breaks behind it.
///
/// The parser tells only the lines; `cursor` is the end of what came before the header.
pub(super) fn with_header(text: &str, cursor: usize, lines: Span) -> Span {
    let start = find_token(text, cursor, lines.start, |token| token.starts_with(['|', '>']));
    let start = start.unwrap_or(lines.start);
    let text = &text[start..lines.end.max(start)];
    Span::new(start, start + text.trim_end().len())
}

/// Where the first dash of a block sequence is, which is the value of a key and announced at `at`.
///
/// A sequence that is not indented more than its key is announced behind the dash.
pub(super) fn first_dash(text: &str, cursor: usize, at: usize) -> usize {
    find_token(text, cursor, at, |token| token.starts_with('-')).unwrap_or(at)
}

/// The first word between `from` and `until` that fits, comments left out.
fn find_token(text: &str, from: usize, until: usize, fits: impl Fn(&str) -> bool) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = text.get(at..until)?;
        at += rest.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        let token = rest.split(char::is_whitespace).next().filter(|token| !token.is_empty())?;
        if token.starts_with('#') {
            at += rest.find('\n')?;
        } else if fits(token) {
            return Some(at);
        } else {
            at += token.len();
        }
    }
}
