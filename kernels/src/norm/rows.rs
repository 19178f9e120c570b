//! When and how `rows.cu` runs: rows of neighbouring elements, of any length.

use crate::catalog::Kernel;
use crate::index::{Divisor, Walk};
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{NormSite, Scale, Site, View, vector_width};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::Cost;
use limpid_graph::tensor::DType;

/// A warp or a block a row.
pub struct Rows;

/// `NormParams` of rows.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    outer_strides: [[i64; 5]; 4],
    scale_step: i64,
    bias_step: i64,
    outer: [Divisor; 5],
    rank: u32,
    rows: u32,
    length: u32,
    padded: u32,
    whole: u32,
    biased: u32,
    epsilon: f32,
}

/// Threads of a block.
const THREADS: u32 = 256;
/// Threads of a row offered.
const LANES: [u32; 2] = [32, THREADS];
/// Types of x and y, and of the parameters.
const TYPES: [(DType, DType); 3] = [(DType::F16, DType::F16), (DType::F16, DType::F32), (DType::F32, DType::F32)];
/// Operations an element: a sum, a difference and a square summed, and an affine function of another difference.
const OPERATIONS: u64 = 7;

fn unit((x, parameter): (DType, DType), lanes: u32) -> CompileUnit {
    let defines = [
        ("X_TYPE", cuda_type(x).to_owned()),
        ("P_TYPE", cuda_type(parameter).to_owned()),
        ("LANES", lanes.to_string()),
        ("THREADS", THREADS.to_string()),
    ];
    CompileUnit::new("norm/rows.cu", "norm_rows", defines)
}

fn check(site: &NormSite) -> Result<(DType, DType), String> {
    let views = [&site.x, &site.y, &site.scale];
    for view in views.into_iter().chain(&site.bias) {
        if view.dims != site.x.dims || view.strides.len() != view.dims.len() {
            return Err(format!("needs operands of x's extents, got {:?} and {:?}", site.x.dims, view.dims));
        }
        if view.scale.is_quantized() {
            return Err("takes reals, got a tensor with a scale".to_owned());
        }
    }
    if site.x.dims.is_empty() || site.x.dims.len() > View::MAX_RANK {
        return Err(format!("takes 1 to {} dims, got {}", View::MAX_RANK, site.x.dims.len()));
    }
    if site.x.is_empty() {
        return Err("nothing to do: an extent is 0".to_owned());
    }
    let types = (site.x.dtype, site.scale.dtype);
    let same = site.y.dtype == types.0 && site.bias.as_ref().is_none_or(|bias| bias.dtype == types.1);
    if !same || !TYPES.contains(&types) {
        return Err(format!("has no rows of {} to {} with parameters of {}", types.0, site.y.dtype, types.1));
    }
    let last = site.x.dims.len() - 1;
    let contiguous = |view: &View| site.x.dims[last] == 1 || view.strides[last] == 1;
    if !contiguous(&site.x) || !contiguous(&site.y) {
        let strides = [site.x.strides[last], site.y.strides[last]];
        return Err(format!("needs rows of neighbouring elements, got strides {strides:?}"));
    }
    Ok(types)
}

/// The rows, merged as far as x, y, scale and bias go together.
fn params(site: &NormSite) -> Params {
    let last = site.x.dims.len() - 1;
    let bias = site.bias.as_ref().unwrap_or(&site.scale);
    let views = [&site.x, &site.y, &site.scale, bias];
    let strides: Vec<&[i64]> = views.iter().map(|view| &view.strides[..last]).collect();
    let rows = Walk::new(&site.x.dims[..last], &strides, false);
    let width = i64::from(vector_width(site.x.dtype));
    let whole = |view: usize| rows.strides[view].iter().zip(&rows.dims).all(|(s, &d)| d == 1 || s % width == 0);
    let length = site.x.dims[last];
    Params {
        outer_strides: std::array::from_fn(|view| rows.strides_of(view)),
        scale_step: site.scale.strides[last],
        bias_step: bias.strides[last],
        outer: Divisor::all(&rows.dims),
        rank: rows.rank() as u32,
        rows: rows.dims.iter().product(),
        length,
        padded: length + site.y.zero_lanes,
        whole: u32::from(whole(0) && whole(1)),
        biased: u32::from(site.bias.is_some()),
        epsilon: site.epsilon,
    }
}

