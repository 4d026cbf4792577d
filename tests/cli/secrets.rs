//! No password and no token is anywhere: not on the streams, at no level of words and in no form of output, and in no
//! file, whatever goes well or wrong.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use patchctl::simulator::{Behaviour, Call, Credentials, Effect, Fault};

use crate::support::{Repo, Server, files_below, id, live_job_with, live_script};

/// Distinctive words, with characters that forms, URLs, JSON and YAML write in ways of their own.
const PASSWORD: &str = "Zebra/Crossing+77%&=\"ü";
const WRONG_PASSWORD: &str = "Quagga\\Herd?3#ä";
const WRONG_TOKEN: &str = "eyJUYXBpciI6MX0.Okapi-Giraffe_12.Numbat";
const URL_PASSWORD: &str = "Wombat:Burrow@9";
const PROXY_PASSWORD: &str = "Axolotl-Gill-5";

/// What a run may be told, and what must come of the login.
struct Situation {
    name: &'static str,
    environment: Vec<(&'static str, String)>,
    gateway: Option<String>,
    /// The gateway refuses the token of every call but the login from this read on.
    refuses_from: Option<u64>,
    config: Option<String>,
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// What must not be found: each secret as it is, in parts that no encoding touches, and in base64 at each offset.
fn needles(secrets: &[&str]) -> Vec<String> {
    let mut needles = Vec::new();
    for secret in secrets {
        needles.extend([(*secret).to_owned(), encoded(secret), encoded(secret).to_lowercase()]);
        let words = secret.split(|character: char| !character.is_ascii_alphanumeric());
        needles.extend(words.filter(|word| word.len() > 4).map(str::to_owned));
        for before in ["", "x", "xy"] {
            for engine in [&STANDARD, &URL_SAFE] {
                let code = engine.encode(format!("{before}{secret}"));
                // The first and the last group hold what stands around it.
                needles.push(code[4..code.len() - 4].to_owned());
            }
        }
    }
    needles
}

#[track_caller]
fn holds_none(place: &str, bytes: &[u8], needles: &[String]) {
    let text = String::from_utf8_lossy(bytes);
    for needle in needles {
        assert!(!text.contains(needle.as_str()), "`{needle}` in {place}:\n{text}");
    }
}

#[test]
fn the_search_finds_each_form() {
    let needles = needles(&[PASSWORD]);
    let forms = [
        PASSWORD.to_owned(),
        encoded(PASSWORD),
        serde_json::to_string(PASSWORD).unwrap(),
        format!("{PASSWORD:?}"),
        STANDARD.encode(PASSWORD),
        URL_SAFE.encode(format!("user:{PASSWORD}")),
        STANDARD.encode(format!("username:{PASSWORD} and more")),
    ];
    for form in forms {
        let text = format!("error: {form}\n");
        let is_found = needles.iter().any(|needle| text.contains(needle.as_str()));
        assert!(is_found, "{form}");
    }
}

/// A token that the server knows, as a person would get one.
fn token(server: &Server) -> String {
    let body = format!("username=keeper&password={}&token=true", encoded(PASSWORD));
    let mut stream = TcpStream::connect(server.host()).unwrap();
    write!(
        stream,
        "POST /auth HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        server.host(),
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let token = answer.rsplit("\r\n\r\n").next().unwrap().trim().to_owned();
    assert!(token.starts_with("eyJ"), "{answer}");
    token
}

fn server() -> Server {
    let members = serde_json::json!({"preDeployActions": [live_script(1, "Drain")]});
    let server =
        Server::of(vec![live_job_with(1, "one", members), live_job_with(2, "two", serde_json::json!({}))]);
    server.change(|behaviour: &mut Behaviour| behaviour.users = vec![Credentials::new("keeper", PASSWORD)]);
    server
}

fn situations(server: &Server, token: &str) -> Vec<Situation> {
    let login = |password: &str| {
        vec![("QUALYS_USERNAME", "keeper".to_owned()), ("QUALYS_PASSWORD", password.to_owned())]
    };
    let given = |token: &str| vec![("QUALYS_TOKEN", token.to_owned())];
    let plain = |name, environment| Situation {
        name,
        environment,
        gateway: Some(server.url()),
        refuses_from: None,
        config: None,
    };
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let with_password = |host: &str| format!("//keeper:{}@{host}", encoded(URL_PASSWORD));
    let proxied = || {
        let proxy = format!("http://keeper:{PROXY_PASSWORD}@{nobody}");
        let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"];
        names.map(|name| (name, proxy.clone())).into_iter().chain(login(PASSWORD)).collect()
    };
    vec![
        plain("all is well", login(PASSWORD)),
        plain("a token that is good", given(token)),
        plain("a wrong password", login(WRONG_PASSWORD)),
        plain("a wrong token", given(WRONG_TOKEN)),
        Situation { refuses_from: Some(1), ..plain("refused from the list on", login(PASSWORD)) },
        Situation { refuses_from: Some(5), ..plain("refused in the middle", login(PASSWORD)) },
        Situation { refuses_from: Some(3), ..plain("a token that ends", given(token)) },
        Situation { gateway: Some(format!("http://{nobody}")), ..plain("nobody listens", login(PASSWORD)) },
        Situation {
            gateway: Some("https://gateway.qg1.apps.qualys.com".to_owned()),
            ..plain("a proxy that is not there", proxied())
        },
        Situation { gateway: Some(server.url()), ..plain("a proxy that is not asked", proxied()) },
        Situation {
            gateway: Some(format!("http:{}", with_password(&server.host()))),
            ..plain("a password in the URL", login(PASSWORD))
        },
        Situation {
            gateway: Some(format!(
                "https:{}/?token={WRONG_TOKEN}",
                with_password("gateway.qg1.apps.qualys.com")
            )),
            ..plain("a password and a token in the URL", login(PASSWORD))
        },
        Situation {
            gateway: None,
            ..plain(
                "a password in the variable of the gateway",
                [
                    login(PASSWORD),
                    vec![("QUALYS_GATEWAY_URL", format!("http:{}", with_password(&server.host())))],
                ]
                .concat(),
            )
        },
        Situation {
            gateway: None,
            config: Some(format!(
                "owner: team\ngateway: https:{}\n",
                with_password("gateway.qg1.apps.qualys.com")
            )),
            ..plain("a password in the configuration", login(PASSWORD))
        },
    ]
}

/// The commands, in an order in which each finds what it needs.
const COMMANDS: [&[&str]; 8] = [
    &["validate"],
    &["doctor"],
    &["import", "--all"],
    &["plan"],
    &["plan", "--out", "saved.json"],
    &["apply", "--plan", "saved.json", "--audit", "audit.jsonl"],
    &["apply", "--auto-approve", "--settle-time", "0"],
    &["plan", "--refresh"],
];

#[test]
fn no_password_and_no_token_is_in_any_output_or_file() {
    let (first, second) = (server(), server());
    let (token, other) = (token(&first), token(&second));
    // Tokens that the program got for itself begin like all of them: JSON in base64.
    let begins = "eyJ";
    let secrets = [PASSWORD, WRONG_PASSWORD, WRONG_TOKEN, URL_PASSWORD, PROXY_PASSWORD, &token, &other];
    let mut needles = needles(&secrets);
    needles.push(begins.to_owned());
    let needles = &needles;
    std::thread::scope(|scope| {
        for (server, token, levels) in [
            (&first, &token, [&["-v"][..], &[]]),
            (&second, &other, [&["-q"][..], &["-v", "--color", "always"]]),
        ] {
            scope.spawn(move || {
                for level in levels {
                    for output in ["human", "json"] {
                        for situation in situations(server, token) {
                            run_all(server, &situation, level, output, needles);
                        }
                    }
                }
            });
        }
    });
}

#[track_caller]
fn run_all(server: &Server, situation: &Situation, level: &[&str], output: &str, needles: &[String]) {
    let repo = Repo::with(&[("two", "  timeout: 5\n"), ("new", "  startDateTime: 2030-01-05T03:00\n")]);
    if let Some(config) = &situation.config {
        repo.write("patchctl.yaml", config);
    }
    // Each round finds something to write.
    server.edit(&id(2), serde_json::json!({"timeout": 4}));
    let mut codes = BTreeMap::new();
    for arguments in COMMANDS {
        server.change(|behaviour| {
            behaviour.fail_next.clear();
            let refused = Effect::Status { code: 401, body: None, headers: BTreeMap::new() };
            for call in [Call::List, Call::Get, Call::Update, Call::Create]
                .iter()
                .filter(|_| situation.refuses_from.is_some())
            {
                let nth = situation.refuses_from.unwrap_or(1).div_ceil(2);
                behaviour.fail_next.push(Fault::on(*call, refused.clone()).nth(nth).always());
            }
        });
        let mut command = repo.command(arguments);
        command.args(level).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
        command.envs(situation.environment.iter().map(|(name, value)| (name, value)));
        if arguments[0] != "import" {
            command.args(["--output", output]);
        }
        if arguments[0] != "validate" {
            command.args(["--max-wait", "0"]);
        }
        if let Some(gateway) = situation.gateway.as_ref().filter(|_| arguments[0] != "validate") {
            command.args(["--gateway", gateway]);
        }
        let ran = command.output().unwrap();
        let place = format!("{} {arguments:?} {level:?} {output}", situation.name);
        holds_none(&format!("stdout of {place}"), &ran.stdout, needles);
        holds_none(&format!("stderr of {place}"), &ran.stderr, needles);
        codes.insert(arguments, ran.status.code());
        assert_ne!(ran.status.code(), Some(64), "{place}: {}", String::from_utf8_lossy(&ran.stderr));
        for (path, bytes) in files_below(&repo.path("")) {
            // What the test itself wrote there.
            if situation.config.is_some() && path.ends_with("patchctl.yaml") {
                continue;
            }
            holds_none(&format!("{} after {place}", path.display()), &bytes, needles);
        }
    }
    // The test would find nothing where nothing ran.
    if ["all is well", "a token that is good"].contains(&situation.name) {
        let failed = codes.iter().find(|(_, code)| **code != Some(0));
        assert_eq!(failed, None, "{} {level:?} {output}", situation.name);
        let names: Vec<String> =
            files_below(&repo.path("")).keys().map(|path| path.display().to_string()).collect();
        for expected in ["saved.json", "audit.jsonl", ".patchctl/runs", ".patchctl/bindings", "/jobs.d/one"] {
            assert!(names.iter().any(|name| name.contains(expected)), "no {expected} in {names:#?}");
        }
    }
}
