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
