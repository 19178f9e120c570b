//! FP16: values and weights are stored and multiplied in half precision, sums are kept in FP32.
//!
//! Half precision ends at 65504. A group stays FP32 if its weights, what it reads or what it makes go beyond
//! that, and the ledger says so. Biases stay FP32: they are added to FP32 sums. The network's own inputs and
//! outputs keep their types; a convolution or product that makes an output stores it in FP32 unrounded.
//!
//! ```text
//! x f32 -> Conv -> Relu -> y f32     =>     x f32 -> Cast f16 -> Conv(fp16) -> Relu(fp16) -> y f32
//! ```

use crate::activations::{Ranges, largest_magnitude};
use limpid_graph::ir::{Casts, Graph, GraphError, Node, NodeId, Precision, ValueId};
use limpid_graph::ops::Op;
use limpid_graph::rewrite::Ledger;
use limpid_graph::tensor::DType;
use std::collections::BTreeSet;

/// The largest finite number of half precision.
pub const LARGEST: f32 = 65504.0;

/// The name under which the ledger books this.
pub const RULE: &str = "fp16";

/// Converts every group that may be and that `wanted` is true for; returns how many stay FP32 because something would
/// overflow.
///
/// `ranges` are the activations' magnitudes on sample data; without them only weights are checked. INT8 groups stay
/// INT8; what they make as reals is stored in FP16, rounded once, unless it is an output of the network. An input that is
/// only given another shape before it is quantized is quantized unrounded.
pub fn convert(
    graph: &mut Graph,
    ledger: &mut Ledger,
    ranges: Option<&Ranges>,
    wanted: &dyn Fn(&Node) -> bool,
) -> Result<usize, GraphError> {
    let mut kept = 0;
    let mut halves = BTreeSet::new();
    for id in graph.topological_order()? {
        let node = graph.node(id);
        if !computes_reals(graph, node) || is_quantized_as_it_came(graph, node) || !wanted(node) {
            continue;
        }
        match overflow(graph, node, ranges) {
            Some(reason) => {
                ledger.refuse(RULE, &node.name, &format!("stays FP32: {reason}"));
                kept += 1;
            }
            None => {
                halves.insert(id);
            }
        }
    }
    Conversion { graph, halves, casts: Casts::default() }.run()?;
    Ok(kept)
}

fn is_real(graph: &Graph, value: ValueId) -> bool {
    graph.fact(value).dtype.is_float()
}

fn computes_reals(graph: &Graph, node: &Node) -> bool {
    node.outputs.iter().any(|&v| is_real(graph, v)) || node.inputs.iter().any(|&v| is_real(graph, v))
}

/// True if a node only gives an input of the network another shape, for nobody but those who quantize it: they are to
/// quantize what came, not what FP16 rounded it to before.
fn is_quantized_as_it_came(graph: &Graph, node: &Node) -> bool {
    let shapes = matches!(node.op, Op::Flatten(_) | Op::Reshape(_) | Op::Squeeze(_) | Op::Unsqueeze(_));
    let quantized = |&value: &ValueId| {
        let mut readers = graph.readers(value).peekable();
        let is_read = readers.peek().is_some() && !graph.outputs.contains(&value);
        is_read && readers.all(|(_, reader)| matches!(reader.op, Op::Quantize(_)))
    };
    shapes && node.inputs.first().is_some_and(|x| graph.inputs.contains(x)) && node.outputs.iter().all(quantized)
}

/// Why a node cannot be FP16, if so.
fn overflow(graph: &Graph, node: &Node, ranges: Option<&Ranges>) -> Option<String> {
    for &input in &node.inputs {
        if let Some(constant) = graph.constant(input).filter(|c| c.dtype().is_float()) {
            let largest = largest_magnitude(&constant.to_f32());
            if largest > LARGEST {
                let name = &graph.value(input).name;
                return Some(format!("`{name}` holds {largest:e}, beyond FP16's {LARGEST}"));
            }
        }
    }
    let ranges = ranges?;
    for &value in node.inputs.iter().chain(&node.outputs) {
        if let Some(largest) = ranges.largest(value).filter(|l| *l > LARGEST) {
            let name = &graph.value(value).name;
            return Some(format!("`{name}` reaches {largest:e} on sample data, beyond FP16's {LARGEST}"));
        }
    }
    None
}

struct Conversion<'g> {
    graph: &'g mut Graph,
    /// Nodes that compute in FP16.
    halves: BTreeSet<NodeId>,
    casts: Casts,
}

impl Conversion<'_> {
    fn run(mut self) -> Result<(), GraphError> {
        for id in self.graph.topological_order()? {
            if !computes_reals(self.graph, self.graph.node(id)) {
                continue;
            }
            let half = self.halves.contains(&id);
            let node = self.graph.node_mut(id);
            // Integers are made of reals of any type, and INT8 groups add residuals of any type.
            let takes_any_type = node.precision == Precision::Int8 || matches!(node.op, Op::Quantize(_));
            if half && !takes_any_type {
                node.precision = Precision::Fp16;
            }
            if !takes_any_type {
                self.inputs(id, if half { DType::F16 } else { DType::F32 })?;
            }
            if half {
                self.outputs(id)?;
            }
        }
        self.graph.drop_unused_values();
        self.graph.verify()
    }

    /// Lets a node read its reals in `dtype`: constants converted in place of casts, parameters of epilogues kept.
    fn inputs(&mut self, id: NodeId, dtype: DType) -> Result<(), GraphError> {
        let node = self.graph.node(id);
        let readable: Vec<(usize, ValueId)> = node
            .inputs
            .iter()
            .copied()
            .enumerate()
            .filter(|&(index, value)| {
                let constant = self.graph.constant(value).is_some();
                is_real(self.graph, value) && !(constant && stays_single(&node.op, index))
            })
            .collect();
        for (index, value) in readable {
            if self.graph.fact(value).dtype != dtype {
                let cast = self.casts.take(self.graph, value, dtype)?;
                self.graph.node_mut(id).inputs[index] = cast;
            }
        }
        Ok(())
    }

    /// Lets a node store what it makes in FP16; an output of the network keeps its type.
    fn outputs(&mut self, id: NodeId) -> Result<(), GraphError> {
        let node = self.graph.node(id);
        let writes_any_type = node.precision == Precision::Int8
            || matches!(node.op, Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm(_) | Op::Dequantize(_));
        for (index, value) in node.outputs.clone().into_iter().enumerate() {
            if !is_real(self.graph, value) {
                continue;
            }
            if !self.graph.outputs.contains(&value) {
                self.graph.value_mut(value).fact.dtype = DType::F16;
            } else if !writes_any_type {
                self.casts.make(self.graph, id, index, DType::F16)?;
            }
        }
        Ok(())
    }
}

/// Constants that kernels read in FP32 whatever they multiply in: everything but the factors of products.
fn stays_single(op: &Op, index: usize) -> bool {
    match op {
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm(_) => index != 1,
        Op::MatMul(_) => false,
        _ => true,
    }
}
