//! Owns showing the versions of this program and of what it speaks.

use althing_contracts::{
    block::PROTOCOL_VERSION, document::DOCUMENT_SCHEMA, genesis::GENESIS_SCHEMA, quantity::TimeMs,
};
use serde::Serialize;

use super::{
    failure::Outcome,
    output::{Render, fields},
    session::Session,
};

#[derive(Debug, Serialize)]
struct Versions {
    version: &'static str,
    protocol: u16,
    document_schema: u16,
    genesis_schema: u16,
}

impl Render for Versions {
    fn table(&self, _: TimeMs) -> String {
        fields([
            ("althing", Some(self.version.to_owned())),
            ("protocol", Some(self.protocol.to_string())),
            ("document", Some(self.document_schema.to_string())),
            ("genesis", Some(self.genesis_schema.to_string())),
        ])
    }

    fn names(&self) -> Vec<String> {
        vec![self.version.to_owned()]
    }
}

/// Shows the versions.
pub(super) fn run(session: &Session) -> Outcome {
    session.print(&Versions {
        version: env!("CARGO_PKG_VERSION"),
        protocol: PROTOCOL_VERSION,
        document_schema: DOCUMENT_SCHEMA,
        genesis_schema: GENESIS_SCHEMA,
    })
}
