//! `conv_transpose/simt`: transposed convolution in plain f32.

use super::geometry::Edge;
use super::phase::Phased;
use crate::catalog::Kernel;
use crate::launch::{Candidate, CompileUnit};
use crate::site::Site;
use crate::target::{Arch, Target};
use crate::tile::{Build, Math, Tile};
use limpid_graph::ir::Precision;
use limpid_graph::tensor::DType;

/// See `conv_transpose/simt.cu`.
#[derive(Debug)]
pub struct Simt;

const KERNEL: Phased =
    Phased { name: "conv_transpose/simt", source: "conv_transpose/simt.cu", entry: "conv_transpose_simt" };

/// Lanes hold 8x8, 4x8 or 2x8 sums. A larger tile would spill: a phase takes registers too.
const TILES: &[Tile] = &[
    Tile::new([128, 64], 4, [2, 2], 3, 2),
    Tile::new([64, 64], 4, [2, 2], 3, 4),
    Tile::new([32, 64], 4, [2, 2], 4, 4),
];

impl Kernel for Simt {
    fn name(&self) -> &'static str {
        KERNEL.name
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::ConvTranspose(conv) = site else { return Err("is for transposed convolutions".to_owned()) };
        let math = Math::plain(conv.precision, target.arch)?;
        KERNEL.candidates(site, Build::vectors(target.arch, math), TILES, target)
    }

    fn edge_sites(&self) -> Vec<Site> {
        Edge::tiled(Precision::Fp32, DType::F32)
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        KERNEL.units(Build::vectors(arch, Math::Fp32), TILES)
    }
}
