//! The difference of two texts, by lines and by words.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use super::text::{Layout, Tone, clean};

/// Renders what changed between two texts, each line indented; lines that stay are shown around a change only.
///
/// With colour the changed words are marked by it; without, they stand in `[-` `-]` and `{+` `+}`, as Git's word
/// difference writes them.
pub fn difference(before: &str, after: &str, indent: usize, layout: &Layout) -> String {
    if !before.contains('\n') && !after.contains('\n') {
        return one_line(before, after, indent, layout);
    }
    let mut out = String::new();
    let diff = TextDiff::from_lines(before, after);
    for (position, group) in diff.grouped_ops(1).iter().enumerate() {
        if position > 0 {
            let _ = writeln!(out, "{}  ...", " ".repeat(indent));
        }
        for op in group {
            for change in diff.iter_inline_changes(op) {
                let (sign, tone, open, close) = match change.tag() {
                    ChangeTag::Equal => (' ', None, "", ""),
                    ChangeTag::Delete => ('-', Some(Tone::Removed), "[-", "-]"),
                    ChangeTag::Insert => ('+', Some(Tone::Added), "{+", "+}"),
                };
                let pieces: Vec<(bool, String)> = change
                    .iter_strings_lossy()
                    .map(|(marked, text)| (marked, clean(text.trim_end_matches(['\n', '\r']))))
                    .filter(|(_, text)| !text.is_empty())
                    .collect();
                let all_marked = pieces.iter().all(|(marked, _)| *marked);
                let mut line = format!("{sign} ");
                for (marked, text) in pieces {
                    line.push_str(&if marked && !all_marked {
                        mark(&text, open, close, layout)
                    } else {
                        text
                    });
                }
                let line = layout.wrap(line.trim_end(), indent, indent + 2);
                let line = tone.map_or_else(|| line.clone(), |tone| layout.paint(tone, &line));
                let _ = writeln!(out, "{}", if line.trim().is_empty() { "" } else { &line });
            }
        }
    }
    out
}

/// Two lines, one with what goes and one with what comes.
fn one_line(before: &str, after: &str, indent: usize, layout: &Layout) -> String {
    let diff = TextDiff::from_unicode_words(before, after);
    let n_equal = diff.iter_all_changes().filter(|change| change.tag() == ChangeTag::Equal).count();
    let side = |side: ChangeTag, sign: &str, open: &str, close: &str, tone: Tone| {
        let mut line = format!("{sign} ");
        let mut marked = String::new();
        for change in
            diff.iter_all_changes().filter(|change| [side, ChangeTag::Equal].contains(&change.tag()))
        {
            let text = clean(change.value());
            if change.tag() == ChangeTag::Equal || n_equal == 0 {
                line.push_str(&mark(&std::mem::take(&mut marked), open, close, layout));
                line.push_str(&text);
            } else {
                marked.push_str(&text);
            }
        }
        line.push_str(&mark(&marked, open, close, layout));
        format!("{}\n", layout.paint(tone, &layout.wrap(&line, indent, indent + 2)))
    };
    side(ChangeTag::Delete, "-", "[-", "-]", Tone::Removed)
        + &side(ChangeTag::Insert, "+", "{+", "+}", Tone::Added)
}

/// Marks changed words: by underlining with colour, by signs without.
fn mark(text: &str, open: &str, close: &str, layout: &Layout) -> String {
    match (text.is_empty(), layout.colour) {
        (true, _) => String::new(),
        (false, false) => format!("{open}{text}{close}"),
        (false, true) => format!("\u{1b}[4m{text}\u{1b}[24m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_words_are_marked() {
        let layout = Layout { colour: false, width: 100 };
        let text =
            difference("one\ntwo days left\nthree\nfour", "one\ntwo hours left\nthree\nfour", 2, &layout);
        assert_eq!(text, "    one\n  - two [-days-] left\n  + two {+hours+} left\n    three\n");
        assert_eq!(difference("same\n", "same\n", 2, &layout), "");
        assert_eq!(
            difference(
                "severity:Critical and new",
                "severity:[Critical, Important] and old and new",
                2,
                &layout
            ),
            "  - [-severity:Critical-] and new\n  + {+severity:[Critical, Important] and old+} and new\n"
        );
    }
}
