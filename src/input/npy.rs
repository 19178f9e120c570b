//! NumPy's files: `.npy` holds one array, `.npz` several with names.

use super::InputError;
use crate::output_file::write_whole;
use half::f16;
use limpid_graph::tensor::{DType, Tensor, row_major_strides};
use npyz::npz::{NpzArchive, NpzWriter, array_name_from_file_name};
use npyz::{DType as NpyType, NpyFile, Order, TypeChar, WriterBuilder};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

/// An array of a file; those of a `.npy` have no name.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its name in a `.npz`.
    pub name: Option<String>,
    /// Its elements, row-major whatever the file's order.
    pub tensor: Tensor,
}

/// True if the file begins as a `.npy` or `.npz` does.
pub fn is_npy(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x93NUMPY") || bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// Reads every array of a `.npy` or `.npz`, told apart by their contents.
///
/// f64 becomes f32, 16-bit integers become i32, u32 becomes i64; big-endian and Fortran order are understood.
///
/// # Errors
/// [`InputError::Read`]; [`InputError::Array`] for what is no array, holds objects, or is cut off.
pub fn read(path: &Path) -> Result<Vec<Array>, InputError> {
    let bytes = std::fs::read(path).map_err(|source| InputError::Read { path: path.to_owned(), source })?;
    parse(&bytes).map_err(|reason| InputError::Array { path: path.to_owned(), reason })
}

/// What an array is, without its elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name in a `.npz`.
    pub name: Option<String>,
    /// The type its elements have once read.
    pub dtype: DType,
    /// Its extents.
    pub shape: Vec<usize>,
}

/// The headers of every array of a `.npy` or `.npz`; elements are not read, however many there are.
///
/// # Errors
/// As [`read`].
pub fn headers(path: &Path) -> Result<Vec<Header>, InputError> {
    let failed = |source| InputError::Read { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let is_archive = file.fill_buf().map_err(failed)?.starts_with(b"PK");
    let headers = if is_archive { archive_headers(file) } else { header(None, file).map(|header| vec![header]) };
    headers.map_err(|reason| InputError::Array { path: path.to_owned(), reason })
}

fn archive_headers(file: BufReader<File>) -> Result<Vec<Header>, String> {
    let mut archive = NpzArchive::new(file).map_err(|e| e.to_string())?;
    let files = file_names(&mut archive);
    let named = files.iter().filter_map(|file| Some((file, array_name_from_file_name(file)?)));
    let headers = named.map(|(file, name)| {
        let inside = |reason: String| format!("array `{name}`: {reason}");
        let entry = archive.zip_archive().by_name(file).map_err(|e| inside(e.to_string()))?;
        header(Some(name.to_owned()), entry).map_err(inside)
    });
    match headers.collect::<Result<Vec<_>, String>>()? {
        none if none.is_empty() => Err("it holds no array".to_owned()),
        headers => Ok(headers),
    }
}

/// The files of an archive by name; on their own they come in another order each time.
fn file_names<R: io::Read + io::Seek>(archive: &mut NpzArchive<R>) -> Vec<String> {
    let mut files: Vec<String> = archive.zip_archive().file_names().map(str::to_owned).collect();
    files.sort_unstable();
    files
}

fn header(name: Option<String>, reader: impl Read) -> Result<Header, String> {
    let file = NpyFile::new(reader).map_err(|e| e.to_string())?;
    let NpyType::Plain(kind) = file.dtype() else { return Err(RECORDS.to_owned()) };
    let dtype = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 4 | 8) => DType::F32,
        (TypeChar::Float, 2) => DType::F16,
        (TypeChar::Int, 1) => DType::I8,
        (TypeChar::Uint, 1) => DType::U8,
        (TypeChar::Int, 2 | 4) | (TypeChar::Uint, 2) => DType::I32,
        (TypeChar::Int, 8) | (TypeChar::Uint, 4) => DType::I64,
        (TypeChar::Bool, _) => DType::Bool,
        _ => return Err(other_type(&kind)),
    };
    Ok(Header { name, dtype, shape: extents_of(file.shape()) })
}

const RECORDS: &str = "its elements are records; expected numbers";

fn other_type(kind: &npyz::TypeStr) -> String {
    format!("its elements are of type {kind}; expected f16, f32, f64, an integer or bool")
}

fn extents_of(shape: &[u64]) -> Vec<usize> {
    shape.iter().map(|&d| usize::try_from(d).unwrap_or(usize::MAX)).collect()
}

/// As [`read`], from memory; the error says what is wrong.
pub fn parse(bytes: &[u8]) -> Result<Vec<Array>, String> {
    if bytes.starts_with(b"\x93NUMPY") {
        return Ok(vec![Array { name: None, tensor: array(bytes)? }]);
    }
    if !is_npy(bytes) {
        return Err("it begins neither as a .npy nor as a .npz file".to_owned());
    }
    let mut archive = NpzArchive::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
    let files = file_names(&mut archive);
    let named = files.iter().filter_map(|file| Some((file, array_name_from_file_name(file)?)));
    let mut arrays = Vec::new();
    for (file, name) in named {
        let inside = |reason: String| format!("array `{name}`: {reason}");
        let mut contents = Vec::new();
        let mut entry = archive.zip_archive().by_name(file).map_err(|e| inside(e.to_string()))?;
        entry.read_to_end(&mut contents).map_err(|e| inside(e.to_string()))?;
        arrays.push(Array { name: Some(name.to_owned()), tensor: array(&contents).map_err(inside)? });
    }
    if arrays.is_empty() { Err("it holds no array".to_owned()) } else { Ok(arrays) }
}

