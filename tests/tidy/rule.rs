//! Owns the rules over single files, each a function from a file to its findings.

use super::source::{SourceFile, is_word_start, line_of};

/// Longest file, without its tests, that can still be read in one sitting.
const FILE_LINES_MAX: usize = 500;

/// Names that say nothing about what a file owns.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "types", "common", "helpers", "helper", "misc"];

/// First folders of absolute paths that exist on one machine only.
const MACHINE_FOLDERS: [&str; 4] = ["home", "root", "Users", "work"];

/// A rule with its name, as it appears in a failure.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) check: fn(&SourceFile) -> Vec<Finding>,
}

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Every rule.
pub(crate) const RULES: [Rule; 11] = [
    Rule { name: "every Rust file opens with //!", check: opens_with_what_it_owns },
    Rule { name: "file names say what the file owns", check: is_named_for_what_it_owns },
    Rule { name: "lints are expected with a reason, never allowed", check: has_no_bare_allow },
    Rule { name: "contracts never panic on an answer", check: contracts_never_unwrap },
    Rule { name: "the product never unwraps", check: product_never_unwraps },
    Rule { name: "mailbox bounds are never bypassed", check: never_sends_past_the_bound },
    Rule { name: "tests wait for events, never for time", check: tests_never_sleep },
    Rule { name: "no path of one machine", check: names_no_machine_path },
    Rule { name: "metric names start with althing_", check: metrics_carry_the_prefix },
    Rule { name: "only the chaos command sees chaos", check: chaos_stays_in_its_command },
    Rule {
        name: "nothing is left for later, and files can be read in one sitting",
        check: is_finished_and_short,
    },
];

/// A module `tests` belongs to the file that declares it, which says what is tested.
fn opens_with_what_it_owns(file: &SourceFile) -> Vec<Finding> {
    let is_exempt = !file.is_rust() || (file.declared_for_tests && file.path.ends_with("/tests.rs"));
    let opens = is_exempt || file.text.starts_with("//! ");
    finding_if(!opens, file, 1, "open the file with `//!`: what it owns and what it refuses")
}

fn is_named_for_what_it_owns(file: &SourceFile) -> Vec<Finding> {
    let stems = file.path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
    let empty = stems.filter(|_| file.is_rust()).find(|stem| EMPTY_NAMES.contains(stem));
    let mut findings = Vec::new();
    if let Some(stem) = empty {
        findings.extend(finding_if(true, file, 1, &format!("`{stem}` does not say what the file owns")));
    }
    let is_mod = file.path.ends_with("/mod.rs");
    findings.extend(finding_if(is_mod, file, 1, "use foo.rs beside foo/ for the module's own file"));
    findings
}

fn has_no_bare_allow(file: &SourceFile) -> Vec<Finding> {
    let words = ["#[allow(", "#![allow("];
    find_each(file, &code_of(file), &words, "use #[expect(lint, reason = \"…\")]")
}

fn contracts_never_unwrap(file: &SourceFile) -> Vec<Finding> {
    let code = if file.path.starts_with("contracts/") { product_code_of(file) } else { String::new() };
    find_each(
        file,
        &code,
        &[".unwrap()", ".expect(", "panic!(", "unreachable!("],
        "return a Reject or an Error",
    )
}

fn product_never_unwraps(file: &SourceFile) -> Vec<Finding> {
    find_each(file, &product_code_of(file), &[".unwrap()"], "say why it cannot fail: expect(\"…\")")
}

fn never_sends_past_the_bound(file: &SourceFile) -> Vec<Finding> {
    let advice = "use try_send and count refusals, or send with a deadline";
    find_each(file, &code_of(file), &[".do_send("], advice)
}

fn tests_never_sleep(file: &SourceFile) -> Vec<Finding> {
    let code = if file.is_rust() { file.test_code() } else { String::new() };
    find_each(file, &code, &["sleep("], "wait for the event with a time limit")
}

fn names_no_machine_path(file: &SourceFile) -> Vec<Finding> {
    let needles = MACHINE_FOLDERS.map(|folder| format!("/{folder}/"));
    let needles: Vec<&str> = needles.iter().map(String::as_str).collect();
    let begins_a_path =
        |at: usize| !file.text[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}$~".contains(c));
    let found = occurrences(&file.text, &needles).into_iter().filter(|&(at, _)| begins_a_path(at));
    found.map(|(at, needle)| finding(file, at, &format!("`{needle}` exists on one machine only"))).collect()
}

