//! The latest trades of which something was done, so that it is done once.

/// How many are remembered: more of one order are seldom under way at once.
const REMEMBERED: usize = 8;

/// Newest first; zero: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TradeIds {
    ids: [u64; REMEMBERED],
}

crate::saved! { value TradeIds { ids } }

impl TradeIds {
    #[inline]
    pub fn holds(&self, id: u64) -> bool {
        id != 0 && self.ids.contains(&id)
    }

    /// As many as can be remembered: older ones may be forgotten.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.ids.last().is_none_or(|oldest| *oldest != 0)
    }

    /// It was never noted: none is forgotten, or it is above all that are remembered (a venue numbers its trades upwards).
    #[inline]
    pub fn never_held(&self, id: u64) -> bool {
        let newest = self.ids.iter().copied().max().unwrap_or(0);
        id != 0 && !self.holds(id) && (!self.is_full() || id > newest)
    }

    #[inline]
    pub fn note(&mut self, id: u64) {
        self.ids.rotate_right(1);
        if let Some(first) = self.ids.first_mut() {
            *first = id;
        }
    }
}
