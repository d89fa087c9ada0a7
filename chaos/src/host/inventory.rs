//! Owns the list of everything that a run makes on this machine: each thing is written down, durably and by name, before
//! it is made, so that even a harness that was killed leaves nothing that cannot be found again. Refuses to remove
//! anything that is not in a list.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use althing_actors::causes::with_causes;
use nix::fcntl::{Flock, FlockArg};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::{HostError, disk, freezer, namespace, processes};

/// The variable that every process of a run has in its environment, with the run's name.
pub const RUN_VARIABLE: &str = "ALTHING_CHAOS_RUN";
/// The file in a folder that says that the folder may be broken and removed; it holds the name of the run that made it.
pub const MARKER: &str = "THROW-AWAY";
/// How the lists are named.
const SUFFIX: &str = "inventory";
/// Longest list that is read: a run makes a few dozen things.
const LIST_LEN_MAX: u64 = 1024 * 1024;

/// Something on this machine that a run makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Thing {
    /// A folder with everything in it, made by this run: its marker says so.
    Folder {
        /// Where.
        path: PathBuf,
    },
    /// Processes with an entry in their environment that begins so.
    Processes {
        /// `VARIABLE=value`.
        environment: String,
    },
    /// A network namespace.
    Namespace {
        /// Its name.
        name: String,
    },
    /// A group of the kernel's freezer.
    Freezer {
        /// Its name.
        name: String,
    },
    /// A loop device over a file.
    LoopDevice {
        /// The file.
        image: PathBuf,
    },
    /// A mounted file system.
    Mount {
        /// Where.
        path: PathBuf,
    },
}

/// The list of one run, held by the process that runs it.
#[derive(Debug)]
pub struct Inventory {
    run: String,
    path: PathBuf,
    list: Mutex<List>,
}

#[derive(Debug)]
struct List {
    file: Flock<File>,
    things: Vec<Thing>,
}

/// What a run that ended left behind.
#[derive(Debug, Clone, Serialize)]
pub struct Leftover {
    /// The run.
    pub run: String,
    /// What was removed.
    pub removed: Vec<Thing>,
    /// What could not be removed, and why.
    pub stuck: Vec<String>,
}

/// Where the lists of this user are: gone after a restart of the machine, like most of what they name.
#[must_use]
pub fn default_directory() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/run/althing-chaos");
    }
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join("althing-chaos"));
    own.unwrap_or_else(|| std::env::temp_dir().join(format!("althing-chaos-{}", nix::unistd::getuid())))
}

impl Inventory {
    /// Begins the list of a new run.
    ///
    /// # Errors
    /// The folder of the lists cannot be written.
    pub fn begin(directory: &Path) -> Result<Self, HostError> {
        let run = format!("{:08x}", rand::rng().random::<u32>());
        let path = directory.join(format!("{run}.{SUFFIX}"));
        let made = fs::create_dir_all(directory);
        made.map_err(|source| HostError::Io { doing: "make", path: directory.to_owned(), source })?;
        let failed = |source| HostError::Io { doing: "write", path: path.clone(), source };
        let file = OpenOptions::new().append(true).create_new(true).open(&path).map_err(failed)?;
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        let file = file.map_err(|(_, errno)| failed(errno.into()))?;
        let inventory = Self { run, path, list: Mutex::new(List { file, things: Vec::new() }) };
        let environment = format!("{RUN_VARIABLE}={}", inventory.run);
        inventory.record(Thing::Processes { environment })?;
        Ok(inventory)
    }

    /// The run's name, which is in the name of everything that it makes.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Writes a thing down; on return it may be made.
    ///
    /// # Errors
    /// The list cannot be written.
    ///
    /// # Panics
    /// Never: a thing has only string keys.
    pub fn record(&self, thing: Thing) -> Result<(), HostError> {
        let mut list = self.lock();
        let line = serde_json::to_string(&thing).expect("a thing has only string keys");
        let written = writeln!(list.file, "{line}").and_then(|()| list.file.sync_data());
        written.map_err(|source| HostError::Io { doing: "write", path: self.path.clone(), source })?;
        list.things.push(thing);
        Ok(())
    }

