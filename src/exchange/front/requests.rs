//! From request parameters to the engine's typed commands: the same for REST and the WebSocket API.
//!
//! What is refused here is what a text can be wrong in by itself (missing, empty, not a number, not a word of the exchange's, or not allowed
//! beside another parameter); what depends on the market or the account is the engine's to refuse.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::super::*;
use super::params::Params;
use super::shapes::OrderAnswer;

const MOST_IN_BATCH: usize = 5;

/// Place, and what the client wants to hear.
pub fn place(params: &Params) -> Result<(Command, OrderAnswer), ApiError> {
    let symbol = symbol(params)?;
    let side = side(params)?;
    let kind = OrderType::from_word(params.mandatory("type")?).ok_or(ApiError::INVALID_ORDER_TYPE)?;
    let time_in_force = word(params, "timeInForce", TimeInForce::from_word, ApiError::INVALID_TIME_IN_FORCE)?;
    let close_position = params.boolean("closePosition")?.unwrap_or(false);

    // The mandatory parameters of each type, in the order of the documents' table.
    match kind {
        OrderType::Limit => {
            params.mandatory("timeInForce")?;
            params.mandatory("quantity")?;
            params.mandatory("price")?;
        }
        OrderType::Market => {
            params.mandatory("quantity")?;
            params.refuse("price")?;
            params.refuse("timeInForce")?;
        }
        OrderType::Stop | OrderType::TakeProfit => {
            params.mandatory("quantity")?;
            params.mandatory("price")?;
            params.mandatory("stopPrice")?;
        }
        OrderType::StopMarket | OrderType::TakeProfitMarket => {
            params.mandatory("stopPrice")?;
            if close_position {
                params.refuse("quantity")?;
                params.refuse("reduceOnly")?;
            } else {
                params.mandatory("quantity")?;
            }
        }
        OrderType::TrailingStopMarket => {
            params.mandatory("callbackRate")?;
            params.mandatory("quantity")?;
        }
    }
    let answer = match params.optional("newOrderRespType")? {
        None | Some("ACK") => OrderAnswer::Acknowledged,
        Some("RESULT") => OrderAnswer::Result,
        Some(_) => {
            return Err(ApiError::new(-1130, "Data sent for parameter 'newOrderRespType' is not valid."));
        }
    };
    let good_till_date_ms = params.integer("goodTillDate")?.unwrap_or(0);
    if time_in_force == Some(TimeInForce::Gtd) && good_till_date_ms == 0 {
        return Err(ApiError::mandatory("goodTillDate"));
    }
    let order = NewOrder {
        kind,
        stop_price: params.decimal("stopPrice")?,
        client_order_id: params.optional("newClientOrderId")?.map(str::to_owned),
        ..order_words(params, symbol, side)?
    };
    Ok((Command::Place(order), answer))
}

/// What orders and conditional orders are told in the same words.
pub fn order_words(params: &Params, symbol: Symbol, side: Side) -> Result<NewOrder, ApiError> {
    let in_hedge = word(params, "positionSide", PositionSide::from_word, ApiError::POSITION_SIDE_INVALID)?;
    let prevention = word(
        params,
        "selfTradePreventionMode",
        SelfTradePrevention::from_word,
        invalid("selfTradePreventionMode"),
    )?;
    Ok(NewOrder {
        symbol,
        side,
        position_side: in_hedge.unwrap_or(PositionSide::Both),
        kind: OrderType::Limit,
        time_in_force: word(params, "timeInForce", TimeInForce::from_word, ApiError::INVALID_TIME_IN_FORCE)?,
        quantity: params.decimal("quantity")?,
        price: params.decimal("price")?,
        reduce_only: params.boolean("reduceOnly")?,
        close_position: params.boolean("closePosition")?.unwrap_or(false),
        quote_quantity: None,
        stop_price: None,
        callback_rate: None,
        working_type: word(params, "workingType", WorkingType::from_word, invalid("workingType"))?
            .unwrap_or(WorkingType::ContractPrice),
        price_protect: params.boolean("priceProtect")?.unwrap_or(false),
        self_trade_prevention: prevention,
        good_till_date_ms: params.integer("goodTillDate")?.unwrap_or(0),
        client_order_id: None,
    })
}

pub fn modify(params: &Params) -> Result<Command, ApiError> {
    let symbol = symbol(params)?;
    let order = order_ref(params)?;
    let side = side(params)?;
    params.mandatory("quantity")?;
    params.mandatory("price")?;
    let (Some(quantity), Some(price)) = (params.decimal("quantity")?, params.decimal("price")?) else {
        return Err(ApiError::mandatory("price"));
    };
    Ok(Command::Modify(ModifyOrder { symbol, order, side, quantity, price }))
}

pub fn cancel(params: &Params) -> Result<Command, ApiError> {
    Ok(Command::Cancel { symbol: symbol(params)?, order: order_ref(params)?, name: None })
}

