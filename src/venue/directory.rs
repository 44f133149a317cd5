//! The names of a session at one venue: symbol <-> `InstrumentId`, asset <-> `AssetId`, and each instrument's definition.
//!
//! Built at boot, from the configured symbols and what the venue says of them; after that it only answers. Every thread may
//! hold the same one (`Arc`): an asset has one number everywhere. Looking a symbol up hashes nothing and allocates nothing.

use crate::core::id::{AssetId, InstrumentId, VenueId};
use crate::core::instrument::{InstrumentDefinition, Product};

#[derive(Clone, Debug)]
pub struct Directory {
    venue: VenueId,
    product: Product,
    assets: Vec<Box<str>>,
    listings: Vec<Listing>,
    /// Indices into `listings`, ordered by symbol.
    by_symbol: Vec<usize>,
    /// Indices into `listings`, by the instrument's number; `NOWHERE` for one of another venue.
    by_id: Vec<u16>,
}

const NOWHERE: u16 = u16::MAX;

/// One instrument as this venue lists it.
#[derive(Clone, Debug)]
pub struct Listing {
    pub id: InstrumentId,
    pub definition: InstrumentDefinition,
    symbol: Box<str>,
    stream_symbol: Box<str>,
}

impl Listing {
    /// As the venue writes it in messages and requests: `BTCUSDT`.
    #[inline]
    pub fn symbol(&self) -> &str {
        &self.symbol
    }
    /// As the venue writes it in stream names: `btcusdt`.
    pub fn stream_symbol(&self) -> &str {
        &self.stream_symbol
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    #[error("symbol {0:?} is listed twice")]
    Twice(String),
    #[error("instrument number {0} is given to two symbols")]
    SameId(u16),
    #[error("{0:?} is no symbol: letters, digits and _ only, 1 to 32 bytes")]
    NotASymbol(String),
    #[error("more than {limit} assets (at {name:?})", limit = Directory::MAX_ASSETS)]
    TooManyAssets { name: String },
    #[error("more than {limit} instruments (at {symbol:?})", limit = Directory::MAX_INSTRUMENTS)]
    TooManyInstruments { symbol: String },
}

impl Directory {
    pub const MAX_INSTRUMENTS: usize = 256;
    /// `AssetId::NONE` is not an asset.
    pub const MAX_ASSETS: usize = 255;

    pub fn new(venue: VenueId, product: Product) -> Self {
        Self {
            venue,
            product,
            assets: Vec::new(),
            listings: Vec::new(),
            by_symbol: Vec::new(),
            by_id: Vec::new(),
        }
    }

    /// Begins with the assets of another venue: a session's venues number them alike.
    #[must_use]
    pub fn sharing_assets_of(mut self, other: &Directory) -> Self {
        self.assets.clone_from(&other.assets);
        self
    }

    /// The asset's number; a name not seen before gets the next one. At boot only.
    pub fn intern_asset(&mut self, name: &str) -> Result<AssetId, DirectoryError> {
        if let Some(known) = self.asset(name.as_bytes()) {
            return Ok(known);
        }
        if self.assets.len() >= Self::MAX_ASSETS {
            return Err(DirectoryError::TooManyAssets { name: name.to_string() });
        }
        self.assets.push(name.into());
        Ok(AssetId((self.assets.len() - 1) as u8))
    }

