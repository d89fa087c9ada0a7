//! Owns the way of this node's own transactions into the ledger: gathers those that come together, checks their
//! signatures in one batch, and hands them over in one message, which the other validators then get in one message too.
//! Refuses what cannot be read and what its sender did not sign.

use std::{sync::Arc, time::Duration};

use althing_contracts::{digest::Digest, signature::Signed, transaction::UnverifiedTransaction};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{
    actor::{Admit, LedgerActor},
    mempool::PooledTransaction,
    message::{Final, SubmitError},
};
use crate::{failpoint, home::Home, signatures::are_valid, watcher::Watched};

/// Submissions that wait to be checked.
pub(super) const SUBMISSIONS_MAX: usize = 4_096;
/// Most submissions of a batch: checking it takes some milliseconds.
const BATCH_LEN_MAX: usize = 256;
/// From so many submissions at once on, the next batch is gathered for a while.
const BUSY_LEN: usize = 4;
/// How long it is gathered: a batch is cheaper by half, and a block takes longer.
const GATHER_TIME: Duration = Duration::from_millis(10);

/// Who waits for a transaction.
pub(super) type Reply = oneshot::Sender<Result<Final, SubmitError>>;

/// A transaction of this node's own users.
pub(super) struct Submission {
    pub(super) bytes: Vec<u8>,
    pub(super) reply: Reply,
}

/// Hands submissions to whichever life of the ledger there is, until nobody can submit any more.
pub(super) async fn run(
    mut submissions: mpsc::Receiver<Submission>,
    actor: Watched<LedgerActor>,
    network: Digest,
    home: Arc<dyn Home>,
) {
    let mut batch = Vec::new();
    while submissions.recv_many(&mut batch, BATCH_LEN_MAX).await > 0 {
        let (len, submitted) = (batch.len(), std::mem::take(&mut batch));
        let admitted = if len == 1 {
            check(submitted, network)
        } else {
            // Who submitted what a panic lost is told that nobody knows.
            home.compute(move || check(submitted, network)).await.unwrap_or_default()
        };
        failpoint::reach("ledger.submission.checked");
        // Without a ledger the replies are dropped: whoever waits is told that nobody knows.
        let _lost = actor.send(Admit(admitted)).await;
        if len >= BUSY_LEN {
            tokio::time::sleep(GATHER_TIME).await;
        }
    }
}

/// Checks form and signatures, and tells those whose transactions fail.
fn check(submitted: Vec<Submission>, network: Digest) -> Vec<(PooledTransaction, Reply)> {
    let mut read = Vec::with_capacity(submitted.len());
    for Submission { bytes, reply } in submitted {
        match UnverifiedTransaction::decode(&bytes, network) {
            Ok(transaction) => read.push((Bytes::from(bytes), transaction, reply)),
            Err(error) => tell(reply, SubmitError::Malformed(error)),
        }
    }
    let signed: Vec<Signed> = read.iter().map(|(_, transaction, _)| transaction.signed()).collect();
    let are_all_valid = are_valid(&signed);
    let mut checked = Vec::with_capacity(read.len());
    for (bytes, transaction, reply) in read {
        if are_all_valid || transaction.signed().verify().is_ok() {
            checked.push((PooledTransaction { bytes, verified: transaction.assume_verified() }, reply));
        } else {
            tell(reply, SubmitError::Signature);
        }
    }
    checked
}

fn tell(reply: Reply, error: SubmitError) {
    // Who submitted may have gone.
    let _gone = reply.send(Err(error));
}

#[cfg(test)]
mod tests {
    use althing_contracts::{
        role::Role,
        testing::{World, deploy},
        transaction::{Call, Transaction},
    };

    use super::*;

    fn submissions(world: &World) -> Vec<Vec<u8>> {
        let sign = |author: &str, target: &str| {
            let document = deploy("v2", &[&[target]]);
            let plan_hash = world.state.plan(&document).unwrap().hash();
            world.sign(author, Role::Author, Call::Submit { document, plan_hash }).encode()
        };
        vec![sign("acme/author", "acme-north"), sign("birch/author", "birch-north")]
    }

    /// What is admitted of some bytes, and what each sender is told before the ledger has seen them.
    fn checked(bytes: Vec<Vec<u8>>, network: Digest) -> (usize, Vec<Option<SubmitError>>) {
        let (submitted, answers): (Vec<_>, Vec<_>) = bytes
            .into_iter()
            .map(|bytes| {
                let (reply, answer) = oneshot::channel();
                (Submission { bytes, reply }, answer)
            })
            .unzip();
        let admitted = check(submitted, network);
        let told = answers.into_iter().map(|mut answer| answer.try_recv().ok().and_then(Result::err));
        (admitted.len(), told.collect())
    }

    #[test]
    fn good_submissions_are_admitted_together() {
        let world = World::new(4);
        let (admitted, told) = checked(submissions(&world), world.network());
        assert!(admitted == 2 && told.iter().all(Option::is_none), "{told:?}");
    }

    #[test]
    fn a_forged_or_garbled_submission_fails_alone() {
        let world = World::new(4);
        let mut bytes = submissions(&world);
        let Transaction::V3 { body, key, .. } =
            althing_contracts::canonical::decode(&bytes[0], 1 << 20).unwrap();
        let Transaction::V3 { signature, .. } =
            althing_contracts::canonical::decode(&bytes[1], 1 << 20).unwrap();
        bytes.insert(1, Transaction::V3 { body, key, signature }.encode());
        bytes.push(vec![7]);
        let (admitted, told) = checked(bytes, world.network());
        assert_eq!(admitted, 2);
        assert!(
            matches!(
                told.as_slice(),
                [None, Some(SubmitError::Signature), None, Some(SubmitError::Malformed(_))]
            ),
            "{told:?}"
        );
    }
}
