//! Owns what a run leaves behind: figures when all held, and how to repeat it when not.

use std::{collections::BTreeMap, fmt};

use althing_contracts::{
    digest::Digest,
    event::Event,
    expiry::Expiring,
    quantity::{Height, Round},
    stage::Stage,
    tally::{TallyTest, TallyTestKind},
};

use super::{checker::Violation, faults::FaultPlan};
use crate::lie::Lie;

/// Figures of a run in which everything held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Digest over everything that happened, in order.
    pub trace: Digest,
    /// Final blocks.
    pub height: Height,
    /// Highest round that decided a block.
    pub round_max: Round,
    /// Transactions that users were told are final.
    pub acknowledged: usize,
    /// From the end of the faults to the next final block.
    pub healed_after_us: u64,
    /// Changes and syncs of the second node's disks: the log's and the journals'.
    pub operations: [u64; 2],
    /// What happened in the run, by kind, and how often.
    pub coverage: Coverage,
}

/// What happened, by kind, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    kinds: BTreeMap<&'static str, u64>,
    /// Messages that a liar changed, held back or added.
    lies: BTreeMap<Lie, u64>,
    /// Moves of the lifecycle, those between stages of a rollout as one.
    moves: BTreeMap<(Stage, Stage), u64>,
    /// Refusals by the rules, by their codes.
    rejects: BTreeMap<&'static str, u64>,
}

impl Coverage {
    /// What a set of seeds has to produce, each at least once.
    pub const KINDS: [&str; 64] = [
        CRASH,
        OBSERVER_CRASH,
        BLACKOUT,
        RESTART,
        SNAPSHOT_START,
        PARTITION,
        LOST,
        DUPLICATE,
        HIGH_ROUND,
        OBSERVER_BLOCK,
        GOSSIPED_HEAD,
        GOSSIPED_TRANSACTION,
        OBSERVERS_TRANSACTION,
        EVIDENCE,
        READ,
        READ_WAITED,
        READ_BEHIND,
        READ_UNANSWERED,
        READ_AFTER_CRASH,
        READ_AT_OBSERVER,
        READ_ABSENT,
        ORDER,
        CALL_LOST,
        REPLY_LOST,
        HALF_EFFECT,
        SLOW_CALL,
        FENCED,
        REPEATED_ORDER,
        MEDDLED,
        TAKEN_OVER,
        FAILED_AGAIN,
        OBJECTED,
        PROMOTED,
        COSIGNED,
        AMENDED,
        ENACTED,
        DECLARED,
        LAPSED,
        ACTIVATED,
        EXPIRED,
        TAKEN_BACK,
        RATIFIED,
        REVERTED,
        EMERGENCY_AUDITED,
        REINSTATED,
        DELEGATED,
        REVOKED,
        HEARD_THROUGH,
        FAILED_ONCE,
        FAILED_ANEW,
        KEPT_OUT,
        BOND_LOST,
        DORMANT,
        AWAKENED,
        NEAR_REVIEW,
        NEAR_VOTING,
        NEAR_EXECUTION,
        NEAR_EMERGENCY,
        NEAR_DELEGATION,
        KEY_REPLACED,
        KEY_RECOVERED,
        RECOVERY_AGREED,
        RECOVERY_STOPPED,
        WAITED,
    ];

    /// Notes that something happened.
    pub(super) fn count(&mut self, kind: &'static str) {
        *self.kinds.entry(kind).or_default() += 1;
    }

    /// Notes that a liar told something else than an honest validator.
    pub(super) fn lie(&mut self, lie: Lie) {
        *self.lies.entry(lie).or_default() += 1;
    }

    /// How often something happened.
    #[must_use]
    pub fn get(&self, kind: &str) -> u64 {
        self.kinds.get(kind).copied().unwrap_or(0)
    }

    /// Everything that was counted, by its name in the table.
    pub fn rows(&self) -> impl Iterator<Item = (String, u64)> {
        let kinds = Self::KINDS.into_iter().map(|kind| (kind.to_owned(), self.get(kind)));
        let moves = legal_moves().into_iter().map(|step| {
            let times = self.moves.get(&step).copied().unwrap_or(0);
            (format!("{} → {}", step.0.name(), step.1.name()), times)
        });
        let rejects = self.rejects.iter().map(|(code, times)| (format!("refused: {code}"), *times));
        let lies = Lie::ALL
            .into_iter()
            .map(|lie| (lie.does().to_owned(), self.lies.get(&lie).copied().unwrap_or(0)));
        kinds.chain(lies).chain(moves).chain(rejects)
    }

