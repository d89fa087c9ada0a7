//! Owns acts: changes of the rules themselves, which the ledger carries out when they are decided. No executor is asked,
//! and nothing of it can be half done.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    constitution::Constitution,
    digest::{Digest, Purpose},
    emergency::EmergencyId,
    genesis::{MemberRecord, ObserverRecord, OrganisationRecord, TargetRecord},
    name::{MemberId, Name, OrgId, TargetId},
    quantity::TimeMs,
};

/// Most acts of one proposal.
pub const ACTS_MAX: usize = 8;

/// One change. Tags are part of the wire format; a retired one is never reused.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Puts another constitution in force.
    Amend {
        /// The whole of it; its version is one above the one in force.
        constitution: Box<Constitution>,
    },
    /// Takes an organisation in, or gives it another weight or other keys for its validator.
    SetOrganisation {
        /// Which.
        organisation: OrgId,
        /// Everything about it.
        record: OrganisationRecord,
    },
    /// Lets an organisation go, with its validator, its members and its observers.
    RemoveOrganisation {
        /// Which.
        organisation: OrgId,
    },
    /// Takes a member in, or gives one another weight or other keys.
    SetMember {
        /// Who.
        member: MemberId,
        /// Everything about the member.
        record: MemberRecord,
    },
    /// Lets a member go; the name stays taken, so that nothing signed before can count again.
    RemoveMember {
        /// Who.
        member: MemberId,
    },
    /// Lets a node read the ledger.
    SetObserver {
        /// Which.
        observer: Name,
        /// Everything about it.
        record: ObserverRecord,
    },
    /// Lets it read no more.
    RemoveObserver {
        /// Which.
        observer: Name,
    },
    /// Puts a target under governance, or changes what is known of it.
    SetTarget {
        /// Which.
        target: TargetId,
        /// Everything about it.
        record: TargetRecord,
    },
    /// Governs a target no more.
    RemoveTarget {
        /// Which.
        target: TargetId,
    },
    /// Stands by an emergency. The ledger opens such a proposal itself, and nobody else does.
    Ratify {
        /// Which.
        emergency: EmergencyId,
    },
    /// Gives a guardian the powers of one for another term, whether they ended or were suspended.
    Reinstate {
        /// Who; holds the role.
        guardian: MemberId,
    },
    /// Ends the dormancy of governance.
    Awaken {
        /// When it fell dormant.
        since: TimeMs,
    },
}

/// What an act changes; two acts of one proposal never change the same. Tags are part of the format of events.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The constitution.
    Constitution,
    /// An organisation with its validator.
    Organisation(OrgId),
    /// A member.
    Member(MemberId),
    /// A node that reads.
    Observer(Name),
    /// A target.
    Target(TargetId),
    /// An emergency.
    Emergency(EmergencyId),
    /// The powers of a guardian.
    Mandate(MemberId),
    /// Whether governance is dormant.
    Dormancy,
}

/// An act with what it was planned against.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct PlannedAct {
    /// Digest of what is in force, which the act replaces; when that has moved, the act is void.
    pub replaces: Digest,
}

impl Act {
    /// What it changes.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Amend { .. } => Subject::Constitution,
            Self::SetOrganisation { organisation, .. } | Self::RemoveOrganisation { organisation } => {
                Subject::Organisation(organisation.clone())
            }
            Self::SetMember { member, .. } | Self::RemoveMember { member } => Subject::Member(member.clone()),
            Self::SetObserver { observer, .. } | Self::RemoveObserver { observer } => {
                Subject::Observer(observer.clone())
            }
            Self::SetTarget { target, .. } | Self::RemoveTarget { target } => Subject::Target(target.clone()),
            Self::Ratify { emergency } => Subject::Emergency(*emergency),
            Self::Reinstate { guardian } => Subject::Mandate(guardian.clone()),
            Self::Awaken { .. } => Subject::Dormancy,
        }
    }

    /// What a plan will say is in force about its subject once it was carried out.
    pub(crate) fn leaves(&self) -> Digest {
        match self {
            Self::Amend { constitution } => constitution.digest(),
            Self::SetOrganisation { record, .. } => name_of(Some(record)),
            Self::SetMember { record, .. } => name_of(Some(record)),
            Self::SetObserver { record, .. } => name_of(Some(record)),
            Self::SetTarget { record, .. } => name_of(Some(record)),
            Self::RemoveOrganisation { .. }
            | Self::RemoveMember { .. }
            | Self::RemoveObserver { .. }
            | Self::RemoveTarget { .. } => name_of::<()>(None),
            // A judgement replaces nothing, when a mandate ends depends on when it is given, and what ends leaves nothing.
            Self::Ratify { .. } | Self::Reinstate { .. } | Self::Awaken { .. } => Digest::ZERO,
        }
    }

    /// The constitution that it puts in force.
    #[must_use]
    pub fn amendment(&self) -> Option<&Constitution> {
        match self {
            Self::Amend { constitution } => Some(constitution),
            _ => None,
        }
    }
}

/// Names a record, or that there is none.
pub(crate) fn name_of<T: BorshSerialize>(record: Option<&T>) -> Digest {
    Digest::of_object(Purpose::State, &record)
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Constitution => f.pad("constitution"),
            Self::Organisation(org) => write!(f, "organisation {org}"),
            Self::Member(member) => write!(f, "member {member}"),
            Self::Observer(observer) => write!(f, "observer {observer}"),
            Self::Target(target) => write!(f, "target {target}"),
            Self::Emergency(id) => write!(f, "emergency {id}"),
            Self::Mandate(guardian) => write!(f, "powers of the guardian {guardian}"),
            Self::Dormancy => f.pad("dormancy"),
        }
    }
}
