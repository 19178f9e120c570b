//! Times that a test makes up.

use limpid::plan::select::{Measure, MeasureError};
use limpid::plan::{Buffer, Work};
use limpid_kernels::launch::{Candidate, CompileUnit};

/// "Measures" what a function says of a work and a candidate, µs.
pub struct Says<F>(pub F);

impl<F: FnMut(&Work, &Candidate) -> f64> Measure for Says<F> {
    fn identity(&self) -> String {
        "made up".to_owned()
    }

    fn prepare(&mut self, _units: &[CompileUnit]) {}

    fn measure(
        &mut self,
        work: &Work,
        _buffers: &[Buffer],
        candidate: &Candidate,
        _best: Option<f64>,
    ) -> Result<f64, MeasureError> {
        Ok((self.0)(work, candidate))
    }
}
