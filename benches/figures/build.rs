//! Owns what the build costs: the size of the release binary, and the time of a build from nothing when it is asked for.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    Failure,
    report::{Expected, Figure},
    statistics::timed,
};

const MIB: f64 = 1024.0 * 1024.0;

/// The size of the binary that is measured.
pub(crate) fn binary_size(binary: &Path) -> Result<Figure, Failure> {
    let bytes = u32::try_from(fs::metadata(binary)?.len())?;
    Ok(Expected::BINARY
        .measured(f64::from(bytes) / MIB)
        .note("the release build, with its symbols")
        .part("bytes", bytes))
}

/// Builds the workspace into an empty directory below `folder`; the sources of the dependencies are there already.
pub(crate) fn cold_build(folder: &Path) -> Result<Figure, Failure> {
    let target = folder.join("cold-build");
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--workspace", "--locked", "--quiet"]).env("CARGO_TARGET_DIR", &target);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    let (status, elapsed) = timed(|| command.status());
    let status = status?;
    if !status.success() {
        return Err(format!("the build ended with {status}").into());
    }
    Ok(Expected::COLD_BUILD
        .measured(elapsed.as_secs_f64())
        .note("cargo build --workspace into an empty directory"))
}
