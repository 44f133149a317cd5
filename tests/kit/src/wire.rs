//! The wire: sockets and dials whose other end is the simulated venue. Messages are whole, as `net::websocket` hands them
//! on; what a kernel does to them shows as latency, a full or half-written socket, and an end without a close.

use std::cell::RefCell;
use std::rc::Rc;

use linchpin::core::time::Nanos;
use linchpin::net::EndpointError;
use linchpin::net::websocket::{Closed, Message, Phase, SendError};
use linchpin::threads::world::{Dial, Socket};

use crate::venue::{Down, Venue};

#[derive(Clone)]
pub struct SimDial {
    venue: Rc<RefCell<Venue>>,
}

impl SimDial {
    pub fn new(venue: Rc<RefCell<Venue>>) -> Self {
        Self { venue }
    }
}

impl Dial for SimDial {
    type Socket = SimSocket;

    fn dial(&mut self, path: &str, now: Nanos) -> Result<SimSocket, EndpointError> {
        let link = self.venue.borrow_mut().accept(path, now.raw());
        Ok(SimSocket {
            venue: self.venue.clone(),
            link,
            phase: Phase::Connecting,
            flushed_at: 0,
            polled_at: now.raw(),
            current: String::new(),
            ending: None,
        })
    }
}

pub struct SimSocket {
    venue: Rc<RefCell<Venue>>,
    link: u64,
    phase: Phase,
    flushed_at: u64,
    polled_at: u64,
    current: String,
    ending: Option<Closed>,
}

impl Socket for SimSocket {
    fn poll(&mut self, now: Nanos) -> Phase {
        self.polled_at = now.raw();
        if self.phase == Phase::Connecting && self.venue.borrow().is_open(self.link, now.raw()) {
            self.phase = Phase::Open;
        }
        self.phase
    }

    fn read(&mut self, now: Nanos) -> Result<Option<Message<'_>>, Closed> {
        if let Some(ending) = &self.ending {
            return Err(ending.clone());
        }
        match self.venue.borrow_mut().take(self.link, now.raw()) {
            None => Ok(None),
            Some(Down::Text(text)) => {
                self.current = text;
                let payload = self.current.as_bytes();
                Ok(Some(Message { payload, is_text: true, received_at: now.raw() }))
            }
            Some(Down::End(closed)) => {
                self.phase = Phase::Closed;
                self.ending = Some(closed.clone());
                Err(closed)
            }
        }
    }

    fn send_text(&mut self, text: &[u8]) -> Result<(), SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::NotOpen);
        }
        let text = std::str::from_utf8(text).expect("the engine sends text");
        self.flushed_at = self.venue.borrow_mut().send(self.link, text, self.polled_at)?;
        Ok(())
    }

    fn is_flushed(&self) -> bool {
        self.flushed_at <= self.polled_at || self.ending.is_some()
    }

    fn close(&mut self, _now: Nanos) {
        self.phase = Phase::Closed;
        self.ending.get_or_insert(Closed::ByUs);
    }

    fn ending(&self) -> Option<&Closed> {
        self.ending.as_ref()
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        // What was sent before still arrives; nothing comes back.
        self.venue.borrow_mut().hang_up(self.link);
    }
}