    /// Makes a folder that is removed with everything in it.
    ///
    /// # Errors
    /// It exists, or the disk refuses.
    pub fn make_folder(&self, path: &Path) -> Result<(), HostError> {
        self.record(Thing::Folder { path: path.to_owned() })?;
        fs::create_dir(path).map_err(|source| HostError::Io {
            doing: "make",
            path: path.to_owned(),
            source,
        })?;
        self.mark(path)
    }

    /// Says in a folder that it may be broken.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn mark(&self, folder: &Path) -> Result<(), HostError> {
        let path = folder.join(MARKER);
        let text = format!("{}\n", self.run);
        fs::write(&path, text).map_err(|source| HostError::Io { doing: "write", path, source })
    }

    /// Removes everything, the last thing first, and then the list.
    ///
    /// # Errors
    /// Something could not be removed; the list stays for another try.
    pub fn remove_all(self) -> Result<(), Vec<HostError>> {
        let things = self.lock().things.clone();
        let stuck = remove(&things, &self.run);
        if !stuck.is_empty() {
            return Err(stuck);
        }
        forget(&self.path).map_err(|error| vec![error])
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes what runs left behind that are over; runs that go on are left alone.
///
/// # Errors
/// The lists cannot be read.
pub fn clean(directory: &Path) -> Result<Vec<Leftover>, HostError> {
    let failed = |source| HostError::Io { doing: "list", path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut leftovers = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|suffix| suffix == SUFFIX) {
            leftovers.extend(clean_one(&path)?);
        }
    }
    Ok(leftovers)
}

fn clean_one(path: &Path) -> Result<Option<Leftover>, HostError> {
    let failed = |source| HostError::Io { doing: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    // Whoever holds the list is running.
    let Ok(file) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return Ok(None) };
    let run = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let removed = read(&file, path)?;
    let stuck: Vec<_> = remove(&removed, &run).iter().map(|error| with_causes(error)).collect();
    if stuck.is_empty() {
        forget(path)?;
    }
    Ok(Some(Leftover { run, removed, stuck }))
}

/// A last line that a crash cut off names nothing that was made.
fn read(file: &File, path: &Path) -> Result<Vec<Thing>, HostError> {
    let failed = |source| HostError::Io { doing: "read", path: path.to_owned(), source };
    let len = file.metadata().map_err(failed)?.len();
    if len > LIST_LEN_MAX {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, format!("it has {len} bytes"))));
    }
    let lines = BufReader::new(file).lines().collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut things = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(thing) => things.push(thing),
            Err(_) if at + 1 == lines.len() => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
    Ok(things)
}

/// Processes hold mounts and folders, so they go first; a frozen one cannot die.
fn remove(things: &[Thing], run: &str) -> Vec<HostError> {
    for thing in things {
        if let Thing::Freezer { name } = thing {
            freezer::thaw(name);
        }
    }
    let (running, rest): (Vec<_>, Vec<_>) =
        things.iter().rev().partition(|thing| matches!(thing, Thing::Processes { .. }));
    let in_order = running.into_iter().chain(rest);
    in_order.filter_map(|thing| remove_one(thing, run).err()).collect()
}

fn remove_one(thing: &Thing, run: &str) -> Result<(), HostError> {
    match thing {
        Thing::Folder { path } => remove_folder(path, run),
        Thing::Processes { environment } => processes::kill_marked(environment),
        Thing::Namespace { name } => namespace::remove(name),
        Thing::Freezer { name } => freezer::remove(name),
        Thing::LoopDevice { image } => disk::detach(image),
        Thing::Mount { path } => disk::unmount(path),
    }
}

/// A folder without the run's own marker is not what the list speaks of, unless nothing is in it yet.
fn remove_folder(path: &Path, run: &str) -> Result<(), HostError> {
    let failed = |source| HostError::Io { doing: "remove", path: path.to_owned(), source };
    match fs::read_to_string(path.join(MARKER)) {
        Ok(marker) if marker.trim() == run => fs::remove_dir_all(path).map_err(failed),
        _ => match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(failed),
        },
    }
}

fn forget(path: &Path) -> Result<(), HostError> {
    fs::remove_file(path).map_err(|source| HostError::Io { doing: "remove", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
