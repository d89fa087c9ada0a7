//! Owns what runs at a node beside its ledger, in one life: the signer with its journal, the lanes of its members' calls,
//! the executor with its intent journal, the auditor with its witness list. All of it lies on one simulated disk.

use std::{collections::BTreeSet, sync::Arc};

use althing_actors::{
    auditor::state::{AuditorConfig, AuditorError, AuditorState, Subject},
    disk::sim::SimDisk,
    executor::{
        runner::{self, Runner},
        state::{ExecutorConfig, Input, Output, Settlement},
    },
    journal::{JournalError, Place, Shelf},
    ledger::{
        mempool::PooledTransaction,
        message::{CertifiedBlock, LedgerView},
        state::Now,
    },
    signer::{journal as key_uses, state::SignerState},
};
use althing_contracts::{genesis::Genesis, name::MemberId, quantity::TimeMs, role::Role, testing::name};

use super::{
    lane::{Answer, Desk, Lanes, Outgoing, Ticket},
    world::Staff,
};

/// Targets that an executor acts on side by side.
const PARALLEL_MAX: usize = 4;

/// The journals of a node, by the names of their files.
pub(super) const KEY_USES: &str = "key-uses";
const INTENTS: &str = "intents";

/// Why a node's own actors cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum SiteError {
    /// A journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The auditor.
    #[error(transparent)]
    Auditor(#[from] AuditorError),
}

/// The actors of a node.
pub(super) struct Site {
    signer: SignerState,
    pub(super) lanes: Lanes,
    runner: Option<Runner>,
    pub(super) auditor: Option<AuditorState>,
    pub(super) view: Arc<LedgerView>,
    auditing: Option<MemberId>,
    /// Attestations on their way.
    attesting: BTreeSet<Subject>,
    /// Whether a look at the ledger is on its way.
    pub(super) is_looking: bool,
    /// When the executor is woken.
    pub(super) wakes_at_us: Option<u64>,
}

/// What leaves the actors of a node.
#[derive(Debug, Default)]
pub(super) struct Doings {
    pub(super) transactions: Vec<PooledTransaction>,
    /// For targets and probes.
    pub(super) outputs: Vec<Output>,
    /// Calls that became final.
    pub(super) acknowledged: usize,
    /// Calls that were refused, and why.
    pub(super) refused: Vec<String>,
}

impl Site {
    /// Opens what is on the disk.
    pub(super) fn open(
        staff: &Staff,
        genesis: &Genesis,
        disk: &SimDisk,
        view: Arc<LedgerView>,
    ) -> Result<Self, SiteError> {
        let journal = key_uses::open((disk.clone(), KEY_USES))?;
        let signer = SignerState::open(Arc::new(staff.keys()), journal).expect("keys in memory can be read");
        let members: BTreeSet<_> = staff.with(Role::Executor).cloned().collect();
        let config = ExecutorConfig {
            org: staff.org.clone(),
            members,
            providers: BTreeSet::from([name("local")]),
            parallel_max: PARALLEL_MAX,
        };
        let runs = !config.members.is_empty();
        let runner = runs.then(|| Runner::open(config, (disk.clone(), INTENTS))).transpose()?;
        let auditor = staff.auditor.clone().map(|member| {
            let disk = disk.clone();
            let shelf = Shelf::new(move |name| Ok(Place::from((disk.clone(), name))));
            AuditorState::open(&AuditorConfig { member: Some(member), shelf }, genesis)
        });
        let auditor = auditor.transpose()?;
        Ok(Self {
            signer,
            lanes: Lanes::default(),
            runner,
            auditor,
            auditing: staff.auditor.clone(),
            view,
            attesting: BTreeSet::new(),
            is_looking: false,
            wakes_at_us: None,
        })
    }

