//! Owns running processes: starting one in a group of its own, knowing it again after a restart of the node, and
//! ending it. Refuses to signal a process id that was given to another process: every signal goes through a pidfd
//! whose start time was compared first.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::Command,
    time::Duration,
};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};
use serde::{Deserialize, Serialize};
use tokio::io::{Interest, unix::AsyncFd};

/// How often a process is looked at that shows no environment. It has none, or is between two programs, which takes
/// as long as the new one takes to be read from the disk.
pub const LOOKS_MAX: usize = 20;
/// The time between two looks.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Names one process for all time: an id alone is used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot, field 22 of `/proc/PID/stat`.
    pub started_ticks: u64,
    /// The kernel's boot id.
    pub boot: String,
}

/// A process that was started or adopted.
#[derive(Debug)]
pub struct Process {
    identity: Identity,
    pidfd: AsyncFd<OwnedFd>,
}

/// How a process ended, as far as can be known: the status of an adopted one goes to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The exit status, when it ended by itself and this node is its parent.
    pub status: Option<i32>,
    /// The signal that ended it, when this node is its parent.
    pub signal: Option<i32>,
}

impl Process {
    /// Starts a command in a process group of its own, so that a signal to the node does not reach it.
    ///
    /// # Errors
    /// The program cannot be started, or ended before it could be looked at.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        // The child is not waited for here, so its id cannot be given away before the pidfd is open.
        let pidfd = open(pid)?;
        let started_ticks = stat(pid).map(|stat| stat.started_ticks).unwrap_or_default();
        Ok(Self { identity: Identity { pid, started_ticks, boot: boot_id()? }, pidfd })
    }

    /// Finds a recorded process again; `None` when it has ended.
    pub fn adopt(identity: &Identity) -> Option<Self> {
        let pidfd = open(identity.pid).ok()?;
        let alive = boot_id().ok()? == identity.boot
            && stat(identity.pid)
                .is_some_and(|stat| stat.runs && stat.started_ticks == identity.started_ticks);
        alive.then(|| Self { identity: identity.clone(), pidfd })
    }

    /// Finds the processes whose environment holds `variable=value`, those too that change their program meanwhile.
    pub async fn tagged(variable: &str, value: &str) -> Vec<Self> {
        let wanted = format!("{variable}={value}");
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut unread: Vec<i32> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        let mut found = Vec::new();
        for look in 0..LOOKS_MAX {
            if look > 0 {
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            }
            unread.retain(|pid| {
                let Some(environment) = environment(*pid) else { return true };
                if environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()) {
                    found.push(*pid);
                }
                false
            });
            if unread.is_empty() {
                break;
            }
        }
        found.into_iter().filter_map(Self::of_pid).collect()
    }

    /// Which process it is.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Waits for its end and takes its status, which can be had once.
    pub async fn exited(&self) -> Exit {
        self.ended().await;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::PidFd(std::os::fd::AsFd::as_fd(&self.pidfd)), options).ok().flatten();
        Exit {
            status: status.as_ref().and_then(rustix::process::WaitIdStatus::exit_status),
            signal: status.as_ref().and_then(rustix::process::WaitIdStatus::terminating_signal),
        }
    }

    /// Asks the process to end and ends it with its whole group when it has not within `grace`.
    pub async fn stop(&self, grace: Duration) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(grace, self.ended()).await.is_err() {
            self.signal(Signal::KILL);
            self.ended().await;
        }
    }

    async fn ended(&self) {
        // A pidfd is readable exactly when its process has ended; an error here means that it is gone.
        let _readable = self.pidfd.ready(Interest::READABLE).await;
    }

    fn signal(&self, signal: Signal) {
        // As long as the leader has not ended its id names this group and no other.
        let leads =
            stat(self.identity.pid).is_some_and(|stat| stat.started_ticks == self.identity.started_ticks);
        if let Some(pid) = Pid::from_raw(self.identity.pid).filter(|_| leads) {
            let _ended = kill_process_group(pid, signal);
        }
        let _ended = pidfd_send_signal(&self.pidfd, signal);
    }

    fn of_pid(pid: i32) -> Option<Self> {
        let pidfd = open(pid).ok()?;
        let stat = stat(pid).filter(|stat| stat.runs)?;
        let identity = Identity { pid, started_ticks: stat.started_ticks, boot: boot_id().ok()? };
        Some(Self { identity, pidfd })
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.status, self.signal) {
            (Some(status), _) => write!(f, "ended with status {status}"),
            (None, Some(signal)) => write!(f, "was ended by signal {signal}"),
            (None, None) => f.write_str("ended"),
        }
    }
}

