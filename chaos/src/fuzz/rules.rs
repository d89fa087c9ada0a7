//! Owns the fuzzing of the rules: blocks of arbitrary transactions, after each of which every invariant holds, every
//! validator agrees, and each event is a move that the model allows.

use std::{collections::BTreeMap, sync::LazyLock};

use althing_contracts::{
    act::Act,
    block::Header,
    constitution::Track,
    digest::Digest,
    document::ProposalDocument,
    emergency::{Declaration, EmergencyId, Measure},
    event::{Event, EventRecord},
    genesis::OrganisationRecord,
    invariant::{View, check_all},
    ledger::{self, BlockContext},
    name::{Line, MemberId, OrgId},
    proposal::Proposal,
    quantity::{DurationMs, EventSequence, Fence, Height, Revision, Round, Sequence, TimeMs, Weight},
    role::Role,
    signature::{PublicKey, Signature},
    state::State,
    testing::{
        self, World, acts, amend, deploy, healthy, member, member_key, organisation, record, unhealthy,
    },
    transaction::{
        AuditVerdict, Call, Choice, Edition, ProposalId, ReviewVerdict, StepOutcome, Transaction,
        TransactionBody, UnverifiedTransaction, VerifiedTransaction,
    },
    weighing::Weighing,
};

use super::spoken::Spoken;
use crate::model::Trace;

/// Blocks of one input.
const BLOCKS_MAX: usize = 96;
/// Longest time between two blocks, in seconds: a mesh refuses a time that is far from its clocks.
const YEAR_S: u64 = 31_536_000;
const ROLES: [Role; 6] =
    [Role::Author, Role::Reviewer, Role::Voter, Role::Executor, Role::Guardian, Role::Auditor];
const NAMES: [&str; 5] = ["author", "executor", "executor-2", "guardian", "auditor"];
const STAGES: [&[&[&str]]; 4] = [
    &[&["acme-north"]],
    &[&["acme-north"], &["birch-north"]],
    &[&["acme-north"], &["birch-north", "cedar-north"], &["acme-south"]],
    &[&["nowhere"]],
];

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut genesis = testing::genesis(4);
    let other = member("acme/executor-2");
    genesis.members.insert(other.clone(), record(&other, 0, &[Role::Executor]));
    if let Some(target) = genesis.targets.get_mut(&testing::target("acme-north")) {
        target.executors.insert(other);
    }
    genesis.constitution = genesis.constitution.divided(3_600);
    World::with(genesis)
});

static KEYS: LazyLock<BTreeMap<(MemberId, Role), PublicKey>> = LazyLock::new(|| {
    let orgs = (0..4).map(testing::org);
    let members = orgs.flat_map(|org| NAMES.map(|name| member(&format!("{org}/{name}"))));
    let held = members.flat_map(|id| ROLES.map(|role| (id.clone(), role)));
    held.map(|(id, role)| ((id.clone(), role), member_key(&id, role).public())).collect()
});

/// Arbitrary blocks on a ledger.
pub fn apply(bytes: &[u8]) {
    let mut spoken = Spoken::new(bytes);
    let mut ledger = Ledger::new();
    for _ in 0..BLOCKS_MAX {
        if spoken.is_over() {
            return;
        }
        ledger.block(&mut spoken);
    }
}

struct Ledger {
    state: State,
    last: Option<Header>,
    trace: Trace,
}

impl Ledger {
    fn new() -> Self {
        Self { state: WORLD.state.clone(), last: None, trace: Trace::new(WORLD.state.constitution()) }
    }

    /// Builds a block, executes it as another validator would, and checks everything about it.
    fn block(&mut self, spoken: &mut Spoken<'_>) {
        let before = self.state.clone();
        let context = BlockContext {
            height: before.height().next(),
            round: Round::ZERO,
            time: self.time(spoken),
            parent: self.last.as_ref().map_or(Digest::ZERO, Header::digest),
            proposer: before.roster().validators()[0].consensus,
        };
        let mut used = BTreeMap::new();
        let count = spoken.byte() % 4;
        let offered: Vec<_> = (0..count).filter_map(|_| self.transaction(spoken, &mut used)).collect();
        let mut executed = ledger::build(&before, context, &offered);
        let is_of = |id: &Digest| offered.iter().find(|offered| offered.id() == *id).cloned();
        let taken: Vec<_> = executed.outcomes.iter().filter_map(|(id, _)| is_of(id)).collect();
        let mut other = ledger::execute(&before, &executed.header, &taken).expect("every validator agrees");
        assert_eq!(other.state.root(), executed.state.root());
        let (after, header, events) = (&executed.state, &executed.header, &executed.events);
        let view = View { before: &before, after, header, transactions: &taken, events };
        check_all(&view).unwrap_or_else(|violation| panic!("{violation}"));
        self.follow(before.event_sequence(), header, events);
        assert!(after.proposals().all(|proposal| after.explain(proposal.id).is_some()));
        self.last = Some(executed.header);
        self.state = executed.state;
    }

