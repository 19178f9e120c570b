//! The ends of the ladder: what the catalog offers for the same problems, every tactic of it timed.

use crate::measure::{Chip, Memory};
use crate::problem::{Params, Problem};
use limpid_graph::ir::Precision;
use limpid_graph::ops::Epilogue;
use limpid_graph::tensor::{DType, Tensor};
use limpid_kernels::catalog::{self, KERNELS};
use limpid_kernels::device::{CubinCache, DeviceBuffer, Samples};
use limpid_kernels::launch::{Candidate, Role};
use limpid_kernels::site::{ConvSite, EpilogueSite, GemmOperand, GemmSite, Image, Scale, Site};
use std::error::Error;

/// Kernels in the order of the ladder, for each problem.
const NAMES: [(&str, [&str; 2]); 2] = [("gemm", ["gemm/mma", "gemm/wgmma"]), ("conv", ["conv/mma", "conv/wgmma"])];

/// The fastest tactic of each production kernel that takes the problem, with its name.
pub fn measure(chip: &mut Chip, problem: &Problem, memory: &Memory) -> Result<Vec<(String, Samples)>, Box<dyn Error>> {
    let site = site(problem);
    let (weights, target) = (weights(problem)?, chip.device.target());
    let names = NAMES.iter().filter(|(name, _)| *name == problem.name).flat_map(|(_, names)| names);
    let mut found = Vec::new();
    for name in names {
        let kernels = KERNELS.iter().filter(|kernel| kernel.name() == *name);
        let offers = kernels.map(|kernel| catalog::candidates(*kernel, &site, &target));
        let mut best: Option<(String, Samples)> = None;
        for candidate in offers.flat_map(Result::unwrap_or_default) {
            let samples = time(chip, &candidate, &weights, memory)?;
            if best.as_ref().is_none_or(|(_, fastest)| samples.median() < fastest.median()) {
                best = Some((candidate.tactic.to_string(), samples));
            }
        }
        found.extend(best);
    }
    Ok(found)
}

fn time(chip: &mut Chip, candidate: &Candidate, weights: &Tensor, memory: &Memory) -> Result<Samples, Box<dyn Error>> {
    let packed = candidate.weights.map(|packing| packing.pack(weights)).transpose()?.unwrap_or_default();
    let packed = DeviceBuffer::from_slice(&chip.stream, &packed)?;
    let workspace = DeviceBuffer::alloc(&chip.device, candidate.workspace)?;
    let resolve = |role: Role| match role {
        Role::Input(0) => Some(memory.x.ptr()),
        Role::Output(0) => Some(memory.y.ptr()),
        Role::Weights => Some(packed.ptr()),
        Role::Workspace => Some(workspace.ptr()),
        _ => None,
    };
    let units = candidate.launches.iter().map(|launch| &launch.unit);
    let cubins = CubinCache::for_user().get_all(&chip.compiler, units, chip.device.target().arch);
    let mut prepared = Vec::new();
    for launch in &candidate.launches {
        let cubin = cubins.get(&launch.unit).ok_or("a unit was not compiled")?.as_ref().map_err(ToString::to_string)?;
        prepared.push(chip.device.prepare(launch, cubin, &resolve)?);
    }
    chip.time(&prepared)
}

fn site(problem: &Problem) -> Site {
    let epilogue = EpilogueSite { steps: Epilogue::default(), residual: None };
    let Params { m, n, k, height, width, channels, out_height, out_width, kernel_width, stride, pad } = problem.params;
    let [m, n, k] = [m, n, k].map(|extent| extent as u32);
    if problem.left == "Matrix" {
        return Site::Gemm(GemmSite {
            m,
            n,
            k,
            batch: 1,
            pitch_a: k,
            pitch_y: n,
            stride_a: u64::from(m) * u64::from(k),
            stride_y: u64::from(m) * u64::from(n),
            b: GemmOperand::Weights,
            dtype_a: DType::F16,
            scale_a: Scale::ONE,
            dtype_y: DType::F16,
            scale_y: Scale::ONE,
            precision: Precision::Fp16,
            epilogue,
        });
    }
    let [h, w, c, p, q] = [height, width, channels, out_height, out_width].map(|extent| extent as u32);
    let images = m / (p * q);
    Site::Conv(ConvSite {
        x: Image::dense(images, h, w, c, DType::F16),
        y: Image::dense(images, p, q, n, DType::F16),
        kernel: [kernel_width as u32; 2],
        stride: [stride as u32; 2],
        dilation: [1; 2],
        pad: [pad as u32; 2],
        groups: 1,
        precision: Precision::Fp16,
        epilogue,
    })
}

/// b as ONNX has weights: (N,K), or (filters, channels, height, width).
fn weights(problem: &Problem) -> Result<Tensor, Box<dyn Error>> {
    let Params { n, k, channels, kernel_width, .. } = problem.params;
    let (_, values) = problem.random();
    let shape: Vec<usize> = match problem.left {
        "Matrix" => vec![n as usize, k as usize],
        _ => [n, channels, kernel_width, kernel_width].map(|extent| extent as usize).to_vec(),
    };
    Ok(Tensor::from_bytes(DType::F16, &shape, bytemuck::cast_slice(&values))?)
}
