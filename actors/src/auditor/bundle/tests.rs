use althing_contracts::{digest::Digest, quantity::Height, testing::line};

use super::{format::HEADER_LEN, *};
use crate::auditor::story::Story;

/// A whole bundle of a story, evidence and proofs included.
pub(crate) fn bundle(story: &Story) -> Vec<u8> {
    let mut writer = BundleWriter::begin(Vec::new(), &story.world.genesis, line("a test")).unwrap();
    story.blocks.iter().for_each(|block| writer.block(block).unwrap());
    story.evidence.iter().for_each(|evidence| writer.evidence(evidence).unwrap());
    let state = &story.world.state;
    let proofs = state.proposals().filter_map(|proposal| state.prove(proposal.id));
    proofs.for_each(|proof| writer.stage_proof(&proof).unwrap());
    writer.finish().unwrap().0
}

/// Where each record begins and ends.
fn spans(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut spans = Vec::new();
    let mut start = HEADER_LEN;
    while start < bytes.len() {
        let len = u32::from_le_bytes(bytes[start + 1..start + 5].try_into().unwrap());
        let end = start + 5 + usize::try_from(len).unwrap() + 32;
        spans.push(start..end);
        start = end;
    }
    spans
}

fn check(bytes: &[u8]) -> Result<Report, BundleError> {
    verify(bytes, None)
}

/// The smallest ledger in which something is done.
fn small() -> Story {
    let mut story = Story::new();
    story.submitted(althing_contracts::testing::deploy("v2", &[&["acme-north"]]));
    story.block(althing_contracts::quantity::DurationMs::new(9), &[]);
    story
}

#[test]
fn a_ledger_of_every_end_verifies_and_its_report_says_what_it_holds() {
    let story = Story::of_every_end();
    let bytes = bundle(&story);
    let report = verify(&bytes[..], Some(story.world.network())).unwrap();
    assert_eq!(report.height, Height::new(story.blocks.len() as u64));
    assert_eq!(report.head, story.world.last.as_ref().unwrap().digest());
    assert_eq!(report.records as usize, spans(&bytes).len());
    assert_eq!(report.evidence as usize, story.evidence.len());
    assert_eq!(report.stage_proofs, 8);
    for end in ["closed", "disputed", "rejected", "defeated", "cancelled", "vetoed", "expired"] {
        assert!(report.proposals.contains_key(end), "{end}: {report:?}");
    }
    assert_eq!(verify(&bytes[..], None).unwrap(), report, "the same bytes give the same report");
}

#[test]
fn every_single_flipped_byte_is_found_and_its_record_named() {
    let bytes = bundle(&small());
    check(&bytes).unwrap();
    let spans = spans(&bytes);
    for index in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[index] ^= 1 << (index % 8);
        let error = check(&flipped).expect_err(&format!("byte {index} was flipped"));
        let record = spans.iter().position(|span| span.contains(&index)).map(|index| index as u64 + 1);
        assert_eq!(error.place().record, record, "byte {index}: {error}");
    }
}

#[test]
fn a_bundle_cut_anywhere_is_found_where_it_ends() {
    let bytes = bundle(&small());
    let spans = spans(&bytes);
    for len in 0..bytes.len() {
        let error = check(&bytes[..len]).expect_err(&format!("{len} bytes are left"));
        let record = spans.iter().position(|span| span.contains(&len)).map(|index| index as u64 + 1);
        assert_eq!(error.place().record, record, "{len} bytes: {error}");
    }
}
