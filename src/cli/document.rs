//! Owns reading files that people write: bounded, TOML, with the place of the first thing that is wrong.

use std::{fs::File, io::Read as _, ops::Range, path::Path};

use althing_contracts::document::{DOCUMENT_LEN_MAX, ProposalDocument};
use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::de::DeserializeOwned;

use super::failure::{Exit, Failure, Outcome};

/// Largest proposal file: the text form may be four times as long as the canonical one.
pub const FILE_LEN_MAX: u64 = 4 * DOCUMENT_LEN_MAX as u64;
/// Where the fields of a proposal are to be seen.
const FORM: &str = "the form with all its fields: `althing proposal draft FILE`";

/// A file whose content is wrong at one place.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{name} is wrong at line {line}, column {column}: {problem}")]
struct Misplaced {
    name: String,
    line: usize,
    column: usize,
    problem: String,
    #[source_code]
    source_code: NamedSource<String>,
    #[label("here")]
    span: SourceSpan,
    #[help]
    help: Option<String>,
}

/// Reads and checks a proposal file.
///
/// # Errors
/// It is too large, cannot be read, is not in the document's form, or outside its bounds.
pub fn read(path: &Path) -> Outcome<ProposalDocument> {
    let name = path.display().to_string();
    let document: ProposalDocument = parse_toml(Exit::Usage, &name, read_text(path, &name)?, FORM)?;
    document.check().map_err(|reject| {
        let help = "see the comments that `althing proposal draft` writes";
        Failure::with_help(Exit::Usage, format!("{name}: {reject}"), help)
    })?;
    Ok(document)
}

/// Reads a file that is not a proposal in its own form.
///
/// # Errors
/// It is too large, cannot be read, or is not in the form.
pub(super) fn read_as<T: DeserializeOwned>(path: &Path, form: &'static str) -> Outcome<T> {
    let name = path.display().to_string();
    parse_toml(Exit::Usage, &name, read_text(path, &name)?, form)
}

fn read_text(path: &Path, name: &str) -> Outcome<String> {
    let unreadable = |error: std::io::Error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Usage };
        Failure::new(exit, format!("cannot read {name}: {error}"))
    };
    let file = File::open(path).map_err(unreadable)?;
    let len = file.metadata().map_err(unreadable)?.len();
    if len > FILE_LEN_MAX {
        return Err(too_large(name, &format!("{len} bytes")));
    }
    let mut text = String::new();
    file.take(FILE_LEN_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    // A pipe has no length before it is read.
    if text.len() as u64 > FILE_LEN_MAX { Err(too_large(name, "more")) } else { Ok(text) }
}

fn too_large(name: &str, len: &str) -> Failure {
    Failure::with_help(
        Exit::Usage,
        format!("{name} has {len}, at most {FILE_LEN_MAX} bytes are allowed"),
        "split the change into smaller proposals; artefacts are named by digest, not included",
    )
}

/// Reads a value out of TOML text; `form` says where the fields of its form are to be seen.
///
/// # Errors
/// Names the file, line and column of the first thing that is wrong, and shows it.
pub(super) fn parse_toml<T: DeserializeOwned>(
    exit: Exit,
    name: &str,
    text: String,
    form: &'static str,
) -> Outcome<T> {
    toml::from_str(&text).map_err(|error| {
        let span = narrowed(&text, error.span().unwrap_or(0..0), error.message());
        let (line, column) = place(&text, span.start);
        let problem = error.message().lines().next().unwrap_or("it cannot be read").to_owned();
        let help = help_for(&problem, form).map(str::to_owned);
        let source_code = NamedSource::new(name, text).with_language("toml");
        let name = name.to_owned();
        Failure::of(exit, Misplaced { name, line, column, problem, source_code, span: span.into(), help })
    })
}

/// The place of the unknown field itself when the error covers the whole table around it.
fn narrowed(text: &str, span: Range<usize>, problem: &str) -> Range<usize> {
    let field = problem.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    let is_whole = |at: usize, len: usize| {
        let is_name =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let bytes = text.as_bytes();
        !is_name(at.checked_sub(1).and_then(|before| bytes.get(before))) && !is_name(bytes.get(at + len))
    };
    let found = field.and_then(|field| {
        let within = text.get(span.clone())?;
        let places = within.match_indices(field).map(|(at, _)| span.start + at);
        places.into_iter().find(|at| is_whole(*at, field.len())).map(|at| at..at + field.len())
    });
    found.unwrap_or(span)
}

/// Line and column, both from 1, of a byte offset.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

fn help_for(problem: &str, form: &'static str) -> Option<&'static str> {
    if problem.starts_with("unknown field") || problem.starts_with("missing field") {
        Some(form)
    } else if problem.starts_with("invalid type") || problem.starts_with("invalid value") {
        Some(
            "times are whole milliseconds, shares are written as \"9/10\", costs are whole thousandths, \
             digests are 64 hexadecimal digits",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_field_is_found_inside_its_table() {
        let text = "a = { instances = 1, instance = 2 }";
        assert_eq!(narrowed(text, 4..35, "unknown field `instance`, expected"), 21..29);
        assert_eq!(narrowed(text, 4..35, "missing field `x`"), 4..35);
        assert_eq!(narrowed(text, 4..35, "unknown field `x`"), 4..35);
    }

    #[test]
    fn places_count_from_one() {
        assert_eq!(place("ab\ncd", 0), (1, 1));
        assert_eq!(place("ab\ncd", 4), (2, 2));
        assert_eq!(place("ä=1", 2), (1, 2));
    }
}
