//! `linchpin account`: balances, positions and open orders at the configured venues. Reads only.

use serde_json::{Value, json};

use super::Failure;
use super::reading::{Reading, ReadingArgs, read_each};
use super::table::{cell, list, table};
use crate::control::names::{money, steps};
use crate::core::event::{Body, Event};

pub(crate) fn run(args: &ReadingArgs) -> Result<(), Failure> {
    let venues = read_each(args, account)?;
    if args.json {
        tell!("{}", json!({ "venues": venues }));
        return Ok(());
    }
    let pages: Vec<String> = venues.iter().map(page).collect();
    tell!("{}", pages.join("\n\n"));
    Ok(())
}

fn account(reading: &mut Reading) -> anyhow::Result<Value> {
    let (events, skipped) = reading.account()?;
    let of = |wanted: &dyn Fn(&Event) -> Option<Value>| events.iter().filter_map(wanted).collect::<Vec<_>>();
    let listing = |event: &Event| reading.directory.of(event.instrument);
    let balances = of(&|event| match &event.body {
        Body::Balance(balance) => Some(json!({
            "asset": reading.directory.asset_name(balance.asset).unwrap_or("?"),
            "wallet": money(balance.wallet.into()),
            "available": if balance.available == i64::MIN { Value::Null } else { money(balance.available.into()).into() },
        })),
        _ => None,
    });
    let positions = of(&|event| match &event.body {
        Body::Position(position) => listing(event).map(|listing| {
            json!({
                "symbol": listing.symbol(),
                "side": position.side.name(),
                "quantity": steps(&listing.definition.lot, position.quantity.raw()),
                "entry": money(position.entry_price.into()),
                "unrealised": money(position.unrealised.into()),
            })
        }),
        _ => None,
    });
    let orders = of(&|event| match &event.body {
        Body::Order(order) => listing(event).map(|listing| {
            json!({
                "symbol": listing.symbol(),
                "side": order.side.name(),
                "kind": order.kind.name(),
                "time_in_force": order.time_in_force.name(),
                "price": steps(&listing.definition.tick, order.price.raw()),
                "quantity": steps(&listing.definition.lot, order.quantity.raw()),
                "filled": steps(&listing.definition.lot, order.cumulative_quantity.raw()),
                "status": order.status.name(),
                "client_order_id": order.client_order_id.to_string(),
                "venue_order_id": order.venue_order_id.0,
            })
        }),
        _ => None,
    });
    Ok(json!({
        "venue": reading.name,
        "balances": balances,
        "positions": positions,
        "open_orders": orders,
        "not_configured": {"assets": skipped.assets, "positions": skipped.positions, "orders": skipped.orders},
    }))
}

fn page(venue: &Value) -> String {
    let columns = |rows: &Value, names: &[&str], none: &str| {
        let rows: Vec<Vec<String>> =
            list(rows).map(|row| names.iter().map(|name| cell(&row[*name])).collect()).collect();
        table(names, &rows, none)
    };
    let beyond = &venue["not_configured"];
    format!(
        "{}\n\n{}\n\n{}\n\n{}\n\nbeyond the configured instruments: {} assets, {} positions, {} orders",
        cell(&venue["venue"]),
        columns(&venue["balances"], &["asset", "wallet", "available"], "no balances"),
        columns(&venue["positions"], &["symbol", "side", "quantity", "entry", "unrealised"], "no positions"),
        columns(
            &venue["open_orders"],
            &["symbol", "side", "kind", "price", "quantity", "filled", "status", "client_order_id"],
            "no open orders"
        ),
        cell(&beyond["assets"]),
        cell(&beyond["positions"]),
        cell(&beyond["orders"]),
    )
}
