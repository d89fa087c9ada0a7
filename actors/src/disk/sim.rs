//! Owns a disk in memory for crash tests: it keeps durable and volatile bytes apart, loses them by a seed, and
//! fails on demand. Refuses every call of a process that was crashed.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    sync::{Arc, Mutex, MutexGuard},
};

use super::{Disk, SECTOR_LEN};

mod fault;

use fault::stopped;
pub use fault::{Faults, OperationFault, is_simulated};

/// Most volatile changes of a file: the kernel writes older ones back by itself.
const CHANGES_MAX: usize = 64;

/// A handle to a simulated disk; clones share the disk. [`SimDisk::crash`] gives the handle of the next process.
#[derive(Debug, Clone)]
pub struct SimDisk {
    shared: Arc<Mutex<Shared>>,
    process: u64,
}

#[derive(Debug, Default)]
struct Shared {
    process: u64,
    /// What a crash leaves of the names, before pending changes.
    durable_names: BTreeMap<String, usize>,
    names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    /// By number; a removed file stays until the next crash.
    files: Vec<SimFile>,
    faults: Faults,
    counts: Counts,
}

/// Calls so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Changes and syncs of any sort.
    pub operations: u64,
    /// Appends and writes.
    pub appends: u64,
    /// Syncs of files.
    pub syncs: u64,
}

#[derive(Debug, Clone)]
enum NameChange {
    Put(String, usize),
    Remove(String),
}

/// A file: what is durable, and the changes that are not.
#[derive(Debug, Clone, Default)]
struct SimFile {
    durable: Vec<u8>,
    current: Vec<u8>,
    changes: Vec<Change>,
    /// Whether readers see bytes that no sync makes durable any more: a sync of them failed once.
    has_hole: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Append(Vec<u8>),
    Write(usize, Vec<u8>),
    Reserve(usize),
    Truncate(usize),
    Overwrite(Vec<u8>),
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self { shared: Arc::new(Mutex::new(Shared::default())), process: 0 }
    }

    /// Cuts the power: of each file, and of the names, a prefix of what was not durable survives; of the change at
    /// the cut a prefix of its bytes, sometimes with sectors missing before later ones. The same seed on the
    /// same disk loses the same bytes. Faults are lifted; older handles fail from here on.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        self.restart(|shared| shared.lose(&mut Random(seed)))
    }

    /// Kills the process: the kernel keeps every byte. Faults are lifted; older handles fail from here on.
    #[must_use]
    pub fn kill(&self) -> Self {
        self.restart(|_| ())
    }

    /// Sets the faults to come.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Calls so far, over all processes.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// The bytes of a file as a reader sees them.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let shared = self.lock();
        shared.names.get(name).map(|file| shared.files[*file].current.clone())
    }

    /// Puts a durable file in place, as an accident or another program would.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut shared = self.lock();
        let file = SimFile { current: bytes.clone(), durable: bytes, ..SimFile::default() };
        let number = shared.files.len();
        shared.files.push(file);
        shared.names.insert(name.to_owned(), number);
        shared.durable_names.insert(name.to_owned(), number);
    }

    /// Flips one bit of a file for good; a bit beyond its end is none.
    pub fn flip_bit(&self, name: &str, bit: usize) {
        if let Some(mut bytes) = self.bytes(name)
            && let Some(byte) = bytes.get_mut(bit / 8)
        {
            *byte ^= 1 << (bit % 8);
            self.put(name, bytes);
        }
    }

    fn restart(&self, lose: impl FnOnce(&mut Shared)) -> Self {
        let mut shared = self.lock();
        lose(&mut shared);
        shared.process += 1;
        shared.faults = Faults::default();
        Self { shared: Arc::clone(&self.shared), process: shared.process }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic under the lock fails its test; the disk itself stays usable for the others' reports.
        self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, Shared>> {
        let shared = self.lock();
        if shared.process == self.process { Ok(shared) } else { Err(stopped()) }
    }

    /// The disk for one change or sync that leaves nothing behind when it fails, counted.
    fn operation(&self) -> io::Result<MutexGuard<'_, Shared>> {
        match self.begin()? {
            (shared, None) => Ok(shared),
            (_, Some(fault)) => Err(fault.error()),
        }
    }

    /// The disk for one change or sync, counted, and what it meets.
    fn begin(&self) -> io::Result<(MutexGuard<'_, Shared>, Option<OperationFault>)> {
        let mut shared = self.alive()?;
        shared.counts.operations += 1;
        let Counts { operations, .. } = shared.counts;
        if shared.faults.stop_at_operation.is_some_and(|at| operations >= at) {
            return Err(stopped());
        }
        let fault = shared.faults.at_operation.filter(|(at, _)| *at == operations).map(|(_, fault)| fault);
        Ok((shared, fault))
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    fn file(&mut self, name: &str) -> io::Result<&mut SimFile> {
        let number = *self.names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(&mut self.files[number])
    }

    /// Whether the operation that was counted last meets a disk that lies about syncs.
    fn is_lying(&self) -> bool {
        self.faults.lie_from_operation.is_some_and(|from| self.counts.operations >= from)
    }

    /// Bytes that the files may still grow by.
    fn room(&self) -> usize {
        let used = self.names.values().map(|file| self.files[*file].current.len() as u64).sum();
        let room = self.faults.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used));
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    fn change_name(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.name_changes.push(change);
    }

    fn lose(&mut self, random: &mut Random) {
        for file in &mut self.files {
            file.lose(random);
        }
        let kept = random.below(self.name_changes.len() + 1);
        for change in std::mem::take(&mut self.name_changes).into_iter().take(kept) {
            change.apply(&mut self.durable_names);
        }
        self.names.clone_from(&self.durable_names);
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Put(name, file) => names.insert(name, file),
            Self::Remove(name) => names.remove(&name),
        };
    }
}

