use super::*;

#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
enum Sample {
    V1(String),
}

const KIND: Kind = *b"sample  ";

fn sample(text: &str) -> Sample {
    Sample::V1(text.to_owned())
}

fn read(path: &Path) -> Result<(Vec<Sample>, Recovery), JournalError> {
    let mut records = Vec::new();
    let (_, recovery) = Journal::open(path, KIND, |record| records.push(record))?;
    Ok((records, recovery))
}

fn journal_of(path: &Path, texts: &[&str]) {
    let (mut journal, _) = Journal::open(path, KIND, |_: Sample| ()).unwrap();
    for text in texts {
        journal.append(&sample(text)).unwrap();
    }
}

#[test]
fn records_come_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    journal_of(&path, &["a", "b"]);
    journal_of(&path, &["c"]);
    let (records, recovery) = read(&path).unwrap();
    assert_eq!(records, [sample("a"), sample("b"), sample("c")]);
    assert_eq!(recovery, Recovery { records: 3, cut_bytes: 0 });
}

#[test]
fn a_group_reaches_the_disk_whole_and_only_when_it_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (mut journal, _) = Journal::open(&path, KIND, |_: Sample| ()).unwrap();
    journal.add(&sample("a")).unwrap();
    journal.add(&sample("b")).unwrap();
    assert_eq!(read(&path).unwrap().0, []);
    journal.sync().unwrap();
    journal.append(&sample("c")).unwrap();
    assert_eq!(read(&path).unwrap().0, [sample("a"), sample("b"), sample("c")]);
}

#[test]
fn a_group_is_full_at_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(&dir.path().join("journal"), KIND, |_: Sample| ()).unwrap();
    journal.add(&sample("a")).unwrap();
    assert!(!journal.is_group_full());
    journal.add(&sample(&"b".repeat(GROUP_LEN_MAX))).unwrap();
    assert!(journal.is_group_full());
    journal.sync().unwrap();
    assert!(!journal.is_group_full());
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    journal_of(&path, &["a"]);
    let first = std::fs::read(&path).unwrap();
    journal_of(&path, &["b"]);
    let both = std::fs::read(&path).unwrap();
    for len in first.len()..both.len() {
        std::fs::write(&path, &both[..len]).unwrap();
        assert_eq!(read(&path).unwrap().0, [sample("a")], "cut at {len}");
        assert_eq!(std::fs::read(&path).unwrap(), first);
        std::fs::write(&path, [&both[..len], &vec![0; both.len() - len]].concat()).unwrap();
        let zeroed = read(&path);
        let kept = zeroed.map(|(records, _)| records.len());
        assert!(matches!(kept, Ok(1)) || len > both.len() - 4, "zeros from {len}: {kept:?}");
    }
    std::fs::write(&path, &both[..both.len() - 1]).unwrap();
    journal_of(&path, &["c"]);
    assert_eq!(read(&path).unwrap().0, [sample("a"), sample("c")]);
}

#[test]
fn a_flipped_bit_anywhere_is_refused_and_located() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    journal_of(&path, &["a", "b"]);
    let bytes = std::fs::read(&path).unwrap();
    for index in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[index] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert!(read(&path).is_err(), "flip at {index}");
        assert_eq!(std::fs::read(&path).unwrap(), flipped, "a refused journal is left as it is");
    }
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    let message = read(&path).unwrap_err().to_string();
    assert!(message.contains("after record 1: the record's digest does not fit"), "{message}");
}

#[test]
fn a_record_taken_out_of_the_middle_breaks_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    journal_of(&path, &["a", "b", "c"]);
    let bytes = std::fs::read(&path).unwrap();
    let frame = (bytes.len() - 16) / 3;
    std::fs::write(&path, [&bytes[..16 + frame], &bytes[16 + 2 * frame..]].concat()).unwrap();
    let message = read(&path).unwrap_err().to_string();
    assert!(message.contains("does not follow the one before it"), "{message}");
}

#[test]
fn a_journal_of_another_kind_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    journal_of(&path, &["a"]);
    let opened = Journal::open(&path, *b"other   ", |_: Sample| ());
    assert!(matches!(opened, Err(JournalError::OtherFile { .. })));
}

