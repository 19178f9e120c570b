//! The vocabulary: one file per operator.
//!
//! An operator's file holds its attributes, what shapes it makes ([`Operator::infer`]), plain arithmetic
//! ([`Operator::reference`]), what it costs, how it is read from ONNX, and its tests. It becomes known by
//! its line in `operators!` below, and nowhere else.

mod activation;
mod argmax;
mod axis;
mod batch_norm;
mod binary;
mod broadcast;
mod cast;
mod compare;
mod concat;
mod constant;
mod conv;
mod conv_sums;
mod conv_transpose;
mod cost;
mod depth_space;
mod epilogue;
mod error;
#[cfg(test)]
pub(crate) mod evaluate;
pub mod exact;
mod expand;
mod finish;
mod flatten;
mod gather;
mod gemm;
mod global_pool;
mod identity;
mod lanes;
mod matmul;
mod movement;
mod norm;
mod pad;
pub mod picture;
mod pool;
mod product;
mod quantize;
mod quantize_onnx;
mod reduce;
mod reshape;
mod resize;
mod sampling;
mod scale_shift;
mod shape_of;
mod shape_value;
mod slice;
mod sliding;
mod softmax;
mod split;
mod squeeze;
mod transpose;
mod unary;
mod where_op;
mod window;

pub use activation::ActivationOp;
pub use argmax::ArgMax;
pub use batch_norm::BatchNorm;
pub use binary::{Binary, BinaryFunction};
pub use cast::Cast;
pub use compare::{Compare, Comparison};
pub use concat::Concat;
pub use constant::{ConstantOfShape, Range};
pub use conv::Conv;
pub use conv_transpose::ConvTranspose;
pub use cost::Cost;
pub use depth_space::{DepthOrder, DepthToSpace, SpaceToDepth};
pub use epilogue::{Activation, Epilogue};
pub use error::OpError;
pub use expand::{Expand, Tile};
pub use flatten::Flatten;
pub use gather::Gather;
pub use gemm::Gemm;
pub(crate) use gemm::transposed;
pub use global_pool::GlobalPool;
pub use identity::Identity;
pub use matmul::MatMul;
pub use norm::{InstanceNormalization, LayerNormalization};
pub use pad::{Pad, PadMode};
pub use picture::Picture;
pub use pool::{Pool, PoolKind};
pub use quantize::{Dequantize, Quantize};
pub use reduce::{Reduce, ReduceFunction};
pub use reshape::Reshape;
pub use resize::{Resize, ResizeAxis};
pub use sampling::{CoordinateMode, NearestMode, ResizeMode};
pub use scale_shift::ScaleShift;
pub use shape_of::{ShapeOf, Size};
pub use shape_value::ShapeValue;
pub use slice::{Slice, SliceRange};
pub use softmax::Softmax;
pub use split::Split;
pub use squeeze::{Squeeze, Unsqueeze};
pub use transpose::Transpose;
pub use unary::{Unary, UnaryFunction};
pub use where_op::Where;
pub use window::{Padding, Window};

use crate::ir::Fact;
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, QuantParams, Tensor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a value must be when an operator runs: all symbols bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The element type it is stored as.
    pub dtype: DType,
    /// Its extents.
    pub shape: Vec<usize>,
    /// How its integers stand for reals, if they do.
    pub quant: Option<QuantParams>,
}

impl Spec {
    /// The scale of a value on the exact INT8 path; see [`QuantParams::exact_scale`].
    pub fn exact_scale(&self) -> Option<f32> {
        self.quant.as_ref().filter(|_| self.dtype == DType::I8).and_then(QuantParams::exact_scale)
    }

    /// Number of elements; the largest number there is where they are more.
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1, |len: usize, &d| len.saturating_mul(d))
    }

    /// True if an extent is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of a dense tensor of it.
    pub fn bytes(&self) -> usize {
        self.len().saturating_mul(self.dtype.size())
    }
}

/// One run of an operator in the reference: its inputs, and what its outputs must be.
///
/// FP16 inputs arrive widened to F32 (their `specs` still say F16); results are returned in F32 and the
/// interpreter rounds them once, as a kernel's epilogue does. Integers arrive as they are.
#[derive(Clone, Copy, Debug)]
pub struct Eval<'a> {
    /// The tensors read.
    pub inputs: &'a [Tensor],
    /// What they are stored as.
    pub specs: &'a [Spec],
    /// What is asked for.
    pub outputs: &'a [Spec],
}

/// An operator: a struct with its attributes.
pub trait Operator: fmt::Debug {
    /// Its name in prints and errors; ONNX's where there is one.
    fn name(&self) -> &'static str;

    /// Attributes worth a reader's eye, for the canonical print: `[("kernel", "3x3"), …]`.
    fn attributes(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The outputs' facts. Shapes may be symbolic; an error says what was expected and what came.
    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError>;

    /// Plain arithmetic on the CPU.
    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError>;

    /// Floating-point (or integer) operations and bytes that must move at least once.
    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost::elementwise(inputs, outputs)
    }

    /// True if every output element is an element of the first input or 0, at another place: integers then keep
    /// their scale, and quantization may happen before or after.
    fn only_moves(&self) -> bool {
        false
    }

    /// Arithmetic on shapes: what a value that holds extents becomes, symbols kept.
    /// `inputs[i]` is `None` where the input holds no extents.
    fn shape_arithmetic(&self, _inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        None
    }

