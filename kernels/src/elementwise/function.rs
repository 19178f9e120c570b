//! When and how `function.cu` runs: any function of f16 and f32, or of integers and bools of one type.

use super::function_edges;
use super::walk::{self, Walked, wide};
use crate::catalog::Kernel;
use crate::epilogue::ActivationParams;
use crate::index::Walk;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Tactic, cuda_type};
use crate::site::{self, FunctionSite, Site, View};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::{Activation, BinaryFunction, Comparison, UnaryFunction};
use limpid_graph::tensor::DType;

/// `y = activation(f(a, b, c))`.
pub struct Function;

/// `FunctionParams` of function.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    walk: Walked,
    activation: ActivationParams,
    alpha: f32,
    gamma: f32,
    relation: u32,
}

/// Blocks offered.
const THREADS: [u32; 2] = [128, 256];
const FLOATS: [DType; 2] = [DType::F16, DType::F32];
const INTEGERS: [DType; 2] = [DType::I32, DType::I64];

/// The functions of reals, by their names in functions.cuh.
const OF_ONE_REAL: [&str; 21] = [
    "absolute",
    "negative",
    "sign",
    "exponential",
    "logarithm",
    "square_root",
    "reciprocal",
    "round_down",
    "round_up",
    "round_even",
    "sine",
    "cosine",
    "error_function",
    "gelu",
    "gelu_tanh",
    "softplus",
    "softsign",
    "elu",
    "selu",
    "celu",
    "mish",
];
const OF_TWO_REALS: [&str; 4] = ["power", "smaller", "greater", "prelu"];
/// Those of integers.
const OF_ONE_INTEGER: [&str; 3] = ["integer_absolute", "integer_negative", "integer_sign"];
const OF_TWO_INTEGERS: [&str; 6] =
    ["integer_sum", "integer_difference", "integer_product", "integer_quotient", "integer_smaller", "integer_greater"];

/// A function as it is compiled: its name, and what it takes and makes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Build {
    name: &'static str,
    computed: DType,
    inputs: Vec<DType>,
    y: DType,
}

fn name_of_unary(function: UnaryFunction, reals: bool) -> Option<&'static str> {
    Some(match (function, reals) {
        (UnaryFunction::Abs, false) => "integer_absolute",
        (UnaryFunction::Neg, false) => "integer_negative",
        (UnaryFunction::Sign, false) => "integer_sign",
        (_, false) => return None,
        (UnaryFunction::Abs, _) => "absolute",
        (UnaryFunction::Neg, _) => "negative",
        (UnaryFunction::Sign, _) => "sign",
        (UnaryFunction::Exp, _) => "exponential",
        (UnaryFunction::Log, _) => "logarithm",
        (UnaryFunction::Sqrt, _) => "square_root",
        (UnaryFunction::Reciprocal, _) => "reciprocal",
        (UnaryFunction::Floor, _) => "round_down",
        (UnaryFunction::Ceil, _) => "round_up",
        (UnaryFunction::Round, _) => "round_even",
        (UnaryFunction::Sin, _) => "sine",
        (UnaryFunction::Cos, _) => "cosine",
        (UnaryFunction::Erf, _) => "error_function",
        (UnaryFunction::Gelu, _) => "gelu",
        (UnaryFunction::GeluTanh, _) => "gelu_tanh",
        (UnaryFunction::Softplus, _) => "softplus",
        (UnaryFunction::Softsign, _) => "softsign",
        (UnaryFunction::Elu { .. }, _) => "elu",
        (UnaryFunction::Selu { .. }, _) => "selu",
        (UnaryFunction::Celu { .. }, _) => "celu",
        (UnaryFunction::Mish, _) => "mish",
    })
}

fn name_of_binary(function: BinaryFunction, reals: bool) -> Option<&'static str> {
    Some(match (function, reals) {
        (BinaryFunction::Pow, true) => "power",
        (BinaryFunction::Min, true) => "smaller",
        (BinaryFunction::Max, true) => "greater",
        (BinaryFunction::PRelu, true) => "prelu",
        (BinaryFunction::Add, false) => "integer_sum",
        (BinaryFunction::Sub, false) => "integer_difference",
        (BinaryFunction::Mul, false) => "integer_product",
        (BinaryFunction::Div, false) => "integer_quotient",
        (BinaryFunction::Min, false) => "integer_smaller",
        (BinaryFunction::Max, false) => "integer_greater",
        _ => return None,
    })
}

/// One type for all integers of a size, where bits are moved.
const fn of_size(dtype: DType) -> DType {
    match dtype {
        DType::U8 | DType::Bool => DType::I8,
        other => other,
    }
}

