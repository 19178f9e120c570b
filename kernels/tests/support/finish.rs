//! From sums to answers: the epilogue of every product, on numbers.

use super::quantized::stored;
use limpid_graph::ir::Precision;
use limpid_graph::ops::exact::Requantize;
use limpid_graph::tensor::{DType, Tolerance};
use limpid_kernels::site::{EpilogueSite, Scale};

/// A site's epilogue with its tensors.
pub struct Finish {
    site: EpilogueSite,
    /// One value an output channel; empty if the site has none.
    pub bias: Vec<f32>,
    residual: Vec<f64>,
    y: (DType, Scale),
    /// Of a product of integers: the definition to the bit.
    exact: Option<Requantize>,
}

impl Finish {
    /// Of sums of reals. The residual's values are as stored: integers not scaled.
    pub fn new(site: EpilogueSite, bias: Vec<f32>, residual: Vec<f64>, y: (DType, Scale)) -> Self {
        Self { site, bias, residual, y, exact: None }
    }

    /// The same of sums of integers, which stand for `scale_x · scales[channel]` each.
    pub fn exact(self, scale_x: Scale, scales: &[f32]) -> Self {
        let bias = self.site.steps.bias.then_some(self.bias.as_slice());
        let residual = self.site.residual.map(|image| image.scale.get());
        let output = (self.y.0 == DType::I8).then(|| self.y.1.get());
        let exact = Requantize::new(self.site.steps, scale_x.get(), scales, bias, residual, output);
        Self { exact: Some(exact.expect("scales and steps of a sound site")), ..self }
    }

    /// What the kernels get as scales: the products of the input's and the weights'; empty for sums of reals.
    pub fn scales(&self) -> Vec<f32> {
        self.exact.as_ref().map_or_else(Vec::new, |exact| exact.scales.clone())
    }

    /// The answer as it is stored, from a sum that f64 holds exactly or nearly.
    pub fn of(&self, sum: f64, channel: usize, index: usize) -> f64 {
        let residual = self.residual.get(index).copied().unwrap_or(0.0) as f32;
        let (dtype, scale) = self.y;
        match &self.exact {
            Some(exact) => match exact.integer(channel, sum as i32, residual) {
                Some(integer) => f64::from(integer),
                None => stored(exact.real(channel, sum as i32, residual), dtype, scale),
            },
            None => {
                // `post(pre(sum + bias) + residual)`, the order that `limpid_graph::ops::Epilogue` defines.
                let bias = self.bias.get(channel).copied().unwrap_or(0.0);
                let residual = residual * self.site.residual.map_or(1.0, |image| image.scale.get());
                let x = self.site.steps.apply(sum as f32, bias, residual);
                // A real is left unrounded: the tolerance knows how it is stored.
                if dtype == DType::I8 { stored(x, dtype, scale) } else { f64::from(x) }
            }
        }
    }

    /// How near a sum of `terms` products has to come: `None`, the same bits, where sums are integers.
    pub fn tolerance(&self, precision: Precision, terms: u32) -> Option<Tolerance> {
        match (precision, self.y.0) {
            (Precision::Int8, _) => None,
            // Sums in another order may round to the neighbouring integer.
            (_, DType::I8) => Some(Tolerance { relative: 0.0, absolute: 1.0 }),
            // Numbers uniform in [-1, 1): the size of such a sum is √terms/3.
            (_, dtype) => Some(Tolerance::gemm(dtype, terms as usize, (terms as f32).sqrt() / 3.0 + 1.0)),
        }
    }
}
