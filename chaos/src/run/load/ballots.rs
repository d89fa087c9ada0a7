//! Owns ballots as load: in the name of many members, one after another at every node, against proposals that are opened
//! for that and are never carried out. A ballot without an answer is cast again as it was, until there is one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::reads::Record;
use crate::{
    http::Connection,
    process::{
        client::{ClientError, NodeClient},
        vote::{OpenVote, fresh_key, member_with, withdraw},
    },
    run::stop::Stop,
};

/// Longest time for one request: the outcome of one that takes longer is unknown, and it is asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Time between two ballots of one node.
const PACE: Duration = Duration::from_millis(80);
/// Time between two proposals.
const OPEN_EVERY: Duration = Duration::from_secs(3);
/// Pause before a node is asked again that gave no answer.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// Times that a ballot is cast again after the run has ended.
const SETTLE_TRIES_MAX: usize = 100;

/// One ballot and what its voter knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    /// On which proposal.
    pub proposal: String,
    /// Whose.
    pub member: String,
    /// What the voter was told in the end.
    pub answer: Answer,
}

/// What a voter was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is final.
    Final {
        /// In the block of this height.
        height: u64,
        /// It had taken effect before.
        repeated: bool,
    },
    /// It was refused, for example because the vote was over.
    Refused,
    /// There was no answer to the end: it may be on the ledger or not.
    Unknown,
}

/// What ballots did.
#[derive(Debug, Default)]
pub struct Cast {
    /// All of them.
    pub ballots: Vec<Ballot>,
    /// Times that a node gave no answer.
    pub unanswered: usize,
}

type Board = Arc<Mutex<Vec<OpenVote>>>;

/// Running voters and the author of what they vote on.
#[derive(Debug)]
pub struct Ballots {
    opener: thread::JoinHandle<()>,
    voters: Vec<thread::JoinHandle<Cast>>,
}

impl Ballots {
    /// Starts voting: each node with the members whose voters' keys it holds. Where the author `withdraws`, there is never
    /// more than one proposal of each.
    #[must_use]
    pub fn start(
        nodes: Vec<(NodeClient, Vec<String>)>,
        record: &Record,
        stop: &Stop,
        withdraws: bool,
    ) -> Self {
        let board = Board::default();
        let clients: Vec<_> = nodes.iter().map(|(client, _)| client.within(ANSWER_WITHIN)).collect();
        let voter = |(node, (client, members)): (usize, (NodeClient, Vec<String>))| {
            let (board, stop) = (Arc::clone(&board), stop.clone());
            let voter = Voter::new(client.within(ANSWER_WITHIN), members, (node, record.clone()));
            thread::spawn(move || voter.run(&board, &stop))
        };
        let voters = nodes.into_iter().enumerate().map(voter).collect();
        let (board, record, stop) = (Arc::clone(&board), record.clone(), stop.clone());
        Self { opener: thread::spawn(move || open(&clients, &board, &record, &stop, withdraws)), voters }
    }

    /// Waits for the end of all, after [`Stop::request`]; yields what became of the ballots.
    ///
    /// # Panics
    /// A voter panicked.
    #[must_use]
    pub fn join(self) -> Cast {
        self.opener.join().expect("the author does not panic");
        let mut all = Cast::default();
        for voter in self.voters {
            let cast = voter.join().expect("a voter does not panic");
            all.ballots.extend(cast.ballots);
            all.unanswered += cast.unanswered;
        }
        all
    }
}

/// Opens a proposal every few seconds, each by the next organisation that answers.
fn open(clients: &[NodeClient], board: &Board, record: &Record, stop: &Stop, withdraws: bool) {
    let mut turn = 0_usize;
    let mut before: Option<(usize, String)> = None;
    loop {
        let client = |at: usize| &clients[at % clients.len()];
        let pause = match OpenVote::begin(client(turn), client(turn + 1)) {
            Ok(vote) => {
                record.opened(vote.proposal());
                if let Some((at, proposal)) = before.replace((turn, vote.proposal().to_owned()))
                    && withdraws
                {
                    // What could not be withdrawn is at the end of the run.
                    let _later = member_with(client(at), "author")
                        .and_then(|author| withdraw(client(at), &author, &proposal, &fresh_key()));
                }
                board.lock().unwrap_or_else(PoisonError::into_inner).push(vote);
                OPEN_EVERY
            }
            Err(_) => RETRY_AFTER,
        };
        turn += 1;
        if stop.wait(pause) {
            return;
        }
    }
}

struct Voter {
    node: NodeClient,
    connection: Option<Connection>,
    members: Vec<String>,
    /// On which proposal of the board, and how many members have cast theirs on it.
    at: (usize, usize),
    cast: Cast,
    /// The node's number, and where it is written down what its voters are told.
    told: (usize, Record),
}

impl Voter {
    fn new(node: NodeClient, members: Vec<String>, told: (usize, Record)) -> Self {
        Self { node, connection: None, members, at: (0, 0), cast: Cast::default(), told }
    }

    fn run(mut self, board: &Board, stop: &Stop) -> Cast {
        while !stop.wait(PACE) {
            let Some((vote, member)) = self.next(board) else { continue };
            let answer = self.settle(&vote, &member, stop);
            let is_over = answer == Answer::Refused;
            self.cast.ballots.push(Ballot { proposal: vote.proposal().to_owned(), member, answer });
            self.at = if is_over { (self.at.0 + 1, 0) } else { (self.at.0, self.at.1 + 1) };
        }
        self.cast
    }

    /// The newest proposal is the one that takes ballots for longest.
    fn next(&mut self, board: &Board) -> Option<(OpenVote, String)> {
        let board = board.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = board.len().checked_sub(1)?;
        if newest > self.at.0 {
            self.at = (newest, 0);
        }
        Some((board.get(self.at.0)?.clone(), self.members.get(self.at.1)?.clone()))
    }

    /// Casts one ballot until there is an answer.
    fn settle(&mut self, vote: &OpenVote, member: &str, stop: &Stop) -> Answer {
        let (key, ballot) = (fresh_key(), vote.ballot(member, "against"));
        let mut tries_left = SETTLE_TRIES_MAX;
        let call = self.told.1.submits(self.told.0);
        loop {
            match self.post(&vote.path(), &key, &ballot) {
                Ok(accepted) => {
                    let repeated = accepted["repeated"] == true;
                    let Some(height) = accepted["height"].as_u64() else { return Answer::Unknown };
                    self.told.1.acknowledged(call, height);
                    return Answer::Final { height, repeated };
                }
                Err(error) if !error.may_pass() => return Answer::Refused,
                Err(_) => self.cast.unanswered += 1,
            }
            if stop.wait(RETRY_AFTER) {
                tries_left -= 1;
                if tries_left == 0 {
                    return Answer::Unknown;
                }
                thread::park_timeout(RETRY_AFTER);
            }
        }
    }

    fn post(
        &mut self,
        path: &str,
        key: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, ClientError> {
        let mut connection = self.connection.take().map_or_else(|| self.node.connect(), Ok)?;
        let accepted = self.node.post_on(&mut connection, path, key, body)?;
        self.connection = Some(connection);
        Ok(accepted)
    }
}
