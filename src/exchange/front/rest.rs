//! REST: paths, and the headers around every answer.
//!
//! The order of checks is the exchange's: address limits, path, API key, time, signature, order limits, then the parameters of the endpoint itself.

use std::net::IpAddr;
use std::time::Duration;

use hyper::Method;
use hyper::http::request::Parts;

use super::super::{ApiError, Product};
use super::answers::{self, Ask, Security};
use super::api_socket;
use super::faults::How;
use super::faults::line::Line;
use super::floor::Floor;
use super::keys::ApiKey;
use super::params::Params;
use super::refusal::Refusal;
use super::server::{Answer, NoAnswer, json, number, refused};
use super::shapes::Version;
use super::spot;

/// Every endpoint, as documented under "USDⓈ-M Futures".
const ENDPOINTS: &[(&str, &str, Ask)] = &[
    ("GET", "/fapi/v1/ping", Ask::Ping),
    ("GET", "/fapi/v1/time", Ask::Time),
    ("GET", "/fapi/v1/exchangeInfo", Ask::ExchangeInfo),
    ("GET", "/fapi/v1/depth", Ask::Depth),
    ("GET", "/fapi/v1/trades", Ask::Trades),
    ("GET", "/fapi/v1/historicalTrades", Ask::Trades),
    ("GET", "/fapi/v1/aggTrades", Ask::AggTrades),
    ("GET", "/fapi/v1/klines", Ask::Klines),
    ("GET", "/fapi/v1/ticker/24hr", Ask::DayTicker),
    ("GET", "/fapi/v1/fundingRate", Ask::FundingRates),
    ("GET", "/fapi/v1/fundingInfo", Ask::FundingInfo),
    ("GET", "/fapi/v1/openInterest", Ask::OpenInterest),
    ("GET", "/fapi/v1/ticker/bookTicker", Ask::BookTicker),
    ("GET", "/fapi/v1/ticker/price", Ask::PriceTicker),
    ("GET", "/fapi/v2/ticker/price", Ask::PriceTicker),
    ("GET", "/fapi/v1/premiumIndex", Ask::PremiumIndex),
    ("POST", "/fapi/v1/listenKey", Ask::StartListenKey),
    ("PUT", "/fapi/v1/listenKey", Ask::RenewListenKey),
    ("DELETE", "/fapi/v1/listenKey", Ask::CloseListenKey),
    ("GET", "/fapi/v1/account", Ask::Account(Version::V1)),
    ("GET", "/fapi/v2/account", Ask::Account(Version::V2)),
    ("GET", "/fapi/v3/account", Ask::Account(Version::V3)),
    ("GET", "/fapi/v2/balance", Ask::Balance),
    ("GET", "/fapi/v3/balance", Ask::Balance),
    ("GET", "/fapi/v1/positionRisk", Ask::PositionRisk(Version::V1)),
    ("GET", "/fapi/v2/positionRisk", Ask::PositionRisk(Version::V2)),
    ("GET", "/fapi/v3/positionRisk", Ask::PositionRisk(Version::V3)),
    ("POST", "/fapi/v1/order", Ask::Place),
    ("POST", "/fapi/v1/order/test", Ask::TestPlace),
    ("PUT", "/fapi/v1/order", Ask::Modify),
    ("DELETE", "/fapi/v1/order", Ask::Cancel),
    ("POST", "/fapi/v1/batchOrders", Ask::PlaceBatch),
    ("PUT", "/fapi/v1/batchOrders", Ask::ModifyBatch),
    ("DELETE", "/fapi/v1/batchOrders", Ask::CancelBatch),
    ("DELETE", "/fapi/v1/allOpenOrders", Ask::CancelAll),
    ("GET", "/fapi/v1/order", Ask::QueryOrder),
    ("GET", "/fapi/v1/openOrder", Ask::OpenOrder),
    ("GET", "/fapi/v1/openOrders", Ask::OpenOrders),
    ("GET", "/fapi/v1/allOrders", Ask::AllOrders),
    ("GET", "/fapi/v1/userTrades", Ask::UserTrades),
    ("POST", "/fapi/v1/leverage", Ask::SetLeverage),
    ("GET", "/fapi/v1/positionSide/dual", Ask::PositionMode),
    ("POST", "/fapi/v1/positionSide/dual", Ask::SetPositionMode),
    ("GET", "/fapi/v1/multiAssetsMargin", Ask::MultiAssetsMode),
    ("GET", "/fapi/v1/commissionRate", Ask::CommissionRate),
    ("GET", "/fapi/v1/leverageBracket", Ask::LeverageBracket),
    ("POST", "/fapi/v1/marginType", Ask::SetMarginType),
    ("POST", "/fapi/v1/multiAssetsMargin", Ask::SetMultiAssetsMode),
    ("GET", "/fapi/v1/accountConfig", Ask::AccountConfig),
    ("GET", "/fapi/v1/symbolConfig", Ask::SymbolConfig),
    ("GET", "/fapi/v1/income", Ask::Income),
    ("GET", "/fapi/v1/forceOrders", Ask::ForceOrders),
    ("GET", "/fapi/v1/adlQuantile", Ask::AdlQuantile),
    ("GET", "/fapi/v1/rateLimit/order", Ask::OrderCounts),
    ("POST", "/fapi/v1/countdownCancelAll", Ask::CountdownCancelAll),
    ("POST", "/fapi/v1/algoOrder", Ask::PlaceAlgo),
    ("DELETE", "/fapi/v1/algoOrder", Ask::CancelAlgo),
    ("GET", "/fapi/v1/algoOrder", Ask::QueryAlgo),
    ("DELETE", "/fapi/v1/algoOpenOrders", Ask::CancelAllAlgos),
    ("GET", "/fapi/v1/openAlgoOrders", Ask::OpenAlgos),
    ("GET", "/fapi/v1/allAlgoOrders", Ask::AllAlgos),
];

