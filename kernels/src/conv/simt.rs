//! `conv/simt`: implicit GEMM in plain f32.

use super::edges::{self, EdgeKind};
use super::{NOT_A_CONVOLUTION, implicit};
use crate::catalog::Kernel;
use crate::gemm::split_k;
use crate::launch::{Candidate, CompileUnit};
use crate::site::Site;
use crate::target::{Arch, Target};
use crate::tile::{Build, FMA_TILES, Math};
use limpid_graph::ir::Precision;

/// See `conv/simt.cu`.
#[derive(Debug)]
pub struct Simt;

const KERNEL: implicit::Implicit = implicit::Implicit { name: "conv/simt", source: "conv/simt.cu", entry: "conv_simt" };

impl Kernel for Simt {
    fn name(&self) -> &'static str {
        KERNEL.name
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Conv(site) = site else { return Err(NOT_A_CONVOLUTION.to_owned()) };
        let math = Math::plain(site.precision, target.arch)?;
        KERNEL.candidates(site, Build::vectors(target.arch, math), FMA_TILES, target)
    }

    fn edge_sites(&self) -> Vec<Site> {
        edges::implicit(EdgeKind::FP32)
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        let mut units = KERNEL.units(Build::vectors(arch, Math::Fp32), FMA_TILES);
        units.push(split_k::unit(Precision::Fp32));
        units
    }
}
