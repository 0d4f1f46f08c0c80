use super::*;

#[test]
fn chunks_follow_each_other_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    std::fs::write(&path, "old content that has to go").unwrap();
    let mut output = Output::open(Some(&path), false, &[]).unwrap();
    assert_eq!(output.deliver(b"one\n").unwrap(), WriteOutcome::Written);
    assert_eq!(output.deliver(b"").unwrap(), WriteOutcome::Written);
    assert_eq!(output.deliver(b"two\n").unwrap(), WriteOutcome::Written);
    assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
    Output::open(Some(&path), true, &[]).unwrap().deliver(b"three\n").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
}

#[test]
fn an_input_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kata.log");
    let link = directory.path().join("link");
    std::fs::write(&path, "content").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let error = Output::open(Some(&link), false, &[Input::File(path.clone())]).unwrap_err();
    assert_eq!(error.exit(), crate::exit::Exit::Usage);
    assert!(error.to_string().contains("kata.log"), "{error}");
    let pattern = Input::File(directory.path().join("*.log"));
    for output in [path.clone(), directory.path().join("new.log")] {
        let error = Output::open(Some(&output), true, std::slice::from_ref(&pattern)).unwrap_err();
        assert_eq!(error.exit(), crate::exit::Exit::Usage);
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"content");
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut output = Output::of(File::from(std::os::fd::OwnedFd::from(writer)), "pipe".to_owned());
    assert_eq!(output.deliver(b"x").unwrap(), WriteOutcome::Closed);
}

#[test]
fn the_header_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    for append in [false, true, true] {
        let mut output = Output::open(Some(&path), append, &[]).unwrap();
        output.begin(b"head\n").unwrap();
        output.deliver(b"row\n").unwrap();
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"head\nrow\nrow\nrow\n");
}

#[cfg(feature = "gzip")]
#[test]
fn what_was_flushed_can_be_read() {
    use std::io::Read as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    let mut output = Output::open(Some(&path), false, &[]).unwrap().compressed(Compression::Gzip).unwrap();
    let mut expected = String::new();
    for text in ["one\n", "two\n", "three\n"] {
        output.deliver(text.as_bytes()).unwrap();
        output.flush().unwrap();
        output.flush().unwrap();
        expected += text;
        let mut plain = String::new();
        flate2::read::MultiGzDecoder::new(File::open(&path).unwrap()).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, expected);
    }
}

#[test]
fn a_full_pipe_is_waited_for() {
    struct Hesitant(Vec<u8>, u8);
    impl Write for Hesitant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 = self.1.wrapping_add(1);
            match self.1 % 3 {
                0 => Err(ErrorKind::WouldBlock.into()),
                1 => Err(ErrorKind::Interrupted.into()),
                _ => {
                    self.0.extend_from_slice(&bytes[..1]);
                    Ok(1)
                }
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut writer = Hesitant(Vec::new(), 0);
    let (written, outcome) = write_fully(&mut writer, b"hello");
    assert!(written == 5 && outcome.is_ok());
    assert_eq!(writer.0, b"hello");
}

#[test]
fn a_full_disk_is_named() {
    let mut output = Output::open(Some(Path::new("/dev/full")), false, &[]).unwrap();
    let error = output.deliver(b"x").unwrap_err();
    assert_eq!(error.exit(), crate::exit::Exit::Io);
    assert!(error.to_string().starts_with("cannot write to \"/dev/full\": "), "{error}");
}

#[test]
fn errors_say_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none/out");
    let error = Output::open(Some(&path), false, &[]).unwrap_err();
    let expected =
        format!("cannot open {path:?} for writing: No such file or directory (os error 2); create its directory first");
    assert_eq!(error.to_string(), expected);
    let path = directory.path().join("kata.log");
    std::fs::write(&path, "x").unwrap();
    let error = Output::open(Some(&path), false, &[Input::File(path.clone())]).unwrap_err();
    let expected = format!(
        "cannot write to {path:?}: it is also the input {path:?}, which would change while it is read; write to another file"
    );
    assert_eq!(error.to_string(), expected);
    let missing = SinkError::MissingCodec { feature: "zstd" };
    assert_eq!(
        missing.to_string(),
        "--compress zstd: this build leaves out zstd; choose another compression, pipe the records through `zstd`, or \
         build katalog with the cargo feature `zstd`"
    );
}
