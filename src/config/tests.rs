//! What a person can write wrong, and the exact answer to it.

use linchpin_core::id::AssetId;
use linchpin_core::instrument::{InstrumentDefinition, Product};
use linchpin_core::limits::{BucketScope, LimitKey, LimitScope, LossAnswer, Unit};
use linchpin_core::num::{CASH_UNIT, Notional, Quantity};
use linchpin_core::time::Nanos;
use proptest::prelude::*;

use super::*;

const TESTNET_VENUE: &str = r#"
[[venue]]
name = "binance"
rest = "https://demo-fapi.binance.com"
market = "wss://fstream.binancefuture.com"
private = "wss://fstream.binancefuture.com"
order_entry = "wss://testnet.binancefuture.com/ws-fapi/v1"
key = { id = "env:LINCHPIN_ID", secret = "file:key.pem" }
"#;

const BTC: &str = r#"
[[instrument]]
venue = "binance"
symbol = "BTCUSDT"
max_order_quantity = "0.05"
max_order_notional = "5000"
max_position = "0.05"
"#;

const MAKER: &str = r#"
[[strategy]]
name = "maker"
kind = "market-maker"
instruments = ["BTCUSDT"]
parameters = { quantity = "0.002", max_position = "0.01" }
"#;

fn desk(head: &str) -> String {
    format!("{head}{TESTNET_VENUE}{BTC}{MAKER}")
}

fn read(text: &str) -> Result<Config, ConfigErrors> {
    read::config(Some(("desk.toml", text)), &Overrides::default(), None)
}

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Every message for `text`, without the file's name.
fn told(text: &str) -> String {
    read(text).expect_err("refused").to_string().replace("desk.toml: ", "").replace("desk.toml:", "")
}

fn demo() -> Config {
    read::config(None, &Overrides::default(), None).unwrap_or_else(|errors| panic!("{errors}"))
}

fn definition() -> InstrumentDefinition {
    let listed = crate::venue::directory::tests::definition("0.10", "0.001", Product::LinearPerpetual);
    InstrumentDefinition { min_notional: 100 * CASH_UNIT, ..listed }
}

#[test]
fn without_a_file_the_demo_runs() {
    let config = demo();
    assert_eq!(config.mode, Mode::Demo);
    assert_eq!(config.run.duration, RunLength::For(Nanos::from_secs(30)));
    assert!(config.run.trading_enabled && config.run.verify && config.needs_embedded());
    assert_eq!(config.instruments[0].symbol, "BTCUSDT");
    assert_eq!(config.venues[0].limits.len(), 3);
}

#[test]
fn the_demos_buckets_stay_below_the_exchanges_limits() {
    let published = [(Nanos::from_secs(10), 300), (Nanos::from_secs(60), 1200), (Nanos::from_secs(60), 2400)];
    for (limit, (interval, most)) in demo().venues[0].limits.iter().zip(published) {
        assert_eq!(limit.bucket.interval, interval);
        assert!(limit.bucket.burst + limit.bucket.refill < most, "{}", limit.name);
    }
}

#[test]
fn what_a_file_leaves_out_has_its_default_and_a_file_without_a_mode_sends_nothing() {
    let config = good(&desk("run = { home = \"elsewhere\" }\n"));
    assert_eq!(config.mode, Mode::DryRun);
    assert!(!config.mode.sends());
    assert_eq!(config.run.home, PathBuf::from("elsewhere"));
    assert_eq!(config.run.state_hash_every, demo().run.state_hash_every);
    assert_eq!(config.core, demo().core);
    assert_eq!(config.instruments[0].caps.bounds.get(LimitKey::Collar), 200);
    let Kind::MarketMaker(maker) = &config.strategies[0].kind else { panic!("a market maker") };
    assert_eq!((maker.quantity.to_string().as_str(), maker.requote_ticks), ("0.002", 5));
}

#[test]
fn trading_starts_disabled_where_orders_reach_others_unless_the_file_says_otherwise() {
    assert!(!good(&desk("mode = \"TESTNET\"\n")).run.trading_enabled);
    assert!(good(&desk("mode = \"TESTNET\"\nrun = { trading_enabled = true }\n")).run.trading_enabled);
    assert!(good(&desk("")).run.trading_enabled);
}

#[test]
fn outside_of_the_demo_venue_instrument_and_strategy_are_never_made_up() {
    assert_eq!(
        told("mode = \"TESTNET\"\nstrategy = []\n"),
        "venue: is missing: outside of DEMO nothing stands in for it; write [[venue]] (this is mode TESTNET)\n\
         instrument: is missing: outside of DEMO nothing stands in for it; write [[instrument]] (this is mode TESTNET)"
    );
    let watch = format!("strategy = []\n{TESTNET_VENUE}{BTC}");
    assert!(good(&watch).strategies.is_empty());
}

#[test]
fn live_needs_the_word_in_the_environment_too() {
    let text = desk("mode = \"LIVE\"\n")
        .replace("demo-fapi", "fapi")
        .replace("fstream.binancefuture", "fstream.binance")
        .replace("testnet.binancefuture", "ws-fapi.binance");
    assert_eq!(
        told(&text),
        "1: mode = \"LIVE\": LIVE needs the environment variable LINCHPIN_MODE=LIVE as well"
    );
    let live = |live| read::config(Some(("desk.toml", &text)), &Overrides::default(), live);
    assert!(live(Some("live")).is_err());
    let config = live(Some("LIVE")).unwrap();
    assert!(!config.run.trading_enabled);
    assert_eq!(Config::from_resolved(&config.resolved_text()).unwrap(), config);
}

