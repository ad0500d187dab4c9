//! What the program asks of its memory allocator.

/// Large buffers go back to the system as soon as they are freed.
///
/// The GNU C library does that on its own until the first large buffer was freed; then it keeps up to twice as much
/// as that was, for each thread (mallopt(3), "dynamic mmap threshold"). With rows of 15 MB that was 40 to 80 MB, which
/// the promise about memory has no room for. A threshold that is stated stays.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library has no other way to be asked; tests/memory.rs fails without it")]
pub fn return_large_buffers() {
    const THRESHOLD_BYTES: libc::c_int = 4 * 1024 * 1024;
    // SAFETY: mallopt takes two integers and may be called at any time; it is called before any thread is started.
    // A libc that does not know the option returns 0, and nothing is different then.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD_BYTES);
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn return_large_buffers() {}
