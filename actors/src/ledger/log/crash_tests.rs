//! What a crash, a failing disk or damage may do to a log, and what it may never do.

use proptest::prelude::*;

use super::*;
use crate::disk::sim::{Faults, SimDisk};

/// Small, so that every run crosses segments.
const SEGMENT_LEN: u64 = 2_000;

fn open(disk: &SimDisk) -> Result<(Log<SimDisk>, Recovery), LogError> {
    Log::open_sized(disk.clone(), Digest::of_artefact(b"network"), SEGMENT_LEN)
}

fn payloads(log: &Log<SimDisk>) -> Vec<Vec<u8>> {
    log.scan().map(|item| item.unwrap().1.payload).collect()
}

/// Bytes that differ from record to record and hold no run of zeros.
fn payload(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((number * 7 + at * 13) % 255).unwrap() + 1).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Sync,
    Crash(u64),
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..900usize).prop_map(Step::Append),
        2 => Just(Step::Sync),
        1 => any::<u64>().prop_map(Step::Crash),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #[test]
    fn after_any_crash_the_log_is_a_prefix_with_everything_synced(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut disk = SimDisk::new();
        let mut log = open(&disk).unwrap().0;
        let (mut appended, mut synced) = (Vec::new(), 0);
        for step in steps {
            match step {
                Step::Append(len) => {
                    let payload = payload(appended.len(), len);
                    log.append(RecordKind::Consensus, &payload).unwrap();
                    appended.push(payload);
                }
                Step::Sync => {
                    log.sync().unwrap();
                    synced = appended.len();
                }
                Step::Crash(_) | Step::Kill => {
                    disk = if let Step::Crash(seed) = step { disk.crash(seed) } else { disk.kill() };
                    log = open(&disk).unwrap().0;
                    let found = payloads(&log);
                    prop_assert!(found.len() >= synced && appended.starts_with(&found));
                    synced = found.len();
                    appended = found;
                }
            }
        }
        prop_assert_eq!(payloads(&log), appended);
    }

    #[test]
    fn damage_is_never_taken_for_the_log(damage in damage()) {
        let (disk, written) = sample();
        let was = damage.apply(&disk);
        let Ok((log, _)) = open(&disk) else { return Ok(()) };
        prop_assert!(!was, "accepted {damage:?}");
        prop_assert_eq!(payloads(&log), written);
    }

    #[test]
    fn a_flipped_bit_is_no_torn_tail_even_when_the_mark_lags(
        file in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>(),
    ) {
        let (disk, _) = sample();
        disk.put(MARK_NAME, mark::encode(0).to_vec());
        Accident::Flip { file, bit }.apply(&disk);
        prop_assert!(open(&disk).is_err());
    }
}

/// A log of several writes over several segments, all durable.
fn sample() -> (SimDisk, Vec<Vec<u8>>) {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().0;
    let written: Vec<_> = (0..40).map(|number| payload(number, number * 37 % 300)).collect();
    for batch in written.chunks(3) {
        for payload in batch {
            log.append(RecordKind::Block, payload).unwrap();
        }
        log.sync().unwrap();
    }
    assert!(disk.list().unwrap().len() > 4);
    // Opening cuts the room after the last record: every byte that is left counts.
    let disk = disk.kill();
    open(&disk).unwrap();
    (disk.kill(), written)
}

#[derive(Debug, Clone)]
enum Accident {
    Flip { file: prop::sample::Index, bit: prop::sample::Index },
    Drop { file: prop::sample::Index, from: prop::sample::Index, to: prop::sample::Index },
    Zero { file: prop::sample::Index, from: prop::sample::Index, to: prop::sample::Index },
    Truncate { file: prop::sample::Index, len: prop::sample::Index },
    Remove { file: prop::sample::Index },
    SwapFiles { one: prop::sample::Index, other: prop::sample::Index },
    SwapBytes { file: prop::sample::Index, from: prop::sample::Index, to: prop::sample::Index },
}

