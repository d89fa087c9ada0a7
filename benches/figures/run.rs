//! Owns the order of the run: the mesh idles, then mesh and etcd write in turn, then ballots flood in, then an auditor
//! catches up. Neither side rests on a quieter machine than the other.

use std::{path::Path, time::Duration};

use super::{
    Failure, breakdown,
    etcd::Etcd,
    limit::Limits,
    mesh::{Flood, Mesh},
    prometheus,
    report::{Expected, Figure},
    statistics::Latencies,
    verify::{self, SignatureCost},
};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Time for each limit; processor time is counted in steps of 10 ms.
    pub(crate) limit: Duration,
    /// How long the mesh idles before it is measured, and while it is.
    idle: Duration,
    /// Turns of each side.
    turns: usize,
    /// Writes of each turn.
    writes_per_turn: usize,
    /// How long ballots flood in.
    flood: Duration,
    /// Voters of the first organisation.
    voters: usize,
    /// Proposals of a long past.
    pub(crate) proposals: usize,
    /// Where the report goes.
    pub(crate) report_name: &'static str,
}

impl Scale {
    /// What a release is judged by. The voters fill a block of 1,000 ballots, and one node can hold their keys.
    pub(crate) const WHOLE: Self = Self {
        limit: Duration::from_secs(2),
        idle: Duration::from_mins(1),
        turns: 10,
        writes_per_turn: 60,
        flood: Duration::from_secs(20),
        voters: 990,
        proposals: 1_000_000,
        report_name: "report.json",
    };
    /// Just enough to see that every figure comes out.
    pub(crate) const SHORT: Self = Self {
        limit: Duration::from_millis(50),
        idle: Duration::from_secs(1),
        turns: 2,
        writes_per_turn: 10,
        flood: Duration::from_secs(2),
        voters: 50,
        proposals: 10_000,
        report_name: "report-short.json",
    };
}

/// The figures that this run has to bring.
pub(crate) const EXPECTED: [Expected; 7] = [
    Expected::IDLE_RSS,
    Expected::IDLE_CPU,
    Expected::ETCD_PUT,
    Expected::FINALITY,
    Expected::FINALITY_OVER_ETCD,
    Expected::BALLOTS,
    Expected::CATCH_UP,
];

/// The figures of a run for finality alone.
pub(crate) const EXPECTED_OF_FINALITY: [Expected; 3] =
    [Expected::ETCD_PUT, Expected::FINALITY, Expected::FINALITY_OVER_ETCD];

/// The figures of a run for throughput alone.
pub(crate) const EXPECTED_OF_THROUGHPUT: [Expected; 2] = [Expected::BALLOTS, Expected::CATCH_UP];

/// Measures finality alone.
pub(crate) fn finality_against_etcd(
    binary: &Path,
    work: &Path,
    scale: Scale,
    figures: &mut Vec<Figure>,
) -> Result<(), Failure> {
    let cost = verify::signature_cost(Scale::SHORT.limit)?;
    let mut mesh = Mesh::start(binary, &work.join("mesh"), scale.voters)?;
    finality(work, &mut mesh, cost, scale, figures).map(|_ballots| ())
}

/// Measures everything that needs a mesh of processes.
pub(crate) fn mesh_against_etcd(
    binary: &Path,
    work: &Path,
    limits: &Limits,
    scale: Scale,
    figures: &mut Vec<Figure>,
) -> Result<(), Failure> {
    let mut mesh = Mesh::start(binary, &work.join("mesh"), scale.voters)?;
    mesh.idle(scale.idle)?;
    let idle = mesh.idle(scale.idle)?;
    figures.push(Expected::IDLE_RSS.measured(idle.resident_mib).note("the largest of four validators"));
    figures
        .push(Expected::IDLE_CPU.measured(idle.cpu_pct).note("the busiest of four validators, of one core"));

    let ballots = finality(work, &mut mesh, limits.signature, scale, figures)?;
    flood_and_catch_up(&mut mesh, ballots, limits, scale, figures)
}

/// Measures the flood and the catching up on a mesh that did nothing before.
pub(crate) fn throughput_alone(
    binary: &Path,
    work: &Path,
    limits: &Limits,
    scale: Scale,
    figures: &mut Vec<Figure>,
) -> Result<(), Failure> {
    let mut mesh = Mesh::start(binary, &work.join("mesh"), scale.voters)?;
    // A validator that has shown a quiet second has read its keys and found its peers.
    mesh.idle(Duration::from_secs(1))?;
    flood_and_catch_up(&mut mesh, 0, limits, scale, figures)
}

