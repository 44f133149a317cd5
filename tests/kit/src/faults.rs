//! What may go wrong, as chances in ten thousand. All zero is a healthy world.

/// Chances are per message or request where nothing else is said; those of the world are per tenth of a simulated second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A private message comes twice.
    pub private_doubled: u32,
    /// A private message is late by up to 300 ms; those behind it on the stream wait for it.
    pub private_late: u32,
    /// Two neighbours on the private stream change places: the exchange promises an order only among messages of one kind.
    pub private_swapped: u32,
    /// An update of the book never arrives.
    pub depth_lost: u32,
    /// A request is carried out, and its answer never comes.
    pub answer_lost: u32,
    /// A request is carried out, and the answer says that nobody knows (-1007).
    pub answer_unknown: u32,
    /// A request is refused for its time (-1021), and not carried out.
    pub time_refused: u32,
    /// A request over REST fails.
    pub rest_failed: u32,
    /// The socket takes no more just now.
    pub socket_full: u32,
    /// A message leaves only in part, and the rest follows within 2 ms.
    pub half_written: u32,

    /// Per tenth of a second: some connection breaks.
    pub cut: u32,
    /// Per tenth of a second: the listen key ends.
    pub key_expired: u32,
    /// Per tenth of a second: the core's thread sleeps for up to 1.5 s.
    pub slow_core: u32,
    /// Per tenth of a second: another loop's thread sleeps for up to 300 ms.
    pub slow_other: u32,
    /// Per tenth of a second: the clock jumps ahead by up to 3 s (the machine slept).
    pub clock_jump: u32,
}

impl Faults {
    /// Everything, more often than any venue would.
    pub fn rough() -> Self {
        Self {
            private_doubled: 500,
            private_late: 300,
            private_swapped: 500,
            depth_lost: 30,
            answer_lost: 60,
            answer_unknown: 60,
            time_refused: 30,
            rest_failed: 500,
            socket_full: 50,
            half_written: 200,
            cut: 200,
            key_expired: 40,
            slow_core: 100,
            slow_other: 100,
            clock_jump: 60,
        }
    }
}
