//! One file as the rules see it: its text, and its code with every comment and every literal's content blanked out.
//!
//! Both have the same length, so an offset in one is the same place in the other. Regions that belong to tests and to
//! `#[cold]` functions are known, because some rules end at their doors. This is a lexer of what the rules need, not of
//! Rust: where it is in doubt it treats text as code, so a rule errs towards a breach that somebody then looks at.

use std::ops::Range;

pub struct Source {
    /// Relative to the root of the project, with forward slashes.
    pub path: String,
    pub text: String,
    /// Blanked text of a Rust file; empty for another.
    pub code: String,
    tests: Vec<Range<usize>>,
    cold: Vec<Range<usize>>,
    inner_modules: Vec<(String, Range<usize>)>,
    /// The whole file is compiled for tests only: something above it says so.
    pub only_for_tests: bool,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let is_rust = path.ends_with(".rs");
        let code = if is_rust { blank(text) } else { String::new() };
        let only_for_tests = is_rust
            && (["tests/", "benches/", "src/core/tests/"].iter().any(|folder| path.starts_with(folder))
                || code.contains("#![cfg(test)]"));
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            tests: Vec::new(),
            cold: Vec::new(),
            inner_modules: Vec::new(),
            only_for_tests,
        };
        source.tests = source.items_after(|attribute| is_test(attribute) || attribute.contains("cfg(loom)"));
        source.cold = source.items_after(|attribute| attribute == "cold");
        source.inner_modules = inner_modules(&source.code);
        source
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub fn in_test(&self, at: usize) -> bool {
        self.only_for_tests || self.tests.iter().any(|range| range.contains(&at))
    }

    pub fn in_cold(&self, at: usize) -> bool {
        self.cold.iter().any(|range| range.contains(&at))
    }

    pub fn line_of(&self, at: usize) -> usize {
        self.text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1
    }

    /// The whole line, as written, in which `at` stands.
    pub fn line_at(&self, at: usize) -> &str {
        let from = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        self.text[from..].lines().next().unwrap_or("")
    }

    /// The `//!` lines at the top, without their marks. Inner attributes may stand above them.
    pub fn header(&self) -> Vec<&str> {
        let not_header = |line: &&str| line.starts_with("#!") || line.trim().is_empty();
        let lines = self.text.lines().skip_while(not_header);
        lines.take_while(|line| line.starts_with("//!")).map(|line| line[3..].trim()).collect()
    }

    /// The header's last line says `Hot.`: what is here runs between socket read and socket write.
    pub fn is_hot(&self) -> bool {
        self.header().last() == Some(&"Hot.")
    }

    /// Where a whole word stands in the code.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = self.code.as_bytes();
        self.code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
            let before = at.checked_sub(1).is_none_or(|index| !is_name(bytes[index]));
            let after = bytes.get(at + word.len()).is_none_or(|&byte| !is_name(byte));
            before && after
        })
    }

    /// The modules that enclose this place, from the crate's root: the file's own path, then inline modules.
    pub fn module_at(&self, at: usize, root: &str) -> Vec<String> {
        let inside = self.path.strip_prefix(root).unwrap_or(&self.path).trim_end_matches(".rs");
        let mut modules: Vec<String> = inside.split('/').map(str::to_owned).collect();
        if modules.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
            modules.pop();
        }
        let enclosing = self.inner_modules.iter().filter(|(_, range)| range.contains(&at));
        modules.extend(enclosing.map(|(name, _)| name.clone()));
        modules
    }

    /// Files that this one declares as modules for tests only (`#[cfg(test)] mod tests;`).
    pub fn test_children(&self) -> Vec<String> {
        let folder = self.path.rfind('/').map_or("", |slash| &self.path[..slash]);
        let stem = self.path[folder.len()..].trim_start_matches('/').trim_end_matches(".rs");
        let home = match stem {
            "mod" | "lib" | "main" => folder.to_owned(),
            _ => format!("{folder}/{stem}"),
        };
        let mut children = Vec::new();
        for range in &self.tests {
            let Some(item) = self.code.get(range.clone()) else { continue };
            let Some(declared) = item.trim_end().strip_suffix(';') else { continue };
            let mut words = declared.split_whitespace().rev();
            let (Some(name), Some("mod")) = (words.next(), words.next()) else { continue };
            let text = &self.text[range.clone()];
            if let Some((_, rest)) = text.split_once("#[path = \"") {
                let named = rest.split('"').next().unwrap_or("");
                children.push(format!("{folder}/{named}"));
            } else {
                children.push(format!("{home}/{name}.rs"));
                children.push(format!("{home}/{name}/mod.rs"));
            }
        }
        children
    }

    /// The ranges of the items that stand below an attribute `#[...]` that `wanted` accepts.
    fn items_after(&self, wanted: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
        let bytes = self.code.as_bytes();
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("#[") {
            let Some(end) = matching(bytes, at + 1) else { continue };
            let attribute: String = self.code[at + 2..end].split_whitespace().collect();
            if wanted(&attribute) {
                found.push(at..item_end(bytes, end + 1));
            }
        }
        found
    }
}

