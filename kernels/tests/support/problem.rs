//! A site with numbers in it: inputs, weights, and the answer it has to give.

use super::finish::Finish;
use super::layout::{Layout, encode};
use super::{quantized, reference, windows};
use limpid_graph::ir::Precision;
use limpid_graph::tensor::{DType, Tensor, Tolerance};
use limpid_kernels::emulator::{Buffer, Memory};
use limpid_kernels::launch::Role;
use limpid_kernels::site::{
    AxisOp, AxisSite, ChainSite, ConvSite, CopySite, EpilogueSite, Function, FunctionSite, GatherSite, GemmOperand,
    GemmSite, Image, Interpolation, NormSite, PictureSite, Scale, Site, StemSite, View, vector_width,
};

/// What a candidate is given and what it must make of it.
pub struct Problem {
    /// Inputs and residual, laid out as the site says.
    pub memory: Memory,
    /// Weights in ONNX's layout; each candidate packs them as it likes.
    pub weights: Option<Tensor>,
    /// One value an output channel; empty if the site has none.
    pub bias: Vec<f32>,
    /// One value an output channel, of products of integers; else empty.
    pub scales: Vec<f32>,
    /// Where the answer must lie.
    pub output: Layout,
    /// The answer, row-major.
    pub want: Vec<f64>,
    /// How near a candidate must come; `None`: the same number.
    pub tolerance: Option<Tolerance>,
}

/// Numbers that are the same on every run: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number that `dtype` holds exactly: floats in [-1, 1), all of i8, other integers small.
    fn number(&mut self, dtype: DType) -> f64 {
        let unit = (self.next() >> 40) as f64 / f64::from(1 << 23) - 1.0;
        match dtype {
            DType::F32 => unit,
            DType::F16 => half::f16::from_f64(unit).to_f64(),
            DType::I8 => (unit * 128.0).floor(),
            DType::I32 | DType::I64 => (unit * 100.0).trunc(),
            DType::U8 => ((unit + 1.0) * 100.0).trunc(),
            DType::Bool => f64::from(u8::from(unit > 0.0)),
        }
    }
}

/// Fills the inputs of a problem while it is put together.
struct Inputs {
    random: Random,
    memory: Memory,
}

impl Inputs {
    /// Random numbers in a layout: what a kernel reads there, in logical order.
    fn fill(&mut self, role: Role, layout: &Layout) -> Vec<f64> {
        self.fill_with(role, layout, |random| random.number(layout.view.dtype))
    }

    fn fill_with(&mut self, role: Role, layout: &Layout, mut number: impl FnMut(&mut Random) -> f64) -> Vec<f64> {
        let values: Vec<f64> = (0..layout.view.len()).map(|_| number(&mut self.random)).collect();
        let buffer = layout.input(&values);
        // Read back: broadcast elements were written more than once.
        let values = layout.values(&buffer);
        self.memory.insert(role, buffer);
        values
    }

    /// Weights: of i8 they are -127 at least.
    fn tensor(&mut self, shape: &[u32], dtype: DType) -> Tensor {
        let shape: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
        let number = |random: &mut Random| (random.number(dtype) as f32).max(-127.0);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| number(&mut self.random)).collect();
        Tensor::new(&shape, values).expect("as many values as the shape has")
    }

    /// The epilogue of a product of `channels` columns that writes `y`. Integers of its input stand for `scale_x` each,
    /// those of its weights for about 1/127.
    fn finish(
        &mut self,
        site: &EpilogueSite,
        precision: Precision,
        (channels, batch): (u32, u32),
        scale_x: Scale,
        y: (DType, Scale),
    ) -> Finish {
        let count = if site.steps.bias { channels } else { 0 };
        let bias = (0..count).map(|_| self.random.number(DType::F32) as f32).collect();
        let rows = site.residual.map(|image| Image { w: image.w * batch, ..image });
        let residual = rows.map(|image| self.fill(Role::Residual, &Layout::image(&image)));
        let finish = Finish::new(*site, bias, residual.unwrap_or_default(), y);
        if precision != Precision::Int8 {
            return finish;
        }
        let scale = |random: &mut Random| (0.75 + 0.25 * random.number(DType::F32) as f32) / 127.0;
        let scales: Vec<f32> = (0..channels).map(|_| scale(&mut self.random)).collect();
        finish.exact(scale_x, &scales)
    }
}

