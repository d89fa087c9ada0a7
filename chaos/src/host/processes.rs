//! Owns finding processes by an entry of their environment, which their children inherit, and killing them. A process is
//! looked at again through a descriptor of its own before it is killed, so that an id that was used again hits nobody.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use althing_actors::executor::local::process::{self, LOOKS_MAX};
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
    let mut looks = 0;
    loop {
        let Look { marked, are_all_read } = look(environment);
        looks += 1;
        if marked.is_empty() && (are_all_read || looks >= LOOKS_MAX) {
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

/// Tries what a killed process may still hinder until it works: such a process has no environment any more, by which it would
/// be found, some time before it has closed its files.
///
/// # Errors
/// That of the last try, when the longest time is over.
pub(super) fn outlast<T, E>(mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(_) if begun.elapsed() <= GONE_WITHIN => std::thread::park_timeout(LOOK_EVERY),
            outcome => return outcome,
        }
    }
}

/// What was seen of the processes.
struct Look {
    marked: Vec<Pid>,
    /// Whether each showed its environment: one that has just been started does not yet.
    are_all_read: bool,
}

/// The processes that run and have such an entry; one that has ended and waits for its parent has no environment.
fn look(environment: &str) -> Look {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut look = Look { marked: Vec::new(), are_all_read: true };
    for pid in pids {
        match process::environment(pid) {
            Some(environ) => {
                let is_entry = |entry: &[u8]| entry.starts_with(environment.as_bytes());
                if environ.split(|byte| *byte == 0).any(is_entry) {
                    look.marked.push(Pid::from_raw(pid));
                }
            }
            None => look.are_all_read = false,
        }
    }
    look
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_busy_at_first_is_tried_again() {
        let mut tries = 0;
        let outcome = outlast(|| {
            tries += 1;
            if tries < 3 { Err("busy") } else { Ok(tries) }
        });
        assert_eq!(outcome, Ok(3));
    }
}
