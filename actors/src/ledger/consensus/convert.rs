//! Owns the conversion of certificates and logged inputs between the core's types and ours.

use malachite_core::Input;
use malachite_types as core;
use malachite_types::{NilOrVal, TimeoutKind, Value as _, VoteType};

use althing_contracts::certificate::VoteKind;

use super::{
    context::{
        CoreAddress, CoreHeight, CoreSignature, LedgerContext, core_round, round_of, wire_proposal, wire_vote,
    },
    entry::{JudgedBlock, LoggedInput, Step},
};
use crate::ledger::wire::{PolkaCertificate, RoundCertificate, RoundCertificateKind, RoundVote};

/// The core's name of a step.
pub(super) const fn core_timeout(step: Step) -> TimeoutKind {
    match step {
        Step::Propose => TimeoutKind::Propose,
        Step::Prevote => TimeoutKind::Prevote,
        Step::Precommit => TimeoutKind::Precommit,
    }
}

/// The input as it is logged; `None` for inputs that replay rebuilds.
pub(super) fn logged_input(input: &Input<LedgerContext>) -> Option<LoggedInput> {
    match input {
        Input::Vote(vote) => wire_vote(vote).map(LoggedInput::Vote),
        Input::Proposal(proposal) => wire_proposal(proposal).map(LoggedInput::Proposal),
        Input::PolkaCertificate(polka) => wire_polka_certificate(polka).map(LoggedInput::PolkaCertificate),
        Input::TimeoutElapsed(timeout) => {
            let step = match timeout.kind {
                TimeoutKind::Propose => Step::Propose,
                TimeoutKind::Prevote => Step::Prevote,
                TimeoutKind::Precommit => Step::Precommit,
                TimeoutKind::Rebroadcast | TimeoutKind::FinalizeHeight(_) => return None,
            };
            Some(LoggedInput::Timeout { step, round: round_of(timeout.round)? })
        }
        Input::ProposedValue(value, _) => Some(LoggedInput::Judged(JudgedBlock {
            height: value.height.0,
            round: round_of(value.round)?,
            proposer: value.proposer.0,
            block: value.value.id(),
            valid: value.validity.is_valid(),
        })),
        Input::StartHeight(..)
        | Input::RoundCertificate(_)
        | Input::Propose(_)
        | Input::SyncValueResponse(_) => None,
    }
}

/// A received polka certificate for the core.
pub(super) fn core_polka_certificate(
    certificate: &PolkaCertificate,
) -> core::PolkaCertificate<LedgerContext> {
    let signatures = certificate
        .prevotes
        .iter()
        .map(|(voter, signature)| core::PolkaSignature::new(CoreAddress(*voter), CoreSignature(*signature)));
    core::PolkaCertificate {
        height: CoreHeight(certificate.height),
        round: core_round(certificate.round),
        value_id: certificate.block,
        polka_signatures: signatures.collect(),
    }
}

/// A polka certificate of the core for the wire and the log.
pub(super) fn wire_polka_certificate(
    certificate: &core::PolkaCertificate<LedgerContext>,
) -> Option<PolkaCertificate> {
    let prevotes = certificate.polka_signatures.iter();
    Some(PolkaCertificate {
        height: certificate.height.0,
        round: round_of(certificate.round)?,
        block: certificate.value_id,
        prevotes: prevotes.map(|polka| (polka.address.0, polka.signature.0)).collect(),
    })
}

/// A received round certificate for the core.
pub(super) fn core_round_certificate(
    certificate: &RoundCertificate,
) -> core::RoundCertificate<LedgerContext> {
    let signatures = certificate.votes.iter().map(|vote| {
        let kind = match vote.kind {
            VoteKind::Prevote => VoteType::Prevote,
            VoteKind::Precommit => VoteType::Precommit,
        };
        let value = vote.block.map_or(NilOrVal::Nil, NilOrVal::Val);
        core::RoundSignature::new(kind, value, CoreAddress(vote.voter), CoreSignature(vote.signature))
    });
    core::RoundCertificate {
        height: CoreHeight(certificate.height),
        round: core_round(certificate.round),
        cert_type: match certificate.kind {
            RoundCertificateKind::Skip => core::RoundCertificateType::Skip,
            RoundCertificateKind::Precommit => core::RoundCertificateType::Precommit,
        },
        round_signatures: signatures.collect(),
    }
}

/// A round certificate of the core for the wire.
pub(super) fn wire_round_certificate(
    certificate: &core::RoundCertificate<LedgerContext>,
) -> Option<RoundCertificate> {
    let votes = certificate.round_signatures.iter().map(|vote| RoundVote {
        kind: match vote.vote_type {
            VoteType::Prevote => VoteKind::Prevote,
            VoteType::Precommit => VoteKind::Precommit,
        },
        block: match vote.value_id {
            NilOrVal::Nil => None,
            NilOrVal::Val(block) => Some(block),
        },
        voter: vote.address.0,
        signature: vote.signature.0,
    });
    Some(RoundCertificate {
        height: certificate.height.0,
        round: round_of(certificate.round)?,
        kind: match certificate.cert_type {
            core::RoundCertificateType::Skip => RoundCertificateKind::Skip,
            core::RoundCertificateType::Precommit => RoundCertificateKind::Precommit,
        },
        votes: votes.collect(),
    })
}
