//! INT8 nodes in a graph: FP16 beside integers, and what the graph's own checks refuse.

use limpid_graph::ir::{Fact, Graph, GraphError, ValueId};
use limpid_graph::ops::exact::Requantize;
use limpid_graph::ops::{Activation, Conv, Epilogue, Flatten, Window};
use limpid_graph::reference::{EvalError, Interpreter};
use limpid_graph::tensor::{DType, QuantParams, Shape, Tensor};

const EPILOGUE: Epilogue = Epilogue { bias: true, pre: Activation::Identity, residual: true, post: Activation::Relu };

/// x (i8), r (f16) -> Conv 1x1 of three channels to two -> y.
fn graph(output: Fact) -> (Graph, ValueId) {
    let mut graph = Graph::new("int8");
    let x = graph.add_input("x", Fact::int8(0.05, Shape::of(&[1, 3, 1, 2])));
    let residual = graph.add_input("r", Fact::of(DType::F16, &[1, 2, 1, 2]));
    let w = graph.add_constant("w", Tensor::new(&[2, 3, 1, 1], vec![100i8, -127, 3, 1, 2, 127]).unwrap());
    graph.value_mut(w).fact.quant = Some(QuantParams::per_axis(vec![0.01, 0.02], 0));
    let bias = graph.add_constant("bias", Tensor::new(&[2], vec![0.1f32, -0.2]).unwrap());
    let conv = Conv { window: Window::of(&[1, 1]), groups: 1, epilogue: EPILOGUE };
    let node = graph.add_node("conv", conv.into(), &[x, w, bias, residual]).unwrap();
    let y = graph.node(node).outputs[0];
    graph.value_mut(y).fact = output;
    graph.outputs.push(y);
    (graph, y)
}

fn inputs() -> [Tensor; 2] {
    let x = Tensor::new(&[1, 3, 1, 2], vec![10i8, -20, 30, -40, 50, -60]).unwrap();
    let residual = Tensor::new(&[1, 2, 1, 2], vec![0.3f32, 1.7, -2.6, 100.1]).unwrap();
    [x, residual.cast(DType::F16)]
}

/// By the definition, from the residual as f16 holds it.
fn expected() -> Vec<f32> {
    let finish = Requantize::new(EPILOGUE, 0.05, &[0.01, 0.02], Some(&[0.1, -0.2]), Some(1.0), None).unwrap();
    let sums = [10 * 100 - 30 * 127 + 50 * 3, -20 * 100 + 40 * 127 - 60 * 3, 10 + 60 + 50 * 127, -20 - 80 - 60 * 127];
    let residual = inputs()[1].to_f32();
    (0..4).map(|i| finish.real(i / 2, sums[i], residual[i])).collect()
}

#[test]
fn a_real_output_is_rounded_once_to_its_type() {
    for dtype in [DType::F32, DType::F16] {
        let (graph, _) = graph(Fact::of(dtype, &[1, 2, 1, 2]));
        graph.verify().unwrap();
        let y = Interpreter::new(&graph).unwrap().run(&inputs()).unwrap().swap_remove(0);
        assert_eq!(y, Tensor::new(&[1, 2, 1, 2], expected()).unwrap().cast(dtype));
    }
}

#[test]
fn an_integer_output_has_the_scale_of_its_fact() {
    let (graph, _) = graph(Fact::int8(0.5, Shape::of(&[1, 2, 1, 2])));
    graph.verify().unwrap();
    let y = Interpreter::new(&graph).unwrap().run(&inputs()).unwrap().swap_remove(0);
    let integers = limpid_graph::ops::exact::quantize_all(&expected(), 0.5);
    assert_eq!(y, Tensor::new(&[1, 2, 1, 2], integers).unwrap());
}

#[test]
fn an_output_of_other_integers_is_refused() {
    let asymmetric = QuantParams { zero_points: vec![3], ..QuantParams::per_tensor(0.5) };
    let (graph, _) = graph(Fact { quant: Some(asymmetric), ..Fact::of(DType::I8, &[1, 2, 1, 2]) });
    let error = Interpreter::new(&graph).unwrap().run(&inputs()).unwrap_err();
    assert!(matches!(error, EvalError::Op { .. }), "{error}");
    assert!(error.to_string().contains("the output has element type i8"), "{error}");
}

#[test]
fn moved_integers_cannot_change_their_scale() {
    let mut graph = Graph::new("moved");
    let x = graph.add_input("x", Fact::int8(0.05, Shape::of(&[1, 3, 1, 2])));
    let node = graph.add_node("flatten", Flatten { axis: 1 }.into(), &[x]).unwrap();
    let y = graph.node(node).outputs[0];
    graph.outputs.push(y);
    graph.verify().unwrap();
    graph.value_mut(y).fact.quant = Some(QuantParams::per_tensor(0.5));
    let error = graph.verify().unwrap_err();
    assert!(matches!(error, GraphError::StaleFact { .. }), "{error}");
    assert!(error.to_string().contains("of scale 5e-1, but the operator makes i8(1,6) of scale 5e-2"), "{error}");
}
