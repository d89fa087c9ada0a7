//! Owns the decision to sign: keys by member and role, one method a purpose. Refuses what this node's own copy of
//! the ledger does not bear out, so that nobody signs what another's screen showed them.

use std::{collections::BTreeMap, sync::Arc};

use althing_contracts::{
    canonical,
    digest::{Digest, Purpose},
    document::ProposalDocument,
    emergency::EmergencyId,
    name::MemberId,
    plan::PlannedStep,
    proposal::Proposal,
    quantity::{Fence, Height, TimeMs},
    role::Role,
    signature::{PublicKey, Signature},
    state::State,
    transaction::{Call, ProposalId, Transaction, TransactionBody},
};
use ed25519_zebra::SigningKey;
use zeroize::Zeroize;

use super::{
    journal::{KeyUse, KeyUseRecord},
    message::{Sign, SignError, SignedTransaction},
    metrics,
};
use crate::{
    failpoint,
    journal::{Journal, JournalError},
};

/// The members' keys of this node. Wiped when dropped; neither printed nor copied.
pub struct SignerKeys(BTreeMap<(MemberId, Role), SigningKey>);

/// The signer: keys and the journal of their use.
pub struct SignerState {
    keys: Arc<SignerKeys>,
    journal: Journal<KeyUseRecord>,
}

impl SignerKeys {
    /// Takes loaded keys over.
    pub fn new(keys: impl IntoIterator<Item = ((MemberId, Role), SigningKey)>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// Whose keys these are.
    pub fn holders(&self) -> impl Iterator<Item = &(MemberId, Role)> {
        self.0.keys()
    }

    /// The public part of a key.
    pub fn public_key(&self, member: &MemberId, role: Role) -> Option<PublicKey> {
        let key = self.0.get(&(member.clone(), role))?;
        Some(PublicKey::Ed25519(key.verification_key().into()))
    }
}

impl Drop for SignerKeys {
    fn drop(&mut self) {
        for key in self.0.values_mut() {
            key.zeroize();
        }
    }
}

impl std::fmt::Debug for SignerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl SignerState {
    /// A signer over loaded keys and an open journal.
    pub const fn new(keys: Arc<SignerKeys>, journal: Journal<KeyUseRecord>) -> Self {
        Self { keys, journal }
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
            let Sign { member, role, sequence, not_after, call, span: _ } = request;
            let body = TransactionBody { sender: member, role, sequence, not_after, call };
            self.seal(body, purpose, ledger.network(), now)
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

    fn seal(
        &mut self,
        body: TransactionBody,
        purpose: KeyUse,
        network: Digest,
        now: TimeMs,
    ) -> Result<SignedTransaction, SignError> {
        let holder = (body.sender.clone(), body.role);
        let no_key = || SignError::NoKey { member: body.sender.clone(), role: body.role };
        let key = self.keys.0.get(&holder).ok_or_else(no_key)?;
        let signature = Signature::Ed25519(key.sign(body.signing_message(network).as_bytes()).to_bytes());
        failpoint::reach("signer.signed");
        let key = PublicKey::Ed25519(key.verification_key().into());
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
        Call::ReportEquivocation { .. } | Call::Delegate { .. } | Call::Revoke { .. } => Ok(()),
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