impl SimFile {
    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.current);
        self.changes.push(change);
        if self.changes.len() > CHANGES_MAX {
            self.changes.remove(0).apply(&mut self.durable);
        }
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            change.apply(&mut self.durable);
        }
    }

    /// A sync fails: the kernel takes the bytes for written, keeps showing them, and never writes them.
    fn fail_sync(&mut self) {
        self.changes.retain(|change| matches!(change, Change::Reserve(_) | Change::Truncate(_)));
        self.has_hole = true;
    }

    fn append(&mut self, bytes: &[u8]) {
        let at = self.current.len();
        let bytes = bytes.to_vec();
        self.change(if self.has_hole { Change::Write(at, bytes) } else { Change::Append(bytes) });
    }

    fn lose(&mut self, random: &mut Random) {
        let kept = random.below(self.changes.len() + 1);
        for (index, change) in std::mem::take(&mut self.changes).into_iter().enumerate() {
            match change {
                change if index < kept => change.apply(&mut self.durable),
                Change::Append(bytes) => {
                    self.durable.extend(torn(bytes, self.durable.len(), random));
                    break;
                }
                Change::Write(at, bytes) => {
                    write_torn(&mut self.durable, at, &bytes, random);
                    break;
                }
                Change::Reserve(_) | Change::Truncate(_) | Change::Overwrite(_) => break,
            }
        }
        self.current.clone_from(&self.durable);
        self.has_hole = false;
    }
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Append(more) => bytes.extend(more),
            Self::Write(at, new) => {
                bytes.resize(bytes.len().max(at + new.len()), 0);
                bytes[at..at + new.len()].copy_from_slice(&new);
            }
            Self::Reserve(len) => bytes.resize(bytes.len().max(len), 0),
            Self::Truncate(len) => bytes.truncate(len),
            Self::Overwrite(start) => {
                bytes.resize(bytes.len().max(start.len()), 0);
                bytes[..start.len()].copy_from_slice(&start);
            }
        }
    }
}

/// What a crash leaves of an append that starts at offset `at`.
fn torn(mut bytes: Vec<u8>, at: usize, random: &mut Random) -> Vec<u8> {
    bytes.truncate(random.below(bytes.len() + 1));
    if random.below(4) == 0 && !bytes.is_empty() {
        let sector = (at + random.below(bytes.len())) / SECTOR_LEN;
        let start = (sector * SECTOR_LEN).saturating_sub(at);
        let end = ((sector + 1) * SECTOR_LEN - at).min(bytes.len());
        bytes[start..end].fill(0);
    }
    bytes
}