    /// The epilogue, for operators that a bias, an activation or a residual can be fused into.
    fn epilogue(&self) -> Option<&Epilogue> {
        None
    }

    /// The epilogue, to fuse into.
    fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        None
    }
}

/// Reads one ONNX node: adds what it stands for to the graph and returns the values for its outputs.
pub type Importer = fn(&NodeView<'_>, &mut Builder) -> Result<Vec<crate::ir::ValueId>, ImportError>;

macro_rules! operators {
    ($($variant:ident($path:ty) from [$($onnx:literal),*];)* + { $($alias:literal by $reader:path;)* }) => {
        /// Any operator.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs)] // each variant is documented at its struct
        pub enum Op { $($variant($path)),* }

        impl Op {
            /// The operator behind the enum.
            pub fn as_operator(&self) -> &dyn Operator {
                match self { $(Op::$variant(op) => op),* }
            }

            /// The operator behind the enum, to change.
            pub fn as_operator_mut(&mut self) -> &mut dyn Operator {
                match self { $(Op::$variant(op) => op),* }
            }
        }

        $(impl From<$path> for Op {
            fn from(op: $path) -> Self { Op::$variant(op) }
        })*

        /// Who reads ONNX nodes of this type, if anyone does. Only the default domain.
        pub fn importer(op_type: &str) -> Option<Importer> {
            match op_type {
                $($($onnx => Some(<$path>::from_onnx as Importer),)*)*
                $($alias => Some($reader as Importer),)*
                _ => None,
            }
        }

        /// Every ONNX operator that can be read, in the list's order.
        pub const IMPORTED: &[&str] = &[$($($onnx,)*)* $($alias),*];
    };
}

operators! {
    Conv(Conv) from ["Conv"];
    ConvTranspose(ConvTranspose) from ["ConvTranspose"];
    Gemm(Gemm) from ["Gemm"];
    MatMul(MatMul) from ["MatMul"];
    BatchNorm(BatchNorm) from ["BatchNormalization"];
    ScaleShift(ScaleShift) from [];
    Pool(Pool) from ["MaxPool", "AveragePool"];
    GlobalPool(GlobalPool) from ["GlobalMaxPool", "GlobalAveragePool"];
    Activation(ActivationOp) from ["Relu", "LeakyRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh"];
    Binary(Binary) from ["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "PRelu"];
    Unary(Unary) from [
        "Abs", "Neg", "Sign", "Exp", "Log", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Sin", "Cos", "Erf",
        "Gelu", "Softplus", "Softsign", "Elu", "Selu", "Celu", "Mish"
    ];
    Compare(Compare) from ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor"];
    Where(Where) from ["Where"];
    Softmax(Softmax) from ["Softmax", "LogSoftmax"];
    Reduce(Reduce) from [
        "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
        "ReduceLogSumExp"
    ];
    ArgMax(ArgMax) from ["ArgMax"];
    InstanceNormalization(InstanceNormalization) from ["InstanceNormalization"];
    LayerNormalization(LayerNormalization) from ["LayerNormalization"];
    Picture(Picture) from [];
    Resize(Resize) from ["Resize", "Upsample"];
    Pad(Pad) from ["Pad"];
    Concat(Concat) from ["Concat"];
    Split(Split) from ["Split"];
    Slice(Slice) from ["Slice"];
    Gather(Gather) from ["Gather"];
    Transpose(Transpose) from ["Transpose"];
    DepthToSpace(DepthToSpace) from ["DepthToSpace"];
    SpaceToDepth(SpaceToDepth) from ["SpaceToDepth"];
    Expand(Expand) from ["Expand"];
    Tile(Tile) from ["Tile"];
    Reshape(Reshape) from ["Reshape"];
    Flatten(Flatten) from ["Flatten"];
    Squeeze(Squeeze) from ["Squeeze"];
    Unsqueeze(Unsqueeze) from ["Unsqueeze"];
    Cast(Cast) from ["Cast"];
    Quantize(Quantize) from ["QuantizeLinear"];
    Dequantize(Dequantize) from ["DequantizeLinear"];
    Identity(Identity) from ["Identity"];
    ShapeOf(ShapeOf) from ["Shape"];
    Size(Size) from ["Size"];
    ConstantOfShape(ConstantOfShape) from ["ConstantOfShape"];
    Range(Range) from ["Range"];
    // What has no operator of its own here.
    + {
        "Constant" by constant::constant_from_onnx;
        "CastLike" by Cast::from_cast_like;
        "QLinearConv" by quantize_onnx::conv_from_onnx;
        "QLinearMatMul" by quantize_onnx::matmul_from_onnx;
        "ConvInteger" by quantize_onnx::conv_integer_from_onnx;
        "MatMulInteger" by quantize_onnx::matmul_integer_from_onnx;
        "Dropout" by Identity::from_dropout;
    }
}

impl Op {
    /// See [`Operator::name`].
    pub fn name(&self) -> &'static str {
        self.as_operator().name()
    }

    /// See [`Operator::infer`].
    pub fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        self.as_operator().infer(inputs)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.as_operator();
        f.write_str(op.name())?;
        let mut attributes = op.attributes();
        if let Some(epilogue) = op.epilogue().filter(|e| **e != Epilogue::default()) {
            attributes.push(("epilogue", epilogue.to_string()));
        }
        if attributes.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = attributes.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        write!(f, "[{}]", list.join(" "))
    }
}
