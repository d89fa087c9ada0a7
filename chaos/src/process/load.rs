//! Owns load: voters that cast ballots side by side until they are told to stop, whatever happens to their nodes.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::{
    client::ClientError,
    vote::{Acknowledged, Voter},
};

/// Pause before a ballot is cast again that its node could not take.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Running voters.
#[derive(Debug)]
pub struct Load {
    voters: Vec<(mpsc::Sender<()>, thread::JoinHandle<Cast>)>,
}

/// What became of one voter's ballots.
#[derive(Debug)]
pub struct Cast {
    /// The ballots that the voter was told are final, in order.
    pub acknowledged: Vec<Acknowledged>,
    /// When the voter was told of each of them.
    pub answered: Vec<Instant>,
    /// Times that there was no answer, or one that said to try again.
    pub unanswered: usize,
    /// The refusal that ended the voter's work before it was told to stop.
    pub refused: Option<ClientError>,
}

impl Cast {
    /// From `since` to the voter's next final ballot; `None` when there was none.
    #[must_use]
    pub fn first_after(&self, since: Instant) -> Option<Duration> {
        let next = self.answered.iter().find(|answered| **answered > since)?;
        Some(next.duration_since(since))
    }
}

impl Load {
    /// Starts one thread a voter.
    #[must_use]
    pub fn start(voters: impl IntoIterator<Item = Voter>) -> Self {
        let start = |voter: Voter| {
            let (stop, stopped) = mpsc::channel();
            (stop, thread::spawn(move || cast_until(voter, &stopped)))
        };
        Self { voters: voters.into_iter().map(start).collect() }
    }

    /// Lets every voter finish its ballot, and yields what became of all.
    ///
    /// # Panics
    /// A voter's thread panicked.
    #[must_use]
    pub fn stop(self) -> Vec<Cast> {
        let (stops, threads): (Vec<_>, Vec<_>) = self.voters.into_iter().unzip();
        drop(stops);
        threads.into_iter().map(|thread| thread.join().expect("a voter does not panic")).collect()
    }
}

fn cast_until(mut voter: Voter, stopped: &mpsc::Receiver<()>) -> Cast {
    let mut cast = Cast { acknowledged: Vec::new(), answered: Vec::new(), unanswered: 0, refused: None };
    // A ballot without an answer is settled before the voter stops: until then nobody knows what it did.
    let mut settled = true;
    while !settled || (!voter.is_done() && stopped.try_recv() == Err(mpsc::TryRecvError::Empty)) {
        settled = match voter.cast() {
            Ok(acknowledged) => {
                cast.acknowledged.push(acknowledged);
                cast.answered.push(Instant::now());
                true
            }
            Err(error) if error.may_pass() => {
                cast.unanswered += 1;
                thread::park_timeout(RETRY_PAUSE);
                false
            }
            Err(error) => {
                cast.refused = Some(error);
                break;
            }
        };
    }
    cast
}
