//! Owns what the consensus core needs to know of the ledger: heights, keys, votes and the roster in the core's
//! own traits, and the way there and back. Refuses private keys: the core never sees one.

use std::{convert::Infallible, fmt, sync::Arc};

use althing_contracts::{
    certificate::{ProposalStatement, Roster, VoteKind, VoteStatement},
    digest::Digest,
    quantity::{Height, Round},
    signature::{PublicKey, Signature, Signed},
};
use malachite_types as core;
use malachite_types::NilOrVal;

use crate::ledger::wire::{SignedProposal, SignedVote};

/// The ledger as the core's type parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct LedgerContext;

/// A height in the core's trait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CoreHeight(pub(super) Height);

/// A validator's consensus key in the core's trait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CoreAddress(pub(super) PublicKey);

/// The value that is decided: the digest of a block's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CoreValue(pub(super) Digest);

/// A vote in the core's trait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CoreVote {
    kind: VoteKind,
    height: CoreHeight,
    round: core::Round,
    value: NilOrVal<Digest>,
    voter: CoreAddress,
}

/// A proposal in the core's trait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CoreProposal {
    height: CoreHeight,
    round: core::Round,
    value: CoreValue,
    polka_round: core::Round,
    proposer: CoreAddress,
}

/// A validator in the core's trait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CoreValidator {
    address: CoreAddress,
    weight: u64,
}

/// The roster in the core's trait; shared, because the core copies it freely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CoreRoster(Arc<Vec<CoreValidator>>);

/// Block bytes travel in our own message, so there are no parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoPart {}

/// The signature scheme; signing and verifying happen outside the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LedgerScheme;

/// A signature with the order that the core asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CoreSignature(pub(super) Signature);

/// A private key, which the core never holds.
#[derive(Debug, Clone)]
pub(super) enum NoPrivateKey {}

impl core::Context for LedgerContext {
    type Address = CoreAddress;
    type Height = CoreHeight;
    type ProposalPart = NoPart;
    type Proposal = CoreProposal;
    type Validator = CoreValidator;
    type ValidatorSet = CoreRoster;
    type Timeouts = core::LinearTimeouts;
    type Value = CoreValue;
    type Vote = CoreVote;
    type Extension = ();
    type SigningScheme = LedgerScheme;

    fn select_proposer<'a>(
        &self,
        roster: &'a CoreRoster,
        height: CoreHeight,
        round: core::Round,
    ) -> &'a CoreValidator {
        let round = round_of(round).unwrap_or(Round::ZERO);
        let index = proposer_index(roster.0.len(), height.0, round);
        roster
            .0
            .get(index)
            .expect("the index is taken modulo the roster's length, which genesis checks is not 0")
    }

    fn new_proposal(
        &self,
        height: CoreHeight,
        round: core::Round,
        value: CoreValue,
        polka_round: core::Round,
        proposer: CoreAddress,
    ) -> CoreProposal {
        CoreProposal { height, round, value, polka_round, proposer }
    }

    fn new_prevote(
        &self,
        height: CoreHeight,
        round: core::Round,
        value: NilOrVal<Digest>,
        voter: CoreAddress,
    ) -> CoreVote {
        CoreVote { kind: VoteKind::Prevote, height, round, value, voter }
    }

    fn new_precommit(
        &self,
        height: CoreHeight,
        round: core::Round,
        value: NilOrVal<Digest>,
        voter: CoreAddress,
    ) -> CoreVote {
        CoreVote { kind: VoteKind::Precommit, height, round, value, voter }
    }
}

/// The proposer's place in the roster: it rotates with every height and every round.
///
/// An empty roster yields 0, which names nobody.
#[must_use]
pub(super) fn proposer_index(validators: usize, height: Height, round: Round) -> usize {
    let validators = u64::try_from(validators).unwrap_or(u64::MAX).max(1);
    let turn = (height.get() % validators).saturating_add(u64::from(round.get())) % validators;
    usize::try_from(turn).unwrap_or(0)
}

/// The proposer of a height and round.
#[must_use]
pub fn proposer(roster: &Roster, height: Height, round: Round) -> Option<PublicKey> {
    let validators = roster.validators();
    validators.get(proposer_index(validators.len(), height, round)).map(|validator| validator.consensus)
}