#[test]
fn a_mode_may_not_dial_anothers_hosts() {
    let text =
        desk("mode = \"TESTNET\"\n").replace("wss://testnet.binancefuture.com", "wss://ws-fapi.binance.com");
    assert_eq!(
        told(&text),
        "8: venue[0].order_entry = \"wss://ws-fapi.binance.com/ws-fapi/v1\": mode TESTNET may not dial ws-fapi.binance.com; \
         it may dial testnet.binancefuture.com, fstream.binancefuture.com, stream.binancefuture.com, demo-fapi.binance.com, \
         demo-fstream.binance.com, testnet.binance.vision, api1.testnet.binance.vision, ws-api.testnet.binance.vision, \
         stream.testnet.binance.vision, demo-api.binance.com, demo-ws-api.binance.com, demo-stream.binance.com"
    );
    assert!(
        told(&desk("mode = \"DEMO\"\n"))
            .contains("mode DEMO may not dial demo-fapi.binance.com; it may dial this machine")
    );
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let text = desk("[run]\nduration = 30\nverify = \"yes\"\nhome = \"\"\n");
    assert_eq!(
        told(&text),
        "2: run.duration = 30: expected a span such as \"250us\", \"2ms\", \"10s\" or \"5m\", or \"none\"; write it in quotes\n\
         4: run.home = \"\": expected a path\n\
         3: run.verify = \"yes\": expected true or false"
    );
}

#[test]
fn a_slip_of_syntax_is_told_with_its_line_and_never_quotes_the_line() {
    let message = told("mode = \"DEMO\"\n[run\nsecret = \"hunter2\"\n");
    assert!(message.starts_with("2: not TOML: ") && !message.contains("hunter2"), "{message}");
    let twice = told("mode = \"DEMO\"\nmode = \"DEMO\"\n");
    assert!(twice.starts_with("2: not TOML: duplicate key"), "{twice}");
}

#[test]
fn every_mistake_has_its_own_answer() {
    #[rustfmt::skip]
    let table: &[(&str, &str)] = &[
        // Keys.
        ("run = { hom = \"var\" }",             "2: run.hom: there is no such key; did you mean `home`?"),
        ("[core]\norder_row = 5",               "3: core.order_row: there is no such key; did you mean `order_rows`?"),
        ("[journal]\ncolour = 5",               "3: journal.colour: there is no such key; here stand `segment_size`, `snapshot_every`"),
        ("[[venue.keys]]",                      "2: venue = {..}: expected a list, [[venue]]"),
        ("run = 5",                             "2: run: expected a table, [run]"),
        ("venue = [5]",                         "2: venue = 5: expected a table, [[venue]]"),
        // Types and ranges.
        ("mode = \"DEM\"",                      "1: mode = \"DEM\": expected one of \"DEMO\", \"DRY_RUN\", \"TESTNET\", \"LIVE\"; did you mean \"DEMO\"?"),
        ("mode = 5",                            "1: mode = 5: expected one of \"DEMO\", \"DRY_RUN\", \"TESTNET\", \"LIVE\"; write it in quotes"),
        ("mode = true",                         "1: mode = true: expected text, in quotes, not true or false"),
        ("[run]\nduration = \"1ms\"",           "3: run.duration = \"1ms\": expected a span from \"1s\", or \"none\""),
        ("[run]\ntrading_enabled = 1",          "3: run.trading_enabled = 1: expected true, false or \"auto\""),
        ("[run]\nstate_hash_every = -1",        "3: run.state_hash_every = -1: expected a whole number from 0 to 1000000000"),
        ("[run]\nstate_hash_every = 99999999999999999999", "3: run.state_hash_every = 99999999999999999999: expected a whole number from 0 to 1000000000"),
        ("[schedule]\ntimezone = \"Mars\"",      "3: schedule.timezone = \"Mars\": is no timezone; expected a name such as \"UTC\" or \"Europe/London\""),
        ("[schedule]\nwindows = [\"mon 8-9\"]", "3: schedule.windows = [\"mon 8-9\"]: expected days and hours, such as \"mon-fri 08:00-16:30\", \"sun 22:00-02:00\" or \"mon,wed 09:00-17:00\""),
        ("[schedule]\ndays_off = [\"25.12.\"]", "3: schedule.days_off = [\"25.12.\"]: expected a date, \"YYYY-MM-DD\""),
        ("[schedule]\ndaily_reset = \"24:00\"",  "3: schedule.daily_reset = \"24:00\": expected a time of day, \"HH:MM\" or \"HH:MM:SS\", or \"none\""),
        ("[journal]\nsegment_size = \"64MB\"",  "3: journal.segment_size = \"64MB\": expected a size such as \"64KiB\", \"64MiB\" or \"1GiB\""),
        ("[journal]\nsegment_size = \"9000B\"", "3: journal.segment_size = \"9000B\": expected a whole number of 4KiB from \"8KiB\" to \"4GiB\""),
        ("[journal]\nsnapshot_every = \"1ms\"",  "3: journal.snapshot_every = \"1ms\": expected a span from \"1s\" to \"1d\", or \"none\""),
        ("[threads]\nlayout = \"spilt\"",       "3: threads.layout = \"spilt\": expected one of \"auto\", \"split\", \"merged\"; did you mean \"split\"?"),
        ("[threads]\nwait = 1.5",               "3: threads.wait = 1.5: expected one of \"auto\", \"spin\", \"yield\", \"park\"; write it in quotes"),
        ("[threads]\ncore_cpu = 5000",          "3: threads.core_cpu = 5000: expected a whole number from 0 to 1023, or \"any\""),
        ("[rings]\ncore_sender = 1",            "3: rings.core_sender = 1: expected a whole number from 16 to 1048576"),
        ("[core]\nsettle_max = \"1m\"",         "3: core.settle_max = \"1m\": expected a span from \"0s\" to \"10s\""),
        ("[core]\nvisibility_delay = 2024-01-01", "3: core.visibility_delay = 2024-01-01: expected text, in quotes, not a date"),
        ("[demo]\nmarket = \"moon\"",           "3: demo.market = \"moon\": expected \"agents\", or \"recording:FILE\" (several with commas between)"),
        ("[demo]\nspeed = 0",                   "3: demo.speed = 0: expected \"max\", or a whole number from 1 to 1000000"),
        ("[demo]\nbalance = \"-1\"",            "3: demo.balance = \"-1\": expected from \"0\", with at most 8 decimals"),
        ("[demo]\nbalance = 1e5",               "3: demo.balance = 1e5: expected a decimal number such as \"0.002\"; write it in quotes"),
        // Keys against keys.
        ("[core]\nsettle_quiet = \"20ms\"",     "2: core.settle_max: is shorter than `settle_quiet`: the window would end before it is quiet"),
        ("[threads]\ncore_cpu = 1\nsender_cpu = 1", "4: threads.sender_cpu = 1: is the core's CPU too; the core thread needs one for itself"),
        ("[threads]\nlayout = \"split\"\nreceiver_cpu = 1\nsender_cpu = 1", "5: threads.sender_cpu = 1: is the receiver's CPU too; that is layout = \"merged\""),
        ("[threads]\nlayout = \"merged\"\nreceiver_cpu = 1\nsender_cpu = 2", "5: threads.sender_cpu = 2: the merged layout has one thread for both: \"any\", or the receiver's CPU"),
        ("[demo]\nspeed = 2",                   "3: demo.speed = 2: sets the pace of a recording, and the market is \"agents\""),
    ];
    let mut wrong = 0;
    for (text, expected) in table {
        let found = told(&demo_file(text));
        if found != *expected {
            println!("{text}\n found    {found}\n expected {expected}");
            wrong += 1;
        }
    }
    assert_eq!(wrong, 0, "answers that differ");
}