struct Stat {
    runs: bool,
    started_ticks: u64,
}

#[expect(
    deprecated,
    reason = "an owned descriptor never changes its number, which is what the safe call asks for"
)]
fn open(pid: i32) -> io::Result<AsyncFd<OwnedFd>> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    AsyncFd::with_interest(pidfd_open(pid, PidfdFlags::empty())?, Interest::READABLE)
}

/// The environment of a process; `None` when it runs a program and shows none, as between the start of execve(2) and its
/// end, which is when whoever spawned it goes on. A process that is gone, or of the kernel, has none for good.
#[must_use]
pub fn environment(pid: i32) -> Option<Vec<u8>> {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let is_between = environment.is_empty()
        && stat(pid).is_some_and(|stat| stat.runs)
        && fs::read_link(format!("/proc/{pid}/exe")).is_ok();
    (!is_between).then_some(environment)
}

/// Reads `/proc/PID/stat` (proc(5)): the name in parentheses may hold anything, the fields after it do not.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let runs = !matches!(*fields.first()?, "Z" | "X");
    Some(Stat { runs, started_ticks: fields.get(19)?.parse().ok()? })
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn sleeper() -> Command {
        let mut command = Command::new("/bin/sleep");
        command.arg("600").stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    #[tokio::test]
    async fn a_process_is_known_again_until_it_ends() {
        let process = Process::start(&mut sleeper()).unwrap();
        let identity = process.identity().clone();
        assert_eq!(Process::adopt(&identity).unwrap().identity(), &identity);
        process.stop(Duration::from_secs(5)).await;
        assert!(Process::adopt(&identity).is_none());
    }

    #[tokio::test]
    async fn another_process_under_the_same_id_is_a_stranger() {
        let process = Process::start(&mut sleeper()).unwrap();
        let mut earlier = process.identity().clone();
        earlier.started_ticks -= 1;
        assert!(Process::adopt(&earlier).is_none());
        let other_boot = Identity { boot: "before".to_owned(), ..process.identity().clone() };
        assert!(Process::adopt(&other_boot).is_none());
        process.stop(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn a_process_that_ignores_the_request_is_ended_with_its_group() {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "trap '' TERM; sleep 600 & echo; wait; wait"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child_out = {
            let mut child = command.process_group(0).spawn().unwrap();
            let out = child.stdout.take().unwrap();
            (child, out)
        };
        let mut line = [0; 1];
        io::Read::read_exact(&mut child_out.1, &mut line).unwrap();
        let process = Process::of_pid(i32::try_from(child_out.0.id()).unwrap()).unwrap();
        process.stop(Duration::from_millis(50)).await;
        // The pipe ends only when nobody of the group holds it any more.
        assert_eq!(io::Read::read_to_end(&mut child_out.1, &mut Vec::new()).unwrap(), 0);
        child_out.0.wait().unwrap();
    }

    #[tokio::test]
    async fn a_tagged_process_is_found() {
        let tag = format!("{}-{}", std::process::id(), line!());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo; exec sleep 600"]).env("ALTHING_TEST_TAG", &tag).stdout(Stdio::piped());
        let mut child = command.process_group(0).spawn().unwrap();
        // It has its environment when it has written, but for the moment in which it becomes another program.
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let process = Process::of_pid(i32::try_from(child.id()).unwrap()).unwrap();
        let found = Process::tagged("ALTHING_TEST_TAG", &tag).await;
        assert_eq!(found.iter().map(Process::identity).collect::<Vec<_>>(), [process.identity()]);
        process.stop(Duration::from_secs(5)).await;
        child.wait().unwrap();
    }
}
