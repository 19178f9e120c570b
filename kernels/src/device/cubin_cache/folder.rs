//! The cache's folder: one file per cubin, written whole or not at all.

use super::Cubin;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// What every file begins with; the digit is the format's version.
const MAGIC: &[u8; 8] = b"LIMPIDC1";
const EXTENSION: &str = "cubin";
/// A temporary file this old belongs to a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    limit: u64,
    /// Bytes in the folder; counted at the first write, then kept up to date. Other processes' files are seen
    /// again whenever the limit is reached.
    bytes: Mutex<Option<u64>>,
}

impl Folder {
    pub fn new(path: PathBuf, limit: u64) -> Self {
        Self { path, limit, bytes: Mutex::new(None) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name).with_extension(EXTENSION)
    }

    /// The cubin of that name. A file that is damaged is removed and counts as absent.
    pub fn read(&self, name: &str) -> io::Result<Option<Cubin>> {
        let path = self.file(name);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let Some(cubin) = decode(&bytes) else {
            tracing::warn!("{} is damaged; the kernel is compiled again", path.display());
            fs::remove_file(&path)?;
            return Ok(None);
        };
        // The time of the last use decides what goes first. A read-only folder is no reason to compile again.
        if let Err(error) = File::options().append(true).open(&path).and_then(|f| f.set_modified(SystemTime::now())) {
            tracing::debug!("{}: {error}", path.display());
        }
        Ok(Some(cubin))
    }

    /// Writes under a temporary name and renames, so that no reader ever sees half a file.
    pub fn write(&self, name: &str, cubin: &Cubin) -> io::Result<()> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let bytes = encode(cubin)?;
        fs::create_dir_all(&self.path)?;
        let unique = format!(".{name}.{}.{}.tmp", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let temporary = self.path.join(unique);
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| fs::rename(&temporary, self.file(name)));
        if written.is_err() {
            // The first error is the one that tells; what is left of the file has no use.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        self.prune(bytes.len() as u64)
    }

    /// Counts what was added, and removes the files not used for longest once there is too much.
    fn prune(&self, added: u64) -> io::Result<()> {
        let mut total = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = *total
            && bytes + added <= self.limit
        {
            *total = Some(bytes + added);
            return Ok(());
        }
        let mut files = self.files()?;
        let mut bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
        files.sort();
        // A tenth is cleared at once, so that not every write has to look through the folder.
        let goal = if bytes > self.limit { self.limit - self.limit / 10 } else { self.limit };
        for (_, length, path) in files {
            if bytes <= goal {
                break;
            }
            remove_if_there(&path)?;
            bytes -= length;
        }
        *total = Some(bytes);
        Ok(())
    }

    /// Time of last use, size and path of each cubin. Abandoned temporary files are removed on the way.
    fn files(&self) -> io::Result<Vec<(SystemTime, u64, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            // Another process may remove a file between the listing and this look at it.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let used = metadata.modified()?;
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(EXTENSION) => files.push((used, metadata.len(), path)),
                Some("tmp") if used.elapsed().is_ok_and(|age| age > ABANDONED) => remove_if_there(&path)?,
                _ => {}
            }
        }
        Ok(files)
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// `LIMPIDC1`, the payload's blake3 hash, the payload.
fn encode(cubin: &Cubin) -> io::Result<Vec<u8>> {
    let payload = postcard::to_stdvec(cubin).map_err(io::Error::other)?;
    Ok([MAGIC.as_slice(), blake3::hash(&payload).as_bytes(), &payload].concat())
}

fn decode(bytes: &[u8]) -> Option<Cubin> {
    let (checksum, payload) = bytes.strip_prefix(MAGIC)?.split_at_checked(blake3::OUT_LEN)?;
    if blake3::hash(payload).as_bytes() != checksum {
        return None;
    }
    postcard::from_bytes(payload).ok()
}
