//! Owns the emergency: what guardians may order at once, for how long, and what becomes of it. Refuses every measure that is
//! not on the list, and those that would reach the people who judge its use.
//!
//! ```text
//! ∅ ─► Declared ─► Active ─► Ratified      its measures end at their expiry, or when a signer takes it back
//!          │          └────► Reverted      they end at once, and its signers lose the power of guardians
//!          └─► Lapsed                      too few signatures in time
//! ```

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    act::Act,
    constitution::{EmergencyRules, Track},
    digest::{Digest, Purpose},
    document::ProposalDocument,
    name::{Line, MemberId, Prose, TargetId},
    quantity::{Height, Sequence, TimeMs},
    reject::Reject,
    transaction::{AuditVerdict, ProposalId},
};

/// Most measures of one emergency.
pub const MEASURES_MAX: usize = 8;
/// Most emergencies that the members have not judged: more at once is not an emergency but a government.
pub const EMERGENCIES_UNJUDGED_MAX: usize = 4;

/// Names an emergency: digest of (network, declaration), so that one content is used once.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct EmergencyId(Digest);

/// What a guardian asks the others to sign.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// What is ordered.
    pub measures: Vec<Measure>,
    /// Why.
    pub reason: Line,
    /// When the measures end by themselves.
    pub expires: TimeMs,
}

/// One measure. Each takes effect in the ledger alone and gives nobody anything; tags are part of the wire format.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Measure {
    /// Nothing is submitted to a track, and nothing that was decided on it begins.
    HaltTrack {
        /// Which; never the constitutional one, on which guardians are judged.
        track: Track,
    },
    /// No step begins on a target; what is being carried out there is rolled back.
    PauseTarget {
        /// Which.
        target: TargetId,
    },
    /// No step begins on a target and nothing there is undone either: nobody goes near it.
    IsolateTarget {
        /// Which.
        target: TargetId,
    },
    /// An executor's key does nothing. The keys of those who decide, guard and audit are out of reach.
    SuspendExecutor {
        /// Whose.
        member: MemberId,
    },
}

/// Where an emergency stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum EmergencyStage {
    /// Guardians may sign it.
    Declared,
    /// Too few signed it in time.
    Lapsed,
    /// Enough signed it; the members judge it.
    Active,
    /// The members stand by it.
    Ratified,
    /// The members did not ratify it in time.
    Reverted,
}

/// One emergency.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Emergency {
    /// Its name.
    pub id: EmergencyId,
    /// What was declared.
    pub declaration: Declaration,
    /// Who declared it, and signed first by it.
    pub declared_by: MemberId,
    /// When.
    pub declared_at: TimeMs,
    /// The rules for emergencies, pinned at the declaration.
    pub rules: EmergencyRules,
    /// How many guardians the mesh had, whether they held power or not; pinned at the declaration.
    pub guardians: u32,
    /// The guardians who signed.
    pub signers: BTreeSet<MemberId>,
    /// Where it stands.
    pub stage: EmergencyStage,
    /// How it came into force, once it did.
    pub activation: Option<Activation>,
    /// When its measures ended, once they did.
    pub lifted: Option<TimeMs>,
    /// What auditors found.
    pub attestations: BTreeMap<MemberId, AuditVerdict>,
}

/// The beginning of an emergency's force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Activation {
    /// When.
    pub time: TimeMs,
    /// In which block; an audit has to reach it.
    pub height: Height,
    /// The proposal by which the members judge it, opened by the ledger itself.
    pub proposal: ProposalId,
}

/// Whether a guardian may use the powers of one: to declare and sign emergencies, and to veto.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Mandate {
    /// When it ends unless it is given anew.
    pub until: TimeMs,
    /// The emergency that was not ratified and cost the guardian the power, if one did.
    pub suspended_by: Option<EmergencyId>,
}

impl EmergencyId {
    /// The name of a declaration in a network.
    #[must_use]
    pub fn of(network: Digest, declaration: &Declaration) -> Self {
        Self(Digest::of_object(Purpose::Emergency, &(network, declaration)))
    }

