//! The address of the gateway: which URLs are accepted, and which may be sent credentials.
//!
//! Pure: it resolves no name and opens no socket. The rules are those of DESIGN section 9.

use std::fmt;

use reqwest::Url;
use thiserror::Error;
use url::Host;

/// The API gateways of the public pods (REFERENCE section 1).
const DOCUMENTED_HOSTS: [&str; 14] = [
    "gateway.qg1.apps.qualys.com",
    "gateway.qg2.apps.qualys.com",
    "gateway.qg3.apps.qualys.com",
    "gateway.qg4.apps.qualys.com",
    "gateway.gov1.qualys.us",
    "gateway.qg1.apps.qualys.eu",
    "gateway.qg2.apps.qualys.eu",
    "gateway.qg3.apps.qualys.it",
    "gateway.qg1.apps.qualys.in",
    "gateway.qg1.apps.qualys.ca",
    "gateway.qg1.apps.qualys.ae",
    "gateway.qg1.apps.qualys.co.uk",
    "gateway.qg1.apps.qualys.com.au",
    "gateway.qg1.apps.qualysksa.com",
];

/// The gateway of the pod whose API server this is.
fn gateway_of_api_server(host: &str) -> Option<&'static str> {
    let pod = match host {
        "qualysapi.qualys.com" => "gateway.qg1.apps.qualys.com",
        "qualysapi.qualys.eu" => "gateway.qg1.apps.qualys.eu",
        other => {
            let rest = other.strip_prefix("qualysapi.")?;
            return DOCUMENTED_HOSTS.into_iter().find(|host| host.strip_prefix("gateway.") == Some(rest));
        }
    };
    Some(pod)
}

/// Why a gateway cannot be used, or not with these credentials.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GatewayError {
    /// Not a URL with a host.
    #[error("the gateway is not a URL ({reason})")]
    NotAUrl {
        /// What is wrong with it. The text itself is not shown, for it may hold a password.
        reason: String,
    },
    /// Another scheme than `https`, or `http` to another machine.
    #[error("the gateway `{host}` would be spoken to over `{scheme}`, which is allowed only to this machine")]
    NotEncrypted {
        /// The scheme of the URL.
        scheme: String,
        /// The host of the URL.
        host: String,
    },
    /// User name or password in the URL.
    #[error("the gateway URL of `{host}` holds a user name or password")]
    HoldsCredentials {
        /// The host of the URL.
        host: String,
    },
    /// The host of the older API, which people have in their notes; Patch Management is not there (REFERENCE 1).
    #[error("`{host}` is the API server of a pod, and Patch Management is served by its gateway")]
    ApiServer {
        /// The host of the URL.
        host: String,
        /// The gateway of the same pod.
        gateway: &'static str,
    },
    /// `?query` or `#fragment` in the URL.
    #[error("the gateway URL of `{host}` has a query or a fragment")]
    HoldsQuery {
        /// The host of the URL.
        host: String,
    },
    /// A file in the repository names a gateway that is not known to be Qualys.
    #[error(
        "the configuration file names the gateway `{host}`, which is not a documented Qualys host, so the \
         credentials of the environment are not sent there"
    )]
    NotTrusted {
        /// The host of the URL.
        host: String,
    },
}

impl GatewayError {
    /// What to do next, one sentence.
    pub fn help(&self) -> String {
        match self {
            Self::NotAUrl { .. } => {
                "write the gateway of your pod as a URL, for example `https://gateway.qg1.apps.qualys.eu`".to_owned()
            }
            Self::NotEncrypted { host, .. } => format!("use `https://{host}`"),
            Self::HoldsCredentials { .. } => {
                "take them out of the URL and set QUALYS_USERNAME and QUALYS_PASSWORD".to_owned()
            }
            Self::ApiServer { gateway, .. } => format!("use `https://{gateway}`"),
            Self::HoldsQuery { .. } => "give the address only, up to the host".to_owned(),
            Self::NotTrusted { .. } => {
                "if the host is right, name it with --gateway or QUALYS_GATEWAY_URL, where a pull request cannot \
                 change it"
                    .to_owned()
            }
        }
    }
}

/// The checked base URL of a gateway: `https`, or `http` to loopback; no credentials, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    base: Url,
}

impl Gateway {
    /// Reads a gateway as a person wrote it. A path is kept as a prefix of every call, for private platforms.
    ///
    /// # Errors
    /// One [`GatewayError`] per broken rule; none repeats the text, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, GatewayError> {
        let base =
            Url::parse(text.trim()).map_err(|error| GatewayError::NotAUrl { reason: error.to_string() })?;
        let Some(host) = base.host_str().map(str::to_owned) else {
            return Err(GatewayError::NotAUrl { reason: "it names no host".to_owned() });
        };
        if !base.username().is_empty() || base.password().is_some() {
            return Err(GatewayError::HoldsCredentials { host });
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(GatewayError::HoldsQuery { host });
        }
        if let Some(gateway) = gateway_of_api_server(&host) {
            return Err(GatewayError::ApiServer { host, gateway });
        }
        let gateway = Self { base };
        match gateway.base.scheme() {
            "https" => Ok(gateway),
            "http" if gateway.is_loopback() => Ok(gateway),
            scheme => Err(GatewayError::NotEncrypted { scheme: scheme.to_owned(), host }),
        }
    }

    /// Whether it names this machine: `127.0.0.0/8`, `::1` or `localhost`.
    pub fn is_loopback(&self) -> bool {
        match self.base.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }

    /// Whether it is spoken to without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }

    /// The host, with the port where it is not the usual one.
    pub fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The URL itself; it holds no secret.
    pub fn url(&self) -> &Url {
        &self.base
    }

    /// The URL of one call, each segment percent-encoded.
    pub(super) fn endpoint(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("internal error: an http URL has path segments")
            .pop_if_empty()
            .extend(segments);
        url
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

/// Where the setting that names the gateway came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// `--gateway`.
    Flag,
    /// `QUALYS_GATEWAY_URL`.
    Environment,
    /// `patchctl.yaml`, which a pull request can change.
    ConfigFile,
    /// The simulator that this process started itself.
    InProcessSimulator,
}

