//! Lines as trtexec writes them: `[11/20/2026-15:33:38] [I] Throughput: …`.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes lines with a time and a letter in front. What informs goes to standard output, what warns to standard error,
/// as trtexec has it.
pub(super) struct Log {
    verbose: bool,
    now: fn() -> SystemTime,
}

impl Log {
    pub fn new(verbose: bool) -> Self {
        Self { verbose, now: SystemTime::now }
    }

    /// What is always told.
    pub fn info(&self, text: impl Display) -> io::Result<()> {
        self.lines(&mut io::stdout().lock(), 'I', &text.to_string())
    }

    /// What is told with `--verbose`.
    pub fn verbose(&self, text: impl Display) -> io::Result<()> {
        if self.verbose { self.lines(&mut io::stdout().lock(), 'V', &text.to_string()) } else { Ok(()) }
    }

    /// What a user should know.
    pub fn warning(&self, text: impl Display) {
        // Nobody is there to be told that standard error is closed.
        let _ = self.lines(&mut io::stderr().lock(), 'W', &text.to_string());
    }

    /// Why there is no result.
    pub fn error(&self, text: impl Display) {
        let _ = self.lines(&mut io::stderr().lock(), 'E', &text.to_string());
    }

    /// A line by itself: what became of the run.
    pub fn verdict(&self, verdict: &str, command_line: &str) -> io::Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        writeln!(io::stdout().lock(), "&&&& {verdict} limpid.trtexec [limpid v{version}] # {command_line}")
    }

    fn lines(&self, out: &mut dyn Write, letter: char, text: &str) -> io::Result<()> {
        let time = timestamp((self.now)());
        // An empty text is an empty line.
        text.split('\n').try_for_each(|line| writeln!(out, "[{time}] [{letter}] {line}"))
    }
}

/// `11/20/2026-15:33:38`, in UTC: the standard library knows no time zones.
fn timestamp(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{month:02}/{day:02}/{year}-{hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar (Howard Hinnant, chrono-Compatible
/// Low-Level Date Algorithms, `civil_from_days`). Years are taken to begin in March, so that leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01 on, in eras of 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// A number as C++ streams print it, and trtexec with them: six digits that count, no zeros behind them.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { value.to_string() };
    }
    let scientific = format!("{value:.5e}");
    // What `e` prints has an exponent.
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return trimmed(&format!("{value:.*}", (5 - exponent) as usize)).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_trtexec_writes_them() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        // From `date -u -d @N`.
        assert_eq!(at(0), "01/01/1970-00:00:00");
        assert_eq!(at(951_827_696), "02/29/2000-12:34:56");
        assert_eq!(at(1_709_251_199), "02/29/2024-23:59:59");
        assert_eq!(at(1_709_251_200), "03/01/2024-00:00:00");
        assert_eq!(at(4_107_542_399), "02/28/2100-23:59:59");
        assert_eq!(at(4_107_542_400), "03/01/2100-00:00:00");
    }

    #[test]
    fn every_line_has_its_time_and_letter() {
        let log = Log { verbose: false, now: || UNIX_EPOCH };
        let mut out = Vec::new();
        log.lines(&mut out, 'I', "one\n\ntwo").expect("memory");
        let text = String::from_utf8(out).expect("text");
        let time = "[01/01/1970-00:00:00] [I] ";
        assert_eq!(text, format!("{time}one\n{time}\n{time}two\n"));
    }

    #[test]
    fn numbers_have_six_digits_that_count() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.878_540_4, "0.87854"),
            (1234.5678, "1234.57"),
            (123_456.7, "123457"),
            (1_234_567.0, "1.23457e+06"),
            (0.000_123_456_78, "0.000123457"),
            (0.000_012_345_678, "1.23457e-05"),
            (999_999.9, "1e+06"),
            (-2.5, "-2.5"),
            (100.0, "100"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
    }
}
