//! Owns the commands with which an outsider checks a mesh.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Subcommand;

use super::{
    client::Client,
    failure::{Exit, Failure, Outcome},
    session::Session,
};

/// Longest time until a bundle begins to arrive when `--timeout` does not say: the node writes all of it first.
const EXPORT_DEFAULT: Duration = Duration::from_secs(600);

/// What an outsider can do.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Downloads the bundle that proves the whole ledger
    #[command(before_help = "Examples:\n  althing audit export mesh.bundle\n")]
    Export {
        /// File to write; it must not exist
        file: PathBuf,
    },
}

/// Carries a command out.
pub(super) async fn run(command: AuditCommand, session: &Session) -> Outcome {
    match command {
        AuditCommand::Export { file } => export(&file, session).await,
    }
}

async fn export(file: &Path, session: &Session) -> Outcome {
    let client = Client::new(session.origin()?.address, session.timeout(EXPORT_DEFAULT))?;
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
