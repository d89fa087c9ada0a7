//! Owns what an exploration found, as a line for people and as JSON for the common report.

use std::{
    collections::BTreeMap,
    fmt,
    hash::Hash,
    time::{Duration, Instant},
};

use stateright::{
    Checker, Expectation, Model,
    report::{ReportData, ReportDiscovery, Reporter},
};

/// How often an exploration says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Moves after which an exploration that should end is given up: a model that grows past this has a loop.
pub(super) const MOVES_MAX: usize = 400_000_000;

/// What exploring one model found.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Outcome {
    /// The model's name.
    pub name: &'static str,
    /// Distinct states.
    pub states: usize,
    /// Moves tried that led to a state, new or known.
    pub moves: usize,
    /// Longest path.
    pub depth: usize,
    /// Time taken.
    pub seconds: f64,
    /// Whether every state that can be reached was.
    pub complete: bool,
    /// Whether the exploration was meant to stop early: what holds then holds for the states seen.
    pub bounded: bool,
    /// What was asked, with the answers.
    pub properties: Vec<Verdict>,
}

/// The answer to one property.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Verdict {
    /// The property, in words.
    pub name: &'static str,
    /// `always`, `sometimes` or `eventually`.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// The moves that show that it does not, one a line.
    pub counterexample: Vec<String>,
}

/// Says now and then how far an exploration is, for whoever waits for it.
struct Progress {
    name: &'static str,
}

impl<M: Model> Reporter<M> for Progress {
    fn report_checking(&mut self, data: ReportData) {
        if !data.done && data.duration >= PROGRESS_EVERY {
            eprintln!("{}: {} states after {} s", self.name, data.unique_states, data.duration.as_secs());
        }
    }

    fn report_discoveries(&mut self, _: &M, _: BTreeMap<&'static str, ReportDiscovery<M>>)
    where
        M::Action: fmt::Debug + PartialEq,
        M::State: fmt::Debug + Hash + PartialEq,
    {
    }

    fn delay(&self) -> Duration {
        PROGRESS_EVERY
    }
}

impl Outcome {
    /// Explores a model, depth first, up to a number of moves.
    pub(super) fn of<M>(name: &'static str, model: M, threads: usize, moves_max: usize) -> Self
    where
        M: Model + Send + Sync + 'static,
        M::State: Clone + Hash + Send + Sync + fmt::Debug + PartialEq + 'static,
        M::Action: Clone + PartialEq + fmt::Debug + Send + Sync + 'static,
    {
        let begun = Instant::now();
        let checker = model.checker().threads(threads).target_state_count(moves_max).spawn_dfs();
        let checker = checker.join_and_report(&mut Progress { name });
        let seconds = begun.elapsed().as_secs_f64();
        let mut found = checker.discoveries();
        let properties = checker.model().properties().into_iter().map(|property| {
            let path = found.remove(property.name);
            let (kind, holds) = match property.expectation {
                Expectation::Always => ("always", path.is_none()),
                Expectation::Sometimes => ("sometimes", path.is_some()),
                Expectation::Eventually => ("eventually", path.is_none()),
            };
            let moves = path.filter(|_| !holds).map(|path| {
                path.into_vec()
                    .into_iter()
                    .map(|(state, action)| format!("{state:?} -> {action:?}"))
                    .collect()
            });
            Verdict { name: property.name, kind, holds, counterexample: moves.unwrap_or_default() }
        });
        Self {
            name,
            states: checker.unique_state_count(),
            moves: checker.state_count(),
            depth: checker.max_depth(),
            seconds,
            complete: checker.state_count() < moves_max,
            bounded: moves_max < MOVES_MAX,
            properties: properties.collect(),
        }
    }

    /// Whether every property holds, and every state was seen unless the exploration was meant to stop early.
    #[must_use]
    pub fn holds(&self) -> bool {
        (self.complete || self.bounded) && self.properties.iter().all(|property| property.holds)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, states, moves, depth, seconds, complete, .. } = self;
        let extent = if *complete { "all" } else { "as far as asked" };
        writeln!(f, "{name}: {states} states ({extent}), {moves} moves, depth {depth}, {seconds:.1} s")?;
        for Verdict { name, kind, holds, counterexample } in &self.properties {
            let mark = if *holds { "holds" } else { "FAILS" };
            writeln!(f, "  {mark}  {kind}: {name}")?;
            counterexample.iter().try_for_each(|line| writeln!(f, "         {line}"))?;
        }
        Ok(())
    }
}
