//! When and how `broadcast.cu` runs: any elementwise site of f16, f32 and i8 operands.

use super::edges;
use super::walk::{self, Walked, wide};
use crate::catalog::Kernel;
use crate::epilogue::ActivationParams;
use crate::index::Walk;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Tactic, cuda_type};
use crate::site::{ElementwiseOp, ElementwiseSite, Site, View};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::tensor::DType;

/// `y = activation(op(a, b, c))`.
pub struct Broadcast;

/// `ElementwiseParams` of broadcast.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    walk: Walked,
    op: u32,
    activation: ActivationParams,
    scales: [f32; 3],
    inverse_y: f32,
}

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

fn candidate(site: &ElementwiseSite, walk: &Walk, vector: u32, threads: u32) -> Result<Candidate, String> {
    let mut scales = [1.0; 3];
    for (scale, view) in scales.iter_mut().zip(&site.inputs) {
        *scale = view.scale.get();
    }
    let walked = Walked::new(&site.inputs, &site.y, walk, vector);
    let params = Params {
        walk: walked,
        op: site.op as u32,
        activation: ActivationParams::new(site.activation),
        scales,
        inverse_y: site.y.scale.inverse(),
    };
    let inputs: Vec<DType> = site.inputs.iter().map(|view| view.dtype).collect();
    let args = walk::args(inputs.len(), Arg::params(&params));
    let count = walk::threads(walk, &site.y, vector);
    let launch = Launch::linear(unit(&inputs, site.y.dtype, vector), count, threads, args)?;
    let operations = operands(site.op).max(2) as u64 / 2;
    let cost = CandidateCost {
        blocks_per_multiprocessor: 1024 / threads,
        ..walked.cost(&site.inputs, &site.y, operations, launch.blocks())
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
        let walked = Walked::new(&site.inputs, &site.y, &walk, wide);
        // A vector that is not written whole gains nothing; one that is gathered lane by lane may.
        let vectors: &[u32] = if !walked.y_is_whole() {
            &[1]
        } else if walked.is_scattered() {
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
