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
    #[error(
        "the PEM text holds no Ed25519 private key and no RSA private key of 2048 to 4096 bits, unencrypted (PKCS#8)"
    )]
    NotAKey,
}

/// Callers ask for nothing but `sign`, `kind` and `can_log_on`.
pub enum Signer {
    /// The keyed state, cloned for each message: half the work of HMAC is done once.
    Hmac(Box<Hmac<Sha256>>),
    Ed25519(Box<ed25519_dalek::SigningKey>),
    /// About a millisecond a signature, and it allocates: a desk that cares for either takes Ed25519.
    Rsa(Box<ring::signature::RsaKeyPair>),
}

impl Signer {
    /// From the text of a key file or variable: PEM is an Ed25519 or an RSA key, anything else an HMAC secret.
    pub fn from_key_text(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.contains("-----BEGIN") {
            if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_pem(text) {
                return Ok(Self::Ed25519(Box::new(key)));
            }
            return rsa_key(text).map(|pair| Self::Rsa(Box::new(pair))).ok_or(KeyError::NotAKey);
        }
        let keyed = Hmac::<Sha256>::new_from_slice(text.as_bytes()).map_err(|_| KeyError::Empty)?;
        Ok(Self::Hmac(Box::new(keyed)))
    }

    /// Whether `session.logon` takes this kind of key: only Ed25519. (WebSocket API "Session Authentication".)
    pub fn can_log_on(&self) -> bool {
        matches!(self, Self::Ed25519(_))
    }

    /// As the configuration names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hmac(_) => "hmac",
            Self::Ed25519(_) => "ed25519",
            Self::Rsa(_) => "rsa",
        }
    }

    /// Hex for HMAC, base64 for Ed25519 and RSA (PKCS#1 v1.5 over SHA-256).
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
            Self::Rsa(pair) => {
                let mut bytes = [0u8; 512];
                let engine = base64::engine::general_purpose::STANDARD;
                let random = ring::rand::SystemRandom::new();
                let signed = bytes.get_mut(..pair.public().modulus_len()).and_then(|bytes| {
                    pair.sign(&ring::signature::RSA_PKCS1_SHA256, &random, payload, bytes).ok()?;
                    engine.encode_slice(bytes, &mut signature.bytes).ok()
                });
                // What could not be signed is refused by the venue as such, and never sent as if it were.
                signature.length = signed.unwrap_or(0);
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
            Self::Rsa(_) => "Rsa(secret)",
        })
    }
}

/// PKCS#8 ("PRIVATE KEY") or PKCS#1 ("RSA PRIVATE KEY"), unencrypted.
fn rsa_key(pem: &str) -> Option<ring::signature::RsaKeyPair> {
    let body: Zeroizing<String> = Zeroizing::new(
        pem.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect::<String>(),
    );
    let der = Zeroizing::new(base64::engine::general_purpose::STANDARD.decode(body.as_bytes()).ok()?);
    if pem.contains("BEGIN RSA") {
        return ring::signature::RsaKeyPair::from_der(&der).ok();
    }
    ring::signature::RsaKeyPair::from_pkcs8(&der).ok()
}

/// A signature's text, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    bytes: [u8; Self::CAPACITY],
    length: usize,
}

