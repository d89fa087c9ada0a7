//! Blocks: built, executed by others, and refused when anything in them is not so.

use super::*;
use crate::{
    block::Block,
    quantity::DurationMs,
    role::Role,
    testing::{World, deploy, genesis, member, org, record},
    transaction::{Call, Choice, ProposalId, ReviewVerdict, Transaction},
};

/// A world with an open vote, and three ballots that nobody has put into a block.
fn ballots() -> (World, ProposalId, Vec<Transaction>) {
    let mut world = World::new(4);
    world.block(DurationMs::new(1), &[]);
    let document = deploy("2", &[&["acme-north"]]);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    let submit = world.sign("acme/author", Role::Author, Call::Submit { document, plan_hash });
    world.block(DurationMs::new(1), &[submit]);
    let id = world.state.proposals().next().unwrap().id;
    let review = world.sign("birch/author", Role::Reviewer, world.review_call(id, ReviewVerdict::Approve));
    world.block(DurationMs::new(1), &[review]);
    let cast = ["acme/author", "birch/author", "cedar/author"]
        .map(|voter| world.sign(voter, Role::Voter, world.vote_call(id, Choice::For)));
    (world, id, cast.into())
}

fn verified(world: &World, transactions: &[Transaction]) -> Vec<VerifiedTransaction> {
    transactions.iter().map(|transaction| world.verify(transaction)).collect()
}

#[test]
fn a_block_yields_the_same_for_whoever_executes_it() {
    let (mut world, _, cast) = ballots();
    let parent = world.state.clone();
    let (block, built) = world.block(DurationMs::new(5), &cast);
    let executed = execute(&parent, block.header(), &verified(&world, &cast)).unwrap();
    assert_eq!((executed.header, executed.events), (built.header, built.events));
    assert_eq!(executed.outcomes.len(), 3);
    assert_eq!(Block::decode(&block.encode()).unwrap(), block);
}

#[test]
fn a_proposer_leaves_out_what_is_refused_or_repeated() {
    let (mut world, id, mut cast) = ballots();
    let against = world.sign("acme/author", Role::Voter, world.vote_call(id, Choice::Against));
    cast.push(against);
    cast.push(cast[0].clone());
    let (block, built) = world.block(DurationMs::new(5), &cast);
    assert_eq!(built.outcomes.len(), 3);
    assert_eq!(block.transactions().len(), 3);
}

#[test]
fn a_block_with_a_refused_or_repeated_transaction_is_invalid() {
    let (mut world, id, cast) = ballots();
    let parent = world.state.clone();
    let against = world.sign("acme/author", Role::Voter, world.vote_call(id, Choice::Against));
    let (block, _) = world.block(DurationMs::new(5), &cast);
    let mut repeated = cast.clone();
    repeated.push(cast[0].clone());
    let refused = execute(&parent, block.header(), &verified(&world, &repeated)).unwrap_err();
    assert!(matches!(refused, InvalidBlock::Repeated { .. }));
    let mut contrary = cast;
    contrary.push(against);
    let refused = execute(&parent, block.header(), &verified(&world, &contrary)).unwrap_err();
    assert!(matches!(refused, InvalidBlock::Refused { reject: Reject::Sequence { .. }, .. }), "{refused:?}");
}

#[test]
fn a_block_holds_so_many_transactions_and_no_more() {
    let mut genesis = genesis(4);
    let voters: Vec<_> =
        (0..=BLOCK_TRANSACTIONS_MAX).map(|n| member(&format!("{}/v{n}", org(n % 4)))).collect();
    for voter in &voters {
        genesis.members.insert(voter.clone(), record(voter, 1, &[Role::Voter]));
    }
    let mut world = World::with(genesis);
    let id = world.submit("acme/author", deploy("2", &[&["acme-north"]])).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    let call = world.vote_call(id, Choice::For);
    let cast: Vec<_> =
        voters.iter().map(|voter| world.verified(voter.as_str(), Role::Voter, call.clone())).collect();
    let context = BlockContext {
        height: world.state.height().next(),
        round: Round::ZERO,
        time: world.state.time().after(DurationMs::new(1)),
        parent: Digest::ZERO,
        proposer: world.state.roster().validators()[0].consensus,
    };
    let built = build(&world.state, context, &cast);
    assert_eq!(built.outcomes.len(), BLOCK_TRANSACTIONS_MAX);
    execute(&world.state, &built.header, &cast[..BLOCK_TRANSACTIONS_MAX]).unwrap();
    let refused = execute(&world.state, &built.header, &cast).unwrap_err();
    assert_eq!(refused.to_string(), "the block has 4097 transactions, at most 4096 are allowed");
}

