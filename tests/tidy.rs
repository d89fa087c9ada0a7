//! Owns the order of the house: what a reviewer would otherwise have to say again and again. Each rule is a function
//! over text that is itself tested with a planted violation.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/constitution.rs"]
mod constitution;
#[path = "tidy/failpoint.rs"]
mod failpoint;
#[path = "tidy/rule.rs"]
mod rule;
#[path = "tidy/source.rs"]
mod source;

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use source::SourceFile;

/// Functions longer than this are listed in the report; a transition table may be.
const FUNCTION_LINES_REPORTED: usize = 40;

/// Kinds of text files that the rules read.
const TEXT_ENDINGS: [&str; 12] =
    ["rs", "toml", "md", "sh", "yml", "yaml", "json", "html", "css", "js", "txt", "service"];

/// Folders that hold nothing of ours.
const SKIPPED_FOLDERS: [&str; 3] = ["target", ".git", "node_modules"];

fn tree() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(root, root, &mut files);
    let tests: BTreeSet<String> =
        files.iter().filter(|file| file.is_rust()).flat_map(SourceFile::test_modules).collect();
    for file in &mut files {
        file.declared_for_tests = tests.contains(&file.path);
    }
    assert!(files.len() > 20, "the repository was read");
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) {
    for entry in fs::read_dir(folder).expect("folders of the repository can be read") {
        let path = entry.expect("entries of the repository can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) {
            collect(root, &path, files);
        } else if path.is_file() && is_text(&path, &name) {
            let relative = path.strip_prefix(root).expect("entries are below the root");
            let text = fs::read_to_string(&path).expect("text files are UTF-8");
            files.push(SourceFile::new(&relative.to_string_lossy().replace('\\', "/"), &text));
        }
    }
}

fn is_text(path: &Path, name: &str) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.map_or(name == "Makefile" || name == "run", |ending| TEXT_ENDINGS.contains(&ending))
}

#[test]
fn every_file_keeps_every_rule() {
    let files = tree();
    let mut report = String::new();
    for rule in &rule::RULES {
        let findings: Vec<_> = files.iter().flat_map(rule.check).collect();
        if !findings.is_empty() {
            writeln!(report, "\n{}:", rule.name).expect("a string grows");
        }
        for finding in findings {
            writeln!(report, "  {finding}").expect("a string grows");
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn rooms_know_only_the_rooms_they_may() {
    let packages = arrows::ALLOWED.iter().map(|(package, _)| *package);
    let direct = |package| arrows::dependencies(package, "normal,build,dev", false);
    let forbidden: Vec<_> =
        packages.flat_map(|package| arrows::forbidden_arrows(package, &direct(package))).collect();
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

#[test]
fn contracts_stand_on_no_runtime_network_or_storage() {
    let closure = arrows::dependencies("althing-contracts", "normal,build", true);
    assert!(closure.contains("borsh"), "the tree was read");
    assert_eq!(arrows::barred(&closure), Vec::<String>::new());
}

#[test]
fn every_failpoint_stands_in_one_place_and_in_the_list() {
    let listed: Vec<&str> = althing_chaos::failpoint::POINTS.iter().map(|point| point.name).collect();
    let wrong = failpoint::disagreements(&failpoint::places(&tree()), &listed);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_release_is_built_without_failpoints() {
    let library = |kinds| arrows::dependencies("althing", kinds, true).contains("fail");
    assert!(library("normal,build,dev"), "the tests are built with them");
    assert!(!library("normal,build"), "a release is not");
}

#[test]
fn sizes_are_reported() {
    let files = tree();
    let rust = || files.iter().filter(|file| file.is_rust());
    let mut sizes: Vec<_> = rust().map(|file| (file.lines_without_tests(), file.path.clone())).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let mut report = String::from("lines without tests, longest files first\n");
    for (lines, path) in sizes.iter().take(20) {
        writeln!(report, "{lines:6}  {path}").expect("a string grows");
    }
    writeln!(report, "\nfunctions above {FUNCTION_LINES_REPORTED} lines").expect("a string grows");
    for file in rust() {
        for function in file.functions().into_iter().filter(|f| f.lines > FUNCTION_LINES_REPORTED) {
            let (lines, at) = (function.lines, function.first_line);
            writeln!(report, "{lines:6}  {}:{at} {}", file.path, function.name).expect("a string grows");
        }
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sizes.txt");
    fs::write(&path, &report).expect("the target directory can be written");
    println!("{report}");
}
