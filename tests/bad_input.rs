//! Everything that a user can get wrong: each mistake gives one clear message that names the thing, a failing exit code, and
//! loses nothing that was there before.
#![cfg(feature = "embedded-venue")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use linchpin::journal::journal_folder;
use linchpin::journal::layout::{CLOSING_PAYLOAD_SIZE, HEADER_SIZE, RECORD_HEADER_SIZE, header_at};
use support::{
    Dice, Kept, Running, linchpin, records, replay, run, segments, session, sessions, write_journal,
};

/// Wrong from the start: code 2, and not even a folder was made.
#[test]
fn a_wrong_command_line_names_the_flag_and_what_is_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, words) in [
        (&["--colour", "blue"][..], &["--colour"][..]),
        (&["run", "--duraton", "3s"], &["--duraton", "--duration"]),
        (&["run", "--duration", "soon"], &["'soon'", "--duration", "\"10s\""]),
        (&["run", "--duration", "0s"], &["'0s'", "--duration", "from \"1s\""]),
        (&["run", "--speed", "0"], &["'0'", "--speed", "max"]),
        (&["run", "--speed", "2"], &["--speed", "agents"]),
        (&["run", "--seed", "x"], &["'x'", "--seed"]),
        (&["run", "--mode", "PROD"], &["'PROD'", "--mode", "TESTNET"]),
        (&["run", "--market", "moon"], &["'moon'", "--market", "recording:FILE"]),
        (&["run", "--market", "recording:"], &["--market", "recording:FILE"]),
        (&["run", "--market", "recording:/no/such.gz"], &["/no/such.gz", "No such file"]),
        (&["run", "--config", "none.toml"], &["none.toml", "No such file"]),
        (&["rpelay", "x"], &["rpelay", "replay"]),
        (&["check"], &["<FILE>"]),
        (&["check", "none.toml"], &["none.toml", "No such file"]),
        (&["replay"], &["<SESSION>"]),
        (&["account", "--venue", "moon"], &["--venue", "\"moon\"", "demo"]),
        (&["account", "--config", "none.toml"], &["none.toml", "No such file"]),
        (&["symbols", "--mode", "PROD"], &["'PROD'", "--mode", "TESTNET"]),
        (&["ctl", "--json"], &["requires a subcommand", "kill"]),
        (&["ctl", "buy"], &["'buy'"]),
        (&["ctl", "kil", "--reason", "r"], &["'kil'", "'kill'"]),
        (&["ctl", "kill"], &["--reason <REASON>"]),
        (&["ctl", "kill", "--reason", ""], &["kill: a reason is needed, and this one is empty"]),
        (&["run", "--reset-kill", " "], &["--reset-kill", "a reason is needed"]),
        (&["run", "--seed", "abc"], &["'abc'", "--seed", "whole number from 0"]),
        (&["run", "--seed", "-1"], &["'-1'", "--seed", "whole number from 0"]),
        (&["ctl", "kill", "--reason", "a\nb"], &["control character"]),
        (&["ctl", "kill", "--reason", "r", "--mode", "nuke"], &["\"nuke\"", "block, cancel and flatten"]),
        (&["ctl", "reset-kill"], &["--reason <REASON>"]),
        (&["ctl", "set", "instrument.BTCUSDT.collar"], &["<VALUE>"]),
        (&["ctl", "enable", "now"], &["'now'"]),
        (&["ctl", "status", "--timeout", "soon"], &["'soon'", "--timeout", "\"10s\""]),
        (&["ctl", "status", "--home", "a", "--socket", "b"], &["--home", "--socket"]),
        (&["ctl", "watch", "--every", "0s"], &["'0s'", "--every"]),
    ] {
        let told = run(folder.path(), arguments).expect_code(2);
        told.complains(words);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing was made");
}