/// A file of mode DEMO that ends in a fragment; told with the fragment's own line numbers.
fn demo_file(fragment: &str) -> String {
    if fragment.starts_with("mode") {
        return fragment.to_owned();
    }
    format!("mode = \"DEMO\"\n{fragment}")
}

#[test]
fn every_mistake_in_a_list_names_its_entry() {
    #[rustfmt::skip]
    let table: &[(&str, &str, &str)] = &[
        // Replace this in a good file by that, and read this answer.
        ("name = \"binance\"", "name = \"bin ance\"", "3: venue[0].name = \"bin ance\": expected letters, digits, - and _, at most 32"),
        ("name = \"binance\"\n", "", "2: venue[0].name: is missing, and has no default: it is yours to give"),
        ("rest = \"https://demo-fapi.binance.com\"", "rest = \"demo-fapi.binance.com\"", "4: venue[0].rest = \"demo-fapi.binance.com\": it has no scheme; expected for example wss://host:443/path"),
        ("rest = \"https://", "rest = \"wss://", "4: venue[0].rest = \"wss://demo-fapi.binance.com\": expected an address of the form https://host (or http:// on this machine)"),
        ("rest = \"https://", "rest = \"http://", "4: venue[0].rest = \"http://demo-fapi.binance.com\": beyond this machine only TLS is spoken: https:// or wss://"),
        ("binance.com\"\nmarket", "binance.com/fapi\"\nmarket", "4: venue[0].rest = \"https://demo-fapi.binance.com/fapi\": is a base address: leave its path out"),
        ("symbol = \"BTCUSDT\"", "symbol = \"btcusdt\"", "12: instrument[0].symbol = \"btcusdt\": expected capital letters, digits and _, at most 32; did you mean \"BTCUSDT\"?"),
        ("venue = \"binance\"", "venue = \"binace\"", "11: instrument[0].venue = \"binace\": no venue is called \"binace\"; did you mean \"binance\"?"),
        ("max_position = \"0.05\"\n", "", "10: instrument[0].max_position: is missing, and has no default: it is yours to give"),
        ("max_position = \"0.05\"", "max_position = 0.05", "15: instrument[0].max_position = 0.05: expected a decimal number such as \"0.002\"; write it in quotes"),
        ("max_order_notional = \"5000\"", "max_order_notional = \"0\"", "14: instrument[0].max_order_notional = \"0\": expected a number above \"0\""),
        ("max_order_notional = \"5000\"", "max_order_notional = \"5000\"\ncollar = \"0%\"", "15: instrument[0].collar = \"0%\": expected from \"0.01%\" to \"100%\", or \"none\""),
        ("instruments = [\"BTCUSDT\"]", "instruments = [\"BTCUSD\"]", "20: strategy[0].instruments = [\"BTCUSD\"]: no instrument is called \"BTCUSD\"; did you mean \"BTCUSDT\"?"),
        ("instruments = [\"BTCUSDT\"]", "instruments = \"BTCUSDT\"", "20: strategy[0].instruments = \"BTCUSDT\": expected a list of symbols such as [\"BTCUSDT\"]"),
        ("instruments = [\"BTCUSDT\"]", "instruments = [\"BTCUSDT\", \"binance/BTCUSDT\"]", "20: strategy[0].instruments = [\"BTCUSDT\", \"binance/BTCUSDT\"]: names binance/BTCUSDT twice"),
        ("quantity = \"0.002\"", "quantity = \"0,002\"", "21: strategy[0].parameters.quantity = \"0,002\": expected a decimal number such as \"0.002\""),
        ("quantity = \"0.002\"", "quantiy = \"0.002\"", "21: strategy[0].parameters.quantiy: there is no such key; did you mean `quantity`?\n21: strategy[0].parameters.quantity: is missing, and has no default: it is yours to give"),
        ("quantity = \"0.002\"", "quantity = \"0.2\"", "21: strategy[0].parameters.max_position = \"0.01\": is less than one quote's `quantity`\n21: strategy[0].parameters.quantity = \"0.2\": is more than the instrument's max_order_quantity of \"0.05\""),
        ("max_position = \"0.01\"", "max_position = \"1\"", "21: strategy[0].parameters.max_position = \"1\": is more than the instrument's max_position of \"0.05\""),
        ("quantity = \"0.002\"", "quantity = \"0.002\", half_spread_ticks = \"-1\"", "21: strategy[0].parameters.half_spread_ticks = \"-1\": expected from \"0\" to \"1000000\" ticks"),
        ("kind = \"market-maker\"", "kind = \"market-maker\"\nclaims_external = [\"BTCUSD\"]", "20: strategy[0].claims_external = [\"BTCUSD\"]: no instrument is called \"BTCUSD\"; did you mean \"BTCUSDT\"?"),
        ("kind = \"market-maker\"", "kind = \"market-maker\"\nclaims_external = true", "20: strategy[0].claims_external = true: expected a list of symbols such as [\"BTCUSDT\"]"),
        ("kind = \"market-maker\"", "kind = \"market-maker\"\nmax_daily_loss = \"0\"", "20: strategy[0].max_daily_loss = \"0\": expected a number above \"0\", or \"none\""),
    ];
    let mut wrong = 0;
    for (this, that, expected) in table {
        let text = desk("");
        assert!(text.contains(this), "{this}");
        let found = told(&text.replacen(this, that, 1));
        if found != *expected {
            println!("{this} -> {that}\n found    {found}\n expected {expected}");
            wrong += 1;
        }
    }
    assert_eq!(wrong, 0, "answers that differ");
}

