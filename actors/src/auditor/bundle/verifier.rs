//! Owns the verification of a bundle: every record in its place, every block re-applied, every invariant judged.
//!
//! Needs no network and no node, and trusts nothing in the file but the genesis that the caller expects.

use std::{collections::BTreeSet, fs::File, io::BufReader, io::Read, path::Path};

use althing_contracts::{
    canonical,
    digest::{Digest, Purpose},
    event::Event,
    genesis::Genesis,
    name::Name,
    state::StageProof,
};

use super::{
    error::{BundleError, Flaw, Place},
    format::Kind,
    key_uses::KeyUses,
    reader::{Record, RecordReader},
    report::{self, Counts, Report},
    split_view::{CertifiedSplit, SplitViewRecord},
    trailer::Trailer,
};
use crate::{
    auditor::{
        judge::Judge,
        replay::{Replay, Replayed},
    },
    ledger::message::CertifiedBlock,
};

/// Verifies a bundle in a file.
///
/// # Errors
/// As [`verify`].
pub fn verify_file(path: &Path, expected_genesis: Option<Digest>) -> Result<Report, BundleError> {
    let unreadable = |error| {
        let place = Place { record: None, kind: None, height: None, offset: 0 };
        BundleError::new(place, Flaw::Io(error))
    };
    let file = File::open(path).map_err(unreadable)?;
    verify(BufReader::with_capacity(256 * 1024, file), expected_genesis)
}

/// Verifies a bundle from its first byte to its last. Without `expected_genesis` the report says which network
/// the bundle proves something about, and the reader has to know that it is the right one.
///
/// # Errors
/// Names the first record that does not hold, what does not hold, and what that means.
pub fn verify(reader: impl Read, expected_genesis: Option<Digest>) -> Result<Report, BundleError> {
    let mut records = RecordReader::open(reader)?;
    let first = required(&mut records)?;
    let place = first.place.clone();
    let mut verifier =
        Verifier::begin(&first, expected_genesis).map_err(|flaw| BundleError::new(place, flaw))?;
    loop {
        let record = required(&mut records)?;
        let at = |flaw| BundleError::new(record.place.clone(), flaw);
        match record.kind {
            Kind::Genesis => return Err(at(Flaw::Order { found: Kind::Genesis })),
            Kind::Block => verifier.block(&record.payload).map_err(at)?,
            Kind::Evidence => verifier.evidence(&record.payload).map_err(at)?,
            Kind::StageProof => verifier.stage_proof(&record.payload).map_err(at)?,
            Kind::KeyUseStatement => verifier.key_use_statement(&record.payload).map_err(at)?,
            Kind::KeyUses => verifier.key_uses(&record.payload).map_err(at)?,
            Kind::SplitView => verifier.split_view(&record.payload).map_err(at)?,
            Kind::Trailer => {
                let report = verifier.finish(&record).map_err(at)?;
                if records.is_at_end()? {
                    return Ok(report);
                }
                return Err(BundleError::new(records.next_place(), Flaw::AfterTrailer));
            }
        }
    }
}

fn required(records: &mut RecordReader<impl Read>) -> Result<Record, BundleError> {
    match records.next()? {
        Some(record) => Ok(record),
        None => Err(BundleError::new(records.next_place(), Flaw::NoTrailer)),
    }
}

/// What is known after some records.
struct Verifier {
    name: Name,
    network: Digest,
    replay: Replay,
    judge: Judge,
    last: Option<Replayed>,
    evidence_named: BTreeSet<Digest>,
    key_uses: KeyUses,
    split_views: Vec<CertifiedSplit>,
    counts: Counts,
}

impl Verifier {
    fn begin(record: &Record, expected_genesis: Option<Digest>) -> Result<Self, Flaw> {
        if record.kind != Kind::Genesis {
            return Err(Flaw::Order { found: record.kind });
        }
        let genesis: Genesis = decode(Kind::Genesis, &record.payload)?;
        let network = genesis.network();
        if let Some(expected) = expected_genesis.filter(|expected| *expected != network) {
            return Err(Flaw::Genesis { found: network, expected });
        }
        let replay = Replay::begin(&genesis).map_err(Flaw::GenesisInvalid)?;
        Ok(Self {
            key_uses: KeyUses::new(&genesis),
            split_views: Vec::new(),
            name: genesis.name,
            network,
            replay,
            judge: Judge::default(),
            last: None,
            evidence_named: BTreeSet::new(),
            counts: Counts::default(),
        })
    }

