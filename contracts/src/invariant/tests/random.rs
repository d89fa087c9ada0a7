//! Random lives: whatever members ask for and in whatever order, every invariant holds after every block.

use proptest::prelude::*;

use crate::{
    block::Header,
    constitution::Track,
    digest::Digest,
    emergency::{Declaration, EmergencyId, Measure},
    invariant::{View, check_all},
    ledger,
    name::MemberId,
    proposal::{Order, Work},
    quantity::{DurationMs, Fence},
    role::Role,
    state::{Applied, Input, State},
    testing::{World, deploy, healthy, line, unhealthy},
    trail::Historian,
    transaction::{
        AuditVerdict, Call, Choice, HealthReport, ProposalId, ReviewVerdict, StepOutcome, Transaction,
    },
};

const ORGS: [&str; 4] = ["acme", "birch", "cedar", "delta"];
const TARGETS: [&[&[&str]]; 4] = [
    &[&["acme-north"]],
    &[&["acme-north"], &["birch-north", "cedar-north"]],
    &[&["birch-south"], &["acme-north"], &["delta-north"]],
    &[&["acme-north", "acme-south", "birch-north", "birch-south"]],
];

/// What a member tries next; the numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
enum Attempt {
    Submit { org: u8, shape: u8, version: u8 },
    Revise { pick: u8, version: u8 },
    Cancel { pick: u8 },
    Review { pick: u8, org: u8, approve: bool },
    Vote { pick: u8, org: u8, choice: u8 },
    Lend { org: u8, to: u8, days: u8 },
    Revoke { org: u8 },
    Veto { pick: u8, org: u8 },
    Work { pick: u8, org: u8, luck: u8 },
    Abort { pick: u8, org: u8 },
    Resume { pick: u8, org: u8 },
    Audit { pick: u8, sound: bool },
    Replay { pick: u8 },
    Declare { org: u8, measure: u8, hours: u8 },
    Sign { pick: u8, org: u8 },
    EndEmergency { pick: u8, org: u8 },
    AuditEmergency { pick: u8 },
    Forge { pick: u8, step: u8 },
    EndBlock { wait: u8 },
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let small = any::<u8>;
    prop_oneof![
        2 => (small(), small(), small()).prop_map(|(org, shape, version)| Attempt::Submit { org, shape, version }),
        1 => (small(), small()).prop_map(|(pick, version)| Attempt::Revise { pick, version }),
        1 => small().prop_map(|pick| Attempt::Cancel { pick }),
        4 => (small(), small(), 0u8..8).prop_map(|(pick, org, n)| Attempt::Review { pick, org, approve: n > 0 }),
        8 => (small(), small(), 0u8..8).prop_map(|(pick, org, choice)| Attempt::Vote { pick, org, choice }),
        2 => (small(), small(), small()).prop_map(|(org, to, days)| Attempt::Lend { org, to, days }),
        1 => small().prop_map(|org| Attempt::Revoke { org }),
        2 => (small(), small()).prop_map(|(pick, org)| Attempt::Veto { pick, org }),
        32 => (small(), small(), small()).prop_map(|(pick, org, luck)| Attempt::Work { pick, org, luck }),
        1 => (small(), small()).prop_map(|(pick, org)| Attempt::Abort { pick, org }),
        2 => (small(), small()).prop_map(|(pick, org)| Attempt::Resume { pick, org }),
        2 => (small(), any::<bool>()).prop_map(|(pick, sound)| Attempt::Audit { pick, sound }),
        1 => small().prop_map(|pick| Attempt::Replay { pick }),
        1 => (small(), small(), small()).prop_map(|(org, measure, hours)| Attempt::Declare { org, measure, hours }),
        5 => (small(), small()).prop_map(|(pick, org)| Attempt::Sign { pick, org }),
        1 => (small(), small()).prop_map(|(pick, org)| Attempt::EndEmergency { pick, org }),
        1 => small().prop_map(|pick| Attempt::AuditEmergency { pick }),
        1 => (small(), small()).prop_map(|(pick, step)| Attempt::Forge { pick, step }),
        8 => small().prop_map(|wait| Attempt::EndBlock { wait }),
    ]
}

/// A world with the block that is being filled.
struct Play {
    world: World,
    sent: Vec<Transaction>,
    pending: Vec<Transaction>,
    running: State,
    /// The other judge, which sees events only.
    judge: Historian,
    /// Whether every refusal is compared to the byte, and every block with every invariant.
    strict: bool,
}