/// The core's round of ours.
pub(super) const fn core_round(round: Round) -> core::Round {
    core::Round::Some(round.get())
}

/// The core's round of an optional one.
pub(super) fn core_round_or_nil(round: Option<Round>) -> core::Round {
    round.map_or(core::Round::Nil, core_round)
}

/// Our round of the core's; the core's nil round is none.
pub(super) fn round_of(round: core::Round) -> Option<Round> {
    round.as_u32().map(Round::new)
}

impl CoreVote {
    /// What the voter signs, or `None` for a vote outside any round, which the core never makes.
    pub(super) fn statement(&self) -> Option<VoteStatement> {
        let block = match self.value {
            NilOrVal::Nil => None,
            NilOrVal::Val(block) => Some(block),
        };
        Some(VoteStatement { kind: self.kind, height: self.height.0, round: round_of(self.round)?, block })
    }

    /// The voter's consensus key.
    pub(super) const fn voter(&self) -> PublicKey {
        self.voter.0
    }

    /// What has to be checked for `signature` in `network`.
    pub(super) fn signed(&self, signature: CoreSignature, network: Digest) -> Option<Signed> {
        let message = self.statement()?.signing_message(network);
        Some(Signed { key: self.voter.0, message, signature: signature.0 })
    }
}

impl CoreProposal {
    /// What the proposer signs, or `None` outside any round.
    pub(super) fn statement(&self) -> Option<ProposalStatement> {
        Some(ProposalStatement {
            height: self.height.0,
            round: round_of(self.round)?,
            block: self.value.0,
            polka_round: round_of(self.polka_round),
        })
    }

    /// The proposer's consensus key.
    pub(super) const fn proposer(&self) -> PublicKey {
        self.proposer.0
    }

    /// What has to be checked for `signature` in `network`.
    pub(super) fn signed(&self, signature: CoreSignature, network: Digest) -> Option<Signed> {
        let message = self.statement()?.signing_message(network);
        Some(Signed { key: self.proposer.0, message, signature: signature.0 })
    }
}

/// A received or logged vote for the core.
pub(super) fn core_vote(vote: &SignedVote) -> core::SignedVote<LedgerContext> {
    let statement = &vote.statement;
    let message = CoreVote {
        kind: statement.kind,
        height: CoreHeight(statement.height),
        round: core_round(statement.round),
        value: statement.block.map_or(NilOrVal::Nil, NilOrVal::Val),
        voter: CoreAddress(vote.voter),
    };
    core::SignedVote::new(message, CoreSignature(vote.signature))
}

/// A vote of the core for the wire and the log.
pub(super) fn wire_vote(vote: &core::SignedVote<LedgerContext>) -> Option<SignedVote> {
    Some(SignedVote {
        statement: vote.message.statement()?,
        voter: vote.message.voter(),
        signature: vote.signature.0,
    })
}

/// A received or logged proposal for the core.
pub(super) fn core_proposal(proposal: &SignedProposal) -> core::SignedProposal<LedgerContext> {
    let statement = &proposal.statement;
    let message = CoreProposal {
        height: CoreHeight(statement.height),
        round: core_round(statement.round),
        value: CoreValue(statement.block),
        polka_round: core_round_or_nil(statement.polka_round),
        proposer: CoreAddress(proposal.proposer),
    };
    core::SignedProposal::new(message, CoreSignature(proposal.signature))
}

/// A proposal of the core for the wire and the log.
pub(super) fn wire_proposal(proposal: &core::SignedProposal<LedgerContext>) -> Option<SignedProposal> {
    Some(SignedProposal {
        statement: proposal.message.statement()?,
        proposer: proposal.message.proposer(),
        signature: proposal.signature.0,
    })
}

impl CoreRoster {
    /// The roster in its own order.
    pub(super) fn new(roster: &Roster) -> Self {
        let validators = roster.validators().iter();
        let validators = validators.map(|validator| CoreValidator {
            address: CoreAddress(validator.consensus),
            weight: validator.weight.get(),
        });
        Self(Arc::new(validators.collect()))
    }
}

impl core::Height for CoreHeight {
    const ZERO: Self = Self(Height::ZERO);
    const INITIAL: Self = Self(Height::new(1));

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(Height::new(n)))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(Height::new(n)).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0.get()
    }
}

