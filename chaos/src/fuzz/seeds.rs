//! Owns the first inputs of each corpus: sound objects of every kind, and whole lives for the targets that choose.

use std::{fs, io, path::Path};

use althing_actors::{
    ledger::wire::{LedgerMessage, Message, Status},
    sync::{SyncRequest, SyncResponse},
};
use althing_contracts::{
    canonical,
    digest::Digest,
    quantity::{DurationMs, Height},
    role::Role,
    testing::{World, deploy, genesis},
    transaction::Call,
};

/// Writes the first inputs into `corpus`, one directory a target.
///
/// # Errors
/// The directory cannot be written.
pub fn write(corpus: &Path) -> io::Result<()> {
    for (target, name, bytes) in all() {
        let directory = corpus.join(target);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(format!("seed-{name}")), bytes)?;
    }
    Ok(())
}

fn all() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut world = World::with(genesis(2));
    let document = deploy("2", &[&["acme-north"], &["birch-north"]]);
    let plan_hash = world.state.plan(&document).expect("a sound document").hash();
    let submission =
        world.sign("acme/author", Role::Author, Call::Submit { document: document.clone(), plan_hash });
    let (block, executed) = world.block(DurationMs::new(1), std::slice::from_ref(&submission));
    let certificate = world.certify(&executed.header);
    let small = genesis(2);
    let text = |value: &_| toml::to_string(value).expect("it has a text form").into_bytes();
    let status = Message::Status(Status { height: Height::new(1), block: Digest::ZERO });
    let decided = Message::Decided(certificate.clone());
    vec![
        ("transaction", "submission", submission.encode()),
        ("block", "one-transaction", block.encode()),
        ("certificate", "whole", canonical::encode(&certificate)),
        ("genesis", "two", canonical::encode(&world.genesis)),
        ("snapshot", "one-block", world.state.encode_snapshot()),
        ("snapshot", "genesis", World::with(small.clone()).state.encode_snapshot()),
        ("ledger_message", "status", LedgerMessage::encode(status).to_vec()),
        ("ledger_message", "decided", LedgerMessage::encode(decided).to_vec()),
        ("sync_messages", "request", SyncRequest::V1 { from: Height::new(1) }.encode().to_vec()),
        ("sync_messages", "empty", SyncResponse::V1 { blocks: Vec::new() }.encode().to_vec()),
        ("sync_responder", "first", SyncRequest::V1 { from: Height::new(1) }.encode().to_vec()),
        ("sync_responder", "none", SyncRequest::V1 { from: Height::new(1_000) }.encode().to_vec()),
        ("genesis_file", "small", text(&small)),
        ("apply", "life", life()),
        ("consensus", "words", (0..=255).cycle().step_by(7).take(600).collect()),
        (
            "log",
            "cut",
            [7, 40, 1, 40, 1, 40, 1, 40, 0, 40, 0, 40, 1, 40, 0, 1, 9, 9, 9, 9, 0, 40, 1, 1].to_vec(),
        ),
        ("journal", "flip", [5, 60, 0, 0, 3].to_vec()),
    ]
}

/// A submission, its review, ballots, and blocks until it is carried out.
fn life() -> Vec<u8> {
    let mut bytes = vec![4, 1, 0, 0, 0, 9, 1, 0, 1, 1];
    for voter in 0..3 {
        bytes.extend([4, 1, 5, 0, 9, 0, 0, 1, 9, 0, 1, voter, 1, 1]);
    }
    bytes.extend([0, 0, 0, 0, 0, 0, 4, 1, 9, 0, 1, 0, 0, 1, 9, 0, 0, 1, 1]);
    bytes
}
