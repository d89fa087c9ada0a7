//! Owns what is read from disks: logs and journals that a fault has changed, bundles from strangers, and the files
//! that people write.

use std::{cell::RefCell, fs, path::PathBuf};

use althing_actors::{
    auditor::bundle,
    disk::{Disk, sim::SimDisk},
    executor::journal::{Entry, INTENT_JOURNAL, IntentRecord, StepKey},
    journal::Journal,
    ledger::log::{Log, record::RecordKind},
};
use althing_contracts::{
    digest::Digest,
    quantity::{Fence, TimeMs},
    transaction::{ProposalId, StepOutcome},
};
use althing_netconfig::{config::Config, genesis_file};

use super::spoken::Spoken;

thread_local! {
    /// A directory of this thread, in memory where the machine has such a place.
    static DIRECTORY: RefCell<tempfile::TempDir> = RefCell::new({
        let memory = std::path::Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        made.expect("a directory can be made")
    });
}

fn path(name: &str) -> PathBuf {
    DIRECTORY.with_borrow(|directory| directory.path().join(name))
}

/// A bundle from somebody else, and what is left of a sound one after a change.
pub fn bundle(bytes: &[u8]) {
    let _report = bundle::verify(bytes, None);
}

/// A node's configuration.
pub fn configuration(bytes: &[u8]) {
    let file = path("node.toml");
    fs::write(&file, bytes).expect("the directory takes it");
    if let Err(error) = Config::load(&file, []) {
        assert!(!error.to_string().is_empty());
    }
}

/// A genesis document.
pub fn genesis(bytes: &[u8]) {
    let file = path("genesis.toml");
    fs::write(&file, bytes).expect("the directory takes it");
    match genesis_file::read(&file) {
        Ok(genesis) => {
            let copy = path("genesis-copy.toml");
            let _none = fs::remove_file(&copy);
            genesis_file::write(&copy, &genesis).expect("what was read can be written");
            let again = genesis_file::read(&copy).expect("what was written can be read");
            assert_eq!(again.network(), genesis.network());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A journal that a fault has changed: it opens with the records that were written, or says what is wrong.
pub fn journal(bytes: &[u8]) {
    let mut spoken = Spoken::new(bytes);
    let file = path("journal");
    let written: Vec<IntentRecord> = (0..spoken.byte() % 8).map(|index| intent(u64::from(index))).collect();
    let _none = fs::remove_file(&file);
    let (mut journal, _) = Journal::open(&file, INTENT_JOURNAL, |_: IntentRecord| ()).expect("a new journal");
    for record in &written {
        journal.append(record).expect("the disk takes it");
    }
    drop(journal);
    let mut content = fs::read(&file).expect("it was written");
    damage(&mut content, &mut spoken);
    fs::write(&file, &content).expect("the directory takes it");
    let mut read = Vec::new();
    let Ok((mut journal, _)) = Journal::open(&file, INTENT_JOURNAL, |record| read.push(record)) else {
        return;
    };
    assert!(
        read.len() <= written.len() && read == written[..read.len()],
        "a journal never tells another story"
    );
    journal.append(&intent(99)).expect("the disk takes it");
    drop(journal);
    let mut again = Vec::new();
    Journal::open(&file, INTENT_JOURNAL, |record: IntentRecord| again.push(record)).expect("it was sound");
    assert_eq!(again.len(), read.len() + 1);
}

fn intent(number: u64) -> IntentRecord {
    let key = StepKey { proposal: ProposalId::from_digest(Digest::ZERO), step: 1, undo: number % 2 == 1 };
    let entry = Entry::Outcome { outcome: StepOutcome::Done, facts: [].into() };
    IntentRecord::V1 { time: TimeMs::new(number), key, fence: Fence::new(number), entry }
}

/// A log that a fault has changed: it opens with the records that were written, or says what is wrong.
pub fn log(bytes: &[u8]) {
    let mut spoken = Spoken::new(bytes);
    let network = Digest::of_artefact(b"fuzz");
    let disk = SimDisk::new();
    let (mut log, _) = Log::open(disk.clone(), network).expect("a new log");
    let mut written = Vec::new();
    for index in 0..spoken.byte() % 8 {
        let payload = vec![index; usize::from(spoken.byte())];
        log.append(RecordKind::ALL[usize::from(index) % 4], &payload).expect("the disk takes it");
        written.push(payload);
        if spoken.is() {
            log.sync().expect("the disk takes it");
        }
    }
    drop(log);
    let disk = if spoken.is() { disk.crash(spoken.number()) } else { disk.kill() };
    let files = disk.list().expect("a directory");
    if !files.is_empty() {
        let name = &files[usize::from(spoken.byte()) % files.len()];
        let mut content = disk.bytes(name).expect("it is listed");
        damage(&mut content, &mut spoken);
        disk.put(name, content);
    }
    let Ok((mut log, _)) = Log::open(disk.clone(), network) else { return };
    let read: Vec<Vec<u8>> = log.scan().map(|item| item.expect("it was opened").1.payload).collect();
    assert!(read.len() <= written.len() && read == written[..read.len()], "a log never tells another story");
    log.append(RecordKind::Block, b"more").expect("the disk takes it");
    log.sync().expect("the disk takes it");
    drop(log);
    let (log, _) = Log::open(disk.kill(), network).expect("it was sound");
    assert_eq!(log.scan().count(), read.len() + 1);
}

/// Flips, cuts, repeats, moves and writes over, as the input says.
fn damage(content: &mut Vec<u8>, spoken: &mut Spoken<'_>) {
    for _ in 0..8 {
        if spoken.is_over() || content.is_empty() {
            return;
        }
        let place = usize::from(u16::from_le_bytes([spoken.byte(), spoken.byte()])) % content.len();
        match spoken.byte() % 8 {
            0 => content[place] ^= 1 << (spoken.byte() % 8),
            1 => content.truncate(place),
            2 => content.extend(spoken.bytes()),
            3 => {
                let repeated = content[place..].to_vec();
                content.extend(repeated);
            }
            4 => drop(content.drain(place..(place + usize::from(spoken.byte())).min(content.len()))),
            5 => {
                for byte in spoken.bytes().into_iter().zip(&mut content[place..]) {
                    *byte.1 = byte.0;
                }
            }
            6 => content[place..].fill(0),
            _ => return,
        }
    }
}
