//! Owns the metrics of the ledger.

use metrics::{
    Counter, Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use super::state::{CommittedBlock, LedgerState, Misbehaviour};
use crate::disk::Disk;

/// Height of the last final block.
pub const HEIGHT: &str = "althing_ledger_height";
/// Highest height that a peer showed.
pub const HIGHEST_SEEN: &str = "althing_ledger_highest_seen";
/// Round that consensus is in.
pub const ROUND: &str = "althing_ledger_round";
/// Transactions that wait.
pub const MEMPOOL: &str = "althing_ledger_mempool_transactions";
/// Final blocks.
pub const BLOCKS: &str = "althing_ledger_blocks_total";
/// Final transactions.
pub const TRANSACTIONS: &str = "althing_ledger_transactions_total";
/// Rounds that blocks took beyond the first.
pub const EXTRA_ROUNDS: &str = "althing_ledger_extra_rounds_total";
/// Messages handed to the mesh, by whether it took them.
pub const MESSAGES: &str = "althing_ledger_messages_total";
/// Batches of the mesh lost while the ledger was restarted.
pub const INBOUND_LOST: &str = "althing_ledger_inbound_lost_total";
/// Double signatures found.
pub const EQUIVOCATIONS: &str = "althing_ledger_equivocations_total";
/// Breaches of the protocol by peers, by kind.
pub const MISBEHAVIOUR: &str = "althing_ledger_misbehaviour_total";
/// Blocks refused because their time is ahead of the own clock.
pub const REFUSED_FOR_TIME: &str = "althing_ledger_refused_for_time_total";
/// How far the own clock is from most validators' beyond what is allowed; 0 while it is within.
pub const CLOCK_OFFSET: &str = "althing_ledger_clock_offset_seconds";
/// Emergencies whose measures hold.
pub const EMERGENCIES_IN_FORCE: &str = "althing_ledger_emergencies_in_force";
/// Emergencies whose use no auditor has found sound so far.
pub const EMERGENCIES_UNAUDITED: &str = "althing_ledger_emergencies_unaudited";
/// 1 while governance is dormant.
pub const DORMANT: &str = "althing_ledger_dormant";
/// Transactions of a block.
pub const BLOCK_TRANSACTIONS: &str = "althing_ledger_block_transactions";

const TAKEN: [&str; 2] = ["no", "yes"];
const KINDS: [(Misbehaviour, &str); 5] = [
    (Misbehaviour::Malformed, "malformed"),
    (Misbehaviour::Signature, "signature"),
    (Misbehaviour::Stranger, "stranger"),
    (Misbehaviour::InvalidBlock, "invalid_block"),
    (Misbehaviour::InvalidHistory, "invalid_history"),
];

/// Describes every metric and sets the counters to zero.
pub(super) fn describe() {
    describe_gauge!(HEIGHT, Unit::Count, "height of the last final block");
    describe_gauge!(HIGHEST_SEEN, Unit::Count, "highest height that a peer showed");
    describe_gauge!(ROUND, Unit::Count, "round that consensus is in at the next height");
    describe_gauge!(MEMPOOL, Unit::Count, "transactions that wait for a block");
    describe_gauge!(EMERGENCIES_IN_FORCE, Unit::Count, "emergencies whose measures hold");
    describe_gauge!(EMERGENCIES_UNAUDITED, Unit::Count, "used emergencies that no auditor has found sound");
    describe_gauge!(DORMANT, Unit::Count, "1 while governance is dormant, 0 while it is awake");
    describe_histogram!(BLOCK_TRANSACTIONS, Unit::Count, "transactions of a final block");
    describe_gauge!(
        CLOCK_OFFSET,
        Unit::Seconds,
        "how far this machine's clock is from most validators' beyond what is allowed"
    );
    let counters = [
        (BLOCKS, "final blocks"),
        (TRANSACTIONS, "final transactions"),
        (EXTRA_ROUNDS, "rounds that blocks took beyond the first"),
        (INBOUND_LOST, "batches of mesh events lost while the ledger was restarted"),
        (REFUSED_FOR_TIME, "blocks refused because their time is ahead of this machine's clock"),
        (EQUIVOCATIONS, "validators found to have signed twice"),
    ];
    for (name, description) in counters {
        describe_counter!(name, Unit::Count, description);
        counter!(name).increment(0);
    }
    describe_counter!(MESSAGES, Unit::Count, "messages handed to the mesh, by whether it took them");
    for taken in TAKEN {
        counter!(MESSAGES, "taken" => taken).increment(0);
    }
    describe_counter!(MISBEHAVIOUR, Unit::Count, "breaches of the protocol by peers");
    for (_, kind) in KINDS {
        counter!(MISBEHAVIOUR, "kind" => kind).increment(0);
    }
}

/// What changes with every message, looked up once.
#[derive(Debug)]
pub(super) struct Meters {
    height: Gauge,
    highest_seen: Gauge,
    round: Gauge,
    mempool: Gauge,
    clock_offset: Gauge,
    messages: [Counter; 2],
}

impl Meters {
    pub(super) fn new() -> Self {
        Self {
            height: gauge!(HEIGHT),
            highest_seen: gauge!(HIGHEST_SEEN),
            round: gauge!(ROUND),
            mempool: gauge!(MEMPOOL),
            clock_offset: gauge!(CLOCK_OFFSET),
            messages: TAKEN.map(|taken| counter!(MESSAGES, "taken" => taken)),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floats, and heights stay far below 2^52")]
    pub(super) fn observe<D: Disk>(&self, ledger: &LedgerState<D>) {
        self.height.set(ledger.height().get() as f64);
        self.highest_seen.set(ledger.highest_seen().get() as f64);
        self.round.set(f64::from(ledger.round()));
        self.mempool.set(ledger.mempool_len() as f64);
        self.clock_offset.set(ledger.clock_offset_ms().unwrap_or_default() as f64 / 1_000.0);
    }

    /// A message was handed to the mesh, which took it or not.
    pub(super) fn sent(&self, taken: bool) {
        self.messages[usize::from(taken)].increment(1);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a block has far fewer than 2^52 transactions")]
pub(super) fn committed(block: &CommittedBlock) {
    counter!(BLOCKS).increment(1);
    counter!(TRANSACTIONS).increment(block.outcomes.len() as u64);
    counter!(EXTRA_ROUNDS).increment(u64::from(block.certificate.round.get()));
    histogram!(BLOCK_TRANSACTIONS).record(block.outcomes.len() as f64);
    let unaudited = block.state.emergencies().filter(|emergency| emergency.awaits_audit());
    gauge!(EMERGENCIES_UNAUDITED).set(unaudited.count() as f64);
    gauge!(DORMANT).set(f64::from(u8::from(block.state.dormant_since().is_some())));
    gauge!(EMERGENCIES_IN_FORCE).set(block.state.emergencies_in_force().count() as f64);
}

pub(super) fn inbound_lost() {
    counter!(INBOUND_LOST).increment(1);
}

pub(super) fn refused_for_time() {
    counter!(REFUSED_FOR_TIME).increment(1);
}

pub(super) fn equivocation() {
    counter!(EQUIVOCATIONS).increment(1);
}

pub(super) fn misbehaved(how: Misbehaviour) {
    let kind = KINDS.iter().find(|(known, _)| *known == how).map_or("malformed", |(_, kind)| kind);
    counter!(MISBEHAVIOUR, "kind" => kind).increment(1);
}
