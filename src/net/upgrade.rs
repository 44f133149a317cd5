//! The HTTP upgrade that opens a WebSocket (RFC 6455 section 4.1): the request's text, and the judgement of the answer. Cold.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tungstenite::handshake::derive_accept_key;

use super::Endpoint;

/// An answer whose head is longer than this is refused.
pub(super) const HEAD_MAX: usize = 16 * 1024;

/// What the server made of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The head is not all here yet.
    Partial,
    /// Open; the head took this many bytes, frames follow.
    Open(usize),
    /// An ordinary HTTP answer instead.
    Refused { status: u16, retry_after: Option<u32> },
    /// Not an answer that opens a WebSocket.
    Wrong(&'static str),
}

/// The request, and the key that the answer must prove to have seen.
pub(super) fn request(endpoint: &Endpoint, nonce: [u8; 16]) -> (Vec<u8>, String) {
    let key = STANDARD.encode(nonce);
    let text = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Version: 13\r\nUser-Agent: linchpin\r\n\r\n",
        endpoint.path(),
        endpoint.authority(),
    );
    (text.into_bytes(), key)
}

pub(super) fn judge(bytes: &[u8], key: &str) -> Answer {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() >= HEAD_MAX => {
            return Answer::Wrong("the head is too long");
        }
        Ok(httparse::Status::Partial) => return Answer::Partial,
        Err(_) => return Answer::Wrong("the answer is not HTTP/1.1"),
    };
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    let status = response.code.unwrap_or(0);
    if status != 101 {
        return Answer::Refused {
            status,
            retry_after: header("retry-after").and_then(|text| text.parse().ok()),
        };
    }
    let has_token = |name, token: &str| {
        header(name).is_some_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    };
    if !has_token("upgrade", "websocket") || !has_token("connection", "upgrade") {
        return Answer::Wrong("status 101, but not to WebSocket");
    }
    if header("sec-websocket-accept") != Some(derive_accept_key(key.as_bytes()).as_str()) {
        return Answer::Wrong("Sec-WebSocket-Accept does not answer our key");
    }
    if header("sec-websocket-extensions").is_some() || header("sec-websocket-protocol").is_some() {
        return Answer::Wrong("it agrees to an extension or protocol that was not offered");
    }
    Answer::Open(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    // The example of RFC 6455 section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    #[test]
    fn the_rfcs_own_example_opens_whatever_follows_and_however_much_is_here() {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes.extend([0x81, 0]);
        assert_eq!(judge(&bytes, KEY), Answer::Open(GOOD.len()));
        for here in 0..GOOD.len() {
            assert_eq!(judge(&bytes[..here], KEY), Answer::Partial, "{here} bytes");
        }
    }

    #[test]
    fn the_request_says_what_the_rfc_demands() {
        let (text, key) = request(&"wss://host:9443/ws?a=b".parse().unwrap(), *b"the sample nonce");
        let text = String::from_utf8(text).unwrap();
        assert_eq!(key, KEY);
        for line in
            ["GET /ws?a=b HTTP/1.1", "Host: host:9443", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        {
            assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
        }
        assert!(text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn every_other_answer_is_refused_with_its_reason() {
        let wrong = |from: &str, to: &str| judge(GOOD.replace(from, to).as_bytes(), KEY);
        assert!(matches!(wrong("s3pP", "aaaa"), Answer::Wrong(why) if why.contains("Accept")));
        assert!(matches!(wrong("WebSocket", "h2c"), Answer::Wrong(why) if why.contains("not to WebSocket")));
        assert!(matches!(wrong(", Upgrade", ""), Answer::Wrong(why) if why.contains("not to WebSocket")));
        let extension = wrong("Connection", "Sec-WebSocket-Extensions: permessage-deflate\r\nConnection");
        assert!(matches!(extension, Answer::Wrong(why) if why.contains("extension")));
        assert!(matches!(judge(b"SSH-2.0-x\r\n", KEY), Answer::Wrong(_)));
        assert!(matches!(judge(&[b'a'; HEAD_MAX], KEY), Answer::Wrong(_)));
        let limited = judge(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n", KEY);
        assert_eq!(limited, Answer::Refused { status: 429, retry_after: Some(7) });
    }
}