/// The operands' type where a product multiplies in this precision.
fn operand_dtype(precision: Precision) -> DType {
    match precision {
        Precision::Fp16 => DType::F16,
        Precision::Int8 => DType::I8,
        Precision::Fp32 | Precision::Tf32 => DType::F32,
    }
}

/// A matrix; rows that lie in whole vectors are padded with zeros.
fn rows(rows: u32, columns: u32, pitch: u32, dtype: DType) -> Layout {
    let width = vector_width(dtype);
    let zero_lanes = if pitch.is_multiple_of(width) { columns.next_multiple_of(width) - columns } else { 0 };
    let strides = vec![i64::from(pitch), 1];
    Layout::new(&View { dims: vec![rows, columns], strides, dtype, zero_lanes, scale: Scale::ONE })
}

impl Problem {
    /// Numbers for a site, and the answer by the plain loops of [`reference`] and [`windows`].
    pub fn new(site: &Site) -> Self {
        let mut inputs = Inputs { random: Random(1), memory: Memory::new() };
        let x = Role::Input(0);
        match site {
            Site::Conv(site) => {
                let values = inputs.fill(x, &Layout::image(&site.x));
                Self::conv(site, inputs, &values)
            }
            Site::Stem(StemSite { conv, source }) => {
                // Given as a view, in the order of an image's pixels.
                let [n, c, h, w] = source.strides;
                let (dims, strides) = (vec![conv.x.n, conv.x.h, conv.x.w, conv.x.c], vec![n, h, w, c]);
                let view = View { dims, strides, dtype: source.dtype, zero_lanes: 0, scale: Scale::ONE };
                let y = View { dtype: conv.x.dtype, scale: conv.x.scale, ..view.clone() };
                let copy = CopySite { x: view, x_offset: 0, y, y_offset: 0 };
                let values = inputs.fill(x, &Layout::new(&copy.x));
                let values: Vec<f64> = values.iter().map(|&v| quantized::copied(&copy, v)).collect();
                Self::conv(conv, inputs, &values)
            }
            Site::ConvTranspose(site) => {
                let values = inputs.fill(x, &Layout::image(&site.x));
                let dtype = operand_dtype(site.precision);
                let shape = [site.x.c, site.y.c / site.groups, site.kernel[0], site.kernel[1]];
                let weights = inputs.tensor(&shape, dtype);
                let y = (site.y.dtype, site.y.scale);
                let finish = inputs.finish(&site.epilogue, site.precision, (site.y.c, 1), site.x.scale, y);
                let want = windows::conv_transpose(site, &values, &weights.to_f32(), &finish);
                let per_group = site.x.c / site.groups;
                let tolerance = finish.tolerance(site.precision, per_group * site.kernel[0] * site.kernel[1]);
                Self::product(inputs, Some(weights), finish, Layout::image(&site.y), want, tolerance)
            }
            Site::Gemm(site) => Self::gemm(site, inputs),
            Site::Chain(site) => Self::chain(site, inputs),
            Site::Pool(site) => {
                let values = inputs.fill(x, &Layout::image(&site.x));
                let want = windows::pool(site, &values);
                let window = site.kernel[0] * site.kernel[1];
                let tolerance =
                    (site.x.dtype != DType::I8).then(|| Tolerance::gemm(site.y.dtype, window as usize, 1.0));
                Self::plain(inputs, Layout::image(&site.y), want, tolerance)
            }
            Site::Resize(site) => {
                let values = inputs.fill(x, &Layout::image(&site.x));
                let want = windows::resize(site, &values);
                let tolerance = match site.interpolation {
                    Interpolation::Nearest(_) => None,
                    Interpolation::Linear => Some(Tolerance::elementwise(site.y.dtype)),
                    // Sixteen products, their weights up to 1.
                    Interpolation::Cubic { .. } => Some(Tolerance::gemm(site.y.dtype, 16, 2.0)),
                };
                let tolerance = tolerance.filter(|_| site.x.dtype != DType::I8);
                Self::plain(inputs, Layout::image(&site.y), want, tolerance)
            }
            Site::Elementwise(site) => {
                let count = site.inputs.len();
                let operands: Vec<_> =
                    (0..count).map(|i| inputs.fill(Role::Input(i as u8), &Layout::new(&site.inputs[i]))).collect();
                let exact = site.inputs.iter().chain([&site.y]).any(|view| view.dtype == DType::I8);
                let want = if exact { quantized::elementwise } else { reference::elementwise }(site, &operands);
                let tolerance = (!exact).then(|| Tolerance::elementwise(site.y.dtype));
                Self::plain(inputs, Layout::new(&site.y), want, tolerance)
            }
            Site::Copy(site) => {
                let from = Layout { view: site.x.clone(), offset: site.x_offset };
                let values = inputs.fill(x, &from);
                let want = values.iter().map(|&v| quantized::copied(site, v)).collect();
                Self::plain(inputs, Layout { view: site.y.clone(), offset: site.y_offset }, want, None)
            }
            Site::Fill(site) => {
                let want = vec![quantized::filled(site); site.y.len() as usize];
                Self::plain(inputs, Layout::new(&site.y), want, None)
            }
            Site::Function(site) => Self::function(site, inputs),
            Site::Axis(site) => Self::axis(site, inputs),
            Site::Norm(site) => Self::norm(site, inputs),
            Site::Gather(site) => Self::gather(site, inputs),
            Site::Picture(site) => Self::picture(site, inputs),
        }
    }

