//! Owns the text of an error together with every cause behind it, for messages that stand alone.

use std::error::Error;

/// The error's text and its sources' texts in order, joined by colons.
pub(super) fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The longest beginning of at most `len_max` bytes that ends between characters.
pub(super) fn cut(text: &str, len_max: usize) -> &str {
    let end = (0..=len_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