fn metrics_carry_the_prefix(file: &SourceFile) -> Vec<Finding> {
    let code = if file.is_rust() { file.product_code() } else { String::new() };
    let calls = ["counter!(\"", "gauge!(\"", "histogram!(\""];
    let called = occurrences(&code, &calls).into_iter().map(|(at, call)| at + call.len());
    let names =
        called.chain(if file.path.ends_with("/metrics.rs") { public_texts(&code) } else { Vec::new() });
    let bare = names.filter(|&at| !file.text[at..].starts_with("althing_"));
    bare.map(|at| finding(file, at, "metric names start with althing_")).collect()
}

/// Where the text of each public string constant begins.
fn public_texts(code: &str) -> Vec<usize> {
    let typed = ": &str = \"";
    let is_public = |at: usize| code[..at].rsplit('\n').next().is_some_and(|line| line.starts_with("pub"));
    code.match_indices(typed).filter(|&(at, _)| is_public(at)).map(|(at, _)| at + typed.len()).collect()
}

fn chaos_stays_in_its_command(file: &SourceFile) -> Vec<Finding> {
    let elsewhere = file.path.starts_with("src/") && !file.path.starts_with("src/cli/chaos");
    let code = if elsewhere { code_of(file) } else { String::new() };
    find_each(file, &code, &["althing_chaos"], "only src/cli/chaos may use the chaos crate")
}

fn is_finished_and_short(file: &SourceFile) -> Vec<Finding> {
    let later = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["_to", "do:"].concat()];
    let later: Vec<&str> = later.iter().map(String::as_str).collect();
    let text = if file.is_rust() { file.text.as_str() } else { "" };
    let mut findings = find_each(file, text, &later, "finish it, or file an issue");
    let lines = if file.is_rust() { file.lines_without_tests() } else { 0 };
    let what = format!("{lines} lines without tests, at most {FILE_LINES_MAX}: split it by idea");
    findings.extend(finding_if(lines > FILE_LINES_MAX, file, 1, &what));
    findings
}

fn code_of(file: &SourceFile) -> String {
    if file.is_rust() { file.code() } else { String::new() }
}

fn product_code_of(file: &SourceFile) -> String {
    if file.is_rust() { file.product_code() } else { String::new() }
}

fn find_each(file: &SourceFile, text: &str, needles: &[&str], advice: &str) -> Vec<Finding> {
    let found = occurrences(text, needles).into_iter();
    found.map(|(at, needle)| finding(file, at, &format!("`{needle}`: {advice}"))).collect()
}

/// Where each needle stands; one that begins like a word is found at word starts only.
fn occurrences<'n>(text: &str, needles: &[&'n str]) -> Vec<(usize, &'n str)> {
    let find = |needle: &&'n str| {
        let needle = *needle;
        let is_word = needle.starts_with(char::is_alphanumeric);
        let at = text.match_indices(needle).map(|(at, _)| at);
        at.filter(|&at| !is_word || is_word_start(text, at)).map(|at| (at, needle)).collect::<Vec<_>>()
    };
    needles.iter().flat_map(find).collect()
}

fn finding(file: &SourceFile, at: usize, what: &str) -> Finding {
    Finding { path: file.path.clone(), line: line_of(&file.text, at), what: what.to_owned() }
}

fn finding_if(broken: bool, file: &SourceFile, line: usize, what: &str) -> Vec<Finding> {
    let found = broken.then(|| Finding { path: file.path.clone(), line, what: what.to_owned() });
    found.into_iter().collect()
}

mod planted {
    use super::*;

    fn breaks(check: fn(&SourceFile) -> Vec<Finding>, path: &str, text: &str) -> bool {
        !check(&SourceFile::new(path, text)).is_empty()
    }

    #[test]
    fn a_file_without_its_opening_sentence_is_found() {
        assert!(breaks(opens_with_what_it_owns, "src/a.rs", "use x;"));
        assert!(!breaks(opens_with_what_it_owns, "src/a.rs", "//! Owns a."));
        assert!(!breaks(opens_with_what_it_owns, "README.md", "# a"));
    }

    #[test]
    fn an_empty_name_is_found() {
        assert!(breaks(is_named_for_what_it_owns, "src/utils.rs", ""));
        assert!(breaks(is_named_for_what_it_owns, "src/common/a.rs", ""));
        assert!(breaks(is_named_for_what_it_owns, "src/a/mod.rs", ""));
        assert!(!breaks(is_named_for_what_it_owns, "src/a.rs", ""));
    }

