//! Owns the decision to sign: keys by member and role, one method a purpose. Refuses what this node's own copy of
//! the ledger does not bear out, so that nobody signs what another's screen showed them.

use std::sync::Arc;

use althing_contracts::{
    canonical,
    digest::{Digest, Purpose},
    document::ProposalDocument,
    emergency::EmergencyId,
    name::MemberId,
    plan::PlannedStep,
    proposal::Proposal,
    quantity::{Fence, Height, TimeMs},
    signature::{PublicKey, Signature},
    state::State,
    transaction::{Call, ProposalId, Transaction, TransactionBody},
};
use tracing::warn;

use super::{
    journal::{KeyUse, KeyUseRecord},
    keys::{KeyStore, KeyStoreError, SignerKeys, public},
    message::{Sign, SignError, SignedTransaction},
    metrics,
};
use crate::{
    causes::with_causes,
    failpoint,
    journal::{Journal, JournalError},
};

/// The signer: keys and the journal of their use.
pub struct SignerState {
    keys: Arc<SignerKeys>,
    store: Arc<dyn KeyStore>,
    journal: Journal<KeyUseRecord>,
}

impl SignerState {
    /// A signer over the keys of a store and an open journal.
    ///
    /// # Errors
    /// The keys cannot be read.
    pub fn open(store: Arc<dyn KeyStore>, journal: Journal<KeyUseRecord>) -> Result<Self, KeyStoreError> {
        Ok(Self { keys: store.load()?, store, journal })
    }

    /// Signs a call when its role, its purpose and this node's own ledger bear it out. Nobody may get the signature
    /// before [`Self::record`] has made its use durable.
    ///
    /// # Errors
    /// See [`SignError`]; nothing was signed.
    pub fn sign(
        &mut self,
        request: Sign,
        ledger: &State,
        now: TimeMs,
    ) -> Result<SignedTransaction, SignError> {
        let purpose = KeyUse::of(&request.call);
        let signed = judge(&request, purpose, ledger).and_then(|()| {
            let key = self.key_for(&request, ledger)?;
            let Sign { member, role, sequence, not_after, call, span: _ } = request;
            let body = TransactionBody { sender: member, role, sequence, not_after, call };
            self.seal(body, key, purpose, ledger.network(), now)
        });
        match &signed {
            Ok(_) => metrics::signed(purpose),
            Err(_) => metrics::refused(purpose),
        }
        signed
    }

    /// Whether [`Self::record`] is due before another call is signed.
    pub const fn is_group_full(&self) -> bool {
        self.journal.is_group_full()
    }

    /// Makes the uses of all signatures so far durable in the journal.
    ///
    /// # Errors
    /// The disk failed: those signatures must not be given out, and there will be no others.
    pub fn record(&mut self) -> Result<(), JournalError> {
        self.journal.sync()
    }

    /// The key that the ledger names, of those that the node holds. Keys that came into the store since are looked for when
    /// it is none of these, and when the sender's next key is.
    fn key_for(&mut self, request: &Sign, ledger: &State) -> Result<PublicKey, SignError> {
        let Sign { member, role, call, .. } = request;
        let named = ledger.member(member).and_then(|held| held.keys.get(role)).copied();
        let next = match call {
            Call::ReplaceKey { claim } => Some(claim.key),
            _ => None,
        };
        let missing = |keys: &SignerKeys| {
            let mut needed = named.into_iter().chain(next);
            needed.find(|key| !keys.holds(member, *role, *key))
        };
        if missing(&self.keys).is_some() {
            self.reload();
        }
        let first = self.keys.of(member, *role).first().map(public);
        let first = first.ok_or_else(|| SignError::NoKey { member: member.clone(), role: *role })?;
        match missing(&self.keys) {
            Some(key) => Err(SignError::OtherKey { member: member.clone(), role: *role, key }),
            // A sender whom the ledger does not know is refused by it, in its own words.
            None => Ok(named.unwrap_or(first)),
        }
    }

    /// Reads the keys again; what is held stays when they cannot be read.
    fn reload(&mut self) {
        match self.store.load() {
            Ok(keys) => self.keys = keys,
            Err(error) => warn!(error = with_causes(&error), "the keys read before stay in use"),
        }
    }

    fn seal(
        &mut self,
        body: TransactionBody,
        key: PublicKey,
        purpose: KeyUse,
        network: Digest,
        now: TimeMs,
    ) -> Result<SignedTransaction, SignError> {
        let holder = (body.sender.clone(), body.role);
        let no_key = || SignError::NoKey { member: body.sender.clone(), role: body.role };
        let signing = self.keys.find(&body.sender, body.role, key).ok_or_else(no_key)?;
        let signature = Signature::Ed25519(signing.sign(body.signing_message(network).as_bytes()).to_bytes());
        failpoint::reach("signer.signed");
        let body_digest = Digest::of(Purpose::Journal, &canonical::encode(&body));
        let sequence = body.sequence;
        let bytes = Transaction::V3 { body, key, signature }.encode();
        let id = Digest::of(Purpose::Transaction, &bytes);
        let (member, role) = holder;
        self.journal.add(&KeyUseRecord::V1 {
            time: now,
            purpose,
            member,
            role,
            sequence,
            transaction: id,
            body: body_digest,
        })?;
        Ok(SignedTransaction { id, bytes })
    }
}

