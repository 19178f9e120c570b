use super::{Fact, Graph, GraphError, NodeId, ValueId};
use crate::ops::Cast;
use crate::tensor::DType;
use std::collections::BTreeMap;

/// Values of a graph in other types than their own, each made once.
///
/// ```text
/// x f32 -> Relu -> y f32     =>     x f32 -> Cast -> Relu f16 -> Cast -> y f32
/// ```
#[derive(Clone, Debug, Default)]
pub struct Casts {
    made: BTreeMap<(ValueId, DType), ValueId>,
}

impl Casts {
    /// A value in another type: a constant is converted, anything else goes through a Cast.
    ///
    /// # Errors
    /// [`GraphError`] where nothing can cast it.
    pub fn take(&mut self, graph: &mut Graph, value: ValueId, dtype: DType) -> Result<ValueId, GraphError> {
        if let Some(&cast) = self.made.get(&(value, dtype)) {
            return Ok(cast);
        }
        let name = format!("{}/{dtype}", graph.value(value).name);
        let cast = match graph.constant(value).map(|constant| constant.cast(dtype)) {
            Some(tensor) => graph.add_constant(&name, tensor),
            None => {
                let node = graph.add_node(&name, Cast { to: dtype }.into(), &[value])?;
                graph.node(node).outputs[0]
            }
        };
        self.made.insert((value, dtype), cast);
        Ok(cast)
    }

    /// Lets a node make one of its outputs in another type; who reads the output finds it as it was, behind a Cast.
    ///
    /// # Errors
    /// [`GraphError`] where nothing can cast it.
    pub fn make(&mut self, graph: &mut Graph, id: NodeId, output: usize, dtype: DType) -> Result<(), GraphError> {
        let value = graph.node(id).outputs[output];
        let fact = graph.fact(value).clone();
        let (own, name) = (fact.dtype, graph.value(value).name.clone());
        let made = graph.add_value(&format!("{name}/{dtype}"), Fact { dtype, ..fact });
        graph.value_mut(made).producer = Some(id);
        graph.node_mut(id).outputs[output] = made;
        graph.value_mut(value).producer = None;
        graph.add_node_making(&format!("{name}/cast"), Cast { to: own }.into(), &[made], &[value])?;
        self.made.insert((value, dtype), made);
        Ok(())
    }
}
