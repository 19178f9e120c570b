//! The kernels' sources, carried in the binary: NVRTC compiles them where the GPU is.

use crate::launch::CompileUnit;

/// Every `.cu` and `.cuh`, by its path under `kernels/src/`.
pub const SOURCES: &[(&str, &str)] = &[
    ("conv/direct.cu", include_str!("conv/direct.cu")),
    ("conv/implicit.cuh", include_str!("conv/implicit.cuh")),
    ("conv/mma.cu", include_str!("conv/mma.cu")),
    ("conv/simt.cu", include_str!("conv/simt.cu")),
    ("gemm/gemm.cuh", include_str!("gemm/gemm.cuh")),
    ("gemm/gemv.cu", include_str!("gemm/gemv.cu")),
    ("gemm/mma.cu", include_str!("gemm/mma.cu")),
    ("gemm/simt.cu", include_str!("gemm/simt.cu")),
    ("gemm/split_k.cu", include_str!("gemm/split_k.cu")),
    ("include/epilogue.cuh", include_str!("include/epilogue.cuh")),
    ("include/fragment.cuh", include_str!("include/fragment.cuh")),
    ("include/matrix.cuh", include_str!("include/matrix.cuh")),
    ("include/ptx.cuh", include_str!("include/ptx.cuh")),
    ("include/simt.cuh", include_str!("include/simt.cuh")),
    ("include/tile.cuh", include_str!("include/tile.cuh")),
];

/// The text of a source or header.
pub fn text(path: &str) -> Option<&'static str> {
    SOURCES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

/// What a unit's cubin depends on besides architecture and compiler: its definitions, its source, every header.
pub fn fingerprint(unit: &CompileUnit) -> String {
    let mut hash = blake3::Hasher::new();
    let mut part = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    part(&unit.source);
    part(&unit.entry);
    for (name, value) in &unit.defines {
        part(name);
        part(value);
    }
    part(text(&unit.source).unwrap_or_default());
    for (name, text) in SOURCES.iter().filter(|(name, _)| name.ends_with(".cuh")) {
        part(name);
        part(text);
    }
    hash.finalize().to_hex().to_string()
}
