use super::format::{ALIGNMENT, Entry, Head, Section};
use super::{Engine, EngineError, StoredTensor};
use crate::output_file::write_whole;
use limpid_graph::tensor::Tensor;
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

impl Engine {
    /// Writes the engine file, whole or not at all.
    ///
    /// # Errors
    /// [`EngineError::Write`] with what the system says.
    pub fn write(&self, path: &Path) -> Result<(), EngineError> {
        let (constants, tensors) = self.place_constants();
        let sections = Section::ALL.map(|section| self.contents(section, &constants));
        let mut contents = Vec::new();
        for (section, encoded) in Section::ALL.into_iter().zip(sections) {
            let encoded =
                encoded.map_err(|e| EngineError::Encode { section: section.name(), reason: e.to_string() })?;
            contents.push((
                section,
                if section == Section::Weights { Content::Tensors(&tensors) } else { Content::Bytes(encoded) },
            ));
        }
        let head = place_sections(&contents);
        let write = |out: &mut dyn Write| {
            let mut out = Counted { out, position: 0 };
            out.write_all(&head.encode())?;
            for (entry, (_, content)) in head.entries.iter().zip(&contents) {
                out.pad_to(entry.offset)?;
                content.write(&mut out)?;
            }
            out.pad_to(head.file_length)
        };
        write_whole(path, write).map_err(|source| EngineError::Write { path: path.to_owned(), source })
    }

    /// The constants in order of their ids, each with its place in the section of weights.
    fn place_constants(&self) -> (Vec<StoredTensor>, Vec<&Tensor>) {
        let mut offset = 0;
        let with_contents = self.graph.values().filter_map(|(id, value)| Some((id, value.constant.as_ref()?)));
        with_contents
            .map(|(value, tensor)| {
                let stored = StoredTensor { value, dtype: tensor.dtype(), shape: tensor.shape().to_vec(), offset };
                offset = (offset + tensor.bytes().len() as u64).next_multiple_of(ALIGNMENT);
                (stored, tensor)
            })
            .unzip()
    }

    fn contents(&self, section: Section, constants: &[StoredTensor]) -> Result<Vec<u8>, postcard::Error> {
        match section {
            Section::Metadata => encode(&self.metadata),
            Section::Graph => encode(&self.graph),
            Section::Constants => encode(&constants),
            Section::Weights => Ok(Vec::new()),
            Section::Sources => encode(&self.sources),
            Section::Cubins => encode(&self.cubins),
            Section::Plans => encode(&self.plans),
            Section::Ledger => encode(&self.ledger),
            Section::Calibration => encode(&self.calibration),
        }
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_allocvec(value)
}

/// What a section is made of. Weights are written from where they lie: they may be larger than the rest of memory.
enum Content<'a> {
    Bytes(Vec<u8>),
    Tensors(&'a [&'a Tensor]),
}

impl Content<'_> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Content::Bytes(bytes) => out.write_all(bytes),
            Content::Tensors(tensors) => {
                let mut out = Counted { out, position: 0 };
                for tensor in *tensors {
                    out.pad_to(out.position.next_multiple_of(ALIGNMENT))?;
                    out.write_all(tensor.bytes())?;
                }
                Ok(())
            }
        }
    }

    /// Its length and checksum, by writing it to nowhere.
    fn measure(&self) -> (u64, blake3::Hash) {
        let mut hasher = blake3::Hasher::new();
        let mut counted = Counted { out: &mut hasher, position: 0 };
        // A hasher takes everything.
        let _ = self.write(&mut counted);
        (counted.position, hasher.finalize())
    }
}

fn place_sections(contents: &[(Section, Content<'_>)]) -> Head {
    let mut end = Head::bytes_for(contents.len()) as u64;
    let mut entries = Vec::new();
    for (section, content) in contents {
        let offset = end.next_multiple_of(ALIGNMENT);
        let (length, checksum) = content.measure();
        entries.push(Entry { name: section.name().to_owned(), offset, length, checksum });
        end = offset + length;
    }
    Head { file_length: end, entries }
}

/// A writer that knows where it is.
struct Counted<'a> {
    out: &'a mut dyn Write,
    position: u64,
}

impl Counted<'_> {
    fn pad_to(&mut self, position: u64) -> io::Result<()> {
        let missing = position.saturating_sub(self.position);
        self.write_all(&[0; ALIGNMENT as usize][..missing.min(ALIGNMENT) as usize])
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
