//! Another client of the same account: it places an order with requests of its own, which nothing of the engine has made.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use linchpin::net::Endpoint;
use linchpin::net::http::{HttpClient, HttpOptions, HttpRequest, Method};
use linchpin::net::tls::{TlsClient, TlsTrust};
use linchpin::venue::binance::sign::Signer;
use serde_json::Value;

pub struct Stranger {
    client: HttpClient,
    base: Endpoint,
    key: String,
    signer: Signer,
}

impl Stranger {
    pub fn at(port: u16, authority: &Path, key: &[String; 2]) -> Stranger {
        let [id, secret] = key;
        let tls = TlsClient::new(&TlsTrust::CaFile(authority.to_owned())).expect("trust");
        Stranger {
            client: HttpClient::new(Some(&tls), HttpOptions::default()),
            base: format!("https://127.0.0.1:{port}").parse().expect("an address"),
            key: id.trim().to_owned(),
            signer: Signer::from_key_text(secret.trim()).expect("a key"),
        }
    }

    /// A USD-M order; `terms` as the venue's document writes them, without timestamp and signature.
    #[track_caller]
    pub fn order(&mut self, terms: &str) -> Value {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let query = format!("{terms}&timestamp={millis}");
        let signature = self.signer.sign(query.as_bytes());
        // Of all that is in base64, these three mean something else in a query.
        let signature = signature.as_str().replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let path = format!("/fapi/v1/order?{query}&signature={signature}");
        let endpoint = self.base.with_path(&path).expect("a path");
        let headers = [("X-MBX-APIKEY", self.key.as_str())];
        let request = HttpRequest { method: Method::Post, endpoint: &endpoint, headers: &headers, body: &[] };
        let answer = self.client.send(&request).expect("an answer");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{terms}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }
}
