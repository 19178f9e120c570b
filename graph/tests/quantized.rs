//! Networks with quantization written in them, held against ONNX Runtime: as imported, and as INT8.

use limpid_graph::ir::Precision;
use limpid_graph::onnx::{self, Model};
use limpid_graph::passes;
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::Tensor;
use npyz::npz::NpzArchive;
use std::path::{Path, PathBuf};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/quantized").join(name)
}

fn recorded(network: &str, name: &str) -> Tensor {
    let mut archive = NpzArchive::open(data(&format!("{network}.npz"))).unwrap();
    let array = archive.by_name(name).unwrap().unwrap();
    let shape: Vec<usize> = array.shape().iter().map(|&d| d as usize).collect();
    Tensor::new(&shape, array.into_vec::<f32>().unwrap()).unwrap()
}

/// How far the output is from ONNX Runtime's, in steps of its quantization: the largest, and the share that differs.
fn difference(model: &Model, network: &str) -> (f32, f32) {
    let got = Interpreter::new(&model.graph).unwrap().run(&[recorded(network, "input")]).unwrap().swap_remove(0);
    let (want, step) = (recorded(network, "output"), recorded(network, "step").to_f32()[0]);
    assert_eq!(got.shape(), want.shape(), "{network}");
    let steps = got.to_f32().into_iter().zip(want.to_f32()).map(|(got, want)| ((got - want) / step).abs());
    let steps: Vec<f32> = steps.collect();
    let differs = steps.iter().filter(|s| **s > 0.01).count() as f32 / steps.len() as f32;
    (steps.into_iter().fold(0.0, f32::max), differs)
}

const NETWORKS: [&str; 8] = [
    "torch_everywhere",
    "torch_in_front",
    "ort_qdq_symmetric",
    "ort_qdq_unsigned",
    "ort_operators",
    "operators_around_128",
    "between_pairs",
    "integers",
];

#[test]
fn look() {
    for network in NETWORKS {
        let mut model = match onnx::load(&data(&format!("{network}.onnx"))) {
            Ok(model) => model,
            Err(error) => {
                println!("{network}: {error}");
                continue;
            }
        };
        println!("{network}: imported {:?}", difference(&model, network));
        passes::optimize(&mut model.graph, &mut model.ledger, &[]).unwrap();
        let int8 = model.graph.nodes().filter(|(_, n)| n.precision == Precision::Int8).count();
        println!("  optimized {:?} int8 {int8}", difference(&model, network));
        println!("{}", model.graph);
        for record in model.ledger.records() {
            println!("    {} {} {:?} {}", record.rule, record.node, record.verdict, record.detail);
        }
    }
}