#[test]
fn a_secret_that_stands_in_the_file_is_refused_and_not_shown() {
    let text = desk("").replace("file:key.pem", "hunter2");
    assert_eq!(
        told(&text),
        "8: venue[0].key.secret: expected \"env:VARIABLE\", \"file:PATH\" or \"command:/PATH ARGUMENTS\" (what stands there is not shown: it may be a secret)"
    );
    let text = desk("").replace("secret =", "passphrase =");
    assert!(!told(&text).contains("key.pem"), "{}", told(&text));
    let text = desk("").replace("{ id = \"env:LINCHPIN_ID\", secret = \"file:key.pem\" }", "\"hunter2\"");
    assert!(!told(&text).contains("hunter2"), "{}", told(&text));
    let text = desk("").replace("{ id = \"env:LINCHPIN_ID\",", "{ id = \"none\",");
    assert!(told(&text).contains("`id` and `secret` belong together"), "{}", told(&text));
}

#[test]
fn sending_to_others_needs_a_key() {
    let none = "key = { id = \"none\", secret = \"none\" }\n";
    let keyless = |mode: &str| {
        desk(mode).replace("key = { id = \"env:LINCHPIN_ID\", secret = \"file:key.pem\" }\n", none)
    };
    assert_eq!(good(&keyless("")).venues[0].key, None);
    assert_eq!(
        told(&keyless("mode = \"TESTNET\"\n")),
        "9: venue[0].key.id: mode TESTNET needs a key: \"env:VARIABLE\", \"file:PATH\" or \"command:/PATH ARGUMENTS\""
    );
}

#[test]
fn a_bucket_that_could_never_send_is_refused() {
    let limit = "[[venue.limit]]\nname = \"tiny\"\nburst = 10\ncancel_reserve = 10\n[[venue.limit]]\nname = \"tiny\"\n";
    let text = desk("").replace(BTC, &format!("{limit}{BTC}"));
    assert_eq!(
        told(&text),
        "9: venue[0].limit[0].new: costs more than `burst` leaves beside `cancel_reserve`: none could ever go out\n\
         9: venue[0].limit[0].replace: costs more than `burst` leaves beside `cancel_reserve`: none could ever go out\n\
         14: venue[0].limit[1].name = \"tiny\": is there twice"
    );
}

#[test]
fn a_symbol_at_two_venues_needs_its_venues_name() {
    let second = TESTNET_VENUE.replace("\"binance\"", "\"other\"");
    let other = BTC.replace("\"binance\"", "\"other\"");
    let text = format!("{TESTNET_VENUE}{second}{BTC}{other}{MAKER}");
    assert!(
        told(&text).ends_with("BTCUSDT is at two venues: write \"binance/BTCUSDT\" or \"other/BTCUSDT\"")
    );
    let text = text.replace("[\"BTCUSDT\"]", "[\"other/BTCUSDT\"]");
    assert_eq!(good(&text).strategies[0].instruments, [1]);
    assert!(
        told(&format!("{TESTNET_VENUE}{BTC}{BTC}{MAKER}"))
            .contains("instrument[1].symbol = \"BTCUSDT\": is there twice")
    );
}

#[test]
fn external_orders_are_claimed_by_one_strategy_that_trades_the_instrument() {
    let claiming = |maker: &str| maker.replace("kind =", "claims_external = [\"BTCUSDT\"]\nkind =");
    let config = good(&format!("{TESTNET_VENUE}{BTC}{}", claiming(MAKER)));
    assert_eq!(config.strategies[0].claims_external, [0]);
    let claims: Vec<_> = config.external_claims().collect();
    assert_eq!(claims, [("maker", "binance/BTCUSDT".to_owned())]);
    assert_eq!(Config::from_resolved(&config.resolved_text()).unwrap(), config);
    let core = config.core(&[definition()], *b"tests").unwrap();
    assert_eq!(core.instruments[0].claimant, Some(linchpin_core::id::StrategyId(0)));
    assert_eq!(good(&desk("")).external_claims().count(), 0, "nothing is claimed that nobody wrote");

    let second = MAKER.replace("\"maker\"", "\"second\"");
    assert_eq!(
        told(&format!("{TESTNET_VENUE}{BTC}{}{}", claiming(MAKER), claiming(&second))),
        "26: strategy[1].claims_external = [\"BTCUSDT\"]: \"maker\" and \"second\" both claim BTCUSDT: an order of others \
         can be one strategy's only"
    );
    let eth = BTC.replace("BTCUSDT", "ETHUSDT");
    let elsewhere =
        claiming(MAKER).replace("claims_external = [\"BTCUSDT\"]", "claims_external = [\"ETHUSDT\"]");
    assert!(
        told(&format!("{TESTNET_VENUE}{BTC}{eth}{elsewhere}")).ends_with(
            "claims_external = [\"ETHUSDT\"]: ETHUSDT is not among the strategy's own `instruments`"
        )
    );
}

#[test]
fn more_of_anything_than_the_core_has_room_for_is_refused() {
    let mut text = desk("");
    for at in 0..256 {
        text.push_str(&BTC.replace("BTCUSDT", &format!("COIN{at}USDT")));
    }
    assert_eq!(
        told(&text),
        "10: instrument = [{..}, {..}, {..}, {..}, {..}, {..}, {..}, {..}]: 257 entries; expected 1 to 256"
    );
}