    /// Adds what happened in another run.
    pub fn add(&mut self, other: &Self) {
        for (kind, times) in &other.kinds {
            *self.kinds.entry(kind).or_default() += times;
        }
        for (lie, times) in &other.lies {
            *self.lies.entry(*lie).or_default() += times;
        }
        for (step, times) in &other.moves {
            *self.moves.entry(*step).or_default() += times;
        }
        for (code, times) in &other.rejects {
            *self.rejects.entry(code).or_default() += times;
        }
    }

    /// Notes an event of the ledger.
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::StageChanged { from, to, .. } => {
                *self.moves.entry((one_rollout(*from), one_rollout(*to))).or_default() += 1;
            }
            Event::Promoted { .. } => self.count(PROMOTED),
            Event::Cosigned { .. } => self.count(COSIGNED),
            Event::Amended { .. } => self.count(AMENDED),
            Event::Enacted { .. } => self.count(ENACTED),
            Event::EmergencyDeclared { .. } => self.count(DECLARED),
            Event::EmergencyLapsed { .. } => self.count(LAPSED),
            Event::EmergencyActivated { .. } => self.count(ACTIVATED),
            Event::EmergencyLifted { by: None, .. } => self.count(EXPIRED),
            Event::EmergencyLifted { by: Some(_), .. } => self.count(TAKEN_BACK),
            Event::EmergencyRatified { .. } => self.count(RATIFIED),
            Event::EmergencyReverted { .. } => self.count(REVERTED),
            Event::Reinstated { .. } => self.count(REINSTATED),
            Event::EmergencyAttested { .. } => self.count(EMERGENCY_AUDITED),
            Event::Delegated { .. } => self.count(DELEGATED),
            Event::Revoked { .. } => self.count(REVOKED),
            Event::CooldownBegan { failures: 1, .. } => self.count(FAILED_ONCE),
            Event::CooldownBegan { .. } => self.count(FAILED_ANEW),
            Event::ExpiryNear { expiring, .. } => self.count(near(expiring)),
            Event::KeyReplaced { recovered_by, .. } if recovered_by.is_empty() => self.count(KEY_REPLACED),
            Event::KeyReplaced { .. } => self.count(KEY_RECOVERED),
            Event::RecoveryAgreed { .. } => self.count(RECOVERY_AGREED),
            Event::RecoveryStopped { .. } => self.count(RECOVERY_STOPPED),
            Event::Dormant { .. } => self.count(DORMANT),
            Event::Awake { .. } => self.count(AWAKENED),
            Event::BondSettled { lost_until: Some(_), .. } => self.count(BOND_LOST),
            Event::Tallied { tally, .. } => {
                let objects = |test: &TallyTest| test.kind == TallyTestKind::Objection && !test.holds;
                if tally.tests.iter().any(objects) {
                    self.count(OBJECTED);
                }
            }
            _ => {}
        }
    }

    /// Notes a refusal by the rules.
    pub(super) fn reject(&mut self, code: &'static str) {
        *self.rejects.entry(code).or_default() += 1;
        if code == COOLDOWN {
            self.count(KEPT_OUT);
        }
    }

    /// What never happened: kinds, lies, and legal moves of the lifecycle.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let kinds = Self::KINDS.into_iter().filter(|kind| self.get(kind) == 0).map(str::to_owned);
        let lies = Lie::ALL.into_iter().filter(|lie| !self.lies.contains_key(lie));
        let is_missing = |step: &(Stage, Stage)| !self.moves.contains_key(step);
        let moves = legal_moves().into_iter().filter(is_missing);
        kinds
            .chain(lies.map(|lie| lie.does().to_owned()))
            .chain(moves.map(|(from, to)| format!("{} → {}", from.name(), to.name())))
            .collect()
    }
}

/// A table, one kind a line: faults and marks, moves of the lifecycle, refusals.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows().try_for_each(|(what, times)| writeln!(f, "{times:>9}  {what}"))
    }
}

/// What is about to expire. No run is as long as a guardian's term.
const fn near(expiring: &Expiring) -> &'static str {
    match expiring {
        Expiring::Review { .. } => NEAR_REVIEW,
        Expiring::Voting { .. } => NEAR_VOTING,
        Expiring::Execution { .. } => NEAR_EXECUTION,
        Expiring::Emergency { .. } => NEAR_EMERGENCY,
        Expiring::Delegation { .. } => NEAR_DELEGATION,
        Expiring::Term { .. } => "warnings of a term",
    }
}

