//! Owns the report as one page of HTML that needs nothing else: no script, no font, no network.

use std::fmt::Write as _;

use super::{
    Report, Trouble,
    picture::{draw, escape},
    seconds,
};

const STYLE: &str = include_str!("page.css");

/// Writes the page.
pub(super) fn write(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _written = sections(report, &mut page);
    page
}

fn sections(report: &Report, page: &mut String) -> std::fmt::Result {
    let (class, outcome) =
        if report.passed { ("holds", "every promise was kept") } else { ("broken", "a promise was broken") };
    write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Chaos: {fault}, seed {seed}</title><style>{STYLE}</style></head><body>\
         <h1>Chaos: {fault}</h1><p class=\"lead\">{} validators and {} auditor, {} · seed {seed} · althing {}{}</p>\
         <p><span class=\"outcome {class}\">{outcome}</span></p>",
        report.validators,
        report.nodes.len() - report.validators,
        seconds(report.took_ms),
        report.program,
        if report.interrupted { " · interrupted" } else { "" },
        fault = report.fault,
        seed = report.seed,
    )?;
    figures(report, page)?;
    write!(
        page,
        "<h2>Timeline</h2><p class=\"lead\">Hatched: broken there, by number. Plain band after it: until all nodes were level. \
         Line: the node's height. Below: lives of proposals; dashed ones did not end as closed.</p><div class=\"scroll\">{}</div>",
        draw(report)
    )?;
    verdicts(report, page)?;
    troubles(report, page)?;
    left_out(report, page)?;
    done_to(report, page)?;
    write!(page, "<h2>Again</h2><p><code>{}</code></p></body></html>", escape(&report.repeat))
}

fn figures(report: &Report, page: &mut String) -> std::fmt::Result {
    let closed = report.sound_lives();
    let blocks = report.heights.iter().flatten().map(|(_, height)| *height).max().unwrap_or(0);
    let at = |percent, of: fn(&Trouble) -> Option<u64>| {
        report.percentile_ms(percent, of).map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms"))
    };
    write!(page, "<ul class=\"figures\">")?;
    for (value, what) in [
        (report.troubles.len().to_string(), "times broken and mended"),
        (blocks.to_string(), "blocks"),
        (report.ballots.acknowledged.to_string(), "acknowledged ballots"),
        (format!("{} of {}", report.reads.answered, report.reads.asked), "reads answered"),
        (format!("{closed} of {}", report.lives.len()), "proposals lived to a sound end"),
        (at(95, |trouble| trouble.next_block_ms), "mend to next block, p95"),
        (at(95, |trouble| trouble.caught_up_ms), "mend to all level, p95"),
    ] {
        write!(page, "<li><b>{value}</b>{what}</li>")?;
    }
    write!(page, "</ul>")
}

fn verdicts(report: &Report, page: &mut String) -> std::fmt::Result {
    write!(page, "<h2>Promised and seen</h2><table><tr><th>Promise<th>Verdict<th>Seen</tr>")?;
    for verdict in &report.verdicts {
        let (class, word) = if verdict.holds { ("holds", "holds") } else { ("broken", "BROKEN") };
        write!(
            page,
            "<tr><td><b>{}</b><br>{}<td class=\"{class}\">{word}<td>{}</tr>",
            escape(verdict.id),
            escape(verdict.promised),
            escape(&verdict.observed)
        )?;
    }
    write!(page, "</table>")
}

fn troubles(report: &Report, page: &mut String) -> std::fmt::Result {
    write!(
        page,
        "<h2>What was broken when</h2><table><tr><th class=\"number\">#<th class=\"number\">From<th class=\"number\">To<th>What<th>Two thirds\
         <th class=\"number\">Blocks<th class=\"number\">Next block<th class=\"number\">All level</tr>"
    )?;
    for trouble in &report.troubles {
        let ms = |took: Option<u64>| took.map_or_else(|| "never".to_owned(), |ms| format!("{ms} ms"));
        write!(
            page,
            "<tr><td class=\"number\">{}<td class=\"number\">{}<td class=\"number\">{}<td>{}<td>{}<td class=\"number\">{}<td class=\"number\">{}<td class=\"number\">{}</tr>",
            trouble.number,
            seconds(trouble.broken_ms),
            seconds(trouble.mended_ms),
            escape(&trouble.what()),
            match trouble.keeps_quorum {
                Some(true) => "kept",
                Some(false) => "lost",
                None => "by the dice",
            },
            trouble.blocks_while_stalled.unwrap_or(trouble.blocks),
            ms(trouble.next_block_ms),
            ms(trouble.caught_up_ms)
        )?;
    }
    write!(page, "</table>")
}

fn left_out(report: &Report, page: &mut String) -> std::fmt::Result {
    if report.left_out.is_empty() {
        return Ok(());
    }
    write!(page, "<h2>Not done on this machine</h2><table><tr><th>Fault<th>Why<th>What to do</tr>")?;
    for left_out in &report.left_out {
        let (why, remedy) = (escape(&left_out.why), escape(&left_out.remedy));
        write!(page, "<tr><td>{}<td>{why}<td><code>{remedy}</code></tr>", escape(&left_out.mix))?;
    }
    write!(page, "</table>")
}

fn done_to(report: &Report, page: &mut String) -> std::fmt::Result {
    if report.done_to.is_empty() {
        return Ok(());
    }
    write!(page, "<h2>What the mesh keeps of it</h2><ul>")?;
    for done in &report.done_to {
        write!(page, "<li>{}</li>", escape(done))?;
    }
    write!(page, "</ul>")
}
