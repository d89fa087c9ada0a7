//! Owns the decoders of everything that comes from others or from a disk: whatever they take, they take in its one
//! encoding, and every check that follows ends in a value or an error.

use althing_actors::{
    ledger::wire::LedgerMessage,
    sync::{SyncRequest, SyncResponse},
};
use althing_contracts::{
    block::Block,
    canonical,
    certificate::{Certificate, Roster},
    digest::Digest,
    genesis::Genesis,
    state::{SNAPSHOT_LEN_MAX, State},
    testing::genesis as world_genesis,
    transaction::UnverifiedTransaction,
};

const LEN_MAX: usize = 1024 * 1024;

/// A transaction from a member or a peer.
pub fn transaction(bytes: &[u8]) {
    let network = Digest::of_artefact(b"fuzz");
    if let Ok(transaction) = UnverifiedTransaction::decode(bytes, network) {
        let again = UnverifiedTransaction::decode(bytes, network).expect("it was decoded before");
        assert_eq!(transaction, again);
        let _checked = transaction.verify();
    }
}

/// A block from a peer or the log.
pub fn block(bytes: &[u8]) {
    if let Ok(block) = Block::decode(bytes) {
        assert_eq!(block.encode(), bytes, "a block has one encoding");
        for transaction in block.transactions() {
            let _decoded = UnverifiedTransaction::decode(transaction, Digest::ZERO);
        }
    }
}

/// A certificate with a roster that it is checked against.
pub fn certificate(bytes: &[u8]) {
    if let Ok(certificate) = canonical::decode::<Certificate>(bytes, LEN_MAX) {
        assert_eq!(canonical::encode(&certificate), bytes, "a certificate has one encoding");
        let shape = certificate.verify_shape(&roster());
        let whole = certificate.verify(Digest::ZERO, &roster());
        assert!(whole.is_err() || shape.is_ok(), "what is proven has its shape");
    }
}

fn roster() -> Roster {
    Roster::clone(State::genesis(&world_genesis(4)).expect("a sound genesis").roster())
}

/// A genesis in its canonical bytes.
pub fn genesis(bytes: &[u8]) {
    if let Ok(genesis) = canonical::decode::<Genesis>(bytes, LEN_MAX) {
        assert_eq!(canonical::encode(&genesis), bytes, "a genesis has one encoding");
        let checked = genesis.check();
        assert_eq!(State::genesis(&genesis).is_ok(), checked.is_ok());
    }
}

/// A snapshot from a disk.
pub fn snapshot(bytes: &[u8]) {
    let Ok(mut state) = State::decode_snapshot(bytes) else { return };
    let encoded = state.encode_snapshot();
    assert!(encoded.len() <= SNAPSHOT_LEN_MAX);
    let mut again = State::decode_snapshot(&encoded).expect("a state's own snapshot is sound");
    assert_eq!(state.root(), again.root(), "a snapshot is the state that it was made of");
    let orders = state.orders();
    assert_eq!(orders, again.orders());
}

/// A message of a ledger node.
pub fn ledger_message(bytes: &[u8]) {
    if let Ok(message) = LedgerMessage::decode(bytes) {
        let _binding = (message.is_binding(), message.height());
        assert_eq!(LedgerMessage::encode(message), bytes, "a message has one encoding");
    }
}

/// A request for blocks, or an answer.
pub fn sync_messages(bytes: &[u8]) {
    if let Ok(request) = SyncRequest::decode(bytes) {
        assert_eq!(request.encode(), bytes, "a request has one encoding");
    }
    if let Ok(blocks) = SyncResponse::decode(bytes) {
        assert_eq!(SyncResponse::V1 { blocks }.encode(), bytes, "an answer has one encoding");
    }
}
