//! Owns the second application: blocks from genesis on, each checked against its certificate, its parent and the
//! rules, on a state of its own. Refuses the first block that does not follow.

use althing_contracts::{
    block::{Block, BlockError, Header, PROTOCOL_VERSION},
    canonical::DecodeError,
    certificate::CertificateError,
    digest::Digest,
    event::Event,
    genesis::{Genesis, GenesisError},
    invariant::View,
    ledger::{self, InvalidBlock},
    name::MemberId,
    quantity::{Height, TimeMs},
    signature::Signed,
    state::State,
    transaction::{TransactionId, UnverifiedTransaction, VerifiedTransaction},
};

use super::witness::Witness;
use crate::{ledger::message::CertifiedBlock, rosters::Rosters, signatures::are_valid};

/// A ledger as far as it was re-applied.
#[derive(Debug)]
pub struct Replay {
    state: State,
    rosters: Rosters,
    head: Head,
}

/// The last block re-applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its height; 0 at genesis.
    pub height: Height,
    /// Its digest; [`Digest::ZERO`] at genesis.
    pub digest: Digest,
    /// Its time; that of the genesis at genesis.
    pub time: TimeMs,
    /// The state root after it; [`Digest::ZERO`] at genesis.
    pub state_root: Digest,
}

/// A block that holds, with what it did.
#[derive(Debug)]
pub struct Replayed {
    /// Its header.
    pub header: Header,
    /// Its digest.
    pub digest: Digest,
    /// Its transactions in order.
    pub transactions: Vec<VerifiedTransaction>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// Why a block does not follow from those before it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The bytes do not hold together.
    #[error("the block's bytes do not hold together: no validator signed them")]
    Block(#[source] BlockError),
    /// Another height.
    #[error("the block says height {found} where {expected} is due: a block is missing, doubled or moved")]
    Height {
        /// As in the header.
        found: Height,
        /// As needed.
        expected: Height,
    },
    /// Another network.
    #[error("the block is of network {found}: it comes from another ledger")]
    Network {
        /// As in the header.
        found: Digest,
    },
    /// Other rules.
    #[error(
        "the block follows protocol {found}, this build knows {PROTOCOL_VERSION}: use a build that knows it"
    )]
    Protocol {
        /// As in the header.
        found: u16,
    },
    /// Another parent.
    #[error("the block's parent is {found}, the block before is {expected}: history branches here")]
    Parent {
        /// As in the header.
        found: Digest,
        /// The block before.
        expected: Digest,
    },
    /// Time stands still or goes back.
    #[error(
        "the block's time {found} is not after its parent's {parent}: its validators broke the time rule"
    )]
    Time {
        /// As in the header.
        found: TimeMs,
        /// Of the block before.
        parent: TimeMs,
    },
    /// A certificate of something else.
    #[error("the certificate is of block {block} at height {height}: it does not certify this block")]
    OtherCertificate {
        /// As in the certificate.
        height: Height,
        /// As in the certificate.
        block: Digest,
    },
    /// A certificate that proves nothing.
    #[error("the certificate does not prove the block final")]
    Certificate(#[source] CertificateError),
    /// A transaction that cannot be read.
    #[error("transaction {index} cannot be read")]
    Transaction {
        /// Its place in the block, from 0.
        index: usize,
        /// Why.
        source: DecodeError,
    },
    /// A transaction that its sender did not sign.
    #[error("transaction {index} ({id}) was not signed by {sender}: it is forged or was changed")]
    Signature {
        /// Its place in the block, from 0.
        index: usize,
        /// Its id.
        id: TransactionId,
        /// The sender that it names.
        sender: MemberId,
    },
    /// The rules lead elsewhere.
    #[error("the block does not follow from the rules")]
    Execution(#[source] InvalidBlock),
}

impl Replay {
    /// A state of its own at genesis.
    ///
    /// # Errors
    /// No ledger can begin with the genesis.
    pub fn begin(genesis: &Genesis) -> Result<Self, GenesisError> {
        let state = State::genesis(genesis)?;
        let head =
            Head { height: Height::ZERO, digest: Digest::ZERO, time: genesis.time, state_root: Digest::ZERO };
        Ok(Self { rosters: Rosters::after(&state), state, head })
    }

    /// Checks the next block and applies it. On an error nothing changed.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn apply(&mut self, certified: &CertifiedBlock) -> Result<Replayed, ReplayError> {
        let block = Block::decode(&certified.block).map_err(ReplayError::Block)?;
        let digest = block.digest();
        self.check_header(block.header())?;
        self.check_certificate_shape(certified, block.header().height, digest)?;
        let unverified = self.decode_transactions(&block)?;
        self.check_signatures(certified, &unverified)?;
        let transactions: Vec<_> =
            unverified.into_iter().map(UnverifiedTransaction::assume_verified).collect();
        let executed =
            ledger::execute(&self.state, block.header(), &transactions).map_err(ReplayError::Execution)?;
        let header = block.header().clone();
        self.state = executed.state;
        self.rosters.follow(&self.state);
        self.head = Head { height: header.height, digest, time: header.time, state_root: header.state_root };
        Ok(Replayed { header, digest, transactions, events: executed.events })
    }

    /// The state after the last block.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Who decided which height.
    #[must_use]
    pub const fn rosters(&self) -> &Rosters {
        &self.rosters
    }

    /// The last block.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    fn check_header(&self, header: &Header) -> Result<(), ReplayError> {
        if header.protocol != PROTOCOL_VERSION {
            return Err(ReplayError::Protocol { found: header.protocol });
        }
        if header.network != self.state.network() {
            return Err(ReplayError::Network { found: header.network });
        }
        let expected = self.head.height.next();
        if header.height != expected {
            return Err(ReplayError::Height { found: header.height, expected });
        }
        if header.parent != self.head.digest {
            return Err(ReplayError::Parent { found: header.parent, expected: self.head.digest });
        }
        if header.time <= self.head.time {
            return Err(ReplayError::Time { found: header.time, parent: self.head.time });
        }
        Ok(())
    }

    fn check_certificate_shape(
        &self,
        certified: &CertifiedBlock,
        height: Height,
        digest: Digest,
    ) -> Result<(), ReplayError> {
        let certificate = &certified.certificate;
        if certificate.height != height || certificate.block != digest {
            return Err(ReplayError::OtherCertificate {
                height: certificate.height,
                block: certificate.block,
            });
        }
        certificate.verify_shape(self.state.roster()).map_err(ReplayError::Certificate)
    }

    fn decode_transactions(&self, block: &Block) -> Result<Vec<UnverifiedTransaction>, ReplayError> {
        let network = self.state.network();
        let decode = |(index, bytes): (usize, &Vec<u8>)| {
            UnverifiedTransaction::decode(bytes, network)
                .map_err(|source| ReplayError::Transaction { index, source })
        };
        block.transactions().iter().enumerate().map(decode).collect()
    }

    /// Checks every signature of the block in one batch, and singly only to name the culprit.
    fn check_signatures(
        &self,
        certified: &CertifiedBlock,
        transactions: &[UnverifiedTransaction],
    ) -> Result<(), ReplayError> {
        let network = self.state.network();
        let precommits = certified.certificate.signed(network);
        let signed: Vec<Signed> =
            precommits.chain(transactions.iter().map(UnverifiedTransaction::signed)).collect();
        if are_valid(&signed) {
            return Ok(());
        }
        certified.certificate.verify(network, self.state.roster()).map_err(ReplayError::Certificate)?;
        let culprit = transactions.iter().enumerate().find(|(_, item)| item.signed().verify().is_err());
        match culprit {
            Some((index, item)) => Err(ReplayError::Signature {
                index,
                id: item.id(),
                sender: item.clone().assume_verified().body().sender.clone(),
            }),
            // By ZIP-215 a batch fails only when a single signature does.
            None => Ok(()),
        }
    }
}

impl Replayed {
    /// What the invariants judge, with the states around the block.
    #[must_use]
    pub fn view<'a>(&'a self, before: &'a State, after: &'a State) -> View<'a> {
        View { before, after, header: &self.header, transactions: &self.transactions, events: &self.events }
    }

    /// What the witness list keeps of the block.
    #[must_use]
    pub const fn witness(&self) -> Witness {
        Witness { height: self.header.height, digest: self.digest, state_root: self.header.state_root }
    }
}
