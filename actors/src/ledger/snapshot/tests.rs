use proptest::prelude::*;

use super::*;
use crate::disk::sim::{Faults, SimDisk};

fn network() -> Digest {
    Digest::of_artefact(b"network")
}

fn snapshot(height: u64) -> Snapshot {
    Snapshot {
        height: Height::new(height),
        state_root: Digest::of_artefact(b"root"),
        block: Digest::of_artefact(b"block"),
        payload: format!("state at {height}").into_bytes(),
    }
}

fn store(disk: &SimDisk) -> SnapshotStore<SimDisk> {
    SnapshotStore::new(disk.clone(), network())
}

fn written(heights: &[u64]) -> SimDisk {
    let disk = SimDisk::new();
    for height in heights {
        store(&disk).write(&snapshot(*height)).unwrap();
    }
    disk
}

#[test]
fn the_last_two_are_kept_and_the_last_is_read() {
    let disk = written(&[1, 2, 10]);
    assert_eq!(store(&disk).last().unwrap(), (Some(snapshot(10)), Vec::new()));
    assert_eq!(disk.list().unwrap(), ["00000000000000000002.snap", "00000000000000000010.snap"]);
    assert_eq!(store(&SimDisk::new()).last().unwrap(), (None, Vec::new()));
}

#[test]
fn the_bytes_of_a_snapshot_are_pinned() {
    let bytes = written(&[7]).bytes("00000000000000000007.snap").unwrap();
    assert_eq!(hex::encode(bytes), include_str!("fixtures/snapshot.hex").trim());
}

#[test]
fn a_crash_at_every_operation_leaves_the_new_one_or_the_one_before() {
    let operations = written(&[1]).counts().operations;
    for at in 1..=operations + 8 {
        for seed in 0..50 {
            let disk = written(&[1]);
            disk.set_faults(Faults { stop_at_operation: Some(operations + at), ..Faults::default() });
            let outcome = store(&disk).write(&snapshot(2));
            let disk = disk.crash(seed);
            let (found, refused) = store(&disk).last().unwrap();
            assert!(refused.is_empty(), "{refused:?}");
            let found = found.expect("one is always there");
            assert!(found == snapshot(2) || (found == snapshot(1) && outcome.is_err()), "{at} {seed}");
            store(&disk).write(&snapshot(3)).unwrap();
        }
    }
}

#[test]
fn one_of_another_network_or_height_or_format_is_passed_over_with_the_reason() {
    let disk = written(&[1, 2]);
    let other = SnapshotStore::new(disk.clone(), Digest::ZERO);
    let (found, refused) = other.last().unwrap();
    assert_eq!((found, refused.len()), (None, 2));
    assert_eq!(refused[0].reason, SnapshotDamage::OtherNetwork(network()));

    disk.put("00000000000000000003.snap", disk.bytes("00000000000000000002.snap").unwrap());
    let (found, refused) = store(&disk).last().unwrap();
    assert_eq!(found, Some(snapshot(2)));
    assert_eq!(refused[0].reason.to_string(), "it is of height 2, which its name does not say");

    let mut newer = disk.bytes("00000000000000000002.snap").unwrap();
    newer[8] = 2;
    let (header, payload) = newer.split_first_chunk::<HEADER_LEN>().unwrap();
    let digest = digest(header, payload);
    newer[DIGEST_AT..HEADER_LEN].copy_from_slice(digest.as_bytes());
    disk.put("00000000000000000003.snap", newer);
    assert_eq!(store(&disk).last().unwrap().1[0].reason, SnapshotDamage::Format(2));
}

#[test]
fn a_full_disk_leaves_the_snapshots_before() {
    let disk = written(&[1]);
    disk.set_faults(Faults { capacity: Some(200), ..Faults::default() });
    let error = store(&disk).write(&snapshot(2)).unwrap_err();
    assert_eq!(error.to_string(), "cannot write the snapshot 00000000000000000002.snap");
    assert_eq!(store(&disk).last().unwrap(), (Some(snapshot(1)), Vec::new()));
}

proptest! {
    #[test]
    fn a_damaged_snapshot_gives_way_to_the_one_before(bit in any::<prop::sample::Index>()) {
        let disk = written(&[1, 2]);
        let name = "00000000000000000002.snap";
        disk.flip_bit(name, bit.index(disk.bytes(name).unwrap().len() * 8));
        let (found, refused) = store(&disk).last().unwrap();
        prop_assert_eq!(found, Some(snapshot(1)));
        prop_assert_eq!(refused, [RefusedSnapshot { name: name.to_owned(), reason: SnapshotDamage::Digest }]);
    }

    #[test]
    fn a_cut_snapshot_gives_way_to_the_one_before(len in 0..163usize) {
        let disk = written(&[1, 2]);
        let name = "00000000000000000002.snap";
        let bytes = disk.bytes(name).unwrap();
        prop_assume!(len < bytes.len());
        disk.put(name, bytes[..len].to_vec());
        prop_assert_eq!(store(&disk).last().unwrap().0, Some(snapshot(1)));
    }
}
