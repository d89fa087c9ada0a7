//! Owns who decided which height, as far back as a ledger was followed: the validators of a block are those that the block
//! before it leaves behind.

use std::{collections::BTreeMap, sync::Arc};

use althing_contracts::{
    certificate::{Certificate, CertificateError, Roster},
    digest::Digest,
    quantity::Height,
    state::State,
};

/// Changes of the roster that are remembered; what is older can be asked of the blocks.
const CHANGES_MAX: usize = 1_024;

/// The rosters of a range of heights.
#[derive(Debug, Clone)]
pub struct Rosters {
    /// From each of these heights on, up to the next one.
    since: BTreeMap<Height, Arc<Roster>>,
    next: Height,
}

/// What a certificate is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It proves its block final.
    Proven,
    /// Its height is decided by validators that are not known here: it is too old, or the roster may change before it.
    Unknown,
}

impl Rosters {
    /// Begins with the height after a state's.
    #[must_use]
    pub fn after(state: &State) -> Self {
        let next = state.height().next();
        Self { since: BTreeMap::from([(next, Arc::clone(state.roster()))]), next }
    }

    /// Goes on by one block, with the state after it. Says whether other validators decide from now on.
    pub fn follow(&mut self, state: &State) -> bool {
        self.next = state.height().next();
        let changed = self.since.last_key_value().is_none_or(|(_, last)| last != state.roster());
        if changed {
            self.since.insert(self.next, Arc::clone(state.roster()));
            if self.since.len() > CHANGES_MAX {
                self.since.pop_first();
            }
        }
        changed
    }

    /// Checks the certificate of any height.
    ///
    /// # Errors
    /// It proves nothing, and whoever shows it is to blame.
    pub fn judge(&self, network: Digest, certificate: &Certificate) -> Result<Judged, CertificateError> {
        let Some((_, roster)) = self.since.range(..=certificate.height).next_back() else {
            return Ok(Judged::Unknown);
        };
        match certificate.verify(network, roster) {
            Ok(()) => Ok(Judged::Proven),
            Err(CertificateError::Stranger { .. } | CertificateError::Weight { .. })
                if certificate.height > self.next =>
            {
                Ok(Judged::Unknown)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use althing_contracts::{quantity::DurationMs, testing::World};

    use super::*;

    /// A certificate of every validator of a world for some block of a height.
    fn certificate(world: &World, height: u64) -> Certificate {
        let mut header = world.last.clone().unwrap();
        header.height = Height::new(height);
        world.certify(&header)
    }

    fn world(organisations: usize) -> World {
        let mut world = World::new(organisations);
        world.block(DurationMs::new(1), &[]);
        world
    }

    #[test]
    fn each_height_is_judged_by_the_validators_that_the_block_before_it_left() {
        let (four, mut five) = (world(4), world(5));
        let mut rosters = Rosters::after(&four.state);
        let network = four.network();
        // The larger world's validators sign for the same network.
        five.state = four.state.clone();
        let judge = |rosters: &Rosters, world: &World, height| {
            rosters.judge(network, &certificate(world, height)).map_err(|error| error.to_string())
        };
        assert_eq!(judge(&rosters, &four, 2), Ok(Judged::Proven));
        assert_eq!(judge(&rosters, &four, 3), Ok(Judged::Proven), "nothing has changed so far");
        assert_eq!(judge(&rosters, &five, 3), Ok(Judged::Unknown), "its validators may join at 2");
        assert!(judge(&rosters, &five, 2).is_err());
        assert_eq!(judge(&rosters, &four, 1), Ok(Judged::Unknown), "it is older than what was followed");
        let mut forged = certificate(&four, 9);
        forged.height = Height::new(8);
        assert!(rosters.judge(network, &forged).is_err(), "whoever is known is held to its signature");
        assert!(!rosters.follow(&four.state));
    }

    #[test]
    fn a_change_holds_from_the_next_height_on_and_so_many_are_remembered() {
        let (mut one, mut other) = (world(4), world(5));
        let mut rosters = Rosters::after(&one.state);
        for step in 0..CHANGES_MAX {
            one.pass(DurationMs::new(1));
            other.pass(DurationMs::new(1));
            assert!(rosters.follow(if step % 2 == 0 { &other.state } else { &one.state }));
        }
        assert_eq!(rosters.since.len(), CHANGES_MAX);
        assert!(!rosters.since.contains_key(&Height::new(2)));
        assert!(rosters.since.contains_key(&one.state.height().next()));
    }
}
