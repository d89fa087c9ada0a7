use super::*;
use crate::digest::Purpose;

fn key(seed: u8) -> (ed25519_consensus::SigningKey, PublicKey) {
    let secret = ed25519_consensus::SigningKey::from([seed; 32]);
    let public = PublicKey::Ed25519(secret.verification_key().to_bytes());
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
    assert_eq!(verify_batch(&batch, rand_core::OsRng), Ok(()));
    batch[3].key = batch[4].key;
    assert_eq!(verify_batch(&batch, rand_core::OsRng), Err(SignatureError));
}

#[test]
fn keys_round_trip_as_text() {
    let (_, key) = key(7);
    assert_eq!(key.to_string().parse(), Ok(key));
    assert!("ed25519:00".parse::<PublicKey>().is_err());
    assert!("rsa:00".parse::<PublicKey>().is_err());
}
