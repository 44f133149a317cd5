//! The token of the HTTPS door: only its HMAC is kept, and comparing takes the same time whatever is given.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Fewer characters can be guessed; more are no token but a file given by mistake.
const LENGTHS: std::ops::RangeInclusive<usize> = 32..=256;

/// What a token is recognised by. It holds no copy of it.
pub struct Token {
    digest: Hmac<Sha256>,
}

/// Never quotes what it was given.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("has {0} characters; expected 32 to 256, such as `openssl rand -hex 32` prints")]
    Length(usize),
    #[error("has a character that a header cannot carry; expected letters, digits and - . _ ~ + / =")]
    Character,
}

impl Token {
    /// Whitespace around it, such as the file's last line end, does not count.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let length = text.chars().count();
        if !LENGTHS.contains(&length) {
            return Err(TokenError::Length(length));
        }
        // `b64token` of RFC 6750, section 2.1.
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)) {
            return Err(TokenError::Character);
        }
        Ok(Self { digest: digest(text) })
    }

    /// Whether `given` is the token.
    pub fn is(&self, given: &str) -> bool {
        let expected = self.digest.clone().finalize().into_bytes();
        // In constant time, and whatever time it took would say nothing of how the two texts begin.
        digest(given).verify_slice(&expected).is_ok()
    }
}

fn digest(text: &str) -> Hmac<Sha256> {
    // The key only names the purpose: what makes the comparison safe is that two digests are compared, all of each.
    let mut digest = Hmac::<Sha256>::new(&Default::default());
    digest.update(b"linchpin control token ");
    digest.update(text.as_bytes());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_and_nothing_else() {
        let text = "0123456789abcdef0123456789abcdef";
        let token = Token::new(&format!("{text}\n")).unwrap();
        assert!(token.is(text));
        for other in ["", "0", &text[1..], &text.to_uppercase(), &format!("{text}0"), &format!(" {text}")] {
            assert!(!token.is(other), "{other:?}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_quoted() {
        assert_eq!(Token::new("short").err(), Some(TokenError::Length(5)));
        assert_eq!(Token::new(&"x".repeat(257)).err(), Some(TokenError::Length(257)));
        assert_eq!(Token::new(&"x y ".repeat(20)).err(), Some(TokenError::Character));
        assert_eq!(Token::new(&"ü".repeat(40)).err(), Some(TokenError::Character));
    }
}
