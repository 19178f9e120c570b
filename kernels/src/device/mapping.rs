//! Files mapped into memory: an engine's weights are read where they lie, without a copy.

use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file's bytes, mapped for reading. The first byte lies at the start of a page, so offsets in the file are
/// alignments in memory. A clone is the same mapping; the last one unmaps it.
#[derive(Clone, Debug)]
pub struct MappedFile(Arc<Mmap>);

impl MappedFile {
    /// Maps the whole file.
    ///
    /// # Errors
    /// The system's: not there, not readable, a directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the mapping is read-only, and limpid never writes into a file that is there: it writes a new one
        // beside it and renames, which leaves the mapped one as it was. Another program that truncates or
        // overwrites the file in place while it is mapped breaks this, as it would break any program that maps it;
        // the mapped bytes are only ever read as plain numbers, never as anything with invalid values.
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Self(Arc::new(map)))
    }
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_outlives_the_name_of_its_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("bytes");
        std::fs::write(&path, [7u8; 100]).expect("a file");
        let map = MappedFile::open(&path).expect("it can be mapped");
        // What limpid does when it writes an engine anew: the old bytes stay with whoever mapped them.
        std::fs::write(folder.path().join("new"), [9u8; 50]).expect("a file");
        std::fs::rename(folder.path().join("new"), &path).expect("a rename");
        assert_eq!(map.as_ref(), [7u8; 100]);
        assert_eq!(MappedFile::open(&path).expect("it can be mapped").as_ref(), [9u8; 50]);
    }

    #[test]
    fn what_is_not_a_file_is_an_error() {
        assert!(MappedFile::open(Path::new("/no/such/file")).is_err());
        assert!(MappedFile::open(&std::env::temp_dir()).is_err());
    }
}
