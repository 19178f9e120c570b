//! How much a line of the log matters, in TensorRT's terms.
//!
//! | TensorRT (`ILogger::Severity`) | `tracing`                            | shown        |
//! |--------------------------------|--------------------------------------|--------------|
//! | `kINTERNAL_ERROR`              | a panic, which the command reports   | always       |
//! | `kERROR`                       | `error`                              | always       |
//! | `kWARNING`                     | `warn`                               | unless `-q`  |
//! | `kINFO`                        | `info`                               | with `-v`    |
//! | `kVERBOSE`                     | `debug`, `trace`                     | with `-vv`   |

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

/// A level, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A defect of limpid's.
    InternalError,
    /// It does not work.
    Error,
    /// It works, but perhaps not as was meant.
    Warning,
    /// What happens.
    Info,
    /// Every detail.
    Verbose,
}

impl Severity {
    /// The letter that TensorRT's tools put in front of a line.
    pub const fn letter(self) -> char {
        match self {
            Self::InternalError => 'F',
            Self::Error => 'E',
            Self::Warning => 'W',
            Self::Info => 'I',
            Self::Verbose => 'V',
        }
    }

    /// The severity of an event.
    pub fn of(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warning,
            Level::INFO => Self::Info,
            _ => Self::Verbose,
        }
    }

    /// The least severity that is shown, by how often `-v` was given and whether `-q` was.
    pub const fn shown(quiet: bool, verbose: u8) -> Self {
        match (quiet, verbose) {
            (true, _) => Self::Error,
            (_, 0) => Self::Warning,
            (_, 1) => Self::Info,
            _ => Self::Verbose,
        }
    }

    /// What lets through all that is at least as severe.
    pub const fn filter(self) -> LevelFilter {
        match self {
            Self::InternalError | Self::Error => LevelFilter::ERROR,
            Self::Warning => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Verbose => LevelFilter::DEBUG,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_passes_the_filter() {
        for (quiet, verbose, letters) in [(true, 0, "E"), (false, 0, "EW"), (false, 1, "EWI"), (false, 2, "EWIV")] {
            let filter = Severity::shown(quiet, verbose).filter();
            let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG];
            let shown: String =
                levels.into_iter().filter(|level| *level <= filter).map(|l| Severity::of(l).letter()).collect();
            assert_eq!(shown, letters);
        }
        assert!(Severity::InternalError < Severity::of(Level::ERROR));
    }
}
