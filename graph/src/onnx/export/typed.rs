//! FP16 as ONNX has it: the reals that an operator reads and makes are of one type.
//!
//! limpid's kernels add an f32 bias to f32 sums of f16 factors and store either. ONNX's operators have one type for
//! all of that, and runtimes that take types as they stand ("strongly typed", the only way of TensorRT since its
//! version 11 and of TensorRT-RTX) multiply in it. So what a node multiplies in becomes the type of all its reals, and
//! a Cast stands wherever two nodes differ:
//!
//! ```text
//! x f32 -> Conv(fp16) w f16, b f32 -> y f32   =>   x -> Cast f16 -> Conv w f16, b f16 -> Cast f32 -> y
//! ```
//!
//! Of INT8 groups and of what meets integers the reals are f32, as their scales are.

use crate::ir::{Casts, Graph, GraphError, Node, NodeId, Precision};
use crate::ops::{Op, Unary, UnaryFunction};
use crate::tensor::DType;

/// The graph with one type of reals at each node.
pub(super) fn uniform(graph: &Graph) -> Result<Graph, GraphError> {
    let mut typing = Typing { graph: graph.clone(), casts: Casts::default() };
    for id in graph.topological_order()? {
        if let Some(dtype) = reals(graph, graph.node(id)) {
            typing.inputs(id, dtype)?;
            typing.outputs(id, dtype)?;
        }
    }
    typing.graph.drop_unused_values();
    Ok(typing.graph)
}

/// The type of a node's reals in ONNX; `None` if it may have several.
pub(super) fn reals(graph: &Graph, node: &Node) -> Option<DType> {
    let quantized = || node.inputs.iter().chain(&node.outputs).any(|&v| graph.fact(v).quant.is_some());
    match (&node.op, node.precision) {
        (Op::Cast(_), _) => None,
        (Op::ConstantOfShape(op), _) => Some(op.dtype),
        (Op::Range(op), _) => Some(op.dtype),
        (Op::Quantize(_) | Op::Dequantize(_), _) => Some(DType::F32),
        // <https://onnx.ai/onnx/operators/onnx__Celu.html> knows no other type.
        (Op::Unary(Unary { function: UnaryFunction::Celu { .. } }), _) => Some(DType::F32),
        (_, Precision::Fp16) if !quantized() => Some(DType::F16),
        _ => Some(DType::F32),
    }
}

struct Typing {
    graph: Graph,
    casts: Casts,
}

impl Typing {
    fn inputs(&mut self, id: NodeId, dtype: DType) -> Result<(), GraphError> {
        for index in 0..self.graph.node(id).inputs.len() {
            let value = self.graph.node(id).inputs[index];
            let own = self.graph.fact(value).dtype;
            if own.is_float() && own != dtype {
                let cast = self.casts.take(&mut self.graph, value, dtype)?;
                self.graph.node_mut(id).inputs[index] = cast;
            }
        }
        Ok(())
    }

    /// What the node makes gets the node's type; its readers find the type they expect behind a Cast.
    fn outputs(&mut self, id: NodeId, dtype: DType) -> Result<(), GraphError> {
        for index in 0..self.graph.node(id).outputs.len() {
            let value = self.graph.node(id).outputs[index];
            let own = self.graph.fact(value).dtype;
            if own.is_float() && own != dtype {
                self.casts.make(&mut self.graph, id, index, dtype)?;
            }
        }
        Ok(())
    }
}
