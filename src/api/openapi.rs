//! Owns the `OpenAPI` 3.1 description of the API; `docs/openapi.json` is its committed form.

use utoipa::OpenApi;

use super::{
    problem::Problem,
    route::{acts, audit, events, executions, proposals, registry, wait},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Althing",
        description = "The API of one node: proposals, votes, executions and the ledger that proves them. Errors \
                       are RFC 9457 problem details; every POST needs an Idempotency-Key."
    ),
    paths(
        proposals::list,
        proposals::show,
        proposals::plan,
        proposals::plan_of,
        proposals::votes,
        proposals::explain,
        proposals::timeline,
        wait::wait,
        acts::submit,
        acts::review,
        acts::vote,
        acts::cancel,
        acts::veto,
        acts::abort,
        acts::resume,
        executions::list,
        executions::show,
        registry::targets,
        registry::members,
        registry::peers,
        registry::node,
        events::tail,
        audit::head,
        audit::export,
    ),
    components(schemas(Problem))
)]
struct Description;

/// The description as JSON, indented, with a final line break.
///
/// # Panics
/// Never: the description has only string keys.
pub fn json() -> String {
    let mut text = Description::openapi().to_pretty_json().expect("the description has only string keys");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    const UPDATE: &str = "ALTHING_UPDATE_OPENAPI";

    #[test]
    fn the_committed_description_is_the_apis() {
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(COMMITTED, json()).unwrap();
        }
        let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
        assert!(
            committed == json(),
            "docs/openapi.json is not what the API is; run `{UPDATE}=1 cargo nextest run -p althing \
             the_committed_description_is_the_apis`, look at the difference and commit it"
        );
    }

    #[test]
    fn the_description_is_openapi_3_1() {
        let value: serde_json::Value = serde_json::from_str(&json()).unwrap();
        assert_eq!(value["openapi"], "3.1.0");
    }
}
