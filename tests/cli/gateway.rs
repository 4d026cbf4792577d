//! What goes wrong between here and the gateway: what was tried, what was not done, what to do.

use patchctl::simulator::{Call, Effect, Fault};
use serde_json::json;

use crate::support::{Repo, Server, counts, live_job, live_job_with};

fn setting() -> (Server, Repo) {
    (Server::of(vec![live_job(1, "job")]), Repo::with(&[("job", "  timeout: 5\n")]))
}

/// Runs `plan` and compares what is said on stderr; the host of the gateway stands as `HOST`.
#[track_caller]
fn check(server: &Server, repo: &Repo, expected: &str) {
    let ran = repo.run_at(server, &["plan"]).ends(1);
    assert_eq!(ran.stderr.replace(&server.host(), "HOST"), expected);
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_gateway_that_cannot_be_reached() {
    let repo = Repo::with(&[("job", "")]);
    // A port that was free a moment ago and that nobody listens on.
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let login = [("QUALYS_USERNAME", "u"), ("QUALYS_PASSWORD", "p")];
    let ran = repo.run_with(&login, &["plan", "--gateway", &format!("http://{free}")]).ends(1);
    assert_eq!(ran.stdout, "");
    crate::support::snapshot("unreachable", &ran.stderr.replace(&free.to_string(), "127.0.0.1:PORT0"));
}

#[test]
fn a_wrong_password_is_tried_once() {
    let (server, repo) = setting();
    for wrong in [("nobody", "simulator"), ("simulator", "hunter2")] {
        let login = [("QUALYS_USERNAME", wrong.0), ("QUALYS_PASSWORD", wrong.1)];
        let ran = repo.run_with(&login, &["plan", "--gateway", &server.url()]).ends(1);
        let ran = ran.complains(&format!("refused the login of user `{}` (HTTP 401", wrong.0));
        let ran = ran
            .complains("= help: check QUALYS_USERNAME and QUALYS_PASSWORD")
            .complains("nothing was changed");
        assert!(!ran.stderr.contains("hunter2"));
        assert_eq!(server.take_counts(), counts(&[("auth", 1)]));
    }
}

#[test]
fn a_token_is_used_as_given_and_named_when_refused() {
    let (server, repo) = setting();
    let token = [("QUALYS_TOKEN", "tok-en-of-mine")];
    let ran = repo.run_with(&token, &["plan", "--gateway", &server.url()]).ends(1);
    let ran = ran.complains("refused the token given in QUALYS_TOKEN (HTTP 401");
    assert!(!ran.stderr.contains("tok-en-of-mine"));
    assert_eq!(server.take_counts(), counts(&[("list", 1)]));
}

#[test]
fn credentials_that_are_missing_are_named() {
    let (server, repo) = setting();
    let url = server.url();
    let plan = ["plan", "--gateway", &url];
    repo.run(&plan).ends(1).complains("error: there are no credentials in the environment");
    repo.run_with(&[("QUALYS_USERNAME", "u")], &plan)
        .ends(1)
        .complains("error: QUALYS_USERNAME is set and QUALYS_PASSWORD is not");
    // An empty variable is one that is not set, as pipelines write it.
    repo.run_with(&[("QUALYS_TOKEN", ""), ("QUALYS_USERNAME", "")], &plan)
        .ends(1)
        .complains("there are no credentials");
    assert_eq!(server.take_counts(), counts(&[]));
}

#[test]
fn an_answer_that_is_not_json() {
    let (server, repo) = setting();
    // A page that was put up for a moment: a read and a login are asked for again.
    let page = |call| Fault::on(call, Effect::NotJson);
    let pages = [Call::Auth, Call::List, Call::Get].map(page);
    server.change(|behaviour| behaviour.fail_next.extend(pages));
    let ran = repo.run_at(&server, &["plan"]).ends(0);
    ran.says("3 of them retries");

    // One that stays; without time to wait there is one try.
    let plan = ["plan", "--refresh", "--max-wait", "0"];
    let page = |call| page(call).always();
    server.change(|behaviour| behaviour.fail_next = vec![page(Call::Get)]);
    let ran = repo.run_at(&server, &plan).ends(1);
    crate::support::snapshot("not-json", &ran.stderr.replace(&server.host(), "127.0.0.1:PORT0"));
    assert_eq!(ran.stdout, "");

    server.change(|behaviour| behaviour.fail_next = vec![page(Call::List)]);
    let ran = repo.run_at(&server, &plan).ends(1);
    ran.complains("the list of Windows jobs could not be read to its end");

    server.change(|behaviour| behaviour.fail_next = vec![page(Call::Auth)]);
    repo.run_at(&server, &plan).ends(1).complains("answered the login with something that is not a token");
}

#[test]
fn a_list_that_broke_off_plans_nothing() {
    let (server, repo) = setting();
    let refused = Effect::Status { code: 400, body: None, headers: Default::default() };
    let plan_with = |faults: Vec<Fault>| {
        server.change(|behaviour| behaviour.fail_next = faults);
        let ran = repo.run_at(&server, &["plan"]).ends(1).complains("could not be read to its end");
        assert_eq!(ran.stdout, "");
        assert_eq!(server.take_counts().get("get"), None);
    };
    // The first page was answered and more could have followed.
    let page = Effect::Status { code: 200, body: Some(r#"[{"id":"x"}]"#.to_owned()), headers: json_type() };
    plan_with(vec![Fault::on(Call::List, page), Fault::on(Call::List, refused.clone())]);
    // The first page was refused twice and the second is empty: the job was not seen, which does not say that it is not there.
    plan_with(vec![Fault::on(Call::List, refused.clone()), Fault::on(Call::List, refused).nth(3)]);
}

fn json_type() -> std::collections::BTreeMap<String, String> {
    [("content-type".to_owned(), "application/json".to_owned())].into()
}

#[test]
fn a_job_that_vanished_between_list_and_read_is_blocked() {
    let (server, repo) = setting();
    let gone = Effect::Status { code: 404, body: None, headers: Default::default() };
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Get, gone)));
    let ran = repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(3);
    // It was bound by its name: there is no `metadata.id` to speak of.
    let ran = ran.says(&format!("! blocked job  \"job\" (Windows)\n    jobs.d/job.yaml:4: the live job {} was listed, and is gone now", crate::support::id(1)));
    assert!(!ran.stdout.contains("metadata.id"), "{}", ran.stdout);
}

