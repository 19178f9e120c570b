//! From nodes to sites: every node becomes one or a few pieces of [`Work`], every value gets its place.
//!
//! A value may lie in two forms. Convolutions and pools want an *image* (NHWC, channels padded to 16 bytes);
//! matrix products over many dims and odd reshapes want it *dense* (row-major in logical order). Each operator
//! asks for the form it wants; where the value is there only in the other, a copy is inserted once, and is
//! shared by all who ask. A concatenation along channels is planned first, so that its parts are written where
//! they belong and nothing is copied.

mod blocks;
mod concat;
mod conv;
mod elementwise;
mod error;
mod forms;
mod gemm;
mod movement;
mod norm;
mod pad;
mod ports;
mod reduce;
mod spatial;
mod strided;

pub use error::LowerError;

use super::types::{Buffer, BufferId, BufferKind, ConstantForm, Operand, Work};
use crate::plan::join::Join;
use crate::port::Layouts;
use forms::{Form, Placed};
use limpid_graph::ir::{Graph, Node, NodeId, ValueId};
use limpid_graph::ops::{Activation, Cost, Op, Spec};
use limpid_graph::reference::specs_of;
use limpid_graph::tensor::Bindings;
use limpid_kernels::launch::Role;
use limpid_kernels::site::{Function, Site};
use ports::Foreign;
use std::collections::BTreeMap;

/// All work of a network, in order, before kernels are chosen.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// In order of execution.
    pub work: Vec<Work>,
    /// What operands point to, by [`BufferId`].
    pub buffers: Vec<Buffer>,
    /// Stretches of it that may be done at once; none before [`Lowered::joined`].
    pub joins: Vec<Join>,
}

/// Lowers `graph`, whose inputs and outputs lie as `layouts` says, for the extents in `bindings`. `takes` says of a site
/// that there are several ways around whether a kernel takes it.
pub fn lower(
    graph: &Graph,
    bindings: &Bindings,
    layouts: &Layouts,
    takes: &dyn Fn(&Site) -> bool,
) -> Result<Lowered, LowerError> {
    let mut lowering = Lowering::new(graph, bindings, layouts, takes)?;
    lowering.place_inputs()?;
    lowering.plan_concats()?;
    for id in graph.topological_order()? {
        lowering.node(id)?;
    }
    lowering.deliver_outputs()?;
    Ok(Lowered { work: lowering.work, buffers: lowering.buffers, joins: Vec::new() })
}

struct Lowering<'g> {
    graph: &'g Graph,
    layouts: &'g Layouts,
    takes: &'g dyn Fn(&Site) -> bool,
    specs: BTreeMap<ValueId, Spec>,
    buffers: Vec<Buffer>,
    work: Vec<Work>,
    /// Where values are, by form.
    forms: BTreeMap<(ValueId, Form), Placed>,
    /// Where images must be written, because a concatenation wants them there.
    reserved: BTreeMap<ValueId, Placed>,
    /// Values that are another value in another type or scale; made when somebody asks, in the form asked for.
    casts: BTreeMap<ValueId, ValueId>,
    /// Inputs in a layout that no kernel but a copy reads, as long as nobody has asked for them.
    foreign: BTreeMap<ValueId, Foreign>,
    /// The group whose work is being made.
    group: String,
    node: Option<NodeId>,
}

impl<'g> Lowering<'g> {
    fn new(
        graph: &'g Graph,
        bindings: &Bindings,
        layouts: &'g Layouts,
        takes: &'g dyn Fn(&Site) -> bool,
    ) -> Result<Self, LowerError> {
        let mut specs = BTreeMap::new();
        for (id, _) in graph.values() {
            for spec in specs_of(graph, &[id], bindings)? {
                if spec.is_empty() {
                    let (value, shape) = (graph.value(id).name.clone(), spec.shape.clone());
                    return Err(LowerError::Empty { value, shape });
                }
                specs.insert(id, spec);
            }
        }
        Ok(Self {
            graph,
            layouts,
            takes,
            specs,
            buffers: Vec::new(),
            work: Vec::new(),
            forms: BTreeMap::new(),
            reserved: BTreeMap::new(),
            casts: BTreeMap::new(),
            foreign: BTreeMap::new(),
            group: String::new(),
            node: None,
        })
    }

