//! Every order that an account made, open or ended, and the ways to find one.
//!
//! Promises: ids grow with acceptance and are never used twice; an account's open orders are found without looking at others'; ended orders
//! are forgotten oldest first beyond the history limit. The house's orders are not here: they live in the book alone.

use super::api::{AccountId, Order, OrderRef};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The venue's first order id is one above this: large, as clients meet them at the exchange.
const ID_BASE: u64 = 4_000_000_000;

/// Position of an instrument in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolIndex(pub usize);

pub struct Orders {
    last_id: u64,
    orders: BTreeMap<u64, (SymbolIndex, Order)>,
    by_client_id: BTreeMap<(AccountId, SymbolIndex, Arc<str>), u64>,
    open: BTreeSet<(AccountId, SymbolIndex, u64)>,
    ended: BTreeMap<AccountId, VecDeque<u64>>,
    history_limit: usize,
}

impl Orders {
    pub fn new(history_limit: usize) -> Orders {
        Orders {
            last_id: ID_BASE,
            orders: BTreeMap::new(),
            by_client_id: BTreeMap::new(),
            open: BTreeSet::new(),
            ended: BTreeMap::new(),
            history_limit: history_limit.max(1),
        }
    }

    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Keeps a new open order; its client id now finds it rather than an older one.
    pub fn insert(&mut self, symbol: SymbolIndex, order: Order) {
        self.by_client_id.insert((order.account, symbol, order.client_order_id.clone()), order.order_id);
        self.open.insert((order.account, symbol, order.order_id));
        self.orders.insert(order.order_id, (symbol, order));
    }

    /// By the venue's id, whoever owns it.
    pub fn by_id(&self, order_id: u64) -> Option<&Order> {
        self.orders.get(&order_id).map(|(_, order)| order)
    }

    /// Changes an order in place and files it as ended when it is.
    pub fn update(&mut self, order_id: u64, change: impl FnOnce(&mut Order)) -> Option<&Order> {
        let (symbol, order) = self.orders.get_mut(&order_id)?;
        change(order);
        let (symbol, account) = (*symbol, order.account);
        if !order.status.is_open() && self.open.remove(&(account, symbol, order_id)) {
            let ended = self.ended.entry(account).or_default();
            ended.push_back(order_id);
            if ended.len() > self.history_limit
                && let Some(oldest) = ended.pop_front()
            {
                self.forget(oldest);
            }
        }
        self.by_id(order_id)
    }

    /// The order of `account` that `reference` means, ended ones included.
    pub fn find(&self, account: AccountId, symbol: SymbolIndex, reference: &OrderRef) -> Option<&Order> {
        let id = match reference {
            OrderRef::Id(id) => *id,
            OrderRef::ClientId(text) => *self.by_client_id.get(&(account, symbol, text.as_str().into()))?,
        };
        let (at, order) = self.orders.get(&id)?;
        (*at == symbol && order.account == account).then_some(order)
    }

    pub fn find_open(&self, account: AccountId, symbol: SymbolIndex, reference: &OrderRef) -> Option<&Order> {
        self.find(account, symbol, reference).filter(|order| order.status.is_open())
    }

    /// Open orders of one instrument, oldest first.
    pub fn open(&self, account: AccountId, symbol: SymbolIndex) -> impl Iterator<Item = &Order> {
        self.open
            .range((account, symbol, 0)..=(account, symbol, u64::MAX))
            .filter_map(|(_, _, id)| self.by_id(*id))
    }

    /// Open orders of all instruments, by instrument and age.
    pub fn all_open(&self, account: AccountId) -> impl Iterator<Item = &Order> {
        self.open
            .range((account, SymbolIndex(0), 0)..=(account, SymbolIndex(usize::MAX), u64::MAX))
            .filter_map(|(_, _, id)| self.by_id(*id))
    }

    /// Everything that is remembered of one instrument, oldest first.
    pub fn history(&self, account: AccountId, symbol: SymbolIndex) -> impl Iterator<Item = &Order> {
        self.orders
            .values()
            .filter(move |(at, order)| *at == symbol && order.account == account)
            .map(|(_, order)| order)
    }

    /// Gives an order another client id, under which it is found from now on.
    pub fn rename(&mut self, order_id: u64, client_order_id: Arc<str>) {
        let Some((symbol, order)) = self.orders.get_mut(&order_id) else { return };
        let (symbol, account) = (*symbol, order.account);
        let old = std::mem::replace(&mut order.client_order_id, client_order_id.clone());
        order.renamed_from = Some(old.clone());
        if self.by_client_id.get(&(account, symbol, old.clone())) == Some(&order_id) {
            self.by_client_id.remove(&(account, symbol, old));
        }
        self.by_client_id.insert((account, symbol, client_order_id), order_id);
    }

    fn forget(&mut self, order_id: u64) {
        let Some((symbol, order)) = self.orders.remove(&order_id) else { return };
        let key = (order.account, symbol, order.client_order_id);
        if self.by_client_id.get(&key) == Some(&order_id) {
            self.by_client_id.remove(&key);
        }
    }
}

/// The id that the venue gives to an order whose client gave none: 22 letters and digits, a function of the order id.
pub fn generated_client_id(order_id: u64) -> Arc<str> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = order_id;
    let mut text = String::with_capacity(22);
    for _ in 0..22 {
        state = super::market::dice::splitmix(state);
        text.push(char::from(LETTERS[(state % 62) as usize]));
    }
    text.into()
}
