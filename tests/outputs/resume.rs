//! Interrupted runs and their continuation: the final files are always equal.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{
    MANIFEST, OutputDir, assert_same_tree, command_into, converted, expect_exit, log, logs, stderr, tree, wait_until,
    with_limit, write_file,
};

/// A random number generator, reproducible by its seed (xorshift64).
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Returns the finished files: all except the directory of unfinished ones.
fn finished(folder: &Path) -> OutputDir {
    let mut tree = if folder.exists() { tree(folder) } else { OutputDir::new() };
    tree.retain(|name, _| !name.starts_with(".katalog"));
    tree
}

/// Kills the program at random times and restarts it until it finishes. Returns the number of kills, and the number of
/// runs that resumed after an input.
fn killed(flags: &[&str], inputs: &[PathBuf], seed: u64) -> (u64, u64) {
    let expected = converted(flags, inputs);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut rng = Rng(seed + 1);
    let start = Instant::now();
    expect_exit(&mut command_into(&folder.path().join("measured"), flags, inputs), 0);
    let whole = start.elapsed().as_micros() as u64;
    let (mut kills, mut gone_on) = (0, 0);
    loop {
        let mut child =
            command_into(&out, &[flags, &["--resume"]].concat(), inputs).stderr(Stdio::piped()).spawn().unwrap();
        // Later attempts last longer, so that the test ends.
        let delay = rng.below(whole) * (kills + 1) / 8;
        std::thread::sleep(Duration::from_micros(delay));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        gone_on += u64::from(stderr(&output).contains("resuming after"));
        if output.status.code() == Some(0) {
            break;
        }
        assert_eq!(output.status.code(), None, "{}", stderr(&output));
        kills += 1;
        for (name, content) in finished(&out) {
            assert!(content == expected[&name], "{name} has its name and is not complete");
        }
        let whole = finished(&out).len() == expected.len();
        assert!(whole || !out.join(MANIFEST).exists(), "a manifest is there and the files are not");
    }
    assert_same_tree(&tree(&out), &expected);
    let [found, whole] = [&out, &folder.path().join("measured")].map(|folder| fs::read(folder.join(MANIFEST)).unwrap());
    assert!(found == whole, "the manifest of an interrupted run differs");
    let output = expect_exit(&mut command_into(&out, &[flags, &["--resume"]].concat(), inputs), 0);
    assert!(stderr(&output).contains("nothing is left to do"), "{}", stderr(&output));
    assert!(!out.join(".katalog").exists());
    (kills, gone_on)
}

#[test]
fn killed_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[1500, 500, 1, 2500, 0, 900, 1000]);
    let mut counts = Vec::new();
    for (seed, compress, threads) in [(0, "none", "1"), (1, "gzip", "1"), (2, "zstd", "3"), (3, "gzip", "2")] {
        let flags = ["--split", "sandbox,component", "--compress", compress, "--threads", threads];
        counts.push(killed(&flags, &inputs, seed));
    }
    counts.push(killed(&["--split", "day", "--format", "csv", "--compress", "zstd"], &inputs, 7));
    // The number depends on the machine. With none, the test would prove nothing.
    for seed in 20..40 {
        if counts.iter().all(|(_, gone_on)| *gone_on == 0) {
            counts.push(killed(&["--split", "day"], &inputs, seed));
        }
    }
    assert!(counts.iter().any(|(kills, _)| *kills > 0) && counts.iter().any(|(_, gone_on)| *gone_on > 0), "{counts:?}");
}

/// Returns the program with a limit on file size, in blocks of 512 bytes.
fn limited(blocks: usize, folder: &Path, flags: &[&str], inputs: &[PathBuf]) -> Command {
    with_limit(&format!("-f {blocks}"), &command_into(folder, flags, inputs))
}

/// Leaves an interrupted run: the first input is finished, the second was too large.
pub(super) fn interrupted(out: &Path, flags: &[&str], inputs: &[PathBuf]) {
    let output = expect_exit(&mut limited(200, out, flags, inputs), 74);
    assert!(stderr(&output).contains("File too large") && stderr(&output).contains("--resume"), "{}", stderr(&output));
    assert!(finished(out).is_empty());
    let state: serde_json::Value = serde_json::from_slice(&fs::read(out.join(".katalog/state.json")).unwrap()).unwrap();
    assert_eq!(state["finished"], 1);
}

