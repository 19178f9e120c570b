//! VGG-16 as torchvision has it: thirteen 3×3 convolutions with bias, three fully connected layers, no
//! BatchNormalization.
//!
//! Simonyan, Zisserman, *Very deep convolutional networks for large-scale image recognition*, ICLR 2015,
//! configuration D. torchvision's adaptive pooling to 7×7 does nothing to pictures of 224×224, which reach it at
//! 7×7, so it is left out.

use super::conv::Conv;
use super::error::ZooError;
use super::layers::{Layers, Value};

/// Channels of the convolutions between one pooling and the next.
const STAGES: [&[usize]; 5] = [&[64; 2], &[128; 2], &[256; 3], &[512; 3], &[512; 3]];

pub(super) fn layers(net: &mut Layers, mut x: Value) -> Result<Value, ZooError> {
    // Modules are counted through: convolution, ReLU, …, pooling.
    let mut index = 0..;
    let mut next = || format!("features.{}", index.next().unwrap_or(0));
    for stage in STAGES {
        for &channels in stage {
            x = net.conv(&next(), &x, Conv::new(channels, 3).bias())?;
            x = net.relu(&next(), &x);
        }
        x = net.max_pool(&next(), &x, 2);
    }
    x = net.flatten("", &x);
    for (linear, relu, dropout) in [(0, 1, 2), (3, 4, 5)] {
        x = net.hidden(&format!("classifier.{linear}"), &x, 4096)?;
        x = net.relu(&format!("classifier.{relu}"), &x);
        x = net.dropout(&format!("classifier.{dropout}"), &x, 0.5)?;
    }
    net.classifier("classifier.6", &x, 1000)
}
