//! Owns what the rules cost without disk and network: one core executing a block of ballots by the same code as every
//! node, so that the figures of the whole mesh can be taken apart.

use std::{hint::black_box, time::Duration};

use althing_contracts::{
    block::Block,
    ledger,
    quantity::DurationMs,
    role::Role,
    signature::{Signed, verify_batch},
    stage::Stage,
    testing::{World, deploy, genesis, member, record},
    transaction::{Choice, ReviewVerdict, Transaction, UnverifiedTransaction, VerifiedTransaction},
};

use super::{
    Failure,
    verify::{BALLOTS_PER_BLOCK, entropy, rounds_per_cpu_second},
};

const ORGANISATIONS: usize = 4;
/// Distance of blocks in time; it has no influence on the cost.
const LATER: DurationMs = DurationMs::new(1_000);

/// Blocks of 1,000 ballots per CPU-second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockRates {
    /// Execution alone: rules, tally, events, roots.
    pub(crate) executed: f64,
    /// Everything between the bytes and the next state: decoding, hashing, signatures, execution.
    pub(crate) checked_and_executed: f64,
}

/// Measures one block of ballots, every one of another voter.
pub(crate) fn block_rates(time: Duration) -> Result<BlockRates, Failure> {
    let (parent, block) = block_of_ballots()?;
    let bytes = block.encode();
    let verified = verify(&parent, &block)?;
    let executed = rounds_per_cpu_second(time, || {
        black_box(ledger::execute(&parent.state, block.header(), &verified)?);
        Ok(())
    })?;
    let checked_and_executed = rounds_per_cpu_second(time, || {
        let block = Block::decode(&bytes)?;
        let verified = verify(&parent, &block)?;
        black_box(ledger::execute(&parent.state, block.header(), &verified)?);
        Ok(())
    })?;
    Ok(BlockRates { executed, checked_and_executed })
}

/// A world that votes, and the next block with a ballot of each voter.
fn block_of_ballots() -> Result<(World, Block), Failure> {
    let mut genesis = genesis(ORGANISATIONS);
    let orgs: Vec<_> = genesis.organisations.keys().cloned().collect();
    let voters: Vec<String> =
        (0..BALLOTS_PER_BLOCK).map(|i| format!("{}/voter-{i}", orgs[i % ORGANISATIONS])).collect();
    for voter in &voters {
        let id = member(voter);
        genesis.members.insert(id.clone(), record(&id, 1, &[Role::Voter]));
    }
    let target = genesis.targets.keys().next().ok_or("the genesis has no target")?.to_string();
    let mut world = World::with(genesis);
    world.pass(LATER);
    let proposal = world.submit(&format!("{}/author", orgs[0]), deploy("2", &[&[target.as_str()]]))?;
    if world.state.proposal(proposal).is_some_and(|proposal| proposal.stage == Stage::Review) {
        world.review(&format!("{}/author", orgs[1]), proposal, ReviewVerdict::Approve)?;
    }
    world.ask(&voters[0], Role::Voter, world.vote_call(proposal, Choice::For))?;
    let ballot = |voter: &String| world.sign(voter, Role::Voter, world.vote_call(proposal, Choice::For));
    let ballots: Vec<Transaction> = voters.iter().map(ballot).collect();
    let parent = world.clone();
    let (block, executed) = world.block(LATER, &ballots);
    if executed.outcomes.len() != ballots.len() {
        return Err(
            format!("only {} of {} ballots took effect", executed.outcomes.len(), ballots.len()).into()
        );
    }
    Ok((parent, block))
}

fn verify(parent: &World, block: &Block) -> Result<Vec<VerifiedTransaction>, Failure> {
    let decode = |bytes: &Vec<u8>| UnverifiedTransaction::decode(bytes, parent.network());
    let transactions = block.transactions().iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    let signed: Vec<Signed> = transactions.iter().map(UnverifiedTransaction::signed).collect();
    verify_batch(&signed, entropy())?;
    Ok(transactions.into_iter().map(UnverifiedTransaction::assume_verified).collect())
}
