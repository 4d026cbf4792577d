//! Foreign text in Markdown: nothing in it may do anything but be read.
//!
//! Names, values and messages come from whoever may edit jobs or open pull requests. They must not break a table, close
//! a folded block, bring in links or HTML, mention people or issues, or give GitLab an order. Characters are not escaped
//! one by one, because platforms link names in what is left after Markdown has been read: a backslash before `@` is gone
//! by then. Instead, words that are of letters, digits and harmless marks stay as they are, and any other word becomes
//! code, in which no platform looks for anything.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::render::text::{clean, count};

/// Neutralises foreign text, masks what is private in it, and counts that.
///
/// E-mail addresses get a number each, the same one wherever they stand, so that a change of address is still seen.
#[derive(Debug, Default)]
pub struct Safe {
    masked: RefCell<Masked>,
}

#[derive(Debug, Default)]
struct Masked {
    emails: BTreeMap<String, usize>,
    urls: BTreeSet<String>,
}

impl Safe {
    /// Nothing masked so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// A foreign text as code, in one line; fit for paragraphs, lists and table cells.
    pub fn code(&self, text: &str) -> String {
        Self::as_code(&self.one_line(text))
    }

    /// The same, cut to a number of characters, the length told.
    pub fn code_cut(&self, text: &str, most: usize) -> String {
        let text = self.one_line(text);
        let n = text.chars().count();
        if n <= most {
            return Self::as_code(&text);
        }
        let kept: String = text.chars().take(most).collect();
        format!("{} … ({} characters)", Self::as_code(kept.trim_end()), super::thousands(n))
    }

    /// The characters of a foreign text from one on, `most` of them, with the length of the whole.
    ///
    /// Masks come first, so `from` is about where to begin.
    pub fn code_around(&self, text: &str, from: usize, most: usize, n_characters: usize) -> String {
        let text = self.one_line(text);
        let n = text.chars().count();
        let from = from.min(n.saturating_sub(most));
        let kept: String = text.chars().skip(from).take(most).collect();
        let lead = if from > 0 { "…" } else { "" };
        let tail = if from + most < n { "… " } else { "" };
        let code = Self::as_code(&format!("{lead}{}", kept.trim()));
        format!("{code} {tail}({} characters)", super::thousands(n_characters))
    }

    /// A foreign text as code where HTML stands and Markdown is not read, as in `<summary>`; cut like [`Self::code_cut`].
    pub fn html(&self, text: &str, most: usize) -> String {
        let text = self.one_line(text);
        let n = text.chars().count();
        if n <= most {
            return html_code(&text);
        }
        let kept: String = text.chars().take(most).collect();
        format!("{} … ({} characters)", html_code(kept.trim_end()), super::thousands(n))
    }

    /// A sentence of ours with foreign words in it; what stands in backticks becomes code, and so does each word that
    /// could be more than a word.
    pub fn text(&self, sentence: &str) -> String {
        let sentence = self.one_line(sentence);
        let parts: Vec<&str> = sentence.split('`').collect();
        // Without a closing backtick the last one opens nothing.
        let n_paired = if parts.len().is_multiple_of(2) { parts.len() - 1 } else { parts.len() };
        let mut out = String::new();
        for (at, part) in parts.iter().enumerate() {
            if at % 2 == 1 && at < n_paired && !part.is_empty() {
                // Two codes must not touch: their backticks would be one fence.
                if out.ends_with('`') {
                    out.push(' ');
                }
                out.push_str(&Self::as_code(part));
                continue;
            }
            self.words(part, &mut out);
        }
        out
    }

    /// The same, cut to a number of characters, the length told.
    pub fn text_cut(&self, sentence: &str, most: usize) -> String {
        let sentence = self.one_line(sentence);
        let n = sentence.chars().count();
        if n <= most {
            return self.text(&sentence);
        }
        let kept: String = sentence.chars().take(most).collect();
        format!("{} … ({} characters)", self.text(kept.trim_end()), super::thousands(n))
    }

    fn words(&self, text: &str, out: &mut String) {
        for (at, word) in text.split(' ').enumerate() {
            if at > 0 {
                out.push(' ');
            }
            if word.is_empty() {
                continue;
            }
            // Marks of a sentence stay outside of the code.
            let mut core = word.trim_matches(['"', '\'', ',', ';', ':', '.', '(', ')', '?', '!']);
            if core.contains('(') {
                core = word;
            }
            let lead = word.split(core).next().unwrap_or_default();
            let is_first = out.trim_end().is_empty();
            if is_plain(word, is_first) {
                out.push_str(word);
            } else if core.is_empty() {
                out.push_str(&separate(out, &Self::as_code(word)));
            } else {
                let tail = &word[lead.len() + core.len()..];
                let whole = is_plain(&format!("{lead}a{tail}"), is_first);
                let piece =
                    if whole { format!("{lead}{}{tail}", Self::as_code(core)) } else { Self::as_code(word) };
                out.push_str(&separate(out, &piece));
            }
        }
    }