impl core::Address for CoreAddress {}

impl core::Value for CoreValue {
    type Id = Digest;

    fn id(&self) -> Digest {
        self.0
    }
}

impl core::Vote<LedgerContext> for CoreVote {
    fn height(&self) -> CoreHeight {
        self.height
    }

    fn round(&self) -> core::Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<Digest> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<Digest> {
        self.value
    }

    fn vote_type(&self) -> core::VoteType {
        match self.kind {
            VoteKind::Prevote => core::VoteType::Prevote,
            VoteKind::Precommit => core::VoteType::Precommit,
        }
    }

    fn validator_address(&self) -> &CoreAddress {
        &self.voter
    }

    fn extension(&self) -> Option<&core::SignedExtension<LedgerContext>> {
        None
    }

    fn take_extension(&mut self) -> Option<core::SignedExtension<LedgerContext>> {
        None
    }

    fn extend(self, _extension: core::SignedExtension<LedgerContext>) -> Self {
        self
    }
}

impl core::Proposal<LedgerContext> for CoreProposal {
    fn height(&self) -> CoreHeight {
        self.height
    }

    fn round(&self) -> core::Round {
        self.round
    }

    fn value(&self) -> &CoreValue {
        &self.value
    }

    fn take_value(self) -> CoreValue {
        self.value
    }

    fn pol_round(&self) -> core::Round {
        self.polka_round
    }

    fn validator_address(&self) -> &CoreAddress {
        &self.proposer
    }
}

impl core::Validator<LedgerContext> for CoreValidator {
    fn address(&self) -> &CoreAddress {
        &self.address
    }

    fn public_key(&self) -> &PublicKey {
        &self.address.0
    }

    fn voting_power(&self) -> u64 {
        self.weight
    }
}

impl core::ValidatorSet<LedgerContext> for CoreRoster {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.0.iter().fold(0, |sum, validator| sum.saturating_add(validator.weight))
    }

    fn get_by_address(&self, address: &CoreAddress) -> Option<&CoreValidator> {
        let index = self.0.binary_search_by_key(address, |validator| validator.address).ok()?;
        self.0.get(index)
    }

    fn get_by_index(&self, index: usize) -> Option<&CoreValidator> {
        self.0.get(index)
    }
}

impl core::ProposalPart<LedgerContext> for NoPart {
    fn is_first(&self) -> bool {
        match *self {}
    }

    fn is_last(&self) -> bool {
        match *self {}
    }
}

impl core::SigningScheme for LedgerScheme {
    type DecodingError = Infallible;
    type Signature = CoreSignature;
    type PublicKey = PublicKey;
    type PrivateKey = NoPrivateKey;

    fn decode_signature(bytes: &[u8]) -> Result<CoreSignature, Infallible> {
        // A wrong length cannot be a signature of anyone; zeros never verify.
        let bytes = <[u8; 64]>::try_from(bytes).unwrap_or([0; 64]);
        Ok(CoreSignature(Signature::Ed25519(bytes)))
    }

    fn encode_signature(signature: &CoreSignature) -> Vec<u8> {
        let Signature::Ed25519(bytes) = signature.0;
        bytes.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, Infallible> {
        Ok(PublicKey::Ed25519(<[u8; 32]>::try_from(bytes).unwrap_or([0; 32])))
    }

    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        let PublicKey::Ed25519(bytes) = key;
        bytes.to_vec()
    }
}

impl PartialOrd for CoreSignature {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CoreSignature {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (Signature::Ed25519(left), Signature::Ed25519(right)) = (self.0, other.0);
        left.cmp(&right)
    }
}

impl fmt::Display for CoreHeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_validator_proposes_once_in_as_many_rounds_as_there_are_validators() {
        let turns: std::collections::BTreeSet<usize> =
            (0..4).map(|round| proposer_index(4, Height::new(9), Round::new(round))).collect();
        assert_eq!(turns.len(), 4);
        assert_ne!(
            proposer_index(4, Height::new(9), Round::ZERO),
            proposer_index(4, Height::new(10), Round::ZERO)
        );
        assert_eq!(proposer_index(0, Height::new(9), Round::MAX), 0);
    }
}