fn damage() -> impl Strategy<Value = Accident> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), index()).prop_map(|(file, bit)| Accident::Flip { file, bit }),
        1 => (index(), index(), index()).prop_map(|(file, from, to)| Accident::Drop { file, from, to }),
        1 => (index(), index(), index()).prop_map(|(file, from, to)| Accident::Zero { file, from, to }),
        1 => (index(), index()).prop_map(|(file, len)| Accident::Truncate { file, len }),
        1 => index().prop_map(|file| Accident::Remove { file }),
        1 => (index(), index()).prop_map(|(one, other)| Accident::SwapFiles { one, other }),
        1 => (index(), index(), index()).prop_map(|(file, from, to)| Accident::SwapBytes { file, from, to }),
    ]
}

impl Accident {
    /// Damages the disk; `false` if every file is as before.
    fn apply(&self, disk: &SimDisk) -> bool {
        let names = disk.list().unwrap();
        let file = |index: &prop::sample::Index| {
            let name = names[index.index(names.len())].clone();
            let bytes = disk.bytes(&name).unwrap();
            (name, bytes)
        };
        let range = |bytes: &[u8], from: &prop::sample::Index, to: &prop::sample::Index| {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len() + 1));
            from.min(to)..from.max(to)
        };
        let (name, before) = match self {
            Self::SwapFiles { one, .. } => file(one),
            Self::Flip { file: index, .. }
            | Self::Drop { file: index, .. }
            | Self::Zero { file: index, .. }
            | Self::Truncate { file: index, .. }
            | Self::Remove { file: index }
            | Self::SwapBytes { file: index, .. } => file(index),
        };
        let mut bytes = before.clone();
        match self {
            Self::Flip { bit, .. } => {
                let bit = bit.index(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            Self::Drop { from, to, .. } => drop(bytes.drain(range(&before, from, to))),
            Self::Zero { from, to, .. } => bytes[range(&before, from, to)].fill(0),
            Self::Truncate { len, .. } => bytes.truncate(len.index(before.len() + 1)),
            Self::SwapBytes { from, to, .. } => {
                let range = range(&before, from, to);
                bytes[range].reverse();
            }
            Self::Remove { .. } => {
                let mut disk = disk.clone();
                disk.remove(&name).unwrap();
                disk.sync_dir().unwrap();
                return true;
            }
            Self::SwapFiles { other, .. } => {
                let (other, theirs) = file(other);
                bytes = theirs;
                disk.put(&other, before.clone());
            }
        }
        let is_changed = bytes != before;
        disk.put(&name, bytes);
        is_changed
    }
}

#[test]
fn a_crash_at_every_operation_keeps_everything_synced() {
    let run = |disk: &SimDisk| -> usize {
        let Ok((mut log, _)) = open(disk) else { return 0 };
        let mut synced = 0;
        for number in 0..30 {
            if log.append(RecordKind::Decision, &payload(number, 150)).is_err() {
                return synced;
            }
            if number % 3 == 2 {
                match log.sync() {
                    Ok(()) => synced = number + 1,
                    Err(_) => return synced,
                }
            }
        }
        synced
    };
    let whole = SimDisk::new();
    assert_eq!(run(&whole), 30);
    for at in 1..=whole.counts().operations {
        for seed in 0..20 {
            let disk = SimDisk::new();
            disk.set_faults(Faults { stop_at_operation: Some(at), ..Faults::default() });
            let synced = run(&disk);
            let (log, _) = open(&disk.crash(seed)).unwrap_or_else(|error| panic!("{at} {seed}: {error}"));
            let found = payloads(&log);
            assert!(found.len() >= synced, "operation {at}, seed {seed}");
            assert!(found.iter().enumerate().all(|(number, found)| *found == payload(number, 150)));
        }
    }
}

#[test]
fn what_a_killed_process_left_with_the_kernel_is_durable_once_it_was_read() {
    for seed in 0..20 {
        let disk = SimDisk::new();
        let (mut log, _) = open(&disk).unwrap();
        let syncs = disk.counts().syncs;
        disk.set_faults(Faults {
            stop_at_operation: Some(disk.counts().operations + 3),
            ..Faults::default()
        });
        log.append(RecordKind::Consensus, b"vote").unwrap();
        log.sync().unwrap_err();
        assert_eq!(disk.counts().syncs, syncs, "the machine stopped before the sync");
        let disk = disk.kill();
        assert_eq!(payloads(&open(&disk).unwrap().0), [b"vote"]);
        assert_eq!(payloads(&open(&disk.crash(seed)).unwrap().0), [b"vote"]);
    }
}

