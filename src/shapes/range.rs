use super::ShapeError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The extents one open dim may have, from `min` to `max`, both included; `opt` is the one that counts most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    min: usize,
    opt: usize,
    max: usize,
}

impl Range {
    /// What a batch may be where nothing is said of it.
    pub const BATCH: Self = Self { min: 1, opt: 1, max: 32 };

    /// From `min` to `max`.
    ///
    /// # Errors
    /// [`ShapeError::Disorder`] unless 1 <= min <= opt <= max.
    pub fn new(min: usize, opt: usize, max: usize) -> Result<Self, ShapeError> {
        match 1 <= min && min <= opt && opt <= max {
            true => Ok(Self { min, opt, max }),
            false => Err(ShapeError::Disorder { min, opt, max }),
        }
    }

    /// One extent alone.
    ///
    /// # Errors
    /// [`ShapeError::Disorder`] for 0.
    pub fn exactly(extent: usize) -> Result<Self, ShapeError> {
        Self::new(extent, extent, extent)
    }

    /// The smallest extent.
    pub fn min(self) -> usize {
        self.min
    }

    /// The extent that counts most: precisions are chosen by it, and `limpid bench` measures it.
    pub fn opt(self) -> usize {
        self.opt
    }

    /// The largest extent.
    pub fn max(self) -> usize {
        self.max
    }

    /// True if an extent lies in it.
    pub fn contains(self, extent: i64) -> bool {
        usize::try_from(extent).is_ok_and(|extent| (self.min..=self.max).contains(&extent))
    }

    /// How many extents it has.
    pub fn count(self) -> usize {
        self.max - self.min + 1
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, opt, max } = *self;
        match (min == max, opt == min) {
            (true, _) => write!(f, "{max}"),
            (false, true) => write!(f, "{min}..{max}"),
            (false, false) => write!(f, "{min}..{opt}..{max}"),
        }
    }
}

impl FromStr for Range {
    type Err = ShapeError;

    /// `8`, `1..32` (opt is min) or `1..8..32`.
    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let numbers = text.split("..").map(|part| part.trim().parse::<usize>()).collect::<Result<Vec<_>, _>>();
        match numbers.as_deref() {
            Ok(&[extent]) => Self::exactly(extent),
            Ok(&[min, max]) => Self::new(min, min, max),
            Ok(&[min, opt, max]) => Self::new(min, opt, max),
            _ => Err(ShapeError::Range(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_as_they_are_read() {
        for text in ["8", "1..32", "1..8..32"] {
            assert_eq!(text.parse::<Range>().map(|range| range.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("1..32".parse(), Ok(Range::BATCH));
        assert_eq!("8..8..8".parse::<Range>().map(|range| range.to_string()).as_deref(), Ok("8"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "..", "1..", "a", "1..2..3..4", "-1", "1-32"] {
            assert_eq!(text.parse::<Range>(), Err(ShapeError::Range(text.to_owned())));
        }
        let error = "8..4".parse::<Range>().map_err(|error| error.to_string());
        assert_eq!(error, Err("a range needs 1 <= min <= opt <= max, got 8..8..4".to_owned()));
        assert!(Range::exactly(0).is_err());
    }
}