#[test]
fn a_socket_where_no_engine_answers_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let nobody = &["no engine answers at", "ctl.sock"][..];
    run(here, &["ctl", "status"]).expect_code(5).complains(nobody);
    run(here, &["ctl", "--home", "elsewhere", "kill", "--reason", "r"]).expect_code(5).complains(nobody);
    fs::write(here.join("file"), "").expect("writes");
    run(here, &["ctl", "--socket", "file", "status"]).expect_code(5).complains(&["file"]);
    // What a dead engine left behind.
    drop(std::os::unix::net::UnixListener::bind(here.join("dead")).expect("binds"));
    run(here, &["ctl", "--socket", "dead", "status"]).expect_code(5).complains(&["dead"]);
    // Somebody who takes the call and says nothing, or no JSON.
    let listener = std::os::unix::net::UnixListener::bind(here.join("odd")).expect("binds");
    let odd = std::thread::spawn(move || {
        let (silent, _) = listener.accept().expect("a call");
        let (mut talker, _) = listener.accept().expect("a call");
        std::io::Write::write_all(&mut talker, b"hello\n").expect("written");
        (silent, talker)
    });
    let silent = run(here, &["ctl", "--socket", "odd", "--timeout", "200ms", "status"]);
    silent.expect_code(5).complains(&["odd", "no answer within 0.2 s"]);
    run(here, &["ctl", "--socket", "odd", "status"]).expect_code(5).complains(&["odd", "no JSON"]);
    drop(odd.join());
}

#[test]
fn a_wrong_setting_is_refused_by_name_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let words = ["run", "--home", "var", "--duration", "none", "--no-verify"];
    let mut engine = Running::start(linchpin(here, &words));
    engine.wait_for("the control socket", |line| line.starts_with("control "));
    for (key, value, words) in [
        ("max_position", "1", &["no key \"max_position\"", "instrument.SYMBOL.KEY"][..]),
        ("instrument.DOGEUSDT.max_position", "1", &["no instrument \"DOGEUSDT\"", "BTCUSDT"]),
        ("instrument.BTCUSDT.max_postion", "1", &["max_postion", "did you mean \"max_position\""]),
        ("instrument.BTCUSDT.max_position", "much", &["max_position", "\"much\"", "decimal"]),
        ("instrument.BTCUSDT.max_position", "0.00001", &["lots of 0.001"]),
        ("instrument.BTCUSDT.max_position", "-1", &["max_position", "\"-1\""]),
        ("instrument.BTCUSDT.collar", "2", &["collar", "percent"]),
        ("strategy.mkaer.max_open_orders", "1", &["no strategy \"mkaer\"", "maker"]),
        ("strategy.maker.max_open_orders", "1.5", &["max_open_orders", "whole number"]),
        ("strategy.maker.max_open_orders", "none", &["max_open_orders"]),
    ] {
        run(here, &["ctl", "set", key, value]).expect_code(2).complains(words);
    }
    run(here, &["ctl", "reset-kill", "--reason", "r"]).expect_code(1).complains(&["nothing to reset"]);
    run(here, &["ctl", "stop"]).expect_code(0);
    engine.ended().expect_code(0);
    let session = session(&here.join("var"));
    let (_, kept) = records(&session);
    let notes = kept.iter().filter(|record| record.kind == linchpin::core::record::RecordKind::Note);
    assert_eq!(notes.count(), 2, "only the drain and the stop of the run itself");
}

