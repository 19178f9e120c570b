use super::preprocessing::Frame;
use super::{Channels, InputError, Picture, Preprocessing, PreprocessingError, npy};
use limpid_graph::ir::{Fact, Graph};
use limpid_graph::ops::Op;
use limpid_graph::tensor::{DType, Dim, Tensor};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// A file on the command line, for the input of this name if one is given: `FILE` or `NAME=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// The input's name.
    pub input: Option<String>,
    /// A picture, a `.npy` or a `.npz`.
    pub path: PathBuf,
}

impl InputFile {
    /// Reads `FILE` or `NAME=FILE`; a file of that whole name comes first, and `NAME` must be an input of `graph`.
    pub fn parse(text: &str, graph: &Graph) -> Self {
        let known = |name: &str| index_of(graph, name).is_some();
        let named = text.split_once('=').filter(|(name, _)| known(name) && !Path::new(text).exists());
        match named {
            Some((name, path)) => Self { input: Some(name.to_owned()), path: path.into() },
            None => Self { input: None, path: text.into() },
        }
    }
}

/// What a network reads at once or in several runs: its inputs, each with all samples along its first axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Where each sample came from: `cat.jpg`, `images.npy[3]`.
    pub names: Vec<String>,
    /// In the network's order.
    pub inputs: Vec<Tensor>,
}

/// Reads the inputs of a network. Files for the same input are put together along the first axis; a `.npz` gives
/// every input the array of its name. 8-bit arrays of pictures, (N,H,W) or (N,H,W,C), go the way pictures go when
/// the network reads reals.
///
/// # Errors
/// An [`InputError`] that names the file and what was expected.
pub fn load(graph: &Graph, files: &[InputFile], preprocessing: &Preprocessing) -> Result<Sample, InputError> {
    let mut parts: Vec<Vec<(String, Tensor)>> = vec![Vec::new(); graph.inputs.len()];
    for file in files {
        let bytes = std::fs::read(&file.path).map_err(|source| InputError::Read { path: file.path.clone(), source })?;
        if !npy::is_npy(&bytes) {
            let index = target(graph, file, None)?;
            parts[index].push(picture(graph, index, &file.path, preprocessing)?);
            continue;
        }
        for array in npy::read(&file.path)? {
            let name = array.name.as_deref();
            if let Some(index) = input_of(graph, file, name, array.tensor.dtype(), array.tensor.shape())? {
                parts[index].extend(fit(graph, index, &file.path, array.tensor, preprocessing)?);
            }
        }
    }
    assemble(graph, parts)
}

/// The input of a network with a single one, from an array in memory; `label` names it in messages.
///
/// # Errors
/// As [`load`].
pub fn from_array(
    graph: &Graph,
    label: &str,
    array: Tensor,
    preprocessing: &Preprocessing,
) -> Result<Sample, InputError> {
    let file = InputFile { input: None, path: label.into() };
    let mut parts = vec![Vec::new(); graph.inputs.len()];
    let index = target(graph, &file, None)?;
    parts[index] = fit(graph, index, &file.path, array, preprocessing)?;
    assemble(graph, parts)
}

pub(super) fn name_of(graph: &Graph, index: usize) -> &str {
    &graph.value(graph.inputs[index]).name
}

pub(super) fn fact_of(graph: &Graph, index: usize) -> &Fact {
    graph.fact(graph.inputs[index])
}

/// What an input's numbers are given as: quantized integers stand for reals, which the session makes integers.
fn numbers_of(fact: &Fact) -> DType {
    if fact.exact_scale().is_some() { DType::F32 } else { fact.dtype }
}

fn index_of(graph: &Graph, name: &str) -> Option<usize> {
    (0..graph.inputs.len()).find(|&i| name_of(graph, i) == name)
}

pub(super) fn names(graph: &Graph) -> String {
    (0..graph.inputs.len()).map(|i| name_of(graph, i)).collect::<Vec<_>>().join(", ")
}

/// Which input an array of a file is for. Arrays that no input has the name of are passed by: an archive may hold
/// labels, too.
pub(super) fn input_of(
    graph: &Graph,
    file: &InputFile,
    array: Option<&str>,
    dtype: DType,
    shape: &[usize],
) -> Result<Option<usize>, InputError> {
    let known = array.is_none_or(|name| index_of(graph, name).is_some());
    if !known && !fits_alone(graph, dtype, shape) {
        return Ok(None);
    }
    target(graph, file, array.filter(|_| known)).map(Some)
}

