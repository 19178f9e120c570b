//! When and how `rows.cu` runs: any gather.

use crate::catalog::Kernel;
use crate::index::Divisor;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{GatherSite, Site};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::Cost;
use limpid_graph::tensor::DType;

/// One thread per piece of a row, the pieces as wide as rows divide into.
pub struct Rows;

/// `GatherParams` of rows.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    axis: i64,
    pieces: Divisor,
    count: Divisor,
    threads: u32,
    reserved: u32,
}

/// Threads of a block.
const THREADS: u32 = 256;
/// What a thread moves, widest first: bytes and the type.
const PIECES: [(u64, &str); 5] = [(16, "uint4"), (8, "uint64_t"), (4, "uint32_t"), (2, "uint16_t"), (1, "uint8_t")];

fn unit(piece: &str, index: DType) -> CompileUnit {
    CompileUnit::new("gather/rows.cu", "gather", [("PIECE", piece), ("INDEX", cuda_type(index))])
}

impl Kernel for Rows {
    fn name(&self) -> &'static str {
        "gather/rows"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Gather(site) = site else { return Err("is for gathers".to_owned()) };
        if !matches!(site.indices_dtype, DType::I32 | DType::I64) {
            return Err(format!("needs i32 or i64 indices, got {}", site.indices_dtype));
        }
        let row = u64::from(site.inner) * site.dtype.size() as u64;
        let Some(&(bytes, piece)) = PIECES.iter().find(|(bytes, _)| row.is_multiple_of(*bytes)) else {
            return Err("needs rows of whole bytes".to_owned());
        };
        let pieces =
            u32::try_from(row / bytes).map_err(|_| format!("takes rows of up to 2^32 pieces, got {row} bytes"))?;
        let rows = u64::from(site.outer) * u64::from(site.indices);
        let count = rows.checked_mul(u64::from(pieces)).ok_or("has more rows than can be counted")?;
        let params = Params {
            axis: i64::from(site.axis),
            pieces: Divisor::new(pieces),
            count: Divisor::new(site.indices),
            threads: count as u32,
            reserved: 0,
        };
        let args = vec![
            Arg::Pointer(Role::Input(0)),
            Arg::Pointer(Role::Input(1)),
            Arg::Pointer(Role::Output(0)),
            Arg::params(&params),
        ];
        let launch = Launch::linear(unit(piece, site.indices_dtype), count, THREADS, args)?;
        let indices = u64::from(site.indices) * site.indices_dtype.size() as u64;
        // Narrow rows touch a sector of 32 bytes each and use a part of it.
        let efficiency = if row >= 32 { 0.8 } else { 0.8 * row as f32 / 32.0 };
        let cost = CandidateCost {
            blocks_per_multiprocessor: 2048 / THREADS,
            ..CandidateCost::of(Cost { flops: 0, bytes: 2 * rows * row + indices }, launch.blocks(), efficiency)
        };
        let tactic = Tactic::new("gather/rows", &[("piece", bytes as u32), ("threads", THREADS)]);
        Ok(vec![Candidate::plain(tactic, launch, cost)])
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for (outer, axis, inner, indices) in [(1, 1, 1, 1), (1, 5, 8, 3), (3, 4, 5, 7), (2, 3, 16, 130), (1, 300, 6, 2)]
        {
            for dtype in [DType::F32, DType::F16, DType::I8, DType::I64] {
                for indices_dtype in [DType::I32, DType::I64] {
                    sites.push(Site::Gather(GatherSite { outer, axis, inner, indices, indices_dtype, dtype }));
                }
            }
        }
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        PIECES.iter().flat_map(|(_, piece)| [DType::I32, DType::I64].map(|index| unit(piece, index))).collect()
    }
}
