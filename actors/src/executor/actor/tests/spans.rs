//! A subscriber that remembers which actor opened a span for which proposal.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use althing_contracts::transaction::ProposalId;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Every span so far: its actor and its proposal, as far as it has said them.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    next: Arc<AtomicU64>,
    open: Arc<Mutex<Vec<(u64, Fields)>>>,
}

#[derive(Debug, Clone, Default)]
struct Fields {
    actor: String,
    proposal_id: String,
}

impl Spans {
    pub(super) fn has(&self, actor: &str, id: ProposalId) -> bool {
        let open = self.open.lock().unwrap();
        let seen: BTreeSet<_> = open.iter().map(|(_, span)| (&*span.actor, &*span.proposal_id)).collect();
        seen.contains(&(actor, &*id.to_string()))
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}");
        match field.name() {
            "actor" => self.actor = value.trim_matches('"').to_owned(),
            "proposal_id" => self.proposal_id = value,
            _ => {}
        }
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name() == "proposal"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut fields = Fields::default();
        span.record(&mut fields);
        self.open.lock().unwrap().push((id, fields));
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut open = self.open.lock().unwrap();
        if let Some((_, fields)) = open.iter_mut().find(|(id, _)| *id == span.into_u64()) {
            values.record(fields);
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
