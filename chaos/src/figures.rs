//! Owns the files in which tests that measure leave their figures, for the report that puts them beside the goals.

use std::{fs, path::Path};

use serde_json::Value;

/// Writes `target/chaos/NAME.json` beside the sources; a later run of the same test replaces it.
pub(crate) fn keep(name: &str, figures: &Value) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/chaos");
    let written = fs::create_dir_all(&directory)
        .and_then(|()| fs::write(directory.join(name).with_extension("json"), format!("{figures:#}\n")));
    written.unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
}
