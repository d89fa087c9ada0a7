//! Owns the answers to the core's effects: what is logged, signed, verified, timed and sent.
//!
//! The core takes an error of its effect handler for something to log and continues; a fault is therefore kept
//! here, everything after it is refused, and [`super::driver::Driver`] stops with it.

use std::collections::BTreeSet;

use althing_contracts::{certificate::Certificate, quantity::Height, signature::PublicKey};
use malachite_core::{
    ConsensusMsg, Effect, Input, LivenessMsg, Resumable, Resume, SignedConsensusMsg, VoteExtensionError,
};
use malachite_types::{CommitCertificate, PublicKey as CorePublicKey, SignedMessage, ThresholdParams};

use super::{
    certificates::CertificateCheck,
    context::{
        CoreProposal, CoreRoster, CoreSignature, CoreVote, LedgerContext, round_of, wire_proposal, wire_vote,
    },
    convert::{logged_input, wire_polka_certificate, wire_round_certificate},
    driver::{Act, DriverConfig, DriverFault, EntryLog},
    entry::ConsensusEntry,
    guard::SigningGuard,
    timers::Timers,
};
use crate::{failpoint, ledger::wire::Message};

/// What the core's effects act on.
pub(super) struct Effects {
    config: DriverConfig,
    pub(super) guard: SigningGuard,
    pub(super) timers: Timers,
    pub(super) acts: Vec<Act>,
    pub(super) fault: Option<DriverFault>,
    /// Entries that are being replayed and are not logged again.
    pub(super) replayed: BTreeSet<Vec<u8>>,
    decided: bool,
}

impl Effects {
    pub(super) fn new(config: DriverConfig) -> Self {
        let timers = Timers::new(config.timeouts);
        Self {
            config,
            guard: SigningGuard::default(),
            timers,
            acts: Vec::new(),
            fault: None,
            replayed: BTreeSet::new(),
            decided: false,
        }
    }

    /// This validator's public key.
    pub(super) const fn public(&self) -> PublicKey {
        self.config.key.public()
    }

    /// Prepares for a height.
    pub(super) fn enter(&mut self, height: Height) {
        self.guard.enter(height);
        self.timers.clear();
    }

    /// Whether a block was decided since the last call.
    pub(super) fn take_decided(&mut self) -> bool {
        std::mem::take(&mut self.decided)
    }

    /// Handles one effect. Never an error: the core would go on as if nothing had happened.
    #[expect(clippy::unnecessary_wraps, reason = "the core's macro expects a result of its handler")]
    pub(super) fn handle(
        &mut self,
        now_us: u64,
        effect: Effect<LedgerContext>,
        log: &mut dyn EntryLog,
    ) -> Result<Resume<LedgerContext>, std::convert::Infallible> {
        Ok(match effect {
            Effect::SignVote(vote, resume) => match self.sign_vote(&vote) {
                Some(signature) => resume.resume_with(SignedMessage::new(vote, signature)),
                None => Resume::Continue,
            },
            Effect::SignProposal(proposal, resume) => match self.sign_proposal(&proposal) {
                Some(signature) => resume.resume_with(SignedMessage::new(proposal, signature)),
                None => Resume::Continue,
            },
            Effect::VerifySignature(message, key, resume) => resume.resume_with(self.verify(&message, key)),
            Effect::VerifyCommitCertificate(certificate, roster, thresholds, resume) => {
                resume.resume_with(self.check(&roster, thresholds).commit(&certificate))
            }
            Effect::VerifyExtendedCommitCertificate(certificate, roster, thresholds, _, resume) => {
                let certificate = certificate.trim_vote_extensions();
                resume.resume_with(self.check(&roster, thresholds).commit(&certificate))
            }
            Effect::VerifyPolkaCertificate(certificate, roster, thresholds, resume) => {
                resume.resume_with(self.check(&roster, thresholds).polka(&certificate))
            }
            Effect::VerifyRoundCertificate(certificate, roster, thresholds, resume) => {
                resume.resume_with(self.check(&roster, thresholds).round(&certificate))
            }
            Effect::ExtendVote(_, _, _, _, resume) => resume.resume_with(None),
            Effect::VerifyVoteExtension(_, _, _, _, _, _, resume) => {
                resume.resume_with(Err(VoteExtensionError::InvalidVoteExtension))
            }
            order => {
                self.obey(now_us, order, log);
                Resume::Continue
            }
        })
    }

