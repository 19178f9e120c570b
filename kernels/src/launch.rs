//! What a kernel comes down to: something to compile, a grid, arguments. Bytes only, no handles, so that a
//! launch can be kept in a file, compiled for a GPU that is elsewhere, or run by an emulator.

use crate::tensor_map::TensorMap;
use crate::weights::Packing;
use limpid_graph::ops::Cost;
use limpid_graph::tensor::DType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One source with its tile parameters: what NVRTC compiles to one cubin.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CompileUnit {
    /// Path under `kernels/src/`, such as `conv/mma.cu`; see [`crate::source::text`].
    pub source: String,
    /// `-D` definitions: `BLOCK_M` -> `128`.
    pub defines: BTreeMap<String, String>,
    /// The `extern "C" __global__` function.
    pub entry: String,
}

impl CompileUnit {
    /// A unit of this source and entry with these definitions.
    pub fn new<N: Into<String>, V: ToString>(
        source: &str,
        entry: &str,
        defines: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let defines = defines.into_iter().map(|(name, value)| (name.into(), value.to_string())).collect();
        Self { source: source.to_owned(), defines, entry: entry.to_owned() }
    }
}

/// A type's name in the kernels' sources.
pub const fn cuda_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "float",
        DType::F16 => "f16",
        DType::I8 => "int8_t",
        DType::U8 => "uint8_t",
        DType::I32 => "int32_t",
        DType::I64 => "int64_t",
        DType::Bool => "bool",
    }
}

/// What a pointer argument points to; the plan knows where that lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// The operator's input of this index (activations, or a constant operand that is not packed).
    Input(u8),
    /// The operator's output of this index.
    Output(u8),
    /// Weights, packed as [`Candidate::weights`] says.
    Weights,
    /// Bias: f32, one per output channel, zero-padded to [`Candidate::bias_len`].
    Bias,
    /// Of an INT8 product: f32, `scale_x · scale_w[k]` for each output channel, padded as the bias with zeros.
    Scales,
    /// A constant of a site that has several; the site says which.
    Constant(u8),
    /// The tensor added before the last activation; the output's shape.
    Residual,
    /// Scratch of [`Candidate::workspace`] bytes, contents undefined on entry.
    Workspace,
    /// Constants that a kernel behind this one will read; see [`Arg::Ahead`].
    Ahead,
}

/// One kernel argument, in the order of the `__global__` function's parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arg {
    /// A device pointer; null if the site has no such tensor.
    Pointer(Role),
    /// A null pointer, for a tensor the site does not have.
    Null,
    /// A parameter struct by value, `#[repr(C)]` bytes.
    Bytes(Vec<u8>),
    /// A tensor in global memory as the tensor copies of sm_90 see it; 128 opaque bytes by value.
    TensorMap(TensorMap),
    /// [`Role::Ahead`] as `Ahead` of `include/ahead.cuh`, 24 bytes by value: what the kernel brings into the second-level
    /// cache for one behind it, without reading it. Kernels leave it at nothing; the plan knows what comes next.
    Ahead {
        /// A multiple of 16, 0 for nothing.
        bytes: u32,
        /// Whether the grid runs beside the one before it: each thread waits for that one just before it ends, not
        /// before it touches memory. [`Launch::dependent`] says when that may be.
        beside: bool,
    },
}

impl Arg {
    /// A parameter struct.
    pub fn params<T: bytemuck::NoUninit>(params: &T) -> Self {
        Arg::Bytes(bytemuck::bytes_of(params).to_vec())
    }

    /// Nothing ahead.
    pub const NOTHING_AHEAD: Self = Arg::Ahead { bytes: 0, beside: false };

    /// The bytes of `Ahead` of `include/ahead.cuh`: where the constants are and how many bytes of them, shared out to
    /// the blocks of a launch.
    pub(crate) fn ahead(address: u64, bytes: u32, blocks: u64, beside: bool) -> Vec<u8> {
        // Whole lines of the cache.
        let each = u64::from(bytes).div_ceil(blocks.max(1)).next_multiple_of(128);
        let numbers = [address, u64::from(bytes) | each << 32, u64::from(beside)];
        numbers.into_iter().flat_map(u64::to_ne_bytes).collect()
    }

