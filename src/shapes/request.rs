use super::{InputShapes, Range, ShapeError};
use std::collections::BTreeMap;

/// A profile as it is asked for, before the model is known: by what open extents are called, by the shapes of inputs,
/// or both. What is left out is as [`crate::builder::Builder::profile`] says.
///
/// ```
/// use limpid::shapes::{InputShapes, ProfileRequest, Range};
/// // Up to 32 pictures at once, tuned for 8 above all.
/// let by_batch = ProfileRequest::new().batch(Range::new(1, 8, 32)?);
/// // The same of a model whose input `image` is (N,3,224,224), as trtexec's users write it.
/// let shape = |text: &str| text.parse::<InputShapes>();
/// let (min, opt, max) = (shape("image:1x3x224x224")?, shape("image:8x3x224x224")?, shape("image:32x3x224x224")?);
/// let by_shapes = ProfileRequest::new().shapes(Some(&min), Some(&opt), Some(&max))?;
/// # assert_ne!(by_batch, by_shapes);
/// # Ok::<(), limpid::shapes::ShapeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileRequest {
    pub(crate) batch: Option<Range>,
    pub(crate) extents: BTreeMap<String, Range>,
    /// Minimum, optimum and maximum of each input, of one rank.
    pub(crate) inputs: BTreeMap<String, [Vec<usize>; 3]>,
}

impl ProfileRequest {
    /// Nothing is asked for.
    pub fn new() -> Self {
        Self::default()
    }

    /// The batch: the open extent that the inputs begin with, whatever it is called.
    pub fn batch(mut self, range: Range) -> Self {
        self.batch = Some(range);
        self
    }

    /// An open extent, by the name that the model gives it.
    pub fn extent(mut self, name: &str, range: Range) -> Self {
        self.extents.insert(name.to_owned(), range);
        self
    }

    /// Inputs by name, with all their dims; `opt` alone stands for all three, as with trtexec.
    ///
    /// # Errors
    /// [`ShapeError::Incomplete`] for two of the three, or min or max alone; [`ShapeError::Unequal`] for an input that
    /// is not in all three, or of different ranks.
    pub fn shapes(
        mut self,
        min: Option<&InputShapes>,
        opt: Option<&InputShapes>,
        max: Option<&InputShapes>,
    ) -> Result<Self, ShapeError> {
        let [min, opt, max] = match (min, opt, max) {
            (None, None, None) => return Ok(self),
            (None, Some(opt), None) => [opt; 3],
            (Some(min), Some(opt), Some(max)) => [min, opt, max],
            (_, None, _) => return Err(ShapeError::Incomplete("opt")),
            (None, _, _) => return Err(ShapeError::Incomplete("min")),
            (_, _, None) => return Err(ShapeError::Incomplete("max")),
        };
        for (name, _) in [min, opt, max].into_iter().flat_map(InputShapes::iter) {
            let shapes = [min, opt, max].map(|shapes| shapes.get(name).unwrap_or_default().to_vec());
            if shapes.iter().any(|shape| shape.is_empty() || shape.len() != shapes[0].len()) {
                return Err(ShapeError::Unequal(name.to_owned()));
            }
            self.inputs.insert(name.to_owned(), shapes);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opt_alone_stands_for_all_three() {
        let shapes = InputShapes::new().with("x", &[4, 3]);
        let request = ProfileRequest::new().shapes(None, Some(&shapes), None).expect("it is whole");
        assert_eq!(request.inputs["x"], [[4, 3], [4, 3], [4, 3]]);
        let only = |min, opt, max| ProfileRequest::new().shapes(min, opt, max).expect_err("something is missing");
        assert_eq!(only(Some(&shapes), None, Some(&shapes)), ShapeError::Incomplete("opt"));
        assert_eq!(only(Some(&shapes), Some(&shapes), None), ShapeError::Incomplete("max"));
        assert_eq!(only(None, Some(&shapes), Some(&shapes)), ShapeError::Incomplete("min"));
    }

    #[test]
    fn every_input_has_all_three_of_one_rank() {
        let (one, two) = (InputShapes::new().with("x", &[1]), InputShapes::new().with("x", &[1, 2]));
        let both = one.clone().with("y", &[1]);
        let request = |min, max| ProfileRequest::new().shapes(Some(min), Some(&one), Some(max));
        assert_eq!(request(&one, &two), Err(ShapeError::Unequal("x".to_owned())));
        assert_eq!(request(&both, &one), Err(ShapeError::Unequal("y".to_owned())));
    }
}
