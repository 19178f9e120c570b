//! Which shapes an engine is built for, as arguments say it.

use super::CommandError;
use crate::builder::Builder;
use crate::shapes::{InputShapes, ProfileRequest, Range};
use clap::Args;

/// The optimization profiles of an engine.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Shapes")]
pub(super) struct ShapeArgs {
    /// Samples of a run, where the model leaves the batch open: N, MIN..MAX or MIN..OPT..MAX; several make several
    /// profiles [default: 1..32]
    #[arg(long, value_name = "RANGE,..", value_delimiter = ',')]
    batch: Vec<Range>,

    /// Another extent that the model leaves open, by its name, as for --batch; height and width of a picture are 224
    /// if nothing is said (repeatable)
    #[arg(long, value_name = "NAME=RANGE", value_parser = extent)]
    extent: Vec<(String, Range)>,

    /// Smallest shapes of inputs, such as image:1x3x224x224; given again, for one more profile
    #[arg(
        long,
        value_name = "INPUT:DIMS,..",
        requires = "opt_shapes",
        requires = "max_shapes",
        conflicts_with = "batch"
    )]
    min_shapes: Vec<InputShapes>,

    /// Shapes of inputs that count most; alone, the only ones
    #[arg(long, value_name = "INPUT:DIMS,..", conflicts_with = "batch")]
    opt_shapes: Vec<InputShapes>,

    /// Largest shapes of inputs
    #[arg(
        long,
        value_name = "INPUT:DIMS,..",
        requires = "opt_shapes",
        requires = "min_shapes",
        conflicts_with = "batch"
    )]
    max_shapes: Vec<InputShapes>,
}

fn extent(text: &str) -> Result<(String, Range), String> {
    let (name, range) = text.split_once('=').ok_or("expected NAME=RANGE")?;
    Ok((name.to_owned(), range.parse().map_err(|error: crate::shapes::ShapeError| error.to_string())?))
}

impl ShapeArgs {
    /// A builder for these shapes.
    pub(super) fn apply(&self, builder: Builder) -> Result<Builder, CommandError> {
        Ok(self.requests()?.into_iter().fold(builder, Builder::profile))
    }

    /// A profile for each `--batch`, or for each set of shapes; every `--extent` holds in all of them.
    fn requests(&self) -> Result<Vec<ProfileRequest>, CommandError> {
        let by_extent = self.extent.iter().fold(ProfileRequest::new(), |all, (name, range)| all.extent(name, *range));
        if !self.opt_shapes.is_empty() {
            let with = |index: usize| {
                let of = |shapes: &'_ [InputShapes]| shapes.get(index).cloned();
                let [min, opt, max] = [&self.min_shapes, &self.opt_shapes, &self.max_shapes].map(|shapes| of(shapes));
                let request = by_extent.clone().shapes(min.as_ref(), opt.as_ref(), max.as_ref());
                request.map_err(|error| CommandError::usage(error.to_string()))
            };
            let count = self.min_shapes.len().max(self.opt_shapes.len()).max(self.max_shapes.len());
            return (0..count).map(with).collect();
        }
        Ok(match self.batch.is_empty() {
            true => vec![by_extent],
            false => self.batch.iter().map(|range| by_extent.clone().batch(*range)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        shapes: ShapeArgs,
    }

    fn requests(arguments: &[&str]) -> Result<Vec<ProfileRequest>, String> {
        let all = ["limpid"].iter().chain(arguments);
        let parsed = Arguments::try_parse_from(all).map_err(|error| error.to_string())?;
        parsed.shapes.requests().map_err(|error| error.to_string())
    }

    fn range(text: &str) -> Range {
        text.parse().expect("a range")
    }

    #[test]
    fn each_batch_is_a_profile_and_extents_hold_in_all() {
        let high = ProfileRequest::new().extent("H", range("64..128"));
        let both = vec![high.clone().batch(range("1")), high.clone().batch(range("4..8..16"))];
        assert_eq!(requests(&["--batch", "1,4..8..16", "--extent", "H=64..128"]), Ok(both));
        assert_eq!(requests(&["--extent", "H=64..128"]), Ok(vec![high]));
        assert_eq!(requests(&[]), Ok(vec![ProfileRequest::new()]));
    }

    #[test]
    fn shapes_given_again_are_one_more_profile() {
        let shapes = |text: &str| text.parse::<InputShapes>().expect("shapes");
        let profile = |texts: [&str; 3]| {
            let [min, opt, max] = texts.map(shapes);
            ProfileRequest::new().shapes(Some(&min), Some(&opt), Some(&max)).expect("all three")
        };
        let arguments = ["--min-shapes", "x:1x3", "--opt-shapes", "x:2x3", "--max-shapes", "x:4x3"];
        let again = ["--min-shapes", "x:8x3", "--opt-shapes", "x:8x3", "--max-shapes", "x:9x3"];
        let both = vec![profile(["x:1x3", "x:2x3", "x:4x3"]), profile(["x:8x3", "x:8x3", "x:9x3"])];
        assert_eq!(requests(&[arguments, again].concat()), Ok(both));
        assert_eq!(requests(&["--opt-shapes", "x:2x3"]), Ok(vec![profile(["x:2x3"; 3])]));
        let uneven = requests(&[&arguments[..], &["--opt-shapes", "x:2x3", "--max-shapes", "x:2x3"]].concat());
        assert_eq!(uneven, Err("shapes are given as opt alone or as min, opt and max; min is missing".to_owned()));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for arguments in [
            &["--batch", "0"][..],
            &["--batch", "8..4"],
            &["--extent", "H"],
            &["--extent", "H=0"],
            &["--min-shapes", "x:1"],
            &["--min-shapes", "x:1", "--opt-shapes", "x:1"],
            &["--opt-shapes", "x:1", "--batch", "4"],
            &["--opt-shapes", "x=1"],
        ] {
            assert!(requests(arguments).is_err(), "{arguments:?}");
        }
    }
}