    fn plain(inputs: Inputs, output: Layout, want: Vec<f64>, tolerance: Option<Tolerance>) -> Self {
        let (bias, scales) = (Vec::new(), Vec::new());
        Self { memory: inputs.memory, weights: None, bias, scales, output, want, tolerance }
    }

    fn product(
        inputs: Inputs,
        weights: Option<Tensor>,
        finish: Finish,
        output: Layout,
        want: Vec<f64>,
        tolerance: Option<Tolerance>,
    ) -> Self {
        let scales = finish.scales();
        Self { memory: inputs.memory, weights, bias: finish.bias, scales, output, want, tolerance }
    }

    fn conv(site: &ConvSite, mut inputs: Inputs, values: &[f64]) -> Self {
        let per_group = site.x.c / site.groups;
        let dtype = operand_dtype(site.precision);
        let weights = inputs.tensor(&[site.y.c, per_group, site.kernel[0], site.kernel[1]], dtype);
        let y = (site.y.dtype, site.y.scale);
        let finish = inputs.finish(&site.epilogue, site.precision, (site.y.c, 1), site.x.scale, y);
        let want = windows::conv(site, values, &weights.to_f32(), &finish);
        let tolerance = finish.tolerance(site.precision, per_group * site.kernel[0] * site.kernel[1]);
        Self::product(inputs, Some(weights), finish, Layout::image(&site.y), want, tolerance)
    }

    fn gemm(site: &GemmSite, mut inputs: Inputs) -> Self {
        let matrix = |rows: u32, columns: u32, pitch: u32, stride: u64, dtype: DType| {
            // Rows that lie in whole vectors are padded with zeros, as an image's pixels are.
            let width = vector_width(dtype);
            let zero_lanes = if pitch.is_multiple_of(width) { columns.next_multiple_of(width) - columns } else { 0 };
            let strides = vec![stride as i64, i64::from(pitch), 1];
            Layout::new(&View { dims: vec![site.batch, rows, columns], strides, dtype, zero_lanes, scale: Scale::ONE })
        };
        let a = inputs.fill(Role::Input(0), &matrix(site.m, site.k, site.pitch_a, site.stride_a, site.dtype_a));
        let dtype = operand_dtype(site.precision);
        // Reals are converted as a copy would.
        let a = if site.dtype_a == dtype { a } else { quantized::converted(&a, dtype, site.scale_a) };
        let (weights, b, b_is_k_by_n) = match site.b {
            GemmOperand::Weights => {
                let weights = inputs.tensor(&[site.n, site.k], dtype);
                let values = weights.to_f32().into_iter().map(f64::from).collect::<Vec<_>>();
                (Some(weights), values.repeat(site.batch as usize), false)
            }
            GemmOperand::Activations { pitch, stride } => {
                let layout = matrix(site.k, site.n, pitch, stride, site.dtype_a);
                (None, inputs.fill(Role::Input(1), &layout), true)
            }
        };
        let (channels, y) = ((site.n, site.batch), (site.dtype_y, site.scale_y));
        let scale_a = if dtype == DType::I8 { Scale::new(1.0 / 128.0) } else { Scale::ONE };
        let finish = inputs.finish(&site.epilogue, site.precision, channels, scale_a, y);
        let want = reference::gemm(site, &a, &b, b_is_k_by_n, &finish);
        let output = matrix(site.m, site.n, site.pitch_y, site.stride_y, site.dtype_y);
        let tolerance = finish.tolerance(site.precision, site.k);
        Self::product(inputs, weights, finish, output, want, tolerance)
    }

