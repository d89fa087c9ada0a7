//! Owns whether the people whom a mesh has can meet what a constitution asks for: a rule that nobody can meet locks a track
//! for ever.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    constitution::{Constitution, ConstitutionError, Cosign, Scheme, Track, TrackParameters},
    electorate::{Electorate, Shares, Voices},
    name::MemberId,
    quantity::Weight,
    role::Role,
    shared_map::SharedMap,
    signature::PublicKey,
    state::Member,
    tally,
    weighing::Tokens,
};

/// Who holds which role.
pub(crate) struct Holders<'a> {
    members: Vec<(&'a MemberId, &'a BTreeMap<Role, PublicKey>, Weight)>,
}

impl<'a> Holders<'a> {
    pub(crate) fn new(
        members: impl Iterator<Item = (&'a MemberId, &'a BTreeMap<Role, PublicKey>, Weight)>,
    ) -> Self {
        Self { members: members.collect() }
    }

    /// Those of the ledger's members.
    pub(crate) fn of(members: &'a SharedMap<MemberId, Arc<Member>>) -> Self {
        Self::new(members.iter().map(|(id, member)| (id, &member.keys, member.weight)))
    }

    fn with(&self, role: Role) -> impl Iterator<Item = &'a MemberId> {
        self.members.iter().filter(move |(_, keys, _)| keys.contains_key(&role)).map(|(member, ..)| *member)
    }

    fn organisations_with(&self, role: Role) -> BTreeSet<&'a str> {
        self.with(role).map(MemberId::org_str).collect()
    }

    /// The voters with what they are registered with.
    pub(crate) fn voters(&self) -> Tokens {
        let voters = self.members.iter().filter(|(_, keys, _)| keys.contains_key(&Role::Voter));
        voters.map(|(member, _, weight)| (MemberId::clone(member), *weight)).collect()
    }
}

impl Constitution {
    /// Checks that every track can be passed by these members, with the caps applied, whoever the author is.
    pub(crate) fn check_reach(&self, holders: &Holders<'_>) -> Result<(), ConstitutionError> {
        let shares = Shares { member: self.member_cap, delegate: self.delegation.cap };
        let (tokens, mut best_cases) = (holders.voters(), BTreeMap::new());
        for (track, parameters) in &self.tracks {
            // Whoever has lent its voice may take it back with a ballot of its own.
            let (best, total) = *best_cases.entry(parameters.weighing).or_insert_with(|| {
                let electorate = Electorate::of(parameters.weighing.weigh(&tokens), &Voices::new(), shares);
                (tally::best_case(&electorate, self.organisation_cap), electorate.total)
            });
            check_reviewers(*track, parameters, holders)?;
            check_auditors(*track, parameters, holders)?;
            parameters.cosign.map_or(Ok(()), |cosign| check_cosigners(*track, cosign, holders))?;
            let Scheme::Majority { turnout, .. } = &parameters.scheme else { continue };
            if !turnout.is_passed_by(best.get(), total.get()) {
                return Err(ConstitutionError::Unreachable {
                    field: format!("tracks.{track}.scheme.turnout"),
                });
            }
        }
        check_guardians(self.emergency.organisations, holders)
    }
}

/// A power that nobody can use is none, and a mesh would learn it in an emergency.
fn check_guardians(organisations: u8, holders: &Holders<'_>) -> Result<(), ConstitutionError> {
    if holders.organisations_with(Role::Guardian).len() >= usize::from(organisations) {
        return Ok(());
    }
    let needs = format!("{organisations} organisations with a guardian");
    Err(ConstitutionError::Short { field: "emergency.organisations".to_owned(), needs })
}

/// Every author needs enough other organisations that can sign a proposal off.
fn check_reviewers(
    track: Track,
    parameters: &TrackParameters,
    holders: &Holders<'_>,
) -> Result<(), ConstitutionError> {
    let reviewers = parameters.reviewers;
    let with_reviewer = holders.organisations_with(Role::Reviewer);
    for author in holders.organisations_with(Role::Author) {
        let others = with_reviewer.iter().filter(|org| **org != author).count();
        if others < usize::from(reviewers) {
            let needs = format!("{reviewers} organisations with a reviewer besides {author}");
            return short(track, "reviewers", needs);
        }
    }
    Ok(())
}

/// Every author needs enough guardians of other organisations.
fn check_cosigners(track: Track, cosign: Cosign, holders: &Holders<'_>) -> Result<(), ConstitutionError> {
    let Cosign { guardians, organisations } = cosign;
    for author in holders.organisations_with(Role::Author) {
        let others: Vec<&str> =
            holders.with(Role::Guardian).map(MemberId::org_str).filter(|org| *org != author).collect();
        let breadth = others.iter().collect::<BTreeSet<_>>().len();
        if others.len() < usize::from(guardians) || breadth < usize::from(organisations) {
            let needs = format!("{guardians} guardians of {organisations} organisations besides {author}");
            return short(track, "cosign", needs);
        }
    }
    Ok(())
}

/// An execution that nobody can attest would be audited for ever.
fn check_auditors(
    track: Track,
    parameters: &TrackParameters,
    holders: &Holders<'_>,
) -> Result<(), ConstitutionError> {
    let attestations = parameters.attestations;
    if holders.with(Role::Auditor).count() < usize::from(attestations) {
        return short(track, "attestations", format!("{attestations} members with the role auditor"));
    }
    Ok(())
}

fn short(track: Track, field: &str, needs: String) -> Result<(), ConstitutionError> {
    Err(ConstitutionError::Short { field: format!("tracks.{track}.{field}"), needs })
}
