//! Owns key files: one secret of one purpose each, created once with mode 0600 in a 0700 directory.
//!
//! Refuses a file that others can read, a file of another purpose, and to overwrite anything. The format is
//! version 1 of six lines; secrets are wiped from memory when they are dropped.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use althing_contracts::{
    name::{MemberId, Name, OrgId},
    role::Role,
    signature::{PublicKey, Signature, SigningMessage},
};
use zeroize::Zeroizing;

use crate::identity::Identity;

mod file;
mod text;

pub use file::{create, load, load_any};

/// Key files that one directory may hold; more is a mistake in `keys.directory`.
const DIRECTORY_KEYS_MAX: usize = 1_000;

/// What a key may sign; a file says it and a reader insists on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPurpose {
    /// The libp2p identity of a node.
    Node,
    /// A validator's consensus messages.
    Consensus,
    /// A member's transactions in one role.
    Member(Role),
}

/// A secret key with its purpose. It cannot be cloned, printed or compared.
pub struct SecretKey {
    purpose: KeyPurpose,
    public: PublicKey,
    seed: Zeroizing<[u8; 32]>,
}

/// Why a key file was not written or not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    NoEntropy(String),
    /// The file exists.
    #[error("{path} exists and is not overwritten; move it away if the key is to be replaced")]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// There is no such file.
    #[error("the key file {path} does not exist; create it by `althing init`, or correct its path")]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// The file or its directory cannot be read or written.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Which file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Others can read the file, or write its directory.
    #[error("{path} has mode {mode:04o}, so that other users can {risk} it; run `chmod {remedy} {path}`")]
    Permissions {
        /// Which file or directory.
        path: PathBuf,
        /// As found.
        mode: u32,
        /// What others can do.
        risk: &'static str,
        /// The mode to set.
        remedy: &'static str,
    },
    /// Not a key file, or one of another version.
    #[error("{path} is not a key file of version 1: {reason}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// More key files than one node can need.
    #[error(
        "{path} holds {found} key files, more than the {DIRECTORY_KEYS_MAX} of one node; check `keys.directory`"
    )]
    TooMany {
        /// Which directory.
        path: PathBuf,
        /// As found.
        found: usize,
    },
    /// The file holds a key for something else.
    #[error(
        "{path} holds a key for {found}, but one for {expected} is needed here; keys are never shared between purposes"
    )]
    Purpose {
        /// Which file.
        path: PathBuf,
        /// As needed.
        expected: KeyPurpose,
        /// As found.
        found: KeyPurpose,
    },
}

impl KeyPurpose {
    /// The name in key files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Consensus => "consensus",
            Self::Member(role) => role.name(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let members = Role::ALL.into_iter().map(Self::Member);
        [Self::Node, Self::Consensus].into_iter().chain(members).find(|purpose| purpose.name() == text)
    }
}

impl std::str::FromStr for KeyPurpose {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let roles = Role::ALL.map(Role::name).join(", ");
        Self::parse(text)
            .ok_or_else(|| format!("no key is for `{text}`; keys are for node, consensus, {roles}"))
    }
}

impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl SecretKey {
    /// A new key from the system's random bytes.
    ///
    /// # Errors
    /// The system gave none.
    pub fn generate(purpose: KeyPurpose) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|error| KeyError::NoEntropy(error.to_string()))?;
        Ok(Self::from_seed(purpose, seed))
    }

    /// The key of a 32-byte Ed25519 seed.
    #[must_use]
    pub fn from_seed(purpose: KeyPurpose, seed: Zeroizing<[u8; 32]>) -> Self {
        let signing = ed25519_zebra::SigningKey::from(*seed);
        Self { purpose, public: PublicKey::Ed25519(signing.verification_key().into()), seed }
    }

    /// What it may sign.
    #[must_use]
    pub const fn purpose(&self) -> KeyPurpose {
        self.purpose
    }

    /// Its public half.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// The secret, for the signer that takes it over; a copy must be wiped as this one is.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// Signs a message that is bound to a purpose and a network.
    #[must_use]
    pub fn sign(&self, message: SigningMessage) -> Signature {
        let key = ed25519_zebra::SigningKey::from(*self.seed);
        Signature::Ed25519(key.sign(message.as_bytes()).to_bytes())
    }

    /// The identity on the mesh, if this is a node's key.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        (self.purpose == KeyPurpose::Node).then(|| Identity::from_seed(&self.seed))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({} {})", self.purpose, self.public)
    }
}

/// The file of a member's key for a role: `NAME.ROLE.key`.
#[must_use]
pub fn member_key_path(directory: &Path, member: &MemberId, role: Role) -> PathBuf {
    let name = member.as_str().rsplit('/').next().unwrap_or_default();
    directory.join(format!("{name}.{role}.key"))
}

/// Loads every member's key of a directory: the files `NAME.ROLE.key` and `NAME.ROLE.TAG.key`, sorted; other files are left
/// alone. A tag, such as a number, tells the key that comes in the place of another from it.
///
/// # Errors
/// The directory cannot be read, a file is not safe or not what its name says.
pub fn load_members(directory: &Path, org: &OrgId) -> Result<Vec<(MemberId, Role, SecretKey)>, KeyError> {
    let failed = |source| KeyError::Io { what: "list the keys in", path: directory.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    let members: Vec<_> = paths.iter().filter_map(|path| Some((path, member_and_role(path, org)?))).collect();
    if members.len() > DIRECTORY_KEYS_MAX {
        return Err(KeyError::TooMany { path: directory.to_owned(), found: members.len() });
    }
    let mut keys = Vec::new();
    for (path, (member, role)) in members {
        keys.push((member, role, load(path, KeyPurpose::Member(role))?));
    }
    Ok(keys)
}

fn member_and_role(path: &Path, org: &OrgId) -> Option<(MemberId, Role)> {
    let (name, role) = path.file_name()?.to_str()?.strip_suffix(".key")?.split_once('.')?;
    let (role, tag) = role.split_once('.').map_or((role, None), |(role, tag)| (role, Some(tag)));
    if tag.is_some_and(|tag| Name::new(tag).is_err()) {
        return None;
    }
    let role = Role::ALL.into_iter().find(|known| known.name() == role)?;
    let name = Name::new(name).ok()?;
    Some((MemberId::new(&format!("{org}/{name}")).ok()?, role))
}

#[cfg(test)]
mod tests;