impl Signature {
    /// The base64 of 4096 bits.
    const CAPACITY: usize = 684;

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
    fn hmac_agrees_with_the_exchanges_own_example() {
        // Spot "WebSocket API / SIGNED request example (HMAC)": published keys, which open nothing.
        let signer =
            Signer::from_key_text("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j")
                .unwrap();
        let payload = "apiKey=vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT&timeInForce=GTC&timestamp=1645423376532&type=LIMIT";
        let expected = ["aa1b5712c094bc4e57c05a1a5c1fd8d8", "8dcd628338ea863fec7b88e59fe2db24"].concat();
        assert_eq!(signer.sign(payload.as_bytes()).as_str(), expected);
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

    /// A key made here for this test, without its markers; it opens nothing.
    #[rustfmt::skip]
    const RSA_KEY: &[&str] = &[
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCzEe0yx/F2O+yq2FauujlyO4AErUuZff5965TUfgPYdOmuz/G5",
        "4Miv3UGFJ69Hm4DxiH8sylTegAENZVRApqd8BrO/P/RLuEi6eJA2ZTBR+2nwUFievmxTo4fzPC9yt/P3yRu7iOGxub06QJlOYBe+",
        "iBplQv900VdFatgHGIeHKaoGu8zcLOppURlCzjqnaGJxpfzVYYixaLEgSsA9iOtIrPuGi137ESdnCKeHWZ9appGqeVttbPNWAjzI",
        "q6HVpE2dxmEd49HaTxHIr72t9/UQQ+FgFQcm1OvSwe8+4+6iIyUOKcCB3orVaOcBeBRgUcJWcN7HpDd3uvx1oDzxMDrBAgMBAAEC",
        "ggEATMcVaC4BUjv8S/5JIE6ZXei0CY1R+kRizxOosvk65d6u6TSghJ2j/n+D3bc3uKCshyMKwCYagHHqwZceKkAqVIu9GvWtZZ/k",
        "kwspbiExuBzvfcm9TYcBBFV772bxQyMrOCUivmRAvMaSIz1aXhfmZluN0bgJtskhPZLDgDtctK8HBTQlgoeL0s68H4mufcqJPo9Q",
        "o+WRmI7HnPttGjHb747OMHjx+jXhGMi1eshBew2XxpochW0MW5sfaG1CDZGorylqI/hkrjD2T7TLICJIzLfgWhIdRCZafm/kgb2G",
        "yQNqk9tibyHcuujzXg59PSiC/HCAnYa6ovrna0yAF1A7zwKBgQD7rTfXTXG7BkxHS2MctXGl5O3kOqjvOGaWXi5MD7mMbnfIVR9t",
        "W2tAG0PsBzajy8FMKt3BqU0PGw1oYFop32wr0KGfUbT3ZH7zp5GsUl12RAbZr6JWSBRe/Yw2I38WxXyAcFT67QqP9z4abThMBoBK",
        "S6kRmaz5qQW+HwCAwE7EbwKBgQC2JWk9o1kDCvhUkTuDsiKxvBMqz0u4XqcZLgPteYzmNSMosfulA6oLxK9Ahv6kodu/fsL2HBAY",
        "jhEhnSOpSZsHUHKP9bHTBCPiTckCYqo5o95FcfR4oPM50xjl5JbqCEwkqpq4whmSVhPkkk0CIyYEdmFDM3cjMHQ35mSFxWtrzwKB",
        "gQDteL4t6yca/5BN3TZBynrXu7E0Hp10S1WRIICyyEud1EY1wwwKVa5XKOLn/M5zszhKtE/WAfdx/2ahS/kHdYdNuGgoOiJ1JGAd",
        "a8mqPXVuuDV2haC5pP2Du93m34t1YxZc4qFsuumyeeohaVkrcx7t+4Il10k9sVx3zizdT5eDBQKBgCuGwyBsoX+9plwnHI67Cdlp",
        "NTdctB6J1+qHeX7NNiNo/U7jQVxMhN0tEigcWkujNi0LsLE5QYtsn6FluLjikv5rdgT61JS1f5G7vtYoF7+QbjQwKBiPdbASxvdg",
        "6cNhWjjE4BZYo925XiWX5HknRxV36IQzjzvEf3FASDNDWwk3AoGACVQHKSBiSbm/dqxScmJXm2khWm1scIUW7ykVhnGuMqB/BEWY",
        "7uppKCFLM2ZyJIKkqSui5Otvpv2nIFabw50pPReF9qfsSFA/sc5L679ycDeGBM5lixQHBq5vc++gEIJb1aB5LxvWTvqGwVTjd7sJ",
        "DdXo9oE1od6mLQ/ZFhd+dAs=",
    ];
    /// What OpenSSL signs with it: `openssl dgst -sha256 -sign`.
    #[rustfmt::skip]
    const RSA_SIGNATURE: &[&str] = &[
        "Ha2d7fJx378gTowTHJjgXJQGXMcWJHa0/a0Z50CLzoLZoE4DgJyZdJOYtpOOzn3LdZpg8Byi7xlEKPs3hhntfyWNmHSbbMhjInG+",
        "dvdPbF9sV1+d4aCRhh7qUw2DLbG3Let12Gu4PYIMO0wBRp9clgY1er+un3BLUHss7QsEXFIOuR8lXAd6MzIOpe43Kx5fDJuDv0ME",
        "hlbs79idnSLNS8DCFB3La8CQAw8f23BcAmZlEisycvuz+qPe81vB+kPAZB433K9sZuiEeBO0lXq76R24Y+kSNM5pqMuPjP9X5q4O",
        "UHO/PdfwUgU5YscYM5kA+jKlufBtS9TSGcJbzxYKew==",
    ];

    #[test]
    fn an_rsa_signature_is_the_one_of_another_implementation() {
        let marker = |word: &str| format!("-----{word} PRIVATE KEY-----");
        let pem = [&marker("BEGIN"), "\n", &RSA_KEY.join("\n"), "\n", &marker("END"), "\n"].concat();
        let signer = Signer::from_key_text(&pem).unwrap();
        assert_eq!((signer.kind(), signer.can_log_on()), ("rsa", false));
        assert_eq!(signer.sign(b"apiKey=a&timestamp=1").as_str(), RSA_SIGNATURE.concat());
        assert_ne!(signer.sign(b"apiKey=a&timestamp=2").as_str(), RSA_SIGNATURE.concat());
        assert_eq!(format!("{signer:?}"), "Rsa(secret)");
    }

    #[test]
    fn no_secret_is_printed_and_wrong_keys_say_what_is_wrong() {
        let credentials =
            Credentials::new("abcdEFGH1234", Signer::from_key_text("hush-secret").unwrap()).unwrap();
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("hush") && !shown.contains("EFGH"), "{shown}");
        assert_eq!(Signer::from_key_text(" \n").unwrap_err(), KeyError::Empty);
        assert_eq!(Signer::from_key_text("-----BEGIN RSA PRIVATE KEY-----").unwrap_err(), KeyError::NotAKey);
        assert_eq!(
            Signer::from_key_text("-----BEGIN PRIVATE KEY-----\nAAAA\n").unwrap_err(),
            KeyError::NotAKey
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