    /// `Pointer(role)` if `present`, else `Null`.
    pub fn optional(role: Role, present: bool) -> Self {
        if present { Arg::Pointer(role) } else { Arg::Null }
    }
}

/// One launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// What runs.
    pub unit: CompileUnit,
    /// Blocks in x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y, z.
    pub block: [u32; 3],
    /// Blocks of a cluster in x, y, z, whole ones in the grid and 8 at most: they run at the same time and reach into each
    /// other's shared memory. From sm_90 on; [`Launch::ALONE`] elsewhere, and where the kernel itself says how many
    /// (`CLUSTER_KERNEL`).
    pub cluster: [u32; 3],
    /// Dynamic shared memory, bytes.
    pub shared_bytes: u32,
    /// Arguments.
    pub args: Vec<Arg>,
    /// Programmatic dependent launch: the grid may start while the grid before it in the stream is still at work, so
    /// that it has found its place, worked out its indices and fetched its first weights when its turn comes.
    ///
    /// Kernels leave it false; [`crate::catalog::candidates`] sets it for GPUs that can do it, because every kernel of
    /// the catalog keeps to this: **each thread executes `griddepcontrol.wait` before it ends, and before it touches
    /// memory that any grid writes**, which is all but [`Role::Weights`], [`Role::Bias`], [`Role::Scales`] and [`Role::Constant`]. The
    /// emulator reports a thread that does not.
    ///
    /// The wait is for the one grid right before, and yet enough for all of them. Let grids 1, 2, … follow each other
    /// in a stream. Whoever passes the wait of grid n knows that grid n-1 has ended and that what it wrote is there.
    /// To end, the threads of grid n-1 had to pass their own wait; so grid n-2 had ended by then, and so on down to
    /// grid 1, which waits for whatever the stream held before, as any launch does. Hence behind its wait grid n is
    /// where it would be had every grid ended before the next one began: it reads what any of them wrote, and memory
    /// that any of them read or wrote is free to be written again, as the plan's arena does. The same holds for what
    /// is no grid: copies, fills, events and the host wait for the end of the last grid, thereby for that of all.
    ///
    /// Where two grids in a row have nothing to do with each other, the second may run beside the first
    /// ([`Arg::Ahead`]) and wait only at its end, which keeps the chain. No grid gives leave to the next one before its
    /// own wait, so when grid n begins, grid n-2 has ended if grid n-1 waits first; if n-1 runs beside n-2, all has ended
    /// that had when n-1 began. So n may run beside n-1 if no grid that may still be at work writes what n touches, or
    /// reads what n writes.
    pub dependent: bool,
}

impl Launch {
    /// No clusters: each block is one by itself.
    pub const ALONE: [u32; 3] = [1; 3];

    /// Threads a one-dimensional grid may have: running numbers are divided by [`crate::index::Divisor`]s.
    pub const MAX_THREADS: u64 = 1 << 31;

    /// At least `threads` threads in a row, in blocks of `block`; an error names the limit it would pass.
    pub fn linear(unit: CompileUnit, threads: u64, block: u32, args: Vec<Arg>) -> Result<Self, String> {
        if threads == 0 {
            return Err("nothing to do: an extent is 0".to_owned());
        }
        let blocks = threads.div_ceil(u64::from(block));
        if blocks * u64::from(block) > Self::MAX_THREADS {
            return Err(format!("needs {threads} threads, takes fewer than {}", Self::MAX_THREADS));
        }
        Ok(Self {
            unit,
            grid: [blocks as u32, 1, 1],
            block: [block, 1, 1],
            cluster: Self::ALONE,
            shared_bytes: 0,
            args,
            dependent: false,
        })
    }

    /// Whether it runs beside the grid before it; see [`Launch::dependent`].
    pub fn beside(&self) -> bool {
        self.args.iter().any(|arg| matches!(arg, Arg::Ahead { beside: true, .. }))
    }

    /// Blocks of the grid.
    pub fn blocks(&self) -> u64 {
        self.grid.iter().map(|&extent| u64::from(extent)).product()
    }
}

