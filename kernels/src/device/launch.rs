//! Launches with their arguments filled in.

use super::aligned::AlignedBytes;
use super::buffer::DevicePtr;
use super::context::Device;
use super::cubin::Cubin;
use super::driver::check;
use super::error::DeviceError;
use super::module::Function;
use super::stream::Stream;
use super::tensor_map;
use crate::launch::{Arg, Launch, Role};
use cudarc::driver::sys;
use std::ffi::c_void;
use std::ptr;

impl Device {
    /// Loads a launch's kernel from its cubin and fills in its arguments. `resolve` says where tensors lie.
    ///
    /// # Errors
    /// [`DeviceError::Arguments`] if the kernel takes others, [`DeviceError::Unassigned`] if `resolve` does not know a
    /// tensor, [`DeviceError::Dimensions`] if nothing can be launched so, or as [`Function::new`].
    pub fn prepare(
        &self,
        launch: &Launch,
        cubin: &Cubin,
        resolve: &dyn Fn(Role) -> Option<DevicePtr>,
    ) -> Result<PreparedLaunch, DeviceError> {
        check_dimensions(launch)?;
        let (arguments, offsets) = pack(launch, &cubin.resources.parameters, resolve)?;
        let function = Function::new(self, cubin, &launch.unit.entry, launch.shared_bytes)?;
        let (grid, block, shared_bytes) = (launch.grid, launch.block, launch.shared_bytes);
        let (cluster, dependent) = (launch.cluster, launch.dependent);
        Ok(PreparedLaunch { function, grid, block, cluster, shared_bytes, dependent, arguments, offsets })
    }
}

/// A launch that only has to be enqueued.
#[derive(Clone, Debug)]
pub struct PreparedLaunch {
    function: Function,
    grid: [u32; 3],
    block: [u32; 3],
    cluster: [u32; 3],
    shared_bytes: u32,
    dependent: bool,
    arguments: AlignedBytes,
    offsets: Vec<usize>,
}

impl PreparedLaunch {
    /// The kernel.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Enqueues it. The arguments are copied; the memory they point to must stay until the kernel has run.
    ///
    /// # Errors
    /// The driver's. An error of the kernel itself shows at the next synchronisation.
    pub fn enqueue(&self, stream: &Stream) -> Result<(), DeviceError> {
        self.function.device().bind()?;
        let arguments = self.arguments.bytes().as_ptr();
        let mut pointers: Vec<*mut c_void> =
            self.offsets.iter().map(|&offset| arguments.wrapping_add(offset).cast_mut().cast()).collect();
        let [grid_x, grid_y, grid_z] = self.grid;
        let [block_x, block_y, block_z] = self.block;
        let mut attributes = attributes(self.cluster, self.dependent);
        let config = sys::CUlaunchConfig {
            gridDimX: grid_x,
            gridDimY: grid_y,
            gridDimZ: grid_z,
            blockDimX: block_x,
            blockDimY: block_y,
            blockDimZ: block_z,
            sharedMemBytes: self.shared_bytes,
            hStream: stream.raw(),
            attrs: attributes.as_mut_ptr(),
            numAttrs: attributes.len() as u32,
        };
        // SAFETY: function and stream exist; `pointers` has one entry per parameter, each leading to as many bytes as
        // the kernel declares (`pack` compared them), which the driver copies before it returns and does not write;
        // `attrs` leads to `numAttrs` attributes, which outlive the call.
        let code =
            unsafe { sys::cuLaunchKernelEx(&config, self.function.raw(), pointers.as_mut_ptr(), ptr::null_mut()) };
        check("cuLaunchKernelEx", code)
    }
}

/// What the driver is told of a launch besides its extents.
fn attributes(cluster: [u32; 3], dependent: bool) -> Vec<sys::CUlaunchAttribute> {
    use sys::CUlaunchAttributeID::{
        CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
    };
    let attribute = |id, value| sys::CUlaunchAttribute { id, pad: [0; 4], value };
    // Recorded into a graph this becomes a programmatic edge; behind a copy or a fill it is an ordinary one.
    let early = attribute(
        CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
        sys::CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 },
    );
    let [x, y, z] = cluster;
    let extents = attribute(
        CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
        sys::CUlaunchAttributeValue { clusterDim: sys::CUlaunchAttributeValue_union__bindgen_ty_1 { x, y, z } },
    );
    let wanted = [(dependent, early), (cluster != Launch::ALONE, extents)];
    wanted.into_iter().filter_map(|(wanted, attribute)| wanted.then_some(attribute)).collect()
}

/// The arguments' bytes and where each begins, compared with what the kernel declares.
fn pack(
    launch: &Launch,
    parameters: &[u32],
    resolve: &dyn Fn(Role) -> Option<DevicePtr>,
) -> Result<(AlignedBytes, Vec<usize>), DeviceError> {
    let entry = &launch.unit.entry;
    let find = |role: Role| resolve(role).ok_or_else(|| DeviceError::Unassigned { entry: entry.clone(), role });
    let arguments = launch.args.iter().map(|argument| match argument {
        Arg::Pointer(role) => Ok(find(*role)?.address().to_ne_bytes().to_vec()),
        Arg::TensorMap(map) => tensor_map::encode(map, find(map.role)?),
        Arg::Null => Ok(0u64.to_ne_bytes().to_vec()),
        Arg::Ahead { bytes: 0, beside } => Ok(Arg::ahead(0, 0, launch.blocks(), *beside)),
        Arg::Ahead { bytes, beside } => Ok(Arg::ahead(find(Role::Ahead)?.address(), *bytes, launch.blocks(), *beside)),
        Arg::Bytes(bytes) => Ok(bytes.clone()),
    });
    let arguments: Vec<Vec<u8>> = arguments.collect::<Result<_, DeviceError>>()?;
    let found: Vec<u32> = arguments.iter().map(|bytes| bytes.len() as u32).collect();
    if found != parameters {
        return Err(DeviceError::Arguments { entry: entry.clone(), expected: parameters.to_vec(), found });
    }
    Ok(AlignedBytes::pack(arguments.iter().map(Vec::as_slice)))
}

