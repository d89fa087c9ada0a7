//! Owns the zoo: planting known bugs into a copy of the sources, and hunting each of them with the simulation. The product
//! has no hook for it: the copy is made from a list of texts and what stands in their place.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

/// The variable that names the bug that is awake in a planted build.
pub const AWAKE: &str = "ALTHING_ZOO";
/// Stands in a replacement for the question whether its bug is awake.
const PLANTED: &str = "PLANTED";
/// What the copy's contracts have more than the product's.
const QUESTION: &str = r#"
/// Whether a planted bug is awake.
#[must_use]
pub fn is_planted(name: &str) -> bool {
    static AWAKE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    AWAKE.get_or_init(|| std::env::var("ALTHING_ZOO").ok()).as_deref() == Some(name)
}
"#;

/// The list of bugs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zoo {
    /// Every bug.
    #[serde(rename = "bug")]
    pub bugs: Vec<Bug>,
}

/// One bug.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub about: String,
    /// Where.
    pub edits: Vec<Edit>,
}

/// One change of a source file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Which file.
    pub file: PathBuf,
    /// What stands there, exactly once.
    pub sound: String,
    /// What stands there while the bug is awake: an expression or statements, as `sound` is.
    pub broken: Option<String>,
    /// What stands there in the copy, where the choice has another form; `PLANTED` asks whether the bug is awake.
    pub replace: Option<String>,
}

/// Why bugs cannot be planted.
#[derive(Debug, thiserror::Error)]
pub enum ZooError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The list is none.
    #[error("the list of bugs cannot be read: {0}")]
    List(#[from] toml::de::Error),
    /// The source has moved on.
    #[error(
        "bug {bug}: `{sound}` stands {count} times in {file}, and has to once; bring the list up to date"
    )]
    Moved {
        /// Which.
        bug: String,
        /// What is looked for.
        sound: String,
        /// How often it was found.
        count: usize,
        /// Where.
        file: PathBuf,
    },
    /// The list of files is not to be had.
    #[error("the files of the sources cannot be listed; the zoo needs git")]
    Files,
}

impl Zoo {
    /// Reads the list below the sources.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(sources: &Path) -> Result<Self, ZooError> {
        Ok(toml::from_str(&read(&sources.join("chaos/zoo/bugs.toml"))?)?)
    }

    /// Copies the sources and plants every bug, all of them asleep.
    ///
    /// # Errors
    /// A file cannot be copied, or the sources are no longer what the list says.
    pub fn plant(&self, sources: &Path, copy: &Path) -> Result<(), ZooError> {
        let mut changed: BTreeMap<&Path, Vec<(&str, &Edit)>> = BTreeMap::new();
        for bug in &self.bugs {
            for edit in &bug.edits {
                changed.entry(&edit.file).or_default().push((&bug.name, edit));
            }
        }
        for file in files(sources)? {
            let mut text = fs::read(sources.join(&file)).map_err(|source| failed(&file, source))?;
            if let Some(edits) = changed.get(file.as_path()) {
                text = planted(&file, &read(&sources.join(&file))?, edits)?.into_bytes();
            }
            if file == Path::new("contracts/src/lib.rs") {
                text.extend_from_slice(QUESTION.as_bytes());
            }
            put(&copy.join(&file), &text)?;
        }
        Ok(())
    }
}

/// A file with its bugs. Two bugs may change the same text.
fn planted(file: &Path, text: &str, edits: &[(&str, &Edit)]) -> Result<String, ZooError> {
    let asks =
        if file.starts_with("contracts") { "crate::is_planted" } else { "althing_contracts::is_planted" };
    let mut by_text: BTreeMap<&str, String> = BTreeMap::new();
    for (bug, edit) in edits {
        let count = text.matches(&edit.sound).count();
        if count != 1 {
            let (bug, sound) = ((*bug).to_owned(), edit.sound.clone());
            return Err(ZooError::Moved { bug, sound, count, file: file.to_owned() });
        }
        let is_awake = format!("{asks}(\"{bug}\")");
        let before = by_text.get(edit.sound.as_str()).unwrap_or(&edit.sound);
        let after = match (&edit.replace, &edit.broken) {
            (Some(replace), _) => replace.replace(PLANTED, &is_awake),
            (None, Some(broken)) => format!("(if {is_awake} {{ {broken} }} else {{ {before} }})"),
            (None, None) => before.clone(),
        };
        // A statement needs no brackets, and may not have them.
        let is_statement = edit.sound.trim_end().ends_with(';') && edit.replace.is_none();
        let after = if is_statement { after[1..after.len() - 1].to_owned() } else { after };
        by_text.insert(&edit.sound, after);
    }
    Ok(by_text.iter().fold(text.to_owned(), |text, (sound, after)| text.replacen(*sound, after, 1)))
}

fn files(sources: &Path) -> Result<Vec<PathBuf>, ZooError> {
    let listed = Command::new("git").arg("-C").arg(sources).args(["ls-files", "-z"]).output();
    let listed = listed.ok().filter(|listed| listed.status.success()).ok_or(ZooError::Files)?;
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    // One that was taken away is in git's list until that is recorded.
    Ok(names.filter(|name| sources.join(name).exists()).collect())
}

/// Writes a file unless it is there as it should be, so that what did not change is not built again.
fn put(path: &Path, text: &[u8]) -> Result<(), ZooError> {
    if fs::read(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|source| failed(parent, source))?;
    }
    fs::write(path, text).map_err(|source| failed(path, source))
}

fn read(path: &Path) -> Result<String, ZooError> {
    fs::read_to_string(path).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> ZooError {
    ZooError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_can_still_be_planted() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let zoo = Zoo::read(&sources).unwrap();
        assert!(zoo.bugs.len() >= 25, "{} bugs", zoo.bugs.len());
        let copy = tempfile::tempdir().unwrap();
        zoo.plant(&sources, copy.path()).unwrap();
        let text = fs::read_to_string(copy.path().join("contracts/src/lifecycle/queue.rs")).unwrap();
        assert!(text.contains(r#"crate::is_planted("timelock-of-zero")"#), "{text}");
    }
}
