//! Owns who has let whom speak for it: the calls, the chains that they may build, and the electorates that follow.
//!
//! Electorates are as the last block left them: what a block changes about members, their weights and their delegations counts
//! from the next one on, so that weight that comes and goes within one block counts nowhere. So does what begins or ends by the
//! clock. One is made for a track when something is submitted to it, and kept until something
//! changes on the track, so that saying things about delegations costs nobody else anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    constitution::{Holders, Track, TrackParameters},
    delegation::{Delegation, DelegationRefusal},
    digest::Digest,
    electorate::{DELEGATION_DEPTH_MAX, Electorate, Shares, Voices},
    event::Event,
    expiry::Expiring,
    name::MemberId,
    quantity::TimeMs,
    reject::Reject,
    role::Role,
    shared_map::SharedMap,
    state::{Member, Registry},
    weighing::Weighing,
};

/// Who may vote by the delegations in force; derived and never stored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Floor {
    /// The electorates of tracks on which nothing has changed since they were made.
    sittings: BTreeMap<Track, Sitting>,
    /// The members as the last block left them.
    members: SharedMap<MemberId, Arc<Member>>,
    /// The tracks on which somebody has said something in this block.
    said: BTreeSet<Track>,
    /// Whether members or rules have changed in this block.
    is_moved: bool,
    /// Who has let a member speak for it, by track and delegate.
    delegators: Delegators,
}

/// An electorate with what it was made from.
#[derive(Debug, Clone)]
struct Sitting {
    weighing: Weighing,
    voices: Arc<Voices>,
    electorate: Arc<Electorate>,
    digest: Digest,
    /// When the clock next begins or ends a delegation on the track.
    until: Option<TimeMs>,
}

type Delegators = SharedMap<(Track, MemberId), SharedMap<MemberId, ()>>;

impl Registry {
    /// Lets a voter speak for another.
    pub(crate) fn delegate(
        &mut self,
        sender: &MemberId,
        (track, to): (Option<Track>, &MemberId),
        expires: TimeMs,
        events: &mut Vec<Event>,
    ) -> Result<(), Reject> {
        let from = self.check_term(expires)?;
        self.check_delegate(to)?;
        let tracks = tracks(track);
        if let Some(track) = tracks.iter().copied().find(|track| track.of_voices() != *track) {
            return Err(Reject::NoTrack { track });
        }
        tracks.iter().try_for_each(|track| self.check_chain(*track, sender, to))?;
        for track in tracks {
            let from = self.begins(sender, track, to).unwrap_or(from);
            self.forget(sender, track);
            let delegation = Delegation { to: to.clone(), from, expires };
            self.member_mut(sender)?.delegations.insert(track, delegation);
            self.floor.delegators.entry((track, to.clone())).or_default().insert(sender.clone(), ());
            self.warn_of(Expiring::Delegation { delegator: sender.clone(), track }, expires);
            let (delegator, delegate) = (sender.clone(), to.clone());
            events.push(Event::Delegated { delegator, delegate, track, from, expires });
        }
        Ok(())
    }

    /// Lets a voter speak for itself again.
    pub(crate) fn revoke(
        &mut self,
        sender: &MemberId,
        track: Option<Track>,
        events: &mut Vec<Event>,
    ) -> Result<(), Reject> {
        if !self.has_delegations(sender, track) {
            return Err(Reject::Delegation { why: DelegationRefusal::Nothing });
        }
        for track in tracks(track) {
            self.forget(sender, track);
            let ended = self.member_mut(sender)?.delegations.remove(&track);
            let revoked =
                |ended: Delegation| Event::Revoked { delegator: sender.clone(), delegate: ended.to, track };
            events.extend(ended.map(revoked));
        }
        Ok(())
    }

    /// Whether a member has said exactly this already.
    pub(crate) fn has_delegated(
        &self,
        sender: &MemberId,
        track: Option<Track>,
        to: &MemberId,
        expires: TimeMs,
    ) -> bool {
        let same = |track: Track| {
            self.delegation(sender, track).is_some_and(|held| held.to == *to && held.expires == expires)
        };
        tracks(track).into_iter().all(same)
    }

    /// Whether a member has anything to revoke.
    pub(crate) fn has_delegations(&self, sender: &MemberId, track: Option<Track>) -> bool {
        tracks(track).into_iter().any(|track| self.delegation(sender, track).is_some())
    }

    /// Who votes, with what weight, on what is submitted to a track in this block, and the digest of it.
    pub(crate) fn electorate(&mut self, track: Track) -> Result<(Arc<Electorate>, Digest), Reject> {
        let track = track.of_voices();
        if !self.floor.sittings.contains_key(&track) {
            let sitting = self.convene(track)?;
            self.floor.sittings.insert(track, sitting);
        }
        let sitting = self.floor.sittings.get(&track).ok_or(Reject::NoTrack { track })?;
        Ok((Arc::clone(&sitting.electorate), sitting.digest))
    }

    /// Begins a block: what was said in the last one counts, and so does what has begun or ended by the clock.
    pub(crate) fn settle_floor(&mut self) {
        let time = self.time;
        let said = std::mem::take(&mut self.floor.said);
        let moved = std::mem::take(&mut self.floor.is_moved);
        let is_as_it_was = |track: &Track, sitting: &mut Sitting| {
            !moved && !said.contains(track) && sitting.until.is_none_or(|until| time < until)
        };
        self.floor.sittings.retain(is_as_it_was);
        self.floor.members = self.members.clone();
    }

