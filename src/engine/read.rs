use super::format::{Entry, Head, HeadError, MAGIC, Section, VERSION, version};
use super::{Engine, EngineError, StoredTensor};
use limpid_graph::ir::{Graph, ValueId};
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::MappedFile;
use serde::de::DeserializeOwned;
use std::path::Path;

impl Engine {
    /// Reads an engine file. Every byte is checked against the checksums; weights stay where they lie, mapped.
    ///
    /// # Errors
    /// An [`EngineError`] that names the section that is truncated or damaged, the format of a newer file, or
    /// what the file is instead of an engine.
    pub fn read(path: &Path) -> Result<Self, EngineError> {
        let file = EngineFile::open(path)?;
        let mut graph: Graph = file.decode(Section::Graph)?;
        check_references(&graph).map_err(|reason| file.damaged(Section::Graph, reason))?;
        file.attach_constants(&mut graph)?;
        graph.verify().map_err(|e| file.damaged(Section::Graph, e.to_string()))?;
        Ok(Self {
            metadata: file.decode(Section::Metadata)?,
            graph,
            ledger: file.decode(Section::Ledger)?,
            plans: file.decode(Section::Plans)?,
            cubins: file.decode(Section::Cubins)?,
            sources: file.decode(Section::Sources)?,
            calibration: file.decode(Section::Calibration)?,
        })
    }

    /// True if the file begins as an engine does, whatever its version and state.
    pub fn is_engine(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC[..6])
    }
}

/// A file whose head and checksums hold.
struct EngineFile<'a> {
    path: &'a Path,
    map: MappedFile,
    head: Head,
}

impl<'a> EngineFile<'a> {
    fn open(path: &'a Path) -> Result<Self, EngineError> {
        let read = |source| EngineError::Read { path: path.to_owned(), source };
        let not_an_engine = |found: &str| EngineError::NotAnEngine { path: path.to_owned(), found: found.to_owned() };
        let metadata = std::fs::metadata(path).map_err(read)?;
        if metadata.is_dir() {
            return Err(not_an_engine("it is a directory"));
        }
        if metadata.len() == 0 {
            return Err(not_an_engine("it is empty"));
        }
        let map = MappedFile::open(path).map_err(read)?;
        let bytes = map.as_ref();
        let found = bytes.len() as u64;
        if !bytes.starts_with(&MAGIC) {
            return Err(match MAGIC.starts_with(bytes) {
                true => EngineError::Truncated {
                    path: path.to_owned(),
                    section: "header".to_owned(),
                    expected: super::format::HEADER_BYTES as u64,
                    found,
                },
                false => not_an_engine(&describe(bytes)),
            });
        }
        if let Some(other) = version(bytes).filter(|&v| v != VERSION) {
            return Err(EngineError::Version { path: path.to_owned(), found: other, known: VERSION });
        }
        let head = Head::decode(bytes).map_err(|e| match e {
            HeadError::Truncated { expected } => {
                EngineError::Truncated { path: path.to_owned(), section: "section table".to_owned(), expected, found }
            }
            HeadError::Checksum => EngineError::Damaged {
                path: path.to_owned(),
                section: "section table".to_owned(),
                reason: CHECKSUM.to_owned(),
            },
        })?;
        let file = Self { path, map, head };
        file.check_length()?;
        file.check_sections()?;
        Ok(file)
    }

    fn check_length(&self) -> Result<(), EngineError> {
        let (expected, found) = (self.head.file_length, self.map.as_ref().len() as u64);
        let cut = self.head.entries.iter().find(|e| e.end().is_none_or(|end| end > found));
        match cut {
            Some(entry) => Err(EngineError::Truncated {
                path: self.path.to_owned(),
                section: entry.name.clone(),
                expected: expected.max(entry.end().unwrap_or(u64::MAX)),
                found,
            }),
            None if expected != found => {
                let reason = format!("it should end after {expected} bytes, but {found} are there");
                Err(self.damaged_at("end of file", reason))
            }
            None => Ok(()),
        }
    }

    /// Every byte counts: sections have checksums, and what lies between them is zero.
    fn check_sections(&self) -> Result<(), EngineError> {
        let bytes = self.map.as_ref();
        let mut end = Head::bytes_for(self.head.entries.len());
        for entry in &self.head.entries {
            let section = self.bytes_of(entry);
            let gap = bytes.get(end..entry.offset as usize).unwrap_or_default();
            if gap.iter().any(|&b| b != 0) {
                return Err(self.damaged_at(&entry.name, "the bytes before it should be zero".to_owned()));
            }
            if blake3::hash(section) != entry.checksum {
                return Err(self.damaged_at(&entry.name, CHECKSUM.to_owned()));
            }
            end = entry.offset as usize + section.len();
        }
        Ok(())
    }

