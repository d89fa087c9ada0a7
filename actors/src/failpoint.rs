//! Owns failpoints: places with a name before and after each step that lasts or leaves the process, where a test has the
//! process killed or the step fail. Refuses to be anything in a build without the feature `failpoints`: every call is
//! empty then. Which there are, `chaos/src/failpoint.rs` lists.

use std::io;

/// Whether this build has them.
pub const ARE_BUILT_IN: bool = cfg!(feature = "failpoints");

/// Why a failpoint cannot be armed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// The build has none.
    #[error("this build has no failpoints")]
    NotBuiltIn,
    /// What should happen there is nothing that can.
    #[error("`{action}` cannot happen at the failpoint {name}: {problem}")]
    Action {
        /// The point.
        name: String,
        /// As given.
        action: String,
        /// What is wrong.
        problem: String,
    },
}

/// Marks a place at which the process can be killed.
#[cfg(feature = "failpoints")]
pub fn reach(name: &str) {
    fail::fail_point!(name);
}

/// Marks a place at which the process could be killed; nothing in this build.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn reach(_name: &str) {}

/// Marks a step that can fail there, or at which the process can be killed.
///
/// # Errors
/// Only where a test asked for one.
#[cfg(feature = "failpoints")]
pub fn attempt(name: &str) -> io::Result<()> {
    fail::fail_point!(name, |_| Err(io::Error::other("a failpoint")));
    Ok(())
}

/// Marks a step that could fail there; nothing in this build.
///
/// # Errors
/// Never.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn attempt(_name: &str) -> io::Result<()> {
    Ok(())
}

/// Lets `action` happen at a point from here on: `kill`, `9*off->kill` for the tenth time that it is reached, or what the
/// crate `fail` knows, such as `panic`, `1*return` and `sleep(100)`.
///
/// # Errors
/// The build has no failpoints, or there is no such action.
pub fn arm(name: &str, action: &str) -> Result<(), ArmError> {
    armed::arm(name, action)
}

#[cfg(not(feature = "failpoints"))]
mod armed {
    use super::ArmError;

    pub(super) const fn arm(_name: &str, _action: &str) -> Result<(), ArmError> {
        Err(ArmError::NotBuiltIn)
    }
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::atomic::{AtomicU64, Ordering};

    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    use super::ArmError;

    pub(super) fn arm(name: &str, action: &str) -> Result<(), ArmError> {
        let armed = match kill_after(action) {
            Some(times) => {
                let left = AtomicU64::new(times);
                fail::cfg_callback(name, move || kill_when_used_up(&left))
            }
            None => fail::cfg(name, action),
        };
        let failed = |problem| ArmError::Action { name: name.to_owned(), action: action.to_owned(), problem };
        armed.map_err(failed)
    }

    /// How often the point is passed before it kills; `None` when it does something else.
    fn kill_after(action: &str) -> Option<u64> {
        match action.strip_suffix("kill")? {
            "" => Some(0),
            passes => passes.strip_suffix("*off->")?.parse().ok(),
        }
    }

    /// What a signal cannot end goes on: a kill of this process by itself never fails.
    fn kill_when_used_up(left: &AtomicU64) {
        let used = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if used.is_err() {
            let _killed = kill(Pid::this(), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "failpoints")]
    #[test]
    fn a_step_fails_where_it_is_told_to_and_as_often() {
        arm("test.step", "1*off->1*return").unwrap();
        let outcomes = [(); 3].map(|()| attempt("test.step").is_ok());
        assert_eq!(outcomes, [true, false, true]);
        assert!(attempt("test.another").is_ok());
    }

    #[cfg(feature = "failpoints")]
    #[test]
    fn a_kill_that_is_not_due_lets_the_process_go_on() {
        arm("test.kill", "2*off->kill").unwrap();
        reach("test.kill");
        attempt("test.kill").unwrap();
    }

    #[cfg(feature = "failpoints")]
    #[test]
    fn an_action_that_does_not_exist_is_refused() {
        for action in ["explode", "x*off->kill", "-1*off->kill"] {
            assert!(matches!(arm("test.odd", action), Err(ArmError::Action { .. })), "{action}");
        }
    }

    #[cfg(not(feature = "failpoints"))]
    #[test]
    fn a_build_without_failpoints_arms_none() {
        assert_eq!(arm("test.step", "kill"), Err(ArmError::NotBuiltIn));
    }
}