    fn follow(&mut self, mut sequence: EventSequence, header: &Header, events: &[Event]) {
        for event in events {
            sequence = sequence.next();
            let (height, time) = (header.height, header.time);
            let record = EventRecord { sequence, height, time, event: event.clone() };
            self.trace.take(&record).unwrap_or_else(|deviation| panic!("{deviation}: {event:?}"));
        }
    }

    /// The next deadline, just before it, or a little later than the last block.
    fn time(&self, spoken: &mut Spoken<'_>) -> TimeMs {
        let soon = self.state.time().next();
        let due = self.state.next_deadline().unwrap_or(soon).max(soon);
        match spoken.byte() % 8 {
            0 | 1 => due,
            2 => TimeMs::new(due.get() - 1).max(soon),
            3 => self.state.time().after(DurationMs::new(spoken.small().min(YEAR_S) * 1_000)).max(soon),
            _ => soon,
        }
    }

    /// Most are what a member could say next; some have a wrong sender, role, sequence, edition or fence.
    fn transaction(
        &self,
        spoken: &mut Spoken<'_>,
        used: &mut BTreeMap<(MemberId, Role), u64>,
    ) -> Option<VerifiedTransaction> {
        let call = self.call(spoken)?;
        let fitting = fitting_role(&call);
        let role = if spoken.byte() == 0 { spoken.one(&ROLES) } else { fitting };
        let name = match role {
            Role::Executor if spoken.is() => "executor-2",
            Role::Executor => "executor",
            Role::Guardian => "guardian",
            Role::Auditor => "auditor",
            Role::Author | Role::Reviewer | Role::Voter => "author",
        };
        let sender = member(&format!("{}/{name}", testing::org(usize::from(spoken.byte() % 4))));
        let next = self.state.next_sequence(&sender, role).get();
        let said = used.entry((sender.clone(), role)).or_default();
        let sequence = if spoken.byte() == 0 { spoken.small() } else { next + *said };
        *said += 1;
        let not_after = if spoken.byte() == 0 { TimeMs::new(spoken.number()) } else { TimeMs::MAX };
        let held = self.state.member(&sender).and_then(|held| held.keys.get(&role)).copied();
        let key = held.or_else(|| KEYS.get(&(sender.clone(), role)).copied())?;
        let body = TransactionBody { sender, role, sequence: Sequence::new(sequence), not_after, call };
        let transaction = Transaction::V3 { body, key, signature: Signature::Ed25519([0; 64]) };
        let decoded = UnverifiedTransaction::decode(&transaction.encode(), self.state.network());
        // Signatures are the business of another target; here everyone has the keys.
        Some(decoded.expect("a canonical encoding").assume_verified())
    }

