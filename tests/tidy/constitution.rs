//! Owns the tables of `docs/constitution.md`: each parameter in words, with the value that a mesh starts with. They are made from
//! the code; a parameter that has no row, a rule that has none, and a test that is named and does not exist are mistakes.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use althing_contracts::{
    constitution::{Constitution, HardRules, Scheme, Threshold, Track, TrackParameters},
    document::ActionKind,
    genesis::Tier,
    quantity::DurationMs,
    rules::RuleId,
    testing::UPDATE,
};
use serde_json::Value;

const FILE: &str = "docs/constitution.md";

/// Some parameters in one row: their names, what they mean, and their values.
struct Row<T>(&'static [&'static str], &'static str, fn(&T) -> String);

const OF_TRACKS: &[Row<TrackParameters>] = &[
    Row(&["reviewers"], "sign-offs of organisations other than the author's", |it| it.reviewers.to_string()),
    Row(&["review"], "longest review", |it| span(it.review)),
    Row(&["voting"], "length of the vote, or of the window for objections", |it| span(it.voting)),
    Row(
        &["late_window"],
        "a flip this late extends the vote by as much, up to twice the period in total",
        |it| span(it.late_window),
    ),
    Row(&["weighing"], "how a voter's weight follows ([below](#weights))", |it| kebab(&it.weighing)),
    Row(&["scheme"], "what passes", |it| scheme(&it.scheme)),
    Row(
        &["cosign"],
        "guardians of other organisations who have to sign the decision before it is carried out",
        |it| match it.cosign {
            None => "none".to_owned(),
            Some(it) => format!("{}, of {} organisations", it.guardians, it.organisations),
        },
    ),
    Row(&["confirm"], "time for which it has to keep passing", |it| span(it.confirm)),
    Row(&["timelock"], "from the decision to the first step", |it| span(it.timelock)),
    Row(
        &["opposition_floor", "timelock_stretch_max"],
        "opposition above this share of for and against stretches the timelock, up to so many times at 1/3",
        |it| format!("{}, {}", it.opposition_floor, it.timelock_stretch_max),
    ),
    Row(&["execute_by"], "to take the first step after the timelock", |it| span(it.execute_by)),
    Row(&["lease"], "time that a claim holds a step", |it| span(it.lease)),
    Row(&["stage"], "longest time for one stage, or for a rollback", |it| span(it.stage)),
    Row(&["retries"], "failed executions that may be resumed", |it| it.retries.to_string()),
    Row(&["audit"], "by when auditors are expected", |it| span(it.audit)),
    Row(&["attestations"], "attestations that close it", |it| it.attestations.to_string()),
    Row(
        &["cooldown"],
        "from a failure until the same may be submitted again, times the failures in a row ([below](#trying-again))",
        |it| span(it.cooldown),
    ),
];

const FOR_ALL: &[Row<Constitution>] = &[
    Row(&["version"], "1 at the beginning, one more with each change", |it| it.version.to_string()),
    Row(
        &["member_cap", "organisation_cap"],
        "largest share of the electorate's weight that one member's ballot, one organisation's ballots, count for",
        |it| format!("{}, {}", it.member_cap, it.organisation_cap),
    ),
    Row(
        &["delegation.cap"],
        "largest share of the electorate's weight that others may entrust to one voter; 0 turns delegation off",
        |it| it.delegation.cap.to_string(),
    ),
    Row(&["delegation.activation"], "from the call until the delegate speaks", |it| {
        span(it.delegation.activation)
    }),
    Row(&["delegation.term_max"], "longest time from the call to the end", |it| span(it.delegation.term_max)),
    Row(&["open_proposals_per_author_max"], "proposals that one author may have open", |it| {
        it.open_proposals_per_author_max.to_string()
    }),
    Row(
        &["recovery.colleagues", "recovery.at_least"],
        "people who recover a key, of the others of the organisation, and never fewer than",
        |it| format!("{}, {}", it.recovery.colleagues, it.recovery.at_least),
    ),
    Row(
        &["recovery.signing", "recovery.delay"],
        "for how long a signature counts; from the last that is needed until the key is another",
        |it| format!("{}, {}", span(it.recovery.signing), span(it.recovery.delay)),
    ),
    Row(&["warning"], "how long before an expiry people are warned of it", |it| span(it.warning)),
    Row(
        &["dormancy.votes", "dormancy.floor"],
        "votes in a row with a turnout under the floor after which governance is dormant",
        |it| format!("{}, {}", it.dormancy.votes, it.dormancy.floor),
    ),
    Row(
        &["resubmission.memory", "resubmission.failures_max"],
        "for how long a failure is remembered; up to how many a cooldown and a bond grow",
        |it| format!("{}, {}", span(it.resubmission.memory), it.resubmission.failures_max),
    ),
    Row(
        &["bonds.account", "bonds.base", "bonds.lost_for"],
        "points of each author; of the first bond, 0 asks for none; for how long a lost bond is lost",
        |it| format!("{}, {}, {}", it.bonds.account, it.bonds.base, span(it.bonds.lost_for)),
    ),
    Row(&["vetoes_per_guardian"], "vetoes that one guardian may use", |it| {
        it.vetoes_per_guardian.to_string()
    }),
    Row(&["heartbeat"], "time between blocks on an idle mesh", |it| span(it.heartbeat)),
    Row(&["clock_ahead_max"], "how far a block's time may be ahead of a validator's clock", |it| {
        span(it.clock_ahead_max)
    }),
];

