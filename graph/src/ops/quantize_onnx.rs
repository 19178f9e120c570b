//! How ONNX writes quantization: Q/DQ pairs around real operators, operators on integers with scales, and plain
//! products of integers. All of it becomes [`Quantize`] and [`Dequantize`] around real operators, so that one set
//! of rules serves every spelling.
//!
//! ```text
//! QLinearConv(x, w) -> y      =>   Dequantize(x), Dequantize(w) -> Conv -> Quantize -> y
//! ConvInteger(x, w) -> y      =>   the same with scales of 1, then a Cast to i32
//! ```
//!
//! <https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html>, <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>,
//! <https://onnx.ai/onnx/operators/onnx__QLinearConv.html>, <https://onnx.ai/onnx/operators/onnx__QLinearMatMul.html>,
//! <https://onnx.ai/onnx/operators/onnx__ConvInteger.html>, <https://onnx.ai/onnx/operators/onnx__MatMulInteger.html>

use super::{Cast, Conv, Dequantize, MatMul, Op, OpError, Quantize, axis};
use crate::ir::ValueId;
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, QuantParams, Tensor};

/// ONNX's numbers for element types, as `output_dtype` has them.
const ONNX_FLOAT: i64 = 1;
const ONNX_UINT8: i64 = 2;
const ONNX_INT8: i64 = 3;
const ONNX_FLOAT16: i64 = 10;

impl Quantize {
    /// Reads ONNX's `QuantizeLinear`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let dtype = match node.int("output_dtype")? {
            None | Some(0 | ONNX_UINT8) => DType::U8,
            Some(ONNX_INT8) => DType::I8,
            Some(other) => return Err(node.bad_attribute("output_dtype", "2 (uint8) or 3 (int8)", other)),
        };
        let params = parameters(node, build, x, 1, dtype, blockless_axis(node, build, x)?)?;
        build.add(node, Quantize { params }.into(), &[x])
    }
}

impl Dequantize {
    /// Reads ONNX's `DequantizeLinear`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let dtype = build.graph().fact(x).dtype;
        let params = parameters(node, build, x, 1, dtype, blockless_axis(node, build, x)?)?;
        let to = match node.int("output_dtype")? {
            None | Some(0) => build.graph().fact(node.input(1)?).dtype,
            Some(ONNX_FLOAT) => DType::F32,
            Some(ONNX_FLOAT16) => DType::F16,
            Some(other) => return Err(node.bad_attribute("output_dtype", "1 (float) or 10 (float16)", other)),
        };
        build.add(node, Dequantize { params, to }.into(), &[x])
    }

    fn add(
        node: &NodeView<'_>,
        build: &mut Builder,
        part: &str,
        x: ValueId,
        params: QuantParams,
    ) -> Result<ValueId, ImportError> {
        Ok(build.add_part(node, part, Dequantize { params, to: DType::F32 }.into(), &[x])?[0])
    }
}

/// The axis along which a vector of scales goes; `None` where x has no such axis, which only matters for a vector.
fn blockless_axis(node: &NodeView<'_>, build: &Builder, x: ValueId) -> Result<Option<usize>, ImportError> {
    if let Some(size) = node.int("block_size")?.filter(|size| *size != 0) {
        return Err(node.bad_attribute("block_size", "0; limpid has a scale for a tensor or for a slice", size));
    }
    let rank = build.graph().fact(x).rank();
    match node.int("axis")? {
        None => Ok((rank > 1).then_some(1)),
        Some(_) if rank == 0 => Ok(None),
        Some(_) => axis::attribute(node, "axis", 1, rank).map(Some),
    }
}

