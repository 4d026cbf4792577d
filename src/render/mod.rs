//! Values as text for people and as JSON for programs; nothing here prints.

pub mod accept;
pub mod diagnostic;
pub mod doctor;
pub mod drift;
pub mod drift_json;
pub mod ignored;
pub mod import;
pub mod json;
pub mod markdown;
pub mod outcome;
pub mod plan;
pub mod probe;
pub mod scripts;
pub mod text;
pub mod when;
pub mod why;
pub mod words;
