//! What the property tests share: generated live jobs, manifests about them, edits, and a plain model of the server.
//!
//! Everything is drawn from [`dice::Dice`], so that a failing case is two numbers. Live jobs are written by hand from
//! REFERENCE section 5; manifests, edits and comparisons walk the public table of members, so that a new row is
//! covered without a change here (`properties.rs` has a test that says when the live jobs miss one).

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod actions;
pub(crate) mod dice;
pub(crate) mod edit;
pub(crate) mod forms;
pub(crate) mod kept;
pub(crate) mod live;
pub(crate) mod manifest;
pub(crate) mod pipeline;
pub(crate) mod server;
pub(crate) mod style;