pub async fn serve(
    head: &Parts,
    body: &[u8],
    peer: IpAddr,
    line: Option<&Line>,
    floor: &Floor,
) -> Result<Answer, NoAnswer> {
    let mut counted_for = None;
    let fault = fault(head, floor);
    let answered = match fault.as_ref().and_then(How::refusal) {
        Some(refusal) => Err(refusal),
        None => answer(head, body, peer, floor, &mut counted_for).await,
    };
    match fault {
        Some(How::Lose) => std::future::pending().await,
        Some(How::Reset) => {
            if let Some(line) = line {
                line.reset(false);
            }
            return Err(NoAnswer);
        }
        Some(How::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(How::Refuse { .. }) | None => {}
    }
    let mut answer = match answered {
        Ok(text) => json(200, text),
        Err(refusal) => refused(&refusal),
    };
    let now = floor.now_ms();
    let mut limits = floor.limits.borrow_mut();
    number(answer.headers_mut(), "x-mbx-used-weight-1m", u64::from(limits.weight_used(now, peer)));
    if let Some(account) = counted_for {
        let counts = limits.orders_counted(now, account);
        number(answer.headers_mut(), "x-mbx-order-count-10s", u64::from(counts.per_10_seconds));
        if limits.config.orders_per_minute > 0 {
            number(answer.headers_mut(), "x-mbx-order-count-1m", u64::from(counts.per_minute));
        }
        if limits.config.orders_per_day > 0 {
            number(answer.headers_mut(), "x-mbx-order-count-1d", u64::from(counts.per_day));
        }
    }
    Ok(answer)
}

/// What was ordered to become of this request.
fn fault(head: &Parts, floor: &Floor) -> Option<How> {
    if !floor.config.control {
        return None;
    }
    let whole = format!("{} {}", head.method, head.uri.path());
    let method = endpoint(floor.product, &head.method, head.uri.path())
        .and_then(|ask| api_socket::method_of(floor.product, ask));
    floor.faults.of_request(&[&whole, method.unwrap_or("")])
}

async fn answer(
    head: &Parts,
    body: &[u8],
    peer: IpAddr,
    floor: &Floor,
    counted_for: &mut Option<u32>,
) -> Result<String, Refusal> {
    let (method, path) = (&head.method, head.uri.path());
    let weigh = |weight| {
        let counted = floor.weigh(peer, weight);
        counted.map_err(|over| Refusal::over(over, floor.weight_limit(), peer))
    };
    let Some(ask) = endpoint(floor.product, method, path) else {
        weigh(1)?;
        return Err(ApiError::with(-5000, format!("Path {path}, Method {method} is invalid")).into());
    };
    let body = std::str::from_utf8(body)
        .map_err(|_| ApiError::new(-1100, "Illegal characters found in a parameter."))?;
    let (params, signed) = Params::from_http(head.uri.query().unwrap_or(""), body)?;
    weigh(ask.weight(floor.product, &params))?;

    let api_key = head.headers.get("x-mbx-apikey").and_then(|value| value.to_str().ok());
    let key: Option<&ApiKey> = match ask.security() {
        Security::Open => None,
        Security::Key => Some(floor.identify(api_key)?),
        Security::Signed => Some(floor.authenticate(api_key, &params, &signed)?),
    };
    floor.heard(ask, &params);
    if let (Some(cost), Some(key)) = (ask.order_cost(), key) {
        *counted_for = Some(key.account);
        let counted = floor.count_order(key.account, cost);
        counted.map_err(|over| Refusal::over(over, floor.weight_limit(), peer))?;
    }
    if ask == Ask::Depth {
        return Ok(answers::depth(floor, &params).await?);
    }
    answers::answer(floor, ask, key, &params)
}

fn endpoint(product: Product, method: &Method, path: &str) -> Option<Ask> {
    let all = match product {
        Product::UsdmPerpetual => ENDPOINTS,
        Product::Spot => spot::ENDPOINTS,
    };
    let found = all.iter().find(|(verb, at, _)| *at == path && *verb == method.as_str());
    found.map(|(_, _, ask)| *ask)
}
