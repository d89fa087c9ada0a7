//! Owns the limits that the ledger is compared with: checking signatures and hashing, and nothing else, on one core.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use althing_chaos::process::Usage;
use althing_contracts::{
    block::transactions_root,
    digest::{Digest, Purpose},
    signature::{PublicKey, Signature, Signed, SigningMessage, SigningPurpose, verify_batch},
};
use ed25519_zebra::SigningKey;

use super::Failure;

/// Batch sizes tried; the best is the limit.
const BATCHES: [usize; 5] = [64, 256, 1_024, 2_048, 4_096];
/// Ballots of the blocks by which catch-up is measured.
pub(crate) const BALLOTS_PER_BLOCK: usize = 1_000;
/// Length of a ballot as it is on the wire, rounded up.
const BALLOT_LEN: usize = 256;

/// Operations per second of processor time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) batch: usize,
    pub(crate) per_cpu_second: f64,
}

/// What one signature costs outside a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignatureCost {
    pub(crate) sign_ms: f64,
    pub(crate) verify_ms: f64,
}

/// Processor time of making and of checking one signature.
pub(crate) fn signature_cost(time: Duration) -> Result<SignatureCost, Failure> {
    let key = SigningKey::from(entropy());
    let message = message(&ballot_bytes(0));
    let signed = &signatures(1)[0];
    let signed_per_second = rounds_per_cpu_second(time, || {
        black_box(key.sign(black_box(message.as_bytes())));
        Ok(())
    })?;
    let verified_per_second = rounds_per_cpu_second(time, || Ok(black_box(signed).verify()?))?;
    Ok(SignatureCost { sign_ms: 1e3 / signed_per_second, verify_ms: 1e3 / verified_per_second })
}

/// Signatures checked in batches per CPU-second, for every batch size; every signature is of another key.
pub(crate) fn batch_rates(time: Duration) -> Result<Vec<Rate>, Failure> {
    let signed = signatures(BATCHES[BATCHES.len() - 1]);
    let rate = |batch: usize| {
        let rounds =
            rounds_per_cpu_second(time, || Ok(verify_batch(black_box(&signed[..batch]), entropy())?))?;
        Ok(Rate { batch, per_cpu_second: rounds * as_f64(batch) })
    };
    BATCHES.into_iter().map(rate).collect()
}

/// Blocks of 1,000 ballots per CPU-second when every ballot is hashed as the ledger must and checked in one batch.
pub(crate) fn block_rate(time: Duration) -> Result<f64, Failure> {
    let ballots: Vec<Vec<u8>> = (0..BALLOTS_PER_BLOCK).map(ballot_bytes).collect();
    let keys: Vec<SigningKey> = (0..BALLOTS_PER_BLOCK).map(|_| SigningKey::from(entropy())).collect();
    let sign = |(key, bytes): (&SigningKey, &Vec<u8>)| key.sign(message(bytes).as_bytes()).to_bytes();
    let signatures: Vec<[u8; 64]> = keys.iter().zip(&ballots).map(sign).collect();
    let publics: Vec<[u8; 32]> = keys.iter().map(|key| key.verification_key().into()).collect();
    rounds_per_cpu_second(time, || {
        black_box(transactions_root(&ballots));
        let parts = ballots.iter().zip(&publics).zip(&signatures);
        let signed: Vec<Signed> =
            parts.map(|((bytes, key), signature)| signed(bytes, *key, *signature)).collect();
        Ok(verify_batch(&signed, entropy())?)
    })
}

fn signatures(count: usize) -> Vec<Signed> {
    let sign = |i: usize| {
        let key = SigningKey::from(entropy());
        let bytes = ballot_bytes(i);
        signed(&bytes, key.verification_key().into(), key.sign(message(&bytes).as_bytes()).to_bytes())
    };
    (0..count).map(sign).collect()
}

fn signed(bytes: &[u8], key: [u8; 32], signature: [u8; 64]) -> Signed {
    Signed { key: PublicKey::Ed25519(key), message: message(bytes), signature: Signature::Ed25519(signature) }
}

fn message(bytes: &[u8]) -> SigningMessage {
    SigningMessage::new(SigningPurpose::Transaction, Digest::of(Purpose::Genesis, b"bench"), bytes)
}

fn ballot_bytes(i: usize) -> Vec<u8> {
    i.to_be_bytes().iter().copied().cycle().take(BALLOT_LEN).collect()
}

/// Fresh random bytes.
pub(crate) fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes
}

/// Repeats `round` on this thread for `time` and divides by the processor time of the process, which does nothing else.
pub(crate) fn rounds_per_cpu_second(
    time: Duration,
    mut round: impl FnMut() -> Result<(), Failure>,
) -> Result<f64, Failure> {
    round()?;
    let cpu_before = Usage::read(std::process::id())?.cpu;
    let begun = Instant::now();
    let mut rounds = 0_usize;
    while begun.elapsed() < time {
        round()?;
        rounds += 1;
    }
    let cpu = Usage::read(std::process::id())?.cpu.saturating_sub(cpu_before);
    Ok(as_f64(rounds) / cpu.as_secs_f64())
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("counts of a benchmark fit 32 bits"))
}
