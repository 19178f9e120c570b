//! Matrix products in the shapes that exports have them.

use super::{check, constant, emulator, error_on, node, random_input};
use limpid_graph::ir::Fact;
use limpid_graph::onnx::{ModelWriter, NodeWriter, load_bytes};
use limpid_graph::ops::{Epilogue, Gemm, MatMul};
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{DType, Tensor};
use limpid_kernels::target::Arch;
use std::path::Path;

#[test]
fn mat_mul_broadcasts_batches() {
    let product: super::Build<'_> = &|g, x| node(g, MatMul, x);
    check("equal batches", &[&[2, 3, 5, 7], &[2, 3, 7, 4]], product);
    check("one right operand", &[&[2, 3, 5, 7], &[7, 4]], product);
    check("one left operand", &[&[5, 8], &[2, 3, 8, 4]], product);
    check("the inner batch repeats on the left", &[&[2, 1, 5, 8], &[2, 3, 8, 4]], product);
    check("the outer batch repeats on the right", &[&[2, 3, 5, 8], &[1, 3, 8, 4]], product);
    check("each repeats along another axis", &[&[2, 1, 5, 8], &[3, 8, 4]], product);
}

#[test]
fn mat_mul_takes_vectors() {
    let product: super::Build<'_> = &|g, x| node(g, MatMul, x);
    check("a row", &[&[7], &[7, 4]], product);
    check("a column", &[&[2, 5, 7], &[7]], product);
    check("a row for each of a batch", &[&[7], &[3, 7, 4]], product);
    check("two vectors", &[&[9], &[9]], product);
}

#[test]
fn gemm_of_two_activations() {
    for (trans_a, trans_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let a: &[usize] = if trans_a { &[7, 5] } else { &[5, 7] };
        let b: &[usize] = if trans_b { &[6, 7] } else { &[7, 6] };
        let op = Gemm { trans_a, trans_b, alpha: 1.0, epilogue: Epilogue::default() };
        check("computed", &[a, b], &|g, x| node(g, op.clone(), x));
        // A constant that no rule brought into the form of weights, and a bias.
        let op = Gemm { epilogue: Epilogue { bias: true, ..Epilogue::default() }, ..op };
        check("constant", &[a], &|g, x| {
            let (b, bias) = (constant(g, random_input(b)), constant(g, random_input(&[6])));
            node(g, op.clone(), &[x[0], b, bias])
        });
    }
}

/// alpha·A·B + beta·C as ONNX writes it, B and C computed.
#[test]
fn an_exported_gemm_scales_what_is_computed() {
    let Some(emulator) = emulator() else { return };
    let mut model = ModelWriter::new("gemm", 17);
    for (name, shape) in [("a", [5, 7]), ("b", [6, 7]), ("c", [5, 6])] {
        model.add_input(name, &Fact::of(DType::F32, &shape));
    }
    model.add_node(
        NodeWriter::new("Gemm", "/gemm")
            .inputs(["a", "b", "c"])
            .outputs(["y"])
            .attribute("transB", 1)
            .attribute("alpha", 0.5f32)
            .attribute("beta", -2.0f32),
    );
    model.add_output("y", &Fact::of(DType::F32, &[5, 6]));
    let bytes = model.to_bytes().expect("it can be written");
    let mut model = load_bytes(&bytes, Path::new("gemm.onnx"), None).expect("it can be read");
    limpid_graph::passes::optimize(&mut model.graph, &mut model.ledger, &[]).expect("rules keep graphs valid");

    let ones = |shape: &[usize], value: f32| {
        Tensor::new(shape, vec![value; shape.iter().product()]).expect("it has that size")
    };
    let inputs = [ones(&[5, 7], 2.0), ones(&[6, 7], 3.0), ones(&[5, 6], 4.0)];
    let want = Interpreter::new(&model.graph).expect("a sound graph").run(&inputs).expect("it runs");
    assert_eq!(want[0].to_f32(), [0.5 * 7.0 * 2.0 * 3.0 - 2.0 * 4.0; 30]);
    let error = error_on(&model.graph, Arch(80), &inputs, &emulator);
    assert!(error == 0.0, "relative L2 {error}, of whole numbers");
}