    #[test]
    fn a_bare_allow_is_found_and_a_comment_about_it_is_not() {
        assert!(breaks(has_no_bare_allow, "src/a.rs", "#[allow(dead_code)]"));
        assert!(breaks(has_no_bare_allow, "src/a.rs", "#![allow(dead_code)]"));
        assert!(!breaks(has_no_bare_allow, "src/a.rs", "// #[allow(dead_code)]"));
        assert!(!breaks(has_no_bare_allow, "src/a.rs", "#[expect(dead_code, reason = \"…\")]"));
    }

    #[test]
    fn a_panic_in_contracts_is_found_outside_tests() {
        assert!(breaks(contracts_never_unwrap, "contracts/src/a.rs", "fn a() { b.unwrap(); }"));
        assert!(breaks(contracts_never_unwrap, "contracts/src/a.rs", "fn a() { b.expect(\"c\"); }"));
        assert!(breaks(contracts_never_unwrap, "contracts/src/a.rs", "fn a() { panic!(); }"));
        assert!(!breaks(
            contracts_never_unwrap,
            "contracts/src/a.rs",
            "#[cfg(test)] mod t { fn a() { b.unwrap(); } }"
        ));
    }

    #[test]
    fn an_unwrap_in_the_product_is_found() {
        assert!(breaks(product_never_unwraps, "actors/src/a.rs", "fn a() { b.unwrap(); }"));
        assert!(!breaks(product_never_unwraps, "actors/src/a.rs", "fn a() { b.expect(\"c\"); }"));
        assert!(!breaks(product_never_unwraps, "tests/a.rs", "fn a() { b.unwrap(); }"));
    }

    #[test]
    fn a_send_past_the_bound_is_found() {
        assert!(breaks(never_sends_past_the_bound, "actors/src/a.rs", "address.do_send(x)"));
        assert!(!breaks(never_sends_past_the_bound, "actors/src/a.rs", "address.try_send(x)"));
    }

    #[test]
    fn a_sleep_is_found_in_tests_only() {
        assert!(breaks(tests_never_sleep, "tests/a.rs", "std::thread::sleep(x)"));
        let inline = "#[cfg(test)] mod tests { async fn a() { tokio::time::sleep(x).await } }";
        assert!(breaks(tests_never_sleep, "actors/src/a.rs", inline));
        assert!(!breaks(tests_never_sleep, "actors/src/a.rs", "tokio::time::sleep(x).await"));
        assert!(!breaks(tests_never_sleep, "tests/a.rs", "fn does_not_sleep() { asleep(x) }"));
    }

    #[test]
    fn a_machine_path_is_found_in_any_text() {
        for folder in MACHINE_FOLDERS {
            assert!(breaks(names_no_machine_path, "docs/a.md", &format!("see /{folder}/someone/notes")));
        }
        assert!(!breaks(names_no_machine_path, "docs/a.md", "see docs/work/notes"));
    }

    #[test]
    fn a_metric_without_the_prefix_is_found() {
        assert!(breaks(
            metrics_carry_the_prefix,
            "actors/src/a.rs",
            "fn a() { counter!(\"blocks_total\"); }"
        ));
        let name = "pub const BLOCKS_TOTAL: &str = \"blocks_total\";";
        assert!(breaks(metrics_carry_the_prefix, "actors/src/a/metrics.rs", name));
        let name = "pub const BLOCKS_TOTAL: &str = \"althing_blocks_total\";";
        assert!(!breaks(metrics_carry_the_prefix, "actors/src/a/metrics.rs", name));
    }

    #[test]
    fn chaos_in_another_command_is_found() {
        assert!(breaks(chaos_stays_in_its_command, "src/wiring.rs", "use althing_chaos::run;"));
        assert!(!breaks(chaos_stays_in_its_command, "src/cli/chaos.rs", "use althing_chaos::run;"));
    }

    #[test]
    fn a_long_or_unfinished_file_is_found() {
        let later = ["// TO", "DO"].concat();
        assert!(breaks(is_finished_and_short, "src/a.rs", &later));
        assert!(breaks(is_finished_and_short, "src/a.rs", &"x;\n".repeat(FILE_LINES_MAX + 1)));
        assert!(!breaks(is_finished_and_short, "src/a.rs", &"x;\n".repeat(FILE_LINES_MAX)));
    }
}
