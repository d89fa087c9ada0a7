use super::*;
use crate::ledger::consensus::ConsensusKey;

#[test]
fn the_bytes_of_a_timeout_are_those_of_version_1() {
    let entry = ConsensusEntry::V1 {
        height: Height::new(5),
        input: LoggedInput::Timeout { step: Step::Precommit, round: Round::new(3) },
    };
    assert_eq!(hex::encode(entry.encode()), "000500000000000000020203000000");
    assert_eq!(ConsensusEntry::decode(&entry.encode()).unwrap(), entry);
}

#[test]
fn the_bytes_of_a_judged_block_are_those_of_version_1() {
    let entry = ConsensusEntry::V1 {
        height: Height::new(5),
        input: LoggedInput::Judged(JudgedBlock {
            height: Height::new(5),
            round: Round::new(1),
            proposer: PublicKey::Ed25519([2; 32]),
            block: Digest::from_bytes([3; 32]),
            valid: true,
        }),
    };
    let expected = format!(
        "00050000000000000003050000000000000001000000{}{}01",
        format_args!("00{}", "02".repeat(32)),
        "03".repeat(32)
    );
    assert_eq!(hex::encode(entry.encode()), expected);
}

#[test]
fn an_entry_with_a_round_that_is_never_written_is_refused() {
    let entry = ConsensusEntry::V1 {
        height: Height::new(5),
        input: LoggedInput::Timeout { step: Step::Propose, round: ROUND_MAX.next() },
    };
    assert!(matches!(ConsensusEntry::decode(&entry.encode()), Err(EntryError::Round { .. })));
    assert!(matches!(ConsensusEntry::decode(&[9]), Err(EntryError::Decode(_))));
}

#[test]
fn the_largest_polka_certificate_fits_into_an_entry() {
    let key = ConsensusKey::from_seed([1; 32]);
    let statement = althing_contracts::certificate::VoteStatement {
        kind: althing_contracts::certificate::VoteKind::Prevote,
        height: Height::new(1),
        round: Round::ZERO,
        block: None,
    };
    let signature = key.sign_vote(statement, Digest::ZERO).signature;
    let polka = PolkaCertificate {
        height: Height::new(1),
        round: Round::ZERO,
        block: Digest::ZERO,
        prevotes: vec![(key.public(), signature); CERTIFICATE_SIGNATURES_MAX],
    };
    let entry = ConsensusEntry::V1 { height: Height::new(1), input: LoggedInput::PolkaCertificate(polka) };
    assert!(ConsensusEntry::decode(&entry.encode()).is_ok());
}
