#![expect(
    clippy::disallowed_methods,
    reason = "the only module that writes to the streams and asks what they are"
)]

//! The two streams, what they can show, and the yes-or-no question.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::ValueEnum;

use crate::render::diagnostic::RenderOptions;
use crate::render::text::Layout;

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Columns where there is no terminal to ask: the same everywhere, so that the same input gives the same bytes.
const WIDTH_WITHOUT_TERMINAL: usize = 110;

/// Columns of stderr that the rewritten line fills now; 0 where there is none. One for the process, as stderr is.
static STATUS_COLUMNS: Mutex<usize> = Mutex::new(0);

/// The first failure to write data. One for the process, as stdout is.
static LOST_OUTPUT: Mutex<Option<LostOutput>> = Mutex::new(None);

/// Why data could not be written to stdout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostOutput {
    /// Whether the reader went away, as `head` does: a wish to see no more, where nothing but reading was going on.
    pub is_closed_pipe: bool,
    /// The words of the system.
    pub cause: String,
}

fn status_columns() -> MutexGuard<'static, usize> {
    STATUS_COLUMNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What wipes the rewritten line: blanks and not an escape code, so that it works wherever a carriage return does.
fn wipe(columns: &mut usize) -> String {
    match std::mem::take(columns) {
        0 => String::new(),
        columns => format!("\r{}\r", " ".repeat(columns)),
    }
}

/// What the streams can show.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    choice: ColourChoice,
    talk: Talk,
}

/// How much is said on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// Only what must be seen.
    Quiet,
    /// Remarks, too.
    Normal,
    /// Remarks on what is usual, too.
    Verbose,
}

impl Terminal {
    /// Settles colour by the flag, then by `NO_COLOR`, then by the stream.
    pub fn new(choice: ColourChoice, talk: Talk) -> Self {
        Self { choice, talk }
    }

    fn colour(&self, is_terminal: bool) -> bool {
        match self.choice {
            ColourChoice::Always => true,
            ColourChoice::Never => false,
            ColourChoice::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                is_terminal && !refused && !dumb
            }
        }
    }

    fn width(is_terminal: bool) -> usize {
        let size = if is_terminal { terminal_size::terminal_size() } else { None };
        size.map_or(WIDTH_WITHOUT_TERMINAL, |(width, _)| usize::from(width.0).max(40))
    }

    /// How text on stdout is laid out.
    pub fn layout(&self) -> Layout {
        let is_terminal = io::stdout().is_terminal();
        Layout { colour: self.colour(is_terminal), width: Self::width(is_terminal) }
    }

    /// How findings on stderr are laid out.
    pub fn findings(&self) -> RenderOptions {
        let is_terminal = io::stderr().is_terminal();
        RenderOptions { colour: self.colour(is_terminal), width: Self::width(is_terminal) }
    }

    /// Writes data to stdout.
    ///
    /// A failure ends nothing, because the caller may be in the middle of changing jobs: it is kept for
    /// [`Terminal::lost_output`], and all further data is dropped, so that what was written has no gap.
    pub fn data(&self, text: &str) {
        if io::stdout().is_terminal() {
            self.end_status();
        }
        if Self::lost_output().is_some() {
            return;
        }
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            *LOST_OUTPUT.lock().unwrap_or_else(PoisonError::into_inner) = Some(LostOutput {
                is_closed_pipe: error.kind() == io::ErrorKind::BrokenPipe,
                cause: error.to_string(),
            });
        }
    }

    /// Why data could not be written to stdout, if that happened.
    pub fn lost_output() -> Option<LostOutput> {
        LOST_OUTPUT.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the process at once, wherever it is, with a last line on stderr.
    pub fn leave(&self, text: &str, code: u8) -> ! {
        self.say(text);
        std::process::exit(i32::from(code))
    }

    /// Writes to stderr whatever must be seen.
    pub fn say(&self, text: &str) {
        let mut columns = status_columns();
        Self::write(&(wipe(&mut columns) + text));
    }

    /// Whether a line on stderr can be rewritten in place.
    pub fn can_rewrite() -> bool {
        io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Puts a line of ASCII text in place of the one before; anything else that is written wipes it first.
    pub fn status(&self, text: &str) {
        // One column is left free: a full line would go on in the next.
        let text: String = text.chars().take(Self::width(true) - 1).collect();
        let mut columns = status_columns();
        let wiped = wipe(&mut columns);
        *columns = text.len();
        Self::write(&(wiped + &text));
    }

    /// Wipes the line of [`Terminal::status`], if there is one.
    pub fn end_status(&self) {
        let mut columns = status_columns();
        if *columns > 0 {
            Self::write(&wipe(&mut columns));
        }
    }

    fn write(text: &str) {
        let mut stderr = io::stderr().lock();
        // Where stderr is gone there is nobody to tell.
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }

    /// Whether only what must be seen is to be said.
    pub fn is_quiet(&self) -> bool {
        self.talk == Talk::Quiet
    }

    /// Writes a remark to stderr, unless quiet.
    pub fn note(&self, text: &str) {
        if self.talk != Talk::Quiet {
            self.say(&format!("note: {text}\n"));
        }
    }

    /// Whether remarks on what is usual are wanted.
    pub fn is_verbose(&self) -> bool {
        self.talk == Talk::Verbose
    }

    /// Writes an error, its causes and what to do to stderr.
    pub fn error(&self, lines: &[String], help: Option<&str>) {
        let mut lines = lines.iter().map(|line| crate::render::text::clean(line));
        let mut text = format!("error: {}\n", lines.next().unwrap_or_default());
        for cause in lines {
            text.push_str(&format!("  caused by: {cause}\n"));
        }
        if let Some(help) = help {
            text.push_str(&format!("  = help: {help}\n"));
        }
        self.say(&text);
    }

    /// Whether a person can answer.
    pub fn can_ask() -> bool {
        io::stdin().is_terminal()
    }

    /// Asks; only one word is a yes.
    pub fn confirm(&self, question: &str, word: &str) -> bool {
        self.say(question);
        let mut answer = String::new();
        match io::stdin().lock().read_line(&mut answer) {
            Ok(_) => answer.trim() == word,
            Err(_) => false,
        }
    }
}