#[test]
fn a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 4000, 100]);
    let expected = converted(&[], &inputs);
    let out = folder.path().join("out");
    interrupted(&out, &[], &inputs);
    // The disk may stay full.
    let output = expect_exit(&mut limited(200, &out, &["--resume"], &inputs), 74);
    assert!(stderr(&output).contains("resuming after 1 of 3 inputs"), "{}", stderr(&output));
    let output = expect_exit(&mut command_into(&out, &["--resume"], &inputs), 0);
    assert!(stderr(&output).contains("resuming after 1 of 3 inputs"), "{}", stderr(&output));
    assert_same_tree(&tree(&out), &expected);
}

#[test]
fn what_is_interrupted_is_neither_forgotten_nor_gone_on_with_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 4000, 100]);
    let out = folder.path().join("out");
    interrupted(&out, &[], &inputs);
    let left = tree(&out);
    let output = expect_exit(&mut command_into(&out, &[], &inputs), 64);
    assert!(stderr(&output).contains("--resume") && stderr(&output).contains("--force"), "{}", stderr(&output));
    assert_same_tree(&tree(&out), &left);
    expect_exit(&mut command_into(&out, &["--force"], &inputs[..1]), 0);
    assert_same_tree(&tree(&out), &converted(&[], &inputs[..1]));
}

#[test]
fn other_options_and_inputs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 4000, 100]);
    let out = folder.path().join("out");
    interrupted(&out, &[], &inputs);
    let left = tree(&out);
    let refused = |flags: &[&str], inputs: &[PathBuf], named: &[&str]| {
        let output = expect_exit(&mut command_into(&out, &[&["--resume"], flags].concat(), inputs), 64);
        for name in named {
            assert!(stderr(&output).contains(name), "{name}: {}", stderr(&output));
        }
        assert_same_tree(&tree(&out), &left);
    };
    refused(&["--split", "day"], &inputs, &["--split {day} (was {component})", "--force"]);
    refused(&["--nested", "drop", "--prune", "x"], &inputs, &["--nested drop (was string), --prune …", ",x (was …"]);
    refused(
        &["--compress", "gzip", "--lowercase"],
        &inputs,
        &["--compress gzip (was none), --lowercase (was not set)"],
    );
    refused(&[], &inputs[..2], &["missing", "2.log"]);
    refused(&[], &[inputs[1].clone(), inputs[0].clone(), inputs[2].clone()], &["another order", "input 1", "0.log"]);
    // Options that do not affect the output may change.
    let bytes = fs::read(&inputs[0]).unwrap();
    write_file(folder.path(), "0.log", log(9, 41));
    refused(&[], &inputs, &["changed", "0.log", "--force"]);
    write_file(folder.path(), "0.log", bytes);
    expect_exit(Command::new("touch").args(["-d", "2001-01-01"]).arg(&inputs[0]), 0);
    refused(&[], &inputs, &["changed", "0.log"]);
    fs::remove_file(&inputs[0]).unwrap();
    refused(&[], &inputs, &["missing", "0.log"]);
    write_file(&out.join(".katalog"), "state.json", "{}");
    let output = expect_exit(&mut command_into(&out, &["--resume"], &inputs), 65);
    assert!(stderr(&output).contains("state.json") && stderr(&output).contains("--force"), "{}", stderr(&output));
    expect_exit(&mut command_into(&out, &["--force"], &inputs[1..]), 0);
    assert_same_tree(&tree(&out), &converted(&[], &inputs[1..]));
}

#[test]
fn a_file_that_was_cut_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 4000]);
    let out = folder.path().join("out");
    interrupted(&out, &[], &inputs);
    File::options().write(true).open(out.join(".katalog/parts/00000000")).unwrap().set_len(3).unwrap();
    let output = expect_exit(&mut command_into(&out, &["--resume"], &inputs), 65);
    assert!(stderr(&output).contains("00000000") && stderr(&output).contains("--force"), "{}", stderr(&output));
}

#[test]
fn threads_and_diagnostics_may_differ() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 4000, 100]);
    let out = folder.path().join("out");
    interrupted(&out, &[], &inputs);
    expect_exit(&mut command_into(&out, &["--resume", "--threads=4", "--stats=json", "--verbose"], &inputs), 0);
    assert_same_tree(&tree(&out), &converted(&[], &inputs));
}

