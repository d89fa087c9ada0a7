//! Owns what the ledger remembers of failed attempts, and the bonds of those who try: what may be submitted, at what price, and
//! what an end does about both.

use crate::{
    act::Act,
    attempt::{Attempts, ContentId, has_failed},
    bond::BondAccount,
    document::ProposalDocument,
    event::Event,
    genesis::MemberRecord,
    name::MemberId,
    proposal::Proposal,
    quantity::{BondPoints, TimeMs},
    reject::Reject,
    shared_map::SharedMap,
    stage::Stage,
    state::{LeafKey, Registry, State},
    transaction::ProposalId,
};

/// When each content is forgotten, the next one first; follows from what is remembered.
pub(crate) type Fading = SharedMap<(TimeMs, ContentId), ()>;

impl State {
    /// What is remembered of a content that has failed.
    #[must_use]
    pub fn attempts(&self, content: ContentId) -> Option<&Attempts> {
        self.registry.attempts.get(&content)
    }

    /// The points of an author that are neither held nor lost.
    #[must_use]
    pub fn free_points(&self, author: &MemberId) -> BondPoints {
        self.registry.free_points(author)
    }
}

impl Registry {
    /// Refuses a content whose cooldown runs.
    pub(crate) fn check_cooldown(&self, content: ContentId) -> Result<(), Reject> {
        match self.attempts.get(&content).filter(|attempts| attempts.is_cooling(self.time)) {
            Some(Attempts { failures, until, .. }) => {
                Err(Reject::Cooldown { content, failures: *failures, until: *until })
            }
            None => Ok(()),
        }
    }

    /// The bond that an author has to give for a document, besides those of its other open proposals; refused when it has less.
    pub(crate) fn bond_for(
        &self,
        author: &MemberId,
        (document, content): (&ProposalDocument, ContentId),
        replaced: Option<ProposalId>,
    ) -> Result<BondPoints, Reject> {
        let rules = &self.constitution.bonds;
        let needs_none = rules.base == BondPoints::ZERO || self.is_security(document);
        let Some(member) = self.members.get(author).filter(|_| !needs_none) else {
            return Ok(BondPoints::ZERO);
        };
        let mut bonds = member.bonds.clone();
        if let Some(replaced) = replaced {
            bonds.held.remove(&replaced);
        }
        let remembered = self.attempts.get(&content);
        let failures = remembered.map_or(0, |attempts| attempts.failures);
        let failures = failures.min(self.constitution.resubmission.failures_max);
        let (price, free) = (rules.price(bonds.held.len(), failures), bonds.free(rules, self.time));
        if price <= free { Ok(price) } else { Err(Reject::Bond { author: author.clone(), price, free }) }
    }

    /// Holds a bond for an open proposal, in the place of the one that it had.
    pub(crate) fn hold_bond(
        &mut self,
        author: &MemberId,
        proposal: ProposalId,
        points: BondPoints,
        events: &mut Vec<Event>,
    ) {
        let time = self.time;
        let held = self.members.get(author).and_then(|member| member.bonds.held.get(&proposal)).copied();
        if held.unwrap_or_default() == points {
            return;
        }
        self.change_bonds(author, |bonds| bonds.hold(proposal, points, time));
        events.push(Event::BondHeld { proposal, author: author.clone(), points });
    }

    /// An attempt is over: what failed is remembered, and the bond is given back or lost for a time.
    pub(crate) fn settle_attempt(&mut self, proposal: &Proposal, from: Stage, events: &mut Vec<Event>) {
        if proposal.judges().is_some() {
            return;
        }
        if has_failed(proposal) {
            self.remember_failure(proposal, events);
        }
        let (id, author, time) = (proposal.id, proposal.author.clone(), self.time);
        let lost_until =
            costs_the_bond(from, proposal.stage).then(|| time.after(self.constitution.bonds.lost_for));
        let settled = self.change_bonds(&author, |bonds| bonds.settle(id, lost_until, time)).flatten();
        if let Some(points) = settled {
            events.push(Event::BondSettled { proposal: id, author, points, lost_until });
        }
    }

    /// Forgets what is old enough.
    pub(crate) fn fade(&mut self) {
        while let Some((due, ())) = self.fading.get_min().copied() {
            if due.0 > self.time {
                return;
            }
            self.fading.remove(&due);
            self.attempts.remove(&due.1);
            self.touched.insert(LeafKey::Content(due.1));
        }
    }

    /// When each content is forgotten.
    pub(super) fn derive_fading(&mut self) {
        let fading = self.attempts.iter().map(|(content, attempts)| ((attempts.forgotten, *content), ()));
        self.fading = fading.collect();
    }

    fn free_points(&self, author: &MemberId) -> BondPoints {
        let rules = &self.constitution.bonds;
        self.members.get(author).map_or(rules.account, |member| member.bonds.free(rules, self.time))
    }

    fn remember_failure(&mut self, proposal: &Proposal, events: &mut Vec<Event>) {
        let (content, rules) = (ContentId::of(&proposal.document), self.constitution.resubmission);
        let before = self.attempts.get(&content).copied();
        let attempts = Attempts::and_one(before.as_ref(), self.time, proposal.parameters.cooldown, rules);
        if let Some(before) = before {
            self.fading.remove(&(before.forgotten, content));
        }
        self.fading.insert((attempts.forgotten, content), ());
        self.attempts.insert(content, attempts);
        self.touched.insert(LeafKey::Content(content));
        let Attempts { failures, until, .. } = attempts;
        events.push(Event::CooldownBegan { proposal: proposal.id, content, failures, until });
    }

    fn change_bonds<T>(
        &mut self,
        author: &MemberId,
        change: impl FnOnce(&mut BondAccount) -> T,
    ) -> Option<T> {
        // Whoever has left keeps an account, as it keeps its name.
        self.member_mut(author).ok().map(|member| change(&mut member.bonds))
    }

    /// Whether a document only takes access away or replaces keys, or awakens governance: nobody weighs points against that.
    pub(crate) fn is_security(&self, document: &ProposalDocument) -> bool {
        let replaces_keys = |member: &MemberId, record: &MemberRecord| {
            let held = self.members.get(member).filter(|held| !held.has_left());
            held.is_some_and(|held| held.weight == record.weight && held.keys.keys().eq(record.keys.keys()))
        };
        let is_security = |act: &Act| match act {
            Act::RemoveMember { .. } | Act::RemoveObserver { .. } | Act::Awaken { .. } => true,
            Act::SetMember { member, record } => replaces_keys(member, record),
            Act::SetOrganisation { organisation, record } => {
                self.organisations.get(organisation).is_some_and(|held| held.weight == record.weight)
            }
            _ => false,
        };
        !document.acts.is_empty() && document.acts.iter().all(is_security)
    }
}

/// Whether an end costs the bond: the members or a guardian decided against it, or its author withdrew it from a vote, which
/// would spare it the defeat.
const fn costs_the_bond(from: Stage, to: Stage) -> bool {
    match to {
        Stage::Defeated | Stage::Vetoed => true,
        Stage::Cancelled => matches!(from, Stage::Voting | Stage::Confirming),
        _ => false,
    }
}
