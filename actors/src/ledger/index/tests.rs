use althing_contracts::{
    event::Event,
    name::Line,
    quantity::TimeMs,
    rules::{Finding, RuleId},
    transaction::ProposalId,
};

use super::*;

fn network() -> Digest {
    Digest::of_artefact(b"network")
}

fn id(number: u64) -> TransactionId {
    Digest::of_artefact(&number.to_be_bytes())
}

fn event(height: u64, sequence: u64) -> EventRecord {
    EventRecord {
        sequence: EventSequence::new(sequence),
        height: Height::new(height),
        time: TimeMs::new(height),
        event: Event::Promoted { proposal: proposal(sequence) },
    }
}

fn proposal(number: u64) -> ProposalId {
    ProposalId::from_digest(id(number))
}

fn positions(height: u64) -> BlockPositions {
    let position = |number| RecordPosition { number, segment: 0, offset: 74 };
    BlockPositions { block: position(height * 2 - 2), decision: position(height * 2 - 1) }
}

/// Stores a block with two transactions and two events.
fn put(index: &mut Index, height: u64) -> Put {
    let block = IndexedBlock {
        height: Height::new(height),
        positions: positions(height),
        transactions: &[id(height * 2), id(height * 2 + 1)],
        events: &[event(height, height * 2 - 1), event(height, height * 2)],
    };
    index.put_block(&block).unwrap()
}

fn filled(directory: &Path, blocks: u64) -> Index {
    let (mut index, recovery) = Index::open(directory, network(), blocks * 2).unwrap();
    assert_eq!(recovery, IndexRecovery::Sound);
    for height in 1..=blocks {
        assert_eq!(put(&mut index, height), Put::New);
    }
    index
}

#[test]
fn what_was_stored_is_found_before_and_after_reopening() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("index");
    drop(filled(&directory, 20));
    let (mut index, recovery) = Index::open(&directory, network(), 40).unwrap();
    assert_eq!(recovery, IndexRecovery::Sound);
    assert_eq!((index.applied(), index.last_event()), (Height::new(20), EventSequence::new(40)));
    assert_eq!(index.block_position(Height::new(7)).unwrap(), Some(positions(7)));
    assert_eq!(index.block_position(Height::new(21)).unwrap(), None);
    assert_eq!(index.block_position(Height::ZERO).unwrap(), None);
    assert_eq!(index.transaction_height(&id(15)).unwrap(), Some(Height::new(7)));
    assert_eq!(index.transaction_height(&id(1_000)).unwrap(), None);
    assert_eq!(put(&mut index, 20), Put::Same);
}

#[test]
fn events_are_read_in_order_after_a_number_and_within_the_limit() {
    let parent = tempfile::tempdir().unwrap();
    let index = filled(&parent.path().join("index"), 10);
    let after = |after, limit| -> Vec<u64> {
        let events = index.events_after(EventSequence::new(after), limit).unwrap();
        events.iter().map(|event| event.sequence.get()).collect()
    };
    assert_eq!(after(0, 3), [1, 2, 3]);
    assert_eq!(after(17, 100), [18, 19, 20]);
    assert_eq!(after(18, 1), [19]);
    assert!(after(20, 100).is_empty());
    assert!(after(u64::MAX, 100).is_empty());
    assert!(after(0, 0).is_empty());
}

#[test]
fn a_block_that_leaves_a_gap_is_refused_and_an_empty_index_starts_anywhere() {
    let parent = tempfile::tempdir().unwrap();
    let (mut index, _) = Index::open(&parent.path().join("index"), network(), 100).unwrap();
    put(&mut index, 5);
    let gap =
        IndexedBlock { height: Height::new(7), positions: positions(7), transactions: &[], events: &[] };
    let error = index.put_block(&gap).unwrap_err();
    assert_eq!(error.to_string(), "block 7 does not follow block 5 of the index");
    assert_eq!(index.block_position(Height::new(4)).unwrap(), None);
    assert_eq!(index.events_after(EventSequence::ZERO, 10).unwrap().len(), 2);
}