    fn block(&mut self, payload: &[u8]) -> Result<(), Flaw> {
        if self.counts.stage_proofs > 0 || !self.split_views.is_empty() {
            return Err(Flaw::Order { found: Kind::Block });
        }
        self.key_uses.close()?;
        let certified: CertifiedBlock = decode(Kind::Block, payload)?;
        let before = self.replay.state().clone();
        let block = self.replay.apply(&certified).map_err(Flaw::Replay)?;
        let violations = self.judge.judge(&before, &block, self.replay.state());
        if let Some(violation) = violations.into_iter().next() {
            return Err(Flaw::Invariant(violation));
        }
        self.key_uses.decide(&block.transactions)?;
        for event in &block.events {
            if let Event::Enacted { proposal, .. } = event
                && let Some(decided) = self.replay.state().proposal(*proposal)
            {
                self.key_uses.learn(&decided.document.acts);
            }
        }
        self.counts.add(&block, certified.certificate.precommits.len());
        self.evidence_named.extend(block.events.iter().filter_map(|event| match event {
            Event::StepReported { evidence, .. } => Some(*evidence),
            _ => None,
        }));
        self.last = Some(block);
        Ok(())
    }

    fn evidence(&mut self, payload: &[u8]) -> Result<(), Flaw> {
        let found = Digest::of(Purpose::Evidence, payload);
        if !self.evidence_named.contains(&found) {
            return Err(Flaw::Evidence { found });
        }
        self.counts.evidence += 1;
        Ok(())
    }

    /// The path has to lead to the root by itself, without the state that this verifier has anyway: an outsider
    /// who does not know the rules checks no more than this.
    fn stage_proof(&mut self, payload: &[u8]) -> Result<(), Flaw> {
        let kind = Kind::StageProof;
        let proof = StageProof::decode(payload).map_err(|source| Flaw::Payload { kind, source })?;
        let root = self.replay.head().state_root;
        proof.verify(root).map_err(Flaw::StageProof)?;
        self.counts.stage_proofs += 1;
        Ok(())
    }

    /// Key uses come before the blocks, so that a reader needs no memory of the blocks to compare them.
    fn key_use_statement(&mut self, payload: &[u8]) -> Result<(), Flaw> {
        self.before_blocks(Kind::KeyUseStatement)?;
        let signed = decode(Kind::KeyUseStatement, payload)?;
        Ok(self.key_uses.state(self.network, signed)?)
    }

    fn key_uses(&mut self, payload: &[u8]) -> Result<(), Flaw> {
        self.before_blocks(Kind::KeyUses)?;
        Ok(self.key_uses.page(decode(Kind::KeyUses, payload)?)?)
    }

    fn before_blocks(&self, found: Kind) -> Result<(), Flaw> {
        if self.last.is_some() || self.counts.stage_proofs > 0 || !self.split_views.is_empty() {
            return Err(Flaw::Order { found });
        }
        Ok(())
    }

    fn split_view(&mut self, payload: &[u8]) -> Result<(), Flaw> {
        let record: SplitViewRecord = decode(Kind::SplitView, payload)?;
        self.split_views.push(record.verify(self.network, self.replay.rosters())?);
        Ok(())
    }

    fn finish(self, record: &Record) -> Result<Report, Flaw> {
        let trailer: Trailer = decode(Kind::Trailer, &record.payload)?;
        self.key_uses.close()?;
        if let Some(last) = &self.last {
            Judge::finish(last, &self.replay).map_err(Flaw::Invariant)?;
        }
        let head = self.replay.head();
        let before = record.place.record.unwrap_or(0).saturating_sub(1);
        same("height", &trailer.height, &head.height)?;
        same("head", &trailer.head, &head.digest)?;
        same("state_root", &trailer.state_root, &head.state_root)?;
        same("records", &trailer.records, &before)?;
        Ok(Report {
            network: self.network,
            name: self.name,
            height: head.height,
            head: head.digest,
            state_root: head.state_root,
            time: head.time,
            records: before + 1,
            transactions: self.counts.transactions,
            signatures: self.counts.signatures,
            events: self.counts.events,
            proposals: report::proposals_by_stage(self.replay.state()),
            receipts: self.counts.receipts,
            health_attestations: self.counts.health_attestations,
            audits: self.counts.audits,
            evidence: self.counts.evidence,
            stage_proofs: self.counts.stage_proofs,
            key_uses: self.key_uses.report()?,
            split_views: self.split_views,
            invariants: Judge::ids(),
            exporter: trailer.exporter,
        })
    }
}

fn decode<T: borsh::BorshDeserialize>(kind: Kind, payload: &[u8]) -> Result<T, Flaw> {
    canonical::decode(payload, kind.len_max()).map_err(|source| Flaw::Payload { kind, source })
}

fn same<T: PartialEq + std::fmt::Display>(field: &'static str, said: &T, is: &T) -> Result<(), Flaw> {
    if said == is {
        return Ok(());
    }
    Err(Flaw::Trailer { field, said: said.to_string(), is: is.to_string() })
}