impl Kernel for Rows {
    fn name(&self) -> &'static str {
        "norm/rows"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Norm(site) = site else { return Err("is for normalizations".to_owned()) };
        let types = check(site)?;
        let params = params(site);
        let rows = site.x.len() / u64::from(params.length);
        let width = vector_width(site.x.dtype);
        let candidate = |lanes: u32| {
            let args = vec![
                Arg::Pointer(Role::Input(0)),
                Arg::Pointer(Role::Input(1)),
                Arg::optional(Role::Input(2), site.bias.is_some()),
                Arg::Pointer(Role::Output(0)),
                Arg::params(&params),
            ];
            let launch = Launch::linear(unit(types, lanes), rows * u64::from(lanes), THREADS, args)?;
            let busy = (f64::from(params.length) / f64::from(lanes * width)).min(1.0);
            // A warp on a long row reads it slowly, a block on a short one idles.
            let crowded = 1.0 / (1.0 + f64::from(params.length) / f64::from(lanes * width * 16));
            let efficiency = if params.whole == 1 { 0.8 } else { 0.4 } * busy * crowded;
            let bytes = 2 * site.x.len() * site.x.dtype.size() as u64;
            let cost = CandidateCost {
                blocks_per_multiprocessor: 2048 / THREADS,
                ..CandidateCost::of(
                    Cost { flops: OPERATIONS * site.x.len(), bytes },
                    launch.blocks(),
                    efficiency.max(0.02) as f32,
                )
            };
            Ok(Candidate::plain(Tactic::new("norm/rows", &[("lanes", lanes)]), launch, cost))
        };
        LANES.map(candidate).into_iter().collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let parameter = |dims: &[u32], strides: &[i64], dtype| View {
            dims: dims.to_vec(),
            strides: strides.to_vec(),
            dtype,
            zero_lanes: 0,
            scale: Scale::ONE,
        };
        let mut sites = Vec::new();
        for (x, p) in TYPES {
            let mut push = |x: View, y: View, scale: &[i64], bias: Option<&[i64]>| {
                let scale = parameter(&x.dims, scale, p);
                let bias = bias.map(|strides| parameter(&x.dims, strides, p));
                sites.push(Site::Norm(NormSite { x, y, scale, bias, epsilon: 1e-5 }));
            };
            // A layer: one element, less than a vector, around a warp's and a block's vectors.
            for length in [1, 7, 8, 9, 255, 256, 257, 2049] {
                let rows = View::dense(&[3, length], x);
                push(rows.clone(), rows, &[0, 1], Some(&[0, 1]));
            }
            // More rows than a block has, and no bias.
            let rows = View::dense(&[2, 9, 24], x);
            push(rows.clone(), rows, &[0, 0, 1], None);
            // Planes of channels.
            let planes = View::dense(&[2, 5, 35], x);
            push(planes.clone(), planes, &[0, 1, 0], Some(&[0, 1, 0]));
            // An image's pixels, padding behind them.
            let pitch = i64::from(vector_width(x)) * 3;
            let lanes = vector_width(x) * 3 - 2 * vector_width(x) - 1;
            let image = View {
                strides: vec![5 * pitch, pitch, 1],
                zero_lanes: lanes,
                ..View::dense(&[2, 5, 2 * vector_width(x) + 1], x)
            };
            push(image.clone(), image, &[0, 0, 1], Some(&[0, 0, 1]));
        }
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        TYPES.iter().flat_map(|&types| LANES.map(|lanes| unit(types, lanes))).collect()
    }
}
