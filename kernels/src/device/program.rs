//! What NVRTC is given: a source, its headers, its name.

use super::error::DeviceError;
use crate::launch::CompileUnit;
use std::borrow::Cow;

/// A source with the headers it may include.
///
/// Each header has one name, its path under `kernels/src/`, and is included by it from wherever:
/// `#include "include/ptx.cuh"`. NVRTC compares names; it has no folders to look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program<'a> {
    /// The name that log lines carry.
    pub name: Cow<'a, str>,
    /// CUDA C++.
    pub text: Cow<'a, str>,
    /// Names and texts of headers.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl Program<'static> {
    /// The unit's source from this binary, with every header of this binary.
    ///
    /// # Errors
    /// [`DeviceError::UnknownSource`] if the binary has no such source.
    pub fn of(unit: &CompileUnit) -> Result<Self, DeviceError> {
        let text = crate::source::text(&unit.source)
            .ok_or_else(|| DeviceError::UnknownSource { path: unit.source.clone() })?;
        let headers = crate::source::SOURCES.iter().filter(|(name, _)| name.ends_with(".cuh"));
        Ok(Self {
            name: Cow::Owned(unit.source.clone()),
            text: Cow::Borrowed(text),
            headers: headers.map(|&(name, text)| (Cow::Borrowed(name), Cow::Borrowed(text))).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_source_is_named() {
        let unit = CompileUnit::new("no/such.cu", "entry", [("A", 1)]);
        let error = Program::of(&unit).expect_err("there is no such source");
        assert!(error.to_string().contains("`no/such.cu`"), "{error}");
    }
}
