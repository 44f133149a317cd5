//! The last check before a byte goes to a venue.
//!
//! One shared word holds a state and an epoch. Whoever may stop trading holds a [`GateControl`]; each sender alone holds its
//! [`GateCheck`] and asks it immediately before every write. The word is laid out so that state and epoch change together:
//!
//! ```text
//!   63                                2 1   0
//!  +-----------------------------------+-----+
//!  |               epoch               |state|   state: 0 open, 1 reduce-only, 2 cancel-only, 3 shut
//!  +-----------------------------------+-----+
//! ```
//!
//! The promise: when [`GateControl::confirmed`] has reached the epoch that a change returned, every write of every sender
//! that the new state forbids is over, and none begins later unless the gate is opened again. It holds because a sender
//! publishes an epoch only when nothing is half-written, and never acts on an older word than one that it has published.
//!
//! Opening needs to have looked: [`GateControl::replace`] names the epoch that its caller saw, and fails where the gate
//! has changed since. So a reset undoes the trip that a person looked at, and never one that came in the meantime.
//!
//! A sender must never write without a fresh permit, nor confirm while part of a permitted message still waits to be
//! written (it finishes it, or closes the connection, first).
//!
//! The proof is a model: `RUSTFLAGS="--cfg loom" cargo test --no-default-features --lib kill_gate`.
//! Hot.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use crossbeam_utils::CachePadded;

use crate::ring::atomic::{Arc, AtomicU64, Ordering};

/// What may leave. Each state forbids all that the states before it forbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum GateState {
    /// Everything may leave.
    Open = 0,
    /// Cancels, and orders that can only reduce a position.
    ReduceOnly = 1,
    /// Cancels.
    CancelOnly = 2,
    /// Nothing.
    Shut = 3,
}

/// What the sender is about to write, by the risk it can add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    Cancel,
    /// The venue itself holds it to reducing (reduce-only or close-position set in the request).
    Reduce,
    /// Everything else: whatever may add risk.
    Add,
}

/// Counts the changes of the gate. Later changes have greater epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// The gate is closed for this write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the kill gate is {state:?} since epoch {}", epoch.0)]
pub struct Refused {
    pub state: GateState,
    pub epoch: Epoch,
}

/// Makes a gate; it begins in `initial` at epoch 0, which counts as confirmed.
pub struct KillGate;

impl KillGate {
    /// A gate for one sender.
    #[expect(clippy::new_ret_no_self, reason = "a gate is its two ends")]
    pub fn new(initial: GateState) -> (GateControl, GateCheck) {
        let (mut control, check) = (Self::without_senders(initial), Confirmed::default());
        control.confirmed.push(check.clone());
        let shared = control.shared.clone();
        (control, GateCheck { shared, confirmed: check })
    }

    /// One gate for several senders: a change is confirmed when all of them have.
    pub fn for_senders(initial: GateState, senders: usize) -> (GateControl, Vec<GateCheck>) {
        let mut control = Self::without_senders(initial);
        control.confirmed.resize_with(senders, Confirmed::default);
        let shared = &control.shared;
        let check =
            |confirmed: &Confirmed| GateCheck { shared: shared.clone(), confirmed: confirmed.clone() };
        let checks = control.confirmed.iter().map(check).collect();
        (control, checks)
    }

    fn without_senders(initial: GateState) -> GateControl {
        let word = CachePadded::new(AtomicU64::new(pack(Epoch(0), initial)));
        GateControl { shared: Arc::new(Shared { word }), confirmed: Vec::new() }
    }
}

#[derive(Debug)]
struct Shared {
    /// Written by controls, read by the senders before every write: on its own cache line, which is quiet while open.
    word: CachePadded<AtomicU64>,
}

/// The newest epoch that one sender obeys: written by that sender alone, on a cache line of its own.
#[derive(Debug, Clone)]
struct Confirmed(Arc<CachePadded<AtomicU64>>);

impl Default for Confirmed {
    fn default() -> Self {
        Self(Arc::new(CachePadded::new(AtomicU64::new(0))))
    }
}

/// Closes and opens the gate. Cloned for everything that may trip it.
#[derive(Debug, Clone)]
pub struct GateControl {
    shared: Arc<Shared>,
    /// One a sender.
    confirmed: Vec<Confirmed>,
}

impl GateControl {
    /// Sets the state, tighter or looser, if nobody has changed the gate since the epoch `seen`. Only a person's word leads
    /// here; everything else tightens.
    pub fn replace(&self, seen: Epoch, state: GateState) -> Result<Epoch, Refused> {
        self.change(|epoch, now| if epoch == seen { Ok(state) } else { Err(Refused { state: now, epoch }) })
    }

