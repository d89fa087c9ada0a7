use super::*;

fn report(times: &[Option<u64>]) -> Report {
    let trouble = |(at, next_block_ms): (usize, &Option<u64>)| Trouble {
        number: at + 1,
        kinds: vec![Kind::KillOne],
        broken: vec!["kill -9 <acme>".to_owned()],
        nodes: vec![0],
        keeps_quorum: Some(true),
        broken_ms: 1000,
        mended_ms: 2000,
        blocks_while_stalled: None,
        blocks: 3,
        next_block_ms: *next_block_ms,
        caught_up_ms: *next_block_ms,
        resumed_ms: Vec::new(),
    };
    let promised = "nothing is done twice";
    let observed = "0/do took effect 2 times".to_owned();
    Report {
        version: REPORT_VERSION,
        passed: false,
        interrupted: false,
        fault: Fault::Kill,
        seed: 7,
        repeat: "althing chaos run kill --seed 7".to_owned(),
        program: "0.1.0",
        nodes: vec!["acme".to_owned(), "auditor-1".to_owned()],
        validators: 1,
        took_ms: 10_000,
        left_out: vec![LeftOut {
            mix: "cut-one".to_owned(),
            why: "it needs root".to_owned(),
            remedy: "run it as root".to_owned(),
        }],
        troubles: times.iter().enumerate().map(trouble).collect(),
        lives: Vec::new(),
        ballots: BallotCounts { cast: 3, acknowledged: 2, refused: 1, unanswered: 0 },
        reads: ReadCounts { asked: 9, answered: 6, refused: 2, unanswered: 1 },
        frames: None,
        heights: vec![vec![(0, 1), (5000, 9)], Vec::new()],
        verdicts: vec![Verdict { id: "effects-once", promised, observed, holds: false }],
        done_to: vec!["its ledger keeps every block".to_owned()],
    }
}

#[test]
fn a_percentile_is_the_nearest_rank() {
    let times: Vec<_> = (1..=20).map(Some).collect();
    let report = report(&times);
    let at = |percent| report.percentile_ms(percent, |trouble| trouble.next_block_ms);
    assert_eq!((at(50), at(95), at(100)), (Some(10), Some(19), Some(20)));
    assert_eq!(super::tests::report(&[]).percentile_ms(95, |trouble| trouble.next_block_ms), None);
}

#[test]
fn text_and_page_say_what_broke_and_how_to_do_it_again() {
    let report = report(&[Some(5), None]);
    for shown in [report.text(), report.page()] {
        for said in [
            "BROKEN",
            "effects-once",
            "0/do took effect 2 times",
            "never",
            "cut-one",
            "run it as root",
            "6 of 9",
            "its ledger keeps every block",
            &report.repeat,
        ] {
            assert!(shown.contains(said), "no {said} in {shown}");
        }
    }
}

#[test]
fn a_page_stands_alone_and_takes_no_text_for_markup() {
    let page = report(&[Some(5)]).page();
    assert!(page.contains("kill -9 &lt;acme&gt;") && !page.contains("<acme>"));
    assert!(!page.contains("http") && !page.contains("<script"));
    assert_eq!(page.matches("<svg").count(), 1);
}