pub fn cancel_all(params: &Params) -> Result<Command, ApiError> {
    Ok(Command::CancelAll { symbol: symbol(params)? })
}

/// "Max 5": the orders of `batchOrders`, each an object like the parameters of a single one.
pub fn batch(params: &Params) -> Result<Vec<Params>, ApiError> {
    let malformed = || invalid("batchOrders");
    let text = params.mandatory("batchOrders")?;
    let listed: Vec<BTreeMap<String, &RawValue>> = serde_json::from_str(text).map_err(|_| malformed())?;
    if listed.is_empty() || listed.len() > MOST_IN_BATCH {
        return Err(malformed());
    }
    listed.iter().map(|object| Ok(Params::from_object(object)?.0)).collect()
}

/// The orders of `orderIdList` or `origClientOrderIdList`; at most ten.
pub fn cancel_batch(params: &Params) -> Result<Vec<Command>, ApiError> {
    let symbol = symbol(params)?;
    let (name, refs): (_, Option<Vec<OrderRef>>) = match params.optional("orderIdList")? {
        Some(ids) => {
            let ids: Option<Vec<u64>> = serde_json::from_str(ids).ok();
            ("orderIdList", ids.map(|ids| ids.into_iter().map(OrderRef::Id).collect()))
        }
        None => {
            let ids: Option<Vec<String>> =
                serde_json::from_str(params.mandatory("origClientOrderIdList")?).ok();
            ("origClientOrderIdList", ids.map(|ids| ids.into_iter().map(OrderRef::ClientId).collect()))
        }
    };
    match refs {
        Some(refs) if (1..=2 * MOST_IN_BATCH).contains(&refs.len()) => Ok(refs
            .into_iter()
            .map(|order| Command::Cancel { symbol: symbol.clone(), order, name: None })
            .collect()),
        _ => Err(invalid(name)),
    }
}

pub fn query_order(params: &Params) -> Result<Command, ApiError> {
    Ok(Command::QueryOrder { symbol: symbol(params)?, order: order_ref(params)? })
}

pub fn query_open_order(params: &Params) -> Result<Command, ApiError> {
    Ok(Command::QueryOpenOrder { symbol: symbol(params)?, order: order_ref(params)? })
}

pub fn open_orders(params: &Params) -> Result<Command, ApiError> {
    Ok(Command::OpenOrders { symbol: optional_symbol(params)? })
}

pub fn all_orders(params: &Params) -> Result<Command, ApiError> {
    Ok(Command::AllOrders { symbol: symbol(params)?, window: window(params, "orderId", 500)? })
}

pub fn user_trades(params: &Params) -> Result<Command, ApiError> {
    Ok(Command::UserTrades {
        symbol: symbol(params)?,
        order_id: params.integer("orderId")?,
        window: window(params, "fromId", 500)?,
    })
}

pub fn position_risk(params: &Params) -> Result<Command, ApiError> {
    Ok(Command::PositionRisk { symbol: optional_symbol(params)? })
}

pub fn set_leverage(params: &Params) -> Result<Command, ApiError> {
    let symbol = symbol(params)?;
    params.mandatory("leverage")?;
    let leverage = params.integer("leverage")?.and_then(|value| u32::try_from(value).ok());
    Ok(Command::SetLeverage { symbol, leverage: leverage.ok_or(ApiError::LEVERAGE_INVALID)? })
}

pub fn set_position_mode(params: &Params) -> Result<Command, ApiError> {
    params.mandatory("dualSidePosition")?;
    let dual = params.boolean("dualSidePosition")?.ok_or_else(|| ApiError::mandatory("dualSidePosition"))?;
    Ok(Command::SetPositionMode { dual })
}

pub fn commission_rate(params: &Params) -> Result<Command, ApiError> {
    Ok(Command::CommissionRate { symbol: symbol(params)? })
}

pub fn countdown(params: &Params) -> Result<Command, ApiError> {
    let symbol = symbol(params)?;
    params.mandatory("countdownTime")?;
    let after_ms = params.integer("countdownTime")?.ok_or_else(|| ApiError::mandatory("countdownTime"))?;
    Ok(Command::CountdownCancelAll { symbol, after_ms })
}

pub fn income(params: &Params) -> Result<Command, ApiError> {
    Ok(Command::Income {
        symbol: optional_symbol(params)?,
        kind: word(params, "incomeType", IncomeKind::from_word, invalid("incomeType"))?,
        window: window(params, "fromId", 100)?,
    })
}

pub fn force_orders(params: &Params) -> Result<Command, ApiError> {
    Ok(Command::ForceOrders { symbol: optional_symbol(params)?, window: window(params, "fromId", 50)? })
}

pub fn symbol(params: &Params) -> Result<Symbol, ApiError> {
    params.mandatory("symbol")?;
    optional_symbol(params)?.ok_or_else(|| ApiError::mandatory("symbol"))
}

