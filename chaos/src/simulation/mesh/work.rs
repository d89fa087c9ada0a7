//! Owns what happens beside the ledgers: people act, calls are signed and submitted again, executors reach targets, and
//! each of them is told what came of it.

use std::sync::Arc;

use althing_actors::{
    auditor::state::AuditorState,
    causes::with_causes,
    disk::sim::is_simulated,
    executor::{
        journal::StepKey,
        state::{Input, JudgeKey, Output},
    },
    ledger::{mempool::PooledTransaction, message::Final, state::LedgerInput},
    port::{ProviderError, ProviderOrder},
};
use althing_contracts::{
    name::TargetId,
    reject::Reject,
    transaction::{Call, StepOutcome, TransactionId},
};
use rand::{
    Rng,
    seq::{IndexedRandom as _, SliceRandom as _},
};

use super::{Mesh, NodeIndex, Violation};
use crate::simulation::{
    event::{Event, Hand},
    lane::{Answer, Ticket},
    people, report,
    site::{Doings, SiteError},
};

/// Between two submissions of what is not settled.
const AGAIN_EVERY_US: u64 = 700_000;
/// Longest time between an event at a node and what its actors make of it.
const MAILBOX_MAX_US: u64 = 2_000;
/// Longest time that a target takes.
const TARGET_MAX_US: u64 = 60_000;
/// Longest time that a slow call is on its way.
const SLOW_MAX_US: u64 = 8_000_000;
/// An executor's call ends unanswered after this, if its lease does not end it before.
const CALL_TIMEOUT_US: u64 = 2_000_000;

impl Mesh {
    /// People of a node do one thing, with a key for which nothing waits.
    pub(super) fn people(&mut self, node: NodeIndex) -> Result<(), Violation> {
        if self.calm.is_some() || self.nodes[node].is_retired() {
            return Ok(());
        }
        let pause_us = self.random.random_range(1..2 * self.plan.people_every_us);
        self.queue.push(self.now_us + pause_us, Event::People { node });
        let mut holders: Vec<_> = self.nodes[node].staff.holders.iter().cloned().collect();
        holders.shuffle(&mut self.random);
        let Some(site) = &mut self.nodes[node].site else { return Ok(()) };
        let state = &site.view.state;
        let misbehaves = self.plan.has_misbehaviour && self.random.random_bool(0.2);
        for (member, role) in holders.into_iter().filter(|(member, role)| !site.lanes.is_busy(member, *role))
        {
            let call = if misbehaves {
                people::misbehave(&mut self.random, state, &member, role)
            } else {
                people::act(&mut self.random, state, self.plan.mood, (&member, role))
            };
            if let Some(call) = call {
                site.lanes.ask(Ticket::Person, &member, role, call);
                return self.pump(node);
            }
        }
        Ok(())
    }

    /// The node submits again what is not settled.
    pub(super) fn again(&mut self, node: NodeIndex) -> Result<(), Violation> {
        if self.nodes[node].is_retired() {
            return Ok(());
        }
        self.queue.push(self.now_us + AGAIN_EVERY_US, Event::Again { node });
        let now = self.nodes[node].now(self.now_us);
        let Some(site) = &mut self.nodes[node].site else { return Ok(()) };
        let outgoing = site.lanes.again(now);
        let mut doings = Doings { transactions: outgoing.transactions, ..Doings::default() };
        for (ticket, answer) in outgoing.answers {
            match site.tell(now, ticket, &answer) {
                Ok(more) => doings.absorb(more),
                Err(error) => return self.site_failed(node, &error),
            }
        }
        self.carry_on(node, Ok(doings))
    }

    /// The executor and the auditor of a node look at its ledger.
    pub(super) fn look(&mut self, node: NodeIndex) -> Result<(), Violation> {
        let now = self.nodes[node].now(self.now_us);
        let blocks = self.nodes[node].unaudited();
        let Some(site) = &mut self.nodes[node].site else { return Ok(()) };
        site.is_looking = false;
        let doings = site.look(now, &blocks);
        let alarms = site.auditor.as_mut().map(AuditorState::take_raised).unwrap_or_default();
        if let Some(alarm) = alarms.first() {
            return Err(Violation::Alarm { node, alarm: alarm.to_string() });
        }
        self.carry_on(node, doings)
    }

    /// The executor of a node takes an input.
    pub(super) fn feed(&mut self, node: NodeIndex, input: Input) -> Result<(), Violation> {
        let now = self.nodes[node].now(self.now_us);
        let Some(site) = &mut self.nodes[node].site else { return Ok(()) };
        let doings = site.feed(now, input);
        self.carry_on(node, doings)
    }

