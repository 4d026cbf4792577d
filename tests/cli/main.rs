#![expect(clippy::disallowed_methods, reason = "command line tests run the program in folders of their own")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails it")]

//! The program as people and pipelines run it: the real binary, real folders, a real socket.
//!
//! What decides is tested where it is; here it is shown that the parts are wired together: which requests leave the
//! machine, what is said, and how the run ends. A module per command; `support` holds what they share.

mod accept;
mod apply;
mod bad_days;
mod blocked;
mod calls;
mod drift;
mod faults;
mod gateway;
mod guards;
mod identity;
mod ignore;
mod ignore_drift;
mod import;
mod interrupted;
mod journal;
mod left_off;
mod lifecycle;
mod links;
mod lost;
mod manifests;
mod markdown;
mod origin;
mod output;
mod plan;
mod probe;
mod prune;
mod revert;
mod revert_guards;
mod saved;
mod scripts;
mod secrets;
mod simulator;
mod support;
mod terminal;
mod usage;
mod waits;
mod why;
mod write_ids;
