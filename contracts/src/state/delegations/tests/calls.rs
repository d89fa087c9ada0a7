//! The calls: what may be lent to whom and for how long, what is refused, and what is a repeat.

use super::*;

#[test]
fn what_was_said_before_is_the_same_and_what_was_never_lent_cannot_be_taken_back() {
    let mut world = world();
    let expires = world.state.time().after(MONTH);
    let call = Call::Delegate { track: None, to: member("acme/bob"), expires };
    let sent = world.sign("acme/ann", Role::Voter, call.clone());
    let apply = |world: &mut World, sent: &crate::transaction::Transaction| {
        let verified = world.verify(sent);
        world.state.apply(crate::state::Input::Transaction(&verified))
    };
    let Ok(Applied::New(events)) = apply(&mut world, &sent) else { panic!() };
    assert_eq!(events.len(), Track::ALL.len(), "one a track");
    assert_eq!(apply(&mut world, &sent), Ok(Applied::Same));
    assert_eq!(world.call("acme/ann", Role::Voter, call), Ok(Applied::Same));
    let back = world.sign("acme/ann", Role::Voter, Call::Revoke { track: None });
    assert!(matches!(apply(&mut world, &back), Ok(Applied::New(_))));
    assert_eq!(apply(&mut world, &back), Ok(Applied::Same));
    assert_eq!(apply(&mut world, &sent).unwrap_err().code(), "sequence", "a replay lends nothing again");
    assert_eq!(why(revoke(&mut world, "acme/ann", None)), "nobody speaks for the sender there");
    let called = world.call("acme/ann", Role::Author, Call::Revoke { track: None });
    assert_eq!(called.unwrap_err().code(), "not-in-role");
}

#[test]
fn loops_are_refused_when_they_are_asked_for() {
    let mut world = world();
    let of = |to: &str| format!("on the high track {to} lets the sender speak for it, or is the sender");
    let high = Some(Track::High);
    assert_eq!(why(lend_on(&mut world, high, "acme/ann", "acme/ann")), of("acme/ann"));
    lend_on(&mut world, high, "acme/ann", "acme/bob").unwrap();
    assert_eq!(why(lend_on(&mut world, high, "acme/bob", "acme/ann")), of("acme/ann"), "before it is heard");
    lend_on(&mut world, high, "acme/bob", "birch/cid").unwrap();
    assert_eq!(why(lend_on(&mut world, high, "birch/cid", "acme/ann")), of("acme/ann"));
    lend_on(&mut world, Some(Track::Standard), "acme/bob", "acme/ann").unwrap();
    assert_eq!(
        why(lend(&mut world, "birch/cid", "acme/ann")),
        of("acme/ann"),
        "on every track means on none when one refuses"
    );
    assert!(world.state.member(&member("birch/cid")).unwrap().delegations.is_empty());
}

#[test]
fn a_chain_has_two_delegates_at_most_from_whichever_end_it_grows() {
    let deep = |delegates: usize| {
        format!(
            "on the routine track a voice would pass through {delegates} delegates; it may pass through 2"
        )
    };
    let mut world = world();
    lend(&mut world, "acme/ann", "acme/bob").unwrap();
    lend(&mut world, "acme/bob", "birch/cid").unwrap();
    assert_eq!(why(lend(&mut world, "birch/cid", "birch/dan")), deep(3), "at its end");
    assert_eq!(why(lend(&mut world, "delta/author", "acme/ann")), deep(3), "at its beginning");
    lend(&mut world, "cedar/author", "delta/author").unwrap();
    assert_eq!(why(lend(&mut world, "delta/author", "acme/bob")), deep(3), "where two meet");
    lend(&mut world, "delta/author", "birch/cid").unwrap();
    lend(&mut world, "acme/ann", "birch/dan").unwrap();
    assert_eq!(why(lend(&mut world, "birch/cid", "birch/dan")), deep(3), "cedar still speaks through two");
    revoke(&mut world, "cedar/author", None).unwrap();
    assert!(lend(&mut world, "birch/cid", "birch/dan").is_ok(), "nobody is behind delta or bob any more");
}

#[test]
fn a_voice_whose_term_is_over_stands_in_nobodys_way() {
    let mut world = world();
    lend(&mut world, "acme/ann", "acme/bob").unwrap();
    world.pass(MONTH);
    lend(&mut world, "acme/bob", "acme/ann").unwrap();
}

#[test]
fn a_renewal_goes_on_without_a_gap_and_another_delegate_waits_again() {
    let mut world = lent(&[("acme/ann", "acme/bob")]);
    let began = world.state.member(&member("acme/ann")).unwrap().delegations[&Track::High].from;
    assert_eq!(began, world.state.time());
    world.pass(DAY);
    lend(&mut world, "acme/ann", "acme/bob").unwrap();
    assert_eq!(world.state.member(&member("acme/ann")).unwrap().delegations[&Track::High].from, began);
    world.pass(DurationMs::new(1));
    let id = open(&mut world, "1");
    assert_eq!(voice(&world, id, "acme/bob"), 80);
    lend(&mut world, "acme/ann", "birch/cid").unwrap();
    world.pass(DurationMs::new(1));
    let id = open(&mut world, "2");
    assert_eq!((voice(&world, id, "acme/bob"), voice(&world, id, "birch/cid")), (40, 40));
    world.pass(MONTH);
    lend(&mut world, "acme/ann", "birch/cid").unwrap();
    world.pass(DurationMs::new(1));
    let id = open(&mut world, "3");
    assert_eq!(voice(&world, id, "birch/cid"), 40, "what is over is not renewed");
}

#[test]
fn a_term_is_longer_than_the_delay_and_no_longer_than_the_longest() {
    let mut world = world();
    let (now, rules) = (world.state.time(), world.state.constitution().delegation);
    let mut until = |expires: TimeMs| {
        world.call("acme/ann", Role::Voter, Call::Delegate { track: None, to: member("acme/bob"), expires })
    };
    let (soonest, latest) = (now.after(rules.activation), now.after(rules.term_max));
    let refusal = format!("it has to end after {soonest}, when it begins, and not after {latest}");
    assert_eq!(why(until(soonest)), refusal);
    assert_eq!(why(until(latest.after(DurationMs::new(1)))), refusal);
    assert!(until(soonest.after(DurationMs::new(1))).is_ok());
    assert!(until(latest).is_ok());
}

#[test]
fn only_a_voter_speaks_for_another() {
    let mut world = world();
    assert_eq!(why(lend(&mut world, "acme/ann", "acme/executor")), "acme/executor is no voter");
    assert_eq!(why(lend(&mut world, "acme/ann", "acme/nobody")), "acme/nobody is no voter");
    let sent = world.call("acme/executor", Role::Executor, Call::Revoke { track: None });
    assert_eq!(sent.unwrap_err().code(), "wrong-role");
}
