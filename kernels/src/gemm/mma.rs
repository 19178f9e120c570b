//! `gemm/mma`: tiled products on tensor cores, INT8, f16 or TF32.

use super::NOT_A_PRODUCT;
use super::edges;
use super::tiled::Tiled;
use crate::catalog::Kernel;
use crate::launch::{Candidate, CompileUnit};
use crate::site::Site;
use crate::target::{Arch, Target};
use crate::tile::{MMA_TILES, Math, REAL_TILES};
use limpid_graph::ir::Precision;

/// See `gemm/mma.cu`.
#[derive(Debug)]
pub struct Mma;

const KERNEL: Tiled =
    Tiled { name: "gemm/mma", source: "gemm/mma.cu", entry: "gemm_mma", menu: MMA_TILES, real_menu: REAL_TILES };

impl Kernel for Mma {
    fn name(&self) -> &'static str {
        KERNEL.name
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Gemm(site) = site else { return Err(NOT_A_PRODUCT.to_owned()) };
        KERNEL.candidates(site, Math::tensor_cores(site.precision, target.arch)?, target)
    }

    fn edge_sites(&self) -> Vec<Site> {
        let products = [Precision::Fp16, Precision::Tf32, Precision::Int8].into_iter().flat_map(edges::tiled);
        products.chain(edges::of_reals()).collect()
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        KERNEL.units(arch, &Math::all_tensor_cores(arch))
    }
}
