//! Owns the report: one row for each figure with its aim, as a table for people and as JSON for machines.

use std::{fmt::Write as _, fs, io, path::Path};

use serde::Serialize;
use serde_json::{Map, Value};

/// What a figure should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Aim {
    AtMost(f64),
    AtLeast(f64),
    /// Reported only.
    None,
}

/// One measured figure. `value` is missing when it could not be measured; then `note` says why.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) key: &'static str,
    pub(crate) value: Option<f64>,
    pub(crate) unit: &'static str,
    pub(crate) aim: Aim,
    /// Whether the aim is met; missing without a value or an aim.
    pub(crate) met: Option<bool>,
    pub(crate) note: String,
    /// What the value was made of.
    pub(crate) parts: Map<String, Value>,
}

/// All figures of one run with the machine they were measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Version of this file's format.
    pub(crate) version: u32,
    pub(crate) machine: Map<String, Value>,
    pub(crate) figures: Vec<Figure>,
}

impl Figure {
    pub(crate) fn measured(key: &'static str, unit: &'static str, aim: Aim, value: f64) -> Self {
        let met = match aim {
            Aim::AtMost(limit) => Some(value <= limit),
            Aim::AtLeast(limit) => Some(value >= limit),
            Aim::None => None,
        };
        Self { key, value: Some(value), unit, aim, met, note: String::new(), parts: Map::new() }
    }

    pub(crate) fn missing(key: &'static str, unit: &'static str, aim: Aim, why: &str) -> Self {
        Self { key, value: None, unit, aim, met: None, note: why.to_owned(), parts: Map::new() }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    pub(crate) fn part(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parts.insert(name.to_owned(), value.into());
        self
    }

    fn row(&self) -> [String; 5] {
        let value = self.value.map_or_else(|| "-".to_owned(), |value| rounded(value, self.unit));
        let (aim, met) = match (self.aim, self.met) {
            (Aim::None, _) => (String::new(), ""),
            (Aim::AtMost(limit), met) => (format!("<= {limit}"), verdict(met)),
            (Aim::AtLeast(limit), met) => (format!(">= {limit}"), verdict(met)),
        };
        [self.key.to_owned(), value, aim, met.to_owned(), self.note.clone()]
    }
}

impl Report {
    pub(crate) fn new(machine: Map<String, Value>) -> Self {
        Self { version: 1, machine, figures: Vec::new() }
    }

    /// The table. Widths fit the rows; the note comes last and is not cut.
    pub(crate) fn table(&self) -> String {
        let header = ["figure", "value", "aim", "met", "note"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(header).chain(self.figures.iter().map(Figure::row)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 4] = std::array::from_fn(width);
        let mut table = String::new();
        for [key, value, aim, met, note] in &rows {
            let [a, b, c, d] = widths;
            let line = format!("{key:a$}  {value:>b$}  {aim:c$}  {met:d$}  {note}");
            writeln!(table, "{}", line.trim_end()).expect("a string grows");
        }
        table
    }

    /// Writes the JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        fs::write(path, json)
    }
}

fn verdict(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "?",
    }
}

fn rounded(value: f64, unit: &str) -> String {
    let digits = if value.abs() >= 1000.0 { 0 } else { 2 };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}
