//! G14: a snapshot decodes to the state that it was made of, so that snapshot and tail are the replay.

use crate::{
    invariant::{Broken, View, ensure},
    state::State,
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    let bytes = view.after.encode_snapshot();
    let mut decoded = State::decode_snapshot(&bytes)
        .map_err(|error| Broken { proposal: None, message: format!("the snapshot is refused: {error}") })?;
    ensure(decoded.root() == view.header.state_root, || "the snapshot has another root".to_owned())?;
    ensure(decoded.next_deadline() == view.after.next_deadline(), || {
        "the snapshot has other deadlines".to_owned()
    })?;
    ensure(decoded.encode_snapshot() == bytes, || "the snapshot does not repeat itself".to_owned())
}
