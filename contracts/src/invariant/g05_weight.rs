//! G5: counted weight is within the snapshot and the caps, and nobody counts twice: each voter's weight speaks through the
//! nearest on its chain who has voted, and who speaks for whom is what was in force when the proposal was submitted.

use std::collections::BTreeMap;

use crate::{
    electorate::{BallotCaps, Voices},
    event::Event,
    invariant::{Broken, View, ensure_of},
    name::{MemberId, OrgId},
    proposal::Proposal,
    quantity::{Ratio, Weight},
    tally::{Choices, slot},
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    view.touched().into_iter().try_for_each(check_proposal)?;
    // What is submitted before or after a change of the rules in one block has other caps.
    if view.events.iter().any(|event| matches!(event, Event::Amended { .. })) {
        return Ok(());
    }
    let submitted = view.events.iter().filter(|event| matches!(event, Event::Submitted { .. }));
    let submitted = submitted.filter_map(|event| view.after.proposal(event.proposal()?));
    submitted.into_iter().try_for_each(|proposal| check_snapshot(view, proposal))
}

fn check_proposal(proposal: &Proposal) -> Result<(), Broken> {
    let (electorate, vote) = (&proposal.electorate, &proposal.vote);
    for voter in vote.ballots.keys() {
        ensure_of(proposal.id, electorate.weights.contains_key(voter), || {
            format!("{voter} voted without weight")
        })?;
    }
    let recounted = Recount::of(proposal);
    ensure_of(
        proposal.id,
        recounted.inside == vote.by_org && recounted.outside == vote.entrusted_by_org,
        || "the sums are not those of the ballots".to_owned(),
    )?;
    let tally = proposal.count();
    let counted = [tally.weight_for, tally.weight_against, tally.weight_abstain];
    let sum = counted.into_iter().fold(Weight::ZERO, Weight::saturating_add);
    ensure_of(proposal.id, sum <= electorate.total, || format!("{sum} is counted of {}", electorate.total))?;
    let known = |org| electorate.organisations.contains(org);
    ensure_of(proposal.id, recounted.inside.keys().all(known), || {
        "an organisation without a voter is counted".to_owned()
    })
}

/// The sums, voter by voter.
#[derive(Default)]
struct Recount {
    inside: BTreeMap<OrgId, Choices>,
    outside: BTreeMap<OrgId, Choices>,
}

impl Recount {
    fn of(proposal: &Proposal) -> Self {
        let mut lent: BTreeMap<&MemberId, [Weight; 2]> = BTreeMap::new();
        for (voter, weight) in &proposal.electorate.weights {
            let Some((speaker, crossed)) = speaker(proposal, voter).filter(|(id, _)| *id != voter) else {
                continue;
            };
            let [inside, outside] = lent.entry(speaker).or_default();
            let sum = if crossed { outside } else { inside };
            *sum = sum.saturating_add(*weight);
        }
        let mut recount = Self::default();
        for (voter, choice) in proposal.vote.ballots.iter() {
            let [inside, outside] = lent.get(voter).copied().unwrap_or_default();
            recount.add(proposal, voter, slot(*choice), [inside, outside]);
        }
        recount
    }

    fn add(&mut self, proposal: &Proposal, voter: &MemberId, slot: usize, [inside, outside]: [Weight; 2]) {
        let caps = proposal.electorate.caps;
        let own = proposal.electorate.weights.get(voter).copied().unwrap_or_default();
        let lent = inside.saturating_add(outside).min(caps.delegate);
        let all = own.saturating_add(lent).min(caps.member);
        let of_org = own.saturating_add(inside.min(caps.delegate)).min(caps.member);
        put(&mut self.inside, voter, slot, of_org);
        let of_others = all.saturating_sub(of_org);
        if of_others > Weight::ZERO {
            put(&mut self.outside, voter, slot, of_others);
        }
    }
}

fn put(sums: &mut BTreeMap<OrgId, Choices>, voter: &MemberId, slot: usize, weight: Weight) {
    if let Some(sum) = sums.entry(voter.org()).or_default().get_mut(slot) {
        *sum = sum.saturating_add(weight);
    }
}

/// The nearest to a voter who has voted, and whether the way there leads through another organisation.
fn speaker<'a>(proposal: &'a Proposal, voter: &'a MemberId) -> Option<(&'a MemberId, bool)> {
    let (mut at, mut crossed) = (voter, false);
    for _ in 0..=proposal.electorate.delegates.len() {
        if proposal.vote.ballots.contains_key(at) {
            return Some((at, crossed));
        }
        let next = proposal.electorate.delegates.get(at)?;
        crossed |= next.org_str() != at.org_str();
        at = next;
    }
    None
}

/// Who may vote, with what weight, is as it was before the proposal's block; who speaks for whom is what was said before it and
/// is in force at its time, and what a ballot may count for is what the constitution says.
fn check_snapshot(view: &View<'_>, proposal: &Proposal) -> Result<(), Broken> {
    let (electorate, time, rules) = (&proposal.electorate, view.header.time, view.after.constitution());
    let share = |ratio: Ratio| Weight::new(ratio.floor_of(electorate.total.get()));
    let caps = BallotCaps { member: share(rules.member_cap), delegate: share(rules.delegation.cap) };
    ensure_of(proposal.id, electorate.caps == caps, || {
        "its ballots may count for more than the constitution says".to_owned()
    })?;
    let raw = proposal.parameters.weighing.weigh(&view.before.registry().holders().voters());
    let weights: BTreeMap<MemberId, Weight> =
        raw.into_iter().map(|(voter, weight)| (voter, weight.min(caps.member))).collect();
    ensure_of(proposal.id, weights == electorate.weights, || {
        "its voters weigh something else than the constitution says".to_owned()
    })?;
    let said = view.before.members().filter_map(|(id, member)| {
        let delegation = member.delegations.get(&proposal.track.of_voices())?;
        let votes = |id| electorate.weights.contains_key(id);
        let in_force = delegation.from <= time && time < delegation.expires;
        (in_force && votes(id) && votes(&delegation.to)).then(|| (id.clone(), delegation.to.clone()))
    });
    let expected: Voices = if rules.delegation.cap.is_zero() { Voices::new() } else { said.collect() };
    ensure_of(proposal.id, expected == electorate.delegates, || {
        "others speak for its voters than they had said before it was submitted".to_owned()
    })
}