fn array(bytes: &[u8]) -> Result<Tensor, String> {
    let file = NpyFile::new(bytes).map_err(|e| e.to_string())?;
    let NpyType::Plain(kind) = file.dtype() else {
        return Err(RECORDS.to_owned());
    };
    let shape = extents_of(file.shape());
    match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 4) => dense::<f32>(file, &shape),
        (TypeChar::Float, 2) => dense::<f16>(file, &shape),
        (TypeChar::Float, 8) => converted::<f64, f32>(file, &shape, |v| v as f32),
        (TypeChar::Int, 1) => dense::<i8>(file, &shape),
        (TypeChar::Int, 2) => converted::<i16, i32>(file, &shape, i32::from),
        (TypeChar::Int, 4) => dense::<i32>(file, &shape),
        (TypeChar::Int, 8) => dense::<i64>(file, &shape),
        (TypeChar::Uint, 1) => dense::<u8>(file, &shape),
        (TypeChar::Uint, 2) => converted::<u16, i32>(file, &shape, i32::from),
        (TypeChar::Uint, 4) => converted::<u32, i64>(file, &shape, i64::from),
        (TypeChar::Bool, _) => Tensor::from_bools(&shape, elements(file, &shape)?).map_err(|e| e.to_string()),
        _ => Err(other_type(&kind)),
    }
}

fn dense<T>(file: NpyFile<&[u8]>, shape: &[usize]) -> Result<Tensor, String>
where
    T: npyz::Deserialize + limpid_graph::tensor::Element,
{
    Tensor::new(shape, elements::<T>(file, shape)?).map_err(|e| e.to_string())
}

fn converted<S, T>(file: NpyFile<&[u8]>, shape: &[usize], convert: impl Fn(S) -> T) -> Result<Tensor, String>
where
    S: npyz::Deserialize + Clone,
    T: limpid_graph::tensor::Element,
{
    let elements = elements::<S>(file, shape)?.into_iter().map(convert).collect();
    Tensor::new::<T>(shape, elements).map_err(|e| e.to_string())
}

/// The elements in row-major order.
fn elements<T: npyz::Deserialize + Clone>(file: NpyFile<&[u8]>, shape: &[usize]) -> Result<Vec<T>, String> {
    let order = file.order();
    let stored: Vec<T> = file.into_vec().map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => "it ends before its elements do; it is cut off".to_owned(),
        _ => e.to_string(),
    })?;
    if order == Order::C || shape.len() < 2 {
        return Ok(stored);
    }
    // Column-major: the stride of a dim is the product of those before it.
    let strides: Vec<usize> =
        shape.iter().scan(1, |product, &d| Some(std::mem::replace(product, *product * d))).collect();
    let row_major = row_major_strides(shape);
    let place = |index: usize| {
        let coordinates = row_major.iter().zip(shape).map(|(&stride, &extent)| index / stride % extent);
        coordinates.zip(&strides).map(|(coordinate, stride)| coordinate * stride).sum::<usize>()
    };
    Ok((0..stored.len()).map(|index| stored[place(index)].clone()).collect())
}

/// Writes tensors, whole or not at all: one to a `.npy`, any number with their names to a `.npz`.
///
/// # Errors
/// [`InputError::Write`]; [`InputError::Array`] if a `.npy` is to hold more or fewer than one, or the path ends
/// otherwise.
pub fn write(path: &Path, arrays: &[(&str, &Tensor)]) -> Result<(), InputError> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let written = match (extension, arrays) {
        ("npy", [(_, tensor)]) => encode(tensor),
        ("npz", _) => encode_archive(arrays),
        ("npy", _) => {
            let reason = format!("a .npy holds one array, here are {}; choose a name that ends in .npz", arrays.len());
            return Err(InputError::Array { path: path.to_owned(), reason });
        }
        _ => {
            let reason = "arrays are written to .npy or .npz; choose a name that ends so".to_owned();
            return Err(InputError::Array { path: path.to_owned(), reason });
        }
    };
    let fail = |source| InputError::Write { path: path.to_owned(), source };
    let bytes = written.map_err(fail)?;
    write_whole(path, |out| out.write_all(&bytes)).map_err(fail)
}