#[test]
fn events_of_a_large_block_are_read_across_their_chunks() {
    let parent = tempfile::tempdir().unwrap();
    let (mut index, _) = Index::open(&parent.path().join("index"), network(), 10).unwrap();
    let events: Vec<_> = (1..=500).map(|sequence| event(1, sequence)).collect();
    let mut block =
        IndexedBlock { height: Height::new(1), positions: positions(1), transactions: &[], events: &events };
    index.put_block(&block).unwrap();
    assert!(index.trees.events.len() > 5);
    for after in 0..500 {
        let found = index.events_after(EventSequence::new(after as u64), 70).unwrap();
        assert_eq!(found, events[after..events.len().min(after + 70)]);
    }
    block.height = Height::new(2);
    let error = index.put_block(&block).unwrap_err();
    assert_eq!(error.to_string(), "event 1 does not follow event 500");
}

#[test]
fn transactions_are_found_before_and_after_they_went_into_runs() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("index");
    let (mut index, _) = Index::open(&directory, network(), 100).unwrap();
    let ids_of = |height: u64| -> Vec<TransactionId> { (0..3_000).map(|n| id(height * 3_000 + n)).collect() };
    for height in 1..=12 {
        let block = IndexedBlock {
            height: Height::new(height),
            positions: positions(height),
            transactions: &ids_of(height),
            events: &[],
        };
        index.put_block(&block).unwrap();
    }
    let is_run = |entry: Result<(sled::IVec, sled::IVec), sled::Error>| entry.unwrap().0[0] == 1;
    assert_eq!(index.trees.transactions.iter().filter(|entry| is_run(entry.clone())).count(), 512);
    let check = |index: &Index| {
        for height in 1..=12 {
            for id in ids_of(height).iter().step_by(97) {
                assert_eq!(index.transaction_height(id).unwrap(), Some(Height::new(height)));
            }
        }
        assert_eq!(index.transaction_height(&id(0)).unwrap(), None);
    };
    check(&index);
    drop(index);
    let (index, recovery) = Index::open(&directory, network(), 100).unwrap();
    assert_eq!(recovery, IndexRecovery::Sound);
    check(&index);
}

#[test]
fn small_blocks_go_into_runs_before_their_entries_are_too_many() {
    let parent = tempfile::tempdir().unwrap();
    let index = filled(&parent.path().join("index"), 1_500);
    let recent = index.trees.transactions.scan_prefix([0]).count();
    assert_eq!(recent, 1_500 - 1_025);
    for height in (1..=1_500).step_by(31) {
        assert_eq!(index.transaction_height(&id(height * 2)).unwrap(), Some(Height::new(height)));
    }
}

#[test]
fn an_index_that_was_moved_by_a_process_that_died_before_it_took_the_mark_away_starts_empty() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("index");
    drop(filled(&directory, 2));
    aside::mark(&directory, &Doubt::Sled("planted".to_owned()));
    std::fs::rename(&directory, parent.path().join("index.broken-1")).unwrap();
    let (index, recovery) = Index::open(&directory, network(), 4).unwrap();
    assert_eq!(index.applied(), Height::ZERO);
    let IndexRecovery::SetAside { path, .. } = recovery else { panic!("{recovery:?}") };
    assert_eq!(path, parent.path().join("index.broken-1"));
    drop(index);
    assert_eq!(Index::open(&directory, network(), 4).unwrap().1, IndexRecovery::Sound);
}

#[test]
fn an_index_of_another_network_or_beyond_the_log_is_set_aside_and_starts_empty() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("index");
    drop(filled(&directory, 3));
    let (index, recovery) = Index::open(&directory, network(), 5).unwrap();
    let path = parent.path().join("index.broken-1");
    let doubt = Doubt::BeyondLog { needed: 6, found: 5 };
    assert_eq!(recovery, IndexRecovery::SetAside { doubt, path: path.clone() });
    assert!(path.is_dir());
    assert_eq!(index.applied(), Height::ZERO);
    drop(index);
    let (_, recovery) = Index::open(&directory, Digest::ZERO, 5).unwrap();
    let path = parent.path().join("index.broken-2");
    assert_eq!(recovery, IndexRecovery::SetAside { doubt: Doubt::OtherNetwork(network()), path });
}

