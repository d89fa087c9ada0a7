//! Owns the text of an error together with every cause behind it, for messages that stand alone.

use std::{error::Error, iter};

/// The error's text and its sources' texts in order, joined by colons; a cause that says the same as the error before it
/// is left out.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |error| (*error).source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
