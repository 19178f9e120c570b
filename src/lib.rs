//! limpid: a TensorRT you can see through.
//!
//! A trained ONNX network is read, fused, converted to FP16 or INT8, planned onto hand-written CUDA kernels, kept in an
//! engine file and run; with no GPU, the CPU reference runs the same graph. Everything the command does, the library does:
//!
//! ```
//! use limpid::{Backend, Builder, Destination, Engine, Precision, Session, input::random, tensor::DType};
//! use std::sync::Arc;
//!
//! # let folder = tempfile::tempdir()?;
//! # let (model, file) = (folder.path().join("mlp.onnx"), folder.path().join("mlp.engine"));
//! // Any ONNX file will do; the zoo writes some.
//! std::fs::write(&model, limpid::zoo::find("mlp").ok_or("not in the zoo")?.build(1)?.model.to_bytes()?)?;
//!
//! // Build: on the first GPU if there is one, else for the CPU, with the reason.
//! let (destination, reason) = Destination::available();
//! # let (destination, reason) = (Destination::Cpu, reason);
//! let engine = Builder::new(destination).precision(Precision::Fp16).build(&model, &mut ())?;
//! engine.write(&file)?;
//!
//! // Run: inputs and outputs are tensors in the model's order.
//! let engine = Arc::new(Engine::read(&file)?);
//! let mut session = Session::new(engine, Backend::Auto)?;
//! let logits = session.run(&[random(DType::F32, &[1, 1, 28, 28], 7)])?;
//! assert_eq!(logits[0].shape(), [1, 10]);
//! # let _ = reason;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to | there is |
//! |---|---|
//! | build an engine | [`Builder`]: precision, shapes, calibration, layers by name; [`builder`] is the whole way as a list of calls |
//! | keep it | [`Engine::write`], [`Engine::read`]: one file, bytes only |
//! | run it | [`Session::run`]; [`Session::run_batches`] for any number of samples |
//! | hide copies behind inferences | [`Session::pipeline`] |
//! | run it on a stream of yours, on memory of yours | [`Session::enqueue`] |
//! | run it in many threads | one `Arc<Engine>`, [`Session::sibling`] for each thread: weights are on the GPU once |
//! | measure it | [`measure`]: queries timed in their parts, [`measure::Profile`] for where the time goes |
//! | look into it | [`Engine::graph`], [`Engine::ledger`], [`Engine::plans`]: what was fused, why not, which kernel, how fast |
//!
//! `examples/` has a classifier, a pipeline and many threads. The way of the data:
//!
//! ```text
//! model.onnx -> onnx -> graph -> passes -> quant -> plan -> engine -> runtime -> cli
//! ```

pub mod budget;
pub mod builder;
pub mod chrome_trace;
pub mod cli;
pub mod compare;
pub mod duel;
pub mod engine;
pub mod input;
pub mod measure;
pub mod output_file;
pub mod plan;
pub mod port;
pub mod progress;
pub mod runtime;
pub mod sensitivity;
pub mod severity;
pub mod shapes;
pub mod trt;
pub mod zoo;

pub use builder::{Builder, Destination};
pub use engine::Engine;
pub use limpid_graph as graph;
pub use limpid_graph::ir::Precision;
pub use limpid_graph::tensor::{self, Tensor};
pub use limpid_kernels::device;
pub use runtime::{Backend, Session};
