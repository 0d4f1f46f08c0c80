//! See `katalog_fuzz::check::codec`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| katalog_fuzz::check::codec(data));
