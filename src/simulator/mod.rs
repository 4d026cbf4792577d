#![expect(
    clippy::disallowed_methods,
    reason = "the simulator opens a socket, keeps its jobs in files and has a clock"
)]

//! An embedded simulator of the Patch Management API, spoken to over a real loopback socket.
//!
//! It is an independent implementation of the server, written from the documented requests and answers (REFERENCE
//! sections 2 to 10); where those are silent, what the real server may do is a switch of [`Behaviour`]. So is all
//! that can go wrong on the way: a [`Fault`] meets a call, a [`Quota`] holds calls back, answers [`Lag`], and others
//! act between the calls ([`Meanwhile`]). It works on plain JSON values, keeps members that it does not know, and
//! shares no code with the client but the table of list columns, so that a mistake in the one is not hidden by the
//! same mistake in the other.
//!
//! It deliberately does not validate like a linter (the API does not, REFERENCE section 5.5), does not run jobs,
//! knows no assets, patches or permissions, and never listens on anything but loopback.
//!
//! | endpoint | what it does |
//! | --- | --- |
//! | `POST /auth` | hands out a token; says in `x-patchctl-simulator: updates=merge` or `=replace` what a PATCH does |
//! | `GET /pm/v1/details` | the version |
//! | `GET /pm/v1/deploymentjobs/summary`, `GET /pm/v1/deploymentjobs` | a page of the list |
//! | `GET /pm/v1/deploymentjob/{id}`, `…/{id}/runs` | one job, its last run |
//! | `POST /pm/v1/deploymentjob` | creates a job |
//! | `PATCH /pm/v1/deploymentjob/update/{id}` | changes a job |
//! | `POST /pm/v1/deploymentjobs/update/status/{Enabled,Disabled}` | switches jobs on or off, per id |
//! | `DELETE /pm/v1/deploymentjobs` | deletes jobs, per id |
//!
//! With [`Behaviour::control`], and without any login:
//!
//! | endpoint | what it does |
//! | --- | --- |
//! | `GET`, `DELETE /_simulator/requests` | the calls so far; forgets them |
//! | `GET`, `PUT /_simulator/behaviour` | the switches; sets those that the body mentions |
//! | `GET /_simulator/jobs` | what is stored, true script contents included |
//! | `POST /_simulator/edit/{id}` | an edit in the console: `{"user": "…", "merge": {…}, "scripts": {"<path>": "…"}}` |
//! | `POST /_simulator/tick` | the server changes counters, progress and runs by itself |
//! | `POST /_simulator/revoke` | all tokens become invalid |

mod answer;
mod auth;
mod behaviour;
mod call;
mod connection;
mod control;
mod fault;
#[cfg(test)]
mod fault_tests;
mod gate;
mod lag;
mod lifecycle;
mod list;
mod normalise;
mod quota;
mod record;
mod refusal;
mod runs;
#[cfg(test)]
mod sample_tests;
mod semantics;
mod server;
mod spoil;
mod store;
mod stored;
mod tenant;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use behaviour::{
    Answer, Behaviour, Credentials, EditEnabled, Lag, ListOrder, ListShape, PageZero, Quota, Updates,
};
pub use call::Call;
pub use fault::{Effect, ErrorBody, Event, Fault, Meanwhile, ThrottleForm};
pub use record::RecordedRequest;
pub use refusal::Refusal;
pub use server::{BehaviourHandle, Running, Simulator};
pub use tenant::{Clock, Tenant};

/// Why a tenant could not be opened or the simulator not be started.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The seed is missing or cannot be read.
    #[error("could not read the tenant's jobs from `{path}`")]
    ReadSeed {
        /// The seed, or the file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The seed folder holds no files with jobs.
    #[error("`{path}` holds no .json files with jobs; put exported jobs there, or a file that holds []")]
    EmptySeed {
        /// The folder.
        path: PathBuf,
    },
    /// A seed file does not hold jobs.
    #[error("`{path}` is not a usable file of jobs: {what}; mend the file")]
    DamagedSeed {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        what: String,
    },
    /// The kept state cannot be read.
    #[error("could not read the simulator's state `{path}`")]
    ReadState {
        /// The state file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kept state cannot be written.
    #[error("could not write the simulator's state `{path}`")]
    WriteState {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kept state is not what the simulator wrote.
    #[error("the simulator's state `{path}` is damaged in line {line}: {what}; start afresh with --reset")]
    DamagedState {
        /// The state file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong in it.
        what: String,
    },
    /// Another process has the tenant open.
    #[error(
        "the simulator's state `{path}` is in use by another process; wait for it to end, or use another state folder"
    )]
    InUse {
        /// The state file.
        path: PathBuf,
    },
    /// The address would let other machines in.
    #[error("the simulator listens on loopback only, and `{address}` is not a loopback address")]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("could not listen on `{address}`")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}
