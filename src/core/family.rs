//! Action families: what kind of work a command is, and who yields to whom.
//!
//! A scope is one leg of one instrument at one account. In one pass of a scope exactly one family acts, the highest that wishes
//! anything; what a lower one wished in the same pass is recorded as deferred, and its strategy is asked again at the next settled
//! pass. What a higher family has sent and the venue has not confirmed holds the lower ones: their new orders and replaces wait in
//! the queue behind the gate `confirmation` (`recovery` for what is in doubt). A cancel yields to nobody: it only takes risk away.
//!
//! | in the same pass, or unconfirmed -> | recovery | kill and flatten | cleanup | protective | entry |
//! |---|---|---|---|---|---|
//! | recovery (asks, off the hot path) | acts | acts | acts | acts | acts |
//! | kill and flatten | acts, it may not wait | acts | acts | acts | acts |
//! | cleanup | leaves orders in doubt alone | is silent | acts | acts | acts |
//! | protective | waits, unless it lowers risk and is not itself in doubt | is not asked | yields | acts | acts |
//! | entry | waits | is not asked | yields | yields | acts |
//! Hot.

use crate::coded;

coded! {
    /// In the order of their priority, highest first.
    pub enum Family {
        /// Asks about what is in doubt; it sends no order.
        Recovery = 0 "recovery",
        /// Kill, drain, and an operator's cancel-all and flatten.
        Closing = 1 "kill and flatten",
        /// Cancels orders that nobody stands behind.
        Cleanup = 2 "cleanup",
        /// Stops, take-profits, and whatever else only lowers what is held.
        Protective = 3 "protective",
        /// Quoting, DCA, working a parent order: whatever takes a position on.
        Entry = 4 "entry",
    }
}

impl Family {
    /// Must it give way where `other` acts?
    #[inline]
    pub const fn yields_to(self, other: Self) -> bool {
        other.code() < self.code()
    }
}

/// A strategy's word about one of its own live orders, asked by cleanup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It stands behind the order, however old: cleanup leaves it alone.
    Mine,
    /// It says nothing: the order is cleaned up once it is older than the strategy's `max_order_age`.
    Unsaid,
    /// It wants nothing of it: the order is a stray, cleaned up at the next settled pass.
    Abandoned,
}