    /// A transaction is final at a node.
    pub(super) fn finalise(&mut self, node: NodeIndex, found: Final) -> Result<(), Violation> {
        let now = self.nodes[node].now(self.now_us);
        let Some(site) = &mut self.nodes[node].site else { return Ok(()) };
        let (id, has_effect) = (found.id, !found.events.is_empty());
        let Some((ticket, answer)) = site.lanes.finalise(found) else { return Ok(()) };
        if let Answer::Final(found) = &answer {
            self.clients.acknowledged(found);
        }
        if has_effect {
            self.checker.acknowledged(id);
            if node > self.plan.validators {
                self.coverage.count(report::OBSERVERS_TRANSACTION);
            }
        }
        let doings = site.tell(now, ticket, &answer);
        self.carry_on(node, doings)
    }

    /// The rules refused a transaction.
    pub(super) fn refuse(
        &mut self,
        node: NodeIndex,
        id: TransactionId,
        reject: &Reject,
    ) -> Result<(), Violation> {
        let now = self.nodes[node].now(self.now_us);
        self.coverage.reject(reject.code());
        let Some(site) = &mut self.nodes[node].site else { return Ok(()) };
        let doings = match site.lanes.refuse(id, reject) {
            Some((ticket, answer)) => site.tell(now, ticket, &answer),
            None => site.pump(now, Doings::default()),
        };
        self.carry_on(node, doings)
    }

    /// A call reaches a target.
    pub(super) fn hand(&mut self, node: NodeIndex, life: u64, hand: Hand) {
        let Self { random, targets, coverage, .. } = self;
        let input = match hand {
            Hand::Read { key, target, resource, fence } => {
                Input::Read { key, found: targets.read(random, &target, &resource, fence) }
            }
            Hand::CarryOut { key, order, is_awaited } => {
                let before = targets.effects().len();
                let effect = targets.carry_out(random, self.now_us, &order, key.undo, coverage);
                if targets.effects().len() > before {
                    let (target, fence) = (&order.target.id, order.fence);
                    self.tell(|| Some(format!("the {key} takes effect on {target}, fence {fence}")));
                }
                if !is_awaited {
                    return;
                }
                Input::CarriedOut { key, effect }
            }
            Hand::Probe { key, target, probe } => {
                let said = probe.without_requests();
                let health = said.unwrap_or_else(|| targets.health(random, &target));
                Input::Probed { key, health }
            }
        };
        self.answer(node, life, input);
    }

    /// Schedules a look at the ledger, if none is on its way.
    pub(super) fn schedule_look(&mut self, node: NodeIndex) {
        let life = self.nodes[node].life;
        let Some(site) = &mut self.nodes[node].site else { return };
        if !std::mem::replace(&mut site.is_looking, true) {
            let delay_us = self.random.random_range(0..MAILBOX_MAX_US);
            self.queue.push(self.now_us + delay_us, Event::Look { node, life });
        }
    }

    /// Somebody changes a target behind everybody's back.
    pub(super) fn meddle(&mut self) {
        let places: Vec<_> =
            self.nodes.iter().find_map(|node| node.site.as_ref()).map_or_else(Vec::new, |site| {
                let applied = site.view.state.targets();
                applied
                    .flat_map(|(id, target)| target.applied.keys().map(|it| (id.clone(), it.clone())))
                    .collect()
            });
        if let Some((target, resource)) = places.choose(&mut self.random)
            && self.targets.meddle(target, resource)
        {
            self.coverage.count(report::MEDDLED);
            let told = format!("{resource} is gone from {target}");
            self.tell(|| Some(told));
        }
    }

    fn pump(&mut self, node: NodeIndex) -> Result<(), Violation> {
        let now = self.nodes[node].now(self.now_us);
        let Some(site) = &mut self.nodes[node].site else { return Ok(()) };
        let doings = site.pump(now, Doings::default());
        self.carry_on(node, doings)
    }

    fn carry_on(&mut self, node: NodeIndex, doings: Result<Doings, SiteError>) -> Result<(), Violation> {
        let doings = match doings {
            Ok(doings) => doings,
            Err(error) => return self.site_failed(node, &error),
        };
        let life = self.nodes[node].life;
        for transaction in doings.transactions {
            self.clients.submitted(node, &transaction);
            self.reported(node, life, &transaction);
            let delay_us = self.random.random_range(0..MAILBOX_MAX_US);
            let input = LedgerInput::Submit(transaction);
            self.queue.push(self.now_us + delay_us, Event::Input { to: node, life, input });
        }
        for output in doings.outputs {
            self.reach(node, life, output);
        }
        self.schedule_wake(node, life);
        Ok(())
    }

