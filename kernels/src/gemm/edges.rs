//! Products at the edges of what the kernels do, each small enough to be run on the CPU.

use crate::site::{EpilogueSite, GemmOperand, GemmSite, Image, Scale, Site, vector_width};
use limpid_graph::ir::Precision;
use limpid_graph::ops::{Activation, Epilogue};
use limpid_graph::tensor::DType;

/// A dense product with weights and a bias.
fn dense(precision: Precision, m: u32, n: u32, k: u32) -> GemmSite {
    let dtype = match precision {
        Precision::Int8 => DType::I8,
        Precision::Fp16 => DType::F16,
        Precision::Fp32 | Precision::Tf32 => DType::F32,
    };
    writing(
        dtype,
        GemmSite {
            m,
            n,
            k,
            batch: 1,
            pitch_a: k,
            pitch_y: n,
            stride_a: u64::from(m * k),
            stride_y: u64::from(m * n),
            b: GemmOperand::Weights,
            dtype_a: dtype,
            scale_a: Scale::ONE,
            dtype_y: dtype,
            scale_y: Scale::ONE,
            precision,
            epilogue: EpilogueSite { steps: Epilogue { bias: true, ..Epilogue::default() }, residual: None },
        },
    )
}

/// With an output of this type. Of integers it saturates now and then.
fn writing(dtype: DType, site: GemmSite) -> GemmSite {
    let scale_y = if dtype == DType::I8 { Scale::new(0.02) } else { Scale::ONE };
    GemmSite { dtype_y: dtype, scale_y, ..site }
}

/// What an output and a residual may be besides an operand's type.
fn others(dtype: DType) -> [DType; 2] {
    match dtype {
        DType::F32 => [DType::F16, DType::I8],
        DType::F16 => [DType::F32, DType::I8],
        _ => [DType::F16, DType::F32],
    }
}

/// The same with an activation as right operand, and no bias.
fn activations(precision: Precision, batch: u32, m: u32, n: u32, k: u32) -> GemmSite {
    let b = GemmOperand::Activations { pitch: n, stride: u64::from(k * n) };
    let epilogue = EpilogueSite { steps: Epilogue::default(), residual: None };
    GemmSite { batch, b, epilogue, ..dense(precision, m, n, k) }
}

/// With a residual of this pitch and type, and an activation on either side of it.
fn with_residual(site: GemmSite, pitch: u32, dtype: DType, pre: Activation, post: Activation) -> GemmSite {
    let scale = if dtype == DType::I8 { Scale::new(0.013) } else { Scale::ONE };
    let residual = Image { n: 1, h: 1, w: site.m, c: site.n, pitch, dtype, scale };
    let steps = Epilogue { pre, residual: true, post, ..site.epilogue.steps };
    GemmSite { epilogue: EpilogueSite { steps, residual: Some(residual) }, ..site }
}

/// For the tiled kernels.
pub(super) fn tiled(precision: Precision) -> Vec<Site> {
    let dtype = dense(precision, 1, 1, 1).dtype_a;
    let [other, third] = others(dtype);
    let width = vector_width(dtype);
    let product = |m, n, k| dense(precision, m, n, k);
    let mut sites = vec![product(1, 1, 1), product(2, 3, 5), product(17, 10, 2 * width + 1)];
    // Block sizes: one less, exact, one more.
    for (m, n) in [(31, 33), (33, 31), (63, 65), (64, 64), (65, 127), (127, 120), (128, 128), (129, 63), (255, 120)] {
        sites.push(product(m, n, 5 * width));
    }
    sites.push(product(40, 40, 9 * width));
    sites.push(product(50, 20, 5 * width + 3));
    // Pitches: wider than the rows, whole vectors and odd; padding lanes to be written.
    sites.push(GemmSite { pitch_a: 7 * width, pitch_y: 48, ..product(9, 37, 5 * width) });
    sites.push(GemmSite { pitch_a: 5 * width + 1, pitch_y: 41, ..product(9, 37, 5 * width) });
    // Output and residual of every type; of s8 with padding lanes, without, and with rows that are no whole vectors.
    sites.push(writing(other, product(20, 24, 4 * width)));
    sites.push(writing(third, product(20, 24, 4 * width)));
    sites.push(writing(third, GemmSite { pitch_y: 48, ..product(20, 21, 4 * width) }));
    sites.push(with_residual(product(20, 40, 4 * width), 40, third, Activation::Identity, Activation::Silu));
    let small = product(20, 21, 4 * width);
    sites.push(with_residual(small, 21, dtype, Activation::Identity, Activation::Relu));
    sites.push(with_residual(GemmSite { pitch_y: 24, ..small }, 32, other, Activation::Silu, Activation::Tanh));
    // K split, with what must only happen after the sum.
    let deep = product(5, 19, 64 * width);
    sites.push(with_residual(deep, 19, dtype, Activation::Sigmoid, Activation::HardSwish));
    sites.push(product(8, 40, 70 * width));
    if precision == Precision::Int8 {
        // Its right operand is weights.
        return sites.into_iter().map(Site::Gemm).collect();
    }
    // Activations as right operand: whole vectors, odd sizes, shared by the batch, batches apart, K split.
    let pair = |batch, m, n, k| activations(precision, batch, m, n, k);
    sites.push(pair(1, 31, 8 * width, 3 * width));
    sites.push(pair(3, 65, 5 * width, 9 * width));
    sites.push(pair(2, 130, 136, 4 * width));
    sites.push(pair(2, 7, 13, 11));
    sites.push(pair(1, 1, 1, 1));
    sites.push(pair(2, 6, 3 * width, 40 * width));
    sites.push(GemmSite {
        b: GemmOperand::Activations { pitch: 4 * width, stride: 0 },
        ..pair(2, 10, 3 * width, 2 * width)
    });
    let apart = GemmSite { stride_a: 500, stride_y: 1001, pitch_y: 30, ..pair(2, 10, 3 * width, 2 * width) };
    sites.push(with_residual(apart, 3 * width, dtype, Activation::Identity, Activation::LeakyRelu { alpha: 0.2 }));
    sites.into_iter().map(Site::Gemm).collect()
}

