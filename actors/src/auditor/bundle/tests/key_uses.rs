//! What a bundle says of key uses, and what it refuses.

use std::path::Path;

use althing_contracts::{
    name::MemberId,
    testing::{World, member, node_key},
    transaction::TransactionId,
};

use super::*;
use crate::{
    auditor::heads::SplitView,
    journal::Tip,
    signer::{
        journal::{KeyUse, KeyUseRecord, open},
        testimony::{KeyUseStatement, KeyUseWitness, NodeKey, SignedKeyUses},
    },
};

/// The keys that the node of acme holds.
fn keys() -> Vec<(MemberId, Role)> {
    vec![(member("acme/author"), Role::Author), (member("acme/executor"), Role::Executor)]
}

fn node() -> NodeKey {
    NodeKey::from_seed(node_key("acme").secret())
}

/// The use of the key that signed a transaction.
fn use_of(bytes: &[u8]) -> KeyUseRecord {
    let Transaction::V3 { body, .. } = canonical::decode(bytes, 1 << 20).unwrap();
    KeyUseRecord::V1 {
        time: TimeMs::new(7),
        purpose: KeyUse::of(&body.call),
        member: body.sender.clone(),
        role: body.role,
        sequence: body.sequence,
        transaction: Digest::of(althing_contracts::digest::Purpose::Transaction, bytes),
        body: Digest::of(althing_contracts::digest::Purpose::Journal, &canonical::encode(&body)),
    }
}

/// A use of which no transaction is in the ledger.
fn lost(world: &World) -> KeyUseRecord {
    let call = althing_contracts::transaction::Call::Cancel {
        proposal: althing_contracts::transaction::ProposalId::from_digest(Digest::ZERO),
        reason: line("lost on the way"),
    };
    use_of(&world.sign("acme/author", Role::Author, call).encode())
}

/// What the signer of acme's node would have recorded of a story.
fn uses(story: &Story) -> Vec<KeyUseRecord> {
    let transactions = (0..story.blocks.len()).flat_map(|index| story.decoded(index).transactions().to_vec());
    let uses = transactions.map(|bytes| use_of(&bytes));
    let own = keys();
    uses.filter(|KeyUseRecord::V1 { member, role, .. }| own.contains(&(member.clone(), *role))).collect()
}

fn statement(uses: &[KeyUseRecord]) -> KeyUseStatement {
    let tip = uses.iter().fold(Tip::START, Tip::after);
    let (node, keys) = (node().public(), keys().into_iter().collect());
    KeyUseStatement::V1 { node, keys, uses: tip.records, head: tip.head }
}

fn signed(story: &Story, uses: &[KeyUseRecord]) -> SignedKeyUses {
    node().sign_key_uses(statement(uses), story.world.network())
}

/// A bundle with one node's testimony, its uses two at a time.
fn with_uses(story: &Story, signed: &SignedKeyUses, uses: &[KeyUseRecord]) -> Vec<u8> {
    let mut writer = BundleWriter::begin(Vec::new(), &story.world.genesis, line("acme")).unwrap();
    writer.key_use_statement(signed).unwrap();
    uses.chunks(2).for_each(|page| writer.key_uses(page.to_vec()).unwrap());
    story.blocks.iter().for_each(|block| writer.block(block).unwrap());
    writer.finish().unwrap().0
}

fn refused(story: &Story, uses: &[KeyUseRecord]) -> String {
    message(&with_uses(story, &signed(story, uses), uses))
}

fn changed(
    used: &KeyUseRecord,
    change: impl FnOnce(&mut TransactionId, &mut Role, &mut KeyUse),
) -> KeyUseRecord {
    let mut used = used.clone();
    let KeyUseRecord::V1 { transaction, role, purpose, .. } = &mut used;
    change(transaction, role, purpose);
    used
}

#[test]
fn every_signature_of_a_testifying_node_has_its_use_and_a_use_without_a_decision_is_named() {
    let story = Story::of_every_end();
    let mut uses = uses(&story);
    let decided = uses.len() as u64;
    assert!(decided > 10);
    uses.insert(3, lost(&story.world));
    let report = check(&with_uses(&story, &signed(&story, &uses), &uses)).unwrap();
    let [found] = &report.key_uses[..] else { panic!("one node testified") };
    assert_eq!((found.node, found.keys), (node().public(), 2));
    assert_eq!((found.uses, found.decided), (decided + 1, decided));
    let named: Vec<_> = found.undecided.iter().map(|used| (used.number, used.purpose)).collect();
    assert_eq!(named, [(4, "cancellation")]);
}

