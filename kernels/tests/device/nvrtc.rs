//! Real compilations for every architecture, without a GPU.

use crate::programs::{SCALE, compiler, program, unit};
use limpid_kernels::device::{CubinCache, CubinKey, DeviceError};
use limpid_kernels::target::Arch;
use rayon::prelude::*;

#[test]
fn compiles_for_every_tested_architecture_in_parallel() {
    let Some(compiler) = compiler() else { return };
    let jobs: Vec<_> = Arch::TESTED.iter().flat_map(|&arch| [(arch, "scale"), (arch, "through_shared")]).collect();
    let images: Vec<_> = jobs
        .into_par_iter()
        .map(|(arch, entry)| {
            let cubin = compiler.compile_program(&program(SCALE), &unit(entry), arch).expect("it compiles");
            assert!(cubin.image.starts_with(b"\x7fELF"), "{arch}");
            let resources = cubin.resources;
            let expected: &[u32] = if entry == "scale" { &[8, 8, 8, 8] } else { &[8, 8, 4] };
            assert_eq!(resources.parameters, expected, "{arch} {entry}");
            assert!(resources.registers.is_some_and(|n| (1..=255).contains(&n)), "{arch}: {}", cubin.log);
            assert_eq!(resources.spill_bytes, Some(0), "{arch}");
            assert_eq!(resources.shared_bytes, Some(0), "{arch}: dynamic shared memory is the launch's");
            (arch, cubin.image)
        })
        .collect();
    for (i, (arch, image)) in images.iter().enumerate() {
        assert!(images[..i].iter().all(|(other, seen)| other == arch || seen != image), "{arch} has another's code");
    }
}

#[test]
fn an_error_in_a_source_comes_with_file_line_and_text() {
    let Some(compiler) = compiler() else { return };
    let text = SCALE.replace("p.alpha", "p.beta");
    let error = compiler.compile_program(&program(&text), &unit("scale"), Arch(80)).expect_err("no such member");
    let DeviceError::Compile { log, .. } = &error else { panic!("{error}") };
    assert!(log.contains("test/scale.cu(6): error:"), "{log}");
    assert!(log.contains("beta"), "{log}");
}

#[test]
fn an_entry_that_is_not_there_is_answered_with_those_that_are() {
    let Some(compiler) = compiler() else { return };
    let error = compiler.compile_program(&program(SCALE), &unit("skale"), Arch(80)).expect_err("misspelt");
    let DeviceError::MissingEntry { mut found, .. } = error else { panic!("{error}") };
    found.sort();
    assert_eq!(found, ["scale", "through_shared"]);
}

#[test]
fn an_architecture_that_nvrtc_does_not_know_is_refused_by_name() {
    let Some(compiler) = compiler() else { return };
    let error = compiler.compile_program(&program(SCALE), &unit("scale"), Arch(35)).expect_err("Kepler is gone");
    let DeviceError::UnsupportedArch { arch, supported, .. } = error else { panic!("{error}") };
    assert_eq!(arch, Arch(35));
    assert!(supported.contains(&Arch(80)));
}

#[test]
fn spills_and_shared_memory_are_reported() {
    let Some(compiler) = compiler() else { return };
    // 32 registers cannot hold 64 values that all live across the barrier.
    let text = r#"
extern "C" __global__ void __launch_bounds__(1024, 2) hungry(float* p) {
    __shared__ float tile[256];
    float a[64];
    for (int i = 0; i < 64; i++) a[i] = p[i * 1024 + threadIdx.x];
    tile[threadIdx.x % 256] = a[0];
    __syncthreads();
    for (int i = 0; i < 64; i++) p[i * 1024 + threadIdx.x] = a[i] * a[63 - i] + tile[i];
}
"#;
    let cubin = compiler.compile_program(&program(text), &unit("hungry"), Arch(80)).expect("it compiles");
    assert!(cubin.resources.spill_bytes.is_some_and(|bytes| bytes > 0), "{}", cubin.log);
    assert_eq!(cubin.resources.shared_bytes, Some(1024), "{}", cubin.log);
    assert!(cubin.resources.registers.is_some_and(|n| n <= 32), "{}", cubin.log);
}

#[test]
fn a_cached_cubin_is_the_compiled_one() {
    let Some(compiler) = compiler() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (program, unit) = (program(SCALE), unit("scale"));
    let key = CubinKey::new(&program, &unit, Arch(90), compiler.version());
    let get = |cache: &CubinCache| {
        cache.get_or_insert_with(key, || compiler.compile_program(&program, &unit, Arch(90))).expect("it compiles")
    };
    let compiled = get(&CubinCache::in_folder(folder.path(), CubinCache::DEFAULT_BYTES));
    let read = get(&CubinCache::in_folder(folder.path(), CubinCache::DEFAULT_BYTES));
    assert_eq!(compiled, read);
}
