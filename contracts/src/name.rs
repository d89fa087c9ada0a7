//! Owns the names of the ledger: bounded lower-case slugs and bounded text.
//!
//! Refuses anything that could look like another name: upper case, control characters, mixed scripts.

use std::{fmt, str::FromStr, sync::Arc};

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// Longest slug in bytes: long enough for a host name's label, short enough to print in a table.
pub const NAME_LEN_MAX: usize = 63;
/// Longest line of text in bytes.
pub const LINE_LEN_MAX: usize = 200;

/// Why a name or a text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name may not be empty")]
    Empty,
    /// Longer than its bound.
    #[error("{len} bytes are too long, at most {max} are allowed")]
    TooLong {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A character outside the allowed set.
    #[error("{found:?} is not allowed, use lower-case letters, digits and '-' between them")]
    Character {
        /// The first character refused.
        found: char,
    },
    /// A control character in free text.
    #[error("the control character {found:?} is not allowed in text")]
    Control {
        /// The first character refused.
        found: char,
    },
    /// A member name without its organisation.
    #[error("`{found}` is not a member, write it as organisation/name")]
    NotAMember {
        /// As given.
        found: String,
    },
}

fn check_slug(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_LEN_MAX {
        return Err(NameError::TooLong { len: text.len(), max: NAME_LEN_MAX });
    }
    let refused = |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-');
    if let Some(found) = text.chars().find(refused) {
        return Err(NameError::Character { found });
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(NameError::Character { found: '-' });
    }
    Ok(())
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps a text.
            ///
            /// # Errors
            /// Names the first thing that is not allowed.
            pub fn new(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(text)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as Deserialize>::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }

        impl BorshDeserialize for $name {
            fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
                let text = String::deserialize_reader(reader)?;
                Self::new(&text)
                    .map_err(|error| borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, error))
            }
        }
    };
}

text_type! {
    /// A slug: 1 to 63 of `a`–`z`, `0`–`9` and inner `-`.
    Name, check_slug
}
text_type! {
    /// An organisation's slug, unique in its mesh.
    OrgId, check_slug
}
text_type! {
    /// A governed target's slug, unique in its mesh.
    TargetId, check_slug
}
text_type! {
    /// A member of an organisation, written `organisation/name`.
    MemberId, check_member
}
text_type! {
    /// One line of text for people, up to 200 bytes.
    Line, |text| check_text(text, LINE_LEN_MAX, false)
}
text_type! {
    /// Text for people, with line breaks, up to 8 KiB.
    Prose, |text| check_text(text, 8 * 1024, true)
}

impl From<&Line> for Prose {
    fn from(line: &Line) -> Self {
        Self(Arc::clone(&line.0))
    }
}

fn check_member(text: &str) -> Result<(), NameError> {
    let not_a_member = || NameError::NotAMember { found: text.chars().take(NAME_LEN_MAX).collect() };
    let (org, name) = text.split_once('/').ok_or_else(not_a_member)?;
    check_slug(org)?;
    check_slug(name)
}

fn check_text(text: &str, max: usize, breaks: bool) -> Result<(), NameError> {
    if text.len() > max {
        return Err(NameError::TooLong { len: text.len(), max });
    }
    match text.chars().find(|c| c.is_control() && !(breaks && *c == '\n')) {
        Some(found) => Err(NameError::Control { found }),
        None => Ok(()),
    }
}

impl Line {
    /// A text as a line: control characters become spaces, and what is too long is cut.
    #[must_use]
    pub fn shortened(text: &str) -> Self {
        let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        let mut line = String::new();
        for c in plain {
            if line.len().saturating_add(c.len_utf8()) > LINE_LEN_MAX {
                break;
            }
            line.push(c);
        }
        Self(line.into())
    }
}

impl MemberId {
    /// The organisation's part of the name.
    #[must_use]
    pub fn org_str(&self) -> &str {
        self.0.split_once('/').map_or("", |(org, _)| org)
    }

    /// The organisation that the member belongs to.
    #[must_use]
    pub fn org(&self) -> OrgId {
        OrgId(self.org_str().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_refuse_what_could_be_mistaken() {
        assert!(OrgId::new("acme-1").is_ok());
        for refused in ["", "Acme", "acme_1", "аcme", "-a", "a-", "a b", "a\n"] {
            assert!(OrgId::new(refused).is_err(), "{refused:?} must be refused");
        }
        assert_eq!(Name::new(&"a".repeat(64)), Err(NameError::TooLong { len: 64, max: 63 }));
    }

    #[test]
    fn a_member_carries_its_organisation() {
        let member = MemberId::new("acme/alice").unwrap();
        assert_eq!(member.org(), OrgId::new("acme").unwrap());
        assert!(MemberId::new("alice").is_err());
        assert!(MemberId::new("acme/alice/x").is_err());
    }

    #[test]
    fn bytes_from_outside_are_checked_like_text() {
        let bytes = borsh::to_vec("Acme").unwrap();
        assert!(borsh::from_slice::<OrgId>(&bytes).is_err());
    }

    #[test]
    fn text_refuses_control_characters() {
        assert!(Line::new("one\ntwo").is_err());
        assert!(Prose::new("one\ntwo").is_ok());
        assert!(Prose::new("\u{1b}[31m").is_err());
    }
}
