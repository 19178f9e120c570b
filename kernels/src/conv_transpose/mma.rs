//! `conv_transpose/mma`: transposed convolution on tensor cores, INT8, f16 or TF32.

use super::geometry::Edge;
use super::phase::Phased;
use crate::catalog::Kernel;
use crate::launch::{Candidate, CompileUnit};
use crate::site::Site;
use crate::target::{Arch, Target};
use crate::tile::{Build, Math, Tile};
use limpid_graph::ir::Precision;
use limpid_graph::tensor::DType;

/// See `conv_transpose/mma.cu`.
#[derive(Debug)]
pub struct Mma;

const KERNEL: Phased =
    Phased { name: "conv_transpose/mma", source: "conv_transpose/mma.cu", entry: "conv_transpose_mma" };

/// Warps hold 64x32, 32x32 or 16x32 sums.
const TILES: &[Tile] = &[
    Tile::new([128, 128], 4, [2, 4], 4, 1),
    Tile::new([128, 64], 8, [4, 2], 3, 1),
    Tile::new([64, 64], 8, [2, 2], 3, 1),
    Tile::new([32, 64], 8, [2, 2], 4, 1),
];

impl Kernel for Mma {
    fn name(&self) -> &'static str {
        KERNEL.name
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::ConvTranspose(conv) = site else { return Err("is for transposed convolutions".to_owned()) };
        let math = Math::tensor_cores(conv.precision, target.arch)?;
        KERNEL.candidates(site, Build::vectors(target.arch, math), TILES, target)
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Edge::tiled(Precision::Fp16, DType::F16);
        sites.extend(Edge::tiled(Precision::Tf32, DType::F32));
        sites.extend(Edge::tiled(Precision::Int8, DType::I8));
        sites
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        let builds = Math::all_tensor_cores(arch).into_iter().map(|math| Build::vectors(arch, math));
        builds.flat_map(|build| KERNEL.units(build, TILES)).collect()
    }
}
