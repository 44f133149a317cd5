//! A second core that was loaded from the first one's snapshot at some step, and must do the same from there: outputs,
//! deadlines, and at the end every byte of state.

use linchpin_core::event::Event;
use linchpin_core::time::Nanos;
use linchpin_core::turn::Core;

use crate::twin::Out;
use crate::world::Outs;

pub struct Shadow {
    core: Core,
    /// Turns until it has proven enough.
    left: u64,
}

impl Shadow {
    /// `fresh` is made as `core` was at its beginning.
    pub fn of(core: &Core, mut fresh: Core, turns: u64) -> Result<Self, String> {
        let form = form(core);
        fresh.load(&form).map_err(|why| format!("snapshot: {why}"))?;
        same_bytes(&form, &self::form(&fresh))?;
        Ok(Self { core: fresh, left: turns })
    }

    /// The same turn again; true when it was the last.
    pub fn turn(
        &mut self,
        (sequence, now, event): (u64, Nanos, &Event),
        (outs, deadline): (&[Out], Nanos),
        original: &Core,
    ) -> Result<bool, String> {
        let mut own = Outs::default();
        let due = self.core.turn(sequence, now, event, &mut own);
        if own.0 != outs {
            return Err(format!("snapshot: the loaded core gave {:?}, the first {outs:?}", own.0));
        }
        if due != deadline {
            return Err(format!(
                "snapshot: the loaded core asks to look at {due:?}, the first at {deadline:?}"
            ));
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            same_bytes(&form(original), &form(&self.core))?;
        }
        Ok(self.left == 0)
    }
}

fn form(core: &Core) -> Vec<u8> {
    let mut form = Vec::new();
    core.save(&mut form);
    form
}

fn same_bytes(one: &[u8], other: &[u8]) -> Result<(), String> {
    match one.iter().zip(other).position(|(a, b)| a != b) {
        None if one.len() == other.len() => Ok(()),
        at => Err(format!("snapshot: states differ from word {:?} on", at.unwrap_or(one.len()) / 8)),
    }
}