#[test]
fn the_command_line_overrides_the_file() {
    let overrides = Overrides {
        home: Some("there".into()),
        duration: Some("5m".parse().unwrap()),
        verify: Some(false),
        market: Some("recording:a.gz,b.gz".parse().unwrap()),
        speed: Some(Pace::Max),
        ..Overrides::default()
    };
    let config = read::config(None, &overrides, None).unwrap();
    assert_eq!(config.run.home, PathBuf::from("there"));
    assert_eq!(config.run.duration, RunLength::For(Nanos::from_secs(300)));
    assert_eq!(config.demo.market, Market::Recording(vec!["a.gz".into(), "b.gz".into()]));
    let recording = Overrides { duration: None, ..overrides.clone() };
    assert_eq!(read::config(None, &recording, None).unwrap().run.duration, RunLength::Unbounded);
    let wrong = Overrides { market: None, ..overrides };
    assert_eq!(
        read::config(None, &wrong, None).unwrap_err().to_string(),
        "command line: --speed = max: sets the pace of a recording, and the market is \"agents\""
    );
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Some(Path::new("no/such/desk.toml")), &Overrides::default()).unwrap_err();
    assert!(error.to_string().starts_with("no/such/desk.toml: cannot be read: "), "{error}");
}

const OWN: &str = r#"
[[strategy]]
name = "own"
kind = "pairs"
instruments = ["BTCUSDT"]
[strategy.parameters]
ratio = "1.25"
window = "5s"
depth = 3
quiet = true
"odd key" = ["a\"b", 1]
"#;

#[test]
fn a_desks_own_strategy_gets_its_parameters_typed_and_its_mistakes_with_their_key() {
    let config = good(&format!("{TESTNET_VENUE}{BTC}{OWN}"));
    let Kind::Own { name, parameters } = &config.strategies[0].kind else { panic!("a strategy of its own") };
    assert_eq!(name, "pairs");
    assert_eq!(parameters.decimal("ratio").unwrap().to_string(), "1.25");
    assert_eq!(parameters.span("window"), Ok(Nanos::from_secs(5)));
    assert_eq!((parameters.integer("depth"), parameters.flag("quiet")), (Ok(3), Ok(true)));
    assert_eq!(
        parameters.integer("ratio").unwrap_err().to_string(),
        "strategy[0].parameters.ratio = \"1.25\": expected a whole number"
    );
    assert_eq!(
        parameters.text("missing").unwrap_err().to_string(),
        "strategy[0].parameters.missing: is missing: the strategy needs it"
    );
    assert_eq!(
        parameters.expect_only(&["ratios", "window", "depth", "quiet", "odd key"]).unwrap_err().to_string(),
        "strategy[0].parameters.ratio: the strategy has no such parameter; did you mean `ratios`?"
    );
    assert_eq!(
        config.check_kinds(&["pair"]).unwrap_err().to_string(),
        "strategy[0].kind = \"pairs\": there is no such strategy; this program has \"market-maker\", \"chaser\", \"bracket\", \"dca-entry\", \"pair\"; did you mean \"pair\"?"
    );
    assert_eq!(config.check_kinds(&["pairs"]), Ok(()));
    let float = format!("{TESTNET_VENUE}{BTC}{OWN}").replace("\"1.25\"", "1.25");
    assert!(
        told(&float).contains("`ratio`: a float is not exact: write it as text, in quotes"),
        "{}",
        told(&float)
    );
}

