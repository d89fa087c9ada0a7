//! Owns where configuration text comes from and how a place in it is shown: file, line, column, caret.

use std::{fmt, ops::Range, path::PathBuf};

/// Where a value was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SourceId(pub(super) usize);

/// One file or one environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    File { path: PathBuf, text: String },
    Variable { name: String, text: String },
}

/// A place in a source, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) source: SourceId,
    pub(super) span: Range<usize>,
}

/// Why a configuration is not taken, with the place for people and for machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, or the environment variable as `$NAME`.
    pub file: String,
    /// 1-based; `None` when the whole file is meant.
    pub line: Option<u32>,
    /// 1-based, in characters; `None` when the whole file is meant.
    pub column: Option<u32>,
    /// The line with a caret under the place; empty when the whole file is meant.
    pub snippet: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        if !self.snippet.is_empty() {
            write!(f, "\n{}", self.snippet)?;
        }
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Source {
    pub(super) fn text(&self) -> &str {
        let (Self::File { text, .. } | Self::Variable { text, .. }) = self;
        text
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::File { path, .. } => path.display().to_string(),
            Self::Variable { name, .. } => format!("${name}"),
        }
    }

    /// The 1-based line of a byte.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.text().bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    /// An error at a place of this source.
    pub(super) fn error(&self, span: &Range<usize>, message: String, help: Option<String>) -> ConfigError {
        let text = self.text();
        let start = floor_boundary(text, span.start);
        let line = self.line_of(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_text = text[line_start..].lines().next().unwrap_or_default();
        let before = text[line_start..start].chars().count();
        let end =
            floor_boundary(text, span.end).clamp(start, line_start + line_text.len().max(start - line_start));
        let width = text[start..end].chars().count().max(1);
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let snippet =
            format!("{number} | {line_text}\n{gutter} | {}{}", " ".repeat(before), "^".repeat(width));
        ConfigError {
            file: self.name(),
            line: u32::try_from(line).ok(),
            column: u32::try_from(before + 1).ok(),
            snippet,
            message,
            help,
        }
    }
}

/// An error about a file as a whole.
pub(super) fn file_error(file: String, message: String, help: Option<String>) -> ConfigError {
    ConfigError { file, line: None, column: None, snippet: String::new(), message, help }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0)
}
