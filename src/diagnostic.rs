//! What is wrong with a manifest, as data: severity, code, message, place, hints.
//!
//! Nothing here prints; `render::diagnostic` turns a list of these into text.

use crate::source::Place;

/// Whether a finding stops the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is planned until it is mended.
    Error,
    /// Shown, and the run goes on.
    Warning,
}

/// A replacement of one range of text that would mend the finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What the change does, as an order: "write it as a list".
    pub message: String,
    /// The text to replace.
    pub place: Place,
    /// What to put there.
    pub replacement: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Stable name of the kind of finding, in kebab case; unique in the program and listed in the documentation.
    pub code: &'static str,
    /// What was found and what is allowed: lower case, no full stop.
    pub message: String,
    /// Where; `None` only where no text is at fault (a missing folder).
    pub place: Option<Place>,
    /// The words under the marked text; may be empty.
    pub label: String,
    /// Other places that matter, each with its own words ("first declared here").
    pub related: Vec<(Place, String)>,
    /// What to do, one sentence each.
    pub help: Vec<String>,
    /// The change that would mend it, where there is exactly one sensible one.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// An error with a code and a message, and nothing else yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A warning with a code and a message, and nothing else yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    fn new(severity: Severity, code: &'static str, message: String) -> Self {
        Self {
            severity,
            code,
            message,
            place: None,
            label: String::new(),
            related: Vec::new(),
            help: Vec::new(),
            fix: None,
        }
    }

    /// Says where, with the words that stand under the marked text.
    #[must_use]
    pub fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.place = Some(place);
        self.label = label.into();
        self
    }

    /// Adds another place that matters.
    #[must_use]
    pub fn related(mut self, place: Place, words: impl Into<String>) -> Self {
        self.related.push((place, words.into()));
        self
    }

    /// Adds a line that says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds the change that would mend it.
    #[must_use]
    pub fn fix(mut self, place: Place, replacement: impl Into<String>, message: impl Into<String>) -> Self {
        self.fix = Some(Fix { message: message.into(), place, replacement: replacement.into() });
        self
    }
}

/// All findings of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds all findings of another list.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Says whether at least one finding stops the run.
    pub fn has_errors(&self) -> bool {
        self.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Turns errors into warnings, for a command that tells of them and goes on.
    pub fn only_warn(&mut self) {
        for diagnostic in &mut self.0 {
            diagnostic.severity = Severity::Warning;
        }
    }

    /// Says whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The findings as they stand.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// How many errors and how many warnings there are.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        (errors, self.0.len() - errors)
    }

    /// Brings the findings into the order of files and lines; those without a place come first.
    ///
    /// The order does not depend on the order in which files were read, so that two runs print the same bytes.
    pub fn sort(&mut self) {
        self.0.sort_by(|a, b| {
            let key = |d: &Diagnostic| d.place.as_ref().map(|p| (p.file.path.clone(), p.span));
            key(a).cmp(&key(b)).then_with(|| a.code.cmp(b.code)).then_with(|| a.message.cmp(&b.message))
        });
    }
}
