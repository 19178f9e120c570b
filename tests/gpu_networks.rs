//! Whole networks on a GPU against the CPU reference: within bounds for reals, to the bit for INT8. `cargo test --release --test gpu_networks -- --ignored --nocapture`
//! runs it; `LIMPID_NETWORKS=resnet18,mlp` and `LIMPID_BATCHES=1` narrow it down;
//! `LIMPID_TIMING_CACHE=FILE` keeps the tactics' times for `limpid build --timing-cache`.

use limpid::builder::{Batches, Builder, Destination, Int8};
use limpid::compare::Distance;
use limpid::runtime::cuda::CudaSession;
use limpid::runtime::kernels::Kernels;
use limpid::zoo;
use limpid_graph::ir::Precision;
use limpid_graph::onnx;
use limpid_graph::passes;
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{Tensor, relative_l2};
use limpid_kernels::device::{CubinCache, Device};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Relative L2 error that each precision may have against FP32 on the CPU.
const BOUNDS: [(Precision, f64); 3] = [(Precision::Fp32, 1e-5), (Precision::Tf32, 2e-3), (Precision::Fp16, 5e-3)];

fn listed(variable: &str, default: &str) -> Vec<String> {
    let text = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    text.split(',').map(str::to_owned).collect()
}

/// Nearly standard normal numbers, others for each seed.
fn noise(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let values = (0..shape.iter().product()).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect();
    Tensor::new::<f32>(shape, values).expect("as many as the shape holds")
}

