//! Owns the numbers of the ledger: each a newtype with one unit, so that a height is never a time.
//!
//! Arithmetic is `checked_*` or `saturating_*` by decision of the caller; nothing converts implicitly.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            BorshSerialize, BorshDeserialize, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// The smallest value.
            pub const ZERO: Self = Self(0);
            /// The largest value.
            pub const MAX: Self = Self(<$inner>::MAX);

            /// Wraps a raw number.
            #[must_use]
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The raw number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The sum, or `None` above the range.
            #[must_use]
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The difference, or `None` below zero.
            #[must_use]
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(difference) => Some(Self(difference)),
                    None => None,
                }
            }

            /// The sum, held at the top of the range.
            #[must_use]
            pub const fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// The difference, held at zero.
            #[must_use]
            pub const fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// The successor, held at the top of the range.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

quantity! {
    /// Position of a block in the ledger; genesis is 0, the first block 1.
    Height(u64)
}
quantity! {
    /// Consensus round within a height, from 0.
    Round(u32)
}
quantity! {
    /// Milliseconds since the Unix epoch, by the clock of the ledger (a block's time), never a local one.
    TimeMs(u64)
}
quantity! {
    /// A length of time in milliseconds.
    DurationMs(u64)
}
quantity! {
    /// Voting weight.
    Weight(u64)
}
quantity! {
    /// Points of an author's account that stand for what it asks of others.
    BondPoints(u32)
}
quantity! {
    /// Money in thousandths of the mesh's unit of account.
    AmountMilli(u64)
}
quantity! {
    /// Per-sender transaction counter; a sender's transactions take effect in this order, each once.
    Sequence(u64)
}
quantity! {
    /// Edition of a proposal's content, from 1.
    Revision(u32)
}
quantity! {
    /// Fencing token of an execution: a provider refuses any order below the highest it has seen for its target.
    Fence(u64)
}
quantity! {
    /// Number of an event on the ledger, from 1, without gaps.
    EventSequence(u64)
}

impl TimeMs {
    /// The instant `duration` later, held at the end of time.
    #[must_use]
    pub const fn after(self, duration: DurationMs) -> Self {
        Self(self.0.saturating_add(duration.0))
    }

    /// How long from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> DurationMs {
        DurationMs(self.0.saturating_sub(earlier.0))
    }
}

impl DurationMs {
    /// A length given in whole hours, held at the top of the range.
    #[must_use]
    pub const fn from_hours(hours: u64) -> Self {
        Self(hours.saturating_mul(3_600_000))
    }

    /// So many times this length, held at the top of the range.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// This length divided by `divisor` (0 counts as 1), at least 1 ms unless it was zero.
    #[must_use]
    pub const fn divided(self, divisor: u64) -> Self {
        let divisor = if divisor == 0 { 1 } else { divisor };
        match self.0.checked_div(divisor) {
            Some(0) if self.0 > 0 => Self(1),
            Some(quotient) => Self(quotient),
            None => self,
        }
    }
}

/// An exact proportion, compared by cross-multiplication in `u128`; never a float.
///
/// Bounds: denominator ≥ 1 and numerator ≤ denominator, so 0 to 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, Serialize)]
#[serde(into = "String")]
pub struct Ratio {
    numerator: u32,
    denominator: u32,
}

/// Why a proportion was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RatioError {
    /// The denominator is zero.
    #[error("a ratio needs a denominator of at least 1")]
    ZeroDenominator,
    /// The proportion is above one.
    #[error("{numerator}/{denominator} is above 100 %")]
    AboveOne {
        /// As given.
        numerator: u32,
        /// As given.
        denominator: u32,
    },
    /// The text is not `a/b`.
    #[error("`{0}` is not a ratio; write it as two whole numbers, for example 2/3")]
    NotARatio(String),
}

impl Ratio {
    /// A tenth.
    pub const ONE_TENTH: Self = Self { numerator: 1, denominator: 10 };
    /// A fifth.
    pub const ONE_FIFTH: Self = Self { numerator: 1, denominator: 5 };
    /// A third.
    pub const ONE_THIRD: Self = Self { numerator: 1, denominator: 3 };
    /// Two fifths.
    pub const TWO_FIFTHS: Self = Self { numerator: 2, denominator: 5 };
    /// Three quarters.
    pub const THREE_QUARTERS: Self = Self { numerator: 3, denominator: 4 };
    /// Three fifths.
    pub const THREE_FIFTHS: Self = Self { numerator: 3, denominator: 5 };
    /// Two thirds.
    pub const TWO_THIRDS: Self = Self { numerator: 2, denominator: 3 };
    /// A half.
    pub const ONE_HALF: Self = Self { numerator: 1, denominator: 2 };
    /// Nine tenths.
    pub const NINE_TENTHS: Self = Self { numerator: 9, denominator: 10 };

