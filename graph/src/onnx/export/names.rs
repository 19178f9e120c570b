use std::collections::BTreeSet;

/// Names that are taken.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// The name wanted, or one much like it that nothing has yet. No name is empty: in ONNX that means left out.
    pub fn claim(&mut self, wanted: &str) -> String {
        let wanted = if wanted.is_empty() { "unnamed" } else { wanted };
        let numbered = (2..).map(|count| format!("{wanted}#{count}"));
        let free = std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !self.0.contains(name));
        let name = free.unwrap_or_default();
        self.0.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_given_once() {
        let mut names = Names::default();
        let claimed = ["a", "a", "a#2", "", "a"].map(|wanted| names.claim(wanted));
        assert_eq!(claimed, ["a", "a#2", "a#2#2", "unnamed", "a#3"]);
    }
}
