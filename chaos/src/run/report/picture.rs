//! Owns the timeline as a picture: a lane for each node with what was broken there and its height, and one for the lives of
//! proposals. Colour is never alone: everything has a title, and trouble is hatched.

use std::fmt::Write as _;

use super::{Report, Trouble, seconds};

/// Sizes in the picture's own unit.
const LEFT: u64 = 96;
const WIDTH: u64 = 1000;
const LANE: u64 = 46;
const GAP: u64 = 8;
const TOP: u64 = 26;
const LIVES: u64 = 34;
/// Ticks of the time axis.
const TICKS_MAX: u64 = 12;

/// Draws the timeline.
pub(super) fn draw(report: &Report) -> String {
    let mut svg = String::new();
    let lanes = report.nodes.len() as u64;
    let height = TOP + lanes * (LANE + GAP) + LIVES + 40;
    // Writing to a string cannot fail.
    let _written = write!(
        svg,
        "<svg viewBox=\"0 0 {} {height}\" role=\"img\" aria-label=\"Timeline: what was broken at each node, and its height\">\
         <defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <rect width=\"6\" height=\"6\" class=\"bad\"/><line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" class=\"line\"/></pattern></defs>",
        LEFT + WIDTH + 12
    )
    .and_then(|()| axis(report, height, &mut svg))
    .and_then(|()| lanes_of(report, &mut svg))
    .and_then(|()| lives(report, TOP + lanes * (LANE + GAP), &mut svg))
    .and_then(|()| svg.write_str("</svg>"));
    svg
}

fn axis(report: &Report, height: u64, svg: &mut String) -> std::fmt::Result {
    let step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600].map(|seconds| seconds * 1000);
    let step = step.into_iter().find(|step| report.took_ms / step <= TICKS_MAX).unwrap_or(3_600_000);
    for tick in 0..=report.took_ms / step {
        let x = x_of(report, tick * step);
        write!(
            svg,
            "<line x1=\"{x}\" y1=\"{TOP}\" x2=\"{x}\" y2=\"{}\" class=\"tick\"/><text x=\"{x}\" y=\"{}\" class=\"small mid\">{}</text>",
            height - 34,
            height - 18,
            seconds(tick * step)
        )?;
    }
    Ok(())
}

fn lanes_of(report: &Report, svg: &mut String) -> std::fmt::Result {
    let top_height = report.heights.iter().flatten().map(|(_, height)| *height).max().unwrap_or(1).max(1);
    for (at, name) in report.nodes.iter().enumerate() {
        let y = TOP + at as u64 * (LANE + GAP);
        write!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{LANE}\" class=\"lane\"/><text x=\"{}\" y=\"{}\" class=\"name\">{}</text>",
            LEFT - 8,
            y + LANE / 2 + 4,
            escape(name)
        )?;
        for trouble in report.troubles.iter().filter(|trouble| trouble.nodes.contains(&at)) {
            trouble_at(report, trouble, y, svg)?;
        }
        let points = report.heights.get(at).map(Vec::as_slice).unwrap_or_default();
        let point = |(ms, height): &(u64, u64)| {
            format!("{},{}", x_of(report, *ms), y + LANE - 3 - (LANE - 6) * height / top_height)
        };
        let line: Vec<_> = points.iter().map(point).collect();
        write!(
            svg,
            "<polyline points=\"{}\" class=\"height\"><title>height of {}</title></polyline>",
            line.join(" "),
            escape(name)
        )?;
    }
    Ok(())
}

fn trouble_at(report: &Report, trouble: &Trouble, y: u64, svg: &mut String) -> std::fmt::Result {
    let (from, to) = (x_of(report, trouble.broken_ms), x_of(report, trouble.mended_ms));
    let level = trouble.caught_up_ms.map_or(to, |ms| x_of(report, trouble.mended_ms + ms));
    write!(
        svg,
        "<g><title>{}. {}: {} to {}; next block after {} ms</title>\
         <rect x=\"{from}\" y=\"{y}\" width=\"{}\" height=\"{LANE}\" class=\"trouble\"/>\
         <rect x=\"{to}\" y=\"{y}\" width=\"{}\" height=\"{LANE}\" class=\"mending\"/>\
         <text x=\"{}\" y=\"{}\" class=\"small\">{}</text></g>",
        trouble.number,
        escape(&trouble.what()),
        seconds(trouble.broken_ms),
        seconds(trouble.mended_ms),
        trouble.next_block_ms.map_or_else(|| "–".to_owned(), |ms| ms.to_string()),
        (to - from).max(2),
        level - to,
        from + 2,
        y + 11,
        trouble.number
    )
}

fn lives(report: &Report, y: u64, svg: &mut String) -> std::fmt::Result {
    write!(svg, "<text x=\"{}\" y=\"{}\" class=\"name\">proposals</text>", LEFT - 8, y + 18)?;
    for (at, life) in report.lives.iter().enumerate() {
        let (from, to) = (x_of(report, life.began_ms), x_of(report, life.ended_ms));
        let class = if life.stage == "closed" { "sound" } else { "unsound" };
        write!(
            svg,
            "<g><title>{} by {}: {}, {} to {}</title><rect x=\"{from}\" y=\"{}\" width=\"{}\" height=\"18\" rx=\"3\" class=\"{class}\"/>\
             <text x=\"{}\" y=\"{}\" class=\"small\">{}</text></g>",
            escape(life.proposal.get(..8).unwrap_or("–")),
            escape(&life.author),
            escape(&life.stage),
            seconds(life.began_ms),
            seconds(life.ended_ms),
            y + 5,
            (to.saturating_sub(from)).max(2),
            from + 4,
            y + 18,
            at + 1
        )?;
    }
    Ok(())
}

fn x_of(report: &Report, ms: u64) -> u64 {
    LEFT + (WIDTH * ms.min(report.took_ms)).checked_div(report.took_ms).unwrap_or(0)
}

/// Text that stands in a page as it is.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
