//! The control surface over HTTPS: the same words as at the socket, for whoever shows a token or a certificate, and nothing for
//! anybody else. The engine is the program, its port is real, and what is said to it wrongly is said byte by byte.
#![cfg(feature = "embedded-venue")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use linchpin::control::VERBS;
use linchpin::net::Endpoint;
use linchpin::net::http::{HttpClient, HttpError, HttpOptions, HttpRequest, HttpResponse, Method};
use linchpin::net::tls::{Identity, TlsClient, TlsTrust};
use rcgen::ExtendedKeyUsagePurpose;
use serde_json::Value;
use support::certificates::{Authority, secret};
use support::{PATIENCE, Running, Told, linchpin, records, run, session};

const TOKEN: &str = "b7c0ffee-0123456789-abcdef-0123456789";

/// A desk with certificates, a token and a configuration that has both ways to be known.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let house = Authority::new(here, "house");
    house.sign(here, "engine", ExtendedKeyUsagePurpose::ServerAuth);
    Authority::new(here, "people").sign(here, "person", ExtendedKeyUsagePurpose::ClientAuth);
    Authority::new(here, "strangers").sign(here, "stranger", ExtendedKeyUsagePurpose::ClientAuth);
    secret(here, "token", &format!("{TOKEN}\n"));
    secret(here, "wrong-token", &TOKEN.replace('7', "8"));
    std::fs::write(
        here.join("desk.toml"),
        configuration("token = \"file:token\"\nclient_ca = \"people.pem\""),
    )
    .expect("written");
    folder
}

fn configuration(known_by: &str) -> String {
    format!(
        "mode = \"DEMO\"\n[control.https]\nlisten = \"127.0.0.1:0\"\ncertificate = \"engine.pem\"\nkey = \"engine-key.pem\"\n{known_by}\n"
    )
}

struct Desk {
    folder: tempfile::TempDir,
    engine: Running,
    /// `https://127.0.0.1:PORT`
    url: String,
}

impl Desk {
    fn open() -> Self {
        Self::of(prepared())
    }

    fn of(folder: tempfile::TempDir) -> Self {
        let words = ["run", "--config", "desk.toml", "--home", "home", "--duration", "none", "--no-verify"];
        let mut engine = Running::start(linchpin(folder.path(), &words));
        let line = engine.wait_for("its HTTPS port", |line| line.starts_with("control https://"));
        let url = line.trim_start_matches("control ").trim_end_matches("/control").to_owned();
        Self { folder, engine, url }
    }

    fn here(&self) -> &Path {
        self.folder.path()
    }

    fn ctl(&self, shown: &[&str], words: &[&str]) -> Told {
        run(self.here(), &[&["ctl", "--url", &self.url, "--ca", "house.pem"], shown, words].concat())
    }

    #[track_caller]
    fn answer(&self, shown: &[&str], words: &[&str]) -> Value {
        let told = self.ctl(shown, &[words, &["--json"]].concat());
        serde_json::from_str(&told.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}\n{told}"))
    }

    fn client(&self, identity: Option<&str>) -> HttpClient {
        let tls = TlsClient::new(&TlsTrust::CaFile(self.here().join("house.pem"))).expect("trust");
        let options = HttpOptions { total_timeout: PATIENCE, ..HttpOptions::default() };
        match identity {
            None => HttpClient::new(Some(&tls), options),
            Some(name) => {
                let file = |end: &str| self.here().join(format!("{name}{end}.pem"));
                let identity = Identity::read(&file(""), &file("-key")).expect("an identity");
                HttpClient::with_identity(&tls, &identity, options)
            }
        }
    }