#[test]
fn a_refused_token_is_replaced_once() {
    let (server, repo) = setting();
    let refused = || Effect::Status { code: 401, body: None, headers: Default::default() };
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Get, refused())));
    repo.run_at(&server, &["plan"]).ends(0).keeps_quiet();
    assert_eq!(server.take_counts(), counts(&[("auth", 2), ("list", 2), ("get", 2)]));
}

#[test]
fn another_subscription_stops_the_run() {
    let (server, repo) = setting();
    let mine = "11111111-2222-4333-8444-555555555555";
    repo.write("patchctl.yaml", format!("owner: team\ncustomerId: {mine}\n"));
    check(
        &server,
        &repo,
        &format!(
            "error: this gateway answers for the subscription {}, and `customerId` is {mine}\n  \
             = help: wrong gateway or wrong login; nothing was changed\n",
            crate::support::CUSTOMER
        ),
    );
    let ran = repo.run_at(&server, &["apply", "--auto-approve"]).ends(1);
    assert_eq!(ran.stdout, "");
    assert_eq!(server.take_counts(), counts(&[("auth", 2), ("list", 4)]));
    // The right one, in other letters.
    repo.write("patchctl.yaml", format!("customerId: {}\n", crate::support::CUSTOMER.to_uppercase()));
    repo.run_at(&server, &["plan"]).ends(0);
}

#[test]
fn a_job_of_another_subscription_stops_the_run_where_rows_do_not_tell() {
    let other = json!({"customerId": "99999999-2222-4333-8444-555555555555"});
    let server = Server::of(vec![live_job(1, "job"), live_job_with(2, "foreign", other)]);
    let repo = Repo::with(&[("job", "")]);
    repo.write("patchctl.yaml", format!("customerId: {}\n", crate::support::CUSTOMER));
    repo.run_at(&server, &["plan"]).ends(1).complains("answers for the subscription 99999999-");
}

#[test]
fn credentials_go_only_where_the_caller_says() {
    let (server, repo) = setting();
    let login = [("QUALYS_USERNAME", "simulator"), ("QUALYS_PASSWORD", "simulator")];
    // Named in a file that a pull request can change: a host that is not Qualys gets nothing.
    repo.write("patchctl.yaml", "gateway: https://gateway.example.com\n");
    let ran = repo.run_with(&login, &["plan"]).ends(1);
    assert_eq!(
        ran.stderr,
        "error: the configuration file names the gateway `gateway.example.com`, which is not a documented Qualys \
         host, so the credentials of the environment are not sent there\n  \
         = help: if the host is right, name it with --gateway or QUALYS_GATEWAY_URL, where a pull request cannot \
         change it\n"
    );
    repo.write("patchctl.yaml", format!("gateway: {}\n", server.url()));
    let ran = repo.run_with(&login, &["plan"]);
    // This machine is no documented host either.
    ran.ends(1).complains("not a documented Qualys host");
    assert_eq!(server.take_counts(), counts(&[]));
    // The environment is the caller's own, and wins over the file.
    let named = [login[0], login[1], ("QUALYS_GATEWAY_URL", &server.url())];
    repo.run_with(&named, &["plan"]).ends(0).says(&format!("Read from {}", server.host()));
}

