//! The program: everything is in the library.

use std::process::ExitCode;

use patchctl::cli::{self, Exit};
use patchctl::terminal::Terminal;

/// Trees of JSON and YAML are made and dropped by the thousand, on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let exit = cli::run();
    // Data that did not arrive is a failure, unless its reader wanted no more of it. What `apply` makes of a reader
    // that went away it says by its own exit status.
    let is_lost = Terminal::lost_output().is_some_and(|lost| !lost.is_closed_pipe);
    let exit = if exit == Exit::Done && is_lost { Exit::Failed } else { exit };
    ExitCode::from(exit.code())
}