    /// Carries out an effect that the core expects no answer to.
    fn obey(&mut self, now_us: u64, order: Effect<LedgerContext>, log: &mut dyn EntryLog) {
        match order {
            Effect::CancelAllTimeouts(_) => self.timers.clear(),
            Effect::CancelTimeout(timeout, _) => self.timers.cancel(timeout),
            Effect::ScheduleTimeout(timeout, _) => self.timers.schedule(now_us, timeout),
            Effect::StartRound(_, round, _, _, _) => {
                self.acts.extend(round_of(round).map(|round| Act::RoundStarted { round }));
            }
            Effect::PublishConsensusMsg(message, _) => self.publish(&message),
            Effect::PublishLivenessMsg(message, _) => self.publish_liveness(&message),
            Effect::RepublishVote(vote, _) => {
                self.acts.extend(wire_vote(&vote).map(Message::Vote).map(Act::Rebroadcast));
            }
            Effect::RepublishRoundCertificate(certificate, _) => {
                let message = wire_round_certificate(&certificate).map(Message::RoundCertificate);
                self.acts.extend(message.map(Act::Rebroadcast));
            }
            Effect::GetValue(height, round, _, _) => {
                self.acts.extend(round_of(round).map(|round| Act::NeedBlock { height: height.0, round }));
            }
            Effect::RestreamProposal(_, round, _, _, block, _) => {
                self.acts.extend(round_of(round).map(|round| Act::Restream { round, block }));
            }
            Effect::WalAppend(height, input, _) => self.append(height.0, &input, log),
            Effect::Decide(certificate, _, _) => self.decide(&certificate),
            // Blocks of others are followed outside the core, and evidence is found by the ledger's own detector.
            _ => {}
        }
    }

    fn publish(&mut self, message: &SignedConsensusMsg<LedgerContext>) {
        let message = match message {
            SignedConsensusMsg::Vote(vote) => wire_vote(vote).map(Message::Vote),
            SignedConsensusMsg::Proposal(proposal) => wire_proposal(proposal).map(Message::Proposal),
        };
        self.broadcast(message);
    }

    fn publish_liveness(&mut self, message: &LivenessMsg<LedgerContext>) {
        let message = match message {
            LivenessMsg::Vote(vote) => wire_vote(vote).map(Message::Vote),
            LivenessMsg::PolkaCertificate(certificate) => {
                wire_polka_certificate(certificate).map(Message::PolkaCertificate)
            }
            LivenessMsg::SkipRoundCertificate(certificate) => {
                wire_round_certificate(certificate).map(Message::RoundCertificate)
            }
        };
        self.broadcast(message);
    }

    fn broadcast(&mut self, message: Option<Message>) {
        self.acts.extend(message.map(Act::Broadcast));
    }

    fn append(&mut self, height: Height, input: &Input<LedgerContext>, log: &mut dyn EntryLog) {
        let Some(input) = logged_input(input) else { return };
        let entry = ConsensusEntry::V1 { height, input };
        let is_replayed = !self.replayed.is_empty() && self.replayed.contains(&entry.encode());
        if self.fault.is_some() || is_replayed {
            return;
        }
        if let Err(error) = log.append_entry(&entry) {
            self.fault = Some(DriverFault::Log(error));
        }
    }

    fn sign_vote(&mut self, vote: &CoreVote) -> Option<CoreSignature> {
        let statement = vote.statement()?;
        if let Err(refused) = self.permit(|guard| guard.permit_vote(&statement)) {
            return refused;
        }
        let signed = self.config.key.sign_vote(statement, self.config.network);
        failpoint::reach("consensus.vote.signed");
        self.config.verdicts.remember(&signed.signed(self.config.network));
        Some(CoreSignature(signed.signature))
    }

    fn sign_proposal(&mut self, proposal: &CoreProposal) -> Option<CoreSignature> {
        let statement = proposal.statement()?;
        if let Err(refused) = self.permit(|guard| guard.permit_proposal(&statement)) {
            return refused;
        }
        let signed = self.config.key.sign_proposal(statement, self.config.network);
        failpoint::reach("consensus.proposal.signed");
        self.config.verdicts.remember(&signed.signed(self.config.network));
        Some(CoreSignature(signed.signature))
    }

    fn permit(
        &mut self,
        ask: impl FnOnce(&mut SigningGuard) -> Result<(), super::guard::DoubleSign>,
    ) -> Result<(), Option<CoreSignature>> {
        if self.fault.is_some() {
            return Err(None);
        }
        ask(&mut self.guard).map_err(|refused| {
            self.fault = Some(DriverFault::DoubleSign(refused));
            None
        })
    }

    fn verify(
        &mut self,
        message: &SignedMessage<LedgerContext, ConsensusMsg<LedgerContext>>,
        key: CorePublicKey<LedgerContext>,
    ) -> bool {
        let signed = match &message.message {
            ConsensusMsg::Vote(vote) => vote.signed(message.signature, self.config.network),
            ConsensusMsg::Proposal(proposal) => proposal.signed(message.signature, self.config.network),
        };
        signed.is_some_and(|signed| signed.key == key && self.config.verdicts.check(&signed))
    }

    fn check<'a>(&'a mut self, roster: &'a CoreRoster, thresholds: ThresholdParams) -> CertificateCheck<'a> {
        CertificateCheck { network: self.config.network, roster, thresholds, verdicts: &self.config.verdicts }
    }

    fn decide(&mut self, certificate: &CommitCertificate<LedgerContext>) {
        let Some(round) = round_of(certificate.round) else { return };
        let precommits = certificate.commit_signatures.iter();
        let precommits = precommits.map(|commit| (commit.address.0, commit.signature.0)).collect();
        self.decided = true;
        self.acts.push(Act::Decided(Certificate {
            height: certificate.height.0,
            round,
            block: certificate.value_id,
            precommits,
        }));
    }
}