    /// Lists an instrument under the number that the configuration gave it. At boot only.
    pub fn list(
        &mut self,
        id: InstrumentId,
        symbol: &str,
        definition: InstrumentDefinition,
    ) -> Result<(), DirectoryError> {
        let is_symbol = |c: char| c == '_' || (c.is_alphanumeric() && !c.is_ascii_lowercase());
        if symbol.is_empty() || symbol.len() > 32 || !symbol.chars().all(is_symbol) {
            return Err(DirectoryError::NotASymbol(symbol.to_string()));
        }
        if self.listings.len() >= Self::MAX_INSTRUMENTS {
            return Err(DirectoryError::TooManyInstruments { symbol: symbol.to_string() });
        }
        if self.find(symbol.as_bytes()).is_some() {
            return Err(DirectoryError::Twice(symbol.to_string()));
        }
        if self.of(id).is_some() || id.is_none() {
            return Err(DirectoryError::SameId(id.0));
        }
        self.listings.push(Listing {
            id,
            definition,
            symbol: symbol.into(),
            stream_symbol: symbol.to_lowercase().into(),
        });
        let row = self.listings.len() - 1;
        self.by_symbol.push(row);
        if self.by_id.len() <= id.index() {
            self.by_id.resize(id.index() + 1, NOWHERE);
        }
        self.by_id[id.index()] = row as u16;
        let listings = &self.listings;
        self.by_symbol.sort_by(|a, b| {
            listings.get(*a).map(Listing::symbol).cmp(&listings.get(*b).map(Listing::symbol))
        });
        Ok(())
    }

    #[inline]
    pub fn venue(&self) -> VenueId {
        self.venue
    }
    #[inline]
    pub fn product(&self) -> Product {
        self.product
    }
    #[inline]
    pub fn listings(&self) -> &[Listing] {
        &self.listings
    }
    #[inline]
    pub fn of(&self, id: InstrumentId) -> Option<&Listing> {
        self.by_id.get(id.index()).and_then(|row| self.listings.get(usize::from(*row)))
    }
    pub fn asset(&self, name: &[u8]) -> Option<AssetId> {
        self.assets.iter().position(|known| known.as_bytes() == name).map(|at| AssetId(at as u8))
    }
    pub fn asset_name(&self, id: AssetId) -> Option<&str> {
        self.assets.get(id.index()).map(|name| &**name)
    }
    pub fn assets(&self) -> impl Iterator<Item = (AssetId, &str)> {
        self.assets.iter().enumerate().map(|(at, name)| (AssetId(at as u8), &**name))
    }

    /// The row in `listings` of a symbol, or `None` for one that is not ours.
    #[inline]
    pub fn row(&self, symbol: &[u8]) -> Option<usize> {
        let at = self.by_symbol.binary_search_by(|row| {
            self.listings.get(*row).map_or(core::cmp::Ordering::Greater, |l| l.symbol.as_bytes().cmp(symbol))
        });
        at.ok().and_then(|at| self.by_symbol.get(at).copied())
    }

    /// As `row`, trying first the row that answered last: messages come in runs of one symbol.
    #[inline]
    pub fn row_near(&self, symbol: &[u8], last: &mut usize) -> Option<usize> {
        match self.listings.get(*last) {
            Some(listing) if listing.symbol.as_bytes() == symbol => Some(*last),
            _ => {
                *last = self.row(symbol)?;
                Some(*last)
            }
        }
    }