/// Lets a crash come into a write: each sector of it is on the disk or is not, in no order.
fn write_torn(durable: &mut Vec<u8>, at: usize, bytes: &[u8], random: &mut Random) {
    let (mut from, end) = (at, at + bytes.len());
    let written = 1 + random.below(4);
    while from < end {
        let next = end.min((from / SECTOR_LEN + 1) * SECTOR_LEN);
        if random.below(4) < written {
            Change::Write(from, bytes[from - at..next - at].to_vec()).apply(durable);
        }
        from = next;
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.alive()?.names.keys().cloned().collect())
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(self.alive()?.file(name)?.current.len() as u64)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let mut shared = self.operation()?;
        if shared.names.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let number = shared.files.len();
        shared.files.push(SimFile::default());
        shared.change_name(NameChange::Put(name.to_owned(), number));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (mut shared, fault) = self.begin()?;
        shared.counts.appends += 1;
        let room = shared.room();
        let is_failing = shared.faults.fail_append == Some(shared.counts.appends);
        let file = shared.file(name)?;
        if let Some(fault) = fault {
            if fault == OperationFault::Full {
                file.append(&bytes[..bytes.len() / 2]);
            }
            return Err(fault.error());
        }
        if is_failing {
            file.append(&bytes[..bytes.len() / 2]);
            return Err(io::Error::other("simulated failure of an append"));
        }
        file.append(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(|_| ErrorKind::InvalidInput)?;
        let (mut shared, fault) = self.begin()?;
        shared.counts.appends += 1;
        let is_failing = shared.faults.fail_append == Some(shared.counts.appends);
        let room = shared.room();
        let file = shared.file(name)?;
        if let Some(fault) = fault {
            if fault == OperationFault::Full {
                file.change(Change::Write(at, bytes[..bytes.len() / 2].to_vec()));
            }
            return Err(fault.error());
        }
        let fits = room.saturating_add(file.current.len().saturating_sub(at)).min(bytes.len());
        let written = if is_failing { bytes.len() / 2 } else { fits };
        file.change(Change::Write(at, bytes[..written].to_vec()));
        match (is_failing, fits < bytes.len()) {
            (true, _) => Err(io::Error::other("simulated failure of an append")),
            (_, true) => Err(ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn reserve(&mut self, name: &str, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| ErrorKind::InvalidInput)?;
        let mut shared = self.operation()?;
        let room = shared.room();
        let file = shared.file(name)?;
        if len.saturating_sub(file.current.len()) > room {
            return Err(ErrorKind::StorageFull.into());
        }
        file.change(Change::Reserve(len));
        Ok(())
    }

    fn overwrite(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > SECTOR_LEN {
            return Err(ErrorKind::InvalidInput.into());
        }
        self.operation()?.file(name)?.change(Change::Overwrite(bytes.to_vec()));
        Ok(())
    }

    fn read(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut shared = self.alive()?;
        let bytes = &shared.file(name)?.current;
        let start = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
        let len = buffer.len().min(bytes.len() - start);
        buffer[..len].copy_from_slice(&bytes[start..start + len]);
        Ok(len)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let (mut shared, fault) = self.begin()?;
        shared.counts.syncs += 1;
        let is_failing = shared.faults.fail_sync == Some(shared.counts.syncs);
        let is_lying = shared.is_lying();
        let file = shared.file(name)?;
        if let Some(fault) = fault.or(is_failing.then_some(OperationFault::Error)) {
            file.fail_sync();
            return Err(fault.error());
        }
        if !is_lying {
            file.sync();
        }
        Ok(())
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| ErrorKind::InvalidInput)?;
        self.operation()?.file(name)?.change(Change::Truncate(len));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut shared = self.operation()?;
        shared.file(name)?;
        shared.change_name(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut shared = self.operation()?;
        let number = *shared.names.get(from).ok_or(ErrorKind::NotFound)?;
        shared.change_name(NameChange::Put(to.to_owned(), number));
        shared.change_name(NameChange::Remove(from.to_owned()));
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        let mut shared = self.operation()?;
        if shared.is_lying() {
            return Ok(());
        }
        for change in std::mem::take(&mut shared.name_changes) {
            change.apply(&mut shared.durable_names);
        }
        Ok(())
    }
}

/// `SplitMix64` (Steele, Lea, Flood 2014): small, seeded, and the same on every machine.
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// A number below `bound`, which is at least 1; the bias is far below what a test could see.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        usize::try_from(word % bound as u64).expect("below a usize")
    }
}
