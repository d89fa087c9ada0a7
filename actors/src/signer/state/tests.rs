use althing_contracts::{
    quantity::{Revision, Sequence},
    role::Role,
    testing::{self, World, deploy, line, member},
    transaction::{AuditVerdict, Choice, StepOutcome, UnverifiedTransaction},
};

use super::*;
use crate::{
    signer::journal,
    test_ledger::{decide, keys},
};

struct Bench {
    dir: tempfile::TempDir,
    world: World,
    signer: SignerState,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let held = [
        ("acme/author", Role::Author),
        ("acme/author", Role::Voter),
        ("acme/executor", Role::Executor),
        ("acme/auditor", Role::Auditor),
    ];
    let journal = journal::open(&dir.path().join("keys.journal")).unwrap();
    let signer = SignerState::open(Arc::new(Arc::new(keys(&held))), journal).unwrap();
    let mut world = World::new(4);
    world.pass(althing_contracts::quantity::DurationMs::new(1));
    Bench { dir, world, signer }
}

impl Bench {
    fn sign(&mut self, who: &str, role: Role, call: Call) -> Result<SignedTransaction, SignError> {
        let member = member(who);
        let request = Sign {
            sequence: self.world.state.next_sequence(&member, role),
            not_after: TimeMs::MAX,
            member,
            role,
            call,
            span: tracing::Span::none(),
        };
        let signed = self.signer.sign(request, &self.world.state, TimeMs::new(5));
        self.signer.record().unwrap();
        signed
    }

    fn refusal(&mut self, who: &str, role: Role, call: Call) -> String {
        self.sign(who, role, call).unwrap_err().to_string()
    }

    fn submission(&self) -> Call {
        let document = deploy("v2", &[&["acme-north"]]);
        let plan_hash = self.world.state.plan(&document).unwrap().hash();
        Call::Submit { document, plan_hash }
    }

    fn uses(&self) -> Vec<KeyUseRecord> {
        let mut uses = Vec::new();
        let path = self.dir.path().join("keys.journal");
        Journal::open(&path, journal::KEY_USE_JOURNAL, |record| uses.push(record)).unwrap();
        uses
    }
}

#[test]
fn a_signed_call_is_taken_by_the_ledger_and_its_use_is_recorded() {
    let mut bench = bench();
    let signed = bench.sign("acme/author", Role::Author, bench.submission()).unwrap();
    let unverified = UnverifiedTransaction::decode(&signed.bytes, bench.world.network()).unwrap();
    assert_eq!(unverified.id(), signed.id);
    let verified = unverified.verify().unwrap();
    let body = Digest::of(Purpose::Journal, &canonical::encode(verified.body()));
    bench.world.state.apply(althing_contracts::state::Input::Transaction(&verified)).unwrap();
    let expected = KeyUseRecord::V1 {
        time: TimeMs::new(5),
        purpose: KeyUse::Submission,
        member: member("acme/author"),
        role: Role::Author,
        sequence: Sequence::new(1),
        transaction: signed.id,
        body,
    };
    assert_eq!(bench.uses(), [expected]);
}

#[test]
fn a22_a_ballot_on_a_plan_that_the_own_ledger_does_not_show_is_refused() {
    let mut bench = bench();
    let id = bench.world.submit("acme/author", deploy("v2", &[&["acme-north"]])).unwrap();
    let shown = Digest::from_bytes([9; 32]);
    let vote =
        |plan_hash| Call::Vote { proposal: id, revision: Revision::new(1), plan_hash, choice: Choice::For };
    let derived = bench.world.state.proposal(id).unwrap().plan.hash();
    assert_eq!(
        bench.refusal("acme/author", Role::Voter, vote(shown)),
        format!(
            "refused to sign the ballot: it names the plan {shown}, this node's own ledger says {derived}"
        )
    );
    assert!(bench.uses().is_empty(), "a refusal uses no key");
    bench.sign("acme/author", Role::Voter, vote(derived)).unwrap();
}

#[test]
fn a_submission_binds_to_the_plan_that_this_node_derives() {
    let mut bench = bench();
    let Call::Submit { document, .. } = bench.submission() else { unreachable!() };
    let call = Call::Submit { document, plan_hash: Digest::ZERO };
    assert!(bench.refusal("acme/author", Role::Author, call).contains("refused to sign the submission"));
}

#[test]
fn a_role_signs_only_its_own_purposes() {
    let mut bench = bench();
    let id = bench.world.submit("acme/author", deploy("v2", &[&["acme-north"]])).unwrap();
    let (plan_hash, revision) = (bench.world.state.proposal(id).unwrap().plan_hash, Revision::new(1));
    let vote = Call::Vote { proposal: id, revision, plan_hash, choice: Choice::For };
    assert_eq!(
        bench.refusal("acme/author", Role::Author, vote.clone()),
        "a key of the role author does not sign: ballot"
    );
    assert_eq!(
        bench.refusal("acme/executor", Role::Executor, vote),
        "a key of the role executor does not sign: ballot"
    );
    let attest = Call::Attest {
        proposal: id,
        verdict: AuditVerdict::Sound,
        height: Height::ZERO,
        block: Digest::ZERO,
    };
    assert!(bench.refusal("acme/author", Role::Author, attest).contains("does not sign: attestation"));
}

