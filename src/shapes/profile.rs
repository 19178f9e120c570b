use super::Range;
use limpid_graph::tensor::{Bindings, Symbol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A range for each extent that a model leaves open. An extent without a range may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    ranges: BTreeMap<Symbol, Range>,
}

impl Profile {
    /// Without a range: every extent may be anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a range for one more extent.
    pub fn with(mut self, symbol: Symbol, range: Range) -> Self {
        self.ranges.insert(symbol, range);
        self
    }

    /// The range of an extent.
    pub fn range(&self, symbol: &Symbol) -> Option<Range> {
        self.ranges.get(symbol).copied()
    }

    /// All ranges, by the extents' names.
    pub fn ranges(&self) -> impl Iterator<Item = (&Symbol, Range)> {
        self.ranges.iter().map(|(symbol, range)| (symbol, *range))
    }

    /// True if every extent that has a range lies in it.
    pub fn contains(&self, extents: &Bindings) -> bool {
        self.ranges().all(|(symbol, range)| extents.get(symbol).is_some_and(|extent| range.contains(extent)))
    }

    /// Every extent at its smallest.
    pub fn min(&self) -> Bindings {
        self.at(Range::min)
    }

    /// Every extent at its optimum.
    pub fn opt(&self) -> Bindings {
        self.at(Range::opt)
    }

    /// Every extent at its largest.
    pub fn max(&self) -> Bindings {
        self.at(Range::max)
    }

    /// One extent of each range.
    pub(super) fn at(&self, extent: impl Fn(Range) -> usize) -> Bindings {
        let mut extents = Bindings::new();
        for (symbol, range) in self.ranges() {
            extents.bind(symbol.clone(), i64::try_from(extent(range)).unwrap_or(i64::MAX));
        }
        extents
    }

    /// What is wrong with extents that do not lie in it: `batch 64 is outside the profile 1..32`. `None` if they do.
    pub fn refusal(&self, extents: &Bindings, batch: Option<&Symbol>) -> Option<String> {
        let outside = self.ranges().filter_map(|(symbol, range)| {
            let extent = extents.get(symbol).unwrap_or(0);
            let name = if Some(symbol) == batch { "batch" } else { symbol.name() };
            (!range.contains(extent)).then(|| format!("{name} {extent} is outside the profile {range}"))
        });
        let outside: Vec<String> = outside.collect();
        (!outside.is_empty()).then(|| outside.join(", "))
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ranges.is_empty() {
            return f.write_str("any extents");
        }
        for (index, (symbol, range)) in self.ranges().enumerate() {
            write!(f, "{}{}={range}", if index > 0 { " " } else { "" }, symbol.name())?;
        }
        Ok(())
    }
}

/// True if no extent of `smaller` is larger than in `larger`.
pub fn covers(larger: &Bindings, smaller: &Bindings) -> bool {
    smaller.iter().all(|(symbol, extent)| larger.get(symbol).is_some_and(|bound| extent <= bound))
}

/// The product of all extents: what work grows with.
pub fn volume(extents: &Bindings) -> u128 {
    extents.iter().fold(1, |product: u128, (_, extent)| product.saturating_mul(extent.max(0) as u128))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extents(pairs: &[(&str, i64)]) -> Bindings {
        let mut bindings = Bindings::new();
        for (name, extent) in pairs {
            bindings.bind(Symbol::new(name), *extent);
        }
        bindings
    }

    fn range(text: &str) -> Range {
        text.parse().expect("a range")
    }

    #[test]
    fn what_is_outside_is_named_with_its_range() {
        let batch = Symbol::new("N");
        let profile = Profile::new().with(batch.clone(), range("1..32")).with(Symbol::new("H"), range("64..128"));
        let refusal = |n, h| profile.refusal(&extents(&[("N", n), ("H", h)]), Some(&batch));
        assert_eq!(refusal(32, 64), None);
        assert_eq!(refusal(64, 128).as_deref(), Some("batch 64 is outside the profile 1..32"));
        let both = "H 63 is outside the profile 64..128, batch 0 is outside the profile 1..32";
        assert_eq!(refusal(0, 63).as_deref(), Some(both));
        assert_eq!(profile.to_string(), "H=64..128 N=1..32");
        assert_eq!(Profile::new().refusal(&extents(&[("N", 7)]), None), None);
    }

    proptest! {
        #[test]
        fn inside_is_between_the_smallest_and_the_largest(
            (min, opt, max) in (1usize..40, 0usize..40, 0usize..40).prop_map(|(a, b, c)| (a, a + b, a + b + c)),
            extent in -2i64..130,
        ) {
            let profile = Profile::new().with(Symbol::new("N"), Range::new(min, opt, max).expect("they are in order"));
            let here = extents(&[("N", extent)]);
            let inside = min as i64 <= extent && extent <= max as i64;
            prop_assert_eq!(profile.contains(&here), inside);
            prop_assert_eq!(profile.refusal(&here, None).is_none(), inside);
            prop_assert_eq!(inside, covers(&profile.max(), &here) && covers(&here, &profile.min()));
        }
    }
}