#[test]
fn the_resolved_text_reads_back_as_the_same_configuration() {
    let texts =
        [desk(""), desk("mode = \"TESTNET\"\n"), format!("{TESTNET_VENUE}{BTC}{OWN}"), DEFAULT.to_owned()];
    for config in texts.iter().map(|text| good(text)).chain([demo()]) {
        let text = config.resolved_text();
        let again = Config::from_resolved(&text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        assert_eq!(again, config);
        assert_eq!(again.resolved_text(), text);
        assert_eq!(again.hash(), config.hash());
    }
}

#[test]
fn every_key_of_the_manual_stands_in_the_resolved_text_and_no_other() {
    fn keys(path: &str, table: &toml::Table, found: &mut std::collections::BTreeSet<String>) {
        for (key, value) in table {
            match value {
                toml::Value::Table(table) => keys(&format!("{path}{key}."), table, found),
                toml::Value::Array(list) if list.first().is_some_and(toml::Value::is_table) => {
                    list.iter()
                        .filter_map(toml::Value::as_table)
                        .for_each(|t| keys(&format!("{path}{key}."), t, found));
                }
                _ => drop(found.insert(format!("{path}{key}"))),
            }
        }
    }
    let keys_of = |text: &str| {
        let mut found = std::collections::BTreeSet::new();
        keys("", &text.parse().expect("TOML"), &mut found);
        found
    };
    assert_eq!(keys_of(&demo().resolved_text()), keys_of(DEFAULT));
}

#[test]
fn the_hash_is_of_the_rules_and_not_of_the_machine() {
    let one = good(&desk(""));
    let elsewhere = good(&desk("run = { home = \"x\", duration = \"1h\" }\nthreads = { core_cpu = 1 }\n"));
    assert_eq!(one.hash(), elsewhere.hash());
    for (this, that) in
        [("\"0.002\"", "\"0.003\""), ("\"5000\"", "\"5001\""), ("env:LINCHPIN_ID", "env:OTHER")]
    {
        let other = good(&desk("").replace(this, that));
        assert_eq!(one.hash() == other.hash(), this.starts_with("env"), "{this}");
    }
}

#[test]
fn the_embedded_venues_addresses_are_filled_in_and_belong_to_the_run_alone() {
    let mut config = demo();
    assert_eq!(config.venues[0].addresses(), None);
    let (text, hash) = (config.resolved_text(), config.hash());
    assert_eq!(config.embedded_dialects(), [Dialect::BinanceUsdm]);
    config.connect_embedded(Dialect::BinanceSpot, 4320.try_into().unwrap());
    assert_eq!(config.venues[0].addresses(), None, "that is another product's");
    config.connect_embedded(Dialect::BinanceUsdm, 4321.try_into().unwrap());
    let addresses = config.venues[0].addresses().unwrap();
    assert_eq!(addresses.rest.to_string(), "https://127.0.0.1:4321/");
    assert_eq!(addresses.order_entry.to_string(), "wss://127.0.0.1:4321/ws-fapi/v1");
    assert_eq!((config.resolved_text(), config.hash()), (text, hash));
}

#[test]
fn the_core_counts_in_lots_and_ticks_what_a_person_wrote_in_units() {
    let config = demo();
    let core = config.core(&[definition()], *b"tests").unwrap();
    let limits = core.instruments[0];
    assert_eq!((limits.max_order_quantity, limits.max_position), (Quantity::new(100), Quantity::new(100)));
    // 20000 USDT in units of 0.1 x 0.001.
    assert_eq!(limits.max_order_notional, Notional::new(200_000_000));
    assert_eq!((limits.collar, limits.stale_after), (200, Nanos::from_secs(5)));
    assert_eq!(core.strategies[0].max_daily_loss, 1000 * CASH_UNIT);
    let maker = config.market_maker(0, &[definition()]).unwrap().unwrap();
    assert_eq!((maker.quantity, maker.max_position), (Quantity::new(5), Quantity::new(30)));
    assert_eq!((maker.half_spread.to_bits(), maker.max_skew.to_bits()), (65_536, 10 * 65_536));
}

#[test]
fn what_does_not_fit_the_instrument_is_refused_with_its_key() {
    let text = desk("").replace("max_order_quantity = \"0.05\"", "max_order_quantity = \"0.0505\"");
    let config = good(&text.replace("quantity = \"0.002\"", "quantity = \"0.0005\""));
    assert_eq!(
        config.core(&[definition()], *b"tests").unwrap_err().to_string(),
        "instrument[0].max_order_quantity = \"0.0505\": is not a whole number of the instrument's lots of \"0.001\""
    );
    assert_eq!(
        config.market_maker(0, &[definition()]).unwrap_err().to_string(),
        "strategy[0].parameters.quantity = \"0.0005\": is not a whole number of the instrument's lots of \"0.001\""
    );
    let coarse = InstrumentDefinition { min_quantity: Quantity::new(60), ..definition() };
    assert_eq!(
        good(&desk("")).core(&[coarse], *b"tests").unwrap_err().to_string(),
        "instrument[0].max_order_quantity = \"0.05\": is less than the venue's smallest order, \"0.06\"\n\
         instrument[0].max_position = \"0.05\": is less than the venue's smallest order, \"0.06\""
    );
    assert_eq!(
        config.core(&[], *b"tests").unwrap_err().to_string(),
        "instrument: 1 are configured, but 0 definitions are known"
    );
}

#[test]
fn a_notional_limit_is_rounded_down_and_never_to_nothing() {
    let caps = |notional: &str| InstrumentCaps {
        max_order_notional: notional.parse().unwrap(),
        ..demo().instruments[0].caps.clone()
    };
    let limits =
        |notional: &str| caps(notional).limits("instrument[0]", linchpin_core::id::VenueId(0), &definition());
    assert_eq!(limits("0.00019").unwrap().max_order_notional, Notional::new(1));
    assert_eq!(
        limits("0.00009").unwrap_err().to_string(),
        "instrument[0].max_order_notional = \"0.00009\": is less than one tick times one lot of the instrument, or too large to count"
    );
}

// ---- limits ----

/// `table.key` of every key of the manual.
fn manual_keys() -> std::collections::BTreeSet<String> {
    let mut table = "";
    let mut keys = std::collections::BTreeSet::new();
    for line in DEFAULT.lines() {
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']);
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.insert(format!("{table}.{key}"));
        }
    }
    keys
}

#[test]
fn every_limit_of_the_core_and_every_key_that_a_check_of_risk_names_is_a_key_of_the_manual() {
    let manual = manual_keys();
    for key in LimitKey::ALL {
        assert!(manual.contains(key.name()), "{key} is in no table of default.toml");
    }
    let checks = linchpin_core::risk::CHECKS;
    for (check, key) in checks.iter().flat_map(|check| check.keys.split(", ").map(move |key| (check, key))) {
        assert!(key.is_empty() || manual.contains(key), "{}: default.toml has no {key}", check.reason);
    }
    assert!(checks.iter().filter(|check| !check.keys.is_empty()).count() > 20);
}

/// A line of the file, with the table that it stands in.
fn with_limit(scope: LimitScope, line: &str) -> String {
    match scope {
        LimitScope::Account => desk(&format!("[risk]\n{line}\n")),
        LimitScope::Venue => desk("").replace("key = {", &format!("{line}\nkey = {{")),
        LimitScope::Instrument => {
            desk("").replace("max_position = \"0.05\"", &format!("max_position = \"0.05\"\n{line}"))
        }
        LimitScope::Strategy => desk("").replace("parameters = {", &format!("{line}\nparameters = {{")),
    }
}