    fn send(
        &self,
        client: &mut HttpClient,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<HttpResponse, HttpError> {
        let endpoint: Endpoint = format!("{}{path}", self.url).parse().expect("an address");
        client.send(&HttpRequest { method, endpoint: &endpoint, headers, body })
    }

    /// What the engine said, and the folder that it leaves.
    fn stop(self) -> (Told, tempfile::TempDir) {
        self.ctl(TOKEN_FILE, &["stop", "--reason", "the test is over"]).expect_code(0).says("stopped");
        (self.engine.ended().expect_code(0), self.folder)
    }
}

const TOKEN_FILE: &[&str] = &["--token-file", "token"];
const CERTIFICATE: &[&str] = &["--cert", "person.pem", "--key", "person-key.pem"];
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn error_of(response: &HttpResponse) -> (u16, String) {
    let answer: Value = serde_json::from_slice(&response.body).expect("JSON");
    (response.status, answer["error"].as_str().unwrap_or("none").to_owned())
}

#[test]
fn token_and_certificate_have_the_same_verbs_and_answers_as_the_socket() {
    let desk = Desk::open();
    for shown in [TOKEN_FILE, CERTIFICATE] {
        for row in VERBS.iter().filter(|row| row.arguments.is_empty()) {
            let over_https = desk.answer(shown, &[row.name]);
            let at_socket = run(desk.here(), &["ctl", "--home", "home", row.name, "--json"]).expect_code(0);
            let at_socket: Value = serde_json::from_str(&at_socket.stdout).expect("JSON");
            let members = |answer: &Value| -> Vec<String> {
                answer.as_object().expect("an object").keys().cloned().collect()
            };
            assert_eq!(members(&over_https), members(&at_socket), "{}", row.name);
            assert_eq!(over_https["ok"], true, "{}: {over_https}", row.name);
        }
    }
    let set = desk.answer(CERTIFICATE, &["set", "instrument.BTCUSDT.max_open_orders", "6"]);
    assert_eq!((&set["ok"], &set["new"]), (&true.into(), &6.into()), "{set}");
    let killed = desk.answer(TOKEN_FILE, &["kill", "--reason", "from afar"]);
    assert_eq!((&killed["confirmed"], &killed["persisted"]), (&true.into(), &true.into()), "{killed}");
    desk.ctl(TOKEN_FILE, &["reset-kill", "--reason", "looked"]).expect_code(0);
    // Refusals of the engine keep their words and exit codes.
    desk.ctl(TOKEN_FILE, &["reset-kill", "--reason", "again"])
        .expect_code(1)
        .complains(&["nothing to reset"]);
    desk.ctl(TOKEN_FILE, &["set", "instrument.BTCUSDT.max_position", "lots"])
        .expect_code(2)
        .complains(&["max_position"]);

    let (told, folder) = desk.stop();
    let journal = session(&folder.path().join("home"));
    // Who asked stands in the journal; how they were known does too, and the token does not.
    let notes: String = records(&journal)
        .1
        .iter()
        .map(|record| String::from_utf8_lossy(&record.payload).into_owned())
        .collect();
    assert!(notes.contains("https 127.0.0.1:") && notes.contains(" token\""), "by token");
    assert!(notes.contains(" certificate "), "by certificate");
    let log = std::fs::read_to_string(journal.join("log.jsonl")).expect("a log");
    for text in [&notes, &log, &told.stdout, &told.stderr] {
        assert!(!text.contains(TOKEN), "a token is nobody's to read");
    }
}

#[test]
fn who_shows_nothing_or_something_else_is_not_heard() {
    let desk = Desk::open();
    let mut nobody = desk.client(None);
    let kill = br#"{"verb":"kill","reason":"not mine to ask"}"#;
    let mut with = |headers: &[(&str, &str)]| {
        let response = desk.send(&mut nobody, Method::Post, "/control", headers, kill).expect("an answer");
        assert_eq!(response.header("WWW-Authenticate"), Some("Bearer realm=\"linchpin\""));
        error_of(&response)
    };
    let refused = (401, "not_allowed".to_owned());
    assert_eq!(with(&[JSON]), refused);
    for wrong in [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic dXNlcjpwYXNz",
        TOKEN,
        &format!("Bearer {TOKEN}x"),
        &format!("Bearer {}", &TOKEN[1..]),
    ] {
        assert_eq!(with(&[JSON, ("Authorization", wrong)]), refused, "{wrong:?}");
    }
    desk.ctl(&["--token-file", "wrong-token"], &["kill", "--reason", "x"])
        .expect_code(1)
        .complains(&["this is not the token"]);
    // A certificate of another authority ends the handshake.
    let stranger = desk.send(&mut desk.client(Some("stranger")), Method::Post, "/control", &[JSON], kill);
    assert!(stranger.is_err(), "{stranger:?}");
    // Nor does the engine's word count where its certificate is not known.
    run(desk.here(), &["ctl", "--url", &desk.url, "--ca", "people.pem", "--token-file", "token", "status"])
        .expect_code(5)
        .complains(&["no engine answers", "certificate"]);
    assert_eq!(desk.answer(TOKEN_FILE, &["status"])["control"]["kill"], Value::Null, "nobody was heard");
    desk.stop();
}

#[test]
fn what_is_no_request_is_answered_clearly_and_no_verb_sends_an_order() {
    let desk = Desk::open();
    let bearer = format!("Bearer {TOKEN}");
    let known: &[(&str, &str)] = &[JSON, ("Authorization", &bearer)];
    let big = format!("{{\"verb\":\"status\",\"reason\":\"{}\"}}", "x".repeat(1 << 20));
    for (method, path, headers, body, expected) in [
        (Method::Get, "/control", known, &b""[..], (405, "bad_request")),
        (Method::Put, "/control", known, b"{}", (405, "bad_request")),
        (Method::Post, "/", known, br#"{"verb":"status"}"#, (404, "bad_request")),
        (Method::Post, "/control/../etc/passwd", known, b"{}", (404, "bad_request")),
        (Method::Post, "/control", &known[1..], br#"{"verb":"status"}"#, (415, "bad_request")),
        (Method::Post, "/control", known, b"", (400, "bad_request")),
        (Method::Post, "/control", known, b"[1,2]", (400, "bad_request")),
        (Method::Post, "/control", known, b"\xff\xfe", (400, "bad_request")),
        (Method::Post, "/control", known, big.as_bytes(), (413, "too_long")),
        (Method::Post, "/control", known, br#"{"verb":"buy","quantity":"1"}"#, (400, "bad_request")),
        (Method::Post, "/control", known, br#"{"verb":"buy"}"#, (400, "unknown_verb")),
        (Method::Post, "/control", known, br#"{"verb":"order.place"}"#, (400, "unknown_verb")),
        (Method::Post, "/control", known, br#"{"verb":"kill"}"#, (400, "bad_argument")),
        (Method::Post, "/control", known, br#"{"verb":"status"}"#, (200, "none")),
    ] {
        let response = desk.send(&mut desk.client(None), method, path, headers, body).expect("an answer");
        assert_eq!(error_of(&response), (expected.0, expected.1.to_owned()), "{method:?} {path}");
    }
    // Two requests on one connection: the second is heard as the first.
    let mut client = desk.client(None);
    for _ in 0..2 {
        let response = desk
            .send(&mut client, Method::Post, "/control", known, br#"{"verb":"gates"}"#)
            .expect("an answer");
        assert_eq!(response.status, 200);
    }
    desk.stop();
}

#[test]
fn plain_slow_and_many_clients_keep_nobody_from_the_kill_switch() {
    let desk = Desk::open();
    let address = desk.url.trim_start_matches("https://").to_owned();
    let connect = || TcpStream::connect(&address).expect("a connection");
    let mut plain = connect();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("written");
    let mut said = String::new();
    plain.read_to_string(&mut said).expect("an answer, and the end");
    assert!(said.starts_with("HTTP/1.1 400 ") && said.contains("this port speaks HTTPS"), "{said}");

    // Many that say nothing, and some that begin a handshake and do not go on.
    let silent: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
    let halves: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut half = connect();
            half.write_all(&[22, 3, 1, 2, 0, 1]).expect("half a handshake");
            half
        })
        .collect();
    let begun = Instant::now();
    let killed = desk.answer(TOKEN_FILE, &["kill", "--reason", "a crowd"]);
    assert_eq!(killed["ok"], true, "{killed}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    // The socket is another door: the crowd at this one does not stand there.
    run(desk.here(), &["ctl", "--home", "home", "status"]).expect_code(0).says("KILLED");
    // A client that is slow is shown out without help from a newcomer.
    for mut half in halves {
        half.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut rest = Vec::new();
        let _ = half.read_to_end(&mut rest);
    }
    drop(silent);
    desk.stop();
}

#[test]
fn a_door_that_cannot_be_trusted_does_not_open() {
    let folder = prepared();
    let here = folder.path();
    let refused = |known_by: &str, code: i32, words: &[&str]| {
        std::fs::write(here.join("desk.toml"), configuration(known_by)).expect("written");
        let told =
            run(here, &["run", "--config", "desk.toml", "--home", "home", "--duration", "1s", "--no-verify"]);
        told.expect_code(code).complains(words);
    };
    refused("", 2, &["control.https.token", "somebody must be known"]);
    refused("token = \"b7c0ffee0123456789\"", 2, &["control.https.token", "env:VARIABLE"]);
    refused("token = \"file:absent\"", 1, &["control.https.token", "cannot read absent"]);
    secret(here, "short", "1234");
    refused("token = \"file:short\"", 1, &["control.https.token", "has 4 characters"]);
    std::fs::set_permissions(here.join("token"), std::fs::Permissions::from_mode(0o644)).expect("public");
    refused("token = \"file:token\"", 1, &["control.https.token", "can be read by others", "chmod 600"]);
    std::fs::set_permissions(here.join("token"), std::fs::Permissions::from_mode(0o600)).expect("private");
    std::fs::set_permissions(here.join("engine-key.pem"), std::fs::Permissions::from_mode(0o640))
        .expect("public");
    refused("token = \"file:token\"", 1, &["control.https.key", "can be read by others"]);
    std::fs::set_permissions(here.join("engine-key.pem"), std::fs::Permissions::from_mode(0o600))
        .expect("private");
    refused("client_ca = \"token\"", 1, &["control.https", "token", "holds no certificate"]);
    for address in ["0.0.0.0:7443", "192.0.2.1:7443", "[::]:7443"] {
        let text = configuration("token = \"file:token\"").replace("127.0.0.1:0", address);
        std::fs::write(here.join("desk.toml"), text).expect("written");
        run(here, &["check", "desk.toml"]).expect_code(2).complains(&[
            "control.https.listen",
            address,
            "no loopback address",
        ]);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let text = configuration("token = \"file:token\"").replace("127.0.0.1:0", &address);
    std::fs::write(here.join("desk.toml"), text).expect("written");
    run(here, &["run", "--config", "desk.toml", "--home", "home", "--duration", "1s", "--no-verify"])
        .expect_code(1)
        .complains(&["cannot open the control port", &address]);
}

#[test]
fn a_command_line_that_cannot_be_meant_is_refused_with_what_is_missing() {
    let folder = prepared();
    let ctl = |words: &[&str]| run(folder.path(), &[&["ctl"], words].concat());
    let url = "https://127.0.0.1:1";
    for (words, says) in [
        (&["--url", url, "--home", "home", "status"][..], "cannot be used with"),
        (&["--url", url, "status"], "--url needs --token-file FILE, or --cert FILE with --key FILE"),
        (&["--url", "http://127.0.0.1:1", "--token-file", "token", "status"], "expected https://HOST:PORT"),
        (&["--url", "127.0.0.1:1", "--token-file", "token", "status"], "--url"),
        (&["--url", url, "--cert", "person.pem", "status"], "--cert needs its private key"),
        (&["--url", url, "--key", "person-key.pem", "status"], "--key needs its certificate"),
        (&["--url", url, "--token-file", "absent", "status"], "cannot read absent"),
        (&["--url", url, "--ca", "absent", "--token-file", "token", "status"], "absent"),
        (&["--token-file", "token", "status"], "--token-file is for the HTTPS port"),
    ] {
        ctl(words).expect_code(2).complains(&[says]);
    }
    ctl(&["--url", url, "--ca", "house.pem", "--token-file", "token", "status"])
        .expect_code(5)
        .complains(&["no engine answers"]);
}