#[test]
fn a_directory_that_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 50]);
    let out = folder.path().join("out");
    // Without an earlier run, `--resume` starts one.
    expect_exit(&mut command_into(&out, &["--resume"], &inputs), 0);
    let first = tree(&out);
    assert_same_tree(&first, &converted(&[], &inputs));
    let output = expect_exit(&mut command_into(&out, &["--resume"], &inputs), 0);
    assert!(stderr(&output).contains("nothing is left to do"), "{}", stderr(&output));
    assert_same_tree(&tree(&out), &first);
    let output = expect_exit(&mut command_into(&out, &[], &inputs), 64);
    assert!(stderr(&output).contains("is there already") && stderr(&output).contains("--force"), "{}", stderr(&output));
    assert_same_tree(&tree(&out), &first);
    assert_eq!(fs::read_dir(&out).unwrap().count(), first.len() + 1, "only the files and the manifest are left");
    expect_exit(&mut command_into(&out, &["--force"], &inputs[1..]), 0);
    assert_same_tree(&tree(&out), &converted(&[], &inputs[1..]));
}

#[test]
fn names_that_are_taken_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 4000]);
    let out = folder.path().join("out");
    interrupted(&out, &[], &inputs);
    let expected = converted(&[], &inputs);
    let name = expected.keys().last().unwrap();
    write_file(&out, name, "mine");
    let output = expect_exit(&mut command_into(&out, &["--resume"], &inputs), 64);
    assert!(stderr(&output).contains(name) && stderr(&output).contains("--resume"), "{}", stderr(&output));
    assert_eq!(finished(&out).len(), 1, "nothing was renamed");
    fs::remove_file(out.join(name)).unwrap();
    let output = expect_exit(&mut command_into(&out, &["--resume"], &inputs), 0);
    assert!(stderr(&output).contains("resuming after 2 of 2 inputs"), "{}", stderr(&output));
    assert_same_tree(&tree(&out), &expected);
}

#[test]
fn an_input_that_fails_fails_again() {
    let folder = tempfile::tempdir().unwrap();
    let text = log(5, 3000);
    let mut packed = zstd::encode_all(text.as_bytes(), 3).unwrap();
    let middle = packed.len() / 2;
    packed[middle] ^= 0xff;
    let mut inputs = vec![write_file(folder.path(), "damaged.zst", packed)];
    inputs.extend(logs(folder.path(), &[4000, 100]));
    let whole = folder.path().join("whole");
    assert!(stderr(&expect_exit(&mut command_into(&whole, &[], &inputs), 65)).contains("damaged.zst"));
    let out = folder.path().join("out");
    let output = expect_exit(&mut limited(300, &out, &[], &inputs), 65);
    assert!(stderr(&output).contains("File too large"), "{}", stderr(&output));
    let output = expect_exit(&mut command_into(&out, &["--resume"], &inputs), 65);
    assert!(stderr(&output).contains("resuming after 1 of 3 inputs"), "{}", stderr(&output));
    assert_same_tree(&tree(&out), &tree(&whole));
}

#[test]
fn an_input_that_is_not_there_may_be_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = logs(folder.path(), &[40, 10, 4000]);
    fs::rename(&inputs[1], folder.path().join("away")).unwrap();
    inputs.rotate_left(0);
    let out = folder.path().join("out");
    let output = expect_exit(&mut limited(200, &out, &[], &inputs), 66);
    assert!(stderr(&output).contains("File too large") && stderr(&output).contains("1.log"), "{}", stderr(&output));
    fs::rename(folder.path().join("away"), &inputs[1]).unwrap();
    expect_exit(&mut command_into(&out, &["--resume"], &inputs), 0);
    assert_same_tree(&tree(&out), &converted(&[], &inputs));
}

#[test]
fn what_counts_at_the_end_counts_for_all_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let flawed = write_file(folder.path(), "flawed.log", format!("{}time=never level=info msg=x\n", log(1, 10)));
    let inputs = [flawed, logs(folder.path(), &[4000]).remove(0), write_file(folder.path(), "none.log", "")];
    let out = folder.path().join("out");
    expect_exit(&mut limited(200, &out, &["--strict"], &inputs), 74);
    expect_exit(&mut command_into(&out, &["--resume", "--strict", "--fail-if-empty"], &inputs), 1);
    let out = folder.path().join("other");
    interrupted(&out, &[], &inputs);
    fs::write(&inputs[1], "").unwrap();
    expect_exit(&mut command_into(&out, &["--resume", "--fail-if-empty"], &inputs), 0);
    assert_same_tree(&tree(&out), &converted(&[], &inputs));
}

