//! The journal of a run: what an `apply` was about to do and what came of it, so that a run which ended in the middle
//! is understood by the next one (DESIGN 6).
//!
//! [`line`](self) is what stands in the file, [`judge`] says what became of a write whose end is not in it; both are
//! pure. [`folder`] writes and reads the files, [`lock`] keeps two applies apart. The journal decides nothing: what is
//! done next is planned from the live jobs as always, and without the journal the same is done, with fewer words.

pub mod folder;
pub mod judge;
mod line;
pub mod lock;

pub use line::{
    Answer, AnswerKind, Call, End, Expected, FORMAT, Intent, Line, OutcomeLine, Settled, SettledWrite, Start,
    Step, Undoes,
};
