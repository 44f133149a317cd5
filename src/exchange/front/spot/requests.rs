//! From spot's request parameters to the engine's commands ("New order", "Cancel an existing order and send a new order", "Order amend keep priority").

use super::super::super::*;
use super::super::params::{Params, malformed};
use super::super::requests::{self, side, symbol, word};
use super::shapes::Told;
use super::words;

/// What a new order says it wants to hear; a market or limit order is told everything by default.
pub fn place(params: &Params) -> Result<(NewOrder, Told), ApiError> {
    let symbol = symbol(params)?;
    let side = side(params)?;
    let type_word = params.mandatory("type")?;
    let (kind, implied) = words::read_order_type(type_word).ok_or(ApiError::INVALID_ORDER_TYPE)?;
    let spoken = word(params, "timeInForce", TimeInForce::from_word, ApiError::INVALID_TIME_IN_FORCE)?
        .filter(|word| !matches!(word, TimeInForce::Gtx | TimeInForce::Gtd));
    match kind {
        OrderType::Limit => {
            if implied.is_none() {
                params.mandatory("timeInForce")?;
            } else {
                params.refuse("timeInForce")?;
            }
            params.mandatory("quantity")?;
            params.mandatory("price")?;
        }
        OrderType::Market => {
            if params.raw("quoteOrderQty").is_none() {
                params.mandatory("quantity")?;
            }
            params.refuse("price")?;
            params.refuse("timeInForce")?;
        }
        OrderType::Stop | OrderType::TakeProfit => {
            params.mandatory("timeInForce")?;
            params.mandatory("quantity")?;
            params.mandatory("price")?;
            params.mandatory("stopPrice")?;
        }
        _ => {
            params.mandatory("quantity")?;
            params.mandatory("stopPrice")?;
            params.refuse("price")?;
            params.refuse("timeInForce")?;
        }
    }
    if matches!(kind, OrderType::Limit | OrderType::Market) {
        params.refuse("stopPrice")?;
    }
    let default = match type_word {
        "MARKET" | "LIMIT" => Told::Full,
        _ => Told::Ack,
    };
    let told = match params.optional("newOrderRespType")? {
        None => default,
        Some("ACK") => Told::Ack,
        Some("RESULT") => Told::Result,
        Some("FULL") => Told::Full,
        Some(_) => return Err(malformed("newOrderRespType")),
    };
    let order = NewOrder {
        symbol,
        side,
        position_side: PositionSide::Both,
        kind,
        time_in_force: implied.or(spoken),
        quantity: params.decimal("quantity")?,
        price: params.decimal("price")?,
        reduce_only: None,
        close_position: false,
        quote_quantity: params.decimal("quoteOrderQty")?,
        stop_price: params.decimal("stopPrice")?,
        callback_rate: None,
        working_type: WorkingType::ContractPrice,
        price_protect: false,
        self_trade_prevention: word(
            params,
            "selfTradePreventionMode",
            SelfTradePrevention::from_word,
            malformed("selfTradePreventionMode"),
        )?,
        good_till_date_ms: 0,
        client_order_id: params.optional("newClientOrderId")?.map(str::to_owned),
    };
    Ok((order, told))
}

pub fn cancel(params: &Params) -> Result<Command, ApiError> {
    let name = params.optional("newClientOrderId")?.map(str::to_owned);
    Ok(Command::Cancel { symbol: symbol(params)?, order: requests::order_ref(params)?, name })
}

pub fn amend(params: &Params) -> Result<Command, ApiError> {
    let symbol = symbol(params)?;
    let order = requests::order_ref(params)?;
    params.mandatory("newQty")?;
    let quantity = params.decimal("newQty")?.ok_or_else(|| ApiError::mandatory("newQty"))?;
    let name = params.optional("newClientOrderId")?.map(str::to_owned);
    Ok(Command::Amend { symbol, order, quantity, name })
}

/// Cancel one order, and place another if (or even if not) that worked.
pub struct CancelReplace {
    pub cancel: Command,
    pub place: NewOrder,
    pub told: Told,
    pub stop_on_failure: bool,
}

pub fn cancel_replace(params: &Params) -> Result<CancelReplace, ApiError> {
    let symbol = symbol(params)?;
    let stop_on_failure = match params.mandatory("cancelReplaceMode")? {
        "STOP_ON_FAILURE" => true,
        "ALLOW_FAILURE" => false,
        _ => return Err(malformed("cancelReplaceMode")),
    };
    let order = match (params.integer("cancelOrderId")?, params.optional("cancelOrigClientOrderId")?) {
        (Some(id), _) => OrderRef::Id(id),
        (None, Some(id)) => OrderRef::ClientId(id.to_owned()),
        (None, None) => {
            return Err(ApiError::new(
                -1102,
                "Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent, but both were empty/null!",
            ));
        }
    };
    let name = params.optional("cancelNewClientOrderId")?.map(str::to_owned);
    let (place, told) = place(params)?;
    Ok(CancelReplace { cancel: Command::Cancel { symbol, order, name }, place, told, stop_on_failure })
}
