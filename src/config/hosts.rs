//! Which hosts a mode may dial. The table is the rule: a real host cannot be reached by a mode that is not LIVE, except to read.

use std::net::IpAddr;

use super::Mode;
use crate::net::{Endpoint, Scheme};

/// Whose a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    ThisMachine,
    Testnet,
    Live,
    Unknown,
}

#[rustfmt::skip]
const HOSTS: [(&str, Owner); 25] = [
    // USD-M futures: "General Info" of REST API and WebSocket API, "Websocket Market Streams / Connect", "User Data Streams / Connect".
    ("fapi.binance.com",                    Owner::Live),
    ("fstream.binance.com",                 Owner::Live),
    ("ws-fapi.binance.com",                 Owner::Live),
    ("testnet.binancefuture.com",           Owner::Testnet),
    ("fstream.binancefuture.com",           Owner::Testnet),
    ("stream.binancefuture.com",            Owner::Testnet),
    ("demo-fapi.binance.com",               Owner::Testnet),
    ("demo-fstream.binance.com",            Owner::Testnet),
    // Spot: "General API Information", "WebSocket API", "WebSocket Streams".
    ("api.binance.com",                     Owner::Live),
    ("api-gcp.binance.com",                 Owner::Live),
    ("api1.binance.com",                    Owner::Live),
    ("api2.binance.com",                    Owner::Live),
    ("api3.binance.com",                    Owner::Live),
    ("api4.binance.com",                    Owner::Live),
    ("ws-api.binance.com",                  Owner::Live),
    ("stream.binance.com",                  Owner::Live),
    // Market data alone: "Market Data Only".
    ("data-api.binance.vision",             Owner::Live),
    ("data-stream.binance.vision",          Owner::Live),
    // Spot test network ("Spot Test Network / How can I use") and demo mode ("Demo Mode for SPOT Trading").
    ("testnet.binance.vision",              Owner::Testnet),
    ("api1.testnet.binance.vision",         Owner::Testnet),
    ("ws-api.testnet.binance.vision",       Owner::Testnet),
    ("stream.testnet.binance.vision",       Owner::Testnet),
    ("demo-api.binance.com",                Owner::Testnet),
    ("demo-ws-api.binance.com",             Owner::Testnet),
    ("demo-stream.binance.com",             Owner::Testnet),
];

/// Why `mode` must not dial `endpoint`, or `Ok`.
pub(super) fn check(mode: Mode, endpoint: &Endpoint, expected: [Scheme; 2]) -> Result<(), String> {
    let owner = owner(endpoint.host());
    if !expected.contains(&endpoint.scheme()) {
        let [plain, tls] = expected.map(scheme_text);
        return Err(format!("expected an address of the form {tls}://host (or {plain}:// on this machine)"));
    }
    if !endpoint.is_tls() && owner != Owner::ThisMachine {
        return Err("beyond this machine only TLS is spoken: https:// or wss://".into());
    }
    #[rustfmt::skip]
    let allowed = match (mode, owner) {
        (Mode::Demo,    Owner::ThisMachine) => true,
        (Mode::Demo,    _)                  => false,
        // Sends nothing, so it may read anywhere.
        (Mode::DryRun,  _)                  => true,
        (Mode::Testnet, Owner::Testnet)     => true,
        (Mode::Testnet, _)                  => false,
        (Mode::Live,    Owner::Live)        => true,
        (Mode::Live,    _)                  => false,
    };
    if allowed {
        return Ok(());
    }
    let hosts = match mode {
        Mode::Demo => "this machine (\"embedded\", 127.0.0.1, localhost)".to_owned(),
        Mode::DryRun => "any host".to_owned(),
        Mode::Testnet => hosts_of(Owner::Testnet),
        Mode::Live => hosts_of(Owner::Live),
    };
    Err(format!("mode {mode} may not dial {}; it may dial {hosts}", endpoint.host()))
}

fn owner(host: &str) -> Owner {
    let loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if loopback || host.eq_ignore_ascii_case("localhost") {
        return Owner::ThisMachine;
    }
    // A trailing dot names the same host.
    let host = host.strip_suffix('.').unwrap_or(host);
    HOSTS.iter().find(|(name, _)| host.eq_ignore_ascii_case(name)).map_or(Owner::Unknown, |(_, owner)| *owner)
}

fn hosts_of(owner: Owner) -> String {
    let names: Vec<_> = HOSTS.iter().filter(|(_, of)| *of == owner).map(|(name, _)| *name).collect();
    names.join(", ")
}

fn scheme_text(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Ws => "ws",
        Scheme::Wss => "wss",
        Scheme::Http => "http",
        Scheme::Https => "https",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_dials_only_its_hosts() {
        let dials = |mode, text: &str| {
            check(mode, &text.parse().expect("an address"), [Scheme::Ws, Scheme::Wss]).is_ok()
        };
        #[rustfmt::skip]
        let table = [
            //                                    DEMO   DRY_RUN TESTNET LIVE
            ("wss://127.0.0.1:1",                 [true,  true, false, false]),
            ("ws://localhost:1",                  [true,  true, false, false]),
            ("wss://[::1]:1",                     [true,  true, false, false]),
            ("wss://fstream.binance.com",         [false, true, false, true]),
            ("wss://FSTREAM.binance.com.",        [false, true, false, true]),
            ("wss://fstream.binancefuture.com",   [false, true, true,  false]),
            ("wss://ws-api.binance.com:9443",     [false, true, false, true]),
            ("wss://ws-api.testnet.binance.vision", [false, true, true, false]),
            ("wss://demo-stream.binance.com",     [false, true, true,  false]),
            ("wss://papi.binance.com",            [false, true, false, false]),
            ("wss://localhost.example.com",       [false, true, false, false]),
            ("wss://fstream.binance.com.example", [false, true, false, false]),
            ("ws://fstream.binance.com",          [false; 4]),
            ("https://fapi.binance.com",          [false; 4]),
        ];
        for (text, expected) in table {
            let found: Vec<_> = Mode::ALL.iter().map(|mode| dials(*mode, text)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
