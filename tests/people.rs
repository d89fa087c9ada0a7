//! The API over real sockets and the command line against it, on a ledger of known keys and on real daemons.

#[path = "people/acts.rs"]
mod acts;
#[path = "people/api.rs"]
mod api;
#[path = "people/assess.rs"]
mod assess;
#[path = "people/calendar.rs"]
mod calendar;
#[path = "people/cli.rs"]
mod cli;
#[path = "people/delegate.rs"]
mod delegate;
#[path = "people/emergency.rs"]
mod emergency;
#[path = "people/examples.rs"]
mod examples;
#[path = "people/height.rs"]
mod height;
#[path = "people/join.rs"]
mod join;
#[path = "people/keys.rs"]
mod keys;
#[path = "people/mesh.rs"]
mod mesh;
#[path = "people/nodes.rs"]
mod nodes;
#[path = "people/parties.rs"]
mod parties;
#[path = "people/policy.rs"]
mod policy;
#[path = "people/rehearsal.rs"]
mod rehearsal;
#[path = "people/rendering.rs"]
mod rendering;
#[path = "people/several.rs"]
mod several;
