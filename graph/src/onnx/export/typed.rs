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

use crate::ir::{Fact, Graph, GraphError, Node, NodeId, Precision, ValueId};
use crate::ops::{Cast, Op, Unary, UnaryFunction};
use crate::tensor::DType;
use std::collections::BTreeMap;

/// The graph with one type of reals at each node.
pub(super) fn uniform(graph: &Graph) -> Result<Graph, GraphError> {
    let mut typing = Typing { graph: graph.clone(), casts: BTreeMap::new() };
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
    /// A value in another type, once made.
    casts: BTreeMap<(ValueId, DType), ValueId>,
}

impl Typing {
    fn inputs(&mut self, id: NodeId, dtype: DType) -> Result<(), GraphError> {
        for index in 0..self.graph.node(id).inputs.len() {
            let value = self.graph.node(id).inputs[index];
            let own = self.graph.fact(value).dtype;
            if own.is_float() && own != dtype {
                let cast = self.cast(value, dtype)?;
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
            if !own.is_float() || own == dtype {
                continue;
            }
            let name = format!("{}/{dtype}", self.graph.value(value).name);
            let made = self.graph.add_value(&name, Fact { dtype, ..self.graph.fact(value).clone() });
            self.graph.value_mut(made).producer = Some(id);
            self.graph.node_mut(id).outputs[index] = made;
            self.graph.value_mut(value).producer = None;
            let cast = format!("{}/cast", self.graph.value(value).name);
            self.graph.add_node_making(&cast, Cast { to: own }.into(), &[made], &[value])?;
            self.casts.insert((value, dtype), made);
        }
        Ok(())
    }

    fn cast(&mut self, value: ValueId, dtype: DType) -> Result<ValueId, GraphError> {
        if let Some(&cast) = self.casts.get(&(value, dtype)) {
            return Ok(cast);
        }
        let name = format!("{}/{dtype}", self.graph.value(value).name);
        let cast = match self.graph.constant(value).map(|constant| constant.cast(dtype)) {
            Some(tensor) => self.graph.add_constant(&name, tensor),
            None => {
                let node = self.graph.add_node(&name, Cast { to: dtype }.into(), &[value])?;
                self.graph.node(node).outputs[0]
            }
        };
        self.casts.insert((value, dtype), cast);
        Ok(cast)
    }
}