#[test]
fn a_block_with_any_other_header_is_invalid() {
    let (mut world, _, cast) = ballots();
    let parent = world.state.clone();
    let (block, _) = world.block(DurationMs::new(5), &cast);
    let transactions = verified(&world, &cast);
    let field = |change: fn(&mut Header)| {
        let mut header = block.header().clone();
        change(&mut header);
        match execute(&parent, &header, &transactions) {
            Err(InvalidBlock::Field { field }) => field,
            Err(InvalidBlock::Begin(_)) => "begin",
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(field(|header| header.state_root = Digest::ZERO), "state_root");
    assert_eq!(field(|header| header.events_root = Digest::ZERO), "events_root");
    assert_eq!(field(|header| header.transactions_root = Digest::ZERO), "transactions_root");
    assert_eq!(field(|header| header.roster = Digest::ZERO), "roster");
    assert_eq!(field(|header| header.network = Digest::ZERO), "network");
    assert_eq!(field(|header| header.protocol = 2), "protocol");
    assert_eq!(field(|header| header.constitution = 2), "constitution");
    assert_eq!(field(|header| header.proposer = PublicKey::Ed25519([0; 32])), "proposer");
    assert_eq!(field(|header| header.time = TimeMs::ZERO), "begin");
    assert_eq!(field(|header| header.height = header.height.next()), "begin");
    assert_eq!(field(|header| header.parent = Digest::ZERO), "state_root");
}

#[test]
fn a_block_in_another_order_is_another_block() {
    let (world, _, cast) = ballots();
    let parent = world.state.clone();
    let (block, _) = world.clone().block(DurationMs::new(5), &cast);
    let mut reordered = cast;
    reordered.reverse();
    let refused = execute(&parent, block.header(), &verified(&world, &reordered)).unwrap_err();
    assert_eq!(refused, InvalidBlock::Field { field: "transactions_root" });
}

#[test]
fn timers_run_before_the_transactions_of_their_block() {
    let (mut world, id, cast) = ballots();
    let period = world.state.next_deadline().unwrap().since(world.state.time());
    let (block, executed) = world.block(period, &cast);
    assert!(block.transactions().is_empty(), "the vote ended before the ballots came");
    assert!(matches!(executed.events[0], Event::Tallied { .. }));
    assert_eq!(world.state.proposal(id).unwrap().stage, crate::stage::Stage::Defeated);
}

#[test]
fn a_certificate_of_the_validators_makes_a_block_final() {
    let (mut world, _, cast) = ballots();
    let (block, _) = world.block(DurationMs::new(5), &cast);
    let mut certificate = world.certify(block.header());
    certificate.verify(world.network(), world.state.roster()).unwrap();
    certificate.precommits.pop_first();
    certificate.verify(world.network(), world.state.roster()).unwrap();
    certificate.precommits.pop_first();
    let refused = certificate.verify(world.network(), world.state.roster()).unwrap_err();
    assert_eq!(refused.to_string(), "height 4 has 2 of 4 weight; more than two thirds are needed");
}

#[test]
fn events_are_numbered_without_gaps() {
    let (mut world, _, cast) = ballots();
    let before = world.state.event_sequence().get();
    let (_, executed) = world.block(DurationMs::new(5), &cast);
    let count = u64::try_from(executed.events.len()).unwrap();
    assert_eq!(world.state.event_sequence().get(), before + count);
}
