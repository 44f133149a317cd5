//! A TOML file as it is read here: values with their lines, laid over the defaults, every mistake collected.
//!
//! A [`Section`] is a table of the file together with the same table of `default.toml`. A key that the file leaves out comes from there, and
//! a key that `default.toml` does not have is unknown: the manual is the schema. After a mistake the default stands in, so that reading goes on
//! and all mistakes are told together; what was read is thrown away then.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use linchpin_core::time::Nanos;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::text::{Decimal, Wrong, nearest, parse_span, show_span};

#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<String, Entry>,
    line: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub value: Value,
    line: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Entry>),
    Table(Table),
    /// What no key takes (a float, a date, an integer beyond 64 bits): its text and its name.
    Foreign(String, &'static str),
}

/// Parses `text`; every syntax error with its line. Messages never quote the line, which may hold a secret.
pub(super) fn parse(name: &str, text: &str) -> Result<Table, Vec<ConfigError>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table(root.get_ref(), 1, text));
    }
    let error = |error: &toml::de::Error| ConfigError {
        place: match error.span() {
            Some(span) => format!("{name}:{}", line_of(text, span.start)),
            None => name.to_owned(),
        },
        key: String::new(),
        value: None,
        problem: format!("not TOML: {}", error.message()),
    };
    Err(errors.iter().map(error).collect())
}

/// Where mistakes go, and what the file is called.
pub(super) struct Mistakes {
    name: String,
    found: RefCell<Vec<ConfigError>>,
}

impl Mistakes {
    pub fn of(name: &str) -> Self {
        Self { name: name.to_owned(), found: RefCell::default() }
    }

    pub fn push(&self, error: ConfigError) {
        self.found.borrow_mut().push(error);
    }

    /// Is there a mistake already about a key for which this holds?
    pub fn any(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        self.found.borrow().iter().any(|error| is_meant(&error.key))
    }

    pub fn into_vec(self) -> Vec<ConfigError> {
        self.found.into_inner()
    }
}

/// A table of the file over the same table of the defaults.
pub(super) struct Section<'a> {
    /// `venue[0].key`; empty at the top.
    path: String,
    user: Option<&'a Table>,
    default: &'a Table,
    /// An entry of a list that the file gave: what is marked as its author's to give must be there.
    own: bool,
    mistakes: &'a Mistakes,
}

impl<'a> Section<'a> {
    /// The top of the file, or of the defaults alone. Checks its keys, as every section does when it is opened.
    pub fn top(user: Option<&'a Table>, default: &'a Table, mistakes: &'a Mistakes) -> Self {
        Self { path: String::new(), user, default, own: false, mistakes }.checked()
    }

