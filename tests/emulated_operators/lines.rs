//! Reductions and normalizations.

use super::{check, constant, node, random_input};
use limpid::port::Layouts;
use limpid_graph::ops::{BatchNorm, Cast, InstanceNormalization, LayerNormalization, Reduce, ReduceFunction};
use limpid_graph::tensor::{DType, Tensor};
use limpid_kernels::target::{Arch, Target};

const ALL: [ReduceFunction; 9] = [
    ReduceFunction::Mean,
    ReduceFunction::Sum,
    ReduceFunction::Max,
    ReduceFunction::Min,
    ReduceFunction::Prod,
    ReduceFunction::L1,
    ReduceFunction::L2,
    ReduceFunction::SumSquare,
    ReduceFunction::LogSumExp,
];

#[test]
fn every_reduction() {
    for function in ALL {
        let over = |axes: &[usize], keep_dims| Reduce { function, axes: axes.to_vec(), keep_dims };
        check("channels", &[&[2, 5, 3, 4]], &|g, x| node(g, over(&[1], true), x));
        check("pixels", &[&[2, 5, 3, 4]], &|g, x| node(g, over(&[2, 3], true), x));
    }
}

#[test]
fn axes_wherever_they_lie() {
    let over = |axes: &[usize], keep_dims| Reduce { function: ReduceFunction::Max, axes: axes.to_vec(), keep_dims };
    check("apart", &[&[2, 5, 3, 4]], &|g, x| node(g, over(&[1, 3], false), x));
    check("apart, kept", &[&[2, 5, 3, 4]], &|g, x| node(g, over(&[0, 2], true), x));
    check("all", &[&[2, 5, 3]], &|g, x| node(g, over(&[0, 1, 2], false), x));
    check("of many dims", &[&[2, 2, 2, 2, 2, 2, 3]], &|g, x| node(g, over(&[3], false), x));
}

#[test]
fn normalizations() {
    for axis in [1, 3] {
        check("a layer", &[&[2, 5, 3, 4]], &|g, x| {
            let shape = &[5, 3, 4][axis - 1..];
            let (scale, bias) = (constant(g, random_input(shape)), constant(g, random_input(shape)));
            node(g, LayerNormalization { axis, epsilon: 1e-5 }, &[x[0], scale, bias])
        });
    }
    check("a layer without bias", &[&[3, 7, 8]], &|g, x| {
        let scale = constant(g, random_input(&[8]));
        node(g, LayerNormalization { axis: 2, epsilon: 1e-5 }, &[x[0], scale])
    });
    check("planes", &[&[2, 5, 3, 4]], &|g, x| {
        let (scale, bias) = (constant(g, random_input(&[5])), constant(g, random_input(&[5])));
        node(g, InstanceNormalization { epsilon: 1e-5 }, &[x[0], scale, bias])
    });
}

#[test]
fn a_batch_norm_that_no_rule_took() {
    check("its statistics constant", &[&[2, 5, 3, 4]], &|g, x| {
        let square = |values: Vec<f32>| values.into_iter().map(|v| 0.5 + v * v).collect::<Vec<f32>>();
        let variance = Tensor::new(&[5], square(random_input(&[5]).to_f32())).expect("five");
        let [scale, shift, mean] = [0, 1, 2].map(|_| constant(g, random_input(&[5])));
        let variance = constant(g, variance);
        node(g, BatchNorm { epsilon: 1e-3 }, &[x[0], scale, shift, mean, variance])
    });
}

#[test]
fn what_has_no_kernel_is_named() {
    let build: super::Build<'_> = &|g, x| {
        let whole = node(g, Cast { to: DType::I64 }, x);
        node(g, Reduce { function: ReduceFunction::Sum, axes: vec![1], keep_dims: false }, &[whole])
    };
    let graph = super::graph(&[&[2, 5]], false, build);
    let bindings = graph.bind(&[&[2, 5]]).expect("the shape fits");
    let error = limpid::plan::plan(&graph, &bindings, &Layouts::default(), &Target::typical(Arch(80)), None)
        .expect_err("it has no kernel");
    let text = error.to_string();
    assert!(text.starts_with("node `node1` (ReduceSum) cannot run on a GPU: "), "{text}");
    assert!(text.contains("is i64; kernels reduce f16 and f32"), "{text}");
}
