//! Owns finding processes by an entry of their environment, which their children inherit, and killing them. A process is
//! looked at again through a descriptor of its own before it is killed, so that an id that was used again hits nobody.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::HostError;

/// Longest time until a killed process is gone: it may have to leave the disk first.
const GONE_WITHIN: Duration = Duration::from_secs(20);
/// How often the processes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Kills every process whose environment has an entry that begins with `environment`, and waits until all are gone.
///
/// # Errors
/// One is still there.
pub(super) fn kill_marked(environment: &str) -> Result<(), HostError> {
    let begun = Instant::now();
    loop {
        let marked = marked(environment);
        if marked.is_empty() {
            return Ok(());
        }
        for pid in &marked {
            match kill(*pid, Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => {
                    let doing = "kill a process of the run with";
                    return Err(HostError::Io { doing, path: environment.into(), source: errno.into() });
                }
            }
        }
        if begun.elapsed() > GONE_WITHIN {
            let source = io::Error::new(io::ErrorKind::TimedOut, format!("still there: {marked:?}"));
            return Err(HostError::Io { doing: "end the processes with", path: environment.into(), source });
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// The processes that run and have such an entry; one that has ended and waits for its parent has no environment.
fn marked(environment: &str) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_marked = |pid: &i32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|entry| entry.starts_with(environment.as_bytes()))
    };
    pids.filter(is_marked).map(Pid::from_raw).collect()
}