    /// Layer by layer, what lies between rounded as it would be stored.
    fn chain(site: &ChainSite, mut inputs: Inputs) -> Self {
        let (first, last) = (&site.layers[0], &site.layers[site.layers.len() - 1]);
        let dtype = operand_dtype(first.precision);
        let a = inputs.fill(Role::Input(0), &rows(first.m, first.k, first.pitch_a, first.dtype_a));
        let mut values = if first.dtype_a == dtype { a } else { quantized::converted(&a, dtype, first.scale_a) };
        let mut scale = if dtype == DType::I8 { Scale::new(1.0 / 128.0) } else { Scale::ONE };
        for (index, layer) in site.layers.iter().enumerate() {
            let weights = inputs.tensor(&[layer.n, layer.k], dtype);
            let b: Vec<f64> = weights.to_f32().into_iter().map(f64::from).collect();
            let finish =
                inputs.finish(&layer.epilogue, layer.precision, (layer.n, 1), scale, (layer.dtype_y, layer.scale_y));
            // Chains of f32 multiply it as it is, where TF32 would do.
            let real = if dtype == DType::F32 { Precision::Fp32 } else { layer.precision };
            values = reference::gemm(&GemmSite { precision: real, ..*layer }, &values, &b, false, &finish);
            if index + 1 < site.layers.len() && dtype == DType::F16 {
                values = quantized::converted(&values, dtype, Scale::ONE);
            }
            scale = layer.scale_y;
            let packed = ChainSite::packing(layer).pack(&weights).expect("the packing is the layer's");
            let scales = finish.scales();
            let terms = [
                (ChainSite::bias(index), &finish.bias, ChainSite::bias_len(layer)),
                (ChainSite::scales(index), &scales, ChainSite::scales_len(layer)),
            ];
            for (role, terms, len) in terms.into_iter().filter(|(_, terms, _)| !terms.is_empty()) {
                inputs.memory.insert(role, Buffer::input(Self::padded(terms, len)));
            }
            inputs.memory.insert(ChainSite::weights(index), Buffer::input(packed));
        }
        // Sums in another order may round what lies between to a neighbour; of integers nothing may differ.
        let largest = values.iter().fold(0.0f64, |most, value| most.max(value.abs())) as f32;
        let terms = if dtype == DType::F32 { site.layers.iter().map(|layer| layer.k).sum() } else { last.k };
        let stored = if dtype == DType::F32 { last.dtype_y } else { DType::F16 };
        let tolerance = (dtype != DType::I8).then(|| Tolerance::gemm(stored, terms as usize, largest));
        Self::plain(inputs, rows(last.m, last.n, last.pitch_y, last.dtype_y), values, tolerance)
    }

    fn axis(site: &AxisSite, mut inputs: Inputs) -> Self {
        let layout = Layout::new(&site.x);
        let n = site.x.dims.last().copied().unwrap_or(1);
        let picks = matches!(site.op, AxisOp::ArgMax | AxisOp::ArgMaxLast);
        let values = inputs.fill_with(Role::Input(0), &layout, |random| {
            let number = random.number(DType::F16);
            match site.op {
                // Coarse numbers where the largest is sought, so that there are ties.
                _ if picks => (number * 4.0).round(),
                // Near 1, so that a long product stays a number.
                AxisOp::Prod => 1.0 + (number * 64.0).round() / 1024.0,
                // Exponents that matter.
                _ => (number * 1024.0).round() / 128.0,
            }
        });
        let want = reference::axis(site, &values);
        let scale = match site.op {
            AxisOp::LogSoftmax | AxisOp::LogSumExp => 16.0,
            // Not divided by their number.
            AxisOp::Sum => 8.0 * (n as f32).sqrt(),
            _ => 8.0,
        };
        let tolerance = (!picks).then(|| Tolerance::gemm(site.y.dtype, n as usize, scale));
        Self::plain(inputs, Layout::new(&site.y), want, tolerance)
    }

