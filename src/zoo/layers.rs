use super::conv::Conv;
use super::error::ZooError;
use super::moments::{CENTRING, Moments, Taps};
use super::random::Stream;
use limpid_graph::ir::Fact;
use limpid_graph::onnx::{ModelWriter, NodeWriter};
use limpid_graph::tensor::{DType, Dim, Element, Shape, Symbol, Tensor};

/// Version of the operator set that the files are written in.
const OPSET: i64 = 17;

/// What PyTorch adds to a variance before the root.
const EPSILON: f64 = 1e-5;

/// A value of the network being built.
#[derive(Clone, Debug)]
pub struct Value {
    name: String,
    /// Extents without the batch: channels, height, width; or features.
    shape: Vec<usize>,
    /// Of each channel; nothing is known after a Flatten, and nothing there asks.
    moments: Moments,
}

impl Value {
    /// Channels, or features after a Flatten.
    pub fn channels(&self) -> usize {
        self.shape[0]
    }

    /// Height, which is also the width.
    pub fn size(&self) -> usize {
        self.shape.get(1).copied().unwrap_or(1)
    }
}

/// A network under construction: each method adds a layer as PyTorch's exporter writes it, nothing fused.
///
/// Layers are named by their path among PyTorch's modules: `layer1.0.conv1` has the weights
/// `layer1.0.conv1.weight` and is the node `/layer1/0/conv1/Conv`.
#[derive(Debug)]
pub struct Layers {
    model: ModelWriter,
    /// The nodes with the names of their outputs, which are added last: the network's output is named at the end.
    nodes: Vec<(NodeWriter, String)>,
    /// Whether the file leaves height and width open; sizes are then those of the usual pictures.
    any_size: bool,
    seed: u64,
    parameters: usize,
}

impl Layers {
    /// Starts a network of one input, (N, channels, size, size), or (N, channels, H, W) for `any_size`.
    pub(super) fn new(name: &str, channels: usize, size: usize, any_size: bool, seed: u64) -> (Self, Value) {
        let mut model = ModelWriter::new(name, OPSET);
        let shape = vec![channels, size, size];
        model.add_input("input", &batched(&shape, any_size));
        let value = Value { name: "input".to_owned(), shape, moments: Moments::standard(channels) };
        (Self { model, nodes: Vec::new(), any_size, seed, parameters: 0 }, value)
    }

    /// Ends the network: `value` becomes its output. Returns the model and the number of trained parameters.
    pub(super) fn finish(mut self, value: &Value) -> (ModelWriter, usize) {
        for (node, output) in self.nodes {
            let name = if output == value.name { "logits".to_owned() } else { output };
            self.model.add_node(node.outputs([name]));
        }
        self.model.add_output("logits", &batched(&value.shape, self.any_size));
        (self.model, self.parameters)
    }

    /// Convolution.
    pub fn conv(&mut self, path: &str, x: &Value, conv: Conv) -> Result<Value, ZooError> {
        Ok(self.convolve(path, x, conv)?.0)
    }

    /// Convolution, and the mean square to expect of each of its channels.
    fn convolve(&mut self, path: &str, x: &Value, conv: Conv) -> Result<(Value, Vec<f64>), ZooError> {
        let inputs = x.channels() / conv.groups;
        let fan_in = inputs * conv.kernel * conv.kernel;
        let shape = [conv.out, inputs, conv.kernel, conv.kernel];
        let weights = self.he_normal(path, conv.out * fan_in, fan_in);
        let coverage = conv.coverage(x.size());
        let taps = Taps { weights: &weights, inputs, groups: conv.groups, coverage: &coverage };
        let (moments, power) = (x.moments.conv(&taps), x.moments.power_after_conv(&taps));
        let mut reads = vec![x.name.clone(), self.trained(path, "weight", &shape, weights)?];
        if conv.bias {
            reads.push(self.small_bias(path, conv.out, fan_in)?);
        }
        let node = NodeWriter::new("Conv", &node_name(path, "Conv"))
            .inputs(reads)
            .attribute("dilations", ints(&[conv.dilation; 2]))
            .attribute("group", ints(&[conv.groups])[0])
            .attribute("kernel_shape", ints(&[conv.kernel; 2]))
            .attribute("pads", ints(&[conv.padding(); 4]))
            .attribute("strides", ints(&[conv.stride; 2]));
        let size = conv.out_size(x.size());
        Ok((self.push(node, path, "Conv", vec![conv.out, size, size], moments), power))
    }

