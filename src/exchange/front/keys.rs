//! API keys: who may sign for which account, and the proof of a signature.
//!
//! The file is TOML, one `[[key]]` per API key, mode 0600, made with random demo keys at the first start (one HMAC, one Ed25519,
//! both for account 1). It holds the client's half too (the HMAC secret, the Ed25519 private key), because client and venue share the
//! machine. Promise: secrets are never logged and never printed; errors name the file and the key's number, not its content.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
    spki::der::pem::LineEnding,
};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::Deserialize;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Every API key that the venue knows. Few, so a scan is a look-up.
pub struct KeyRing {
    keys: Vec<ApiKey>,
}

/// One API key.
pub struct ApiKey {
    pub api_key: String,
    pub account: u32,
    proof: Proof,
}

enum Proof {
    Rsa(Box<UnparsedPublicKey<Vec<u8>>>),
    Hmac(Zeroizing<Vec<u8>>),
    Ed25519(Box<VerifyingKey>),
}

impl KeyRing {
    /// Reads the keys in `file`, or makes the file with demo keys.
    pub fn open_or_create(file: &Path) -> anyhow::Result<Self> {
        if !file.exists() {
            create(file).with_context(|| format!("cannot make the API keys file {}", file.display()))?;
        }
        let shown = file.display();
        let mode = fs::metadata(file).with_context(|| format!("cannot read {shown}"))?.permissions().mode();
        if mode & 0o077 != 0 {
            bail!(
                "{shown} can be read by others (mode {:03o}); make it private: chmod 600 {shown}",
                mode & 0o777
            );
        }
        let text = Zeroizing::new(fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?);
        Self::parse(&text).with_context(|| format!("in the API keys file {shown}"))
    }

    /// Reads the text of a keys file.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        // The parser's own message would quote the line, and the line may be a secret.
        let Ok(written) = toml::from_str::<KeysFile>(text) else {
            bail!(
                "not a list of [[key]] tables with api_key, kind (\"hmac\", \"ed25519\" or \"rsa\"), account, and secret or public_key"
            );
        };
        let mut keys = Vec::<ApiKey>::new();
        for (index, key) in written.key.into_iter().enumerate() {
            let number = index + 1;
            if !is_api_key(&key.api_key) {
                bail!("key {number}: api_key must be 16 to 128 letters and digits");
            }
            if keys.iter().any(|other| other.api_key == key.api_key) {
                bail!("key {number}: its api_key appears twice");
            }
            let proof = match (key.kind.as_str(), key.secret, key.public_key, key.private_key) {
                ("hmac", Some(secret), None, None) if !secret.is_empty() => {
                    Proof::Hmac(Zeroizing::new(secret.into_bytes()))
                }
                ("hmac", ..) => {
                    bail!("key {number}: an hmac key has a secret, and no public_key or private_key")
                }
                ("ed25519", None, Some(public), _) => match VerifyingKey::from_public_key_pem(&public) {
                    Ok(public) => Proof::Ed25519(Box::new(public)),
                    Err(_) => bail!("key {number}: public_key is not an Ed25519 public key in PEM form"),
                },
                ("ed25519", None, None, Some(private)) => {
                    let private = Zeroizing::new(private);
                    match SigningKey::from_pkcs8_pem(&private) {
                        Ok(private) => Proof::Ed25519(Box::new(private.verifying_key())),
                        Err(_) => bail!(
                            "key {number}: private_key is not an Ed25519 private key in PKCS#8 PEM form"
                        ),
                    }
                }
                ("rsa", None, Some(public), _) => match rsa_public_key(&public) {
                    Some(bytes) => {
                        Proof::Rsa(Box::new(UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bytes)))
                    }
                    None => bail!("key {number}: public_key is not an RSA public key in PEM form"),
                },
                ("rsa", ..) => bail!("key {number}: an rsa key has a public_key, and no secret"),
                ("ed25519", ..) => {
                    bail!("key {number}: an ed25519 key has a public_key or private_key, and no secret")
                }
                (other, ..) => {
                    bail!("key {number}: kind is \"{other}\"; it must be \"hmac\", \"ed25519\" or \"rsa\"")
                }
            };
            keys.push(ApiKey { api_key: key.api_key, account: key.account, proof });
        }
        if keys.is_empty() {
            bail!("there is no [[key]] in it");
        }
        Ok(Self { keys })
    }

    /// The key with this name.
    pub fn find(&self, api_key: &str) -> Option<&ApiKey> {
        self.keys.iter().find(|key| key.api_key == api_key)
    }

    /// The accounts that keys are for, each once, in order.
    pub fn accounts(&self) -> Vec<u32> {
        let mut accounts: Vec<u32> = self.keys.iter().map(|key| key.account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }
}

