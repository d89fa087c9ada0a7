//! Owns the mesh's beginning: who is a member, what is governed, by which periods, and which keys each node holds.

use std::{collections::BTreeSet, sync::Arc};

use althing_actors::signer::keys::SignerKeys;
use althing_contracts::{
    constitution::{Constitution, Threshold, Track, TrackParameters},
    genesis::{Genesis, Tier},
    name::{MemberId, OrgId},
    quantity::{DurationMs, Ratio},
    role::Role,
    testing::{genesis, member, member_keys, org, record},
};
use ed25519_zebra::SigningKey;

use super::{
    event::NodeIndex,
    faults::FaultPlan,
    people::{CROWD, Mood},
};

/// The members of a node: whose keys it holds, and what it does with them by itself.
#[derive(Debug, Clone)]
pub(super) struct Staff {
    /// Whose node it is.
    pub(super) org: OrgId,
    /// The keys that it holds.
    pub(super) holders: BTreeSet<(MemberId, Role)>,
    /// The member in whose name it audits.
    pub(super) auditor: Option<MemberId>,
}

/// The genesis of a run. The periods are short enough for whole lives, and a lease longer than clocks are apart.
pub(super) fn genesis_of(plan: &FaultPlan) -> Genesis {
    let mut genesis = genesis(plan.validators);
    genesis.constitution = constitution().fitted_to(plan.validators);
    if plan.mood == Mood::Quiet {
        // One of four voters is above a fifth, and seldom is there none.
        genesis.constitution.dormancy.floor = Ratio::TWO_FIFTHS;
    }
    let first = org(0);
    for (name, roles) in [("standby", &[Role::Executor][..]), ("follower", &[Role::Author])] {
        let id = member(&format!("{first}/{name}"));
        genesis.members.insert(id.clone(), record(&id, 1, roles));
    }
    // More guardians of one organisation than an emergency of two organisations needs.
    for id in wardens() {
        genesis.members.insert(id.clone(), record(&id, 0, &[Role::Guardian]));
    }
    for index in 0..plan.validators {
        let sceptic = member(&format!("{}/sceptic", org(index)));
        genesis.members.insert(sceptic.clone(), record(&sceptic, 0, &[Role::Auditor]));
    }
    if plan.crowd > 0 {
        // With so much weight cut away by the cap, three fifths of it can never take part.
        let high = genesis.constitution.tracks.get(&Track::High).map(|high| high.scheme.clone());
        let rules = genesis.constitution.tracks.get_mut(&Track::Constitutional);
        if let Some((rules, scheme)) = rules.zip(high) {
            rules.scheme = scheme;
        }
    }
    for id in crowd(plan) {
        genesis.members.insert(id.clone(), record(&id, CROWD_WEIGHT, &[Role::Voter]));
    }
    for (id, target) in &mut genesis.targets {
        if target.owner == first {
            target.executors.extend([standby()]);
        }
        // What touches the first of these alone is routine, which nobody signs off and only objections stop; what touches
        // the second one waits for guardians.
        if id.as_str().ends_with("-south") {
            target.tier = Tier::Low;
        } else if target.owner == org(1) {
            target.tier = Tier::High;
        }
    }
    genesis
}

/// The weight of each voter of the crowd, that of any other voter.
const CROWD_WEIGHT: u64 = 100;

/// The voters that the first organisation has more than the others.
fn crowd(plan: &FaultPlan) -> impl Iterator<Item = MemberId> + use<> {
    (0..plan.crowd).map(|number| member(&format!("{}/{CROWD}-{number}", org(0))))
}

/// The guardians that the first organisation has more than the others.
fn wardens() -> [MemberId; 2] {
    ["warden-0", "warden-1"].map(|name| member(&format!("{}/{name}", org(0))))
}

/// The second executor of the first organisation, at the first observer.
fn standby() -> MemberId {
    member(&format!("{}/standby", org(0)))
}

/// The constitution of a run: the default one, with periods of seconds.
#[must_use]
pub fn constitution() -> Constitution {
    let mut constitution =
        Constitution { open_proposals_per_author_max: 3, ..Constitution::default_genesis() };
    constitution.heartbeat = DurationMs::new(2_000);
    constitution.emergency.signing = DurationMs::new(2_000);
    constitution.emergency.ttl_max = DurationMs::new(4_000);
    constitution.emergency.ratify = DurationMs::new(2_500);
    constitution.delegation.activation = DurationMs::new(300);
    // Two of four colleagues are enough.
    constitution.recovery.colleagues = Threshold::AtLeast(Ratio::ONE_THIRD);
    constitution.recovery.signing = DurationMs::new(3_000);
    constitution.recovery.delay = DurationMs::new(800);
    constitution.warning = DurationMs::new(600);
    constitution.resubmission.memory = DurationMs::new(15_000);
    constitution.bonds.lost_for = DurationMs::new(6_000);
    for track in constitution.tracks.values_mut() {
        *track = TrackParameters {
            review: DurationMs::new(3_000),
            voting: DurationMs::new(1_500),
            late_window: DurationMs::new(400),
            confirm: DurationMs::new(400),
            timelock: DurationMs::new(500),
            execute_by: DurationMs::new(6_000),
            lease: DurationMs::new(5_000),
            stage: DurationMs::new(9_000),
            audit: DurationMs::new(4_000),
            cooldown: DurationMs::new(1_500),
            ..track.clone()
        };
    }
    constitution
}

/// The members of each node: those of its organisation at its validator, the second executor and a second author of the
/// first organisation at the observers. The auditor is where no fault strategy is played.
pub(super) fn staff_of(plan: &FaultPlan, node: NodeIndex) -> Staff {
    let is_observer = node >= plan.validators;
    let org = if is_observer { org(0) } else { org(node) };
    let named = |name: &str| member(&format!("{org}/{name}"));
    let mut holders = BTreeSet::new();
    if is_observer {
        let extra =
            if node == plan.validators { ("standby", Role::Executor) } else { ("follower", Role::Author) };
        holders.insert((named(extra.0), extra.1));
    } else {
        for role in [Role::Author, Role::Reviewer, Role::Voter] {
            holders.insert((named("author"), role));
        }
        holders.insert((named("executor"), Role::Executor));
        holders.insert((named("guardian"), Role::Guardian));
        holders.insert((named("sceptic"), Role::Auditor));
        if node == 0 {
            holders.extend(crowd(plan).map(|id| (id, Role::Voter)));
            holders.extend(wardens().map(|id| (id, Role::Guardian)));
        }
    }
    let audits = if plan.observers > 0 { plan.validators } else { plan.validators.saturating_sub(1) };
    let auditor = (node == audits).then(|| member(&format!("{}/auditor", super::world::org(0))));
    holders.extend(auditor.iter().map(|auditor| (auditor.clone(), Role::Auditor)));
    Staff { org, holders, auditor }
}

impl Staff {
    /// The keys: those of the beginning, and those that come in their place.
    pub(super) fn keys(&self) -> Arc<SignerKeys> {
        let keys = |(member, role): &(MemberId, Role)| {
            let holder = (member.clone(), *role);
            member_keys(member, *role).map(move |key| (holder.clone(), SigningKey::from(key.secret())))
        };
        Arc::new(SignerKeys::new(self.holders.iter().flat_map(keys)))
    }

    /// The members that have this role here.
    pub(super) fn with(&self, role: Role) -> impl Iterator<Item = &MemberId> {
        self.holders.iter().filter(move |(_, held)| *held == role).map(|(member, _)| member)
    }
}
