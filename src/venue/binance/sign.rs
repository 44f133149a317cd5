//! Keys and signatures. A key is read once, kept in its keyed form, wiped when dropped, and never printed.
//!
//! Signed is the text of the parameters: for REST percent-encoded first, then signed (Spot and USD-M "General Info / SIGNED
//! endpoint security"); for the WebSocket API `key=value` pairs sorted by key (WebSocket API "Request security").

use base64::Engine as _;
use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// An account's key: its public name and what signs with it.
pub struct Credentials {
    api_key: Zeroizing<String>,
    signer: Signer,
}

impl Credentials {
    pub fn new(api_key: &str, signer: Signer) -> Result<Self, KeyError> {
        let api_key = api_key.trim();
        if api_key.is_empty()
            || !api_key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        {
            return Err(KeyError::ApiKey);
        }
        Ok(Self { api_key: Zeroizing::new(api_key.to_string()), signer })
    }
    /// The header X-MBX-APIKEY, or the parameter `apiKey`.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }
    pub fn signer(&self) -> &Signer {
        &self.signer
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.api_key.get(..4).unwrap_or("");
        f.debug_struct("Credentials")
            .field("api_key", &format_args!("{shown}..."))
            .field("signer", &self.signer)
            .finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the API key must be letters, digits, - or _")]
    ApiKey,
    #[error("the secret is empty")]
    Empty,
    #[error("the PEM text holds no Ed25519 private key (PKCS#8)")]
    NotEd25519,
    #[error("the PEM text holds an RSA key, which is not supported yet: use Ed25519 or HMAC")]
    Rsa,
}

/// RSA joins here when it is supported: every caller matches on nothing but `sign` and `can_log_on`.
pub enum Signer {
    /// The keyed state, cloned for each message: half the work of HMAC is done once.
    Hmac(Box<Hmac<Sha256>>),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl Signer {
    /// From the text of a key file or variable: PEM is an Ed25519 key, anything else an HMAC secret.
    pub fn from_key_text(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.contains("RSA PRIVATE KEY") {
            return Err(KeyError::Rsa);
        }
        if text.contains("-----BEGIN") {
            let key = ed25519_dalek::SigningKey::from_pkcs8_pem(text).map_err(|_| KeyError::NotEd25519)?;
            return Ok(Self::Ed25519(Box::new(key)));
        }
        let keyed = Hmac::<Sha256>::new_from_slice(text.as_bytes()).map_err(|_| KeyError::Empty)?;
        Ok(Self::Hmac(Box::new(keyed)))
    }

    /// Whether `session.logon` takes this kind of key: only Ed25519. (WebSocket API "Session Authentication".)
    pub fn can_log_on(&self) -> bool {
        matches!(self, Self::Ed25519(_))
    }

    /// Hex for HMAC, base64 for Ed25519.
    pub fn sign(&self, payload: &[u8]) -> Signature {
        let mut signature = Signature { bytes: [0; Signature::CAPACITY], length: 0 };
        match self {
            Self::Hmac(keyed) => {
                let mut mac = Hmac::clone(keyed);
                mac.update(payload);
                for byte in mac.finalize().into_bytes() {
                    signature.put(HEX.get(usize::from(byte >> 4)).copied());
                    signature.put(HEX.get(usize::from(byte & 15)).copied());
                }
            }
            Self::Ed25519(key) => {
                let bytes = key.sign(payload).to_bytes();
                let engine = base64::engine::general_purpose::STANDARD;
                signature.length = engine.encode_slice(bytes, &mut signature.bytes).unwrap_or(0);
            }
        }
        signature
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac(secret)",
            Self::Ed25519(_) => "Ed25519(secret)",
        })
    }
}

/// A signature's text, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    bytes: [u8; Self::CAPACITY],
    length: usize,
}

impl Signature {
    const CAPACITY: usize = 96;

    /// Needs no escaping inside a JSON string.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    fn put(&mut self, byte: Option<u8>) {
        if let (Some(slot), Some(byte)) = (self.bytes.get_mut(self.length), byte) {
            *slot = byte;
            self.length += 1;
        }
    }
}

/// Appends `text` with everything but RFC 3986's unreserved characters escaped.
pub fn percent_encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            to.push(char::from(byte));
        } else {
            to.push('%');
            for nibble in [byte >> 4, byte & 15] {
                to.push(char::from(HEX_UPPER.get(usize::from(nibble)).copied().unwrap_or(b'0')));
            }
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";
const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ed25519_dalek::Verifier as _;
    use ed25519_dalek::pkcs8::EncodePrivateKey as _;

    /// A key made here, of a fixed seed; it opens nothing.
    pub(crate) fn ed25519() -> (Signer, ed25519_dalek::VerifyingKey) {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let pem = key.to_pkcs8_pem(Default::default()).unwrap();
        (Signer::from_key_text(&pem).unwrap(), key.verifying_key())
    }

    #[test]
    fn hmac_agrees_with_the_published_vector() {
        // RFC 4231, test case 2.
        let signer = Signer::from_key_text("Jefe").unwrap();
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signer.sign(b"what do ya want for nothing?").as_str(), expected);
        assert_eq!(
            signer.sign(b"what do ya want for nothing?").as_str(),
            expected,
            "the keyed state is not used up"
        );
        assert!(!signer.can_log_on());
    }

    #[test]
    fn an_ed25519_signature_verifies() {
        let (signer, verifying) = ed25519();
        let text = signer.sign(b"apiKey=a&timestamp=1");
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_str()).unwrap();
        let signature = ed25519_dalek::Signature::from_slice(&bytes).unwrap();
        verifying.verify(b"apiKey=a&timestamp=1", &signature).unwrap();
        assert!(verifying.verify(b"apiKey=a&timestamp=2", &signature).is_err());
        assert!(signer.can_log_on());
    }

    #[test]
    fn no_secret_is_printed_and_wrong_keys_say_what_is_wrong() {
        let credentials =
            Credentials::new("abcdEFGH1234", Signer::from_key_text("hush-secret").unwrap()).unwrap();
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("hush") && !shown.contains("EFGH"), "{shown}");
        assert_eq!(Signer::from_key_text(" \n").unwrap_err(), KeyError::Empty);
        assert_eq!(Signer::from_key_text("-----BEGIN RSA PRIVATE KEY-----").unwrap_err(), KeyError::Rsa);
        assert_eq!(
            Signer::from_key_text("-----BEGIN PRIVATE KEY-----\nAAAA\n").unwrap_err(),
            KeyError::NotEd25519
        );
        assert_eq!(
            Credentials::new("a\nb", Signer::from_key_text("s").unwrap()).unwrap_err(),
            KeyError::ApiKey
        );
    }

    #[test]
    fn what_is_not_unreserved_is_escaped() {
        let mut text = String::new();
        percent_encode("a-_.~+/= ü", &mut text);
        assert_eq!(text, "a-_.~%2B%2F%3D%20%C3%BC");
    }
}