/// Whether role, purpose and the node's own ledger bear a request out.
fn judge(request: &Sign, purpose: KeyUse, ledger: &State) -> Result<(), SignError> {
    if !purpose.fits(request.role) {
        return Err(SignError::WrongRole { role: request.role, purpose });
    }
    let member = &request.member;
    match &request.call {
        Call::Submit { document, plan_hash } | Call::Revise { document, plan_hash, .. } => {
            check_document(ledger, document, *plan_hash, purpose)
        }
        Call::Review { proposal, plan_hash, .. }
        | Call::Vote { proposal, plan_hash, .. }
        | Call::Cosign { proposal, plan_hash, .. } => check_plan(ledger, *proposal, *plan_hash, purpose),
        Call::VoteBatch { editions, .. } => editions
            .iter()
            .try_for_each(|edition| check_plan(ledger, edition.proposal, edition.plan_hash, purpose)),
        Call::Claim { proposal, step } => check_executor(ledger, *proposal, *step, member),
        Call::Receipt { proposal, step, fence, .. } => {
            check_executor(ledger, *proposal, *step, member)?;
            check_holder(ledger, *proposal, *step, member, *fence)
        }
        Call::AttestHealth { proposal, step, .. } => step_of(ledger, *proposal, *step).map(drop),
        Call::Cancel { proposal, .. }
        | Call::Veto { proposal, .. }
        | Call::Resume { proposal }
        | Call::Abort { proposal, .. } => find(ledger, *proposal).map(drop),
        Call::Attest { proposal, height, block, .. } => {
            find(ledger, *proposal).and_then(|_| check_history(ledger, *height, *block))
        }
        Call::SignEmergency { emergency } | Call::EndEmergency { emergency } => {
            find_emergency(ledger, *emergency)
        }
        Call::AttestEmergency { emergency, height, block, .. } => {
            find_emergency(ledger, *emergency).and_then(|()| check_history(ledger, *height, *block))
        }
        Call::DeclareEmergency { declaration } => declaration.check().map_err(SignError::Undeclarable),
        Call::ReplaceKey { claim } | Call::SignRecovery { claim } => {
            ledger.check_claim(claim).map_err(SignError::Unclaimable)
        }
        Call::ReportEquivocation { .. }
        | Call::Delegate { .. }
        | Call::Revoke { .. }
        | Call::StopRecovery { .. } => Ok(()),
    }
}

fn find(ledger: &State, id: ProposalId) -> Result<&Proposal, SignError> {
    ledger.proposal(id).ok_or(SignError::UnknownProposal { proposal: id })
}

/// A signature names a content, and this node has to know it.
fn find_emergency(ledger: &State, id: EmergencyId) -> Result<(), SignError> {
    ledger.emergency(id).map(drop).ok_or(SignError::UnknownEmergency { emergency: id })
}

fn step_of(ledger: &State, id: ProposalId, step: u16) -> Result<&PlannedStep, SignError> {
    let found = find(ledger, id)?.plan.steps.get(usize::from(step));
    found.ok_or(SignError::UnknownStep { proposal: id, step })
}

fn check_document(
    ledger: &State,
    document: &ProposalDocument,
    shown: Digest,
    purpose: KeyUse,
) -> Result<(), SignError> {
    let derived = ledger.plan(document).map_err(SignError::Unplannable)?.hash();
    same_plan(shown, derived, purpose)
}

fn check_plan(ledger: &State, id: ProposalId, shown: Digest, purpose: KeyUse) -> Result<(), SignError> {
    same_plan(shown, find(ledger, id)?.plan.hash(), purpose)
}

fn same_plan(shown: Digest, derived: Digest, purpose: KeyUse) -> Result<(), SignError> {
    if shown == derived { Ok(()) } else { Err(SignError::OtherPlan { purpose, shown, derived }) }
}

fn check_executor(ledger: &State, id: ProposalId, step: u16, member: &MemberId) -> Result<(), SignError> {
    let target = &step_of(ledger, id, step)?.target;
    let listed = ledger.target(target).is_some_and(|found| found.record.executors.contains(member));
    let refusal = || SignError::NotAnExecutor { member: member.clone(), target: target.clone() };
    listed.then_some(()).ok_or_else(refusal)
}

fn check_holder(
    ledger: &State,
    id: ProposalId,
    step: u16,
    member: &MemberId,
    fence: Fence,
) -> Result<(), SignError> {
    let progress = find(ledger, id)?.execution.steps.get(usize::from(step));
    let claim = progress.and_then(|progress| progress.claim.as_ref());
    let holds = claim.is_some_and(|claim| claim.executor == *member && claim.fence == fence);
    let refusal = || SignError::NotTheHolder { member: member.clone(), proposal: id, step, fence };
    holds.then_some(()).ok_or_else(refusal)
}

fn check_history(ledger: &State, height: Height, block: Digest) -> Result<(), SignError> {
    match ledger.block_digest(height) {
        Some(known) if known != block => Err(SignError::OtherHistory { height, block }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
