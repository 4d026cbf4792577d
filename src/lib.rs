//! `patchctl`: a declarative reconciler for Qualys Patch Management deployment jobs.
//!
//! A planner and an executor that share one value, the [`plan::Plan`]. Everything that decides is a pure function of
//! its arguments; everything that touches the world is a thin shell around it and makes no decisions. Data flows one
//! way: [`load`] and [`api`] read, [`manifest`] and [`snapshot`] give types to what was read, [`normalise`],
//! [`overlay`] and [`diff`] compare, [`plan`] decides, [`render`] shows, [`apply`] carries out. ARCHITECTURE.md has
//! the map.

// The core: no files, network, clock, environment or terminal, kept so by the lint `disallowed_methods`.
pub mod accept;
pub mod bindings;
pub mod config;
pub mod diagnostic;
pub mod diff;
pub mod drift;
pub mod edit;
pub mod elements;
pub mod fingerprint;
pub mod ignore;
pub mod import;
pub mod job;
pub mod lean;
pub mod links;
pub mod manifest;
pub mod normalise;
pub mod overlay;
pub mod patch;
pub mod plan;
pub mod probe;
pub mod record;
pub mod render;
pub mod revert;
pub mod saved;
pub mod schedule;
pub mod script;
pub mod snapshot;
pub mod source;
pub mod stamp;
pub mod verify;
pub mod why;
pub mod yaml;

// The shell.
pub mod api;
pub mod apply;
pub mod base;
pub mod cli;
pub mod details;
pub mod files;
pub mod inventory;
pub mod journal;
pub mod ledger;
pub mod load;
pub mod probes;
pub mod simulator;
pub mod terminal;
