//! Owns what the rules cost on a ledger with a long past and a full house: whether a ballot and a proposal cost more after a
//! million proposals than after a thousand, what judging a document costs, what a proposal that has ended leaves behind, and how
//! fast the past is judged by other rules.

use std::{collections::BTreeSet, hint::black_box, time::Duration};

use althing_contracts::{
    genesis::Genesis,
    name::Line,
    quantity::{BondPoints, DurationMs, TimeMs},
    role::Role,
    signature::Signature,
    stage::Stage,
    state::Input,
    testing::{World, deploy, member, member_key, record},
    transaction::{
        Call, Choice, ProposalId, ReviewVerdict, Transaction, TransactionBody, UnverifiedTransaction,
    },
};

use super::{
    Failure, ledger,
    report::{Expected, Figure},
    run::Scale,
    statistics::{Latencies, timed},
};

/// The figures of a run for governance.
pub(crate) const EXPECTED: [Expected; 6] = [
    Expected::BALLOT_AFTER_MANY,
    Expected::SUBMISSION_AFTER_MANY,
    Expected::DELEGATED_BALLOTS,
    Expected::RULES,
    Expected::STATE_OF_ENDED,
    Expected::REPLAYED,
];
/// The short past.
const FEW: usize = 1_000;
/// Submissions in a block.
const SUBMISSIONS: usize = 100;
/// Proposals that are decided and end.
const DECIDED: usize = 1_000;
const AUTHORS: [&str; 4] = ["acme/author", "birch/author", "cedar/author", "delta/author"];

/// Measures all of them.
pub(crate) fn measure(scale: Scale, figures: &mut Vec<Figure>) -> Result<(), Failure> {
    after_many(scale, figures)?;
    delegated(figures)?;
    rules(figures)?;
    decided(figures)
}

/// Nothing keeps anybody from proposing as much as a measurement needs.
fn generous(genesis: &mut Genesis) {
    genesis.constitution.bonds.base = BondPoints::ZERO;
    genesis.constitution.open_proposals_per_author_max = 1_000;
}

fn after_many(scale: Scale, figures: &mut Vec<Figure>) -> Result<(), Failure> {
    let many = scale.proposals;
    let (mut few_world, voters) = ledger::world_of_voters(generous);
    let mut many_world = few_world.clone();
    populate(&mut few_world, FEW.min(many / 2))?;
    let (populated, elapsed) = timed(|| populate(&mut many_world, many));
    populated?;
    let worlds = [few_world, many_world];
    let ballots = worlds.each_ref().map(|world| ledger::block_of_ballots(world.clone(), &voters));
    let submissions = worlds.map(block_of_submissions);
    let note = format!(
        "after {many} proposals, against {}; populated in {:.0} s",
        FEW.min(many / 2),
        elapsed.as_secs_f64()
    );
    for (expected, blocks) in
        [(Expected::BALLOT_AFTER_MANY, ballots), (Expected::SUBMISSION_AFTER_MANY, submissions)]
    {
        let [few, many] = blocks;
        let blocks = [few?, many?];
        let mut best = [0.0_f64; 2];
        // In turn, so that neither has the quieter machine.
        for _ in 0..3 {
            for (best, block) in best.iter_mut().zip(&blocks) {
                *best = best.max(ledger::executed_per_cpu_second(scale.limit, block)?);
            }
        }
        let [few, many] = best;
        let figure = expected.measured(few / many).note(note.clone());
        figures.push(figure.part("blocks_per_cpu_second_few", few).part("blocks_per_cpu_second_many", many));
    }
    Ok(())
}

/// So many proposals that were opened and withdrawn, in blocks of a thousand.
fn populate(world: &mut World, count: usize) -> Result<(), Failure> {
    for number in 0..count {
        if number % 1_000 == 0 {
            world.pass(DurationMs::new(1_000));
            world.state.root();
        }
        let author = AUTHORS[number % AUTHORS.len()];
        let document = deploy(&format!("v{number}"), &[&["acme-north"]]);
        let plan = world.state.plan(&document)?;
        let sender = member(author);
        let sequence = world.state.next_sequence(&sender, Role::Author);
        let proposal = ProposalId::derive(world.network(), &sender, sequence, plan.document);
        take(world, author, Call::Submit { document, plan_hash: plan.hash() })?;
        take(world, author, Call::Cancel { proposal, reason: Line::shortened("enough") })?;
    }
    world.pass(DurationMs::new(1_000));
    world.state.root();
    Ok(())
}

/// Applies a call whose signature nobody checks: signatures are another figure.
fn take(world: &mut World, sender: &str, call: Call) -> Result<(), Failure> {
    let (sender, role) = (member(sender), Role::Author);
    let sequence = world.state.next_sequence(&sender, role);
    let key = member_key(&sender, role).public();
    let body = TransactionBody { sender, role, sequence, not_after: TimeMs::MAX, call };
    let bytes = Transaction::V3 { body, key, signature: Signature::Ed25519([0; 64]) }.encode();
    let transaction = UnverifiedTransaction::decode(&bytes, world.network())?.assume_verified();
    world.state.apply(Input::Transaction(&transaction))?;
    Ok(())
}

fn block_of_submissions(mut world: World) -> Result<(World, althing_contracts::block::Block), Failure> {
    world.pass(DurationMs::new(1_000));
    let mut transactions = Vec::new();
    for author in AUTHORS {
        let sender = member(author);
        let mut sequence = world.state.next_sequence(&sender, Role::Author);
        for number in 0..SUBMISSIONS / AUTHORS.len() {
            let document = deploy(&format!("{}-{number}", sender.org_str()), &[&["acme-north"]]);
            let plan_hash = world.state.plan(&document)?.hash();
            let call = Call::Submit { document, plan_hash };
            let body = TransactionBody {
                sender: sender.clone(),
                role: Role::Author,
                sequence,
                not_after: TimeMs::MAX,
                call,
            };
            transactions.push(world.sign_as(body));
            sequence = sequence.next();
        }
    }
    ledger::next_block(world, &transactions)
}

