//! Request parameters: from a query string, a form body, both, or a WebSocket API `params` object; and the bytes that a signature is over.
//!
//! HTTP ("Endpoint security type", "Timing security"): the signed payload is the query string followed by the body, as sent, still percent-encoded and
//! with nothing between the two, less the `signature` pair itself. A name in both places counts in the query string.
//! WebSocket API: the payload is `name=value` of everything but the signature, sorted by name and joined by `&`, where a JSON number counts by its text.
//! Promise: every refusal names the parameter, with the exchange's own code and text; no input panics.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::super::{ApiError, Decimal};

/// More parameters than any request has.
const MOST_PARAMETERS: usize = 64;

/// One request's parameters, decoded.
#[derive(Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

/// What was signed, and the signature that came with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Signed {
    pub payload: String,
    pub signature: Option<String>,
}

impl Params {
    /// Reads an HTTP request's query string and form body.
    pub fn from_http(query: &str, body: &str) -> Result<(Params, Signed), ApiError> {
        let mut params = Params::default();
        let mut signed = Signed { payload: String::with_capacity(query.len() + body.len()), signature: None };
        for part in [query, body] {
            let mut first_here = true;
            let from_query = params.pairs.len();
            for pair in part.split('&').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                if name == "signature" {
                    // A base64 signature that was not percent-encoded keeps its plus signs.
                    signed.signature.get_or_insert(decode(value)?.replace(' ', "+"));
                    continue;
                }
                if !first_here {
                    signed.payload.push('&');
                }
                first_here = false;
                signed.payload.push_str(pair);
                params.push(decode(name)?.into_owned(), decode(value)?.into_owned(), from_query)?;
            }
        }
        Ok((params, signed))
    }

    /// Reads a WebSocket API request's `params` object.
    pub fn from_object(object: &BTreeMap<String, &RawValue>) -> Result<(Params, Signed), ApiError> {
        let mut params = Params::default();
        let mut signed = Signed { payload: String::new(), signature: None };
        for (name, value) in object {
            let raw = value.get();
            let text: Cow<'_, str> = match raw.as_bytes().first() {
                Some(b'"') => Cow::Owned(serde_json::from_str(raw).map_err(|_| malformed(name))?),
                Some(b'{' | b'[') => return Err(malformed(name)),
                Some(b'n') => continue,
                _ => Cow::Borrowed(raw),
            };
            if name == "signature" {
                signed.signature = Some(text.into_owned());
                continue;
            }
            if !signed.payload.is_empty() {
                signed.payload.push('&');
            }
            signed.payload.push_str(name);
            signed.payload.push('=');
            signed.payload.push_str(&text);
            params.push(name.clone(), text.into_owned(), usize::MAX)?;
        }
        Ok((params, signed))
    }

    /// The value as sent, if it was sent.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// An optional parameter: absent is fine, empty is -1105.
    pub fn optional(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.raw(name) {
            Some("") => Err(ApiError::with(-1105, format!("Parameter '{name}' was empty."))),
            other => Ok(other),
        }
    }

    /// A mandatory parameter: absent or empty is -1102.
    pub fn mandatory(&self, name: &str) -> Result<&str, ApiError> {
        self.raw(name).filter(|value| !value.is_empty()).ok_or_else(|| ApiError::mandatory(name))
    }

    pub fn decimal(&self, name: &str) -> Result<Option<Decimal>, ApiError> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        if !is_decimal(text) {
            return Err(illegal(name, r"^([0-9]{1,20})(\.[0-9]{1,20})?$"));
        }
        Decimal::parse(text).map(Some).map_err(|_| ApiError::BAD_PRECISION)
    }

    pub fn integer(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        if text.len() > 20 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(illegal(name, "^[0-9]{1,20}$"));
        }
        text.parse().map(Some).map_err(|_| malformed(name))
    }

    pub fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.optional(name)? {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(malformed(name)),
        }
    }

    /// The only parameters that there may be, else -1106 for the first other one.
    pub fn refuse(&self, name: &str) -> Result<(), ApiError> {
        match self.raw(name) {
            Some(_) => Err(ApiError::not_required(name)),
            None => Ok(()),
        }
    }

    /// `before` is how many of the pairs came from an earlier source, which wins.
    fn push(&mut self, name: String, value: String, before: usize) -> Result<(), ApiError> {
        if let Some(earlier) = self.pairs.iter().position(|(key, _)| *key == name) {
            if earlier < before {
                return Ok(());
            }
            return Err(ApiError::with(-1101, format!("Duplicate values for parameter '{name}'.")));
        }
        if self.pairs.len() == MOST_PARAMETERS {
            return Err(ApiError::new(-1101, "Too many parameters sent for this endpoint."));
        }
        self.pairs.push((name, value));
        Ok(())
    }
}

