//! Which kernels may be chosen, beside what they say of a site themselves.

use crate::catalog::{KERNELS, Kernel};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Kernels put in or left out by name: `+conv/wgmma,-conv/mma`. The others are asked unless they are on trial.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection(BTreeMap<String, bool>);

/// Not a list of kernels.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnknownSelection {
    /// Neither put in nor left out.
    #[error("`{0}` begins with neither + nor -; write +{0} to put the kernel in, -{0} to leave it out")]
    Sign(String),
    /// There is no such kernel.
    #[error("there is no kernel `{name}`; there are {known}")]
    Kernel {
        /// What was asked for.
        name: String,
        /// All there are.
        known: String,
    },
}

impl Selection {
    /// Why the kernel is not asked, if it is not.
    pub fn reason_against(&self, kernel: &dyn Kernel) -> Option<String> {
        match (self.0.get(kernel.name()), kernel.on_trial()) {
            (Some(true), _) | (None, None) => None,
            (Some(false), _) => Some("left out by --kernels".to_owned()),
            (None, Some(trial)) => Some(format!("on trial ({trial}); --kernels +{} puts it in", kernel.name())),
        }
    }
}

impl FromStr for Selection {
    type Err = UnknownSelection;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut selection = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (wanted, name) = match (entry.strip_prefix('+'), entry.strip_prefix('-')) {
                (Some(name), _) => (true, name),
                (_, Some(name)) => (false, name),
                _ => return Err(UnknownSelection::Sign(entry.to_owned())),
            };
            if !KERNELS.iter().any(|kernel| kernel.name() == name) {
                let known: Vec<&str> = KERNELS.iter().map(|kernel| kernel.name()).collect();
                return Err(UnknownSelection::Kernel { name: name.to_owned(), known: known.join(", ") });
            }
            selection.insert(name.to_owned(), wanted);
        }
        Ok(Self(selection))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<String> =
            self.0.iter().map(|(name, wanted)| format!("{}{name}", if *wanted { '+' } else { '-' })).collect();
        f.write_str(&entries.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::{Mma, Wgmma};
    use crate::launch::{Candidate, CompileUnit};
    use crate::site::Site;
    use crate::target::{Arch, Target};

    /// Wgmma before it was proven.
    #[derive(Debug)]
    struct Trial;

    impl Kernel for Trial {
        fn name(&self) -> &'static str {
            Wgmma.name()
        }
        fn candidates(&self, _: &Site, _: &Target) -> Result<Vec<Candidate>, String> {
            Ok(Vec::new())
        }
        fn edge_sites(&self) -> Vec<Site> {
            Vec::new()
        }
        fn units(&self, _: Arch) -> Vec<CompileUnit> {
            Vec::new()
        }
        fn on_trial(&self) -> Option<&'static str> {
            Some("not yet measured")
        }
    }

    #[test]
    fn kernels_are_put_in_and_left_out_by_name() {
        let selection: Selection = "+conv/wgmma, -conv/mma".parse().expect("both are there");
        assert_eq!(selection.to_string(), "-conv/mma,+conv/wgmma");
        assert_eq!((selection.reason_against(&Wgmma), selection.reason_against(&Trial)), (None, None));
        assert_eq!(selection.reason_against(&Mma).as_deref(), Some("left out by --kernels"));
        let usual = Selection::default();
        assert_eq!((usual.reason_against(&Mma), usual.reason_against(&Wgmma)), (None, None));
        assert!(usual.reason_against(&Trial).is_some_and(|reason| reason.contains("--kernels +conv/wgmma")));
        assert_eq!("".parse(), Ok(usual));
    }

    #[test]
    fn what_is_wrong_with_a_list_is_said() {
        let error = "conv/mma".parse::<Selection>().expect_err("no sign");
        assert!(error.to_string().contains("write +conv/mma"));
        let error = "-conv/none".parse::<Selection>().expect_err("no kernel");
        assert!(
            error.to_string().contains("no kernel `conv/none`; there are conv/wgmma, conv/stem, conv/mma"),
            "{error}"
        );
    }
}
