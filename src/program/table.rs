//! A table for people: columns as wide as they must be, numbers to the right.

use serde_json::Value;

/// `rows` under `heads`; without rows, what `none` says.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>], none: &str) -> String {
    if rows.is_empty() {
        return none.to_owned();
    }
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row.get(at).map_or(0, |cell| cell.chars().count()));
        cells.chain([heads[at].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let is_number = |at: usize| {
        rows.iter().filter_map(|row| row.get(at)).all(|cell| {
            cell == "-"
                || cell.chars().next().is_some_and(|first| first.is_ascii_digit() || "+-.".contains(first))
        })
    };
    let line = |cells: Vec<&str>| {
        let mut text = String::new();
        for (at, cell) in cells.iter().enumerate() {
            let gap = if at == 0 { "" } else { "  " };
            let width = widths[at];
            text.push_str(&if is_number(at) {
                format!("{gap}{cell:>width$}")
            } else {
                format!("{gap}{cell:<width$}")
            });
        }
        text.trim_end().to_owned()
    };
    let mut lines = vec![line(heads.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// The rows of an answer.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A value as people read it.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_numbers_right_and_nothing_is_cut() {
        let rows = [
            vec!["BTCUSDT".to_owned(), "-0.015".to_owned(), "-".to_owned()],
            vec!["ETHUSDT".to_owned(), "12".to_owned(), "3.5".to_owned()],
        ];
        assert_eq!(
            table(&["symbol", "quantity", "mark"], &rows, "none"),
            "symbol   quantity  mark\nBTCUSDT    -0.015     -\nETHUSDT        12   3.5"
        );
        assert_eq!(table(&["a"], &[], "no orders are open"), "no orders are open");
    }
}
