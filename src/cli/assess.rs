//! Owns the first look at what organisations have: which decisions it would need, how each would go, and drafts to begin with.
//!
//! What is said of a decision is what the rules make of it in a mesh of the listed organisations, by a rehearsal. The remarks alone
//! compare what is listed with the parameters themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use althing_contracts::{
    act::Act,
    constitution::{Constitution, Scheme},
    digest::Digest,
    document::{Action, ProposalDocument, STEPS_MAX, StepDocument},
    event::Event,
    genesis::{ORGANISATIONS_MAX, TargetRecord, Tier},
    name::{OrgId, TargetId},
    rehearsal::Script,
    role::Role,
    stage::Stage,
    state::State,
};
use clap::Args;
use serde::Serialize;

mod draft;
mod inventory;

use self::inventory::{Inventory, Listed};
use super::{
    failure::{Exit, Failure, Outcome},
    session::Session,
    trial,
};
use crate::api::view::{constitution::ConstitutionView, kebab};

/// An inventory, and what it is assessed by.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  althing assess inventory.toml\n  althing assess inventory/ --into drafts\n  \
                   althing assess inventory.toml --in-force\n\n\
                   An entry of an inventory; the last four of its lines may be left out:\n  \
                   [[targets]]\n  name = \"acme-north\"\n  owner = \"acme\"\n  provider = \"local\"\n  \
                   jurisdiction = \"eu\"\n  tier = \"high\"\n  endpoints = [\"http://10.0.0.1:8080\"]\n  \
                   executors = [\"acme/erik\"]\n  data_classes = [\"personal\"]\n  monthly_milli = 120000\n"
)]
pub struct AssessArguments {
    /// A file, or a directory all of whose .toml files are read
    inventory: PathBuf,
    /// Organisations of the mesh; those that the inventory does not name are made up
    #[arg(long, value_name = "COUNT", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..=ORGANISATIONS_MAX as i64))]
    organisations: u16,
    /// Assesses by the constitution that is in force on the node's mesh, and not by that of a new mesh
    #[arg(long)]
    in_force: bool,
    /// Writes drafts into this directory: of rules where they have to know more, and of the proposals that put the targets
    /// under governance
    #[arg(long, value_name = "DIRECTORY")]
    into: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Assessment {
    /// What it was assessed by.
    pub(super) rules: String,
    /// Organisations of the mesh, those that the inventory does not name among them.
    pub(super) organisations: usize,
    /// Targets by how much depends on them.
    pub(super) targets: BTreeMap<String, usize>,
    /// Every kind of decision that what is listed needs.
    pub(super) decisions: Vec<Decision>,
    /// What should be looked at before anything is governed.
    pub(super) remarks: Vec<Remark>,
    /// The drafts that were written.
    pub(super) files: Vec<String>,
}

/// A kind of decision.
#[derive(Debug, Serialize)]
pub(super) struct Decision {
    /// What is to be done, for example `deploy`.
    pub(super) what: String,
    /// To what.
    pub(super) of: String,
    /// Its track.
    pub(super) track: String,
    /// `majority`, or `optimistic` when it passes unless voters object.
    pub(super) scheme: String,
    /// Sign-offs of other organisations that it takes.
    pub(super) sign_offs: u8,
    /// Guardians of other organisations who have to sign it.
    pub(super) cosigners: u8,
    /// How long after its submission it can begin at the earliest, when everyone acts at once; absent when it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) begins_after_ms: Option<u64>,
    /// The hard rules that refuse it.
    pub(super) refused: Vec<String>,
}

/// Something to look at.
#[derive(Debug, Serialize)]
pub(super) struct Remark {
    /// About what.
    pub(super) about: String,
    /// What, and what to do.
    pub(super) remark: String,
}

/// Carries the command out.
pub(super) async fn run(arguments: AssessArguments, session: &Session) -> Outcome {
    let AssessArguments { inventory: place, organisations, in_force, into } = arguments;
    let inventory = inventory::read(&place)?;
    let organisations = organisations_of(&inventory, organisations.into())?;
    let (rules, constitution) = if in_force {
        let shown: ConstitutionView = session.client()?.get("/v1/constitution").await?;
        (format!("version {} of the constitution in force", shown.version), shown.constitution)
    } else {
        let fitted = Constitution::default_genesis().fitted_to(organisations.len());
        ("the constitution of a new mesh".to_owned(), fitted)
    };
    let drafts = draft::of(&inventory, &constitution)?;
    let whose = place.display().to_string();
    let state = trial::mesh(&whose, constitution, &organisations, targets(&inventory)?)?;
    let mut by_tier = BTreeMap::new();
    for listed in inventory.values() {
        *by_tier.entry(kebab(&listed.tier)).or_default() += 1;
    }
    let mut assessment = Assessment {
        rules,
        organisations: organisations.len(),
        targets: by_tier,
        decisions: decisions(&state, &inventory)?,
        remarks: remarks(&state, &inventory),
        files: Vec::new(),
    };
    if let Some(directory) = &into {
        assessment.files = draft::write(&drafts, directory)?;
    }
    session.print(&assessment)?;
    session.suggest(match &into {
        None => "althing assess --into drafts writes proposals and rules to begin with",
        Some(_) => "say in each draft why, then althing proposal plan FILE",
    });
    Ok(())
}

/// The organisations that the inventory names, and made-up ones up to so many; each voter weighs the same.
fn organisations_of(inventory: &Inventory, wanted: usize) -> Outcome<BTreeMap<OrgId, u64>> {
    let mut organisations: BTreeMap<OrgId, u64> =
        inventory.values().map(|listed| (listed.owner.clone(), 1_000)).collect();
    if organisations.len() > ORGANISATIONS_MAX {
        let detail = format!(
            "the inventory names {} organisations, at most {ORGANISATIONS_MAX} are in a mesh",
            organisations.len()
        );
        return Err(Failure::new(Exit::Usage, detail));
    }
    for index in 1..=ORGANISATIONS_MAX {
        if organisations.len() >= wanted {
            break;
        }
        let made_up = OrgId::new(&format!("partner-{index}"))
            .map_err(|error| Failure::new(Exit::EndedBadly, error.to_string()))?;
        organisations.entry(made_up).or_insert(1_000);
    }
    Ok(organisations)
}

/// The targets with the made-up executors of the trial.
fn targets(inventory: &Inventory) -> Outcome<BTreeMap<TargetId, TargetRecord>> {
    let target = |(name, listed): (&TargetId, &Listed)| {
        let executors = BTreeSet::from([trial::member(&listed.owner, Role::Executor)?]);
        Ok((name.clone(), TargetRecord { executors, ..listed.record() }))
    };
    inventory.iter().map(target).collect()
}

fn decisions(state: &State, inventory: &Inventory) -> Outcome<Vec<Decision>> {
    let mut decisions = Vec::new();
    let mut removals = Vec::new();
    for tier in [Tier::Low, Tier::Medium, Tier::High] {
        let of_tier: Vec<&TargetId> =
            inventory.iter().filter(|(_, listed)| listed.tier == tier).map(|(name, _)| name).collect();
        let Some(first) = of_tier.first() else { continue };
        let of = match of_tier.len() {
            1 => format!("{first}, of tier {}", kebab(&tier)),
            more => format!("one of {more} targets of tier {}", kebab(&tier)),
        };
        for action in actions()? {
            let what = kebab(&action.kind());
            let is_removal = matches!(action, Action::Remove { .. });
            let step = StepDocument { target: TargetId::clone(first), action };
            let document = trial::change(state, vec![vec![step]])?;
            // Nothing is there yet that could be taken away, so that this cannot be played.
            if is_removal {
                removals.push(judge(state, &what, &of, &document));
            } else {
                decisions.push(play(state, judge(state, &what, &of, &document), &document)?);
            }
        }
    }
    let mut by_owner: BTreeMap<&OrgId, Vec<&TargetId>> = BTreeMap::new();
    for (name, listed) in inventory {
        by_owner.entry(&listed.owner).or_default().push(name);
    }
    for (owner, names) in by_owner.iter().filter(|(_, names)| names.len() > 1) {
        let step = |name: &&TargetId| {
            Ok(StepDocument { target: TargetId::clone(name), action: trial::deployment()? })
        };
        let at_once = names.len().min(STEPS_MAX);
        let steps = names.iter().take(at_once).map(step).collect::<Outcome<_>>()?;
        let of = if at_once == names.len() {
            format!("all {at_once} targets of {owner} in one stage")
        } else {
            format!("{at_once} of {} targets of {owner} in one stage", names.len())
        };
        let document = trial::change(state, vec![steps])?;
        decisions.push(play(state, judge(state, "deploy", &of, &document), &document)?);
    }
    if let Some((name, listed)) = inventory.first_key_value() {
        let mut record = targets(inventory)?.remove(name).unwrap_or_else(|| listed.record());
        record.provider = trial::named("another")?;
        let act = Act::SetTarget { target: name.clone(), record };
        let ProposalDocument { title, reason, .. } = trial::change(state, Vec::new())?;
        let document = ProposalDocument::of_acts(title, reason, vec![act]);
        let decision =
            judge(state, "put under governance", "a target, or change what is known of it", &document);
        decisions.push(play(state, decision, &document)?);
    }
    // How soon something can begin follows from its track.
    for mut removal in removals {
        let played = decisions.iter().find(|it| it.track == removal.track && it.begins_after_ms.is_some());
        removal.begins_after_ms = played.and_then(|it| it.begins_after_ms);
        decisions.push(removal);
    }
    Ok(decisions)
}

/// One action of each kind; what is taken away comes last, because how long that takes is known from what is put in place.
fn actions() -> Outcome<[Action; 3]> {
    let (version, artefact) = (trial::named("v2")?, Digest::of_artefact(b"v2"));
    let configure = Action::Configure { file: trial::named("settings")?, version, artefact };
    Ok([trial::deployment()?, configure, Action::Remove { resource: trial::named("web")? }])
}

/// What the rules say of a change.
fn judge(state: &State, what: &str, of: &str, document: &ProposalDocument) -> Decision {
    let track = state.track_of(document);
    let parameters = state.constitution().parameters_of(track);
    let cosign = parameters.as_ref().and_then(|it| it.cosign);
    let findings = state.findings(document);
    Decision {
        what: what.to_owned(),
        of: of.to_owned(),
        track: track.to_string(),
        scheme: match parameters.as_ref().map(|it| &it.scheme) {
            Some(Scheme::Optimistic { .. }) => "optimistic".to_owned(),
            _ => "majority".to_owned(),
        },
        sign_offs: parameters.map_or(0, |it| it.reviewers),
        cosigners: cosign.map_or(0, |it| it.guardians),
        begins_after_ms: None,
        refused: findings.iter().map(|it| format!("{}: {}", kebab(&it.rule), it.message)).collect(),
    }
}

/// The same with how soon it begins when everyone is for it and acts at once.
fn play(state: &State, decision: Decision, document: &ProposalDocument) -> Outcome<Decision> {
    let broken = |problem: String| Failure::new(Exit::EndedBadly, problem);
    let author = state.members_with(Role::Author).next().cloned();
    let author = author.ok_or_else(|| broken("the trial mesh has no author".to_owned()))?;
    let rehearsal = state
        .rehearse(document, &Script::of(author))
        .map_err(|reject| broken(format!("{} {}: {reject}", decision.what, decision.of)))?;
    let begins = rehearsal.scenes.iter().find(|scene| {
        matches!(scene.event, Event::StageChanged { to: Stage::Canary, .. } | Event::Enacted { .. })
    });
    Ok(Decision { begins_after_ms: begins.map(|scene| scene.after.get()), ..decision })
}

fn remarks(state: &State, inventory: &Inventory) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut remark = |about: &dyn std::fmt::Display, remark: String| {
        remarks.push(Remark { about: about.to_string(), remark });
    };
    let residency = &state.constitution().hard_rules.residency;
    for (name, Listed { owner, jurisdiction, endpoints, executors, data_classes, .. }) in inventory {
        if executors.is_empty() {
            remark(name, format!("nobody may act on it; name a member of {owner} in executors"));
        }
        for stranger in executors.iter().filter(|executor| executor.org_str() != owner.as_str()) {
            remark(name, format!("its executor {stranger} is not of {owner}, whose members alone act on it"));
        }
        if endpoints.is_empty() {
            remark(name, "it has no endpoints, so that no probe judges its health after a change".to_owned());
        }
        for class in data_classes {
            match residency.get(class) {
                None => remark(name, format!("it holds {class} data, which the rules do not know")),
                Some(allowed) if !allowed.contains(jurisdiction) => {
                    let allowed = allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    remark(
                        name,
                        format!("it holds {class} data in {jurisdiction}; they may be in {allowed} only"),
                    );
                }
                Some(_) => {}
            }
        }
    }
    let is_high = |listed: &&Listed| listed.tier == Tier::High;
    if inventory.len() > 1 && inventory.values().filter(is_high).count() == inventory.len() {
        remark(
            &"tiers",
            "everything is of tier high, so that nothing is routine; ask what others depend on".to_owned(),
        );
    }
    remarks
}
