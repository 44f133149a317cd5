//! Everything that shapes a venue: instruments and their filters, accounts, and where the market comes from.

use std::path::PathBuf;

use super::super::decimal::Decimal;
use super::{SelfTradePrevention, Symbol};

/// Everything that shapes a venue. Equal configurations, commands and times give equal outputs.
#[derive(Clone, Debug)]
pub struct ExchangeConfig {
    pub symbols: Vec<SymbolSpec>,
    /// `accounts[0]` becomes `AccountId(1)`.
    pub accounts: Vec<AccountSpec>,
    pub market: MarketConfig,
    /// What `selfTradePreventionMode` is when an order does not say. The exchange's documents give `EXPIRE_MAKER` for USD-M.
    pub default_self_trade_prevention: SelfTradePrevention,
    /// Orders and fills that one account's history keeps; the oldest ended ones are forgotten first.
    pub history_limit: usize,
    /// What longs pay shorts at each funding, as a fraction of notional; negative the other way round.
    pub funding_rate: Decimal,
    /// Fundings happen at whole multiples of this since 1970.
    pub funding_interval_ms: u64,
    /// Between two `MarkPrice` outputs of one symbol.
    pub mark_price_interval_ns: u64,
}

impl ExchangeConfig {
    /// What is traded here. One venue has one product, as the exchange has one host for each.
    pub fn product(&self) -> Product {
        self.symbols.first().map_or(Product::UsdmPerpetual, |spec| spec.product)
    }

    /// The same venue for spot: BTCUSDT, ten thousandths of fees, orders of one account meet unless they say otherwise.
    pub fn spot() -> ExchangeConfig {
        ExchangeConfig {
            symbols: vec![SymbolSpec::spot_btcusdt()],
            accounts: vec![AccountSpec::spot()],
            default_self_trade_prevention: SelfTradePrevention::None,
            ..ExchangeConfig::default()
        }
    }
}

impl Default for ExchangeConfig {
    /// One BTCUSDT perpetual, one account with 100 000 USDT, default agents with seed 1.
    fn default() -> ExchangeConfig {
        ExchangeConfig {
            symbols: vec![SymbolSpec::btcusdt()],
            accounts: vec![AccountSpec::default()],
            market: MarketConfig::Agents(AgentsConfig::default()),
            default_self_trade_prevention: SelfTradePrevention::ExpireMaker,
            history_limit: 100_000,
            funding_rate: Decimal::new(1, 4),
            funding_interval_ms: 8 * 3_600_000,
            mark_price_interval_ns: 1_000_000_000,
        }
    }
}

#[derive(Clone, Debug)]
pub struct AccountSpec {
    /// Start balance in the margin asset, on spot in the quote asset.
    pub balance: Decimal,
    /// Start balances of other assets, on spot.
    pub others: Vec<(Symbol, Decimal)>,
    /// Fee rates, `Decimal` fractions: 0.0002 is two hundredths of a percent.
    pub maker_fee: Decimal,
    pub taker_fee: Decimal,
    pub leverage: u32,
}

impl Default for AccountSpec {
    fn default() -> AccountSpec {
        AccountSpec {
            balance: Decimal::new(100_000, 0),
            others: Vec::new(),
            maker_fee: Decimal::new(2, 4),
            taker_fee: Decimal::new(5, 4),
            leverage: 20,
        }
    }
}

impl AccountSpec {
    /// A spot account: some coins beside the money, and the exchange's lowest tier of fees.
    pub fn spot() -> AccountSpec {
        AccountSpec {
            others: vec![
                ("BTC".into(), Decimal::new(10, 0)),
                ("ETH".into(), Decimal::new(100, 0)),
                ("SOL".into(), Decimal::new(1_000, 0)),
            ],
            maker_fee: Decimal::new(1, 3),
            taker_fee: Decimal::new(1, 3),
            ..AccountSpec::default()
        }
    }
}

#[derive(Clone, Debug)]
pub enum MarketConfig {
    /// Nothing happens but what commands do: for tests, and for matching alone.
    Quiet,
    Agents(AgentsConfig),
    Recording(RecordingConfig),
}

/// The seeded market. Rates are per second and symbol.
#[derive(Clone, Debug)]
pub struct AgentsConfig {
    pub seed: u64,
    /// Agents' actions per second and symbol; an action makes one to a few public messages.
    pub actions_per_second: u32,
    /// Levels that the agents keep on each side, about.
    pub levels: u32,
}

