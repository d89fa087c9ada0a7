//! Owns the rosters of the two heights and what they decide: quorums, and certificates with real signatures.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use althing_contracts::{
    certificate::{Certificate, Roster, Validator, VoteKind, VoteStatement, is_quorum},
    digest::{Digest, Purpose},
    name::OrgId,
    quantity::{Height, Round, Weight},
    signature::{PublicKey, Signature},
    testing::{TestKey, consensus_key, node_key},
};

use super::Value;

pub(super) const VALIDATORS: usize = 5;
/// The fourth is Byzantine at both heights.
pub(super) const HONEST: [bool; VALIDATORS] = [true, true, true, false, true];
const NAMES: [&str; VALIDATORS] = ["acme", "birch", "cedar", "delta", "elm"];
/// Weight of each validator at each height: cedar leaves, elm comes and weighs as much as the three others.
const WEIGHTS: [[u64; VALIDATORS]; 2] = [[1, 1, 1, 1, 0], [1, 1, 0, 1, 3]];
/// Whose turn it is to propose, in each round of each height.
const PROPOSERS: [[usize; 3]; 2] = [[3, 0, 1], [4, 3, 0]];

/// Names a certificate: height, round, value, and a bit for each signer.
type CertificateKey = (usize, usize, Value, u8);

/// The validators of the two heights.
pub(super) struct Committees {
    network: Digest,
    rosters: [Roster; 2],
    keys: [TestKey; VALIDATORS],
    signatures: BTreeMap<(usize, usize, usize, Value), Signature>,
    /// Certificates that were verified, by name.
    verdicts: RwLock<BTreeMap<CertificateKey, bool>>,
}

impl Committees {
    /// Signs every precommit that anyone could send.
    pub(super) fn new(rounds: usize) -> Self {
        let network = Digest::of(Purpose::Evidence, b"a network of the model");
        let keys = NAMES.map(consensus_key);
        let mut signatures = BTreeMap::new();
        for (validator, key) in keys.iter().enumerate() {
            for height in 0..2 {
                for (round, value) in (0..rounds).flat_map(|round| [(round, 0), (round, 1)]) {
                    let message = statement(height, round, value).signing_message(network);
                    signatures.insert((validator, height, round, value), key.sign(message));
                }
            }
        }
        let rosters = WEIGHTS.map(|weights| roster(&weights));
        Self { network, rosters, keys, signatures, verdicts: RwLock::default() }
    }

    pub(super) fn is_member(&self, height: usize, validator: usize) -> bool {
        self.rosters[height].by_consensus_key(self.key(validator)).is_some()
    }

    pub(super) const fn proposer(height: usize, round: usize) -> usize {
        PROPOSERS[height][round]
    }

    /// Whether those who say so, with the Byzantine validator, are more than two thirds of the weight.
    pub(super) fn is_quorum(&self, height: usize, says: impl Fn(usize) -> bool) -> bool {
        is_quorum(self.weight(height, says), self.rosters[height].total_weight())
    }

    /// Whether they are more than one third: at least one of them is honest.
    pub(super) fn is_third(&self, height: usize, says: impl Fn(usize) -> bool) -> bool {
        let total = self.rosters[height].total_weight();
        self.weight(height, says).get() * 3 > total.get()
    }

    /// Whether a certificate of everyone who signed, with the Byzantine validator, proves the block.
    pub(super) fn is_certified(
        &self,
        height: usize,
        round: usize,
        value: Value,
        signed: impl Fn(usize) -> bool,
    ) -> bool {
        let signers = (0..VALIDATORS).filter(|validator| signed(*validator) || !HONEST[*validator]);
        let mask = signers.fold(0, |mask, validator| mask | 1 << validator);
        let name = (height, round, value, mask);
        let known = self.verdicts.read().unwrap_or_else(PoisonError::into_inner).get(&name).copied();
        known.unwrap_or_else(|| {
            let proven = self.certificate(name).verify(self.network, &self.rosters[height]).is_ok();
            self.verdicts.write().unwrap_or_else(PoisonError::into_inner).insert(name, proven);
            proven
        })
    }

    fn certificate(&self, (height, round, value, mask): CertificateKey) -> Certificate {
        let statement = statement(height, round, value);
        let signers = (0..VALIDATORS).filter(|validator| mask & (1 << validator) != 0);
        let precommits = signers
            .map(|validator| (self.key(validator), self.signatures[&(validator, height, round, value)]))
            .collect();
        let block = statement.block.expect("the model's precommits of a certificate name a block");
        Certificate { height: statement.height, round: statement.round, block, precommits }
    }

    fn weight(&self, height: usize, says: impl Fn(usize) -> bool) -> Weight {
        let roster = &self.rosters[height];
        let says = (0..VALIDATORS).filter(|validator| says(*validator) || !HONEST[*validator]);
        let members = says.filter_map(|validator| roster.by_consensus_key(self.key(validator)));
        members.fold(Weight::ZERO, |sum, member| sum.saturating_add(member.weight))
    }

    fn key(&self, validator: usize) -> PublicKey {
        self.keys[validator].public()
    }
}

fn statement(height: usize, round: usize, value: Value) -> VoteStatement {
    let block = Digest::of_object(Purpose::Header, &(height as u64, value));
    let number = |index: usize| u64::try_from(index).expect("a small index");
    VoteStatement {
        kind: VoteKind::Precommit,
        height: Height::new(number(height) + 1),
        round: Round::new(u32::try_from(round).expect("a small index")),
        block: Some(block),
    }
}

fn roster(weights: &[u64; VALIDATORS]) -> Roster {
    let present = NAMES.iter().zip(weights).filter(|(_, weight)| **weight > 0);
    let validators = present.map(|(name, weight)| Validator {
        org: OrgId::new(name).expect("a sound name"),
        node: node_key(name).public(),
        consensus: consensus_key(name).public(),
        weight: Weight::new(*weight),
    });
    Roster::new(validators.collect())
}
