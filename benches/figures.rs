//! Measures the figures by which a release is judged, against etcd and against the limits of the machine, in one run
//! on one disk: `make bench`. Prints a table and writes `target/bench/report.json`. A figure that could not be
//! measured is said to be missing, and the run fails.

#[path = "figures/etcd.rs"]
mod etcd;
#[path = "figures/ledger.rs"]
mod ledger;
#[path = "figures/limit.rs"]
mod limit;
#[path = "figures/machine.rs"]
mod machine;
#[path = "figures/mesh.rs"]
mod mesh;
#[path = "figures/prometheus.rs"]
mod prometheus;
#[path = "figures/report.rs"]
mod report;
#[path = "figures/run.rs"]
mod run;
#[path = "figures/statistics.rs"]
mod statistics;
#[path = "figures/verify.rs"]
mod verify;

use std::{error::Error, fs, process::ExitCode};

use report::Report;

/// Why a figure could not be measured.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match measure() {
        Ok(report) if report.figures.iter().all(|figure| figure.value.is_some()) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}", told(&*error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn measure() -> Result<Report, Failure> {
    let folder = machine::bench_folder();
    fs::create_dir_all(&folder)?;
    let work = tempfile::Builder::new().prefix("run-").tempdir_in(&folder)?;
    let mut report = Report::new(machine::facts(work.path())?);
    let limits = limit::Limits::measure()?;
    report.figures.extend(limits.figures());
    report.figures.extend(run::mesh_against_etcd(work.path(), &limits));
    report.write(&folder.join("report.json"))?;
    print!("{}", report.table());
    Ok(report)
}
