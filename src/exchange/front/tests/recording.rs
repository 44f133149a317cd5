//! A recording through the front: byte for byte, waiting for slow readers, and its end.

use std::io::Write;

use super::*;

const SNAPSHOT: &str = r#"{"lastUpdateId":100,"E":1723161256501,"T":1723161256493,"bids":[["61800.20","2.909"]],"asks":[["61800.30","1.000"]]}"#;

fn lines(count: u64) -> Vec<(String, String)> {
    let mut lines = vec![(String::new(), SNAPSHOT.to_owned())];
    for n in 0..count {
        let (u, pu) = (101 + n, 100 + n);
        let (stream, data) = match n % 3 {
            0 => (
                "btcusdt@depth@0ms",
                format!(
                    r#"{{"e":"depthUpdate","E":1723161256{n:03},"T":1723161256298,"s":"BTCUSDT","U":{u},"u":{u},"pu":{pu},"b":[["61800.20","{}.000"]],"a":[]}}"#,
                    n + 1
                ),
            ),
            1 => (
                "btcusdt@bookTicker",
                format!(
                    r#"{{"e":"bookTicker","u":{pu},"s":"BTCUSDT","b":"61800.20","B":"{}.000","a":"61800.30","A":"1.000","T":1723161256313,"E":1723161256313}}"#,
                    n
                ),
            ),
            _ => (
                "btcusdt@trade",
                format!(
                    r#"{{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":{n},"p":"61800.30","q":"0.006","X":"MARKET","m":false}}"#
                ),
            ),
        };
        lines.push((stream.to_owned(), data));
    }
    lines
}

struct Recording {
    _folder: tempfile::TempDir,
    lines: Vec<(String, String)>,
    config: ExchangeConfig,
}

fn recorded(lines: Vec<(String, String)>, more: &str) -> Recording {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tape.txt");
    let mut file = std::fs::File::create(&path).expect("a file");
    for (index, (stream, data)) in lines.iter().enumerate() {
        let stamp = 1_723_161_255_030_314_667 + index as u64 * 1_000;
        if stream.is_empty() {
            writeln!(file, "{stamp} {data}").expect("writes");
        } else {
            writeln!(file, "{stamp} {{\"stream\":\"{stream}\",\"data\":{data}}}").expect("writes");
        }
    }
    write!(file, "{more}").expect("writes");
    let market =
        MarketConfig::Recording(RecordingConfig { speed: Speed::Max, ..RecordingConfig::new(vec![path]) });
    Recording { _folder: folder, lines, config: ExchangeConfig { market, ..quiet() } }
}

const THREE: &str = "btcusdt@depth@0ms/btcusdt@bookTicker/btcusdt@trade";

