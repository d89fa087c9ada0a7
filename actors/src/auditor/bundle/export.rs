//! Owns the ways in which a ledger becomes a bundle: from blocks at hand, or from a running node page by page.

use std::io::Write;

use althing_contracts::{genesis::Genesis, name::Line, quantity::Height};

use super::{
    trailer::Trailer,
    writer::{BundleWriter, ExportError},
};
use crate::{
    auditor::port::History,
    ledger::message::{CertifiedBlock, LedgerView, READ_BLOCKS_MAX, ReadError},
};

/// Writes blocks from height 1 on, in order, as one bundle.
///
/// # Errors
/// The destination or the source fails, or a height is missing. What was written then does not verify.
pub fn export<W: Write>(
    genesis: &Genesis,
    exporter: Line,
    blocks: impl IntoIterator<Item = Result<CertifiedBlock, ReadError>>,
    sink: W,
) -> Result<(W, Trailer), ExportError> {
    let mut writer = BundleWriter::begin(sink, genesis, exporter)?;
    for block in blocks {
        writer.block(&block?)?;
    }
    writer.finish()
}

/// Writes a running node's ledger up to `view`, a page of blocks at a time, and where each proposal stands there.
///
/// # Errors
/// The destination fails, or the node does not keep the history. What was written then does not verify.
pub async fn export_ledger<W: Write>(
    genesis: &Genesis,
    exporter: Line,
    history: &dyn History,
    view: &LedgerView,
    sink: W,
) -> Result<(W, Trailer), ExportError> {
    let mut writer = BundleWriter::begin(sink, genesis, exporter)?;
    let last = view.header.as_ref().map_or(Height::ZERO, |header| header.height);
    while writer.height() < last {
        let from = writer.height().next();
        let left = usize::try_from(last.get() - writer.height().get()).unwrap_or(READ_BLOCKS_MAX);
        let page = history.read_blocks(from, left.min(READ_BLOCKS_MAX)).await?;
        if page.is_empty() {
            return Err(ExportError::Missing { height: from });
        }
        page.iter().take(left).try_for_each(|block| writer.block(block))?;
    }
    let proofs = view.state.proposals().filter_map(|proposal| view.state.prove(proposal.id));
    // At genesis there is no block whose state root a proof could lead to.
    proofs.filter(|_| last > Height::ZERO).try_for_each(|proof| writer.stage_proof(&proof))?;
    writer.finish()
}
