//! Findings, and commands that ended before they did what they are for, so that a pull request shows why.

use super::budget::{Form, Item, fit};
use super::{MOST_OF_A_MESSAGE, Safe, details, length, marker, thousands};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::render::text::count;

/// Room for the heading and the sentence that counts what is left out.
const FRAME: usize = 1_000;

/// A command that failed with one error: what happened, outermost first, and what to do.
pub fn error(command: &str, owner: Option<&str>, lines: &[String], help: Option<&str>) -> String {
    let safe = Safe::new();
    let mut out = marker(command, owner);
    out.push_str(&format!("### {} failed\n\n", title(command)));
    let mut lines = lines.iter().map(|line| safe.text_cut(line, MOST_OF_A_MESSAGE));
    out.push_str(&format!("**Error:** {}\n", lines.next().unwrap_or_default()));
    // Causes are a few; more than a screen of them would be a loop somewhere.
    for cause in lines.take(20) {
        out.push_str(&format!("- caused by: {cause}\n"));
    }
    if let Some(help) = help {
        out.push_str(&format!("\nHelp: {}\n", safe.text_cut(help, MOST_OF_A_MESSAGE)));
    }
    let masked = safe.masked_words();
    if masked.is_empty() { out } else { format!("{out}\n{masked}") }
}

/// A command that stopped at findings.
pub fn errors(command: &str, owner: Option<&str>, found: &Diagnostics) -> String {
    let safe = Safe::new();
    let mut out = marker(command, owner);
    let (n_errors, n_warnings) = found.counts();
    let some =
        |n: usize, noun: &str| if n == 1 { count(n, noun) } else { format!("{} {noun}s", thousands(n)) };
    let mut counts = some(n_errors, "error");
    if n_warnings > 0 {
        counts.push_str(&format!(" and {}", some(n_warnings, "warning")));
    }
    out.push_str(&format!("### {} failed: {counts}\n\n", title(command)));
    list(&mut out, found, &safe);
    out
}

/// Manifests that are valid, with what is worth knowing all the same.
pub fn valid(owner: &str, n_manifests: usize, folder: &str, found: &Diagnostics) -> String {
    let safe = Safe::new();
    let mut out = marker("validate", Some(owner));
    let verb = if n_manifests == 1 { "is" } else { "are" };
    let n = if n_manifests == 1 {
        "1 manifest".to_owned()
    } else {
        format!("{} manifests", thousands(n_manifests))
    };
    out.push_str(&format!("**{n} in {} {verb} valid.**\n", safe.code_cut(folder, 200)));
    if !found.is_empty() {
        out.push('\n');
        list(&mut out, found, &safe);
    }
    out
}

/// The findings, errors first, as far as there is room.
fn list(out: &mut String, found: &Diagnostics, safe: &Safe) {
    let mut sorted: Vec<&Diagnostic> = found.iter().collect();
    sorted.sort_by_key(|finding| finding.severity);
    let items: Vec<Item> = sorted.iter().map(|finding| item(finding, safe)).collect();
    let masked = safe.masked_words();
    let room = super::MOST_CHARACTERS.saturating_sub(length(out) + length(&masked) + FRAME);
    let (forms, _) = fit(&items, room);
    for (item, form) in items.iter().zip(&forms) {
        out.push_str(item.text(*form));
    }
    out.push_str(&left_out(&forms));
    if !masked.is_empty() {
        out.push_str(&format!("\n{masked}"));
    }
}

/// The warnings of a plan, folded.
pub(super) fn warnings(items: &[Item], forms: &[Form]) -> String {
    let shown: String = items.iter().zip(forms).map(|(item, form)| item.text(*form)).collect();
    details(&count(items.len(), "warning"), &(shown + &left_out(forms)))
}

fn left_out(forms: &[Form]) -> String {
    match forms.iter().filter(|form| **form == Form::Left).count() {
        0 => String::new(),
        n => format!("\nNot shown for lack of room: {} more. `patchctl validate` shows all.\n", thousands(n)),
    }
}

/// One finding, as an entry of a list.
pub(super) fn item(finding: &Diagnostic, safe: &Safe) -> Item {
    let Diagnostic { severity, code, message, place, label, related, help, fix } = finding;
    let severity = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let at = place.as_ref().map_or(String::new(), |place| safe.code_cut(&place.to_string(), 200) + ": ");
    let short = format!("{at}{}", safe.text_cut(message, 300));
    let mut full = format!("- **{severity}** (`{code}`) {at}{}\n", safe.text_cut(message, MOST_OF_A_MESSAGE));
    if !label.is_empty() {
        full.push_str(&format!("  - {}\n", safe.text_cut(label, MOST_OF_A_MESSAGE)));
    }
    for (place, words) in related.iter().take(10) {
        full.push_str(&format!(
            "  - {}: {}\n",
            safe.code_cut(&place.to_string(), 200),
            safe.text_cut(words, 300)
        ));
    }
    for help in help {
        full.push_str(&format!("  - help: {}\n", safe.text_cut(help, MOST_OF_A_MESSAGE)));
    }
    if let Some(fix) = fix {
        let words = safe.text_cut(&fix.message, MOST_OF_A_MESSAGE);
        let text = if fix.replacement.trim().is_empty() {
            String::new()
        } else {
            format!(" {}", safe.code_cut(&fix.replacement, 200))
        };
        full.push_str(&format!("  - help: {words}{text}\n"));
    }
    Item {
        full,
        line: format!("- **{severity}** (`{code}`) {short}\n"),
        bare: format!("- {severity} {at}`{code}`\n"),
    }
}

/// A command as the heading names it.
fn title(command: &str) -> String {
    let mut letters = command.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Place, SourceFile, Span};

    #[test]
    fn an_error_with_its_causes() {
        let lines = ["could not log in to `a.example`".to_owned(), "connection refused @anna".to_owned()];
        assert_eq!(
            error("plan", Some("acme"), &lines, Some("nothing was changed")),
            "<!-- patchctl:plan acme -->\n### Plan failed\n\n**Error:** could not log in to `a.example`\n\
             - caused by: connection refused `@anna`\n\nHelp: nothing was changed\n"
        );
    }

    #[test]
    fn findings_fit_and_are_counted() {
        let file = SourceFile::new("jobs.d/a|b.yaml", "x: 1\n");
        let mut found = Diagnostics::new();
        for n in 0..5_000 {
            let warning = Diagnostic::warning("late", format!("late {n} <b>"));
            found.push(warning.at(Place::new(&file, Span::new(0, 1)), "here"));
        }
        found.push(Diagnostic::error("bad", "it is bad").help("mend it"));
        let text = errors("plan", None, &found);
        assert!(length(&text) <= super::super::MOST_CHARACTERS, "{}", length(&text));
        assert!(
            text.starts_with(
                "<!-- patchctl:plan -->\n### Plan failed: 1 error and 5,000 warnings\n\n- error `bad`"
            ),
            "{text}"
        );
        assert!(text.contains("Not shown for lack of room: 4,"), "{text}");
        let text = valid("acme", 3, "jobs.d", &Diagnostics::new());
        assert_eq!(text, "<!-- patchctl:validate acme -->\n**3 manifests in `jobs.d` are valid.**\n");
    }
}
