//! Owns the story of `althing dev --demo` as it is measured: one run of the release binary, with the executors' own
//! metrics read before it ends.

use std::{
    path::Path,
    process::{Command, ExitStatus},
    time::Duration,
};

use althing_chaos::process::{Process, mesh::ProcessMesh};

use super::{
    Failure,
    prometheus::Histogram,
    report::{Expected, Figure},
};

/// Longest time for the story; far beyond its aim, so that a miss is measured too.
const STORY_TIMEOUT: Duration = Duration::from_mins(5);
/// Longest time for the mesh and its services to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Time from a step's order to the call of its provider.
const DUE_TO_PROVIDER: &str = "althing_executor_due_to_provider_seconds";

/// What the story told of itself.
struct Told {
    first_block_ms: f64,
    total_ms: f64,
    metrics: String,
}

/// What one run of the story brings.
pub(crate) const EXPECTED: [Expected; 3] =
    [Expected::DEV_FIRST_BLOCK, Expected::DUE_TO_PROVIDER, Expected::DEMO];

/// Runs the story once.
pub(crate) fn measure(binary: &Path, folder: &Path, figures: &mut Vec<Figure>) -> Result<(), Failure> {
    let told = run(binary, folder)?;
    let first_block = Expected::DEV_FIRST_BLOCK
        .measured(told.first_block_ms)
        .note("four validators and an auditor in one process, keys and files written first");
    figures.push(first_block);
    figures.push(Expected::DEMO.measured(told.total_ms / 1e3).note("the whole story, by its own clock"));
    figures.push(due_to_provider(&told.metrics)?);
    Ok(())
}

fn due_to_provider(metrics: &str) -> Result<Figure, Failure> {
    let histogram = Histogram::read(metrics, DUE_TO_PROVIDER);
    let histogram = histogram.ok_or_else(|| format!("{DUE_TO_PROVIDER} holds no observation"))?;
    let (lower, upper, p95) = histogram.quantile(0.95);
    let (_, _, p50) = histogram.quantile(0.5);
    let bounds = format!("between {} and {} ms", lower * 1e3, upper * 1e3);
    Ok(Expected::DUE_TO_PROVIDER
        .measured(p95 * 1e3)
        .note(format!("{} steps of the story, with the claim of each; {bounds}", histogram.count()))
        .part("steps", histogram.count())
        .part("p50_ms", p50 * 1e3)
        .part("bucket_lower_ms", lower * 1e3)
        .part("bucket_upper_ms", upper * 1e3))
}

fn run(binary: &Path, folder: &Path) -> Result<Told, Failure> {
    let mut command = Command::new(binary);
    command.args(["dev", "--demo", "--keep", "-o", "json", "--dir"]).arg(folder);
    let mut story = Process::spawn("althing dev --demo", &mut command)?;
    let told = listen(&story, binary, folder);
    // The services of the story are its children: it has to end in order even when it cannot be measured.
    let ended = end(&mut story)?;
    let told = told?;
    if ended.success() { Ok(told) } else { Err(format!("the story ended with {ended}").into()) }
}

fn listen(story: &Process, binary: &Path, folder: &Path) -> Result<Told, Failure> {
    let total_ms = number(story, "total_ms")?;
    let first_block_ms = number(story, "first_block_ms")?;
    let mesh = ProcessMesh::open(binary, &folder.join("mesh"))?;
    let node = mesh.nodes().first().ok_or("the story's mesh has no node")?;
    Ok(Told { first_block_ms, total_ms, metrics: node.client().metrics()? })
}

fn end(story: &mut Process) -> Result<ExitStatus, Failure> {
    story.terminate()?;
    Ok(story.wait_for_end(STOP_TIMEOUT)?)
}

/// A number of the summary, of which each field has a line.
fn number(story: &Process, field: &str) -> Result<f64, Failure> {
    let line = story.wait_for_line(&format!("\"{field}\":"), STORY_TIMEOUT)?;
    let (_, value) = line.split_once(':').ok_or("a field has a colon")?;
    Ok(value.trim().trim_end_matches(',').parse()?)
}