impl Play {
    fn new(strict: bool) -> Self {
        let mut world = World::new(4);
        world.block(DurationMs::new(1), &[]);
        let running = world.state.clone();
        Self { world, sent: Vec::new(), pending: Vec::new(), running, judge: Historian::default(), strict }
    }

    fn pick(&self, pick: u8) -> Option<ProposalId> {
        let count = self.running.proposals().count();
        let index = usize::from(pick).checked_rem(count)?;
        self.running.proposals().nth(index).map(|proposal| proposal.id)
    }

    fn send(&mut self, sender: &str, role: Role, call: Call) {
        let mut signer = self.world.clone();
        signer.state = self.running.clone();
        let transaction = signer.sign(sender, role, call);
        self.try_out(&transaction);
    }

    /// A refusal or a repeat leaves the state as it was, to the byte.
    fn try_out(&mut self, transaction: &Transaction) {
        let before = self.strict.then(|| self.running.encode_snapshot());
        match self.running.apply(Input::Transaction(&self.world.verify(transaction))) {
            Ok(Applied::New(_)) => {
                self.sent.push(transaction.clone());
                self.pending.push(transaction.clone());
            }
            Ok(Applied::Same) | Err(_) => {
                assert!(before.is_none_or(|before| self.running.encode_snapshot() == before));
            }
        }
    }

    fn end_block(&mut self, wait: u8) {
        let time = self.running.time();
        let to_deadline = self.running.next_deadline().map(|due| due.since(time));
        // While something is carried out, most blocks come before its deadline.
        let hurried = self.running.proposals().any(|proposal| proposal.stage.is_executing());
        let later = match wait % 16 {
            0 => to_deadline.unwrap_or(DurationMs::new(1)).max(DurationMs::new(1)),
            2..8 if !hurried => to_deadline.unwrap_or(DurationMs::new(1)).max(DurationMs::new(1)),
            1 => DurationMs::new(60_000),
            _ => DurationMs::new(u64::from(wait) + 1),
        };
        // The pending transactions belong to a block whose timers have not run: they are tried again in it.
        let before = self.world.state.clone();
        let parent = self.world.last.as_ref().map_or(Digest::ZERO, Header::digest);
        let (block, executed) = self.world.block(later, &std::mem::take(&mut self.pending));
        let transactions: Vec<_> = block
            .transactions()
            .iter()
            .map(|bytes| self.world.verify(&crate::canonical::decode(bytes, usize::MAX).unwrap()))
            .collect();
        let again = ledger::execute(&before, &executed.header, &transactions).expect("the block is valid");
        assert_eq!(again.events, executed.events);
        assert_eq!(executed.header.parent, parent);
        let view = View {
            before: &before,
            after: &executed.state,
            header: &executed.header,
            transactions: &transactions,
            events: &executed.events,
        };
        if self.strict {
            check_all(&view).unwrap();
        }
        assert_eq!(self.judge.observe(&view), []);
        self.running = self.world.state.clone();
    }

