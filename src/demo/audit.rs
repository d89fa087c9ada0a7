//! Owns the last part of the story: a bundle that a separate process verifies, and one flipped byte that it finds.

use std::path::{Path, PathBuf};

use tokio::{fs, process::Command};

use super::{
    narrator::Narrator,
    operator::{client, failed},
    summary::AuditSummary,
};
use crate::{cli::failure::Outcome, dev::DevMesh};

/// Exports, verifies, damages, verifies again.
pub(super) async fn tell(mesh: &DevMesh, narrator: &Narrator<'_>) -> Outcome<AuditSummary> {
    let path = mesh.directory().join("mesh.bundle");
    let bytes = export(mesh, &path).await?;
    narrator
        .tell("auditor-1", &format!("exports the whole ledger as one bundle of {} bytes", bytes.len()))?;
    let network = mesh.files().network.to_string();
    let (passed, text) = verify(&path, &network).await?;
    if !passed {
        return Err(failed(format!("the bundle does not verify: {text}")));
    }
    narrator
        .tell("outsider", "althing audit verify mesh.bundle: every signature, block and invariant holds")?;
    narrator.proves("a separate process, without network or node, proved all of the above")?;
    let damaged = damage(mesh, bytes).await?;
    let (passed, text) = verify(&damaged, &network).await?;
    if passed {
        return Err(failed("a bundle with a flipped byte was taken as sound"));
    }
    let found = finding(&text);
    narrator.tell("outsider", &format!("one byte flipped: {found}"))?;
    narrator.proves("a change of history is found, and where it is")?;
    let bundle_bytes = fs::metadata(&path).await.map(|metadata| metadata.len()).unwrap_or_default();
    Ok(AuditSummary { bundle_bytes, verified: true, damage_found: found })
}

async fn export(mesh: &DevMesh, path: &Path) -> Outcome<Vec<u8>> {
    let response = client(mesh, "auditor-1")?.open("/v1/audit/export", &[]).await?;
    let bytes = response.bytes().await.map_err(|error| failed(format!("the bundle broke off: {error}")))?;
    fs::write(path, &bytes)
        .await
        .map_err(|error| failed(format!("cannot write {}: {error}", path.display())))?;
    Ok(bytes.to_vec())
}

/// Flips one bit in the middle, where transactions are.
async fn damage(mesh: &DevMesh, mut bytes: Vec<u8>) -> Outcome<PathBuf> {
    let path = mesh.directory().join("damaged.bundle");
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    fs::write(&path, bytes)
        .await
        .map_err(|error| failed(format!("cannot write {}: {error}", path.display())))?;
    Ok(path)
}

/// What the verification says is wrong: its message for people, without frame and file name.
fn finding(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '×', '│']).trim_end());
    let message = lines.take_while(|line| !line.starts_with("help:")).collect::<Vec<_>>().join(" ");
    match message.split_once("does not verify: ") {
        Some((_, finding)) => finding.to_owned(),
        None => message,
    }
}

/// Runs the verification as a process of its own.
async fn verify(path: &Path, network: &str) -> Outcome<(bool, String)> {
    let program =
        std::env::current_exe().map_err(|error| failed(format!("this program is not found: {error}")))?;
    let mut command = Command::new(program);
    command.args(["audit", "verify"]).arg(path).args(["--genesis", network]).env("NO_COLOR", "1");
    let output = command.output().await;
    let output = output.map_err(|error| failed(format!("the verification does not start: {error}")))?;
    let text = if output.status.success() { output.stdout } else { output.stderr };
    Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_message_is_told_whole() {
        let text = "  × /tmp/x/damaged.bundle does not verify: record 60 (block 59,\n  │ offset 7): changed\n  help: x\n";
        assert_eq!(finding(text), "record 60 (block 59, offset 7): changed");
    }
}
