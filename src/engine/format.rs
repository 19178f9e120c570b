//! The layout of an engine file. All numbers are little-endian.
//!
//! ```text
//! 0   magic      8 bytes   "LIMPID\r\n"; the line end shows a transfer that took the file for text
//! 8   version    u32
//! 12  sections   u32
//! 16  length     u64       of the whole file
//! 24  zeros      8 bytes
//! 32  checksum   32 bytes  blake3 of bytes 0..32 and the section table
//! 64  table      64 bytes for each section:
//!                  name 16 bytes, padded with zeros; offset u64; length u64; blake3 of its bytes
//! ..  sections   each at a multiple of 64 bytes, zeros between
//! ```
//!
//! | section     | what it holds                                                                        |
//! |-------------|--------------------------------------------------------------------------------------|
//! | `metadata`  | what the engine says of itself                                                       |
//! | `graph`     | nodes and values after all passes, without constants                                 |
//! | `constants` | type, shape and place of each constant in `weights`                                  |
//! | `weights`   | the constants' elements, each tensor at a multiple of 64 bytes; used where they lie  |
//! | `sources`   | kernel sources and headers, by path                                                  |
//! | `cubins`    | compiled kernels                                                                     |
//! | `plans`     | steps, tactics with everything that lost to them, memory                             |
//! | `ledger`    | what became of every ONNX node                                                       |
//! | `calibration` | where the scales of INT8 come from, if they were calibrated for this engine        |
//!
//! All but `weights` are encoded by postcard. Postcard does not describe itself, so any change to a type that is
//! stored raises [`VERSION`]. Checksums find damage; they do not protect against someone who means harm.

/// Marks an engine file.
pub(super) const MAGIC: [u8; 8] = *b"LIMPID\r\n";

/// The format this program writes, and the only one it reads.
pub(super) const VERSION: u32 = 6;

/// Sections and tensors start at multiples of this: a cache line, and the widest vector any CPU loads.
pub(super) const ALIGNMENT: u64 = 64;

/// Bytes of the header, and of each entry of the table.
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const ENTRY_BYTES: usize = 64;
const NAME_BYTES: usize = 16;

/// The sections, in the order they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Metadata,
    Graph,
    Constants,
    Weights,
    Sources,
    Cubins,
    Plans,
    Ledger,
    Calibration,
}

impl Section {
    pub(super) const ALL: [Section; 9] = [
        Section::Metadata,
        Section::Graph,
        Section::Constants,
        Section::Weights,
        Section::Sources,
        Section::Cubins,
        Section::Plans,
        Section::Ledger,
        Section::Calibration,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Section::Metadata => "metadata",
            Section::Graph => "graph",
            Section::Constants => "constants",
            Section::Weights => "weights",
            Section::Sources => "sources",
            Section::Cubins => "cubins",
            Section::Plans => "plans",
            Section::Ledger => "ledger",
            Section::Calibration => "calibration",
        }
    }
}

/// One line of the section table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub offset: u64,
    pub length: u64,
    pub checksum: blake3::Hash,
}

impl Entry {
    /// One past its last byte; `None` beyond what 64 bits count.
    pub(super) fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.length)
    }

    fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..self.name.len()].copy_from_slice(self.name.as_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.length.to_le_bytes());
        bytes[32..].copy_from_slice(self.checksum.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let name = bytes[..NAME_BYTES].split(|&b| b == 0).next().unwrap_or_default();
        Self {
            name: String::from_utf8_lossy(name).into_owned(),
            offset: u64_at(bytes, 16),
            length: u64_at(bytes, 24),
            checksum: blake3::Hash::from_bytes(std::array::from_fn(|i| bytes[32 + i])),
        }
    }
}

/// The header and the section table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub file_length: u64,
    pub entries: Vec<Entry>,
}

impl Head {
    /// Bytes of a head with this many sections.
    pub(super) fn bytes_for(sections: usize) -> usize {
        HEADER_BYTES + sections * ENTRY_BYTES
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::bytes_for(self.entries.len()));
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((self.entries.len() as u32).to_le_bytes());
        bytes.extend(self.file_length.to_le_bytes());
        bytes.resize(HEADER_BYTES, 0);
        for entry in &self.entries {
            bytes.extend(entry.encode());
        }
        let checksum = checksum(&bytes);
        bytes[32..HEADER_BYTES].copy_from_slice(checksum.as_bytes());
        bytes
    }

    /// Reads the head of a file that begins with `bytes`, if its checksum is right. The magic number and the
    /// version have been looked at before.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeadError> {
        let header = bytes.get(..HEADER_BYTES).ok_or(HeadError::Truncated { expected: HEADER_BYTES as u64 })?;
        let count = u32_at(header, 12) as usize;
        let size = Self::bytes_for(count);
        let head = bytes.get(..size).ok_or(HeadError::Truncated { expected: size as u64 })?;
        if checksum(head).as_bytes() != &head[32..HEADER_BYTES] {
            return Err(HeadError::Checksum);
        }
        let (table, _) = head[HEADER_BYTES..].as_chunks::<ENTRY_BYTES>();
        Ok(Self { file_length: u64_at(header, 16), entries: table.iter().map(Entry::decode).collect() })
    }

    pub(super) fn entry(&self, section: Section) -> Option<&Entry> {
        self.entries.iter().find(|e| e.name == section.name())
    }
}

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    /// The file ends before it.
    Truncated { expected: u64 },
    /// Its bytes are not those that were written.
    Checksum,
}

/// The version a file claims, if it is long enough to have one.
pub(super) fn version(bytes: &[u8]) -> Option<u32> {
    bytes.get(8..12).map(|b| u32_at(b, 0))
}

/// Over everything in the head but the checksum itself.
fn checksum(head: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&head[..32]);
    hasher.update(&head[HEADER_BYTES..]);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back() {
        let entry = |name: &str, offset| Entry {
            name: name.to_owned(),
            offset,
            length: 5,
            checksum: blake3::hash(name.as_bytes()),
        };
        let head = Head { file_length: 400, entries: vec![entry("metadata", 192), entry("sixteen letters!", 256)] };
        let bytes = head.encode();
        assert_eq!(bytes.len(), Head::bytes_for(2));
        assert_eq!(Head::decode(&bytes), Ok(head));
    }

    #[test]
    fn section_names_fit_and_differ() {
        let mut names: Vec<&str> = Section::ALL.iter().map(|s| s.name()).collect();
        assert!(names.iter().all(|n| n.len() <= NAME_BYTES));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Section::ALL.len());
    }
}
