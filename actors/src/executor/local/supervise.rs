//! Owns what happens to instances between orders: those that end are started again with bounded backoff, those of
//! an earlier life of the node are adopted, and logs are held at their bound.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io,
    path::Path,
    sync::Arc,
    time::Duration,
};

use althing_contracts::name::Name;
use tokio::{sync::mpsc, time::Instant};
use tracing::{info, warn};

use super::{
    process::{Exit, Identity, Process},
    worker::Worker,
};
use crate::failpoint;

/// Pause before the first restart; doubles with each one.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// Longest pause before a restart.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// An instance that ran this long has its backoff forgotten.
const STEADY_AFTER: Duration = Duration::from_mins(1);
/// Ends that wait to be noticed: one for each instance at most, and there are at most 16 a service.
const ENDS_LEN_MAX: usize = 256;

/// An instance of a service.
pub(super) type Key = (Name, u8);

/// The processes of one target.
#[derive(Debug)]
pub(super) struct Supervision {
    running: BTreeMap<Key, Running>,
    restarts: BTreeMap<Key, Restart>,
    ends: (mpsc::Sender<End>, mpsc::Receiver<End>),
}

/// A process that has ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) key: Key,
    pub(super) identity: Identity,
    pub(super) exit: Exit,
}

/// What a worker has to look after.
#[derive(Debug)]
pub(super) enum Notice {
    /// A process ended.
    Ended(End),
    /// An instance is to be started again.
    RestartDue(Key),
}

#[derive(Debug)]
struct Running {
    process: Arc<Process>,
    since: Instant,
}

#[derive(Debug)]
struct Restart {
    due: Option<Instant>,
    failures: u32,
}

impl Supervision {
    pub(super) fn new() -> Self {
        Self { running: BTreeMap::new(), restarts: BTreeMap::new(), ends: mpsc::channel(ENDS_LEN_MAX) }
    }

    /// Takes a process under supervision; its end is told by [`Self::next_end`].
    pub(super) fn watch(&mut self, key: Key, process: Process) {
        let process = Arc::new(process);
        let (watched, ends) = (Arc::clone(&process), self.ends.0.clone());
        let told = key.clone();
        tokio::spawn(async move {
            let exit = watched.exited().await;
            let identity = watched.identity().clone();
            // A worker that is gone leaves its services running and their ends to the next one.
            let _gone = ends.send(End { key: told, identity, exit }).await;
        });
        if let Some(restart) = self.restarts.get_mut(&key) {
            restart.due = None;
        }
        self.running.insert(key, Running { process, since: Instant::now() });
    }

    /// Takes a process out of supervision, to end it or because it has ended.
    pub(super) fn forget(&mut self, service: &Name, index: u8) -> Option<Arc<Process>> {
        let key = (service.clone(), index);
        self.restarts.remove(&key);
        self.running.remove(&key).map(|running| running.process)
    }

    pub(super) fn is_running(&self, service: &Name, index: u8) -> bool {
        self.running.contains_key(&(service.clone(), index))
    }

    /// The next process that ended; waits for ever when none does.
    pub(super) async fn next_end(&mut self) -> End {
        match self.ends.1.recv().await {
            Some(end) => end,
            None => std::future::pending().await,
        }
    }

    /// What happens next: a process ends or a restart falls due.
    pub(super) async fn next(&mut self) -> Notice {
        let due = self.restarts.iter().filter_map(|(key, restart)| Some((restart.due?, key)));
        let Some((due, key)) = due.min().map(|(due, key)| (due, key.clone())) else {
            return Notice::Ended(self.next_end().await);
        };
        tokio::select! {
            end = self.next_end() => Notice::Ended(end),
            () = tokio::time::sleep_until(due) => Notice::RestartDue(key),
        }
    }

    /// Starts an instance as soon as the worker is free.
    pub(super) fn restart_soon(&mut self, key: Key) {
        self.restarts.insert(key, Restart { due: Some(Instant::now()), failures: 0 });
    }

