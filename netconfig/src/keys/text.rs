//! Owns the text of a key file, version 1:
//!
//! ```text
//! -----BEGIN ALTHING KEY-----
//! version: 1
//! purpose: voter
//! public: ed25519:<64 hexadecimal digits>
//! secret: <64 hexadecimal digits>
//! -----END ALTHING KEY-----
//! ```
//!
//! Exactly these lines in this order; the public key must be the secret's.

use althing_contracts::signature::PublicKey;
use zeroize::Zeroizing;

use super::{KeyPurpose, SecretKey};

const BEGIN: &str = "-----BEGIN ALTHING KEY-----";
const END: &str = "-----END ALTHING KEY-----";
const VERSION: &str = "1";

/// The text of a key; wiped when dropped.
pub(super) fn write(key: &SecretKey) -> Zeroizing<String> {
    let secret = Zeroizing::new(hex::encode(key.seed()));
    let (purpose, public) = (key.purpose(), key.public());
    Zeroizing::new(format!(
        "{BEGIN}\nversion: {VERSION}\npurpose: {purpose}\npublic: {public}\nsecret: {}\n{END}\n",
        secret.as_str()
    ))
}

/// The key in a text. The error never repeats what may be a secret.
pub(super) fn read(text: &str) -> Result<SecretKey, String> {
    let mut lines = text.lines();
    expect_line(&mut lines, BEGIN)?;
    let version = field(&mut lines, "version")?;
    if version != VERSION {
        return Err(format!("it is of version `{version}`"));
    }
    let purpose = field(&mut lines, "purpose")?;
    let purpose =
        KeyPurpose::parse(purpose).ok_or_else(|| format!("its purpose `{purpose}` is not known"))?;
    let public: PublicKey = field(&mut lines, "public")?.parse().map_err(|e| format!("{e}"))?;
    let secret = field(&mut lines, "secret")?;
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(secret, seed.as_mut_slice())
        .map_err(|_| "its secret is not 64 hexadecimal digits".to_owned())?;
    expect_line(&mut lines, END)?;
    if lines.next().is_some() {
        return Err("something follows its last line".into());
    }
    let key = SecretKey::from_seed(purpose, seed);
    if key.public() == public { Ok(key) } else { Err("its public key is not that of its secret".into()) }
}

fn expect_line<'a>(lines: &mut impl Iterator<Item = &'a str>, line: &str) -> Result<(), String> {
    if lines.next() == Some(line) { Ok(()) } else { Err(format!("the line `{line}` is missing")) }
}

fn field<'a>(lines: &mut impl Iterator<Item = &'a str>, name: &str) -> Result<&'a str, String> {
    lines
        .next()
        .and_then(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .ok_or_else(|| format!("the line `{name}: …` is missing"))
}
