//! `conv/mma`: implicit GEMM on tensor cores, INT8, f16 or TF32.

use super::edges::{self, EdgeKind};
use super::{NOT_A_CONVOLUTION, implicit};
use crate::catalog::Kernel;
use crate::gemm::split_k;
use crate::launch::{Candidate, CompileUnit};
use crate::site::Site;
use crate::target::{Arch, Target};
use crate::tile::{Build, MMA_TILES, Math};
use limpid_graph::ir::Precision;

/// See `conv/mma.cu`.
#[derive(Debug)]
pub struct Mma;

const KERNEL: implicit::Implicit = implicit::Implicit { name: "conv/mma", source: "conv/mma.cu", entry: "conv_mma" };

impl Kernel for Mma {
    fn name(&self) -> &'static str {
        KERNEL.name
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Conv(site) = site else { return Err(NOT_A_CONVOLUTION.to_owned()) };
        let math = Math::tensor_cores(site.precision, target.arch)?;
        KERNEL.candidates(site, Build::vectors(target.arch, math), MMA_TILES, target)
    }

    fn edge_sites(&self) -> Vec<Site> {
        [EdgeKind::FP16, EdgeKind::TF32, EdgeKind::INT8].into_iter().flat_map(edges::implicit).collect()
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        let builds = Math::all_tensor_cores(arch).into_iter().map(|math| Build::vectors(arch, math));
        let mut units: Vec<_> = builds.flat_map(|build| KERNEL.units(build, MMA_TILES)).collect();
        units.extend([Precision::Fp32, Precision::Int8].map(split_k::unit));
        units
    }
}
