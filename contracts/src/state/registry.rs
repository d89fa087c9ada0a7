//! Owns what the ledger knows apart from proposals: members, targets, rules, clock, fences.

use std::{collections::BTreeMap, sync::Arc};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    attempt::{Attempts, ContentId},
    certificate::Roster,
    constitution::{Constitution, Holders, Track, TrackParameters},
    digest::Digest,
    dormancy::Dormancy,
    emergency::{Emergency, EmergencyId, Mandate},
    expiry::{Expiring, Warning},
    genesis::{Genesis, MemberRecord, ObserverRecord, OrganisationRecord},
    name::{MemberId, Name, OrgId, TargetId},
    quantity::{EventSequence, Fence, Height, Sequence, TimeMs},
    recovery::Recovery,
    reject::Reject,
    role::Role,
    shared_map::SharedMap,
    signature::PublicKey,
    state::{
        KeyPlace, Member, Target,
        attempts::Fading,
        delegations::Floor,
        expiries::Agenda,
        guardians,
        holds::Holds,
        leaf::{self, LeafKey, Ranges, Touched},
        precedence::Precedence,
    },
    transaction::Equivocation,
};

/// Digests of so many past blocks are kept, for auditors to name the history that they saw.
pub const BLOCK_WINDOW: u64 = 512;

/// Everything but the proposals.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub struct Registry {
    pub(crate) network: Digest,
    pub(crate) height: Height,
    pub(crate) time: TimeMs,
    pub(crate) events: EventSequence,
    pub(crate) fence: Fence,
    pub(crate) constitution: Arc<Constitution>,
    /// The version of the constitution that last changed the rules of each track.
    pub(crate) amended: BTreeMap<Track, u32>,
    pub(crate) organisations: BTreeMap<OrgId, OrganisationRecord>,
    pub(crate) observers: BTreeMap<Name, ObserverRecord>,
    pub(crate) members: SharedMap<MemberId, Arc<Member>>,
    pub(crate) targets: SharedMap<TargetId, Arc<Target>>,
    pub(crate) blocks: SharedMap<Height, Digest>,
    /// The first proof against each validator that signed twice.
    pub(crate) equivocations: BTreeMap<PublicKey, Equivocation>,
    pub(crate) emergencies: SharedMap<EmergencyId, Arc<Emergency>>,
    /// The powers of each guardian.
    pub(crate) mandates: BTreeMap<MemberId, Mandate>,
    /// What people are warned of, and when.
    pub(crate) warnings: SharedMap<Expiring, Warning>,
    #[borsh(skip)]
    pub(crate) agenda: Agenda,
    /// How much the members take part.
    pub(crate) dormancy: Dormancy,
    /// What colleagues have said about keys that are lost.
    pub(crate) recoveries: BTreeMap<KeyPlace, Recovery>,
    /// What has failed, as far as it is remembered.
    pub(crate) attempts: SharedMap<ContentId, Attempts>,
    #[borsh(skip)]
    pub(crate) fading: Fading,
    /// What the measures in force hold back.
    #[borsh(skip)]
    pub(crate) holds: Arc<Holds>,
    /// The validators of the next block.
    #[borsh(skip)]
    pub(crate) roster: Arc<Roster>,
    /// The validators of this block.
    #[borsh(skip)]
    pub(crate) deciding: Arc<Roster>,
    #[borsh(skip)]
    pub(crate) precedence: Precedence,
    #[borsh(skip)]
    pub(crate) floor: Floor,
    #[borsh(skip)]
    pub(crate) ranges: Arc<Ranges>,
    #[borsh(skip)]
    pub(crate) parameters: BTreeMap<Track, Arc<TrackParameters>>,
    #[borsh(skip)]
    pub(crate) touched: Touched,
}

impl Registry {
    pub(crate) fn genesis(genesis: &Genesis) -> Self {
        let members = genesis.members.iter().map(|(id, record)| (id.clone(), Arc::new(member(record))));
        let targets = genesis.targets.iter().map(|(id, record)| (id.clone(), Arc::new(Target::new(record))));
        let mut registry = Self {
            network: genesis.network(),
            height: Height::ZERO,
            time: genesis.time,
            events: EventSequence::ZERO,
            fence: Fence::ZERO,
            constitution: Arc::new(genesis.constitution.clone()),
            amended: BTreeMap::new(),
            organisations: genesis.organisations.clone(),
            observers: genesis.observers.clone(),
            members: members.collect(),
            targets: targets.collect(),
            blocks: SharedMap::default(),
            equivocations: BTreeMap::new(),
            emergencies: SharedMap::default(),
            mandates: guardians::first_terms(genesis),
            warnings: SharedMap::default(),
            agenda: Agenda::default(),
            dormancy: Dormancy::default(),
            recoveries: BTreeMap::new(),
            attempts: SharedMap::default(),
            fading: Fading::default(),
            holds: Arc::default(),
            roster: Arc::default(),
            deciding: Arc::default(),
            precedence: Precedence::default(),
            floor: Floor::default(),
            ranges: Arc::default(),
            parameters: BTreeMap::new(),
            touched: Touched::default(),
        };
        registry.warn_of_first_terms();
        registry.derive();
        registry.deciding = Arc::clone(&registry.roster);
        registry
    }

