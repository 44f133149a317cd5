//! `linchpin symbols`: the configured instruments with the venues' grids and filters, or all that a venue lists. Reads only.

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::reading::{Reading, ReadingArgs, read_each};
use super::table::{cell, list, table};
use crate::control::names::{money, steps};
use crate::venue::Listing;

#[derive(Args, Debug)]
pub(crate) struct SymbolsArgs {
    #[command(flatten)]
    reading: ReadingArgs,
    /// Every symbol that the venue lists, with its status
    #[arg(long)]
    all: bool,
}

const CONFIGURED: &[&str] = &[
    "venue",
    "symbol",
    "status",
    "tick",
    "lot",
    "min_quantity",
    "max_quantity",
    "min_notional",
    "min_price",
    "max_price",
    "base",
    "quote",
];
const LISTED: &[&str] = &["venue", "symbol", "status"];

pub(crate) fn run(args: &SymbolsArgs) -> Result<(), Failure> {
    let read = |reading: &mut Reading| if args.all { listed(reading) } else { Ok(configured(reading)) };
    let rows: Vec<Value> = read_each(&args.reading, read)?
        .iter()
        .flat_map(|rows| list(rows).cloned().collect::<Vec<_>>())
        .collect();
    if args.reading.json {
        tell!("{}", json!({ "symbols": rows }));
        return Ok(());
    }
    let names = if args.all { LISTED } else { CONFIGURED };
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| names.iter().map(|name| cell(&row[*name])).collect()).collect();
    tell!("{}", table(names, &cells, "no symbols"));
    Ok(())
}

fn listed(reading: &mut Reading) -> anyhow::Result<Value> {
    let row = |(symbol, status): (String, String)| json!({"venue": reading.name, "symbol": symbol, "status": status});
    Ok(reading.listed()?.into_iter().map(row).collect())
}

fn configured(reading: &Reading) -> Value {
    reading.directory.listings().iter().map(|listing| one(reading, listing)).collect()
}

fn one(reading: &Reading, listing: &Listing) -> Value {
    let definition = &listing.definition;
    let lots = |count: i64| steps(&definition.lot, count);
    let ticks = |count: i64| steps(&definition.tick, count);
    let asset = |id| reading.directory.asset_name(id).unwrap_or("?");
    json!({
        "venue": reading.name,
        "symbol": listing.symbol(),
        "product": definition.product.name(),
        "status": definition.status.name(),
        "tick": ticks(1),
        "lot": lots(1),
        "min_quantity": lots(definition.min_quantity.raw()),
        "max_quantity": lots(definition.max_quantity.raw()),
        "max_market_quantity": lots(definition.max_market_quantity.raw()),
        "min_notional": money(definition.min_notional.into()),
        "min_price": ticks(definition.min_price.raw()),
        "max_price": ticks(definition.max_price.raw()),
        "percent_up": definition.percent_up,
        "percent_down": definition.percent_down,
        "base": asset(definition.base),
        "quote": asset(definition.quote),
    })
}
