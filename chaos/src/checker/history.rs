//! Owns what the blocks say: the chain, and the story of each proposal in the order of its transactions.

use std::collections::{BTreeMap, BTreeSet};

use althing_contracts::{
    block::Block,
    certificate::{VoteKind, VoteStatement},
    constitution::Track,
    digest::Digest,
    document::{ProposalDocument, StepDocument},
    name::MemberId,
    quantity::{Fence, Height, Revision, TimeMs},
    role::Role,
    signature::Signed,
    transaction::{Call, ProposalId, StepOutcome, TransactionId, UnverifiedTransaction, VerifiedTransaction},
};

use super::{Evidence, Findings, Invariant, rules::Version};

/// The blocks as stories.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) stories: BTreeMap<ProposalId, Story>,
    /// Every transaction with its sender and role, in order.
    pub(super) transactions: Vec<Entry>,
    /// What voters have said about who speaks for them, in order.
    pub(super) voices: Vec<Voice>,
    /// Each change of the constitution's version.
    pub(super) versions: Vec<Version>,
    /// When each block was.
    pub(super) times: BTreeMap<Height, TimeMs>,
    /// What was said about emergencies, in order.
    pub(super) alerts: Vec<Alert>,
    /// How often each transaction is in a block.
    counts: BTreeMap<TransactionId, usize>,
}

/// A transaction in its block.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: TransactionId,
    pub(super) sender: MemberId,
    pub(super) role: Role,
    pub(super) at: StepMark,
}

/// What a guardian said about an emergency.
#[derive(Debug)]
pub(super) struct Alert {
    pub(super) guardian: MemberId,
    pub(super) call: Call,
    pub(super) at: StepMark,
}

/// What a voter has said about who speaks for it.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) voter: MemberId,
    /// On one track, or on all.
    pub(super) track: Option<Track>,
    /// Who, and until when; nobody when it is taken back.
    pub(super) to: Option<(MemberId, TimeMs)>,
    pub(super) height: Height,
    pub(super) time: TimeMs,
}

/// What happened to one proposal.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) editions: Vec<Edition>,
    pub(super) ballots: Vec<Ballot>,
    pub(super) claims: Vec<StepMark>,
    pub(super) receipts: Vec<Receipt>,
    pub(super) reviews: Vec<Review>,
    pub(super) is_vetoed: bool,
    pub(super) signatures: Vec<Cosignature>,
}

/// One revision.
#[derive(Debug)]
pub(super) struct Edition {
    pub(super) author: MemberId,
    pub(super) document: ProposalDocument,
    pub(super) height: Height,
    pub(super) time: TimeMs,
}

/// One review.
#[derive(Debug)]
pub(super) struct Review {
    pub(super) reviewer: MemberId,
    pub(super) revision: Revision,
    pub(super) is_for: bool,
    pub(super) time: TimeMs,
}

/// One ballot.
#[derive(Debug)]
pub(super) struct Ballot {
    pub(super) voter: MemberId,
    pub(super) revision: Revision,
    pub(super) choice: althing_contracts::transaction::Choice,
    pub(super) time: TimeMs,
}

/// A guardian's signature under a decision.
#[derive(Debug)]
pub(super) struct Cosignature {
    pub(super) guardian: MemberId,
    pub(super) revision: Revision,
    pub(super) time: TimeMs,
}

/// A step at a height.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepMark {
    pub(super) step: u16,
    pub(super) height: Height,
    pub(super) time: TimeMs,
}

/// What became of a step, as its executor says.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) at: StepMark,
    pub(super) fence: Fence,
    pub(super) outcome: StepOutcome,
}

impl Story {
    /// A step, by the last revision.
    pub(super) fn planned(&self, step: u16) -> Option<&StepDocument> {
        self.editions.last()?.document.steps().nth(usize::from(step)).map(|(_, step)| step)
    }
}

impl History {
    /// Reads the blocks; what is no chain is found at once.
    pub(super) fn read(evidence: &Evidence<'_>, findings: &mut Findings) -> Self {
        let mut history = Self::default();
        let network = evidence.genesis.network();
        let (mut parent, mut height, mut time) = (Digest::ZERO, Height::ZERO, evidence.genesis.time);
        let mut constitution = evidence.genesis.constitution.version;
        for certified in evidence.blocks {
            let block = match Block::decode(&certified.block) {
                Ok(block) => block,
                Err(error) => {
                    findings.add(Invariant::Chain, format!("the block after height {height}: {error}"));
                    return history;
                }
            };
            let (header, digest) = (block.header(), block.digest());
            if header.height != height.next() || header.parent != parent || header.time <= time {
                let what = format!("height {} does not follow height {height}", header.height);
                findings.add(Invariant::Chain, what);
            }
            if header.constitution != constitution {
                constitution = header.constitution;
                let at = StepMark { step: 0, height: header.height, time: header.time };
                history.versions.push(Version { number: constitution, at });
            }
            let certificate = &certified.certificate;
            if certificate.block != digest || certificate.height != header.height {
                let what = format!("height {}: its certificate is of another block", header.height);
                findings.add(Invariant::Chain, what);
            }
            let statement = VoteStatement {
                kind: VoteKind::Precommit,
                height: header.height,
                round: certificate.round,
                block: Some(digest),
            };
            // One signature of each certificate, another one at each height: a run has hundreds of heights.
            let nth = usize::try_from(header.height.get()).unwrap_or(0) % certificate.precommits.len().max(1);
            if let Some((key, signature)) = certificate.precommits.iter().nth(nth) {
                let message = statement.signing_message(network);
                if (Signed { key: *key, message, signature: *signature }).verify().is_err() {
                    findings.add(Invariant::Chain, format!("height {}: {key} did not sign", header.height));
                }
            }
            (parent, height, time) = (digest, header.height, header.time);
            history.times.insert(height, time);
            for bytes in block.transactions() {
                match UnverifiedTransaction::decode(bytes, network) {
                    Ok(transaction) => {
                        let transaction = transaction.assume_verified();
                        if transaction.body().not_after < time {
                            findings.add(
                                Invariant::Ballots,
                                format!("height {height} has an outdated transaction"),
                            );
                        }
                        history.take(&transaction, height, time, network);
                    }
                    Err(error) => findings.add(Invariant::Chain, format!("height {height}: {error}")),
                }
            }
        }
        history
    }

