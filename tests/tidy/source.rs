//! Owns reading Rust text for the rules: what of a file is code, what is test, where functions begin and end.
//! Refuses to be a parser: it knows comments, literals, braces and `#[cfg(test)]`, which is all the rules ask.

use std::ops::Range;

/// One text file of the repository.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// Relative to the repository, with `/`.
    pub(crate) path: String,
    /// As it is on disk.
    pub(crate) text: String,
    /// Whether another file declares it as a module of tests only.
    pub(crate) declared_for_tests: bool,
}

/// What makes an item part of tests only; the second form adds a feature by which other crates' tests see it.
const TEST_ATTRIBUTES: [&str; 2] = ["#[cfg(test)]", "#[cfg(any(test, "];

/// A function and how long it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) first_line: usize,
    pub(crate) lines: usize,
}

impl SourceFile {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), declared_for_tests: false }
    }

    pub(crate) fn is_rust(&self) -> bool {
        std::path::Path::new(&self.path).extension().is_some_and(|ending| ending == "rs")
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.declared_for_tests || self.path.starts_with("tests/") || self.path.contains("/tests/")
    }

    /// Paths of the files that this one declares as modules of tests only: `a.rs` declares `a/b.rs`.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let code = self.code();
        let folder = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let folder = folder.strip_suffix("/lib").or_else(|| folder.strip_suffix("/main")).unwrap_or(folder);
        let declared = |item: &str| {
            let name = item.strip_suffix(';')?.rsplit_once("mod ")?.1.trim();
            Some(format!("{folder}/{name}.rs"))
        };
        test_ranges(&code).into_iter().filter_map(|range| declared(&code[range])).collect()
    }

    /// The text with comments and the contents of literals blanked; offsets stay as they are.
    pub(crate) fn code(&self) -> String {
        blank(&self.text, &inert_ranges(&self.text))
    }

    /// The code that ends up in the product: nothing of a test file, and no `#[cfg(test)]` item of another.
    pub(crate) fn product_code(&self) -> String {
        let code = self.code();
        if self.is_test() { blank_all(&code) } else { blank(&code, &test_ranges(&code)) }
    }

    /// The code that only tests run.
    pub(crate) fn test_code(&self) -> String {
        let code = self.code();
        if self.is_test() { code } else { blank_outside(&code, &test_ranges(&code)) }
    }

    /// Lines that are not inside a `#[cfg(test)]` item.
    pub(crate) fn lines_without_tests(&self) -> usize {
        let code = self.code();
        let tests: usize = test_ranges(&code).into_iter().map(|range| code[range].lines().count()).sum();
        self.text.lines().count() - tests
    }

    /// Every function with a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let code = self.code();
        let starts = code.match_indices("fn ").map(|(at, _)| at);
        starts.filter(|&at| is_word_start(&code, at)).filter_map(|at| function_at(&code, at)).collect()
    }
}

/// The line, counted from 1, that an offset is on.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Whether a word could begin at `at`.
pub(crate) fn is_word_start(code: &str, at: usize) -> bool {
    !code[..at].chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '_')
}

fn function_at(code: &str, at: usize) -> Option<Function> {
    let rest = &code[at + 3..];
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let end = item_end(code, at)?;
    let has_body = code[..end].ends_with('}') && !name.is_empty();
    has_body.then(|| Function { name, first_line: line_of(code, at), lines: code[at..end].lines().count() })
}

/// The ranges of items that only tests see, attribute included.
fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let attributes = TEST_ATTRIBUTES.iter().flat_map(|attribute| code.match_indices(attribute));
    let mut ranges: Vec<_> =
        attributes.filter_map(|(at, _)| Some(at..item_end(code, attribute_end(code, at)?)?)).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    ranges
}

fn attribute_end(code: &str, from: usize) -> Option<usize> {
    code[from..].find("]\n").or_else(|| code[from..].find(']')).map(|end| from + end + 1)
}

/// The end of the item that begins at `from`: its `;`, or the brace that closes its first block.
fn item_end(code: &str, from: usize) -> Option<usize> {
    let mut braces = 0_usize;
    let mut parens = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => parens += 1,
            b')' | b']' => parens = parens.saturating_sub(1),
            b'{' => braces += 1,
            b'}' if braces <= 1 => return Some(offset + 1),
            b'}' => braces -= 1,
            b';' if braces == 0 && parens == 0 => return Some(offset + 1),
            _ => {}
        }
    }
    None
}

/// The ranges of comments and of what stands between the quotes of literals.
fn inert_ranges(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (skipped, inert) = inert_at(rest, is_word_start(text, at));
        if let Some(range) = inert {
            ranges.push(at + range.start..at + range.end);
        }
        at += skipped.max(rest.chars().next().map_or(1, char::len_utf8));
    }
    ranges
}