const OF_EMERGENCIES: &[Row<Constitution>] = &[
    Row(
        &["emergency.guardians", "emergency.organisations"],
        "guardians who have to sign, of all, whether they have power or not, always more than half; organisations that they come from",
        |it| format!("{}, {}", it.emergency.guardians, it.emergency.organisations),
    ),
    Row(&["emergency.signing"], "from the declaration, for the other signatures", |it| {
        span(it.emergency.signing)
    }),
    Row(&["emergency.ttl_max"], "longest time from the declaration to the end of the measures", |it| {
        span(it.emergency.ttl_max)
    }),
    Row(&["emergency.ratify"], "from the moment that it holds, for the members to judge it", |it| {
        span(it.emergency.ratify)
    }),
    Row(&["emergency.attestations"], "attestations that close its audit", |it| {
        it.emergency.attestations.to_string()
    }),
    Row(&["emergency.term"], "for which a guardian holds the powers of one", |it| span(it.emergency.term)),
];

const OF_HARD_RULES: &[Row<HardRules>] = &[
    Row(
        &["cost_ceiling_monthly_milli"],
        "cost a month above which nothing is accepted, in thousandths of the unit of account",
        |it| it.cost_ceiling_monthly_milli.to_string(),
    ),
    Row(&["residency"], "for each class of data, the jurisdictions in which it may be held", |it| {
        let class = |(class, places): (&_, &BTreeSet<_>)| {
            let places: Vec<String> = places.iter().map(ToString::to_string).collect();
            format!("`{class}`: {}", places.join(", "))
        };
        it.residency.iter().map(class).collect::<Vec<_>>().join(" · ")
    }),
    Row(&["canary_share_max"], "largest share of all targets in the canary; one is always allowed", |it| {
        it.canary_share_max.to_string()
    }),
    Row(
        &["stage_share_max"],
        "largest share of one organisation's targets in one stage after it; one is always allowed",
        |it| it.stage_share_max.to_string(),
    ),
    Row(
        &["health_success_min", "health_samples_min"],
        "least that a health check asks for, and of how many samples",
        |it| format!("{}, {}", it.health_success_min, it.health_samples_min),
    ),
];

/// A length of time in the largest unit that it is a whole number of; days from four on.
fn span(length: DurationMs) -> String {
    let seconds = length.get() / 1_000;
    let is_whole = |unit: u64| seconds > 0 && seconds.is_multiple_of(unit);
    match seconds {
        days if is_whole(86_400) && days > 3 * 86_400 => format!("{} days", days / 86_400),
        hours if is_whole(3_600) => format!("{} h", hours / 3_600),
        minutes if is_whole(60) && minutes > 60 => format!("{} min", minutes / 60),
        _ => format!("{seconds} s"),
    }
}

fn kebab(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).expect("a plain value");
    value.as_str().expect("a name").to_owned()
}

fn scheme(scheme: &Scheme) -> String {
    let share = |threshold: &Threshold| threshold.to_string();
    match scheme {
        Scheme::Optimistic { acknowledgement, objection } => format!(
            "what {} of the organisations has seen, unless {} of the weight objects",
            share(acknowledgement),
            share(objection)
        ),
        Scheme::Majority { turnout, approval, organisations } => format!(
            "turnout {} of the weight; approval {} of for and against; {} of the organisations in favour",
            share(turnout),
            share(approval),
            share(organisations)
        ),
    }
}

/// A table of markdown.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).expect("a string takes everything");
    }
    text
}

fn first<T>(Row(names, words, _): &Row<T>) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{}: {words}", names.join(", "))
}

fn flat<T>(of: &T, rows: &[Row<T>]) -> String {
    table(&["parameter", "value"], rows.iter().map(|row| vec![first(row), row.2(of)]))
}

fn tracks(rules: &Constitution) -> String {
    let names: Vec<String> = Track::ALL.iter().map(ToString::to_string).collect();
    let head: Vec<&str> = std::iter::once("parameter").chain(names.iter().map(String::as_str)).collect();
    let row = |row: &Row<TrackParameters>| {
        let values = Track::ALL.iter().map(|track| row.2(&rules.tracks[track]));
        std::iter::once(first(row)).chain(values).collect()
    };
    table(&head, OF_TRACKS.iter().map(row))
}