fn is_test(attribute: &str) -> bool {
    let Some(condition) = attribute.strip_prefix("cfg(") else { return attribute == "test" };
    let without = condition.replace("not(test)", "").replace("not(loom)", "");
    let mut names = without.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '"');
    names.any(|name| name == "test")
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// From behind an attribute to the end of the item: its closing brace, or its semicolon (a comma for a field).
fn item_end(code: &[u8], mut at: usize) -> usize {
    while at < code.len() {
        match code[at] {
            b'#' if code.get(at + 1) == Some(&b'[') => at = matching(code, at + 1).unwrap_or(code.len()),
            b'(' | b'[' => at = matching(code, at).unwrap_or(code.len()),
            b'{' => return matching(code, at).unwrap_or(code.len()) + 1,
            b';' | b',' => return at + 1,
            b'}' => return at,
            _ => {}
        }
        at += 1;
    }
    code.len()
}

/// The bracket that closes the one at `open`.
pub fn matching(code: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.iter().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn inner_modules(code: &str) -> Vec<(String, Range<usize>)> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("mod ") {
        if at > 0 && is_name(bytes[at - 1]) {
            continue;
        }
        let rest = &code[at + 4..];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let open = at + 4 + name.len() + rest[name.len()..].len() - rest[name.len()..].trim_start().len();
        if !name.is_empty() && bytes.get(open) == Some(&b'{') {
            found.push((name, open..matching(bytes, open).unwrap_or(bytes.len())));
        }
    }
    found
}

/// The same text with comments and the contents of literals as spaces; newlines stay.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code: Vec<u8> = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                let end = find(bytes, at, b"\n").unwrap_or(bytes.len());
                cover(&mut code, at..end);
                end
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let end = block_comment_end(bytes, at);
                cover(&mut code, at..end);
                end
            }
            b'"' => {
                let end = string_end(bytes, at + 1);
                cover(&mut code, at + 1..end.saturating_sub(1));
                end
            }
            b'r' if at == 0 || !is_name(bytes[at - 1]) || matches!(bytes[at - 1], b'b' | b'c') => {
                match raw_string(bytes, at) {
                    Some((content, end)) => {
                        cover(&mut code, content);
                        end
                    }
                    None => at + 1,
                }
            }
            b'\'' => {
                let end = char_end(bytes, at);
                if end > at + 1 {
                    cover(&mut code, at + 1..end - 1);
                }
                end
            }
            byte => {
                if !byte.is_ascii() {
                    code[at] = b' ';
                }
                at + 1
            }
        };
        at = end;
    }
    String::from_utf8(code).expect("every byte that is not ASCII was blanked")
}

fn cover(code: &mut [u8], range: Range<usize>) {
    for byte in &mut code[range] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes[from..].windows(what.len()).position(|window| window == what).map(|offset| from + offset)
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" if depth == 1 => return at + 2,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    bytes.len()
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn raw_string(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let hashes = bytes[at + 1..].iter().take_while(|&&byte| byte == b'#').count();
    let open = at + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let end = find(bytes, open + 1, &close).unwrap_or(bytes.len());
    Some((open + 1..end, (end + close.len()).min(bytes.len())))
}

/// Past a character literal; past the quote alone where it begins a lifetime.
fn char_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at + 1) {
        Some(b'\\') => find(bytes, at + 3, b"'").map_or(bytes.len(), |close| close + 1),
        Some(_) => {
            let width = std::str::from_utf8(&bytes[at + 1..(at + 5).min(bytes.len())])
                .map_or_else(|error| error.valid_up_to(), str::len);
            let text = std::str::from_utf8(&bytes[at + 1..at + 1 + width]).unwrap_or("");
            let first = text.chars().next().map_or(1, char::len_utf8);
            if bytes.get(at + 1 + first) == Some(&b'\'') { at + 2 + first } else { at + 1 }
        }
        None => at + 1,
    }
}

#[test]
fn comments_and_literals_are_not_code() {
    let source = Source::new(
        "src/x.rs",
        "let a = \"unsafe\"; // unsafe\n/* unsafe /* unsafe */ unsafe */ let b = r#\"unsafe \" \"#; let c = '\"'; let d: &'static str = b\"\\\"unsafe\"; unsafe {}",
    );
    assert_eq!(source.code.len(), source.text.len());
    assert_eq!(source.words("unsafe").count(), 1);
    assert_eq!(source.line_of(source.words("unsafe").next().unwrap()), 2);
}

#[test]
fn regions_of_tests_and_cold_functions_are_known() {
    let text = "fn a() {}\n#[cfg(all(test, not(loom)))]\nmod tests {\n fn b() {}\n}\n#[cold]\n#[inline(never)]\nfn c(x: [u8; 3]) { d() }\n#[cfg(not(test))]\nfn e() {}\n";
    let source = Source::new("src/x.rs", text);
    let at = |name: &str| source.words(name).next().unwrap();
    assert!(!source.in_test(at("a")) && source.in_test(at("b")) && !source.in_test(at("c")));
    assert!(source.in_cold(at("d")) && !source.in_cold(at("e")) && !source.in_test(at("e")));
    assert_eq!(source.module_at(at("b"), "src/"), ["x", "tests"]);
}

#[test]
fn files_behind_a_test_door_are_named() {
    let children = |path: &str, text: &str| Source::new(path, text).test_children();
    assert_eq!(
        children("src/a/mod.rs", "#[cfg(test)]\nmod tests;\nmod real;"),
        ["src/a/tests.rs", "src/a/tests/mod.rs"]
    );
    assert_eq!(
        children("src/a/b.rs", "#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;"),
        ["src/a/b_tests.rs"]
    );
}
