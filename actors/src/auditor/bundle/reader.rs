//! Owns taking a bundle apart: one bounded record after the other, each with its place, the chain checked.

use std::io::{self, Read};

use althing_contracts::{digest::Digest, quantity::Height};

use super::{
    error::{BundleError, Flaw, Place},
    format::{BUNDLE_VERSION, Chain, FRAME_HEAD_LEN, FRAME_TAIL_LEN, HEADER_LEN, Kind, MAGIC},
};

/// A record whose bytes are as exported.
#[derive(Debug)]
pub(super) struct Record {
    /// Where it stands.
    pub(super) place: Place,
    /// What it holds.
    pub(super) kind: Kind,
    /// Its bytes.
    pub(super) payload: Vec<u8>,
}

/// Reads records in order.
#[derive(Debug)]
pub(super) struct RecordReader<R> {
    source: R,
    chain: Chain,
    offset: u64,
    records: u64,
    blocks: u64,
}

impl<R: Read> RecordReader<R> {
    /// Reads the header.
    pub(super) fn open(mut source: R) -> Result<Self, BundleError> {
        let at_header =
            |flaw| BundleError::new(Place { record: None, kind: None, height: None, offset: 0 }, flaw);
        let mut bytes = [0; HEADER_LEN];
        let filled = fill(&mut source, &mut bytes).map_err(|error| at_header(Flaw::Io(error)))?;
        let (magic, version) = bytes.split_at(MAGIC.len());
        if filled >= MAGIC.len() && magic != MAGIC {
            return Err(at_header(Flaw::Magic));
        }
        if filled < HEADER_LEN {
            return Err(at_header(Flaw::CutOff { missing: HEADER_LEN - filled }));
        }
        let found = u16::from_le_bytes([version[0], version[1]]);
        if found != BUNDLE_VERSION {
            return Err(at_header(Flaw::Version { found }));
        }
        Ok(Self { source, chain: Chain::start(), offset: HEADER_LEN as u64, records: 0, blocks: 0 })
    }

    /// The next record, or `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Record>, BundleError> {
        let mut place = self.next_place();
        let mut head = [0; FRAME_HEAD_LEN];
        let filled = self.fill_from(&mut head, &place)?;
        if filled == 0 {
            return Ok(None);
        }
        if filled < FRAME_HEAD_LEN {
            let missing = FRAME_HEAD_LEN - filled + FRAME_TAIL_LEN;
            return Err(BundleError::new(place, Flaw::CutOff { missing }));
        }
        let [tag, len @ ..] = head;
        let len = u32::from_le_bytes(len);
        let kind = Kind::from_tag(tag).ok_or_else(|| BundleError::new(place.clone(), Flaw::Kind { tag }))?;
        place.kind = Some(kind);
        place.height = (kind == Kind::Block).then(|| Height::new(self.blocks.saturating_add(1)));
        let payload = self.read_payload(kind, len, &place)?;
        self.check_chain(head, &payload, &place)?;
        self.records += 1;
        self.blocks += u64::from(kind == Kind::Block);
        self.offset += (FRAME_HEAD_LEN + payload.len() + FRAME_TAIL_LEN) as u64;
        Ok(Some(Record { place, kind, payload }))
    }

    /// Where the next record would stand.
    pub(super) fn next_place(&self) -> Place {
        Place { record: Some(self.records + 1), kind: None, height: None, offset: self.offset }
    }

    /// Whether nothing follows.
    pub(super) fn is_at_end(&mut self) -> Result<bool, BundleError> {
        let place = self.next_place();
        Ok(self.fill_from(&mut [0], &place)? == 0)
    }

    fn read_payload(&mut self, kind: Kind, len: u32, place: &Place) -> Result<Vec<u8>, BundleError> {
        let max = kind.len_max();
        let too_long = || BundleError::new(place.clone(), Flaw::TooLong { kind, len, max });
        let wanted = usize::try_from(len).map_err(|_| too_long())?;
        if wanted > max {
            return Err(too_long());
        }
        let mut payload = vec![0; wanted];
        let filled = self.fill_from(&mut payload, place)?;
        if filled < wanted {
            let missing = wanted - filled + FRAME_TAIL_LEN;
            return Err(BundleError::new(place.clone(), Flaw::CutOff { missing }));
        }
        Ok(payload)
    }

    fn check_chain(
        &mut self,
        head: [u8; FRAME_HEAD_LEN],
        payload: &[u8],
        place: &Place,
    ) -> Result<(), BundleError> {
        let mut written = [0; FRAME_TAIL_LEN];
        let filled = self.fill_from(&mut written, place)?;
        if filled < FRAME_TAIL_LEN {
            let missing = FRAME_TAIL_LEN - filled;
            return Err(BundleError::new(place.clone(), Flaw::CutOff { missing }));
        }
        if self.chain.push(head, payload) != Digest::from_bytes(written) {
            return Err(BundleError::new(place.clone(), Flaw::Chain));
        }
        Ok(())
    }

    fn fill_from(&mut self, buffer: &mut [u8], place: &Place) -> Result<usize, BundleError> {
        fill(&mut self.source, buffer).map_err(|error| BundleError::new(place.clone(), Flaw::Io(error)))
    }
}

/// Reads until `buffer` is full or the source ends, and says how far it came.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