    /// Transposed 2×2 convolution with stride 2 and bias, which doubles the size.
    pub fn up_conv(&mut self, path: &str, x: &Value, out: usize) -> Result<Value, ZooError> {
        // Stride and kernel are equal, so each output pixel sees one tap of every channel.
        let weights = self.he_normal(path, x.channels() * out * 4, x.channels());
        // Turned to (out, in, tap), it is a convolution whose taps each serve a quarter of the positions.
        let turned: Vec<f32> = (0..out)
            .flat_map(|o| (0..x.channels()).flat_map(move |c| (0..4).map(move |tap| (c * out + o) * 4 + tap)))
            .map(|index| weights[index])
            .collect();
        let taps = Taps { weights: &turned, inputs: x.channels(), groups: 1, coverage: &[0.25; 4] };
        let moments = x.moments.conv(&taps);
        let reads = [
            x.name.clone(),
            self.trained(path, "weight", &[x.channels(), out, 2, 2], weights)?,
            self.small_bias(path, out, x.channels())?,
        ];
        let node = NodeWriter::new("ConvTranspose", &node_name(path, "ConvTranspose"))
            .inputs(reads)
            .attribute("dilations", vec![1, 1])
            .attribute("group", 1)
            .attribute("kernel_shape", vec![2, 2])
            .attribute("pads", vec![0; 4])
            .attribute("strides", vec![2, 2]);
        Ok(self.push(node, path, "ConvTranspose", vec![out, 2 * x.size(), 2 * x.size()], moments))
    }

    /// Batch normalization of values with this power, as training might leave it: γ in (0.7, 1.3), β within a few
    /// tenths of 0, a running mean near 0 for the scale, a running variance up to a quarter off.
    fn batch_norm(&mut self, path: &str, x: &Value, power: &[f64]) -> Result<Value, ZooError> {
        let channels = x.channels();
        let gamma = self.stream(path, "weight").uniforms(channels, 0.7, 1.3);
        let beta = self.stream(path, "bias").normals(channels, 0.0, 0.1);
        let (noise, factor) = (self.stream(path, "running_mean"), self.stream(path, "running_var"));
        let centre = |(i, (m, p)): (u64, (f64, &f64))| (CENTRING * m + 0.1 * p.sqrt() * noise.normal(i)) as f32;
        let mean: Vec<f32> = (0..).zip(x.moments.means().into_iter().zip(power)).map(centre).collect();
        let spread = |(i, p): (u64, &f64)| (p * (0.8 + 0.45 * factor.uniform(i))) as f32;
        let variance: Vec<f32> = (0..).zip(power).map(spread).collect();
        let scaling = |(&g, &v): (&f32, &f32)| f64::from(g) / (f64::from(v) + EPSILON).sqrt();
        let scale: Vec<f64> = gamma.iter().zip(&variance).map(scaling).collect();
        let shifting = |((&b, &m), s): ((&f32, &f32), &f64)| f64::from(b) - f64::from(m) * s;
        let shift: Vec<f64> = beta.iter().zip(&mean).zip(&scale).map(shifting).collect();
        let moments = x.moments.affine(&scale, &shift);
        let reads = [
            x.name.clone(),
            self.trained(path, "weight", &[channels], gamma)?,
            self.trained(path, "bias", &[channels], beta)?,
            self.constant(path, "running_mean", &[channels], mean)?,
            self.constant(path, "running_var", &[channels], variance)?,
        ];
        let node = NodeWriter::new("BatchNormalization", &node_name(path, "BatchNormalization"))
            .inputs(reads)
            .attribute("epsilon", EPSILON as f32)
            .attribute("momentum", 0.9f32)
            .attribute("training_mode", 0);
        Ok(self.push(node, path, "BatchNormalization", x.shape.clone(), moments))
    }

    /// max(x, 0).
    pub fn relu(&mut self, path: &str, x: &Value) -> Value {
        let node = NodeWriter::new("Relu", &node_name(path, "Relu")).inputs([&x.name]);
        self.push(node, path, "Relu", x.shape.clone(), x.moments.relu())
    }

    /// min(max(x, 0), 6): what is cut off above hardly counts, so its moments are those of ReLU.
    pub fn relu6(&mut self, path: &str, x: &Value) -> Result<Value, ZooError> {
        let low = self.constant(path, "min", &[], vec![0f32])?;
        let high = self.constant(path, "max", &[], vec![6f32])?;
        let node = NodeWriter::new("Clip", &node_name(path, "Clip")).inputs([x.name.clone(), low, high]);
        Ok(self.push(node, path, "Clip", x.shape.clone(), x.moments.relu()))
    }