fn encode(tensor: &Tensor) -> io::Result<Vec<u8>> {
    macro_rules! begin {
        ($rust:ty, $elements:expr) => {{
            let mut bytes = Vec::new();
            let options = npyz::WriteOptions::<$rust>::new().default_dtype().shape(&extents(tensor));
            let mut writer = options.writer(&mut bytes).begin_nd()?;
            writer.extend($elements)?;
            writer.finish()?;
            Ok(bytes)
        }};
    }
    macro_rules! typed {
        ($rust:ty) => {
            begin!($rust, tensor.as_slice::<$rust>().map_err(io::Error::other)?.iter().copied())
        };
    }
    match tensor.dtype() {
        DType::F32 => typed!(f32),
        DType::F16 => typed!(f16),
        DType::I8 => typed!(i8),
        DType::U8 => typed!(u8),
        DType::I32 => typed!(i32),
        DType::I64 => typed!(i64),
        DType::Bool => begin!(bool, tensor.bytes().iter().map(|&b| b != 0)),
    }
}

fn encode_archive(arrays: &[(&str, &Tensor)]) -> io::Result<Vec<u8>> {
    let mut archive = NpzWriter::new(Cursor::new(Vec::new()));
    let zip = archive.zip_writer();
    for (name, tensor) in arrays {
        // ONNX names may hold slashes, which a zip archive takes for folders; NumPy reads them all the same.
        zip.start_file(npyz::npz::file_name_from_array_name(name), Default::default())?;
        io::Write::write_all(zip, &encode(tensor)?)?;
    }
    Ok(zip.finish()?.into_inner())
}

fn extents(tensor: &Tensor) -> Vec<u64> {
    tensor.shape().iter().map(|&d| d as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fashion(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fashion").join(name)
    }

    #[test]
    fn reads_what_numpy_wrote() {
        let arrays = read(&fashion("test_1000.npz")).expect("an archive");
        let find = |name: &str| arrays.iter().find(|a| a.name.as_deref() == Some(name)).map(|a| &a.tensor);
        let images = find("images").expect("there are images");
        assert_eq!((images.dtype(), images.shape()), (DType::U8, &[1000, 28, 28][..]));
        // The first test image is an ankle boot.
        assert_eq!(find("labels").expect("there are labels").to_i64()[0], 9);
        let [expected] = &read(&fashion("expected_1000.npy")).expect("an array")[..] else { panic!("one array") };
        assert_eq!((expected.tensor.dtype(), expected.tensor.shape()), (DType::F32, &[1000, 10][..]));
    }

    #[test]
    fn fortran_order_and_wide_types_are_converted() {
        let header = |descr: &str, shape: &str| {
            let dict = format!("{{'descr': '{descr}', 'fortran_order': True, 'shape': {shape}, }}\n");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((dict.len() as u16).to_le_bytes());
            bytes.extend(dict.as_bytes());
            bytes
        };
        // [[1, 2, 3], [4, 5, 6]] column by column, in big-endian f64.
        let mut bytes = header(">f8", "(2, 3)");
        bytes.extend([1.0f64, 4.0, 2.0, 5.0, 3.0, 6.0].iter().flat_map(|v| v.to_be_bytes()));
        let arrays = parse(&bytes).expect("an array");
        assert_eq!(arrays[0].tensor, Tensor::new(&[2, 3], vec![1f32, 2., 3., 4., 5., 6.]).expect("a tensor"));
        let mut bytes = header("<u2", "(2, 1, 2)");
        bytes.extend([1u16, 3, 2, 65535].iter().flat_map(|v| v.to_le_bytes()));
        let arrays = parse(&bytes).expect("an array");
        assert_eq!(arrays[0].tensor, Tensor::new(&[2, 1, 2], vec![1i32, 2, 3, 65535]).expect("a tensor"));
        let error = parse(&bytes[..bytes.len() - 1]).expect_err("it is cut off");
        assert!(error.contains("cut off"), "{error}");
        assert!(parse(&header("|O", "(1,)")).is_err());
    }

    #[test]
    fn refuses_names_that_do_not_say_what_to_write() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tensor = Tensor::scalar(1f32);
        let write_to = |name: &str, count: usize| write(&folder.path().join(name), &vec![("a", &tensor); count]);
        assert!(write_to("a.npy", 2).is_err());
        assert!(write_to("a.txt", 1).is_err());
        assert!(write_to("a.npy", 1).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            shape in proptest::collection::vec(1usize..5, 0..4), seed: u64, kind in 0usize..7, archive: bool,
        ) {
            let types = [DType::F32, DType::F16, DType::I8, DType::U8, DType::I32, DType::I64, DType::Bool];
            let tensor = crate::input::random(types[kind], &shape, seed);
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join(if archive { "a.npz" } else { "a.npy" });
            write(&path, &[("x/y", &tensor)]).expect("it can be written");
            let arrays = read(&path).expect("it can be read");
            prop_assert_eq!(&arrays[0].tensor, &tensor);
            prop_assert_eq!(arrays[0].name.as_deref(), archive.then_some("x/y"));
            let header = Header { name: arrays[0].name.clone(), dtype: tensor.dtype(), shape };
            prop_assert_eq!(headers(&path).expect("it can be read"), vec![header]);
        }

        #[test]
        fn noise_is_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), archive: bool) {
            let magic: &[u8] = if archive { b"PK\x03\x04" } else { b"\x93NUMPY\x01\x00" };
            bytes.splice(0..0, magic.iter().copied());
            prop_assert!(parse(&bytes).is_err());
        }
    }
}
