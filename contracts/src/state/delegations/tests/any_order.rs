//! Whatever voters say in whatever order, every voice is heard once: the sums are those of a second, naive implementation,
//! and never more than the snapshot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;

use crate::{
    constitution::Track,
    name::{MemberId, OrgId},
    proposal::Proposal,
    quantity::{DurationMs, Ratio, TimeMs, Weight},
    role::Role,
    state::{Applied, registry},
    tally::slot,
    testing::{World, deploy, genesis, member, record},
    transaction::{Call, Choice, ProposalId, ReviewVerdict},
};

/// Voters besides the authors; those of cedar come and go.
const VOTERS: [&str; 9] =
    ["acme/a", "acme/b", "acme/c", "birch/d", "birch/e", "birch/f", "cedar/g", "cedar/h", "cedar/i"];
const HOUR: DurationMs = DurationMs::from_hours(1);

#[derive(Debug, Clone, Copy)]
enum Said {
    Delegate { from: usize, to: usize, on_all: bool, days: u64 },
    Revoke { from: usize, on_all: bool },
    Ballot { voter: usize, pick: usize, choice: usize },
    Submit,
    Join { voter: usize },
    Leave { voter: usize },
    Pass { hours: u64 },
}

fn said() -> impl Strategy<Value = Said> {
    let voter = || 0..VOTERS.len();
    prop_oneof![
        8 => (voter(), voter(), any::<bool>(), 1_u64..40)
            .prop_map(|(from, to, on_all, days)| Said::Delegate { from, to, on_all, days }),
        2 => (voter(), any::<bool>()).prop_map(|(from, on_all)| Said::Revoke { from, on_all }),
        12 => (voter(), 0_usize..4, 0_usize..3)
            .prop_map(|(voter, pick, choice)| Said::Ballot { voter, pick, choice }),
        2 => Just(Said::Submit),
        1 => voter().prop_map(|voter| Said::Join { voter }),
        1 => voter().prop_map(|voter| Said::Leave { voter }),
        4 => (0_u64..60).prop_map(|hours| Said::Pass { hours }),
    ]
}

/// What the naive implementation keeps: every sentence, and for each proposal who was there when it was submitted.
struct Play {
    world: World,
    /// Who, on which track, to whom, from when, until when; the last of each counts.
    lent: BTreeMap<(Track, MemberId), (MemberId, TimeMs, TimeMs)>,
    /// The same as of the beginning of the block.
    heard: BTreeMap<(Track, MemberId), (MemberId, TimeMs, TimeMs)>,
    snapshots: BTreeMap<ProposalId, Snapshot>,
    version: u32,
}

struct Snapshot {
    weights: BTreeMap<MemberId, u128>,
    delegates: BTreeMap<MemberId, MemberId>,
}

fn weight(voter: usize) -> u64 {
    [1, 7, 60, 3, 90, 11, 30, 2, 250][voter]
}

impl Play {
    fn new((member_cap, organisation_cap, cap): (Ratio, Ratio, Ratio)) -> Self {
        let mut genesis = genesis(3);
        for (index, voter) in VOTERS.iter().enumerate() {
            let id = member(voter);
            genesis.members.insert(id.clone(), record(&id, weight(index), &[Role::Voter]));
        }
        genesis.constitution.member_cap = member_cap;
        genesis.constitution.organisation_cap = organisation_cap;
        genesis.constitution.delegation.cap = cap;
        let mut world = World::with(genesis);
        world.pass(HOUR);
        let (lent, heard, snapshots) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { world, lent, heard, snapshots, version: 0 }
    }

