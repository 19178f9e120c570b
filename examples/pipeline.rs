//! Copies beside inferences: `cargo run --release --example pipeline`
//!
//! On a GPU the pipeline copies the next batch in and the last answers out while the network runs. Inputs are written
//! right into the memory that the GPU copies from, which saves a copy in host memory.

use limpid::tensor::{DType, Tensor};
use limpid::{Backend, Builder, Destination, Session};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const BATCH: usize = 32;
const BATCHES: usize = 50;
const PIXELS: usize = 28 * 28;

/// Runs the same batches one by one and through a pipeline, and compares times and answers.
pub fn main() -> Result<(), Box<dyn Error>> {
    let model = limpid::zoo::find("mlp").ok_or("not in the zoo")?.build(1)?.model.to_bytes()?;
    let builder = Builder::new(Destination::available().0).batches(&[BATCH]);
    let engine = builder.build_bytes(&model, Path::new("mlp.onnx"), None, &mut ())?;
    let mut session = Session::new(Arc::new(engine), Backend::Auto)?;

    let start = Instant::now();
    let mut one_by_one = Vec::new();
    for number in 0..BATCHES {
        let pixels = (0..BATCH * PIXELS).map(|index| pixel(number, index)).collect();
        one_by_one.push(session.run(&[Tensor::new::<f32>(&[BATCH, 1, 28, 28], pixels)?])?);
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{}: {:.0} pictures/s one by one", session.backend_name(), (BATCH * BATCHES) as f64 / seconds);

    let start = Instant::now();
    let mut pipeline = session.pipeline(&[Tensor::zeros(DType::F32, &[BATCH, 1, 28, 28])], 2)?;
    let mut answers = Vec::new();
    for number in 0..BATCHES {
        answers.extend(pipeline.push_with(|inputs| {
            for (index, bytes) in inputs[0].chunks_exact_mut(4).enumerate() {
                bytes.copy_from_slice(&pixel(number, index).to_ne_bytes());
            }
        })?);
    }
    while let Some(answer) = pipeline.pop()? {
        answers.push(answer);
    }
    println!("{:.0} pictures/s through a pipeline", (BATCH * BATCHES) as f64 / start.elapsed().as_secs_f64());
    if answers == one_by_one { Ok(()) } else { Err("the answers differ".into()) }
}

/// Some picture: stripes that differ from batch to batch.
fn pixel(batch: usize, index: usize) -> f32 {
    ((index + 31 * batch) % 97) as f32 / 97.0 - 0.5
}