#[test]
fn every_limit_says_what_it_takes_when_it_is_given_something_else() {
    let money = "expected a number above \"0\", or \"none\"";
    let tenth_of_a_second = "expected a span from \"100ms\" to \"30d\", or \"none\"";
    let mut told_keys = std::collections::BTreeSet::new();
    for (key, value, problem) in [
        ("risk.max_gross", "\"0\"", money),
        ("risk.max_net", "\"-1\"", money),
        (
            "risk.max_daily_loss",
            "0.5",
            "expected a decimal number such as \"0.002\", or \"none\"; write it in quotes",
        ),
        (
            "risk.max_drawdown",
            "\"0.123456789\"",
            "expected at most 8 decimals and 11 digits before them, or \"none\"",
        ),
        ("risk.report_wait", "\"2h\"", "expected a span from \"1ms\" to \"1h\", or \"none\""),
        ("venue.max_open_orders", "0", "expected a whole number from 1 to 100000, or \"none\""),
        ("venue.least_validity", "\"25h\"", "expected a span from \"1ns\" to \"1d\", or \"none\""),
        ("instrument.max_open_orders", "\"none\"", "expected a whole number from 1 to 100000"),
        ("instrument.max_position_notional", "\"0\"", money),
        ("instrument.leverage", "1001", "expected a whole number from 1 to 1000, or \"none\""),
        ("instrument.quote_worth", "\"0\"", money),
        ("instrument.collar", "\"101%\"", "expected from \"0%\" to \"100%\", or \"none\""),
        (
            "instrument.stale_after",
            "\"none\"",
            "expected a span such as \"250us\", \"2ms\", \"10s\" or \"5m\"",
        ),
        ("strategy.max_open_orders", "0", "expected a whole number from 1 to 100000"),
        ("strategy.max_intents_per_second", "0", "expected a whole number from 1 to 1000000, or \"none\""),
        ("strategy.max_daily_loss", "\"0\"", money),
        ("strategy.max_drawdown", "\"0\"", money),
        ("strategy.max_gross", "\"0\"", money),
        ("strategy.max_net", "\"0\"", money),
        ("strategy.duplicate_within", "\"2h\"", "expected a span from \"1ns\" to \"1h\", or \"none\""),
        ("strategy.max_messages_per_fill", "\"5\"", "expected a whole number from 1 to 1000000, or \"none\""),
        ("strategy.message_window", "\"25h\"", "expected a span from \"1ms\" to \"1d\""),
        ("strategy.message_minimum", "0", "expected a whole number from 1 to 1000000"),
        ("strategy.max_order_age", "\"1ms\"", tenth_of_a_second),
    ] {
        let found = LimitKey::ALL.iter().copied().find(|known| known.name() == key).expect(key);
        let place = if found.scope() == LimitScope::Account { String::new() } else { "[0]".to_owned() };
        let full = format!("{}{place}.{}", found.scope(), found.own_name());
        let answer = told(&with_limit(found.scope(), &format!("{} = {value}", found.own_name())));
        let (_, answer) = answer.split_once(": ").expect("a line");
        assert_eq!(answer, format!("{full} = {value}: {problem}"));
        told_keys.insert(found);
    }
    let needs_lots = ["max_order_quantity", "max_position", "max_order_notional"];
    let rest = LimitKey::ALL.iter().filter(|key| !needs_lots.contains(&key.own_name()));
    assert!(rest.eq(&told_keys), "a limit without a line here");
    let on_loss = told(&desk("[risk]\non_loss = \"kil\"\n"));
    assert!(
        on_loss.ends_with("expected one of \"kill\", \"halt\", \"reduce\"; did you mean \"kill\"?"),
        "{on_loss}"
    );
}

#[test]
fn every_limit_reaches_the_core_and_the_journals_text() {
    for key in LimitKey::ALL {
        let values = key.values();
        let Some(text) = (match values.unit {
            Unit::Count => Some("7".to_owned()),
            Unit::Money => Some("\"7.5\"".to_owned()),
            Unit::Share => Some("\"0.07%\"".to_owned()),
            Unit::Span => Some("\"777ms\"".to_owned()),
            _ => None,
        }) else {
            continue;
        };
        let config = good(&with_limit(key.scope(), &format!("{} = {text}", key.own_name())));
        let core = config.core(&[definition()], *b"tests").unwrap();
        let number = match values.unit {
            Unit::Money => 750_000_000,
            Unit::Span => 777_000_000,
            _ => 7,
        };
        assert_eq!(core.limit(key.target(0)), Some(number), "{key}");
        assert_eq!(Config::from_resolved(&config.resolved_text()).unwrap(), config, "{key}");
    }
    let reduce = good(&desk("[risk]\non_loss = \"reduce\"\n"));
    assert_eq!(reduce.core(&[definition()], *b"tests").unwrap().account.on_loss, LossAnswer::Reduce);
    assert_eq!(Config::from_resolved(&reduce.resolved_text()).unwrap(), reduce);
}

fn with_bucket(dialect: &str, lines: &str) -> String {
    let bucket = format!(
        "dialect = \"{dialect}\"\nlimit = [{{ name = \"one\", interval = \"1m\", {lines} }}]\nkey = {{"
    );
    desk("").replace("key = {", &bucket)
}

#[test]
fn a_bucket_is_bound_to_the_venues_own_count_by_the_venues_word() {
    let bucket = |text: &str| good(text).venues[0].limits[0].bucket;
    let bound = bucket(&with_bucket("binance-usdm", "counted_as = \"ORDERS-1M\""));
    assert_eq!(bound.counted_as, Some(wire::bucket::ORDERS_1M));
    // What is left out binds nothing: the manual's word is about the manual's bucket.
    assert_eq!(bucket(&with_bucket("binance-usdm", "burst = 90")).counted_as, None);
    assert_eq!(bucket(&with_bucket("binance-usdm", "per = \"instrument\"")).per, BucketScope::Instrument);
    let demo = demo();
    let of_demo: Vec<_> = demo.venues[0].limits.iter().map(|limit| limit.bucket.counted_as).collect();
    use wire::bucket::{ORDERS_1M, ORDERS_10S, REQUEST_WEIGHT};
    assert_eq!(of_demo, [Some(ORDERS_10S), Some(ORDERS_1M), Some(REQUEST_WEIGHT)]);
    let whole = good(&with_bucket("binance-usdm", "counted_as = \"REQUEST_WEIGHT-1M\", per = \"venue\""));
    assert_eq!(Config::from_resolved(&whole.resolved_text()).unwrap(), whole);
    for (dialect, lines, problem) in [
        (
            "binance-usdm",
            "counted_as = \"ORDERS-1D\"",
            "counted_as = \"ORDERS-1D\": expected one of \"REQUEST_WEIGHT-1M\", \"ORDERS-10S\", \"ORDERS-1M\", or \"none\"; did you mean \"ORDERS-1M\"?",
        ),
        (
            "binance-spot",
            "counted_as = \"ORDERS-1M\"",
            "counted_as = \"ORDERS-1M\": expected one of \"REQUEST_WEIGHT-1M\", \"ORDERS-10S\", \"ORDERS-1D\", or \"none\"; did you mean \"ORDERS-1D\"?",
        ),
        (
            "binance-usdm",
            "counted_as = \"ORDERS-10S\"",
            "interval = \"1m\": the venue counts ORDERS-10S over \"10s\"",
        ),
        (
            "binance-usdm",
            "per = \"session\", counted_as = \"ORDERS-1M\"",
            "per = \"session\": the venue counts ORDERS-1M for all that we do there: \"venue\"",
        ),
        (
            "binance-usdm",
            "per = \"order\"",
            "per = \"order\": expected one of \"venue\", \"instrument\", \"session\"",
        ),
    ] {
        let answer = told(&with_bucket(dialect, lines));
        assert!(answer.ends_with(&format!("venue[0].limit[0].{problem}")), "{answer}");
    }
}

