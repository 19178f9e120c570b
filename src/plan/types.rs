use crate::port::Layout;
use limpid_graph::ir::{NodeId, ValueId};
use limpid_graph::ops::Cost;
use limpid_graph::tensor::{Bindings, DType};
use limpid_kernels::launch::{CompileUnit, Launch, Refusal, Role, Tactic};
use limpid_kernels::site::{Scale, Site};
use limpid_kernels::target::Target;
use limpid_kernels::weights::Packing;
use serde::{Deserialize, Serialize};

/// Names a stretch of memory of one plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BufferId(pub u32);

/// What a buffer is for, which says where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BufferKind {
    /// In the arena, alive from its first writer to its last reader.
    Activation,
    /// The network's input of this index, as the caller gives it.
    Input(u32),
    /// The network's output of this index, as the caller gets it.
    Output(u32),
    /// A constant in the given form, uploaded once.
    Constant(ValueId, ConstantForm),
}

/// A stretch of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffer {
    /// Named after the value it first holds.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// What it is for.
    pub kind: BufferKind,
}

/// How a constant lies in device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConstantForm {
    /// As the chosen kernel packs its weights.
    Packed(Packing),
    /// f32, zero-padded to this many elements.
    Bias {
        /// Elements.
        len: u32,
    },
    /// Of quantized weights: their scales times the activation's, zero-padded to this many elements.
    Scales {
        /// Elements.
        len: u32,
        /// The activation's scale.
        input: Scale,
    },
    /// Row-major in this type.
    Dense {
        /// Element type.
        dtype: DType,
    },
}

/// A place inside a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Operand {
    /// Which buffer.
    pub buffer: BufferId,
    /// Bytes from its start.
    pub offset: u64,
}

/// One piece of work before a kernel is chosen for it.
#[derive(Clone, Debug)]
pub struct Work {
    /// The group's name: its leading ONNX node's.
    pub group: String,
    /// The node it belongs to; `None` for the network's own input and output conversion.
    pub node: Option<NodeId>,
    /// What it does, for people: `Conv+bias+Relu`, `layout f32 NCHW -> f16 NHWC`.
    pub what: String,
    /// The numbers.
    pub site: Site,
    /// Activations it reads and writes, and constants that are not packed.
    pub operands: Vec<(Role, Operand)>,
    /// The constant its kernel packs, (N,K) for a GEMM, and its shape.
    pub weights: Option<(ValueId, Vec<usize>)>,
    /// The constant added per output channel.
    pub bias: Option<ValueId>,
    /// Of an INT8 product: the activation's scale, which the scales of `weights` are multiplied by.
    pub scales: Option<Scale>,
    /// The least the group must compute and move.
    pub cost: Cost,
    /// The pieces it does at once, where it is a [`Join`](super::join::Join); else none.
    pub parts: Vec<Part>,
}

/// A piece of work that is done together with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// See [`Work::group`].
    pub group: String,
    /// See [`Work::node`].
    pub node: Option<NodeId>,
    /// See [`Work::what`].
    pub what: String,
}

/// Another way to do a step's work, alone or with that of the steps before it, which was not taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instead {
    /// What it does, group by group.
    pub parts: Vec<Part>,
    /// The best tactics for it: one for all parts, or one for each; none where no kernel takes it.
    pub tactics: Vec<Tactic>,
    /// By the cost model, µs.
    pub estimated_us: f64,
    /// On the GPU, µs; `None` where not all of it was measured.
    pub measured_us: Option<f64>,
    /// Who declined, where no kernel takes it.
    pub refusals: Vec<Refusal>,
}

/// Where an operand lies when the plan runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Location {
    /// Bytes from the start of the arena.
    Arena(u64),
    /// Bytes from the start of the constants.
    Constants(u64),
    /// The network's input of this index, and bytes from its start.
    Input(u32, u64),
    /// The network's output of this index, and bytes from its start.
    Output(u32, u64),
}

/// A role of a step and the memory behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bound {
    /// What the kernel uses it for.
    pub role: Role,
    /// Where it begins.
    pub location: Location,
    /// Bytes from there to the end of the buffer: the kernel may touch no others.
    pub bytes: u64,
}

/// A candidate and how long it takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// Its name.
    pub tactic: Tactic,
    /// By the cost model, µs.
    pub estimated_us: f64,
    /// On the GPU, median, µs; `None` where nothing was measured.
    pub measured_us: Option<f64>,
}

/// One group's work with its kernel chosen and its memory laid out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// See [`Work::group`].
    pub group: String,
    /// See [`Work::node`].
    pub node: Option<NodeId>,
    /// See [`Work::what`].
    pub what: String,
    /// The numbers.
    pub site: Site,
    /// The winner.
    pub tactic: Tactic,
    /// What is launched, in order.
    pub launches: Vec<Launch>,
    /// Where each role lies.
    pub operands: Vec<Bound>,
    /// The least the group must compute and move: (operations, bytes).
    pub flops: u64,
    /// Bytes that must move at least once.
    pub bytes: u64,
    /// Every candidate, the winner first.
    pub offers: Vec<Offer>,
    /// Every kernel that declined, with its reason.
    pub refusals: Vec<Refusal>,
    /// See [`Work::parts`].
    pub parts: Vec<Part>,
    /// Other ways, in pieces or together with steps before it, that were not taken.
    pub instead: Vec<Instead>,
}

impl Step {
    /// The groups whose work it does, with their nodes: its own, and those of its parts.
    pub fn groups(&self) -> impl Iterator<Item = (&str, Option<NodeId>)> {
        let parts = self.parts.iter().map(|part| (part.group.as_str(), part.node));
        std::iter::once((self.group.as_str(), self.node)).chain(parts)
    }
}

/// A constant's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConstantSlot {
    /// The graph's constant.
    pub value: ValueId,
    /// How it lies.
    pub form: ConstantForm,
    /// Bytes from the start of the constants.
    pub offset: u64,
    /// Its size there.
    pub size: u64,
}

/// An input or output of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The ONNX name.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// The order of its elements.
    pub layout: Layout,
    /// Extents as it lies in memory, padding lanes included; the logical ones in `chw`.
    pub shape: Vec<usize>,
}

impl Port {
    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }
}

/// Everything a device needs to run a network at given extents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The GPU it was made for.
    pub target: Target,
    /// The extents it was made for.
    pub bindings: Bindings,
    /// In order of execution.
    pub steps: Vec<Step>,
    /// Bytes of the arena.
    pub arena_bytes: u64,
    /// Bytes the activations would take without sharing.
    pub unshared_bytes: u64,
    /// Bytes of all constants.
    pub constant_bytes: u64,
    /// Where each constant goes.
    pub constants: Vec<ConstantSlot>,
    /// The network's inputs.
    pub inputs: Vec<Port>,
    /// The network's outputs.
    pub outputs: Vec<Port>,
}

impl Plan {
    /// What its kernels are compiled from, launch by launch.
    pub fn units(&self) -> impl Iterator<Item = &CompileUnit> {
        self.steps.iter().flat_map(|step| &step.launches).map(|launch| &launch.unit)
    }
}
