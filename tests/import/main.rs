#![expect(
    clippy::disallowed_methods,
    reason = "runs the real program against a simulator on a loopback socket, in folders of its own"
)]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails it")]

//! `patchctl import` over real HTTP: the real binary, a simulator on loopback, a folder for each test.

mod chosen;
mod first_day;
mod generated;
mod setting;
#[path = "../support/mod.rs"]
mod support;
