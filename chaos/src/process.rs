//! Owns real child processes under test: starting, waiting for what they print, ending and killing them, and what
//! they cost. Waits for events with a time limit; never polls, and never signals a process it did not start.

pub mod client;
pub mod hostile;
pub mod load;
pub mod mesh;
mod output;
mod usage;
pub mod vote;

use std::{
    fs::OpenOptions,
    io,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use nix::{
    sys::{
        signal::{self, Signal},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::Pid,
};

use output::Output;
pub use usage::Usage;

/// A child process whose output is collected. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
    ended: mpsc::Receiver<()>,
    status: Option<ExitStatus>,
}

/// Why a process did not do what was waited for. Each carries what the process printed last.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started, signalled or read.
    #[error("{name}: {doing}")]
    System {
        /// The process.
        name: String,
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The line did not appear.
    #[error("{name} did not print `{line}` within {within:?}; it printed last:\n{printed}")]
    NoLine {
        /// The process.
        name: String,
        /// What was waited for.
        line: String,
        /// How long.
        within: Duration,
        /// The end of its output.
        printed: String,
    },
    /// It is still running.
    #[error("{name} did not end within {within:?}; it printed last:\n{printed}")]
    StillRunning {
        /// The process.
        name: String,
        /// How long.
        within: Duration,
        /// The end of its output.
        printed: String,
    },
    /// It ended while something else was waited for.
    #[error("{name} ended with {status}; it printed last:\n{printed}")]
    Ended {
        /// The process.
        name: String,
        /// How.
        status: ExitStatus,
        /// The end of its output.
        printed: String,
    },
}

impl Process {
    /// Starts `command` without input and collects both its outputs.
    ///
    /// # Errors
    /// The command cannot be started.
    pub fn spawn(name: impl Into<String>, command: &mut Command) -> Result<Self, ProcessError> {
        Self::spawn_with(name.into(), command, Output::default())
    }

    /// As [`Self::spawn`], and appends everything that is printed to a file.
    ///
    /// # Errors
    /// The file cannot be opened, or the command cannot be started.
    pub fn spawn_logged(
        name: impl Into<String>,
        command: &mut Command,
        log: &Path,
    ) -> Result<Self, ProcessError> {
        let name = name.into();
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.map_err(|source| ProcessError::System {
            name: name.clone(),
            doing: "open the log of the process",
            source,
        })?;
        Self::spawn_with(name, command, Output::copied_to(file))
    }

    fn spawn_with(name: String, command: &mut Command, output: Output) -> Result<Self, ProcessError> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| ProcessError::System {
            name: name.clone(),
            doing: "start the process",
            source,
        })?;
        let output = Arc::new(output);
        child.stdout.take().into_iter().for_each(|stdout| output::collect(stdout, &output));
        child.stderr.take().into_iter().for_each(|stderr| output::collect(stderr, &output));
        let ended = announce_end(pid_of(&child));
        Ok(Self { name, child, output, ended, status: None })
    }

    /// The name given at the start.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything printed so far that is still kept, oldest first.
    #[must_use]
    pub fn printed(&self) -> String {
        self.output.tail(usize::MAX)
    }

    /// Waits until a line that contains `text` was printed, and returns it; earlier lines count.
    ///
    /// # Errors
    /// The line did not appear in time, or the outputs were closed without it.
    pub fn wait_for_line(&self, text: &str, within: Duration) -> Result<String, ProcessError> {
        self.output.wait_for(text, within).ok_or_else(|| ProcessError::NoLine {
            name: self.name.clone(),
            line: text.to_owned(),
            within,
            printed: self.output.tail(output::LINES_SHOWN),
        })
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// It is still running after `within`.
    pub fn wait_for_end(&mut self, within: Duration) -> Result<ExitStatus, ProcessError> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        if self.ended.recv_timeout(within) == Err(mpsc::RecvTimeoutError::Timeout) {
            let printed = self.output.tail(output::LINES_SHOWN);
            return Err(ProcessError::StillRunning { name: self.name.clone(), within, printed });
        }
        self.reap()
    }

    /// Makes sure that the process runs for the whole of `time`.
    ///
    /// # Errors
    /// It ended.
    pub fn stays_up_for(&mut self, time: Duration) -> Result<(), ProcessError> {
        match self.wait_for_end(time) {
            Err(ProcessError::StillRunning { .. }) => Ok(()),
            Err(other) => Err(other),
            Ok(status) => {
                let printed = self.output.tail(output::LINES_SHOWN);
                Err(ProcessError::Ended { name: self.name.clone(), status, printed })
            }
        }
    }

    /// Whether it was seen to have ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.status.is_some()
    }

    /// Asks the process to end (SIGTERM).
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn terminate(&self) -> Result<(), ProcessError> {
        self.signal(Signal::SIGTERM, "ask the process to end")
    }

    /// Stops the process where it is (SIGSTOP), as a machine that hangs.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn freeze(&self) -> Result<(), ProcessError> {
        self.signal(Signal::SIGSTOP, "freeze the process")
    }

    /// Lets a frozen process go on (SIGCONT).
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn thaw(&self) -> Result<(), ProcessError> {
        self.signal(Signal::SIGCONT, "thaw the process")
    }

    /// Kills the process (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be signalled or waited for.
    pub fn kill(&mut self) -> Result<ExitStatus, ProcessError> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        self.child.kill().map_err(|source| self.failed("kill the process", source))?;
        self.reap()
    }

    /// What the process has cost so far.
    ///
    /// # Errors
    /// It has ended.
    pub fn usage(&self) -> Result<Usage, ProcessError> {
        Usage::read(self.pid()).map_err(|source| self.failed("read what the process uses", source))
    }

    fn signal(&self, signal: Signal, doing: &'static str) -> Result<(), ProcessError> {
        if self.status.is_some() {
            return Err(self.failed(doing, io::ErrorKind::NotFound.into()));
        }
        signal::kill(pid_of(&self.child), signal).map_err(|errno| self.failed(doing, errno.into()))
    }

    fn reap(&mut self) -> Result<ExitStatus, ProcessError> {
        let status = self.child.wait().map_err(|source| self.failed("wait for the process", source))?;
        self.status = Some(status);
        Ok(status)
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> ProcessError {
        ProcessError::System { name: self.name.clone(), doing, source }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} printed last:\n{}", self.name, self.output.tail(output::LINES_SHOWN));
        }
        if let Err(error) = self.kill() {
            eprintln!("{error}");
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("process ids are positive 32-bit numbers"))
}

/// A channel that closes when the process ends. The process is left to be reaped by its owner, so that its id cannot
/// name another process before the owner knows.
fn announce_end(pid: Pid) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(pid), flags) == Err(nix::errno::Errno::EINTR) {}
        drop(sender);
    });
    receiver
}

#[cfg(test)]
mod tests;
