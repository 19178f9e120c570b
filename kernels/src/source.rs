//! The kernels' sources, carried in the binary: NVRTC compiles them where the GPU is.

use crate::launch::CompileUnit;
use std::sync::LazyLock;

/// Every `.cu` and `.cuh`, by its path under `kernels/src/`.
pub const SOURCES: &[(&str, &str)] = &[
    ("chain/feed.cuh", include_str!("chain/feed.cuh")),
    ("chain/gemv.cu", include_str!("chain/gemv.cu")),
    ("chain/wgmma.cu", include_str!("chain/wgmma.cu")),
    ("conv/direct.cu", include_str!("conv/direct.cu")),
    ("conv/implicit.cuh", include_str!("conv/implicit.cuh")),
    ("conv/mma.cu", include_str!("conv/mma.cu")),
    ("conv/patch.cuh", include_str!("conv/patch.cuh")),
    ("conv/simt.cu", include_str!("conv/simt.cu")),
    ("conv/stem.cu", include_str!("conv/stem.cu")),
    ("conv/wgmma.cu", include_str!("conv/wgmma.cu")),
    ("conv_transpose/direct.cu", include_str!("conv_transpose/direct.cu")),
    ("conv_transpose/mma.cu", include_str!("conv_transpose/mma.cu")),
    ("conv_transpose/phase.cuh", include_str!("conv_transpose/phase.cuh")),
    ("conv_transpose/simt.cu", include_str!("conv_transpose/simt.cu")),
    ("depthwise/direct.cu", include_str!("depthwise/direct.cu")),
    ("depthwise/finish.cuh", include_str!("depthwise/finish.cuh")),
    ("depthwise/mma.cu", include_str!("depthwise/mma.cu")),
    ("depthwise/tiled.cu", include_str!("depthwise/tiled.cu")),
    ("depthwise/window.cuh", include_str!("depthwise/window.cuh")),
    ("elementwise/broadcast.cu", include_str!("elementwise/broadcast.cu")),
    ("elementwise/function.cu", include_str!("elementwise/function.cu")),
    ("elementwise/functions.cuh", include_str!("elementwise/functions.cuh")),
    ("elementwise/walk.cuh", include_str!("elementwise/walk.cuh")),
    ("gather/rows.cu", include_str!("gather/rows.cu")),
    ("gemm/gemm.cuh", include_str!("gemm/gemm.cuh")),
    ("gemm/gemv.cu", include_str!("gemm/gemv.cu")),
    ("gemm/mma.cu", include_str!("gemm/mma.cu")),
    ("gemm/simt.cu", include_str!("gemm/simt.cu")),
    ("gemm/split_k.cu", include_str!("gemm/split_k.cu")),
    ("gemm/wgmma.cu", include_str!("gemm/wgmma.cu")),
    ("include/activation.cuh", include_str!("include/activation.cuh")),
    ("include/ahead.cuh", include_str!("include/ahead.cuh")),
    ("include/axis.cuh", include_str!("include/axis.cuh")),
    ("include/cast.cuh", include_str!("include/cast.cuh")),
    ("include/cluster.cuh", include_str!("include/cluster.cuh")),
    ("include/copies.cuh", include_str!("include/copies.cuh")),
    ("include/epilogue.cuh", include_str!("include/epilogue.cuh")),
    ("include/fragment.cuh", include_str!("include/fragment.cuh")),
    ("include/index.cuh", include_str!("include/index.cuh")),
    ("include/matrix.cuh", include_str!("include/matrix.cuh")),
    ("include/plain.cuh", include_str!("include/plain.cuh")),
    ("include/product.cuh", include_str!("include/product.cuh")),
    ("include/ptx.cuh", include_str!("include/ptx.cuh")),
    ("include/ptx_hopper.cuh", include_str!("include/ptx_hopper.cuh")),
    ("include/ptx_wgmma.cuh", include_str!("include/ptx_wgmma.cuh")),
    ("include/real_left.cuh", include_str!("include/real_left.cuh")),
    ("include/reduce.cuh", include_str!("include/reduce.cuh")),
    ("include/ring.cuh", include_str!("include/ring.cuh")),
    ("include/row.cuh", include_str!("include/row.cuh")),
    ("include/saturate.cuh", include_str!("include/saturate.cuh")),
    ("include/simt.cuh", include_str!("include/simt.cuh")),
    ("include/tile.cuh", include_str!("include/tile.cuh")),
    ("include/vector.cuh", include_str!("include/vector.cuh")),
    ("include/warpgroup.cuh", include_str!("include/warpgroup.cuh")),
    ("include/wgmma_math.cuh", include_str!("include/wgmma_math.cuh")),
    ("include/way_out.cuh", include_str!("include/way_out.cuh")),
    ("layout/cast.cu", include_str!("layout/cast.cu")),
    ("layout/convert.cuh", include_str!("layout/convert.cuh")),
    ("layout/copy.cu", include_str!("layout/copy.cu")),
    ("layout/fill.cu", include_str!("layout/fill.cu")),
    ("layout/interleave.cu", include_str!("layout/interleave.cu")),
    ("layout/strided.cuh", include_str!("layout/strided.cuh")),
    ("layout/transpose.cu", include_str!("layout/transpose.cu")),
    ("norm/rows.cu", include_str!("norm/rows.cu")),
    ("pool/fold.cuh", include_str!("pool/fold.cuh")),
    ("pool/global.cu", include_str!("pool/global.cu")),
    ("pool/window.cu", include_str!("pool/window.cu")),
    ("reduce/columns.cu", include_str!("reduce/columns.cu")),
    ("reduce/fold.cuh", include_str!("reduce/fold.cuh")),
    ("reduce/rows.cu", include_str!("reduce/rows.cu")),
    ("resize/cubic.cu", include_str!("resize/cubic.cu")),
    ("resize/nhwc.cu", include_str!("resize/nhwc.cu")),
    ("resize/picture.cu", include_str!("resize/picture.cu")),
    ("resize/points.cuh", include_str!("resize/points.cuh")),
    ("softmax/block.cu", include_str!("softmax/block.cu")),
    ("softmax/columns.cu", include_str!("softmax/columns.cu")),
    ("softmax/online.cuh", include_str!("softmax/online.cuh")),
    ("softmax/rows.cu", include_str!("softmax/rows.cu")),
];