    fn node(&mut self, id: NodeId) -> Result<(), LowerError> {
        let node = self.graph.node(id);
        self.group.clone_from(&node.name);
        self.node = Some(id);
        match &node.op {
            Op::Conv(op) => self.conv(node, op),
            Op::ConvTranspose(op) => self.conv_transpose(node, op),
            Op::Gemm(op) => self.gemm(node, op),
            Op::MatMul(_) => self.mat_mul(node),
            Op::Pool(op) => self.pool(node, op),
            Op::GlobalPool(op) => self.global_pool(node, op),
            Op::Resize(op) => self.resize(node, op),
            Op::Picture(op) => self.picture(node, op),
            Op::Activation(op) => self.activation(node, op),
            Op::Binary(op) => self.binary(node, op),
            Op::Unary(op) => self.function(node, Function::Unary(op.function), Activation::Identity),
            Op::Compare(op) => self.function(node, Function::Compare(op.function), Activation::Identity),
            Op::Where(_) => self.function(node, Function::Where, Activation::Identity),
            Op::ScaleShift(op) => self.scale_shift(node, op),
            Op::BatchNorm(op) => self.batch_norm(node, op),
            Op::InstanceNormalization(op) => self.instance_normalization(node, op),
            Op::LayerNormalization(op) => self.layer_normalization(node, op),
            Op::Softmax(op) => self.softmax(node, op),
            Op::Reduce(op) => self.reduce(node, op),
            Op::ArgMax(op) => self.arg_max(node, op),
            Op::Concat(op) => self.concat(node, op),
            Op::Split(op) => self.split(node, op),
            Op::Slice(op) => self.slice(node, op),
            Op::Pad(op) => self.pad(node, op),
            Op::Transpose(op) => self.transpose(node, op),
            Op::Gather(op) => self.gather(node, op),
            Op::Expand(_) => self.expand(node),
            Op::Tile(op) => self.tile(node, op),
            Op::DepthToSpace(op) => self.depth_to_space(node, op),
            Op::SpaceToDepth(op) => self.space_to_depth(node, op),
            Op::Reshape(_) | Op::Flatten(_) | Op::Squeeze(_) | Op::Unsqueeze(_) => self.reshape(node),
            Op::Identity(_) => self.alias(node),
            Op::Cast(_) | Op::Quantize(_) | Op::Dequantize(_) => self.conversion(node),
            other => Err(self.unsupported(node, other.name(), "it has no CUDA kernel")),
        }
    }

    fn spec(&self, value: ValueId) -> &Spec {
        &self.specs[&value]
    }

    fn name(&self, value: ValueId) -> &'g str {
        &self.graph.value(value).name
    }

    fn new_buffer(&mut self, name: &str, bytes: u64, kind: BufferKind) -> BufferId {
        let id = BufferId(self.buffers.len() as u32);
        self.buffers.push(Buffer { name: name.to_owned(), bytes, kind });
        id
    }

    /// A constant in row-major order, uploaded once.
    fn constant_buffer(&mut self, value: ValueId) -> Operand {
        let spec = self.spec(value);
        let (dtype, bytes) = (spec.dtype, spec.bytes() as u64);
        let buffer =
            self.new_buffer(self.name(value), bytes, BufferKind::Constant(value, ConstantForm::Dense { dtype }));
        Operand { buffer, offset: 0 }
    }

    fn emit(&mut self, what: String, site: Site, operands: Vec<(Role, Operand)>, cost: Cost) {
        let (group, node) = (self.group.clone(), self.node);
        let (weights, bias, scales, parts) = (None, None, None, Vec::new());
        self.work.push(Work { group, node, what, site, operands, weights, bias, scales, cost, parts });
    }

    /// The least the node must compute and move.
    fn cost_of(&self, node: &Node) -> Cost {
        let specs = |values: &[ValueId]| values.iter().map(|&v| self.spec(v).clone()).collect::<Vec<_>>();
        node.op.as_operator().cost(&specs(&node.inputs), &specs(&node.outputs))
    }

    fn unsupported(&self, node: &Node, op: &str, reason: impl Into<String>) -> LowerError {
        LowerError::Unsupported { node: node.name.clone(), op: op.to_owned(), reason: reason.into() }
    }
}

/// An extent or stride as kernels take it.
fn narrow(extent: usize) -> Result<u32, LowerError> {
    u32::try_from(extent).map_err(|_| LowerError::TooLarge { extent })
}