#[test]
#[ignore = "needs a CUDA GPU and NVRTC"]
fn every_network_is_right_on_this_gpu() {
    let device = Device::open(0).expect("a GPU");
    let cache = CubinCache::for_user();
    let known: Vec<String> = zoo::NETWORKS.iter().map(|n| n.name.to_owned()).collect();
    let mut failures = Vec::new();
    println!("{:<14} {:<5} {:>5} {:>12} {:>8} {:>10}", "network", "", "batch", "relative L2", "kernels", "built in");
    for name in listed("LIMPID_NETWORKS", &known.join(",")) {
        let network = zoo::find(&name).unwrap_or_else(|| panic!("no network is called {name}"));
        let bytes = network.build(0).expect("it is made").model.to_bytes().expect("it is written");
        let path = Path::new(&name);
        let mut plain = onnx::load_bytes(&bytes, path, None).expect("it is read");
        passes::optimize(&mut plain.graph, &mut plain.ledger, &[]).expect("it is fused");
        let reference = Interpreter::new(&plain.graph).expect("it is sound");
        for batch in listed("LIMPID_BATCHES", "1,32") {
            let batch: usize = batch.parse().expect("a number");
            let input = noise(&[batch, network.channels, network.size, network.size], batch as u64 + 17);
            let want = reference.run(std::slice::from_ref(&input)).expect("the reference runs");
            for (precision, bound) in BOUNDS {
                let begin = Instant::now();
                let timings = std::env::var_os("LIMPID_TIMING_CACHE").map(PathBuf::from);
                let builder = Builder::new(Destination::Gpu { ordinal: 0 })
                    .precision(precision)
                    .batches(&[batch])
                    .timing_cache(timings);
                let engine = builder.build_bytes(&bytes, path, None, &mut ()).expect("it is built");
                let seconds = begin.elapsed().as_secs_f64();
                let mut kernels = Kernels::of_engine(&engine, device.target().arch, &cache);
                let plan = &engine.plans[0];
                let mut session = CudaSession::new(&device, &engine.graph, plan, &mut kernels).expect("it loads");
                session.poison().expect("memory is filled");
                let got = session.run(std::slice::from_ref(&input)).expect("it runs");
                let error =
                    got.iter().zip(&want).map(|(g, w)| relative_l2(&g.to_f32(), &w.to_f32())).fold(0.0, f64::max);
                println!(
                    "{name:<14} {precision:<5} {batch:>5} {error:>12.2e} {:>8} {seconds:>8.1} s",
                    session.kernel_count()
                );
                if error > bound || error.is_nan() {
                    failures.push(format!("{name} {precision} batch {batch}: {error:.2e} > {bound:.0e}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Every group that can be is INT8; the GPU must answer with the CPU's bits, and a picture alone as among others.
#[test]
#[ignore = "needs a CUDA GPU and NVRTC"]
fn int8_has_the_same_bits_on_this_gpu() {
    let device = Device::open(0).expect("a GPU");
    let cache = CubinCache::for_user();
    let known: Vec<String> = zoo::NETWORKS.iter().map(|n| n.name.to_owned()).collect();
    let mut failures = Vec::new();
    println!("{:<14} {:>5} {:>12} {:>8} {:>8}", "network", "batch", "other bits", "cosine", "kernels");
    for name in listed("LIMPID_NETWORKS", &known.join(",")) {
        let network = zoo::find(&name).unwrap_or_else(|| panic!("no network is called {name}"));
        let bytes = network.build(0).expect("it is made").model.to_bytes().expect("it is written");
        let path = Path::new(&name);
        let shape = |batch| [batch, network.channels, network.size, network.size];
        let samples = Batches((0..2).map(|seed| vec![noise(&shape(2), seed + 90)]).collect());
        let int8 = Int8 { samples: Some(Arc::new(samples)), everywhere: true, ..Int8::default() };
        let timings = std::env::var_os("LIMPID_TIMING_CACHE").map(PathBuf::from);
        let build = |batch: usize, precision| {
            Builder::new(Destination::Gpu { ordinal: 0 })
                .precision(precision)
                .batches(&[batch])
                .int8(int8.clone())
                .timing_cache(timings.clone())
                .build_bytes(&bytes, path, None, &mut ())
                .expect("it is built")
        };
        let batches: Vec<usize> =
            listed("LIMPID_BATCHES", "1,32").iter().map(|batch| batch.parse().expect("a number")).collect();
        let most = batches.iter().copied().max().expect("a batch");
        let input = noise(&shape(most), 17);
        let mut alone: Option<Vec<f32>> = None;
        for batch in batches {
            let engine = build(batch, Precision::Int8);
            let first =
                Tensor::from_bytes(input.dtype(), &shape(batch), &input.bytes()[..input.bytes().len() / most * batch])
                    .expect("a part");
            let want = Interpreter::new(&engine.graph).expect("it is sound").run(std::slice::from_ref(&first));
            let want = want.expect("the reference runs");
            let mut kernels = Kernels::of_engine(&engine, device.target().arch, &cache);
            let mut session =
                CudaSession::new(&device, &engine.graph, &engine.plans[0], &mut kernels).expect("it loads");
            session.poison().expect("memory is filled");
            let got = session.run(std::slice::from_ref(&first)).expect("it runs");
            let other = |(g, w): (&Tensor, &Tensor)| {
                g.to_f32().iter().zip(w.to_f32()).filter(|(g, w)| g.to_bits() != w.to_bits()).count()
            };
            let differing: usize = got.iter().zip(&want).map(other).sum();
            // How much INT8 itself costs, against FP32 on the CPU.
            let mut plain = onnx::load_bytes(&bytes, path, None).expect("it is read");
            passes::optimize(&mut plain.graph, &mut plain.ledger, &[]).expect("it is fused");
            let one = Tensor::from_bytes(input.dtype(), &shape(1), &input.bytes()[..input.bytes().len() / most])
                .expect("one");
            let real = Interpreter::new(&plain.graph).expect("it is sound").run(&[one]).expect("it runs");
            let row = got[0].to_f32()[..real[0].len()].to_vec();
            let cosine = Distance::between(&real[0].to_f32(), &row).cosine();
            println!("{name:<14} {batch:>5} {differing:>12} {cosine:>8.5} {:>8}", session.kernel_count());
            if differing > 0 {
                failures.push(format!("{name} batch {batch}: {differing} numbers have other bits"));
            }
            match &alone {
                Some(alone) if *alone != row => failures.push(format!("{name}: batch {batch} answers otherwise")),
                _ => alone = Some(row),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
