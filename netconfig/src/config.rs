//! Owns a node's configuration: a TOML file, then `conf.d/*.toml` beside it, then `ALTHING__SECTION__KEY`
//! variables, the later over the earlier.
//!
//! Unknown fields, values outside their bounds and secrets are refused: secrets stand in files that the
//! configuration names. Every error says where; every value can say where it was set.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

mod check;
mod de;
mod join;
mod section;
mod source;
mod tree;

pub use self::{
    check::CONFIG_SCHEMA,
    join::JoinError,
    section::{
        AdminSection, ApiSection, BootstrapSection, CommandSection, Config, ExecutorSection, IdentitySection,
        KeysBackend, KeysSection, NodeRole, NodeSection, P2pSection, TargetSection,
    },
    source::ConfigError,
};
use self::{
    source::{Place, Source, SourceId, file_error},
    tree::Node,
};

/// What a variable that overrides a value begins with; `__` stands between the parts of its path.
pub const VARIABLE_PREFIX: &str = "ALTHING__";
/// Longest configuration file, in bytes.
const FILE_LEN_MAX: u64 = 1024 * 1024;
/// Most files in `conf.d`.
const FILES_MAX: usize = 100;

/// A configuration that passed every check, with the origin of each value.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values; relative paths are taken from the directory of the main file.
    pub config: Config,
    /// Where each value comes from, sorted by path.
    pub origins: Vec<Origin>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Origin {
    /// Dotted path, such as `p2p.max_peers`.
    pub path: String,
    /// The value as TOML.
    pub value: String,
    /// `FILE:LINE`, `$VARIABLE` or `default`.
    pub origin: String,
}

impl Config {
    /// Loads a configuration; `environment` is what the process was given, such as [`std::env::vars`].
    ///
    /// # Errors
    /// A file cannot be read, is no TOML, or holds an unknown field, a wrong type or a value out of bounds.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigError> {
        let mut sources = read_files(path)?;
        sources.extend(read_variables(environment));
        let tree = merge(&sources)?;
        let mut config = typed(&tree, &sources)?;
        check::check(&config).map_err(|found| found_error(&tree, &sources, found))?;
        let origins = origins(&tree, &sources, &config);
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok(Loaded { config, origins })
    }

    /// Takes relative paths from the directory of the main file, so that a mesh can be moved as a whole.
    fn resolve_paths(&mut self, base: &Path) {
        let own = [&mut self.node.data_dir, &mut self.node.genesis, &mut self.keys.directory];
        let keys = [Some(&mut self.identity.node_key_file), self.identity.consensus_key_file.as_mut()];
        let targets =
            self.executor.targets.values_mut().flat_map(|target| [&mut target.root, &mut target.artefacts]);
        let paths = own.into_iter().chain(keys.into_iter().flatten()).chain(self.api.socket.as_mut());
        for path in paths.chain(targets) {
            // A path that cannot be made absolute stays as it is and fails where it is used.
            let joined = base.join(&*path);
            *path = std::path::absolute(&joined).unwrap_or(joined);
        }
    }
}

fn read_files(path: &Path) -> Result<Vec<Source>, ConfigError> {
    let mut sources = vec![read_file(path.to_owned())?];
    let directory = path.parent().unwrap_or(Path::new("")).join("conf.d");
    for path in more_files(&directory)? {
        sources.push(read_file(path)?);
    }
    Ok(sources)
}

fn more_files(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let failed = |error: &io::Error| {
        file_error(directory.display().to_string(), format!("cannot list the directory: {error}"), None)
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(&error))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    if paths.len() > FILES_MAX {
        let message = format!("{} files are more than the {FILES_MAX} allowed", paths.len());
        return Err(file_error(directory.display().to_string(), message, None));
    }
    paths.sort();
    Ok(paths)
}

fn read_file(path: PathBuf) -> Result<Source, ConfigError> {
    let name = path.display().to_string();
    let failed = |error: &io::Error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => {
                "give the path of the node's configuration with `-c FILE`; `althing init` writes one"
            }
            io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory => {
                "this is no configuration; give the path of the node's `node.toml` with `-c FILE`"
            }
            _ => "the user that runs the node must be able to read it",
        };
        let message = match error.kind() {
            io::ErrorKind::NotFound => "the configuration file does not exist".to_owned(),
            _ => format!("the configuration file cannot be read: {error}"),
        };
        file_error(name.clone(), message, Some(help.to_owned()))
    };
    let length = fs::metadata(&path).map_err(|error| failed(&error))?.len();
    if length > FILE_LEN_MAX {
        let message = format!("{length} bytes are more than the {FILE_LEN_MAX} allowed");
        return Err(file_error(name, message, None));
    }
    let text = fs::read_to_string(&path).map_err(|error| failed(&error))?;
    Ok(Source::File { path, text })
}

