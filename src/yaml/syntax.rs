//! What the parser refuses, in words for the person who wrote it.

use std::sync::Arc;

use granit_parser::{ErrorKind, ScanError};

use super::{CODE_DEPTH, CODE_ENCODING, CODE_SYNTAX, CODE_TAG, Limits};
use crate::diagnostic::Diagnostic;
use crate::source::{Place, SourceFile, Span};

/// The finding for the first character that YAML does not allow in a text, if there is one (YAML 1.2.2, 5.1).
///
/// The parser lets most of them through, and a zero or an escape character in a name is never meant.
pub(super) fn control_character(file: &Arc<SourceFile>) -> Option<Diagnostic> {
    let bytes = file.text.as_bytes();
    // Hardly any text holds a byte that could begin one, and blocks without an early end are looked at many bytes at
    // a time.
    let is_suspect = |byte: u8| {
        let is_blank = (byte == b'\t') | (byte == b'\n') | (byte == b'\r');
        ((byte < 0x20) & !is_blank) | (byte == 0x7F) | (byte == 0xC2) | (byte == 0xEF)
    };
    if !bytes.chunks(64).any(|block| block.iter().fold(false, |found, byte| found | is_suspect(*byte))) {
        return None;
    }
    let at = bytes.iter().enumerate().position(|(at, byte)| match byte {
        b'\t' | b'\n' | b'\r' => false,
        0..0x20 | 0x7F => true,
        // U+0080 to U+009F without the line break U+0085.
        0xC2 => matches!(bytes.get(at + 1), Some(0x80..=0x84 | 0x86..=0x9F)),
        // U+FFFE and U+FFFF.
        0xEF => matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])),
        _ => false,
    })?;
    let character = file.text[at..].chars().next()?;
    let code_point = u32::from(character);
    let place = Place::new(file, Span::new(at, at + character.len_utf8()));
    Some(
        Diagnostic::error(
            CODE_ENCODING,
            format!("the control character U+{code_point:04X} is not allowed in YAML"),
        )
        .at(place, "a character that cannot be seen")
        .help(format!("remove it, or write it as `\"\\u{code_point:04x}\"` in double quotes")),
    )
}

/// The finding for a place where more collections lie inside one another than allowed.
pub(super) fn too_deep(file: &Arc<SourceFile>, at: Span, limits: &Limits) -> Diagnostic {
    let depth = limits.depth;
    Diagnostic::error(CODE_DEPTH, format!("lists and mappings are nested more than {depth} deep"))
        .at(Place::new(file, at), "one level too many")
}

/// The finding for an error of the parser.
pub(super) fn finding(file: &Arc<SourceFile>, error: &ScanError, limits: &Limits) -> Diagnostic {
    let text = &file.text;
    let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(file, one_character(text, at), limits);
    }
    let Explanation { code, message, label, help } = explain(error.kind());
    let at = if is_about_a_tab(error.kind()) { tab_near(text, at) } else { at };
    let diagnostic = Diagnostic::error(code, message).at(Place::new(file, one_character(text, at)), label);
    if help.is_empty() { diagnostic } else { diagnostic.help(help) }
}

struct Explanation {
    code: &'static str,
    message: String,
    label: &'static str,
    help: &'static str,
}

