//! Orders that another client places on the engine's account: claimed on one instrument, left alone on the other, through a crash and a
//! warm start to the end of the run.
#![cfg(feature = "embedded-venue")]

mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use support::desk::Desk;
use support::stranger::Stranger;
use support::{PATIENCE, Running, sessions};

const MAKER: &str = "sim-BTCUSDT";

/// Ids as other systems make them: longer than the core keeps.
const CLAIMED: &str = "web_0123456789abcdef0123456789ab";
const LEFT: &str = "web_fedcba9876543210fedcba987654";

struct Account {
    desk: Desk,
    stranger: Stranger,
}

impl Account {
    /// The maker of BTCUSDT claims what others do there.
    fn open() -> Self {
        let desk = Desk::open("");
        let path = desk.folder().join("desk.toml");
        let text = std::fs::read_to_string(&path).expect("a configuration");
        let trades = "instruments = [\"sim/BTCUSDT\"]";
        let claims = format!("{trades}\nclaims_external = [\"sim/BTCUSDT\"]");
        assert!(text.contains(trades), "{text}");
        std::fs::write(&path, text.replace(trades, &claims)).expect("written");
        let stranger = Stranger::at(desk.venue.port, &desk.venue.authority, &desk.venue.key());
        Self { desk, stranger }
    }

    fn start(&self) -> Running {
        let mut engine = Running::start(self.desk.engine(&[]));
        engine.wait_for("the control socket", |line| line.starts_with("control "));
        engine
    }

    #[track_caller]
    fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < until, "waited in vain until {what}: {}", self.desk.look(&["orders"]));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn orders(&self) -> Vec<Value> {
        self.desk.look(&["orders"])["orders"].as_array().cloned().unwrap_or_default()
    }

    /// The one live order of others on a symbol.
    fn of_others(&self, symbol: &str) -> Option<Value> {
        self.orders().into_iter().find(|order| order["symbol"] == symbol && order["made_by"] == "others")
    }

    /// A price far below the market, from where the engine's own bid stands.
    fn far_bid(&self, symbol: &str) -> String {
        let own =
            |order: &Value| order["symbol"] == symbol && order["made_by"] == "us" && order["side"] == "buy";
        self.wait_until("it quotes", |desk| desk.orders().iter().any(own));
        let bid = self.orders().into_iter().find(own);
        let price = bid.and_then(|order| order["price"].as_str().and_then(|text| text.parse::<f64>().ok()));
        format!("{}", (price.expect("a price") * 0.97).floor())
    }

    fn held_by(&self, owner: &str, symbol: &str) -> String {
        let all = self.desk.look(&["positions"]);
        let rows = all["positions"].as_array().cloned().unwrap_or_default();
        let row = rows.iter().find(|row| row["owner"] == owner && row["symbol"] == symbol);
        row.map_or("0".to_owned(), |row| support::truth::plain(row["quantity"].as_str().unwrap_or("0")))
    }
}

#[test]
fn what_others_place_is_the_claimants_to_the_end_and_elsewhere_nobodys() {
    let mut account = Account::open();
    let told = support::run(account.desk.folder(), &["check", "desk.toml"]).expect_code(0);
    told.says(&format!("external orders of sim/BTCUSDT: claimed for {MAKER}"));
    let engine = account.start();
    for (symbol, id) in [("BTCUSDT", CLAIMED), ("ETHUSDT", LEFT)] {
        let price = account.far_bid(symbol);
        let quantity = if symbol == "BTCUSDT" { "0.01" } else { "0.1" };
        let terms = format!(
            "symbol={symbol}&side=BUY&type=LIMIT&timeInForce=GTC&quantity={quantity}&price={price}&newClientOrderId={id}"
        );
        account.stranger.order(&terms);
        account.wait_until("it is seen", |desk| desk.of_others(symbol).is_some());
    }
    assert_eq!(account.of_others("BTCUSDT").expect("it is open")["owner"], MAKER);
    assert_eq!(account.of_others("ETHUSDT").expect("it is open")["owner"], "external");
    account.desk.ctl(&["orders"]).expect_code(0).says("made by").says("others");

    // What is bought by hand is whose the instrument is claimed for; elsewhere it is nobody's of ours.
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        account.stranger.order(&format!("symbol={symbol}&side=BUY&type=MARKET&quantity=0.02"));
    }
    account.wait_until("the hand's lots are known", |desk| desk.held_by("external", "ETHUSDT") == "0.02");
    assert_eq!(account.held_by("external", "BTCUSDT"), "0");

    // The power goes; the next run knows which of the open orders are its own, and whose the others are.
    engine.signal("-KILL");
    let _ = engine.ended();
    let engine = account.start();
    account.wait_until("both are known again", |desk| {
        ["BTCUSDT", "ETHUSDT"].iter().all(|symbol| desk.of_others(symbol).is_some())
    });
    assert_eq!(account.of_others("BTCUSDT").expect("it is open")["owner"], MAKER);
    assert_eq!(account.of_others("ETHUSDT").expect("it is open")["owner"], "external");

    // A drain takes what is claimed with it, and nothing else.
    account.desk.ctl(&["drain", "--reason", "the day is over"]).expect_code(0);
    account.wait_until("all of ours is gone", |desk| desk.desk.look(&["status"])["control"]["idle"] == true);
    assert_eq!(account.desk.account().open_orders, [LEFT]);
    account.desk.ctl(&["stop", "--reason", "the test is over"]).expect_code(0);
    let told = engine.ended().expect_code(0);
    assert!(!told.stdout.contains("position_mismatch"), "{told}");

    for session in sessions(&account.desk.home()) {
        let again = support::run(account.desk.folder(), &["replay", &session.display().to_string()]);
        again.expect_code(0).says("replay identical");
    }
}