/// What begins at the start of `rest`: how far to go on, and which part of it is inert.
fn inert_at(rest: &str, at_word_start: bool) -> (usize, Option<Range<usize>>) {
    if rest.starts_with("//") {
        let end = rest.find('\n').unwrap_or(rest.len());
        return (end, Some(0..end));
    }
    if rest.starts_with("/*") {
        let end = block_comment_end(rest);
        return (end, Some(0..end));
    }
    if at_word_start && let Some((open, close)) = raw_string(rest) {
        let end = rest[open..].find(&close).map_or(rest.len(), |found| open + found);
        return ((end + close.len()).min(rest.len()), Some(open..end));
    }
    if rest.starts_with('"') {
        let end = quoted_end(rest, '"');
        return ((end + 1).min(rest.len()), Some(1..end));
    }
    if rest.starts_with('\'') && is_char_literal(rest) {
        let end = quoted_end(rest, '\'');
        return ((end + 1).min(rest.len()), Some(1..end));
    }
    (0, None)
}

fn block_comment_end(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Of `r"…"`, `br#"…"#` and their kin: where the contents begin, and what closes them.
fn raw_string(rest: &str) -> Option<(usize, String)> {
    let body = rest.strip_prefix('b').or_else(|| rest.strip_prefix('c')).unwrap_or(rest).strip_prefix('r')?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    body[hashes..].starts_with('"').then(|| {
        let open = rest.len() - body.len() + hashes + 1;
        (open, format!("\"{}", "#".repeat(hashes)))
    })
}

/// The offset of the quote that closes the literal, or the end of the text.
fn quoted_end(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (offset, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return offset,
            _ => {}
        }
    }
    rest.len()
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn is_char_literal(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    matches!((chars.next(), chars.next()), (Some('\\'), _) | (Some(_), Some('\'')))
}

fn blank(text: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for byte in ranges.iter().flat_map(Clone::clone) {
        if bytes[byte] != b'\n' {
            bytes[byte] = b' ';
        }
    }
    String::from_utf8(bytes).expect("ranges begin and end between characters")
}

fn blank_all(text: &str) -> String {
    blank(text, std::slice::from_ref(&(0..text.len())))
}

fn blank_outside(text: &str, ranges: &[Range<usize>]) -> String {
    let mut outside = Vec::new();
    let mut from = 0;
    for range in ranges {
        outside.push(from..range.start);
        from = range.end;
    }
    outside.push(from..text.len());
    blank(text, &outside)
}

mod reading {
    use super::*;

    fn code(text: &str) -> String {
        SourceFile::new("src/x.rs", text).code()
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        assert_eq!(code("a // b\nc"), "a     \nc");
        assert_eq!(code("a /* b /* c */ */ d"), "a                 d");
        assert_eq!(code(r#"f("x\"y") + z"#), r#"f("    ") + z"#);
        assert_eq!(code("r#\"a\"b\"# + c"), "r#\"   \"# + c");
        assert_eq!(code("'\"' + x"), "' ' + x");
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    }

    #[test]
    fn test_items_are_told_from_the_product() {
        let file = SourceFile::new(
            "src/x.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { c(); }\n}\nfn d() {}",
        );
        assert!(file.product_code().contains("fn a") && file.product_code().contains("fn d"));
        assert!(!file.product_code().contains("fn b") && file.test_code().contains("fn b"));
        assert_eq!(file.lines_without_tests(), 2);
    }

    #[test]
    fn a_declared_test_module_ends_at_its_semicolon() {
        let file = SourceFile::new("src/x.rs", "#[cfg(test)]\nmod tests;\nfn a() {}");
        assert!(file.product_code().contains("fn a"));
    }

    #[test]
    fn a_test_file_has_no_product_code() {
        assert!(SourceFile::new("tests/a.rs", "fn a() {}").product_code().trim().is_empty());
    }

    #[test]
    fn modules_of_tests_are_followed_to_their_files() {
        let text = "#[cfg(test)]\nmod tests;\n#[cfg(any(test, feature = \"simulation\"))]\npub mod disk;\nmod product;";
        assert_eq!(
            SourceFile::new("a/src/log.rs", text).test_modules(),
            ["a/src/log/tests.rs", "a/src/log/disk.rs"]
        );
        assert_eq!(SourceFile::new("a/src/lib.rs", text).test_modules()[0], "a/src/tests.rs");
    }

    #[test]
    fn functions_are_measured_with_their_signature() {
        let file =
            SourceFile::new("src/x.rs", "trait T { fn no_body(a: [u8; 3]); }\nfn two(\n) { let x = '{'; }\n");
        assert_eq!(file.functions(), [Function { name: "two".into(), first_line: 2, lines: 2 }]);
    }
}