/// The scale in input `index` and the zero point behind it, for integers of `x` or made from it. `dtype` is their
/// type if no zero point says it; `axis` is the one along which a vector goes.
fn parameters(
    node: &NodeView<'_>,
    build: &Builder,
    x: ValueId,
    index: usize,
    dtype: DType,
    axis: Option<usize>,
) -> Result<QuantParams, ImportError> {
    let scale = build.constant_input(node, node.input(index)?, "scale")?;
    let zero_point = match node.optional_input(index + 1) {
        Some(value) => Some(build.constant_input(node, value, "zero_point")?),
        None => None,
    };
    if scale.rank() > 1 {
        let expected = "one number, or one for each slice along `axis`";
        return Err(node.bad_attribute("scale", expected, format!("a tensor {:?}", scale.shape())));
    }
    let (scales, dtype) = (scale.to_f32(), zero_point.as_ref().map_or(dtype, Tensor::dtype));
    if !matches!(dtype, DType::I8 | DType::U8 | DType::I32) {
        return Err(node.bad_attribute("zero_point", "of type int8, uint8 or int32", dtype));
    }
    let zero_points: Vec<i32> = match &zero_point {
        None => vec![0; scales.len()],
        Some(tensor) => tensor.to_i64().into_iter().map(|z| z as i32).collect(),
    };
    if zero_points.len() != scales.len() {
        return Err(node.bad_attribute(
            "zero_point",
            format!("{} number(s), as scale has", scales.len()),
            zero_points.len(),
        ));
    }
    let axis = match (scales.len(), axis) {
        (1, _) => None,
        (_, Some(axis)) => Some(axis),
        (count, None) => {
            let expected = format!("one number for {}", build.graph().fact(x));
            return Err(node.bad_attribute("scale", expected, count));
        }
    };
    Ok(QuantParams { scales, zero_points, axis, dtype })
}

/// Adds an operator that picks among its input's elements, which in ONNX may be 8-bit integers: those become real
/// before it and integers again behind it, which changes none.
pub(super) fn add_on_reals(
    node: &NodeView<'_>,
    build: &mut Builder,
    op: Op,
    x: ValueId,
) -> Result<Vec<ValueId>, ImportError> {
    let fact = build.graph().fact(x).clone();
    let (before, behind): (Op, Op) = match fact.quant {
        None if !matches!(fact.dtype, DType::I8 | DType::U8) => return build.add(node, op, &[x]),
        None => (Cast { to: DType::F32 }.into(), Cast { to: fact.dtype }.into()),
        Some(params) => (Dequantize { params: params.clone(), to: DType::F32 }.into(), Quantize { params }.into()),
    };
    let x = build.add_part(node, "x", before, &[x])?[0];
    let y = build.add_part(node, "y", op, &[x])?[0];
    build.add(node, behind, &[y])
}

/// Reads `QLinearConv`: x, its scale and zero point, w, its scale and zero point, y's, and a bias of i32.
pub(super) fn conv_from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
    let (x, w) = (node.input(0)?, node.input(3)?);
    let of_x = parameters(node, build, x, 1, DType::U8, None)?;
    let of_w = parameters(node, build, w, 4, DType::U8, Some(0))?;
    let of_y = parameters(node, build, x, 6, DType::U8, None)?;
    let bias = match node.optional_input(8) {
        None => None,
        Some(bias) => {
            let scales: Vec<f32> = of_w.scales.iter().map(|w| of_x.scales[0] * w).collect();
            let axis = (scales.len() > 1).then_some(0);
            let params = QuantParams { zero_points: vec![0; scales.len()], scales, axis, dtype: DType::I32 };
            Some(Dequantize::add(node, build, "bias", bias, params)?)
        }
    };
    let x = Dequantize::add(node, build, "x", x, of_x)?;
    let w = Dequantize::add(node, build, "w", w, of_w)?;
    let y = Conv::read(node, build, "product", [x, w], bias)?[0];
    build.add(node, Quantize { params: of_y }.into(), &[y])
}

/// Reads `QLinearMatMul`: a and b, each with scale and zero point, then y's. b may have one scale a column.
pub(super) fn matmul_from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
    let (a, b) = (node.input(0)?, node.input(3)?);
    let of_a = parameters(node, build, a, 1, DType::U8, None)?;
    let of_b = parameters(node, build, b, 4, DType::U8, build.graph().fact(b).rank().checked_sub(1))?;
    let of_y = parameters(node, build, a, 6, DType::U8, None)?;
    let a = Dequantize::add(node, build, "a", a, of_a)?;
    let b = Dequantize::add(node, build, "b", b, of_b)?;
    let y = build.add_part(node, "product", MatMul.into(), &[a, b])?[0];
    build.add(node, Quantize { params: of_y }.into(), &[y])
}

