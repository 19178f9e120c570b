//! Well-known networks to try limpid on without a download: `limpid zoo resnet18 -o resnet18.onnx`.
//!
//! Each is written as PyTorch would export it without optimising: every BatchNormalization, ReLU, Add and Dropout
//! a node of its own, names after PyTorch's modules, the batch a symbol `N`, the output logits. The weights are
//! random (He-initialised), the BatchNormalization statistics fit what the convolutions put out, and both depend
//! on the seed alone, so a file has the same checksum on every machine. The architectures are exact: parameter
//! counts are those of the originals.

mod conv;
mod deeplabv3plus;
mod error;
mod layers;
mod mlp;
mod mobilenetv2;
mod moments;
mod random;
mod resnet;
mod unet;
mod vgg16;

pub use error::ZooError;

use layers::{Layers, Value};
use limpid_graph::onnx::ModelWriter;

/// One network of the zoo.
#[derive(Debug)]
pub struct Network {
    /// As on the command line.
    pub name: &'static str,
    /// As in the literature.
    pub title: &'static str,
    /// Channels of the input.
    pub channels: usize,
    /// Height and width of the input.
    pub size: usize,
    /// Other sizes must be a multiple of this: what the strides come to.
    pub multiple: usize,
    /// Whether one file can take pictures of any height and width: no layer counts on their size.
    pub any_size: bool,
    /// What it is and where it comes from.
    pub description: &'static str,
    /// Adds the layers.
    layers: fn(&mut Layers, Value) -> Result<Value, ZooError>,
}

/// A network ready to be written.
#[derive(Debug)]
pub struct Built {
    /// The ONNX model.
    pub model: ModelWriter,
    /// Number of trained parameters; running statistics are not.
    pub parameters: usize,
}

/// All of them, smallest first within each kind.
pub const NETWORKS: &[Network] = &[
    Network {
        name: "mlp",
        title: "MLP",
        channels: 1,
        size: 28,
        multiple: 1,
        any_size: false,
        description: "fully connected 784-256-128-10, the size of an MNIST classifier",
        layers: mlp::layers,
    },
    Network {
        name: "resnet18",
        title: "ResNet-18",
        channels: 3,
        size: 224,
        multiple: 32,
        any_size: true,
        description: "residual network of 3x3 convolutions, 1000 classes (He et al., CVPR 2016; torchvision)",
        layers: resnet::resnet18,
    },
    Network {
        name: "resnet50",
        title: "ResNet-50",
        channels: 3,
        size: 224,
        multiple: 32,
        any_size: true,
        description: "residual network of bottlenecks, stride in the 3x3, 1000 classes (v1.5; torchvision)",
        layers: resnet::resnet50,
    },
    Network {
        name: "vgg16",
        title: "VGG-16",
        channels: 3,
        size: 224,
        multiple: 32,
        any_size: false,
        description: "plain 3x3 convolutions with bias, no BatchNorm (Simonyan, Zisserman, ICLR 2015; torchvision)",
        layers: vgg16::layers,
    },
    Network {
        name: "mobilenetv2",
        title: "MobileNetV2",
        channels: 3,
        size: 224,
        multiple: 32,
        any_size: true,
        description: "inverted residuals with depthwise convolutions (Sandler et al., CVPR 2018; torchvision)",
        layers: mobilenetv2::layers,
    },
    Network {
        name: "unet",
        title: "U-Net",
        channels: 3,
        size: 256,
        multiple: 16,
        any_size: false,
        description: "segmentation in 32 classes, 64 to 1024 channels (Ronneberger et al., MICCAI 2015)",
        layers: unet::layers,
    },
    Network {
        name: "deeplabv3plus",
        title: "DeepLabV3+",
        channels: 3,
        size: 512,
        multiple: 16,
        any_size: true,
        description: "segmentation in 32 classes, ResNet-50 at output stride 16, ASPP (Chen et al., ECCV 2018)",
        layers: deeplabv3plus::layers,
    },
];

/// The network of this name.
pub fn find(name: &str) -> Option<&'static Network> {
    NETWORKS.iter().find(|network| network.name == name)
}

impl Network {
    /// The network with the weights of `seed`, for its usual pictures.
    ///
    /// # Errors
    /// None in practice: the weights fill the shapes that they are made for.
    pub fn build(&self, seed: u64) -> Result<Built, ZooError> {
        self.build_for(self.size, seed)
    }

    /// The network for pictures of `size`×`size`. The convolutions' weights are the same for any size; so are
    /// all others', but for the first fully connected layer where it follows a Flatten of the picture.
    ///
    /// # Errors
    /// [`ZooError::Size`] if `size` is not a multiple of [`Network::multiple`].
    pub fn build_for(&self, size: usize, seed: u64) -> Result<Built, ZooError> {
        if size == 0 || !size.is_multiple_of(self.multiple) {
            return Err(ZooError::Size { network: self.title, multiple: self.multiple, got: size });
        }
        self.write(size, false, seed)
    }

    /// The network with height and width left open, as symbols `H` and `W`. The weights are those of its usual size.
    ///
    /// # Errors
    /// [`ZooError::FixedSize`] if its layers count on a size; see [`Network::any_size`].
    pub fn build_for_any_size(&self, seed: u64) -> Result<Built, ZooError> {
        match self.any_size {
            true => self.write(self.size, true, seed),
            false => Err(ZooError::FixedSize { network: self.title }),
        }
    }

    fn write(&self, size: usize, any_size: bool, seed: u64) -> Result<Built, ZooError> {
        let (mut layers, input) = Layers::new(self.name, self.channels, size, any_size, seed);
        let output = (self.layers)(&mut layers, input)?;
        let (model, parameters) = layers.finish(&output);
        Ok(Built { model, parameters })
    }
}
