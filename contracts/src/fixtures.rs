//! Byte fixtures of every stored or sent object: a change of any byte is another version of its format.

use crate::{
    block::Block,
    canonical,
    certificate::Certificate,
    constitution::Constitution,
    genesis::Genesis,
    quantity::DurationMs,
    role::Role,
    state::State,
    testing::{World, committed, deploy, genesis},
    transaction::{Call, Transaction, UnverifiedTransaction},
};

const CONSTITUTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/constitution-v3.hex");
const GENESIS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/genesis-v3.hex");
const TRANSACTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/transaction-v3.hex");
const BLOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/block-v1.hex");
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/certificate-v1.hex");
const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/snapshot-v4.hex");

/// The bytes of a fixture, which are what `fresh` makes when it is made anew.
fn bytes(path: &str, fresh: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    hex::decode(committed(path, || hex::encode(fresh())).unwrap()).unwrap()
}

fn constitution() -> Constitution {
    let fresh = || canonical::encode(&Constitution::default_genesis().fitted_to(2));
    canonical::decode(&bytes(CONSTITUTION, fresh), usize::MAX).unwrap()
}

/// A world whose rules are those of the fixture, so that new defaults change no fixture.
fn world() -> World {
    let mut genesis = genesis(2);
    genesis.constitution = constitution();
    World::with(genesis)
}

/// The world after one block with one submission.
fn one_block() -> (World, Transaction, Block) {
    let mut world = world();
    let document = deploy("2", &[&["acme-north"]]);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    let submit = world.sign("acme/author", Role::Author, Call::Submit { document, plan_hash });
    let (block, _) = world.block(DurationMs::new(1), std::slice::from_ref(&submit));
    (world, submit, block)
}

#[test]
fn a_constitution_has_the_bytes_of_version_3() {
    let decoded = constitution();
    decoded.check().unwrap();
    assert_eq!(canonical::encode(&decoded), bytes(CONSTITUTION, || canonical::encode(&decoded)));
}

#[test]
fn a_genesis_has_the_bytes_of_version_3() {
    let genesis = world().genesis;
    let fixture = bytes(GENESIS, || canonical::encode(&genesis));
    assert_eq!(canonical::encode(&genesis), fixture);
    assert_eq!(canonical::decode::<Genesis>(&fixture, usize::MAX).unwrap(), genesis);
}

#[test]
fn a_transaction_has_the_bytes_of_version_3() {
    let (world, transaction, _) = one_block();
    let fixture = bytes(TRANSACTION, || transaction.encode());
    assert_eq!(transaction.encode(), fixture);
    UnverifiedTransaction::decode(&fixture, world.network()).unwrap().verify().unwrap();
}

#[test]
fn a_block_has_the_bytes_of_version_1() {
    let (_, _, block) = one_block();
    let fixture = bytes(BLOCK, || block.encode());
    assert_eq!(block.encode(), fixture);
    assert_eq!(Block::decode(&fixture).unwrap(), block);
}

#[test]
fn a_certificate_has_the_bytes_of_version_1() {
    let (world, _, block) = one_block();
    let certificate = world.certify(block.header());
    let fixture = bytes(CERTIFICATE, || canonical::encode(&certificate));
    assert_eq!(canonical::encode(&certificate), fixture);
    let decoded: Certificate = canonical::decode(&fixture, usize::MAX).unwrap();
    decoded.verify(world.network(), world.state.roster()).unwrap();
}

#[test]
fn a_snapshot_has_the_bytes_of_version_4() {
    let (world, _, block) = one_block();
    let fixture = bytes(SNAPSHOT, || world.state.encode_snapshot());
    assert_eq!(world.state.encode_snapshot(), fixture);
    let mut decoded = State::decode_snapshot(&fixture).unwrap();
    assert_eq!(decoded.root(), block.header().state_root);
}

/// One value has one form: a fixture with any byte more, less or later is not another form of the same value.
#[test]
fn a12_no_other_bytes_decode_to_the_same_value() {
    let fixture = one_block().1.encode();
    let decoded: Transaction = canonical::decode(&fixture, usize::MAX).unwrap();
    for place in 0..fixture.len() {
        let mut changed = fixture.clone();
        changed[place] ^= 0x80;
        if let Ok(other) = canonical::decode::<Transaction>(&changed, usize::MAX) {
            assert_ne!(other, decoded, "byte {place}");
            assert_eq!(other.encode(), changed, "byte {place}");
        }
    }
    let mut longer = fixture;
    longer.push(0);
    assert!(canonical::decode::<Transaction>(&longer, usize::MAX).is_err());
}
