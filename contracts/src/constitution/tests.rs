//! Parameters: the defaults, their text forms, and what is refused.

use super::*;

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
    let standard = constitution.tracks.get_mut(&Track::Standard).unwrap();
    with_turnout(Threshold::AtLeast(Ratio::new(1, 1).unwrap()))(standard);
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