#[test]
fn a_gateway_that_cannot_be_meant() {
    let repo = Repo::with(&[("job", "")]);
    let login = [("QUALYS_USERNAME", "u"), ("QUALYS_PASSWORD", "p")];
    let plan = |gateway: &str| repo.run_with(&login, &["plan", "--gateway", gateway]).ends(1).stderr;
    assert_eq!(
        plan("http://gateway.qg2.apps.qualys.com"),
        "error: the gateway `gateway.qg2.apps.qualys.com` would be spoken to over `http`, which is allowed only to \
         this machine\n  = help: use `https://gateway.qg2.apps.qualys.com`\n"
    );
    assert!(plan("gateway.qg2.apps.qualys.com").starts_with("error: the gateway is not a URL ("));
    let with_password = plan("https://me:hunter2@gateway.qg2.apps.qualys.com");
    assert!(with_password.contains("holds a user name or password") && !with_password.contains("hunter2"));
    assert!(plan("https://gateway.qg2.apps.qualys.com/?a=b").contains("has a query or a fragment"));
    assert!(plan("ftp://127.0.0.1").contains("would be spoken to over `ftp`"));
    let nowhere = repo.run(&["plan"]).ends(1).stderr;
    assert!(nowhere.starts_with("error: no gateway is named\n  = help: give --gateway"), "{nowhere}");
}

#[test]
fn a_tenant_that_is_not_there() {
    let repo = Repo::with(&[("job", "")]);
    let ran = repo.run(&["plan", "--gateway", "sim:nowhere"]).ends(1);
    crate::support::snapshot("no-tenant", &ran.stderr);
    repo.write("tenant/damaged.json", "[1, ");
    repo.run(&["plan", "--gateway", "sim:tenant"]).ends(1).complains("is not a usable file of jobs");
}

#[test]
fn what_the_server_says_cannot_steer_the_terminal() {
    let (server, repo) = setting();
    let hostile = Effect::Status {
        code: 400,
        body: Some("\u{1b}]0;owned\u{7}\u{1b}[31mred\u{202e}".to_owned()),
        headers: Default::default(),
    };
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Get, hostile)));
    let ran = repo.run_at(&server, &["plan"]).ends(1);
    assert!(!ran.stderr.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{:?}", ran.stderr);

    let name = "\u{1b}[31mred\u{7}";
    let id = crate::support::id(1);
    let server = Server::of(vec![live_job_with(1, "job", json!({"dynamicPatchesQQL": name}))]);
    let manifest = "  dynamicPatchesQQL: plain\n";
    repo.write(
        "jobs.d/job.yaml",
        crate::support::manifest("job", manifest).replace("spec:", &format!("  id: {id}\nspec:")),
    );
    let ran = repo.run_at(&server, &["plan"]).ends(0);
    assert!(!ran.stdout.contains(['\u{1b}', '\u{7}']), "{:?}", ran.stdout);
}

/// A file that says nothing is a mistake, also where no certificate is needed.
#[test]
fn a_certificate_file_that_holds_none() {
    let (server, repo) = setting();
    repo.write("ca.der", b"0\x82\x01\x22not text");
    repo.write("empty.pem", "");
    repo.write("notes.pem", "our authority is in the other file\n");
    repo.write("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (name, problem) in [
        ("ca.der", "holds no certificate in PEM form"),
        ("empty.pem", "holds no certificate in PEM form"),
        ("notes.pem", "holds no certificate in PEM form"),
        ("bad.pem", "holds a damaged certificate"),
    ] {
        let ran = repo.run_at(&server, &["plan", "--cacert", name]).ends(1);
        ran.complains(&format!(
            "error: `{name}` {problem}, and --cacert takes a PEM file with at least one\n"
        ))
        .complains("= help: a PEM file holds lines `-----BEGIN CERTIFICATE-----`");
    }
    repo.run_at(&server, &["doctor", "--cacert", "ca.der"]).ends(1);
    assert_eq!(server.take_counts(), counts(&[]), "nothing is asked for before");
}
