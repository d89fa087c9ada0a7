//! Owns what runs at a simulated node beside its ledger, in one life: the real signer, submitter, proposal desk and
//! executor, wired as a daemon wires them, and the members who use them.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, sync::Arc, time::Duration};

use althing_actors::{
    executor::actor::{self as executor, ExecutorActor, ExecutorOptions},
    home::Home,
    journal::Shelf,
    ledger::{LedgerHandle, message::Final},
    proposal::{
        actor::{self as desk, DeskOptions, ProposalDesk},
        message::{
            CancelProposal, CastBallot, DeskError, PlanDocument, ReviewProposal, ReviseProposal,
            SubmitProposal,
        },
    },
    signer::{
        actor::{self as signer, SignerOptions},
        keys::SignerKeys,
        submitter::{Submitter, SubmitterOptions},
    },
    watcher::{StartError, Watched, Watcher},
};
use althing_chaos::simulation::people::{self, Mood};
use althing_contracts::{name::MemberId, role::Role, testing::member_keys, transaction::Call};
use ed25519_zebra::SigningKey;
use rand9::{Rng as _, rngs::StdRng};

use crate::{board::SharedBoard, clock::SimClock, ports::BoundLedger, provider::SimTargets, world};

/// Targets that an executor acts on side by side.
const PARALLEL_MAX: usize = 4;
/// Longest pause of a member between two things.
const PAUSE_MAX_MS: u64 = 700;

/// What a site is made of.
pub struct Parts<'a> {
    /// Which node it is of.
    pub node: usize,
    /// Starts actors again.
    pub watcher: &'a Watcher,
    /// The node's ledger.
    pub ledger: &'a LedgerHandle,
    /// Where everything runs.
    pub home: Arc<dyn Home>,
    /// The node's clock.
    pub clock: SimClock,
    /// The node's journals.
    pub shelf: Shelf,
    /// What is governed.
    pub targets: &'a SimTargets,
}

/// The actors of a node that people use.
#[derive(Clone)]
pub struct Site {
    node: usize,
    desk: Watched<ProposalDesk>,
    /// Held so that it is supervised.
    _executor: Option<Watched<ExecutorActor>>,
    /// Signs and submits for the node's members.
    pub submitter: Submitter,
    ledger: LedgerHandle,
}

impl Site {
    /// Starts them.
    ///
    /// # Errors
    /// A journal cannot be opened.
    pub fn start(parts: &Parts<'_>) -> Result<Self, StartError> {
        let Parts { node, watcher, ledger, home, clock, shelf, targets } = parts;
        let clock = Arc::new(*clock);
        let holders = world::holders(*node);
        let signer = signer::start(
            watcher,
            SignerOptions {
                keys: Arc::new(Arc::new(keys(&holders))),
                shelf: shelf.clone(),
                feed: ledger.feed(),
                clock: clock.clone(),
                home: Arc::clone(home),
            },
        )?;
        let bound = Arc::new(BoundLedger((*ledger).clone()));
        let submitter = Submitter::start(
            &holders,
            &SubmitterOptions {
                signer,
                ledger: bound.clone(),
                clock: clock.clone(),
                read_only: watcher.read_only(),
                home: Arc::clone(home),
            },
        );
        let (org, providers) = (world::org_of(*node), vec![Arc::new((*targets).clone()) as _]);
        let options = DeskOptions {
            org: org.clone(),
            providers: providers.clone(),
            submitter: submitter.clone(),
            ledger: bound.clone(),
            home: Arc::clone(home),
        };
        let desk = desk::start(watcher, options)?;
        let mut running = None;
        if submitter.members(Role::Executor).next().is_some() {
            let options = ExecutorOptions {
                org,
                shelf: shelf.clone(),
                parallel_max: PARALLEL_MAX,
                providers,
                prober: Arc::new((*targets).clone()),
                submitter: submitter.clone(),
                ledger: bound,
                clock,
                home: Arc::clone(home),
            };
            running = Some(executor::start(watcher, options)?);
        }
        Ok(Self { node: *node, desk, _executor: running, submitter, ledger: (*ledger).clone() })
    }

