#![expect(clippy::disallowed_methods, reason = "starts the program, and servers for it to look at")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

//! `patchctl doctor` as people run it: the real program against the simulator, and against servers that are none.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use patchctl::simulator::{Behaviour, Call, Credentials, Effect, Fault, Running, Simulator, Tenant};
use serde_json::Value;
use tempfile::TempDir;

const CUSTOMER: &str = "bc023fd7-4290-f28f-8181-95a46f519f52";

/// A folder with a manifest and a configuration, and the login to use in it.
struct Place {
    folder: TempDir,
    password: &'static str,
}

/// What the program said.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("jobs.d")).unwrap();
        let manifest = "apiVersion: patchctl/v1\nkind: DeploymentJob\nmetadata: { key: servers }\n\
                        spec: { name: Servers, type: Install, platform: Windows, status: Disabled }\n";
        std::fs::write(folder.path().join("jobs.d/servers.yaml"), manifest).unwrap();
        let place = Self { folder, password: "simulator" };
        place.configure(CUSTOMER);
        place
    }

    fn configure(&self, customer: &str) {
        let text = format!("owner: acme\ncustomerId: {customer}\n");
        std::fs::write(self.folder.path().join("patchctl.yaml"), text).unwrap();
    }

    /// Copies the example tenant beside the manifests, so that messages hold no path of this machine.
    fn take_tenant(&self) {
        let to = self.folder.path().join("tenant");
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(example_tenant()).unwrap() {
            let from = file.unwrap().path();
            std::fs::write(to.join(from.file_name().unwrap()), std::fs::read(&from).unwrap()).unwrap();
        }
    }

    /// Runs the program with no environment but the login.
    fn run(&self, gateway: &str, arguments: &[&str]) -> Said {
        self.run_command("doctor", gateway, arguments)
    }

    fn run_command(&self, name: &str, gateway: &str, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchctl"));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("QUALYS_USERNAME", "simulator")
            .env("QUALYS_PASSWORD", self.password)
            .args([name, "--gateway", gateway])
            .args(arguments);
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let said = Said { code: status.code(), stdout: text(stdout), stderr: text(stderr) };
        for secret in ["hunter2", "given-token"] {
            assert!(!said.stdout.contains(secret) && !said.stderr.contains(secret), "`{secret}` was shown");
        }
        said
    }

    /// Runs it for JSON, and checks what each check came to: `ok`, or what is given.
    #[track_caller]
    fn check(&self, gateway: &str, arguments: &[&str], code: i32, others: &[(&str, &str)]) -> Value {
        let said = self.run(gateway, &[&["--output", "json"], arguments].concat());
        assert_eq!(said.code, Some(code), "{}\n{}", said.stdout, said.stderr);
        let report: Value = serde_json::from_str(&said.stdout).unwrap();
        let schema: Value = serde_json::from_str(include_str!("../docs/output.schema.json")).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = schema.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let others: BTreeMap<&str, &str> = others.iter().copied().collect();
        let checks = report["checks"].as_array().unwrap();
        for name in others.keys() {
            assert!(checks.iter().any(|check| check["name"] == *name), "there is no check `{name}`");
        }
        for check in checks {
            let expected = others.get(check["name"].as_str().unwrap()).copied().unwrap_or("ok");
            assert_eq!(check["status"], expected, "{check}");
            let needs_help = ["warning", "failed"].contains(&expected);
            assert_eq!(check["help"].is_string(), needs_help, "{check}");
        }
        report
    }
}

fn message<'a>(report: &'a Value, name: &str) -> &'a str {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap()["message"].as_str().unwrap()
}

fn example_tenant() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tenant")
}

/// A simulator of the example tenant that lives as long as the runtime beside it.
fn simulator(behaviour: Behaviour) -> (Running, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let tenant = Tenant::open(&example_tenant(), None, false).unwrap();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    (runtime.block_on(Simulator::start(tenant, behaviour, listen)).unwrap(), runtime)
}

fn failing(on: Call, effect: Effect) -> Behaviour {
    Behaviour { fail_next: vec![Fault::on(on, effect)], ..Behaviour::default() }
}

fn refusing(code: u16, headers: &[(&str, &str)]) -> Effect {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Effect::Status { code, body: None, headers }
}

