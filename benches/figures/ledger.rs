//! Owns what the rules cost without disk and network: one core executing a block of ballots by the same code as every
//! node, so that the figures of the whole mesh can be taken apart.

use std::{hint::black_box, time::Duration};

use althing_contracts::{
    block::Block,
    genesis::Genesis,
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
    let (world, voters) = world_of_voters(|_| ());
    let made = block_of_ballots(world, &voters)?;
    let executed = executed_per_cpu_second(time, &made)?;
    let (parent, block) = made;
    let bytes = block.encode();
    let checked_and_executed = rounds_per_cpu_second(time, || {
        let block = Block::decode(&bytes)?;
        let verified = verify(&parent, &block)?;
        black_box(ledger::execute(&parent.state, block.header(), &verified)?);
        Ok(())
    })?;
    Ok(BlockRates { executed, checked_and_executed })
}

/// A world with so many voters that their ballots fill a block, and their names.
pub(crate) fn world_of_voters(change: impl FnOnce(&mut Genesis)) -> (World, Vec<String>) {
    let mut genesis = genesis(ORGANISATIONS);
    let orgs: Vec<_> = genesis.organisations.keys().cloned().collect();
    let voters: Vec<String> =
        (0..BALLOTS_PER_BLOCK).map(|i| format!("{}/voter-{i}", orgs[i % ORGANISATIONS])).collect();
    for voter in &voters {
        let id = member(voter);
        genesis.members.insert(id.clone(), record(&id, 1, &[Role::Voter]));
    }
    change(&mut genesis);
    (World::with(genesis), voters)
}

/// A world that votes, and the next block with a ballot of each voter.
pub(crate) fn block_of_ballots(mut world: World, voters: &[String]) -> Result<(World, Block), Failure> {
    let target = world.genesis.targets.keys().next().ok_or("the genesis has no target")?.to_string();
    world.pass(LATER);
    let proposal = world.submit("acme/author", deploy("2", &[&[target.as_str()]]))?;
    if world.state.proposal(proposal).is_some_and(|proposal| proposal.stage == Stage::Review) {
        world.review("birch/author", proposal, ReviewVerdict::Approve)?;
    }
    world.ask(&voters[0], Role::Voter, world.vote_call(proposal, Choice::For))?;
    let ballot = |voter: &String| world.sign(voter, Role::Voter, world.vote_call(proposal, Choice::For));
    let ballots: Vec<Transaction> = voters.iter().map(ballot).collect();
    next_block(world, &ballots)
}

/// A world and its next block, in which every one of the transactions takes effect.
pub(crate) fn next_block(mut world: World, transactions: &[Transaction]) -> Result<(World, Block), Failure> {
    let parent = world.clone();
    let (block, executed) = world.block(LATER, transactions);
    let (found, wanted) = (executed.outcomes.len(), transactions.len());
    if found != wanted {
        return Err(format!("only {found} of {wanted} transactions took effect").into());
    }
    Ok((parent, block))
}

/// Such blocks executed per CPU-second, without their signatures.
pub(crate) fn executed_per_cpu_second(
    time: Duration,
    (parent, block): &(World, Block),
) -> Result<f64, Failure> {
    let verified = verify(parent, block)?;
    rounds_per_cpu_second(time, || {
        black_box(ledger::execute(&parent.state, block.header(), &verified)?);
        Ok(())
    })
}

fn verify(parent: &World, block: &Block) -> Result<Vec<VerifiedTransaction>, Failure> {
    let decode = |bytes: &Vec<u8>| UnverifiedTransaction::decode(bytes, parent.network());
    let transactions = block.transactions().iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    let signed: Vec<Signed> = transactions.iter().map(UnverifiedTransaction::signed).collect();
    verify_batch(&signed, entropy())?;
    Ok(transactions.into_iter().map(UnverifiedTransaction::assume_verified).collect())
}