/// Which input a file or an array of it is for.
fn target(graph: &Graph, file: &InputFile, array: Option<&str>) -> Result<usize, InputError> {
    match file.input.as_deref().or(array) {
        Some(name) => {
            index_of(graph, name).ok_or_else(|| InputError::UnknownInput { name: name.to_owned(), known: names(graph) })
        }
        None if graph.inputs.len() == 1 => Ok(0),
        None => Err(InputError::Unnamed {
            count: graph.inputs.len(),
            known: names(graph),
            example: graph.inputs.first().map_or("NAME", |&v| &graph.value(v).name).to_owned(),
        }),
    }
}

/// An array under another name is taken for the only input if it has its rank, or is one of pictures.
fn fits_alone(graph: &Graph, dtype: DType, shape: &[usize]) -> bool {
    graph.inputs.len() == 1 && (shape.len() == fact_of(graph, 0).rank() || (dtype == DType::U8 && shape.len() == 3))
}

/// True if the network makes this input of whole pictures itself.
fn takes_pictures(graph: &Graph, index: usize) -> bool {
    graph.readers(graph.inputs[index]).any(|(_, node)| matches!(node.op, Op::Picture(_)))
}

/// A whole picture for an input that takes such.
fn whole(graph: &Graph, index: usize, path: &Path, picture: &Picture) -> Result<Tensor, InputError> {
    let picture = picture.with_channels(Channels::Rgb);
    let shape = [1, picture.height, picture.width, picture.channels];
    let fits = |(dim, &extent): (&Dim, &usize)| dim.as_usize().is_none_or(|own| own == extent);
    let fact = fact_of(graph, index);
    let made = Tensor::new(&shape, picture.pixels).ok();
    made.filter(|_| fact.shape.iter().zip(&shape).skip(1).all(fits)).ok_or_else(|| InputError::Shape {
        path: path.to_owned(),
        input: name_of(graph, index).to_owned(),
        found: format!("a picture of {}x{}", shape[1], shape[2]),
        expected: fact.to_string(),
    })
}

/// What an input asks of a picture.
pub(super) fn frame(graph: &Graph, index: usize, preprocessing: &Preprocessing) -> Result<Frame, InputError> {
    if takes_pictures(graph, index) {
        let (input, source) = (name_of(graph, index).to_owned(), PreprocessingError::Stage);
        return Err(InputError::Preprocessing { input, source });
    }
    let fact = fact_of(graph, index);
    let dims: Vec<Option<usize>> = fact.shape.iter().map(|d| d.as_usize()).collect();
    preprocessing
        .frame(numbers_of(fact), &dims, &fact.to_string())
        .map_err(|source| InputError::Preprocessing { input: name_of(graph, index).to_owned(), source })
}

fn picture(
    graph: &Graph,
    index: usize,
    path: &Path,
    preprocessing: &Preprocessing,
) -> Result<(String, Tensor), InputError> {
    if takes_pictures(graph, index) {
        return Ok((short(path), whole(graph, index, path, &Picture::open(path, Channels::Rgb)?)?));
    }
    let frame = frame(graph, index, preprocessing)?;
    let picture = Picture::open(path, frame.channels)?;
    Ok((short(path), preprocessing.apply(&picture, &frame)))
}

/// An array as one or more batches for an input.
pub(super) fn fit(
    graph: &Graph,
    index: usize,
    path: &Path,
    tensor: Tensor,
    preprocessing: &Preprocessing,
) -> Result<Vec<(String, Tensor)>, InputError> {
    let fact = fact_of(graph, index);
    let shape = tensor.shape().to_vec();
    if tensor.dtype() == DType::U8
        && numbers_of(fact).is_float()
        && let Some(pictures) = pictures(&tensor)
    {
        return from_pictures(graph, index, path, &pictures, preprocessing);
    }
    let wanted = if tensor.dtype() == fact.dtype { fact.dtype } else { numbers_of(fact) };
    let tensor = if tensor.dtype().is_float() && wanted.is_float() { tensor.cast(wanted) } else { tensor };
    // One sample without its batch axis is a batch of one.
    let tensor = match shape.len() + 1 == fact.rank() {
        true => tensor.reshape(&[&[1], &shape[..]].concat()).unwrap_or(tensor),
        false => tensor,
    };
    let fits = tensor.shape().len() == fact.rank()
        && fact.shape.iter().zip(tensor.shape()).skip(1).all(|(want, &got)| want.as_usize().is_none_or(|w| w == got));
    if tensor.dtype() != wanted || !fits || tensor.is_empty() {
        return Err(InputError::Shape {
            path: path.to_owned(),
            input: name_of(graph, index).to_owned(),
            found: format!("{}{:?}", tensor.dtype(), shape),
            expected: fact.to_string(),
        });
    }
    Ok(vec![(short(path), tensor)])
}

