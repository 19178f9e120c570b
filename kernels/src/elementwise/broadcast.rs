//! When and how `broadcast.cu` runs: any elementwise site of f16 and f32 operands.

use crate::catalog::Kernel;
use crate::epilogue::ActivationParams;
use crate::index::{Divisor, Walk, distinct};
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{ElementwiseOp, ElementwiseSite, Scale, Site, View};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::{Activation, Cost};
use limpid_graph::tensor::DType;

/// `y = activation(op(a, b, c))`.
pub struct Broadcast;

/// `ElementwiseParams` of broadcast.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    strides: [[i64; 6]; 4],
    extents: [Divisor; 6],
    access: [u32; 4],
    rank: u32,
    vectors: u32,
    lanes: u32,
    padded: u32,
    op: u32,
    activation: ActivationParams,
}

/// How an operand's rows are moved; `Access` of broadcast.cu.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Lanes = 0,
    One = 1,
    Whole = 2,
}

/// Where y stands in the arrays of [`Params`].
const Y: usize = 3;

/// Blocks offered.
const THREADS: [u32; 2] = [128, 256];

const fn operands(op: ElementwiseOp) -> usize {
    match op {
        ElementwiseOp::Identity => 1,
        ElementwiseOp::MulAdd => 3,
        _ => 2,
    }
}

fn unit(inputs: &[DType], y: DType, vector: u32) -> CompileUnit {
    let name = |i: usize| cuda_type(inputs.get(i).copied().unwrap_or(DType::F32)).to_owned();
    CompileUnit::new(
        "elementwise/broadcast.cu",
        "elementwise",
        [
            ("A_TYPE", name(0)),
            ("B_TYPE", name(1)),
            ("C_TYPE", name(2)),
            ("Y_TYPE", cuda_type(y).to_owned()),
            ("INPUTS", inputs.len().to_string()),
            ("VECTOR", vector.to_string()),
        ],
    )
}

fn check(site: &ElementwiseSite) -> Result<(), String> {
    let wanted = operands(site.op);
    if site.inputs.len() != wanted {
        return Err(format!("{:?} takes {wanted} operands, got {}", site.op, site.inputs.len()));
    }
    match site.inputs.iter().chain([&site.y]).find(|view| !view.dtype.is_float()) {
        Some(view) => Err(format!("needs f16 or f32 operands, got {}", view.dtype)),
        None => Ok(()),
    }
}

/// One variant: `vector` elements a thread.
fn params(site: &ElementwiseSite, walk: &Walk, vector: u32) -> Params {
    let views: Vec<&View> = site.inputs.iter().chain([&site.y]).collect();
    let mut params = Params::zeroed();
    for (i, view) in views.iter().enumerate() {
        let slot = if i + 1 == views.len() { Y } else { i };
        params.strides[slot] = walk.strides_of(i);
        params.access[slot] = if walk.rows_are_whole(i, 0, view.dtype.size(), vector) {
            Access::Whole
        } else if walk.inner_stride(i) == 0 {
            Access::One
        } else {
            Access::Lanes
        } as u32;
    }
    let padded = walk.inner() + site.y.zero_lanes;
    Params {
        extents: walk.divisors(padded, vector),
        rank: walk.rank() as u32,
        vectors: (walk.rows() * u64::from(padded.div_ceil(vector))) as u32,
        lanes: walk.inner(),
        padded,
        op: site.op as u32,
        activation: ActivationParams::new(site.activation),
        ..params
    }
}

fn candidate(site: &ElementwiseSite, walk: &Walk, vector: u32, threads: u32) -> Result<Candidate, String> {
    let params = params(site, walk, vector);
    let inputs: Vec<DType> = site.inputs.iter().map(|view| view.dtype).collect();
    let mut args: Vec<Arg> = (0..3).map(|i| Arg::optional(Role::Input(i), usize::from(i) < inputs.len())).collect();
    args.extend([Arg::Pointer(Role::Output(0)), Arg::params(&params)]);
    let padded = walk.inner() + site.y.zero_lanes;
    let count = walk.rows() * u64::from(padded.div_ceil(vector));
    let launch = Launch::linear(unit(&inputs, site.y.dtype, vector), count, threads, args)?;

    let read: u64 = site.inputs.iter().map(|view| distinct(view) * view.dtype.size() as u64).sum();
    let written = walk.rows() * u64::from(padded) * site.y.dtype.size() as u64;
    let scattered = params.access.contains(&(Access::Lanes as u32));
    let efficiency = if scattered { 0.3 } else { 0.9 };
    let cost = Cost { flops: site.y.len() * operands(site.op).max(2) as u64 / 2, bytes: read + written };
    let cost = CandidateCost {
        blocks_per_multiprocessor: 1024 / threads,
        ..CandidateCost::of(cost, launch.blocks(), efficiency)
    };
    let tactic = Tactic::new("elementwise/broadcast", &[("vector", vector), ("threads", threads)]);
    Ok(Candidate::plain(tactic, launch, cost))
}

