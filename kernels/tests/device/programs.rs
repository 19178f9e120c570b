//! Small kernels to test with; not part of the catalog.

use limpid_kernels::device::{Compiler, DeviceError, Program};
use limpid_kernels::launch::CompileUnit;
use std::borrow::Cow;

/// `y[i] = alpha · x[i] + bias[i]`; bias may be null.
pub const SCALE: &str = r#"
#include "include/outer.cuh"

extern "C" __global__ void scale(const float* x, const float* bias, float* y, ScaleParams p) {
    const int i = blockIdx.x * BLOCK + threadIdx.x;
    if (i < p.n) y[i] = p.alpha * x[i] + (bias ? bias[i] : 0.0f);
}

// Writes through more dynamic shared memory than a block has without asking.
extern "C" __global__ void through_shared(const float* x, float* y, int n) {
    extern __shared__ float tile[];
    for (int i = threadIdx.x; i < n; i += BLOCK) tile[i] = x[i];
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += BLOCK) y[i] = tile[n - 1 - i];
}
"#;

/// Headers include headers by their full names, as sources do.
const OUTER: &str = "#pragma once\n#include \"include/inner.cuh\"\n";
const INNER: &str = "#pragma once\nstruct ScaleParams { int n; float alpha; };\n";

/// As `ScaleParams` in CUDA.
#[derive(Clone, Copy, bytemuck::NoUninit)]
#[repr(C)]
pub struct ScaleParams {
    pub n: i32,
    pub alpha: f32,
}

pub const BLOCK: u32 = 128;

pub fn unit(entry: &str) -> CompileUnit {
    CompileUnit::new("test/scale.cu", entry, [("BLOCK", BLOCK)])
}

pub fn program(text: &str) -> Program<'_> {
    let headers = [("include/outer.cuh", OUTER), ("include/inner.cuh", INNER)];
    Program {
        name: Cow::Borrowed("test/scale.cu"),
        text: Cow::Borrowed(text),
        headers: headers.map(|(name, text)| (Cow::Borrowed(name), Cow::Borrowed(text))).to_vec(),
    }
}

/// NVRTC, or `None` with a visible word where it is not installed. With `LIMPID_REQUIRE_NVRTC` set, as in CI, its
/// absence is a failure.
pub fn compiler() -> Option<Compiler> {
    match Compiler::new() {
        Ok(compiler) => Some(compiler),
        Err(error @ DeviceError::NoNvrtc { .. }) if std::env::var_os("LIMPID_REQUIRE_NVRTC").is_none() => {
            eprintln!("SKIPPED, this test compiles with NVRTC: {error}");
            None
        }
        Err(error) => panic!("NVRTC is needed and does not work: {error}"),
    }
}
