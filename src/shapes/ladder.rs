//! At which extents of a profile kernels are timed, and for which it is seen to that their kernels are there.
//!
//! One open extent is tuned at a geometric ladder: its minimum, doubled again and again, its optimum and its maximum.
//! Of several, every combination would be too many, so they move together along the diagonal (a picture's height and
//! width mostly do), and each alone with the others at their optimum:
//!
//! ```text
//!  W                     rungs of one extent: 1 2 4 8 16 32
//!  |  .   *   *          of two: the diagonal and the cross through opt
//!  |  .  opt  *
//!  |  *   .   .          the largest is always among them, so every shape has a tuned one that is no smaller
//!  +------------ H
//! ```

use super::profile::volume;
use super::{Profile, Range};
use limpid_graph::tensor::Bindings;

impl Profile {
    /// The extents at which kernels are timed, smallest first; the smallest, the optimum and the largest among them.
    pub fn tuned(&self) -> Vec<Bindings> {
        let longest = self.ranges().map(|(_, range)| rungs(range).len()).max().unwrap_or(1);
        let diagonal = (0..longest).map(|step| {
            self.at(|range| {
                let rungs = rungs(range);
                // Where one ladder has more rungs than another, the shorter one's are spread over its length.
                rungs[(step * (rungs.len() - 1)).div_ceil((longest - 1).max(1)).min(rungs.len() - 1)]
            })
        });
        let cross = self.ranges().flat_map(|(symbol, range)| {
            rungs(range).into_iter().map(|rung| {
                let mut extents = self.opt();
                extents.bind(symbol.clone(), i64::try_from(rung).unwrap_or(i64::MAX));
                extents
            })
        });
        in_order(diagonal.chain(cross).chain([self.opt()]).collect())
    }

    /// About `most` extents all over the profile: all of them if they are not more.
    pub fn sampled(&self, most: usize) -> Vec<Bindings> {
        let count = self.ranges().try_fold(1usize, |product, (_, range)| product.checked_mul(range.count()));
        if count.is_some_and(|count| count <= most) {
            return in_order(self.all());
        }
        let lines = self.ranges().count() + 1;
        let steps = (most / lines).max(2);
        let spread = |range: Range, step: usize| range.min() + (range.count() - 1) * step / (steps - 1);
        let diagonal = (0..steps).map(|step| self.at(|range| spread(range, step)));
        let cross = self.ranges().flat_map(|(symbol, range)| {
            (0..steps).map(move |step| {
                let mut extents = self.opt();
                extents.bind(symbol.clone(), i64::try_from(spread(range, step)).unwrap_or(i64::MAX));
                extents
            })
        });
        in_order(diagonal.chain(cross).collect())
    }

    /// Every combination of extents.
    fn all(&self) -> Vec<Bindings> {
        self.ranges().fold(vec![Bindings::new()], |found, (symbol, range)| {
            let with = |extents: &Bindings, extent: usize| {
                extents.clone().bind(symbol.clone(), i64::try_from(extent).unwrap_or(i64::MAX)).clone()
            };
            let extents = range.min()..=range.max();
            found.iter().flat_map(|there| extents.clone().map(move |extent| with(there, extent))).collect()
        })
    }
}

/// The ladder of one extent, ascending.
fn rungs(range: Range) -> Vec<usize> {
    let doubled = std::iter::successors(Some(range.min()), |rung| rung.checked_mul(2));
    let mut rungs: Vec<usize> = doubled.take_while(|rung| *rung < range.max()).collect();
    rungs.extend([range.opt(), range.max()]);
    rungs.sort_unstable();
    rungs.dedup();
    rungs
}

/// Each once, the least work first.
fn in_order(mut extents: Vec<Bindings>) -> Vec<Bindings> {
    extents.sort_by(|a, b| volume(a).cmp(&volume(b)).then_with(|| a.cmp(b)));
    extents.dedup();
    extents
}

#[cfg(test)]
mod tests {
    use super::super::covers;
    use super::*;
    use limpid_graph::tensor::Symbol;
    use proptest::prelude::*;

    fn profile(ranges: &[(&str, [usize; 3])]) -> Profile {
        ranges.iter().fold(Profile::new(), |profile, (name, [min, opt, max])| {
            profile.with(Symbol::new(name), Range::new(*min, *opt, *max).expect("they are in order"))
        })
    }

    fn of(profile: &Profile, name: &str) -> Vec<i64> {
        profile.tuned().iter().filter_map(|extents| extents.get(&Symbol::new(name))).collect()
    }

    #[test]
    fn a_batch_is_tuned_at_powers_of_two() {
        assert_eq!(of(&profile(&[("N", [1, 1, 32])]), "N"), [1, 2, 4, 8, 16, 32]);
        assert_eq!(of(&profile(&[("N", [3, 5, 20])]), "N"), [3, 5, 6, 12, 20]);
        assert_eq!(of(&profile(&[("N", [8, 8, 8])]), "N"), [8]);
        assert_eq!(Profile::new().tuned(), [Bindings::new()]);
    }

    #[test]
    fn height_and_width_move_together_and_alone() {
        let picture = profile(&[("H", [64, 128, 256]), ("W", [64, 128, 256])]);
        let pairs: Vec<(i64, i64)> = of(&picture, "H").into_iter().zip(of(&picture, "W")).collect();
        assert_eq!(pairs, [(64, 64), (64, 128), (128, 64), (128, 128), (128, 256), (256, 128), (256, 256)]);
    }

    proptest! {
        #[test]
        fn every_shape_has_a_tuned_one_that_is_no_smaller(
            ranges in prop::collection::vec((1usize..300, 0usize..200, 0usize..2000), 0..4),
            places in prop::collection::vec(0.0f64..=1.0, 4),
            most in 2usize..80,
        ) {
            let names = ["H", "N", "T", "W"];
            let ranges: Vec<(&str, [usize; 3])> =
                names.into_iter().zip(ranges).map(|(name, (a, b, c))| (name, [a, a + b, a + b + c])).collect();
            let profile = profile(&ranges);
            let tuned = profile.tuned();
            for end in [profile.min(), profile.opt(), profile.max()] {
                prop_assert!(tuned.contains(&end), "{end:?}");
            }
            prop_assert!(tuned.is_sorted_by_key(volume));
            // A rung for every doubling and three more, in each direction and along the diagonal.
            let rungs: u32 = ranges.iter().map(|(_, [min, _, max])| (max / min).ilog2() + 3).sum();
            prop_assert!(tuned.len() <= 2 * rungs as usize + 1, "{} of {rungs}", tuned.len());
            let mut here = Bindings::new();
            for ((name, [min, _, max]), place) in ranges.iter().zip(&places) {
                here.bind(Symbol::new(name), (*min as f64 + place * (max - min) as f64) as i64);
            }
            prop_assert!(profile.contains(&here));
            prop_assert!(tuned.iter().any(|larger| covers(larger, &here)));
            let sampled = profile.sampled(most);
            prop_assert!(sampled.iter().all(|extents| profile.contains(extents)));
            prop_assert!(sampled.contains(&profile.max()) && sampled.contains(&profile.min()));
        }
    }
}