pub fn malformed(name: &str) -> ApiError {
    ApiError::with(-1130, format!("Data sent for parameter '{name}' is not valid."))
}

fn illegal(name: &str, range: &str) -> ApiError {
    ApiError::with(
        -1100,
        format!("Illegal characters found in parameter '{name}'; legal range is '{range}'."),
    )
}

fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    [whole, fraction]
        .iter()
        .all(|part| (1..=20).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn decode(text: &str) -> Result<Cow<'_, str>, ApiError> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Ok(Cow::Borrowed(text));
    }
    let broken = || ApiError::new(-1100, "Illegal characters found in a parameter.");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit =
                    || rest.next().and_then(|byte| (byte as char).to_digit(16)).ok_or_else(broken);
                (digit()? * 16 + digit()?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_query_then_body_as_sent_with_nothing_between() {
        // The exchange's documented "mixed" example: note `GTCquantity`.
        let (params, signed) = Params::from_http(
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC",
            "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559&signature=ab",
        )
        .expect("reads");
        assert_eq!(
            signed.payload,
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTCquantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
        );
        assert_eq!(signed.signature.as_deref(), Some("ab"));
        assert_eq!(params.mandatory("quantity"), Ok("1"));
    }

    #[test]
    fn percent_encoding_stays_in_the_payload_and_leaves_the_value() {
        let (params, signed) = Params::from_http("a=x%20y%2F&signature=A%2BB%3D", "").expect("reads");
        assert_eq!(params.raw("a"), Some("x y/"));
        assert_eq!(signed, Signed { payload: "a=x%20y%2F".into(), signature: Some("A+B=".into()) });
        let (_, signed) = Params::from_http("signature=A+B=&a=1", "").expect("reads");
        assert_eq!(signed, Signed { payload: "a=1".into(), signature: Some("A+B=".into()) });
    }

    #[test]
    fn a_name_in_both_places_counts_in_the_query_and_twice_in_one_place_is_refused() {
        let (params, _) = Params::from_http("a=1", "a=2").expect("reads");
        assert_eq!(params.raw("a"), Some("1"));
        assert_eq!(Params::from_http("a=1&a=2", "").expect_err("twice").code, -1101);
    }

    #[test]
    fn object_numbers_count_by_their_text_and_the_payload_is_sorted() {
        let text = r#"{"timestamp":1660801715830,"quantity":0.0100,"apiKey":"k","signature":"s","symbol":"BTC\u0055SDT","x":null}"#;
        let object: BTreeMap<String, &RawValue> = serde_json::from_str(text).expect("JSON");
        let (params, signed) = Params::from_object(&object).expect("reads");
        assert_eq!(signed.payload, "apiKey=k&quantity=0.0100&symbol=BTCUSDT&timestamp=1660801715830");
        assert_eq!(params.raw("quantity"), Some("0.0100"));
    }

    #[test]
    fn each_refusal_has_the_documented_code_and_names_the_parameter() {
        let (params, _) =
            Params::from_http("empty=&price=1e5&n=12x&b=maybe&deep=0.1234567891&neg=-1", "").expect("reads");
        let told = |error: ApiError, code: i32, text: &str| {
            assert_eq!((error.code, &*error.msg), (code, text));
        };
        told(
            params.mandatory("gone").expect_err("-1102"),
            -1102,
            "Mandatory parameter 'gone' was not sent, was empty/null, or malformed.",
        );
        told(
            params.mandatory("empty").expect_err("-1102"),
            -1102,
            "Mandatory parameter 'empty' was not sent, was empty/null, or malformed.",
        );
        told(params.optional("empty").expect_err("-1105"), -1105, "Parameter 'empty' was empty.");
        told(
            params.decimal("price").expect_err("-1100"),
            -1100,
            r"Illegal characters found in parameter 'price'; legal range is '^([0-9]{1,20})(\.[0-9]{1,20})?$'.",
        );
        assert_eq!(params.decimal("neg").expect_err("-1100").code, -1100);
        told(
            params.integer("n").expect_err("-1100"),
            -1100,
            "Illegal characters found in parameter 'n'; legal range is '^[0-9]{1,20}$'.",
        );
        told(params.boolean("b").expect_err("-1130"), -1130, "Data sent for parameter 'b' is not valid.");
        assert_eq!(params.decimal("deep").expect_err("-1111").code, -1111);
        assert_eq!(Params::from_http("a=%zz", "").expect_err("broken").code, -1100);
    }
}