    /// Makes the gate at least as tight as `state`, and never looser. The epoch returned is the one whose confirmation
    /// means that `state` is obeyed.
    pub fn tighten(&self, state: GateState) -> Epoch {
        let tightened = self.change(|_, now| Ok::<_, Refused>(now.max(state)));
        tightened.unwrap_or_else(|refused| refused.epoch)
    }

    /// The newest epoch that all senders obey.
    pub fn confirmed(&self) -> Epoch {
        // Acquire: pairs with the Release in `GateCheck::confirm`; the writes before that confirmation are over for us.
        let all = self.confirmed.iter().map(|sender| sender.0.load(Ordering::Acquire));
        // Without a sender there is nobody who could write.
        Epoch(all.min().unwrap_or_else(|| self.epoch().0))
    }

    pub fn state(&self) -> GateState {
        // Relaxed: an answer for display; nothing is read by virtue of it.
        unpack(self.shared.word.load(Ordering::Relaxed)).1
    }

    pub fn epoch(&self) -> Epoch {
        // Relaxed: as in `state`.
        unpack(self.shared.word.load(Ordering::Relaxed)).0
    }

    fn change(
        &self,
        next: impl Fn(Epoch, GateState) -> Result<GateState, Refused>,
    ) -> Result<Epoch, Refused> {
        // Relaxed: only a first guess, the exchange below decides.
        let mut word = self.shared.word.load(Ordering::Relaxed);
        loop {
            let (epoch, state) = unpack(word);
            let wanted = next(epoch, state)?;
            if wanted == state {
                // Nothing to change. The present epoch is that of the last change, so its confirmation says the same.
                return Ok(epoch);
            }
            let next_epoch = Epoch(epoch.0.wrapping_add(1));
            let changed = pack(next_epoch, wanted);
            // Release: pairs with the Acquire in `GateCheck::look`; what led to the change is visible to who obeys it.
            // Relaxed on failure: the new guess is checked by the next exchange.
            match self.shared.word.compare_exchange(word, changed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Ok(next_epoch),
                Err(now) => word = now,
            }
        }
    }
}

/// A sender's end. Not `Clone`: a second sender has to confirm for itself.
#[derive(Debug)]
pub struct GateCheck {
    shared: Arc<Shared>,
    confirmed: Confirmed,
}

impl GateCheck {
    /// May this be written now? Asked immediately before every write, each time anew.
    #[inline]
    pub fn permit(&mut self, write: Write) -> Result<(), Refused> {
        let (epoch, state) = self.look();
        let loosest = match write {
            Write::Cancel => GateState::CancelOnly,
            Write::Reduce => GateState::ReduceOnly,
            Write::Add => GateState::Open,
        };
        if state <= loosest { Ok(()) } else { Err(Refused { state, epoch }) }
    }

    /// Publishes that everything up to the present epoch is obeyed. Called once a pass, only when nothing is half-written.
    #[inline]
    pub fn confirm(&mut self) -> Epoch {
        let (epoch, _) = self.look();
        // Relaxed: only this end writes it, so it reads its own last store.
        if self.confirmed.0.load(Ordering::Relaxed) != epoch.0 {
            // Release: pairs with the Acquire in `GateControl::confirmed`; orders our earlier writes before it.
            self.confirmed.0.store(epoch.0, Ordering::Release);
        }
        epoch
    }

    /// The state that the next permit would go by.
    #[inline]
    pub fn state(&self) -> GateState {
        self.look().1
    }

    #[inline]
    fn look(&self) -> (Epoch, GateState) {
        // Acquire: pairs with the Release in `GateControl::change`. One word's values are seen in one order by one thread,
        // so a look after `confirm` never finds an older epoch than the one confirmed.
        unpack(self.shared.word.load(Ordering::Acquire))
    }
}

const STATE_BITS: u32 = 2;

#[inline]
fn pack(epoch: Epoch, state: GateState) -> u64 {
    // 62 bits of epoch: at one change a nanosecond, 146 years.
    epoch.0 << STATE_BITS | state as u64
}

