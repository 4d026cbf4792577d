//! Where a value was written: the file, and the bytes of it.
//!
//! Lines and columns are worked out only when somebody reads them; everything else carries byte ranges.

use std::fmt;
use std::sync::Arc;

/// One text file, held once and shared by everything that points into it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceFile {
    /// The path as people see it: relative where possible, with forward slashes.
    pub path: String,
    /// The whole text, without a byte order mark.
    pub text: String,
}

/// The text is left out, because manifests make the output unreadable.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("path", &self.path).field("bytes", &self.text.len()).finish()
    }
}

impl SourceFile {
    /// Shares a file's text under the path that messages will show.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into() })
    }
}

/// A range of bytes in one file; the end is excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// A range of bytes together with the file it lies in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The bytes.
    pub span: Span,
}

impl Place {
    /// The range `span` of `file`.
    pub fn new(file: &Arc<SourceFile>, span: Span) -> Self {
        Self { file: Arc::clone(file), span }
    }

    /// Line and column of the first byte, both counted from 1; columns count characters, not bytes.
    pub fn line_column(&self) -> (usize, usize) {
        let text = &self.file.text;
        let mut start = self.span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before[line_start..].chars().count() + 1)
    }

    /// The text of the range, empty where the range does not lie on character boundaries.
    pub fn text(&self) -> &str {
        self.file.text.get(self.span.start..self.span.end).unwrap_or("")
    }
}

/// `file:line:column`, as compilers print it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.file.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, start: usize, expected: (usize, usize)) {
        let file = SourceFile::new("a.yaml", text);
        assert_eq!(Place::new(&file, Span::new(start, start)).line_column(), expected);
    }

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        check("", 0, (1, 1));
        check("ab\ncd", 4, (2, 2));
        check("ab\r\ncd", 4, (2, 1));
        check("äö: x", "äö: ".len(), (1, 5));
        check("äö", 1, (1, 1));
        check("ab", 99, (1, 3));
    }
}
