//! Only limit orders are replaced; what waits here takes any other price, if it has one. (Binance USD-M "Modify Order": "currently
//! only LIMIT order modification is supported".)
//! Hot.

use super::Subject;
use crate::event::{OrderKind, RequestKind};

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    let can = if subject.is_live() { subject.kind == OrderKind::Limit } else { subject.kind.is_priced() };
    subject.is(RequestKind::Replace) && !can
}
