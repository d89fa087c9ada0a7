//! Owns waiting until an index that this process closed has let go of its files: sled's threads hold its lock for a
//! moment after the last handle is dropped, and tell nobody when they are done.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
    time::{Duration, Instant},
};

/// Longest wait: sled's threads need milliseconds, and another process cannot hold the lock of the data directory.
const RELEASE_WAIT_MAX: Duration = Duration::from_secs(5);
/// Between two looks.
const RELEASE_LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// Waits until nobody holds the database file of `directory`.
pub(super) fn wait(directory: &Path) -> io::Result<()> {
    wait_at_most(directory, RELEASE_WAIT_MAX)
}

fn wait_at_most(directory: &Path, wait_max: Duration) -> io::Result<()> {
    let file = match File::open(directory.join("db")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let end = Instant::now() + wait_max;
    loop {
        match file.try_lock() {
            Ok(()) => return file.unlock(),
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::park_timeout(RELEASE_LOOK_INTERVAL);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_database_is_reported_and_a_free_or_missing_one_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        wait(directory.path()).unwrap();
        let holder = File::create(directory.path().join("db")).unwrap();
        wait(directory.path()).unwrap();
        holder.lock().unwrap();
        let error = wait_at_most(directory.path(), Duration::from_millis(10)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