#[test]
fn one_process_at_a_time_and_pipes_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    expect_exit(Command::new("mkfifo").arg(&pipe), 0);
    let before = write_file(folder.path(), "before.log", log(1, 50));
    let after = write_file(folder.path(), "after.log", log(2, 50));
    let out = folder.path().join("out");
    let inputs = [before, pipe.clone(), after];
    let mut child = command_into(&out, &[], &inputs).stderr(Stdio::piped()).spawn().unwrap();
    let mut writer = File::options().write(true).open(&pipe).unwrap();
    writer.write_all(log(3, 500).as_bytes()).unwrap();
    let state = out.join(".katalog/state.json");
    wait_until("the first input", || fs::read_to_string(&state).is_ok_and(|text| text.contains("\"size\"")));
    for flags in [&["--resume"][..], &["--force"], &[]] {
        let output = expect_exit(&mut command_into(&out, flags, &inputs), 75);
        assert!(stderr(&output).contains("in use"), "{}", stderr(&output));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(writer);
    // The name is a file now, so that both runs can read it.
    fs::remove_file(&pipe).unwrap();
    write_file(folder.path(), "pipe", log(3, 700));
    let output = expect_exit(&mut command_into(&out, &["--resume"], &inputs), 0);
    assert!(stderr(&output).contains("resuming after 1 of 3 inputs"), "{}", stderr(&output));
    assert_same_tree(&tree(&out), &converted(&[], &inputs));
}

#[test]
fn a_run_that_was_killed_while_files_got_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 4000]);
    let expected = converted(&[], &inputs);
    let out = folder.path().join("out");
    interrupted(&out, &[], &inputs);
    let (first, name) = (expected.keys().next().unwrap(), expected.keys().last().unwrap());
    // All files are complete, and some have their names: as if the last name was taken, and then freed.
    write_file(&out, name, "mine");
    expect_exit(&mut command_into(&out, &["--resume"], &inputs), 64);
    fs::remove_file(out.join(name)).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&fs::read(out.join(".katalog/state.json")).unwrap()).unwrap();
    assert_eq!(state["complete"], true);
    let parts = state["files"].as_array().unwrap();
    let number = parts.iter().position(|part| part["path"] == first.as_str()).unwrap();
    fs::rename(out.join(format!(".katalog/parts/{number:08}")), out.join(first)).unwrap();
    expect_exit(&mut command_into(&out, &["--resume"], &inputs), 0);
    assert_same_tree(&tree(&out), &expected);
}

#[test]
fn sorted_files_get_their_names_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = logs(folder.path(), &[40, 400, 30]);
    let flags = ["--sort", "time"];
    let out = folder.path().join("out");
    let expected = converted(&flags, &inputs);
    let name = expected.keys().last().unwrap();
    fs::create_dir(&out).unwrap();
    let (resume, taken) = ([&flags[..], &["--resume"]].concat(), out.join(name));
    // All files are complete, and a name is taken while they get their names.
    expect_exit(&mut command_into(&out, &flags, &inputs), 0);
    unfinish(&out, &expected);
    write_file(&out, name, "mine");
    expect_exit(&mut command_into(&out, &resume, &inputs), 64);
    fs::remove_file(taken).unwrap();
    expect_exit(&mut command_into(&out, &resume, &inputs), 0);
    assert_same_tree(&tree(&out), &expected);
    assert!(!out.join(".katalog").exists());
}

/// Turns a finished directory into that of a run which was killed before the files got their names.
fn unfinish(out: &Path, files: &OutputDir) {
    fs::create_dir_all(out.join(".katalog/parts")).unwrap();
    fs::rename(out.join(MANIFEST), out.join(".katalog/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&fs::read(out.join(".katalog/state.json")).unwrap()).unwrap();
    for (number, file) in state["files"].as_array().unwrap().iter().enumerate() {
        let name = file["path"].as_str().unwrap();
        assert!(files.contains_key(name));
        fs::rename(out.join(name), out.join(format!(".katalog/parts/{number:08}"))).unwrap();
    }
}
