//! Listen keys: the password of an account's private stream. One per account, valid for an hour from its last renewal.
//!
//! ("Start / Keepalive / Close User Data Stream".) Asking again while one is valid gives the same one and renews it.

/// The keys in force.
pub struct ListenKeys {
    validity_ms: u64,
    keys: Vec<ListenKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenKey {
    pub text: String,
    pub account: u32,
    pub expires_ms: u64,
}

impl ListenKeys {
    pub fn new(validity_ms: u64) -> Self {
        Self { validity_ms, keys: Vec::new() }
    }

    /// The account's key, renewed; a new one made by `make` if it has none.
    pub fn start(&mut self, now_ms: u64, account: u32, make: impl FnOnce() -> String) -> String {
        if let Some(text) = self.renew(now_ms, account) {
            return text;
        }
        let text = make();
        self.keys.push(ListenKey { text: text.clone(), account, expires_ms: now_ms + self.validity_ms });
        text
    }

    /// Renews the account's key, if it has one.
    pub fn renew(&mut self, now_ms: u64, account: u32) -> Option<String> {
        let key = self.keys.iter_mut().find(|key| key.account == account && key.expires_ms > now_ms)?;
        key.expires_ms = now_ms + self.validity_ms;
        Some(key.text.clone())
    }

    /// Ends the account's key; returns its text.
    pub fn close(&mut self, account: u32) -> Option<String> {
        let at = self.keys.iter().position(|key| key.account == account)?;
        Some(self.keys.swap_remove(at).text)
    }

    /// Whose key this is, while it is valid.
    pub fn account(&self, now_ms: u64, text: &str) -> Option<u32> {
        self.keys.iter().find(|key| key.text == text && key.expires_ms > now_ms).map(|key| key.account)
    }

    /// Takes out the keys whose time is over.
    pub fn expire(&mut self, now_ms: u64) -> Vec<ListenKey> {
        self.keys.extract_if(.., |key| key.expires_ms <= now_ms).collect()
    }

    /// When the next one ends.
    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.keys.iter().map(|key| key.expires_ms).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lives_from_its_last_renewal_and_expires_once() {
        let mut keys = ListenKeys::new(100);
        assert_eq!(keys.start(0, 1, || "a".into()), "a");
        assert_eq!(keys.start(50, 1, || "never made".into()), "a");
        assert_eq!(keys.account(149, "a"), Some(1));
        assert_eq!(keys.account(150, "a"), None);
        assert_eq!(keys.renew(150, 1), None);
        assert_eq!(keys.next_expiry_ms(), Some(150));
        assert_eq!(keys.expire(149), []);
        assert_eq!(keys.expire(150).len(), 1);
        assert_eq!(keys.expire(150), []);
        assert_eq!(keys.start(150, 1, || "b".into()), "b");
        assert_eq!(keys.close(1).as_deref(), Some("b"));
        assert_eq!(keys.close(1), None);
    }
}