impl Default for AgentsConfig {
    fn default() -> AgentsConfig {
        AgentsConfig { seed: 1, actions_per_second: 60, levels: 50 }
    }
}

/// A recording of the exchange's combined stream, played as the public market.
#[derive(Clone, Debug)]
pub struct RecordingConfig {
    /// Played one after the other as if they were one.
    pub files: Vec<PathBuf>,
    pub speed: Speed,
    /// How long playback waits at the first snapshot line for somebody's depth request (real time); then it goes on without.
    pub rendezvous_timeout_ns: u64,
    /// Most lines that one `advance` plays, so that a front can drain its sockets in between: this is where `Speed::Max` feels back-pressure.
    pub burst: usize,
}

impl RecordingConfig {
    pub fn new(files: Vec<PathBuf>) -> RecordingConfig {
        RecordingConfig { files, speed: Speed::Times(1), rendezvous_timeout_ns: 5_000_000_000, burst: 256 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// Recorded pace, `n` times as fast; zero counts as one.
    Times(u32),
    /// As fast as `advance` is called.
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    Spot,
    UsdmPerpetual,
}

/// One instrument: its names and filters (`exchangeInfo.symbols[]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolSpec {
    pub symbol: Symbol,
    pub product: Product,
    pub base_asset: Symbol,
    pub quote_asset: Symbol,
    pub margin_asset: Symbol,
    /// Decimals in which the venue prints prices and quantities: not the tick, not the step.
    pub price_precision: u32,
    pub quantity_precision: u32,
    pub filters: Filters,
    pub max_leverage: u32,
    /// Maintenance margin as a fraction of notional.
    pub maintenance_margin: Decimal,
    /// Where the agents start, and the mark price before there is a book.
    pub reference_price: Decimal,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filters {
    // PRICE_FILTER
    pub min_price: Decimal,
    pub max_price: Decimal,
    pub tick_size: Decimal,
    // LOT_SIZE
    pub min_quantity: Decimal,
    pub max_quantity: Decimal,
    pub step_size: Decimal,
    // MARKET_LOT_SIZE
    pub market_min_quantity: Decimal,
    pub market_max_quantity: Decimal,
    pub market_step_size: Decimal,
    /// MIN_NOTIONAL, waived for reduce-only orders; on spot NOTIONAL's minimum.
    pub min_notional: Decimal,
    /// NOTIONAL's maximum, on spot.
    pub max_notional: Option<Decimal>,
    /// PERCENT_PRICE: a limit buy up to `mark * multiplier_up`, a limit sell down to `mark * multiplier_down`. On spot (PERCENT_PRICE_BY_SIDE)
    /// both bounds hold for both sides.
    pub multiplier_up: Decimal,
    pub multiplier_down: Decimal,
    /// MAX_NUM_ORDERS open per account and symbol.
    pub max_orders: u32,
    /// MAX_NUM_ALGO_ORDERS: those that wait for a trigger.
    pub max_algo_orders: u32,
    /// MAX_POSITION, on spot: base asset held, locked and bid for.
    pub max_position: Option<Decimal>,
}

impl SymbolSpec {
    /// The exchange's BTCUSDT perpetual.
    pub fn btcusdt() -> SymbolSpec {
        let decimal = Decimal::new;
        SymbolSpec {
            symbol: "BTCUSDT".into(),
            product: Product::UsdmPerpetual,
            base_asset: "BTC".into(),
            quote_asset: "USDT".into(),
            margin_asset: "USDT".into(),
            price_precision: 2,
            quantity_precision: 3,
            filters: Filters {
                min_price: decimal(55_680, 2),
                max_price: decimal(4_529_764, 0),
                tick_size: decimal(1, 1),
                min_quantity: decimal(1, 3),
                max_quantity: decimal(1_000, 0),
                step_size: decimal(1, 3),
                market_min_quantity: decimal(1, 3),
                market_max_quantity: decimal(120, 0),
                market_step_size: decimal(1, 3),
                min_notional: decimal(100, 0),
                max_notional: None,
                multiplier_up: decimal(105, 2),
                multiplier_down: decimal(95, 2),
                max_orders: 200,
                max_algo_orders: 10,
                max_position: None,
            },
            max_leverage: 125,
            maintenance_margin: decimal(4, 3),
            reference_price: decimal(60_000, 0),
        }
    }

    /// The exchange's BTCUSDT on spot.
    pub fn spot_btcusdt() -> SymbolSpec {
        let decimal = Decimal::new;
        SymbolSpec {
            product: Product::Spot,
            price_precision: 8,
            quantity_precision: 8,
            filters: Filters {
                min_price: decimal(1, 2),
                max_price: decimal(1_000_000, 0),
                tick_size: decimal(1, 2),
                min_quantity: decimal(1, 5),
                max_quantity: decimal(9_000, 0),
                step_size: decimal(1, 5),
                market_min_quantity: Decimal::ZERO,
                market_max_quantity: decimal(100, 0),
                market_step_size: Decimal::ZERO,
                min_notional: decimal(5, 0),
                max_notional: Some(decimal(9_000_000, 0)),
                multiplier_up: decimal(5, 0),
                multiplier_down: decimal(2, 1),
                max_orders: 200,
                max_algo_orders: 5,
                max_position: Some(decimal(500, 0)),
            },
            max_leverage: 1,
            ..SymbolSpec::btcusdt()
        }
    }

    /// The exchange's ETHUSDT on spot.
    pub fn spot_ethusdt() -> SymbolSpec {
        let decimal = Decimal::new;
        let btc = SymbolSpec::spot_btcusdt();
        SymbolSpec {
            symbol: "ETHUSDT".into(),
            base_asset: "ETH".into(),
            filters: Filters {
                min_quantity: decimal(1, 4),
                step_size: decimal(1, 4),
                market_max_quantity: decimal(2_000, 0),
                max_position: None,
                ..btc.filters.clone()
            },
            reference_price: decimal(3_000, 0),
            ..btc
        }
    }

    /// The exchange's SOLUSDT on spot.
    pub fn spot_solusdt() -> SymbolSpec {
        let decimal = Decimal::new;
        let btc = SymbolSpec::spot_btcusdt();
        SymbolSpec {
            symbol: "SOLUSDT".into(),
            base_asset: "SOL".into(),
            filters: Filters {
                min_quantity: decimal(1, 3),
                step_size: decimal(1, 3),
                market_max_quantity: decimal(20_000, 0),
                max_position: None,
                ..btc.filters.clone()
            },
            reference_price: decimal(150, 0),
            ..btc
        }
    }

    /// The exchange's ETHUSDT perpetual.
    pub fn ethusdt() -> SymbolSpec {
        let decimal = Decimal::new;
        let btc = SymbolSpec::btcusdt();
        SymbolSpec {
            symbol: "ETHUSDT".into(),
            base_asset: "ETH".into(),
            filters: Filters {
                min_price: decimal(3_986, 2),
                max_price: decimal(306_177, 0),
                tick_size: decimal(1, 2),
                max_quantity: decimal(10_000, 0),
                market_max_quantity: decimal(2_000, 0),
                min_notional: decimal(20, 0),
                ..btc.filters.clone()
            },
            max_leverage: 100,
            maintenance_margin: decimal(5, 3),
            reference_price: decimal(3_000, 0),
            ..btc
        }
    }

    /// The exchange's SOLUSDT perpetual: whole coins, and prices printed with more decimals than the tick has.
    pub fn solusdt() -> SymbolSpec {
        let decimal = Decimal::new;
        let btc = SymbolSpec::btcusdt();
        SymbolSpec {
            symbol: "SOLUSDT".into(),
            base_asset: "SOL".into(),
            price_precision: 4,
            quantity_precision: 0,
            filters: Filters {
                min_price: decimal(42, 2),
                max_price: decimal(6_857, 0),
                tick_size: decimal(1, 2),
                min_quantity: decimal(1, 0),
                max_quantity: decimal(1_000_000, 0),
                step_size: decimal(1, 0),
                market_min_quantity: decimal(1, 0),
                market_max_quantity: decimal(9_000, 0),
                market_step_size: decimal(1, 0),
                min_notional: decimal(5, 0),
                ..btc.filters.clone()
            },
            max_leverage: 100,
            maintenance_margin: decimal(5, 3),
            reference_price: decimal(150, 0),
            ..btc
        }
    }
}
