//! Owns the verification of the core's certificates: every signer on the roster and counted once, every signature
//! valid, enough weight. Refuses a certificate as a whole.

use std::collections::BTreeSet;

use althing_contracts::{digest::Digest, signature::Signed};
use malachite_types::{
    CertificateError, CommitCertificate, Context as _, NilOrVal, PolkaCertificate, RoundCertificate,
    RoundCertificateType, ThresholdParam, ThresholdParams, Validator as _, ValidatorSet as _, VoteType,
};

use super::{
    context::{CoreAddress, CoreRoster, CoreSignature, CoreVote, LedgerContext},
    verdicts::Verdicts,
};

type Verified = Result<(), CertificateError<LedgerContext>>;

/// Verifies certificates against a roster in a network.
pub(super) struct CertificateCheck<'a> {
    pub(super) network: Digest,
    pub(super) roster: &'a CoreRoster,
    pub(super) thresholds: ThresholdParams,
    pub(super) verdicts: &'a Verdicts,
}

impl CertificateCheck<'_> {
    /// More than two thirds precommitted one block.
    pub(super) fn commit(mut self, certificate: &CommitCertificate<LedgerContext>) -> Verified {
        let (height, round) = (certificate.height, certificate.round);
        let votes = certificate.commit_signatures.iter().map(|commit| {
            let value = NilOrVal::Val(certificate.value_id);
            (LedgerContext.new_precommit(height, round, value, commit.address), commit.signature)
        });
        self.votes(votes, self.thresholds.quorum)
    }

    /// More than two thirds prevoted one block.
    pub(super) fn polka(mut self, certificate: &PolkaCertificate<LedgerContext>) -> Verified {
        let (height, round) = (certificate.height, certificate.round);
        let votes = certificate.polka_signatures.iter().map(|polka| {
            let value = NilOrVal::Val(certificate.value_id);
            (LedgerContext.new_prevote(height, round, value, polka.address), polka.signature)
        });
        self.votes(votes, self.thresholds.quorum)
    }

    /// Enough validators are in the round, or through with it.
    pub(super) fn round(mut self, certificate: &RoundCertificate<LedgerContext>) -> Verified {
        let threshold = match certificate.cert_type {
            RoundCertificateType::Precommit => self.thresholds.quorum,
            RoundCertificateType::Skip => self.thresholds.honest,
        };
        let foreign = certificate.round_signatures.iter().find(|vote| {
            certificate.cert_type == RoundCertificateType::Precommit && vote.vote_type == VoteType::Prevote
        });
        if let Some(foreign) = foreign {
            return Err(CertificateError::InvalidVoteType(foreign.address));
        }
        let signatures = certificate.votes(&LedgerContext).map(|vote| (vote.message, vote.signature));
        self.votes(signatures, threshold)
    }

    fn votes(
        &mut self,
        votes: impl Iterator<Item = (CoreVote, CoreSignature)>,
        threshold: ThresholdParam,
    ) -> Verified {
        let mut signers = BTreeSet::new();
        let mut weight = 0_u64;
        for (vote, signature) in votes {
            let signer = CoreAddress(vote.voter());
            let validator =
                self.roster.get_by_address(&signer).ok_or(CertificateError::UnknownValidator(signer))?;
            if !signers.insert(signer) {
                return Err(CertificateError::DuplicateVote(signer));
            }
            let is_valid = |signed: Signed| self.verdicts.check(&signed);
            if !vote.signed(signature, self.network).is_some_and(is_valid) {
                return Err(CertificateError::VerificationError(None));
            }
            weight = weight.saturating_add(validator.voting_power());
        }
        let total = self.roster.total_voting_power();
        if threshold.is_met(weight, total) {
            return Ok(());
        }
        let expected = threshold.min_expected(total);
        Err(CertificateError::NotEnoughVotingPower { signed: weight, total, expected })
    }
}
