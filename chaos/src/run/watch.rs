//! Owns looking on: what every node shows as its last final block, over the whole run, and waiting for blocks.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::stop::Stop;
use crate::process::client::NodeClient;

/// How often a node is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longest time for one look: a daemon that hangs is looked at again.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// A block that a node showed as its last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When it was first seen there.
    pub at: Instant,
    /// Its height.
    pub height: u64,
    /// The state's root after it.
    pub state_root: String,
}

/// One thread a node that looks at it until the end of the run.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    stop: Stop,
    threads: Vec<thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    seen: Mutex<Vec<Vec<Seen>>>,
    changed: Condvar,
}

impl Watch {
    /// Begins to look at these nodes.
    #[must_use]
    pub fn start(clients: impl IntoIterator<Item = NodeClient>) -> Self {
        let clients: Vec<_> = clients.into_iter().map(|client| client.within(LOOK_WITHIN)).collect();
        let seen = Mutex::new(vec![Vec::new(); clients.len()]);
        let (shared, stop) = (Arc::new(Shared { seen, changed: Condvar::new() }), Stop::default());
        let look = |(at, client)| {
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            thread::spawn(move || shared.look(at, &client, &stop))
        };
        let threads = clients.into_iter().enumerate().map(look).collect();
        Self { shared, stop, threads }
    }

    /// The last height of each node; 0 before the first block.
    #[must_use]
    pub fn heights(&self) -> Vec<u64> {
        self.shared.lock().iter().map(|seen| last(seen)).collect()
    }

    /// The greatest height that any node showed.
    #[must_use]
    pub fn height_max(&self) -> u64 {
        self.heights().into_iter().max().unwrap_or(0)
    }

    /// Waits until some node shows a block above `height`, and yields when.
    #[must_use]
    pub fn wait_for_any(&self, height: u64, within: Duration) -> Option<Instant> {
        self.wait(within, |nodes| nodes.iter().filter_map(|seen| first_above(seen, height)).min())
    }

    /// Waits until every node shows a block above `height`, and yields when the last one did.
    #[must_use]
    pub fn wait_for_all(&self, height: u64, within: Duration) -> Option<Instant> {
        self.wait(within, |nodes| {
            let firsts: Option<Vec<_>> = nodes.iter().map(|seen| first_above(seen, height)).collect();
            firsts?.into_iter().max()
        })
    }

    /// Ends, and yields what was seen of each node.
    #[must_use]
    pub fn stop(mut self) -> Vec<Vec<Seen>> {
        self.end();
        std::mem::take(&mut *self.shared.lock())
    }

    fn end(&mut self) {
        self.stop.request();
        for thread in self.threads.drain(..) {
            let _ended = thread.join();
        }
    }

    fn wait(&self, within: Duration, found: impl Fn(&[Vec<Seen>]) -> Option<Instant>) -> Option<Instant> {
        let guard = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(guard, within, |seen| found(seen).is_none());
        found(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Seen>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at one node; one that cannot be reached has shown nothing.
    fn look(&self, at: usize, client: &NodeClient, stop: &Stop) {
        let mut connection = None;
        while !stop.wait(LOOK_EVERY) {
            let Some(mut open) = connection.take().or_else(|| client.connect().ok()) else { continue };
            let Ok(head) = client.head_on(&mut open) else { continue };
            connection = Some(open);
            let mut nodes = self.lock();
            if head.height > last(&nodes[at]) {
                let Some(seen) = nodes.get_mut(at) else { continue };
                seen.push(Seen { at: Instant::now(), height: head.height, state_root: head.state_root });
                self.changed.notify_all();
            }
        }
    }
}

fn last(seen: &[Seen]) -> u64 {
    seen.last().map_or(0, |seen| seen.height)
}

fn first_above(seen: &[Seen], height: u64) -> Option<Instant> {
    seen.iter().find(|seen| seen.height > height).map(|seen| seen.at)
}