#[test]
fn a_signature_without_a_use_and_a_use_that_says_something_else_are_found() {
    let story = small();
    let uses = uses(&story);
    let [only] = &uses[..] else { panic!("the story has one transaction of acme") };
    let unrecorded = refused(&story, &[]);
    assert!(
        unrecorded.starts_with("record 3 (block 1, offset ")
            && unrecorded.ends_with(
                "has no use for it: the key was used outside its signer, or the journal is not whole"
            ),
        "{unrecorded}"
    );
    let contrary = changed(only, |_, _, purpose| *purpose = KeyUse::Veto);
    let doubled = refused(&story, &[only.clone(), contrary]);
    assert!(
        doubled.contains("(key uses, offset") && doubled.contains("has another use already"),
        "{doubled}"
    );
    let purpose = refused(&story, &[changed(only, |_, _, purpose| *purpose = KeyUse::Veto)]);
    assert!(purpose.contains("says another purpose than transaction"), "{purpose}");
    let other = refused(&story, &[changed(only, |_, role, _| *role = Role::Guardian)]);
    assert!(other.contains("use 1 of node") && other.ends_with("which its statement leaves out"), "{other}");
}

#[test]
fn a_signature_that_was_made_again_after_a_crash_is_one_decision() {
    let story = small();
    let uses = uses(&story);
    let [only] = &uses[..] else { panic!("one use: {uses:?}") };
    let mut again = only.clone();
    let KeyUseRecord::V1 { time, .. } = &mut again;
    *time = TimeMs::new(8);
    let made = [only.clone(), again];
    let report = check(&with_uses(&story, &signed(&story, &made), &made)).unwrap();
    assert_eq!((report.key_uses[0].uses, report.key_uses[0].decided), (2, 1));
}

#[test]
fn a_statement_that_is_forged_borrowed_or_of_other_uses_is_found() {
    let story = small();
    let uses = uses(&story);
    let say = |statement: KeyUseStatement, key: &NodeKey| {
        message(&with_uses(&story, &key.sign_key_uses(statement, story.world.network()), &uses))
    };
    let honest = statement(&uses);
    let KeyUseStatement::V1 { node: own, keys: held, uses: count, head } = honest.clone();
    let birch = NodeKey::from_seed(node_key("birch").secret());
    let forged = say(honest.clone(), &birch);
    assert!(forged.starts_with("record 2 (key-use statement, offset "), "{forged}");
    assert!(forged.contains("did not sign the statement"), "{forged}");
    let foreign = KeyUseStatement::V1 { node: birch.public(), keys: held.clone(), uses: count, head };
    let foreign = say(foreign, &birch);
    assert!(foreign.contains("of birch states to hold the author key of acme/author"), "{foreign}");
    let stranger = NodeKey::from_seed([9; 32]);
    let strange = KeyUseStatement::V1 { node: stranger.public(), keys: held.clone(), uses: count, head };
    let strange = say(strange, &stranger);
    assert!(strange.contains("is no node of this network"), "{strange}");
    let more = say(KeyUseStatement::V1 { node: own, keys: held.clone(), uses: count + 1, head }, &node());
    assert!(
        more.starts_with("record 4 (block 1, offset ") && more.contains("its statement covers 2"),
        "{more}"
    );
    let moved = say(KeyUseStatement::V1 { node: own, keys: held, uses: count, head: Digest::ZERO }, &node());
    assert!(
        moved.ends_with("a use was changed, dropped, added or moved after the node had signed"),
        "{moved}"
    );
    let other_network = node().sign_key_uses(honest, Digest::ZERO);
    let replayed = message(&with_uses(&story, &other_network, &uses));
    assert!(replayed.contains("did not sign the statement"), "{replayed}");
}

