//! The checks of `emulated_catalog.rs` on the GPU at hand: every kernel, every tactic it offers for this GPU, at every
//! edge site, against the same reference.
//!
//! `cargo test -p limpid-kernels --test gpu_catalog -- --ignored --nocapture`; the environment's LIMPID_KERNELS, a list with
//! commas, selects kernels whose names contain one of its words.

mod support;

use limpid_kernels::catalog::KERNELS;
use limpid_kernels::device::{Compiler, CubinCache, Device, DeviceBuffer, DeviceError, Stream};
use limpid_kernels::emulator::Memory;
use limpid_kernels::launch::{Launch, Role};
use limpid_kernels::target::Arch;
use std::collections::BTreeMap;
use support::catalog::check_kernel;
use support::choice::Extent;
use support::executor::Executor;
use support::infinite::stays_in_its_channel;

/// Bytes before and behind each buffer that nobody may write.
const GUARD: usize = 4096;
/// Buffers begin on a multiple of 16 bytes and of nothing more, as views inside an arena do.
const OFFSET: usize = GUARD + 16;
/// What the guards hold.
const POISON: u8 = 0xff;

struct Gpu {
    stream: Stream,
    compiler: Compiler,
    cache: CubinCache,
}

impl Gpu {
    fn run_all(&self, launches: &[Launch], arch: Arch, memory: &mut Memory) -> Result<(), DeviceError> {
        let mut buffers = BTreeMap::new();
        for (role, buffer) in memory.iter() {
            let mut bytes = vec![POISON; OFFSET + buffer.bytes.len() + GUARD];
            bytes[OFFSET..OFFSET + buffer.bytes.len()].copy_from_slice(&buffer.bytes);
            buffers.insert(*role, DeviceBuffer::from_slice(&self.stream, &bytes)?);
        }
        let resolve = |role: Role| buffers.get(&role).map(|buffer| buffer.ptr().offset(OFFSET));
        for launch in launches {
            let cubin = self.cache.get(&self.compiler, &launch.unit, arch)?;
            self.stream.device().prepare(launch, &cubin, &resolve)?.enqueue(&self.stream)?;
        }
        self.stream.synchronize()?;
        for (role, buffer) in memory.iter_mut() {
            let bytes = buffers[role].to_vec::<u8>(&self.stream)?;
            let end = OFFSET + buffer.bytes.len();
            let untouched = bytes[..OFFSET].iter().chain(&bytes[end..]).all(|&byte| byte == POISON);
            assert!(untouched, "{}: something was written outside of {role:?}", launches[0].unit.source);
            if buffer.read_only {
                assert!(bytes[OFFSET..end] == buffer.bytes, "{}: {role:?} was changed", launches[0].unit.source);
            }
            buffer.bytes.copy_from_slice(&bytes[OFFSET..end]);
        }
        Ok(())
    }
}

impl Executor for Gpu {
    fn run(&self, launches: &[Launch], arch: Arch, memory: &mut Memory) -> Result<(), String> {
        self.run_all(launches, arch, memory).map_err(|error| error.to_string())
    }

    fn knows_written(&self) -> bool {
        false
    }
}

#[test]
#[ignore = "needs a CUDA GPU and NVRTC"]
fn every_candidate_is_right_on_this_gpu() {
    let device = Device::open(0).expect("a GPU");
    let target = device.target();
    let stream = Stream::new(&device).expect("a stream");
    let gpu = Gpu { stream, compiler: Compiler::new().expect("NVRTC"), cache: CubinCache::for_user() };
    println!("{} ({})", target.name, target.arch);
    let extent = match std::env::var("LIMPID_EXTENT").ok().as_deref() {
        None | Some("whole") => Extent::Whole,
        Some("least") => Extent::Least,
        Some(other) => panic!("LIMPID_EXTENT is `{other}`; it may be `whole` or `least`"),
    };
    // Kernels for other architectures have nothing to offer here.
    let right = |kernel: &&&dyn limpid_kernels::catalog::Kernel| {
        check_kernel(&gpu, **kernel, std::slice::from_ref(&target), extent)
    };
    let words = std::env::var("LIMPID_KERNELS").unwrap_or_default();
    let wanted =
        |kernel: &&&dyn limpid_kernels::catalog::Kernel| words.split(',').any(|word| kernel.name().contains(word));
    let selected: Vec<_> = KERNELS.iter().filter(wanted).collect();
    assert!(!selected.is_empty(), "no kernel's name contains one of `{words}`");
    let failed: Vec<&str> = selected.into_iter().filter(|kernel| !right(kernel)).map(|kernel| kernel.name()).collect();
    assert!(failed.is_empty(), "{failed:?} failed");
    assert!(stays_in_its_channel(&gpu, target.arch));
}
