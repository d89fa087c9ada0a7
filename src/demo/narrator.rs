//! Owns how the story is told: lines for a person as things happen, or nothing when one JSON object is asked for.

use std::time::Instant;

use althing_contracts::{event::Event, stage::Stage, transaction::ProposalId};

use crate::cli::{failure::Outcome, session::Session};

/// Tells the story to stdout.
pub(super) struct Narrator<'a> {
    session: &'a Session,
    began: Instant,
    is_told: bool,
}

impl<'a> Narrator<'a> {
    pub(super) fn new(session: &'a Session, began: Instant, is_told: bool) -> Self {
        Self { session, began, is_told }
    }

    /// Milliseconds since the mesh was started.
    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Begins a part of the story.
    pub(super) fn chapter(&self, title: &str) -> Outcome {
        self.write(&format!("\n{title}\n"))
    }

    /// Something happened.
    pub(super) fn tell(&self, who: &str, what: &str) -> Outcome {
        #[expect(clippy::cast_precision_loss, reason = "the story is far shorter than 2^52 ms")]
        let seconds = self.elapsed_ms() as f64 / 1_000.0;
        self.write(&format!("  {seconds:5.1} s  {who:<14} {what}\n"))
    }

    /// What that shows.
    pub(super) fn proves(&self, what: &str) -> Outcome {
        self.write(&format!("           shows:         {what}\n"))
    }

    /// An event of the ledger, if it moves the story.
    pub(super) fn event(&self, proposal: ProposalId, event: &Event) -> Outcome {
        match line_of(proposal, event) {
            Some((who, what)) => self.tell(&who, &what),
            None => Ok(()),
        }
    }

    fn write(&self, text: &str) -> Outcome {
        if self.is_told { self.session.write(text) } else { Ok(()) }
    }
}

/// What an event is to a person.
fn line_of(wanted: ProposalId, event: &Event) -> Option<(String, String)> {
    let ledger = || "ledger".to_owned();
    match event {
        Event::StageChanged { proposal, to, cause, .. } if *proposal == wanted => {
            Some((ledger(), format!("{to}: {cause}")))
        }
        Event::RulesBroken { proposal, findings } if *proposal == wanted => {
            let findings: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
            Some((ledger(), format!("hard rule broken: {}", findings.join("; "))))
        }
        Event::Tallied { proposal, tally } if *proposal == wanted => {
            let tests = tally.tests.iter().map(|test| {
                let kind = serde_json::to_value(test.kind).ok()?;
                Some(format!("{} {} of {}", kind.as_str()?, test.part, test.whole))
            });
            let tests: Vec<String> = tests.flatten().collect();
            Some((ledger(), format!("counted: {}", tests.join(", "))))
        }
        Event::StepClaimed { proposal, target, executor, fence, undo, .. } if *proposal == wanted => {
            let what = if *undo { "undoes" } else { "acts on" };
            Some((executor.to_string(), format!("{what} {target} under fence {fence}")))
        }
        // Later stages are many targets judged alike; that they were shows in the ledger's next move.
        Event::HealthAttested { proposal, stage, target, attester, health, .. }
            if *proposal == wanted && (*stage == 0 || !health.healthy) =>
        {
            let verdict = if health.healthy { "healthy" } else { "UNHEALTHY" };
            let figures =
                format!("{}/{} answered, p95 {} ms", health.succeeded, health.samples, health.latency_p95_ms);
            Some((attester.to_string(), format!("finds {target} {verdict}: {figures}")))
        }
        Event::Attested { proposal, auditor, verdict } if *proposal == wanted => {
            let verdict = serde_json::to_value(verdict).ok()?;
            let verdict = verdict.as_str().unwrap_or("unsound").to_owned();
            Some((auditor.to_string(), format!("re-applied every block by itself: {verdict}")))
        }
        _ => None,
    }
}

/// Whether a story about a proposal is over.
pub(super) const fn is_over(event: &Event) -> Option<Stage> {
    match event {
        Event::StageChanged { to, .. } if to.is_terminal() || matches!(to, Stage::Disputed) => Some(*to),
        _ => None,
    }
}
