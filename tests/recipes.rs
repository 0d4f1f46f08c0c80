//! The recipes for more than one machine: executed unchanged, on intact, damaged and missing archives.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{katalog, kubernetes, python, skip::skip};

fn recipe(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes").join(name)
}

/// Writes a directory with a log, a journal and a truncated archive.
fn archives(folder: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    fs::create_dir_all(folder.join("node-1")).unwrap();
    fs::create_dir_all(folder.join("node-2/journal")).unwrap();
    fs::copy(fixtures.join("inputs/node.ndjson"), folder.join("node-1/kata.log")).unwrap();
    fs::copy(fixtures.join("fuzz/journal/regular"), folder.join("node-2/journal/system.journal")).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &fs::read(fixtures.join("inputs/syslog.log")).unwrap()).unwrap();
    let packed = encoder.finish().unwrap();
    fs::write(folder.join("cut.log.gz"), &packed[..packed.len() / 2]).unwrap();
}

/// Returns katalog's own output for an archive.
fn converted(path: &Path) -> Vec<u8> {
    katalog().arg("print").arg(path).output().unwrap().stdout
}

/// Returns a command with katalog in its search path, and without variables that configure katalog.
fn beside_katalog(program: &Path) -> Command {
    let mut command = Command::new(program);
    let katalog = katalog();
    for (name, _) in katalog.get_envs() {
        command.env_remove(name);
    }
    let ours = Path::new(katalog.get_program()).parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([ours].into_iter().chain(std::env::split_paths(&others))).unwrap();
    command.env("PATH", path).stdin(Stdio::null());
    command
}

/// Returns the names in a directory, sorted.
fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn the_job_is_what_kubernetes_admits_and_has_no_privileges() {
    let Some(validator) = kubernetes::validator() else { return };
    let manifest = recipe("kubernetes-job.yaml");
    kubernetes::validate(&validator, &manifest);
    let documents = kubernetes::documents(&validator, &manifest);
    let [list, job] = documents.as_slice() else { panic!("{} documents", documents.len()) };
    let template = &job["spec"]["template"];
    kubernetes::has_no_privileges(template);
    assert_eq!(list["data"]["list"].as_str().unwrap().lines().count() as u64, job["spec"]["completions"]);
    // Each variable of the script names a mounted path, and only the output is writable.
    let container = &template["spec"]["containers"][0];
    let mounts = container["volumeMounts"].as_array().unwrap();
    for variable in container["env"].as_array().unwrap() {
        let path = variable["value"].as_str().unwrap();
        let mount = mounts.iter().find(|mount| path.starts_with(mount["mountPath"].as_str().unwrap())).unwrap();
        assert_eq!(mount["readOnly"] == true, variable["name"] != "OUTPUT", "{path}");
    }
}

#[test]
fn a_manifest_with_a_mistake_is_refused() {
    let Some(validator) = kubernetes::validator() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.yaml");
    let text = fs::read_to_string(recipe("kubernetes-job.yaml")).unwrap();
    fs::write(&path, text.replace("completionMode:", "completionmode:")).unwrap();
    assert!(std::panic::catch_unwind(|| kubernetes::validate(&validator, &path)).is_err());
}

#[test]
fn each_pod_of_the_job_converts_its_archive() {
    let Some(validator) = kubernetes::validator() else { return };
    let documents = kubernetes::documents(&validator, &recipe("kubernetes-job.yaml"));
    let script = documents[1]["spec"]["template"]["spec"]["containers"][0]["args"][0].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (archives_at, output) = (folder.path().join("archives"), folder.path().join("output"));
    archives(&archives_at);
    fs::create_dir(&output).unwrap();
    let list = folder.path().join("list");
    fs::write(&list, "node-1/kata.log\nnode-2/journal\ncut.log.gz\n").unwrap();
    let pod = |index: usize| -> Output {
        let mut shell = beside_katalog(Path::new("sh"));
        shell.args(["-c", script]).env("JOB_COMPLETION_INDEX", index.to_string());
        shell.env("LIST", &list).env("ARCHIVES", &archives_at).env("OUTPUT", &output).output().unwrap()
    };
    for index in [0, 1, 0] {
        let output = pod(index);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(names(&output), ["node-1_kata.log.ndjson", "node-2_journal.ndjson"]);
    for (name, archive) in [("node-1_kata.log.ndjson", "node-1/kata.log"), ("node-2_journal.ndjson", "node-2/journal")]
    {
        assert!(fs::read(output.join(name)).unwrap() == converted(&archives_at.join(archive)), "{name}");
    }
    // A second attempt does not repair these, as their exit codes tell the Job.
    assert_eq!(pod(2).status.code(), Some(65));
    assert_eq!(pod(3).status.code(), Some(64));
    assert!(!output.join("cut.log.gz.ndjson").exists());
}

#[test]
fn spark_converts_each_archive_once() {
    let tests = "tests of the recipe for Spark";
    let java = Command::new("java").arg("-version").stderr(Stdio::null()).status();
    if !java.is_ok_and(|status| status.success()) {
        skip(tests, "Spark needs Java (Debian: default-jre-headless)");
        return;
    }
    let Some(python) = python::with("pyspark", tests) else { return };
    let folder = tempfile::tempdir().unwrap();
    archives(folder.path());
    let output = folder.path().join("output");
    fs::create_dir(&output).unwrap();
    // A leftover of a killed run.
    fs::write(output.join(".0.part"), "x").unwrap();
    let run = |options: &[&str]| {
        let mut command = beside_katalog(&python);
        command.current_dir(folder.path()).env("SPARK_LOCAL_IP", "127.0.0.1").env("PYSPARK_PYTHON", &python);
        command.arg(recipe("spark.py")).args(["--output", "output", "node-1/kata.log", "node-2/journal"]);
        let ran = command.args(options).output().unwrap();
        let lines = String::from_utf8(ran.stdout).unwrap();
        let results: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (ran.status.code(), results, String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    let states = |results: &[Value]| results.iter().map(|result| result["state"].clone()).collect::<Vec<_>>();
    let (code, results, errors) = run(&["cut.log.gz", "missing.log", "--", "--threads", "2"]);
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(states(&results), ["converted", "converted", "failed", "failed"], "{results:?}");
    assert_eq!((&results[0]["counters"]["written"], &results[2]["exit"]), (&33.into(), &65.into()));
    assert!(results[3]["messages"][0].as_str().unwrap().contains("missing.log"), "{results:?}");
    for (name, archive) in [("node-1_kata.log.ndjson", "node-1/kata.log"), ("node-2_journal.ndjson", "node-2/journal")]
    {
        assert!(fs::read(output.join(name)).unwrap() == converted(&folder.path().join(archive)), "{name}");
    }
    let expected = ["cut.log.gz.ndjson.failed", "missing.log.ndjson.failed", "node-1_kata.log.ndjson"];
    assert_eq!(names(&output)[..3], expected);
    // Once more, with the damaged archive repaired and without the missing one.
    fs::write(folder.path().join("cut.log.gz"), "level=info msg=whole\n").unwrap();
    let (code, results, errors) = run(&["cut.log.gz"]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(states(&results), ["present", "present", "converted"]);
    assert!(
        names(&output).contains(&"cut.log.gz.ndjson".to_owned()) && names(&output).len() == 4,
        "{:?}",
        names(&output)
    );
}