    fn play(&mut self, attempt: Attempt) -> Option<()> {
        match attempt {
            Attempt::EndBlock { wait } => self.end_block(wait),
            Attempt::Submit { org, shape, version } => {
                let document = deploy(&format!("{}", version % 3), TARGETS[usize::from(shape) % 4]);
                let plan_hash = self.running.plan(&document).ok()?.hash();
                self.send(&member(org, "author"), Role::Author, Call::Submit { document, plan_hash });
            }
            Attempt::Revise { pick, version } => {
                let proposal = self.pick(pick)?;
                let document = deploy(&format!("r{version}"), TARGETS[usize::from(version) % 4]);
                let plan_hash = self.running.plan(&document).ok()?.hash();
                let (author, replaces) =
                    self.running.proposal(proposal).map(|held| (held.author.clone(), held.revision))?;
                let call = Call::Revise { proposal, replaces, document, plan_hash };
                self.send(author.as_str(), Role::Author, call);
            }
            Attempt::Cancel { pick } => {
                let proposal = self.pick(pick)?;
                let author = self.running.proposal(proposal)?.author.clone();
                self.send(author.as_str(), Role::Author, Call::Cancel { proposal, reason: line("no") });
            }
            Attempt::Review { pick, org, approve } => {
                let (proposal, revision, plan_hash) = self.edition(pick)?;
                let verdict = if approve { ReviewVerdict::Approve } else { ReviewVerdict::Refuse };
                let call = Call::Review { proposal, revision, plan_hash, verdict, reason: line("seen") };
                self.send(&member(org, "author"), Role::Reviewer, call);
            }
            Attempt::Vote { pick, org, choice } => {
                let (proposal, revision, plan_hash) = self.edition(pick)?;
                let choice = match choice {
                    0 => Choice::Against,
                    1 => Choice::Abstain,
                    _ => Choice::For,
                };
                let call = Call::Vote { proposal, revision, plan_hash, choice };
                self.send(&member(org, "author"), Role::Voter, call);
            }
            Attempt::Lend { org, to, days } => {
                let length = DurationMs::from_hours(24 * u64::from(days % 100));
                let (to, expires) =
                    (crate::testing::member(&member(to, "author")), self.running.time().after(length));
                let track = (days % 3 == 0).then_some(crate::constitution::Track::Standard);
                self.send(&member(org, "author"), Role::Voter, Call::Delegate { track, to, expires });
            }
            Attempt::Revoke { org } => {
                self.send(&member(org, "author"), Role::Voter, Call::Revoke { track: None });
            }
            Attempt::Veto { pick, org } => {
                let proposal = self.pick(pick)?;
                let call = Call::Veto { proposal, reason: line("unsafe") };
                self.send(&member(org, "guardian"), Role::Guardian, call);
            }
            Attempt::Work { pick, org, luck } => self.work(pick, org, luck)?,
            Attempt::Abort { pick, org } => {
                let proposal = self.pick(pick)?;
                let call = Call::Abort { proposal, reason: line("stop") };
                self.send(&member(org, "executor"), Role::Executor, call);
            }
            Attempt::Resume { pick, org } => {
                let proposal = self.pick(pick)?;
                self.send(&member(org, "executor"), Role::Executor, Call::Resume { proposal });
            }
            Attempt::Audit { pick, sound } => self.audit(pick, sound)?,
            Attempt::Declare { org, measure, hours } => {
                let expires = self.running.time().after(DurationMs::from_hours(u64::from(hours) % 26));
                let measures = vec![drawn(measure)];
                let declaration = Declaration { measures, reason: line("danger"), expires };
                let call = Call::DeclareEmergency { declaration };
                self.send(&member(org, "guardian"), Role::Guardian, call);
            }
            Attempt::Sign { pick, org } => {
                let call = Call::SignEmergency { emergency: self.pick_emergency(pick)? };
                self.send(&member(org, "guardian"), Role::Guardian, call);
            }
            Attempt::EndEmergency { pick, org } => {
                let call = Call::EndEmergency { emergency: self.pick_emergency(pick)? };
                self.send(&member(org, "guardian"), Role::Guardian, call);
            }
            Attempt::AuditEmergency { pick } => {
                let emergency = self.pick_emergency(pick)?;
                let height = self.running.emergency(emergency)?.activation?.height;
                let block = self.running.block_digest(height)?;
                let call = Call::AttestEmergency { emergency, verdict: AuditVerdict::Sound, height, block };
                self.send("acme/auditor", Role::Auditor, call);
            }
            Attempt::Replay { pick } => {
                let index = usize::from(pick).checked_rem(self.sent.len())?;
                self.try_out(&self.sent[index].clone());
            }
            Attempt::Forge { pick, step } => {
                let proposal = self.pick(pick)?;
                let fence = Fence::new(u64::from(step));
                let (step, outcome) = (u16::from(step), StepOutcome::Done);
                let call = Call::Receipt { proposal, step, fence, outcome, evidence: Digest::ZERO };
                self.send(&member(step.to_le_bytes()[0], "executor"), Role::Executor, call);
            }
        }
        Some(())
    }

    /// The newest emergencies first, as people act on them.
    fn pick_emergency(&self, pick: u8) -> Option<EmergencyId> {
        let mut known: Vec<_> = self.running.emergencies().collect();
        known.sort_by_key(|emergency| std::cmp::Reverse(emergency.declared_at));
        known.get(usize::from(pick % 2)).map(|emergency| emergency.id)
    }

    fn edition(&self, pick: u8) -> Option<(ProposalId, crate::quantity::Revision, Digest)> {
        let held = self.running.proposal(self.pick(pick)?)?;
        Some((held.id, held.revision, held.plan_hash))
    }

