use althing_contracts::{
    certificate::{VoteKind, VoteStatement},
    quantity::Height,
};

use super::*;
use crate::ledger::consensus::ConsensusKey;

fn vote(round: Round) -> SignedVote {
    let statement =
        VoteStatement { kind: VoteKind::Precommit, height: Height::new(7), round, block: Some(Digest::ZERO) };
    ConsensusKey::from_seed([7; 32]).sign_vote(statement, Digest::ZERO)
}

#[test]
fn the_bytes_of_a_vote_are_those_of_version_1() {
    let bytes = LedgerMessage::encode(Message::Vote(vote(Round::new(2))));
    let prefix =
        "000001070000000000000002000000010000000000000000000000000000000000000000000000000000000000000000";
    assert_eq!(hex::encode(&bytes[..prefix.len() / 2]), prefix);
    assert_eq!(bytes.len(), prefix.len() / 2 + 33 + 65);
    assert_eq!(LedgerMessage::decode(&bytes).unwrap(), Message::Vote(vote(Round::new(2))));
}

#[test]
fn the_bytes_of_a_status_are_those_of_version_1() {
    let bytes =
        LedgerMessage::encode(Message::Status(Status { height: Height::new(258), block: Digest::ZERO }));
    assert_eq!(hex::encode(&bytes), format!("00060201000000000000{}", "00".repeat(32)));
}

#[test]
fn rounds_that_no_mesh_reaches_are_refused() {
    let bytes = LedgerMessage::encode(Message::Vote(vote(ROUND_MAX.next())));
    assert!(matches!(LedgerMessage::decode(&bytes), Err(MessageError::Round { .. })));
    assert!(LedgerMessage::decode(&LedgerMessage::encode(Message::Vote(vote(ROUND_MAX)))).is_ok());
}

#[test]
fn oversized_truncated_and_trailing_bytes_are_refused() {
    let bytes = LedgerMessage::encode(Message::Vote(vote(Round::ZERO)));
    assert!(LedgerMessage::decode(&bytes[..bytes.len() - 1]).is_err());
    assert!(LedgerMessage::decode(&[&bytes[..], &[0]].concat()).is_err());
    assert!(LedgerMessage::decode(&vec![0; MESSAGE_LEN_MAX + 1]).is_err());
    assert!(LedgerMessage::decode(&[1]).is_err());
}

#[test]
fn a_certificate_with_more_signatures_than_a_roster_has_is_refused() {
    let signature = vote(Round::ZERO).signature;
    let certificate = PolkaCertificate {
        height: Height::new(1),
        round: Round::ZERO,
        block: Digest::ZERO,
        prevotes: vec![
            (ConsensusKey::from_seed([1; 32]).public(), signature);
            CERTIFICATE_SIGNATURES_MAX + 1
        ],
    };
    let bytes = LedgerMessage::encode(Message::PolkaCertificate(certificate));
    assert!(matches!(LedgerMessage::decode(&bytes), Err(MessageError::TooMany { .. })));
}