/// The text of a source or header.
pub fn text(path: &str) -> Option<&'static str> {
    SOURCES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

/// True if a source of this text takes different ways on different architectures, apart from what the wrappers of
/// `ptx.cuh` and its kin do inside.
pub fn depends_on_arch(source: &str) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    let mut texts = vec![source];
    while let Some(text) = texts.pop() {
        if text.contains("__CUDA_ARCH__") {
            return true;
        }
        let included = text.lines().filter_map(|line| line.trim_start().strip_prefix("#include \"")?.strip_suffix('"'));
        for name in included.filter(|name| !name.starts_with("include/ptx")) {
            if !seen.contains(&name) {
                seen.push(name);
                texts.extend(self::text(name));
            }
        }
    }
    false
}

/// What a unit's cubin depends on besides architecture and compiler: its definitions, its source, every header.
pub fn fingerprint(unit: &CompileUnit) -> String {
    // A build asks for thousands, all of the same headers.
    static HEADERS: LazyLock<blake3::Hash> = LazyLock::new(|| {
        let mut hash = blake3::Hasher::new();
        for (name, text) in SOURCES.iter().filter(|(name, _)| name.ends_with(".cuh")) {
            add(&mut hash, name);
            add(&mut hash, text);
        }
        hash.finalize()
    });
    let mut hash = blake3::Hasher::new();
    add(&mut hash, &unit.source);
    add(&mut hash, &unit.entry);
    for (name, value) in &unit.defines {
        add(&mut hash, name);
        add(&mut hash, value);
    }
    add(&mut hash, text(&unit.source).unwrap_or_default());
    hash.update(HEADERS.as_bytes());
    hash.finalize().to_hex().to_string()
}

/// Adds a text, of which it is known where it ends.
fn add(hash: &mut blake3::Hasher, text: &str) {
    hash.update(&(text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_that_differ_by_architecture_are_seen_through_includes() {
        let depends = |path| depends_on_arch(text(path).expect("it is there"));
        assert!(depends("conv/mma.cu"), "fragment.cuh multiplies in other shapes on sm_75");
        assert!(depends("conv/simt.cu"), "tile.cuh copies by other instructions on sm_75");
        assert!(!depends("softmax/rows.cu"));
        assert!(depends_on_arch("#if __CUDA_ARCH__ >= 900\n#endif\n"));
    }
}
