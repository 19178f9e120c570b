//! Chains at the edges of what the kernels do, each small enough to be run on the CPU.

use super::multiplied;
use crate::site::{ChainSite, EpilogueSite, GemmOperand, GemmSite, Scale, Site, VECTOR_BYTES};
use limpid_graph::ir::Precision;
use limpid_graph::ops::{Activation, Epilogue};
use limpid_graph::tensor::DType;

/// Layers of these columns, with a bias and Relu each, the last without Relu and of f32; `real`: a is f32.
fn chain(precision: Precision, real: bool, m: u32, k: u32, columns: &[u32]) -> Vec<GemmSite> {
    let dtype = multiplied(precision);
    let quantized = |scale| if precision == Precision::Int8 { Scale::new(scale) } else { Scale::ONE };
    let mut layers = Vec::new();
    let mut depth = k;
    for (index, &n) in columns.iter().enumerate() {
        let last = index + 1 == columns.len();
        let converts = real && index == 0;
        let post = if last { Activation::Identity } else { Activation::Relu };
        layers.push(GemmSite {
            m,
            n,
            k: depth,
            batch: 1,
            pitch_a: depth.next_multiple_of(VECTOR_BYTES),
            pitch_y: if last { n } else { n.next_multiple_of(VECTOR_BYTES) },
            stride_a: 0,
            stride_y: 0,
            b: GemmOperand::Weights,
            dtype_a: if converts { DType::F32 } else { dtype },
            scale_a: if converts { quantized(1.0 / 128.0) } else { Scale::ONE },
            dtype_y: if last { DType::F32 } else { dtype },
            scale_y: if last { Scale::ONE } else { quantized(0.05) },
            precision,
            epilogue: EpilogueSite { steps: Epilogue { bias: true, post, ..Epilogue::default() }, residual: None },
        });
        depth = n;
    }
    layers
}

pub(super) fn chains() -> Vec<Site> {
    let mut chains = Vec::new();
    for precision in [Precision::Fp16, Precision::Int8] {
        let dtype = multiplied(precision);
        let of = |real, m, k, columns: &[u32]| chain(precision, real, m, k, columns);
        // One row; a block exactly, and one more; clusters that are full and that are not; more steps than stages.
        chains.push(of(true, 1, 784, &[256, 128, 10]));
        chains.push(of(true, 64, 36, &[100, 200, 33]));
        chains.push(of(true, 65, 300, &[256, 10]));
        chains.push(of(true, 300, 64, &[40, 30, 128]));
        chains.push(of(false, 130, 200, &[129, 128]));
        chains.push(of(false, 257, 33, &[17, 9, 1]));
        // What the last layer writes: types, padding lanes, activations; no bias.
        let mut padded = of(false, 70, 128, &[64, 21]);
        let quantized = precision == Precision::Int8;
        padded[1] = GemmSite {
            pitch_y: 48,
            dtype_y: dtype,
            scale_y: if quantized { Scale::new(0.4) } else { Scale::ONE },
            ..padded[1]
        };
        padded[1].epilogue.steps.post = Activation::Clip { min: -3.5, max: 6.0 };
        padded[0].epilogue.steps.bias = false;
        chains.push(padded);
        let mut half = of(true, 66, 128, &[64, 64, 20]);
        half[2] = GemmSite { dtype_y: DType::F16, pitch_y: 24, ..half[2] };
        chains.push(half);
    }
    chains.into_iter().map(|layers| Site::Chain(ChainSite { layers })).collect()
}

/// For the kernel of few rows.
pub(super) fn few_rows() -> Vec<Site> {
    let mut chains = Vec::new();
    for precision in [Precision::Fp16, Precision::Int8, Precision::Fp32, Precision::Tf32] {
        let converts = matches!(precision, Precision::Fp16 | Precision::Int8);
        let of = |real, m, k, columns: &[u32]| chain(precision, real && converts, m, k, columns);
        // The sizes of the zoo's; widths that no warp, vector or block divides; more columns than warps take at once.
        chains.push(of(true, 1, 784, &[256, 128, 10]));
        if precision == Precision::Tf32 {
            continue; // multiplied as FP32
        }
        chains.push(of(false, 2, 33, &[17, 9, 1]));
        chains.push(of(true, 3, 5, &[300, 41]));
        chains.push(of(false, 8, 520, &[65, 70, 33]));
        let mut last = of(true, 7, 100, &[40, 21]);
        last[1] = GemmSite { dtype_y: DType::F16, pitch_y: 24, ..last[1] };
        last[0].epilogue.steps = Epilogue { bias: false, post: Activation::Silu, ..last[0].epilogue.steps };
        last[1].epilogue.steps.post = Activation::HardSwish;
        chains.push(last);
    }
    chains.into_iter().map(|layers| Site::Chain(ChainSite { layers })).collect()
}
