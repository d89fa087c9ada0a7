//! Owns running the machine's own tools (`ip`, `mount`, …) and saying what went wrong when one fails.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

/// Why a tool did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not installed, or cannot be started.
    #[error("`{command}` cannot be started")]
    Start {
        /// What was to be run.
        command: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It ended badly.
    #[error("`{command}` failed: {said}")]
    Failed {
        /// What was run.
        command: String,
        /// The end of what it said, or its exit status.
        said: String,
    },
}

/// Runs a tool and yields what it printed.
///
/// # Errors
/// It cannot be started, or ends badly.
pub fn run<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> Result<String, ToolError> {
    run_with_input(program, arguments, "")
}

/// As [`run`], with `input` on its standard input.
///
/// # Errors
/// As [`run`].
pub fn run_with_input<A: AsRef<OsStr>>(
    program: &str,
    arguments: &[A],
    input: &str,
) -> Result<String, ToolError> {
    let command = || {
        let words = arguments.iter().map(|argument| argument.as_ref().to_string_lossy().into_owned());
        std::iter::once(program.to_owned()).chain(words).collect::<Vec<_>>().join(" ")
    };
    let output = output(program, arguments, input)
        .map_err(|source| ToolError::Start { command: command(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().lines().last().map_or_else(|| output.status.to_string(), str::to_owned);
    Err(ToolError::Failed { command: command(), said })
}

/// Where a tool is, if it is on the path or where administrators' tools are.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| {
        fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}

fn output<A: AsRef<OsStr>>(program: &str, arguments: &[A], input: &str) -> io::Result<Output> {
    let program =
        find(program).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is not installed"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that ends without reading says on stderr what is wrong.
        let _read = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_fails_is_quoted() {
        let failed = run("sh", &["-c", "echo first >&2; echo it is broken >&2; exit 3"]).unwrap_err();
        assert!(failed.to_string().ends_with("failed: it is broken"), "{failed}");
    }

    #[test]
    fn a_tool_reads_its_input() {
        assert_eq!(run_with_input("cat", &[] as &[&str], "in").unwrap(), "in");
    }

    #[test]
    fn a_tool_that_is_not_there_is_named() {
        let failed = run("no-such-tool-at-all", &[] as &[&str]).unwrap_err();
        assert_eq!(failed.to_string(), "`no-such-tool-at-all` cannot be started");
        assert_eq!(find("no-such-tool-at-all"), None);
    }
}