#[inline]
fn unpack(word: u64) -> (Epoch, GateState) {
    let state = match word & 0b11 {
        0 => GateState::Open,
        1 => GateState::ReduceOnly,
        2 => GateState::CancelOnly,
        _ => GateState::Shut,
    };
    (Epoch(word >> STATE_BITS), state)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use GateState::*;

    #[test]
    fn each_state_permits_exactly_what_it_says() {
        #[rustfmt::skip]
        let table = [
            //               Cancel Reduce Add
            (Open,          [true,  true,  true]),
            (ReduceOnly,    [true,  true,  false]),
            (CancelOnly,    [true,  false, false]),
            (Shut,          [false, false, false]),
        ];
        for (state, permitted) in table {
            let (_, mut check) = KillGate::new(state);
            let got = [Write::Cancel, Write::Reduce, Write::Add].map(|write| check.permit(write).is_ok());
            assert_eq!(got, permitted, "{state:?}");
        }
    }

    #[test]
    fn a_change_is_obeyed_at_once_and_confirmed_only_when_the_sender_says_so() {
        let (control, mut check) = KillGate::new(Open);
        let epoch = control.tighten(CancelOnly);
        assert_eq!(check.permit(Write::Add), Err(Refused { state: CancelOnly, epoch }));
        assert!(control.confirmed() < epoch);
        assert_eq!(check.confirm(), epoch);
        assert_eq!(control.confirmed(), epoch);
    }

    #[test]
    fn epochs_grow_with_each_change_and_stand_still_without_one() {
        let (control, _check) = KillGate::new(Shut);
        let opened = control.replace(control.epoch(), Open).unwrap();
        let closed = control.clone().tighten(Shut);
        assert!(closed > opened);
        assert_eq!(control.tighten(Shut), closed);
        assert_eq!(control.epoch(), closed);
    }

    #[test]
    fn a_reset_opens_only_what_it_looked_at() {
        let (control, check) = KillGate::new(Open);
        let seen = control.tighten(CancelOnly);
        let tripped_meanwhile = control.tighten(Shut);
        assert_eq!(control.replace(seen, Open), Err(Refused { state: Shut, epoch: tripped_meanwhile }));
        assert_eq!(check.state(), Shut);
        control.replace(tripped_meanwhile, Open).unwrap();
        assert_eq!(check.state(), Open);
    }

    #[test]
    fn with_several_senders_a_change_is_confirmed_when_the_last_one_has() {
        let (control, mut checks) = KillGate::for_senders(Open, 3);
        let epoch = control.tighten(Shut);
        for check in &mut checks {
            assert!(control.confirmed() < epoch);
            assert_eq!(check.permit(Write::Cancel), Err(Refused { state: Shut, epoch }));
            check.confirm();
        }
        assert_eq!(control.confirmed(), epoch);
        let (nobody, _) = KillGate::for_senders(Open, 0);
        assert_eq!(nobody.tighten(Shut), nobody.confirmed(), "nobody can write, so it is true at once");
    }

    #[test]
    fn tightening_never_loosens() {
        let (control, check) = KillGate::new(Open);
        let shut = control.tighten(Shut);
        assert_eq!(control.tighten(CancelOnly), shut);
        assert_eq!((control.state(), check.state()), (Shut, Shut));
    }

    #[test]
    fn after_confirmation_a_sender_under_full_load_begins_no_forbidden_write() {
        use std::sync::atomic::AtomicBool;
        use std::thread;
        let (control, mut check) = KillGate::new(Open);
        // The venue of this test: the epoch of the last kill that was acknowledged, and whether a write began after one.
        let killed = Arc::new(AtomicBool::new(false));
        let broken = Arc::new(AtomicBool::new(false));
        let stop = Arc::new(AtomicBool::new(false));
        let sender = {
            let (killed, broken, stop) = (killed.clone(), broken.clone(), stop.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    if check.permit(Write::Add).is_ok() {
                        // Between permit and here a kill may have been asked for, but not acknowledged.
                        if killed.load(Ordering::SeqCst) {
                            broken.store(true, Ordering::SeqCst);
                        }
                    }
                    check.confirm();
                }
            })
        };
        for _ in 0..2_000 {
            let epoch = control.tighten(Shut);
            while control.confirmed() < epoch {
                thread::yield_now();
            }
            killed.store(true, Ordering::SeqCst);
            assert_eq!(control.state(), Shut);
            killed.store(false, Ordering::SeqCst);
            control.replace(epoch, Open).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        sender.join().unwrap();
        assert!(!broken.load(Ordering::SeqCst));
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::atomic::AtomicBool;
    use loom::thread;

    /// The wire of the model: the sender marks a write as begun and ended; the killer looks once it has its confirmation.
    struct Wire {
        busy: AtomicBool,
        count: AtomicU64,
    }

    fn wire() -> Arc<Wire> {
        Arc::new(Wire { busy: AtomicBool::new(false), count: AtomicU64::new(0) })
    }

    impl Wire {
        // All Relaxed on purpose: only the gate's own ordering may make these visible.
        fn write(&self) {
            self.busy.store(true, Ordering::Relaxed);
            self.count.store(self.count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            self.busy.store(false, Ordering::Relaxed);
        }
    }

    /// One kill against one sender that writes by `pass` until the kill has reached it. The killer waits for its
    /// confirmation, as `linchpin ctl kill` does, so every explored run checks the promise.
    fn kill_a_sender(pass: impl Fn(&mut GateCheck, &Wire) + Send + Sync + Copy + 'static) {
        loom::model(move || {
            let (control, mut check) = KillGate::new(GateState::Open);
            let wire = wire();
            let sender = {
                let wire = wire.clone();
                thread::spawn(move || {
                    pass(&mut check, &wire);
                    while check.confirm() == Epoch(0) {
                        thread::yield_now();
                    }
                    pass(&mut check, &wire);
                })
            };
            let epoch = control.tighten(GateState::CancelOnly);
            while control.confirmed() < epoch {
                thread::yield_now();
            }
            assert!(!wire.busy.load(Ordering::Relaxed), "a write was still under way");
            let seen = wire.count.load(Ordering::Relaxed);
            sender.join().unwrap();
            assert_eq!(wire.count.load(Ordering::Relaxed), seen, "a write began after the confirmation");
        });
    }

    #[test]
    fn once_confirmed_every_forbidden_write_is_over_and_none_begins() {
        kill_a_sender(|check, wire| {
            if check.permit(Write::Add).is_ok() {
                wire.write();
            }
            check.confirm();
        });
    }

    /// The cheat: a sender that confirms in the middle of a write must be caught, or the model proves nothing.
    #[test]
    #[should_panic(expected = "a write")]
    fn a_sender_that_confirms_while_half_written_is_caught() {
        kill_a_sender(|check, wire| {
            if check.permit(Write::Add).is_ok() {
                check.confirm();
                wire.write();
            }
        });
    }

    #[test]
    fn two_who_tighten_at_once_both_get_an_epoch_whose_confirmation_is_good() {
        loom::model(|| {
            let (control, mut check) = KillGate::new(GateState::Open);
            let other = {
                let control = control.clone();
                thread::spawn(move || control.tighten(GateState::CancelOnly))
            };
            let shut = control.tighten(GateState::Shut);
            let cancel_only = other.join().unwrap();
            assert_eq!(control.state(), GateState::Shut);
            check.confirm();
            assert!(control.confirmed() >= shut.max(cancel_only));
            assert!(check.permit(Write::Cancel).is_err());
        });
    }

    /// A person resets what they saw while the machine trips the gate: whoever is first, the trip stands at the end.
    #[test]
    fn a_reset_never_undoes_a_trip_that_it_has_not_seen() {
        loom::model(|| {
            let (control, _check) = KillGate::new(GateState::Open);
            let seen = control.tighten(GateState::CancelOnly);
            let machine = {
                let control = control.clone();
                thread::spawn(move || control.tighten(GateState::Shut))
            };
            let reset = control.replace(seen, GateState::Open);
            let tripped = machine.join().unwrap();
            assert_eq!(control.state(), GateState::Shut);
            assert_eq!(control.epoch(), tripped);
            assert!(reset.is_err() || reset.unwrap() < tripped);
        });
    }

    /// Two senders, one kill: what the killer was told is true of both. Three threads have too many interleavings for all of
    /// them to be tried; every one with at most two preemptions is.
    #[test]
    fn two_senders_are_both_quiet_once_the_kill_is_confirmed() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let (control, checks) = KillGate::for_senders(GateState::Open, 2);
            let wires = [wire(), wire()];
            let senders: Vec<_> = checks
                .into_iter()
                .zip(wires.clone())
                .map(|(mut check, wire)| {
                    thread::spawn(move || {
                        if check.permit(Write::Add).is_ok() {
                            wire.write();
                        }
                        check.confirm();
                        if check.permit(Write::Add).is_ok() {
                            wire.write();
                        }
                    })
                })
                .collect();
            let epoch = control.tighten(GateState::Shut);
            let told = control.confirmed() >= epoch;
            let seen = wires.clone().map(|wire| wire.count.load(Ordering::Relaxed));
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            if told {
                assert_eq!(wires.map(|wire| wire.count.load(Ordering::Relaxed)), seen);
            }
        });
    }
}
