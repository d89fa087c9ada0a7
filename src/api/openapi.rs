//! Owns the `OpenAPI` 3.1 description of the API; `docs/openapi.json` is its committed form.

use utoipa::{
    Modify, OpenApi, ToSchema as _,
    openapi::{
        self, Content, Header, Object, Ref, RefOr, Required, Response, ResponseBuilder, Schema, Type,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
    },
};

use super::{
    height::{MIN_HEIGHTS_MAX, WAIT_MAX},
    idempotency::KEY_LEN_MAX,
    problem::{PROBLEM_MEDIA_TYPE, Problem},
    route::{
        acts, audit, calendar, delegations, emergencies, events, executions, keys, proposals, registry,
        trials, wait,
    },
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Althing",
        description = "The API of one node: proposals, votes, executions and the ledger that proves them. Errors \
                       are RFC 9457 problem details; every POST needs an Idempotency-Key. Every answer names the \
                       height that it shows; sent back as Althing-Min-Height, also to another node of the mesh, it \
                       makes the next answer include that block."
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
        acts::revise,
        acts::review,
        acts::vote,
        acts::vote_batch,
        acts::cancel,
        acts::cosign,
        acts::veto,
        delegations::list,
        delegations::delegate,
        delegations::revoke,
        keys::recoveries,
        keys::replace,
        keys::recover,
        keys::stop,
        acts::abort,
        acts::resume,
        emergencies::list,
        emergencies::show,
        emergencies::declare,
        emergencies::sign,
        emergencies::end,
        executions::list,
        executions::show,
        calendar::list,
        calendar::file,
        registry::constitution,
        trials::rehearse,
        trials::backtest,
        registry::targets,
        registry::members,
        registry::organisations,
        registry::peers,
        registry::node,
        events::tail,
        audit::head,
        audit::export,
    ),
    components(schemas(Problem)),
    modifiers(&EveryRoute)
)]
struct Description;

/// What all routes have in common: the proposal that a path names, the headers, the form of errors.
struct EveryRoute;

impl Modify for EveryRoute {
    fn modify(&self, api: &mut openapi::OpenApi) {
        for (path, item) in &mut api.paths.paths {
            let PathItem { get, post, .. } = item;
            for operation in get.iter_mut().chain(post.iter_mut()) {
                if path.contains("{id}") {
                    take(operation, ParameterIn::Path, "id", true, "the proposal's id, or its first digits");
                }
                take(operation, ParameterIn::Header, "Althing-Min-Height", false, &min_height());
                answer(operation);
            }
            if let Some(operation) = post {
                let key = format!("a new value of up to {KEY_LEN_MAX} characters for each new request");
                take(operation, ParameterIn::Header, "Idempotency-Key", true, &key);
            }
        }
    }
}

fn min_height() -> String {
    format!(
        "the height that the node must have before it answers, such as 120, or up to {MIN_HEIGHTS_MAX} of them with \
         their networks (RFC 9651 list), such as 120;network=\"1bd8…\"; entries of other networks do not count. The \
         node waits up to {} s, then answers 503 with the code `behind`",
        WAIT_MAX.as_secs()
    )
}

fn take(operation: &mut Operation, place: ParameterIn, name: &str, required: bool, description: &str) {
    let parameter: Parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(if required { Required::True } else { Required::False })
        .description(Some(description))
        .schema(Some(Object::with_type(Type::String)))
        .build();
    operation.parameters.get_or_insert_default().push(parameter.into());
}

/// Adds the errors that every route has, and the headers of every answer.
fn answer(operation: &mut Operation) {
    let problem = || Content::new(Some(RefOr::<Schema>::Ref(Ref::from_schema_name(Problem::name()))));
    for (status, description) in [
        ("4XX", "the request is refused"),
        ("503", "the node cannot answer as asked at the moment, for example with the code `behind`"),
    ] {
        let response = ResponseBuilder::new().description(description).content(PROBLEM_MEDIA_TYPE, problem());
        operation.responses.responses.insert(status.to_owned(), response.build().into());
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            name_height(response);
        }
    }
}

fn name_height(response: &mut Response) {
    let headers = [
        ("Althing-Height", Type::Integer, "height of the block that the answer shows"),
        ("Althing-Network", Type::String, "the network's identity, the digest of its genesis"),
    ];
    for (name, kind, description) in headers {
        let mut header = Header::new(Object::with_type(kind));
        header.description = Some(description.to_owned());
        response.headers.insert(name.to_owned(), header.into());
    }
}

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
    use althing_contracts::testing::{UPDATE, committed};

    use super::*;

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");

    #[test]
    fn the_committed_description_is_the_apis() {
        let made = json();
        assert!(
            committed(COMMITTED, || made.trim_end().to_owned()).unwrap() == made.trim_end(),
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