/// Every move that the lifecycle's table has.
fn legal_moves() -> Vec<(Stage, Stage)> {
    let pairs = STAGES.iter().flat_map(|from| STAGES.iter().map(|to| (*from, *to)));
    let is_legal = |(from, to): &(Stage, Stage)| match (from, to) {
        (Stage::Rollout(_), Stage::Rollout(_)) => true,
        (from, to) => from.may_become(*to),
    };
    pairs.filter(is_legal).collect()
}

const fn one_rollout(stage: Stage) -> Stage {
    match stage {
        Stage::Rollout(_) => Stage::Rollout(1),
        other => other,
    }
}

const STAGES: [Stage; 22] = [
    Stage::Submitted,
    Stage::Review,
    Stage::Voting,
    Stage::Confirming,
    Stage::Queued,
    Stage::Canary,
    Stage::Rollout(1),
    Stage::Verifying,
    Stage::RollingBack,
    Stage::RolledBack,
    Stage::RollbackFailed,
    Stage::Executed,
    Stage::Failed,
    Stage::Auditing,
    Stage::Closed,
    Stage::Disputed,
    Stage::Rejected,
    Stage::Defeated,
    Stage::Vetoed,
    Stage::Superseded,
    Stage::Expired,
    Stage::Cancelled,
];

/// A validator stopped, with bytes lost or not.
pub(super) const CRASH: &str = "crashes of validators";
/// An observer stopped.
pub(super) const OBSERVER_CRASH: &str = "crashes of observers";
/// All stopped at once.
pub(super) const BLACKOUT: &str = "blackouts of all nodes";
/// A node opened its log again.
pub(super) const RESTART: &str = "restarts";
/// It did so from a snapshot.
pub(super) const SNAPSHOT_START: &str = "restarts from a snapshot";
/// The mesh fell apart.
pub(super) const PARTITION: &str = "partitions";
/// A message was lost, by chance, partition or otherwise.
pub(super) const LOST: &str = "messages lost";
/// A message arrived twice.
pub(super) const DUPLICATE: &str = "messages delivered twice";
/// A block was decided after ten rounds or more.
pub(super) const HIGH_ROUND: &str = "blocks decided in round 10 or above";
/// An observer handed a block out.
pub(super) const OBSERVER_BLOCK: &str = "blocks followed by observers";
/// A head reached a node by another that passed it on.
pub(super) const GOSSIPED_HEAD: &str = "heads passed on by gossip";
/// A transaction reached a node by another that passed it on.
pub(super) const GOSSIPED_TRANSACTION: &str = "transactions passed on by gossip";
/// A user of an observer without a validator among its peers was told that a transaction is final.
pub(super) const OBSERVERS_TRANSACTION: &str = "transactions of an observer's user that are final";
/// A node showed evidence.
pub(super) const EVIDENCE: &str = "evidence of equivocations";

/// A client was shown where a proposal stands.
pub(super) const READ: &str = "reads of a proposal's status";
/// The node had to wait for the height that a client had seen elsewhere.
pub(super) const READ_WAITED: &str = "reads that had to wait for a block";
/// It waited in vain.
pub(super) const READ_BEHIND: &str = "reads refused by a node that was behind";
/// The node stopped with the question.
pub(super) const READ_UNANSWERED: &str = "reads without an answer";
/// The node had been restarted before.
pub(super) const READ_AFTER_CRASH: &str = "reads at a node that had crashed";
/// The node has no vote.
pub(super) const READ_AT_OBSERVER: &str = "reads at an observer";
/// The proposal was submitted and not yet there.
pub(super) const READ_ABSENT: &str = "reads of a proposal that was not there yet";

/// An executor called a target.
pub(super) const ORDER: &str = "orders to targets";
/// The call never came to the target.
pub(super) const CALL_LOST: &str = "calls lost before the effect";
/// The effect took place and the executor was not told.
pub(super) const REPLY_LOST: &str = "replies lost after the effect";
/// Half of the effect took place.
pub(super) const HALF_EFFECT: &str = "half effects";
/// The call came to the target when its executor no longer waited.
pub(super) const SLOW_CALL: &str = "calls that came late";
/// The target refused an old fence.
pub(super) const FENCED: &str = "orders refused for their fence";
/// The target had carried the order out before.
pub(super) const REPEATED_ORDER: &str = "orders repeated under their key";
/// Somebody changed a target without a proposal.
pub(super) const MEDDLED: &str = "targets changed behind the mesh's back";

