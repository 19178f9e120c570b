use super::{CompareError, Distance};
use crate::input::{Dataset, InputError, Preprocessing};
use crate::progress::Progress;
use limpid_graph::ir::{Fact, Graph, ValueId};
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{QuantParams, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// How far a value that both networks compute is apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// The value's name.
    pub name: String,
    /// The operator that makes it in the test.
    pub op: &'static str,
    /// Its type in the baseline and in the test.
    pub dtypes: [String; 2],
    /// Over all its numbers, of all samples.
    pub distance: Distance,
}

/// Compares the values inside two networks, those that both have by the same name, on the first `most` samples; the
/// worst first: by [`Distance::sqnr_db`], NaN before all others. Integers that stand for reals are taken for these.
///
/// Both run on the CPU reference, which alone shows what is computed on the way.
///
/// # Errors
/// As [`super::compare`].
pub fn layers(
    baseline: (&Graph, &Preprocessing),
    test: (&Graph, &Preprocessing),
    dataset: &Dataset,
    most: usize,
    progress: &mut dyn Progress,
) -> Result<Vec<Layer>, CompareError> {
    let common = common(baseline.0, test.0);
    let size = [baseline.0, test.0].into_iter().filter_map(fixed_batch).max().unwrap_or(1);
    let [ours, theirs] = [("baseline", baseline), ("test", test)]
        .map(|(which, (graph, _))| Interpreter::new(graph).map_err(|source| CompareError::Layers { which, source }));
    let (ours, theirs) = (ours?, theirs?);
    let batches = [baseline, test].map(|(graph, preprocessing)| dataset.batches(graph, preprocessing, size));
    let [our_batches, their_batches] = batches;
    let mut distances: BTreeMap<&str, Distance> = BTreeMap::new();
    let wanted = most.min(dataset.len()).div_ceil(size).max(1);
    progress.stage("compare layers", Some(wanted as u64));
    for (our_batch, their_batch) in our_batches?.zip(their_batches?).take(wanted) {
        let (our_batch, their_batch) = (our_batch?, their_batch?);
        if our_batch.samples.len() < size {
            // A batch that is fixed must be full.
            break;
        }
        let mut kept: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
        let observed = ours.run_observed(&our_batch.inputs, &mut |id, tensor| {
            if let Some(name) = common.get(baseline.0.value(id).name.as_str()) {
                kept.insert(name, reals(baseline.0.fact(id), tensor));
            }
        });
        observed.map_err(|source| CompareError::Layers { which: "baseline", source })?;
        let observed = theirs.run_observed(&their_batch.inputs, &mut |id, tensor| {
            let name = test.0.value(id).name.as_str();
            if let Some((name, kept)) = kept.remove_entry(name) {
                let other = reals(test.0.fact(id), tensor);
                distances.entry(name).or_default().add(Distance::between(&kept, &other));
            }
        });
        observed.map_err(|source| CompareError::Layers { which: "test", source })?;
        progress.step("");
    }
    progress.done();
    if distances.is_empty() && !common.is_empty() {
        let (path, listed) = (dataset.root().to_owned(), dataset.len());
        let skipped = "none".to_owned();
        return Err(InputError::TooFew { path, usable: listed, listed, needed: size, skipped }.into());
    }
    let mut layers: Vec<Layer> = distances
        .into_iter()
        .map(|(name, distance)| {
            let dtypes =
                [baseline.0, test.0].map(|graph| made(graph, name).map_or("", |f| f.1.dtype.name()).to_owned());
            let op = made(test.0, name).map_or("", |(op, _)| op);
            Layer { name: name.to_owned(), op, dtypes, distance }
        })
        .collect();
    layers.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
    Ok(layers)
}

/// NaN below everything.
fn rank(layer: &Layer) -> f64 {
    let sqnr = layer.distance.sqnr_db();
    if sqnr.is_nan() { f64::NEG_INFINITY } else { sqnr }
}

/// Names of values that nodes of both graphs make, and that are reals or stand for them.
fn common<'g>(baseline: &'g Graph, test: &'g Graph) -> BTreeSet<&'g str> {
    let names = |graph: &'g Graph| -> BTreeSet<&'g str> {
        let outputs = graph.nodes().flat_map(|(_, node)| node.outputs.iter().copied());
        outputs.filter(|&id| is_real(graph, id)).map(|id| graph.value(id).name.as_str()).collect()
    };
    names(baseline).intersection(&names(test)).copied().collect()
}

fn is_real(graph: &Graph, value: ValueId) -> bool {
    let fact = graph.fact(value);
    fact.dtype.is_float() || fact.quant.is_some()
}

/// The operator that makes a value, and what it makes.
fn made<'g>(graph: &'g Graph, name: &str) -> Option<(&'static str, &'g Fact)> {
    let id = graph.find_value(name)?;
    let (_, node) = graph.producer(id)?;
    Some((node.op.name(), graph.fact(id)))
}

fn fixed_batch(graph: &Graph) -> Option<usize> {
    graph.inputs.first().and_then(|&v| graph.fact(v).shape.first()?.as_usize())
}

/// What a tensor's numbers stand for: `scale · (q - zero_point)` for quantized ones.
pub(crate) fn reals(fact: &Fact, tensor: &Tensor) -> Vec<f32> {
    let mut values = tensor.to_f32();
    let Some(QuantParams { scales, zero_points, axis, .. }) = &fact.quant else { return values };
    // Numbers that share a scale lie side by side: all of them, or what is below the axis.
    let below = axis.map_or(values.len(), |axis| tensor.shape().iter().skip(axis + 1).product()).max(1);
    for (slice, values) in values.chunks_mut(below).enumerate() {
        let (scale, zero) = (scales[slice % scales.len()], zero_points[slice % zero_points.len()] as f32);
        values.iter_mut().for_each(|value| *value = (*value - zero) * scale);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_graph::tensor::DType;

    #[test]
    fn integers_stand_for_reals() {
        let tensor = Tensor::new(&[1, 2, 2], vec![-1i8, 2, 3, 4]).expect("a tensor");
        let mut fact = Fact::new(DType::I8, limpid_graph::tensor::Shape::new([1, 2, 2].map(Into::into)));
        assert_eq!(reals(&fact, &tensor), [-1.0, 2.0, 3.0, 4.0]);
        fact.quant = Some(QuantParams::per_tensor(0.5));
        assert_eq!(reals(&fact, &tensor), [-0.5, 1.0, 1.5, 2.0]);
        fact.quant = Some(QuantParams { zero_points: vec![1, -1], ..QuantParams::per_axis(vec![0.5, 2.0], 1) });
        assert_eq!(reals(&fact, &tensor), [-1.0, 0.5, 8.0, 10.0]);
    }
}
