//! When and how `broadcast.cu` runs: any elementwise site of f16, f32 and i8 operands.

use super::edges;
use crate::catalog::Kernel;
use crate::epilogue::ActivationParams;
use crate::index::{Divisor, Walk, distinct};
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{ElementwiseOp, ElementwiseSite, Site, View};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::Cost;
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
    scales: [f32; 3],
    inverse_y: f32,
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

/// What an operand may be.
const TYPES: [DType; 3] = [DType::F16, DType::F32, DType::I8];

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

/// Elements a thread takes: 16 bytes of the narrowest operand, unless that were more than 32 of the widest.
fn wide(types: impl Iterator<Item = DType> + Clone) -> u32 {
    let sizes = types.map(|dtype| dtype.size() as u32);
    let (narrowest, widest) = (sizes.clone().min().unwrap_or(4), sizes.max().unwrap_or(4));
    (16 / narrowest).min(32 / widest)
}

fn check(site: &ElementwiseSite) -> Result<(), String> {
    let wanted = operands(site.op);
    if site.inputs.len() != wanted {
        return Err(format!("{:?} takes {wanted} operands, got {}", site.op, site.inputs.len()));
    }
    for view in site.inputs.iter().chain([&site.y]) {
        if !TYPES.contains(&view.dtype) {
            return Err(format!("needs f16, f32 or i8 operands, got {}", view.dtype));
        }
        if view.scale.is_quantized() && view.dtype != DType::I8 {
            return Err(format!("scales are for i8, got {} with scale {:?}", view.dtype, view.scale));
        }
    }
    match site.inputs.iter().skip(1).find(|view| site.op == ElementwiseOp::MulAdd && view.dtype == DType::I8) {
        Some(_) => Err("an affine function's factors and terms must be f16 or f32, got i8".to_owned()),
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
    for (scale, view) in params.scales.iter_mut().zip(&site.inputs) {
        *scale = view.scale.get();
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
        inverse_y: site.y.scale.inverse(),
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
        let wide = wide(views.iter().map(|view| view.dtype));
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
        edges::sites()
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        // Three operands are an affine function's, of which the last two are reals.
        let reals = |list: &[DType]| list.len() < 3 || !list[1..].contains(&DType::I8);
        let mut lists: Vec<Vec<DType>> = vec![Vec::new()];
        let mut units = Vec::new();
        for _ in 1..=3 {
            lists = lists.iter().flat_map(|list| TYPES.map(|d| [list.as_slice(), &[d]].concat())).collect();
            for list in lists.iter().filter(|list| reals(list)) {
                for y in TYPES {
                    let wide = wide(list.iter().copied().chain([y]));
                    units.extend([wide, 1].map(|vector| unit(list, y, vector)));
                }
            }
        }
        units
    }
}