    /// Does something that is due, or lets it go wrong.
    fn work(&mut self, pick: u8, org: u8, luck: u8) -> Option<()> {
        let orders = self.running.orders();
        let Order { proposal, work, .. } = orders.get(usize::from(pick).checked_rem(orders.len())?)?.clone();
        match work {
            Work::Step { step, claim, .. } => {
                let executor = self.executor(proposal, step)?;
                let call = match claim {
                    None => Call::Claim { proposal, step },
                    Some(_) if luck.is_multiple_of(32) => Call::Claim { proposal, step },
                    Some(claim) => Call::Receipt {
                        proposal,
                        step,
                        fence: claim.fence,
                        outcome: outcome(luck),
                        evidence: Digest::ZERO,
                    },
                };
                self.send(executor.as_str(), Role::Executor, call);
            }
            Work::Judge { stage, step, .. } => {
                let health: HealthReport = if luck % 64 == 1 { unhealthy() } else { healthy() };
                let call = Call::AttestHealth { proposal, stage, step, health };
                let owner = self.executor(proposal, step)?;
                let judge = if luck.is_multiple_of(2) { owner.to_string() } else { member(org, "executor") };
                self.send(&judge, Role::Executor, call);
            }
        }
        Some(())
    }

    fn executor(&self, proposal: ProposalId, step: u16) -> Option<MemberId> {
        let planned = self.running.proposal(proposal)?.plan.steps.get(usize::from(step))?;
        Some(crate::testing::member(&format!("{}/executor", planned.owner)))
    }

    fn audit(&mut self, pick: u8, sound: bool) -> Option<()> {
        let proposal = self.pick(pick)?;
        let height = self.running.proposal(proposal)?.ended?.height;
        let block = self.running.block_digest(height)?;
        let verdict = if sound { AuditVerdict::Sound } else { AuditVerdict::Unsound { finding: line("G4") } };
        self.send("acme/auditor", Role::Auditor, Call::Attest { proposal, verdict, height, block });
        Some(())
    }
}

fn member(org: u8, name: &str) -> String {
    format!("{}/{name}", ORGS[usize::from(org % 4)])
}

fn drawn(measure: u8) -> Measure {
    let site = |at: u8| crate::testing::target(TARGETS[3][0][usize::from(at % 4)]);
    match measure % 6 {
        0 => Measure::HaltTrack { track: Track::Standard },
        1 => Measure::HaltTrack { track: Track::Constitutional },
        2 | 3 => Measure::PauseTarget { target: site(measure / 6) },
        4 => Measure::IsolateTarget { target: site(measure / 6) },
        _ => Measure::SuspendExecutor { member: crate::testing::member(&member(measure / 6, "executor")) },
    }
}

fn outcome(luck: u8) -> StepOutcome {
    match luck % 20 {
        1 => StepOutcome::Failed { reason: line("no space"), retryable: true },
        2 => StepOutcome::Failed { reason: line("refused"), retryable: false },
        _ => StepOutcome::Done,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn random_lives_hold_every_invariant(attempts in proptest::collection::vec(attempt(), 1..240)) {
        let mut play = Play::new(true);
        for attempt in attempts {
            let _nothing_to_try = play.play(attempt);
        }
        play.end_block(0);
    }
}

const EXPECTED: [&str; 24] = [
    "rejected",
    "review",
    "voting",
    "confirming",
    "defeated",
    "queued",
    "canary",
    "rollout",
    "verifying",
    "executed",
    "rolling-back",
    "rolled-back",
    "failed",
    "auditing",
    "closed",
    "disputed",
    "vetoed",
    "expired",
    "cancelled",
    "declared",
    "lapsed",
    "active",
    "ratified",
    "reverted",
];

/// The random lives reach the far stages; without this the property could hold by never getting anywhere.
#[test]
fn random_lives_reach_every_stage_that_members_can_cause() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    let missing = |seen: &std::collections::BTreeSet<&str>| {
        EXPECTED.iter().copied().filter(|stage| !seen.contains(stage)).collect::<Vec<_>>()
    };
    for _ in 0..600 {
        let attempts =
            proptest::collection::vec(attempt(), 240..241).new_tree(&mut runner).unwrap().current();
        let mut play = Play::new(false);
        for attempt in attempts {
            let _nothing_to_try = play.play(attempt);
            seen.extend(play.running.proposals().map(|proposal| proposal.stage.name()));
            seen.extend(play.running.emergencies().map(|emergency| emergency.stage.name()));
            seen.extend(play.running.proposals().filter_map(|p| p.ended).map(|ended| ended.stage.name()));
        }
        if missing(&seen).is_empty() {
            return;
        }
    }
    panic!("never reached: {:?}", missing(&seen));
}
