//! The requests of the cold path: what may be read, and the listen keys. None of them can place an order.
//! (USD-M "Market Data", "Account", "Trade", "User Data Streams"; Spot likewise.)

use super::super::sign::{Credentials, percent_encode};
use super::super::wire::Dialect;
use crate::core::id::{ClientOrderId, VenueOrderId};
use crate::core::instrument::Product;
use crate::core::time::Nanos;

/// A request to make: the caller owns the connection, the key header and the weight's budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestRequest {
    pub method: Method,
    pub path: &'static str,
    /// Percent-encoded, without timestamp and signature.
    query: String,
    pub security: Security,
    /// Request weight that the venue counts.
    pub weight: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Open,
    /// The header X-MBX-APIKEY.
    Key,
    /// The header, a timestamp and a signature.
    Signed,
}

/// The header that carries the key.
pub const API_KEY_HEADER: &str = "X-MBX-APIKEY";

impl RestRequest {
    fn new(method: Method, path: &'static str, security: Security, weight: u16) -> Self {
        Self { method, path, query: String::new(), security, weight }
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(key);
        self.query.push('=');
        percent_encode(value, &mut self.query);
        self
    }

    /// Path and query as they go into the request line; signed where they must be. `venue_millis` is the venue's time.
    pub fn target(
        &self,
        credentials: Option<&Credentials>,
        venue_millis: u64,
        recv_window: Option<u32>,
    ) -> String {
        let mut query = self.query.clone();
        if let (Security::Signed, Some(credentials)) = (self.security, credentials) {
            let mut add = |text: &str| {
                if !query.is_empty() {
                    query.push('&');
                }
                query.push_str(text);
            };
            if let Some(window) = recv_window {
                add(&format!("recvWindow={window}"));
            }
            add(&format!("timestamp={venue_millis}"));
            let signature = credentials.signer().sign(query.as_bytes());
            query.push_str("&signature=");
            percent_encode(signature.as_str(), &mut query);
        }
        if query.is_empty() { self.path.to_string() } else { format!("{}?{query}", self.path) }
    }
}

/// The requests, by product.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    dialect: &'static Dialect,
}

impl Requests {
    pub fn of(product: Product) -> Self {
        Self { dialect: Dialect::of(product) }
    }
    fn is_spot(&self) -> bool {
        self.dialect.product == Product::Spot
    }
    pub fn exchange_info(&self) -> RestRequest {
        RestRequest::new(
            Method::Get,
            self.dialect.exchange_info,
            Security::Open,
            if self.is_spot() { 20 } else { 1 },
        )
    }
    pub fn time(&self) -> RestRequest {
        RestRequest::new(Method::Get, self.dialect.time, Security::Open, 1)
    }
    pub fn depth(&self, symbol: &str, limit: u16) -> RestRequest {
        let limit = limit.min(self.dialect.max_depth_limit);
        RestRequest::new(Method::Get, self.dialect.depth, Security::Open, self.dialect.depth_weight(limit))
            .with("symbol", symbol)
            .with("limit", &limit.to_string())
    }
    pub fn account(&self) -> RestRequest {
        RestRequest::new(
            Method::Get,
            self.dialect.account,
            Security::Signed,
            if self.is_spot() { 20 } else { 5 },
        )
    }
    /// `None` on spot.
    pub fn balance(&self) -> Option<RestRequest> {
        self.dialect.balance.map(|path| RestRequest::new(Method::Get, path, Security::Signed, 5))
    }
    /// `None` on spot, which has no position rows.
    /// USD-M "Symbol Configuration (USER_DATA)": weight 5.
    pub fn symbol_config(&self) -> Option<RestRequest> {
        self.dialect.symbol_config.map(|path| RestRequest::new(Method::Get, path, Security::Signed, 5))
    }
    pub fn position_risk(&self) -> Option<RestRequest> {
        self.dialect.position_risk.map(|path| RestRequest::new(Method::Get, path, Security::Signed, 5))
    }
    /// Of every symbol: an order that is not in it is not open.
    pub fn open_orders(&self) -> RestRequest {
        let weight = if self.is_spot() { 80 } else { 40 };
        RestRequest::new(Method::Get, self.dialect.open_orders, Security::Signed, weight)
    }
    /// Conditional orders that wait, of every symbol or of one; they stand in no other list. `None` on spot, which has no algo service.
    pub fn open_algo_orders(&self, symbol: Option<&str>) -> Option<RestRequest> {
        let path = self.dialect.open_algo_orders?;
        let weight = if symbol.is_some() { 1 } else { 40 };
        let request = RestRequest::new(Method::Get, path, Security::Signed, weight);
        Some(symbol.map_or(request.clone(), |symbol| request.with("symbol", symbol)))
    }
    /// A conditional order by our id. `None` on spot, or where the id has no text.
    pub fn query_algo_order(&self, ours: &ClientOrderId) -> Option<RestRequest> {
        let text = ours.text().filter(|text| !text.is_empty())?;
        let path = self.dialect.algo_order?;
        Some(RestRequest::new(Method::Get, path, Security::Signed, 1).with("clientAlgoId", text))
    }
    pub fn open_orders_of(&self, symbol: &str) -> RestRequest {
        let weight = if self.is_spot() { 6 } else { 1 };
        RestRequest::new(Method::Get, self.dialect.open_orders, Security::Signed, weight)
            .with("symbol", symbol)
    }
    /// By our id where it has text, else by the venue's; `None` where it has neither.
    pub fn query_order(
        &self,
        symbol: &str,
        ours: &ClientOrderId,
        venues: VenueOrderId,
    ) -> Option<RestRequest> {
        let weight = if self.is_spot() { 4 } else { 1 };
        let request = RestRequest::new(Method::Get, self.dialect.order, Security::Signed, weight)
            .with("symbol", symbol);
        match ours.text() {
            Some(text) if !text.is_empty() => Some(request.with("origClientOrderId", text)),
            _ if venues.0 != 0 => Some(request.with("orderId", &venues.0.to_string())),
            _ => None,
        }
    }
    /// The fills of one order.
    pub fn trades_of(&self, symbol: &str, order: VenueOrderId) -> RestRequest {
        let weight = 5;
        let request = RestRequest::new(Method::Get, self.dialect.user_trades, Security::Signed, weight);
        request.with("symbol", symbol).with("orderId", &order.0.to_string())
    }
    /// Fills of a symbol, from a trade id on, from a time on, or the newest.
    pub fn user_trades(&self, symbol: &str, from: TradesFrom) -> RestRequest {
        let weight = if self.is_spot() { 20 } else { 5 };
        let request = RestRequest::new(Method::Get, self.dialect.user_trades, Security::Signed, weight);
        let request = request.with("symbol", symbol).with("limit", &TRADES_PAGE.to_string());
        match from {
            TradesFrom::Id(id) => request.with("fromId", &id.to_string()),
            TradesFrom::Newest => request,
            TradesFrom::Time(time) => request.with("startTime", &time.as_millis().to_string()),
        }
    }
    /// POST makes or prolongs one, PUT keeps it alive (60 minutes), DELETE ends it. `None` on spot.
    pub fn listen_key(&self, method: Method) -> Option<RestRequest> {
        self.dialect.listen_key.map(|path| RestRequest::new(method, path, Security::Key, 1))
    }
}

/// Trades in one answer at most, at both products.
pub(super) const TRADES_PAGE: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradesFrom {
    /// The newest thousand.
    Newest,
    Id(u64),
    Time(Nanos),
}
