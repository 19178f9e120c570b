//! The network's inputs and outputs in the types a caller asks for.
//!
//! ```text
//! x f32 -> Cast f16 -> Conv          =>   x f16 -> Conv
//! x f32 -> Quantize[s] -> Conv       =>   x i8 -> Conv                    x's scale is s
//! x f32 -> Conv -> y f32             =>   x u8 -> Cast f32 -> Conv -> y f32
//! Conv(int8) -> y f32                =>   Conv(int8) -> y i8              y's scale from calibration
//! ```
//!
//! This is the last rewrite: precisions are chosen on the network as the model has it. What a conversion at the border
//! would undo goes away together with it.

use crate::port::{FormatRequest, Layout, LayoutError, Layouts, type_name};
use limpid_graph::ir::{Fact, Graph, GraphError, Node, NodeId, Precision, ValueId};
use limpid_graph::ops::{Cast, Dequantize, Op, Quantize};
use limpid_graph::tensor::{DType, QuantParams};

/// What is asked of all ports; see [`super::Builder::input_formats`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Formats {
    pub inputs: Vec<FormatRequest>,
    pub outputs: Vec<FormatRequest>,
}

/// Why a port cannot have the format that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Neither one format for all ports nor one for each.
    #[error("{given} formats for {ports} {side}(s); give one for each, or one for all")]
    Count {
        /// `input` or `output`.
        side: &'static str,
        /// Formats given.
        given: usize,
        /// Ports there are.
        ports: usize,
    },
    /// A type that the tensor's own does not become.
    #[error("`{port}` is {own}: it cannot be {asked}")]
    Type {
        /// The port.
        port: String,
        /// The tensor's type.
        own: &'static str,
        /// The type asked for.
        asked: &'static str,
    },
    /// A layout that does not fit the tensor.
    #[error("`{port}`: {source}")]
    Layout {
        /// The port.
        port: String,
        /// Why.
        source: LayoutError,
    },
    /// Padding of an unknown number of channels.
    #[error("`{port}` in {layout} needs a known number of channels, but it is {fact}")]
    OpenChannels {
        /// The port.
        port: String,
        /// The layout asked for.
        layout: Layout,
        /// The tensor.
        fact: String,
    },
    /// Integers of a tensor that nobody knows the range of.
    #[error("`{0}` as int8 needs a scale, and the network has none for it")]
    NoScale(String),
    /// The rewrite left a graph that does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Brings the inputs and outputs into the types of `formats`, and returns their layouts. `scale_of` knows scales that
/// no node of the graph shows.
pub(super) fn apply(
    graph: &mut Graph,
    formats: &Formats,
    scale_of: &dyn Fn(&str) -> Option<f32>,
) -> Result<Layouts, FormatError> {
    let mut ports = Ports { graph, scale_of };
    let (inputs, outputs) = (ports.graph.inputs.len(), ports.graph.outputs.len());
    let layouts = Layouts {
        inputs: ports.each("input", &formats.inputs, inputs, |graph| &graph.inputs, Ports::input)?,
        outputs: ports.each("output", &formats.outputs, outputs, |graph| &graph.outputs, Ports::output)?,
    };
    graph.drop_unused_values();
    graph.verify()?;
    Ok(layouts)
}

struct Ports<'g> {
    graph: &'g mut Graph,
    scale_of: &'g dyn Fn(&str) -> Option<f32>,
}

