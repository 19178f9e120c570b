//! `gemm/split_k`: the launch that finishes a product whose K was split.

use crate::epilogue::{COLUMNS_PER_THREAD, EpilogueParams, epilogue_args};
use crate::launch::{Arg, CompileUnit, Launch, Role};
use crate::site::EpilogueSite;
use bytemuck::{Pod, Zeroable};
use limpid_graph::ir::Precision;

const THREADS: u32 = 256;

/// `SplitKParams` of split_k.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub(crate) struct SplitKParams {
    stride_y: i64,
    splits: i32,
    batches: i32,
    rows: i32,
    columns: i32,
    column_step: i32,
    /// CUDA's struct ends at a multiple of 8 bytes as well.
    end: i32,
}

impl SplitKParams {
    /// Groups of a convolution: side by side in the columns of one output.
    pub fn groups(splits: u32, groups: u32, rows: u32, columns: u32) -> Self {
        Self { column_step: columns as i32, ..Self::batches(splits, groups, rows, columns, 0) }
    }

    /// Products of a batch, `stride_y` elements apart.
    pub fn batches(splits: u32, batches: u32, rows: u32, columns: u32, stride_y: u64) -> Self {
        Self {
            stride_y: stride_y as i64,
            splits: splits as i32,
            batches: batches as i32,
            rows: rows as i32,
            columns: columns as i32,
            column_step: 0,
            end: 0,
        }
    }
}

/// What it is compiled from: sums are integers in INT8 and floats in any other precision.
pub(crate) fn unit(precision: Precision) -> CompileUnit {
    let sum = if precision == Precision::Int8 { "int" } else { "float" };
    CompileUnit::new("gemm/split_k.cu", "split_k", [("SUM", sum)])
}

/// The launch, reading the workspace that the launch before it has written.
pub(crate) fn launch(
    params: &SplitKParams,
    site: &EpilogueSite,
    precision: Precision,
    epilogue: &EpilogueParams,
) -> Launch {
    let eighths = (params.columns as u64).div_ceil(COLUMNS_PER_THREAD.into());
    let threads = params.batches as u64 * params.rows as u64 * eighths;
    let mut args = vec![Arg::Pointer(Role::Workspace)];
    args.extend(epilogue_args(site, precision));
    args.push(Arg::params(params));
    args.push(Arg::params(epilogue));
    Launch {
        unit: unit(precision),
        grid: [threads.div_ceil(THREADS.into()) as u32, 1, 1],
        block: [THREADS, 1, 1],
        cluster: Launch::ALONE,
        shared_bytes: 0,
        args,
        dependent: false,
    }
}
