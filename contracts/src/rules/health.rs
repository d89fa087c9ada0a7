//! Health check: present, and strict enough to notice a failure.

use crate::{document::ProposalDocument, quantity::DurationMs, state::Registry};

pub(super) fn check(document: &ProposalDocument, registry: &Registry, found: &mut Vec<String>) {
    let Some(health) = &document.health else {
        found.push("no health check is given; add [health]".to_owned());
        return;
    };
    let limits = &registry.constitution.hard_rules;
    if health.samples < limits.health_samples_min {
        let least = limits.health_samples_min;
        found.push(format!("the health check takes {} samples, at least {least} are needed", health.samples));
    }
    let (least, asked) = (limits.health_success_min, health.success);
    if !least.is_reached_by(asked.numerator().into(), asked.denominator().into()) {
        found.push(format!("the health check asks for {asked} of the probes, at least {least} is needed"));
    }
    if health.latency_p95_ms == DurationMs::ZERO || health.within_ms == DurationMs::ZERO {
        found
            .push("the health check can never pass: latency_p95_ms and within_ms must be above 0".to_owned());
    }
}
