//! One engine in many threads: `cargo run --release --example many_threads`
//!
//! Each thread has a session of its own, with its own stream and its own memory for activations. Weights and kernels are
//! on the GPU once.

use limpid::input::random;
use limpid::tensor::DType;
use limpid::{Backend, Builder, Destination, Session};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

const THREADS: u64 = 4;
const RUNS: usize = 20;

/// Every thread runs inputs of its own, and must get the answers that a session alone gives.
pub fn main() -> Result<(), Box<dyn Error>> {
    let model = limpid::zoo::find("mlp").ok_or("not in the zoo")?.build(1)?.model.to_bytes()?;
    let builder = Builder::new(Destination::available().0);
    let engine = Arc::new(builder.build_bytes(&model, Path::new("mlp.onnx"), None, &mut ())?);
    let mut session = Session::new(engine, Backend::Auto)?;
    println!("{THREADS} threads on {}", session.backend_name());

    let mut threads = Vec::new();
    for seed in 0..THREADS {
        let mut sibling = session.sibling()?;
        let inputs = [random(DType::F32, &[1, 1, 28, 28], seed)];
        let expected = session.run(&inputs)?;
        threads.push(std::thread::spawn(move || {
            (0..RUNS).map(|_| sibling.run(&inputs)).all(|answer| answer.is_ok_and(|answer| answer == expected))
        }));
    }
    let right = threads.into_iter().all(|thread| thread.join().unwrap_or(false));
    if right { Ok(()) } else { Err("a thread got other answers".into()) }
}