    fn function(site: &FunctionSite, mut inputs: Inputs) -> Self {
        let fill = |(index, view): (usize, &View)| {
            inputs.fill_with(Role::Input(index as u8), &Layout::new(view), |random| {
                // Coarse reals, so that some are equal, on both sides of where functions bend.
                let number = random.number(view.dtype);
                if view.dtype.is_float() { (number * 64.0).round() / 16.0 } else { number }
            })
        };
        let operands: Vec<_> = site.inputs.iter().enumerate().map(fill).collect();
        let want = reference::function(site, &operands);
        let computes = matches!(site.function, Function::Unary(_) | Function::Binary(_)) && site.y.dtype.is_float();
        // The GPU's powf is right to 4 units in the last place.
        let Tolerance { relative, absolute } = Tolerance::elementwise(site.y.dtype);
        let tolerance = computes.then_some(Tolerance { relative: 2.0 * relative, absolute: 2.0 * absolute });
        Self::plain(inputs, Layout::new(&site.y), want, tolerance)
    }

    fn norm(site: &NormSite, mut inputs: Inputs) -> Self {
        // A mean that is large against the deviation.
        let x = inputs.fill_with(Role::Input(0), &Layout::new(&site.x), |random| {
            4.0 + (random.number(DType::F16) * 256.0).round() / 256.0
        });
        let scale = inputs.fill(Role::Input(1), &Layout::new(&site.scale));
        let bias = site.bias.as_ref().map(|view| inputs.fill(Role::Input(2), &Layout::new(view)));
        let want = reference::norm(site, &x, &scale, bias.as_deref());
        let n = site.x.dims.last().copied().unwrap_or(1);
        // The mean's error, of numbers around 4, is divided by the deviation, which is more than 1/4.
        let tolerance = Tolerance::gemm(site.y.dtype, n as usize, 16.0);
        Self::plain(inputs, Layout::new(&site.y), want, Some(tolerance))
    }

    fn gather(site: &GatherSite, mut inputs: Inputs) -> Self {
        let x = View::dense(&[site.outer, site.axis, site.inner], site.dtype);
        let values = inputs.fill(Role::Input(0), &Layout::new(&x));
        let indices = View::dense(&[site.indices], site.indices_dtype);
        let axis = f64::from(site.axis);
        let indices = inputs.fill_with(Role::Input(1), &Layout::new(&indices), |random| {
            // From -axis to axis - 1.
            ((random.number(DType::F32) * axis).floor()).clamp(-axis, axis - 1.0)
        });
        let want = reference::gather(site, &values, &indices);
        let y = View::dense(&[site.outer, site.indices, site.inner], site.dtype);
        Self::plain(inputs, Layout::new(&y), want, None)
    }

    fn picture(site: &PictureSite, mut inputs: Inputs) -> Self {
        let PictureSite { x, y, .. } = site;
        let bytes = inputs.fill(Role::Input(0), &Layout::new(&View::dense(&[x.n, x.h, x.w, 3], DType::U8)));
        let want = reference::picture(site, &bytes);
        let dense = View { scale: y.scale, ..View::dense(&[y.n, y.h, y.w, y.c], y.dtype) };
        let output = if y.pitch == y.c { Layout::new(&dense) } else { Layout::image(y) };
        Self::plain(inputs, output, want, None)
    }

    /// A bias or scales as a candidate wants them: zero-padded f32.
    pub fn padded(values: &[f32], len: usize) -> Vec<u8> {
        let zeros = std::iter::repeat_n(&0.0, len.saturating_sub(values.len()));
        values.iter().chain(zeros).flat_map(|&value| encode(DType::F32, f64::from(value))).collect()
    }
}
