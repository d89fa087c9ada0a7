//! Owns a ledger to audit, for tests: real blocks with real certificates, in which proposals live and end in
//! every way that the lifecycle has.

use althing_contracts::{
    block::{Block, Header},
    canonical,
    constitution::Track,
    digest::{Digest, Purpose},
    document::ProposalDocument,
    emergency::{EmergencyId, Measure},
    quantity::DurationMs,
    role::Role,
    stage::Stage,
    testing::{World, deploy, healthy, line, unhealthy},
    transaction::{
        AuditVerdict, Call, Choice, HealthReport, ProposalId, ReviewVerdict, StepOutcome, Transaction,
    },
};

use crate::ledger::message::{CertifiedBlock, LedgerView};

/// Three stages over one target each.
pub(crate) const STAGES: &[&[&str]] = &[&["acme-north"], &["birch-north"], &["cedar-north"]];
/// Between blocks that nothing has to wait for.
const SOON: DurationMs = DurationMs::new(5);

/// A ledger in the making.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) world: World,
    pub(crate) blocks: Vec<CertifiedBlock>,
    /// Evidence behind the receipts, in order.
    pub(crate) evidence: Vec<Vec<u8>>,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self { world: World::new(4), blocks: Vec::new(), evidence: Vec::new() }
    }

    /// A ledger with proposals that ended closed, rolled back, rejected, defeated, cancelled, vetoed, expired.
    pub(crate) fn of_every_end() -> Self {
        let mut story = Self::new();
        let closed = story.executed("v2");
        story.audit(closed, AuditVerdict::Sound);
        assert_eq!(story.stage(closed), Stage::Closed);
        story.rolled_back("v3");
        story.refused_by_rules();
        story.defeated("v4");
        story.cancelled("v5");
        story.vetoed("v6");
        let expired = story.queued("v7");
        story.wait_until(expired, Stage::Expired);
        let disputed = story.executed("v8");
        story.audit(disputed, AuditVerdict::Unsound { finding: line("G11: evidence is missing") });
        assert_eq!(story.stage(disputed), Stage::Disputed);
        story
    }

    pub(crate) fn stage(&self, id: ProposalId) -> Stage {
        self.world.state.proposal(id).unwrap().stage
    }

    /// Makes a block in which every call takes effect.
    pub(crate) fn block(&mut self, later: DurationMs, calls: &[(&str, Role, Call)]) {
        let signed: Vec<Transaction> =
            calls.iter().map(|(sender, role, call)| self.world.sign(sender, *role, call.clone())).collect();
        let (block, executed) = self.world.block(later, &signed);
        assert_eq!(executed.outcomes.len(), calls.len(), "every call takes effect");
        self.push(&block);
    }

    /// Makes the block of the next deadline.
    pub(crate) fn deadline(&mut self) {
        let due = self.world.state.next_deadline().expect("something is due");
        self.block(due.since(self.world.state.time()).max(DurationMs::new(1)), &[]);
    }

    fn push(&mut self, block: &Block) {
        let certificate = self.world.certify(block.header());
        self.blocks.push(CertifiedBlock { block: block.encode(), certificate });
    }

    /// Makes deadline blocks until a proposal is in a stage.
    pub(crate) fn wait_until(&mut self, id: ProposalId, stage: Stage) {
        for _ in 0..8 {
            if self.stage(id) == stage {
                return;
            }
            self.deadline();
        }
        panic!("the proposal is {} and not {stage}", self.stage(id));
    }

    pub(crate) fn submitted(&mut self, document: ProposalDocument) -> ProposalId {
        let plan = self.world.state.plan(&document).unwrap();
        let author = althing_contracts::testing::member("acme/author");
        let sequence = self.world.state.next_sequence(&author, Role::Author);
        let id = ProposalId::derive(self.world.network(), &author, sequence, plan.document);
        let call = Call::Submit { document, plan_hash: plan.hash() };
        self.block(SOON, &[("acme/author", Role::Author, call)]);
        id
    }

    /// In voting, with ballots of three organisations.
    fn voted(&mut self, version: &str, choice: Choice) -> ProposalId {
        let id = self.submitted(deploy(version, STAGES));
        let review = self.world.review_call(id, ReviewVerdict::Approve);
        self.block(SOON, &[("birch/author", Role::Reviewer, review)]);
        let vote = self.world.vote_call(id, choice);
        let voters = ["acme/author", "birch/author", "cedar/author"];
        let ballots = voters.map(|voter| (voter, Role::Voter, vote.clone()));
        self.block(SOON, &ballots);
        id
    }

    pub(crate) fn queued(&mut self, version: &str) -> ProposalId {
        let id = self.voted(version, Choice::For);
        self.wait_until(id, Stage::Queued);
        id
    }

    /// Queued with its timelock over.
    pub(crate) fn executable(&mut self, version: &str) -> ProposalId {
        let id = self.queued(version);
        self.deadline();
        id
    }

    pub(crate) fn claim(&mut self, id: ProposalId, step: u16) {
        let executor = self.executor(id, step);
        self.block(SOON, &[(executor.as_str(), Role::Executor, Call::Claim { proposal: id, step })]);
    }

    pub(crate) fn report(&mut self, id: ProposalId, step: u16, outcome: StepOutcome) {
        let executor = self.executor(id, step);
        let progress = &self.world.state.proposal(id).unwrap().execution.steps[usize::from(step)];
        let fence = progress.claim.as_ref().unwrap().fence;
        let facts = format!("pid {fence} of step {step}").into_bytes();
        let evidence = Digest::of(Purpose::Evidence, &facts);
        self.evidence.push(facts);
        let call = Call::Receipt { proposal: id, step, fence, outcome, evidence };
        self.block(SOON, &[(executor.as_str(), Role::Executor, call)]);
    }

    pub(crate) fn carry_out(&mut self, id: ProposalId, step: u16) {
        self.claim(id, step);
        self.report(id, step, StepOutcome::Done);
    }

    /// Two organisations say what they found at a step's target, in one block.
    pub(crate) fn judge(&mut self, id: ProposalId, step: u16, health: &HealthReport) {
        let stage = self.world.state.proposal(id).unwrap().execution.stage;
        let call = Call::AttestHealth { proposal: id, stage, step, health: health.clone() };
        let owner = self.executor(id, step);
        let seen = [(owner.as_str(), Role::Executor, call.clone()), ("delta/executor", Role::Executor, call)];
        self.block(SOON, &seen);
    }

    /// In auditing after a whole successful execution.
    pub(crate) fn executed(&mut self, version: &str) -> ProposalId {
        let id = self.executable(version);
        for step in 0..3 {
            self.carry_out(id, step);
            self.judge(id, step, &healthy());
        }
        for step in 0..3 {
            self.judge(id, step, &healthy());
        }
        assert_eq!(self.stage(id), Stage::Auditing);
        id
    }

    pub(crate) fn audit(&mut self, id: ProposalId, verdict: AuditVerdict) {
        self.block(SOON, &[]);
        let height = self.world.state.proposal(id).unwrap().ended.unwrap().height;
        let block = self.world.state.block_digest(height).unwrap();
        let call = Call::Attest { proposal: id, verdict, height, block };
        self.block(SOON, &[("acme/auditor", Role::Auditor, call)]);
    }

    fn rolled_back(&mut self, version: &str) {
        let id = self.executable(version);
        self.carry_out(id, 0);
        self.judge(id, 0, &healthy());
        self.carry_out(id, 1);
        let stage = self.world.state.proposal(id).unwrap().execution.stage;
        let call = Call::AttestHealth { proposal: id, stage, step: 1, health: unhealthy() };
        self.block(SOON, &[("birch/executor", Role::Executor, call)]);
        for step in [1, 0] {
            self.carry_out(id, step);
        }
        assert_eq!(self.world.state.proposal(id).unwrap().ended.unwrap().stage, Stage::RolledBack);
        self.audit(id, AuditVerdict::Sound);
    }

    fn refused_by_rules(&mut self) {
        let mut document = deploy("v9", STAGES);
        document.rollback = None;
        let id = self.submitted(document);
        assert_eq!(self.stage(id), Stage::Rejected);
    }

    /// An emergency that these guardians sign, the first of them by declaring it.
    pub(crate) fn emergency(&mut self, track: Track, signers: &[&str]) -> EmergencyId {
        let declaration = self.world.declaration(&[Measure::HaltTrack { track }]);
        let emergency = EmergencyId::of(self.world.network(), &declaration);
        for (index, guardian) in signers.iter().enumerate() {
            let call = match index {
                0 => Call::DeclareEmergency { declaration: declaration.clone() },
                _ => Call::SignEmergency { emergency },
            };
            self.block(SOON, &[(*guardian, Role::Guardian, call)]);
        }
        emergency
    }

    fn defeated(&mut self, version: &str) {
        let id = self.voted(version, Choice::Against);
        self.wait_until(id, Stage::Defeated);
    }

    fn cancelled(&mut self, version: &str) {
        let id = self.submitted(deploy(version, STAGES));
        let call = Call::Cancel { proposal: id, reason: line("a mistake") };
        self.block(SOON, &[("acme/author", Role::Author, call)]);
        assert_eq!(self.stage(id), Stage::Cancelled);
    }

    fn vetoed(&mut self, version: &str) {
        let id = self.queued(version);
        let call = Call::Veto { proposal: id, reason: line("not this week") };
        self.block(SOON, &[("birch/guardian", Role::Guardian, call)]);
        assert_eq!(self.stage(id), Stage::Vetoed);
    }

    fn executor(&self, id: ProposalId, step: u16) -> althing_contracts::name::MemberId {
        let planned = &self.world.state.proposal(id).unwrap().plan.steps[usize::from(step)];
        althing_contracts::testing::member(&format!("{}/executor", planned.owner))
    }

    /// What the node shows after the last block.
    pub(crate) fn view(&self) -> LedgerView {
        LedgerView {
            network: self.world.network(),
            state: self.world.state.clone(),
            header: self.world.last.clone(),
            certificate: self.blocks.last().map(|block| block.certificate.clone()),
            highest_seen: self.world.state.height(),
            round: 0,
            clock_offset_ms: None,
        }
    }

    /// Replaces the block at a place, certified by every validator as if they had all agreed to it.
    pub(crate) fn forge(&mut self, index: usize, change: impl FnOnce(&mut Header, &mut Vec<Vec<u8>>)) {
        let Block::V1 { mut header, mut transactions } = self.decoded(index);
        change(&mut header, &mut transactions);
        header.transactions_root = althing_contracts::block::transactions_root(&transactions);
        let certificate = self.world.certify(&header);
        let block = canonical::encode(&Block::V1 { header, transactions });
        self.blocks[index] = CertifiedBlock { block, certificate };
    }

    pub(crate) fn decoded(&self, index: usize) -> Block {
        Block::decode(&self.blocks[index].block).unwrap()
    }
}
