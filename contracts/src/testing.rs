//! Worlds with known keys, for the tests and benches of every crate: a genesis of n organisations, a signer
//! for every role, and a ledger that makes one block after the other.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a world is made of constants, and a test wants to stop where one is wrong"
)]

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    act::Act,
    block::{Block, Header},
    canonical,
    certificate::{Certificate, VoteKind, VoteStatement},
    constitution::Constitution,
    digest::{Digest, Purpose},
    document::{
        Action, Cost, HealthCheck, ProposalDocument, RollbackPlan, ServiceLevel, StageDocument, StepDocument,
    },
    event::Event,
    genesis::{
        GENESIS_SCHEMA, Genesis, MemberRecord, OrganisationRecord, TargetRecord, Tier, ValidatorRecord,
    },
    ledger::{self, BlockContext, Executed},
    name::{Line, MemberId, Name, OrgId, Prose, TargetId},
    quantity::{AmountMilli, DurationMs, Ratio, Round, TimeMs, Weight},
    recovery::KeyClaim,
    reject::Reject,
    role::Role,
    signature::{PublicKey, Signature, SigningMessage},
    state::{Applied, Input, State},
    transaction::{
        Call, Choice, HealthReport, ProposalId, ReviewVerdict, Transaction, TransactionBody,
        UnverifiedTransaction, VerifiedTransaction,
    },
};

mod committed;
mod emergency;
mod keys;

pub use committed::{UPDATE, committed};
pub use keys::{KEYS_PER_ROLE, key_claim, member_keys, next_claim};

/// Names of the first organisations; more are called `org-4`, `org-5` and so on.
const ORGANISATIONS: [&str; 4] = ["acme", "birch", "cedar", "delta"];
/// Time of height 0 in a world.
pub const GENESIS_TIME: TimeMs = TimeMs::new(1_700_000_000_000);

/// A key that is known to everybody.
#[derive(Clone)]
pub struct TestKey(ed25519_zebra::SigningKey);

impl TestKey {
    /// The key of a label.
    #[must_use]
    pub fn of(label: &str) -> Self {
        Self(ed25519_zebra::SigningKey::from(*Digest::of(Purpose::Evidence, label.as_bytes()).as_bytes()))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verification_key().into())
    }

    /// Its secret bytes, for crates that load keys themselves.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// A signature over a message that is bound to purpose and network.
    #[must_use]
    pub fn sign(&self, message: SigningMessage) -> Signature {
        Signature::Ed25519(self.0.sign(message.as_bytes()).to_bytes())
    }
}

/// A mesh with its ledger, in one value.
///
/// Each organisation `o` has the members `o/author` (author, reviewer and voter), `o/guardian` and
/// `o/executor`, the targets `o-north` and `o-south`; the first organisation also has `o/auditor`.
#[derive(Clone)]
pub struct World {
    /// The beginning.
    pub genesis: Genesis,
    /// The state after the last block.
    pub state: State,
    /// Header of the last block.
    pub last: Option<Header>,
}

impl World {
    /// A world of `organisations` with the default constitution.
    #[must_use]
    pub fn new(organisations: usize) -> Self {
        Self::with(genesis(organisations))
    }

    /// A world from a genesis that the caller has changed.
    #[must_use]
    pub fn with(genesis: Genesis) -> Self {
        let state = State::genesis(&genesis).expect("the genesis is sound");
        Self { genesis, state, last: None }
    }

    /// The network's identity.
    #[must_use]
    pub fn network(&self) -> Digest {
        self.state.network()
    }

    /// Signs a call with the sender's next sequence.
    #[must_use]
    pub fn sign(&self, sender: &str, role: Role, call: Call) -> Transaction {
        let sender = member(sender);
        let sequence = self.state.next_sequence(&sender, role);
        self.sign_as(TransactionBody {
            sender,
            role,
            sequence,
            not_after: self.state.time().after(DurationMs::from_hours(1_000)),
            call,
        })
    }

    /// Signs a body as it is, with the key for its role that the sender has on the ledger.
    #[must_use]
    pub fn sign_as(&self, body: TransactionBody) -> Transaction {
        let key = self.key_of(&body.sender, body.role);
        let signature = key.sign(body.signing_message(self.network()));
        Transaction::V3 { body, key: key.public(), signature }
    }

