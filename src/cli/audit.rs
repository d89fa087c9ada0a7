//! Owns the commands with which an outsider checks a mesh.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use althing_actors::auditor::bundle::{self, Flaw};
use althing_contracts::digest::Digest;
use clap::Subcommand;

use super::{
    client::Client,
    failure::{Exit, Failure, Outcome},
    session::Session,
};

/// Longest time until a bundle begins to arrive when `--timeout` does not say: the node writes all of it first.
const EXPORT_DEFAULT: Duration = Duration::from_mins(10);

/// What an outsider can do.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Downloads the bundle that proves the whole ledger
    #[command(before_help = "Examples:\n  althing audit export mesh.bundle\n")]
    Export {
        /// File to write; it must not exist
        file: PathBuf,
    },
    /// Verifies a bundle without a network or a node: every signature, block and invariant
    #[command(before_help = "Examples:\n  althing audit verify mesh.bundle --genesis HASH\n")]
    Verify {
        /// The bundle
        file: PathBuf,
        /// The network that it has to be of, from somebody you trust
        #[arg(long, value_name = "HASH")]
        genesis: Option<Digest>,
    },
}

/// Carries a command out.
pub(super) async fn run(command: AuditCommand, session: &Session) -> Outcome {
    match command {
        AuditCommand::Export { file } => export(&file, session).await,
        AuditCommand::Verify { file, genesis } => verify(file, genesis, session).await,
    }
}

async fn export(file: &Path, session: &Session) -> Outcome {
    let client = session.client_within(session.timeout(EXPORT_DEFAULT))?;
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let name = file.display();
    if file.exists() {
        let detail = format!("{name} exists and is not overwritten");
        return Err(Failure::with_help(Exit::Conflict, detail, "choose another name, or remove it first"));
    }
    let written = download(&client, &part).await.and_then(|len| {
        fs::rename(&part, file).map_err(|error| unwritable(file, &error))?;
        Ok(len)
    });
    if written.is_err() {
        // What was downloaded is worth nothing; that it cannot be removed adds nothing to the failure.
        let _removed = fs::remove_file(&part);
    }
    let len = written?;
    session.write(&format!("{name}\n"))?;
    session.say(&format!("wrote {len} bytes"));
    session.suggest(&format!("althing audit verify {name}"));
    Ok(())
}

async fn verify(file: PathBuf, genesis: Option<Digest>, session: &Session) -> Outcome {
    let name = file.display().to_string();
    let verified = tokio::task::spawn_blocking(move || bundle::verify_file(&file, genesis)).await;
    let verified = verified.map_err(|error| {
        Failure::new(Exit::EndedBadly, format!("the verification of {name} broke off: {error}"))
    })?;
    let report = verified.map_err(|error| {
        let exit = match error.flaw() {
            Flaw::Io(error) if error.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::EndedBadly,
        };
        Failure::new(exit, format!("{name} does not verify: {error}"))
    })?;
    session.print(&report)?;
    match genesis {
        Some(_) => session.say(&format!("{name} verifies")),
        None => session.say(&format!(
            "{name} verifies for network {}; compare that with a source you trust, or give it as --genesis",
            report.network
        )),
    }
    Ok(())
}

async fn download(client: &Client, part: &Path) -> Outcome<u64> {
    let mut response = client.open("/v1/audit/export", &[]).await?;
    let announced = response.content_length();
    let out = OpenOptions::new().write(true).create(true).truncate(true).open(part);
    let mut out = out.map_err(|error| unwritable(part, &error))?;
    let mut len = 0_u64;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                out.write_all(&chunk).map_err(|error| unwritable(part, &error))?;
                len += chunk.len() as u64;
            }
            Ok(None) if announced.is_none_or(|announced| announced == len) => break,
            Ok(None) | Err(_) => {
                let detail = format!("the download broke off after {len} bytes");
                return Err(Failure::with_help(Exit::Unreachable, detail, "ask again"));
            }
        }
    }
    out.sync_all().map_err(|error| unwritable(part, &error))?;
    Ok(len)
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::EndedBadly, format!("cannot write {}: {error}", path.display()))
}