async fn all(socket: &mut Socket) -> (Vec<String>, u16, String) {
    let mut texts = Vec::new();
    loop {
        match socket.next().await {
            Message::Text(text) => texts.push(text.to_string()),
            Message::Close(Some(frame)) => return (texts, frame.code.into(), frame.reason.to_string()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_recording_arrives_byte_for_byte_and_ends_with_a_close_frame() {
    let tape = recorded(lines(300), "");
    let venue = Venue::start(tape.config.clone());
    let mut combined = venue.websocket(&format!("/stream?streams={THREE}")).await;
    let snapshot = venue.get("/fapi/v1/depth?symbol=BTCUSDT&limit=1000").await;
    assert_eq!(snapshot.body, SNAPSHOT);
    let (texts, code, reason) = all(&mut combined).await;
    let expected: Vec<String> = tape.lines[1..]
        .iter()
        .map(|(stream, data)| format!("{{\"stream\":\"{stream}\",\"data\":{data}}}"))
        .collect();
    assert_eq!(texts.len(), expected.len());
    assert_eq!(texts, expected);
    assert_eq!((code, reason.as_str()), (1001, super::super::RECORDING_ENDED));
    // Who comes after the end is told at once.
    let mut late = venue.websocket("/ws/btcusdt@trade").await;
    assert_eq!(all(&mut late).await, (vec![], 1001, super::super::RECORDING_ENDED.into()));
    venue.end().expect("a complete recording is no error");
}

#[tokio::test]
async fn a_raw_stream_gets_the_data_part_alone() {
    let tape = recorded(lines(300), "");
    let venue = Venue::start(tape.config.clone());
    let mut raw = venue.websocket("/public/ws").await;
    raw.ask(r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@0ms","btcusdt@bookTicker","btcusdt@trade"],"id":1}"#).await;
    assert_eq!(venue.get("/fapi/v1/depth?symbol=BTCUSDT&limit=1000").await.body, SNAPSHOT);
    let (texts, _, _) = all(&mut raw).await;
    let expected: Vec<String> = tape.lines[1..].iter().map(|(_, data)| data.clone()).collect();
    assert_eq!(texts, expected);
}

#[tokio::test]
async fn playback_begins_a_moment_after_the_last_subscription_when_not_all_kinds_are_wanted() {
    let tape = recorded(lines(30), "");
    let venue = Venue::start(tape.config.clone());
    let mut trades = venue.websocket("/market/ws/btcusdt@trade").await;
    assert_eq!(venue.get("/fapi/v1/depth?symbol=BTCUSDT&limit=1000").await.body, SNAPSHOT);
    assert_eq!(all(&mut trades).await.0.len(), 10);
}

#[tokio::test]
async fn playback_waits_for_a_slow_reader_and_loses_nothing() {
    let tape = recorded(lines(60_000), "");
    let venue = Venue::start_with(
        tape.config.clone(),
        FrontConfig { high_water: 32 << 10, ..FrontConfig::default() },
    );
    let mut slow = venue.websocket(&format!("/stream?streams={THREE}")).await;
    let mut quick = venue.websocket("/ws/btcusdt@trade").await;
    assert_eq!(venue.get("/fapi/v1/depth?symbol=BTCUSDT&limit=1000").await.body, SNAPSHOT);
    // The quick one gets only what back-pressure lets through: it stalls long before the end.
    let mut early = 0;
    while tokio::time::timeout(Duration::from_millis(500), quick.next()).await.is_ok() {
        early += 1;
    }
    assert!(early < 19_000, "{early} trades got past a reader that read nothing");
    let (texts, quick) = tokio::join!(all(&mut slow), all(&mut quick));
    assert_eq!(texts.0.len(), 60_000);
    assert_eq!(early + quick.0.len(), 20_000);
}

#[tokio::test]
async fn a_damaged_line_is_told_by_number_and_makes_the_venue_fail() {
    let tape = recorded(lines(9), "1723161255330314667 {\"stream\":\"btcusdt@tra");
    let venue = Venue::start(tape.config.clone());
    let mut socket = venue.websocket(&format!("/stream?streams={THREE}")).await;
    assert_eq!(venue.get("/fapi/v1/depth?symbol=BTCUSDT&limit=1000").await.body, SNAPSHOT);
    let (texts, code, reason) = all(&mut socket).await;
    assert_eq!((texts.len(), code), (9, 1011));
    assert!(
        reason.starts_with(super::super::RECORDING_DAMAGED) && reason.contains("line 11 of tape.txt"),
        "{reason}"
    );
    let told = venue.end().expect_err("a damaged recording is an error").to_string();
    assert!(told.contains("tape.txt") && told.contains("11"), "{told}");
}

/// Recorded trades fill our resting orders, and the fill goes out on the private stream like any other.
#[tokio::test]
async fn a_recorded_trade_fills_a_resting_order_of_ours() {
    let tape = recorded(vec![(String::new(), SNAPSHOT.to_owned())], "");
    let MarketConfig::Recording(mut recording) = tape.config.market.clone() else { panic!("a recording") };
    let trade = r#"{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":1,"p":"61800.00","q":"5.000","X":"MARKET","m":true}"#;
    let mut file = std::fs::OpenOptions::new().append(true).open(&recording.files[0]).expect("the tape");
    // A second later: time enough to have an order resting.
    writeln!(file, "1723161256030314667 {{\"stream\":\"btcusdt@trade\",\"data\":{trade}}}").expect("writes");
    recording.speed = Speed::Times(1);
    let venue = Venue::start(ExchangeConfig { market: MarketConfig::Recording(recording), ..quiet() });
    let key = venue.listen_key().await;
    let mut private = venue.websocket(&format!("/private/ws?listenKey={key}")).await;
    private.ask(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#).await;
    let mut market = venue.websocket(&format!("/stream?streams={THREE}")).await;
    assert_eq!(venue.get("/fapi/v1/depth?symbol=BTCUSDT&limit=1000").await.body, SNAPSHOT);
    let order =
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.010&price=61800.10&newClientOrderId=r";
    let placed = venue.signed("POST", "/fapi/v1/order", order).await;
    assert_eq!(placed.json()["status"], "NEW", "{}", placed.body);
    assert_eq!(private.event("ORDER_TRADE_UPDATE").await["o"]["x"], "NEW");
    assert_eq!(private.event("ACCOUNT_UPDATE").await["a"]["P"][0]["pa"], "0.010");
    let fill = private.event("ORDER_TRADE_UPDATE").await;
    assert_eq!(
        (&fill["o"]["X"], &fill["o"]["L"], &fill["o"]["m"]),
        (&"FILLED".into(), &"61800.10".into(), &true.into())
    );
    // The public trade is the recording's, unchanged.
    assert_eq!(market.text().await, format!("{{\"stream\":\"btcusdt@trade\",\"data\":{trade}}}"));
    assert_eq!(all(&mut market).await.2, super::super::RECORDING_ENDED);
    // The account lives on after the market's end.
    let position = venue.signed("GET", "/fapi/v3/positionRisk", "").await.json();
    assert_eq!(position[0]["positionAmt"], "0.010");
}

/// The real thing: 93 954 messages of the exchange, each compared with its line.
#[tokio::test]
async fn a_real_recording_arrives_whole_and_byte_for_byte() {
    let Some(folder) = shared() else { return };
    let path = folder.join("binance_ws/usdm/btcusdt_20240808.gz");
    let market = MarketConfig::Recording(RecordingConfig {
        speed: Speed::Max,
        ..RecordingConfig::new(vec![path.clone()])
    });
    let venue = Venue::start(ExchangeConfig { market, ..quiet() });
    let mut socket = venue.websocket(&format!("/stream?streams={THREE}")).await;
    let file = std::io::BufReader::new(flate2::read::MultiGzDecoder::new(
        std::fs::File::open(path).expect("the file"),
    ));
    let asked = venue.get("/fapi/v1/depth?symbol=BTCUSDT&limit=1000");
    let mut snapshot = None;
    let compare = async {
        let (mut number, mut frames) = (0, 0);
        for line in std::io::BufRead::lines(file) {
            number += 1;
            let line = line.expect("text");
            let (_, json) = line.split_once(' ').expect("a stamp");
            if json.starts_with("{\"stream\"") {
                assert_eq!(socket.text().await, json, "line {number}");
                frames += 1;
            } else {
                snapshot = Some(json.to_owned());
            }
        }
        let Message::Close(Some(frame)) = socket.next().await else { panic!("an end") };
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, super::super::RECORDING_ENDED));
        frames
    };
    let (frames, asked) = tokio::join!(compare, asked);
    assert_eq!(frames, 93_953);
    assert_eq!(asked.body, snapshot.expect("a snapshot line"));
}
