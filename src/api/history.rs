//! Owns reading one proposal's events out of the ledger's: it starts at the proposal's block and reads a bounded
//! stretch.

use althing_actors::ledger::message::{READ_EVENTS_MAX, ReadError};
use althing_contracts::{
    event::EventRecord,
    proposal::Proposal,
    quantity::{EventSequence, Height},
};

use super::backend::Backend;

/// Most events of the ledger that one page of a timeline looks at; the next page goes on from there.
const SCANNED_MAX: usize = 20 * READ_EVENTS_MAX;

/// At most `limit` events of a proposal after a number, and where to go on when there may be more.
///
/// # Errors
/// The events were pruned or cannot be read.
pub(crate) async fn of(
    backend: &dyn Backend,
    proposal: &Proposal,
    after: Option<EventSequence>,
    limit: usize,
) -> Result<(Vec<EventRecord>, Option<EventSequence>), ReadError> {
    let mut last = match after {
        Some(after) => after,
        None => before(backend, proposal.submitted_at).await?,
    };
    let (mut found, mut scanned) = (Vec::new(), 0);
    loop {
        let records = backend.events_after(last, READ_EVENTS_MAX).await?;
        if records.is_empty() {
            return Ok((found, None));
        }
        scanned += records.len();
        for record in records {
            last = record.sequence;
            if record.event.proposal() == Some(proposal.id) {
                found.push(record);
            }
            if found.len() == limit {
                return Ok((found, Some(last)));
            }
        }
        if scanned >= SCANNED_MAX {
            return Ok((found, Some(last)));
        }
    }
}

/// The number of the last event before a height, found by halving.
async fn before(backend: &dyn Backend, height: Height) -> Result<EventSequence, ReadError> {
    // Invariant: every event up to `low` is before the height; the one after `high` is not, or is not there.
    let (mut low, mut high) = (0_u64, end(backend, height).await?);
    while low < high {
        let middle = low + (high - low) / 2;
        match backend.events_after(EventSequence::new(middle), 1).await?.first() {
            Some(record) if record.height < height => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(EventSequence::new(low))
}

/// A number after which no event is before the height, found by doubling.
async fn end(backend: &dyn Backend, height: Height) -> Result<u64, ReadError> {
    let mut end = 1_u64;
    loop {
        match backend.events_after(EventSequence::new(end), 1).await?.first() {
            Some(record) if record.height < height => end = end.saturating_mul(2),
            _ => return Ok(end),
        }
    }
}
