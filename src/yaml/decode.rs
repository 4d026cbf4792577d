//! Bytes of a file to text: UTF-8 only, and not more than a manifest can need.

use std::sync::Arc;

use super::{CODE_ENCODING, Limits};
use crate::diagnostic::Diagnostic;
use crate::source::{Place, SourceFile, Span};

/// Bytes that a file in another encoding starts with, longest first, and the encoding's name.
const OTHER_MARKS: [(&[u8], &str); 4] = [
    (&[0xFF, 0xFE, 0, 0], "UTF-32"),
    (&[0, 0, 0xFE, 0xFF], "UTF-32"),
    (&[0xFF, 0xFE], "UTF-16"),
    (&[0xFE, 0xFF], "UTF-16"),
];

/// Makes text of the bytes of a file, without a byte order mark; `path` is what messages will show.
///
/// # Errors
/// One `yaml-size` for a file larger than [`Limits::file_bytes`]; one `yaml-encoding` for bytes that are not UTF-8,
/// at the first of them, with UTF-16 and UTF-32 called by their names.
pub fn decode(path: &str, bytes: Vec<u8>) -> Result<Arc<SourceFile>, Diagnostic> {
    let limits = Limits::default();
    if bytes.len() > limits.file_bytes {
        return Err(super::too_large(path, bytes.len(), &limits));
    }
    if let Some(name) = other_encoding(&bytes) {
        return Err(Diagnostic::error(
            CODE_ENCODING,
            format!("`{path}` is {name} text, and YAML is read as UTF-8"),
        )
        .help("save the file as UTF-8"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(match text.strip_prefix('\u{FEFF}') {
            Some(rest) => SourceFile::new(path, rest),
            None => SourceFile::new(path, text),
        }),
        Err(error) => Err(not_utf8(path, error.as_bytes(), error.utf8_error().valid_up_to())),
    }
}

/// The name of another encoding that the first bytes give away.
fn other_encoding(bytes: &[u8]) -> Option<&'static str> {
    if let Some((_, name)) = OTHER_MARKS.iter().find(|(mark, _)| bytes.starts_with(mark)) {
        return Some(name);
    }
    // The YAML specification (5.2) tells encodings without a mark by the zero bytes around the first character.
    match bytes {
        [0, 0, 0, _, ..] | [_, 0, 0, 0, ..] => Some("UTF-32"),
        [0, _, ..] | [_, 0, ..] => Some("UTF-16"),
        _ => None,
    }
}

fn not_utf8(path: &str, bytes: &[u8], at: usize) -> Diagnostic {
    // The text before the bad byte is unchanged, so its offset stays right in the text that is shown.
    let file = SourceFile::new(path, String::from_utf8_lossy(bytes));
    let place = Place::new(&file, Span::new(at, at + '\u{FFFD}'.len_utf8()));
    let (line, column) = place.line_column();
    let byte = bytes[at];
    let diagnostic = Diagnostic::error(
        CODE_ENCODING,
        format!("`{path}` is not UTF-8 text: byte 0x{byte:02X} at line {line}, column {column}"),
    )
    .at(place, "this byte")
    .help("save the file as UTF-8");
    // From 0xA0 on, Windows-1252 and ISO 8859-1 are the first 256 characters of Unicode: the likely culprit.
    if byte >= 0xA0 {
        let character = char::from(byte);
        diagnostic.help(format!("0x{byte:02X} is `{character}` in Windows-1252 and ISO 8859-1"))
    } else {
        diagnostic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(bytes: &[u8], code: &str, message: &str) {
        let error = decode("a.yaml", bytes.to_vec()).expect_err("should be refused");
        assert_eq!(error.code, code);
        assert_eq!(error.message, message);
    }

    #[test]
    fn utf8_passes_and_a_mark_is_stripped() {
        let text = |bytes: &[u8]| decode("a.yaml", bytes.to_vec()).expect("should pass").text.clone();
        assert_eq!(text(b""), "");
        assert_eq!(text(b"a"), "a");
        assert_eq!(text("ä: ✓\r\n".as_bytes()), "ä: ✓\r\n");
        assert_eq!(text("\u{FEFF}a: 1".as_bytes()), "a: 1");
        // Only the first mark is one; the second would be content.
        assert_eq!(text("\u{FEFF}\u{FEFF}a".as_bytes()), "\u{FEFF}a");
    }

    #[test]
    fn other_encodings_are_called_by_name() {
        let utf16 = "`a.yaml` is UTF-16 text, and YAML is read as UTF-8";
        check_error(b"\xFF\xFEa\0", "yaml-encoding", utf16);
        check_error(b"\xFE\xFF\0a", "yaml-encoding", utf16);
        check_error(b"a\0b\0", "yaml-encoding", utf16);
        check_error(b"\0a\0b", "yaml-encoding", utf16);
        check_error(
            b"\xFF\xFE\0\0a\0\0\0",
            "yaml-encoding",
            "`a.yaml` is UTF-32 text, and YAML is read as UTF-8",
        );
    }

    #[test]
    fn a_bad_byte_is_named_with_its_place() {
        check_error(
            b"ab: c\nn: \xE4ndern\n",
            "yaml-encoding",
            "`a.yaml` is not UTF-8 text: byte 0xE4 at line 2, column 4",
        );
        check_error(
            "ü: \u{2713}".as_bytes()[..5].to_vec().as_slice(),
            "yaml-encoding",
            "`a.yaml` is not UTF-8 text: byte 0xE2 at line 1, column 4",
        );
        let error = decode("a.yaml", b"n: \xE4".to_vec()).expect_err("should be refused");
        assert_eq!(error.place.as_ref().map(Place::text), Some("\u{FFFD}"));
        assert_eq!(error.help, ["save the file as UTF-8", "0xE4 is `ä` in Windows-1252 and ISO 8859-1"]);
    }

    #[test]
    fn a_large_file_is_refused_by_its_size() {
        check_error(
            &vec![b'a'; (1 << 20) + 1],
            "yaml-size",
            "`a.yaml` has 1048577 bytes, more than the 1048576 allowed",
        );
        assert!(decode("a.yaml", vec![b'a'; 1 << 20]).is_ok());
    }
}