    /// Maximum over `kernel`×`kernel` at every second pixel; an odd kernel is padded by half of itself.
    pub fn max_pool(&mut self, path: &str, x: &Value, kernel: usize) -> Value {
        let node = NodeWriter::new("MaxPool", &node_name(path, "MaxPool"))
            .inputs([&x.name])
            .attribute("kernel_shape", ints(&[kernel; 2]))
            .attribute("pads", ints(&[(kernel - 1) / 2; 4]))
            .attribute("strides", vec![2, 2]);
        let shape = vec![x.channels(), x.size() / 2, x.size() / 2];
        self.push(node, path, "MaxPool", shape, x.moments.max_pool(kernel * kernel))
    }

    /// Mean over all positions.
    pub fn global_average_pool(&mut self, path: &str, x: &Value) -> Value {
        let node = NodeWriter::new("GlobalAveragePool", &node_name(path, "GlobalAveragePool")).inputs([&x.name]);
        let moments = x.moments.average_pool(x.size() * x.size());
        self.push(node, path, "GlobalAveragePool", vec![x.channels(), 1, 1], moments)
    }

    /// Elementwise sum.
    pub fn add(&mut self, path: &str, a: &Value, b: &Value) -> Value {
        let node = NodeWriter::new("Add", &node_name(path, "Add")).inputs([&a.name, &b.name]);
        self.push(node, path, "Add", a.shape.clone(), a.moments.add(&b.moments))
    }

    /// Channels one after another.
    pub fn concat(&mut self, path: &str, parts: &[&Value]) -> Value {
        let node = NodeWriter::new("Concat", &node_name(path, "Concat"))
            .inputs(parts.iter().map(|v| v.name.as_str()))
            .attribute("axis", 1);
        let moments = parts.iter().fold(Moments::default(), |all, part| all.concat(&part.moments));
        let size = parts.first().map_or(1, |v| v.size());
        self.push(node, path, "Concat", vec![parts.iter().map(|v| v.channels()).sum(), size, size], moments)
    }

    /// Enlarges by a whole factor, interpolating between pixel centres.
    pub fn enlarge(&mut self, path: &str, x: &Value, factor: usize) -> Result<Value, ZooError> {
        let scales = self.constant(path, "scales", &[4], vec![1.0, 1.0, factor as f32, factor as f32])?;
        let node = NodeWriter::new("Resize", &node_name(path, "Resize"))
            .inputs([x.name.clone(), String::new(), scales])
            .attribute("coordinate_transformation_mode", "half_pixel")
            .attribute("mode", "linear");
        let size = x.size() * factor;
        Ok(self.push(node, path, "Resize", vec![x.channels(), size, size], x.moments.clone()))
    }

    /// Enlarges to the size of `like`, interpolating between pixel centres: by a whole factor, or where sizes are open,
    /// to what the file computes them to be.
    pub fn enlarge_to(&mut self, path: &str, x: &Value, like: &Value) -> Result<Value, ZooError> {
        if !self.any_size {
            return self.enlarge(path, x, like.size() / x.size());
        }
        let channels = self.extents(&format!("{path}.channels"), x, [0, 2]);
        let size = self.extents(&format!("{path}.size"), like, [2, 4]);
        let node = NodeWriter::new("Concat", &node_name(path, "Sizes")).inputs([&channels, &size]).attribute("axis", 0);
        let sizes = self.push(node, path, "Sizes", vec![4], Moments::default());
        let node = NodeWriter::new("Resize", &node_name(path, "Resize"))
            .inputs([x.name.clone(), String::new(), String::new(), sizes.name])
            .attribute("coordinate_transformation_mode", "half_pixel")
            .attribute("mode", "linear");
        let shape = vec![x.channels(), like.size(), like.size()];
        Ok(self.push(node, path, "Resize", shape, x.moments.clone()))
    }

    /// Some neighbouring extents of a value, as a vector.
    fn extents(&mut self, path: &str, x: &Value, [start, end]: [i64; 2]) -> String {
        let node = NodeWriter::new("Shape", &node_name(path, "Shape"))
            .inputs([&x.name])
            .attribute("start", start)
            .attribute("end", end);
        self.push(node, path, "Shape", vec![2], Moments::default()).name
    }

    /// What training drops at random and inference passes on.
    pub fn dropout(&mut self, path: &str, x: &Value, ratio: f32) -> Result<Value, ZooError> {
        let ratio = self.constant(path, "ratio", &[], vec![ratio])?;
        let node = NodeWriter::new("Dropout", &node_name(path, "Dropout")).inputs([x.name.clone(), ratio]);
        Ok(self.push(node, path, "Dropout", x.shape.clone(), x.moments.clone()))
    }

    /// (N, C, H, W) to (N, C·H·W).
    pub fn flatten(&mut self, path: &str, x: &Value) -> Value {
        let node = NodeWriter::new("Flatten", &node_name(path, "Flatten")).inputs([&x.name]).attribute("axis", 1);
        self.push(node, path, "Flatten", vec![x.shape.iter().product()], Moments::default())
    }

