//! The device room as its users see it: NVRTC where it is installed, the driver where it is not, and a GPU.

mod dependent;
mod gpu;
mod no_driver;
mod nvrtc;
mod programs;
