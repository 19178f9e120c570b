use crate::input::load::{fact_of, input_of, name_of, names, picture_extents};
use crate::input::npy::{self, Header};
use crate::input::{InputError, InputFile};
use limpid_graph::ir::Graph;
use limpid_graph::tensor::{DType, Tensor};
use std::path::Path;

/// Which arrays of a file are what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrays {
    /// For each input of the network, which of the file's arrays is for it.
    inputs: Vec<usize>,
    /// The array `labels`, if there is one with an integer for each sample.
    pub labels: Vec<i64>,
}

/// The arrays of a network with several inputs need names.
pub(super) fn several(graph: &Graph, path: &Path) -> InputError {
    InputError::SeveralInputs { path: path.to_owned(), count: graph.inputs.len(), known: names(graph) }
}

impl Arrays {
    /// How many samples a file holds, and in which arrays; elements are not read.
    pub(super) fn of(graph: &Graph, path: &Path) -> Result<(usize, Self), InputError> {
        let headers = npy::headers(path)?;
        let chosen = choose(graph, path, &headers)?;
        let mut samples: Option<usize> = None;
        for (input, &array) in chosen.iter().enumerate() {
            let Header { dtype, shape, .. } = &headers[array];
            let found = with_batch(graph, input, *dtype, shape);
            let count = *found.first().ok_or_else(|| InputError::Shape {
                path: path.to_owned(),
                input: name_of(graph, input).to_owned(),
                found: format!("{dtype}[]"),
                expected: fact_of(graph, input).to_string(),
            })?;
            match samples {
                Some(first) if first != count => {
                    let (first_name, second) = (name_of(graph, 0).to_owned(), name_of(graph, input).to_owned());
                    return Err(InputError::Samples { first: first_name, count: first, second, other: count });
                }
                _ => samples = Some(count),
            }
        }
        let samples = samples.unwrap_or(0);
        let labels = |h: &Header| h.name.as_deref() == Some("labels") && h.shape == [samples] && !h.dtype.is_float();
        let labels = match headers.iter().position(labels) {
            Some(index) if !chosen.contains(&index) => npy::read(path)?.swap_remove(index).tensor.to_i64(),
            _ => Vec::new(),
        };
        Ok((samples, Self { inputs: chosen, labels }))
    }

    /// Reads the array of each input, the samples along the first axis.
    pub(super) fn read(&self, graph: &Graph, path: &Path, samples: usize) -> Result<Vec<Tensor>, InputError> {
        let arrays = npy::read(path)?;
        let read = self.inputs.iter().enumerate().map(|(input, &index)| {
            let tensor = arrays.get(index).map(|array| &array.tensor);
            let tensor = tensor.and_then(|t| t.reshape(&with_batch(graph, input, t.dtype(), t.shape())).ok());
            tensor.filter(|t| t.shape().first() == Some(&samples)).ok_or_else(|| InputError::Array {
                path: path.to_owned(),
                reason: "it has changed since it was listed".to_owned(),
            })
        });
        read.collect()
    }
}

/// The array of each input.
fn choose(graph: &Graph, path: &Path, headers: &[Header]) -> Result<Vec<usize>, InputError> {
    let file = InputFile { input: None, path: path.to_owned() };
    let mut chosen: Vec<Option<usize>> = vec![None; graph.inputs.len()];
    for (index, Header { name, dtype, shape }) in headers.iter().enumerate() {
        if name.is_none() && chosen.len() != 1 {
            return Err(several(graph, path));
        }
        let Some(input) = input_of(graph, &file, name.as_deref(), *dtype, shape)? else { continue };
        if chosen[input].replace(index).is_some() {
            let reason = format!("it holds several arrays that could be input `{}`", name_of(graph, input));
            return Err(InputError::Array { path: path.to_owned(), reason });
        }
    }
    let missing = |input: usize| InputError::Missing(name_of(graph, input).to_owned());
    chosen.into_iter().enumerate().map(|(input, array)| array.ok_or_else(|| missing(input))).collect()
}

/// The extents of an array; one of a single sample, without the axis of the batch, gets that axis.
fn with_batch(graph: &Graph, input: usize, dtype: DType, shape: &[usize]) -> Vec<usize> {
    let fact = fact_of(graph, input);
    let of_pictures = dtype == DType::U8 && fact.dtype.is_float() && picture_extents(shape).is_some();
    let single = !of_pictures && shape.len() + 1 == fact.rank();
    if single { [&[1], shape].concat() } else { shape.to_vec() }
}