    /// A hidden fully connected layer: He-initialised, for a ReLU that follows.
    pub fn hidden(&mut self, path: &str, x: &Value, out: usize) -> Result<Value, ZooError> {
        let weights = self.he_normal(path, out * x.channels(), x.channels());
        self.linear(path, x, out, weights)
    }

    /// The last fully connected layer: no ReLU follows, so half of He's variance keeps the scale.
    pub fn classifier(&mut self, path: &str, x: &Value, out: usize) -> Result<Value, ZooError> {
        let weights = self.he_normal(path, out * x.channels(), 2 * x.channels());
        self.linear(path, x, out, weights)
    }

    fn linear(&mut self, path: &str, x: &Value, out: usize, weights: Vec<f32>) -> Result<Value, ZooError> {
        let reads = [
            x.name.clone(),
            self.trained(path, "weight", &[out, x.channels()], weights)?,
            self.small_bias(path, out, x.channels())?,
        ];
        let node = NodeWriter::new("Gemm", &node_name(path, "Gemm"))
            .inputs(reads)
            .attribute("alpha", 1f32)
            .attribute("beta", 1f32)
            .attribute("transB", 1);
        Ok(self.push(node, path, "Gemm", vec![out], Moments::default()))
    }

    /// Convolution and its batch normalization.
    pub fn conv_bn(&mut self, paths: [&str; 2], x: &Value, conv: Conv) -> Result<Value, ZooError> {
        let (y, power) = self.convolve(paths[0], x, conv)?;
        self.batch_norm(paths[1], &y, &power)
    }

    /// Convolution, batch normalization, ReLU.
    pub fn conv_bn_relu(&mut self, paths: [&str; 3], x: &Value, conv: Conv) -> Result<Value, ZooError> {
        let y = self.conv_bn([paths[0], paths[1]], x, conv)?;
        Ok(self.relu(paths[2], &y))
    }

    fn push(&mut self, node: NodeWriter, path: &str, op: &str, shape: Vec<usize>, moments: Moments) -> Value {
        let name = format!("{}_output_0", node_name(path, op));
        self.nodes.push((node, name.clone()));
        Value { name, shape, moments }
    }

    fn stream(&self, path: &str, role: &str) -> Stream {
        Stream::new(self.seed, &format!("{path}.{role}"))
    }

    /// Weights that keep the scale through a ReLU: variance 2/fan-in (He et al., *Delving deep into rectifiers*,
    /// ICCV 2015).
    fn he_normal(&self, path: &str, count: usize, fan_in: usize) -> Vec<f32> {
        self.stream(path, "weight").normals(count, 0.0, (2.0 / fan_in as f64).sqrt())
    }

    /// PyTorch's default: uniform within 1/√fan-in.
    fn small_bias(&mut self, path: &str, count: usize, fan_in: usize) -> Result<String, ZooError> {
        let bound = 1.0 / (fan_in as f64).sqrt();
        let values = self.stream(path, "bias").uniforms(count, -bound, bound);
        self.trained(path, "bias", &[count], values)
    }

    fn trained<T: Element>(
        &mut self,
        path: &str,
        role: &str,
        shape: &[usize],
        values: Vec<T>,
    ) -> Result<String, ZooError> {
        self.parameters += values.len();
        self.constant(path, role, shape, values)
    }

    fn constant<T: Element>(
        &mut self,
        path: &str,
        role: &str,
        shape: &[usize],
        values: Vec<T>,
    ) -> Result<String, ZooError> {
        let name = format!("{path}.{role}");
        self.model.add_initializer(&name, Tensor::new(shape, values)?);
        Ok(name)
    }
}

/// A value of this shape for a batch of any size, and a picture of any height and width if `any_size`.
fn batched(shape: &[usize], any_size: bool) -> Fact {
    let open = |name: &str| Dim::symbol(Symbol::new(name));
    let dims: Vec<Dim> = match shape {
        &[channels, _, _] if any_size => vec![open("N"), Dim::from(channels), open("H"), open("W")],
        _ => std::iter::once(open("N")).chain(shape.iter().map(|&d| Dim::from(d))).collect(),
    };
    Fact::new(DType::F32, Shape::new(dims))
}

/// `layer1.0.conv1` and `Conv` to `/layer1/0/conv1/Conv`; an empty path is the network itself.
fn node_name(path: &str, op: &str) -> String {
    if path.is_empty() { format!("/{op}") } else { format!("/{}/{op}", path.replace('.', "/")) }
}

/// Extents are far below 2⁶³.
fn ints(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&v| v as i64).collect()
}
