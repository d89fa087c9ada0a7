//! Owns the recount of a vote by the blocks alone: who could vote with what weight, who spoke for whom, and the sums under
//! the caps. The arithmetic is its own.

use std::collections::{BTreeMap, BTreeSet};

use althing_contracts::{
    constitution::{Constitution, Scheme, Threshold, Track, TrackParameters},
    name::{MemberId, OrgId},
    parties::WEIGHT_MAX,
    quantity::{Height, Ratio, TimeMs},
    transaction::Choice,
    weighing::Weighing,
};

use super::{
    history::{Ballot, Voice},
    rules::Law,
};

/// Who could vote on an edition.
pub(super) struct Electorate<'a> {
    /// Weights under the cap of members.
    weights: BTreeMap<&'a MemberId, u128>,
    /// Who spoke for whom.
    voices: BTreeMap<&'a MemberId, &'a MemberId>,
    total: u128,
    member_cap: u128,
    delegate_cap: u128,
    organisation_cap: u128,
}

impl<'a> Electorate<'a> {
    /// That of what was submitted to a track in the block at this height and time.
    pub(super) fn of(law: &'a Law<'_>, track: Track, at: (Height, TimeMs)) -> Self {
        let (pinned, tokens) = (law.constitution, law.electors.voters());
        let weighing = pinned.tracks.get(&track).map_or(Weighing::Tokens, |of| of.weighing);
        let voters = weigh(&tokens, weighing);
        let total: u128 = voters.values().sum();
        let cap = |ratio: Ratio| total * u128::from(ratio.numerator()) / u128::from(ratio.denominator());
        let member_cap = cap(pinned.member_cap);
        let weights: BTreeMap<_, _> =
            voters.into_iter().map(|(id, weight)| (id, weight.min(member_cap))).collect();
        let (delegate_cap, organisation_cap) = (cap(pinned.delegation.cap), cap(pinned.organisation_cap));
        let mut voices = voices(law.voices, pinned, track, at);
        voices.retain(|from, to| delegate_cap > 0 && weights.contains_key(from) && weights.contains_key(to));
        Self { weights, voices, total, member_cap, delegate_cap, organisation_cap }
    }

    /// What each ballot carries: the voter's own weight, what its colleagues have lent it, and what others have.
    fn carried<'b>(&self, choices: &BTreeMap<&'b MemberId, Choice>) -> BTreeMap<&'b MemberId, [u128; 3]> {
        let mut carried: BTreeMap<&MemberId, [u128; 3]> =
            choices.keys().map(|voter| (*voter, [0; 3])).collect();
        for (voter, weight) in &self.weights {
            let mut way = vec![*voter];
            while !choices.contains_key(way[way.len() - 1])
                && let Some(next) = self.voices.get(way[way.len() - 1])
                && !way.contains(next)
            {
                way.push(next);
            }
            let speaker = way[way.len() - 1];
            let is_near = way.iter().all(|at| at.org() == speaker.org());
            let part = if speaker == *voter {
                0
            } else if is_near {
                1
            } else {
                2
            };
            if let Some(parts) = carried.get_mut(speaker) {
                parts[part] += weight;
            }
        }
        carried
    }
}

/// What voters weigh, by the definition of each way.
fn weigh<'a>(tokens: &BTreeMap<&'a MemberId, u128>, weighing: Weighing) -> BTreeMap<&'a MemberId, u128> {
    let of_org = |org: &OrgId| -> u128 {
        tokens.iter().filter(|(id, _)| id.org() == *org).map(|(_, tokens)| tokens).sum()
    };
    let weigh = |(id, tokens): (&&'a MemberId, &u128)| {
        let sum = of_org(&id.org());
        let whole = match weighing {
            Weighing::Tokens => sum,
            Weighing::OnePerOrganisation => WEIGHT_MAX.get().into(),
            Weighing::Quadratic => root(sum * MILLION),
        };
        (*id, (tokens * whole).checked_div(sum).unwrap_or(0))
    };
    tokens.iter().map(weigh).collect()
}