    /// What was masked, as a line of its own; empty for nothing.
    pub fn masked_words(&self) -> String {
        let masked = self.masked.borrow();
        let parts: Vec<String> = [(masked.emails.len(), "e-mail address"), (masked.urls.len(), "URL")]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, noun)| match (n, noun) {
                (1, _) => count(1, noun),
                (n, "URL") => format!("{n} URLs"),
                (n, _) => format!("{n} e-mail addresses"),
            })
            .collect();
        match parts.len() {
            0 => String::new(),
            _ => format!("Masked here, and not in the plan on a terminal: {}.\n", parts.join(", ")),
        }
    }

    /// Masks, and writes control characters out.
    fn one_line(&self, text: &str) -> String {
        let text = visible(&clean(text));
        let text = mask_urls(&text, &mut self.masked.borrow_mut().urls);
        mask_emails(&text, &mut self.masked.borrow_mut().emails)
    }

    /// Safe text as code. Backticks, pipes and backslashes mean something in code as well, and in tables before that;
    /// no tag is ever written out, so that a reader of HTML that knows no Markdown sees none either.
    fn as_code(text: &str) -> String {
        if text.trim().is_empty() {
            return "(blank)".to_owned();
        }
        // A blank at both ends is taken off by Markdown.
        let is_framed = text.starts_with(' ') || text.ends_with(' ');
        if is_framed || text.contains(['`', '|', '\\', '<', '>']) {
            html_code(text)
        } else {
            format!("`{text}`")
        }
    }
}

/// Keeps two codes apart.
fn separate(out: &str, code: &str) -> String {
    if out.ends_with('`') && code.starts_with('`') { format!(" {code}") } else { code.to_owned() }
}

/// Text as `<code>`, with everything as a number that is not a letter, a digit, a blank, a comma or a dash.
///
/// A number is a character and never markup, in HTML and in Markdown alike.
fn html_code(text: &str) -> String {
    let mut out = "<code>".to_owned();
    for character in text.chars() {
        if !character.is_ascii() || character.is_ascii_alphanumeric() || " ,-".contains(character) {
            out.push(character);
        } else {
            out.push_str(&format!("&#{};", u32::from(character)));
        }
    }
    out + "</code>"
}

/// Writes out what has no width and is not caught by [`clean`], so that nobody is shown less than there is.
fn visible(text: &str) -> String {
    let is_hidden = |c: char| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{2028}' | '\u{2029}'
            | '\u{3164}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' | '\u{206a}'..='\u{206f}')
    };
    if !text.contains(is_hidden) {
        return text.to_owned();
    }
    text.chars().fold(String::new(), |mut out, c| {
        if is_hidden(c) {
            out.push_str(&c.escape_unicode().to_string());
        } else {
            out.push(c);
        }
        out
    })
}

/// Whether a word can be nothing but a word, wherever it stands in a line.
///
/// Letters, digits and a few marks only. Not even then: what could begin a list (`1.`, `-`), a web address without a
/// scheme, an issue of another tracker (`GH-1`), an emoji (`:x:`), or a commit (seven digits of a hash or more).
fn is_plain(word: &str, is_first: bool) -> bool {
    let marks = "\"'.,;:()/?-+=%!…→";
    let harmless =
        |c: char| c.is_alphanumeric() || marks.contains(c) || (!c.is_ascii() && !c.is_whitespace());
    let lower = word.to_lowercase();
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_hash = bare.len() >= 7
        && bare.bytes().all(|b| b.is_ascii_hexdigit())
        && bare.bytes().any(|b| b.is_ascii_digit())
        && bare.bytes().any(|b| b.is_ascii_alphabetic());
    let number = word.trim_end_matches(['.', ')']);
    let is_item =
        number.len() < word.len() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let starts_a_list = is_first && (is_item || !word.contains(char::is_alphanumeric));
    word.chars().all(harmless)
        && !starts_a_list
        && !word.contains("//")
        && !lower.contains("www.")
        && !lower.contains("gh-")
        && !word.starts_with('/')
        && word.matches(':').count() < 2
        && !(word.len() > 1 && word.starts_with(['%', '!', '+', '=']))
        && !word.strip_suffix('!').unwrap_or(word).contains('!')
        && !is_hash
}