impl ApiKey {
    /// Whether `signature` (hexadecimal for HMAC, base64 for the others, already percent-decoded) is this key's over `payload`.
    pub fn verifies(&self, payload: &[u8], signature: &str) -> bool {
        match &self.proof {
            Proof::Hmac(secret) => {
                let Some(given) = from_hex(signature) else { return false };
                let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
                mac.update(payload);
                mac.verify_slice(&given).is_ok()
            }
            Proof::Rsa(public) => {
                BASE64.decode(signature).is_ok_and(|given| public.verify(payload, &given).is_ok())
            }
            Proof::Ed25519(public) => {
                let Ok(given) = BASE64.decode(signature) else { return false };
                let Ok(given) = Signature::from_slice(&given) else { return false };
                public.verify_strict(payload, &given).is_ok()
            }
        }
    }

    pub fn is_ed25519(&self) -> bool {
        matches!(self.proof, Proof::Ed25519(_))
    }
}

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    tokio_rustls::rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .expect("the operating system's random source works once it has ever worked");
    bytes
}

/// `N` random letters and digits: the look of the exchange's API keys and listen keys.
pub fn random_text<const N: usize>() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789Zz";
    random::<N>().iter().map(|byte| ALPHABET[usize::from(byte & 63)] as char).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    #[serde(default)]
    key: Vec<WrittenKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKey {
    api_key: String,
    kind: String,
    account: u32,
    secret: Option<String>,
    public_key: Option<String>,
    private_key: Option<String>,
}