#[test]
fn the_bytes_on_disk_are_format_1() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    journal_of(&path, &["a"]);
    let expected = "616c74686a726e3173616d706c6520202e000000d1ffffff0100000000000000\
                    0000000000000000000000000000000000000000000000000000000000000000\
                    000100000061";
    let bytes = hex::encode(std::fs::read(&path).unwrap());
    assert_eq!(bytes[..expected.len()], *expected);
}

#[test]
fn a_group_of_which_the_disk_wrote_some_sectors_only_is_cut() {
    let disk = crate::disk::sim::SimDisk::new();
    let open = |each: &mut dyn FnMut(Sample)| Journal::open((disk.clone(), "journal"), KIND, each).unwrap();
    let (mut journal, _) = open(&mut |_| ());
    journal.append(&sample("a")).unwrap();
    let first = disk.bytes("journal").unwrap();
    for _ in 0..20 {
        journal.add(&sample(&"b".repeat(100))).unwrap();
    }
    journal.sync().unwrap();
    drop(journal);
    let whole = disk.bytes("journal").unwrap();
    for sector in 1..whole.len() / SECTOR_LEN {
        let mut torn = whole.clone();
        torn[sector * SECTOR_LEN..(sector + 1) * SECTOR_LEN].fill(0);
        disk.put("journal", torn);
        let mut records = Vec::new();
        let (_, recovery) = open(&mut |record| records.push(record));
        assert_eq!(records[0], sample("a"));
        assert!(recovery.cut_bytes > 0 && records.len() < 21, "sector {sector}: {recovery:?}");
    }
    assert!(first.len() < SECTOR_LEN);
}

/// The frame's first bytes may be the last ones of a sector that was not written.
#[test]
fn a_group_that_begins_just_before_the_end_of_a_sector_is_cut_when_that_sector_was_not_written() {
    for before in 1..=12 {
        let disk = crate::disk::sim::SimDisk::new();
        let open = |each: &mut dyn FnMut(Sample)| Journal::open((disk.clone(), "journal"), KIND, each);
        let (mut journal, _) = open(&mut |_| ()).unwrap();
        journal.append(&sample("")).unwrap();
        let empty = disk.bytes("journal").unwrap().len();
        // A second record of a length that ends where the third shall begin.
        let frame = empty - HEADER_LEN;
        journal.append(&sample(&"a".repeat(SECTOR_LEN - before - empty - frame))).unwrap();
        assert_eq!(disk.bytes("journal").unwrap().len(), SECTOR_LEN - before);
        for _ in 0..3 {
            journal.add(&sample(&"b".repeat(300))).unwrap();
        }
        journal.sync().unwrap();
        drop(journal);
        let mut torn = disk.bytes("journal").unwrap();
        torn[SECTOR_LEN - before..SECTOR_LEN].fill(0);
        disk.put("journal", torn);
        let mut count = 0;
        let (_, recovery) = open(&mut |_| count += 1).unwrap_or_else(|error| panic!("{before}: {error}"));
        assert!(count == 2 && recovery.cut_bytes > 0, "{before}: {recovery:?}");
    }
}

#[test]
fn what_is_read_after_a_failed_sync_is_written_again_before_it_counts() {
    use crate::disk::sim::{Faults, SimDisk};
    for seed in 0..50 {
        let disk = SimDisk::new();
        let open = |disk: &SimDisk, each: &mut dyn FnMut(Sample)| {
            Journal::open((disk.clone(), "journal"), KIND, each).unwrap().0
        };
        let mut journal = open(&disk, &mut |_| ());
        journal.append(&sample("kept")).unwrap();
        disk.set_faults(Faults { fail_sync: Some(disk.counts().syncs + 1), ..Faults::default() });
        journal.append(&sample("unsure")).unwrap_err();
        let disk = disk.kill();
        let mut texts = Vec::new();
        let mut journal = open(&disk, &mut |Sample::V1(text)| texts.push(text));
        assert_eq!(texts, ["kept", "unsure"]);
        journal.append(&sample("after")).unwrap();
        let mut texts = Vec::new();
        open(&disk.crash(seed), &mut |Sample::V1(text)| texts.push(text));
        assert_eq!(texts, ["kept", "unsure", "after"], "seed {seed}");
    }
}