/// Whether the URL is that of a documented public gateway (REFERENCE section 1), over TLS on the usual port.
pub fn is_documented_host(gateway: &Gateway) -> bool {
    let base = gateway.url();
    base.scheme() == "https"
        && base.port_or_known_default() == Some(443)
        && base.host_str().is_some_and(|host| DOCUMENTED_HOSTS.contains(&host))
}

/// Says whether the credentials of the environment may be sent to this gateway (DESIGN section 9).
///
/// # Errors
/// [`GatewayError::NotTrusted`] where only the configuration file names it and it is not a documented Qualys host.
/// Loopback is no exception: a port of the machine that runs a pull request's checks is not ours to trust.
pub fn credentials_may_go_to(origin: SettingOrigin, gateway: &Gateway) -> Result<(), GatewayError> {
    let allowed = match origin {
        SettingOrigin::Flag | SettingOrigin::Environment => true,
        SettingOrigin::ConfigFile => is_documented_host(gateway),
        SettingOrigin::InProcessSimulator => gateway.is_loopback(),
    };
    if allowed { Ok(()) } else { Err(GatewayError::NotTrusted { host: gateway.host() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_of_a_pod_leads_to_its_gateway() {
        for (host, gateway) in [
            ("qualysapi.qualys.com", "gateway.qg1.apps.qualys.com"),
            ("qualysapi.qg2.apps.qualys.com", "gateway.qg2.apps.qualys.com"),
            ("qualysapi.qg3.apps.qualys.it", "gateway.qg3.apps.qualys.it"),
        ] {
            let found = Gateway::parse(&format!("https://{host}"));
            assert_eq!(found, Err(GatewayError::ApiServer { host: host.to_owned(), gateway }));
        }
        assert!(
            Gateway::parse("https://qualysapi.private.example").is_ok(),
            "a private platform may call it so"
        );
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let found = Gateway::parse(text);
        match expected {
            Ok(host) => assert_eq!(found.map(|gateway| gateway.host()), Ok(host.to_owned()), "{text}"),
            Err(part) => {
                let error = found.expect_err(text);
                assert!(error.to_string().contains(part), "{text}: {error}");
                assert!(!error.to_string().contains("hunter2") && !error.help().contains("hunter2"));
            }
        }
    }

    #[test]
    fn parsed_gateways() {
        check("https://gateway.qg1.apps.qualys.eu", Ok("gateway.qg1.apps.qualys.eu"));
        check(" https://Gateway.Example.com:8443/prefix/ ", Ok("gateway.example.com:8443"));
        check("http://127.0.0.1:8080", Ok("127.0.0.1:8080"));
        check("http://127.9.9.9", Ok("127.9.9.9"));
        check("http://[::1]:9", Ok("[::1]:9"));
        check("http://localhost:1", Ok("localhost:1"));
        check("http://gateway.qg1.apps.qualys.eu", Err("only to this machine"));
        check("http://localhost.example.com", Err("only to this machine"));
        check("http://0.0.0.0:80", Err("only to this machine"));
        check("http://[::ffff:127.0.0.1]", Err("only to this machine"));
        check("ftp://127.0.0.1", Err("`ftp`"));
        check("https://user:hunter2@example.com", Err("user name or password"));
        check("https://user@example.com", Err("user name or password"));
        check("https://example.com/?password=hunter2", Err("query"));
        check("https://example.com/#x", Err("fragment"));
        check("gateway.qg1.apps.qualys.eu", Err("not a URL"));
        check("user:hunter2@example.com", Err("no host"));
        check("", Err("not a URL"));
    }

    #[test]
    fn endpoints_are_encoded_and_keep_the_prefix() {
        let plain = Gateway::parse("https://example.com").unwrap();
        assert_eq!(plain.endpoint(&["auth"]).as_str(), "https://example.com/auth");
        let prefixed = Gateway::parse("https://example.com/qualys/").unwrap();
        assert_eq!(prefixed.endpoint(&["pm", "a/b?c"]).as_str(), "https://example.com/qualys/pm/a%2Fb%3Fc");
    }

    #[track_caller]
    fn check_trust(origin: SettingOrigin, text: &str, expected: bool) {
        let gateway = Gateway::parse(text).unwrap();
        assert_eq!(credentials_may_go_to(origin, &gateway).is_ok(), expected, "{origin:?} {text}");
    }

    #[test]
    fn a_pull_request_cannot_redirect_credentials() {
        use SettingOrigin::{ConfigFile, Environment, Flag, InProcessSimulator};
        check_trust(Flag, "https://anywhere.example.com", true);
        check_trust(Environment, "https://anywhere.example.com", true);
        check_trust(Environment, "http://127.0.0.1:1", true);
        for host in DOCUMENTED_HOSTS {
            check_trust(ConfigFile, &format!("https://{host}/"), true);
        }
        check_trust(ConfigFile, "https://anywhere.example.com", false);
        check_trust(ConfigFile, "https://gateway.qg1.apps.qualys.eu.example.com", false);
        check_trust(ConfigFile, "https://gateway.qg1.apps.qualys.eu:8443", false);
        check_trust(ConfigFile, "http://127.0.0.1:1", false);
        check_trust(InProcessSimulator, "http://127.0.0.1:1", true);
        check_trust(InProcessSimulator, "https://anywhere.example.com", false);
    }
}