/// The parameters by which one kernel's variants differ: `block_m=128 block_n=64 stages=3 split_k=4`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tactic {
    /// The kernel's name, such as `conv/mma`.
    pub kernel: String,
    /// Parameter names and values in their customary order.
    pub parameters: Vec<(String, u32)>,
}

/// The parameters of a tactic that say how many blocks share the K of a tile.
const SHARES_OF_K: [&str; 2] = ["split_k", "cluster_k"];

impl Tactic {
    /// A tactic of this kernel.
    pub fn new(kernel: &str, parameters: &[(&str, u32)]) -> Self {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Self { kernel: kernel.to_owned(), parameters }
    }

    /// True if both have the same tiles, and differ at most in how many blocks share their K.
    pub fn has_tiles_of(&self, other: &Self) -> bool {
        let tiles = |tactic: &Self| {
            let tiles = tactic.parameters.iter().filter(|(name, _)| !SHARES_OF_K.contains(&name.as_str()));
            tiles.cloned().collect::<Vec<_>>()
        };
        self.kernel == other.kernel && tiles(self) == tiles(other)
    }

    /// How many blocks share the K of a tile.
    pub fn shares_of_k(&self) -> u32 {
        let shares = self.parameters.iter().filter(|(name, _)| SHARES_OF_K.contains(&name.as_str()));
        shares.map(|&(_, count)| count).product()
    }
}

impl fmt::Display for Tactic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kernel)?;
        for (name, value) in &self.parameters {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

/// One way to do the work of a site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name.
    pub tactic: Tactic,
    /// What to launch, in order (a split-K GEMM launches its reduction last).
    pub launches: Vec<Launch>,
    /// Scratch bytes.
    pub workspace: usize,
    /// How weights must be laid out, if it reads any.
    pub weights: Option<Packing>,
    /// Length the bias must be zero-padded to, if it reads one.
    pub bias_len: usize,
    /// Length the scales must be zero-padded to, if it reads any; see [`Role::Scales`].
    pub scales_len: usize,
    /// What this candidate computes and moves, padding, re-reads and split-K traffic included.
    pub cost: CandidateCost,
}

impl Candidate {
    /// One launch that needs neither weights nor scratch.
    pub fn plain(tactic: Tactic, launch: Launch, cost: CandidateCost) -> Self {
        Self { tactic, launches: vec![launch], workspace: 0, weights: None, bias_len: 0, scales_len: 0, cost }
    }
}

/// The numbers a cost model needs of a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CandidateCost {
    /// Operations, those on padding included.
    pub flops: u64,
    /// Bytes to and from device memory.
    pub bytes: u64,
    /// Blocks launched; with `blocks_per_multiprocessor` it tells how well the last wave is filled.
    pub blocks: u64,
    /// Blocks that fit on one multiprocessor together.
    pub blocks_per_multiprocessor: u32,
    /// Share of the peak its inner loop reaches when everything else is right, 0..1.
    pub efficiency: f32,
    /// True if it multiplies on tensor cores.
    pub tensor_cores: bool,
}

impl CandidateCost {
    /// From an operator's least cost, for kernels that do no more than that.
    pub fn of(cost: Cost, blocks: u64, efficiency: f32) -> Self {
        Self {
            flops: cost.flops,
            bytes: cost.bytes,
            blocks,
            blocks_per_multiprocessor: 4,
            efficiency,
            tensor_cores: false,
        }
    }
}

/// Why a kernel does not take a site. Shown by `limpid inspect --tactics`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The kernel's name.
    pub kernel: String,
    /// The reason: "needs input channels per group divisible by 8, got 3".
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_the_same_however_k_is_shared() {
        let tactic = |kernel, m, split| Tactic::new(kernel, &[("block_m", m), ("split_k", split)]);
        assert!(tactic("a", 64, 1).has_tiles_of(&tactic("a", 64, 5)));
        assert!(!tactic("a", 64, 1).has_tiles_of(&tactic("a", 32, 1)));
        assert!(!tactic("a", 64, 1).has_tiles_of(&tactic("b", 64, 1)));
        assert_eq!((tactic("a", 64, 5).shares_of_k(), Tactic::new("a", &[("block_m", 64)]).shares_of_k()), (5, 1));
    }
}