    /// A signed call as the state takes it.
    #[must_use]
    pub fn verified(&self, sender: &str, role: Role, call: Call) -> VerifiedTransaction {
        self.verify(&self.sign(sender, role, call))
    }

    /// Checks a transaction's signature.
    #[must_use]
    pub fn verify(&self, transaction: &Transaction) -> VerifiedTransaction {
        let unverified = UnverifiedTransaction::decode(&transaction.encode(), self.network());
        unverified.expect("the encoding is canonical").verify().expect("the signature verifies")
    }

    /// What the rules say to a call, without a block.
    ///
    /// # Errors
    /// The rules refuse it.
    pub fn ask(&self, sender: &str, role: Role, call: Call) -> Result<Applied, Reject> {
        let mut state = self.state.clone();
        state.apply(Input::Transaction(&self.verified(sender, role, call)))
    }

    /// Puts a call into the running block.
    ///
    /// # Errors
    /// The rules refuse it.
    pub fn call(&mut self, sender: &str, role: Role, call: Call) -> Result<Applied, Reject> {
        let transaction = self.verified(sender, role, call);
        self.state.apply(Input::Transaction(&transaction))
    }

    /// Begins a block `later` and yields what fell due.
    pub fn pass(&mut self, later: DurationMs) -> Vec<Event> {
        let (height, time) = (self.state.height().next(), self.state.time().after(later));
        let parent = Digest::of_object(Purpose::Header, &height);
        match self.state.apply(Input::Begin { height, time, parent }) {
            Ok(Applied::New(events)) => events,
            other => {
                let _refused = other.expect("a block can begin");
                Vec::new()
            }
        }
    }

    /// Begins a block at the next deadline.
    pub fn pass_to_deadline(&mut self) -> Vec<Event> {
        let due = self.state.next_deadline().expect("something is due");
        self.pass(due.since(self.state.time()).max(DurationMs::new(1)))
    }

    /// Makes the next block of signed transactions, `later`, and moves on to it.
    pub fn block(&mut self, later: DurationMs, transactions: &[Transaction]) -> (Block, Executed) {
        let verified: Vec<_> = transactions.iter().map(|transaction| self.verify(transaction)).collect();
        let context = BlockContext {
            height: self.state.height().next(),
            round: Round::ZERO,
            time: self.state.time().after(later),
            parent: self.last.as_ref().map_or(Digest::ZERO, Header::digest),
            proposer: self.state.roster().validators().first().expect("a roster").consensus,
        };
        let executed = ledger::build(&self.state, context, &verified);
        let bytes = transactions.iter().map(Transaction::encode);
        let bytes: BTreeMap<Digest, Vec<u8>> =
            bytes.map(|bytes| (Digest::of(Purpose::Transaction, &bytes), bytes)).collect();
        let kept = executed.outcomes.iter().filter_map(|(id, _)| bytes.get(id).cloned()).collect();
        let block = Block::V1 { header: executed.header.clone(), transactions: kept };
        self.state = executed.state.clone();
        self.last = Some(executed.header.clone());
        (block, executed)
    }

    /// A certificate of every validator for a block.
    #[must_use]
    pub fn certify(&self, header: &Header) -> Certificate {
        let (height, round, block) = (header.height, header.round, header.digest());
        let statement = VoteStatement { kind: VoteKind::Precommit, height, round, block: Some(block) };
        let message = statement.signing_message(self.network());
        let precommits = self.genesis.organisations.keys().map(|org| {
            let key = consensus_key(org.as_str());
            (key.public(), key.sign(message))
        });
        Certificate { height, round, block, precommits: precommits.collect() }
    }

    /// Submits a document and yields its id.
    ///
    /// # Errors
    /// The rules refuse it.
    pub fn submit(&mut self, author: &str, document: ProposalDocument) -> Result<ProposalId, Reject> {
        let plan = self.state.plan(&document)?;
        let sender = member(author);
        let sequence = self.state.next_sequence(&sender, Role::Author);
        let id = ProposalId::derive(self.network(), &sender, sequence, plan.document);
        self.call(author, Role::Author, Call::Submit { document, plan_hash: plan.hash() })?;
        Ok(id)
    }

