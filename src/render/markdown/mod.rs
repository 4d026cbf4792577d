//! Plans, outcomes and findings as Markdown for comments in pull requests and merge requests.
//!
//! A comment is read by people who did not run the program, on a platform that mails it, links what looks like a name
//! and hides what looks like HTML. So everything that comes from the API or from YAML goes through [`Safe`], which
//! neutralises and masks it, and every document through [`budget`], which makes it fit.
//!
//! Each document begins with a marker line, by which a later run finds the comment that it replaces.

pub mod apply;
pub mod budget;
pub mod drift;
pub mod findings;
pub mod plan;
pub mod safe;
mod step;
mod table;

pub use safe::Safe;

use crate::snapshot::Edit;

/// Most characters of a document, as UTF-16 counts them; GitHub refuses a comment of more than 65,536.
///
/// The rest is left to whoever puts a line of their own above or below. GitLab takes a million.
pub const MOST_CHARACTERS: usize = 65_000;

/// Most characters of one message; what is said in more is cut, and the length told.
const MOST_OF_A_MESSAGE: usize = 1_500;

/// Most characters of the lines that name what a saved plan decides; the steps themselves are shown again below.
const MOST_OF_DECIDED: usize = 10_000;

/// The first line of a document: what it is, and of whose jobs; `<!-- patchctl:plan acme -->`.
///
/// Whoever looks for an earlier comment compares this line. Where the owner is not known, as with a configuration that
/// can not be read, it is left out.
pub fn marker(what: &str, owner: Option<&str>) -> String {
    // An owner is of letters, digits, dots, dashes and underscores; nothing else may come to stand in a comment.
    match owner.filter(|owner| crate::config::is_owner(owner)) {
        Some(owner) => format!("<!-- patchctl:{what} {owner} -->\n"),
        None => format!("<!-- patchctl:{what} -->\n"),
    }
}

/// How long a text is for the platforms, which count as UTF-16 does at most.
pub fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Ends what was written with one empty line.
pub fn gap(out: &mut String) {
    out.truncate(out.trim_end_matches('\n').len());
    out.push_str("\n\n");
}

/// Writes lines that must be seen until they come to be too long, and returns how many are left.
fn lines(out: &mut String, lines: impl ExactSizeIterator<Item = String>) -> usize {
    let (mut n_left, mut room) = (lines.len(), MOST_OF_DECIDED);
    for line in lines {
        let Some(left) = room.checked_sub(length(&line)) else { break };
        room = left;
        n_left -= 1;
        out.push_str(&line);
    }
    n_left
}

/// A table row's cells, which are safe already, as one line.
pub fn row(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a table.
pub fn table_head(names: &[&str]) -> String {
    row(names) + &format!("|{}\n", " --- |".repeat(names.len()))
}

/// A folded block; the summary is safe HTML, the content Markdown.
pub fn details(summary: &str, content: &str) -> String {
    // The blank lines end the HTML, so that what is between is read as Markdown.
    format!("<details><summary>{summary}</summary>\n\n{}\n\n</details>\n", content.trim_matches('\n'))
}

/// Who edited a job last, and when: "`anna.k` on 2026-11-20 at 16:02 UTC".
pub fn edited(edit: &Edit, safe: &Safe) -> String {
    let who = edit.user.as_deref().map_or_else(|| "an unknown user".to_owned(), |user| safe.code(user));
    let when = edit.at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    when.map_or(who.clone(), |when| format!("{who} on {}", when.strftime("%Y-%m-%d at %H:%M UTC")))
}

/// `1,234`.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_one_comment_each() {
        assert_eq!(marker("plan", Some("acme")), "<!-- patchctl:plan acme -->\n");
        assert_eq!(marker("plan", None), "<!-- patchctl:plan -->\n");
        assert_eq!(marker("plan", Some("a --> b")), "<!-- patchctl:plan -->\n");
    }

    #[test]
    fn numbers_and_lengths() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(length("a漢😀"), 4);
    }
}
