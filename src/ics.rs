//! Owns the calendar as a file: the part of iCalendar (RFC 5545) that a list of instants needs, in UTC, without recurrence. What
//! it writes comes from others, so no text of theirs can begin a line.

use std::fmt::Write as _;

use althing_contracts::quantity::TimeMs;

use crate::api::view::{
    calendar::DueView,
    time::{rfc3339, rfc5545},
};

/// The media type of a calendar.
pub const MEDIA_TYPE: &str = "text/calendar; charset=utf-8";
/// Most entries of one file: what calendars of people take, and some megabytes at most.
pub const ENTRIES_MAX: usize = 5_000;
/// Longest line in octets without its end (RFC 5545, 3.1).
const LINE_LEN_MAX: usize = 75;

/// Writes a calendar. Each entry is an instant without a length; one beyond the year 9999 has no place in such a file and is
/// left out.
pub fn write(dues: &[DueView], stamp: TimeMs) -> String {
    let stamp = rfc5545(stamp).unwrap_or_else(|| "99991231T235959Z".to_owned());
    let mut text = String::new();
    for (name, value) in [
        ("BEGIN", "VCALENDAR"),
        ("VERSION", "2.0"),
        ("PRODID", "-//Althing//Calendar//EN"),
        ("CALSCALE", "GREGORIAN"),
        ("METHOD", "PUBLISH"),
    ] {
        line(&mut text, name, value);
    }
    for due in dues {
        if let Some(start) = rfc5545(TimeMs::new(due.at_ms)) {
            event(&mut text, due, &stamp, &start);
        }
    }
    line(&mut text, "END", "VCALENDAR");
    text
}

fn event(text: &mut String, due: &DueView, stamp: &str, start: &str) {
    let awaits = due.awaits.as_ref().map(|role| format!("\nfalls to: {role}"));
    let description = format!(
        "{} {}{}\nexactly: {}",
        due.subject,
        due.id,
        awaits.unwrap_or_default(),
        rfc3339(TimeMs::new(due.at_ms))
    );
    line(text, "BEGIN", "VEVENT");
    line(text, "UID", &escaped(&due.uid));
    line(text, "DTSTAMP", stamp);
    line(text, "DTSTART", start);
    line(text, "SUMMARY", &escaped(&format!("{}: {}", due.occasion, due.title)));
    line(text, "DESCRIPTION", &escaped(&description));
    line(text, "TRANSP", "TRANSPARENT");
    line(text, "END", "VEVENT");
}

/// A text value (RFC 5545, 3.3.11). A line feed is kept in its escaped form; whatever else some reader may take for the end of
/// a line, or for nothing at all, becomes a space.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\u{2028}' | '\u{2029}' => out.push(' '),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A content line, folded so that no line is longer than its bound, between characters (RFC 5545, 3.1).
fn line(text: &mut String, name: &str, value: &str) {
    let mut len = 0;
    for c in name.chars().chain([':']).chain(value.chars()) {
        if len + c.len_utf8() > LINE_LEN_MAX {
            text.push_str("\r\n ");
            len = 1;
        }
        text.push(c);
        len += c.len_utf8();
    }
    // Writing to memory cannot fail.
    let _infallible = text.write_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(title: &str) -> DueView {
        DueView {
            uid: "voting-ends-3f9ac1@network".to_owned(),
            at_ms: 1_767_225_599_001,
            occasion: "voting-ends".to_owned(),
            subject: "proposal".to_owned(),
            id: "3f9ac1".to_owned(),
            title: title.to_owned(),
            awaits: Some("voter".to_owned()),
        }
    }

    /// Reads a calendar the way RFC 5545 says: unfold, then split into names and values.
    fn read(text: &str) -> Vec<(String, String)> {
        assert!(text.ends_with("\r\n"));
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        assert_eq!(text.matches('\r').count(), text.matches("\r\n").count());
        assert!(text.split("\r\n").all(|line| line.len() <= LINE_LEN_MAX), "{text}");
        let unfolded = text.replace("\r\n ", "");
        let lines = unfolded.trim_end_matches("\r\n").split("\r\n");
        lines
            .map(|line| line.split_once(':').expect("a name"))
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect()
    }

    fn unescaped(value: &str) -> String {
        let (mut out, mut chars) = (String::new(), value.chars());
        while let Some(c) = chars.next() {
            match (c, if c == '\\' { chars.next() } else { None }) {
                ('\\', Some('n')) => out.push('\n'),
                ('\\', Some(escaped)) => out.push(escaped),
                (c, _) => out.push(c),
            }
        }
        out
    }

    fn value(text: &str, name: &str) -> String {
        read(text).into_iter().find(|(found, _)| found == name).map(|(_, value)| unescaped(&value)).unwrap()
    }

    #[test]
    fn an_entry_is_an_event_in_utc() {
        let text = write(&[due("greeter 2, everywhere; now")], TimeMs::ZERO);
        assert_eq!(
            text,
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Althing//Calendar//EN\r\nCALSCALE:GREGORIAN\r\n\
             METHOD:PUBLISH\r\nBEGIN:VEVENT\r\nUID:voting-ends-3f9ac1@network\r\nDTSTAMP:19700101T000000Z\r\n\
             DTSTART:20251231T235959Z\r\nSUMMARY:voting-ends: greeter 2\\, everywhere\\; now\r\n\
             DESCRIPTION:proposal 3f9ac1\\nfalls to: voter\\nexactly: 2025-12-31T23:59:59.\r\n 001Z\r\n\
             TRANSP:TRANSPARENT\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        );
    }

    #[test]
    fn hostile_text_begins_no_line() {
        for title in [
            "x\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:evil",
            "x\rUID:evil",
            "x\nUID:evil",
            "x\u{85}UID:evil\u{b}\u{c}\u{2028}UID:evil\u{2029}\u{0}\u{7f}",
            "\\\\n\\;,:\"",
            "\\",
        ] {
            let mut hostile = due(title);
            hostile.uid = title.to_owned();
            hostile.id = title.to_owned();
            hostile.awaits = Some(title.to_owned());
            let text = write(&[hostile, due("second")], TimeMs::ZERO);
            let names: Vec<_> = read(&text).into_iter().map(|(name, _)| name).collect();
            let harmless: Vec<_> = read(&write(&[due("first"), due("second")], TimeMs::ZERO))
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            assert_eq!(names, harmless, "{title:?}");
            assert!(
                !text.replace("\r\n", "").contains(|c: char| c.is_control() || c == '\u{2028}'),
                "{title:?}"
            );
        }
        assert_eq!(value(&write(&[due("a\\b;c,d\ne")], TimeMs::ZERO), "SUMMARY"), "voting-ends: a\\b;c,d\ne");
    }

    #[test]
    fn long_lines_are_folded_between_characters_and_read_back() {
        for c in ["a", "é", "€", "𝄞", ",", "\\"] {
            for len in 0..200 {
                let title = format!("{}{}", "x".repeat(len % 4), c.repeat(len));
                assert_eq!(
                    value(&write(&[due(&title)], TimeMs::ZERO), "SUMMARY"),
                    format!("voting-ends: {title}")
                );
            }
        }
    }

    #[test]
    fn what_lies_beyond_four_digits_of_a_year_is_left_out() {
        let far = DueView { at_ms: u64::MAX, ..due("far") };
        let text = write(&[far, due("near")], TimeMs::MAX);
        assert_eq!(text.matches("BEGIN:VEVENT").count(), 1);
        assert_eq!(value(&text, "DTSTAMP"), "99991231T235959Z");
    }
}