    /// A table within this one.
    pub fn table(&self, key: &str) -> Section<'a> {
        match &self.default_entry(key).value {
            Value::Table(default) => self.table_over(key, default),
            _ => unreachable!("default.toml: {key} is a table"),
        }
    }

    /// A table within this one whose defaults stand somewhere else.
    pub fn table_over(&self, key: &str, default: &'a Table) -> Section<'a> {
        let user = match self.user_entry(key) {
            Some(Entry { value: Value::Table(table), .. }) => Some(table),
            Some(entry) => {
                // Not shown: a secret may stand where the table of a key belongs.
                let mut error =
                    self.error(key, Some(entry), format!("expected a table, [{}]", self.path_of(key)));
                error.value = None;
                self.mistakes.push(error);
                None
            }
            None => None,
        };
        Section { path: self.path_of(key), user, default, own: self.own, mistakes: self.mistakes }.checked()
    }

    /// The entries of a list of tables: the file's, if it has the list, else the defaults'.
    pub fn tables(&self, key: &str) -> Vec<Section<'a>> {
        let Value::List(defaults) = &self.default_entry(key).value else {
            unreachable!("default.toml: {key} is a list")
        };
        let section = |index: usize, user: Option<&'a Table>, default: &'a Table| {
            let path = format!("{}[{index}]", self.path_of(key));
            Section { path, user, default, own: user.is_some(), mistakes: self.mistakes }.checked()
        };
        let defaults: Vec<_> = defaults.iter().filter_map(Entry::table).collect();
        let template = *defaults.first().expect("default.toml has an entry of each list");
        match self.user_entry(key) {
            Some(Entry { value: Value::List(entries), .. }) => {
                let mut sections = Vec::with_capacity(entries.len());
                for (index, entry) in entries.iter().enumerate() {
                    if entry.table().is_none() {
                        self.mistake(
                            key,
                            Some(entry),
                            format!("expected a table, [[{}]]", self.path_of(key)),
                        );
                    }
                    sections.push(section(index, entry.table(), template));
                }
                sections
            }
            not_a_list => {
                if not_a_list.is_some() {
                    self.mistake(key, not_a_list, format!("expected a list, [[{}]]", self.path_of(key)));
                }
                defaults.iter().enumerate().map(|(index, default)| section(index, None, default)).collect()
            }
        }
    }

    /// A free table: whatever the file has there, unchecked.
    pub fn free_table(&self, key: &str) -> BTreeMap<String, Entry> {
        match self.user_entry(key) {
            Some(Entry { value: Value::Table(table), .. }) => table.entries.clone(),
            Some(entry) => {
                self.mistake(key, Some(entry), format!("expected a table, [{}]", self.path_of(key)));
                BTreeMap::new()
            }
            None => BTreeMap::new(),
        }
    }

    /// An entry that the file itself gave, or a table in one.
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// Does the file itself have this key?
    pub fn has(&self, key: &str) -> bool {
        self.user_entry(key).is_some()
    }

    /// Reads a key; what is missing in the file, or wrong, is taken from the defaults.
    pub fn read<T>(&self, key: &str, parse: impl Fn(&Value) -> Result<T, Wrong>) -> T {
        if let Some(entry) = self.user_entry(key) {
            match parse(&entry.value) {
                Ok(value) => return value,
                Err(wrong) => self.mistake(key, Some(entry), wrong.0),
            }
        }
        match parse(&self.default_entry(key).value) {
            Ok(value) => value,
            Err(wrong) => unreachable!("default.toml: {}: {wrong}", self.path_of(key)),
        }
    }

    /// Reads a key that each entry of a list must give itself: no default is right for it.
    pub fn need<T>(&self, key: &str, parse: impl Fn(&Value) -> Result<T, Wrong>) -> T {
        if self.own && !self.has(key) {
            self.mistake(key, None, "is missing, and has no default: it is yours to give".into());
        }
        self.read(key, parse)
    }

    /// The same for text that may be a secret by mistake: no message shows it.
    pub fn need_secret<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> T {
        if self.own && !self.has(key) {
            return self.need(key, text(parse));
        }
        if let Some(entry) = self.user_entry(key) {
            match text(&parse)(&entry.value) {
                Ok(value) => return value,
                Err(wrong) => self.wrong_secret(key, wrong.0),
            }
        }
        match text(parse)(&self.default_entry(key).value) {
            Ok(value) => value,
            Err(wrong) => unreachable!("default.toml: {}: {wrong}", self.path_of(key)),
        }
    }

    pub fn flag(&self, key: &str) -> bool {
        self.read(key, |value| match value {
            Value::Flag(flag) => Ok(*flag),
            _ => Err(Wrong::new("expected true or false")),
        })
    }

    pub fn count(&self, key: &str, range: RangeInclusive<u64>) -> u64 {
        self.read(key, |value| count(value, &range))
    }

    pub fn span(&self, key: &str, range: RangeInclusive<Nanos>) -> Nanos {
        self.read(key, text(|text| span_within(text, &range)))
    }

    pub fn word<T: FromStr<Err = Wrong>>(&self, key: &str) -> T {
        self.read(key, text(str::parse))
    }

    pub fn positive(&self, key: &str) -> Decimal {
        self.need(key, text(positive))
    }

    /// Notes a mistake about a key of this section, with its line where the file has it. A key that has one already is left alone: what
    /// stands in for its value is not its author's.
    pub fn wrong(&self, key: &str, problem: impl Into<String>) {
        if !self.is_wrong(key) {
            self.mistake(key, self.user_entry(key), problem.into());
        }
    }

    /// The same, without its value: it may be a secret.
    pub fn wrong_secret(&self, key: &str, problem: impl Into<String>) {
        if !self.is_wrong(key) {
            let mut error = self.error(key, self.user_entry(key), problem.into());
            error.value = None;
            self.mistakes.push(error);
        }
    }

    pub fn is_wrong(&self, key: &str) -> bool {
        let path = self.path_of(key);
        self.mistakes.any(|found| found == path)
    }

    /// Whether any mistake was found about `key` in an entry of the top's list `list`.
    pub fn is_wrong_in(&self, list: &str, key: &str) -> bool {
        self.mistakes.any(|found| {
            found.strip_prefix(list).is_some_and(|rest| rest.starts_with('['))
                && found.rsplit('.').next() == Some(key)
        })
    }

    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn mistake(&self, key: &str, entry: Option<&Entry>, problem: String) {
        self.mistakes.push(self.error(key, entry, problem));
    }

    fn error(&self, key: &str, entry: Option<&Entry>, problem: String) -> ConfigError {
        let name = &self.mistakes.name;
        let place = match (entry, self.user) {
            (Some(entry), _) => format!("{name}:{}", entry.line),
            (None, Some(table)) if !self.path.is_empty() => format!("{name}:{}", table.line),
            _ => name.clone(),
        };
        ConfigError { place, key: self.path_of(key), value: entry.map(|entry| shown(&entry.value)), problem }
    }

    fn user_entry(&self, key: &str) -> Option<&'a Entry> {
        self.user?.entries.get(key)
    }

    fn default_entry(&self, key: &str) -> &'a Entry {
        match self.default.entries.get(key) {
            Some(entry) => entry,
            None => unreachable!("default.toml has {}", self.path_of(key)),
        }
    }

    fn checked(self) -> Self {
        let Some(user) = self.user else { return self };
        for (key, entry) in &user.entries {
            if self.default.entries.contains_key(key) {
                continue;
            }
            let known = self.default.entries.keys().map(String::as_str);
            let problem = match nearest(key, known.clone()) {
                Some(near) => format!("there is no such key; did you mean `{near}`?"),
                None => {
                    let list = known.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
                    format!("there is no such key; here stand {list}")
                }
            };
            let mut error = self.error(key, Some(entry), problem);
            // What was meant is not known, so neither is whether it is a secret.
            error.value = None;
            self.mistakes.push(error);
        }
        self
    }
}