/// Height, width and channels of (N,H,W) or (N,H,W,C); `None` if the last of four axes is no number of channels.
pub(super) fn picture_extents(shape: &[usize]) -> Option<(usize, usize, usize)> {
    match *shape {
        [_, h, w] => Some((h, w, 1)),
        [_, h, w, c @ (1 | 3)] => Some((h, w, c)),
        _ => None,
    }
}

/// (N,H,W) or (N,H,W,C) bytes as pictures.
fn pictures(tensor: &Tensor) -> Option<Vec<Picture>> {
    let (height, width, channels) = picture_extents(tensor.shape())?;
    let size = height * width * channels;
    (size > 0).then(|| {
        let pixels = tensor.bytes().chunks_exact(size);
        pixels.map(|p| Picture { height, width, channels, pixels: p.to_vec() }).collect()
    })
}

fn from_pictures(
    graph: &Graph,
    index: usize,
    path: &Path,
    pictures: &[Picture],
    preprocessing: &Preprocessing,
) -> Result<Vec<(String, Tensor)>, InputError> {
    let frame = frame(graph, index, preprocessing)?;
    // RGB is what decoding makes; from here on a picture of an array is treated as one of a file.
    let prepared = pictures.par_iter().enumerate().map(|(i, picture)| {
        let picture = picture.with_channels(frame.channels);
        (format!("{}[{i}]", short(path)), preprocessing.apply(&picture, &frame))
    });
    Ok(prepared.collect())
}

pub(super) fn short(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn assemble(graph: &Graph, parts: Vec<Vec<(String, Tensor)>>) -> Result<Sample, InputError> {
    let mut inputs = Vec::new();
    let mut names: Option<Vec<String>> = None;
    for (index, parts) in parts.into_iter().enumerate() {
        let Some((first, _)) = parts.first() else { return Err(InputError::Missing(name_of(graph, index).to_owned())) };
        let rest = |tensor: &Tensor| tensor.shape().get(1..).unwrap_or_default().to_vec();
        let (expected, scalar) = (rest(&parts[0].1), parts[0].1.shape().is_empty());
        // Numbers without axes cannot be put together, others only if they differ in their first alone.
        let odd = parts.iter().skip(1).find(|(_, tensor)| scalar || rest(tensor) != expected);
        if let Some((other, tensor)) = odd {
            return Err(InputError::Shape {
                path: other.into(),
                input: name_of(graph, index).to_owned(),
                found: format!("{:?}", tensor.shape()),
                expected: format!("the extents of `{first}` after the first, {expected:?}"),
            });
        }
        let count = |tensor: &Tensor| tensor.shape().first().copied().unwrap_or(1);
        let own: Vec<String> = parts.iter().flat_map(|(name, tensor)| numbered(name, count(tensor))).collect();
        match &names {
            Some(names) if names.len() != own.len() => {
                return Err(InputError::Samples {
                    first: name_of(graph, 0).to_owned(),
                    count: names.len(),
                    second: name_of(graph, index).to_owned(),
                    other: own.len(),
                });
            }
            Some(_) => {}
            None => names = Some(own),
        }
        inputs.push(stack(parts.into_iter().map(|(_, tensor)| tensor).collect()));
    }
    Ok(Sample { names: names.unwrap_or_default(), inputs })
}

fn numbered(name: &str, count: usize) -> Vec<String> {
    if count == 1 { vec![name.to_owned()] } else { (0..count).map(|i| format!("{name}[{i}]")).collect() }
}

/// Tensors of one type and equal extents after the first axis, one behind the other.
pub(super) fn stack(mut parts: Vec<Tensor>) -> Tensor {
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    let mut shape = parts[0].shape().to_vec();
    shape[0] = parts.iter().map(|t| t.shape()[0]).sum();
    let bytes: Vec<u8> = parts.iter().flat_map(|t| t.bytes().iter().copied()).collect();
    // The lengths add up by construction.
    Tensor::from_bytes(parts[0].dtype(), &shape, &bytes).unwrap_or_else(|_| Tensor::zeros(parts[0].dtype(), &[0]))
}