#[test]
fn a_crash_while_a_torn_tail_is_cut_is_survived() {
    for seed in 0..200 {
        let disk = SimDisk::new();
        let (mut log, _) = open(&disk).unwrap();
        log.append(RecordKind::Block, &payload(0, 600)).unwrap();
        log.sync().unwrap();
        let operations = disk.counts().operations;
        disk.set_faults(Faults { stop_at_operation: Some(operations + 2), ..Faults::default() });
        log.append(RecordKind::Block, &payload(1, 600)).unwrap();
        log.sync().unwrap_err();
        let disk = disk.crash(seed);
        disk.set_faults(Faults { stop_at_operation: Some(operations + 4), ..Faults::default() });
        let _interrupted = open(&disk);
        let found = payloads(&open(&disk.crash(seed + 1)).unwrap().0);
        assert!(found == [payload(0, 600)] || found == [payload(0, 600), payload(1, 600)]);
    }
}

#[test]
fn what_a_failed_sync_lost_is_never_reported_durable() {
    let disk = SimDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    log.append(RecordKind::Block, b"kept").unwrap();
    log.sync().unwrap();
    let syncs = disk.counts().syncs;
    disk.set_faults(Faults { fail_sync: Some(syncs + 1), ..Faults::default() });
    log.append(RecordKind::Block, b"lost").unwrap();
    log.sync().unwrap_err();
    assert!(matches!(log.sync(), Err(LogError::Poisoned)), "a second sync would lie");
    assert_eq!(payloads(&open(&disk.crash(1)).unwrap().0), [b"kept"]);
}

/// The kernel goes on to show bytes whose sync failed and calls them clean, so that the next sync does nothing for them.
#[test]
fn what_is_read_after_a_failed_sync_is_written_again_before_it_counts() {
    for seed in 0..50 {
        let disk = SimDisk::new();
        let (mut log, _) = open(&disk).unwrap();
        log.append(RecordKind::Block, b"kept").unwrap();
        log.sync().unwrap();
        let syncs = disk.counts().syncs;
        disk.set_faults(Faults { fail_sync: Some(syncs + 1), ..Faults::default() });
        log.append(RecordKind::Block, b"unsure").unwrap();
        log.sync().unwrap_err();
        let disk = disk.kill();
        let (mut log, _) = open(&disk).unwrap();
        assert_eq!(payloads(&log), [&b"kept"[..], b"unsure"], "the next life reads it");
        log.append(RecordKind::Block, b"after").unwrap();
        log.sync().unwrap();
        let found = payloads(&open(&disk.crash(seed)).unwrap().0);
        assert_eq!(found, [&b"kept"[..], b"unsure", b"after"], "and has told others so: seed {seed}");
    }
}

#[test]
fn a_full_disk_stops_the_log_and_loses_nothing_synced() {
    let disk = SimDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    // Not enough to lengthen the segment ahead, which is no failure yet.
    disk.set_faults(Faults { capacity: Some(600), ..Faults::default() });
    log.append(RecordKind::Block, &payload(0, 300)).unwrap();
    log.sync().unwrap();
    log.append(RecordKind::Block, &payload(1, 300)).unwrap();
    let LogError::Disk { source, .. } = log.sync().unwrap_err() else { panic!("another error") };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    let (log, recovery) = open(&disk.kill()).unwrap();
    assert_eq!(payloads(&log), [payload(0, 300)]);
    assert_eq!(recovery.torn_tail, None, "what was written of it is cut at once");
}

/// A first start whose sync failed leaves a mark that only the kernel holds, and readers see it.
#[test]
fn a_mark_that_was_never_synced_is_made_again() {
    for seed in 0..32 {
        for failed in 1..=4 {
            let disk = SimDisk::new();
            disk.set_faults(Faults { fail_sync: Some(failed), ..Faults::default() });
            let _interrupted = open(&disk);
            let disk = disk.kill();
            let mut log = open(&disk).unwrap().0;
            log.append(RecordKind::Block, b"kept").unwrap();
            log.sync().unwrap();
            let opened = open(&disk.crash(seed)).unwrap_or_else(|error| panic!("{failed} {seed}: {error}"));
            assert_eq!(payloads(&opened.0), [b"kept"], "{failed} {seed}");
        }
    }
}
