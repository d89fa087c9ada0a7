//! Owns judging a run: one verdict for each promise, from what was seen from outside, what the ledger tells, what an outsider
//! could verify, and what the providers wrote down themselves.

mod effects;
pub mod status;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;

use super::{
    evidence::Evidence,
    fault::Kind,
    load::{
        ballots::{Answer, Ballot},
        lives::Life,
        reads::ReadCounts,
        trial::WITHDRAWN,
    },
    report::Trouble,
    watch::Seen,
};
use crate::{checker::status::History, lie::Lie};

/// Longest time from the mend to the next final block.
pub const NEXT_BLOCK_WITHIN: Duration = Duration::from_secs(10);
/// Longest time from the mend until every node has the block.
pub const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(30);
/// Longest time from the start of a killed executor's node until its work goes on.
pub const RESUMED_WITHIN: Duration = Duration::from_secs(15);

/// Whether one promise was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Its name.
    pub id: &'static str,
    /// What is promised.
    pub promised: &'static str,
    /// What was seen.
    pub observed: String,
    /// Whether it holds.
    pub holds: bool,
}

/// What a run has to show for itself.
#[derive(Debug)]
pub struct Findings<'a> {
    /// The nodes' names.
    pub names: &'a [String],
    /// What each node showed.
    pub seen: &'a [Vec<Seen>],
    /// What was broken, and how the mesh took it.
    pub troubles: &'a [Trouble],
    /// The ballots.
    pub ballots: &'a [Ballot],
    /// What clients were told, and what the ledger held.
    pub told: &'a History,
    /// The reads among it.
    pub reads: ReadCounts,
    /// The life that was lived after everything was mended; none when the run was interrupted.
    pub last_life: Option<&'a Life>,
    /// Daemons that ended by themselves.
    pub fallen: &'a [String],
    /// What was gathered.
    pub evidence: &'a Evidence,
    /// Whether the mesh stood before: no life there ends within the run, and nothing is carried out.
    pub is_standing: bool,
}

/// Judges every promise.
#[must_use]
pub fn judge(findings: &Findings<'_>) -> Vec<Verdict> {
    let evidence = findings.evidence;
    // A run that was ended early may have nothing to show yet; a whole one that has is no proof of anything.
    let is_whole = findings.last_life.is_some();
    let mut verdicts = vec![
        agreement(findings),
        ballots(findings.ballots, evidence, is_whole),
        status::told(findings.told, findings.reads, is_whole),
        effects::once(&evidence.effects, is_whole && !findings.is_standing),
        effects::decided(&evidence.effects, &evidence.stories),
        standstill(findings),
        recovery(findings),
        audit(&evidence.bundles),
        independent(&evidence.findings),
        evidence_of_lies(findings),
        daemons(findings.fallen),
    ];
    verdicts.extend(findings.last_life.map(if findings.is_standing { trial } else { liveness }));
    verdicts
}

/// Of what speaks against a promise, how much is told.
const TOLD_MAX: usize = 8;

/// A verdict that holds when nothing speaks against it.
fn verdict(id: &'static str, promised: &'static str, seen: String, against: &[String]) -> Verdict {
    let told = against.get(..TOLD_MAX).unwrap_or(against).join("; ");
    let observed = match against.len() {
        0 => seen,
        1..=TOLD_MAX => told,
        all => format!("{told}; and {} more", all - TOLD_MAX),
    };
    Verdict { id, promised, observed, holds: against.is_empty() }
}

fn agreement(findings: &Findings<'_>) -> Verdict {
    let mut roots: BTreeMap<u64, (&str, &str)> = BTreeMap::new();
    let mut against = Vec::new();
    let mut compared = 0_usize;
    for (name, seen) in findings.names.iter().zip(findings.seen) {
        for block in seen {
            let (other, root) = *roots.entry(block.height).or_insert((name, &block.state_root));
            compared += usize::from(other != name);
            if root != block.state_root {
                against.push(format!("{name} and {other} differ at height {}", block.height));
            }
        }
    }
    let heads: Vec<_> = verified(&findings.evidence.bundles)
        .map(|(name, report)| (name, &report["height"], &report["head"], &report["state_root"]))
        .collect();
    for pair in heads.windows(2) {
        let (one, other) = (&pair[0], &pair[1]);
        if one.1 == other.1 && (one.2, one.3) != (other.2, other.3) {
            against.push(format!(
                "the bundles of {} and {} end in different blocks of height {}",
                one.0, other.0, one.1
            ));
        }
    }
    let height = roots.keys().last().copied().unwrap_or(0);
    let seen = format!(
        "{height} blocks; {compared} looks at one height showed one state root, {} bundles end alike",
        heads.len()
    );
    verdict("agreement", "one block and one state at every height, on every node", seen, &against)
}

