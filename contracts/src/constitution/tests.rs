//! Parameters: the defaults, their text forms, and what is refused.

use super::*;

mod emergency;

fn refusal(change: impl FnOnce(&mut TrackParameters)) -> String {
    let mut constitution = Constitution::default_genesis();
    change(constitution.tracks.get_mut(&Track::Standard).unwrap());
    constitution.check().unwrap_err().to_string()
}

fn with_turnout(turnout: Threshold) -> impl FnOnce(&mut TrackParameters) {
    move |parameters| {
        if let Scheme::Majority { turnout: held, .. } = &mut parameters.scheme {
            *held = turnout;
        }
    }
}

#[test]
fn the_defaults_may_be_in_force_and_so_may_their_shorter_forms() {
    Constitution::default_genesis().check().unwrap();
    for divisor in [0, 1, 100, 20_000, 1_000_000, u64::MAX] {
        Constitution::default_genesis().divided(divisor).check().unwrap();
    }
}

#[test]
fn a_whole_decision_takes_under_half_a_minute_when_divided_by_twenty_thousand() {
    let constitution = Constitution::default_genesis().divided(20_000);
    let standard = &constitution.tracks[&Track::Standard];
    let decision = [standard.voting, standard.confirm, standard.timelock];
    let total = decision.into_iter().fold(DurationMs::ZERO, DurationMs::saturating_add);
    assert!(total < DurationMs::new(30_000), "{total} ms");
}

#[test]
fn parameters_survive_their_text_forms() {
    let constitution = Constitution::default_genesis();
    let toml = toml::to_string(&constitution).unwrap();
    assert_eq!(toml::from_str::<Constitution>(&toml).unwrap(), constitution);
    let json = serde_json::to_string(&constitution).unwrap();
    assert_eq!(serde_json::from_str::<Constitution>(&json).unwrap(), constitution);
}

#[test]
fn a24_a_threshold_of_zero_is_refused() {
    let zero = Ratio::new(0, 1).unwrap();
    let found = refusal(with_turnout(Threshold::AtLeast(zero)));
    assert_eq!(found, "tracks.standard.scheme.turnout is 0 %; a threshold must be above zero");
}

#[test]
fn a24_a_threshold_above_one_hundred_percent_is_refused_when_it_is_read() {
    assert!("101/100".parse::<Ratio>().is_err());
    let found = refusal(with_turnout(Threshold::MoreThan(Ratio::new(1, 1).unwrap())));
    assert_eq!(found, "tracks.standard.scheme.turnout asks for more than 100 % and can never be reached");
}

#[test]
fn a24_a_threshold_of_all_is_allowed_and_a_missing_one_is_not_read() {
    let mut constitution = Constitution::default_genesis();
    for track in [Track::Standard, Track::High, Track::Constitutional] {
        let parameters = constitution.tracks.get_mut(&track).unwrap();
        with_turnout(Threshold::AtLeast(Ratio::new(1, 1).unwrap()))(parameters);
    }
    constitution.check().unwrap();
    let toml = toml::to_string(&Constitution::default_genesis()).unwrap();
    let missing: String = toml
        .lines()
        .filter(|line| !line.starts_with("member_cap"))
        .fold(String::new(), |text, line| text + line + "\n");
    assert!(toml::from_str::<Constitution>(&missing).unwrap_err().to_string().contains("member_cap"));
}

#[test]
fn a24_a_standard_change_needs_a_reviewer() {
    let found = refusal(|parameters| parameters.reviewers = 0);
    assert_eq!(found, "tracks.standard.reviewers is 0; it must be from 1 to 16");
}

#[test]
fn a29_a_timelock_of_ten_years_is_refused() {
    let found = refusal(|parameters| parameters.timelock = DurationMs::from_hours(10 * 365 * 24));
    assert_eq!(found, "tracks.standard.timelock is 315360000000 ms; it must be from 1 to 7776000000 ms");
}

