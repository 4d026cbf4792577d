#![expect(
    clippy::disallowed_methods,
    reason = "runs the real program against a simulator on a loopback socket, in folders of its own"
)]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails it")]

//! `patchctl drift` over real HTTP for long and by chance: generated tenants, edits by others, a month of hours.

#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod cli;
mod edits;
mod month;
#[path = "../support/mod.rs"]
mod support;
mod world;
