//! Measures the figures by which a release is judged, against etcd and against the limits of the machine, in one run
//! on one disk: `make bench`. Prints a table and writes `target/bench/report.json`. A figure that could not be
//! measured is said to be missing, and the run fails.

#[path = "figures/etcd.rs"]
mod etcd;
#[path = "figures/machine.rs"]
mod machine;
#[path = "figures/report.rs"]
mod report;
#[path = "figures/statistics.rs"]
mod statistics;
#[path = "figures/verify.rs"]
mod verify;

use std::{error::Error, fs, path::Path, process::ExitCode};

use report::{Aim, Figure, Report};

/// Why a figure could not be measured.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Sequential writes of each side.
const WRITES: usize = 500;

fn main() -> ExitCode {
    match measure() {
        Ok(report) if report.figures.iter().all(|figure| figure.value.is_some()) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<Report, Failure> {
    let folder = machine::bench_folder();
    fs::create_dir_all(&folder)?;
    let work = tempfile::Builder::new().prefix("run-").tempdir_in(&folder)?;
    let mut report = Report::new(machine::facts(work.path())?);

    report.figures.extend(limits()?);
    report.figures.extend(peer(work.path())?);

    report.write(&folder.join("report.json"))?;
    print!("{}", report.table());
    Ok(report)
}

/// What one core can check when it does nothing else.
fn limits() -> Result<Vec<Figure>, Failure> {
    let rates = verify::batch_rates()?;
    let best =
        rates.iter().max_by(|a, b| a.per_cpu_second.total_cmp(&b.per_cpu_second)).ok_or("no batch size")?;
    let mut verify = Figure::measured("verify_limit_per_cpu_second", "", Aim::None, best.per_cpu_second)
        .note(format!("signatures in batches of {}, every one of another key", best.batch));
    for rate in &rates {
        verify = verify.part(&format!("batch_of_{}", rate.batch), rate.per_cpu_second);
    }
    let blocks = Figure::measured("block_limit_per_cpu_second", "", Aim::None, verify::block_rate()?)
        .note(format!("blocks of {} ballots, hashed and verified only", verify::BALLOTS_PER_BLOCK));
    Ok(vec![verify, blocks])
}

/// The peer alone.
fn peer(work: &Path) -> Result<Vec<Figure>, Failure> {
    let mut etcd = etcd::Etcd::start(&work.join("etcd"))?;
    let cpu_before = etcd.cpu()?;
    let puts = etcd.put(WRITES)?;
    let cpu = etcd.cpu()?.saturating_sub(cpu_before);
    let p50 = puts.percentile_ms(50).ok_or("no put was made")?;
    let figure = Figure::measured("etcd_put_p50_ms", "ms", Aim::None, p50)
        .note(format!("{}; {}", etcd.chosen, puts.summary()))
        .part("p95_ms", puts.percentile_ms(95))
        .part("cpu_ms_per_put_all_members", cpu.as_secs_f64() * 1e3 / 500.0)
        .part("trials", etcd.trials.clone());
    Ok(vec![figure])
}