    /// Makes everything anew that follows from members, rules and delegations.
    pub(crate) fn derive_floor(&mut self) {
        self.floor.sittings.clear();
        self.floor.is_moved = true;
        self.floor.delegators = Delegators::default();
        for (id, member) in self.members.iter() {
            for (track, held) in &member.delegations {
                let of_delegate = self.floor.delegators.entry((*track, held.to.clone())).or_default();
                of_delegate.insert(id.clone(), ());
            }
        }
    }

    /// Makes the electorate of a track, or takes that of another one on which voters weigh the same and the same speak for
    /// the same.
    fn convene(&self, track: Track) -> Result<Sitting, Reject> {
        let TrackParameters { weighing, .. } = *self.parameters(track)?;
        let held: Vec<(&MemberId, &Delegation)> = self.held_before(track).collect();
        let active = held.iter().filter(|(_, delegation)| delegation.is_active(self.time));
        let voices: Voices =
            active.map(|(id, delegation)| (MemberId::clone(id), delegation.to.clone())).collect();
        let until = held.iter().filter_map(|(_, delegation)| delegation.next_change(self.time)).min();
        let is_same = |sitting: &&Sitting| sitting.weighing == weighing && *sitting.voices == voices;
        if let Some(same) = self.floor.sittings.values().find(is_same) {
            return Ok(Sitting { until, ..same.clone() });
        }
        let shares =
            Shares { member: self.constitution.member_cap, delegate: self.constitution.delegation.cap };
        let holders = Holders::of(&self.floor.members);
        let electorate = Electorate::of(weighing.weigh(&holders.voters()), &voices, shares);
        let (digest, voices, electorate) = (electorate.digest(), Arc::new(voices), Arc::new(electorate));
        Ok(Sitting { weighing, voices, electorate, digest, until })
    }

    /// What members had said about a track before this block.
    fn held_before(&self, track: Track) -> impl Iterator<Item = (&MemberId, &Delegation)> {
        self.floor.members.iter().filter_map(move |(id, member)| Some((id, member.delegations.get(&track)?)))
    }

    fn delegation(&self, member: &MemberId, track: Track) -> Option<&Delegation> {
        self.members.get(member)?.delegations.get(&track)
    }

    /// The delegation that will not have ended by the next block.
    fn standing(&self, member: &MemberId, track: Track) -> Option<&Delegation> {
        self.delegation(member, track).filter(|held| !held.is_over(self.time))
    }

    /// When a renewal begins: it goes on where the same delegate speaks.
    fn begins(&self, sender: &MemberId, track: Track, to: &MemberId) -> Option<TimeMs> {
        self.standing(sender, track).filter(|held| held.to == *to).map(|held| held.from)
    }

    /// Forgets that the sender's delegate speaks for it.
    fn forget(&mut self, sender: &MemberId, track: Track) {
        let delegate = self.delegation(sender, track).map(|held| (track, held.to.clone()));
        if let Some(of_delegate) = delegate.and_then(|place| self.floor.delegators.get_mut(&place)) {
            of_delegate.remove(sender);
        }
        self.floor.said.insert(track);
    }

    /// When a delegation begins that is made now.
    fn check_term(&self, expires: TimeMs) -> Result<TimeMs, Reject> {
        let rules = &self.constitution.delegation;
        if rules.cap.is_zero() {
            return Err(Reject::Delegation { why: DelegationRefusal::Off });
        }
        let (after, until) = (self.time.after(rules.activation), self.time.after(rules.term_max));
        if after < expires && expires <= until {
            return Ok(after);
        }
        Err(Reject::Delegation { why: DelegationRefusal::Term { after, until } })
    }

    fn check_delegate(&self, to: &MemberId) -> Result<(), Reject> {
        if self.members.get(to).is_some_and(|member| member.keys.contains_key(&Role::Voter)) {
            return Ok(());
        }
        Err(Reject::Delegation { why: DelegationRefusal::NotAVoter { to: to.clone() } })
    }

    /// Refuses a loop, and a chain that would be too long. Delegations that have not begun count as well, and those of who
    /// has left: it may come back.
    fn check_chain(&self, track: Track, sender: &MemberId, to: &MemberId) -> Result<(), Reject> {
        let next = |id: &MemberId| self.standing(id, track).map(|held| held.to.clone());
        let ahead: Vec<MemberId> = std::iter::successors(next(to), next).take(DELEGATION_DEPTH_MAX).collect();
        if to == sender || ahead.contains(sender) {
            return Err(Reject::Delegation { why: DelegationRefusal::Loop { track, to: to.clone() } });
        }
        let delegates = self.behind(track, sender).saturating_add(1).saturating_add(ahead.len());
        if delegates > DELEGATION_DEPTH_MAX {
            return Err(Reject::Delegation { why: DelegationRefusal::TooDeep { track, delegates } });
        }
        Ok(())
    }

    /// Through how many delegates the voice has come that comes to a member from furthest away.
    fn behind(&self, track: Track, member: &MemberId) -> usize {
        let mut delegators = self.delegators(track, member).peekable();
        if delegators.peek().is_none() {
            return 0;
        }
        if delegators.any(|delegator| self.delegators(track, delegator).next().is_some()) { 2 } else { 1 }
    }

    fn delegators(&self, track: Track, to: &MemberId) -> impl Iterator<Item = &MemberId> {
        let of_delegate = self.floor.delegators.get(&(track, to.clone()));
        let delegators = of_delegate.into_iter().flat_map(|delegators| delegators.keys());
        delegators.filter(move |from| self.standing(from, track).is_some())
    }
}

fn tracks(track: Option<Track>) -> Vec<Track> {
    track.map_or_else(|| Track::ALL.into(), |track| vec![track])
}

#[cfg(test)]
mod tests;