#[test]
fn a_wrong_configuration_names_file_line_key_and_the_nearest_name() {
    let folder = tempfile::tempdir().expect("a folder");
    for (text, words) in [
        (
            "mode = \"DEMO\"\n[run]\nduratoin = \"3s\"\n",
            &["my.toml:3", "run.duratoin", "did you mean `duration`"][..],
        ),
        ("mode = \"DEMO\"\n[run]\nhome = 5\n", &["my.toml:3", "run.home = 5", "a path"]),
        ("mode = \"DEMO\"\n[threads]\nlayout = \"wide\"\n", &["my.toml:3", "threads.layout", "\"merged\""]),
        ("mode = \"DEMO\"\n[run\n", &["my.toml:2", "not TOML"]),
        ("mode = \"DMEO\"\n", &["my.toml:1", "mode", "\"DEMO\""]),
        ("mode = \"LIVE\"\n", &["my.toml", "LIVE"]),
        ("", &["my.toml", "[[venue]]", "DRY_RUN"]),
    ] {
        fs::write(folder.path().join("my.toml"), text).expect("writes");
        for verb in [&["check", "my.toml"][..], &["run", "--config", "my.toml"]] {
            run(folder.path(), verb).expect_code(2).complains(words);
        }
    }
    fs::write(folder.path().join("my.toml"), b"\xff\xfe").expect("writes");
    run(folder.path(), &["check", "my.toml"]).expect_code(2).complains(&["my.toml", "UTF-8"]);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing was made");
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "precious").expect("writes");
    run(folder.path(), &["run", "--home", "file"]).expect_code(1).complains(&["file/sessions"]);
    assert_eq!(fs::read(folder.path().join("file")).expect("still there"), b"precious");
    run(folder.path(), &["run", "--home", "/proc/nowhere"]).expect_code(1).complains(&["/proc/nowhere"]);
}

#[test]
fn a_taken_port_and_other_mistakes_of_the_venue_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    run(folder.path(), &["venue", "--port", &port]).complains(&[&format!("port {port} is taken")]);
    run(folder.path(), &["venue", "--market", "recording:none.gz"]).complains(&["none.gz"]);
}

/// What a recording is made of, for the tests that damage one.
fn tape(lines: usize) -> Vec<String> {
    let snapshot = r#"{"lastUpdateId":100,"E":1723161256000,"T":1723161256000,"bids":[["61800.00","5.000"]],"asks":[["61800.10","4.000"]]}"#;
    let mut tape = vec![format!("1723161255000000000 {snapshot}")];
    for at in 0..lines as u64 {
        let (first, last) = (101 + 2 * at, 102 + 2 * at);
        let update = format!(
            r#"{{"e":"depthUpdate","E":{ms},"T":{ms},"s":"BTCUSDT","U":{first},"u":{last},"pu":{before},"b":[["61799.90","{}.000"]],"a":[]}}"#,
            at % 9 + 1,
            ms = 1_723_161_256_000 + at,
            before = first - 1,
        );
        let stamp = 1_723_161_255_100_000_000 + at * 1_000_000;
        tape.push(format!("{stamp} {{\"stream\":\"btcusdt@depth@0ms\",\"data\":{update}}}"));
    }
    tape
}

#[test]
fn a_damaged_recording_names_its_file_and_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = tape(200);
    let play = |name: &str, lines: &[String], end: &str| {
        fs::write(folder.path().join(name), lines.join("\n") + end).expect("writes");
        run(
            folder.path(),
            &["run", "--home", "home", "--market", &format!("recording:{name}"), "--speed", "max"],
        )
    };
    // The control: the whole tape plays.
    play("good.txt", &good, "\n").expect_code(0).says("replay                 identical");

    let with = |line: usize, text: &str| {
        let mut lines = good.clone();
        lines[line - 1] = text.to_owned();
        lines
    };
    let half = &good[4][..good[4].len() / 2];
    for (name, lines, words) in [
        (
            "not-a-recording.gz",
            vec!["this is no gzip".to_owned()],
            &["not-a-recording.gz", "line 1", "this"][..],
        ),
        ("early.txt", with(2, "yesterday {}"), &["early.txt", "line 2", "yesterday"]),
        ("cut.txt", with(5, half), &["cut.txt", "line 5", "JSON"]),
        ("late.txt", with(150, &half.replace("1723161255", "1723161256")), &["late.txt", "line 150", "JSON"]),
        ("stamp.txt", with(120, "soon {}"), &["stamp.txt", "line 120", "soon"]),
    ] {
        play(name, &lines, "\n").expect_code(1).complains(words);
    }
    // Cut off by a copy that did not finish: its last line is half a line.
    play("unfinished.txt", &with(201, half), "").expect_code(1).complains(&["unfinished.txt", "line 201"]);

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, (good.join("\n") + "\n").as_bytes()).expect("packs");
    let packed = gzip.finish().expect("packs");
    fs::write(folder.path().join("short.gz"), &packed[..packed.len() - 20]).expect("writes");
    let told =
        run(folder.path(), &["run", "--home", "home", "--market", "recording:short.gz", "--speed", "max"]);
    told.expect_code(1).complains(&["short.gz", "line"]);

    // What was played before the damage is not lost: every session that began replays.
    for session in sessions(&folder.path().join("home")) {
        if journal_folder(&session).is_dir() {
            replay(&session).expect_code(0).says("replay identical").says("journal sealed");
        }
    }
}

