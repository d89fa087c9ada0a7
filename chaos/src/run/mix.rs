//! Owns the mixes: faults that are known to hide behind each other, broken together. Each has a name that says what is in it.

use super::fault::Kind;

/// Kinds that are broken at one time.
pub type Mix = &'static [Kind];

/// Every mix.
pub const MIXES: [Mix; 28] = [
    &[Kind::CutOne, Kind::KillOne],
    &[Kind::CutHalves, Kind::KillOne],
    &[Kind::CutThree, Kind::ClockAhead],
    &[Kind::Deaf, Kind::Stop],
    &[Kind::Mute, Kind::KillOne],
    &[Kind::Slow, Kind::KillOne],
    &[Kind::Slow, Kind::Stop],
    &[Kind::Lossy, Kind::KillAll],
    &[Kind::Lossy, Kind::ClockBehind],
    &[Kind::Corrupt, Kind::KillOne],
    &[Kind::Corrupt, Kind::Stop],
    &[Kind::Narrow, Kind::KillOne],
    &[Kind::Narrow, Kind::ClockAhead],
    &[Kind::CutOne, Kind::PowerCut],
    &[Kind::CutHalves, Kind::PowerCut],
    &[Kind::Slow, Kind::PowerCut],
    &[Kind::Lossy, Kind::PowerCutAll],
    &[Kind::Corrupt, Kind::PowerCut],
    &[Kind::ClockAhead, Kind::KillOne],
    &[Kind::ClockBehind, Kind::KillAll],
    &[Kind::ClockAhead, Kind::PowerCut],
    &[Kind::ClockBehind, Kind::Stop],
    &[Kind::Slow, Kind::Freeze],
    &[Kind::CutHalves, Kind::ClockAhead],
    &[Kind::Slow, Kind::ClockAhead, Kind::KillOne],
    &[Kind::Lossy, Kind::ClockBehind, Kind::PowerCut],
    &[Kind::CutOne, Kind::Freeze, Kind::ClockAhead],
    &[Kind::Mute, Kind::PowerCut, Kind::ClockBehind],
];

/// Its name: the kinds in it.
#[must_use]
pub fn name(mix: Mix) -> String {
    mix.iter().map(|kind| kind.name()).collect::<Vec<_>>().join("+")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_mix_is_another_one_and_breaks_different_things() {
        assert_eq!(MIXES.iter().map(|mix| name(mix)).collect::<BTreeSet<_>>().len(), MIXES.len());
        for mix in MIXES {
            let faults: BTreeSet<_> = mix.iter().map(|kind| kind.fault().name()).collect();
            assert!(mix.len() >= 2 && faults.len() == mix.len(), "{}", name(mix));
        }
    }

    #[test]
    fn no_mix_stops_a_daemon_twice() {
        for mix in MIXES {
            assert!(mix.iter().filter(|kind| kind.stops_daemons()).count() <= 1, "{}", name(mix));
        }
    }
}