/// Reads `ConvInteger`: Σ (x - zero point of x)·(w - zero point of w), in i32.
pub(super) fn conv_integer_from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
    let [x, w] = integer_operands(node, build, Some(0))?;
    let y = Conv::read(node, build, "product", [x, w], None)?[0];
    build.add(node, Cast { to: DType::I32 }.into(), &[y])
}

/// Reads `MatMulInteger`: (a - zero point of a)·(b - zero point of b), in i32.
pub(super) fn matmul_integer_from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
    let columns = build.graph().fact(node.input(1)?).rank().checked_sub(1);
    let [a, b] = integer_operands(node, build, columns)?;
    let y = build.add_part(node, "product", MatMul.into(), &[a, b])?[0];
    build.add(node, Cast { to: DType::I32 }.into(), &[y])
}

/// Both operands less their zero points, as reals. `axis` is that of the second one's output channels.
///
/// # Errors
/// If sums may leave the integers that f32 holds.
fn integer_operands(
    node: &NodeView<'_>,
    build: &mut Builder,
    axis: Option<usize>,
) -> Result<[ValueId; 2], ImportError> {
    let operands = [node.input(0)?, node.input(1)?];
    let mut params = Vec::with_capacity(2);
    for (index, (&operand, axis)) in operands.iter().zip([None, axis]).enumerate() {
        let dtype = build.graph().fact(operand).dtype;
        let zero_points = match node.optional_input(2 + index) {
            None => vec![0],
            Some(value) => {
                build.constant_input(node, value, "zero_point")?.to_i64().into_iter().map(|z| z as i32).collect()
            }
        };
        let axis = axis.filter(|_| zero_points.len() > 1);
        params.push(QuantParams { scales: vec![1.0; zero_points.len()], zero_points, axis, dtype });
    }
    check_integers(node, build, operands[1], &params, axis)?;
    let names = ["x", "w"];
    let mut reals = operands;
    for ((real, params), name) in reals.iter_mut().zip(params).zip(names) {
        *real = Dequantize::add(node, build, name, *real, params)?;
    }
    Ok(reals)
}

/// The product is carried out in f32, which holds integers up to 2^24: no sum may be able to go beyond.
fn check_integers(
    node: &NodeView<'_>,
    build: &Builder,
    w: ValueId,
    params: &[QuantParams],
    axis: Option<usize>,
) -> Result<(), ImportError> {
    const LARGEST: i64 = 1 << 24;
    let span = |params: &QuantParams| {
        let limits = if params.dtype == DType::U8 { [0, 255] } else { [-128, 127] };
        let farthest = params.zero_points.iter().flat_map(|z| limits.map(|limit| (limit - i64::from(*z)).abs()));
        farthest.max().unwrap_or(0)
    };
    let shape = build.known_shape(node, w, "w")?;
    let channels = axis.and_then(|axis| shape.get(axis)).copied().unwrap_or(1).max(1);
    let inner: usize = axis.map_or(1, |axis| shape.iter().skip(axis + 1).product());
    let terms = shape.iter().product::<usize>() / channels;
    // Known weights have a largest sum of their own; unknown ones are taken to be as large as their type allows.
    let largest = match build.known_tensor(w) {
        None => span(&params[1]).saturating_mul(terms as i64),
        Some(tensor) => {
            let mut sums = vec![0i64; channels];
            for (i, q) in tensor.to_i64().into_iter().enumerate() {
                let channel = i / inner.max(1) % channels;
                let zero_points = &params[1].zero_points;
                sums[channel] += (q - i64::from(zero_points[channel % zero_points.len()])).abs();
            }
            sums.into_iter().max().unwrap_or(0)
        }
    };
    if largest.saturating_mul(span(&params[0])) > LARGEST {
        return Err(node.error(OpError::Terms { terms, largest: 255 * 255, bits: 24 }));
    }
    Ok(())
}