    pub fn find(&self, symbol: &[u8]) -> Option<&Listing> {
        self.row(symbol).and_then(|row| self.listings.get(row))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::core::instrument::InstrumentStatus;
    use crate::core::num::{Increment, Price, Quantity};

    /// A definition on the given grid, with wide limits: what tests of this room begin from.
    pub(crate) fn definition(tick: &str, lot: &str, product: Product) -> InstrumentDefinition {
        InstrumentDefinition {
            tick: Increment::parse(tick.as_bytes(), 2).unwrap(),
            lot: Increment::parse(lot.as_bytes(), 3).unwrap(),
            min_price: Price::new(1),
            max_price: Price::new(1_000_000_000),
            min_quantity: Quantity::new(1),
            max_quantity: Quantity::new(1_000_000),
            max_market_quantity: Quantity::new(120_000),
            min_notional: 5_00000000,
            percent_up: 10_500,
            percent_down: 9_500,
            maker_fee_ppm: 200,
            taker_fee_ppm: 500,
            base: AssetId(0),
            quote: AssetId(1),
            product,
            status: InstrumentStatus::Trading,
        }
    }

    /// BTCUSDT and ETHUSDT on USD-M's grids, or spot's.
    pub(crate) fn directory(product: Product) -> Directory {
        let mut directory = Directory::new(VenueId(0), product);
        for asset in ["BTC", "USDT", "ETH", "BNB"] {
            directory.intern_asset(asset).unwrap();
        }
        let (tick, lot) = match product {
            Product::Spot => ("0.01000000", "0.00001000"),
            Product::LinearPerpetual => ("0.10", "0.001"),
        };
        directory.list(InstrumentId(0), "BTCUSDT", definition(tick, lot, product)).unwrap();
        directory.list(InstrumentId(1), "ETHUSDT", definition("0.01", "0.001", product)).unwrap();
        directory
    }

    #[test]
    fn every_symbol_is_found_and_no_other() {
        let mut directory = Directory::new(VenueId(0), Product::LinearPerpetual);
        let grid = definition("0.10", "0.001", Product::LinearPerpetual);
        for number in 0..100u16 {
            directory.list(InstrumentId(number), &format!("S{}USDT", number * 37 % 100), grid).unwrap();
        }
        let mut last = 0;
        for number in 0..100u16 {
            let symbol = format!("S{}USDT", number * 37 % 100);
            assert_eq!(directory.find(symbol.as_bytes()).unwrap().id, InstrumentId(number));
            assert_eq!(directory.row_near(symbol.as_bytes(), &mut last), Some(usize::from(number)));
            assert_eq!(directory.of(InstrumentId(number)).unwrap().symbol(), symbol);
        }
        assert!(directory.find(b"S100USDT").is_none());
        assert!(directory.row_near(b"", &mut last).is_none());
    }

    #[test]
    fn a_symbol_or_a_number_given_twice_is_refused_by_name() {
        let mut directory = directory(Product::Spot);
        let grid = definition("0.10", "0.001", Product::Spot);
        assert_eq!(
            directory.list(InstrumentId(9), "BTCUSDT", grid),
            Err(DirectoryError::Twice("BTCUSDT".into()))
        );
        assert_eq!(directory.list(InstrumentId(0), "XRPUSDT", grid), Err(DirectoryError::SameId(0)));
        assert!(matches!(
            directory.list(InstrumentId(3), "btc\"usdt", grid),
            Err(DirectoryError::NotASymbol(_))
        ));
    }

    #[test]
    fn an_instrument_is_found_by_its_number_whatever_venue_has_those_before_it() {
        let mut directory = Directory::new(VenueId(1), Product::Spot);
        let grid = definition("0.10", "0.001", Product::Spot);
        for number in [7, 200, 3] {
            directory.list(InstrumentId(number), &format!("S{number}"), grid).unwrap();
        }
        for number in 0..=300 {
            let found = directory.of(InstrumentId(number)).map(|listing| listing.id.0);
            assert_eq!(found, [3, 7, 200].contains(&number).then_some(number));
        }
        assert!(directory.of(InstrumentId::NONE).is_none());
    }

    #[test]
    fn venues_that_share_assets_number_them_alike() {
        let usdm = directory(Product::LinearPerpetual);
        let mut spot = Directory::new(VenueId(1), Product::Spot).sharing_assets_of(&usdm);
        assert_eq!(spot.intern_asset("USDT").unwrap(), usdm.asset(b"USDT").unwrap());
        let new = spot.intern_asset("XRP").unwrap();
        assert!(usdm.asset_name(new).is_none());
        assert!(usdm.sharing_assets_of(&spot).asset_name(new).is_some());
    }

    #[test]
    fn an_asset_has_one_number_however_often_it_is_named() {
        let mut directory = directory(Product::Spot);
        let usdt = directory.intern_asset("USDT").unwrap();
        assert_eq!(directory.asset(b"USDT"), Some(usdt));
        assert_eq!(directory.asset_name(usdt), Some("USDT"));
        assert_eq!(directory.asset(b"DOGE"), None);
    }
}