/// A parser of text, as a parser of values.
pub(super) fn text<T>(parse: impl Fn(&str) -> Result<T, Wrong>) -> impl Fn(&Value) -> Result<T, Wrong> {
    move |value| match value {
        Value::Text(text) => parse(text),
        Value::Integer(_) | Value::Foreign(_, "a float") => {
            // The kindest message for a bare number says what the key takes, and that it takes it in quotes.
            match parse("") {
                Err(wrong) => Err(Wrong(format!("{}; write it in quotes", wrong.0))),
                Ok(_) => Err(Wrong::new("write it in quotes")),
            }
        }
        other => Err(Wrong(format!("expected text, in quotes, not {}", other.kind()))),
    }
}

/// A whole number within `range`.
pub(super) fn count(value: &Value, range: &RangeInclusive<u64>) -> Result<u64, Wrong> {
    let allowed = || Wrong(format!("expected a whole number from {} to {}", range.start(), range.end()));
    match value {
        Value::Integer(number) => {
            u64::try_from(*number).ok().filter(|number| range.contains(number)).ok_or_else(allowed)
        }
        _ => Err(allowed()),
    }
}

/// `"none"`, or what `parse` takes.
pub(super) fn unless_none<T>(
    parse: impl Fn(&Value) -> Result<T, Wrong>,
) -> impl Fn(&Value) -> Result<Option<T>, Wrong> {
    move |value| match value {
        Value::Text(text) if text == "none" => Ok(None),
        value => match parse(value) {
            Ok(value) => Ok(Some(value)),
            Err(wrong) => Err(wrong.or_none()),
        },
    }
}

pub(super) fn span_within(text: &str, range: &RangeInclusive<Nanos>) -> Result<Nanos, Wrong> {
    let span = parse_span(text)?;
    if range.contains(&span) {
        return Ok(span);
    }
    Err(Wrong(format!(
        "expected a span from \"{}\" to \"{}\"",
        show_span(*range.start()),
        show_span(*range.end())
    )))
}

pub(super) fn positive(text: &str) -> Result<Decimal, Wrong> {
    let decimal: Decimal = text.parse()?;
    if decimal.is_positive() { Ok(decimal) } else { Err(Wrong::new("expected a number above \"0\"")) }
}

impl Entry {
    fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Value {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Foreign(_, kind) => kind,
        }
    }
}

/// A value as its author wrote it, cut where it is long.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let whole = match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(entries) => {
            let entries: Vec<_> = entries.iter().take(8).map(|entry| shown(&entry.value)).collect();
            format!("[{}]", entries.join(", "))
        }
        Value::Table(_) => "{..}".to_owned(),
        Value::Foreign(text, _) => text.clone(),
    };
    match whole.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}..", &whole[..at]),
        None => whole,
    }
}

fn table(table_: &DeTable<'_>, line: usize, text: &str) -> Table {
    let entry = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
        let line = line_of(text, key.span().start);
        (key.get_ref().to_string(), Entry { value: self::value(value.get_ref(), line, text), line })
    };
    Table { entries: table_.iter().map(entry).collect(), line }
}

fn value(value_: &DeValue<'_>, line: usize, text: &str) -> Value {
    match value_ {
        DeValue::String(string) => Value::Text(string.to_string()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Value::Integer(integer),
            Err(_) => Value::Foreign(integer.to_string(), "a number beyond 64 bits"),
        },
        DeValue::Float(float) => Value::Foreign(float.as_str().to_owned(), "a float"),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(date) => Value::Foreign(date.to_string(), "a date"),
        DeValue::Array(array) => Value::List(
            array
                .iter()
                .map(|entry| {
                    let line = line_of(text, entry.span().start);
                    Entry { value: self::value(entry.get_ref(), line, text), line }
                })
                .collect(),
        ),
        DeValue::Table(inner) => Value::Table(table(inner, line, text)),
    }
}

/// Counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}