#[test]
fn a_key_that_the_node_does_not_hold_is_named() {
    let mut bench = bench();
    let call = bench.submission();
    assert_eq!(
        bench.refusal("birch/author", Role::Author, call),
        "this node holds no key of birch/author for the role author"
    );
}

#[test]
fn a_receipt_is_signed_only_under_the_fence_that_the_ledger_gave() {
    let mut bench = bench();
    let id = bench.world.submit("acme/author", deploy("v2", &[&["acme-north"], &["birch-north"]])).unwrap();
    decide(&mut bench.world, id);
    let receipt = |step, fence| Call::Receipt {
        proposal: id,
        step,
        fence: Fence::new(fence),
        outcome: StepOutcome::Done,
        evidence: Digest::ZERO,
    };
    let message = bench.refusal("acme/executor", Role::Executor, receipt(0, 1));
    assert!(
        message.starts_with("refused to sign a receipt: acme/executor does not hold step 0"),
        "{message}"
    );
    bench.world.call("acme/executor", Role::Executor, Call::Claim { proposal: id, step: 0 }).unwrap();
    let claim = bench.world.state.proposal(id).unwrap().execution.steps[0].claim.clone().unwrap();
    bench.sign("acme/executor", Role::Executor, receipt(0, claim.fence.get())).unwrap();
    let claim = Call::Claim { proposal: id, step: 1 };
    assert_eq!(
        bench.refusal("acme/executor", Role::Executor, claim),
        "refused to sign: acme/executor is not an executor of birch-north"
    );
    let claim = Call::Claim { proposal: id, step: 7 };
    assert!(bench.refusal("acme/executor", Role::Executor, claim).contains("has no step 7"));
}

#[test]
fn an_attestation_of_another_history_is_refused() {
    let mut bench = bench();
    bench.world.block(althing_contracts::quantity::DurationMs::new(1), &[]);
    bench.world.block(althing_contracts::quantity::DurationMs::new(1), &[]);
    let id = bench.world.submit("acme/author", deploy("v2", &[&["acme-north"]])).unwrap();
    let height = Height::new(2);
    assert!(bench.world.state.block_digest(height).is_some());
    let call = Call::Attest { proposal: id, verdict: AuditVerdict::Sound, height, block: Digest::ZERO };
    assert!(bench.refusal("acme/auditor", Role::Auditor, call).contains("is not on this node's ledger"));
}

#[test]
fn an_unknown_proposal_is_refused_before_any_key_is_used() {
    let mut bench = bench();
    let proposal = ProposalId::from_digest(Digest::ZERO);
    let call = Call::Cancel { proposal, reason: line("no") };
    assert!(bench.refusal("acme/author", Role::Author, call).contains("has no proposal"));
}

#[test]
fn keys_are_never_printed() {
    let held = keys(&[("acme/author", Role::Author)]);
    let printed = format!("{held:?}");
    assert!(printed.contains("acme/author"), "{printed}");
    let (holder, role) = held.holders().next().unwrap();
    let key = &held.of(holder, *role)[0];
    assert!(!printed.contains(&hex::encode(key.to_bytes())));
}

/// A store into which keys come later.
#[derive(Default)]
struct Later(std::sync::Mutex<Option<Arc<SignerKeys>>>, Vec<(&'static str, Role)>);

impl KeyStore for Later {
    fn load(&self) -> Result<Arc<SignerKeys>, KeyStoreError> {
        let later = self.0.lock().unwrap().clone();
        Ok(later.unwrap_or_else(|| Arc::new(keys(&self.1))))
    }
}

#[test]
fn the_key_that_the_ledger_names_signs_and_is_looked_for_when_it_is_new() {
    let mut bench = bench();
    let author = member("acme/author");
    let store = Arc::new(Later(std::sync::Mutex::default(), vec![("acme/author", Role::Author)]));
    let journal = journal::open(&bench.dir.path().join("later.journal")).unwrap();
    bench.signer = SignerState::open(store.clone(), journal).unwrap();
    let claim = bench.world.claim("acme/author", Role::Author);
    let replace = || Call::ReplaceKey { claim: claim.clone() };

    let missing = bench.refusal("acme/author", Role::Author, replace());
    let expected = format!("this node holds no key {} of acme/author for the role author;", claim.key);
    assert!(missing.starts_with(&expected), "nobody locks itself out: {missing}");

    let all = testing::member_keys(&author, Role::Author);
    let all = all.map(|key| ((author.clone(), Role::Author), ed25519_zebra::SigningKey::from(key.secret())));
    *store.0.lock().unwrap() = Some(Arc::new(SignerKeys::new(all)));
    let signed = bench.sign("acme/author", Role::Author, replace()).unwrap();
    take(&mut bench, &signed);
    let refused = bench.sign("acme/author", Role::Author, replace()).unwrap_err();
    assert!(matches!(refused, SignError::Unclaimable(_)), "{refused}");

    let signed = bench.sign("acme/author", Role::Author, bench.submission()).unwrap();
    take(&mut bench, &signed);
    assert_eq!(bench.world.state.next_sequence(&author, Role::Author), Sequence::new(3));
}

fn take(bench: &mut Bench, signed: &SignedTransaction) {
    let verified =
        UnverifiedTransaction::decode(&signed.bytes, bench.world.network()).unwrap().verify().unwrap();
    bench.world.state.apply(althing_contracts::state::Input::Transaction(&verified)).unwrap();
}