/// The default configuration with another account key.
fn with_key(folder: &Path, kind: &str, id: &str, secret: &str) {
    fs::write(folder.join("id"), id).expect("writes");
    fs::write(folder.join("secret"), secret).expect("writes");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(folder.join("secret"), private).expect("permissions");
    let text = include_str!("../src/config/default.toml")
        .replace("kind = \"ed25519\"", &format!("kind = \"{kind}\""))
        .replace("id = \"embedded\"", "id = \"file:id\"")
        .replace("secret = \"embedded\"", "secret = \"file:secret\"")
        .replace("home = \"var\"", "home = \"home\"");
    fs::write(folder.join("keyed.toml"), text).expect("writes");
}

#[test]
fn a_key_that_the_venue_does_not_take_ends_the_run_before_it_begins() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), &["run", "--home", "home", "--duration", "1s"]).expect_code(0);
    let keys = folder.path().join("home/venue-keys.toml");
    let text = fs::read_to_string(&keys).expect("the venue's keys");
    let hmac = &text[text.find("kind = \"hmac\"").expect("an HMAC key")..];
    let field =
        |name: &str| hmac.split(&format!("{name} = \"")).nth(1).and_then(|rest| rest.split('"').next());
    let (id, secret) = (field("api_key").expect("an id"), field("secret").expect("a secret"));

    // The control: the venue's own key, given by file.
    with_key(folder.path(), "hmac", id, secret);
    run(folder.path(), &["run", "--config", "keyed.toml", "--duration", "1s"]).expect_code(0);

    let before = sessions(&folder.path().join("home")).len();
    let wrong: String = secret.chars().rev().collect();
    with_key(folder.path(), "hmac", id, &wrong);
    let told = run(folder.path(), &["run", "--config", "keyed.toml"]).expect_code(1);
    told.complains(&["\"demo\"", "venue.key", "-1022"]);
    assert!(!told.stderr.contains(&wrong) && !told.stderr.contains(secret), "no secret is shown");

    with_key(folder.path(), "hmac", &"A".repeat(64), secret);
    let told = run(folder.path(), &["run", "--config", "keyed.toml"]).expect_code(1);
    told.complains(&["\"demo\"", "venue.key", "-2015"]);
    for session in sessions(&folder.path().join("home")).iter().skip(before) {
        assert!(!journal_folder(session).exists(), "nothing began");
    }

    fs::write(&keys, "[[key]]\nkind = \"rsa\"\n").expect("writes");
    let told = run(folder.path(), &["run", "--home", "home"]).expect_code(1);
    told.complains(&["venue-keys.toml"]);
    assert_eq!(
        fs::read_to_string(&keys).expect("kept"),
        "[[key]]\nkind = \"rsa\"\n",
        "a file of keys is never made over"
    );
}

