//! Owns the memory of what was already asked: a repeated `Idempotency-Key` gets the first answer, never a second
//! effect.
//!
//! The memory is bounded and lasts as long as the process; what has to be unique beyond that (ballots, reviews) is
//! unique on the ledger. Answers that asking again may change are not kept.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use actix_web::{HttpRequest, http::StatusCode};
use althing_contracts::quantity::Height;

use super::problem::Problem;

/// The header's name.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Longest key: room for a UUID with a prefix.
pub const KEY_LEN_MAX: usize = 128;
/// Most keys remembered; above it the oldest answered one is forgotten.
pub const KEYS_MAX: usize = 4_096;
/// Most bytes of answers remembered.
pub const ANSWERS_LEN_MAX: usize = 16 * 1024 * 1024;

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// The height that it shows, when it shows the ledger.
    pub(crate) height: Option<Height>,
    /// JSON body.
    pub(crate) body: bytes::Bytes,
}

/// All keys in use.
#[derive(Debug, Default)]
pub(crate) struct IdempotencyStore(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<String, Entry>,
    answered: VecDeque<String>,
    answers_len: usize,
}

#[derive(Debug)]
struct Entry {
    fingerprint: [u8; 32],
    answer: Option<Answer>,
}

/// What a key allows.
#[derive(Debug)]
pub(crate) enum Begin {
    /// Carry the request out and give its answer to the ticket.
    Run(Ticket),
    /// It was carried out.
    Stored(Answer),
}

/// The right to carry one request out. Dropped without an answer, the key is free again.
#[derive(Debug)]
pub(crate) struct Ticket {
    store: Arc<IdempotencyStore>,
    key: String,
}

/// The key of a request.
///
/// # Errors
/// It is missing, empty, too long or not visible ASCII.
pub(crate) fn key_of(request: &HttpRequest) -> Result<String, Problem> {
    let missing = "send an Idempotency-Key header with a value of your own for each new request, for example a \
                   UUID; repeat it only to repeat the request";
    let Some(value) = request.headers().get(IDEMPOTENCY_KEY) else {
        return Err(Problem::bad_request("idempotency-key-missing", missing));
    };
    match value.to_str() {
        Ok(key) if (1..=KEY_LEN_MAX).contains(&key.len()) => Ok(key.to_owned()),
        _ => Err(Problem::bad_request(
            "idempotency-key",
            format!("the Idempotency-Key must be 1 to {KEY_LEN_MAX} visible ASCII characters"),
        )),
    }
}

/// What makes two requests the same.
pub(crate) fn fingerprint(request: &HttpRequest, body: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("althing 2026 v1 idempotency");
    for part in [request.method().as_str().as_bytes(), request.path().as_bytes(), body] {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

impl IdempotencyStore {
    /// Looks a key up and takes it when it is free.
    ///
    /// # Errors
    /// The key was used for something else, its request is still running, or too many are.
    pub(crate) fn begin(self: &Arc<Self>, key: String, fingerprint: [u8; 32]) -> Result<Begin, Problem> {
        let mut entries = self.lock();
        if let Some(entry) = entries.by_key.get(&key) {
            if entry.fingerprint != fingerprint {
                return Err(other_payload());
            }
            return entry.answer.clone().map(Begin::Stored).ok_or_else(still_running);
        }
        while entries.by_key.len() >= KEYS_MAX {
            entries.forget_oldest().ok_or_else(too_many_running)?;
        }
        entries.by_key.insert(key.clone(), Entry { fingerprint, answer: None });
        Ok(Begin::Run(Ticket { store: self.clone(), key }))
    }

    // A panic while the lock is held leaves whole entries behind: every change below is one insert or remove.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Keeps the answer for whoever repeats the key.
    pub(crate) fn finish(self, answer: Answer) {
        let mut entries = self.store.lock();
        let len = answer.body.len();
        if let Some(entry) = entries.by_key.get_mut(&self.key) {
            entry.answer = Some(answer);
            entries.answers_len += len;
            entries.answered.push_back(self.key.clone());
        }
        while entries.answers_len > ANSWERS_LEN_MAX && entries.forget_oldest().is_some() {}
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut entries = self.store.lock();
        if entries.by_key.get(&self.key).is_some_and(|entry| entry.answer.is_none()) {
            entries.by_key.remove(&self.key);
        }
    }
}

impl Entries {
    fn forget_oldest(&mut self) -> Option<()> {
        let key = self.answered.pop_front()?;
        let answer = self.by_key.remove(&key)?.answer?;
        self.answers_len -= answer.body.len();
        Some(())
    }
}

fn other_payload() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "The key belongs to another request",
        "this Idempotency-Key was sent before with another request; use a new key for a new request",
    )
}

fn still_running() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "idempotency-key-running",
        "The request is still running",
        "the first request with this Idempotency-Key is still running; ask again in a moment",
    )
    .retryable()
}

fn too_many_running() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "busy",
        "The node has too much to do",
        format!("{KEYS_MAX} requests are running, which is the most; ask again in a moment"),
    )
    .retryable()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(len: usize) -> Answer {
        Answer { status: StatusCode::OK, height: None, body: bytes::Bytes::from(vec![b'x'; len]) }
    }

    fn run(store: &Arc<IdempotencyStore>, key: &str, fingerprint: u8) -> Ticket {
        match store.begin(key.to_owned(), [fingerprint; 32]).unwrap() {
            Begin::Run(ticket) => ticket,
            Begin::Stored(_) => panic!("{key} has an answer"),
        }
    }

    #[test]
    fn a_repeated_key_gets_the_first_answer() {
        let store = Arc::new(IdempotencyStore::default());
        run(&store, "k", 1).finish(answer(3));
        assert!(
            matches!(store.begin("k".to_owned(), [1; 32]), Ok(Begin::Stored(found)) if found == answer(3))
        );
    }

    #[test]
    fn a_key_is_refused_for_another_payload_and_while_it_runs() {
        let store = Arc::new(IdempotencyStore::default());
        let ticket = run(&store, "k", 1);
        assert_eq!(store.begin("k".to_owned(), [1; 32]).unwrap_err().code, "idempotency-key-running");
        assert_eq!(store.begin("k".to_owned(), [2; 32]).unwrap_err().code, "idempotency-key-reused");
        drop(ticket);
        run(&store, "k", 2).finish(answer(1));
    }

    #[test]
    fn the_oldest_answers_are_forgotten_and_running_requests_never() {
        let store = Arc::new(IdempotencyStore::default());
        let running = run(&store, "running", 0);
        for index in 0..KEYS_MAX {
            run(&store, &format!("k{index}"), 1).finish(answer(1));
        }
        assert_eq!(store.lock().by_key.len(), KEYS_MAX);
        assert!(store.lock().by_key.contains_key("running"));
        assert!(!store.lock().by_key.contains_key("k0"));
        drop(running);
        run(&store, "large", 1).finish(answer(ANSWERS_LEN_MAX));
        assert!(store.lock().answers_len <= ANSWERS_LEN_MAX);
        assert!(store.lock().by_key.contains_key("large"));
    }
}
