//! Conditional orders of USD-M on the wire: the algo endpoints and their event ("New Algo Order", "Event: Algo Order Update").

use super::super::*;
use super::json::{Object, array};
use super::params::Params;
use super::requests::{order_words, side, symbol, word};
use super::shapes::Places;

/// `algoOrder.place` and `POST /fapi/v1/algoOrder`.
pub fn place(params: &Params) -> Result<Command, ApiError> {
    let symbol = symbol(params)?;
    let side = side(params)?;
    match params.mandatory("algoType")? {
        "CONDITIONAL" => {}
        _ => return Err(super::params::malformed("algoType")),
    }
    let kind = OrderType::from_word(params.mandatory("type")?).ok_or(ApiError::INVALID_ORDER_TYPE)?;
    let stop = match kind {
        OrderType::TrailingStopMarket => {
            params.decimal("activatePrice")?.or(params.decimal("activationPrice")?)
        }
        _ => params.decimal("triggerPrice")?,
    };
    let order = NewOrder {
        kind,
        stop_price: stop,
        callback_rate: params.decimal("callbackRate")?,
        client_order_id: params.optional("clientAlgoId")?.map(str::to_owned),
        ..order_words(params, symbol, side)?
    };
    Ok(Command::PlaceAlgo(order))
}

/// An algo is named by either of its ids.
pub fn reference(params: &Params) -> Result<OrderRef, ApiError> {
    if let Some(id) = params.integer("algoId")? {
        return Ok(OrderRef::Id(id));
    }
    match params.optional("clientAlgoId")? {
        Some(id) => Ok(OrderRef::ClientId(id.to_owned())),
        None => Err(ApiError::new(
            -1102,
            "Param 'algoId' or 'clientAlgoId' must be sent, but both were empty/null!",
        )),
    }
}

/// `algoType` of a list, of which there is one.
pub fn check_kind(params: &Params) -> Result<(), ApiError> {
    let known = |text: &str| (text == "CONDITIONAL").then_some(());
    word(params, "algoType", known, super::params::malformed("algoType")).map(drop)
}

/// The answer to a new algo.
pub fn accepted(algo: &Algo, places: Places) -> String {
    let out = head(algo, places).quoted("algoStatus", algo.status);
    let out = prices(out, algo, places);
    let out = match algo.order.kind {
        OrderType::TrailingStopMarket => out
            .quoted("activatePrice", algo.order.stop_price.unwrap_or_default().fixed(places.price))
            .quoted("callbackRate", algo.order.callback_rate.unwrap_or_default()),
        _ => out.text("activatePrice", "").text("callbackRate", ""),
    };
    times(out, algo)
}

/// The answer to a question, and a row of a list.
pub fn queried(algo: &Algo, places: Places) -> String {
    let out = head(algo, places)
        .quoted("algoStatus", algo.status)
        .text("actualOrderId", &order_id(algo))
        .quoted("actualPrice", algo.average_price.fixed(5))
        .quoted("actualType", algo.order.kind.triggered())
        .quoted("actualQty", algo.executed_quantity.fixed(places.quantity));
    let out = prices(out, algo, places).text("tpOrderType", "");
    times(out, algo)
}

pub fn canceled(algo: &Algo) -> String {
    Object::new()
        .plain("algoId", algo.algo_id)
        .text("clientAlgoId", &algo.client_algo_id)
        .text("code", "200")
        .text("msg", "success")
        .close()
}

pub fn list(algos: &[Algo], places: impl Fn(&str) -> Places) -> String {
    array(algos.iter().map(|algo| queried(algo, places(&algo.order.symbol))))
}

/// `ALGO_UPDATE`.
pub fn event(algo: &Algo, now_ms: u64, places: Places) -> String {
    let order = &algo.order;
    let mut inner = Object::with_capacity(480)
        .text("caid", &algo.client_algo_id)
        .plain("aid", algo.algo_id)
        .text("at", "CONDITIONAL")
        .quoted("o", order.kind)
        .text("s", &order.symbol)
        .quoted("S", order.side)
        .quoted("ps", order.position_side)
        .quoted("f", order.time_in_force.unwrap_or(TimeInForce::Gtc))
        .quoted("q", order.quantity.unwrap_or_default().fixed(places.quantity))
        .quoted("X", algo.status)
        .text("ai", &order_id(algo))
        .quoted("ap", algo.average_price.fixed(5))
        .quoted("aq", algo.executed_quantity.fixed(places.quantity))
        .quoted("act", if algo.order_id == 0 { "0" } else { order.kind.triggered().as_str() })
        .quoted("tp", order.stop_price.unwrap_or_default().fixed(places.price))
        .quoted("p", order.price.unwrap_or_default().fixed(places.price))
        .quoted("V", order.self_trade_prevention.unwrap_or(SelfTradePrevention::ExpireMaker))
        .quoted("wt", order.working_type)
        .text("pm", "NONE")
        .plain("cp", order.close_position)
        .plain("pP", order.price_protect)
        .plain("R", order.reduce_only.unwrap_or(order.close_position))
        .plain("tt", algo.trigger_time_ms)
        .plain("gtd", order.good_till_date_ms);
    if !algo.reason.is_empty() {
        inner = inner.text("rm", &algo.reason);
    }
    Object::with_capacity(640)
        .text("e", "ALGO_UPDATE")
        .plain("T", algo.update_time_ms)
        .plain("E", now_ms)
        .plain("o", inner.close())
        .close()
}

fn head(algo: &Algo, places: Places) -> Object {
    let order = &algo.order;
    Object::with_capacity(640)
        .plain("algoId", algo.algo_id)
        .text("clientAlgoId", &algo.client_algo_id)
        .text("algoType", "CONDITIONAL")
        .quoted("orderType", order.kind)
        .text("symbol", &order.symbol)
        .quoted("side", order.side)
        .quoted("positionSide", order.position_side)
        .quoted("timeInForce", order.time_in_force.unwrap_or(TimeInForce::Gtc))
        .quoted("quantity", order.quantity.unwrap_or_default().fixed(places.quantity))
}

fn prices(out: Object, algo: &Algo, places: Places) -> Object {
    let order = &algo.order;
    out.quoted("triggerPrice", order.stop_price.unwrap_or_default().fixed(places.price))
        .quoted("price", order.price.unwrap_or_default().fixed(places.price))
        .plain("icebergQuantity", "null")
        .quoted(
            "selfTradePreventionMode",
            order.self_trade_prevention.unwrap_or(SelfTradePrevention::ExpireMaker),
        )
        .quoted("workingType", order.working_type)
        .text("priceMatch", "NONE")
        .plain("closePosition", order.close_position)
        .plain("priceProtect", order.price_protect)
        .plain("reduceOnly", order.reduce_only.unwrap_or(order.close_position))
}

fn times(out: Object, algo: &Algo) -> String {
    out.plain("createTime", algo.time_ms)
        .plain("updateTime", algo.update_time_ms)
        .plain("triggerTime", algo.trigger_time_ms)
        .plain("goodTillDate", algo.order.good_till_date_ms)
        .close()
}

/// The order that it became; empty before.
fn order_id(algo: &Algo) -> String {
    if algo.order_id == 0 { String::new() } else { algo.order_id.to_string() }
}
