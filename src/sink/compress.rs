//! Compresses files in independent blocks, so that a file can be cut between two blocks and continued.

use super::SinkError;

/// The compression of files. The names of its values are also the values of the option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// gzip, in members of about 1 MiB of records (RFC 1952).
    Gzip,
    /// Zstandard, in frames of about 1 MiB of records (RFC 8878).
    Zstd,
}

/// The size of the records in a block. It is large enough for a good ratio, and small enough to hold for many files.
pub const BLOCK_SIZE: usize = 1 << 20;

impl Compression {
    /// Returns the extension of file names.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
        }
    }

    /// Checks that this build supports the compression.
    ///
    /// # Errors
    /// If the cargo feature of the compression was left out.
    pub fn check(self) -> Result<(), SinkError> {
        let feature = match self {
            Compression::Gzip if cfg!(not(feature = "gzip")) => "gzip",
            Compression::Zstd if cfg!(not(feature = "zstd")) => "zstd",
            _ => return Ok(()),
        };
        Err(SinkError::MissingCodec { feature })
    }
}

/// Compresses blocks. Equal bytes give equal blocks.
#[derive(Default)]
pub(super) struct BlockCompressor {
    compression: Compression,
    block: Vec<u8>,
    #[cfg(feature = "zstd")]
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl std::fmt::Debug for BlockCompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").field("compression", &self.compression).finish_non_exhaustive()
    }
}

impl BlockCompressor {
    pub(super) fn new(compression: Compression) -> BlockCompressor {
        BlockCompressor { compression, ..BlockCompressor::default() }
    }

    pub(super) fn is_none(&self) -> bool {
        self.compression == Compression::None
    }

    /// Returns the compressed block. Without compression, returns the bytes themselves.
    pub(super) fn compress<'p>(&'p mut self, bytes: &'p [u8]) -> std::io::Result<&'p [u8]> {
        self.block.clear();
        match self.compression {
            #[cfg(feature = "gzip")]
            Compression::Gzip => {
                // The gzip header has neither a time nor a name, so equal bytes give equal blocks.
                let level = flate2::Compression::default();
                let mut encoder = flate2::write::GzEncoder::new(&mut self.block, level);
                std::io::Write::write_all(&mut encoder, bytes)?;
                encoder.finish()?;
                Ok(&self.block)
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                if self.zstd.is_none() {
                    let mut zstd = zstd::bulk::Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?;
                    zstd.include_checksum(true)?;
                    self.zstd = Some(zstd);
                }
                if let Some(zstd) = &mut self.zstd {
                    self.block.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
                    zstd.compress_to_buffer(bytes, &mut self.block)?;
                }
                Ok(&self.block)
            }
            // `check` has refused what the build leaves out.
            _ => Ok(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn pieces_stand_for_themselves() {
        let texts = [b"one\n".repeat(1000), b"two\n".to_vec()];
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            if compression.check().is_err() {
                continue;
            }
            let mut compressor = BlockCompressor::new(compression);
            let mut file = Vec::new();
            for text in &texts {
                let block = compressor.compress(text).unwrap().to_vec();
                assert_eq!(compressor.compress(text).unwrap(), block, "the same piece of the same bytes");
                file.extend(block);
            }
            let mut plain = Vec::new();
            match compression {
                Compression::None => plain.extend_from_slice(&file),
                Compression::Gzip => {
                    assert!(flate2::read::MultiGzDecoder::new(&file[..]).read_to_end(&mut plain).is_ok());
                    assert_eq!(file[4..8], [0; 4], "no time");
                }
                Compression::Zstd => plain = zstd::decode_all(&file[..]).unwrap(),
            }
            assert_eq!(plain, texts.concat(), "{compression:?}");
        }
    }

    #[test]
    fn what_the_build_leaves_out_is_named() {
        assert!(Compression::None.check().is_ok());
        for (compression, here, name) in
            [(Compression::Gzip, cfg!(feature = "gzip"), "gzip"), (Compression::Zstd, cfg!(feature = "zstd"), "zstd")]
        {
            match compression.check() {
                Ok(()) => assert!(here),
                Err(error) => assert!(!here && error.to_string().contains(name), "{error}"),
            }
        }
    }
}
