//! A venue that keeps its state: another process, or another start, is the same venue.

use super::*;

const BUY: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=59000";

fn kept(exchange: ExchangeConfig, folder: &std::path::Path) -> Venue {
    let state = Some(folder.to_owned());
    Venue::start_with(exchange, FrontConfig { state, ..FrontConfig::default() })
}

async fn everything(venue: &Venue) -> Vec<String> {
    let mut told = Vec::new();
    for path in ["openOrders", "allOrders", "userTrades", "openAlgoOrders"] {
        told.push(venue.signed("GET", &format!("/fapi/v1/{path}"), "symbol=BTCUSDT").await.body);
    }
    told.push(venue.signed("GET", "/fapi/v3/positionRisk", "").await.body);
    told.push(venue.get("/fapi/v1/depth?symbol=BTCUSDT&limit=100").await.json()["bids"].to_string());
    told
}

#[tokio::test]
async fn orders_fills_positions_and_books_outlive_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = kept(quiet(), folder.path());
    let placed =
        first.signed("POST", "/fapi/v1/order", &format!("{BUY}&newClientOrderId=own-1")).await.json();
    let sold = BUY.replace("BUY", "SELL").replace("0.010", "0.004");
    first.signed_as(OTHER_KEY, "POST", "/fapi/v1/order", &sold).await;
    let before = everything(&first).await;
    first.end().expect("ends well");

    let second = kept(quiet(), folder.path());
    assert_eq!(everything(&second).await, before);
    let query = second.signed("GET", "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=own-1").await.json();
    assert_eq!(
        (&query["orderId"], &query["status"], &query["executedQty"]),
        (&placed["orderId"], &"PARTIALLY_FILLED".into(), &"0.004".into())
    );
    let next = second.signed("POST", "/fapi/v1/order", BUY).await.json();
    assert!(next["orderId"].as_u64() > placed["orderId"].as_u64(), "numbers go on: {next}");
    second.end().expect("ends well");
    // And once more, with what the second one added.
    let third = kept(quiet(), folder.path());
    assert_eq!(third.signed("GET", "/fapi/v1/openOrders", "").await.json().as_array().map(Vec::len), Some(2));
}

#[test]
fn a_line_that_was_cut_short_was_never_told_and_any_other_damage_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("venue.diary");
    let opened = || kept(quiet(), folder.path()).end();
    opened().expect("a new one");
    let whole = std::fs::read_to_string(&place).expect("written");
    std::fs::write(&place, format!("{whole}{{\"moved\":{{\"pla")).expect("writes");
    opened().expect("what was cut short is dropped");
    std::fs::write(&place, format!("{whole}{{\"moved\":{{\"pla\n")).expect("writes");
    let told = opened().expect_err("damage").to_string();
    assert!(told.contains("venue.diary: line 2"), "{told}");
    std::fs::write(&place, whole.replace("\"version\":1", "\"version\":9")).expect("writes");
    let told = opened().expect_err("another version").to_string();
    assert!(told.contains("version 9"), "{told}");
    std::fs::write(&place, &whole).expect("writes");
    let other = ExchangeConfig { funding_interval_ms: 1, ..quiet() };
    let told = kept(other, folder.path()).end().expect_err("another venue's").to_string();
    assert!(told.contains("another configuration"), "{told}");
    let tape = folder.path().join("tape.txt");
    std::fs::write(&tape, "").expect("writes");
    let market = MarketConfig::Recording(RecordingConfig::new(vec![tape]));
    let told = kept(ExchangeConfig { market, ..quiet() }, folder.path()).end().expect_err("a recording");
    assert!(told.to_string().contains("cannot be kept"), "{told}");
}

#[test]
fn two_venues_do_not_share_a_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = kept(quiet(), folder.path());
    // It serves, so it holds the file.
    while std::fs::metadata(folder.path().join("venue.diary")).map_or(0, |file| file.len()) == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    let told = kept(quiet(), folder.path()).end().expect_err("taken").to_string();
    assert!(told.contains("another venue keeps"), "{told}");
    first.end().expect("ends well");
}