    /// Lengths were checked against the file's before this is called.
    fn bytes_of(&self, entry: &Entry) -> &[u8] {
        let start = usize::try_from(entry.offset).unwrap_or(usize::MAX);
        let end = entry.end().and_then(|end| usize::try_from(end).ok()).unwrap_or(usize::MAX);
        self.map.as_ref().get(start..end).unwrap_or_default()
    }

    fn entry(&self, section: Section) -> Result<&Entry, EngineError> {
        self.head.entry(section).ok_or_else(|| self.damaged(section, "it is missing".to_owned()))
    }

    fn decode<T: DeserializeOwned>(&self, section: Section) -> Result<T, EngineError> {
        let bytes = self.bytes_of(self.entry(section)?);
        let (value, rest) = postcard::take_from_bytes(bytes)
            .map_err(|e| self.damaged(section, format!("it cannot be decoded: {e}")))?;
        match rest.len() {
            0 => Ok(value),
            left => Err(self.damaged(section, format!("{left} bytes are left over after decoding it"))),
        }
    }

    /// Gives each constant its contents, where they lie in the file.
    fn attach_constants(&self, graph: &mut Graph) -> Result<(), EngineError> {
        let weights = self.entry(Section::Weights)?.clone();
        for stored in self.decode::<Vec<StoredTensor>>(Section::Constants)? {
            let tensor = self
                .tensor(&stored, &weights)
                .map_err(|reason| self.damaged(Section::Constants, format!("constant {}: {reason}", stored.value.0)))?;
            if graph.get_value(stored.value).is_none_or(|v| v.producer.is_some()) {
                return Err(self.damaged(Section::Constants, format!("the graph has no constant {}", stored.value.0)));
            }
            graph.value_mut(stored.value).constant = Some(tensor);
        }
        Ok(())
    }

    fn tensor(&self, stored: &StoredTensor, weights: &Entry) -> Result<Tensor, String> {
        let size = stored.shape.iter().try_fold(stored.dtype.size(), |size, &extent| size.checked_mul(extent));
        let end = size.and_then(|size| stored.offset.checked_add(size as u64)).filter(|&end| end <= weights.length);
        let start = end.and_then(|_| usize::try_from(weights.offset + stored.offset).ok());
        let start = start.ok_or("it reaches beyond the section of weights")?;
        Tensor::shared(stored.dtype, &stored.shape, self.map.clone(), start).map_err(|e| e.to_string())
    }

    fn damaged(&self, section: Section, reason: String) -> EngineError {
        self.damaged_at(section.name(), reason)
    }

    fn damaged_at(&self, section: &str, reason: String) -> EngineError {
        EngineError::Damaged { path: self.path.to_owned(), section: section.to_owned(), reason }
    }
}

const CHECKSUM: &str = "its checksum does not match";

/// The graph's own checks look ids up without asking, so it is asked here whether they are there.
fn check_references(graph: &Graph) -> Result<(), String> {
    let known = |id: ValueId| graph.get_value(id).is_some();
    let dangling = |what: &str| Err(format!("{what} refers to a value that is not there"));
    if !graph.inputs.iter().chain(&graph.outputs).all(|&v| known(v)) {
        return dangling("the list of inputs and outputs");
    }
    for (_, node) in graph.nodes() {
        if !node.inputs.iter().chain(&node.outputs).all(|&v| known(v)) {
            return dangling(&format!("node `{}`", node.name));
        }
    }
    match graph.values().find(|(_, v)| v.producer.is_some_and(|p| graph.get_node(p).is_none())) {
        Some((_, value)) => Err(format!("value `{}` is made by a node that is not there", value.name)),
        None => Ok(()),
    }
}

/// What a file that is no engine most likely is.
fn describe(bytes: &[u8]) -> String {
    if bytes.starts_with(&MAGIC[..6]) {
        return "it begins like one, but its line ends were changed; it was transferred as text".to_owned();
    }
    match limpid_graph::onnx::describe(bytes) {
        Some(found) => found.to_owned(),
        // A protobuf whose first field is number 1 with a small integer: ONNX's ir_version.
        None if bytes.starts_with(&[0x08]) => {
            "it looks like an ONNX model; build an engine from it with `limpid build`".to_owned()
        }
        None => "it does not begin as one".to_owned(),
    }
}
