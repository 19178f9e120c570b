//! A multilayer perceptron: 784-256-128-10.

use super::error::ZooError;
use super::layers::{Layers, Value};

pub(super) fn layers(net: &mut Layers, x: Value) -> Result<Value, ZooError> {
    let x = net.flatten("flatten", &x);
    let x = net.hidden("fc1", &x, 256)?;
    let x = net.relu("relu1", &x);
    let x = net.hidden("fc2", &x, 128)?;
    let x = net.relu("relu2", &x);
    net.classifier("fc3", &x, 10)
}