#[test]
fn a_venue_that_another_authority_vouches_for_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut venue = linchpin(folder.path(), &["venue", "--with-parent"]);
    venue.stdin(std::process::Stdio::piped());
    let mut venue = Running::start(venue);
    let ready = venue.wait_for("the ready line", |line| line.starts_with("linchpin-venue ready "));
    let port = ready.split("port=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port");
    run(folder.path(), &["run", "--home", "other", "--duration", "1s"]).expect_code(0);
    with_key(folder.path(), "hmac", "AAAA", "BBBB");
    let text = fs::read_to_string(folder.path().join("keyed.toml")).expect("written");
    let at = |scheme: &str, path: &str| format!("\"{scheme}://localhost:{port}{path}\"");
    let text = text
        .replace("mode = \"DEMO\"", "mode = \"DRY_RUN\"")
        .replace("rest = \"embedded\"", &format!("rest = {}", at("https", "")))
        .replace("market = \"embedded\"", &format!("market = {}", at("wss", "")))
        .replace("private = \"embedded\"", &format!("private = {}", at("wss", "")))
        .replace("order_entry = \"embedded\"", &format!("order_entry = {}", at("wss", "/ws-fapi/v1")));
    for (authority, words) in [
        ("other/ca/ca.pem", &["certificate"][..]),
        ("none.pem", &["none.pem", "No such file"]),
        ("id", &["id"]),
    ] {
        let text = text.replace("ca_file = \"system\"", &format!("ca_file = \"{authority}\""));
        fs::write(folder.path().join("trusting.toml"), text).expect("writes");
        let told = run(folder.path(), &["run", "--config", "trusting.toml", "--duration", "2s"]);
        told.complains(words);
    }
}

#[test]
fn a_journal_with_any_flipped_byte_is_refused_and_the_byte_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), &["run", "--home", "home", "--duration", "1s", "--no-verify"]).expect_code(0);
    let session = session(&folder.path().join("home"));
    let segment = segments(&session).remove(0);
    let sound = fs::read(&segment).expect("a segment");
    let seal = sound.len() - RECORD_HEADER_SIZE - CLOSING_PAYLOAD_SIZE;
    let mut places = vec![
        header_at::MAGIC,
        header_at::VERSION,
        header_at::CHECKSUM,
        header_at::SESSION,
        header_at::PREVIOUS_CHECKSUM,
        header_at::METADATA,
        HEADER_SIZE - 1,
        HEADER_SIZE,
        HEADER_SIZE + 3,
        HEADER_SIZE + 4,
        HEADER_SIZE + RECORD_HEADER_SIZE,
        seal,
        seal + 3,
        seal + 4,
        seal + RECORD_HEADER_SIZE,
        sound.len() - 1,
    ];
    let mut dice = Dice(3);
    places.extend((0..24).map(|_| dice.below(sound.len() as u64) as usize));
    for place in places {
        let mut damaged = sound.clone();
        damaged[place] ^= 1 << dice.below(8);
        fs::write(&segment, &damaged).expect("writes");
        let told = replay(&session);
        assert_eq!(told.code(), Some(1), "byte {place}: {told}");
        told.complains(&["000001.seg"]);
        assert_eq!(fs::read(&segment).expect("still there"), damaged, "a replay changes nothing");
    }
    fs::write(&segment, &sound).expect("writes");
    replay(&session).expect_code(0).says("replay identical");
}

