//! Owns the limits of the machine as figures: what one core can do when it does nothing else.

use super::{
    Failure,
    ledger::{self, BlockRates},
    report::{Expected, Figure},
    run::Scale,
    verify::{self, BALLOTS_PER_BLOCK, Rate, SignatureCost},
};

/// What one core can do.
pub(crate) struct Limits {
    batches: Vec<Rate>,
    /// Blocks of 1,000 ballots per CPU-second, hashed and verified only.
    pub(crate) blocks: f64,
    /// What one signature costs outside a batch.
    pub(crate) signature: SignatureCost,
    executed: BlockRates,
}

impl Limits {
    pub(crate) fn measure(scale: Scale) -> Result<Self, Failure> {
        Ok(Self {
            batches: verify::batch_rates(scale.limit)?,
            blocks: verify::block_rate(scale.limit)?,
            signature: verify::signature_cost(scale.limit)?,
            executed: ledger::block_rates(scale.limit)?,
        })
    }

    /// Signatures checked per CPU-second at the best batch size.
    pub(crate) fn verifications(&self) -> f64 {
        self.best().per_cpu_second
    }

    pub(crate) fn figures(&self) -> [Figure; 4] {
        let batch = self.best().batch;
        let mut verify = Expected::VERIFY_LIMIT
            .measured(self.verifications())
            .note(format!("signatures in batches of {batch}, every one of another key"));
        verify = verify
            .part("one_signed_ms", self.signature.sign_ms)
            .part("one_verified_ms", self.signature.verify_ms);
        for rate in &self.batches {
            verify = verify.part(&format!("batch_of_{}", rate.batch), rate.per_cpu_second);
        }
        let blocks = Expected::BLOCK_LIMIT
            .measured(self.blocks)
            .note(format!("blocks of {BALLOTS_PER_BLOCK} ballots, hashed and verified only"));
        let executed = Expected::EXECUTE_LIMIT
            .measured(self.executed.executed)
            .note(format!("blocks of {BALLOTS_PER_BLOCK} ballots: rules, tally, events, roots"));
        let whole = Expected::BLOCK_CHECKED
            .measured(self.executed.checked_and_executed)
            .note("both: the ceiling of catching up on one core");
        [verify, blocks, executed, whole]
    }

    fn best(&self) -> Rate {
        let best = self.batches.iter().max_by(|a, b| a.per_cpu_second.total_cmp(&b.per_cpu_second));
        *best.expect("at least one batch size is measured")
    }
}
