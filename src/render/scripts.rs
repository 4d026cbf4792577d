//! What changed in scripts, as text. Shown only to those who asked for it: scripts may hold what is nobody's business.

use std::fmt::Write as _;

use super::text::{Layout, Tone, clean, count, dotted};
use super::words;

/// A script that is to be set, beside what it was at the base.
#[derive(Clone, Debug)]
pub struct ScriptText {
    /// The manifest's key.
    pub key: String,
    /// JSON Pointer from the job's root.
    pub path: String,
    /// What people call the action that it belongs to; empty where that is not known.
    pub label: String,
    /// Its content at the base.
    pub before: Before,
    /// Its content now.
    pub after: Vec<u8>,
}

/// What a script was at the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// There is no base to compare with.
    NoBase,
    /// The base did not declare it.
    Undeclared,
    /// This content.
    Content(Vec<u8>),
}

/// Renders the differences of scripts, one after the other; empty where there are none.
pub fn scripts(texts: &[ScriptText], layout: &Layout) -> String {
    let mut out = String::new();
    for text in texts {
        let head = layout.paint(Tone::Strong, &format!("script {}", clean(&text.key)));
        let label =
            if text.label.is_empty() { String::new() } else { format!(" \"{}\"", clean(&text.label)) };
        let _ = writeln!(out, "{head}  {}{label}", dotted(&text.path));
        let note = |out: &mut String, words: &str| {
            let _ = writeln!(out, "{}", layout.wrap(&format!("= {words}"), 4, 6));
        };
        match (&text.before, std::str::from_utf8(&text.after)) {
            (Before::NoBase, _) => note(
                &mut out,
                "there is no base to compare with; `--base REF` names the commit that was applied last",
            ),
            (Before::Content(before), _) if *before == text.after => {
                note(&mut out, "the same as at the base; only what is stored live is not known");
            }
            (Before::Content(before), Ok(after)) if std::str::from_utf8(before).is_ok() => {
                out.push_str(&words::difference(&String::from_utf8_lossy(before), after, 4, layout));
            }
            (Before::Undeclared, Ok(after)) => out.push_str(&words::difference("", after, 4, layout)),
            (_, _) => {
                let n = text.after.len();
                note(&mut out, &format!("{} that are no text in UTF-8 can not be shown", count(n, "byte")));
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: Before, after: &[u8], expected: &str) {
        let layout = Layout { colour: false, width: 100 };
        let text = ScriptText {
            key: "servers".to_owned(),
            path: "/preDeployActions/0/script".to_owned(),
            label: "Drain".to_owned(),
            before,
            after: after.to_vec(),
        };
        let shown = scripts(&[text], &layout);
        assert_eq!(shown, format!("script servers  preDeployActions[0].script \"Drain\"\n{expected}\n"));
    }

    #[test]
    fn scripts_are_shown_beside_what_they_were() {
        let content = |text: &[u8]| Before::Content(text.to_vec());
        check(content(b"a\nb\n"), b"a\nc\n", "      a\n    - b\n    + c\n");
        check(content(b"a"), b"a", "    = the same as at the base; only what is stored live is not known\n");
        check(Before::Undeclared, b"a\nb\n", "    + a\n    + b\n");
        check(
            Before::NoBase,
            b"a",
            "    = there is no base to compare with; `--base REF` names the commit that was applied last\n",
        );
        check(content(b"a"), b"\xff\xfea\0", "    = 4 bytes that are no text in UTF-8 can not be shown\n");
        // Nothing in a script reaches the terminal as a command.
        check(content(b"a\n"), b"\x1b[2J\n", "    - a\n    + \\u{1b}[2J\n");
    }
}
