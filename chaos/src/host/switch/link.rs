//! Owns what happens to a frame on its way: a pure function of the seed, the two ends, the frame's number on that way and
//! the state of the link, so that the same traffic meets the same fate in every run.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use serde::Serialize;

/// How much longer a frame that is overtaken takes.
const OVERTAKEN: Duration = Duration::from_millis(20);
/// What one draw is out of.
const HUNDRED: u8 = 100;

/// The state of the way from one node to another; the way back has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Link {
    /// Nothing gets through.
    pub cut: bool,
    /// Frames of a hundred that are lost.
    pub loss_percent: u8,
    /// Frames of a hundred that arrive twice.
    pub duplicate_percent: u8,
    /// Frames of a hundred that arrive with two words of their contents swapped, which no checksum of the network notices.
    pub corrupt_percent: u8,
    /// Frames of a hundred that later ones overtake.
    pub reorder_percent: u8,
    /// Time on the way.
    pub delay_ms: u32,
    /// Up to as much more, drawn for each frame.
    pub jitter_ms: u32,
    /// Most bytes a second; 0 is no limit.
    pub rate_bytes: u32,
}

/// What becomes of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing arrives.
    Lost,
    /// It arrives.
    Arrives {
        /// Time on the way, without the wait for the rate.
        after: Duration,
        /// Twice.
        twice: bool,
        /// Changed; the number says where.
        corrupt: Option<u32>,
    },
}

impl Link {
    /// A way on which nothing gets through.
    pub const CUT: Self = Self {
        cut: true,
        loss_percent: 0,
        duplicate_percent: 0,
        corrupt_percent: 0,
        reorder_percent: 0,
        delay_ms: 0,
        jitter_ms: 0,
        rate_bytes: 0,
    };

    /// The fate of frame `number` on the way from `from` to `to`.
    #[must_use]
    pub fn fate(&self, seed: u64, from: usize, to: usize, number: u64) -> Fate {
        if self.cut {
            return Fate::Lost;
        }
        let mut random = SmallRng::seed_from_u64(mix(mix(mix(seed, from as u64), to as u64), number));
        let mut hits = |percent: u8| random.random_range(0..HUNDRED) < percent;
        // Each is drawn whether or not it can happen, so that one setting does not move the others' dice.
        let (lost, twice, corrupt, overtaken) = (
            hits(self.loss_percent),
            hits(self.duplicate_percent),
            hits(self.corrupt_percent),
            hits(self.reorder_percent),
        );
        let (jitter_ms, place) = (random.random_range(0..=self.jitter_ms), random.random());
        if lost {
            return Fate::Lost;
        }
        let held = if overtaken { OVERTAKEN } else { Duration::ZERO };
        let after = Duration::from_millis(u64::from(self.delay_ms) + u64::from(jitter_ms)) + held;
        Fate::Arrives { after, twice, corrupt: corrupt.then_some(place) }
    }
}

/// Spreads what differs in a few bits over all of them (the finaliser of `SplitMix64`).
const fn mix(seed: u64, value: u64) -> u64 {
    let mut mixed = seed.wrapping_add(value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: u64 = 10_000;

    fn fates(link: Link, seed: u64) -> Vec<Fate> {
        (0..FRAMES).map(|number| link.fate(seed, 0, 1, number)).collect()
    }

    #[test]
    fn a_sound_link_changes_nothing() {
        let sound = Fate::Arrives { after: Duration::ZERO, twice: false, corrupt: None };
        assert!(fates(Link::default(), 7).into_iter().all(|fate| fate == sound));
    }

    #[test]
    fn a_cut_link_carries_nothing() {
        assert!(fates(Link::CUT, 7).into_iter().all(|fate| fate == Fate::Lost));
    }

    #[test]
    fn the_same_seed_has_the_same_fates_and_another_has_others() {
        let link = Link { loss_percent: 20, jitter_ms: 50, ..Link::default() };
        assert_eq!(fates(link, 7), fates(link, 7));
        assert_ne!(fates(link, 7), fates(link, 8));
        let back: Vec<_> = (0..FRAMES).map(|number| link.fate(7, 1, 0, number)).collect();
        assert_ne!(fates(link, 7), back, "the way back has fates of its own");
    }

    #[test]
    fn as_many_frames_suffer_as_was_said() {
        let link = Link {
            loss_percent: 10,
            duplicate_percent: 5,
            corrupt_percent: 2,
            reorder_percent: 8,
            ..Link::default()
        };
        let fates = fates(link, 7);
        let lost = fates.iter().filter(|fate| **fate == Fate::Lost).count();
        assert!((800..1200).contains(&lost), "{lost}");
        let of = |is: fn(&Fate) -> bool| fates.iter().filter(|fate| is(fate)).count();
        let twice = of(|fate| matches!(fate, Fate::Arrives { twice: true, .. }));
        assert!((350..550).contains(&twice), "{twice}");
        let corrupt = of(|fate| matches!(fate, Fate::Arrives { corrupt: Some(_), .. }));
        assert!((100..260).contains(&corrupt), "{corrupt}");
        let held = of(|fate| matches!(fate, Fate::Arrives { after, .. } if *after >= OVERTAKEN));
        assert!((580..860).contains(&held), "{held}");
    }
}
