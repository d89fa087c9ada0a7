//! Owns lengths of time on the command line.

use std::{fmt, str::FromStr, time::Duration};

/// A length of time such as `500ms`, `30s`, `5m`, `2h` or `30d`; a unit is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(pub Duration);

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Why a text is no length of time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("write it as a whole number with ms, s, m, h or d, for example 30s")]
pub struct TimeoutError;

impl FromStr for Timeout {
    type Err = TimeoutError;

    fn from_str(text: &str) -> Result<Self, TimeoutError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(TimeoutError),
        };
        let number: u64 = number.parse().map_err(|_| TimeoutError)?;
        number.checked_mul(unit_ms).map(|ms| Self(Duration::from_millis(ms))).ok_or(TimeoutError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_required() {
        let seconds = |text: &str| text.parse::<Timeout>().map(|timeout| timeout.0.as_millis());
        assert_eq!(seconds("500ms"), Ok(500));
        assert_eq!(seconds("30s"), Ok(30_000));
        assert_eq!(seconds("5m"), Ok(300_000));
        assert_eq!(seconds("30d"), Ok(2_592_000_000));
        for wrong in ["", "30", "s", "-1s", "1.5s", "1w", "99999999999999999h"] {
            assert_eq!(seconds(wrong), Err(TimeoutError), "{wrong:?}");
        }
    }
}
