//! Owns where the actors of a simulated node live: all on the node's one thread. What would go to a pool runs at once.

use althing_actors::home::Home;
use tokio::sync::mpsc;

type Begin = Box<dyn FnOnce() + Send>;

/// The thread of a simulated node.
#[derive(Debug, Clone)]
pub struct SimHome(mpsc::UnboundedSender<Begin>);

impl SimHome {
    /// The thread that the caller runs on, which is a node's.
    #[must_use]
    pub fn here() -> Self {
        let (sender, mut begins) = mpsc::unbounded_channel::<Begin>();
        tokio::task::spawn_local(async move {
            while let Some(begin) = begins.recv().await {
                begin();
            }
        });
        Self(sender)
    }
}

impl Home for SimHome {
    fn enter(&self, begin: Begin) {
        // A node that crashed begins nothing.
        let _crashed = self.0.send(begin);
    }

    fn work(&self, work: Begin) {
        work();
    }
}