#[test]
fn a29_cooldowns_and_bonds_end_and_can_be_afforded() {
    let refusal = |change: fn(&mut Constitution)| {
        let mut rules = Constitution::default_genesis();
        change(&mut rules);
        rules.check().err().map(|error| error.to_string())
    };
    let longest = |rules: &mut Constitution| {
        let memory = DurationMs::from_hours(4 * 14 * 24);
        rules.resubmission.memory = memory;
    };
    assert_eq!(refusal(longest), None);
    let found = refusal(|rules| rules.resubmission.memory = DurationMs::new(4 * 14 * 24 * 3_600_000 - 1));
    assert!(found.unwrap().starts_with("tracks.constitutional.cooldown is 1209600000 ms"));
    let enough = |rules: &mut Constitution| rules.bonds.account = crate::quantity::BondPoints::new(10);
    assert_eq!(refusal(enough), None);
    let found = refusal(|rules| rules.bonds.account = crate::quantity::BondPoints::new(9));
    assert_eq!(found.unwrap(), "bonds.account is 9; it must be from 10 to 1000000");
    assert!(refusal(|rules| rules.bonds.lost_for = DurationMs::from_hours(91 * 24)).is_some());
    assert!(refusal(|rules| rules.resubmission.failures_max = 0).is_some());
}

#[test]
fn a29_a_track_without_parameters_is_refused() {
    let mut constitution = Constitution::default_genesis();
    constitution.tracks.remove(&Track::Routine);
    assert_eq!(constitution.check().unwrap_err().to_string(), "track Routine has no parameters");
}

#[test]
fn a_late_window_is_within_the_vote() {
    let found = refusal(|parameters| {
        parameters.late_window = parameters.voting.saturating_add(DurationMs::new(1));
    });
    assert!(found.starts_with("tracks.standard.late_window is 259200001 ms"), "{found}");
}

fn looser(change: impl FnOnce(&mut TrackParameters)) -> Option<String> {
    let mut constitution = Constitution::default_genesis();
    change(constitution.tracks.get_mut(&Track::High).unwrap());
    constitution.check().err().map(|refused| refused.to_string())
}

#[test]
fn a29_a_stricter_track_never_asks_for_less_than_the_one_below() {
    let message = |field: &str| {
        Some(format!(
            "tracks.high.{field} asks for less than the standard track; a stricter track may not be easier to pass"
        ))
    };
    assert_eq!(looser(|high| high.reviewers = 1), None, "as many is not fewer");
    assert_eq!(looser(|high| high.timelock = DurationMs::from_hours(24)), None);
    assert_eq!(looser(|high| high.timelock = DurationMs::new(86_399_999)), message("timelock"));
    assert_eq!(looser(|high| high.cooldown = DurationMs::from_hours(71)), message("cooldown"));
    let approval = |threshold| {
        move |high: &mut TrackParameters| {
            if let Scheme::Majority { approval, .. } = &mut high.scheme {
                *approval = threshold;
            }
        }
    };
    assert_eq!(looser(approval(Threshold::MoreThan(Ratio::new(50, 100).unwrap()))), None);
    assert_eq!(looser(approval(Threshold::AtLeast(Ratio::ONE_HALF))), message("scheme"));
    assert_eq!(looser(approval(Threshold::MoreThan(Ratio::new(49, 100).unwrap()))), message("scheme"));
    assert_eq!(looser(with_turnout(Threshold::AtLeast(Ratio::ONE_THIRD))), message("scheme"));

    let mut constitution = Constitution::default_genesis();
    let cosign = constitution.tracks[&Track::High].cosign;
    constitution.tracks.get_mut(&Track::Standard).unwrap().cosign = cosign;
    constitution.check().unwrap();
    constitution.tracks.get_mut(&Track::High).unwrap().cosign = None;
    assert_eq!(constitution.check().err().map(|refused| refused.to_string()), message("cosign"));
    constitution.tracks.get_mut(&Track::High).unwrap().cosign =
        Some(Cosign { guardians: 2, organisations: 1 });
    assert_eq!(constitution.check().err().map(|refused| refused.to_string()), message("cosign"));
}

#[test]
fn a17_a_routine_ballot_weighs_the_same_when_its_vote_becomes_a_standard_one() {
    let mut constitution = Constitution::default_genesis();
    constitution.tracks.get_mut(&Track::High).unwrap().weighing = Weighing::Quadratic;
    constitution.check().unwrap();
    constitution.tracks.get_mut(&Track::Routine).unwrap().weighing = Weighing::OnePerOrganisation;
    let refused = constitution.check().unwrap_err().to_string();
    assert!(refused.starts_with("tracks.standard.weighing is not the routine track's; "), "{refused}");
    constitution.tracks.get_mut(&Track::Standard).unwrap().weighing = Weighing::OnePerOrganisation;
    constitution.check().unwrap();
}

