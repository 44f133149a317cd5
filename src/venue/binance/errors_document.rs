//! Prints the error table as `docs/venues/binance-errors.md`, so that it has one home.

use super::{ERRORS, Of, WORDS};
use crate::core::event::Verdict;
use crate::core::instrument::Product;
use std::path::Path;

fn printed() -> String {
    let mut page = String::from(
        "# Binance: what an error means\n\n\
         <!-- Printed from src/venue/binance/errors.rs: UPDATE_DOCS=1 cargo test --lib binance::errors -->\n\n\
         The verdict on an order request. *Rejected*: the venue did not do it. *Unknown*: it may have been done, or not, so the core asks for the \
         order by its client order id and sends nothing again. The HTTP status speaks first.\n\n\
         | HTTP status | verdict | reason |\n|---|---|---|\n\
         | 200, no code | Accepted | the venue took the request, and no more |\n\
         | 403 | Rejected | rate_limited: the web application firewall, the request never arrived |\n\
         | 408 | Unknown | no_answer |\n\
         | 409 | Unknown | half of a cancel-replace was done |\n\
         | 418, 429 | Rejected | rate_limited: banned or about to be; `Retry-After` and `retryAfter` say until when |\n\
         | 4xx else | by its code, Rejected where nobody listed it | |\n\
         | 5xx | Unknown | venue_down, except for -1008, which is a documented refusal |\n\n\
         ## Codes\n\n\
         \"Both\" stands for USD-M \"Error Code\" and Spot \"Error codes\" of the exchange's documents.\n\n\
         | code | name | source | class | verdict | reason |\n|---|---|---|---|---|---|\n",
    );
    for error in ERRORS {
        let product = if error.of == Of::Spot { Product::Spot } else { Product::LinearPerpetual };
        let (verdict, reason) = super::verdict(product, 400, error.code, "");
        let verdict = if verdict == Verdict::Unknown { "Unknown" } else { "Rejected" };
        page.push_str(&format!(
            "| {} | {} | {} | {:?} | {verdict} | {} |\n",
            error.code,
            error.name,
            match error.of {
                Of::Both => "both",
                Of::Spot => "spot",
                Of::UsdM => "USD-M",
            },
            error.class,
            reason.name(),
        ));
    }
    page.push_str(
        "\n## Words\n\nThe codes -1010, -1013, -2010 and -2011 say their reason only in their message. The first of these parts that it holds decides \
         (Spot \"Errors / Messages for -1010, -2010, -2011\", \"Filter failures\").\n\n| message holds | reason |\n|---|---|\n",
    );
    for (text, reason) in WORDS {
        page.push_str(&format!("| {text} | {} |\n", reason.name()));
    }
    page
}

#[test]
fn the_printed_errors_are_those_in_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/venues/binance-errors.md");
    let printed = printed();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("docs/venues is made");
        std::fs::write(&path, &printed).expect("the page is written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == printed,
        "docs/venues/binance-errors.md is stale: UPDATE_DOCS=1 cargo test --lib binance::errors"
    );
}
