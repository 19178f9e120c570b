//! When and how `fill.cu` runs: always.

use crate::catalog::Kernel;
use crate::index::{Divisor, Walk};
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::site::{FillSite, Scale, Site, View};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use half::f16;
use limpid_graph::ops::{Cost, exact};
use limpid_graph::tensor::DType;

/// One value everywhere.
pub struct Fill;

/// `FillParams` of fill.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    strides: [i64; 6],
    bits: u64,
    extents: [Divisor; 6],
    rank: u32,
    vectors: u32,
    lanes: u32,
    padded: u32,
    whole: u32,
    reserved: u32,
}

/// Threads of a block.
const THREADS: u32 = 256;

fn unit(size: usize, vector: u32) -> CompileUnit {
    let name = match size {
        1 => "uint8_t",
        2 => "uint16_t",
        4 => "uint32_t",
        _ => "uint64_t",
    };
    CompileUnit::new("layout/fill.cu", "fill_view", [("Y_TYPE", name.to_owned()), ("VECTOR", vector.to_string())])
}

/// The value as it is stored: quantized if it has a scale, else cast as ONNX's Cast does.
fn bits(value: f32, dtype: DType, scale: Scale) -> u64 {
    match dtype {
        DType::I8 if scale.is_quantized() => u64::from(exact::quantize(value, scale.inverse()) as u8),
        DType::F32 => u64::from(value.to_bits()),
        DType::F16 => u64::from(f16::from_f32(value).to_bits()),
        DType::I8 => u64::from(value as i8 as u8),
        DType::U8 => u64::from(value as u8),
        DType::I32 => u64::from(value as i32 as u32),
        DType::I64 => value as i64 as u64,
        DType::Bool => u64::from(value != 0.0),
    }
}

impl Kernel for Fill {
    fn name(&self) -> &'static str {
        "layout/fill"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Fill(FillSite { y, value }) = site else { return Err("is for fills".to_owned()) };
        if y.scale.is_quantized() && y.dtype != DType::I8 {
            return Err(format!("quantizes to i8 only, got {} with scale {:?}", y.dtype, y.scale));
        }
        let walk = Walk::of(&[y], y.zero_lanes > 0)?;
        let size = y.dtype.size();
        let wide = 16 / size as u32;
        let whole = walk.rows_are_whole(0, 0, size, wide);
        let vector = if whole { wide } else { 1 };
        let padded = walk.inner() + y.zero_lanes;
        let count = walk.rows() * u64::from(padded.div_ceil(vector));
        let params = Params {
            strides: walk.strides_of(0),
            bits: bits(*value, y.dtype, y.scale),
            extents: walk.divisors(padded, vector),
            rank: walk.rank() as u32,
            vectors: count as u32,
            lanes: walk.inner(),
            padded,
            whole: u32::from(whole),
            reserved: 0,
        };
        let args = vec![Arg::Pointer(Role::Output(0)), Arg::params(&params)];
        let launch = Launch::linear(unit(size, vector), count, THREADS, args)?;
        let cost = Cost { flops: 0, bytes: walk.rows() * u64::from(padded) * size as u64 };
        let cost = CandidateCost::of(cost, launch.blocks(), if whole { 0.9 } else { 0.3 });
        let cost = CandidateCost { blocks_per_multiprocessor: 2048 / THREADS, ..cost };
        let tactic = Tactic::new("layout/fill", &[("vector", vector), ("threads", THREADS)]);
        Ok(vec![Candidate::plain(tactic, launch, cost)])
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for (dtype, value) in [
            (DType::F32, -1.5),
            (DType::F16, 0.1),
            (DType::I8, -7.0),
            (DType::U8, 200.0),
            (DType::I32, -70_000.0),
            (DType::I64, -3e9),
            (DType::Bool, 1.0),
        ] {
            for length in [1, 17, 256] {
                sites.push(Site::Fill(FillSite { y: View::dense(&[length], dtype), value }));
            }
            let rows = View { dims: vec![3, 4, 5], strides: vec![64, 16, 1], dtype, zero_lanes: 2, scale: Scale::ONE };
            sites.push(Site::Fill(FillSite { y: rows.clone(), value }));
            sites.push(Site::Fill(FillSite { y: View { strides: vec![57, 14, 2], zero_lanes: 0, ..rows }, value }));
        }
        // Integers that stand for a real, one of them out of range.
        for value in [0.3, -2.0] {
            let y = View { scale: Scale::new(0.013), ..View::dense(&[3, 19], DType::I8) };
            sites.push(Site::Fill(FillSite { y, value }));
        }
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        [1, 2, 4, 8].into_iter().flat_map(|size| [16 / size as u32, 1].map(|vector| unit(size, vector))).collect()
    }
}