fn classification(rules: &Constitution) -> String {
    let tiers = [Tier::Low, Tier::Medium, Tier::High];
    let row = |kind: &ActionKind| {
        let tracks = tiers.iter().map(|tier| rules.classification.actions[kind][tier].to_string());
        std::iter::once(format!("`{}`", kebab(kind))).chain(tracks).collect()
    };
    let kinds = [ActionKind::Deploy, ActionKind::Configure, ActionKind::Remove];
    let table = table(&["action", "tier `low`", "tier `medium`", "tier `high`"], kinds.iter().map(row));
    let [few, many] = [rules.classification.routine_targets_max, rules.classification.standard_targets_max];
    format!(
        "{table}\nMore than {few} targets (`classification.routine_targets_max`) are at least standard, more than {many} \
         (`classification.standard_targets_max`) high.\n"
    )
}

/// Everything between `<!-- NAME -->` and `<!-- end -->`.
fn between<'a>(text: &'a str, name: &str) -> (&'a str, &'a str, &'a str) {
    let begin = format!("<!-- {name} -->\n");
    let from = text.find(&begin).unwrap_or_else(|| panic!("{FILE} has a place for {name}")) + begin.len();
    let len = text[from..].find("<!-- end -->").expect("each place ends");
    (&text[..from], &text[from..from + len], &text[from + len..])
}

#[test]
fn the_tables_say_what_a_mesh_starts_with() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let mut text = fs::read_to_string(&path).expect("it is there");
    let rules = Constitution::default_genesis();
    for (name, table) in [
        ("tracks", tracks(&rules)),
        ("classification", classification(&rules)),
        ("for all tracks", flat(&rules, FOR_ALL)),
        ("emergencies", flat(&rules, OF_EMERGENCIES)),
        ("hard rules", flat(&rules.hard_rules, OF_HARD_RULES)),
    ] {
        let (before, found, after) = between(&text, name);
        if std::env::var_os(UPDATE).is_some() {
            text = format!("{before}{table}{after}");
        } else {
            assert_eq!(found, table, "{name}: {UPDATE}=1 writes it anew");
        }
    }
    if std::env::var_os(UPDATE).is_some() {
        fs::write(path, text).expect("it can be written");
    }
}

/// The paths of everything in a value, as far as tables are not keyed by what the mesh has.
fn paths(value: &Value, at: &str, open: &[&str], found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !open.contains(&at) => {
            for (name, field) in fields {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                paths(field, &path, open, found);
            }
        }
        _ => drop(found.insert(at.to_owned())),
    }
}

fn named<T>(rows: &[Row<T>]) -> BTreeSet<String> {
    rows.iter().flat_map(|Row(names, ..)| names.iter().map(ToString::to_string)).collect()
}

#[test]
fn every_parameter_has_a_row() {
    let rules = Constitution::default_genesis();
    let mut all = BTreeSet::new();
    let closed = ["tracks", "classification", "hard_rules", "emergency.guardians", "recovery.colleagues"];
    paths(&json(&rules), "", &closed, &mut all);
    let mut rows = &named(FOR_ALL) | &named(OF_EMERGENCIES);
    rows.extend(["tracks", "classification", "hard_rules"].map(str::to_owned));
    assert_eq!(all, rows);

    let mut of_hard_rules = BTreeSet::new();
    paths(&json(&rules.hard_rules), "", &["residency"], &mut of_hard_rules);
    assert_eq!(of_hard_rules, named(OF_HARD_RULES));

    let mut of_track = BTreeSet::new();
    paths(&json(&rules.tracks[&Track::High]), "", &["scheme", "cosign"], &mut of_track);
    assert_eq!(of_track, named(OF_TRACKS));
}

fn json(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).expect("a plain value")
}

#[test]
fn every_hard_rule_has_a_row() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).expect("it is there");
    let rows: BTreeSet<&str> = text
        .lines()
        .skip_while(|line| *line != "## Hard rules")
        .take_while(|line| !line.starts_with("## ") || *line == "## Hard rules")
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.contains('-'))
        .collect();
    let rules: BTreeSet<String> = RuleId::ALL.iter().map(kebab).collect();
    assert_eq!(rows, rules.iter().map(String::as_str).collect());
}

#[test]
fn every_test_that_is_named_exists() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).expect("it is there");
    let sources: String =
        super::tree().iter().filter(|file| file.is_rust()).map(|file| file.text.as_str()).collect();
    let words = text.split('`').skip(1).step_by(2);
    let parameters =
        &(&named(FOR_ALL) | &named(OF_EMERGENCIES)) | &(&named(OF_HARD_RULES) | &named(OF_TRACKS));
    // A test's name is a sentence.
    let is_sentence = |word: &&str| {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        word.matches('_').count() > 3 && word.bytes().all(is_name) && !parameters.contains(*word)
    };
    let tests = words.filter(is_sentence);
    let missing: Vec<&str> = tests.filter(|test| !sources.contains(&format!("fn {test}("))).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