fn verified(bundles: &BTreeMap<String, Result<Value, String>>) -> impl Iterator<Item = (&String, &Value)> {
    bundles.iter().filter_map(|(name, verified)| Some((name, verified.as_ref().ok()?)))
}

fn ballots(ballots: &[Ballot], evidence: &Evidence, is_whole: bool) -> Verdict {
    let mut counted: BTreeMap<(&str, &str), Vec<u64>> = BTreeMap::new();
    for (proposal, story) in &evidence.stories {
        for event in story.events.iter().filter(|event| event["type"] == "io.althing.voted") {
            let voter = event["data"]["voter"].as_str().unwrap_or_default();
            counted.entry((proposal, voter)).or_default().push(event["data"]["height"].as_u64().unwrap_or(0));
        }
    }
    let mut against: Vec<String> = Vec::new();
    let doubled = counted.iter().filter(|(_, heights)| heights.len() > 1);
    against.extend(doubled.map(|((proposal, voter), heights)| {
        format!("{voter} counts {} times on {}", heights.len(), short(proposal))
    }));
    let mut acknowledged = 0_usize;
    for ballot in ballots {
        let Answer::Final { height, repeated } = ballot.answer else { continue };
        acknowledged += 1;
        let found = counted
            .get(&(ballot.proposal.as_str(), ballot.member.as_str()))
            .and_then(|heights| heights.first());
        let told = || {
            format!(
                "{} was told that its ballot on {} is final at height {height}",
                ballot.member,
                short(&ballot.proposal)
            )
        };
        match found {
            None => against.push(format!("{}, and it is not on the ledger", told())),
            Some(other) if *other != height && !repeated => {
                against.push(format!("{}, and it is at {other}", told()));
            }
            Some(_) => {}
        }
    }
    if acknowledged == 0 && is_whole {
        against.push("no ballot got through at all".to_owned());
    }
    let unknown = ballots.iter().filter(|ballot| ballot.answer == Answer::Unknown).count();
    let seen = format!(
        "{acknowledged} acknowledged ballots are on the ledger once each; {unknown} stayed without an answer"
    );
    verdict("ballots", "no acknowledged ballot is lost, none counts twice", seen, &against)
}

fn standstill(findings: &Findings<'_>) -> Verdict {
    let stalled: Vec<_> =
        findings.troubles.iter().filter(|trouble| trouble.keeps_quorum == Some(false)).collect();
    let mut against = Vec::new();
    for trouble in &stalled {
        if let Some(blocks @ 1..) = trouble.blocks_while_stalled {
            against.push(format!("{blocks} blocks while {} ({} ms in)", trouble.what(), trouble.broken_ms));
        }
    }
    let seen = match stalled.len() {
        0 => "the mesh always had more than two thirds".to_owned(),
        times => format!("0 blocks in {times} times without two thirds"),
    };
    verdict("standstill", "without more than two thirds nothing is decided", seen, &against)
}

fn recovery(findings: &Findings<'_>) -> Verdict {
    let mut against = Vec::new();
    for trouble in findings.troubles {
        let late = |took: Option<u64>, within: Duration| {
            took.is_none_or(|took| u128::from(took) > within.as_millis())
        };
        let told =
            |took: Option<u64>| took.map_or_else(|| "never".to_owned(), |took| format!("after {took} ms"));
        if late(trouble.next_block_ms, NEXT_BLOCK_WITHIN) {
            against.push(format!(
                "after {} the next block came {}",
                trouble.what(),
                told(trouble.next_block_ms)
            ));
        }
        if late(trouble.caught_up_ms, CAUGHT_UP_WITHIN) {
            against.push(format!("after {} all nodes had it {}", trouble.what(), told(trouble.caught_up_ms)));
        }
        for resumed in &trouble.resumed_ms {
            if late(Some(*resumed), RESUMED_WITHIN) {
                against.push(format!(
                    "after {} an executor's work went on {}",
                    trouble.what(),
                    told(Some(*resumed))
                ));
            }
        }
    }
    let worst = |of: fn(&Trouble) -> Option<u64>| findings.troubles.iter().filter_map(of).max().unwrap_or(0);
    let seen = format!(
        "{} times mended; next block after {} ms at the latest, on every node after {} ms",
        findings.troubles.len(),
        worst(|trouble| trouble.next_block_ms),
        worst(|trouble| trouble.caught_up_ms),
    );
    verdict("recovery", "a block within 10 s of the mend, on every node within 30 s", seen, &against)
}

