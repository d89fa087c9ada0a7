//! Owns reading what a process costs from `/proc`.

use std::{fs, io, time::Duration};

/// Unit of the processor times in `/proc/PID/stat`: `USER_HZ`, which is 100 on every Linux that we support.
const TICK: Duration = Duration::from_millis(10);
/// Positions of user and system time after the command's closing parenthesis, see proc(5).
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;

/// What a process has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, user and system, of all its threads; in steps of 10 ms.
    pub cpu: Duration,
    /// Memory that is resident.
    pub resident_bytes: u64,
    /// The most memory that was resident at any time.
    pub resident_bytes_peak: u64,
}

impl Usage {
    /// Reads the figures of a process.
    ///
    /// # Errors
    /// There is no such process, or it has ended.
    pub fn read(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let missing = || io::Error::new(io::ErrorKind::InvalidData, "proc(5) is not as documented");
        Ok(Self {
            cpu: cpu_time(&stat).ok_or_else(missing)?,
            resident_bytes: kib_field(&status, "VmRSS:").ok_or(io::ErrorKind::NotFound)? * 1024,
            resident_bytes_peak: kib_field(&status, "VmHWM:").ok_or(io::ErrorKind::NotFound)? * 1024,
        })
    }
}

/// The command's name may hold spaces and parentheses: fields are counted from its last closing one.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u32>().ok();
    TICK.checked_mul(ticks(USER_TICKS)?.checked_add(ticks(SYSTEM_TICKS)?)?)
}

fn kib_field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_after_a_name_with_parentheses() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu_time(stat), Some(Duration::from_secs(2)));
    }

    #[test]
    fn this_process_has_a_size() {
        let usage = Usage::read(std::process::id()).expect("this process runs");
        assert!(usage.resident_bytes > 0 && usage.resident_bytes_peak >= usage.resident_bytes);
    }

    #[test]
    fn a_process_that_does_not_exist_is_an_error() {
        assert!(Usage::read(u32::MAX).is_err());
    }
}
