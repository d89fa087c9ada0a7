//! Owns the audit bundle: a ledger in one file that proves itself. The format is in `docs/bundle.md`.
//!
//! Reading and writing stream in bounded memory. Refuses everything that the document does not allow, and names
//! the record at fault.

mod error;
mod export;
mod format;
mod key_uses;
mod reader;
mod report;
mod split_view;
mod trailer;
mod verifier;
mod writer;

pub use error::{BundleError, Flaw, Place};
pub use export::{Additions, export, export_ledger};
pub use format::{
    BLOCK_RECORD_LEN_MAX, BUNDLE_VERSION, CERTIFICATE_LEN_MAX, EVIDENCE_LEN_MAX, GENESIS_LEN_MAX, Kind, MAGIC,
};
pub use key_uses::{
    KEY_USES_PER_RECORD_MAX, KeyUseFlaw, KeyUsePage, NodeKeyUses, UNDECIDED_NAMED_MAX, UndecidedUse,
};
pub use report::Report;
pub use split_view::{CertifiedSplit, SplitViewFlaw};
pub use trailer::Trailer;
pub use verifier::{verify, verify_file};
pub use writer::{BundleWriter, ExportError};

#[cfg(test)]
mod tests;