    fn restart_later(&mut self, key: Key, ran: Duration) -> Duration {
        let restart = self.restarts.entry(key).or_insert(Restart { due: None, failures: 0 });
        restart.failures = if ran >= STEADY_AFTER { 0 } else { restart.failures.saturating_add(1) };
        let doublings = restart.failures.saturating_sub(1).min(16);
        let pause = BACKOFF_FIRST.saturating_mul(1 << doublings).min(BACKOFF_MAX);
        restart.due = Some(Instant::now() + pause);
        pause
    }
}

impl Worker {
    /// Adopts what still runs and starts what should.
    pub(super) async fn resume(&mut self) {
        for (service, index) in self.instance_keys() {
            let identity = self.instance(&service, index).and_then(|instance| instance.process.clone());
            if let Some(process) = identity.as_ref().and_then(Process::adopt) {
                info!(target_id = %self.id, %service, index, pid = process.identity().pid, "instance adopted");
                failpoint::reach("local.instance.adopted");
                self.supervision.watch((service, index), process);
            } else {
                self.stop_instance(&service, index).await;
                self.supervision.restart_soon((service, index));
            }
        }
    }

    /// Notices the end of a process; one that was ended on purpose is not under supervision any more.
    pub(super) fn note_end(&mut self, end: &End) {
        let running = self.supervision.running.get(&end.key);
        let Some(since) =
            running.filter(|running| *running.process.identity() == end.identity).map(|r| r.since)
        else {
            return;
        };
        self.supervision.running.remove(&end.key);
        let pause = self.supervision.restart_later(end.key.clone(), since.elapsed());
        let (service, index) = &end.key;
        warn!(target_id = %self.id, %service, index, exit = %end.exit, ?pause, "instance ended, starting it again");
        if let Some(instance) = self.instance(service, *index) {
            instance.process = None;
        }
    }

    /// Starts an instance again as the state file says.
    pub(super) async fn restart(&mut self, (service, index): Key) {
        let Some(instance) = self.instance(&service, index).cloned() else {
            self.supervision.forget(&service, index);
            return;
        };
        let wanted = super::state_file::Instance { process: None, ..instance };
        if let Err(reason) = self.start_instance(&service, index, wanted).await {
            let pause = self.supervision.restart_later((service.clone(), index), Duration::ZERO);
            warn!(target_id = %self.id, %service, index, reason, ?pause, "instance does not start");
        }
    }

    /// Cuts logs that are above their bound and keeps one older part. What is written in between is lost.
    pub(super) fn bound_logs(&self) {
        for (service, index) in self.instance_keys() {
            let path = self.log_path(&service, index);
            if let Err(error) = bound_log(&path, self.config.log_len_max) {
                warn!(target_id = %self.id, path = %path.display(), %error, "log cannot be cut");
            }
        }
    }
}

/// The instance holds its log open for appending, so the file is copied and emptied, not renamed.
fn bound_log(path: &Path, len_max: u64) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.len() > len_max => {
            fs::copy(path, path.with_extension("log.old"))?;
            OpenOptions::new().write(true).open(path)?.set_len(0)
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_above_its_bound_is_cut_and_one_part_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web-0.log");
        fs::write(&path, "12345678").unwrap();
        bound_log(&path, 8).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "12345678");
        bound_log(&path, 7).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        assert_eq!(fs::read_to_string(dir.path().join("web-0.log.old")).unwrap(), "12345678");
    }

    #[tokio::test]
    async fn backoff_doubles_to_its_bound_and_is_forgotten_after_a_steady_run() {
        let mut supervision = Supervision::new();
        let key = || (Name::new("web").unwrap(), 0);
        let pauses: Vec<u64> = (0..10)
            .map(|_| u64::try_from(supervision.restart_later(key(), Duration::ZERO).as_millis()).unwrap())
            .collect();
        assert_eq!(pauses, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
        assert_eq!(supervision.restart_later(key(), STEADY_AFTER), BACKOFF_FIRST);
    }
}