    fn call(&self, spoken: &mut Spoken<'_>) -> Option<Call> {
        let kind = spoken.byte() % 18;
        if kind > 15 {
            return Some(self.emergency(spoken));
        }
        if kind == 15 && spoken.is() {
            return Some(self.voice(spoken));
        }
        if kind == 14 && spoken.is() {
            return self.key(spoken);
        }
        if kind == 13 && spoken.is() {
            return Some(self.batch(spoken));
        }
        let proposals: Vec<ProposalId> = self.state.proposals().map(|proposal| proposal.id).collect();
        if kind == 0 || proposals.is_empty() {
            let document = match spoken.byte() {
                0 => self.amendment(spoken),
                1 => parties(spoken),
                2 => self.awakening(spoken),
                _ => document(spoken),
            };
            let plan_hash = self.state.plan(&document).map_or(Digest::ZERO, |plan| plan.hash());
            return Some(Call::Submit { document, plan_hash });
        }
        let proposal = spoken.one(&proposals);
        let known = self.state.proposal(proposal)?;
        let (revision, plan_hash) = match spoken.byte() {
            0 => (Revision::new(u32::from(spoken.byte())), Digest::ZERO),
            _ => (known.revision, known.plan_hash),
        };
        let steps = u64::try_from(known.plan.steps.len()).unwrap_or(1) + 1;
        let step = u16::try_from(spoken.small() % steps).unwrap_or(0);
        let reason = testing::line(spoken.one(&["", "because"]));
        let claim = known.execution.steps.get(usize::from(step)).and_then(|progress| progress.claim.clone());
        let fence = match spoken.byte() {
            0 => Fence::new(spoken.number()),
            _ => claim.map_or(Fence::ZERO, |claim| claim.fence),
        };
        Some(match kind {
            1 => {
                let document = document(spoken);
                let plan_hash = self.state.plan(&document).map_or(Digest::ZERO, |plan| plan.hash());
                Call::Revise { proposal, replaces: revision, document, plan_hash }
            }
            2 => Call::Cancel { proposal, reason },
            3 | 4 => {
                let verdict =
                    spoken.one(&[ReviewVerdict::Approve, ReviewVerdict::Approve, ReviewVerdict::Refuse]);
                Call::Review { proposal, revision, plan_hash, verdict, reason }
            }
            5..=7 => {
                let choice = spoken.one(&[Choice::For, Choice::For, Choice::Against, Choice::Abstain]);
                Call::Vote { proposal, revision, plan_hash, choice }
            }
            8 if spoken.is() => Call::Cosign { proposal, revision, plan_hash },
            8 => Call::Veto { proposal, reason },
            9 | 10 => Call::Claim { proposal, step },
            11 | 12 => {
                let outcome = outcome(spoken);
                Call::Receipt { proposal, step, fence, outcome, evidence: Digest::ZERO }
            }
            13 => {
                let stage = if spoken.byte() == 0 { spoken.byte() } else { known.execution.stage };
                let health = if spoken.byte().is_multiple_of(8) { unhealthy() } else { healthy() };
                Call::AttestHealth { proposal, stage, step, health }
            }
            14 if spoken.is() => Call::Resume { proposal },
            14 => Call::Abort { proposal, reason },
            _ => {
                let height = Height::new(self.state.height().get().saturating_sub(spoken.small()));
                let block = self.state.block_digest(height).unwrap_or(Digest::ZERO);
                let sound = spoken.is();
                let verdict =
                    if sound { AuditVerdict::Sound } else { AuditVerdict::Unsound { finding: reason } };
                Call::Attest { proposal, verdict, height, block }
            }
        })
    }
}

impl Ledger {
    /// What guardians and auditors say about emergencies.
    fn emergency(&self, spoken: &mut Spoken<'_>) -> Call {
        let known: Vec<EmergencyId> = self.state.emergencies().map(|emergency| emergency.id).collect();
        let kind = spoken.byte() % 8;
        if kind == 0 || known.is_empty() {
            let target = testing::target(spoken.one(&["acme-north", "birch-north", "nowhere"]));
            let measure = match spoken.byte() % 4 {
                0 => Measure::HaltTrack { track: spoken.one(&[Track::Standard, Track::Constitutional]) },
                1 => Measure::PauseTarget { target },
                2 => Measure::IsolateTarget { target },
                _ => {
                    Measure::SuspendExecutor { member: member(spoken.one(&["acme/executor", "acme/author"])) }
                }
            };
            let expires = self.state.time().after(DurationMs::new(spoken.small()));
            let reason = testing::line(spoken.one(&["", "because"]));
            return Call::DeclareEmergency {
                declaration: Declaration { measures: vec![measure], reason, expires },
            };
        }
        let emergency = spoken.one(&known);
        match kind {
            1..=5 => Call::SignEmergency { emergency },
            6 => Call::EndEmergency { emergency },
            _ => {
                let height = Height::new(self.state.height().get().saturating_sub(spoken.small()));
                let block = self.state.block_digest(height).unwrap_or(Digest::ZERO);
                Call::AttestEmergency { emergency, verdict: AuditVerdict::Sound, height, block }
            }
        }
    }

    /// Lets somebody speak for the sender, or nobody any more; some of whom, and until when, nobody may.
    fn voice(&self, spoken: &mut Spoken<'_>) -> Call {
        let track = spoken.one(&[None, None, Some(Track::Routine), Some(Track::Standard), Some(Track::High)]);
        if spoken.byte().is_multiple_of(4) {
            return Call::Revoke { track };
        }
        let name = if spoken.byte() == 0 { "executor" } else { "author" };
        let to = member(&format!("{}/{name}", testing::org(usize::from(spoken.byte() % 4))));
        let length = DurationMs::new(spoken.small().saturating_mul(1_000));
        Call::Delegate { track, to, expires: self.state.time().after(length) }
    }

    /// One ballot for the first few proposals, which may take one or not.
    fn batch(&self, spoken: &mut Spoken<'_>) -> Call {
        let first = self.state.proposals().take(usize::from(spoken.byte() % 5));
        let edition =
            |it: &Proposal| Edition { proposal: it.id, revision: it.revision, plan_hash: it.plan_hash };
        Call::VoteBatch { editions: first.map(edition).collect(), choice: Choice::For }
    }

