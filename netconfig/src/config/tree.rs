//! Owns the tree of values with the place where each was set, and how a later source overrides an earlier one.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::source::{Place, Source, SourceId};

/// A value and where it was set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A value; dates have no use in a configuration and are refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(BTreeMap<String, Entry>),
}

/// A table's entry: where its key stands, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: Place,
    pub(super) node: Node,
}

/// A place and what is wrong there.
pub(super) type Problem = (Place, String);

/// Parses a file.
pub(super) fn parse(source: SourceId, text: &str) -> Result<Node, Problem> {
    let table = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        (Place { source, span }, error.message().trim_end().replace('\n', "; "))
    })?;
    let place = Place { source, span: 0..0 };
    Ok(Node { value: table_of(source, table.into_inner())?, place })
}

/// A value of an environment variable: TOML if it parses as such, else a string.
pub(super) fn parse_variable(source: SourceId, text: &str) -> Result<Node, Problem> {
    match DeValue::parse(text) {
        Ok(value) if !matches!(value.get_ref(), DeValue::Datetime(_)) => node_of(source, value),
        _ => Ok(Node { value: Value::String(text.to_owned()), place: Place { source, span: 0..text.len() } }),
    }
}

fn node_of(source: SourceId, spanned: Spanned<DeValue<'_>>) -> Result<Node, Problem> {
    let place = Place { source, span: spanned.span() };
    let value = match spanned.into_inner() {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(value) => Value::Integer(value),
            Err(_) => return Err((place, format!("the number {digits} is out of range"))),
        },
        DeValue::Float(digits) => match digits.as_str().parse() {
            Ok(value) => Value::Float(value),
            Err(_) => return Err((place, format!("the number {digits} is out of range"))),
        },
        DeValue::Datetime(_) => return Err((place, "a date has no meaning here".to_owned())),
        DeValue::Array(items) => {
            Value::Array(items.into_iter().map(|item| node_of(source, item)).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => table_of(source, table)?,
    };
    Ok(Node { value, place })
}

fn table_of(source: SourceId, table: DeTable<'_>) -> Result<Value, Problem> {
    let entry = |(key, value): (Spanned<DeString<'_>>, Spanned<DeValue<'_>>)| {
        let place = Place { source, span: key.span() };
        Ok((key.into_inner().into_owned(), Entry { key: place, node: node_of(source, value)? }))
    };
    Ok(Value::Table(table.into_iter().map(entry).collect::<Result<_, Problem>>()?))
}

impl Node {
    /// Lays a later source over this one: tables are merged, everything else is replaced.
    pub(super) fn merge(&mut self, later: Self) {
        match (&mut self.value, later.value) {
            (Value::Table(earlier), Value::Table(table)) => {
                for (key, entry) in table {
                    match earlier.get_mut(&key) {
                        Some(known) => known.node.merge(entry.node),
                        None => drop(earlier.insert(key, entry)),
                    }
                }
            }
            (_, value) => *self = Self { value, place: later.place },
        }
    }

    /// Wraps a value into tables, so that it stands at `path`.
    pub(super) fn at_path(self, path: &[String]) -> Self {
        path.iter().rev().fold(self, |node, key| {
            let place = node.place.clone();
            let entry = Entry { key: place.clone(), node };
            Self { value: Value::Table(BTreeMap::from([(key.clone(), entry)])), place }
        })
    }

    /// Where the value at a dotted path was set.
    pub(super) fn place_of(&self, path: &[&str]) -> Option<&Place> {
        let Some((first, rest)) = path.split_first() else { return Some(&self.place) };
        match &self.value {
            Value::Table(table) => table.get(*first)?.node.place_of(rest),
            Value::Array(items) => items.get(first.parse::<usize>().ok()?)?.place_of(rest),
            _ => None,
        }
    }

    /// Every leaf with its dotted path, its value as TOML and where it was set.
    pub(super) fn leaves(&self, sources: &[Source]) -> Vec<(String, String, String)> {
        let mut leaves = Vec::new();
        self.collect_leaves(String::new(), sources, &mut leaves);
        leaves
    }

    fn collect_leaves(&self, path: String, sources: &[Source], leaves: &mut Vec<(String, String, String)>) {
        let Value::Table(table) = &self.value else {
            let source = &sources[self.place.source.0];
            let origin = match source {
                Source::File { .. } => format!("{}:{}", source.name(), source.line_of(self.place.span.start)),
                Source::Variable { .. } => source.name(),
            };
            leaves.push((path, self.value.to_toml().to_string(), origin));
            return;
        };
        for (key, entry) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            entry.node.collect_leaves(path, sources, leaves);
        }
    }
}

impl Value {
    fn to_toml(&self) -> toml::Value {
        match self {
            Self::String(text) => text.as_str().into(),
            Self::Integer(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Boolean(value) => (*value).into(),
            Self::Array(items) => items.iter().map(|item| item.value.to_toml()).collect::<Vec<_>>().into(),
            Self::Table(table) => {
                let pairs = table.iter().map(|(key, entry)| (key.clone(), entry.node.value.to_toml()));
                toml::Value::Table(pairs.collect())
            }
        }
    }
}
