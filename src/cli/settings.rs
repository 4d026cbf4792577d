#![expect(
    clippy::disallowed_methods,
    reason = "settings come from the environment and the configuration file"
)]

//! Where every setting comes from: flag, then environment, then configuration file, then default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::args::Common;
use crate::api::{Credentials, Gateway, GatewayError, SettingOrigin};
use crate::config::{self, Config, Updates};
use crate::diagnostic::Diagnostics;
use crate::load;

/// What a run is told, with every field settled.
#[derive(Debug)]
pub(super) struct Settings {
    /// The folder that the process started in.
    pub(super) current: PathBuf,
    /// The repository: scripts must lie in it.
    pub(super) root: PathBuf,
    /// The manifest folder.
    pub(super) jobs: PathBuf,
    /// Where state is kept.
    pub(super) state_dir: PathBuf,
    /// The owner in our stamps.
    pub(super) owner: String,
    /// The subscription that must answer.
    pub(super) customer_id: Option<String>,
    /// Tag names and their UUIDs.
    pub(super) tags: BTreeMap<String, String>,
    /// What updates carry, as configured.
    pub(super) updates: Updates,
    gateway: Option<(String, SettingOrigin, PathBuf)>,
}

/// Where the live jobs are.
#[derive(Debug)]
pub(super) enum Target {
    /// The embedded simulator of the tenant at this path; the text is what was written.
    Simulator(PathBuf, String),
    /// A gateway, and the login that may go there.
    Gateway(Gateway, Credentials),
}

/// Why a run can not begin.
#[derive(Debug)]
pub(super) enum SettingsError {
    /// The configuration file is wrong.
    Config(Diagnostics),
    /// Something else; a message and what to do.
    Message(String, String),
    /// The gateway can not be used.
    Gateway(GatewayError),
}

impl Settings {
    pub(super) fn resolve(common: &Common) -> Result<Self, SettingsError> {
        let current = std::env::current_dir().map_err(|error| {
            SettingsError::Message(
                format!("there is no current folder: {error}"),
                "change to one that exists".to_owned(),
            )
        })?;
        let config_path = match &common.config {
            Some(path) => Some(current.join(path)),
            None => find_above(&current, config::FILE_NAME),
        };
        let config = match &config_path {
            Some(path) => read_config(path, &current)?,
            None => Config::default(),
        };
        let base = config_path.as_deref().and_then(Path::parent).unwrap_or(&current).to_path_buf();
        let jobs = match (&common.jobs, &config.jobs) {
            (Some(flag), _) => current.join(flag),
            (None, Some(configured)) => base.join(configured),
            (None, None) => base.join("jobs.d"),
        };
        let state_dir = match (&common.state_dir, &config.state_dir) {
            (Some(flag), _) => current.join(flag),
            (None, Some(configured)) => base.join(configured),
            (None, None) => base.join(".patchctl"),
        };
        let root = repository(&jobs, config_path.as_deref().and_then(Path::parent), &current);
        let folder = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let gateway = match (&common.gateway, environment("QUALYS_GATEWAY_URL"), &config.gateway) {
            (Some(flag), _, _) => Some((flag.clone(), SettingOrigin::Flag, current.clone())),
            (None, Some(url), _) => Some((url, SettingOrigin::Environment, current.clone())),
            (None, None, Some(url)) => Some((url.clone(), SettingOrigin::ConfigFile, base)),
            (None, None, None) => None,
        };
        Ok(Self {
            current,
            root,
            jobs,
            state_dir,
            owner: config.owner.unwrap_or_else(|| config::owner_of_folder(&folder)),
            customer_id: config.customer_id.map(|id| id.to_ascii_lowercase()),
            tags: config.tags,
            updates: config.updates.unwrap_or(Updates::Auto),
            gateway,
        })
    }

    /// A path as messages show it: from the current folder where it lies in it, with forward slashes.
    pub(super) fn shown(&self, path: &Path) -> String {
        shown(path, &self.current)
    }

    /// Settles where to go and with which login.
    pub(super) fn target(&self) -> Result<Target, SettingsError> {
        let Some((text, origin, base)) = &self.gateway else {
            let help = "give --gateway, set QUALYS_GATEWAY_URL, or write `gateway:` into patchctl.yaml; \
                        `sim:FOLDER` is the embedded simulator";
            return Err(SettingsError::Message("no gateway is named".to_owned(), help.to_owned()));
        };
        if let Some(path) = text.strip_prefix("sim:") {
            return Ok(Target::Simulator(base.join(path), text.clone()));
        }
        let gateway = Gateway::parse(text).map_err(SettingsError::Gateway)?;
        crate::api::credentials_may_go_to(*origin, &gateway).map_err(SettingsError::Gateway)?;
        Ok(Target::Gateway(gateway, credentials()?))
    }
}

/// The login of the environment; a token wins, because it was made for this one purpose.
fn credentials() -> Result<Credentials, SettingsError> {
    if let Some(token) = environment("QUALYS_TOKEN") {
        return Ok(Credentials::Token(SecretString::from(token)));
    }
    match (environment("QUALYS_USERNAME"), environment("QUALYS_PASSWORD")) {
        (Some(name), Some(password)) => {
            Ok(Credentials::User { name, password: SecretString::from(password) })
        }
        (Some(_), None) => Err(SettingsError::Message(
            "QUALYS_USERNAME is set and QUALYS_PASSWORD is not".to_owned(),
            "set both, or QUALYS_TOKEN".to_owned(),
        )),
        (None, _) => Err(SettingsError::Message(
            "there are no credentials in the environment".to_owned(),
            "set QUALYS_USERNAME and QUALYS_PASSWORD, or QUALYS_TOKEN".to_owned(),
        )),
    }
}

/// A variable that is set and not empty.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn read_config(path: &Path, current: &Path) -> Result<Config, SettingsError> {
    let shown = shown(path, current);
    let one = |finding| {
        let mut findings = Diagnostics::new();
        findings.push(finding);
        SettingsError::Config(findings)
    };
    let file = load::read_text(path, &shown).map_err(one)?;
    config::parse(&file).map_err(SettingsError::Config)
}

/// The file of this name here or in a folder above, up to the one that holds the Git repository.
fn find_above(folder: &Path, name: &str) -> Option<PathBuf> {
    for folder in folder.ancestors() {
        let path = folder.join(name);
        if path.is_file() {
            return Some(path);
        }
        if folder.join(".git").exists() {
            return None;
        }
    }
    None
}

/// The folder that scripts must lie in: that of the configuration or of Git around the manifests; without either,
/// the current folder if the manifests are in it, else the manifest folder itself.
fn repository(jobs: &Path, config_folder: Option<&Path>, current: &Path) -> PathBuf {
    let jobs = std::fs::canonicalize(jobs).unwrap_or_else(|_| jobs.to_path_buf());
    let resolved = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if let Some(folder) = config_folder.map(resolved).filter(|folder| jobs.starts_with(folder)) {
        return folder;
    }
    let marked = |folder: &&Path| folder.join(config::FILE_NAME).is_file() || folder.join(".git").exists();
    if let Some(folder) = jobs.ancestors().find(marked) {
        return folder.to_path_buf();
    }
    let current = resolved(current);
    if jobs.starts_with(&current) { current } else { jobs }
}

fn shown(path: &Path, current: &Path) -> String {
    let path = path.strip_prefix(current).unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}
