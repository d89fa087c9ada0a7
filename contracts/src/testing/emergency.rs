//! Owns what guardians of a world do in an emergency.

use crate::{
    emergency::{Declaration, EmergencyId, Measure},
    quantity::DurationMs,
    reject::Reject,
    role::Role,
    state::Applied,
    testing::{World, line},
    transaction::Call,
};

impl World {
    /// Declares an emergency of these measures for an hour.
    ///
    /// # Errors
    /// The rules refuse it.
    pub fn declare(&mut self, guardian: &str, measures: &[Measure]) -> Result<EmergencyId, Reject> {
        let declaration = self.declaration(measures);
        let id = EmergencyId::of(self.network(), &declaration);
        self.call(guardian, Role::Guardian, Call::DeclareEmergency { declaration }).map(|_| id)
    }

    /// What guardians may sign: these measures for an hour.
    #[must_use]
    pub fn declaration(&self, measures: &[Measure]) -> Declaration {
        let expires = self.state.time().after(DurationMs::from_hours(1));
        Declaration { measures: measures.to_vec(), reason: line("the site is on fire"), expires }
    }

    /// Signs an emergency.
    ///
    /// # Errors
    /// The rules refuse it.
    pub fn sign_emergency(&mut self, guardian: &str, emergency: EmergencyId) -> Result<Applied, Reject> {
        self.call(guardian, Role::Guardian, Call::SignEmergency { emergency })
    }
}
