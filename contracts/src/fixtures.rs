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
    testing::{World, deploy, genesis},
    transaction::{Call, Transaction, UnverifiedTransaction},
};

const CONSTITUTION: &str = include_str!("../fixtures/v1/constitution.hex");
const GENESIS: &str = include_str!("../fixtures/v1/genesis.hex");
const TRANSACTION: &str = include_str!("../fixtures/v1/transaction.hex");
const BLOCK: &str = include_str!("../fixtures/v1/block.hex");
const CERTIFICATE: &str = include_str!("../fixtures/v1/certificate.hex");
const SNAPSHOT: &str = include_str!("../fixtures/v1/snapshot.hex");

fn bytes(fixture: &str) -> Vec<u8> {
    hex::decode(fixture.trim()).unwrap()
}

/// A world whose rules are those of the fixture, so that new defaults change no fixture.
fn world() -> World {
    let mut genesis = genesis(2);
    genesis.constitution = canonical::decode(&bytes(CONSTITUTION), usize::MAX).unwrap();
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
fn a_constitution_has_the_bytes_of_version_1() {
    let decoded: Constitution = canonical::decode(&bytes(CONSTITUTION), usize::MAX).unwrap();
    decoded.check().unwrap();
    assert_eq!(canonical::encode(&decoded), bytes(CONSTITUTION));
}

#[test]
fn a_genesis_has_the_bytes_of_version_1() {
    let genesis = world().genesis;
    assert_eq!(hex::encode(canonical::encode(&genesis)), GENESIS.trim());
    assert_eq!(canonical::decode::<Genesis>(&bytes(GENESIS), usize::MAX).unwrap(), genesis);
}

#[test]
fn a_transaction_has_the_bytes_of_version_1() {
    let (world, transaction, _) = one_block();
    assert_eq!(hex::encode(transaction.encode()), TRANSACTION.trim());
    UnverifiedTransaction::decode(&bytes(TRANSACTION), world.network()).unwrap().verify().unwrap();
}

#[test]
fn a_block_has_the_bytes_of_version_1() {
    let (_, _, block) = one_block();
    assert_eq!(hex::encode(block.encode()), BLOCK.trim());
    assert_eq!(Block::decode(&bytes(BLOCK)).unwrap(), block);
}

#[test]
fn a_certificate_has_the_bytes_of_version_1() {
    let (world, _, block) = one_block();
    assert_eq!(hex::encode(canonical::encode(&world.certify(block.header()))), CERTIFICATE.trim());
    let decoded: Certificate = canonical::decode(&bytes(CERTIFICATE), usize::MAX).unwrap();
    decoded.verify(world.network(), world.state.roster()).unwrap();
}

#[test]
fn a_snapshot_has_the_bytes_of_version_1() {
    let (world, _, block) = one_block();
    assert_eq!(hex::encode(world.state.encode_snapshot()), SNAPSHOT.trim());
    let mut decoded = State::decode_snapshot(&bytes(SNAPSHOT)).unwrap();
    assert_eq!(decoded.root(), block.header().state_root);
}

/// One value has one form: a fixture with any byte more, less or later is not another form of the same value.
#[test]
fn a12_no_other_bytes_decode_to_the_same_value() {
    let fixture = bytes(TRANSACTION);
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
