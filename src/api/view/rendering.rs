//! Owns the check that what a node shows of a proposal is what its plan hash names. Whoever is about to sign derives the hash
//! from the very content that was shown: a node, or whoever stands between, that shows something else is found before that.

use althing_contracts::{
    act::PlannedAct,
    digest::Digest,
    name::{OrgId, TargetId},
    plan::{Plan, PlannedStep},
};

use super::{
    plan::{PlanView, PlannedActView, PlannedStepView},
    proposal::ProposalView,
};

/// What is shown is not what the plan hash names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misrendered {
    /// A field that should name something does not.
    #[error("the node shows {found:?} as the {field}, which names nothing")]
    Unreadable {
        /// Which field.
        field: &'static str,
        /// As shown.
        found: String,
    },
    /// The content is another.
    #[error("the node names the {what} {named} and shows one whose digest is {derived}")]
    Differs {
        /// Which part.
        what: &'static str,
        /// As named.
        named: Digest,
        /// Of what is shown.
        derived: Digest,
    },
    /// A part of the page shows something else than the content.
    #[error("the node shows a {what} that is not the content's")]
    Dressed {
        /// Which part.
        what: &'static str,
    },
}

impl ProposalView {
    /// The plan hash of what is shown: of the document, of every step with what it finds and what undoes it, and of what every act
    /// replaces.
    ///
    /// # Errors
    /// The node names another one, or shows the same thing differently in two places.
    pub fn rendered_plan_hash(&self) -> Result<Digest, Misrendered> {
        let named = digest("document", &self.plan.document)?;
        same("document", named, self.document.digest())?;
        let derived = rebuilt(&self.plan, named)?.hash();
        for named in [&self.plan.plan_hash, &self.summary.plan_hash] {
            same("plan", digest("plan hash", named)?, derived)?;
        }
        let dressed = |what| Err(Misrendered::Dressed { what });
        if self.summary.title != self.document.title.as_str() {
            return dressed("title");
        }
        if self.document.acts.len() != self.plan.acts.len() {
            return dressed("number of acts");
        }
        let acts = self.document.acts.iter().zip(&self.plan.acts);
        if acts.into_iter().any(|(act, shown)| act.subject().to_string() != shown.subject) {
            return dressed("subject of an act");
        }
        let planned: Vec<_> = self.plan.steps.iter().map(what_is_done).collect();
        let asked = self.document.steps().map(|(stage, step)| (stage, step.target.as_str(), &step.action));
        let shown = planned.iter().map(|(stage, target, _, action)| (usize::from(*stage), *target, *action));
        if !asked.eq(shown) {
            return dressed("step");
        }
        let executed = self.execution.steps.iter();
        let executed: Vec<_> = executed
            .map(|step| (step.stage, step.target.as_str(), step.owner.as_str(), &step.action))
            .collect();
        if executed != planned {
            return dressed("step of the execution");
        }
        Ok(derived)
    }
}

fn what_is_done(step: &PlannedStepView) -> (u8, &str, &str, &althing_contracts::document::Action) {
    (step.stage, &step.target, &step.owner, &step.after)
}

fn rebuilt(plan: &PlanView, document: Digest) -> Result<Plan, Misrendered> {
    let steps = plan.steps.iter().map(|step| {
        Ok(PlannedStep {
            stage: step.stage,
            target: TargetId::new(&step.target).map_err(|_| unreadable("target", &step.target))?,
            owner: OrgId::new(&step.owner).map_err(|_| unreadable("owner", &step.owner))?,
            action: step.after.clone(),
            before: step.before.clone(),
            undo: step.undo.clone(),
        })
    });
    let act = |act: &PlannedActView| Ok(PlannedAct { replaces: digest("replaced part", &act.replaces)? });
    let acts = plan.acts.iter().map(act).collect::<Result<_, _>>()?;
    Ok(Plan { document, steps: steps.collect::<Result<_, _>>()?, acts })
}

fn digest(field: &'static str, text: &str) -> Result<Digest, Misrendered> {
    text.parse().map_err(|_| unreadable(field, text))
}

