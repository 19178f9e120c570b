//! Numbers as people read them.

/// Bytes in decimal units: `45.7 MB`.
pub(super) fn bytes(count: u64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.into_iter().find(|(unit, _)| count as f64 >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", count as f64 / unit),
        None => format!("{count} B"),
    }
}

/// A duration given in µs, with three digits that count: `812 µs`, `12.3 ms`, `2.50 s`.
pub(super) fn duration(microseconds: f64) -> String {
    let (value, unit) = match microseconds {
        us if us >= 1e6 => (us / 1e6, "s"),
        us if us >= 1e3 => (us / 1e3, "ms"),
        us => (us, "µs"),
    };
    let digits = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

/// `1 node`, `2 nodes`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        assert_eq!(duration(9.876), "9.88 µs");
        assert_eq!(duration(812.4), "812 µs");
        assert_eq!(duration(12_345.0), "12.3 ms");
        assert_eq!(duration(2_500_000.0), "2.50 s");
    }

    #[test]
    fn bytes_are_decimal() {
        assert_eq!((bytes(999).as_str(), bytes(45_700_000).as_str()), ("999 B", "45.7 MB"));
    }
}