    /// Another key for somebody, by its own word or a colleague's, or a word against that.
    fn key(&self, spoken: &mut Spoken<'_>) -> Option<Call> {
        let org = testing::org(usize::from(spoken.byte() % 4));
        let (name, role) =
            spoken.one(&[("author", Role::Voter), ("author", Role::Author), ("guardian", Role::Guardian)]);
        let holder = member(&format!("{org}/{name}"));
        Some(match spoken.byte() % 4 {
            0 => Call::StopRecovery { member: holder, role },
            1 => Call::SignRecovery { claim: testing::next_claim(&self.state, &holder, role)? },
            _ => Call::ReplaceKey { claim: testing::next_claim(&self.state, &holder, role)? },
        })
    }

    /// The end of the dormancy that there is, or of one that there is not.
    fn awakening(&self, spoken: &mut Spoken<'_>) -> ProposalDocument {
        let since = self.state.dormant_since().filter(|_| spoken.is());
        acts(vec![Act::Awaken { since: since.unwrap_or_default() }])
    }

    /// Other rules, which follow those in force or do not, and some by which nothing could be decided.
    fn amendment(&self, spoken: &mut Spoken<'_>) -> ProposalDocument {
        let mut rules = self.state.constitution().clone();
        rules.version = rules.version.saturating_add(u32::from(spoken.byte() % 3));
        rules.vetoes_per_guardian = u16::from(spoken.byte());
        let weighing = spoken.one(&Weighing::ALL);
        rules.tracks.values_mut().for_each(|track| track.weighing = weighing);
        if spoken.byte() == 0 {
            rules.tracks.clear();
        }
        amend(rules)
    }
}

/// Other members, organisations or targets, of which the mesh needs some.
fn parties(spoken: &mut Spoken<'_>) -> ProposalDocument {
    let id = member(spoken.one(&["acme/author", "birch/executor", "cedar/new", "echo/author"]));
    let roles: Vec<Role> = Role::ALL.into_iter().filter(|_| spoken.is()).collect();
    let org = OrgId::new(spoken.one(&["acme", "delta", "echo"])).expect("a name");
    let seat = OrganisationRecord { weight: Weight::new(spoken.byte().into()), ..organisation(&org) };
    let site = testing::target(spoken.one(&["acme-north", "delta-south", "echo-west"]));
    let mut drawn = Vec::new();
    for _ in 0..=spoken.byte() % 2 {
        drawn.push(match spoken.byte() % 6 {
            0 => Act::SetMember { record: record(&id, spoken.byte().into(), &roles), member: id.clone() },
            1 => Act::RemoveMember { member: id.clone() },
            2 => Act::SetOrganisation { organisation: org.clone(), record: seat.clone() },
            3 => Act::RemoveOrganisation { organisation: org.clone() },
            4 => Act::RemoveTarget { target: site.clone() },
            _ => Act::RemoveObserver { observer: testing::name("watch") },
        });
    }
    acts(drawn)
}

fn document(spoken: &mut Spoken<'_>) -> ProposalDocument {
    let version = spoken.one(&["1", "2", "3"]);
    let mut document = deploy(version, spoken.one(&STAGES));
    match spoken.byte() {
        0 => document.rollback = None,
        1 => document.health = None,
        2 => document.slo = None,
        _ => {}
    }
    document
}

fn outcome(spoken: &mut Spoken<'_>) -> StepOutcome {
    match spoken.byte() % 4 {
        0 => StepOutcome::Failed { reason: Line::shortened("it failed"), retryable: spoken.is() },
        _ => StepOutcome::Done,
    }
}

const fn fitting_role(call: &Call) -> Role {
    match call {
        Call::Submit { .. } | Call::Revise { .. } | Call::Cancel { .. } | Call::ReportEquivocation { .. } => {
            Role::Author
        }
        Call::Review { .. } => Role::Reviewer,
        Call::Vote { .. }
        | Call::VoteBatch { .. }
        | Call::Delegate { .. }
        | Call::Revoke { .. }
        | Call::ReplaceKey { .. }
        | Call::SignRecovery { .. }
        | Call::StopRecovery { .. } => Role::Voter,
        Call::Veto { .. }
        | Call::Cosign { .. }
        | Call::DeclareEmergency { .. }
        | Call::SignEmergency { .. }
        | Call::EndEmergency { .. } => Role::Guardian,
        Call::Claim { .. }
        | Call::Receipt { .. }
        | Call::AttestHealth { .. }
        | Call::Resume { .. }
        | Call::Abort { .. } => Role::Executor,
        Call::Attest { .. } | Call::AttestEmergency { .. } => Role::Auditor,
    }
}