fn unreadable(field: &'static str, found: &str) -> Misrendered {
    Misrendered::Unreadable { field, found: found.to_owned() }
}

fn same(what: &'static str, named: Digest, derived: Digest) -> Result<(), Misrendered> {
    if named == derived { Ok(()) } else { Err(Misrendered::Differs { what, named, derived }) }
}

#[cfg(test)]
mod tests {
    use althing_contracts::{
        act::Act,
        document::{Action, ProposalDocument},
        testing::{World, acts, deploy, member, name},
    };

    use super::*;

    /// What somebody between a node and a voter may do to a page.
    type Alteration<'a> = &'a dyn Fn(&mut ProposalView);

    fn shown(document: ProposalDocument) -> ProposalView {
        let mut world = World::new(4);
        world.pass(althing_contracts::quantity::DurationMs::new(1));
        let id = world.submit("acme/author", document).unwrap();
        ProposalView::new(&world.state, world.state.proposal(id).unwrap())
    }

    fn rolled() -> ProposalView {
        shown(deploy("2", &[&["acme-north"], &["birch-north"]]))
    }

    fn other() -> Action {
        Action::Remove { resource: name("web") }
    }

    #[test]
    fn what_an_honest_node_shows_has_the_hash_that_the_ledger_has() {
        let leave = acts(vec![Act::RemoveMember { member: member("delta/guardian") }]);
        for view in [rolled(), shown(leave)] {
            let sent: ProposalView = serde_json::from_str(&serde_json::to_string(&view).unwrap()).unwrap();
            assert_eq!(sent.rendered_plan_hash().map(|hash| hash.to_string()), Ok(view.summary.plan_hash));
        }
    }

    #[test]
    fn a22_whatever_is_altered_of_what_is_shown_is_found() {
        let evil = deploy("evil", &[&["acme-north"], &["birch-north"]]);
        let alterations: [(&str, Alteration<'_>); 12] = [
            ("document", &|view| view.document = evil.clone()),
            ("document and its digest", &|view| {
                view.document = evil.clone();
                view.plan.document = evil.digest().to_string();
            }),
            ("action", &|view| view.plan.steps[1].after = other()),
            ("undo", &|view| view.plan.steps[0].undo = view.plan.steps[0].after.clone()),
            ("what it finds", &|view| view.plan.steps[0].before = Some(other())),
            ("target", &|view| view.plan.steps[0].target = "delta-north".to_owned()),
            ("owner", &|view| view.plan.steps[0].owner = "delta".to_owned()),
            ("a step less", &|view| drop(view.plan.steps.pop())),
            ("action of the execution", &|view| view.execution.steps[0].action = other()),
            ("title", &|view| view.summary.title = "nothing to see".to_owned()),
            ("hash", &|view| view.summary.plan_hash = Digest::of_artefact(b"evil").to_string()),
            ("hash that is none", &|view| view.plan.plan_hash = "0x12".to_owned()),
        ];
        for (what, alter) in alterations {
            let mut view = rolled();
            alter(&mut view);
            assert!(view.rendered_plan_hash().is_err(), "another {what}");
        }
        let mut view = shown(acts(vec![Act::RemoveMember { member: member("delta/guardian") }]));
        view.plan.acts[0].subject = "member delta/nobody".to_owned();
        assert_eq!(view.rendered_plan_hash(), Err(Misrendered::Dressed { what: "subject of an act" }));
    }

    #[test]
    fn a22_a_consistent_lie_has_another_hash_than_the_ledger() {
        let mut world = World::new(4);
        world.pass(althing_contracts::quantity::DurationMs::new(1));
        let honest = rolled();
        let evil = shown(deploy("evil", &[&["acme-north"], &["birch-north"]]));
        let mut lie = evil.clone();
        lie.summary.id.clone_from(&honest.summary.id);
        let derived = lie.rendered_plan_hash().unwrap();
        assert_ne!(derived.to_string(), honest.summary.plan_hash, "a signer with its own ledger refuses it");
    }
}
