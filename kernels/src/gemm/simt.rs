//! `gemm/simt`: tiled products in plain f32.

use super::NOT_A_PRODUCT;
use super::edges;
use super::tiled::Tiled;
use crate::catalog::Kernel;
use crate::launch::{Candidate, CompileUnit};
use crate::site::Site;
use crate::target::{Arch, Target};
use crate::tile::{FMA_TILES, Math};
use limpid_graph::ir::Precision;

/// See `gemm/simt.cu`.
#[derive(Debug)]
pub struct Simt;

const KERNEL: Tiled =
    Tiled { name: "gemm/simt", source: "gemm/simt.cu", entry: "gemm_simt", menu: FMA_TILES, real_menu: &[] };

impl Kernel for Simt {
    fn name(&self) -> &'static str {
        KERNEL.name
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Gemm(site) = site else { return Err(NOT_A_PRODUCT.to_owned()) };
        KERNEL.candidates(site, Math::plain(site.precision, target.arch)?, target)
    }

    fn edge_sites(&self) -> Vec<Site> {
        edges::tiled(Precision::Fp32)
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        KERNEL.units(arch, &[Math::Fp32])
    }
}
