//! Owns the report for a terminal.

use std::fmt::Write as _;

use super::{Report, Trouble, seconds};

/// Writes the report.
pub(super) fn write(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _written = sections(report, &mut text);
    text
}

fn sections(report: &Report, text: &mut String) -> std::fmt::Result {
    let observers = report.nodes.len() - report.validators;
    writeln!(
        text,
        "{} for {} against {} validators and {observers} auditor; seed {}\n",
        report.fault,
        seconds(report.took_ms),
        report.validators,
        report.seed
    )?;
    writeln!(text, "What was broken")?;
    for trouble in &report.troubles {
        writeln!(text, "  {:>8}  {}", seconds(trouble.broken_ms), trouble.what())?;
        writeln!(text, "  {:>8}  {}", seconds(trouble.mended_ms), mended(trouble))?;
    }
    for left_out in &report.left_out {
        writeln!(text, "  not here  {}: {}; {}", left_out.mix, left_out.why, left_out.remedy)?;
    }
    load(report, text)?;
    writeln!(text, "\nWhat was promised, and what was seen")?;
    for verdict in &report.verdicts {
        let word = if verdict.holds { "holds" } else { "BROKEN" };
        writeln!(text, "  {word:<6}  {}: {}", verdict.id, verdict.promised)?;
        writeln!(text, "          {}", verdict.observed)?;
    }
    if !report.done_to.is_empty() {
        writeln!(text, "\nWhat the mesh keeps of it")?;
    }
    for done in &report.done_to {
        writeln!(text, "  {done}")?;
    }
    let outcome = match (report.passed, report.interrupted) {
        (true, false) => "Every promise was kept",
        (true, true) => "Every promise was kept, until it was interrupted",
        (false, _) => "A promise was broken",
    };
    writeln!(text, "\n{outcome}\nagain: {}", report.repeat)
}

fn load(report: &Report, text: &mut String) -> std::fmt::Result {
    let closed = report.sound_lives();
    writeln!(text, "\nWhat it did meanwhile")?;
    writeln!(
        text,
        "  {} ballots acknowledged of {}; {} times asked again for want of an answer",
        report.ballots.acknowledged, report.ballots.cast, report.ballots.unanswered
    )?;
    writeln!(
        text,
        "  {} of {} reads of a proposal answered; {} refused by a node that was behind or busy, {} without an answer",
        report.reads.answered, report.reads.asked, report.reads.refused, report.reads.unanswered
    )?;
    writeln!(text, "  {} proposals lived, {closed} of them to a sound end", report.lives.len())?;
    if let Some(frames) = report.frames {
        writeln!(
            text,
            "  {} frames passed, {} cut, {} lost, {} doubled, {} changed, {} held",
            frames.passed, frames.cut, frames.lost, frames.duplicated, frames.corrupted, frames.delayed
        )?;
    }
    let spread = |of: fn(&Trouble) -> Option<u64>| {
        let at = |percent| {
            report.percentile_ms(percent, of).map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms"))
        };
        format!("p50 {}, p95 {}, longest {}", at(50), at(95), at(100))
    };
    writeln!(text, "  from the mend to the next block: {}", spread(|trouble| trouble.next_block_ms))?;
    writeln!(text, "  from the mend to all nodes level: {}", spread(|trouble| trouble.caught_up_ms))?;
    let resumed = || report.troubles.iter().flat_map(|trouble| &trouble.resumed_ms);
    if let Some(longest) = resumed().max() {
        writeln!(
            text,
            "  work of killed executors went on: {} times, after {longest} ms at the latest",
            resumed().count()
        )?;
    }
    Ok(())
}

fn mended(trouble: &Trouble) -> String {
    let after = |took: Option<u64>| took.map_or_else(|| "never".to_owned(), |ms| format!("after {ms} ms"));
    let meanwhile = match (trouble.keeps_quorum, trouble.blocks_while_stalled) {
        (Some(false), Some(blocks)) => format!("{blocks} blocks without two thirds"),
        _ => format!("{} blocks meanwhile", trouble.blocks),
    };
    format!(
        "mended; {meanwhile}, next block {}, all level {}",
        after(trouble.next_block_ms),
        after(trouble.caught_up_ms)
    )
}
