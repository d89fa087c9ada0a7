use super::{record::Damage, *};
use crate::disk::sim::{Counts, Faults, OperationFault, SimDisk};

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

/// Has the next write to the disk stop half-way, and the call after it fail when `is_cut_failing`.
fn fail_write(disk: &SimDisk, is_cut_failing: bool) {
    let Counts { appends, operations, .. } = disk.counts();
    let at_operation = is_cut_failing.then_some((operations + 2, OperationFault::Error));
    disk.set_faults(Faults { fail_append: Some(appends + 1), at_operation, ..Faults::default() });
}

#[test]
fn a_write_that_failed_within_a_sector_is_cut_at_the_next_start() {
    for len in (1..600).step_by(23) {
        let disk = SimDisk::new();
        let (mut log, _) = open(&disk);
        log.append(RecordKind::Block, b"durable").unwrap();
        log.sync().unwrap();
        fail_write(&disk, true);
        log.append(RecordKind::Block, &vec![7; len]).unwrap();
        assert!(log.sync().is_err());
        let (log, recovery) = open(&disk.kill());
        assert_eq!(payloads(&log), [b"durable"], "payload of {len} bytes");
        assert!(recovery.torn_tail.is_some());
    }
}

#[test]
fn a_write_that_stopped_a_few_bytes_before_the_end_of_a_record_is_cut_at_once() {
    for missing in 1..20 {
        let disk = SimDisk::new();
        let (mut log, _) = open(&disk);
        log.append(RecordKind::Block, b"durable").unwrap();
        log.sync().unwrap();
        fail_write(&disk, false);
        log.append(RecordKind::Block, &[7; 300]).unwrap();
        log.append(RecordKind::Block, &vec![7; 300 - 2 * missing]).unwrap();
        assert!(log.sync().is_err());
        let (log, recovery) = open(&disk.kill());
        assert_eq!(payloads(&log), [b"durable"], "{missing} bytes short");
        assert_eq!(recovery.torn_tail, None);
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
    assert_eq!(disk.list().unwrap().len(), 3, "two segments and the mark");
    let (log, recovery) = open(&disk.crash(1));
    assert_eq!(recovery.records, 20);
    for (item, position) in log.scan().zip(&positions) {
        let (found, record) = item.unwrap();
        assert_eq!(found, *position);
        assert_eq!(log.read(found).unwrap(), record);
    }
}

#[test]
fn the_bytes_of_a_log_are_pinned() {
    let disk = SimDisk::new();
    let (mut log, _) = open(&disk);
    log.append(RecordKind::Consensus, b"vote").unwrap();
    log.append(RecordKind::Block, b"").unwrap();
    log.sync().unwrap();
    log.append(RecordKind::Decision, b"certificate").unwrap();
    log.sync().unwrap();
    let segment = disk.bytes("00000000000000000000.seg").unwrap();
    let (records, room) = segment.split_at(usize::try_from(log.end_of_last()).unwrap());
    assert_eq!(hex::encode(records), include_str!("fixtures/segment.hex").trim());
    assert!(
        records.len() + room.len() == usize::try_from(ROOM_LEN).unwrap()
            && room.iter().all(|byte| *byte == 0)
    );
    assert_eq!(hex::encode(disk.bytes("durable.mark").unwrap()), include_str!("fixtures/mark.hex").trim());
    let disk = disk.kill();
    assert_eq!(open(&disk).1.torn_tail, None, "room is no torn tail");
    assert_eq!(disk.bytes("00000000000000000000.seg").unwrap(), records);
}

#[test]
fn a_pinned_log_is_read() {
    let bytes = |text: &str| hex::decode(text.trim()).unwrap();
    let disk = SimDisk::new();
    disk.put("00000000000000000000.seg", bytes(include_str!("fixtures/segment.hex")));
    disk.put("durable.mark", bytes(include_str!("fixtures/mark.hex")));
    let kinds: Vec<_> = open(&disk).0.scan().map(|item| item.unwrap().1.kind).collect();
    assert_eq!(kinds, [RecordKind::Consensus, RecordKind::Block, RecordKind::Decision]);
}

#[test]
fn damage_names_the_place_and_the_remedy() {
    let disk = SimDisk::new();
    let (mut log, _) = open(&disk);
    for payload in [b"first", b"other"] {
        log.append(RecordKind::Block, payload).unwrap();
        log.sync().unwrap();
    }
    disk.flip_bit("00000000000000000000.seg", (74 + 53) * 8);
    let disk = disk.kill();
    let error = Log::open(disk.clone(), network()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the log's file 00000000000000000000.seg is damaged at offset 74, record 0: the record's payload is damaged; \
         stop this node, set its data directory aside, start with an empty one and let it catch up from its peers; a \
         validator waits first until the others have decided one more block, so that it never signs twice"
    );
    disk.put("durable.mark", Vec::new());
    assert_eq!(
        Log::open(disk, network()).unwrap_err().to_string(),
        "the log's file durable.mark is missing or damaged; stop this node, set its data directory aside, start with \
         an empty one and let it catch up from its peers; a \
         validator waits first until the others have decided one more block, so that it never signs twice"
    );
}

#[test]
fn a_log_of_another_network_or_a_newer_format_or_with_a_strange_file_is_refused() {
    let disk = SimDisk::new();
    open(&disk);
    let other = Digest::of_artefact(b"other");
    let error = Log::open(disk.clone(), other).unwrap_err();
    assert!(
        matches!(error, LogError::OtherNetwork { found, expected } if found == network() && expected == other)
    );

    let name = "00000000000000000000.seg";
    let mut newer = disk.bytes(name).unwrap();
    newer[8] = 2;
    let check: [u8; 8] = record::check(&newer[..66]);
    newer[66..].copy_from_slice(&check);
    disk.put(name, newer);
    assert_eq!(
        Log::open(disk.clone(), network()).unwrap_err().to_string(),
        "the log has format 2, this version reads up to 1; start the newer version"
    );

    disk.put("7.seg", Vec::new());
    assert_eq!(
        Log::open(disk, network()).unwrap_err().to_string(),
        "`7.seg` in the log's directory is not the name of a segment; move it away"
    );
}

#[test]
fn a_position_that_holds_no_record_is_refused() {
    let (mut log, _) = open(&SimDisk::new());
    let position = log.append(RecordKind::Block, b"x").unwrap();
    log.sync().unwrap();
    log.append(RecordKind::Block, b"pending").unwrap();
    for position in [
        RecordPosition { number: 5, ..position },
        RecordPosition { segment: 3, ..position },
        RecordPosition { number: 1, ..position },
        RecordPosition { offset: 75, ..position },
        RecordPosition { offset: u32::MAX, ..position },
        RecordPosition { offset: 0, ..position },
    ] {
        assert!(log.read(position).is_err(), "{position:?}");
    }
}

#[test]
fn a_record_of_another_history_is_no_part_of_the_log() {
    let written = |first: &[u8]| {
        let disk = SimDisk::new();
        let (mut log, _) = open(&disk);
        for payload in [first, b"same", b"last"] {
            log.append(RecordKind::Block, payload).unwrap();
        }
        log.sync().unwrap();
        disk.kill()
    };
    let (disk, other) = (written(b"one"), written(b"two"));
    let name = "00000000000000000000.seg";
    let (mut bytes, theirs) = (disk.bytes(name).unwrap(), other.bytes(name).unwrap());
    let second = 74 + 56..74 + 56 + 57;
    bytes[second.clone()].copy_from_slice(&theirs[second]);
    disk.put(name, bytes);
    let error = Log::open(disk, network()).unwrap_err();
    assert!(matches!(error, LogError::Damaged { record: 1, damage: Damage::Order, .. }), "{error}");
}

#[test]
fn a_lost_sector_is_no_torn_tail_when_a_later_write_follows() {
    let disk = SimDisk::new();
    let (mut log, _) = open(&disk);
    for byte in 1..4 {
        log.append(RecordKind::Block, &[byte; 2_000]).unwrap();
        log.sync().unwrap();
    }
    let disk = disk.kill();
    let name = "00000000000000000000.seg";
    let whole = disk.bytes(name).unwrap();
    for (sector, is_last_write) in [(1, false), (5, false), (9, true)] {
        disk.put(MARK_NAME, mark::encode(0).to_vec());
        let mut bytes = whole.clone();
        bytes[sector * 512..(sector + 1) * 512].fill(0);
        disk.put(name, bytes);
        let opened = Log::open(disk.clone(), network());
        match opened {
            Ok((_, recovery)) => assert!(is_last_write && recovery.records == 2),
            Err(error) => assert!(!is_last_write && matches!(error, LogError::Damaged { .. }), "{error}"),
        }
    }
}
