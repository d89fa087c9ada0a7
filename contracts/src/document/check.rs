//! Owns the bounds of a document: what is refused before any rule looks at it.

use std::collections::BTreeSet;

use crate::{
    act::{ACTS_MAX, Act},
    canonical,
    document::{
        Action, DOCUMENT_LEN_MAX, DOCUMENT_SCHEMA, HealthCheck, ProposalDocument, STAGES_MAX, STEPS_MAX,
    },
    reject::Reject,
};

/// Most instances of one service on one target.
pub const INSTANCES_MAX: u8 = 16;
/// Most requests of a health check to each instance.
pub const SAMPLES_MAX: u16 = 1_000;
/// Most proposals that one waits for.
pub const AFTER_MAX: usize = 8;
/// Most classes of data.
pub const DATA_CLASSES_MAX: usize = 16;

impl ProposalDocument {
    /// Checks every bound.
    ///
    /// # Errors
    /// Names the first field that is outside.
    pub fn check(&self) -> Result<(), Reject> {
        if self.schema != DOCUMENT_SCHEMA {
            return refuse("schema", format!("is {}, this build reads {DOCUMENT_SCHEMA}", self.schema));
        }
        if self.title.as_str().trim().is_empty() {
            return refuse("title", "is empty".to_owned());
        }
        within("after", self.after.len(), 0, AFTER_MAX)?;
        within("data_classes", self.data_classes.len(), 0, DATA_CLASSES_MAX)?;
        if let Some(health) = &self.health {
            health.check()?;
        }
        if self.acts.is_empty() {
            self.check_stages()?;
        } else {
            self.check_acts()?;
        }
        within("document", canonical::encode(self).len(), 1, DOCUMENT_LEN_MAX)
    }

    fn check_acts(&self) -> Result<(), Reject> {
        if !self.stages.is_empty() {
            let problem = "stand beside stages; one proposal changes targets, another one the rules";
            return refuse("acts", problem.to_owned());
        }
        within("acts", self.acts.len(), 1, ACTS_MAX)?;
        if let Some(index) = self.acts.iter().position(|act| matches!(act, Act::Ratify { .. })) {
            let problem = "judges an emergency; the ledger opens such a proposal itself";
            return refuse(&format!("acts[{index}]"), problem.to_owned());
        }
        let mut changed = BTreeSet::new();
        match self.acts.iter().position(|act| !changed.insert(act.subject())) {
            Some(index) => refuse(&format!("acts[{index}]"), "changes the same a second time".to_owned()),
            None => Ok(()),
        }
    }

    fn check_stages(&self) -> Result<(), Reject> {
        within("stages", self.stages.len(), 1, STAGES_MAX)?;
        let mut changed = BTreeSet::new();
        for (index, stage) in self.stages.iter().enumerate() {
            within(&format!("stages[{index}].steps"), stage.steps.len(), 1, STEPS_MAX)?;
            for (place, step) in stage.steps.iter().enumerate() {
                let field = format!("stages[{index}].steps[{place}]");
                let resource = step.action.resource();
                if !changed.insert((&step.target, resource)) {
                    return refuse(&field, format!("changes {resource} on {} a second time", step.target));
                }
                if let Action::Deploy { instances, .. } = step.action {
                    within(&format!("{field}.action.instances"), instances.into(), 1, INSTANCES_MAX.into())?;
                }
            }
        }
        within("steps", changed.len(), 1, STEPS_MAX)
    }
}

impl HealthCheck {
    fn check(&self) -> Result<(), Reject> {
        if !self.path.as_str().starts_with('/') {
            return refuse("health.path", format!("is `{}`; it starts with `/`", self.path));
        }
        within("health.samples", self.samples.into(), 1, SAMPLES_MAX.into())
    }
}

fn within(field: &str, found: usize, min: usize, max: usize) -> Result<(), Reject> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    refuse(field, format!("has {found}; from {min} to {max} are allowed"))
}

fn refuse(field: &str, problem: String) -> Result<(), Reject> {
    Err(Reject::Document { field: field.to_owned(), problem })
}