    /// Signs a proposal off.
    ///
    /// # Errors
    /// The rules refuse it.
    pub fn review(
        &mut self,
        reviewer: &str,
        proposal: ProposalId,
        verdict: ReviewVerdict,
    ) -> Result<Applied, Reject> {
        let call = self.review_call(proposal, verdict);
        self.call(reviewer, Role::Reviewer, call)
    }

    /// Casts a ballot.
    ///
    /// # Errors
    /// The rules refuse it.
    pub fn vote(&mut self, voter: &str, proposal: ProposalId, choice: Choice) -> Result<Applied, Reject> {
        let call = self.vote_call(proposal, choice);
        self.call(voter, Role::Voter, call)
    }

    /// Signs what was decided.
    ///
    /// # Errors
    /// The rules refuse it.
    pub fn cosign(&mut self, guardian: &str, proposal: ProposalId) -> Result<Applied, Reject> {
        let current = self.state.proposal(proposal).expect("the proposal exists");
        let call = Call::Cosign { proposal, revision: current.revision, plan_hash: current.plan_hash };
        self.call(guardian, Role::Guardian, call)
    }

    /// The rules in force with a change, as their next version.
    #[must_use]
    pub fn next_rules(&self, change: impl FnOnce(&mut Constitution)) -> Constitution {
        let mut rules = self.state.constitution().clone();
        rules.version = rules.version.saturating_add(1);
        change(&mut rules);
        rules
    }

    /// A review of the current edition.
    #[must_use]
    pub fn review_call(&self, proposal: ProposalId, verdict: ReviewVerdict) -> Call {
        let current = self.state.proposal(proposal).expect("the proposal exists");
        let (revision, plan_hash) = (current.revision, current.plan_hash);
        Call::Review { proposal, revision, plan_hash, verdict, reason: line("looked at") }
    }

    /// The claim of another key of a member.
    #[must_use]
    pub fn claim(&self, holder: &str, role: Role) -> KeyClaim {
        next_claim(&self.state, &member(holder), role).expect("one of its known keys is the member's")
    }

    /// A ballot on the current edition.
    #[must_use]
    pub fn vote_call(&self, proposal: ProposalId, choice: Choice) -> Call {
        let current = self.state.proposal(proposal).expect("the proposal exists");
        Call::Vote { proposal, revision: current.revision, plan_hash: current.plan_hash, choice }
    }
}

/// The genesis of a world, to be changed before [`World::with`].
#[must_use]
pub fn genesis(organisations: usize) -> Genesis {
    let orgs: Vec<OrgId> = (0..organisations).map(org).collect();
    let mut members: BTreeMap<_, _> = orgs.iter().flat_map(members_of).collect();
    if let Some(first) = orgs.first() {
        let auditor = member(&format!("{first}/auditor"));
        members.insert(auditor.clone(), record(&auditor, 0, &[Role::Auditor]));
    }
    Genesis {
        schema: GENESIS_SCHEMA,
        name: name("world"),
        time: GENESIS_TIME,
        constitution: Constitution::default_genesis().fitted_to(organisations),
        organisations: orgs.iter().map(|org| (org.clone(), organisation(org))).collect(),
        members,
        observers: BTreeMap::new(),
        targets: orgs.iter().flat_map(targets_of).collect(),
    }
}

/// The consensus key of an organisation's validator.
#[must_use]
pub fn consensus_key(org: &str) -> TestKey {
    TestKey::of(&format!("consensus {org}"))
}

/// The node key of an organisation's validator.
#[must_use]
pub fn node_key(org: &str) -> TestKey {
    TestKey::of(&format!("node {org}"))
}

/// A member's key for a role.
#[must_use]
pub fn member_key(member: &MemberId, role: Role) -> TestKey {
    TestKey::of(&format!("{role} {member}"))
}

/// The name of the organisation with this index.
#[must_use]
pub fn org(index: usize) -> OrgId {
    match ORGANISATIONS.get(index) {
        Some(name) => OrgId::new(name).unwrap(),
        None => OrgId::new(&format!("org-{index}")).unwrap(),
    }
}

/// An organisation's record with its known keys.
#[must_use]
pub fn organisation(org: &OrgId) -> OrganisationRecord {
    let (node, consensus) = (node_key(org.as_str()).public(), consensus_key(org.as_str()).public());
    OrganisationRecord { weight: Weight::new(1), validator: ValidatorRecord { node, consensus } }
}

