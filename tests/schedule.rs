//! The desk's calendar on the running program: a window that ends within seconds drains, the gate and `ctl status` say why nothing goes out, the
//! day's change gives back what a limit of the day took, and with the next window trading begins again.
#![cfg(feature = "embedded-venue")]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use support::Running;
use support::desk::Desk;

/// The loser reaches its limit of the day with its first fee.
const LOSER: &str = "sim-BTCUSDT";
const OTHER: &str = "sim-ETHUSDT";
/// Between the window's end and the new day, and between that and the next window.
const PAUSE: u64 = 15;

#[test]
fn a_windows_end_drains_a_new_day_gives_back_its_limits_and_the_next_window_trades() {
    // A window that is over before a slow machine has traded in it shows nothing: then a longer one.
    let tried = [20, 60, 180].into_iter().find_map(|seconds| Evening::begin(seconds).map(Evening::ends));
    tried.expect("it traded, and one of its strategies reached its limit, before the window ended");
}

/// An engine that trades in a window which is about to end.
struct Evening {
    desk: Desk,
    engine: Running,
}

impl Evening {
    /// Nothing where the window ended before it had traded, and lost, in it.
    fn begin(seconds: u64) -> Option<Self> {
        let desk = Desk::open("[control]\nstall_after = \"1m\"\n");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let close = now + seconds;
        let [begun, closed, day, opens, end] =
            [now - 3_600, close, close + PAUSE, close + 2 * PAUSE, close + 3_600].map(time_of_day);
        let schedule = format!(
            "\n[schedule]\ntimezone = \"UTC\"\nwindows = [\"mon-sun {begun}-{closed}\", \"mon-sun {opens}-{end}\"]\ndaily_reset = \"{day}\"\n"
        );
        let place = desk.folder().join("desk.toml");
        let text = std::fs::read_to_string(&place).expect("a configuration");
        // The first of the two makers.
        let text = text.replacen("max_daily_loss = \"none\"", "max_daily_loss = \"0.00000001\"", 1);
        std::fs::write(&place, text + &schedule).expect("written");
        let mut engine = Running::start(desk.engine(&[]));
        engine.wait_for("the control socket", |said| said.starts_with("control "));
        let mut in_time = false;
        desk.wait_until("both have traded, or the window is over", || {
            in_time =
                may(&desk, LOSER) == "reducing" && may(&desk, OTHER) == "active" && has_open(&desk, OTHER);
            in_time
                || logged(&desk, "a trading window closes")
                || logged(&desk, "outside of the trading windows")
        });
        in_time.then_some(Self { desk, engine })
    }

    fn ends(self) {
        let Self { mut desk, engine } = self;
        desk.wait_until("the drain is told", || logged(&desk, "drained: nothing of ours is open"));
        let status = desk.look(&["status"]);
        assert_eq!(status["control"]["open_orders"], 0, "{status}");
        assert_eq!(
            (&status["control"]["draining"], &status["venues"][0]["closed"]),
            (&true.into(), &"schedule".into())
        );
        assert_eq!(desk.account().open_orders, Vec::<String>::new(), "cancelled at the venue too");
        let said = desk.ctl(&["status"]).expect_code(0);
        said.says("draining until the next window").says("CLOSED: schedule");
        let taken = desk.venue.orders_taken();

        desk.wait_until("a new day begins", || logged(&desk, "a trading day begins"));
        desk.wait_until("it gives the loser back what it may", || may(&desk, LOSER) == "active");
        assert_eq!(desk.venue.orders_taken(), taken, "the day is new, the window is shut, and an order left");

        desk.wait_until("the next window opens", || logged(&desk, "a trading window opens"));
        desk.wait_until("trading begins again", || desk.venue.orders_taken() > taken);
        let status = desk.look(&["status"]);
        assert_eq!(
            (&status["control"]["draining"], &status["venues"][0]["closed"]),
            (&false.into(), &Value::Null)
        );
        engine.signal("-INT");
        let told = engine.ended_within(Duration::from_secs(60)).expect_code(0);
        desk.agrees_with_the_venue(&told, "after its evening");
        let session = support::session(&desk.home());
        support::replay(&session).expect_code(0).says("replay identical").says("journal sealed");
    }
}

/// In UTC, to the second.
fn time_of_day(unix: u64) -> String {
    let of_day = unix % 86_400;
    format!("{:02}:{:02}:{:02}", of_day / 3_600, of_day / 60 % 60, of_day % 60)
}

fn may(desk: &Desk, strategy: &str) -> String {
    let status = desk.look(&["status"]);
    let rows = status["strategies"].as_array().cloned().unwrap_or_default();
    let row = rows.iter().find(|row| row["strategy"] == strategy);
    row.and_then(|row| row["may"].as_str()).unwrap_or_default().to_owned()
}

fn has_open(desk: &Desk, owner: &str) -> bool {
    let orders = desk.look(&["orders"]);
    orders["orders"].as_array().is_some_and(|rows| rows.iter().any(|row| row["owner"] == owner))
}

fn logged(desk: &Desk, change: &str) -> bool {
    let session = support::session(&desk.home());
    let log = std::fs::read_to_string(session.join("log.jsonl")).unwrap_or_default();
    log.contains(&format!("\"event\":\"schedule\",\"thread\":\"main\",\"change\":\"{change}\""))
}