    /// Everyone at this node begins to act.
    pub fn populate(&self, random: &Rc<RefCell<StdRng>>, board: &SharedBoard) {
        for (member, role) in world::holders(self.node) {
            // The auditor's key belongs to the auditor.
            if role != Role::Auditor {
                let live = live(self.clone(), member, role, Rc::clone(random), Rc::clone(board));
                tokio::task::spawn_local(live);
            }
        }
    }

    /// Does what a member wants by the way that is meant for it.
    async fn carry(&self, member: &MemberId, role: Role, call: Call) -> Result<Final, DeskError> {
        match call {
            Call::Submit { document, .. } => {
                let author = member.clone();
                let plan_hash = self.plan(document.clone()).await?;
                let done = self.desk.send(SubmitProposal { author, document, plan_hash }).await;
                Ok(done.map_err(|_| DeskError::Stopping)??.transaction)
            }
            Call::Revise { proposal, replaces, document, .. } => {
                let author = member.clone();
                let plan_hash = self.plan(document.clone()).await?;
                let asked = ReviseProposal { author, proposal, replaces, document, plan_hash };
                self.desk.send(asked).await.map_err(|_| DeskError::Stopping)?
            }
            Call::Review { proposal, plan_hash, verdict, reason, .. } => {
                let reviewer = member.clone();
                let asked = ReviewProposal { reviewer, proposal, plan_hash, verdict, reason };
                self.desk.send(asked).await.map_err(|_| DeskError::Stopping)?
            }
            Call::Vote { proposal, plan_hash, choice, .. } => {
                let asked = CastBallot { voter: member.clone(), proposal, plan_hash, choice };
                self.desk.send(asked).await.map_err(|_| DeskError::Stopping)?
            }
            Call::Cancel { proposal, reason } => {
                let asked = CancelProposal { author: member.clone(), proposal, reason };
                self.desk.send(asked).await.map_err(|_| DeskError::Stopping)?
            }
            other => Ok(self.submitter.act(member, role, other).await?),
        }
    }

    async fn plan(
        &self,
        document: althing_contracts::document::ProposalDocument,
    ) -> Result<althing_contracts::digest::Digest, DeskError> {
        let shown = self.desk.send(PlanDocument { document }).await.map_err(|_| DeskError::Stopping)??;
        Ok(shown.plan_hash)
    }
}

/// A member in a role, until the node is gone.
async fn live(site: Site, member: MemberId, role: Role, random: Rc<RefCell<StdRng>>, board: SharedBoard) {
    loop {
        let pause = random.borrow_mut().random_range(50..=PAUSE_MAX_MS);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let view = site.ledger.feed().view.borrow().clone();
        let wanted = people::act(&mut *random.borrow_mut(), &view.state, Mood::Divided, (&member, role));
        let Some(call) = wanted.filter(|_| !board.borrow().is_inquest()) else { continue };
        match site.carry(&member, role, call).await {
            Ok(done) => board.borrow_mut().acknowledge(site.node, &done),
            Err(error) => board.borrow_mut().refuse(&kind_of(&error)),
        }
    }
}

/// A refusal without what differs from one to the next.
fn kind_of(error: &DeskError) -> String {
    match error {
        DeskError::Act(act) => match act.reject() {
            Some(reject) => reject.code().to_owned(),
            None => "not final".to_owned(),
        },
        DeskError::Rejected(reject) => reject.code().to_owned(),
        DeskError::UnknownProposal { .. } => "unknown proposal".to_owned(),
        DeskError::PlanMoved { .. } => "plan moved".to_owned(),
        DeskError::NothingOpened { .. } => "nothing opened".to_owned(),
        DeskError::Stopping => "stopping".to_owned(),
    }
}

fn keys(holders: &BTreeSet<(MemberId, Role)>) -> SignerKeys {
    let keys = |(member, role): &(MemberId, Role)| {
        let holder = (member.clone(), *role);
        member_keys(member, *role).map(move |key| (holder.clone(), SigningKey::from(key.secret())))
    };
    SignerKeys::new(holders.iter().flat_map(keys))
}
