//! The files of `examples/ci`: each step is run as it stands, with the real program, and the platform replaced by a stub.

#![expect(clippy::disallowed_methods, reason = "runs scripts in temporary folders")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails it")]

#[path = "../cli/support.rs"]
#[expect(dead_code, reason = "what the tests of the command line share is more than these need")]
mod support;

mod files;
mod github;
mod gitlab;
mod stub;