/// An executor claimed a step that another one had claimed before.
pub(super) const TAKEN_OVER: &str = "steps taken over from another executor";
/// An executor fell after it had reported a failure and before that was final to it: its next life says the same.
pub(super) const FAILED_AGAIN: &str = "failures reported by two lives";

/// A routine change met objections enough to stop it.
pub(super) const OBJECTED: &str = "counts with enough objections";
/// Too few had seen a routine change.
pub(super) const PROMOTED: &str = "votes that became full ones";
/// Other rules are in force from there on.
pub(super) const AMENDED: &str = "changes of the constitution";
/// Members, nodes or targets are others from there on.
pub(super) const ENACTED: &str = "changes of who takes part";
/// What much depends on waits for them.
pub(super) const COSIGNED: &str = "signatures of guardians under decisions";
pub(super) const DELEGATED: &str = "voices lent to another voter";
pub(super) const REVOKED: &str = "voices taken back";
pub(super) const HEARD_THROUGH: &str = "ballots that speak for others";

/// Others refused what somebody asked for, or let its time run out.
pub(super) const FAILED_ONCE: &str = "contents that failed";
/// It was asked for again, and failed again.
pub(super) const FAILED_ANEW: &str = "contents that failed again";
/// It was asked for again too soon.
pub(super) const KEPT_OUT: &str = "contents refused inside their cooldown";
/// The code of that refusal.
const COOLDOWN: &str = "cooldown";
/// The members or a guardian decided against it, or its author fled from the vote.
pub(super) const BOND_LOST: &str = "bonds lost for a time";

/// Too few took part in one vote after the other.
pub(super) const DORMANT: &str = "times that governance fell dormant";
/// Enough said that they were there.
pub(super) const AWAKENED: &str = "times that governance awakened";

/// Something would expire if nobody acted.
pub(super) const NEAR_REVIEW: &str = "warnings of a review";
pub(super) const NEAR_VOTING: &str = "warnings of a vote that lacks voters";
pub(super) const NEAR_EXECUTION: &str = "warnings of an execution that nobody begins";
pub(super) const NEAR_EMERGENCY: &str = "warnings of an emergency's end";
pub(super) const NEAR_DELEGATION: &str = "warnings of a voice's end";
/// Something began that had waited for another proposal.
pub(super) const WAITED: &str = "changes that waited for others";
/// A member has another key by its own word.
pub(super) const KEY_REPLACED: &str = "keys replaced by their holders";
/// A member has another key by its colleagues' word.
pub(super) const KEY_RECOVERED: &str = "keys recovered by colleagues";
/// Enough colleagues have signed.
pub(super) const RECOVERY_AGREED: &str = "recoveries agreed on";
/// A holder refused, or a colleague took its word back.
pub(super) const RECOVERY_STOPPED: &str = "recoveries stopped";

/// Guardians want something held back.
pub(super) const DECLARED: &str = "emergencies declared";
/// Too few signed it.
pub(super) const LAPSED: &str = "emergencies that too few signed";
/// Its measures hold.
pub(super) const ACTIVATED: &str = "emergencies in force";
/// Its measures ended by themselves.
pub(super) const EXPIRED: &str = "emergencies that expired";
/// A guardian took a signature back.
pub(super) const TAKEN_BACK: &str = "emergencies taken back";
/// The members stood by it.
pub(super) const RATIFIED: &str = "emergencies ratified";
/// The members did not, and its signers lost their power.
pub(super) const REVERTED: &str = "emergencies reverted";
/// The members gave a guardian the power back.
pub(super) const REINSTATED: &str = "guardians reinstated";
/// An auditor spoke about its use.
pub(super) const EMERGENCY_AUDITED: &str = "attestations about emergencies";

/// A run in which something did not hold.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed}, {at_us} µs: {violation}\n  faults: {plan:?}\n  repeat: {}", repeat_command(*seed))]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The faults of the run.
    pub plan: Box<FaultPlan>,
    /// Virtual time of the violation.
    pub at_us: u64,
    /// What does not hold.
    #[source]
    pub violation: Box<Violation>,
}

/// The command that repeats a seed.
#[must_use]
pub fn repeat_command(seed: u64) -> String {
    format!("althing chaos replay {seed}")
}
