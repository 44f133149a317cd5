//! What the core showed, as the JSON of an answer: names for numbers, decimal text for ticks and lots.

use serde_json::{Map, Value, json};

use crate::control::Verb;
use crate::control::names::{Names, money};
use crate::core::event::LinkState;
use crate::core::id::StrategyId;
use crate::core::state::control::AccountTrust;
use crate::core::state::execution::Agreement;
use crate::core::state::market::BookSync;
use crate::core::state::order::{Confirmation, Order};
use crate::core::time::Nanos;
use crate::threads::talk::{
    ControlRow, MarketRow, PositionRow, Row, Sight, StrategyRow, VenueRow, WaitingRow,
};

/// What must be looked at to answer a verb.
pub(super) fn sights(verb: Verb) -> &'static [Sight] {
    match verb {
        Verb::Status => &[
            Sight::Control,
            Sight::Venues,
            Sight::Markets,
            Sight::Strategies,
            Sight::Positions,
            Sight::Denials,
        ],
        Verb::Orders => &[Sight::Orders, Sight::Waiting, Sight::Strategies],
        Verb::Positions => &[Sight::Positions],
        Verb::Gates => &[Sight::Control, Sight::Venues, Sight::Markets],
        Verb::Links | Verb::ReadBack => &[Sight::Venues],
        Verb::Enable | Verb::Disable | Verb::CancelAll | Verb::Flatten | Verb::Drain => &[Sight::Control],
        Verb::Kill | Verb::ResetKill | Verb::Set | Verb::Stop => &[],
    }
}

/// Everything that was told, under the names of its kinds.
pub(super) fn shown(verb: Verb, rows: &[Row], names: &Names, now: Nanos) -> Map<String, Value> {
    let mut said = Map::new();
    let mut list = |name: &str, wanted: bool, line: &dyn Fn(&Row) -> Option<Value>| {
        if wanted {
            said.insert(name.to_owned(), rows.iter().filter_map(line).collect());
        }
    };
    let sees = |sight| sights(verb).contains(&sight);
    list("orders", sees(Sight::Orders), &|row| match row {
        Row::Order(row) => Some(order(row, names, now)),
        _ => None,
    });
    list("waiting", sees(Sight::Waiting), &|row| match row {
        Row::Waiting(row) => Some(waiting(row, names, now)),
        _ => None,
    });
    list("denied", sees(Sight::Denials), &|row| match row {
        Row::Denials(reason, count) => Some(json!({"reason": reason.name(), "count": count})),
        _ => None,
    });
    list("positions", sees(Sight::Positions), &|row| match row {
        Row::Position(row) => Some(position(row, names)),
        _ => None,
    });
    list("venues", sees(Sight::Venues), &|row| match row {
        Row::Venue(row) => Some(venue(row, names)),
        _ => None,
    });
    list("markets", sees(Sight::Markets), &|row| match row {
        Row::Market(row) => Some(market(row, names)),
        _ => None,
    });
    list("strategies", sees(Sight::Strategies), &|row| match row {
        Row::Strategy(row) => Some(strategy(row, names)),
        _ => None,
    });
    if let Some(row) = rows.iter().find_map(|row| if let Row::Control(row) = row { Some(row) } else { None })
    {
        said.insert("control".to_owned(), control(row));
    }
    said
}

fn control(row: &ControlRow) -> Value {
    json!({
        "trading_enabled": row.trading_enabled,
        "kill": row.kill.map(|mode| mode.name()),
        "draining": row.draining,
        "drains_until": row.draining.then_some(if row.held.schedule_drain { "next window" } else { "next start" }),
        "flattening": row.flattening,
        "held": {"journal": row.held.journal, "clock": row.held.clock, "operator": row.held.operator},
        "idle": row.idle,
        "open_orders": row.open_orders,
        "dispatches": row.dispatches,
        "fills": row.fills,
        "unknown_outcomes": row.unknown_outcomes,
    })
}