/// The same with f32 on the left, converted on the way in.
fn of_real(site: GemmSite) -> GemmSite {
    let scale_a = if site.precision == Precision::Int8 { Scale::new(1.0 / 128.0) } else { Scale::ONE };
    GemmSite { dtype_a: DType::F32, scale_a, ..site }
}

/// For the tiled kernels that convert f32 on the left.
pub(super) fn of_reals() -> Vec<Site> {
    let mut sites = Vec::new();
    for precision in [Precision::Fp16, Precision::Int8] {
        let dtype = dense(precision, 1, 1, 1).dtype_a;
        let width = vector_width(dtype);
        // Block sizes: one less, exact, one more; steps along K, more than a ring has room for; K in vectors of f32 only.
        let sizes = [(1, 1, 1), (31, 33, 4 * width), (64, 256, 9 * width), (65, 100, 20 * width + 4), (129, 130, 4)];
        let product = |(m, n, k)| of_real(dense(precision, m, n, k));
        // The way in differs by precision, the tiles do not.
        sites.extend(sizes.map(product).into_iter().skip(if precision == Precision::Int8 { 3 } else { 0 }));
        sites.push(GemmSite { pitch_a: 5 * width + 1, pitch_y: 48, ..product((33, 37, 5 * width)) });
        sites.push(writing(DType::F32, GemmSite { pitch_a: 10 * width, ..product((70, 10, 9 * width + 3)) }));
        sites.push(with_residual(product((5, 19, 64 * width)), 19, dtype, Activation::Relu, Activation::Identity));
    }
    sites.into_iter().map(Site::Gemm).collect()
}

/// For the kernel of Hopper.
pub(super) fn warpgroups(precision: Precision) -> Vec<Site> {
    let dtype = dense(precision, 1, 1, 1).dtype_a;
    let [other, third] = others(dtype);
    let width = vector_width(dtype);
    let product = |m, n, k| dense(precision, m, n, k);
    let small = GemmSite { pitch_a: 8 * width, ..product(20, 21, 7 * width + 1) };
    let mut sites = vec![
        product(1, 1, 8 * width),
        product(63, 31, 8 * width),
        GemmSite { pitch_a: 7 * width, pitch_y: 48, ..product(9, 30, 7 * width) },
        GemmSite { pitch_a: 9 * width, pitch_y: 31, ..product(9, 30, 9 * width - 3) },
        writing(other, small),
        writing(third, GemmSite { pitch_y: 48, ..small }),
        with_residual(GemmSite { pitch_y: 24, ..small }, 32, other, Activation::Silu, Activation::Tanh),
        with_residual(product(20, 32, 8 * width), 32, dtype, Activation::Identity, Activation::Relu),
        // K split, with what must only happen after the sum.
        with_residual(product(5, 19, 64 * width), 19, dtype, Activation::Sigmoid, Activation::HardSwish),
    ];
    if precision == Precision::Fp16 {
        // Tiles are the same for every type: sizes around theirs, and more works and steps than a ring has room for.
        sites.push(product(330, 90, 10 * 8 * width));
        sites.extend([product(65, 129, 9 * width), product(255, 72, 16 * width), product(130, 250, 8 * width)]);
    }
    // A batch that shares its weights.
    let apart = GemmSite { batch: 3, stride_a: 80 * u64::from(width), stride_y: 1001, ..product(10, 24, 8 * width) };
    sites.push(with_residual(apart, 24, dtype, Activation::Identity, Activation::LeakyRelu { alpha: 0.2 }));
    sites.into_iter().map(Site::Gemm).collect()
}

/// For the kernel of few rows.
pub(super) fn few_rows() -> Vec<Site> {
    let mut sites = Vec::new();
    for precision in [Precision::Fp16, Precision::Fp32, Precision::Int8] {
        let dtype = dense(precision, 1, 1, 1).dtype_a;
        let [other, third] = others(dtype);
        for (m, n, k) in
            [(1, 1, 1), (1, 10, 128), (1, 1000, 64), (2, 17, 2049), (3, 33, 520), (5, 64, 96), (8, 9, 1024)]
        {
            sites.push(dense(precision, m, n, k));
        }
        sites.push(writing(other, GemmSite { pitch_a: 80, pitch_y: 16, ..dense(precision, 4, 10, 72) }));
        sites.push(writing(third, GemmSite { pitch_a: 80, pitch_y: 32, ..dense(precision, 4, 17, 80) }));
        sites.push(GemmSite { pitch_a: 73, pitch_y: 11, ..dense(precision, 4, 10, 72) });
        let last = with_residual(dense(precision, 7, 12, 300), 12, other, Activation::Relu, Activation::Sigmoid);
        sites.push(last);
        if precision != Precision::Fp32 {
            sites.extend([(1, 33, 784), (3, 10, 1200), (8, 9, 33)].map(|(m, n, k)| of_real(dense(precision, m, n, k))));
            sites.push(writing(DType::F32, GemmSite { pitch_a: 84, ..of_real(dense(precision, 2, 10, 80)) }));
        }
    }
    sites.into_iter().map(Site::Gemm).collect()
}
