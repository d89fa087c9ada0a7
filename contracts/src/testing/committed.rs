//! Owns the way to the files that tests compare with: fixtures and documents that are made, committed and looked at.

/// Set in the environment, it has tests write the committed files anew, to look at the difference and commit it.
pub const UPDATE: &str = "ALTHING_UPDATE";

/// The text of a committed file without its last line break; made anew when [`UPDATE`] is set.
///
/// # Errors
/// The sources cannot be read, or written when the file is made anew.
pub fn committed(path: &str, fresh: impl FnOnce() -> String) -> std::io::Result<String> {
    if std::env::var_os(UPDATE).is_some() {
        // Whole at once: tests that run side by side read it.
        let unfinished = format!("{path}.{:?}", std::thread::current().id());
        std::fs::write(&unfinished, fresh() + "\n")?;
        std::fs::rename(&unfinished, path)?;
    }
    Ok(std::fs::read_to_string(path)?.trim_end().to_owned())
}
