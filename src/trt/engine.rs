use super::build::{dims, tensor_type, type_name};
use super::log::{Speaker, logger};
use super::{Library, Port, TrtError};
use limpid_kernels::device::{Device, DeviceBuffer, Stream};
use std::fmt;
use trtx::{CudaEngine, ExecutionContext, LayerInformationFormat, Runtime, TensorIOMode};

/// A plan, opened on a GPU.
pub struct Engine {
    // In the order in which they must go.
    pub(super) context: ExecutionContext<'static>,
    engine: CudaEngine<'static>,
    _runtime: Runtime<'static>,
    pub(super) device: Device,
    pub(super) speaker: Speaker,
    ports: Vec<Port>,
}

impl Library {
    /// Opens a plan on a GPU: that which it was built on, or for.
    ///
    /// # Errors
    /// [`TrtError::Refused`] with the library's own words, as on a GPU that it does not run on.
    pub fn open(&self, plan: &[u8], device: &Device) -> Result<Engine, TrtError> {
        // The library takes the context that is current.
        device.make_current()?;
        let speaker = self.speaker();
        let mut runtime = speaker.ask("makes no runtime", || Runtime::new(logger()?))?;
        let mut engine = speaker.ask("does not open the engine", || runtime.deserialize_cuda_engine(plan))?;
        let context = speaker.ask("makes no execution context", || context(&mut engine))?;
        let ports = speaker.ask("does not tell its ports", || ports(&engine))?;
        Ok(Engine { context, engine, _runtime: runtime, device: device.clone(), speaker, ports })
    }
}

/// Kernels for the shapes at hand, made when the shapes are set and not beside the first inferences.
#[cfg(not(feature = "tensorrt-enterprise"))]
fn context(engine: &mut CudaEngine<'static>) -> Result<ExecutionContext<'static>, trtx::Error> {
    use trtx::DynamicShapesKernelSpecializationStrategy;
    let mut config = engine.create_runtime_config()?;
    config.set_dynamic_shapes_kernel_specialization_strategy(DynamicShapesKernelSpecializationStrategy::kEAGER);
    engine.create_execution_context_with_config(std::rc::Rc::new(config))
}

#[cfg(feature = "tensorrt-enterprise")]
fn context(engine: &mut CudaEngine<'static>) -> Result<ExecutionContext<'static>, trtx::Error> {
    engine.create_execution_context()
}

/// Inputs, then outputs, each in the network's order.
fn ports(engine: &CudaEngine) -> Result<Vec<Port>, trtx::Error> {
    let port = |name: String| {
        let data_type = engine.tensor_data_type(&name)?;
        let input = engine.tensor_io_mode(&name)? == TensorIOMode::kINPUT;
        let (dtype, type_name) = (tensor_type(data_type), type_name(data_type));
        Ok(Port { dtype, type_name, shape: engine.tensor_shape(&name)?, input, name })
    };
    let all = (0..engine.nb_io_tensors()?).map(|index| port(engine.io_tensor_name(index)?));
    let mut ports = all.collect::<Result<Vec<Port>, trtx::Error>>()?;
    ports.sort_by_key(|port| !port.input);
    Ok(ports)
}

impl Engine {
    /// Inputs, then outputs.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Its layers, as the library's inspector tells them, in JSON.
    ///
    /// # Errors
    /// [`TrtError::Refused`].
    pub fn inspect(&self) -> Result<String, TrtError> {
        self.speaker.ask("does not tell its layers", || {
            self.engine.create_engine_inspector()?.engine_information(LayerInformationFormat::kJSON)
        })
    }

    /// Says what an input's extents are from now on.
    pub(super) fn set_shape(&mut self, name: &str, shape: &[usize]) -> Result<(), TrtError> {
        let context = &mut self.context;
        let what = format!("does not take {shape:?} for input `{name}`");
        self.speaker.ask(&what, || context.set_input_shape(name, &dims(shape)))
    }

    /// An output's extents, once those of all inputs are set.
    pub(super) fn shape_of(&self, name: &str) -> Result<Vec<usize>, TrtError> {
        let dims = self.speaker.ask("does not tell an output's extents", || self.context.tensor_shape(name))?;
        let extents = usize::try_from(dims.nbDims).ok().and_then(|rank| dims.d.get(..rank));
        let shape = extents.and_then(|all| all.iter().map(|&extent| usize::try_from(extent).ok()).collect());
        shape.ok_or_else(|| TrtError::OpenOutput { name: name.to_owned() })
    }

    /// Says where a tensor lies from now on.
    ///
    /// # Safety
    /// The buffer is as large as the tensor at the extents that are set, and stays as long as inferences are enqueued
    /// and running.
    pub(super) unsafe fn set_address(&mut self, name: &str, buffer: &DeviceBuffer) -> Result<(), TrtError> {
        let address = std::ptr::with_exposed_provenance_mut(buffer.ptr().address() as usize);
        let context = &mut self.context;
        self.speaker.ask("does not take an address", || {
            // SAFETY: the caller's promise; the address is that of device memory.
            unsafe { context.set_tensor_address(name, address) }
        })
    }

    /// Enqueues one inference.
    ///
    /// # Safety
    /// Every tensor has an address that [`Engine::set_address`] was given, whose buffer is still there.
    pub(super) unsafe fn enqueue(&mut self, stream: &Stream) -> Result<(), TrtError> {
        self.device.make_current()?;
        let context = &mut self.context;
        self.speaker.ask("does not run", || {
            // SAFETY: the caller's promise; the stream is one of this device and exists.
            unsafe { context.enqueue_v3(stream.handle()) }
        })
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({} ports on {:?})", self.ports.len(), self.device)
    }
}
