#![expect(
    clippy::disallowed_methods,
    reason = "settings come from the environment and the configuration file, and some hold until a day"
)]

//! Where every setting comes from: flag, then environment, then configuration file, then default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::args::Common;
use crate::api::{Credentials, Gateway, GatewayError, SettingOrigin};
use crate::config::{self, Config, Updates};
use crate::diagnostic::Diagnostics;
use crate::ignore;
use crate::load;
use crate::plan::ConsoleChanges;
use crate::render::doctor::{Origin, Setting};
use crate::snapshot::ApiUsers;

/// What a run is told, with every field settled.
#[derive(Debug)]
pub(super) struct Settings {
    /// The folder that the process started in.
    pub(super) current: PathBuf,
    /// The repository: scripts must lie in it.
    pub(super) root: PathBuf,
    /// The manifest folder.
    pub(super) jobs: PathBuf,
    /// Whether that is the one that the configuration names.
    jobs_folder_is_usual: bool,
    /// Where state is kept.
    pub(super) state_dir: PathBuf,
    /// The owner in our stamps.
    pub(super) owner: String,
    /// The subscription that must answer.
    pub(super) customer_id: Option<String>,
    /// Where the record is, instead of stamps in the jobs' descriptions.
    pub(super) record: Option<PathBuf>,
    /// Tag names and their UUIDs.
    pub(super) tags: BTreeMap<String, String>,
    /// What updates carry, as configured.
    pub(super) updates: Updates,
    /// Login names of the API users that write for this repository, as configured.
    api_users: Vec<String>,
    /// Calls in an hour that the configuration says the gateway allows.
    pub(super) calls_per_hour: Option<u64>,
    /// What becomes of changes in the console.
    pub(super) console: ConsoleChanges,
    /// Members that are left alone in many jobs, as the rules are on the day of the run, in UTC.
    pub(super) ignore: ignore::Rules,
    gateway: Option<(String, SettingOrigin, PathBuf)>,
    config: Option<PathBuf>,
    origins: Origins,
}

/// Where the settings came from that keep no origin of their own.
#[derive(Debug)]
struct Origins {
    config: Origin,
    jobs: Origin,
    state_dir: Origin,
    owner: Origin,
    customer_id: Origin,
    record: Origin,
    tags: Origin,
    updates: Origin,
    console: Origin,
}

impl Origins {
    fn of(common: &Common, config: &Config) -> Self {
        let file = |is_set: bool| if is_set { Origin::File } else { Origin::Default };
        let flag = |is_given: bool, is_set: bool| if is_given { Origin::Flag } else { file(is_set) };
        Self {
            config: flag(common.config.is_some(), false),
            jobs: flag(common.jobs.is_some(), config.jobs.is_some()),
            state_dir: flag(common.state_dir.is_some(), config.state_dir.is_some()),
            owner: file(config.owner.is_some()),
            customer_id: file(config.customer_id.is_some()),
            record: file(config.record.is_some()),
            tags: file(!config.tags.is_empty()),
            updates: file(config.updates.is_some()),
            console: file(config.console.is_some()),
        }
    }
}

