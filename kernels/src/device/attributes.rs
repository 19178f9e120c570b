//! What the driver says of a GPU, as a [`Target`].

use super::driver::check;
use super::error::DeviceError;
use crate::target::{Arch, Target};
use cudarc::driver::sys::{self, CUdevice_attribute as Attribute};

/// Device attributes, in the driver's units.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    major: i32,
    minor: i32,
    multiprocessors: i32,
    shared_per_block_optin: i32,
    shared_per_multiprocessor: i32,
    l2_bytes: i32,
    memory_clock_khz: i32,
    memory_bus_bits: i32,
    clock_khz: i32,
}

impl Attributes {
    /// Asks the driver.
    pub fn read(device: sys::CUdevice) -> Result<Self, DeviceError> {
        let get = |attribute: Attribute| {
            let mut value = 0;
            // SAFETY: `device` came from cuDeviceGet, and the pointer leads to an int.
            let code = unsafe { sys::cuDeviceGetAttribute(&mut value, attribute, device) };
            check("cuDeviceGetAttribute", code).map(|()| value)
        };
        Ok(Self {
            major: get(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            minor: get(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
            multiprocessors: get(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            shared_per_block_optin: get(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
            shared_per_multiprocessor: get(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)?,
            l2_bytes: get(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?,
            memory_clock_khz: get(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)?,
            memory_bus_bits: get(Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)?,
            clock_khz: get(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?,
        })
    }

    /// The compute capability.
    pub fn arch(&self) -> Arch {
        Arch(unsigned(self.major) as u16 * 10 + unsigned(self.minor) as u16)
    }

    /// The numbers a cost model needs.
    ///
    /// The two clocks are deprecated attributes: some drivers, above all under virtualisation, answer 0. Then the
    /// number of a typical card of the architecture stands in. That is good enough, because bandwidth and clock
    /// only rank candidates that are not timed, and give a profile its scale.
    pub fn target(&self, name: &str) -> Target {
        let typical = Target::typical(self.arch());
        // Data moves on both edges of the memory clock, a bus width at a time.
        let bandwidth = 2.0 * f64::from(self.memory_clock_khz) * 1e3 * f64::from(self.memory_bus_bits) / 8.0;
        let clock = f64::from(self.clock_khz) * 1e3;
        Target {
            arch: self.arch(),
            name: name.to_owned(),
            multiprocessors: unsigned(self.multiprocessors),
            shared_per_block: unsigned(self.shared_per_block_optin),
            shared_per_multiprocessor: unsigned(self.shared_per_multiprocessor),
            l2_bytes: u64::from(unsigned(self.l2_bytes)),
            bandwidth: if bandwidth > 0.0 { bandwidth } else { typical.bandwidth },
            clock: if clock > 0.0 { clock } else { typical.clock },
            kernels: typical.kernels,
            workspace_limit: typical.workspace_limit,
        }
    }
}

/// Attributes are counts; a driver that answers a negative one means none.
fn unsigned(value: i32) -> u32 {
    value.max(0).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An H200's, as its driver reports them.
    const H200: Attributes = Attributes {
        major: 9,
        minor: 0,
        multiprocessors: 132,
        shared_per_block_optin: 232_448,
        shared_per_multiprocessor: 233_472,
        l2_bytes: 62_914_560,
        memory_clock_khz: 3_201_000,
        memory_bus_bits: 6144,
        clock_khz: 1_980_000,
    };

    #[test]
    fn bandwidth_is_both_edges_of_the_clock_times_the_bus() {
        let target = H200.target("NVIDIA H200");
        assert_eq!(target.arch, Arch(90));
        assert_eq!(target.bandwidth, 4.916736e12);
        assert_eq!(target.clock, 1.98e9);
        assert_eq!(target.shared_per_block, 227 * 1024);
        assert_eq!(target.shared_per_multiprocessor, 228 * 1024);
    }

    #[test]
    fn a_silent_driver_is_filled_in_from_a_typical_card() {
        let silent = Attributes { memory_clock_khz: 0, clock_khz: 0, ..H200 };
        let typical = Target::typical(Arch(90));
        assert_eq!(silent.target("x").bandwidth, typical.bandwidth);
        assert_eq!(silent.target("x").clock, typical.clock);
    }
}
