//! The rules for emergencies: what may be in force, what is fitted and divided, and what the judgement is decided by.

use crate::{
    constitution::{Constitution, EmergencyRules, Threshold, Track},
    document::ActionKind,
    genesis::Tier,
    quantity::{DurationMs, Ratio},
    testing::genesis,
};

fn refusal(change: impl FnOnce(&mut EmergencyRules)) -> String {
    let mut constitution = Constitution::default_genesis();
    change(&mut constitution.emergency);
    constitution.check().err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn the_defaults_are_those_of_the_document() {
    let rules = Constitution::default_genesis().emergency;
    assert_eq!(rules.guardians, Threshold::AtLeast(Ratio::TWO_THIRDS));
    assert_eq!((rules.organisations, rules.attestations), (3, 1));
    let hours =
        [rules.signing, rules.ttl_max, rules.ratify, rules.term].map(|period| period.get() / 3_600_000);
    assert_eq!(hours, [1, 24, 72, 365 * 24]);
}

#[test]
fn a24_half_of_the_guardians_are_never_enough_and_more_than_half_are() {
    let share = |guardians| refusal(|rules| rules.guardians = guardians);
    let below = "emergency.guardians asks for less than more than half, below which the rules would not protect themselves";
    assert_eq!(share(Threshold::AtLeast(Ratio::ONE_HALF)), below);
    assert_eq!(share(Threshold::AtLeast(Ratio::ONE_THIRD)), below);
    assert_eq!(share(Threshold::MoreThan(Ratio::ONE_HALF)), "");
    assert!(share(Threshold::AtLeast(Ratio::new(0, 1).unwrap())).contains("is 0 %"));
    assert!(share(Threshold::MoreThan(Ratio::new(1, 1).unwrap())).contains("can never be reached"));
}

#[test]
fn a21_no_parameter_lets_measures_hold_for_ever() {
    let too_long = DurationMs::from_hours(7 * 24).saturating_add(DurationMs::new(1));
    let found = refusal(|rules| rules.ttl_max = too_long);
    assert_eq!(found, "emergency.ttl_max is 604800001 ms; it must be from 1 to 604800000 ms");
    assert_eq!(refusal(|rules| rules.ttl_max = DurationMs::from_hours(7 * 24)), "");
    assert!(refusal(|rules| rules.ttl_max = DurationMs::ZERO).contains("emergency.signing"));
    assert!(refusal(|rules| rules.signing = DurationMs::from_hours(25)).contains("emergency.signing"));
    assert!(refusal(|rules| rules.ratify = DurationMs::ZERO).contains("emergency.ratify"));
    assert!(refusal(|rules| rules.ratify = DurationMs::from_hours(91 * 24)).contains("emergency.ratify"));
    assert!(refusal(|rules| rules.term = DurationMs::from_hours(731 * 24)).contains("emergency.term"));
    assert!(refusal(|rules| rules.organisations = 0).contains("emergency.organisations is 0"));
    assert!(refusal(|rules| rules.attestations = 0).contains("emergency.attestations is 0"));
}

#[test]
fn a29_an_emergency_that_the_guardians_cannot_carry_is_refused() {
    let mut genesis = genesis(4);
    genesis.constitution.emergency.organisations = 4;
    genesis.check().unwrap();
    genesis.constitution.emergency.organisations = 5;
    let refused = genesis.check().unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert_eq!(
        cause,
        "emergency.organisations needs 5 organisations with a guardian, and the mesh has fewer"
    );
}

#[test]
fn nobody_gives_the_judgement_a_track_of_their_own_or_sends_a_change_there() {
    let mut constitution = Constitution::default_genesis();
    let standard = constitution.tracks[&Track::Standard].clone();
    constitution.tracks.insert(Track::Emergency, standard);
    let reserved = "tracks.emergency names the emergency track, which the ledger alone opens";
    assert_eq!(constitution.check().unwrap_err().to_string(), reserved);
    let mut constitution = Constitution::default_genesis();
    constitution
        .classification
        .actions
        .entry(ActionKind::Deploy)
        .or_default()
        .insert(Tier::Low, Track::Emergency);
    let reserved = "classification.actions names the emergency track, which the ledger alone opens";
    assert_eq!(constitution.check().unwrap_err().to_string(), reserved);
}

#[test]
fn the_judgement_is_decided_as_on_the_standard_track_and_waits_for_nothing() {
    let constitution = Constitution::default_genesis();
    let standard = constitution.parameters_of(Track::Standard).unwrap();
    let judgement = constitution.parameters_of(Track::Emergency).unwrap();
    assert_eq!(judgement.scheme, standard.scheme);
    assert_eq!(judgement.voting, DurationMs::from_hours(72));
    let waits = [judgement.late_window, judgement.confirm, judgement.timelock];
    assert_eq!(waits, [DurationMs::ZERO; 3]);
    assert_eq!((judgement.reviewers, judgement.cosign), (0, None));
}

#[test]
fn a_mesh_with_divided_periods_leaves_people_time_and_guardians_their_term() {
    let rules = Constitution::default_genesis().divided(86_400).emergency;
    let minute = DurationMs::new(60_000);
    assert_eq!([rules.signing, rules.ttl_max, rules.ratify], [minute; 3]);
    assert_eq!(rules.term, DurationMs::from_hours(365 * 24));
    assert_eq!(
        Constitution::default_genesis().divided(60).emergency.ratify,
        DurationMs::from_hours(72).divided(60)
    );
    let few = Constitution::default_genesis().fitted_to(3).emergency;
    assert_eq!(few.organisations, 2);
}
