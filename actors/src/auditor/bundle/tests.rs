mod key_uses;

use althing_contracts::{
    block::{Block, Header},
    canonical,
    digest::Digest,
    genesis::Genesis,
    quantity::{DurationMs, Height, TimeMs},
    role::Role,
    signature::PublicKey,
    testing::{TestKey, committed, deploy, line},
    transaction::Transaction,
};
use proptest::prelude::*;

use super::{
    format::{Chain, HEADER_LEN, frame_head, header},
    *,
};
use crate::{auditor::story::Story, ledger::message::CertifiedBlock};

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

/// The file of a fixture.
fn fixture(name: &str) -> String {
    format!("{}/src/auditor/bundle/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The bundle that an earlier build exported.
fn earlier() -> Vec<u8> {
    hex::decode(committed(&fixture("small.bundle.hex"), || hex::encode(bundle(&small()))).unwrap()).unwrap()
}

fn check(bytes: &[u8]) -> Result<Report, BundleError> {
    verify(bytes, None)
}

/// The smallest ledger in which something is done.
fn small() -> Story {
    let mut story = Story::new();
    story.submitted(deploy("v2", &[&["acme-north"]]));
    story.block(DurationMs::new(9), &[]);
    story
}

#[test]
fn a_ledger_of_every_end_verifies_and_its_report_says_what_it_holds() {
    let story = Story::of_every_end();
    let bytes = bundle(&story);
    let report = verify(&bytes[..], Some(story.world.network())).unwrap();
    assert_eq!(report.height, Height::new(story.blocks.len() as u64));
    assert_eq!(report.head, story.world.last.as_ref().unwrap().digest());
    assert_eq!(report.records, spans(&bytes).len() as u64);
    assert_eq!(report.evidence, story.evidence.len() as u64);
    assert_eq!(report.stage_proofs, 8);
    for end in ["closed", "disputed", "rejected", "defeated", "cancelled", "vetoed", "expired"] {
        assert!(report.proposals.contains_key(end), "{end}: {report:?}");
    }
    assert_eq!(verify(&bytes[..], None).unwrap(), report, "the same bytes give the same report");
}

/// Format version 1: header, an evidence record, and an empty ledger's trailer, with their chain.
#[test]
fn the_bytes_of_version_1_do_not_change() {
    let trailer = Trailer {
        height: Height::new(2),
        head: Digest::from_bytes([0x11; 32]),
        state_root: Digest::from_bytes([0x22; 32]),
        records: 1,
        exporter: line("acme"),
    };
    let bytes = rechained(&[(3, b"pid 7".to_vec()), (255, canonical::encode(&trailer))]);
    assert_eq!(hex::encode(bytes), include_str!("fixtures/frames.hex").trim_end());
}

/// A whole bundle that an earlier build exported proves the same, and is written again to the last byte.
#[test]
fn a_bundle_of_an_earlier_build_verifies() {
    let bytes = earlier();
    let report = serde_json::to_string_pretty(&check(&bytes).unwrap()).unwrap();
    assert_eq!(report, committed(&fixture("small.report.json"), || report.clone()).unwrap());
    let records = records(&bytes);
    let genesis = canonical::decode(&records[0].1, GENESIS_LEN_MAX).unwrap();
    let mut writer = BundleWriter::begin(Vec::new(), &genesis, line("a test")).unwrap();
    for (_, payload) in &records[1..3] {
        writer.block(&canonical::decode(payload, BLOCK_RECORD_LEN_MAX).unwrap()).unwrap();
    }
    writer.stage_proof(&althing_contracts::state::StageProof::decode(&records[3].1).unwrap()).unwrap();
    assert_eq!(writer.finish().unwrap().0, bytes);
}

fn header_of(record: &[u8]) -> Header {
    let certified: CertifiedBlock = canonical::decode(record, BLOCK_RECORD_LEN_MAX).unwrap();
    Block::decode(&certified.block).unwrap().header().clone()
}

/// What stands in the document after the mark of its example.
fn example() -> String {
    let whole = earlier();
    let mut lines = vec![
        "| record | kind | offset | length | digest | chain |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    for ((number, span), (tag, payload)) in (1..).zip(spans(&whole)).zip(records(&whole)) {
        let (kind, digest) = match tag {
            1 => {
                let genesis: Genesis = canonical::decode(&payload, GENESIS_LEN_MAX).unwrap();
                ("genesis".to_owned(), format!("network `{}`", genesis.network()))
            }
            2 => {
                let header = header_of(&payload);
                (format!("block {}", header.height), format!("block `{}`", header.digest()))
            }
            4 => ("stage proof".to_owned(), String::new()),
            _ => ("trailer".to_owned(), String::new()),
        };
        let chain = hex::encode(&whole[span.end - 32..span.end]);
        let (head, tail) = (&chain[..8], &chain[56..]);
        let (offset, len) = (span.start, payload.len());
        lines.push(format!("| {number} | {kind} | {offset} | {len} | {digest} | `{head}…{tail}` |"));
    }
    let header = header_of(&records(&whole)[2].1);
    let fields = [
        (canonical::encode(&header.protocol), "protocol"),
        (canonical::encode(&header.network), "network"),
        (canonical::encode(&(header.height, header.round, header.time)), "height, round, time"),
        (canonical::encode(&header.parent), "parent"),
        (canonical::encode(&header.proposer), "proposer"),
        (canonical::encode(&header.transactions_root), "transactions_root"),
        (canonical::encode(&header.events_root), "events_root"),
        (canonical::encode(&header.state_root), "state_root"),
        (canonical::encode(&header.roster), "roster"),
        (canonical::encode(&header.constitution), "constitution"),
    ];
    assert_eq!(
        fields.iter().flat_map(|(bytes, _)| bytes.clone()).collect::<Vec<_>>(),
        canonical::encode(&header)
    );
    let title = "The header of its block 2, which holds no transaction and no event:";
    lines.extend(["", title, "", "```"].map(str::to_owned));
    lines.extend(fields.map(|(bytes, name)| format!("{:<66} {name}", hex::encode(bytes))));
    lines.push("```".to_owned());
    lines.join("\n")
}

#[test]
fn the_examples_of_the_document_are_the_fixtures() {
    const MARK: &str = "<!-- made by the_examples_of_the_document_are_the_fixtures -->\n\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/bundle.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, _) = text.split_once(MARK).expect("the document has the mark");
    let whole = format!("{before}{MARK}{}", example());
    assert_eq!(committed(path, || whole.clone()).unwrap(), whole);
    let frames = include_str!("fixtures/frames.hex").trim_end();
    for digest in [&frames[40..104], &frames[frames.len() - 64..]] {
        assert!(text.contains(digest), "the text has {digest}");
    }
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

/// A bundle written by somebody who knows the format: the chain is whole whatever the records say.
fn rechained(records: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = header().to_vec();
    let mut chain = Chain::start();
    for (tag, payload) in records {
        let head = frame_head(*tag, u32::try_from(payload.len()).unwrap());
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(chain.push(head, payload).as_bytes());
    }
    bytes
}

/// Kind and payload of each record.
type Records = Vec<(u8, Vec<u8>)>;

fn records(bytes: &[u8]) -> Records {
    spans(bytes)
        .into_iter()
        .map(|span| (bytes[span.start], bytes[span.start + 5..span.end - 32].to_vec()))
        .collect()
}

fn message(bytes: &[u8]) -> String {
    check(bytes).expect_err("the bundle was forged").to_string()
}

#[test]
fn a_record_that_is_dropped_swapped_or_doubled_breaks_the_chain_there() {
    let bytes = bundle(&small());
    let spans = spans(&bytes);
    let join = |order: &[usize]| -> Vec<u8> {
        let records = order.iter().flat_map(|index| bytes[spans[*index].clone()].to_vec());
        bytes[..HEADER_LEN].iter().copied().chain(records).collect()
    };
    // Genesis, two blocks, one proof, trailer.
    assert_eq!(spans.len(), 5);
    check(&join(&[0, 1, 2, 3, 4])).unwrap();
    for (order, record) in
        [(&[0, 2, 3, 4][..], 2), (&[0, 2, 1, 3, 4], 2), (&[0, 1, 1, 2, 3, 4], 3), (&[0, 1, 2, 4], 4)]
    {
        let error = check(&join(order)).unwrap_err();
        assert_eq!(error.place().record, Some(record), "{order:?}: {error}");
        assert!(matches!(error.flaw(), Flaw::Chain), "{order:?}: {error}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(
        message(&longer),
        format!(
            "record 6 (offset {}): the file goes on after its trailer: something was added to its end",
            bytes.len()
        )
    );
}

#[test]
fn a_forger_who_mends_the_chain_is_found_by_what_the_blocks_say() {
    let whole = records(&bundle(&small()));
    let with = |change: &dyn Fn(&mut Records)| {
        let mut records = whole.clone();
        change(&mut records);
        message(&rechained(&records))
    };
    let dropped = with(&|records| drop(records.remove(1)));
    assert!(dropped.contains("the block says height 2 where 1 is due"), "{dropped}");
    let swapped = with(&|records| records.swap(1, 2));
    assert!(swapped.contains("the block says height 2 where 1 is due"), "{swapped}");
    let doubled = with(&|records| records.insert(2, records[1].clone()));
    assert!(doubled.contains("the block says height 1 where 2 is due"), "{doubled}");
    let shortened = with(&|records| drop(records.drain(2..4)));
    assert!(shortened.contains("the trailer says height 2, the records say 1"), "{shortened}");
    let genesis = with(&|records| records.insert(1, records[0].clone()));
    assert!(genesis.contains("record 2 (genesis, offset"), "{genesis}");
    let headless = with(&|records| drop(records.remove(0)));
    assert!(headless.contains("a block record may not stand here"), "{headless}");
    let proof = with(&|records| records[3].1 = records[3].1.iter().rev().copied().collect());
    assert!(proof.contains("(stage proof, offset"), "{proof}");
    let evidence = with(&|records| records.insert(3, (3, b"nobody reported this".to_vec())));
    assert!(evidence.contains("no receipt of this ledger names evidence"), "{evidence}");
    let late = with(&|records| records.swap(2, 3));
    assert!(late.contains("(stage proof, offset"), "{late}");
    let unproven = with(&|records| drop(records.remove(3)));
    assert!(unproven.contains("the trailer says records 4, the records say 3"), "{unproven}");
    let endless = with(&|records| drop(records.pop()));
    assert!(endless.contains("the file ends without a trailer"), "{endless}");
}

#[test]
fn another_network_than_expected_is_refused_by_name() {
    let bytes = bundle(&small());
    let error = verify(&bytes[..], Some(Digest::ZERO)).unwrap_err().to_string();
    assert!(error.starts_with("record 1 (genesis, offset 10): the genesis digest is "), "{error}");
    assert!(error.ends_with("this is the ledger of another network"), "{error}");
}

#[test]
fn the_message_of_a_changed_record_is_pinned() {
    let bytes = bundle(&small());
    let mut changed = bytes.clone();
    let block = spans(&bytes)[2].clone();
    changed[block.start + 40] ^= 1;
    assert_eq!(
        message(&changed),
        format!(
            "record 3 (block 2, offset {}): the chain digest does not match: the record was changed after export, \
             or one before it was dropped, added or moved",
            block.start
        )
    );
}

/// What is said of a story in which one block was replaced.
fn forged(change: impl FnOnce(&mut Story)) -> String {
    let mut story = small();
    change(&mut story);
    let mut writer = BundleWriter::begin(Vec::new(), &story.world.genesis, line("a forger")).unwrap();
    story.blocks.iter().for_each(|block| writer.block(block).unwrap());
    message(&writer.finish().unwrap().0)
}

#[test]
fn a_certified_block_that_breaks_the_rules_is_found() {
    let wrong_root = forged(|story| story.forge(1, |header, _| header.state_root = Digest::ZERO));
    assert!(
        wrong_root.starts_with("record 3 (block 2, offset ")
            && wrong_root.ends_with(
                "the block does not follow from the rules: the header's state_root is not what executing the \
                 block yields"
            ),
        "{wrong_root}"
    );
    let wrong_events = forged(|story| story.forge(0, |header, _| header.events_root = Digest::ZERO));
    assert!(wrong_events.contains("the header's events_root is not what"), "{wrong_events}");
    let back_in_time = forged(|story| story.forge(1, |header, _| header.time = TimeMs::ZERO));
    assert!(back_in_time.contains("is not after its parent's"), "{back_in_time}");
    let branch = forged(|story| story.forge(1, |header, _| header.parent = Digest::ZERO));
    assert!(branch.contains("history branches here"), "{branch}");
    let replayed = forged(|story| {
        let transactions = story.decoded(0).transactions().to_vec();
        story.forge(1, |_, replaced| *replaced = transactions);
    });
    assert!(replayed.contains("of the block had taken effect before"), "{replayed}");
    let other_network = forged(|story| story.forge(0, |header, _| header.network = Digest::ZERO));
    assert!(other_network.contains("it comes from another ledger"), "{other_network}");
    let newer = forged(|story| story.forge(0, |header, _| header.protocol = 7));
    assert!(newer.contains("the block follows protocol 7"), "{newer}");
    let strangers = forged(|story| story.forge(0, |header, _| header.roster = Digest::ZERO));
    assert!(strangers.contains("the header's roster is not what"), "{strangers}");
    let outsider = TestKey::of("outsider").public();
    let proposer = forged(|story| story.forge(0, |header, _| header.proposer = outsider));
    assert!(proposer.contains("the header's proposer is not what"), "{proposer}");
}

#[test]
fn a_transaction_that_its_sender_did_not_sign_is_found_and_named() {
    let mallory = forged(|story| {
        story.forge(0, |_, transactions| {
            let Transaction::V3 { body, key, .. } = canonical::decode(&transactions[0], 1 << 20).unwrap();
            let signature = TestKey::of("mallory").sign(body.signing_message(Digest::ZERO));
            transactions[0] = Transaction::V3 { body, key, signature }.encode();
        });
    });
    assert!(mallory.contains("transaction 0 ("), "{mallory}");
    assert!(mallory.ends_with("was not signed by acme/author: it is forged or was changed"), "{mallory}");
    let own_key = forged(|story| {
        let network = story.world.network();
        story.forge(0, |_, transactions| {
            let Transaction::V3 { body, .. } = canonical::decode(&transactions[0], 1 << 20).unwrap();
            let mallory = TestKey::of("mallory");
            let signature = mallory.sign(body.signing_message(network));
            transactions[0] = Transaction::V3 { body, key: mallory.public(), signature }.encode();
        });
    });
    assert!(own_key.contains("acme/author does not hold the role author with this key"), "{own_key}");
}

#[test]
fn swapped_transactions_are_found_even_when_the_header_commits_to_them() {
    let mut story = Story::new();
    let id = story.submitted(deploy("v2", &[&["acme-north"]]));
    let review = story.world.review_call(id, althing_contracts::transaction::ReviewVerdict::Approve);
    story.block(DurationMs::new(5), &[("birch/author", Role::Reviewer, review)]);
    let vote = |choice| story.world.vote_call(id, choice);
    let ballots = [
        ("acme/author", Role::Voter, vote(althing_contracts::transaction::Choice::For)),
        ("birch/author", Role::Voter, vote(althing_contracts::transaction::Choice::Against)),
    ];
    story.block(DurationMs::new(5), &ballots);
    let kept = story.clone();
    story.forge(2, |_, transactions| transactions.swap(0, 1));
    let mut writer = BundleWriter::begin(Vec::new(), &story.world.genesis, line("a forger")).unwrap();
    story.blocks.iter().for_each(|block| writer.block(block).unwrap());
    let error = message(&writer.finish().unwrap().0);
    assert!(error.contains("record 4 (block 3, offset"), "{error}");
    assert!(error.contains("is not what executing the block yields"), "{error}");
    check(&bundle(&kept)).unwrap();
}

#[test]
fn a_certificate_that_does_not_prove_the_block_is_found() {
    let keys = |story: &Story| -> Vec<PublicKey> {
        story.blocks[0].certificate.precommits.keys().copied().collect()
    };
    let too_few = forged(|story| {
        for key in keys(story).into_iter().take(2) {
            story.blocks[0].certificate.precommits.remove(&key);
        }
    });
    assert!(too_few.ends_with("height 1 has 2 of 4 weight; more than two thirds are needed"), "{too_few}");
    let stranger = forged(|story| {
        let (key, signature) = story.blocks[0].certificate.precommits.pop_first().unwrap();
        let outsider = TestKey::of("outsider").public();
        assert_ne!(key, outsider);
        story.blocks[0].certificate.precommits.insert(outsider, signature);
    });
    assert!(stranger.ends_with("signed height 1 but is not on the roster"), "{stranger}");
    let borrowed = forged(|story| {
        let other = story.blocks[1].certificate.precommits.clone();
        story.blocks[0].certificate.precommits = other;
    });
    assert!(
        borrowed.contains("the certificate does not prove the block final: the precommit of"),
        "{borrowed}"
    );
    let of_another = forged(|story| story.blocks[0].certificate = story.blocks[1].certificate.clone());
    assert!(of_another.contains("it does not certify this block"), "{of_another}");
    let one_less = {
        let mut story = small();
        story.blocks[0].certificate.precommits.pop_first();
        story
    };
    check(&bundle(&one_less)).expect("three of four are more than two thirds");
}

#[test]
fn a_signer_who_comes_twice_in_a_certificate_is_no_canonical_form() {
    let story = small();
    let mut records = records(&bundle(&story));
    let CertifiedBlock { block, certificate } = &story.blocks[0];
    let entries: Vec<_> = certificate.precommits.iter().collect();
    let twice = [entries[0], entries[0], entries[1], entries[2]];
    let fixed = (certificate.height, certificate.round, certificate.block);
    records[1].1 =
        [canonical::encode(block), canonical::encode(&fixed), canonical::encode(&twice.to_vec())].concat();
    let error = message(&rechained(&records));
    assert!(error.contains("record 2 (block 1, offset"), "{error}");
    assert!(error.contains("the payload is not the canonical form of a block"), "{error}");
}

#[test]
fn an_exporter_refuses_blocks_out_of_order() {
    let story = small();
    let mut writer = BundleWriter::begin(Vec::new(), &story.world.genesis, line("x")).unwrap();
    assert!(matches!(writer.block(&story.blocks[1]), Err(ExportError::Height { .. })));
    writer.block(&story.blocks[0]).unwrap();
    assert!(matches!(writer.block(&story.blocks[0]), Err(ExportError::Height { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_records_that_are_written_are_read_again(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12)) {
        let records: Vec<(u8, Vec<u8>)> = payloads.into_iter().map(|payload| (3, payload)).collect();
        let bytes = rechained(&records);
        let mut reader = super::reader::RecordReader::open(&bytes[..]).unwrap();
        for (index, (_, payload)) in records.iter().enumerate() {
            let record = reader.next().unwrap().unwrap();
            prop_assert_eq!(&record.payload, payload);
            prop_assert_eq!(record.place.record, Some(index as u64 + 1));
        }
        prop_assert!(reader.next().unwrap().is_none());
    }

    #[test]
    fn no_bytes_make_the_verifier_panic(noise in prop::collection::vec(any::<u8>(), 0..400), tag in 1_u8..8) {
        let mut bytes = header().to_vec();
        bytes.extend_from_slice(&noise);
        prop_assert!(check(&bytes).is_err());
        prop_assert!(check(&rechained(&[(tag, noise)])).is_err());
    }
}