    /// The executor and the auditor look at the ledger.
    pub(super) fn look(&mut self, now: Now, blocks: &[CertifiedBlock]) -> Result<Doings, SiteError> {
        if let Some(auditor) = &mut self.auditor {
            auditor.apply(blocks)?;
            auditor.compare(&self.view)?;
            for (subject, call) in auditor.due(&self.attesting) {
                self.attesting.insert(subject);
                if let Some(member) = &self.auditing {
                    self.lanes.ask(Ticket::Audit(subject), member, Role::Auditor, call);
                }
            }
        }
        let view = Arc::clone(&self.view);
        self.feed(now, Input::View(view))
    }

    /// The executor takes an input.
    pub(super) fn feed(&mut self, now: Now, input: Input) -> Result<Doings, SiteError> {
        let mut doings = Doings::default();
        if let Some(runner) = &mut self.runner {
            for output in runner.step(now.wall, input)? {
                let ticket = match &output {
                    Output::Claim { key, .. } => Ticket::Claim(*key),
                    Output::Report { key, .. } => Ticket::Report(*key),
                    Output::Attest { key, .. } => Ticket::Judge(*key),
                    _ => {
                        doings.outputs.push(output);
                        continue;
                    }
                };
                if let Some((member, call)) = output.call() {
                    let member = member.clone();
                    self.lanes.ask(ticket, &member, Role::Executor, call);
                }
            }
        }
        self.pump(now, doings)
    }

    /// Signs what waits, and tells those whose call was refused.
    pub(super) fn pump(&mut self, now: Now, mut doings: Doings) -> Result<Doings, SiteError> {
        let Self { signer, lanes, view, .. } = self;
        let network = view.network;
        let Outgoing { transactions, answers } =
            lanes.sign(&mut Desk { signer, state: &view.state, network, now })?;
        doings.transactions.extend(transactions);
        for (ticket, answer) in answers {
            doings.absorb(self.tell(now, ticket, &answer)?);
        }
        Ok(doings)
    }

    /// Tells whoever asked what came of it.
    pub(super) fn tell(&mut self, now: Now, ticket: Ticket, answer: &Answer) -> Result<Doings, SiteError> {
        let mut doings = Doings::default();
        match answer {
            Answer::Final(_) => doings.acknowledged = 1,
            Answer::Refused(why) => doings.refused.push(why.clone()),
            Answer::Unknown => {}
        }
        let height = match answer {
            Answer::Final(found) => Some(found.height),
            _ => None,
        };
        let settled = height.map_or(Settlement::Open, |height| Settlement::Final(height, ()));
        let input = match ticket {
            Ticket::Person => None,
            Ticket::Claim(key) => {
                let answer = match answer {
                    Answer::Final(found) => runner::granted(&self.view.state, key, found),
                    _ => Settlement::Open,
                };
                Some(Input::Claimed { key, answer })
            }
            Ticket::Report(key) => Some(Input::Reported { key, answer: settled }),
            Ticket::Judge(key) => Some(Input::Attested { key, answer: settled }),
            Ticket::Audit(subject) => {
                if height.is_none() {
                    self.attesting.remove(&subject);
                }
                None
            }
        };
        match input {
            Some(input) => {
                doings.absorb(self.feed(now, input)?);
                Ok(doings)
            }
            None => self.pump(now, doings),
        }
    }

    /// When the executor wants to be woken.
    pub(super) fn wake_at(&self) -> Option<TimeMs> {
        self.runner.as_ref().and_then(Runner::wake_at)
    }

    /// Steps that the executor is carrying out.
    pub(super) fn running(&self) -> usize {
        self.runner.as_ref().map_or(0, |runner| runner.running().count())
    }

    /// What is not settled here, for people.
    pub(super) fn doing(&self) -> impl Iterator<Item = String> {
        let steps = self.runner.iter().flat_map(Runner::running);
        self.lanes.busy().chain(steps.map(|(target, key)| format!("{key:?} on {target}")))
    }
}

impl Doings {
    pub(super) fn absorb(&mut self, other: Self) {
        self.transactions.extend(other.transactions);
        self.outputs.extend(other.outputs);
        self.acknowledged += other.acknowledged;
        self.refused.extend(other.refused);
    }
}