    fn play(&mut self, said: Said) {
        let now = self.world.state.time();
        match said {
            Said::Delegate { from, to, on_all, days } => {
                let (from, to) = (member(VOTERS[from]), member(VOTERS[to]));
                let expires = now.after(DurationMs::from_hours(24 * days));
                let track = (!on_all).then_some(Track::Standard);
                let call = Call::Delegate { track, to: to.clone(), expires };
                if !self.has_key(&from)
                    || !matches!(self.world.call(from.as_str(), Role::Voter, call), Ok(Applied::New(_)))
                {
                    return;
                }
                for track in track.map_or(Track::ALL.to_vec(), |track| vec![track]) {
                    let begins = now.after(DurationMs::from_hours(24));
                    let held = self.lent.get(&(track, from.clone()));
                    let held = held.filter(|(held, _, until)| *held == to && *until > now);
                    let begins = held.map_or(begins, |(_, begins, _)| *begins);
                    self.lent.insert((track, from.clone()), (to.clone(), begins, expires));
                }
            }
            Said::Revoke { from, on_all } => {
                let from = member(VOTERS[from]);
                let track = (!on_all).then_some(Track::Standard);
                if self.has_key(&from)
                    && self.world.call(from.as_str(), Role::Voter, Call::Revoke { track }).is_ok()
                {
                    self.lent.retain(|(of, who), _| *who != from || track.is_some_and(|track| track != *of));
                }
            }
            Said::Ballot { voter, pick, choice } => {
                let Some(id) = self.snapshots.keys().rev().nth(pick).copied() else { return };
                let choice = [Choice::For, Choice::Against, Choice::Abstain][choice];
                if self.has_key(&member(VOTERS[voter])) {
                    let _refused = self.world.vote(VOTERS[voter], id, choice);
                }
            }
            Said::Submit => self.submit(),
            Said::Join { voter } => {
                let id = member(VOTERS[voter]);
                let joins = registry::member(&record(&id, weight(voter), &[Role::Voter]));
                if !self.has_key(&id) {
                    self.world.state.tamper_with_members(|members| drop(members.insert(id, Arc::new(joins))));
                    self.pass(DurationMs::new(1));
                }
            }
            Said::Leave { voter } => {
                let id = member(VOTERS[voter]);
                self.lent.retain(|(_, who), _| *who != id);
                self.world.state.tamper_with_members(|members| drop(members.remove(&id)));
                self.pass(DurationMs::new(1));
            }
            Said::Pass { hours } => self.pass(DurationMs::new(hours * HOUR.get() + 1)),
        }
    }

    fn has_key(&self, voter: &MemberId) -> bool {
        self.world.state.member(voter).is_some()
    }

    fn pass(&mut self, later: DurationMs) {
        self.world.pass(later);
        self.heard = self.lent.clone();
    }

    fn submit(&mut self) {
        self.version += 1;
        let document = deploy(&format!("{}", self.version), &[&["acme-north"]]);
        let Ok(id) = self.world.submit("acme/author", document) else { return };
        self.world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
        let (now, cap) = (self.world.state.time(), self.world.genesis.constitution.member_cap);
        let voters = self.world.state.members().filter(|(_, it)| it.keys.contains_key(&Role::Voter));
        let raw: BTreeMap<MemberId, u128> =
            voters.map(|(id, it)| (id.clone(), u128::from(it.weight.get()))).collect();
        let total: u128 = raw.values().sum();
        let most = total * u128::from(cap.numerator()) / u128::from(cap.denominator());
        let heard = self.heard.iter().filter(|((track, who), (to, begins, until))| {
            let speaks = *begins <= now && now < *until;
            *track == Track::Standard && speaks && raw.contains_key(who) && raw.contains_key(to)
        });
        let delegates = heard.map(|((_, who), (to, ..))| (who.clone(), to.clone())).collect();
        let weights = raw.into_iter().map(|(id, weight)| (id, weight.min(most))).collect();
        self.snapshots.insert(id, Snapshot { weights, delegates });
    }

