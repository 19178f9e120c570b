//! The GPU a kernel is built for: its architecture and the few numbers a cost model needs.

use crate::selection::Selection;
use limpid_graph::ir::Precision;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A compute capability, as major·10 + minor: 90 is Hopper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Arch(pub u16);

impl Arch {
    /// The architectures every kernel is compiled for in the tests.
    pub const TESTED: [Arch; 6] = [Arch(75), Arch(80), Arch(86), Arch(89), Arch(90), Arch(120)];

    /// NVRTC's name for native code: `sm_90a` where there are instructions only that one chip has.
    pub fn nvrtc_name(self) -> String {
        match self.0 {
            90 => "sm_90a".to_owned(),
            n => format!("sm_{n}"),
        }
    }

    /// True from Ampere on: `cp.async`, `mma` m16n8k16.
    pub fn has_async_copy(self) -> bool {
        self.0 >= 80
    }

    /// True from Hopper on: `griddepcontrol`; see [`crate::launch::Launch::dependent`].
    pub fn has_dependent_launch(self) -> bool {
        self.0 >= 90
    }

    /// True from Hopper on: blocks that reach into each other's shared memory; see [`crate::launch::Launch::cluster`].
    pub fn has_clusters(self) -> bool {
        self.0 >= 90
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("sm_{}", self.0))
    }
}

/// The text names no architecture limpid has kernels for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no target; use sm_75 or newer, such as sm_80, sm_86, sm_89, sm_90 or sm_120")]
pub struct UnknownArch(String);

impl FromStr for Arch {
    type Err = UnknownArch;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("sm_").unwrap_or(text).trim_end_matches('a');
        let number = digits.replace('.', "").parse::<u16>().ok().filter(|n| (75..=130).contains(n));
        number.map(Arch).ok_or_else(|| UnknownArch(text.to_owned()))
    }
}

/// An architecture with sizes: of the GPU at hand, or of a typical card of that architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The architecture.
    pub arch: Arch,
    /// The card's name; for a target without a card, the name of the typical one.
    pub name: String,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Shared memory one block may opt in to, bytes.
    pub shared_per_block: u32,
    /// Shared memory of one multiprocessor, bytes.
    pub shared_per_multiprocessor: u32,
    /// Second-level cache, bytes.
    pub l2_bytes: u64,
    /// Device memory bandwidth, bytes/s.
    pub bandwidth: f64,
    /// Boost clock, Hz.
    pub clock: f64,
    /// Which kernels may be chosen for it.
    pub kernels: Selection,
    /// Scratch memory that one kernel may ask for, bytes: a wish of whoever builds, not the card's.
    pub workspace_limit: u64,
}

impl Target {
    /// A typical card of the architecture, from NVIDIA's data sheets. For building without the card.
    pub fn typical(arch: Arch) -> Self {
        let (name, multiprocessors, block_kib, sm_kib, l2_mib, gbps, ghz) = match arch.0 {
            75..=79 => ("Tesla T4", 40, 64, 64, 4, 320.0, 1.59),
            80..=85 => ("A100 80GB", 108, 163, 164, 40, 2039.0, 1.41),
            86..=88 => ("GeForce RTX 3090", 82, 99, 100, 6, 936.0, 1.695),
            89 => ("L40S", 142, 99, 100, 96, 864.0, 2.52),
            90..=99 => ("H200", 132, 227, 228, 50, 4800.0, 1.98),
            100..=119 => ("B200", 148, 227, 228, 126, 8000.0, 1.965),
            _ => ("GeForce RTX 5090", 170, 99, 100, 96, 1792.0, 2.407),
        };
        Self {
            arch,
            name: name.to_owned(),
            multiprocessors,
            shared_per_block: block_kib * 1024,
            shared_per_multiprocessor: sm_kib * 1024,
            l2_bytes: l2_mib << 20,
            bandwidth: gbps * 1e9,
            clock: ghz * 1e9,
            kernels: Selection::default(),
            workspace_limit: u64::MAX,
        }
    }

    /// With kernels chosen and kept to what `other` allows them: scratch memory and, on the same architecture, shared
    /// memory.
    pub fn limited_as(mut self, other: &Self) -> Self {
        self.kernels = other.kernels.clone();
        self.workspace_limit = self.workspace_limit.min(other.workspace_limit);
        if self.arch == other.arch {
            self.shared_per_block = self.shared_per_block.min(other.shared_per_block);
        }
        self
    }

    /// Peak of dense multiply-adds for `mma.sync`, counted as two operations, per second.
    pub fn peak(&self, precision: Precision) -> f64 {
        // Operations per clock and multiprocessor, from the architecture white papers.
        let (fp32, tf32, fp16, int8) = match self.arch.0 {
            75..=79 => (128.0, 128.0, 1024.0, 2048.0),
            80..=85 => (128.0, 1024.0, 2048.0, 4096.0),
            86..=89 => (256.0, 512.0, 1024.0, 2048.0),
            90..=119 => (256.0, 2048.0, 4096.0, 8192.0),
            _ => (256.0, 512.0, 1024.0, 2048.0),
        };
        let per_clock = match precision {
            Precision::Fp32 => fp32,
            Precision::Tf32 => tf32,
            Precision::Fp16 => fp16,
            Precision::Int8 => int8,
        };
        per_clock * f64::from(self.multiprocessors) * self.clock
    }
}
