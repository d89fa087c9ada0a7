//! Measures the figures by which a release is judged, against etcd and against the limits of the machine, in one run
//! on one disk: `make bench`. Prints a table and writes `target/bench/report.json`. A figure that could not be
//! measured is said to be missing, and the run fails. `--cold-build` adds a build from nothing, which takes minutes;
//! `--short` makes every figure of so little that it says only whether the measurement works; `--finality` measures
//! only finality against etcd, `--throughput` only the limits, the flood and the catching up, for whoever works on them;
//! `--governance` what the rules cost on a ledger with a long past.

#[path = "figures/breakdown.rs"]
mod breakdown;
#[path = "figures/build.rs"]
mod build;
#[path = "figures/demo.rs"]
mod demo;
#[path = "figures/etcd.rs"]
mod etcd;
#[path = "figures/governance.rs"]
mod governance;
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

use std::{error::Error, fs, path::Path, process::ExitCode};

use report::{Expected, Report};
use run::Scale;

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
    let options = Options::read(std::env::args().skip(1))?;
    let binary = Path::new(env!("CARGO_BIN_EXE_althing"));
    let folder = machine::bench_folder();
    fs::create_dir_all(&folder)?;
    let work = tempfile::Builder::new().prefix("run-").tempdir_in(&folder)?;
    let mut report = Report::new(machine::facts(work.path())?);
    let limits = match options.only {
        Some(Part::Finality) => {
            report.add_all(&run::EXPECTED_OF_FINALITY, |figures| {
                run::finality_against_etcd(binary, work.path(), options.scale, figures)
            });
            return finished(report, &folder.join("report-finality.json"));
        }
        Some(Part::Governance) => {
            report.add_all(&governance::EXPECTED, |figures| governance::measure(options.scale, figures));
            return finished(report, &folder.join("report-governance.json"));
        }
        Some(Part::Throughput) | None => limit::Limits::measure(options.scale)?,
    };
    report.figures.extend(limits.figures());
    if options.only.is_some() {
        report.add_all(&run::EXPECTED_OF_THROUGHPUT, |figures| {
            run::throughput_alone(binary, work.path(), &limits, options.scale, figures)
        });
        return finished(report, &folder.join("report-throughput.json"));
    }
    report.add_all(&demo::EXPECTED, |figures| demo::measure(binary, &work.path().join("demo"), figures));
    report.add_all(&run::EXPECTED, |figures| {
        run::mesh_against_etcd(binary, work.path(), &limits, options.scale, figures)
    });
    report.add(Expected::BINARY, build::binary_size(binary));
    if options.has_cold_build {
        report.add(Expected::COLD_BUILD, build::cold_build(work.path()));
    }
    finished(report, &folder.join(options.scale.report_name))
}

/// Writes and shows what was measured.
fn finished(report: Report, file: &Path) -> Result<Report, Failure> {
    report.write(file)?;
    print!("{}", report.table());
    Ok(report)
}

/// What was asked for.
struct Options {
    scale: Scale,
    has_cold_build: bool,
    /// One part instead of everything.
    only: Option<Part>,
}

/// What is measured by itself, for whoever works on it.
enum Part {
    Finality,
    Throughput,
    Governance,
}

impl Options {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut options = Self { scale: Scale::WHOLE, has_cold_build: false, only: None };
        for argument in arguments {
            match argument.as_str() {
                "--cold-build" => options.has_cold_build = true,
                "--finality" => options.only = Some(Part::Finality),
                "--throughput" => options.only = Some(Part::Throughput),
                "--governance" => options.only = Some(Part::Governance),
                "--short" => options.scale = Scale::SHORT,
                // Cargo gives it to every benchmark.
                "--bench" => {}
                other => {
                    let known = "--cold-build, --finality, --governance, --short and --throughput";
                    return Err(format!("`{other}` is not known here; there are {known}").into());
                }
            }
        }
        Ok(options)
    }
}