    /// Recomputes what is derived and never stored.
    pub(crate) fn derive(&mut self) {
        let roster = Roster::of(self.organisations.iter());
        if *self.roster != roster {
            self.roster = Arc::new(roster);
        }
        self.derive_floor();
        self.derive_fading();
        self.derive_agenda();
        self.ranges = Arc::new(leaf::ranges(self.members.keys()));
        let tracks = Track::ALL.into_iter().chain([Track::Emergency]);
        let parameters =
            tracks.filter_map(|track| Some((track, Arc::new(self.constitution.parameters_of(track)?))));
        self.parameters = parameters.collect();
        self.derive_holds();
    }

    fn derive_holds(&mut self) {
        self.holds = Arc::new(Holds::of(self.emergencies.values().map(Arc::as_ref)));
    }

    /// Changes an emergency; of one that nobody declared there is nothing to change.
    pub(crate) fn change_emergency(&mut self, id: EmergencyId, change: impl FnOnce(&mut Emergency)) {
        if let Some(emergency) = self.emergencies.get_mut(&id) {
            change(Arc::make_mut(emergency));
            self.touched.insert(LeafKey::Emergency(id));
            self.derive_holds();
        }
    }

    /// Keeps an emergency as it stands from here on.
    pub(crate) fn keep_emergency(&mut self, emergency: Emergency) {
        self.touched.insert(LeafKey::Emergency(emergency.id));
        self.emergencies.insert(emergency.id, Arc::new(emergency));
        self.derive_holds();
    }

    /// Numbers events; they are part of the ledger's own leaf.
    pub(crate) fn count_events(&mut self, len: usize) {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        self.events = self.events.saturating_add(EventSequence::new(len));
        self.touched.ledger();
    }

    /// The members that hold a role, by name.
    pub(crate) fn members_with(&self, role: Role) -> impl Iterator<Item = &MemberId> {
        let holders = self.members.iter().filter(move |(_, member)| member.keys.contains_key(&role));
        holders.map(|(id, _)| id)
    }

    /// Who holds which role.
    pub(crate) fn holders(&self) -> Holders<'_> {
        Holders::of(&self.members)
    }

    /// Refuses who is not a member.
    pub(crate) fn member_mut(&mut self, id: &MemberId) -> Result<&mut Member, Reject> {
        let unknown = || Reject::NotAMember { member: id.clone() };
        let member = self.members.get_mut(id).ok_or_else(unknown)?;
        self.touched.activity(&self.ranges, id);
        Ok(Arc::make_mut(member))
    }

    /// Changes a target; of one that nobody registered there is nothing to change.
    pub(crate) fn change_target(&mut self, id: &TargetId, change: impl FnOnce(&mut Target)) {
        if let Some(target) = self.targets.get_mut(id) {
            change(Arc::make_mut(target));
            self.touched.target(id);
        }
    }

    /// Whether the member may act on the target for its owner.
    pub(crate) fn is_executor_of(&self, member: &MemberId, target: &TargetId) -> bool {
        self.targets.get(target).is_some_and(|target| target.record.executors.contains(member))
    }

    pub(crate) fn next_fence(&mut self) -> Fence {
        self.fence = self.fence.next();
        self.fence
    }

    pub(crate) fn next_sequence(&self, member: &MemberId, role: Role) -> Sequence {
        let used = self.members.get(member).and_then(|member| member.sequences.get(&role));
        used.map_or(Sequence::new(1), |used| used.next())
    }

    /// Takes the parent's digest into the window of known blocks.
    pub(crate) fn remember_block(&mut self, height: Height, digest: Digest) {
        self.blocks.insert(height, digest);
        if let Some(oldest) = height.get().checked_sub(BLOCK_WINDOW) {
            self.blocks.remove(&Height::new(oldest));
        }
    }
}

pub(super) fn member(record: &MemberRecord) -> Member {
    Member { weight: record.weight, keys: record.keys.clone(), ..Member::default() }
}
