//! See `katalog_fuzz::check::archive`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| katalog_fuzz::check::archive(data));