    /// The upper number.
    #[must_use]
    pub const fn numerator(self) -> u32 {
        self.numerator
    }

    /// The lower number.
    #[must_use]
    pub const fn denominator(self) -> u32 {
        self.denominator
    }

    /// Builds `numerator/denominator`.
    ///
    /// # Errors
    /// Refuses a zero denominator and anything above one.
    pub const fn new(numerator: u32, denominator: u32) -> Result<Self, RatioError> {
        if denominator == 0 {
            return Err(RatioError::ZeroDenominator);
        }
        if numerator > denominator {
            return Err(RatioError::AboveOne { numerator, denominator });
        }
        Ok(Self { numerator, denominator })
    }

    /// Whether the proportion is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.numerator == 0
    }

    /// Whether `part` is at least this share of `whole`.
    #[must_use]
    pub fn is_reached_by(self, part: u64, whole: u64) -> bool {
        self.scaled_part(part) >= self.scaled_whole(whole)
    }

    /// Whether `part` is more than this share of `whole`.
    #[must_use]
    pub fn is_exceeded_by(self, part: u64, whole: u64) -> bool {
        self.scaled_part(part) > self.scaled_whole(whole)
    }

    /// The largest whole number that is at most this share of `whole`.
    #[must_use]
    pub fn floor_of(self, whole: u64) -> u64 {
        let scaled = self.scaled_whole(whole).checked_div(u128::from(self.denominator)).unwrap_or(0);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    // u64 × u32 always fits in u128, so saturation never takes effect.
    fn scaled_part(self, part: u64) -> u128 {
        u128::from(part).saturating_mul(u128::from(self.denominator))
    }

    fn scaled_whole(self, whole: u64) -> u128 {
        u128::from(whole).saturating_mul(u128::from(self.numerator))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

impl From<Ratio> for String {
    fn from(ratio: Ratio) -> Self {
        ratio.to_string()
    }
}

impl std::str::FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_a_ratio = || RatioError::NotARatio(text.chars().take(32).collect());
        let (numerator, denominator) = text.split_once('/').ok_or_else(not_a_ratio)?;
        let parse = |part: &str| part.trim().parse::<u32>().map_err(|_| not_a_ratio());
        Self::new(parse(numerator)?, parse(denominator)?)
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl BorshDeserialize for Ratio {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let numerator = u32::deserialize_reader(reader)?;
        let denominator = u32::deserialize_reader(reader)?;
        Self::new(numerator, denominator)
            .map_err(|error| borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_compares_exactly_around_its_threshold() {
        let two_thirds = Ratio::new(2, 3).unwrap();
        assert!(!two_thirds.is_reached_by(65, 99));
        assert!(two_thirds.is_reached_by(66, 99));
        assert!(!two_thirds.is_exceeded_by(66, 99));
        assert!(two_thirds.is_exceeded_by(67, 99));
    }

    #[test]
    fn ratio_above_one_or_over_zero_is_refused() {
        assert_eq!("101/100".parse::<Ratio>().unwrap_err().to_string(), "101/100 is above 100 %");
        assert_eq!(Ratio::new(0, 0), Err(RatioError::ZeroDenominator));
        assert!(borsh::from_slice::<Ratio>(&[2, 0, 0, 0, 1, 0, 0, 0]).is_err());
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let whole = Ratio::new(u32::MAX, u32::MAX).unwrap();
        assert!(whole.is_reached_by(u64::MAX, u64::MAX));
        assert!(!whole.is_exceeded_by(u64::MAX, u64::MAX));
        assert_eq!(whole.floor_of(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_divided_duration_is_never_lost() {
        assert_eq!(DurationMs::from_hours(24).divided(86_400), DurationMs::new(1_000));
        assert_eq!(DurationMs::new(5).divided(10), DurationMs::new(1));
        assert_eq!(DurationMs::ZERO.divided(10), DurationMs::ZERO);
    }
}
