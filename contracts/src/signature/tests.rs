use super::*;
use crate::digest::Purpose;

/// Fixed, so that every run checks the same equation.
const ENTROPY: [u8; 32] = [9; 32];

fn key(seed: u8) -> (ed25519_zebra::SigningKey, PublicKey) {
    let secret = ed25519_zebra::SigningKey::from([seed; 32]);
    let public = PublicKey::Ed25519(secret.verification_key().into());
    (secret, public)
}

fn signed(seed: u8, bytes: &[u8], network: Digest) -> Signed {
    let (secret, key) = key(seed);
    let message = SigningMessage::new(SigningPurpose::Transaction, network, bytes);
    Signed { key, message, signature: Signature::Ed25519(secret.sign(message.as_bytes()).to_bytes()) }
}

#[test]
fn a_signature_works_in_its_own_network_and_purpose_only() {
    let network = Digest::of(Purpose::Genesis, b"one");
    let good = signed(1, b"x", network);
    assert_eq!(good.verify(), Ok(()));
    let other_network = SigningMessage::new(SigningPurpose::Transaction, Digest::ZERO, b"x");
    assert_eq!(Signed { message: other_network, ..good }.verify(), Err(SignatureError));
    let other_purpose = SigningMessage::new(SigningPurpose::Node, network, b"x");
    assert_eq!(Signed { message: other_purpose, ..good }.verify(), Err(SignatureError));
}

#[test]
fn a_batch_holds_only_when_each_signature_does() {
    let mut batch: Vec<Signed> = (0..8).map(|n| signed(n, &[n], Digest::ZERO)).collect();
    assert_eq!(verify_batch(&batch, ENTROPY), Ok(()));
    batch[3].key = batch[4].key;
    assert_eq!(verify_batch(&batch, ENTROPY), Err(SignatureError));
}

#[test]
fn keys_round_trip_as_text() {
    let (_, key) = key(7);
    assert_eq!(key.to_string().parse(), Ok(key));
    assert!("ed25519:00".parse::<PublicKey>().is_err());
    assert!("rsa:00".parse::<PublicKey>().is_err());
}

/// Every encoding of a point whose order divides eight: the canonical ones, then those that RFC 8032 forbids.
const SMALL_ORDER_ENCODINGS: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];
/// The order of the group: as a scalar it is zero, written in a way that is forbidden.
const GROUP_ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn bytes_of(digits: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).unwrap();
    bytes
}

fn crafted(key: [u8; 32], r: [u8; 32], s: [u8; 32]) -> Signed {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(&s);
    let message = SigningMessage::new(SigningPurpose::Transaction, Digest::ZERO, b"crafted");
    Signed { key: PublicKey::Ed25519(key), message, signature: Signature::Ed25519(signature) }
}

/// Asserts the verdict on a signature alone, in a batch of its own, and among honest ones.
fn assert_verdict(signed: Signed, expected: Result<(), SignatureError>) {
    assert_eq!(signed.verify(), expected, "alone: {signed:?}");
    assert_eq!(verify_batch(&[signed], ENTROPY), expected, "in a batch of its own: {signed:?}");
    let honest = |n: u8| self::signed(n, &[n], Digest::ZERO);
    let batch = [honest(1), signed, honest(2), honest(1)];
    assert_eq!(verify_batch(&batch, ENTROPY), expected, "among honest ones: {signed:?}");
}

#[test]
fn crafted_points_of_small_order_get_the_same_verdict_alone_and_in_a_batch() {
    let one = {
        let mut one = [0; 32];
        one[0] = 1;
        one
    };
    for key in SMALL_ORDER_ENCODINGS.map(bytes_of) {
        for r in SMALL_ORDER_ENCODINGS.map(bytes_of) {
            // [8][s]B = [8]R + [8][k]A: with s = 0 both sides are zero, however the points are written.
            assert_verdict(crafted(key, r, [0; 32]), Ok(()));
            assert_verdict(crafted(key, r, one), Err(SignatureError));
            assert_verdict(crafted(key, r, bytes_of(GROUP_ORDER)), Err(SignatureError));
        }
    }
}

#[test]
fn bytes_that_are_no_point_get_the_same_verdict_alone_and_in_a_batch() {
    let (identity, no_point) = (bytes_of(SMALL_ORDER_ENCODINGS[0]), [2; 32]);
    assert_verdict(crafted(no_point, identity, [0; 32]), Err(SignatureError));
    assert_verdict(crafted(identity, no_point, [0; 32]), Err(SignatureError));
}

#[test]
fn a_batch_with_one_key_many_times_refuses_two_wrongs_that_cancel_out() {
    let honest = [signed(1, b"x", Digest::ZERO), signed(1, b"y", Digest::ZERO)];
    let [Signature::Ed25519(mut first), Signature::Ed25519(mut second)] = honest.map(|item| item.signature);
    // s + 1 and s - 1: their sum is that of the honest ones.
    first[32] = first[32].checked_add(1).unwrap();
    second[32] = second[32].checked_sub(1).unwrap();
    let wrong = [
        Signed { signature: Signature::Ed25519(first), ..honest[0] },
        Signed { signature: Signature::Ed25519(second), ..honest[1] },
    ];
    assert_eq!(verify_batch(&honest, ENTROPY), Ok(()));
    assert_eq!(wrong.map(|item| item.verify()), [Err(SignatureError); 2]);
    assert_eq!(verify_batch(&wrong, ENTROPY), Err(SignatureError));
}