/// The largest whole number whose square is no larger, by halving.
fn root(square: u128) -> u128 {
    let (mut low, mut high) = (0_u128, 1_u128 << 60);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if middle * middle <= square {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// Who spoke for whom in votes of a track on what was submitted there: what was said in the blocks before.
fn voices<'a>(
    said: &'a [Voice],
    pinned: &Constitution,
    track: Track,
    (height, time): (Height, TimeMs),
) -> BTreeMap<&'a MemberId, &'a MemberId> {
    let mut held: BTreeMap<&MemberId, (&MemberId, TimeMs, TimeMs)> = BTreeMap::new();
    let said = said.iter().filter(|it| it.height < height);
    for voice in said.filter(|it| it.track.is_none_or(|of| of == track)) {
        match &voice.to {
            Some((to, until)) => {
                let goes_on =
                    held.get(&voice.voter).filter(|(held, _, end)| *held == to && *end > voice.time);
                let from =
                    goes_on.map_or(voice.time.after(pinned.delegation.activation), |(_, from, _)| *from);
                held.insert(&voice.voter, (to, from, *until));
            }
            None => drop(held.remove(&voice.voter)),
        }
    }
    let active = held.into_iter().filter(|(_, (_, from, until))| *from <= time && time < *until);
    active.map(|(voter, (to, ..))| (voter, to)).collect()
}

/// In which shares are compared.
const MILLION: u128 = 1_000_000;

/// The ballots of one revision, summed under the caps.
#[derive(Debug, Default)]
pub(super) struct Sums {
    total: u128,
    organisations: u128,
    in_favour: u128,
    seen: u128,
    weight: [u128; 3],
}

impl Sums {
    pub(super) fn of<'a>(electorate: &Electorate<'_>, cast: impl Iterator<Item = &'a Ballot>) -> Self {
        let choices: BTreeMap<&MemberId, Choice> =
            cast.map(|ballot| (&ballot.voter, ballot.choice)).collect();
        let mut by_org: BTreeMap<OrgId, [u128; 3]> = BTreeMap::new();
        let mut entrusted: BTreeMap<OrgId, [u128; 3]> = BTreeMap::new();
        for (voter, [own, near, far]) in electorate.carried(&choices) {
            let slot = match choices[voter] {
                Choice::For => 0,
                Choice::Against => 1,
                Choice::Abstain => 2,
            };
            // Above the caps, what has come from others goes first.
            let near = near.min(electorate.delegate_cap).min(electorate.member_cap - own);
            let far = far.min(electorate.delegate_cap - near).min(electorate.member_cap - own - near);
            by_org.entry(voter.org()).or_default()[slot] += own + near;
            entrusted.entry(voter.org()).or_default()[slot] += far;
        }
        let mut sums = Self {
            total: electorate.total,
            organisations: electorate.weights.keys().map(|voter| voter.org()).collect::<BTreeSet<_>>().len()
                as u128,
            in_favour: by_org.values().filter(|[yes, no, _]| yes > no).count() as u128,
            seen: by_org.len() as u128,
            weight: [0; 3],
        };
        for (org, own) in &by_org {
            let choices = [0, 1, 2].map(|slot| own[slot] + entrusted[org][slot]);
            let sum: u128 = choices.iter().sum();
            for (slot, weight) in choices.iter().enumerate() {
                let cap = electorate.organisation_cap;
                sums.weight[slot] += if sum > cap { weight * cap / sum } else { *weight };
            }
        }
        sums
    }

    /// Whether as many organisations have seen it as an optimistic vote asks for.
    pub(super) fn is_seen(&self, scheme: &Scheme) -> bool {
        matches!(scheme, Scheme::Optimistic { acknowledgement, .. }
            if is_passed(*acknowledgement, self.seen, self.organisations))
    }

    /// Whether a share of the electorate's weight took part.
    pub(super) fn reach(&self, floor: Ratio) -> bool {
        is_passed(Threshold::AtLeast(floor), self.weight.iter().sum(), self.total)
    }

    pub(super) fn pass(&self, scheme: &Scheme) -> bool {
        let [yes, no, abstain] = self.weight;
        match scheme {
            Scheme::Majority { turnout, approval, organisations } => {
                is_passed(*turnout, yes + no + abstain, self.total)
                    && is_passed(*approval, yes, yes + no)
                    && is_passed(*organisations, self.in_favour, self.organisations)
            }
            Scheme::Optimistic { objection, .. } => {
                self.is_seen(scheme) && !is_passed(*objection, no, self.total)
            }
        }
    }

    /// The timelock, longer by opposition: linear from its floor to a third, where it is the largest multiple.
    pub(super) fn timelock_ms(&self, by: &TrackParameters) -> u64 {
        let [yes, no, _] = self.weight;
        let millionths = |part: u128, whole: u128| (part * MILLION).checked_div(whole).unwrap_or(0);
        let floor =
            millionths(by.opposition_floor.numerator().into(), by.opposition_floor.denominator().into());
        let way = millionths(no, yes + no).saturating_sub(floor);
        let way = (way * MILLION).checked_div(MILLION / 3 - floor).unwrap_or(MILLION).min(MILLION);
        let base = u128::from(by.timelock.get());
        let longest = base * u128::from(by.timelock_stretch_max.saturating_sub(1));
        // A millisecond for what the millionths round away.
        u64::try_from((base + longest * way / MILLION).saturating_sub(1)).unwrap_or(u64::MAX)
    }
}

fn is_passed(threshold: Threshold, part: u128, whole: u128) -> bool {
    let (numerator, denominator) =
        (u128::from(threshold.ratio().numerator()), u128::from(threshold.ratio().denominator()));
    let (left, right) = (part * denominator, whole * numerator);
    whole > 0
        && match threshold {
            Threshold::AtLeast(_) => left >= right,
            Threshold::MoreThan(_) => left > right,
        }
}
