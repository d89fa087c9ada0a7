//! Owns arming the failpoints of a daemon from its environment, for whoever breaks it. Refuses names that no place has, and
//! to start as if nothing had been asked for in a build that has no failpoints.

use althing_actors::{causes::with_causes, failpoint};
use althing_chaos::failpoint::{VARIABLE, named};
use tracing::warn;

use crate::cli::failure::{Exit, Failure, Outcome};

/// Arms what [`VARIABLE`] names; does nothing when it is not set.
pub(in crate::cli) fn arm() -> Outcome {
    std::env::var(VARIABLE).map_or(Ok(()), |points| arm_all(&points))
}

fn arm_all(points: &str) -> Outcome {
    for point in points.split(';').map(str::trim).filter(|point| !point.is_empty()) {
        let malformed = || refused(format!("`{point}` in {VARIABLE} is not NAME=ACTION"));
        let (name, action) = point.split_once('=').ok_or_else(malformed)?;
        if named(name).is_none() {
            return Err(refused(format!("there is no failpoint `{name}`")));
        }
        failpoint::arm(name, action).map_err(|error| refused(with_causes(&error)))?;
        warn!(name, action, "failpoint armed");
    }
    Ok(())
}

fn refused(text: String) -> Failure {
    let help = format!("unset {VARIABLE}; docs/chaos.md says how to build and arm failpoints");
    Failure::with_help(Exit::Usage, text, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(points: &str) -> String {
        arm_all(points).err().and_then(|failure| Some(failure.report?.to_string())).unwrap_or_default()
    }

    #[test]
    fn what_no_place_has_is_refused() {
        assert_eq!(said("daemon.stop.mesh=1*off; "), "");
        assert_eq!(said("no.such.place=kill"), "there is no failpoint `no.such.place`");
        assert_eq!(said("daemon.stop"), format!("`daemon.stop` in {VARIABLE} is not NAME=ACTION"));
        assert!(
            said("daemon.stop=explode").starts_with("`explode` cannot happen at the failpoint daemon.stop")
        );
    }
}
