//! A machine without a driver gets an error, not a panic.

use limpid_kernels::device::{Device, DeviceError};

#[test]
fn opening_a_gpu_that_is_not_there_is_an_error_that_says_what_to_do() {
    // No machine has this many, so the outcome is an error everywhere; which one tells what the machine lacks.
    let error = Device::open(9999).expect_err("there is no GPU 9999");
    let text = error.to_string();
    match error {
        DeviceError::NoDriver { .. } => {
            assert!(matches!(Device::count(), Err(DeviceError::NoDriver { .. })));
            assert!(text.contains("libcuda.so.1"), "{text}");
            assert!(text.contains("CPU backend"), "{text}");
        }
        DeviceError::NoDevice { ordinal, count } => {
            assert_eq!(ordinal, 9999);
            assert_eq!(Device::count().expect("the driver works"), count);
            assert!(text.contains("there is no GPU 9999"), "{text}");
        }
        DeviceError::DriverTooOld { .. } => assert!(text.contains("update the driver"), "{text}"),
        other => panic!("unexpected: {other}"),
    }
}

#[test]
fn without_a_gpu_the_first_one_cannot_be_opened_either() {
    match Device::count() {
        Ok(count) if count > 0 => drop(Device::open(0).expect("the driver counts it")),
        Ok(_) => assert!(matches!(Device::open(0), Err(DeviceError::NoDevice { ordinal: 0, count: 0 }))),
        Err(_) => assert!(Device::open(0).is_err()),
    }
}