fn create(file: &Path) -> anyhow::Result<()> {
    let signing = SigningKey::from_bytes(&random());
    // Without the public half, as openssl writes it: some clients know an Ed25519 key by its length.
    let private =
        KeypairBytes { secret_key: signing.to_bytes(), public_key: None }.to_pkcs8_pem(LineEnding::LF)?;
    let public = signing.verifying_key().to_public_key_pem(LineEnding::LF)?;
    let text = Zeroizing::new(format!(
        "# Demo API keys of Linchpin's embedded venue: random, made at its first start, good for nothing else.\n\
         # `secret` and `private_key` are the client's half.\n\n\
         [[key]]\nkind = \"ed25519\"\naccount = 1\napi_key = \"{}\"\npublic_key = \"\"\"\n{public}\"\"\"\nprivate_key = \"\"\"\n{}\"\"\"\n\n\
         [[key]]\nkind = \"hmac\"\naccount = 1\napi_key = \"{}\"\nsecret = \"{}\"\n",
        random_text::<64>(),
        private.as_str(),
        random_text::<64>(),
        random_text::<64>(),
    ));
    if let Some(dir) = file.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let _ = fs::remove_file(&temporary);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    // As for the authority: whoever links first is right.
    let linked = fs::hard_link(&temporary, file);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// The exchange's own rule is 64 characters; keys of other test set-ups are shorter, so the length is not fixed here.
pub fn is_api_key(text: &str) -> bool {
    (16..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The PKCS#1 key inside a PEM file ("BEGIN PUBLIC KEY"): the bit string at the end of its SubjectPublicKeyInfo.
fn rsa_public_key(pem: &str) -> Option<Vec<u8>> {
    let begin = "-----BEGIN PUBLIC KEY-----";
    let inner = pem.trim().strip_prefix(begin)?.strip_suffix("-----END PUBLIC KEY-----")?;
    let der = BASE64.decode(inner.split_whitespace().collect::<String>()).ok()?;
    let (0x30, info, []) = der_element(&der)? else { return None };
    let (0x30, algorithm, rest) = der_element(info)? else { return None };
    // rsaEncryption, 1.2.840.113549.1.1.1.
    if !algorithm.starts_with(&[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]) {
        return None;
    }
    let (0x03, [0, key @ ..], []) = der_element(rest)? else { return None };
    Some(key.to_vec())
}

/// Tag, content, and what follows.
fn der_element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, first, rest @ ..] = bytes else { return None };
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?), &rest[2..]),
        _ => return None,
    };
    Some((*tag, rest.get(..length)?, &rest[length..]))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks_exact(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::Signer;

    /// The worked example in the exchange's public documents ("SIGNED endpoint examples").
    #[test]
    fn the_documented_hmac_example_verifies_and_one_changed_byte_does_not() {
        let ring = KeyRing::parse(
            "[[key]]\nkind='hmac'\naccount=1\napi_key='vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A'\n\
             secret='NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j'\n",
        )
        .expect("parses");
        let key =
            ring.find("vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A").expect("known");
        let payload = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
        let signature = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        assert!(key.verifies(payload, signature));
        assert!(key.verifies(payload, &signature.to_uppercase()));
        assert!(!key.verifies(&payload[1..], signature));
        assert!(!key.verifies(payload, &signature.replace('c', "d")));
        assert!(!key.verifies(payload, ""));
    }

    #[test]
    fn demo_keys_are_private_reused_and_sign_for_their_account() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("keys/demo.toml");
        let ring = KeyRing::open_or_create(&file).expect("made");
        assert_eq!(ring.accounts(), [1]);
        assert_eq!(fs::metadata(&file).expect("file").permissions().mode() & 0o777, 0o600);
        let again = KeyRing::open_or_create(&file).expect("reused");
        assert_eq!(ring.keys[0].api_key, again.keys[0].api_key);

        let written: KeysFile = toml::from_str(&fs::read_to_string(&file).expect("text")).expect("toml");
        let private = written.key[0].private_key.as_deref().expect("the client's half");
        let signature = SigningKey::from_pkcs8_pem(private).expect("PEM").sign(b"payload");
        assert!(ring.keys[0].is_ed25519());
        assert!(ring.keys[0].verifies(b"payload", &BASE64.encode(signature.to_bytes())));
        assert!(!ring.keys[0].verifies(b"payloaD", &BASE64.encode(signature.to_bytes())));
    }

    #[test]
    fn a_bad_keys_file_is_refused_without_quoting_a_secret() {
        for (text, names) in [
            ("", "[[key]]"),
            ("[[key]]\nkind='hmac'\naccount=1\napi_key='0123456789abcdef'\nsecret='hunter2", "kind"),
            ("[[key]]\nkind='hmac'\naccount=1\napi_key='short'\nsecret='hunter2'", "key 1: api_key"),
            ("[[key]]\nkind='rsa'\naccount=1\napi_key='0123456789abcdef'\nsecret='hunter2'", "rsa"),
            ("[[key]]\nkind='dsa'\naccount=1\napi_key='0123456789abcdef'\nsecret='hunter2'", "dsa"),
            (
                "[[key]]\nkind='rsa'\naccount=1\napi_key='0123456789abcdef'\npublic_key='hunter2'",
                "an RSA public key",
            ),
            (
                "[[key]]\nkind='ed25519'\naccount=1\napi_key='0123456789abcdef'\npublic_key='hunter2'",
                "public_key",
            ),
        ] {
            let refused = KeyRing::parse(text).err().expect("refused").to_string();
            assert!(refused.contains(names), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