/// A server that answers `/auth` with a token and everything else with an empty list, with these further headers.
fn server_with(headers: &'static str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            // The form of a login is the only body; it ends in the words asked for here.
            let is_whole = |request: &[u8]| {
                let text = String::from_utf8_lossy(request).into_owned();
                text.contains("permissions=true") || text.ends_with("\r\n\r\n") && !text.starts_with("POST")
            };
            while !is_whole(&request) {
                match stream.read(&mut chunk) {
                    Ok(n_read @ 1..) => request.extend_from_slice(&chunk[..n_read]),
                    Ok(0) | Err(_) => break,
                }
            }
            let (kind, body) = if request.starts_with(b"POST /auth") {
                ("text/plain", "given-token")
            } else {
                ("application/json", "[]")
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
                 {headers}\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

const AFTER_NETWORK: [(&str, &str); 8] = [
    ("credentials", "not_checked"),
    ("permission", "not_checked"),
    ("list", "not_checked"),
    ("subscription", "not_checked"),
    ("clock", "not_checked"),
    ("throttling", "not_checked"),
    ("updates", "not_checked"),
    ("cache", "not_checked"),
];

const AFTER_LOGIN: [(&str, &str); 6] = [
    ("credentials", "failed"),
    ("permission", "not_checked"),
    ("list", "not_checked"),
    ("subscription", "not_checked"),
    ("updates", "not_checked"),
    ("cache", "not_checked"),
];

#[test]
fn all_is_well() {
    let (running, _runtime) = simulator(Behaviour::default());
    let place = Place::new();
    let report = place.check(&running.url(), &[], 0, &[]);
    assert_eq!(report["format_version"], 1);
    assert_eq!(report["command"], "doctor");
    assert_eq!(report["summary"]["failed"], 0);
    let names: Vec<&str> =
        report["checks"].as_array().unwrap().iter().filter_map(|check| check["name"].as_str()).collect();
    assert_eq!(
        names,
        [
            "configuration",
            "manifests",
            "network",
            "credentials",
            "permission",
            "list",
            "subscription",
            "clock",
            "throttling",
            "updates",
            "cache"
        ]
    );
    // The version without a login, a token, a page, and one more to see that it was the last.
    let calls: Vec<Call> = running.requests().iter().map(|request| request.call).collect();
    assert_eq!(calls, [Call::Version, Call::Auth, Call::List, Call::List]);
    assert_eq!(running.requests()[0].user, None);
    let told = &report["api"];
    assert_eq!((&told["version"], &told["auth"], &told["list"]), (&1.into(), &1.into(), &2.into()));
    assert_eq!(message(&report, "updates"), "the gateway merges, so updates carry only what changes");
}

#[test]
fn one_screen_for_people() {
    let place = Place::new();
    place.take_tenant();
    let said = place.run("sim:tenant", &["--max-wait", "90s"]);
    assert_eq!(said.code, Some(0), "{}\n{}", said.stdout, said.stderr);
    assert!(said.stderr.starts_with("cost: ") && said.stderr.lines().count() == 1, "{}", said.stderr);
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]");
    settings.add_filter(r"in \d+ ms", "in [N] ms");
    settings.add_filter(r"[0-9a-f]{8}\.cache", "[HASH].cache");
    settings.bind(|| {
        insta::assert_snapshot!(said.stdout, @r"
        ok       configuration  `sim:tenant`
                                flags: gateway sim:tenant, max-wait 1 min 30 s
                                file: owner acme, customer-id bc023fd7-4290-f28f-8181-95a46f519f52
                                defaults: config patchctl.yaml, jobs jobs.d, state-dir .patchctl, record stamps,
                                          tags 0, updates auto, console revert, page-size 1000, concurrency 8,
                                          call-timeout 1 min
        ok       manifests      1 manifest in jobs.d
        ok       network        `127.0.0.1:[PORT]` answered in [N] ms, without TLS, on this machine
        ok       credentials    the simulator's own login is accepted
        ok       permission     this login may list Windows jobs
        ok       list           11 Windows jobs in one page of 1000, and that is all
        ok       subscription   bc023fd7-4290-f28f-8181-95a46f519f52, as `customerId` says
        ok       clock          in step with the gateway's
        ok       throttling     no answer bore rate-limit headers; about 300 calls an hour for the whole subscription
                                is usual
        ok       updates        the gateway merges, so updates carry only what changes
        ok       cache          none yet; the next plan makes `.patchctl/cache/[HASH].cache`
        ok       simulator      `sim:tenant` is the embedded simulator: no call leaves this machine

        12 ok; 4 calls (1 auth, 2 list, 1 version).
        ");
    });
    assert!(said.stdout.lines().count() <= 24, "{}", said.stdout);
}

#[test]
fn every_setting_says_where_it_came_from() {
    let (running, _runtime) = simulator(Behaviour::default());
    let report = Place::new().check(&running.url(), &["--page-size", "7", "--concurrency", "2"], 0, &[]);
    let of = |name: &str| {
        let settings = report["settings"].as_array().unwrap();
        let setting = settings.iter().find(|setting| setting["name"] == name).unwrap();
        format!("{} from {}", setting["value"].as_str().unwrap(), setting["origin"].as_str().unwrap())
    };
    assert_eq!(of("gateway"), format!("{} from flag", running.url()));
    assert_eq!(of("page_size"), "7 from flag");
    assert_eq!(of("concurrency"), "2 from flag");
    assert_eq!(of("max_wait"), "15 min from default");
    assert_eq!(of("owner"), "acme from file");
    assert_eq!(of("customer_id"), format!("{CUSTOMER} from file"));
    assert_eq!(of("jobs"), "jobs.d from default");
    assert_eq!(of("QUALYS_USERNAME"), "simulator from environment");
    assert_eq!(of("QUALYS_PASSWORD"), "set from environment");
    // The flag reaches the gateway.
    let last = running.requests().pop().unwrap();
    assert!(last.query.contains("pageSize=7"), "{last:?}");
    assert_eq!(message(&report, "list"), "a full page of 7 Windows jobs: the page size is not capped");
}

#[test]
fn a_wrong_password() {
    let users = vec![Credentials::new("simulator", "right")];
    let (running, _runtime) = simulator(Behaviour { users, ..Behaviour::default() });
    let place = Place { password: "hunter2", ..Place::new() };
    let report = place.check(&running.url(), &[], 1, &AFTER_LOGIN);
    assert!(message(&report, "credentials").contains("refused the login of user `simulator`"), "{report}");
    // Once only, so that the account is not locked.
    let calls: Vec<Call> = running.requests().iter().map(|request| request.call).collect();
    assert_eq!(calls, [Call::Version, Call::Auth]);
}

#[test]
fn no_credentials_and_yet_a_look_at_the_network() {
    let (running, _runtime) = simulator(Behaviour::default());
    let place = Place { password: "", ..Place::new() };
    let report = place.check(&running.url(), &[], 1, &AFTER_LOGIN);
    assert_eq!(message(&report, "credentials"), "QUALYS_USERNAME is set and QUALYS_PASSWORD is not");
    assert_eq!(running.requests().len(), 1);
}

#[test]
fn nobody_listens() {
    // A port that was free a moment ago, and that nobody else is given so soon.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let gateway = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let expected = [&[("network", "failed")], &AFTER_NETWORK[..]].concat();
    let report = Place::new().check(&gateway, &[], 1, &expected);
    assert!(message(&report, "network").contains("no connection could be made"), "{report}");
    // Tried once: who asks does not want to wait.
    assert_eq!(report["api"]["version"], 1);
    assert_eq!(report["api"]["retries"], 0);
}

#[test]
fn an_answer_that_is_not_json() {
    let page = Fault::on(Call::List, Effect::NotJson).always();
    let (running, _runtime) = simulator(Behaviour { fail_next: vec![page], ..Behaviour::default() });
    let expected = [
        ("permission", "not_checked"),
        ("list", "failed"),
        ("subscription", "not_checked"),
        ("cache", "not_checked"),
    ];
    let report = Place::new().check(&running.url(), &["--max-wait", "0"], 1, &expected);
    assert!(message(&report, "list").contains("not JSON but `text/html"), "{report}");
}

#[test]
fn a_login_without_permission() {
    let (running, _runtime) = simulator(failing(Call::List, refusing(403, &[])));
    let expected = [
        ("permission", "failed"),
        ("list", "not_checked"),
        ("subscription", "not_checked"),
        ("cache", "not_checked"),
    ];
    Place::new().check(&running.url(), &[], 1, &expected);
}

#[test]
fn rate_limit_headers() {
    let gateway = server_with(
        "X-RateLimit-Limit: 300\r\nX-RateLimit-Window-Sec: 3600\r\nX-RateLimit-Remaining: 12\r\n",
    );
    let report = Place::new().check(&gateway, &[], 0, &[("list", "warning"), ("throttling", "warning")]);
    assert_eq!(message(&report, "throttling"), "300 calls allowed in 1 h, 12 left");
    let gateway = server_with("X-RateLimit-Limit: 300\r\nX-RateLimit-Remaining: 250\r\n");
    let report = Place::new().check(&gateway, &[], 0, &[("list", "warning")]);
    assert_eq!(message(&report, "throttling"), "300 calls allowed, 250 left");
}

#[test]
fn a_gateway_that_refuses_for_longer_than_allowed() {
    let (running, _runtime) = simulator(failing(Call::List, refusing(429, &[("Retry-After", "600")])));
    let expected = [
        ("permission", "not_checked"),
        ("list", "failed"),
        ("subscription", "not_checked"),
        ("throttling", "warning"),
        ("cache", "not_checked"),
    ];
    let report = Place::new().check(&running.url(), &["--max-wait", "1m"], 1, &expected);
    assert!(message(&report, "list").contains("would have to wait 10 min"), "{report}");
    assert_eq!(message(&report, "throttling"), "was told to wait 10 min");
}

#[test]
fn a_wait_is_told_where_there_is_no_terminal() {
    let (running, _runtime) = simulator(failing(Call::List, refusing(429, &[("Retry-After", "1")])));
    let said = Place::new().run(&running.url(), &["--quiet"]);
    assert_eq!(said.code, Some(0), "{}\n{}", said.stdout, said.stderr);
    let lines: Vec<&str> = said.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("note: the gateway asks to wait 1 s; it goes on at "), "{lines:?}");
}

#[test]
fn the_clocks() {
    let gateway = server_with("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    let report = Place::new().check(&gateway, &[], 0, &[("list", "warning"), ("clock", "warning")]);
    assert!(message(&report, "clock").contains("ahead of the gateway's"), "{report}");
}

#[test]
fn another_subscription() {
    let (running, _runtime) = simulator(Behaviour::default());
    let place = Place::new();
    place.configure("00000000-0000-4000-8000-000000000000");
    let report = place.check(&running.url(), &[], 1, &[("subscription", "failed")]);
    assert!(message(&report, "subscription").contains(CUSTOMER), "{report}");
}

#[test]
fn no_folder_with_manifests() {
    let (running, _runtime) = simulator(Behaviour::default());
    let report = Place::new().check(&running.url(), &["--jobs", "nowhere"], 1, &[("manifests", "failed")]);
    assert_eq!(message(&report, "manifests"), "there is no folder `nowhere`");
}

#[test]
fn a_server_that_caps_its_pages() {
    let (running, _runtime) =
        simulator(Behaviour { max_page_size: Some(4), first_page: 1, ..Behaviour::default() });
    let report = Place::new().check(&running.url(), &[], 0, &[]);
    let list = message(&report, "list");
    assert!(list.starts_with("the server gives 4 Windows jobs a page where 1000 were asked for"), "{list}");
    assert!(list.ends_with("pages count from 1"), "{list}");
    assert_eq!(report["api"]["list"], 3);
}

#[test]
fn a_configuration_that_can_not_be_read() {
    let place = Place::new();
    std::fs::write(place.folder.path().join("patchctl.yaml"), "getaway: x\n").unwrap();
    let expected = [
        &[("configuration", "failed"), ("manifests", "not_checked"), ("network", "not_checked")],
        &AFTER_NETWORK[..],
    ]
    .concat();
    let report = place.check("http://127.0.0.1:1", &[], 1, &expected);
    assert!(message(&report, "configuration").contains("patchctl.yaml:1:1: unknown field"), "{report}");
    assert_eq!(report["api"]["version"], 0);
}

#[test]
fn a_password_in_the_url_is_not_shown() {
    let expected = [&[("configuration", "failed"), ("network", "not_checked")], &AFTER_NETWORK[..]].concat();
    Place::new().check("https://anna:hunter2@gateway.example", &[], 1, &expected);
}

#[test]
fn what_a_plan_remembers() {
    let (running, _runtime) = simulator(Behaviour::default());
    let place = Place::new();
    let path = place.folder.path().join("jobs.d/servers.yaml");
    let manifest = std::fs::read_to_string(&path)
        .unwrap()
        .replace("name: Servers,", "name: \"Windows servers, weekly\",");
    std::fs::write(&path, manifest).unwrap();
    let planned = place.run_command("plan", &running.url(), &["--concurrency", "1"]);
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    let report = place.check(&running.url(), &[], 0, &[]);
    let cache = message(&report, "cache");
    assert!(
        cache.starts_with("1 job, oldest read ") && cache.contains(" kB in `.patchctl/cache/"),
        "{cache}"
    );
}

#[test]
fn a_cache_that_is_damaged() {
    let (running, _runtime) = simulator(Behaviour::default());
    let place = Place::new();
    let report = place.check(&running.url(), &[], 0, &[]);
    let path = message(&report, "cache").split('`').nth(1).unwrap().to_owned();
    let path = place.folder.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "not a cache\n").unwrap();
    let report = place.check(&running.url(), &[], 0, &[("cache", "warning")]);
    assert!(message(&report, "cache").contains("damaged"), "{report}");
}

#[test]
fn flags_out_of_range_are_wrong_usage() {
    let place = Place::new();
    for arguments in
        [["--page-size", "0"], ["--page-size", "10001"], ["--concurrency", "65"], ["--max-wait", "1d"]]
    {
        let said = place.run("http://127.0.0.1:1", &arguments);
        assert_eq!(said.code, Some(64), "{arguments:?}");
        assert!(said.stderr.contains(arguments[0]), "{}", said.stderr);
    }
}