    /// Wraps a digest that names an emergency.
    #[must_use]
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl std::fmt::Display for EmergencyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Declaration {
    /// The proposal by which the members judge it. Members begin with sequence 1: no submission of theirs has this id.
    #[must_use]
    pub fn judgement(&self, network: Digest, declared_by: &MemberId) -> (ProposalId, ProposalDocument) {
        let emergency = EmergencyId::of(network, self);
        let title = Line::shortened(&format!("stand by emergency {}", emergency.digest().short()));
        let acts = vec![Act::Ratify { emergency }];
        let document = ProposalDocument::of_acts(title, Prose::from(&self.reason), acts);
        let id = ProposalId::derive(network, declared_by, Sequence::ZERO, document.digest());
        (id, document)
    }

    /// Checks what can be seen without a state: bounds, a reason, no subject twice, no track that is out of reach.
    ///
    /// # Errors
    /// Names the first field that is outside.
    pub fn check(&self) -> Result<(), Reject> {
        if self.reason.as_str().trim().is_empty() {
            return refuse("reason", "is empty");
        }
        if self.measures.is_empty() || self.measures.len() > MEASURES_MAX {
            return refuse(
                "measures",
                &format!("has {}; from 1 to {MEASURES_MAX} are allowed", self.measures.len()),
            );
        }
        let mut subjects = BTreeSet::new();
        for (index, measure) in self.measures.iter().enumerate() {
            let field = format!("measures[{index}]");
            if let Measure::HaltTrack { track: track @ (Track::Constitutional | Track::Emergency) } = measure
            {
                return refuse(&field, &format!("halts the {track} track, on which guardians are judged"));
            }
            if !subjects.insert(measure.subject()) {
                return refuse(&field, "is about the same a second time");
            }
        }
        Ok(())
    }
}

pub(crate) fn refuse(field: &str, problem: &str) -> Result<(), Reject> {
    Err(Reject::Document { field: field.to_owned(), problem: problem.to_owned() })
}

impl Measure {
    /// What it is about; pausing and isolating a target are about the same.
    #[must_use]
    pub fn subject(&self) -> (&'static str, String) {
        match self {
            Self::HaltTrack { track } => ("track", track.to_string()),
            Self::PauseTarget { target } | Self::IsolateTarget { target } => ("target", target.to_string()),
            Self::SuspendExecutor { member } => ("executor", member.to_string()),
        }
    }
}

impl std::fmt::Display for Measure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::HaltTrack { track } => write!(f, "halt the {track} track"),
            Self::PauseTarget { target } => write!(f, "pause {target}"),
            Self::IsolateTarget { target } => write!(f, "isolate {target}"),
            Self::SuspendExecutor { member } => write!(f, "suspend the executor {member}"),
        }
    }
}

impl EmergencyStage {
    /// Its name in files, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Lapsed => "lapsed",
            Self::Active => "active",
            Self::Ratified => "ratified",
            Self::Reverted => "reverted",
        }
    }

    /// Whether the lifecycle of an emergency knows a way from here to there in one move.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        match self {
            Self::Declared => matches!(to, Self::Active | Self::Lapsed),
            Self::Active => matches!(to, Self::Ratified | Self::Reverted),
            Self::Lapsed | Self::Ratified | Self::Reverted => false,
        }
    }

    /// Whether something is still to be decided about it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Declared | Self::Active)
    }
}

impl std::fmt::Display for EmergencyStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl Emergency {
    /// Whether its measures hold.
    #[must_use]
    pub const fn is_in_force(&self) -> bool {
        self.activation.is_some()
            && self.lifted.is_none()
            && matches!(self.stage, EmergencyStage::Active | EmergencyStage::Ratified)
    }

    /// When the ledger acts on it by itself, if it does.
    #[must_use]
    pub fn deadline(&self) -> Option<TimeMs> {
        match self.stage {
            EmergencyStage::Declared => Some(self.signed_by()),
            _ => self.is_in_force().then_some(self.declaration.expires),
        }
    }

    /// Last instant for signatures.
    #[must_use]
    pub fn signed_by(&self) -> TimeMs {
        self.declared_at.after(self.rules.signing).min(self.declaration.expires)
    }

    /// Whether these signers are as many, of as many organisations, as its rules ask for.
    #[must_use]
    pub fn is_carried_by<'a>(&self, signers: impl Iterator<Item = &'a MemberId>) -> bool {
        let signers: Vec<&MemberId> = signers.collect();
        let organisations: BTreeSet<&str> = signers.iter().map(|signer| signer.org_str()).collect();
        let signed = u64::try_from(signers.len()).unwrap_or(u64::MAX);
        self.rules.guardians.is_passed_by(signed, self.guardians.into())
            && organisations.len() >= usize::from(self.rules.organisations)
    }

    /// Whether enough auditors found its use sound and none did not.
    #[must_use]
    pub fn is_audited(&self) -> bool {
        self.attestations.len() >= usize::from(self.rules.attestations)
            && self.attestations.values().all(|verdict| *verdict == AuditVerdict::Sound)
    }

    /// Whether power was used and auditors have not found it sound so far.
    #[must_use]
    pub fn awaits_audit(&self) -> bool {
        self.activation.is_some() && !self.is_audited()
    }
}