fn members_of(org: &OrgId) -> Vec<(MemberId, MemberRecord)> {
    let with = |name: &str, weight, roles: &[Role]| {
        let id = member(&format!("{org}/{name}"));
        (id.clone(), record(&id, weight, roles))
    };
    vec![
        with("author", 100, &[Role::Author, Role::Reviewer, Role::Voter]),
        with("executor", 0, &[Role::Executor]),
        with("guardian", 0, &[Role::Guardian]),
    ]
}

/// A member's record with its known keys.
#[must_use]
pub fn record(id: &MemberId, weight: u64, roles: &[Role]) -> MemberRecord {
    let keys = roles.iter().map(|role| (*role, member_key(id, *role).public())).collect();
    MemberRecord { weight: Weight::new(weight), keys }
}

fn targets_of(org: &OrgId) -> Vec<(TargetId, TargetRecord)> {
    let jurisdiction = |site: &str| if site == "north" { name("eu") } else { name("us") };
    let sites = ["north", "south"].into_iter().map(|site| {
        let record = TargetRecord {
            owner: org.clone(),
            provider: name("local"),
            jurisdiction: jurisdiction(site),
            tier: Tier::Medium,
            endpoints: vec![line("http://127.0.0.1:8080"), line("http://127.0.0.1:8081")],
            executors: BTreeSet::from([member(&format!("{org}/executor"))]),
        };
        (target(&format!("{org}-{site}")), record)
    });
    sites.collect()
}

/// A sound document: `web` in this version, one target a step, the stages as given.
#[must_use]
pub fn deploy(version: &str, stages: &[&[&str]]) -> ProposalDocument {
    let stage = |(index, targets): (usize, &&[&str])| StageDocument {
        name: name(&format!("stage-{index}")),
        steps: targets.iter().map(|target| step(target, version)).collect(),
    };
    ProposalDocument {
        schema: 1,
        title: line(&format!("web to {version}")),
        reason: Prose::new("because").unwrap(),
        cost: Cost { monthly_milli: AmountMilli::new(1_000) },
        slo: Some(ServiceLevel { success: Ratio::NINE_TENTHS, latency_p95_ms: DurationMs::new(250) }),
        data_classes: BTreeSet::new(),
        health: Some(HealthCheck {
            path: line("/health"),
            samples: 20,
            success: Ratio::NINE_TENTHS,
            latency_p95_ms: DurationMs::new(250),
            within_ms: DurationMs::new(60_000),
        }),
        rollback: Some(RollbackPlan::Previous),
        stages: stages.iter().enumerate().map(stage).collect(),
        acts: Vec::new(),
        after: BTreeSet::new(),
    }
}

/// A document that puts another constitution in force.
#[must_use]
pub fn amend(constitution: Constitution) -> ProposalDocument {
    acts(vec![Act::Amend { constitution: Box::new(constitution) }])
}

/// A document of acts.
#[must_use]
pub fn acts(acts: Vec<Act>) -> ProposalDocument {
    ProposalDocument::of_acts(line("other rules"), Prose::new("because").unwrap(), acts)
}

fn step(at: &str, version: &str) -> StepDocument {
    let artefact = Digest::of_artefact(version.as_bytes());
    let action = Action::Deploy { service: name("web"), version: name(version), artefact, instances: 2 };
    StepDocument { target: target(at), action }
}

/// A report that meets the health check of [`deploy`].
#[must_use]
pub fn healthy() -> HealthReport {
    HealthReport {
        healthy: true,
        samples: 40,
        succeeded: 40,
        latency_p95_ms: DurationMs::new(10),
        reason: line(""),
    }
}

/// A report of a failure.
#[must_use]
pub fn unhealthy() -> HealthReport {
    HealthReport { healthy: false, succeeded: 3, reason: line("37 of 40 probes failed"), ..healthy() }
}

/// A member by name.
#[must_use]
pub fn member(text: &str) -> MemberId {
    MemberId::new(text).unwrap()
}

/// A target by name.
#[must_use]
pub fn target(text: &str) -> TargetId {
    TargetId::new(text).unwrap()
}

/// A slug.
#[must_use]
pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A line of text.
#[must_use]
pub fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

/// The bytes of a fixture as lower-case hexadecimal digits.
#[must_use]
pub fn hex_of<T: borsh::BorshSerialize>(value: &T) -> String {
    hex::encode(canonical::encode(value))
}
