//! The CUDA driver and NVRTC; nothing else names them.