fn order(order: &Order, names: &Names, now: Nanos) -> Value {
    let id = order.instrument;
    let confirmation = match order.confirmation {
        Confirmation::Pending { .. } => "pending".to_owned(),
        Confirmation::Confirmed => "confirmed".to_owned(),
        Confirmation::Unknown { why, .. } => format!("unknown: {}", why.name()),
    };
    let of_others = order.claimed || order.key.strategy == StrategyId::EXTERNAL;
    json!({
        "client_order_id": order.client_order_id.to_string(),
        "venue_order_id": order.venue_order_id.0,
        "venue": names.venue(order.venue),
        "symbol": names.symbol(id),
        "owner": names.strategy(order.key.strategy),
        "made_by": if of_others { "others" } else { "us" },
        "slot": order.key.slot,
        "side": order.side.name(),
        "position_side": order.position_side.name(),
        "kind": order.kind.name(),
        "time_in_force": order.time_in_force.name(),
        "reduce_only": order.reduce_only,
        "price": names.price(id, order.price),
        "quantity": names.quantity(id, order.quantity),
        "filled": names.quantity(id, order.filled),
        "state": order.state.name(),
        "confirmation": confirmation,
        "inflight": order.inflight.map(|inflight| inflight.request.name()),
        "age_ms": now.since(order.created).raw() / 1_000_000,
    })
}

fn waiting(row: &WaitingRow, names: &Names, now: Nanos) -> Value {
    json!({
        "symbol": names.symbol(row.instrument),
        "owner": names.strategy(row.key.strategy),
        "slot": row.key.slot,
        "request": row.request.name(),
        "age_ms": now.since(row.since).raw() / 1_000_000,
        "waits_for": row.why.name(),
    })
}

fn position(row: &PositionRow, names: &Names) -> Value {
    let (id, position) = (row.instrument, &row.position);
    json!({
        "owner": row.owner.map_or("all", |owner| names.strategy(owner)),
        "symbol": names.symbol(id),
        "quantity": names.quantity(id, position.quantity),
        "average_entry": position.average_entry().map(|price| names.price(id, price)),
        "mark": row.mark.map(|price| names.price(id, price)),
        "realised": names.worth(id, position.realised),
        "unrealised": row.mark.map(|price| names.worth(id, position.unrealised(price))),
        "fees": money(position.fees.raw()),
        "asset": names.quote_of(id),
        "bought": names.quantity(id, position.bought),
        "sold": names.quantity(id, position.sold),
        "fills": position.fills,
        "agreement": agreement(row.agreement),
    })
}

fn venue(row: &VenueRow, names: &Names) -> Value {
    let links: Map<String, Value> = row
        .links
        .iter()
        // REST has no connection that is up or down.
        .filter(|(kind, state)| kind.name() != "rest" || *state != LinkState::Down)
        .map(|(kind, state)| (kind.name().to_owned(), state.name().into()))
        .collect();
    let account = match row.account {
        AccountTrust::Doubtful => "doubtful",
        AccountTrust::Hydrating { .. } => "hydrating",
        AccountTrust::Trusted => "trusted",
    };
    json!({
        "venue": names.venue(row.venue),
        "closed": row.closed.map(|gate| gate.name()),
        "blocked": row.blocked.map(|gate| gate.name()),
        "links": links,
        "account": account,
    })
}

fn market(row: &MarketRow, names: &Names) -> Value {
    let id = row.instrument;
    let book = match row.sync {
        BookSync::Lost(why) => format!("lost: {}", why.name()),
        BookSync::Updating => "updating".to_owned(),
        BookSync::Whole => "whole".to_owned(),
    };
    let venue = names.instruments.get(id.index()).map_or("?", |named| names.venue(named.venue));
    json!({
        "symbol": names.symbol(id),
        "venue": venue,
        "book": book,
        "stale": row.stale,
        "trusted": row.trusted,
        "settled": row.settled,
        "bid": row.bid.map(|price| names.price(id, price)),
        "ask": row.ask.map(|price| names.price(id, price)),
        "open_orders": row.open_orders,
        "in_doubt": row.in_doubt,
        "position": agreement(row.agreement),
    })
}

fn strategy(row: &StrategyRow, names: &Names) -> Value {
    let work = row.progress.map(|work| {
        json!({
            "symbol": names.symbol(work.instrument),
            "side": work.side.name(),
            "wanted": names.quantity(work.instrument, work.wanted),
            "filled": names.quantity(work.instrument, work.filled),
            "phase": work.phase,
        })
    });
    json!({ "strategy": names.strategy(row.strategy), "may": row.state.name(), "work": work })
}

fn agreement(agreement: Agreement) -> &'static str {
    match agreement {
        Agreement::Agrees => "agrees",
        Agreement::DiffersSince(_) => "differs",
        Agreement::Inconsistent => "inconsistent",
    }
}
