//! Owns the report: one row for each figure with its aim, as a table for people and as JSON for machines.

use std::{fmt::Write as _, fs, io, path::Path};

use serde::Serialize;
use serde_json::{Map, Value};

use super::Failure;

/// What a figure should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Aim {
    AtMost(f64),
    AtLeast(f64),
    /// Reported only.
    None,
}

/// A figure that a run has to bring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    key: &'static str,
    unit: &'static str,
    aim: Aim,
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

impl Expected {
    pub(crate) const VERIFY_LIMIT: Self = Self::new("verify_limit_per_cpu_second", "", Aim::None);
    pub(crate) const BLOCK_LIMIT: Self = Self::new("block_limit_per_cpu_second", "", Aim::None);
    pub(crate) const EXECUTE_LIMIT: Self = Self::new("execute_limit_per_cpu_second", "", Aim::None);
    pub(crate) const BLOCK_CHECKED: Self = Self::new("block_checked_per_cpu_second", "", Aim::None);
    pub(crate) const DEV_FIRST_BLOCK: Self = Self::new("dev_first_block_ms", "ms", Aim::AtMost(1_000.0));
    pub(crate) const DUE_TO_PROVIDER: Self = Self::new("due_to_provider_ms_p95", "ms", Aim::AtMost(50.0));
    pub(crate) const DEMO: Self = Self::new("demo_seconds", "s", Aim::AtMost(60.0));
    pub(crate) const IDLE_RSS: Self = Self::new("idle_rss_mib", "MiB", Aim::AtMost(64.0));
    pub(crate) const IDLE_CPU: Self = Self::new("idle_cpu_pct", "%", Aim::AtMost(1.0));
    pub(crate) const ETCD_PUT: Self = Self::new("etcd_put_p50_ms", "ms", Aim::None);
    pub(crate) const FINALITY: Self = Self::new("finality_p50_ms", "ms", Aim::None);
    pub(crate) const FINALITY_OVER_ETCD: Self = Self::new("finality_over_etcd_p50", "", Aim::AtMost(3.0));
    pub(crate) const BALLOTS: Self = Self::new("ballots_over_verify_limit", "", Aim::AtLeast(0.5));
    pub(crate) const CATCH_UP: Self = Self::new("catchup_over_limit", "", Aim::AtLeast(0.4));
    pub(crate) const BALLOT_AFTER_MANY: Self = Self::new("ballot_after_many", "", Aim::AtMost(1.3));
    pub(crate) const SUBMISSION_AFTER_MANY: Self = Self::new("submission_after_many", "", Aim::AtMost(1.3));
    pub(crate) const DELEGATED_BALLOTS: Self = Self::new("delegated_ballots_per_second", "", Aim::None);
    pub(crate) const RULES: Self = Self::new("hard_rules_us_p95", "us", Aim::AtMost(200.0));
    pub(crate) const STATE_OF_ENDED: Self = Self::new("state_bytes_per_ended_proposal", "B", Aim::None);
    pub(crate) const REPLAYED: Self = Self::new("replayed_per_second", "", Aim::None);
    pub(crate) const BINARY: Self = Self::new("binary_mib", "MiB", Aim::None);
    pub(crate) const COLD_BUILD: Self = Self::new("cold_build_seconds", "s", Aim::None);

    const fn new(key: &'static str, unit: &'static str, aim: Aim) -> Self {
        Self { key, unit, aim }
    }

    pub(crate) fn measured(self, value: f64) -> Figure {
        let met = match self.aim {
            Aim::AtMost(limit) => Some(value <= limit),
            Aim::AtLeast(limit) => Some(value >= limit),
            Aim::None => None,
        };
        self.figure(Some(value), met, String::new())
    }

    fn missing(self, why: &str) -> Figure {
        self.figure(None, None, why.to_owned())
    }

    fn figure(self, value: Option<f64>, met: Option<bool>, note: String) -> Figure {
        let Self { key, unit, aim } = self;
        Figure { key, value, unit, aim, met, note, parts: Map::new() }
    }
}

impl Figure {
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

    /// Adds a figure, or why there is none.
    pub(crate) fn add(&mut self, expected: Expected, figure: Result<Figure, Failure>) {
        self.add_all(&[expected], |figures| {
            figures.push(figure?);
            Ok(())
        });
    }

    /// Adds what `measure` brings; of what is expected of it and does not come, it adds why.
    pub(crate) fn add_all(
        &mut self,
        expected: &[Expected],
        measure: impl FnOnce(&mut Vec<Figure>) -> Result<(), Failure>,
    ) {
        let mut figures = Vec::new();
        let measured = measure(&mut figures);
        let why = measured.map_or_else(|error| super::told(&*error), |()| "it was not measured".to_owned());
        for expected in expected {
            let found = figures.iter().position(|figure| figure.key == expected.key);
            let figure = found.map(|at| figures.swap_remove(at));
            self.figures.push(figure.unwrap_or_else(|| expected.missing(&why)));
        }
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
