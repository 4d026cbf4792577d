//! The kinds of calls, as faults and the request log name them.

use serde::{Deserialize, Serialize};

/// The kind of a call, as faults and the request log name it (REFERENCE section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// `POST /auth`.
    Auth,
    /// `GET /pm/v1/details`.
    Version,
    /// `GET /pm/v1/deploymentjobs/summary` and `GET /pm/v1/deploymentjobs`.
    List,
    /// `GET /pm/v1/deploymentjob/{id}`.
    Get,
    /// `POST /pm/v1/deploymentjob`.
    Create,
    /// `PATCH /pm/v1/deploymentjob/update/{id}`.
    Update,
    /// `POST /pm/v1/deploymentjobs/update/status/{status}`.
    Status,
    /// `DELETE /pm/v1/deploymentjobs`.
    Delete,
    /// `GET /pm/v1/deploymentjob/{id}/runs`.
    Runs,
    /// Anything else.
    Other,
}

impl Call {
    /// The kind of a request, from its method and path.
    pub(super) fn of(method: &str, path: &str) -> Self {
        match (method, path) {
            ("POST", "/auth") => Self::Auth,
            ("GET", "/pm/v1/details") => Self::Version,
            ("GET", "/pm/v1/deploymentjobs/summary" | "/pm/v1/deploymentjobs") => Self::List,
            ("POST", "/pm/v1/deploymentjob") => Self::Create,
            ("DELETE", "/pm/v1/deploymentjobs") => Self::Delete,
            ("PATCH", path) if path.starts_with("/pm/v1/deploymentjob/update/") => Self::Update,
            ("POST", path) if path.starts_with("/pm/v1/deploymentjobs/update/status/") => Self::Status,
            ("GET", path) => match path.strip_prefix("/pm/v1/deploymentjob/") {
                Some(rest) if rest.ends_with("/runs") => Self::Runs,
                Some(rest) if !rest.is_empty() && !rest.contains('/') => Self::Get,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, expected: Call) {
        assert_eq!(Call::of(method, path), expected);
    }

    #[test]
    fn calls_are_told_apart_by_method_and_path() {
        check("POST", "/auth", Call::Auth);
        check("GET", "/pm/v1/details", Call::Version);
        check("GET", "/pm/v1/deploymentjobs", Call::List);
        check("GET", "/pm/v1/deploymentjobs/summary", Call::List);
        check("DELETE", "/pm/v1/deploymentjobs", Call::Delete);
        check("GET", "/pm/v1/deploymentjob/a", Call::Get);
        check("GET", "/pm/v1/deploymentjob/a/runs", Call::Runs);
        check("GET", "/pm/v1/deploymentjob/", Call::Other);
        check("POST", "/pm/v1/deploymentjob", Call::Create);
        check("PATCH", "/pm/v1/deploymentjob/update/a", Call::Update);
        check("POST", "/pm/v1/deploymentjobs/update/status/Enabled", Call::Status);
        check("PUT", "/auth", Call::Other);
    }
}