#[test]
fn a_value_that_was_changed_under_the_index_is_never_returned() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("index");
    let index = filled(&directory, 3);
    let sealed = index.trees.blocks.get(2u64.to_be_bytes()).unwrap().unwrap();
    index.trees.blocks.insert(1u64.to_be_bytes(), sealed).unwrap();
    let error = index.block_position(Height::new(1)).unwrap_err();
    assert!(matches!(error, IndexError::Doubt(Doubt::Value { tree: "blocks", error: ValueError::Digest })));
    drop(index);
    let (index, recovery) = Index::open(&directory, network(), 6).unwrap();
    let IndexRecovery::SetAside { doubt: Doubt::Marked(text), .. } = recovery else { panic!("{recovery:?}") };
    assert_eq!(text, "a value of `blocks` is damaged: its digest does not match");
    drop(index);
    assert_eq!(Index::open(&directory, network(), 6).unwrap().1, IndexRecovery::Sound);
}

#[test]
fn entries_that_sled_lost_are_noticed() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("index");
    let index = filled(&directory, 3);
    index.trees.events.remove(3u64.to_be_bytes()).unwrap();
    assert_eq!(index.events_after(EventSequence::ZERO, 2).unwrap().len(), 2);
    let error = index.events_after(EventSequence::ZERO, 10).unwrap_err();
    assert!(matches!(error, IndexError::Doubt(Doubt::Missing { tree: "events", key: 3 })));
    drop(index);
    std::fs::remove_file(parent.path().join("index.doubt")).unwrap();
    let (_, recovery) = Index::open(&directory, network(), 6).unwrap();
    let doubt = Doubt::Count { tree: "events", found: 4, expected: 6 };
    let IndexRecovery::SetAside { doubt: found, .. } = recovery else { panic!("{recovery:?}") };
    assert_eq!(found, doubt);
}

#[test]
fn a_value_above_the_bound_is_refused_and_nothing_is_stored() {
    let parent = tempfile::tempdir().unwrap();
    let (mut index, _) = Index::open(&parent.path().join("index"), network(), 2).unwrap();
    let finding =
        Finding { rule: RuleId::CostCeiling, message: Line::new("a remark that is thirty letters").unwrap() };
    let event = EventRecord {
        event: Event::RulesBroken { proposal: proposal(1), findings: vec![finding; 1_000] },
        ..event(1, 1)
    };
    let block = IndexedBlock {
        height: Height::new(1),
        positions: positions(1),
        transactions: &[id(1)],
        events: &[event],
    };
    assert!(matches!(index.put_block(&block), Err(IndexError::TooLong { .. })));
    assert_eq!(index.applied(), Height::ZERO);
    assert_eq!(index.transaction_height(&id(1)).unwrap(), None);
}

#[test]
fn at_most_three_broken_indexes_are_kept() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("index");
    for network in 0..6 {
        drop(Index::open(&directory, Digest::from_bytes([network; 32]), 0).unwrap());
    }
    let mut names: Vec<_> = std::fs::read_dir(parent.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["index", "index.broken-3", "index.broken-4", "index.broken-5"]);
}

/// sled ends its log at a damaged entry without an error; the applied block goes back with the rest.
#[test]
fn a_flipped_bit_in_the_files_never_gives_a_wrong_answer() {
    let parent = tempfile::tempdir().unwrap();
    let source = parent.path().join("source");
    drop(filled(&source, 200));
    let bytes = std::fs::read(source.join("db")).unwrap();
    let (mut noticed, rounds) = (0, 40);
    for round in 0..rounds {
        let directory = parent.path().join(format!("copy-{round}"));
        std::fs::create_dir(&directory).unwrap();
        std::fs::copy(source.join("conf"), directory.join("conf")).unwrap();
        let mut damaged = bytes.clone();
        let bit = round * bytes.len() / rounds * 8 + 7_919 * round % 4_096;
        let Some(byte) = damaged.get_mut(bit / 8) else { continue };
        *byte ^= 1 << (bit % 8);
        std::fs::write(directory.join("db"), damaged).unwrap();
        let (index, recovery) = Index::open(&directory, network(), 400).unwrap();
        let height = index.applied().get();
        noticed += u64::from(height < 200);
        assert!(recovery == IndexRecovery::Sound || height == 0);
        for height in 1..=height {
            assert_eq!(index.block_position(Height::new(height)).unwrap(), Some(positions(height)));
            assert_eq!(index.transaction_height(&id(height * 2)).unwrap(), Some(Height::new(height)));
        }
        let events = index.events_after(EventSequence::ZERO, 1_000).unwrap();
        assert!(
            (1u64..).zip(&events).all(|(sequence, found)| *found == event(sequence.div_ceil(2), sequence))
        );
    }
    assert!(noticed > 30, "{noticed} flips of {rounds} were noticed");
}