/// Ballots flood in, then an auditor fetches these and those `before`.
fn flood_and_catch_up(
    mesh: &mut Mesh,
    before: usize,
    limits: &Limits,
    scale: Scale,
    figures: &mut Vec<Figure>,
) -> Result<(), Failure> {
    let flood = mesh.flood(scale.flood)?;
    figures.push(throughput(&flood, limits)?);

    let (elapsed, cpu, blocks) = mesh.catch_up()?;
    let ballots = before + flood.ballots;
    let thousands = f64::from(u32::try_from(ballots)?) / 1e3;
    let per_second = thousands / elapsed.as_secs_f64();
    let catch_up = Expected::CATCH_UP
        .measured(per_second / limits.blocks)
        .note(format!("{ballots} ballots in {blocks} blocks in {:.2} s", elapsed.as_secs_f64()))
        .part("blocks_of_1000_per_second", per_second)
        .part("blocks_of_1000_per_cpu_second", thousands / cpu.as_secs_f64());
    figures.push(catch_up);
    Ok(())
}

/// Writes of both sides in turn; yields how many ballots were cast.
fn finality(
    work: &Path,
    mesh: &mut Mesh,
    cost: SignatureCost,
    scale: Scale,
    figures: &mut Vec<Figure>,
) -> Result<usize, Failure> {
    let mut etcd = Etcd::start(&work.join("etcd"))?;
    let mut voter = mesh.voter()?;
    let (mut puts, mut ballots) = (Latencies::default(), Latencies::default());
    Mesh::cast(&mut voter, scale.writes_per_turn)?;
    let before = mesh.metrics()?;
    let cpu_before = (etcd.cpu()?, mesh.cpu()?);
    for _ in 0..scale.turns {
        puts.extend(etcd.put(scale.writes_per_turn)?);
        ballots.extend(Mesh::cast(&mut voter, scale.writes_per_turn)?);
    }
    let timings = prometheus::timings_per_ballot(&before, &mesh.metrics()?, ballots.len());
    let (put, ballot) = (p50(&puts)?, p50(&ballots)?);
    let each_ms =
        |cpu: Duration| cpu.as_secs_f64() * 1e3 / f64::from(u32::try_from(ballots.len()).unwrap_or(1));
    let etcd_cpu = each_ms(etcd.cpu()?.saturating_sub(cpu_before.0));
    let mesh_cpu = each_ms(mesh.cpu()?.saturating_sub(cpu_before.1));
    let etcd = Expected::ETCD_PUT
        .measured(put)
        .note(format!("{}; {}", etcd.chosen, puts.summary()))
        .part("p95_ms", puts.percentile_ms(95))
        .part("cpu_ms_per_put_of_all_members", etcd_cpu)
        .part("trials", etcd.trials.clone());
    let mut finality = Expected::FINALITY
        .measured(ballot)
        .note(ballots.summary())
        .part("p95_ms", ballots.percentile_ms(95))
        .part("cpu_ms_per_ballot_of_all_validators", mesh_cpu);
    let mean_ms = ballots.mean_ms().ok_or("no ballot was cast")?;
    finality.parts.extend(breakdown::breakdown(mean_ms, &timings, cost));
    finality.parts.extend(timings);
    figures.extend([etcd, finality, Expected::FINALITY_OVER_ETCD.measured(ballot / put)]);
    Ok(ballots.len() + scale.writes_per_turn)
}

fn throughput(flood: &Flood, limits: &Limits) -> Result<Figure, Failure> {
    let ballots = f64::from(u32::try_from(flood.ballots)?);
    let rate = |cpu: &Duration| ballots / cpu.as_secs_f64();
    let mut others: Vec<f64> = flood.cpu.iter().skip(1).map(rate).collect();
    others.sort_by(f64::total_cmp);
    let median = *others.get(others.len() / 2).ok_or("there is no second validator")?;
    let entry = flood.cpu.first().map(rate);
    Ok(Expected::BALLOTS
        .measured(median / limits.verifications())
        .note(format!(
            "{} ballots in {} blocks in {:.1} s",
            flood.ballots,
            flood.blocks,
            flood.elapsed.as_secs_f64()
        ))
        .part("ballots_per_second", ballots / flood.elapsed.as_secs_f64())
        .part("unanswered", flood.unanswered)
        .part("ballots_per_cpu_second_median_of_others", median)
        .part("ballots_per_cpu_second_where_they_came_in", entry))
}

fn p50(latencies: &Latencies) -> Result<f64, Failure> {
    latencies.percentile_ms(50).ok_or_else(|| "nothing was measured".into())
}
