//! Owns events in the index: several to a value, under the number of the first, since an entry of its own for each
//! would cost more than its signature check. Refuses gaps.

use althing_contracts::{canonical, event::EventRecord, quantity::EventSequence};

use super::{
    doubt::{Doubt, IndexError},
    value::{self, VALUE_LEN_MAX},
};

/// A chunk is closed at this length: a reader of one event decodes little, a block of 1,000 makes a score of entries.
const CHUNK_LEN: usize = 4 * 1024;

const TREE: &str = "events";

/// A key with its value.
type Sealed = ([u8; 8], Vec<u8>);

/// Keys and values for a block's events.
pub(super) fn seal(events: &[EventRecord]) -> Result<Vec<Sealed>, IndexError> {
    let mut sealed = Vec::new();
    let mut rest = events;
    while let Some(first) = rest.first() {
        let (chunk, after) = rest.split_at(chunk_count(rest));
        let key = first.sequence.get().to_be_bytes();
        let value = value::seal(TREE, &key, &chunk);
        if value.len() > VALUE_LEN_MAX {
            return Err(IndexError::TooLong { sequence: first.sequence, len: value.len() });
        }
        sealed.push((key, value));
        rest = after;
    }
    Ok(sealed)
}

/// How many events go into the next chunk: those that fit, and at least one.
fn chunk_count(events: &[EventRecord]) -> usize {
    let mut len = 0;
    let fitting = events.iter().take_while(|event| {
        len += canonical::encode(*event).len();
        len <= CHUNK_LEN
    });
    fitting.count().max(1)
}

/// Events from `first` to at most `last` and `count_max` of them.
pub(super) fn read(
    tree: &sled::Tree,
    first: EventSequence,
    last: EventSequence,
    count_max: usize,
) -> Result<Vec<EventRecord>, Doubt> {
    let mut found = Vec::new();
    let mut due = first;
    let Some(start) = tree.range(..=first.get().to_be_bytes()).next_back() else { return Err(missing(due)) };
    for entry in tree.range(start?.0..) {
        let (key, bytes) = entry?;
        for event in value::open::<Vec<EventRecord>>(TREE, &key, &bytes)? {
            if found.len() >= count_max || due > last {
                return Ok(found);
            }
            if event.sequence > due {
                return Err(missing(due));
            }
            if event.sequence == due {
                found.push(event);
                due = due.next();
            }
        }
    }
    if due > last || found.len() >= count_max { Ok(found) } else { Err(missing(due)) }
}

/// Reads every event; how many there are.
pub(super) fn count(tree: &sled::Tree) -> Result<u64, Doubt> {
    let mut found = 0;
    for entry in tree {
        let (key, bytes) = entry?;
        found += value::open::<Vec<EventRecord>>(TREE, &key, &bytes)?.len() as u64;
    }
    Ok(found)
}

fn missing(sequence: EventSequence) -> Doubt {
    Doubt::Missing { tree: TREE, key: sequence.get() }
}
