//! THE table of verbs: what each means, what it needs, what its answer promises. A later verb is a row here, an arm in
//! `request::Request`, and its deed in the operator's loop.

/// One row.
#[derive(Debug)]
pub struct Row {
    pub verb: Verb,
    pub name: &'static str,
    /// For `linchpin ctl --help` and the documentation.
    pub about: &'static str,
    pub arguments: &'static [Argument],
    /// What is true when the answer says `"ok":true`.
    pub promise: &'static str,
}

#[derive(Debug)]
pub struct Argument {
    pub name: &'static str,
    /// As help shows it.
    pub shown: &'static str,
    pub about: &'static str,
    pub required: bool,
}

macro_rules! verbs {
    ($($verb:ident $name:literal $about:literal [$($argument:expr),*] $promise:literal;)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Verb { $(#[doc = $about] $verb),+ }

        pub const VERBS: &[Row] = &[$(Row {
            verb: Verb::$verb,
            name: $name,
            about: $about,
            arguments: &[$($argument),*],
            promise: $promise,
        }),+];
    };
}

const WHY: Argument =
    Argument { name: "reason", shown: "REASON", about: "why, for the journal", required: false };
const REASON: Argument =
    Argument { name: "reason", shown: "REASON", about: "why, for the journal", required: true };
const MODE: Argument = Argument {
    name: "mode",
    shown: "MODE",
    about: "block (nothing goes out), cancel (the default: only cancels, all open orders are cancelled) or flatten (cancels, then reduce-only until flat)",
    required: false,
};
const KEY: Argument = Argument {
    name: "key",
    shown: "KEY",
    about: "what to change, as in the configuration: instrument.SYMBOL.KEY, strategy.NAME.KEY, strategy.NAME.parameters.KEY",
    required: true,
};
const VALUE: Argument = Argument {
    name: "value",
    shown: "VALUE",
    about: "the new value, as text in the configuration's units",
    required: true,
};

verbs! {
    Status    "status"     "Where the engine stands: trading, kill switch, gates, links, markets, strategies, positions, P&L"
        [] "the answer is the core's state, not older than the question";
    Orders    "orders"     "Every live order, others' on the account included; every command that waits, how long and for what; how far each work that has an end has come"
        [] "the answer is the core's order table, not older than the question";
    Positions "positions"  "Positions and P&L, by strategy and together"
        [] "the answer is the core's state, not older than the question";
    Gates     "gates"      "What keeps orders in, by venue and instrument, and why"
        [] "the answer is the core's state, not older than the question";
    Links     "links"      "Connections to the venues, and whether the accounts are trusted"
        [] "the answer is the core's state, not older than the question";
    Enable    "enable"     "Let strategies trade"
        [WHY] "the core's trading switch is on";
    Disable   "disable"    "Stop new risk; what reduces and what cancels goes on"
        [WHY] "the core's trading switch is off";
    Kill      "kill"       "The kill switch: gate, core and the flag that survives a restart"
        [MODE, REASON] "every sender has confirmed the gate: nothing that the mode forbids leaves after this; the flag is on the disk; the core is killed";
    ResetKill "reset-kill" "Take the kill back, after a person has looked"
        [REASON] "the core is not killed, the gate is open, the flag is gone from the disk";
    CancelAll "cancel-all" "Cancel every open order of ours; trading goes on as it was"
        [WHY] "the core has queued the cancels";
    Flatten   "flatten"    "Cancel, then close every position with reduce-only orders; new risk waits until it is flat"
        [WHY] "the core is flattening";
    ReadBack  "read-back"  "Read every account back from its venue, though nothing is in doubt: balances, positions, open orders"
        [WHY] "every account is trusted again; meanwhile nothing new goes out there";
    Set       "set"        "Change a limit or a strategy's parameter that is declared changeable"
        [KEY, VALUE, WHY] "the core uses the new value; the journal has the old and the new one";
    Drain     "drain"      "No new intents, cancel what is open; the engine stays up to be looked at"
        [WHY] "nothing of ours is open any more";
    Stop      "stop"       "Drain, seal the journal, end the engine"
        [WHY] "the core has taken its last turn";
}

impl Verb {
    pub fn row(self) -> &'static Row {
        // The table is made from the same list as the enum, in its order.
        &VERBS[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_its_own_row() {
        for row in VERBS {
            assert_eq!(row.verb.name(), row.name);
        }
    }

    #[test]
    fn no_verb_sends_an_order() {
        for row in VERBS {
            for word in ["buy", "sell", "order", "quantity", "price", "side"] {
                let arguments = || row.arguments.iter().map(|argument| argument.name);
                assert!(row.name != word && arguments().all(|name| name != word), "{}", row.name);
            }
        }
    }
}