/// Masks what may be secret in web addresses: the part before the host, and everything from the question mark on.
fn mask_urls(text: &str, urls: &mut BTreeSet<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//") {
        let (before, url) = rest.split_at(at);
        let end = url.find(|c: char| c.is_whitespace() || "\"'<>`".contains(c)).unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        out.push_str(before);
        out.push_str("//");
        let inner = &url[2..];
        let host_end = inner.find(['/', '?', '#']).unwrap_or(inner.len());
        let (authority, path) = inner.split_at(host_end);
        let host = authority.rsplit_once('@').map(|(_, host)| host);
        let query = path.find('?');
        if host.is_some() || query.is_some() {
            urls.insert(url.to_owned());
        }
        if let Some(host) = host {
            out.push_str("(user)@");
            out.push_str(host);
        } else {
            out.push_str(authority);
        }
        match query {
            Some(query) => {
                out.push_str(&path[..query]);
                out.push_str("?(query)");
            }
            None => out.push_str(path),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Puts a number in place of each e-mail address.
fn mask_emails(text: &str, emails: &mut BTreeMap<String, usize>) -> String {
    let is_local = |c: char| c.is_alphanumeric() || ".!#$%&'*+/=?^_{|}~-".contains(c);
    let is_domain = |c: char| c.is_alphanumeric() || c == '.' || c == '-';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let start = match before.strip_suffix('"').and_then(|quoted| quoted.rfind('"')) {
            // "anna k"@example.org
            Some(quote) => quote,
            None => {
                before.char_indices().rev().take_while(|(_, c)| is_local(*c)).last().map_or(at, |(i, _)| i)
            }
        };
        let mut end = match after.strip_prefix('[').and_then(|inner| inner.find(']')) {
            // anna@[192.0.2.1]
            Some(close) => close + 2,
            None => after.find(|c: char| !is_domain(c)).unwrap_or(after.len()),
        };
        // The full stop of a sentence is no part of an address.
        while after[..end].ends_with(['.', '-']) {
            end -= 1;
        }
        if start == at || end == 0 {
            out.push_str(&rest[..=at]);
            rest = after;
            continue;
        }
        let address = rest[start..at + 1 + end].to_lowercase();
        let next = emails.len() + 1;
        let number = *emails.entry(address).or_insert(next);
        out.push_str(&rest[..start]);
        out.push_str(&format!("(e-mail {number})"));
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_code(text: &str, expected: &str) {
        assert_eq!(Safe::new().code(text), expected, "{text}");
    }

    #[test]
    fn code_holds_whatever_it_is() {
        check_code("Windows servers, weekly", "`Windows servers, weekly`");
        check_code("@anna [x](y) #12 *a*", "`@anna [x](y) #12 *a*`");
        check_code("</b>", "<code>&#60;&#47;b&#62;</code>");
        check_code("a`b", "<code>a&#96;b</code>");
        check_code("a|b", "<code>a&#124;b</code>");
        check_code("a\\", "<code>a&#92;</code>");
        check_code("a\nb", "<code>a&#92;nb</code>");
        check_code(" x ", "<code> x </code>");
        check_code("", "(blank)");
        check_code("a\u{202e}b\u{ad}c", "<code>a&#92;u&#123;202e&#125;b&#92;u&#123;ad&#125;c</code>");
    }

    #[track_caller]
    fn check_text(text: &str, expected: &str) {
        assert_eq!(Safe::new().text(text), expected, "{text}");
    }

    #[test]
    fn words_that_could_be_more_are_code() {
        check_text("3 members differ", "3 members differ");
        check_text("1. - x", "`1`. - x");
        check_text("- x", "`-` x");
        check_text("the live job \"Foo (old)\" is gone.", "the live job \"Foo (old)\" is gone.");
        check_text("told by @anna, or #12!", "told by `@anna`, or `#12`!");
        check_text("see <b> [x](y)", "see <code>&#60;b&#62;</code> `[x](y)`");
        check_text("`key` and `a b`: no", "`key` and `a b`: no");
        check_text("an odd ` backtick", "an odd  backtick");
        check_text("commit 0123abc of www.example.org", "commit `0123abc` of `www.example.org`");
        check_text("go to https://example.org/x", "go to `https://example.org/x`");
        check_text("/close", "`/close`");
        check_text("a_b *c* :smile: !12 %next ~bug", "`a_b` `*c*` `:smile:` `!12` `%next` `~bug`");
        check_text("10 % of 4-5 = x -> y", "10 % of 4-5 = x <code>-&#62;</code> y");
        check_text("preDeployActions[0].params", "`preDeployActions[0].params`");
    }

    #[test]
    fn private_things_are_numbered_and_counted() {
        let safe = Safe::new();
        assert_eq!(
            safe.code("Anna.K@example.org, b@x.y; anna.k@example.org."),
            "`(e-mail 1), (e-mail 2); (e-mail 1).`"
        );
        assert_eq!(
            safe.code("https://u:p@example.org/a?token=x#y z"),
            "`https://(user)@example.org/a?(query) z`"
        );
        assert_eq!(safe.code("\"an na\"@example.org x@[192.0.2.1]"), "`(e-mail 3) (e-mail 4)`");
        assert_eq!(safe.code("@anna a@ b"), "`@anna a@ b`");
        assert_eq!(
            safe.masked_words(),
            "Masked here, and not in the plan on a terminal: 4 e-mail addresses, 1 URL.\n"
        );
        assert_eq!(Safe::new().masked_words(), "");
    }

    #[test]
    fn cuts_tell_the_length_and_never_cut_into_a_mask() {
        let safe = Safe::new();
        assert_eq!(safe.code_cut(&"x".repeat(1_234), 5), "`xxxxx` … (1,234 characters)");
        assert_eq!(safe.code_cut("ab anna@example.org", 8), "`ab (e-ma` … (13 characters)");
        assert_eq!(safe.text_cut("some words here", 100), "some words here");
        assert_eq!(safe.html("a<b>", 9), "<code>a&#60;b&#62;</code>");
    }
}