fn liveness(life: &Life) -> Verdict {
    let took = life.ended_ms.saturating_sub(life.began_ms);
    let against = (life.stage != "closed").then(|| format!("it ended as `{}` after {took} ms", life.stage));
    let seen = format!("proposed, decided, carried out and audited in {took} ms");
    verdict("liveness", "after the last mend a proposal lives its whole life", seen, &Vec::from_iter(against))
}

fn trial(life: &Life) -> Verdict {
    let took = life.ended_ms.saturating_sub(life.began_ms);
    let against = (life.stage != WITHDRAWN).then(|| format!("it ended as `{}` after {took} ms", life.stage));
    let seen = format!("proposed, voted on and withdrawn in {took} ms");
    let promised = "after the last mend a proposal is taken, voted on and withdrawn";
    verdict("liveness", promised, seen, &Vec::from_iter(against))
}

fn audit(bundles: &BTreeMap<String, Result<Value, String>>) -> Verdict {
    let failed = bundles.iter().filter_map(|(name, verified)| Some((name, verified.as_ref().err()?)));
    let mut against: Vec<_> = failed.map(|(name, why)| format!("the bundle of {name}: {why}")).collect();
    for (name, report) in verified(bundles) {
        if report["split_views"].as_array().is_some_and(|views| !views.is_empty()) {
            against.push(format!("the bundle of {name} has two certified blocks of one height"));
        }
    }
    let total =
        |field: &str| verified(bundles).filter_map(|(_, report)| report[field].as_u64()).max().unwrap_or(0);
    let seen = format!(
        "{} bundles verified by processes of their own: {} blocks, {} signatures",
        bundles.len(),
        total("height"),
        total("signatures")
    );
    verdict("audit", "every node can prove the whole ledger to an outsider", seen, &against)
}

/// The checkers share nothing with the code that they judge but the data itself.
fn independent(findings: &[String]) -> Verdict {
    let seen =
        "chain, effects, ballots, approvals and key uses are as blocks, logs and journals tell".to_owned();
    verdict("independent", "checkers that know nothing of daemons find nothing", seen, findings)
}

/// Votes for two blocks prove themselves; what else a liar does leaves no proof that lasts. Every liar begins without a
/// memory of what was signed in its name before, and may by that sign twice as well.
fn evidence_of_lies(findings: &Findings<'_>) -> Verdict {
    let who_lied = |is: fn(&Kind) -> bool| -> BTreeSet<&String> {
        let troubles = findings.troubles.iter().filter(|trouble| trouble.kinds.iter().any(is));
        troubles.flat_map(|trouble| &trouble.nodes).filter_map(|node| findings.names.get(*node)).collect()
    };
    let liars = who_lied(|kind| matches!(kind, Kind::Lies(Lie::DoubleVotes)));
    let suspects = who_lied(|kind| matches!(kind, Kind::Lies(_)));
    let mut against = Vec::new();
    for liar in &liars {
        for (name, known) in &findings.evidence.equivocated {
            if !known.contains(*liar) {
                against.push(format!("{liar} voted twice, and the ledger of {name} does not say so"));
            }
        }
    }
    let known: BTreeSet<&String> = findings.evidence.equivocated.values().flatten().collect();
    let honest = known.difference(&suspects);
    against.extend(
        honest.map(|known| format!("{known} is said to have signed twice, and nobody lied in its name")),
    );
    let seen = format!("{} validators signed twice, and every ledger says so", liars.len());
    verdict("evidence", "who signs twice is on every ledger, and nobody else", seen, &against)
}

fn daemons(fallen: &[String]) -> Verdict {
    let against: Vec<_> = fallen.iter().map(|name| format!("{name} ended by itself")).collect();
    verdict(
        "daemons",
        "a daemon ends only when it is told to or killed",
        "none ended by itself".to_owned(),
        &against,
    )
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

#[cfg(test)]
mod tests;
