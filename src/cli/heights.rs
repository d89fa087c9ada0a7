//! Owns what a user has seen of each network: the highest block of any answer, beside the contexts, so that the next
//! command, at whatever node, sees at least as much. Keyed by network: one mesh never holds another one's answers up.
//!
//! It is a memory, not a store: where it cannot be kept, commands work and may see an older view.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use althing_contracts::{digest::Digest, quantity::Height};

use crate::api::height::MIN_HEIGHTS_MAX;

/// Longest time that a command waits for others to let the file go; each holds it for a read and a write of a kilobyte.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(1);
/// Pause before a held file is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(1);
/// Most bytes read: [`MIN_HEIGHTS_MAX`] lines with room to spare.
const FILE_LEN_MAX: u64 = 4 * 1024;

/// The highest block seen of each network. Clones share one memory.
#[derive(Debug, Clone, Default)]
pub struct Heights {
    seen: Arc<Mutex<Seen>>,
    file: Option<PathBuf>,
}

/// Networks, the one that answered last first; at most [`MIN_HEIGHTS_MAX`], above it the oldest is forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen(Vec<(Digest, Height)>);

impl Heights {
    /// A memory that outlives the process, in a file that processes share.
    pub fn kept(file: PathBuf) -> Self {
        Self { seen: Arc::default(), file: Some(file) }
    }

    /// Where it is kept.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Takes in that a network was seen at a height; written before this returns.
    pub fn note(&self, network: Digest, height: Height) {
        if !self.lock().note(network, height) {
            return;
        }
        let Some(file) = &self.file else { return };
        if let Err(error) = update(file, network, height) {
            tracing::debug!(%error, file = %file.display(), "the heights seen are not kept");
        }
    }

    /// What to ask of a node: at least what was seen, whichever its network is.
    pub fn min_height(&self) -> Option<String> {
        let mut seen = self.lock();
        if let Some(kept) = self.file.as_deref().and_then(|file| read(file).ok()) {
            seen.merge(&kept);
        }
        let members = seen.0.iter().map(|(network, height)| format!("{height};network=\"{network}\""));
        let list = members.collect::<Vec<_>>().join(", ");
        (!list.is_empty()).then_some(list)
    }

    // Whole entries alone are changed under the lock, so a panic leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Whether this was news: a higher block, or another network than the last.
    fn note(&mut self, network: Digest, height: Height) -> bool {
        if self.0.first().is_some_and(|(first, known)| *first == network && *known >= height) {
            return false;
        }
        let known = self.0.iter().position(|(known, _)| *known == network).map(|at| self.0.remove(at).1);
        self.0.insert(0, (network, known.map_or(height, |known| known.max(height))));
        self.0.truncate(MIN_HEIGHTS_MAX);
        true
    }

    /// Raises what is known by what another memory knows; its own order goes first.
    fn merge(&mut self, other: &Self) {
        let others: BTreeMap<_, _> = other.0.iter().copied().collect();
        for (network, height) in &mut self.0 {
            *height = others.get(network).map_or(*height, |other| (*other).max(*height));
        }
        for (network, height) in &other.0 {
            if self.0.iter().all(|(known, _)| known != network) {
                self.0.push((*network, *height));
            }
        }
        self.0.truncate(MIN_HEIGHTS_MAX);
    }

    /// Lines that are no entry are left out: they cost an older view, nothing else.
    fn parse(text: &str) -> Self {
        let entry = |line: &str| {
            let (network, height) = line.split_once(' ')?;
            Some((network.parse().ok()?, Height::new(height.parse().ok()?)))
        };
        Self(text.lines().filter_map(entry).take(MIN_HEIGHTS_MAX).collect())
    }

    fn text(&self) -> String {
        self.0.iter().fold(String::new(), |text, (network, height)| format!("{text}{network} {height}\n"))
    }
}

/// Raises one network's height in the file, which no other process changes meanwhile.
fn update(path: &Path, network: Digest, height: Height) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    hold(|| file.try_lock())?;
    let mut seen = Seen::parse(&content(&mut file)?);
    if !seen.note(network, height) {
        return Ok(());
    }
    let text = seen.text();
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

