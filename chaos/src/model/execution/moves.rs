//! Owns what each move makes of a scene.

use std::sync::Arc;

use althing_contracts::{role::Role, stage::Stage, testing::line, transaction::Call};

use super::{Carrying, FIRST, GUARDIAN, JUDGE, Late, Move, SECOND, Scene};

impl Carrying {
    pub(super) fn make(&self, scene: &Scene, action: Move) -> Option<Scene> {
        let id = self.id;
        match action {
            Move::Look(by) => {
                let mut next = scene.clone();
                Arc::make_mut(&mut next.runners[by]).look(scene.now, &scene.ledger.state);
                (next != *scene).then_some(next)
            }
            Move::Answer(by, place) => self.answer(scene, by, place, true),
            Move::Fail(by, place) => Self::fail(scene, by, place),
            Move::Lose(by, place) => {
                let mut next = self.answer(scene, by, place, false)?;
                next.left.losses = next.left.losses.checked_sub(1)?;
                Some(next)
            }
            Move::TimeOut(by, place) => Self::time_out(scene, by, place),
            Move::Arrive(place) => {
                let mut next = scene.clone();
                let Late { order, undo } = next.late.remove(place);
                let _unseen = next.carry_out(id, &order, undo);
                Some(next)
            }
            Move::Crash(by) => Self::crash(scene, by),
            Move::Judge(is_healthy) => {
                let mut next = self.judge(scene, JUDGE, is_healthy)?;
                if !is_healthy {
                    next.left.failures = next.left.failures.checked_sub(1)?;
                }
                Some(next)
            }
            Move::Veto => {
                self.act(scene, GUARDIAN, Role::Guardian, Call::Veto { proposal: id, reason: line("no") })
            }
            Move::Abort => {
                let mut next =
                    self.act(scene, FIRST, Role::Executor, Call::Abort { proposal: id, reason: line("no") })?;
                next.left.failures = next.left.failures.checked_sub(1)?;
                Some(next)
            }
            Move::LieClaim => self.lie(scene, Call::Claim { proposal: id, step: 0 }),
            Move::LieReceipt(done) => self.lie_receipt(scene, done),
            Move::LieHealth(is_healthy) => {
                let mut next = self.judge(scene, SECOND, is_healthy)?;
                next.left.lies = next.left.lies.checked_sub(1)?;
                Some(next)
            }
            Move::Pass => self.pass(scene),
        }
    }
}

impl Carrying {
    pub(super) fn ended(&self, scene: &Scene, stage: Stage) -> bool {
        scene.ledger.proposal(self.id).ended.is_some_and(|ended| ended.stage == stage)
    }
}