#[test]
fn a24_the_bounds_of_delegations_are_bounded_themselves_and_may_turn_it_off() {
    let refusal = |change: fn(&mut DelegationRules)| {
        let mut constitution = Constitution::default_genesis();
        change(&mut constitution.delegation);
        constitution.check().err().map(|refused| refused.to_string())
    };
    assert_eq!(refusal(|rules| rules.cap = Ratio::new(0, 1).unwrap()), None);
    let instant = refusal(|rules| rules.activation = DurationMs::ZERO).unwrap();
    assert!(instant.starts_with("delegation.activation is 0 ms; it must be from 1 to "), "{instant}");
    let never = refusal(|rules| rules.term_max = rules.activation).unwrap();
    assert!(never.starts_with("delegation.term_max is 86400000 ms; it must be from 86400001 to "), "{never}");
    assert_eq!(refusal(|rules| rules.term_max = DurationMs::from_hours(366 * 24)), None);
    assert!(refusal(|rules| rules.term_max = DurationMs::from_hours(367 * 24)).is_some());
}

#[test]
fn a24_co_signers_are_at_least_one_and_of_no_more_organisations_than_they_are() {
    for (guardians, organisations, field) in
        [(0, 0, "guardians"), (2, 0, "organisations"), (2, 3, "organisations")]
    {
        let found = looser(|high| high.cosign = Some(Cosign { guardians, organisations })).unwrap();
        assert!(found.starts_with(&format!("tracks.high.cosign.{field} is ")), "{found}");
    }
}

#[test]
fn rules_for_few_organisations_ask_for_no_more_than_there_are_others() {
    let of = |organisations| Constitution::default_genesis().fitted_to(organisations).tracks;
    assert_eq!(of(4), Constitution::default_genesis().tracks);
    let two = of(2);
    assert_eq!(two[&Track::High].reviewers, 1);
    assert_eq!(two[&Track::High].cosign, Some(Cosign { guardians: 1, organisations: 1 }));
    assert_eq!(of(0)[&Track::Standard].reviewers, 1, "it is never none");
}

#[test]
fn of_all_that_the_table_says_about_a_change_the_strictest_holds() {
    use crate::{
        document::ActionKind::{Configure, Deploy, Remove},
        genesis::Tier::{High, Low, Medium},
    };
    let mut table = Constitution::default_genesis().classification;
    let track =
        |table: &Classification, targets, actions: &[_]| table.track_of(targets, actions.iter().copied());
    assert_eq!(track(&table, 1, &[(Deploy, Low)]), Track::Routine);
    assert_eq!(track(&table, 2, &[(Deploy, Low), (Configure, Low)]), Track::Routine);
    assert_eq!(track(&table, 3, &[(Deploy, Low)]), Track::Standard, "by its breadth");
    assert_eq!(track(&table, 16, &[(Deploy, Medium)]), Track::Standard);
    assert_eq!(track(&table, 17, &[(Deploy, Low)]), Track::High, "by its breadth");
    assert_eq!(track(&table, 1, &[(Deploy, Low), (Remove, Low)]), Track::Standard);
    assert_eq!(track(&table, 2, &[(Configure, High), (Deploy, Low)]), Track::High, "wherever it stands");
    table.actions.get_mut(&Deploy).unwrap().remove(&Low);
    assert_eq!(track(&table, 1, &[(Deploy, Low)]), Track::High, "what the table does not know");
    table.actions.remove(&Remove);
    assert_eq!(track(&table, 1, &[(Remove, Low)]), Track::High);
}

#[test]
fn a_breadth_that_is_high_before_it_is_standard_is_refused() {
    let mut constitution = Constitution::default_genesis();
    constitution.classification.standard_targets_max = 1;
    let found = constitution.check().unwrap_err().to_string();
    assert_eq!(found, "classification.standard_targets_max is 1; it must be from 2 to 65535");
}

#[test]
fn the_periods_of_the_strict_tracks_are_those_of_the_document() {
    let tracks = Constitution::default_genesis().tracks;
    let days = |track: Track| {
        let TrackParameters { voting, timelock, execute_by, .. } = tracks[&track];
        [voting, timelock, execute_by].map(|period| period.get() / 86_400_000)
    };
    assert_eq!(days(Track::High), [5, 2, 7]);
    assert_eq!(days(Track::Constitutional), [7, 7, 14]);
}