    fn check(&self) {
        for (id, snapshot) in &self.snapshots {
            let proposal = self.world.state.proposal(*id).unwrap();
            assert_eq!(proposal.electorate.delegates, snapshot.delegates);
            let heard = snapshot.recount(proposal);
            let sum: u128 = heard.iter().map(|(_, _, parts)| parts.iter().sum::<u128>()).sum();
            assert!(sum <= snapshot.weights.values().sum(), "a voice is heard twice");
            Snapshot::check_sums(proposal, &heard);
            let counted = proposal.count();
            let counted = [counted.weight_for, counted.weight_against, counted.weight_abstain];
            assert!(counted.iter().map(|it| u128::from(it.get())).sum::<u128>() <= sum);
        }
    }
}

impl Snapshot {
    /// What each ballot carries: own, from colleagues, from others, without any cap.
    fn recount(&self, proposal: &Proposal) -> Vec<(MemberId, Choice, [u128; 3])> {
        let ballots: BTreeMap<&MemberId, Choice> =
            proposal.vote.ballots.iter().map(|(voter, choice)| (voter, *choice)).collect();
        let mut carried: BTreeMap<&MemberId, [u128; 3]> = BTreeMap::new();
        for (voter, weight) in &self.weights {
            let mut way = vec![voter];
            while let Some(next) = self.delegates.get(way[way.len() - 1]).filter(|_| way.len() < 9) {
                way.push(next);
            }
            assert!(way.len() <= 3, "{way:?} is longer than two delegates");
            let Some(place) = way.iter().position(|at| ballots.contains_key(at)) else { continue };
            let organisations: BTreeSet<OrgId> = way[..=place].iter().map(|at| at.org()).collect();
            let slot = if place == 0 { 0 } else { organisations.len().min(2) };
            carried.entry(way[place]).or_default()[slot] += weight;
        }
        carried.into_iter().map(|(voter, parts)| (voter.clone(), ballots[voter], parts)).collect()
    }

    /// The sums are those of the ballots under the caps of delegates and of members.
    fn check_sums(proposal: &Proposal, heard: &[(MemberId, Choice, [u128; 3])]) {
        let caps = proposal.electorate.caps;
        let (member_cap, cap) = (u128::from(caps.member.get()), u128::from(caps.delegate.get()));
        let mut sums: BTreeMap<(OrgId, usize), [u128; 2]> = BTreeMap::new();
        for (voter, choice, [own, near, far]) in heard {
            let lent = (near + far).min(cap);
            let all = (own + lent).min(member_cap);
            let near = (*near).min(lent).min(all - own);
            let sum = sums.entry((voter.org(), slot(*choice))).or_default();
            sum[0] += own + near;
            sum[1] += all - own - near;
            let weight =
                proposal.electorate.ballot(voter, proposal.vote.entrusted(voter, &proposal.electorate));
            assert_eq!(u128::from(weight.sum().get()), all);
            assert!(weight.sum() <= caps.member);
        }
        let of = |by_org: &BTreeMap<OrgId, [Weight; 3]>, org: &OrgId, slot: usize| {
            by_org.get(org).map_or(0, |choices| u128::from(choices[slot].get()))
        };
        for org in &proposal.electorate.organisations {
            for slot in 0..3 {
                let expected = sums.get(&(org.clone(), slot)).copied().unwrap_or_default();
                let vote = &proposal.vote;
                assert_eq!([of(&vote.by_org, org, slot), of(&vote.entrusted_by_org, org, slot)], expected);
            }
        }
    }
}

fn caps() -> impl Strategy<Value = (Ratio, Ratio, Ratio)> {
    let share = || (1_u32..=6).prop_map(|part| Ratio::new(part, 6).unwrap());
    (share(), share()).prop_map(|(member, delegate)| (member, Ratio::new(1, 1).unwrap(), delegate))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a14_no_voice_is_heard_twice_whatever_is_said_in_whatever_order(
        caps in caps(),
        all in proptest::collection::vec(said(), 1..120),
    ) {
        let mut play = Play::new(caps);
        for said in all {
            play.play(said);
            play.check();
        }
    }
}