impl Kernel for Broadcast {
    fn name(&self) -> &'static str {
        "elementwise/broadcast"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Elementwise(site) = site else { return Err("is for elementwise sites".to_owned()) };
        check(site)?;
        let views: Vec<&View> = site.inputs.iter().chain([&site.y]).collect();
        let walk = Walk::of(&views, site.y.zero_lanes > 0)?;
        let wide = if views.iter().any(|view| view.dtype == DType::F16) { 8 } else { 4 };
        let access = params(site, &walk, wide).access;
        let y_whole = access[Y] == Access::Whole as u32;
        let scattered = access[..site.inputs.len()].contains(&(Access::Lanes as u32));
        // A vector that is not written whole gains nothing; one that is gathered lane by lane may.
        let vectors: &[u32] = if !y_whole {
            &[1]
        } else if scattered {
            &[wide, 1]
        } else {
            &[wide]
        };
        vectors.iter().flat_map(|&vector| THREADS.map(|threads| candidate(site, &walk, vector, threads))).collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        let image = |c: u32, pitch: u32, dtype: DType| {
            let width = 16 / dtype.size() as u32;
            let strides = vec![i64::from(5 * 3 * pitch), i64::from(3 * pitch), i64::from(pitch), 1];
            View {
                dims: vec![2, 5, 3, c],
                strides,
                dtype,
                zero_lanes: c.next_multiple_of(width) - c,
                scale: Scale::ONE,
            }
        };
        let broadcast = |view: &View, kept: &[usize], dtype: DType| {
            let mut strides = vec![0; view.dims.len()];
            let mut stride = 1;
            for &d in kept.iter().rev() {
                strides[d] = stride;
                stride *= i64::from(view.dims[d]);
            }
            View { dims: view.dims.clone(), strides, dtype, zero_lanes: 0, scale: Scale::ONE }
        };
        let mut push = |op, inputs: Vec<View>, y: View, activation| {
            sites.push(Site::Elementwise(ElementwiseSite { op, inputs, y, activation }));
        };
        let (half, single) = (DType::F16, DType::F32);
        // Same layout, at and around a vector and a block.
        for length in [1, 7, 8, 9, 1023, 1025] {
            let (a, y) = (View::dense(&[length], half), View::dense(&[length], half));
            push(ElementwiseOp::Add, vec![a.clone(), a], y, Activation::Relu);
        }
        // Images with padding lanes: a value per channel, a picture's scale per channel, a scalar, a mix of types.
        for (c, pitch, dtype) in
            [(1, 8, half), (3, 8, half), (13, 24, half), (16, 16, half), (3, 4, single), (5, 12, single)]
        {
            let y = image(c, pitch, dtype);
            let (per_channel, per_picture) = (broadcast(&y, &[3], single), broadcast(&y, &[0, 3], dtype));
            push(
                ElementwiseOp::MulAdd,
                vec![y.clone(), per_channel.clone(), per_channel.clone()],
                y.clone(),
                Activation::Identity,
            );
            push(ElementwiseOp::Mul, vec![y.clone(), per_picture], y.clone(), Activation::HardSwish);
            push(ElementwiseOp::Sub, vec![broadcast(&y, &[], single), y.clone()], y.clone(), Activation::Sigmoid);
            push(ElementwiseOp::Identity, vec![y.clone()], image(c, c.next_multiple_of(8), half), Activation::Tanh);
        }
        // A transposed operand, and more dims than merge.
        let y = View::dense(&[3, 4, 9], single);
        let transposed = View { strides: vec![1, 27, 3], ..y.clone() };
        push(ElementwiseOp::Div, vec![y.clone(), transposed.clone()], y, Activation::LeakyRelu { alpha: 0.1 });
        let y = View::dense(&[2, 3, 2, 3, 2, 8], half);
        let a = broadcast(&y, &[0, 2, 4, 5], half);
        push(
            ElementwiseOp::Add,
            vec![a, broadcast(&y, &[1, 3, 5], single)],
            y,
            Activation::Clip { min: -1.0, max: 1.0 },
        );
        // Rows of y that are not whole.
        let y = View { strides: vec![9, 1], ..View::dense(&[3, 7], half) };
        push(ElementwiseOp::Mul, vec![View::dense(&[3, 7], half), broadcast(&y, &[1], half)], y, Activation::Silu);
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        const FLOATS: [DType; 2] = [DType::F16, DType::F32];
        let mut lists: Vec<Vec<DType>> = vec![Vec::new()];
        let mut units = Vec::new();
        for _ in 1..=3 {
            lists = lists.iter().flat_map(|list| FLOATS.map(|d| [list.as_slice(), &[d]].concat())).collect();
            for list in &lists {
                for y in FLOATS {
                    let wide = if list.contains(&DType::F16) || y == DType::F16 { 8 } else { 4 };
                    units.extend([wide, 1].map(|vector| unit(list, y, vector)));
                }
            }
        }
        units
    }
}
