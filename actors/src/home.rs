//! Owns where actors live: their threads and the pool beside them are a port, so that a node decides what it has of
//! either. Refuses to keep anything: what was begun belongs to the thread.

use actix::{Actor, Addr, ArbiterHandle, Context, dev::channel};
use tokio::sync::oneshot;

/// Messages that wait for an actor until it has said in `started` how many may.
const MAILBOX_LEN_FIRST: usize = 16;

/// A thread that runs actors and their tasks, and the pool for what would hold them up.
pub trait Home: Send + Sync + 'static {
    /// Runs `begin` on the thread; what it spawns stays there.
    fn enter(&self, begin: Box<dyn FnOnce() + Send>);

    /// Runs `work`, which computes long or waits for the disk, where it holds no actor up.
    fn work(&self, work: Box<dyn FnOnce() + Send>);
}

impl Home for ArbiterHandle {
    fn enter(&self, begin: Box<dyn FnOnce() + Send>) {
        // A thread that has ended belongs to a node that has.
        let _ended = self.spawn_fn(begin);
    }

    fn work(&self, work: Box<dyn FnOnce() + Send>) {
        drop(tokio::task::spawn_blocking(work));
    }
}

impl dyn Home {
    /// Starts an actor on the thread.
    pub(crate) fn start<A>(&self, actor: impl FnOnce() -> A + Send + 'static) -> Addr<A>
    where
        A: Actor<Context = Context<A>>,
    {
        let (sender, receiver) = channel::channel(MAILBOX_LEN_FIRST);
        self.enter(Box::new(move || {
            Context::with_receiver(receiver).run(actor());
        }));
        Addr::new(sender)
    }

    /// Runs a task on the thread.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.enter(Box::new(move || drop(actix_rt::spawn(task))));
    }

    /// The result of `work`, which ran in the pool; `None` when it panicked.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, result) = oneshot::channel();
        self.work(Box::new(move || {
            // Whoever asked may have gone.
            let _gone = sender.send(work());
        }));
        result.await.ok()
    }
}
