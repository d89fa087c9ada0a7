//! Owns the forms of output: tables for people, JSON for programs, names for pipes.

use std::fmt::Display;

use althing_contracts::quantity::TimeMs;
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One JSON value, indented
    Json,
    /// One JSON value a line, one line for each entry of a list
    Ndjson,
    /// The names of what is shown, one a line
    Name,
}

/// Something that can be shown in every form.
pub trait Render: Serialize {
    /// For people; `now` is the local clock.
    fn table(&self, now: TimeMs) -> String;

    /// The names of what is shown.
    fn names(&self) -> Vec<String>;

    /// The entries of a list, each for a line of its own; nothing for a single thing.
    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        None
    }
}

/// Writes a value in one form, with a final line break.
pub(super) fn render(value: &impl Render, format: Format, now: TimeMs) -> String {
    match format {
        Format::Table => value.table(now),
        Format::Json => {
            format!("{}\n", serde_json::to_string_pretty(value).expect("views have only string keys"))
        }
        Format::Ndjson => {
            let whole = || vec![serde_json::to_value(value).expect("views have only string keys")];
            lines(&value.entries().unwrap_or_else(whole))
        }
        Format::Name => lines(&value.names()),
    }
}

/// Each entry on a line of its own.
pub(super) fn lines<T: Display>(entries: &[T]) -> String {
    entries.iter().fold(String::new(), |text, entry| format!("{text}{entry}\n"))
}

/// A table with a head, columns as wide as their widest cell.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.map(str::to_uppercase));
    for row in rows {
        table.add_row(row);
    }
    lines(&table.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>())
}

/// Lines of `name  value`, the names in one column; absent values leave their line out.
pub(super) fn fields<'a>(fields: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let shown = fields.into_iter().filter_map(|(name, value)| Some(format!("{name:<12} {}", value?)));
    lines(&shown.collect::<Vec<_>>())
}