fn read(path: &Path) -> io::Result<Seen> {
    let mut file = File::open(path)?;
    hold(|| file.try_lock_shared())?;
    Ok(Seen::parse(&content(&mut file)?))
}

fn content(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(FILE_LEN_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Takes a lock that goes with the file handle, also when the process is killed.
fn hold(mut try_lock: impl FnMut() -> Result<(), TryLockError>) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() > LOCK_WAIT_MAX => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(TryLockError::WouldBlock) => thread::park_timeout(LOCK_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u8) -> Digest {
        format!("{number:064x}").parse().unwrap()
    }

    fn kept(directory: &tempfile::TempDir) -> Heights {
        Heights::kept(directory.path().join("new/contexts.heights"))
    }

    #[test]
    fn the_highest_block_of_each_network_is_asked_for() {
        let heights = Heights::default();
        assert_eq!(heights.min_height(), None);
        for (of, height) in [(1, 5), (2, 9), (1, 4)] {
            heights.note(network(of), Height::new(height));
        }
        let (one, two) = (network(1), network(2));
        assert_eq!(heights.min_height(), Some(format!("5;network=\"{one}\", 9;network=\"{two}\"")));
    }

    #[test]
    fn another_process_goes_on_from_what_was_seen() {
        let directory = tempfile::tempdir().unwrap();
        kept(&directory).note(network(1), Height::new(5));
        kept(&directory).note(network(1), Height::new(3));
        let other = kept(&directory);
        assert_eq!(other.min_height(), Some(format!("5;network=\"{}\"", network(1))));
        kept(&directory).note(network(1), Height::new(6));
        assert_eq!(other.min_height(), Some(format!("6;network=\"{}\"", network(1))));
    }

    #[test]
    fn the_network_that_was_not_heard_of_for_longest_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        for number in 0..=u8::try_from(MIN_HEIGHTS_MAX).unwrap() {
            kept(&directory).note(network(number), Height::new(1));
            kept(&directory).note(network(1), Height::new(u64::from(number)));
        }
        let asked = kept(&directory).min_height().unwrap();
        assert_eq!(asked.split(", ").count(), MIN_HEIGHTS_MAX);
        assert!(asked.contains(&network(1).to_string()), "{asked}");
        assert!(!asked.contains(&network(0).to_string()), "{asked}");
    }

    #[test]
    fn processes_that_write_at_once_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        thread::scope(|scope| {
            for of in 1..=4 {
                let directory = &directory;
                scope.spawn(move || {
                    for height in 1..=50 {
                        kept(directory).note(network(of), Height::new(height));
                    }
                });
            }
        });
        let asked = kept(&directory).min_height().unwrap();
        for of in 1..=4 {
            assert!(asked.contains(&format!("50;network=\"{}\"", network(of))), "{asked}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_or_read_costs_only_the_memory() {
        let directory = tempfile::tempdir().unwrap();
        let nowhere = Heights::kept(directory.path().join("file/contexts.heights"));
        fs::write(directory.path().join("file"), "not a directory").unwrap();
        nowhere.note(network(1), Height::new(5));
        assert_eq!(nowhere.min_height(), Some(format!("5;network=\"{}\"", network(1))));
        let damaged = kept(&directory);
        damaged.note(network(1), Height::new(5));
        fs::write(damaged.file().unwrap(), b"\xff\n0 1\nx\n").unwrap();
        assert_eq!(kept(&directory).min_height(), None);
    }

    #[test]
    fn a_file_that_is_held_too_long_is_passed_by() {
        let directory = tempfile::tempdir().unwrap();
        let heights = kept(&directory);
        heights.note(network(1), Height::new(5));
        let holder = File::open(heights.file().unwrap()).unwrap();
        holder.lock().unwrap();
        heights.note(network(1), Height::new(6));
        assert_eq!(heights.min_height(), Some(format!("6;network=\"{}\"", network(1))));
    }
}