fn explain(kind: &ErrorKind) -> Explanation {
    use ErrorKind as E;
    let syntax = |message: &str, label, help| Explanation {
        code: CODE_SYNTAX,
        message: message.to_owned(),
        label,
        help,
    };
    let column = "members of one mapping, and items of one list, start in the same column";
    match kind {
        kind if is_about_a_tab(kind) => syntax(
            "a tab is used as indentation",
            "a tab",
            "YAML is indented with spaces only: replace the tab by spaces",
        ),
        E::MappingValueNotAllowed | E::MappingKeyNotAllowed | E::InvalidColonPlacement => syntax(
            "a `:` that makes a key is not allowed here",
            "this `:`",
            "put quotes around a text that contains `: `, and check the indentation of this line",
        ),
        E::SimpleKeyExpected | E::InvalidSimpleKey => syntax(
            "a line inside a mapping has no `:`",
            "expected `key: value`",
            "write `key: value`, or indent the line if it continues the value above",
        ),
        E::ExpectedBlockMappingKey => {
            syntax("this line does not fit into the mapping around it", "expected a key here", column)
        }
        E::ExpectedBlockSequenceEntry => {
            syntax("this line does not fit into the list around it", "expected `- ` here", column)
        }
        E::InvalidIndentation | E::InvalidQuotedScalarIndent | E::InvalidFlowScalarIndent => {
            syntax("the indentation of this line fits nothing above it", "starts here", column)
        }
        E::InvalidBlockScalarIndent => syntax(
            "a line of the text block is indented less than its first line",
            "starts here",
            "indent all lines of the block at least as far as the first one",
        ),
        E::BlockSequenceEntryNotAllowed | E::BlockEntryInFlowCollection => syntax(
            "a list with `- ` cannot start here",
            "this dash",
            "put the first `- ` on a line of its own below the key, or quote a text that starts with `- `",
        ),
        E::UnclosedQuotedScalar | E::DocumentIndicatorInQuotedScalar => {
            syntax("a quoted text has no end", "opened here", "close the quote")
        }
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => syntax(
            "text follows a closing quote",
            "after the quote",
            "quote the whole value; a quote inside it is written `''` in single and `\\\"` in double quotes",
        ),
        E::UnknownQuotedScalarEscape | E::InvalidQuotedScalarHexEscape => syntax(
            "an unknown escape stands in double quotes",
            "in this text",
            "write `\\\\` for a backslash, or use single quotes, where a backslash is just a backslash",
        ),
        E::UnclosedFlowCollection { open } => Explanation {
            code: CODE_SYNTAX,
            message: format!("the bracket `{open}` is never closed"),
            label: "opened here",
            help: "",
        },
        E::MismatchedFlowCollectionEnd { open, close } => Explanation {
            code: CODE_SYNTAX,
            message: format!("the bracket `{open}` is closed by `{close}`"),
            label: "opened here",
            help: "",
        },
        E::MisplacedFlowCollectionEnd => {
            syntax("a bracket is closed that was not opened", "this bracket", "")
        }
        E::ExpectedFlowSequenceSeparator => {
            syntax("a `,` or `]` is missing in the list", "expected before this", "")
        }
        E::ExpectedFlowMappingSeparator => {
            syntax("a `,` or `}` is missing in the mapping", "expected before this", "")
        }
        E::UnexpectedCharacter { character } => Explanation {
            code: CODE_SYNTAX,
            message: format!("the character `{}` cannot start a value", character.escape_default()),
            label: "this character",
            help: "put quotes around the value",
        },
        E::MissingAnchorOrAliasName => syntax(
            "an alias or anchor has no name",
            "starts here",
            "put quotes around a text that starts with `*` or `&`",
        ),
        E::ExpectedDocumentStart => syntax(
            "text follows the end of the document",
            "expected `---` or the end of the file",
            "check the indentation of this line",
        ),
        E::CommentNotSeparated => {
            syntax("a comment touches what stands before it", "this `#`", "put a space before the `#`")
        }
        E::UndeclaredTagHandle | E::InvalidTagTerminator | E::MissingTagUri | E::InvalidTagEscape => {
            Explanation {
                code: CODE_TAG,
                message: "a tag cannot be read".to_owned(),
                label: "this tag",
                help: "remove the tag, or put quotes around a text that starts with `!`",
            }
        }
        other => Explanation {
            code: CODE_SYNTAX,
            message: format!("not valid YAML: {other}"),
            label: "found here",
            help: "",
        },
    }
}

fn is_about_a_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
    )
}

/// The tab that an error at `at` means: the parser points before or after it, at times a line above.
fn tab_near(text: &str, at: usize) -> usize {
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let indents = |tab: usize| {
        let start = text[..tab].rfind('\n').map_or(0, |newline| newline + 1);
        text[start..tab].bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'-' | b'?' | b':'))
    };
    let mut tabs = text[line_start..].match_indices('\t').map(|(offset, _)| line_start + offset);
    // The culprit is on this line or the next few; a bound keeps a file full of tabs from costing a scan of it all.
    tabs.clone().take(64).find(|tab| indents(*tab)).or_else(|| tabs.next()).unwrap_or(at)
}

/// The range of the character at `at`; empty at the end of a line and of the text.
fn one_character(text: &str, at: usize) -> Span {
    match text[at..].chars().next() {
        Some(character) if !matches!(character, '\r' | '\n') => Span::new(at, at + character.len_utf8()),
        _ => Span::new(at, at),
    }
}
