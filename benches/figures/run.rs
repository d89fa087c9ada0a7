//! Owns the order of the run: the mesh idles, then mesh and etcd write in turn, then ballots flood in, then an auditor
//! catches up. Neither side rests on a quieter machine than the other.

use std::{path::Path, time::Duration};

use super::{
    Failure,
    etcd::Etcd,
    limit::Limits,
    mesh::{Flood, Mesh},
    prometheus,
    report::{Aim, Figure},
    statistics::Latencies,
};

/// Turns of each side, and writes of each turn.
const TURNS: usize = 10;
const WRITES_PER_TURN: usize = 60;
/// How long the mesh idles before it is measured, and while it is.
const IDLE: Duration = Duration::from_mins(1);
/// How long ballots flood in.
const FLOOD: Duration = Duration::from_secs(20);

/// Everything that needs a mesh of processes.
pub(crate) fn mesh_against_etcd(work: &Path, limits: &Limits) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Err(error) = measure(work, limits, &mut figures) {
        let measured: Vec<&str> = figures.iter().map(|figure| figure.key).collect();
        let left = EXPECTED.iter().filter(|(key, ..)| !measured.contains(key));
        figures.extend(left.map(|(key, unit, aim)| Figure::missing(key, unit, *aim, &super::told(&*error))));
    }
    figures
}

/// The figures that this run has to bring.
const EXPECTED: [(&str, &str, Aim); 7] = [
    ("idle_rss_mib", "MiB", Aim::AtMost(64.0)),
    ("idle_cpu_pct", "%", Aim::AtMost(1.0)),
    ("etcd_put_p50_ms", "ms", Aim::None),
    ("finality_p50_ms", "ms", Aim::None),
    ("finality_over_etcd_p50", "", Aim::AtMost(3.0)),
    ("ballots_over_verify_limit", "", Aim::AtLeast(0.5)),
    ("catchup_over_limit", "", Aim::AtLeast(0.4)),
];

fn measure(work: &Path, limits: &Limits, figures: &mut Vec<Figure>) -> Result<(), Failure> {
    let mut mesh = Mesh::start(Path::new(env!("CARGO_BIN_EXE_althing")), &work.join("mesh"))?;
    mesh.idle(IDLE)?;
    let idle = mesh.idle(IDLE)?;
    figures.push(expected("idle_rss_mib", idle.resident_mib).note("the largest of four validators"));
    figures.push(expected("idle_cpu_pct", idle.cpu_pct).note("the busiest of four validators, of one core"));

    let ballots = finality(work, &mut mesh, figures)?;
    let flood = mesh.flood(FLOOD)?;
    figures.push(throughput(&flood, limits)?);

    let (elapsed, cpu, blocks) = mesh.catch_up()?;
    let ballots = ballots + flood.ballots;
    let thousands = f64::from(u32::try_from(ballots)?) / 1e3;
    let per_second = thousands / elapsed.as_secs_f64();
    let catch_up = expected("catchup_over_limit", per_second / limits.blocks)
        .note(format!("{ballots} ballots in {blocks} blocks in {:.2} s", elapsed.as_secs_f64()))
        .part("blocks_of_1000_per_second", per_second)
        .part("blocks_of_1000_per_cpu_second", thousands / cpu.as_secs_f64());
    figures.push(catch_up);
    Ok(())
}

/// Writes of both sides in turn; yields how many ballots were cast.
fn finality(work: &Path, mesh: &mut Mesh, figures: &mut Vec<Figure>) -> Result<usize, Failure> {
    let mut etcd = Etcd::start(&work.join("etcd"))?;
    let mut voter = mesh.voter()?;
    let (mut puts, mut ballots) = (Latencies::default(), Latencies::default());
    Mesh::cast(&mut voter, WRITES_PER_TURN)?;
    let before = mesh.metrics()?;
    let cpu_before = (etcd.cpu()?, mesh.cpu()?);
    for _ in 0..TURNS {
        puts.extend(etcd.put(WRITES_PER_TURN)?);
        ballots.extend(Mesh::cast(&mut voter, WRITES_PER_TURN)?);
    }
    let parts = prometheus::breakdown(&before, &mesh.metrics()?, ballots.len());
    let (put, ballot) = (p50(&puts)?, p50(&ballots)?);
    let each_ms =
        |cpu: Duration| cpu.as_secs_f64() * 1e3 / f64::from(u32::try_from(ballots.len()).unwrap_or(1));
    let etcd_cpu = each_ms(etcd.cpu()?.saturating_sub(cpu_before.0));
    let mesh_cpu = each_ms(mesh.cpu()?.saturating_sub(cpu_before.1));
    let etcd = expected("etcd_put_p50_ms", put)
        .note(format!("{}; {}", etcd.chosen, puts.summary()))
        .part("p95_ms", puts.percentile_ms(95))
        .part("cpu_ms_per_put_of_all_members", etcd_cpu)
        .part("trials", etcd.trials.clone());
    let mut finality = expected("finality_p50_ms", ballot)
        .note(ballots.summary())
        .part("p95_ms", ballots.percentile_ms(95))
        .part("cpu_ms_per_ballot_of_all_validators", mesh_cpu);
    finality.parts.extend(parts);
    figures.extend([etcd, finality, expected("finality_over_etcd_p50", ballot / put)]);
    Ok(ballots.len() + WRITES_PER_TURN)
}

fn throughput(flood: &Flood, limits: &Limits) -> Result<Figure, Failure> {
    let ballots = f64::from(u32::try_from(flood.ballots)?);
    let rate = |cpu: &Duration| ballots / cpu.as_secs_f64();
    let mut others: Vec<f64> = flood.cpu.iter().skip(1).map(rate).collect();
    others.sort_by(f64::total_cmp);
    let median = *others.get(others.len() / 2).ok_or("there is no second validator")?;
    let entry = flood.cpu.first().map(rate);
    Ok(expected("ballots_over_verify_limit", median / limits.verifications())
        .note(format!(
            "{} ballots in {} blocks in {:.1} s",
            flood.ballots,
            flood.blocks,
            flood.elapsed.as_secs_f64()
        ))
        .part("ballots_per_second", ballots / flood.elapsed.as_secs_f64())
        .part("ballots_per_cpu_second_median_of_others", median)
        .part("ballots_per_cpu_second_where_they_came_in", entry))
}

fn expected(key: &'static str, value: f64) -> Figure {
    let (key, unit, aim) =
        EXPECTED.iter().find(|(known, ..)| *known == key).expect("the run's figures are listed");
    Figure::measured(key, unit, *aim, value)
}

fn p50(latencies: &Latencies) -> Result<f64, Failure> {
    latencies.percentile_ms(50).ok_or_else(|| "nothing was measured".into())
}