    /// Half of those who report a failure are about to fall, where nodes do: what the next life knows of it stands in its
    /// journal alone, and the ledger may have acted on it.
    fn reported(&mut self, node: NodeIndex, life: u64, transaction: &PooledTransaction) {
        let Call::Receipt { proposal, step, fence, outcome: StepOutcome::Failed { .. }, .. } =
            transaction.verified.body().call
        else {
            return;
        };
        let before = self.failures.insert((proposal, step, fence), life);
        if before.is_some_and(|before| before != life) {
            self.coverage.count(report::FAILED_AGAIN);
        }
        if before.is_none()
            && self.plan.crash_every_us > 0
            && self.calm.is_none()
            && self.random.random_bool(0.5)
        {
            self.plan_crash(node);
        }
    }

    fn reach(&mut self, node: NodeIndex, life: u64, output: Output) {
        let hand = match output {
            Output::Read { key, target, resource, fence, .. } => {
                Hand::Read { key, target: target.id, resource, fence }
            }
            Output::CarryOut { key, order, .. } => return self.reach_with_order(node, life, key, order),
            Output::Probe { key, probe } => {
                let Some(target) = self.target_of(node, key) else { return };
                Hand::Probe { key, target, probe }
            }
            Output::Claim { .. } | Output::Report { .. } | Output::Attest { .. } => return,
        };
        let delay_us = self.random.random_range(0..TARGET_MAX_US);
        self.queue.push(self.now_us + delay_us, Event::Hand { node, life, hand });
    }

    /// A target that keeps no keys acts at once: a late order would act twice there, whatever the executor does.
    fn reach_with_order(&mut self, node: NodeIndex, life: u64, key: StepKey, order: Box<ProviderOrder>) {
        self.coverage.count(report::ORDER);
        if !self.targets.keeps_keys() {
            return self.hand(node, life, Hand::CarryOut { key, order, is_awaited: true });
        }
        let is_slow = self.targets.is_troubled() && self.random.random_bool(0.25);
        let delay_us = self.random.random_range(0..if is_slow { SLOW_MAX_US } else { TARGET_MAX_US });
        let hand = Hand::CarryOut { key, order, is_awaited: !is_slow };
        self.queue.push(self.now_us + delay_us, Event::Hand { node, life, hand });
        if is_slow {
            self.coverage.count(report::SLOW_CALL);
            let unknown = Err(ProviderError::Unknown("simulated: no answer in time".to_owned()));
            let input = Box::new(Input::CarriedOut { key, effect: unknown });
            self.queue.push(self.now_us + CALL_TIMEOUT_US, Event::Answer { node, life, input });
        }
    }

    fn answer(&mut self, node: NodeIndex, life: u64, input: Input) {
        let delay_us = self.random.random_range(0..TARGET_MAX_US);
        self.queue.push(self.now_us + delay_us, Event::Answer { node, life, input: Box::new(input) });
    }

    fn target_of(&self, node: NodeIndex, key: JudgeKey) -> Option<TargetId> {
        let site = self.nodes[node].site.as_ref()?;
        let proposal = site.view.state.proposal(key.proposal)?;
        Some(proposal.plan.steps.get(usize::from(key.step))?.target.clone())
    }

    fn schedule_wake(&mut self, node: NodeIndex, life: u64) {
        let wall = self.nodes[node].now(self.now_us).wall;
        let Some(site) = &mut self.nodes[node].site else { return };
        let Some(at) = site.wake_at() else { return };
        let at_us = self.now_us + at.since(wall).get().max(1) * 1_000;
        if site.wakes_at_us.is_none_or(|before| before <= self.now_us || before > at_us) {
            site.wakes_at_us = Some(at_us);
            self.queue.push(at_us, Event::Wake { node, life });
        }
    }

    /// A node's own actors cannot go on: its disk has stopped, or something is broken.
    pub(super) fn site_failed(&mut self, node: NodeIndex, error: &SiteError) -> Result<(), Violation> {
        if is_simulated(error) {
            return self.fall(node);
        }
        Err(Violation::Stopped { node, reason: with_causes(error) })
    }

    /// The view that a node's actors have.
    pub(super) fn show(&mut self, node: NodeIndex) {
        let view = self.nodes[node].view();
        if let (Some(view), Some(site)) = (view, &mut self.nodes[node].site) {
            // It may be further than the block that it tells of, and stop before it tells of the others.
            if self.checker.is_decided(&view) {
                self.clients.reached(view.state.height());
            }
            site.view = Arc::new(view);
        }
    }

    /// Whether nothing is under way at a node.
    pub(super) fn is_idle(&self, node: NodeIndex) -> bool {
        let at = &self.nodes[node];
        at.is_retired()
            || self.is_faulty(node)
            || at.site.as_ref().is_some_and(|site| {
                site.lanes.busy().next().is_none() && (!self.plan.settles || site.running() == 0)
            })
    }
}