pub fn optional_symbol(params: &Params) -> Result<Option<Symbol>, ApiError> {
    let Some(text) = params.optional("symbol")? else { return Ok(None) };
    let legal =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    if text.len() > 20 || !text.bytes().all(legal) {
        return Err(ApiError::new(
            -1100,
            "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
        ));
    }
    Ok(Some(text.into()))
}

/// A row limit: `default` when absent, cut down to the documents' greatest.
pub fn limit(params: &Params, default: u32, greatest: u32) -> Result<u32, ApiError> {
    let Some(limit) = params.integer("limit")? else { return Ok(default) };
    match u32::try_from(limit) {
        Ok(0) | Err(_) => Err(invalid("limit")),
        Ok(limit) => Ok(limit.min(greatest)),
    }
}

pub fn side(params: &Params) -> Result<Side, ApiError> {
    Side::from_word(params.mandatory("side")?).ok_or(ApiError::INVALID_SIDE)
}

pub fn order_ref(params: &Params) -> Result<OrderRef, ApiError> {
    if let Some(id) = params.integer("orderId")? {
        return Ok(OrderRef::Id(id));
    }
    match params.optional("origClientOrderId")? {
        Some(id) => Ok(OrderRef::ClientId(id.to_owned())),
        None => Err(ApiError::new(
            -1102,
            "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
        )),
    }
}

pub fn window(params: &Params, from: &str, default_limit: u32) -> Result<Window, ApiError> {
    let (start_ms, end_ms) = (params.integer("startTime")?, params.integer("endTime")?);
    if let (Some(start), Some(end)) = (start_ms, end_ms)
        && start > end
    {
        return Err(ApiError::new(-1023, "Start time is greater than end time."));
    }
    let limit = Some(limit(params, default_limit, 1000)?);
    Ok(Window { from_id: params.integer(from)?, start_ms, end_ms, limit })
}

pub fn word<T>(
    params: &Params,
    name: &str,
    from_word: fn(&str) -> Option<T>,
    refusal: ApiError,
) -> Result<Option<T>, ApiError> {
    match params.optional(name)? {
        None => Ok(None),
        Some(text) => from_word(text).map(Some).ok_or(refusal),
    }
}

fn invalid(name: &str) -> ApiError {
    super::params::malformed(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::from_http(query, "").expect("reads").0
    }

    fn refusal(query: &str) -> (i32, String) {
        let error = place(&params(query)).expect_err("refused");
        (error.code, error.msg.into_owned())
    }

    #[test]
    fn a_limit_order_reads_whole() {
        let query = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTX&quantity=0.010&price=60000.1&newClientOrderId=x-1\
                     &reduceOnly=true&newOrderRespType=RESULT";
        let (Command::Place(order), answer) = place(&params(query)).expect("reads") else {
            panic!("a place")
        };
        assert_eq!(answer, OrderAnswer::Result);
        assert_eq!(
            (&*order.symbol, order.side, order.time_in_force),
            ("BTCUSDT", Side::Sell, Some(TimeInForce::Gtx))
        );
        assert_eq!(order.quantity.map(|quantity| quantity.to_string()).as_deref(), Some("0.01"));
        assert_eq!((order.reduce_only, order.client_order_id.as_deref()), (Some(true), Some("x-1")));
    }

    #[test]
    fn each_missing_or_foreign_parameter_is_named() {
        for (query, code, name) in [
            ("side=BUY", -1102, "'symbol'"),
            ("symbol=BTCUSDT", -1102, "'side'"),
            ("symbol=BTCUSDT&side=BUY", -1102, "'type'"),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT", -1102, "'timeInForce'"),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC", -1102, "'quantity'"),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1", -1102, "'price'"),
            ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&price=1", -1106, "'price'"),
            ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&newClientOrderId=", -1105, "'newClientOrderId'"),
            ("symbol=btcusdt&side=BUY&type=MARKET&quantity=1", -1100, "'symbol'"),
            ("symbol=BTCUSDT&side=BUYS&type=MARKET&quantity=1", -1117, "side"),
            ("symbol=BTCUSDT&side=BUY&type=MARKETS&quantity=1", -1116, "orderType"),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTK&quantity=1&price=1", -1115, "timeInForce"),
            (
                "symbol=BTCUSDT&side=BUY&type=STOP_MARKET&stopPrice=1&closePosition=true&quantity=1",
                -1106,
                "'quantity'",
            ),
        ] {
            let (got, text) = refusal(query);
            assert!(got == code && text.contains(name), "{query}: {got} {text}");
        }
    }

    #[test]
    fn an_order_is_named_by_either_id() {
        let error = cancel(&params("symbol=BTCUSDT")).expect_err("no id");
        assert_eq!(error.code, -1102);
        let Ok(Command::Cancel { order, .. }) =
            cancel(&params("symbol=BTCUSDT&origClientOrderId=a&orderId=7"))
        else {
            panic!("a cancel")
        };
        assert_eq!(order, OrderRef::Id(7));
    }
}
