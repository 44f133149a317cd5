//! What waits to be written to one WebSocket: a queue bounded in bytes, with one writer.
//!
//! Three marks decide. Below `high_water` all is well. From there on a recording's playback waits for this reader (it may: nobody but the
//! recording is late). Past `limit` a live market cannot wait, so the connection is cut without a word: what could be said
//! would stand behind the bytes that the client does not read. Nothing is ever dropped from the middle.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Instant;

use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Bytes that one frame costs beside its payload: header, TLS record share, queue slot.
const FRAME_COST: usize = 64;

pub struct Outbox {
    /// Each with the moment at which it was queued.
    queue: RefCell<VecDeque<(Instant, Message)>>,
    bytes: Cell<usize>,
    limit: usize,
    state: Cell<State>,
    changed: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// A close frame is in the queue; nothing goes behind it.
    Closing,
    /// The reader was too slow.
    Cut,
}

/// What the writer does next.
pub enum Next {
    Send {
        message: Message,
        queued: Instant,
    },
    /// The last frame, then no more.
    Close(Message),
    Cut,
}

impl Outbox {
    pub fn new(limit: usize) -> Self {
        Self {
            queue: RefCell::default(),
            bytes: Cell::new(0),
            limit,
            state: Cell::new(State::Open),
            changed: Notify::new(),
        }
    }

    pub fn text(&self, text: impl Into<Utf8Bytes>) {
        self.push(Message::Text(text.into()));
    }

    pub fn push(&self, message: Message) {
        if self.state.get() != State::Open {
            return;
        }
        let bytes = self.bytes.get() + message.len() + FRAME_COST;
        if bytes > self.limit {
            self.queue.borrow_mut().clear();
            self.bytes.set(0);
            self.state.set(State::Cut);
        } else {
            self.bytes.set(bytes);
            self.queue.borrow_mut().push_back((Instant::now(), message));
        }
        self.changed.notify_one();
    }

    /// Closes after everything that is queued has been written. A close frame has room for 123 bytes of `reason`.
    pub fn close(&self, code: CloseCode, reason: impl Into<Utf8Bytes>) {
        if self.state.get() == State::Open {
            self.state.set(State::Closing);
            let frame = CloseFrame { code, reason: reason.into() };
            self.queue.borrow_mut().push_back((Instant::now(), Message::Close(Some(frame))));
            self.changed.notify_one();
        }
    }

    /// Ends the connection at once.
    pub fn cut(&self) {
        self.state.set(State::Cut);
        self.changed.notify_one();
    }

    /// Lets the writer look again, for instance to flush an answer to a ping.
    pub fn poke(&self) {
        self.changed.notify_one();
    }

    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Whether the writer has nothing to do: neither a frame nor a cut.
    pub fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty() && !self.is_cut()
    }

    pub fn is_cut(&self) -> bool {
        self.state.get() == State::Cut
    }

    /// What to write now, if anything.
    pub fn next(&self) -> Option<Next> {
        if self.is_cut() {
            return Some(Next::Cut);
        }
        let (queued, message) = self.queue.borrow_mut().pop_front()?;
        if matches!(message, Message::Close(_)) {
            return Some(Next::Close(message));
        }
        self.bytes.set(self.bytes.get() - message.len() - FRAME_COST);
        Some(Next::Send { message, queued })
    }

    /// Waits until something changed since the last call of [`Outbox::next`].
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until the connection is to be cut, whatever the writer is stuck in.
    pub async fn cut_requested(&self) {
        while !self.is_cut() {
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_leave_in_order_and_the_close_frame_is_last() {
        let outbox = Outbox::new(1000);
        outbox.text("a");
        outbox.close(CloseCode::Away, "done");
        outbox.text("never");
        assert!(
            matches!(outbox.next(), Some(Next::Send { message: Message::Text(text), .. }) if text.as_str() == "a")
        );
        assert!(matches!(outbox.next(), Some(Next::Close(Message::Close(Some(_))))));
        assert!(outbox.next().is_none());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn a_reader_past_the_limit_is_cut_and_its_queue_is_freed() {
        let outbox = Outbox::new(1000);
        for _ in 0..9 {
            outbox.text("x".repeat(40));
        }
        assert!(!outbox.is_cut());
        outbox.text("x".repeat(40));
        assert!(outbox.is_cut());
        assert!(matches!(outbox.next(), Some(Next::Cut)));
        assert_eq!(outbox.bytes(), 0);
    }
}
