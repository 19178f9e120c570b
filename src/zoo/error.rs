use limpid_graph::onnx::WriteError;
use limpid_graph::tensor::TensorError;
use std::path::PathBuf;

/// Why a network cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ZooError {
    /// The network's strides do not divide the picture.
    #[error("{network} takes square pictures whose side is a multiple of {multiple}, got {got}")]
    Size {
        /// Its name.
        network: &'static str,
        /// What its strides come to.
        multiple: usize,
        /// The size asked for.
        got: usize,
    },
    /// The network's layers count on the size of its pictures.
    #[error("{network} cannot leave the size of its pictures open: its layers count on it")]
    FixedSize {
        /// Its name.
        network: &'static str,
    },
    /// The weights do not fill their shape.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The model does not hold together.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The file cannot be written.
    #[error("cannot write `{path}`")]
    Io {
        /// The path as given.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}