impl Ports<'_> {
    /// Brings one side's ports into what is asked for: one format for each, or one for all that are reals.
    fn each(
        &mut self,
        side: &'static str,
        requests: &[FormatRequest],
        ports: usize,
        list: impl Fn(&Graph) -> &Vec<ValueId>,
        convert: impl Fn(&mut Self, usize, &FormatRequest) -> Result<(), FormatError>,
    ) -> Result<Vec<Layout>, FormatError> {
        if ![0, 1, ports].contains(&requests.len()) {
            return Err(FormatError::Count { side, given: requests.len(), ports });
        }
        let shared = requests.len() < ports;
        let mut layouts = Vec::new();
        for index in 0..if requests.is_empty() { 0 } else { ports } {
            let request = if shared { &requests[0] } else { &requests[index] };
            let value = list(self.graph)[index];
            // What counts or points to something keeps its type under a format for all.
            if shared && !self.graph.fact(value).dtype.is_float() {
                layouts.push(Layout::Chw);
                continue;
            }
            layouts.push(self.layout(value, request)?);
            convert(self, index, request)?;
        }
        Ok(layouts)
    }

    fn layout(&self, value: ValueId, request: &FormatRequest) -> Result<Layout, FormatError> {
        let (port, fact) = (self.graph.value(value).name.clone(), self.graph.fact(value));
        let channels = fact.shape.get(1).and_then(|dim| dim.as_usize());
        let layout = request.layout(channels);
        if layout != Layout::Chw && fact.rank() != 4 {
            // Symbols have no extent; their places do.
            let shape = fact.shape.iter().map(|dim| dim.as_usize().unwrap_or(0)).collect();
            return Err(FormatError::Layout { port, source: LayoutError::NotAPicture { layout, shape } });
        }
        match (layout, channels) {
            (Layout::Chw | Layout::Hwc, _) | (_, Some(_)) => Ok(layout),
            (_, None) => Err(FormatError::OpenChannels { port, layout, fact: fact.to_string() }),
        }
    }

    /// Puts a conversion behind an input, and takes out what would undo it.
    fn input(&mut self, index: usize, request: &FormatRequest) -> Result<(), FormatError> {
        let inner = self.graph.inputs[index];
        let (name, fact) = (self.graph.value(inner).name.clone(), self.graph.fact(inner).clone());
        if fact.dtype == request.dtype {
            return Ok(());
        }
        let to = fact.dtype;
        let (outer, op): (Fact, Op) = match request.dtype {
            DType::I8 if to.is_float() => {
                let params = QuantParams::per_tensor(self.scale(request, &name, self.quantized_by_reader(inner))?);
                let fact = Fact { dtype: DType::I8, quant: Some(params.clone()), ..fact };
                (fact, Dequantize { params, to }.into())
            }
            dtype @ (DType::F32 | DType::F16 | DType::U8) if to.is_float() => {
                (Fact { dtype, ..fact }, Cast { to }.into())
            }
            asked => return Err(mismatch(name, to, asked)),
        };
        self.graph.value_mut(inner).name = format!("{name}/{to}");
        let port = self.graph.add_value(&name, outer);
        self.graph.inputs[index] = port;
        let conversion = self.graph.add_node_making(&format!("{name}/port"), op, &[port], &[inner])?;
        let readers: Vec<NodeId> = self.graph.readers(inner).map(|(id, _)| id).collect();
        for reader in readers {
            self.read_port(reader, inner, port);
        }
        if self.graph.readers(inner).next().is_none() && !self.graph.outputs.contains(&inner) {
            self.graph.remove_node(conversion);
        }
        Ok(())
    }

    /// Lets a conversion of `inner` read `port` itself where that gives the same bits, or takes it out where `port` is
    /// what it makes.
    fn read_port(&mut self, reader: NodeId, inner: ValueId, port: ValueId) {
        let (outer, node) = (self.graph.fact(port), self.graph.node(reader));
        let wider = self.graph.fact(inner).dtype;
        // Every half and every byte is a single; every byte is a half.
        let exact = outer.quant.is_none() && (outer.dtype == DType::U8 || wider == DType::F32);
        let (made, asked) = (node.outputs[0], self.graph.outputs.contains(&node.outputs[0]));
        let same = match &node.op {
            Op::Cast(cast) => exact && cast.to == outer.dtype,
            Op::Quantize(op) => Some(&op.params) == outer.quant.as_ref(),
            _ => return,
        };
        if same && !asked {
            self.graph.remove_node(reader);
            self.graph.redirect(made, port);
        } else if exact && (matches!(node.op, Op::Cast(_)) || outer.dtype.is_float()) {
            self.graph.node_mut(reader).inputs[0] = port;
        }
    }

    /// Puts a conversion before an output, lets the node before it store the type asked for, or takes out a conversion
    /// that is there.
    fn output(&mut self, index: usize, request: &FormatRequest) -> Result<(), FormatError> {
        let inner = self.graph.outputs[index];
        let (name, fact) = (self.graph.value(inner).name.clone(), self.graph.fact(inner).clone());
        if fact.dtype == request.dtype {
            return Ok(());
        }
        let outer = match request.dtype {
            DType::I8 if fact.dtype.is_float() => {
                let scale = self.scale(request, &name, self.dequantized_by_producer(inner))?;
                Fact { dtype: DType::I8, quant: Some(QuantParams::per_tensor(scale)), ..fact.clone() }
            }
            dtype @ (DType::F32 | DType::F16 | DType::U8) if fact.dtype.is_float() => Fact { dtype, ..fact.clone() },
            asked => return Err(mismatch(name, fact.dtype, asked)),
        };
        let alone = self.graph.readers(inner).next().is_none()
            && self.graph.outputs.iter().filter(|&&output| output == inner).count() == 1;
        let port = match self.graph.producer(inner) {
            Some((_, node)) if self.undoes(node, &outer) => node.inputs[0],
            Some((_, node)) if alone && stores(node, &outer) => {
                self.graph.value_mut(inner).fact = outer;
                return Ok(());
            }
            _ => {
                let op: Op = match &outer.quant {
                    Some(params) => Quantize { params: params.clone() }.into(),
                    None => Cast { to: outer.dtype }.into(),
                };
                let node = self.graph.add_node(&format!("{name}/port"), op, &[inner])?;
                self.graph.node(node).outputs[0]
            }
        };
        self.graph.value_mut(inner).name = format!("{name}/{}", fact.dtype);
        self.graph.value_mut(port).name = name;
        self.graph.outputs[index] = port;
        if alone
            && self.graph.readers(inner).next().is_none()
            && let Some((conversion, _)) = self.graph.producer(inner)
        {
            self.graph.remove_node(conversion);
        }
        Ok(())
    }

    /// True if a node makes an output of what is to be the output itself.
    fn undoes(&self, node: &Node, outer: &Fact) -> bool {
        let source = node.inputs[0];
        let same = self.graph.fact(source).dtype == outer.dtype && self.graph.fact(source).quant == outer.quant;
        // A value has one name, and this one is to have the output's.
        let nameless = self.graph.value(source).producer.is_some() && !self.graph.outputs.contains(&source);
        matches!(node.op, Op::Cast(_) | Op::Dequantize(_)) && same && nameless
    }

    fn scale(&self, request: &FormatRequest, name: &str, of_graph: Option<f32>) -> Result<f32, FormatError> {
        let scale = request.scale.or(of_graph).or_else(|| (self.scale_of)(name));
        scale.ok_or_else(|| FormatError::NoScale(name.to_owned()))
    }

    fn quantized_by_reader(&self, value: ValueId) -> Option<f32> {
        self.graph.readers(value).find_map(|(_, node)| match &node.op {
            Op::Quantize(op) => op.params.exact_scale(),
            _ => None,
        })
    }

    fn dequantized_by_producer(&self, value: ValueId) -> Option<f32> {
        match &self.graph.producer(value)?.1.op {
            Op::Dequantize(op) => op.params.exact_scale(),
            _ => None,
        }
    }
}

fn mismatch(port: String, own: DType, asked: DType) -> FormatError {
    FormatError::Type { port, own: type_name(own), asked: type_name(asked) }
}

/// True if a node's kernels store what they make in this type themselves, rounded as a conversion behind it would.
fn stores(node: &Node, outer: &Fact) -> bool {
    let product = matches!(node.op, Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm(_));
    match outer.dtype {
        DType::F16 => product && matches!(node.precision, Precision::Int8 | Precision::Fp16),
        DType::I8 => product && node.precision == Precision::Int8,
        _ => false,
    }
}
