//! The steps, from first to last.

use limpid_kernels::device::Program;
use limpid_kernels::launch::CompileUnit;
use limpid_kernels::source::SOURCES;
use std::borrow::Cow;

const PRODUCT: &str = include_str!("product.cuh");
const TENSOR: &str = include_str!("tensor.cuh");

/// A kernel of this folder, and how it is launched.
#[derive(Debug)]
pub struct Step {
    pub name: &'static str,
    text: &'static str,
    /// Rows and columns of y that a block computes.
    pub tile: [u32; 2],
    pub threads: u32,
    /// Dynamic shared memory, bytes.
    pub shared_bytes: u32,
    /// Whether it multiplies on tensor cores, with what tensor.cuh has.
    tensor: bool,
}

/// In the order of the ideas. The production kernels come after them.
pub const STEPS: [Step; 9] = [
    plain("1_naive", include_str!("1_naive.cu"), [16, 16], 256),
    plain("2_coalesced", include_str!("2_coalesced.cu"), [8, 32], 256),
    plain("3_shared", include_str!("3_shared.cu"), [32, 32], 1024),
    plain("4_registers", include_str!("4_registers.cu"), [128, 128], 256),
    plain("5_vectors", include_str!("5_vectors.cu"), [128, 128], 256),
    tensor("6_tensor_cores", include_str!("6_tensor_cores.cu"), 0),
    tensor("7_swizzle", include_str!("7_swizzle.cu"), 0),
    tensor("8_double_buffer", include_str!("8_double_buffer.cu"), 0),
    tensor("9_multistage", include_str!("9_multistage.cu"), 4 * 16 * 1024),
];

const fn plain(name: &'static str, text: &'static str, tile: [u32; 2], threads: u32) -> Step {
    Step { name, text, tile, threads, shared_bytes: 0, tensor: false }
}

const fn tensor(name: &'static str, text: &'static str, shared_bytes: u32) -> Step {
    Step { name, text, tile: [128, 128], threads: 256, shared_bytes, tensor: true }
}

impl Step {
    /// What is compiled for a left matrix of this kind.
    pub fn unit(&self, left: &str) -> CompileUnit {
        CompileUnit::new(&format!("ladder/{}.cu", self.name), "product", [("LEFT", left)])
    }

    /// The step with the texts that come before it, each with its own lines' numbers.
    pub fn text(&self) -> String {
        let tensor = if self.tensor { format!("#line 1 \"ladder/tensor.cuh\"\n{TENSOR}") } else { String::new() };
        format!("#line 1 \"ladder/product.cuh\"\n{PRODUCT}{tensor}#line 1 \"ladder/{}.cu\"\n{}", self.name, self.text)
    }

    /// The same for NVRTC, with the kernels' headers.
    pub fn program(&self, unit: &CompileUnit) -> Program<'static> {
        let headers = SOURCES.iter().filter(|(name, _)| name.ends_with(".cuh"));
        Program {
            name: Cow::Owned(unit.source.clone()),
            text: Cow::Owned(self.text()),
            headers: headers.map(|&(name, text)| (Cow::Borrowed(name), Cow::Borrowed(text))).collect(),
        }
    }
}