#[test]
fn money_of_unlike_quote_assets_is_not_added_up_unless_somebody_says_what_it_is_worth() {
    let two = |line: &str| {
        let other = BTC.replace("BTCUSDT", "ETHBTC") + line;
        good(&format!("{TESTNET_VENUE}{BTC}{other}{MAKER}"))
    };
    let definitions = [definition(), InstrumentDefinition { quote: AssetId(7), ..definition() }];
    assert_eq!(
        two("").core(&definitions, *b"tests").unwrap_err().to_string(),
        "instrument[1].quote_worth: BTCUSDT and ETHBTC are quoted in different assets: say what one unit of ETHBTC's counts for \
         (\"1\" for as much as the other)"
    );
    let core = two("quote_worth = \"60000\"\n").core(&definitions, *b"tests").unwrap();
    assert_eq!(core.instruments[1].quote_worth, 60_000 * CASH_UNIT);
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(text in "\\PC{0,64}", at in 0usize..64, cut in 0usize..4000) {
        let _ = read(&text);
        let whole = desk("");
        let mut mixed: String = whole.chars().take(cut % whole.len()).collect();
        mixed.push_str(&text);
        mixed.extend(whole.chars().skip(cut % whole.len() + at));
        let _ = read(&mixed);
    }
}

// ---- the built-in strategies ----

fn with_strategy(kind: &str, parameters: &str) -> String {
    format!(
        "{TESTNET_VENUE}{BTC}\n[[strategy]]\nname = \"one\"\nkind = \"{kind}\"\ninstruments = [\"BTCUSDT\"]\n\
         [strategy.parameters]\n{parameters}"
    )
}

const CHASER: &str = "side = \"sell\"\nquantity = \"0.05\"\nchild_quantity = \"0.01\"\n";
const BRACKET: &str = "entry_side = \"buy\"\nentry_quantity = \"0.01\"\nentry_price = \"40000.5\"\n";
const DCA_ENTRY: &str =
    "side = \"buy\"\nbase_quantity = \"0.005\"\nsafety_quantity = \"0.005\"\nmax_position = \"0.03\"\n";

#[test]
fn every_built_in_strategy_is_made_from_its_file_and_comes_back_from_its_resolved_text() {
    let cases = [
        ("chaser", CHASER.to_owned() + "price_limit = \"39000.1\"\ndeadline = \"5m\"\nfinish = \"take\"\n"),
        ("bracket", BRACKET.to_owned() + "trailing = \"0.5%\"\ntrigger = \"mark\"\n"),
        ("dca-entry", DCA_ENTRY.to_owned() + "step_scale = \"1.5\"\ndeals = 3\n"),
    ];
    for (kind, parameters) in cases {
        let config = good(&with_strategy(kind, &parameters));
        assert_eq!(config.strategies[0].kind.name(), kind);
        let made =
            config.built_in_strategy(0, &[definition()]).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert!(made.is_some(), "{kind}");
        let again =
            Config::from_resolved(&config.resolved_text()).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(again, config, "{kind}");
    }
}

#[test]
fn what_a_built_in_strategy_cannot_take_is_told_with_its_key() {
    let cases = [
        (
            "chaser",
            "side = \"up\"\n",
            "strategy[0].parameters.side = \"up\": expected one of \"buy\", \"sell\"",
        ),
        (
            "chaser",
            "quantity = \"0.002\"\nchild_quantity = \"0.01\"\n",
            "is more than the parent's `quantity`",
        ),
        ("chaser", "finish = \"take\"\n", "is for the deadline, and `deadline` is \"none\""),
        ("chaser", "max_slipage = \"1%\"\n", "did you mean `max_slippage`?"),
        ("chaser", "quantity = \"1\"\n", "is more than the instrument's max_position of \"0.05\""),
        ("bracket", "protects = \"maker\"\n", "`protects`: "),
        ("bracket", "protects = \"own\"\n", "is \"own\", and there is no entry"),
        (
            "bracket",
            "protects = \"account\"\nstop_loss = \"none\"\ntake_profit = \"none\"\n",
            "nothing is protected",
        ),
        ("bracket", "protects = \"account\"\ntrailing = \"20%\"\n", "expected from \"0.1%\" to \"10%\""),
        ("dca-entry", "safety_orders = 33\n", "expected a whole number from 0 to 32"),
        ("dca-entry", "step_scale = \"11\"\n", "expected from \"0.1\" to \"10\", with at most 4 decimals"),
        (
            "dca-entry",
            "base_quantity = \"0.04\"\nmax_position = \"0.03\"\n",
            "is less than the first order's",
        ),
    ];
    for (kind, parameters, problem) in cases {
        let said = told(&with_strategy(kind, parameters));
        assert!(said.contains(problem), "{kind}, {parameters}: {said}");
    }
    // What only the venue's definition can tell.
    let text = with_strategy("chaser", &(CHASER.to_owned() + "price_limit = \"39000.05\"\n"));
    let error = good(&text).built_in_strategy(0, &[definition()]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("strategy[0].parameters.price_limit"), "{error}");
    assert!(error.contains("is not a whole number of the instrument's ticks"), "{error}");
}
