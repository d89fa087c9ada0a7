use super::*;
use crate::testing::TestKey;

fn network() -> Digest {
    Digest::of(Purpose::Genesis, b"network")
}

fn key(index: usize) -> TestKey {
    TestKey::of(&format!("validator-{index}"))
}

/// Validators 0, 1, … of these weights.
fn roster(weights: &[u64]) -> Roster {
    let validator = |(index, weight): (usize, &u64)| Validator {
        org: format!("org-{index}").parse().unwrap(),
        node: TestKey::of(&format!("node-{index}")).public(),
        consensus: key(index).public(),
        weight: Weight::new(*weight),
    };
    Roster::new(weights.iter().enumerate().map(validator).collect())
}

/// A certificate with the precommits of these validators.
fn signed_by(signers: &[usize]) -> Certificate {
    let block = Digest::of_artefact(b"block");
    let statement = VoteStatement {
        kind: VoteKind::Precommit,
        height: Height::new(7),
        round: Round::new(2),
        block: Some(block),
    };
    let message = statement.signing_message(network());
    Certificate {
        height: statement.height,
        round: statement.round,
        block,
        precommits: signers.iter().map(|index| (key(*index).public(), key(*index).sign(message))).collect(),
    }
}

#[test]
fn two_thirds_are_no_quorum_and_one_more_is() {
    for (part, total, expected) in [
        (0, 0, false),
        (0, 1, false),
        (1, 1, true),
        (2, 3, false),
        (3, 3, true),
        (2, 4, false),
        (3, 4, true),
        (4, 6, false),
        (5, 6, true),
        (66, 99, false),
        (67, 99, true),
        (66, 100, false),
        (67, 100, true),
        (u64::MAX / 3 * 2, u64::MAX, false),
        (u64::MAX / 3 * 2 + 1, u64::MAX, true),
    ] {
        assert_eq!(is_quorum(Weight::new(part), Weight::new(total)), expected, "{part} of {total}");
    }
}

#[test]
fn a_certificate_needs_more_than_two_thirds_of_the_weight_and_not_of_the_heads() {
    let verify = |weights: &[u64], signers: &[usize]| {
        let (roster, certificate) = (roster(weights), signed_by(signers));
        let whole = certificate.verify(network(), &roster);
        assert_eq!(certificate.verify_shape(&roster), whole);
        whole
    };
    assert_eq!(verify(&[1, 1, 1, 1], &[0, 1, 3]), Ok(()));
    assert_eq!(verify(&[1, 1, 5, 1], &[0, 2]), Ok(()));
    let missing = |signed, total| {
        let (signed, total) = (Weight::new(signed), Weight::new(total));
        Err(CertificateError::Weight { height: Height::new(7), signed, total })
    };
    assert_eq!(verify(&[1, 1, 1, 1], &[1, 2]), missing(2, 4));
    assert_eq!(verify(&[1, 1, 1], &[0, 2]), missing(2, 3));
    assert_eq!(verify(&[1, 1, 5, 1], &[0, 1, 3]), missing(3, 8));
    assert_eq!(verify(&[1, 1, 1, 1], &[]), missing(0, 4));
}

#[test]
fn a_stranger_on_a_certificate_is_named_also_beside_a_quorum() {
    let stranger = Err(CertificateError::Stranger { key: key(4).public(), height: Height::new(7) });
    let (roster, certificate) = (roster(&[1, 1, 1, 1]), signed_by(&[0, 1, 2, 4]));
    assert_eq!(certificate.verify_shape(&roster), stranger);
    assert_eq!(certificate.verify(network(), &roster), stranger);
}

#[test]
fn each_signature_is_of_this_block_height_round_and_network() {
    let roster = roster(&[1, 1, 1, 1]);
    let whole = signed_by(&[0, 1, 2]);
    assert_eq!(whole.signed(network()).count(), 3);
    assert!(whole.signed(network()).all(|signed| signed.verify().is_ok()));
    let refused = |certificate: &Certificate, network| {
        assert_eq!(certificate.verify_shape(&roster), Ok(()));
        let verified = certificate.verify(network, &roster);
        assert!(matches!(verified, Err(CertificateError::Signature { .. })), "{verified:?}");
    };
    refused(&Certificate { height: Height::new(8), ..whole.clone() }, network());
    refused(&Certificate { round: Round::new(3), ..whole.clone() }, network());
    refused(&Certificate { block: Digest::of_artefact(b"another"), ..whole.clone() }, network());
    refused(&whole, Digest::of(Purpose::Genesis, b"another network"));
    let mut exchanged = whole;
    let of_another = exchanged.precommits[&key(0).public()];
    exchanged.precommits.insert(key(1).public(), of_another);
    refused(&exchanged, network());
}
