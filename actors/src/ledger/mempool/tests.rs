use althing_contracts::{
    digest::Digest,
    quantity::TimeMs,
    testing::{World, line, member},
    transaction::{Call, ProposalId, TransactionBody, UnverifiedTransaction},
};

use super::*;

fn transaction(world: &World, sender: &str, sequence: u64) -> PooledTransaction {
    let body = TransactionBody {
        sender: member(sender),
        role: Role::Author,
        sequence: Sequence::new(sequence),
        not_after: TimeMs::MAX,
        call: Call::Cancel { proposal: ProposalId::from_digest(Digest::ZERO), reason: line("no") },
    };
    let bytes = world.sign_as(body).encode();
    let unverified = UnverifiedTransaction::decode(&bytes, world.network()).unwrap();
    // The pool never looks at signatures.
    PooledTransaction { bytes: Bytes::from(bytes), verified: unverified.assume_verified() }
}

fn order(pool: &Mempool) -> Vec<(String, u64)> {
    let name = |waiting: &PooledTransaction| {
        let body = waiting.verified.body();
        (body.sender.to_string(), body.sequence.get())
    };
    pool.candidates().iter().map(name).collect()
}

#[test]
fn a_senders_sequences_come_in_order_and_senders_in_that_of_arrival() {
    let world = World::new(2);
    let mut pool = Mempool::default();
    for (sender, sequence) in
        [("acme/author", 3), ("birch/author", 1), ("acme/author", 1), ("acme/author", 2)]
    {
        assert_eq!(pool.insert(transaction(&world, sender, sequence)), Inserted::New);
    }
    let expected = [("acme/author", 1), ("birch/author", 1), ("acme/author", 2), ("acme/author", 3)];
    assert_eq!(order(&pool), expected.map(|(sender, sequence)| (sender.to_owned(), sequence)));
}

#[test]
fn a_repeat_is_the_same_and_a_removed_one_leaves_no_trace() {
    let world = World::new(2);
    let mut pool = Mempool::default();
    let waiting = transaction(&world, "acme/author", 1);
    assert_eq!(pool.insert(waiting.clone()), Inserted::New);
    assert_eq!(pool.insert(waiting.clone()), Inserted::Same);
    assert_eq!(pool.bytes(), waiting.bytes.len());
    assert!(pool.remove(&waiting.verified.id()).is_some());
    assert!(pool.is_empty() && pool.bytes() == 0 && pool.senders.is_empty() && pool.arrivals.is_empty());
    assert!(pool.remove(&waiting.verified.id()).is_none());
}

#[test]
fn one_sender_cannot_fill_the_pool() {
    let world = World::new(2);
    let mut pool = Mempool::default();
    let last = MEMPOOL_PER_SENDER_MAX as u64;
    for sequence in 1..=last {
        assert_eq!(pool.insert(transaction(&world, "acme/author", sequence)), Inserted::New);
    }
    assert_eq!(pool.insert(transaction(&world, "acme/author", last + 1)), Inserted::Full);
    assert_eq!(pool.insert(transaction(&world, "birch/author", 1)), Inserted::New);
    assert_eq!(pool.len(), MEMPOOL_PER_SENDER_MAX + 1);
}
