//! Owns the exchange of heads: what other nodes say is final, to notice when two of them are shown two histories.
//!
//! A head is a certificate. Refuses heads that prove nothing, and keeps a bounded window of the rest.

use std::collections::BTreeMap;

use althing_contracts::{
    certificate::{Certificate, CertificateError},
    digest::Digest,
    quantity::Height,
    signature::PublicKey,
};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::rosters::{Judged, Rosters};

/// Heights kept: gossip shows recent heads, and older ones are on the witness list.
pub const HEADS_MAX: usize = 1_024;
/// Largest head in bytes: a certificate of 100 validators.
pub const HEAD_LEN_MAX: usize = super::bundle::CERTIFICATE_LEN_MAX;

/// Two certified blocks at one height.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SplitView {
    /// One of them.
    pub first: Certificate,
    /// The other.
    pub second: Certificate,
}

impl SplitView {
    /// Puts two certificates of different blocks in one order, whichever was seen first.
    #[must_use]
    pub fn new(one: Certificate, other: Certificate) -> Self {
        let (first, second) = if one.block <= other.block { (one, other) } else { (other, one) };
        Self { first, second }
    }

    /// The validators that signed both; when the rounds are equal too, each is proven to have signed twice.
    pub fn signers_of_both(&self) -> impl Iterator<Item = PublicKey> + '_ {
        self.first.precommits.keys().copied().filter(|key| self.second.precommits.contains_key(key))
    }
}

/// What an observed head is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// It agrees with everything known.
    Agrees,
    /// It is below the window; nothing is known about it here.
    Old,
    /// Who decides its height is not known here.
    Unknown,
    /// Another block is certified at its height.
    Split(Box<SplitView>),
}

/// The heads of a window of heights.
#[derive(Debug, Default)]
pub struct HeadBook {
    certificates: BTreeMap<Height, Certificate>,
}

impl HeadBook {
    /// Takes a head that somebody shows. Equal blocks cost no verification.
    ///
    /// # Errors
    /// The certificate proves nothing; whoever sent it is to blame.
    pub fn observe(
        &mut self,
        network: Digest,
        rosters: &Rosters,
        shown: Certificate,
    ) -> Result<Observed, CertificateError> {
        match self.certificates.get(&shown.height) {
            Some(known) if known.block == shown.block => return Ok(Observed::Agrees),
            None if self.is_below_window(shown.height) => return Ok(Observed::Old),
            _ if rosters.judge(network, &shown)? == Judged::Unknown => return Ok(Observed::Unknown),
            _ => {}
        }
        let Some(known) = self.certificates.get(&shown.height) else {
            self.remember(shown);
            return Ok(Observed::Agrees);
        };
        Ok(Observed::Split(Box::new(SplitView::new(known.clone(), shown))))
    }

    /// Takes the certificate of a block that this auditor re-applied. A head that a peer showed before stays
    /// and is returned when it is of another block.
    pub fn settle(&mut self, own: &Certificate) -> Option<SplitView> {
        match self.certificates.get(&own.height) {
            Some(known) if known.block != own.block => Some(SplitView::new(own.clone(), known.clone())),
            Some(_) => None,
            None => {
                if !self.is_below_window(own.height) {
                    self.remember(own.clone());
                }
                None
            }
        }
    }

    /// The certificate known for a height.
    #[must_use]
    pub fn get(&self, height: Height) -> Option<&Certificate> {
        self.certificates.get(&height)
    }

    fn is_below_window(&self, height: Height) -> bool {
        self.certificates.len() >= HEADS_MAX
            && self.certificates.first_key_value().is_some_and(|(lowest, _)| height < *lowest)
    }

    fn remember(&mut self, certificate: Certificate) {
        self.certificates.insert(certificate.height, certificate);
        if self.certificates.len() > HEADS_MAX {
            self.certificates.pop_first();
        }
    }
}
