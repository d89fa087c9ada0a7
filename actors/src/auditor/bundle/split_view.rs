//! Owns the proof that a network's validators certified two histories, which an outsider checks by the roster alone.

use althing_contracts::{certificate::CertificateError, digest::Digest, quantity::Height};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::Serialize;

use crate::{
    auditor::heads::SplitView,
    rosters::{Judged, Rosters},
};

/// A split view in a bundle. The variant is the version of the layout.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum SplitViewRecord {
    /// Version 1.
    V1(SplitView),
}

/// A split view that was proven: the network broke its promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertifiedSplit {
    /// Where.
    pub height: Height,
    /// One block.
    pub first: Digest,
    /// The other.
    pub second: Digest,
    /// Validators that signed both.
    pub signers_of_both: u64,
}

/// Why two certificates are no split view.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SplitViewFlaw {
    /// Nothing is split.
    #[error(
        "the certificates are not of two blocks at one height, the lower digest first: they prove no split view"
    )]
    Same,
    /// The blocks do not say who decides the height.
    #[error("the split view is of height {height}, whose validators do not follow from the blocks before it")]
    Unknown {
        /// Where.
        height: Height,
    },
    /// One of them proves nothing.
    #[error("a certificate of the split view proves nothing")]
    Certificate(#[source] CertificateError),
}

impl SplitViewRecord {
    pub(super) fn verify(&self, network: Digest, rosters: &Rosters) -> Result<CertifiedSplit, SplitViewFlaw> {
        let Self::V1(split) = self;
        let SplitView { first, second } = split;
        if first.height != second.height || first.block >= second.block {
            return Err(SplitViewFlaw::Same);
        }
        for certificate in [first, second] {
            let judged = rosters.judge(network, certificate).map_err(SplitViewFlaw::Certificate)?;
            if judged == Judged::Unknown {
                return Err(SplitViewFlaw::Unknown { height: first.height });
            }
        }
        Ok(CertifiedSplit {
            height: first.height,
            first: first.block,
            second: second.block,
            signers_of_both: split.signers_of_both().count() as u64,
        })
    }
}