/// What has to be compiled for a site, or why there is no such thing.
fn build(site: &FunctionSite) -> Result<Build, String> {
    let mut inputs: Vec<DType> = site.inputs.iter().map(|view| view.dtype).collect();
    let mut y = site.y.dtype;
    let arity = match site.function {
        site::Function::Unary(_) => 1,
        site::Function::Binary(_) | site::Function::Compare(_) => 2,
        site::Function::Where => 3,
    };
    if inputs.len() != arity {
        return Err(format!("{:?} takes {arity} operands, got {}", site.function, inputs.len()));
    }
    if site.inputs.iter().chain([&site.y]).any(|view| view.scale.is_quantized()) {
        return Err("takes reals and plain integers, got a tensor with a scale".to_owned());
    }
    if matches!(site.function, site::Function::Where) {
        if inputs[0] != DType::Bool {
            return Err(format!("chooses by bools, got {}", inputs[0]));
        }
        (inputs[1], inputs[2], y) = (of_size(inputs[1]), of_size(inputs[2]), of_size(y));
    }
    let values = if arity == 3 { &inputs[1..] } else { &inputs[..] };
    let reals = values.iter().all(|dtype| dtype.is_float());
    let same = values.iter().all(|dtype| *dtype == values[0]);
    let (name, made) = match site.function {
        site::Function::Unary(f) => (name_of_unary(f, reals), values[0]),
        site::Function::Binary(f) => (name_of_binary(f, reals), values[0]),
        site::Function::Compare(_) => (Some("compare"), DType::Bool),
        // A choice between reals may be rounded to y's type.
        site::Function::Where => (Some("choose"), if reals { y } else { values[0] }),
    };
    let moved = arity == 3 && same && y == values[0];
    let computed = if reals && !moved { DType::F32 } else { values[0] };
    let build = name.map(|name| Build { name, computed, inputs: inputs.clone(), y });
    let activates = matches!(site.function, site::Function::Binary(_)) && reals;
    build
        .filter(|build| y == made && builds().contains(build))
        .filter(|_| activates || site.activation == Activation::Identity)
        .ok_or_else(|| format!("has no {:?} of {inputs:?} to {y}", site.function))
}

/// Everything it is compiled for.
fn builds() -> Vec<Build> {
    let mut builds = Vec::new();
    let mut push = |name, computed, inputs: &[DType], y| {
        builds.push(Build { name, computed, inputs: inputs.to_vec(), y });
    };
    for a in FLOATS {
        OF_ONE_REAL.iter().for_each(|name| push(name, DType::F32, &[a], a));
        for b in FLOATS {
            OF_TWO_REALS.iter().for_each(|name| push(name, DType::F32, &[a, b], a));
            push("compare", DType::F32, &[a, b], DType::Bool);
            for y in FLOATS {
                let computed = if a == b && y == a { y } else { DType::F32 };
                push("choose", computed, &[DType::Bool, a, b], y);
            }
        }
    }
    for a in INTEGERS {
        OF_ONE_INTEGER.iter().for_each(|name| push(name, a, &[a], a));
        OF_TWO_INTEGERS.iter().for_each(|name| push(name, a, &[a, a], a));
        push("compare", a, &[a, a], DType::Bool);
        push("choose", a, &[DType::Bool, a, a], a);
    }
    push("compare", DType::Bool, &[DType::Bool, DType::Bool], DType::Bool);
    push("choose", DType::I8, &[DType::Bool, DType::I8, DType::I8], DType::I8);
    builds
}

impl Build {
    fn vector(&self) -> u32 {
        wide(self.inputs.iter().copied().chain([self.y]))
    }

    fn unit(&self) -> CompileUnit {
        let name = |i: usize| cuda_type(self.inputs.get(i).copied().unwrap_or(DType::F32)).to_owned();
        CompileUnit::new(
            "elementwise/function.cu",
            "elementwise_function",
            [
                ("FUNCTION", self.name.to_owned()),
                ("COMPUTED", cuda_type(self.computed).to_owned()),
                ("A_TYPE", name(0)),
                ("B_TYPE", name(1)),
                ("C_TYPE", name(2)),
                ("Y_TYPE", cuda_type(self.y).to_owned()),
                ("INPUTS", self.inputs.len().to_string()),
                ("VECTOR", self.vector().to_string()),
            ],
        )
    }
}

/// alpha, gamma, and the relation asked for; its numbers are `Relation`'s of functions.cuh.
fn scalars(function: site::Function) -> (f32, f32, u32) {
    match function {
        site::Function::Unary(UnaryFunction::Elu { alpha } | UnaryFunction::Celu { alpha }) => (alpha, 0.0, 0),
        site::Function::Unary(UnaryFunction::Selu { alpha, gamma }) => (alpha, gamma, 0),
        site::Function::Compare(comparison) => (
            0.0,
            0.0,
            match comparison {
                Comparison::Equal => 0,
                Comparison::Greater => 1,
                Comparison::GreaterOrEqual => 2,
                Comparison::Less => 3,
                Comparison::LessOrEqual => 4,
                Comparison::And => 5,
                Comparison::Or => 6,
                Comparison::Xor => 7,
            },
        ),
        _ => (0.0, 0.0, 0),
    }
}

impl Kernel for Function {
    fn name(&self) -> &'static str {
        "elementwise/function"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Function(site) = site else { return Err("is for functions beyond arithmetic".to_owned()) };
        let build = build(site)?;
        let views: Vec<&View> = site.inputs.iter().chain([&site.y]).collect();
        let walk = Walk::of(&views, site.y.zero_lanes > 0)?;
        let vector = build.vector();
        let walked = Walked::new(&site.inputs, &site.y, &walk, vector);
        let (alpha, gamma, relation) = scalars(site.function);
        let activation = ActivationParams::new(site.activation);
        let args =
            walk::args(site.inputs.len(), Arg::params(&Params { walk: walked, activation, alpha, gamma, relation }));
        let candidate = |threads: u32| {
            let count = walk::threads(&walk, &site.y, vector);
            let launch = Launch::linear(build.unit(), count, threads, args.clone())?;
            // Exponentials and their like are counted as eight.
            let cost = CandidateCost {
                blocks_per_multiprocessor: 1024 / threads,
                ..walked.cost(&site.inputs, &site.y, 8, launch.blocks())
            };
            let tactic = Tactic::new("elementwise/function", &[("vector", vector), ("threads", threads)]);
            Ok(Candidate::plain(tactic, launch, cost))
        };
        THREADS.map(candidate).into_iter().collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        function_edges::sites()
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        builds().iter().map(Build::unit).collect()
    }
}
