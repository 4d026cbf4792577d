//! The command line: parses arguments, calls the others in order, chooses the exit status.

mod accept;
mod again;
mod apply;
mod args;
mod audit;
mod cost;
mod doctor;
mod doubts;
mod drift;
mod drift_args;
mod early;
mod history;
mod identity;
mod ignoring;
mod import;
mod journal;
mod links;
mod lists;
mod plan;
mod planning;
mod probing;
mod progress;
mod pruning;
mod reading;
mod record;
mod revert;
mod saved;
mod scripts;
mod seldom;
mod selection;
mod session;
mod settings;
mod simulator;
mod unsettled;
mod validate;
mod values;
mod waiting;
mod why;
mod write_ids;

use clap::Parser;
use clap::error::ErrorKind;

pub use args::Arguments;
use args::{Command, Output};

use crate::diagnostic::Diagnostics;
use crate::render;
use crate::terminal::{Talk, Terminal};

/// How a run ends (DESIGN section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed: bad manifests, API out of reach, refused credentials, or "no" to the question.
    Failed,
    /// There are differences.
    Differences,
    /// Nothing was written because of a guard.
    Guarded,
    /// Something was written and something planned was not.
    Partial,
    /// Wrong usage.
    Usage,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Differences => 2,
            Self::Guarded => 3,
            Self::Partial => 4,
            Self::Usage => 64,
        }
    }
}

/// Runs the program with the arguments of the process.
pub fn run() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // clap's own writer: it knows colour and streams; a closed pipe is no concern.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                _ => Exit::Usage,
            };
        }
    };
    let common = &arguments.common;
    let talk = match (common.quiet, common.verbose) {
        (true, _) => Talk::Quiet,
        (false, true) => Talk::Verbose,
        (false, false) => Talk::Normal,
    };
    let terminal = Terminal::new(common.color, talk);
    if common.output == Output::Markdown
        && let Some((command, others)) = without_markdown(&arguments.command)
    {
        let message = format!("{command} has no Markdown");
        terminal.error(&[message], Some(others));
        return Exit::Usage;
    }
    match &arguments.command {
        Command::Validate(args) => validate::run(&arguments, args, &terminal),
        Command::Schema(args) => schema(args, &terminal),
        Command::Plan(args) => with_runtime(&terminal, plan::run(&arguments, args, &terminal)),
        Command::Apply(args) => with_runtime(&terminal, apply::run(&arguments, args, &terminal)),
        Command::Revert(args) => with_runtime(&terminal, revert::run(&arguments, args, &terminal)),
        Command::Drift(args) => with_runtime(&terminal, drift::run(&arguments, args, &terminal)),
        Command::Accept(args) => with_runtime(&terminal, accept::run(&arguments, args, &terminal)),
        Command::Import(args) => with_runtime(&terminal, import::run(&arguments, args, &terminal)),
        Command::Doctor(args) => with_runtime(&terminal, doctor::run(&arguments, args, &terminal)),
        Command::Simulator(args) => with_runtime(&terminal, simulator::run(&arguments, args, &terminal)),
    }
}

/// A command whose output is not for a comment, and what it has instead; `None` for those that have Markdown.
fn without_markdown(command: &Command) -> Option<(&'static str, &'static str)> {
    let both = "its outputs are human and json; Markdown is for validate, plan, apply and drift";
    match command {
        Command::Validate(_) | Command::Plan(_) | Command::Apply(_) | Command::Drift(_) => None,
        Command::Revert(_) => Some(("revert", both)),
        Command::Accept(_) => Some(("accept", both)),
        Command::Import(_) => Some(("import", both)),
        Command::Doctor(_) => Some(("doctor", both)),
        Command::Schema(_) => {
            Some(("schema", "it prints a JSON Schema, and with --members a page in Markdown"))
        }
        Command::Simulator(_) => Some(("simulator", "it has nothing but messages for people")),
    }
}

/// Most threads beside the main one: the network is slower than that many can be.
const MOST_WORKERS: usize = 4;

/// Runs a command that talks to the network; `--help` and `validate` start no runtime.
fn with_runtime(terminal: &Terminal, command: impl Future<Output = Exit>) -> Exit {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // The main thread works, too: it looks at the answers. One thread more than there are cores cost a cold plan over
    // loopback a tenth of its time, spent on waking each other.
    let workers = cores.saturating_sub(1).clamp(1, MOST_WORKERS);
    match tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(command);
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            terminal.error(&["could not start the runtime".to_owned(), error.to_string()], None);
            Exit::Failed
        }
    }
}

fn schema(args: &args::SchemaArgs, terminal: &Terminal) -> Exit {
    if args.members {
        terminal.data(&crate::job::page::members_page());
    } else {
        terminal.data(&pretty(&crate::job::schema::manifest_schema()));
    }
    Exit::Done
}

/// JSON as it is printed: indented, one final newline.
///
/// Names and texts come from a server and from pull requests, and JSON is read on terminals too: what would steer one,
/// hide text or turn its direction is escaped, which is the same JSON.
fn pretty(value: &serde_json::Value) -> String {
    // Writing to memory can not fail for values that were JSON before.
    let json = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut text = String::with_capacity(json.len() + 1);
    // Outside of its strings JSON is of visible ASCII, so all of these stand in strings.
    for character in json.chars() {
        if is_invisible(character) {
            text.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            text.push(character);
        }
    }
    text.push('\n');
    text
}

/// DEL, the C1 controls, and characters without width or that set the direction; the other controls JSON escapes itself.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{7f}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// Shows findings on stderr.
fn show(terminal: &Terminal, findings: &Diagnostics) {
    terminal.say(&render::diagnostic::diagnostics(findings, &terminal.findings()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_are_part_of_the_contract() {
        let all = [Exit::Done, Exit::Failed, Exit::Differences, Exit::Guarded, Exit::Partial, Exit::Usage];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 64]);
    }

    #[test]
    fn json_holds_nothing_that_steers_a_terminal() {
        let hostile = "\u{1b}\u{7f}\u{80}\u{9b}\u{9f}\u{200b}\u{200f}\u{202e}\u{2066}\u{feff}";
        let value = serde_json::json!({ hostile: format!("{hostile} é ä 漢") });
        let text = pretty(&value);
        assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || is_invisible(c))), "{text}");
        assert!(text.contains("\\u007f\\u0080\\u009b") && text.contains("é ä 漢"), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read, value, "it says the same");
    }

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
