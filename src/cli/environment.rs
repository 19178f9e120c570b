//! Environment variables that stand in for arguments, where the tools around networks have such: only if neither the
//! command line nor the engine says anything.

use super::CommandError;
use std::path::PathBuf;

/// The folder of samples.
pub(super) const CALIB_DATA_DIR: &str = "CALIB_DATA_DIR";

/// As `--center-crop`.
pub(super) const IMAGENET_CENTER_CROP: &str = "IMAGENET_CENTER_CROP";

/// As `--imagenet-norm`.
pub(super) const IMAGENET_NORM: &str = "IMAGENET_NORM";

/// As `--labels` of `compare`.
pub(super) const LABELS_CSV: &str = "LABELS_CSV";

/// As `--pinned` of `bench`.
pub(super) const USE_PINNED: &str = "USE_PINNED";

/// As `--default-stream` of `bench`.
pub(super) const USE_DEFAULT_STREAM: &str = "USE_DEFAULT_STREAM";

/// A path, if the variable is set and not empty.
pub(super) fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A yes or no; no if the variable is not set.
pub(super) fn flag(name: &str) -> Result<bool, CommandError> {
    match std::env::var_os(name) {
        None => Ok(false),
        Some(value) => truth(&value.to_string_lossy()).ok_or_else(|| {
            CommandError::usage(format!(
                "{name} is `{}`; expected 1, true, yes or on, or 0, false, no or off",
                value.display()
            ))
        }),
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "" | "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_have_many_names_and_others_are_neither() {
        assert!(["1", "TRUE", "yes", "On"].iter().all(|text| truth(text) == Some(true)));
        assert!(["", "0", "False", "no", "off"].iter().all(|text| truth(text) == Some(false)));
        assert_eq!((truth("2"), truth("maybe")), (None, None));
    }
}