    fn take(&mut self, transaction: &VerifiedTransaction, height: Height, time: TimeMs, network: Digest) {
        let (id, body) = (transaction.id(), transaction.body());
        *self.counts.entry(id).or_default() += 1;
        let mark = |step: u16| StepMark { step, height, time };
        self.transactions.push(Entry { id, sender: body.sender.clone(), role: body.role, at: mark(0) });
        let edition = |document: &ProposalDocument| Edition {
            author: body.sender.clone(),
            document: document.clone(),
            height,
            time,
        };
        match &body.call {
            Call::Submit { document, .. } => {
                let id = ProposalId::derive(network, &body.sender, body.sequence, document.digest());
                self.stories.entry(id).or_default().editions.push(edition(document));
            }
            Call::Revise { proposal, document, .. } => {
                self.stories.entry(*proposal).or_default().editions.push(edition(document));
            }
            Call::Vote { proposal, revision, choice, .. } => {
                let ballot =
                    Ballot { voter: body.sender.clone(), revision: *revision, choice: *choice, time };
                self.stories.entry(*proposal).or_default().ballots.push(ballot);
            }
            Call::VoteBatch { editions, choice } => {
                for edition in editions {
                    let (voter, revision) = (body.sender.clone(), edition.revision);
                    let ballots = &mut self.stories.entry(edition.proposal).or_default().ballots;
                    // What the voter has said before of one of them it says again, and it counts once.
                    let same =
                        |it: &Ballot| (&it.voter, it.revision, it.choice) == (&voter, revision, *choice);
                    if !ballots.iter().any(same) {
                        ballots.push(Ballot { voter, revision, choice: *choice, time });
                    }
                }
            }
            Call::Review { proposal, revision, verdict, .. } => {
                let is_for = *verdict == althing_contracts::transaction::ReviewVerdict::Approve;
                let review = Review { reviewer: body.sender.clone(), revision: *revision, is_for, time };
                self.stories.entry(*proposal).or_default().reviews.push(review);
            }
            Call::Claim { proposal, step } => {
                self.stories.entry(*proposal).or_default().claims.push(mark(*step));
            }
            Call::Receipt { proposal, step, fence, outcome, .. } => {
                let receipt = Receipt { at: mark(*step), fence: *fence, outcome: outcome.clone() };
                self.stories.entry(*proposal).or_default().receipts.push(receipt);
            }
            Call::Cosign { proposal, revision, .. } => {
                let signature = Cosignature { guardian: body.sender.clone(), revision: *revision, time };
                self.stories.entry(*proposal).or_default().signatures.push(signature);
            }
            Call::DeclareEmergency { .. } | Call::SignEmergency { .. } | Call::EndEmergency { .. } => {
                let (guardian, call) = (body.sender.clone(), body.call.clone());
                self.alerts.push(Alert { guardian, call, at: mark(0) });
            }
            Call::Delegate { track, to, expires } => {
                let (voter, to) = (body.sender.clone(), Some((to.clone(), *expires)));
                self.voices.push(Voice { voter, track: *track, to, height, time });
            }
            Call::Revoke { track } => {
                let voter = body.sender.clone();
                self.voices.push(Voice { voter, track: *track, to: None, height, time });
            }
            Call::Veto { proposal, .. } => self.stories.entry(*proposal).or_default().is_vetoed = true,
            _ => {}
        }
    }

    /// What was acknowledged is in one block; nobody votes twice on one revision.
    pub(super) fn judge_ballots(&self, acknowledged: &BTreeSet<TransactionId>, findings: &mut Findings) {
        for id in acknowledged {
            let count = self.counts.get(id).copied().unwrap_or(0);
            if count != 1 {
                findings.add(Invariant::Ballots, format!("acknowledged {id} is in {count} final blocks"));
            }
        }
        for (id, count) in self.counts.iter().filter(|(_, count)| **count > 1) {
            findings.add(Invariant::Ballots, format!("{id} is in {count} final blocks"));
        }
        for (id, story) in &self.stories {
            let mut seen = BTreeSet::new();
            for ballot in &story.ballots {
                if !seen.insert((ballot.revision, &ballot.voter)) {
                    let what =
                        format!("{} voted twice on revision {} of {id}", ballot.voter, ballot.revision);
                    findings.add(Invariant::Ballots, what);
                }
                // What the ledger opened itself has no edition in any block; there is one of it.
                if u64::from(ballot.revision.get()) > story.editions.len().max(1) as u64 {
                    let what = format!("a ballot for revision {} of {id} came before it", ballot.revision);
                    findings.add(Invariant::Ballots, what);
                }
            }
        }
    }
}