fn read_variables(environment: impl IntoIterator<Item = (String, String)>) -> Vec<Source> {
    let ours = environment.into_iter().filter(|(name, _)| name.starts_with(VARIABLE_PREFIX));
    let sorted: BTreeMap<String, String> = ours.collect();
    sorted.into_iter().map(|(name, text)| Source::Variable { name, text }).collect()
}

fn merge(sources: &[Source]) -> Result<Node, ConfigError> {
    let mut merged: Option<Node> = None;
    for (index, source) in sources.iter().enumerate() {
        let id = SourceId(index);
        let parsed = match source {
            Source::File { text, .. } => tree::parse(id, text),
            Source::Variable { name, text } => {
                tree::parse_variable(id, text).map(|node| node.at_path(&variable_path(name)))
            }
        };
        let node = parsed.map_err(|(place, message)| source.error(&place.span, message, None))?;
        match &mut merged {
            Some(merged) => merged.merge(node),
            None => merged = Some(node),
        }
    }
    Ok(merged.expect("the main file is always there"))
}

fn variable_path(name: &str) -> Vec<String> {
    name.trim_start_matches(VARIABLE_PREFIX).split("__").map(str::to_ascii_lowercase).collect()
}

fn typed(tree: &Node, sources: &[Source]) -> Result<Config, ConfigError> {
    Config::deserialize(tree).map_err(|error| {
        let place = error.place.unwrap_or_else(|| tree.place.clone());
        let help = help_for(&error.message, &place, sources);
        error_at(sources, &place, error.message, help)
    })
}

/// Says what the type alone does not: that the unit of a number stands in its name.
fn help_for(message: &str, place: &Place, sources: &[Source]) -> Option<String> {
    if !message.starts_with("invalid type: string") || !message.contains("expected u") {
        return None;
    }
    let text = sources[place.source.0].text();
    let line_start = text[..place.span.start].rfind('\n').map_or(0, |at| at + 1);
    let key = text[line_start..place.span.start].split('=').next()?.trim();
    let unit = if key.ends_with("_ms") {
        "milliseconds"
    } else if key.ends_with("_len_max") {
        "bytes"
    } else {
        return None;
    };
    Some(format!("`{key}` is a number of {unit}, written without quotes and without a unit"))
}

fn found_error(tree: &Node, sources: &[Source], found: check::Finding) -> ConfigError {
    let path: Vec<&str> = found.path.iter().map(String::as_str).collect();
    // A default is in bounds, so what is out of bounds was set; what is missing is shown at its section.
    let place = (0..=path.len()).rev().find_map(|len| tree.place_of(&path[..len])).unwrap_or(&tree.place);
    error_at(sources, place, found.message, Some(found.help))
}

fn error_at(sources: &[Source], place: &Place, message: String, help: Option<String>) -> ConfigError {
    let source = &sources[place.source.0];
    if place.span.is_empty() && matches!(source, Source::File { .. }) {
        return file_error(source.name(), message, help);
    }
    source.error(&place.span, message, help)
}

/// An error at a place of a file that is not a configuration.
pub(crate) fn place_error(
    path: &Path,
    text: &str,
    span: Option<std::ops::Range<usize>>,
    message: String,
) -> ConfigError {
    let source = Source::File { path: path.to_owned(), text: text.to_owned() };
    match span {
        Some(span) => source.error(&span, message, None),
        None => file_error(source.name(), message, None),
    }
}

fn origins(tree: &Node, sources: &[Source], config: &Config) -> Vec<Origin> {
    let mut origins: BTreeMap<String, Origin> = BTreeMap::new();
    let effective = toml::Value::try_from(config).expect("a configuration that was read can be written");
    default_leaves(String::new(), &effective, &mut origins);
    for (path, value, origin) in tree.leaves(sources) {
        origins.insert(path.clone(), Origin { path, value, origin });
    }
    origins.into_values().collect()
}

fn default_leaves(path: String, value: &toml::Value, origins: &mut BTreeMap<String, Origin>) {
    let toml::Value::Table(table) = value else {
        let (value, origin) = (value.to_string(), "default".to_owned());
        origins.insert(path.clone(), Origin { path, value, origin });
        return;
    };
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        default_leaves(path, value, origins);
    }
}

#[cfg(test)]
mod tests;
