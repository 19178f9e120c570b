//! Names for what a thread is doing, for profilers to show: NVTX ranges.
//!
//! A [`Range`] is on from its making to its end; ranges of one thread nest. Nsight Systems draws them above the calls
//! and kernels that were enqueued inside. A CUDA graph that is launched again enqueues nothing node by node, so its
//! kernels show under the range of the launch; `nsys profile --cuda-graph-trace=node` names each of them, and the
//! range of each ONNX node is seen where the graph is recorded.
//!
//! NVTX belongs to the profilers, not to limpid: a range is nothing where its library is not found, and next to nothing
//! where no profiler listens. `libnvtx3interop` is what CUDA 13 and the PyPI wheel `nvidia-nvtx` have,
//! `libnvToolsExt` is what was there before.
//! Source: <https://nvidia.github.io/NVTX/doxygen/group___m_a_r_k_e_r_s___a_n_d___r_a_n_g_e_s.html>

use super::library;
use libloading::Library;
use std::ffi::{CString, c_char, c_int};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::OnceLock;

/// Names of the library, the newest first.
const NAMES: [&str; 3] = ["libnvtx3interop.so.1", "libnvtx3interop.so", "libnvToolsExt.so.1"];

type Push = unsafe extern "C" fn(*const c_char) -> c_int;
type Pop = unsafe extern "C" fn() -> c_int;

/// The two functions, and the library that they are in.
struct Nvtx {
    push: Push,
    pop: Pop,
    _library: Library,
}

impl Nvtx {
    /// Where the loader looks, else in the folders that CUDA's libraries are usually in.
    fn find() -> Option<Self> {
        let by_loader = NAMES.iter().find_map(|name| Self::open(Path::new(name)));
        by_loader.or_else(|| {
            let files = library::usual_folders().into_iter().flat_map(|folder| NAMES.map(|name| folder.join(name)));
            files.filter(|file| file.exists()).find_map(|file| Self::open(&file))
        })
    }

    /// `None` if it is no library, or one without ranges.
    fn open(path: &Path) -> Option<Self> {
        // SAFETY: the initialisers of NVIDIA's libraries have no preconditions.
        let library = unsafe { Library::new(path) }.ok()?;
        // SAFETY: these are the functions' signatures in nvToolsExt.h, in every version.
        let push = unsafe { library.get::<Push>(b"nvtxRangePushA\0") }.map(|symbol| *symbol);
        // SAFETY: as above.
        let pop = unsafe { library.get::<Pop>(b"nvtxRangePop\0") }.map(|symbol| *symbol);
        let (Ok(push), Ok(pop)) = (push, pop) else { return None };
        tracing::debug!("NVTX loaded from {}", path.display());
        Some(Self { push, pop, _library: library })
    }
}

fn nvtx() -> Option<&'static Nvtx> {
    static NVTX: OnceLock<Option<Nvtx>> = OnceLock::new();
    NVTX.get_or_init(Nvtx::find).as_ref()
}

/// A named stretch of a thread's time.
#[derive(Debug)]
#[must_use = "a range ends when it is dropped"]
pub struct Range {
    open: bool,
    // Ranges are counted by thread: one ends where it began.
    _of_this_thread: PhantomData<*const ()>,
}

impl Range {
    /// Begins a range.
    pub fn new(name: &str) -> Self {
        let open = nvtx().is_some_and(|nvtx| {
            // A name ends at its first zero.
            let Ok(name) = CString::new(name.replace('\0', " ")) else { return false };
            // SAFETY: the name is terminated and outlives the call, which copies it. What comes back is the depth, or a
            // negative number where nobody listens.
            unsafe { (nvtx.push)(name.as_ptr()) };
            true
        });
        Self { open, _of_this_thread: PhantomData }
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        if self.open
            && let Some(nvtx) = nvtx()
        {
            // SAFETY: the function has no preconditions; this thread pushed the range, since a `Range` stays on it.
            unsafe { (nvtx.pop)() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_is_passed_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("libnvtx3interop.so.1");
        std::fs::write(&path, b"text").expect("a file");
        assert!(Nvtx::open(&path).is_none());
        assert!(Nvtx::open(Path::new("libno-such-library.so")).is_none());
    }

    #[test]
    fn ranges_nest_with_and_without_a_library() {
        let outer = Range::new("outer");
        let inner = Range::new("a name with a zero \0 in it");
        assert_eq!(outer.open, inner.open);
        assert_eq!(outer.open, nvtx().is_some());
    }
}
