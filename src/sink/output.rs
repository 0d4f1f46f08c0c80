//! Writes to standard output, or to a file instead. Uncompressed chunks are written directly, without a buffer.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal as _, Seek as _, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use super::compress::{BLOCK_SIZE, BlockCompressor};
use super::pager::{self, Pager};
use super::{Compression, PagerError, SinkError, WriteOutcome};
use crate::source::{self, Input};

/// The pause before the next attempt to write to a full non-blocking pipe.
const RETRY: Duration = Duration::from_millis(5);

/// The name of standard output in messages.
const STANDARD_OUTPUT: &str = "standard output";

/// An open output.
#[derive(Debug)]
pub struct Output {
    file: File,
    name: String,
    compressor: BlockCompressor,
    /// Bytes that wait for compression.
    buffer: Vec<u8>,
    /// The number of bytes of whole chunks that this run has written.
    written: u64,
    /// The pager that reads the output. It ends after `file` is closed, so it comes behind it.
    _pager: Option<Pager>,
}

impl Output {
    /// Opens the file, and truncates it unless `append` is set. Without a path, opens standard output. The inputs are
    /// only compared with the output.
    ///
    /// # Errors
    /// If the file cannot be opened, or the output is one of the inputs.
    pub fn open(path: Option<&Path>, append: bool, inputs: &[Input]) -> Result<Output, SinkError> {
        let Some(path) = path else {
            // The handle of the standard library searches each chunk for line ends, and copies the bytes behind the
            // last one. A duplicate of the descriptor has no such buffer.
            let name = STANDARD_OUTPUT.to_owned();
            let file = match io::stdout().as_fd().try_clone_to_owned() {
                Ok(descriptor) => File::from(descriptor),
                Err(source) => return Err(SinkError::Write { name, source, cut: None }),
            };
            if let Ok(metadata) = file.metadata() {
                refuse_inputs(&name, &metadata, inputs)?;
            }
            return Ok(Output::of(file, name));
        };
        let name = format!("{path:?}");
        if let Some(input) = inputs.iter().find(|input| input.is_pattern_of(path)) {
            return Err(SinkError::SameFile { output: name, input: input.to_string() });
        }
        // The comparison comes first, because opening truncates the file.
        if let Ok(metadata) = path.metadata() {
            refuse_inputs(&name, &metadata, inputs)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(append).write(true).truncate(!append);
        let file = options.open(path).map_err(|source| SinkError::Open { path: path.to_owned(), source })?;
        Ok(Output::of(file, name))
    }

    fn of(file: File, name: String) -> Output {
        Output { file, name, compressor: BlockCompressor::default(), buffer: Vec::new(), written: 0, _pager: None }
    }

    /// Starts the pager with this command, or the usual one, and returns its input as the output. The output waits for
    /// the end of the pager when it is dropped. Returns `None` if the command is no pager.
    ///
    /// # Errors
    /// If the pager cannot be started.
    pub fn page(command: Option<&str>) -> Result<Option<Output>, PagerError> {
        let words = pager::words(command)?;
        if words.is_empty() {
            return Ok(None);
        }
        let (file, pager) = Pager::start(&words)?;
        Ok(Some(Output { _pager: Some(pager), ..Output::of(file, "the pager".to_owned()) }))
    }

    /// Returns whether the output is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    /// Returns the output with compression. It writes independent blocks, so flushed records can be read at once.
    ///
    /// # Errors
    /// If this build leaves out the compression.
    pub fn compressed(self, compression: Compression) -> Result<Output, SinkError> {
        compression.check()?;
        Ok(Output { compressor: BlockCompressor::new(compression), ..self })
    }

    /// Writes the header, unless the file has content already.
    ///
    /// # Errors
    /// As for [`Output::deliver`].
    pub fn begin(&mut self, header: &[u8]) -> Result<WriteOutcome, SinkError> {
        let begun = self.file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0);
        // The content of standard output may come from another program.
        if begun && self.name != STANDARD_OUTPUT { Ok(WriteOutcome::Written) } else { self.deliver(header) }
    }

    /// Writes a chunk.
    ///
    /// # Errors
    /// If writing fails, except by a closed pipe.
    pub fn deliver(&mut self, chunk: &[u8]) -> Result<WriteOutcome, SinkError> {
        if self.compressor.is_none() {
            return self.write(chunk);
        }
        self.buffer.extend_from_slice(chunk);
        if self.buffer.len() >= BLOCK_SIZE { self.flush() } else { Ok(WriteOutcome::Written) }
    }

    /// Compresses and writes the pending bytes.
    ///
    /// # Errors
    /// As for [`Output::deliver`].
    pub fn flush(&mut self) -> Result<WriteOutcome, SinkError> {
        if self.buffer.is_empty() {
            return Ok(WriteOutcome::Written);
        }
        let mut compressor = std::mem::take(&mut self.compressor);
        let buffer = std::mem::take(&mut self.buffer);
        let name = || self.name.clone();
        let block =
            compressor.compress(&buffer).map_err(|source| SinkError::Write { name: name(), source, cut: None })?;
        let outcome = self.write(block)?;
        (self.compressor, self.buffer) = (compressor, buffer);
        self.buffer.clear();
        Ok(outcome)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<WriteOutcome, SinkError> {
        let (written, outcome) = write_fully(&mut self.file, bytes);
        match outcome {
            Ok(()) => {
                self.written += written as u64;
                Ok(WriteOutcome::Written)
            }
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(WriteOutcome::Closed),
            Err(source) => {
                let is_whole = written == 0 || self.take_back(written as u64).unwrap_or(false);
                let cut = (!is_whole).then_some(self.written + written as u64);
                Err(SinkError::Write { name: self.name.clone(), source, cut })
            }
        }
    }

    /// Removes the last bytes of the file, so that it ends with a whole record. Returns false if this is no file, or
    /// another program has written to it since.
    fn take_back(&mut self, bytes: u64) -> io::Result<bool> {
        let metadata = self.file.metadata()?;
        if !metadata.is_file() || self.file.stream_position()? != metadata.len() {
            return Ok(false);
        }
        let Some(end) = metadata.len().checked_sub(bytes) else { return Ok(false) };
        self.file.set_len(end)?;
        self.file.seek(io::SeekFrom::Start(end))?;
        Ok(true)
    }
}

/// Writes all bytes, and returns their number, also if an error keeps the rest back. Unlike `write_all`, waits for a full non-blocking pipe: the mode belongs to the pipe, so another
/// process that shares the pipe may have set it.
#[expect(clippy::disallowed_methods, reason = "this is the loop that `write_all` is")]
fn write_fully(file: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(RETRY),
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// Refuses a regular file that is also an input. Terminals and `/dev/null` may be both.
fn refuse_inputs(name: &str, output: &Metadata, inputs: &[Input]) -> Result<(), SinkError> {
    if !output.is_file() {
        return Ok(());
    }
    for input in inputs {
        let metadata = match input {
            Input::Stdin => source::standard_input().and_then(|file| file.metadata()),
            Input::File(path) => path.metadata(),
        };
        // A failure here shows again when the input is opened, and is reported then.
        let same = metadata.is_ok_and(|input| (input.dev(), input.ino()) == (output.dev(), output.ino()));
        if same {
            return Err(SinkError::SameFile { output: name.to_owned(), input: input.to_string() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
