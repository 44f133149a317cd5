//! Writes JSON text in the order given. The exchange's messages have a fixed order of fields, and clients read them by it, so a map that
//! sorts its keys will not do. Texts are escaped; names are literals of ours and are not.

use std::fmt::{Display, Write};

/// One object, closed by [`Object::close`].
#[derive(Clone)]
pub struct Object {
    text: String,
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl Object {
    pub fn new() -> Self {
        Self::with_capacity(256)
    }

    pub fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self { text }
    }

    /// `"name":"value"`, escaped.
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        quote(&mut self.text, value);
        self
    }

    /// `"name":"value"` of something whose text needs no escape: decimals, words.
    pub fn quoted(mut self, name: &str, value: impl Display) -> Self {
        self.name(name);
        let _ = write!(self.text, "\"{value}\"");
        self
    }

    /// `"name":value` as it stands: integers, booleans, and JSON made elsewhere.
    pub fn plain(mut self, name: &str, value: impl Display) -> Self {
        self.name(name);
        let _ = write!(self.text, "{value}");
        self
    }

    /// The pair, if there is a value.
    pub fn plain_if(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.plain(name, value),
            None => self,
        }
    }

    pub fn close(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn name(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
    }
}

/// `[a,b,c]` of JSON texts.
pub fn array(items: impl IntoIterator<Item = String>) -> String {
    let mut text = String::from("[");
    for item in items {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&item);
    }
    text.push(']');
    text
}

/// `value` as a JSON string.
pub fn string(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    quote(&mut text, value);
    text
}

fn quote(out: &mut String, value: &str) {
    out.push('"');
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_texts_are_escaped() {
        let text = Object::new()
            .text("z", "a\"b\\c\n")
            .plain("a", 1)
            .quoted("m", "0.10")
            .plain_if("none", None::<u8>)
            .plain("list", array(["1".into(), string("x")]))
            .close();
        assert_eq!(text, r#"{"z":"a\"b\\c\u000a","a":1,"m":"0.10","list":[1,"x"]}"#);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}
