use super::EvalError;
use crate::ir::{Graph, Node, NodeId, ValueId};
use crate::ops::{Eval, OpError, Spec};
use crate::tensor::{Bindings, DType, Tensor};
use std::collections::BTreeMap;

/// Runs one graph, again and again.
#[derive(Clone, Debug)]
pub struct Interpreter<'g> {
    graph: &'g Graph,
    order: Vec<NodeId>,
    /// Position in `order` of the last reader of each value, so that memory is freed early.
    last_use: BTreeMap<ValueId, usize>,
}

impl<'g> Interpreter<'g> {
    /// Checks the graph and settles the order of its nodes.
    pub fn new(graph: &'g Graph) -> Result<Self, EvalError> {
        let order = graph.topological_order()?;
        let mut last_use = BTreeMap::new();
        for (position, &id) in order.iter().enumerate() {
            for &value in graph.node(id).inputs.iter().chain(&graph.node(id).outputs) {
                last_use.insert(value, position);
            }
        }
        for &output in &graph.outputs {
            last_use.insert(output, usize::MAX);
        }
        Ok(Self { graph, order, last_use })
    }

    /// Runs the network: inputs and outputs in the model's order.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
        self.run_observed(inputs, &mut |_, _| {})
    }

    /// Runs the network and shows every value to `observe` as it is made, the inputs first.
    pub fn run_observed(
        &self,
        inputs: &[Tensor],
        observe: &mut dyn FnMut(ValueId, &Tensor),
    ) -> Result<Vec<Tensor>, EvalError> {
        let bindings = self.check_inputs(inputs)?;
        let mut values: BTreeMap<ValueId, Tensor> = BTreeMap::new();
        for (&id, tensor) in self.graph.inputs.iter().zip(inputs) {
            observe(id, tensor);
            values.insert(id, tensor.clone());
        }
        for (position, &id) in self.order.iter().enumerate() {
            let node = self.graph.node(id);
            let operands: Vec<Tensor> = node.inputs.iter().map(|&v| self.operand(&values, v)).collect();
            let results = run_node(self.graph, node, &operands, &bindings)?;
            for (&output, tensor) in node.outputs.iter().zip(results) {
                observe(output, &tensor);
                values.insert(output, tensor);
            }
            for value in node.inputs.iter().chain(&node.outputs) {
                if self.last_use.get(value) == Some(&position) {
                    values.remove(value);
                }
            }
        }
        Ok(self.graph.outputs.iter().map(|&v| self.operand(&values, v)).collect())
    }

    /// Nodes come after those they read from and constants hold their tensor, so a value is always there.
    fn operand(&self, values: &BTreeMap<ValueId, Tensor>, id: ValueId) -> Tensor {
        let made = values.get(&id).or_else(|| self.graph.constant(id)).cloned();
        made.unwrap_or_else(|| Tensor::zeros(self.graph.fact(id).dtype, &[0]))
    }

    fn check_inputs(&self, inputs: &[Tensor]) -> Result<Bindings, EvalError> {
        let graph = self.graph;
        if inputs.len() != graph.inputs.len() {
            let names: Vec<&str> = graph.inputs.iter().map(|&v| graph.value(v).name.as_str()).collect();
            let (expected, got) = (graph.inputs.len(), inputs.len());
            return Err(EvalError::InputCount { expected, names: names.join(", "), got });
        }
        let mismatch = |index: usize| {
            let value = graph.value(graph.inputs[index]);
            let got = format!("{}{:?}", inputs[index].dtype(), inputs[index].shape());
            EvalError::Input { name: value.name.clone(), expected: value.fact.to_string(), got }
        };
        for (index, (&id, tensor)) in graph.inputs.iter().zip(inputs).enumerate() {
            if graph.fact(id).dtype != tensor.dtype() {
                return Err(mismatch(index));
            }
        }
        let shapes: Vec<&[usize]> = inputs.iter().map(Tensor::shape).collect();
        graph.bind(&shapes).map_err(|(index, _)| mismatch(index))
    }
}

/// What the given values are once symbols are bound.
pub fn specs_of(graph: &Graph, values: &[ValueId], bindings: &Bindings) -> Result<Vec<Spec>, EvalError> {
    let spec = |&id: &ValueId| {
        let value = graph.value(id);
        let shape = value
            .fact
            .shape
            .eval(bindings)
            .map_err(|symbol| EvalError::Unbound { value: value.name.clone(), symbol: symbol.name().to_owned() })?;
        Ok(Spec { dtype: value.fact.dtype, shape, quant: value.fact.quant.clone() })
    };
    values.iter().map(spec).collect()
}

/// Runs one node on these operands. FP16 operands are widened, results rounded once to the type of their fact.
pub fn run_node(
    graph: &Graph,
    node: &Node,
    operands: &[Tensor],
    bindings: &Bindings,
) -> Result<Vec<Tensor>, EvalError> {
    let specs = specs_of(graph, &node.inputs, bindings)?;
    let outputs = specs_of(graph, &node.outputs, bindings)?;
    let widen = |t: &Tensor| if t.dtype() == DType::F16 { t.cast(DType::F32) } else { t.clone() };
    let inputs: Vec<Tensor> = operands.iter().map(widen).collect();
    let fail = |source| EvalError::Op { node: node.name.clone(), op: node.op.name(), source };
    let eval = Eval { inputs: &inputs, specs: &specs, outputs: &outputs };
    let results = node.op.as_operator().reference(&eval).map_err(fail)?;
    results
        .into_iter()
        .zip(&outputs)
        .map(|(tensor, spec)| {
            if tensor.shape() != spec.shape {
                let text = format!("made shape {:?} where {:?} was inferred", tensor.shape(), spec.shape);
                return Err(fail(OpError::Tensor(text)));
            }
            let rounds = tensor.dtype().is_float() && spec.dtype.is_float();
            let tensor = if rounds { tensor.cast(spec.dtype) } else { tensor };
            if tensor.dtype() != spec.dtype {
                let text = format!("made {} where the graph stores {}", tensor.dtype(), spec.dtype);
                return Err(fail(OpError::Tensor(text)));
            }
            Ok(tensor)
        })
        .collect()
}
