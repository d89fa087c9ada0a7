use althing_contracts::{
    canonical,
    quantity::DurationMs,
    role::Role,
    testing::{GENESIS_TIME, World, consensus_key, deploy, node_key, org},
    transaction::{Call, TRANSACTION_LEN_MAX, Transaction},
};

use super::*;
use crate::disk::sim::SimDisk;
use crate::ledger::{
    consensus::{ConsensusKey, Verdicts},
    log::Log,
    state::{LedgerInput, LedgerOutput, LedgerRole, LedgerSettings, LedgerTiming, Now, REMEMBERED_MAX},
    wire::{LedgerMessage, Message},
};

fn node(index: usize) -> NodeId {
    node_key(org(index).as_str()).public()
}

fn validator(world: &World) -> LedgerState<SimDisk> {
    let key = ConsensusKey::from_seed(consensus_key(org(0).as_str()).secret());
    let settings = LedgerSettings {
        genesis: world.genesis.clone(),
        node: node(0),
        role: LedgerRole::Validator(key),
        timing: LedgerTiming::default(),
        remembered_max: REMEMBERED_MAX,
        verdicts: Verdicts::default(),
    };
    let (log, _) = Log::open(SimDisk::new(), world.network()).unwrap();
    LedgerState::open(settings, log, None, now(), &mut |_| ()).unwrap().ledger
}

fn now() -> Now {
    Now { wall: GENESIS_TIME.after(DurationMs::new(3_600_000)), monotonic_us: 0 }
}

fn submission(world: &World, author: &str) -> Transaction {
    let document = deploy("v2", &[&["acme-north"]]);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    world.sign(author, Role::Author, Call::Submit { document, plan_hash })
}

fn forged(world: &World, author: &str) -> Transaction {
    let Transaction::V3 { body, key, .. } = submission(world, author);
    let Transaction::V3 { signature, .. } = submission(world, "delta/author");
    Transaction::V3 { body, key, signature }
}

fn sent(from: usize, transactions: &[Transaction]) -> LedgerInput {
    let bytes = transactions.iter().map(Transaction::encode).collect();
    LedgerInput::Direct { from: node(from), message: LedgerMessage::encode(Message::Transactions(bytes)) }
}

fn blamed(outputs: &[LedgerOutput]) -> Vec<(NodeId, Misbehaviour)> {
    let blame = |output: &LedgerOutput| match output {
        LedgerOutput::Misbehaved { peer, how } => Some((*peer, *how)),
        _ => None,
    };
    outputs.iter().filter_map(blame).collect()
}

/// A validator in a height that the others have not joined: the first block is due at once.
fn deciding(world: &World) -> LedgerState<SimDisk> {
    let mut ledger = validator(world);
    ledger.step(now(), LedgerInput::Timer).unwrap();
    assert!(ledger.is_deciding());
    ledger
}

#[test]
fn what_arrives_while_a_height_runs_is_checked_together_and_a_forger_is_blamed_alone() {
    let world = World::new(4);
    let mut ledger = deciding(&world);
    let good = submission(&world, "birch/author");
    let mut outputs = ledger.step(now(), sent(1, std::slice::from_ref(&good))).unwrap();
    outputs.extend(ledger.step(now(), sent(2, &[forged(&world, "cedar/author")])).unwrap());
    assert_eq!((blamed(&outputs), ledger.mempool.len()), (vec![], 0));
    ledger.check_arrivals();
    assert_eq!(blamed(&ledger.outputs), [(node(2), Misbehaviour::Signature)]);
    assert_eq!(ledger.mempool.len(), 1);
    let outputs = ledger.step(now(), sent(3, &[good])).unwrap();
    assert_eq!((blamed(&outputs).len(), ledger.arrivals.len), (1, 0), "what waits is not checked again");
}

#[test]
fn a_full_list_is_checked_before_the_height_ends() {
    let world = World::new(4);
    let mut ledger = deciding(&world);
    let good = submission(&world, "birch/author");
    let many = vec![good; crate::ledger::wire::TRANSACTIONS_PER_MESSAGE_MAX];
    for _ in 0..UNCHECKED_LEN_MAX.div_ceil(many.len()) {
        ledger.step(now(), sent(1, &many)).unwrap();
    }
    assert_eq!((ledger.mempool.len(), ledger.arrivals.len), (1, 0));
}

#[test]
fn what_is_final_is_not_checked_again_and_the_memory_of_it_is_bounded() {
    let world = World::new(4);
    let mut ledger = deciding(&world);
    let known = forged(&world, "cedar/author");
    ledger.arrivals.settle(UnverifiedTransaction::decode(&known.encode(), world.network()).unwrap().id());
    assert!(blamed(&ledger.step(now(), sent(2, std::slice::from_ref(&known))).unwrap()).is_empty());
    assert_eq!(ledger.arrivals.len, 0);
    for n in 0..FINAL_LEN_MAX as u64 {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        ledger.arrivals.settle(TransactionId::from_bytes(bytes));
    }
    assert_eq!(ledger.arrivals.settled.len(), FINAL_LEN_MAX);
    ledger.step(now(), sent(2, &[known])).unwrap();
    assert_eq!(ledger.arrivals.len, 1, "what was forgotten is checked as anything else");
}

#[test]
fn bytes_that_are_no_transaction_are_blamed_at_once() {
    let world = World::new(4);
    let mut ledger = deciding(&world);
    let message = LedgerMessage::encode(Message::Transactions(vec![vec![7; 8]]));
    let outputs = ledger.step(now(), LedgerInput::Direct { from: node(3), message }).unwrap();
    assert_eq!(blamed(&outputs), [(node(3), Misbehaviour::Malformed)]);
    assert!(canonical::decode::<Transaction>(&[7; 8], TRANSACTION_LEN_MAX).is_err());
}
