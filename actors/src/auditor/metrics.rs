//! Owns the metrics of the auditor.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::{alarm::Alarm, state::AuditorStatus};

/// Height re-applied.
pub const HEIGHT: &str = "althing_auditor_height";
/// 1 while the ledger holds as far as it was re-applied, else 0.
pub const SOUND: &str = "althing_auditor_sound";
/// Alarms raised, by alarm.
pub const ALARMS: &str = "althing_auditor_alarms_total";
/// Attestations, by outcome.
pub const ATTESTATIONS: &str = "althing_auditor_attestations_total";
/// Heads that peers showed, by outcome.
pub const HEADS: &str = "althing_auditor_heads_total";

/// How an attestation went.
#[derive(Debug, Clone, Copy)]
pub(super) enum Attestation {
    Final,
    Refused,
    Unknown,
}

/// What a head was worth.
#[derive(Debug, Clone, Copy)]
pub(super) enum HeadOutcome {
    Agrees,
    Old,
    Split,
    Invalid,
    NoRoom,
}

impl Attestation {
    const ALL: [Self; 3] = [Self::Final, Self::Refused, Self::Unknown];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

impl HeadOutcome {
    const ALL: [Self; 5] = [Self::Agrees, Self::Old, Self::Split, Self::Invalid, Self::NoRoom];

    const fn name(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Old => "old",
            Self::Split => "split",
            Self::Invalid => "invalid",
            Self::NoRoom => "no-room",
        }
    }
}

pub(super) fn describe() {
    describe_gauge!(HEIGHT, Unit::Count, "height up to which the auditor re-applied the ledger");
    describe_gauge!(SOUND, Unit::Count, "1 while the ledger holds as far as it was re-applied");
    describe_counter!(ALARMS, Unit::Count, "alarms raised by the auditor");
    describe_counter!(ATTESTATIONS, Unit::Count, "attestations submitted by the auditor");
    describe_counter!(HEADS, Unit::Count, "heads that peers showed to the auditor");
    gauge!(SOUND).set(1.0);
    for alarm in Alarm::NAMES {
        counter!(ALARMS, "alarm" => alarm).absolute(0);
    }
    for outcome in Attestation::ALL {
        counter!(ATTESTATIONS, "outcome" => outcome.name()).absolute(0);
    }
    for outcome in HeadOutcome::ALL {
        counter!(HEADS, "outcome" => outcome.name()).absolute(0);
    }
}

pub(super) fn status(status: &AuditorStatus) {
    // A height of 2⁵³ blocks is out of reach, so nothing is lost.
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    gauge!(HEIGHT).set(status.height.get() as f64);
    gauge!(SOUND).set(f64::from(u8::from(status.sound)));
}

pub(super) fn alarm(alarm: &Alarm) {
    counter!(ALARMS, "alarm" => alarm.name()).increment(1);
}

pub(super) fn attestation(outcome: Attestation) {
    counter!(ATTESTATIONS, "outcome" => outcome.name()).increment(1);
}

pub(super) fn head(outcome: HeadOutcome) {
    counter!(HEADS, "outcome" => outcome.name()).increment(1);
}