#[test]
fn key_uses_stand_before_the_first_block_and_after_a_statement() {
    let story = small();
    let uses = uses(&story);
    let mut late = BundleWriter::begin(Vec::new(), &story.world.genesis, line("x")).unwrap();
    late.block(&story.blocks[0]).unwrap();
    assert!(matches!(late.key_uses(uses.clone()), Err(ExportError::Late { .. })));
    let mut moved = records(&with_uses(&story, &signed(&story, &uses), &uses));
    moved.swap(2, 3);
    assert!(message(&rechained(&moved)).contains("record 3 (block 1, offset "), "its uses are missing");
    moved.remove(1);
    moved.swap(1, 2);
    assert!(message(&rechained(&moved)).contains("the uses follow no statement of a node"));
}

#[test]
fn the_journal_of_a_signer_testifies_while_it_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path: &Path = &directory.path().join("signer.journal");
    let story = small();
    let uses = uses(&story);
    let mut journal = open(path).unwrap();
    for used in &uses {
        journal.append(used).unwrap();
    }
    let witness = KeyUseWitness::new(node(), story.world.network(), keys(), path.to_owned());
    let given = witness.testify().unwrap();
    assert_eq!(given, signed(&story, &uses));
    journal.append(&lost(&story.world)).unwrap();
    let mut read = Vec::new();
    witness.read(|used| read.push(used)).unwrap();
    assert_eq!((&read[..1], read.len()), (&uses[..], 2));
}

/// Two certificates of the last height of a story.
fn split(story: &Story) -> SplitView {
    let mut other = story.clone();
    other.forge(1, |header, _| header.time = header.time.next());
    SplitView::new(story.blocks[1].certificate.clone(), other.blocks[1].certificate.clone())
}

fn with_split(story: &Story, split: &SplitView) -> Vec<u8> {
    let mut writer = BundleWriter::begin(Vec::new(), &story.world.genesis, line("acme")).unwrap();
    story.blocks.iter().for_each(|block| writer.block(block).unwrap());
    writer.split_view(split).unwrap();
    writer.finish().unwrap().0
}

#[test]
fn a_split_view_is_proven_and_named_and_a_false_one_is_refused() {
    let story = small();
    let split = split(&story);
    let report = check(&with_split(&story, &split)).unwrap();
    let [found] = &report.split_views[..] else { panic!("one split view") };
    assert_eq!((found.height, found.signers_of_both), (Height::new(2), 4));
    assert_eq!((found.first, found.second), (split.first.block, split.second.block));
    let same = SplitView { first: split.first.clone(), second: split.first.clone() };
    assert!(message(&with_split(&story, &same)).contains("they prove no split view"));
    let mut forged = split;
    forged.second.precommits.pop_first();
    forged.second.precommits.pop_first();
    let forged = message(&with_split(&story, &forged));
    assert!(forged.starts_with("record 4 (split view, offset "), "{forged}");
    assert!(forged.contains("a certificate of the split view proves nothing"), "{forged}");
}

/// A bundle with every section of later builds, and its bytes.
fn whole() -> Vec<u8> {
    let story = small();
    let mut uses = uses(&story);
    uses.push(lost(&story.world));
    let mut writer = BundleWriter::begin(Vec::new(), &story.world.genesis, line("acme")).unwrap();
    writer.key_use_statement(&signed(&story, &uses)).unwrap();
    writer.key_uses(uses).unwrap();
    story.blocks.iter().for_each(|block| writer.block(block).unwrap());
    writer.split_view(&split(&story)).unwrap();
    writer.finish().unwrap().0
}

#[test]
fn every_flipped_byte_of_the_sections_is_found_and_its_record_named() {
    let bytes = whole();
    check(&bytes).unwrap();
    for (record, span) in (1_u64..).zip(spans(&bytes)) {
        if !matches!(bytes[span.start], 5..=7) {
            continue;
        }
        for index in span {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1 << (index % 8);
            let error = check(&flipped).expect_err(&format!("byte {index} was flipped"));
            assert_eq!(error.place().record, Some(record), "byte {index}: {error}");
        }
    }
}

/// Layout version 1 of the sections: statement, uses, split view.
#[test]
fn the_bytes_of_the_sections_do_not_change() {
    let sections: Vec<String> = records(&whole())
        .into_iter()
        .filter(|(tag, _)| matches!(tag, 5..=7))
        .map(|(tag, payload)| format!("{tag} {}", hex::encode(payload)))
        .collect();
    let sections = sections.join("\n");
    assert_eq!(sections, committed(&fixture("sections.hex"), || sections.clone()).unwrap());
}
