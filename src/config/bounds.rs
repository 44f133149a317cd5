//! The limits of one table of the file, by the core's own key: what stands there, or its default. The core's table of limits says which
//! keys a table has, their units and their ranges, so that the file and `ctl set` cannot differ.

use std::collections::BTreeMap;

use linchpin_core::limits::{Configuration, LimitKey, LimitScope, Unit};

use super::document::Section;
use super::resolved::Writer;
use super::written::{of_file, show_in_file};

/// In the core's units. Lots and notionals are not among them: they need the venue's definitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds(BTreeMap<LimitKey, i64>);

impl Bounds {
    pub(super) fn read(section: &Section<'_>, scope: LimitScope) -> Self {
        let read = |key: LimitKey| (key, section.read(key.own_name(), of_file(&key.values())));
        Self(keys(scope).map(read).collect())
    }

    /// Zero where there is none.
    pub fn get(&self, key: LimitKey) -> i64 {
        self.0.get(&key).copied().unwrap_or(0)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        for (key, number) in &self.0 {
            out.bare(key.own_name(), show_in_file(&key.values(), *number));
        }
    }

    /// Into row `index` of the core's table.
    pub(super) fn put_into(&self, configuration: &mut Configuration, index: usize) {
        let Ok(index) = u16::try_from(index) else { return };
        for (key, number) in &self.0 {
            let taken = configuration.set_limit(key.target(index), *number);
            debug_assert!(taken, "{key} was read within its range");
        }
    }
}

/// The keys of a table that need no definition.
fn keys(scope: LimitScope) -> impl Iterator<Item = LimitKey> {
    LimitKey::of_scope(scope).filter(|key| !matches!(key.values().unit, Unit::Lots | Unit::Notional))
}
