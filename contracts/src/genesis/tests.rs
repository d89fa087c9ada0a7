//! What a genesis document is refused for.

use crate::{
    constitution::Scheme,
    genesis::{Genesis, GenesisError},
    name::OrgId,
    quantity::Weight,
    role::Role,
    state::State,
    testing::{genesis, line, member, name, record, target},
};

fn refusal(change: impl FnOnce(&mut Genesis)) -> String {
    let mut genesis = genesis(4);
    State::genesis(&genesis).unwrap();
    change(&mut genesis);
    let error: GenesisError = State::genesis(&genesis).unwrap_err();
    match &error {
        GenesisError::Constitution(source) => source.to_string(),
        other => other.to_string(),
    }
}

#[test]
fn a_sound_genesis_starts_and_survives_its_text_forms() {
    let genesis = genesis(4);
    let state = State::genesis(&genesis).unwrap();
    assert_eq!(state.network(), genesis.network());
    let toml = toml::to_string(&genesis).unwrap();
    assert_eq!(toml::from_str::<Genesis>(&toml).unwrap(), genesis);
    let json = serde_json::to_string(&genesis).unwrap();
    assert_eq!(serde_json::from_str::<Genesis>(&json).unwrap(), genesis);
}

#[test]
fn another_version_of_the_form_is_refused() {
    let found = refusal(|genesis| genesis.schema = 1);
    assert_eq!(found, "genesis schema 1 is not known, this build reads 3");
}

#[test]
fn references_to_nothing_are_refused() {
    let found = refusal(|genesis| {
        genesis.members.insert(member("echo/author"), record(&member("echo/author"), 1, &[Role::Author]));
    });
    assert_eq!(found, "member echo/author names echo, which the mesh does not have");
    let found = refusal(|genesis| {
        genesis.targets.get_mut(&target("acme-north")).unwrap().owner = OrgId::new("echo").unwrap();
    });
    assert_eq!(found, "target acme-north names echo, which the mesh does not have");
    let found = refusal(|genesis| {
        let executors = &mut genesis.targets.get_mut(&target("acme-north")).unwrap().executors;
        executors.insert(member("birch/executor"));
    });
    assert!(found.contains("executor birch/executor of acme"), "{found}");
    let found = refusal(|genesis| {
        genesis.targets.get_mut(&target("acme-north")).unwrap().executors.clear();
    });
    assert_eq!(found, "0 executors of a target are given; from 1 to 10000 are allowed");
}

#[test]
fn a_key_serves_one_role_of_one_party() {
    let found = refusal(|genesis| {
        let author = genesis.members.get_mut(&member("acme/author")).unwrap();
        let key = author.keys[&Role::Author];
        author.keys.insert(Role::Voter, key);
    });
    assert_eq!(found, "author acme/author and voter acme/author share one key; every role needs its own");
}

#[test]
fn executors_do_not_vote_and_auditors_do_nothing_else() {
    let found = refusal(|genesis| {
        let id = member("acme/both");
        genesis.members.insert(id.clone(), record(&id, 1, &[Role::Voter, Role::Executor]));
    });
    assert!(found.starts_with("acme/both holds voter and executor"), "{found}");
    let found = refusal(|genesis| {
        let id = member("acme/both");
        genesis.members.insert(id.clone(), record(&id, 1, &[Role::Auditor, Role::Author]));
    });
    assert!(found.starts_with("acme/both holds auditor and author"), "{found}");
}

#[test]
fn weights_are_from_one_to_their_bound() {
    let found = refusal(|genesis| {
        genesis.organisations.get_mut("acme").unwrap().weight = Weight::ZERO;
    });
    assert_eq!(found, "organisation acme has weight 0; it must be from 1 to 1000000000");
    let found = refusal(|genesis| {
        genesis.members.get_mut(&member("acme/author")).unwrap().weight = Weight::MAX;
    });
    assert!(found.starts_with("member acme/author has weight 18446744073709551615"), "{found}");
}

#[test]
fn a29_a_mesh_whose_votes_can_never_pass_is_refused() {
    let found = refusal(|genesis| {
        genesis.members.get_mut(&member("acme/author")).unwrap().weight = Weight::new(1_000_000);
    });
    assert_eq!(found, "tracks.standard.scheme.turnout asks for more than 100 % and can never be reached");
    let found = refusal(|genesis| {
        for org in ["birch", "cedar", "delta"] {
            let reviewer = genesis.members.get_mut(&member(&format!("{org}/author"))).unwrap();
            reviewer.keys.remove(&Role::Reviewer);
        }
    });
    assert!(found.contains("1 organisations with a reviewer besides acme"), "{found}");
}

#[test]
fn a_mesh_that_can_never_end_an_audit_is_refused() {
    let found = refusal(|genesis| {
        genesis.constitution.tracks.get_mut(&crate::constitution::Track::Standard).unwrap().attestations = 2;
    });
    assert!(found.contains("tracks.standard.attestations"), "{found}");
    assert!(found.contains("2 members with the role auditor"), "{found}");
}

#[test]
fn too_many_of_anything_is_refused() {
    let found = refusal(|genesis| {
        let target = genesis.targets.get_mut(&target("acme-north")).unwrap();
        target.endpoints = vec![line("http://127.0.0.1:1"); 17];
    });
    assert_eq!(found, "17 endpoints of a target are given; from 0 to 16 are allowed");
    let found = refusal(|genesis| genesis.organisations.clear());
    assert_eq!(found, "0 organisations are given; from 1 to 100 are allowed");
}

#[test]
fn the_name_of_a_mesh_is_part_of_its_identity() {
    let mut other = genesis(4);
    other.name = name("other");
    assert_ne!(other.network(), genesis(4).network());
}

#[test]
fn a_mesh_without_enough_guardians_besides_any_author_is_refused() {
    let found = refusal(|genesis| {
        for org in ["cedar", "delta"] {
            genesis.members.remove(&member(&format!("{org}/guardian")));
        }
    });
    assert!(found.starts_with("tracks.high.cosign needs 2 guardians of 2 organisations besides "), "{found}");
    let found = refusal(|genesis| {
        for org in ["cedar", "delta"] {
            genesis.members.remove(&member(&format!("{org}/guardian")));
            let second = member(&format!("birch/{org}"));
            genesis.members.insert(second.clone(), record(&second, 0, &[Role::Guardian]));
        }
    });
    assert!(found.contains("besides acme"), "two more of one organisation: {found}");
}

#[test]
fn the_standard_track_counts_a_majority() {
    let found = refusal(|genesis| {
        let tracks = &mut genesis.constitution.tracks;
        let optimistic = tracks[&crate::constitution::Track::Routine].scheme.clone();
        assert!(matches!(optimistic, Scheme::Optimistic { .. }));
        tracks.get_mut(&crate::constitution::Track::Standard).unwrap().scheme = optimistic;
    });
    assert_eq!(
        found,
        "tracks.standard.scheme is optimistic; every track but the routine one must count a majority"
    );
}