/// Where the live jobs are, whoever may ask for them.
#[derive(Debug)]
pub(super) enum Place {
    /// The embedded simulator of the tenant at this path; the text is what was written.
    Simulator(PathBuf, String),
    /// A gateway, to which the credentials of the environment may go.
    Gateway(Gateway),
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
        let origins = Origins::of(common, &config);
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
        let usual_jobs = base.join(config.jobs.as_deref().unwrap_or("jobs.d"));
        let resolved = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let jobs_folder_is_usual = resolved(&jobs) == resolved(&usual_jobs);
        let record = config.record.as_ref().map(|path| base.join(path));
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
            jobs_folder_is_usual,
            state_dir,
            owner: config.owner.unwrap_or_else(|| config::owner_of_folder(&folder)),
            customer_id: config.customer_id.map(|id| id.to_ascii_lowercase()),
            record,
            tags: config.tags,
            updates: config.updates.unwrap_or(Updates::Auto),
            api_users: config.api_users,
            calls_per_hour: config.calls_per_hour,
            console: config.console.unwrap_or_default(),
            ignore: ignore::Rules::new(config.ignore_rules, today()),
            gateway,
            config: config_path,
            origins,
        })
    }

    /// A path as messages show it: from the current folder where it lies in it, with forward slashes.
    pub(super) fn shown(&self, path: &Path) -> String {
        shown(path, &self.current)
    }

    /// Whether the manifests are those of the folder that the configuration names, or of `jobs.d` where it names none.
    pub(super) fn jobs_folder_is_usual(&self) -> bool {
        self.jobs_folder_is_usual
    }

    /// Whether the owner was chosen, and does not follow from a folder's name.
    pub(super) fn owner_is_set(&self) -> bool {
        self.origins.owner == Origin::File
    }

    /// Login names of the API users that are written as: those that are configured, and the one of the login. A token
    /// does not say whose it is.
    pub(super) fn api_users(&self) -> ApiUsers {
        let login = match self.place() {
            Ok(Place::Simulator(..)) => Some(crate::simulator::Credentials::random().user),
            Ok(Place::Gateway(_)) if environment("QUALYS_TOKEN").is_none() => environment("QUALYS_USERNAME"),
            Ok(Place::Gateway(_)) | Err(_) => None,
        };
        ApiUsers::new(self.api_users.iter().cloned().chain(login))
    }

    /// Settles where to go and with which login.
    pub(super) fn target(&self) -> Result<Target, SettingsError> {
        match self.place()? {
            Place::Simulator(path, text) => Ok(Target::Simulator(path, text)),
            Place::Gateway(gateway) => Ok(Target::Gateway(gateway, credentials()?)),
        }
    }

    /// Settles where to go.
    pub(super) fn place(&self) -> Result<Place, SettingsError> {
        let Some((text, origin, base)) = &self.gateway else {
            let help = "give --gateway, set QUALYS_GATEWAY_URL, or write `gateway:` into patchctl.yaml; \
                        `sim:FOLDER` is the embedded simulator";
            return Err(SettingsError::Message("no gateway is named".to_owned(), help.to_owned()));
        };
        if let Some(path) = text.strip_prefix("sim:") {
            return Ok(Place::Simulator(base.join(path), text.clone()));
        }
        let gateway = Gateway::parse(text).map_err(SettingsError::Gateway)?;
        crate::api::credentials_may_go_to(*origin, &gateway).map_err(SettingsError::Gateway)?;
        Ok(Place::Gateway(gateway))
    }

    /// Every setting as `doctor` shows it; of a password or token only that it is set.
    pub(super) fn described(&self) -> Vec<Setting> {
        let Origins { config, jobs, state_dir, owner, customer_id, record, tags, updates, console } =
            &self.origins;
        let none = || "(none)".to_owned();
        let mut settings = vec![
            self.described_gateway(),
            Setting::new(
                "config",
                self.config.as_deref().map_or_else(none, |path| self.shown(path)),
                *config,
            ),
            Setting::new("jobs", self.shown(&self.jobs), *jobs),
            Setting::new("state_dir", self.shown(&self.state_dir), *state_dir),
            Setting::new("owner", self.owner.clone(), *owner),
            Setting::new("customer_id", self.customer_id.clone().unwrap_or_else(none), *customer_id),
            Setting::new(
                "record",
                self.record.as_deref().map_or_else(|| "stamps".to_owned(), |path| self.shown(path)),
                *record,
            ),
            Setting::new("tags", self.tags.len().to_string(), *tags),
            Setting::new("updates", self.updates.as_str().to_owned(), *updates),
            Setting::new("console", self.console.as_str().to_owned(), *console),
        ];
        if let Some(limit) = self.calls_per_hour {
            settings.push(Setting::new("calls_per_hour", limit.to_string(), Origin::File));
        }
        if !self.api_users.is_empty() {
            settings.push(Setting::new("api_users", self.api_users.join(", "), Origin::File));
        }
        if matches!(self.place(), Ok(Place::Simulator(..))) {
            return settings;
        }
        if environment("QUALYS_TOKEN").is_some() {
            settings.push(Setting::new("QUALYS_TOKEN", "set".to_owned(), Origin::Environment));
        } else {
            let user = environment("QUALYS_USERNAME");
            let password = environment("QUALYS_PASSWORD").map(|_| "set".to_owned());
            for (name, value) in [("QUALYS_USERNAME", user), ("QUALYS_PASSWORD", password)] {
                let origin = if value.is_some() { Origin::Environment } else { Origin::Default };
                settings.push(Setting::new(name, value.unwrap_or_else(none), origin));
            }
        }
        // Their values may hold a login, too.
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            if environment(name).is_some() {
                settings.push(Setting::new(name, "set".to_owned(), Origin::Environment));
            }
        }
        settings
    }

    /// The gateway as a URL that holds no login, or the simulator as it was written.
    fn described_gateway(&self) -> Setting {
        let Some((text, origin, _)) = &self.gateway else {
            return Setting::new("gateway", "(none)".to_owned(), Origin::Default);
        };
        let origin = match origin {
            SettingOrigin::Flag => Origin::Flag,
            SettingOrigin::Environment => Origin::Environment,
            SettingOrigin::ConfigFile => Origin::File,
            SettingOrigin::InProcessSimulator => Origin::Default,
        };
        let value = match Gateway::parse(text) {
            _ if text.starts_with("sim:") => text.clone(),
            Ok(gateway) => gateway.to_string(),
            Err(_) => "(not usable)".to_owned(),
        };
        Setting::new("gateway", value, origin)
    }
}

/// The day that it is in UTC; settled once for the whole run, which may go on over midnight.
fn today() -> jiff::civil::Date {
    jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date()
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
    let text = path.to_string_lossy();
    // Elsewhere a backslash is part of a name, and the name must still find its file.
    if cfg!(windows) { text.replace('\\', "/") } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_divides_folders_on_windows_only() {
        let expected = if cfg!(windows) { "jobs.d/a/b.yaml" } else { "jobs.d/a\\b.yaml" };
        let current = Path::new("repository");
        assert_eq!(shown(&current.join("jobs.d").join("a\\b.yaml"), current), expected);
        assert_eq!(shown(Path::new("elsewhere"), current), "elsewhere");
    }
}
