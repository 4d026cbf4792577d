#![expect(
    clippy::disallowed_methods,
    reason = "runs the real program against a simulator on a loopback socket, in folders of its own"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, with the line")]

//! The life of jobs with the real program over real HTTP: made, armed, edited, disarmed, over random edits of
//! manifests and of the console, and with every fault at every call.

#[allow(dead_code, reason = "shared with the tests of the commands")]
#[path = "../cli/support.rs"]
mod cli;
#[path = "../support/mod.rs"]
mod support;

mod faults;
mod found;
mod repository;
mod rounds;
mod run;
mod undone;
mod verdict;
