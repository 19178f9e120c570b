//! Hopper's instructions, through the wrappers that kernels use: tensor copies of every rank, `wgmma` of every type,
//! size, swizzle and major-ness, mbarriers, clusters, `stmatrix`, named barriers. The emulator runs all of it in the
//! ordinary test run; `-- --ignored` runs the same kernels and holds them to the same answers on an sm_90 GPU.

mod copies;
#[path = "../support/emulator.rs"]
mod emulated;
mod machine;
mod peaks;
mod planted;
mod products;

use emulated::emulator;
use machine::Gpu;

#[test]
fn products_are_right_in_the_emulator() {
    if let Some(emulator) = emulator() {
        products::check(emulator);
    }
}

#[test]
fn copies_are_right_in_the_emulator() {
    if let Some(emulator) = emulator() {
        copies::check(emulator);
    }
}

#[test]
fn the_benchmark_of_the_tensor_cores_does_what_it_counts() {
    if let Some(emulator) = emulator() {
        peaks::check(emulator);
    }
}

#[test]
fn planted_faults_are_found_in_the_emulator() {
    if emulator().is_some() {
        planted::check();
    }
}

#[test]
#[ignore = "needs an sm_90 GPU and NVRTC"]
fn the_gpu_agrees() {
    let gpu = Gpu::open();
    copies::check(&gpu);
    products::check(&gpu);
    peaks::check(&gpu);
}

#[test]
fn every_wrapper_compiles_for_sm_90a() {
    use limpid_kernels::device::{Compiler, DeviceError};
    use limpid_kernels::launch::CompileUnit;
    use limpid_kernels::target::Arch;
    let compiler = match Compiler::new() {
        Ok(compiler) => compiler,
        Err(error @ DeviceError::NoNvrtc { .. }) if std::env::var_os("LIMPID_REQUIRE_NVRTC").is_none() => {
            eprintln!("SKIPPED, this test compiles with NVRTC: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let unit = CompileUnit::new::<&str, u32>("tests/wrappers.cu", "wrappers", []);
    let program = machine::program(&unit, include_str!("wrappers.cu"));
    let cubin = compiler.compile_program(&program, &unit, Arch(90)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(cubin.resources.parameters, [128, 8, 8]);
    if let Some(emulator) = emulator() {
        emulator.compile_text(&unit, include_str!("wrappers.cu"), Arch(90)).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A small number that every element type holds exactly, and whose sums of products are exact in f32.
fn small(index: usize) -> i32 {
    (index * 7 + index / 5 + index / 31) as i32 % 7 - 3
}
