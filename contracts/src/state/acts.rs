//! Owns the carrying out of acts: what is in force, what an act puts in its place, and which proposals that overtakes.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    act::{self, Act, Subject},
    constitution::{Constitution, Track},
    digest::Digest,
    event::Event,
    genesis::{MemberRecord, TargetRecord},
    name::{MemberId, OrgId, TargetId},
    proposal::Proposal,
    quantity::Weight,
    role::Role,
    signature::PublicKey,
    state::{LeafKey, Member, Registry, Target},
    transaction::ProposalId,
};

impl Registry {
    /// Digest of what is in force about a subject; that of nothing where there is nothing.
    pub(crate) fn in_force(&self, subject: &Subject) -> Digest {
        match subject {
            Subject::Constitution => self.constitution.digest(),
            Subject::Organisation(org) => act::name_of(self.organisations.get(org)),
            Subject::Observer(name) => act::name_of(self.observers.get(name)),
            Subject::Target(id) => act::name_of(self.targets.get(id).map(|target| &target.record)),
            Subject::Member(id) => {
                let held = self.members.get(id).filter(|member| !member.has_left());
                act::name_of(held.map(|member| (member.weight, member.decided_keys())).as_ref())
            }
            // An emergency is never another one: its name is the digest of its content.
            Subject::Emergency(id) => id.digest(),
            Subject::Mandate(guardian) => act::name_of(self.mandates.get(guardian)),
            Subject::Dormancy => act::name_of(self.dormancy.since.as_ref()),
        }
    }

    /// Whether something that the acts of a proposal replace is another than when they were planned.
    pub(crate) fn has_moved_under_acts(&self, proposal: &Proposal) -> bool {
        let mut acts = proposal.document.acts.iter().zip(&proposal.plan.acts);
        acts.any(|(act, planned)| self.in_force(&act.subject()) != planned.replaces)
    }

    /// Whether the rules of a proposal's track have changed since they were pinned to it.
    pub(crate) fn has_other_rules(&self, proposal: &Proposal) -> bool {
        self.amended.get(&proposal.track).is_some_and(|version| *version > proposal.constitution)
    }

    /// A target of these acts on which a proposal is acting: it is not changed under the executors' hands.
    pub(crate) fn busy_target<'a>(&self, acts: &'a [Act]) -> Option<&'a TargetId> {
        let targets = acts.iter().filter_map(|act| match act {
            Act::SetTarget { target, .. } | Act::RemoveTarget { target } => Some(target),
            _ => None,
        });
        targets.into_iter().find(|id| self.targets.get(*id).is_some_and(|target| target.busy.is_some()))
    }

    /// The track that an act needs, whatever the constitution says: who decides, reviews, stops or audits changes only by the
    /// strictest.
    pub(crate) fn track_of_act(&self, act: &Act) -> Track {
        let decides = |keys: &BTreeMap<Role, PublicKey>| {
            keys.keys().any(|role| !matches!(role, Role::Author | Role::Executor))
        };
        let (member, after) = match act {
            Act::Amend { .. }
            | Act::SetOrganisation { .. }
            | Act::RemoveOrganisation { .. }
            | Act::Reinstate { .. } => return Track::Constitutional,
            Act::Ratify { .. } => return Track::Emergency,
            // Whoever could decide anything before can awaken it.
            Act::Awaken { .. } => return Track::Standard,
            Act::SetObserver { .. }
            | Act::RemoveObserver { .. }
            | Act::SetTarget { .. }
            | Act::RemoveTarget { .. } => return Track::High,
            Act::SetMember { member, record } => (member, decides(&record.keys)),
            Act::RemoveMember { member } => (member, false),
        };
        let before = self.members.get(member).is_some_and(|member| decides(&member.keys));
        if before || after { Track::Constitutional } else { Track::High }
    }

    /// Carries out what was decided.
    pub(crate) fn enact(&mut self, act: &Act, proposal: ProposalId, events: &mut Vec<Event>) {
        match act {
            Act::Amend { constitution } => return self.amend(constitution, proposal, events),
            Act::Ratify { emergency } => return self.ratify(*emergency, proposal, events),
            Act::Reinstate { guardian } => return self.reinstate(guardian, proposal, events),
            Act::Awaken { .. } => return self.awaken(proposal, events),
            Act::SetOrganisation { organisation, record } => {
                self.organisations.insert(organisation.clone(), record.clone());
            }
            Act::RemoveOrganisation { organisation } => self.remove_organisation(organisation),
            Act::SetMember { member, record } => self.set_member(member, record),
            Act::RemoveMember { member } => self.remove_member(member),
            Act::SetObserver { observer, record } => {
                self.observers.insert(observer.clone(), record.clone());
            }
            Act::RemoveObserver { observer } => drop(self.observers.remove(observer)),
            Act::SetTarget { target, record } => self.set_target(target, record),
            Act::RemoveTarget { target } => {
                self.targets.remove(target);
                self.touched.target(target);
            }
        }
        self.touched.insert(LeafKey::Roster);
        self.touch_members();
        self.derive();
        self.touch_members();
        let subject = act.subject();
        let record = self.in_force(&subject);
        events.push(Event::Enacted { proposal, subject, record });
    }

    fn amend(&mut self, constitution: &Constitution, proposal: ProposalId, events: &mut Vec<Event>) {
        let version = constitution.version;
        let touched = self.constitution.touched_by(constitution);
        self.amended.extend(touched.into_iter().map(|track| (track, version)));
        self.constitution = Arc::new(constitution.clone());
        self.derive();
        self.touched.insert(LeafKey::Constitution);
        events.push(Event::Amended { proposal, version, constitution: self.constitution.digest() });
    }

    fn remove_organisation(&mut self, org: &OrgId) {
        self.organisations.remove(org);
        self.observers.retain(|_, observer| observer.org != *org);
        let members = self.members.keys().filter(|member| member.org_str() == org.as_str());
        let members: Vec<MemberId> = members.cloned().collect();
        for member in &members {
            self.remove_member(member);
        }
    }

    fn set_member(&mut self, id: &MemberId, record: &MemberRecord) {
        let mut member = self.members.get(id).map_or_else(Member::default, |known| Member::clone(known));
        member.take_record(record);
        self.members.insert(id.clone(), Arc::new(member));
        self.begin_first_term(id);
    }

    /// Only what stands against a second use of old signatures stays.
    fn remove_member(&mut self, id: &MemberId) {
        if let Some(member) = self.members.get_mut(id) {
            let member = Arc::make_mut(member);
            member.weight = Weight::ZERO;
            member.keys = BTreeMap::new();
            member.given = BTreeMap::new();
        }
    }

    fn set_target(&mut self, id: &TargetId, record: &TargetRecord) {
        match self.targets.get_mut(id) {
            Some(target) => Arc::make_mut(target).record = record.clone(),
            None => drop(self.targets.insert(id.clone(), Arc::new(Target::new(record)))),
        }
        self.touched.target(id);
    }

    /// The leaves that members are in; which those are follows from who there is.
    fn touch_members(&mut self) {
        self.touched.insert(LeafKey::Members);
        for first in self.ranges.keys() {
            self.touched.insert(LeafKey::Activity(first.clone()));
        }
    }
}
