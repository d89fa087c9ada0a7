//! Owns the ways in which a ledger becomes a bundle: from blocks at hand, or from a running node page by page.

use std::io::Write;

use althing_contracts::{genesis::Genesis, name::Line, quantity::Height};

use super::{
    key_uses::KEY_USES_PER_RECORD_MAX,
    trailer::Trailer,
    writer::{BundleWriter, ExportError},
};
use crate::{
    auditor::{heads::SplitView, port::History},
    ledger::message::{CertifiedBlock, LedgerView, READ_BLOCKS_MAX, ReadError},
    signer::testimony::{KeyUseStatement, KeyUseWitness},
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

/// What a node adds to the ledger that every node has.
#[derive(Debug, Default)]
pub struct Additions<'a> {
    /// Testifies about the use of the keys that the node holds.
    pub witness: Option<&'a KeyUseWitness>,
    /// Split views that its auditor found.
    pub split_views: Vec<SplitView>,
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
    additions: &Additions<'_>,
    sink: W,
) -> Result<(W, Trailer), ExportError> {
    let mut writer = BundleWriter::begin(sink, genesis, exporter)?;
    // After the view was taken: each use is recorded before its transaction can be final.
    additions.witness.map_or(Ok(()), |witness| testify(&mut writer, witness))?;
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
    additions.split_views.iter().try_for_each(|split| writer.split_view(split))?;
    writer.finish()
}

/// Writes the statement, then the uses that it covers: the journal grows meanwhile.
fn testify<W: Write>(writer: &mut BundleWriter<W>, witness: &KeyUseWitness) -> Result<(), ExportError> {
    let signed = witness.testify()?;
    writer.key_use_statement(&signed)?;
    let KeyUseStatement::V1 { uses: mut left, .. } = signed.statement;
    let (mut page, mut written) = (Vec::new(), Ok(()));
    witness.read(|used| {
        if left == 0 || written.is_err() {
            return;
        }
        left -= 1;
        page.push(used);
        if left == 0 || page.len() == KEY_USES_PER_RECORD_MAX {
            written = writer.key_uses(std::mem::take(&mut page));
        }
    })?;
    written
}
