//! Owns the ways in which a validator breaks the protocol, by name: those that the simulation plays and that real daemons are
//! told.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A way to break the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// Connected, and says nothing.
    Silent,
    /// Bytes that are no message.
    Garbage,
    /// Prevotes and precommits for two blocks in one round.
    DoubleVotes,
    /// Two blocks in one round, to each half of the mesh another.
    TwoBlocks,
    /// A block whose state root is wrong.
    WrongRoot,
    /// A block whose time is an hour ahead.
    FarAhead,
    /// A proposal without its block.
    Withheld,
    /// Votes for no block, always.
    NilVotes,
    /// Votes of rounds and heights that are long over.
    OldVotes,
    /// Votes and transactions that are signed for another network.
    Foreign,
    /// Far more statements than anybody needs.
    Flood,
    /// Votes for whatever is proposed, whatever it is locked on.
    Amnesia,
    /// Votes in another validator's name.
    Forged,
    /// Messages that end early.
    Cut,
    /// Messages longer than any may be.
    Oversized,
    /// Blocks without anybody's transactions.
    Censor,
    /// Blocks that nobody decided, to those who ask for what they missed.
    FalseHistory,
}

/// No lie has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no lie `{0}`")]
pub struct UnknownLie(String);

impl Lie {
    /// Every lie.
    pub const ALL: [Self; 17] = [
        Self::Silent,
        Self::Garbage,
        Self::DoubleVotes,
        Self::TwoBlocks,
        Self::WrongRoot,
        Self::FarAhead,
        Self::Withheld,
        Self::NilVotes,
        Self::OldVotes,
        Self::Foreign,
        Self::Flood,
        Self::Amnesia,
        Self::Forged,
        Self::Cut,
        Self::Oversized,
        Self::Censor,
        Self::FalseHistory,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Garbage => "garbage",
            Self::DoubleVotes => "double-votes",
            Self::TwoBlocks => "two-blocks",
            Self::WrongRoot => "wrong-root",
            Self::FarAhead => "far-ahead",
            Self::Withheld => "withheld",
            Self::NilVotes => "nil-votes",
            Self::OldVotes => "old-votes",
            Self::Foreign => "foreign",
            Self::Flood => "flood",
            Self::Amnesia => "amnesia",
            Self::Forged => "forged",
            Self::Cut => "cut",
            Self::Oversized => "oversized",
            Self::Censor => "censor",
            Self::FalseHistory => "false-history",
        }
    }

    /// What it does, for people.
    #[must_use]
    pub const fn does(self) -> &'static str {
        match self {
            Self::Silent => "a validator is connected and says nothing",
            Self::Garbage => "a validator sends bytes that are no message",
            Self::DoubleVotes => {
                "a validator votes for two blocks in one round: that has to be on every ledger"
            }
            Self::TwoBlocks => {
                "a validator proposes two blocks in one round, to each half of the mesh another"
            }
            Self::WrongRoot => "a validator proposes blocks with a wrong state root",
            Self::FarAhead => "a validator proposes blocks that are an hour ahead",
            Self::Withheld => "a validator proposes blocks and does not show them",
            Self::NilVotes => "a validator votes for no block, always",
            Self::OldVotes => "a validator repeats votes for heights that are long over",
            Self::Foreign => "a validator sends what is signed for another network",
            Self::Flood => "a validator sends far more than anybody needs",
            Self::Amnesia => "a validator votes for whatever is proposed, whatever it is locked on",
            Self::Forged => "a validator votes in another one's name",
            Self::Cut => "a validator sends messages that end early",
            Self::Oversized => "a validator sends messages that are longer than any may be",
            Self::Censor => "a validator proposes blocks without anybody's transactions",
            Self::FalseHistory => "a validator shows blocks that nobody decided to those who were away",
        }
    }
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Lie {
    type Err = UnknownLie;

    fn from_str(text: &str) -> Result<Self, UnknownLie> {
        Self::ALL.into_iter().find(|lie| lie.name() == text).ok_or_else(|| UnknownLie(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lie_is_found_by_its_name() {
        for lie in Lie::ALL {
            assert_eq!(lie.name().parse(), Ok(lie));
        }
        assert!("truth".parse::<Lie>().is_err());
    }
}
