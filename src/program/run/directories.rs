//! What all venues of a session list, together: instruments by their number, assets by theirs.

use std::sync::Arc;

use crate::core::id::AssetId;
use crate::core::instrument::InstrumentDefinition;
use crate::venue::{Directory, Listing};

/// By `VenueId`. Each knows the assets of those before it, so the last one knows them all.
pub(super) struct Directories(Vec<Arc<Directory>>);

impl Directories {
    /// In the order of the venues; every one but the last is told the assets that came after it.
    pub fn new(mut read: Vec<Directory>) -> Self {
        if let Some(last) = read.pop() {
            read = read.into_iter().map(|directory| directory.sharing_assets_of(&last)).collect();
            read.push(last);
        }
        Self(read.into_iter().map(Arc::new).collect())
    }

    pub fn each(&self) -> impl Iterator<Item = &Arc<Directory>> {
        self.0.iter()
    }

    /// By `InstrumentId`.
    pub fn listings(&self) -> Vec<&Listing> {
        let mut all: Vec<&Listing> = self.0.iter().flat_map(|directory| directory.listings()).collect();
        all.sort_by_key(|listing| listing.id);
        all
    }

    /// By `InstrumentId`.
    pub fn definitions(&self) -> Vec<InstrumentDefinition> {
        self.listings().into_iter().map(|listing| listing.definition).collect()
    }

    /// By `InstrumentId`.
    pub fn symbols(&self) -> Vec<&str> {
        self.listings().into_iter().map(Listing::symbol).collect()
    }

    /// By `AssetId`.
    pub fn assets(&self) -> Vec<&str> {
        self.0.last().map(|last| last.assets().map(|(_, name)| name).collect()).unwrap_or_default()
    }

    pub fn asset_name(&self, id: AssetId) -> Option<&str> {
        self.0.last()?.asset_name(id)
    }
}