/// Ballots of a full house, half of which has lent its voice: 10,000 members are the most that a mesh has.
fn delegated(figures: &mut Vec<Figure>) -> Result<(), Failure> {
    let (mut world, _) = ledger::world_of_voters(|genesis| {
        generous(genesis);
        let orgs: Vec<_> = genesis.organisations.keys().cloned().collect();
        let missing = althing_contracts::genesis::MEMBERS_MAX - genesis.members.len();
        for number in 0..missing {
            let id = member(&format!("{}/more-{number}", orgs[number % orgs.len()]));
            genesis.members.insert(id.clone(), record(&id, 1, &[Role::Voter]));
        }
    });
    let voters: Vec<String> = world.state.members_with(Role::Voter).map(ToString::to_string).collect();
    let (lenders, speakers) = voters.split_at(voters.len() / 2);
    let expires = world.state.time().after(DurationMs::from_hours(30 * 24));
    for (number, lender) in lenders.iter().enumerate() {
        let to = member(&speakers[number % speakers.len()]);
        world.call(lender, Role::Voter, Call::Delegate { track: None, to, expires })?;
    }
    world.pass(DurationMs::from_hours(25));
    let id = world.submit("acme/author", deploy("2", &[&["acme-north"]]))?;
    world.review("birch/author", id, ReviewVerdict::Approve)?;
    let call = world.vote_call(id, Choice::For);
    let ballots: Vec<_> =
        speakers.iter().map(|voter| world.verified(voter, Role::Voter, call.clone())).collect();
    let mut state = world.state.clone();
    let (applied, elapsed) =
        timed(|| ballots.iter().try_for_each(|it| state.apply(Input::Transaction(it)).map(drop)));
    applied?;
    let proposal = state.proposal(id).ok_or("the proposal is gone")?;
    let mut counts = Latencies::default();
    for _ in 0..1_000 {
        let (tally, elapsed) = timed(|| black_box(proposal.count()));
        black_box(tally);
        counts.push(elapsed);
    }
    let rate = f64::from(u32::try_from(ballots.len())?) / elapsed.as_secs_f64();
    let figure = Expected::DELEGATED_BALLOTS.measured(rate).note(format!(
        "{} ballots that speak for {} voters; one count of them takes {:.1} µs",
        ballots.len(),
        voters.len(),
        counts.percentile_ms(50).unwrap_or(f64::NAN) * 1e3
    ));
    figures.push(figure.part("seconds_for_a_million_ballots", 1e6 / rate));
    Ok(())
}

/// The hard rules over a document of as many stages and targets as the mesh has.
fn rules(figures: &mut Vec<Figure>) -> Result<(), Failure> {
    let (world, _) = ledger::world_of_voters(generous);
    let targets: Vec<String> = world.state.targets().map(|(id, _)| id.to_string()).collect();
    let stages: Vec<Vec<&str>> = targets.iter().map(|target| vec![target.as_str()]).collect();
    let stages: Vec<&[&str]> = stages.iter().map(Vec::as_slice).collect();
    let mut document = deploy("2", &stages);
    document.data_classes = BTreeSet::from(["public".parse()?]);
    let mut latencies = Latencies::default();
    for _ in 0..10_000 {
        let (found, elapsed) = timed(|| world.state.findings(&document));
        if !found.is_empty() {
            return Err(format!("the document breaks a rule: {found:?}").into());
        }
        latencies.push(elapsed);
    }
    let p95 = latencies.percentile_ms(95).ok_or("nothing was measured")? * 1e3;
    figures.push(Expected::RULES.measured(p95).note(format!(
        "{} stages; {}",
        stages.len(),
        latencies.summary()
    )));
    Ok(())
}

/// Proposals that were reviewed, voted on and expired: what each leaves, and how fast other rules are asked about them.
fn decided(figures: &mut Vec<Figure>) -> Result<(), Failure> {
    let (mut world, _) = ledger::world_of_voters(generous);
    world.pass(DurationMs::new(1_000));
    let before = world.state.encode_snapshot().len();
    for number in 0..DECIDED {
        let author = AUTHORS[number % AUTHORS.len()];
        let id = world.submit(author, deploy(&format!("v{number}"), &[&["acme-north"]]))?;
        let reviewer = AUTHORS[(number + 1) % AUTHORS.len()];
        world.review(reviewer, id, ReviewVerdict::Approve)?;
        for voter in &AUTHORS[..3] {
            world.vote(voter, id, Choice::For)?;
        }
    }
    while world.state.proposals().any(|proposal| proposal.stage != Stage::Expired) {
        world.pass_to_deadline();
    }
    let after = world.state.encode_snapshot().len();
    let each = f64::from(u32::try_from(after - before)?) / f64::from(u32::try_from(DECIDED)?);
    let note = format!("bytes of a snapshot for each of {DECIDED} that expired after a vote of three");
    figures.push(Expected::STATE_OF_ENDED.measured(each).note(note));

    let other = world.next_rules(|rules| rules.vetoes_per_guardian += 1);
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let (judged, elapsed) = timed(|| world.state.backtest(&other, DECIDED));
        black_box(judged?);
        best = best.min(elapsed);
    }
    let rate = f64::from(u32::try_from(DECIDED)?) / best.as_secs_f64();
    figures.push(Expected::REPLAYED.measured(rate).note("proposals judged by both texts, on one core"));
    Ok(())
}