/// The bounds every GPU since sm_50 has; CUDA C++ programming guide, table "Technical Specifications per Compute
/// Capability". The driver would only say "invalid value".
fn check_dimensions(launch: &Launch) -> Result<(), DeviceError> {
    const GRID: [(&str, u64); 3] = [("grid x", 0x7FFF_FFFF), ("grid y", 65_535), ("grid z", 65_535)];
    const BLOCK: [(&str, u64); 3] = [("block x", 1024), ("block y", 1024), ("block z", 64)];
    let refuse = |what, found, bound: u64| DeviceError::Dimensions {
        entry: launch.unit.entry.clone(),
        what,
        found,
        allowed: format!("1 to {bound}"),
    };
    for (&extent, (what, bound)) in launch.grid.iter().chain(&launch.block).zip(GRID.into_iter().chain(BLOCK)) {
        let extent = u64::from(extent);
        if !(1..=bound).contains(&extent) {
            return Err(refuse(what, extent, bound));
        }
    }
    let threads: u64 = launch.block.iter().map(|&extent| u64::from(extent)).product();
    if threads > 1024 {
        return Err(refuse("the number of threads in a block", threads, 1024));
    }
    let blocks: u64 = launch.cluster.iter().map(|&extent| u64::from(extent)).product();
    if !(1..=8).contains(&blocks) {
        return Err(refuse("the number of blocks in a cluster", blocks, 8));
    }
    for (what, (&of, &extent)) in
        ["grid x", "grid y", "grid z"].into_iter().zip(launch.cluster.iter().zip(&launch.grid))
    {
        if extent % of != 0 {
            let allowed = format!("a multiple of the cluster's {of}");
            let entry = launch.unit.entry.clone();
            return Err(DeviceError::Dimensions { entry, what, found: extent.into(), allowed });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::CompileUnit;

    fn launch(grid: [u32; 3], block: [u32; 3]) -> Launch {
        Launch {
            unit: CompileUnit::new("a.cu", "a", [("A", 1)]),
            grid,
            block,
            cluster: Launch::ALONE,
            shared_bytes: 0,
            args: vec![Arg::Pointer(Role::Input(0)), Arg::Null, Arg::Bytes(vec![7; 12])],
            dependent: false,
        }
    }

    fn at(address: u64) -> impl Fn(Role) -> Option<DevicePtr> {
        move |role| (role == Role::Input(0)).then_some(DevicePtr::default().offset(address as usize))
    }

    #[test]
    fn each_argument_has_its_own_place() {
        let (bytes, offsets) = pack(&launch([1; 3], [1; 3]), &[8, 8, 12], &at(0x7F00_0000_1000)).expect("they fit");
        assert_eq!(offsets, [0, 16, 32]);
        assert_eq!(bytes.bytes()[..8], 0x7F00_0000_1000u64.to_ne_bytes());
        assert_eq!(bytes.bytes()[16..24], [0; 8]);
        assert_eq!(bytes.bytes()[32..44], [7; 12]);
    }

    #[test]
    fn a_struct_of_another_size_is_refused() {
        let error = pack(&launch([1; 3], [1; 3]), &[8, 8, 16], &at(0)).expect_err("12 is not 16");
        assert!(error.to_string().contains("[8, 8, 16] bytes, the launch has [8, 8, 12]"), "{error}");
    }

    #[test]
    fn a_tensor_without_a_place_is_named() {
        let error = pack(&launch([1; 3], [1; 3]), &[8, 8, 12], &|_| None).expect_err("it lies nowhere");
        assert!(error.to_string().contains("`a` reads or writes Input(0)"), "{error}");
    }

    #[test]
    fn grids_and_blocks_have_bounds() {
        let bad = |grid, block| check_dimensions(&launch(grid, block)).expect_err("out of bounds").to_string();
        assert!(check_dimensions(&launch([0x7FFF_FFFF, 65_535, 65_535], [32, 32, 1])).is_ok());
        assert!(bad([0, 1, 1], [1; 3]).contains("grid x is 0, allowed is 1 to 2147483647"));
        assert!(bad([1, 65_536, 1], [1; 3]).contains("grid y is 65536"));
        assert!(bad([1; 3], [1, 1, 65]).contains("block z is 65"));
        assert!(bad([1; 3], [32, 32, 2]).contains("threads in a block is 2048"));
        let clusters = |grid, cluster| check_dimensions(&Launch { cluster, ..launch(grid, [1; 3]) });
        assert!(clusters([3, 8, 1], [1, 8, 1]).is_ok());
        let bad = |grid, cluster| clusters(grid, cluster).expect_err("no such clusters").to_string();
        assert!(bad([1, 16, 1], [1, 16, 1]).contains("blocks in a cluster is 16"));
        assert!(bad([4, 4, 1], [1, 0, 1]).contains("blocks in a cluster is 0"));
        assert!(bad([4, 6, 1], [1, 4, 1]).contains("grid y is 6, allowed is a multiple of the cluster's 4"));
    }
}