#[test]
fn what_is_no_journal_or_not_all_of_one_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    let told = |name: &str| run(folder.path(), &["replay", name]).expect_code(1);
    told("nowhere").complains(&["nowhere", "no journal"]);
    fs::create_dir(place("empty")).expect("creates");
    told("empty").complains(&["empty", "no journal"]);
    fs::write(place("file"), "text").expect("writes");
    told("file").complains(&["file"]);
    fs::create_dir_all(place("foreign/journal")).expect("creates");
    fs::write(place("foreign/journal/000001.seg"), vec![7; 8192]).expect("writes");
    told("foreign").complains(&["foreign/journal/000001.seg", "not a segment"]);

    // Some segments of a real session; the one in the middle goes.
    run(folder.path(), &["run", "--home", "home", "--duration", "3s", "--no-verify"]).expect_code(0);
    let whole = session(&place("home"));
    let (header, kept) = records(&whole);
    let options = linchpin::journal::Options { segment_size: smallest_segments(&kept), ..Default::default() };
    let mut writer =
        linchpin::journal::Writer::create(&place("small"), header.clone(), options).expect("creates");
    for record in &kept {
        writer.append(record.kind.code(), record.sequence, record.time, &record.payload).expect("appends");
    }
    writer.seal().expect("seals");
    run(folder.path(), &["replay", "small"]).expect_code(0).says("replay identical");
    let all = segments(&place("small"));
    assert!(all.len() >= 3, "{} segments", all.len());
    let middle = fs::read(&all[1]).expect("a segment");
    fs::remove_file(&all[1]).expect("removes");
    told("small").complains(&["000002.seg is missing"]);
    fs::write(&all[1], middle).expect("writes");
    fs::remove_file(&all[0]).expect("removes");
    told("small").complains(&["000001.seg is missing"]);

    // A file that is not the journal's own, in its folder.
    write_journal(&place("guest"), header, &kept);
    fs::write(place("guest/journal/notes.seg"), "hello").expect("writes");
    told("guest").complains(&["notes.seg"]);
}

/// The smallest segments that hold the longest of these records.
fn smallest_segments(records: &[Kept]) -> u64 {
    let longest = records.iter().map(|record| record.payload.len()).max().unwrap_or(0);
    let room = HEADER_SIZE + longest + 4 * (RECORD_HEADER_SIZE + CLOSING_PAYLOAD_SIZE);
    room.next_multiple_of(4096) as u64
}

#[test]
fn help_of_every_verb_says_what_it_is_and_each_of_its_flags() {
    let folder = tempfile::tempdir().expect("a folder");
    for verb in ["run", "replay", "check", "venue"] {
        let told = run(folder.path(), &[verb, "--help"]).expect_code(0);
        told.says(&format!("Usage: linchpin {verb}"));
        for line in told.stdout.lines().filter(|line| line.trim_start().starts_with("--")) {
            let flag = line.trim_start();
            let words = flag.split("  ").filter(|words| !words.is_empty()).count();
            let next = told.stdout.lines().skip_while(|other| *other != line).nth(1).unwrap_or_default();
            assert!(words > 1 || next.starts_with("          "), "{verb}: {flag} says nothing");
        }
        let all = run(folder.path(), &["--help"]).expect_code(0);
        assert!(all.stdout.lines().any(|line| line.trim_start().starts_with(&format!("{verb} "))), "{verb}");
    }
    let text = include_str!("../src/config/default.toml");
    fs::write(folder.path().join("demo.toml"), text).expect("writes");
    let told = run(folder.path(), &["check", "demo.toml"]).expect_code(0);
    told.says("demo.toml: mode DEMO").says("threads: ").says("full: ");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "a check writes nothing");
}

/// Margin would be weighed by a leverage that the account does not have.
#[test]
fn a_leverage_that_is_not_the_accounts_is_told_with_both_numbers_before_anything_begins() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = include_str!("../src/config/default.toml");
    let with = |leverage: &str| {
        let said = demo.replace("leverage = \"none\"", &format!("leverage = {leverage}"));
        assert_ne!(said, demo);
        fs::write(folder.path().join("desk.toml"), said).expect("written");
        run(folder.path(), &["run", "--config", "desk.toml", "--duration", "1s"])
    };
    with("10").expect_code(1).complains(&["instrument[0].leverage = 10", "BTCUSDT", "\"demo\"", "is 20"]);
    for session in sessions(&folder.path().join("var")) {
        assert!(!journal_folder(&session).exists(), "nothing began");
    }
    with("20").expect_code(0);
}
