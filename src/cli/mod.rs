//! The command line: parses arguments, calls the others in order, chooses the exit status.

mod apply;
mod args;
mod cost;
mod doctor;
mod plan;
mod planning;
mod session;
mod settings;
mod simulator;
mod validate;
mod waiting;

use clap::Parser;
use clap::error::ErrorKind;

pub use args::Arguments;
use args::Command;

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
    let terminal = Terminal::new(common.color, false, talk);
    match &arguments.command {
        Command::Validate(args) => validate::run(&arguments, args, &terminal),
        Command::Schema(args) => schema(args, &terminal),
        Command::Plan(args) => with_runtime(&terminal, plan::run(&arguments, args, &terminal)),
        Command::Apply(args) => with_runtime(&terminal, apply::run(&arguments, args, &terminal)),
        Command::Doctor(args) => with_runtime(&terminal, doctor::run(&arguments, args, &terminal)),
        Command::Simulator(args) => with_runtime(&terminal, simulator::run(&arguments, args, &terminal)),
    }
}

/// Runs a command that talks to the network; `--help` and `validate` start no runtime.
fn with_runtime(terminal: &Terminal, command: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
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
fn pretty(value: &serde_json::Value) -> String {
    // Writing to memory can not fail for values that were JSON before.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
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
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
