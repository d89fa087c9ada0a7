use super::{
    sim_disk::{Counts, Faults, SimDisk},
    *,
};

fn network() -> Digest {
    Digest::of_artefact(b"network")
}

fn open(disk: &SimDisk) -> (Log<SimDisk>, Recovery) {
    Log::open(disk.clone(), network()).unwrap()
}

fn payloads(log: &Log<SimDisk>) -> Vec<Vec<u8>> {
    log.scan().map(|item| item.unwrap().1.payload).collect()
}

#[test]
fn appended_records_are_read_back_before_and_after_sync_and_reopening() {
    let disk = SimDisk::new();
    let (mut log, recovery) = open(&disk);
    assert_eq!(recovery, Recovery { records: 0, last: None, torn_tail: None });
    let positions: Vec<_> = RecordKind::ALL
        .into_iter()
        .map(|kind| (kind, log.append(kind, &[kind as u8; 300]).unwrap()))
        .collect();
    let check = |log: &Log<SimDisk>| {
        for (kind, position) in &positions {
            let record = log.read(*position).unwrap();
            assert_eq!(record, Record { kind: *kind, payload: vec![*kind as u8; 300] });
        }
    };
    check(&log);
    assert!(log.has_pending());
    log.sync().unwrap();
    assert!(!log.has_pending());
    check(&log);
    let (log, recovery) = open(&disk.crash(1));
    assert_eq!(recovery.records, 4);
    assert_eq!(recovery.last, Some(positions[3].1));
    check(&log);
    assert_eq!(log.scan_from(positions[2].1).count(), 2);
}

#[test]
fn a_sync_without_pending_records_touches_nothing() {
    let disk = SimDisk::new();
    let (mut log, _) = open(&disk);
    log.append(RecordKind::Block, b"x").unwrap();
    log.sync().unwrap();
    let counts = disk.counts();
    log.sync().unwrap();
    assert_eq!(disk.counts(), counts);
}

#[test]
fn one_sync_covers_many_records() {
    let disk = SimDisk::new();
    let (mut log, _) = open(&disk);
    let before = disk.counts();
    for _ in 0..100 {
        log.append(RecordKind::Consensus, b"entry").unwrap();
    }
    log.sync().unwrap();
    let after = disk.counts();
    assert_eq!((after.appends - before.appends, after.syncs - before.syncs), (1, 1));
}

#[test]
fn a_failed_write_or_sync_stops_the_log_for_good() {
    for fail_sync in [true, false] {
        let disk = SimDisk::new();
        let (mut log, _) = open(&disk);
        let Counts { appends, syncs, .. } = disk.counts();
        disk.set_faults(Faults {
            fail_append: (!fail_sync).then_some(appends + 1),
            fail_sync: fail_sync.then_some(syncs + 1),
            ..Faults::default()
        });
        log.append(RecordKind::Block, b"x").unwrap();
        assert!(matches!(log.sync(), Err(LogError::Disk { .. })));
        assert!(matches!(log.sync(), Err(LogError::Poisoned)));
        assert!(matches!(log.append(RecordKind::Block, b"y"), Err(LogError::Poisoned)));
    }
}

#[test]
fn a_payload_that_is_too_long_is_refused_and_the_log_goes_on() {
    let (mut log, _) = open(&SimDisk::new());
    let error = log.append(RecordKind::Block, &vec![0; RECORD_LEN_MAX + 1]).unwrap_err();
    assert_eq!(error.to_string(), "a record of 4194305 bytes is too long, at most 4194304 are allowed");
    log.append(RecordKind::Block, b"x").unwrap();
    log.sync().unwrap();
    assert_eq!(payloads(&log), [b"x"]);
}

#[test]
fn a_full_segment_is_followed_by_the_next_and_read_across() {
    let disk = SimDisk::new();
    let (mut log, _) = open(&disk);
    let positions: Vec<_> =
        (0..20u8).map(|n| log.append(RecordKind::Block, &vec![n; RECORD_LEN_MAX]).unwrap()).collect();
    log.sync().unwrap();
    assert_eq!(disk.list().unwrap().len(), 2);
    let (log, recovery) = open(&disk.crash(1));
    assert_eq!(recovery.records, 20);
    for (item, position) in log.scan().zip(&positions) {
        let (found, record) = item.unwrap();
        assert_eq!(found, *position);
        assert_eq!(log.read(found).unwrap(), record);
    }
}
