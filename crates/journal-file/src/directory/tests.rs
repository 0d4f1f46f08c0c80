use std::os::unix::fs::symlink;

use super::*;
use crate::file_range::FileRange;
use crate::open_file::PlainFiles;

const OWN: &str = "00000000000000000000000000000001";
const FOREIGN: &str = "00000000000000000000000000000002";

/// Recognizes compressed files by their first bytes.
struct Compressed;

impl OpenFile for Compressed {
    fn is_compressed(&self, file: &FileRange) -> bool {
        let mut head = [0; 4];
        file.read_at(&mut head, 0).unwrap();
        head.starts_with(b"\x1f\x8b") || &head == b"\x28\xb5\x2f\xfd"
    }

    fn suffixes(&self) -> &[&str] {
        &[".zst", ".xz", ".gz"]
    }
}

fn at(path: &Path, compressed: bool) -> FoundFiles {
    super::at(path, &Compressed, compressed)
}

fn of_this_machine(root: &Path, namespace: &Namespace, merge: bool) -> FoundFiles {
    super::of_this_machine(root, &Compressed, namespace, merge)
}

/// Returns the message of the error.
fn message(error: &AccessError) -> String {
    let AccessError { path, others, cause } = error;
    let cause = cause.raw_os_error().map_or_else(|| io::Error::other(cause.to_string()), io::Error::from_raw_os_error);
    Error::from(AccessError { path: path.clone(), others: *others, cause }).to_string()
}

/// Creates a directory with these files and the machine id [`OWN`].
fn tree(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/machine-id"), format!("{OWN}\n")).unwrap();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }
    root
}

/// Returns the files found, as paths below the root, and checks that there are no errors.
fn paths(root: &tempfile::TempDir, found: &FoundFiles) -> Vec<String> {
    assert!(found.errors.is_empty(), "{:?}", found.errors);
    found.files.iter().map(|file| file.path.strip_prefix(root.path()).unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_name_says_owner_and_stage() {
    let archived = Stage::Archived {
        seqnum_id: 0x505f_31f7_47a1_4cd5_a029_4ce4_8e50_5548_u128.to_be_bytes(),
        seqnum: 0x1a,
        realtime: 0x0006_0a24_181e_4001,
    };
    let id = "505f31f747a14cd5a0294ce48e505548";
    for (name, owner, stage) in [
        ("system.journal", Owner::System, Stage::Current),
        ("user-1000.journal", Owner::User(1000), Stage::Current),
        ("remote-10.0.0.7.journal", Owner::Other, Stage::Current),
        ("remote-user@example.org.journal", Owner::Other, Stage::Current),
        (&format!("system@{id}-000000000000001a-00060a24181e4001.journal"), Owner::System, archived),
        (&format!("user-0@{id}-000000000000001A-00060A24181E4001.journal"), Owner::User(0), archived),
        (&format!("a@b@{id}-000000000000001a-00060a24181e4001.journal"), Owner::Other, archived),
        (&format!("system@{id}-000000000000001a-00060a24181e40011.journal"), Owner::System, Stage::Current),
        (&format!("system@{id}-1a-00060a24181e4001.journal"), Owner::System, Stage::Current),
        (&format!("{id}-000000000000001a-00060a24181e4001.journal"), Owner::Other, Stage::Current),
        ("user-1000@000660c1fb5a9577-bcc2a3077b06dcc8.journal~", Owner::User(1000), Stage::Disposed),
        ("system.journal~", Owner::System, Stage::Disposed),
        ("user-4294967296.journal", Owner::Other, Stage::Current),
        ("user-+1.journal", Owner::Other, Stage::Current),
        ("user-.journal", Owner::Other, Stage::Current),
        ("@.journal", Owner::Other, Stage::Current),
        (".journal", Owner::Other, Stage::Current),
        ("copy.bin", Owner::Other, Stage::Current),
    ] {
        assert_eq!(parse_file_name(OsStr::new(name)), (owner, stage), "{name}");
    }
    assert_eq!(parse_file_name(OsStr::from_bytes(b"user-\xff@.journal~")), (Owner::Other, Stage::Disposed));
}

#[test]
fn of_this_machine_as_journalctl_sees_it() {
    let root = tree(&[
        &format!("run/log/journal/{OWN}/system.journal"),
        &format!("run/log/journal/{FOREIGN}/system.journal"),
        "var/log/journal/here.journal",
        "var/log/journal/other/system.journal",
        &format!("var/log/journal/{OWN}.web/system.journal"),
        &format!("var/log/journal/{OWN}.web.2/system.journal"),
        &format!("var/log/journal/{OWN}./system.journal"),
        &format!("var/log/journal/{OWN}/deeper/system.journal"),
        &format!("var/log/journal/{OWN}/fss"),
        &format!("var/log/journal/{OWN}/system.journal.zst"),
        &format!("var/log/journal/{OWN}/system@1.journal~"),
        &format!("var/log/journal/{OWN}/user-1000.journal"),
        &format!("var/log/journal/{FOREIGN}/system.journal"),
        "var/log/journal/remote/remote-node1.journal",
        &format!("var/log/journal/remote/{FOREIGN}/system.journal"),
    ]);
    let found = |namespace: &str, merge| {
        paths(&root, &of_this_machine(root.path(), &namespace.parse().unwrap(), merge)).join("\n")
    };
    let runtime = [OWN, FOREIGN].map(|id| format!("run/log/journal/{id}/system.journal")).join("\n");
    let here = "var/log/journal/here.journal";
    let (own, web) = (format!("var/log/journal/{OWN}"), format!("var/log/journal/{OWN}.web"));
    let default = format!("{own}/system@1.journal~\n{own}/user-1000.journal");
    assert_eq!(found("", false), format!("{runtime}\n{default}\n{here}"));
    assert_eq!(found("web", false), format!("{web}/system.journal\n{here}"));
    assert_eq!(found("+web", false), format!("{runtime}\n{default}\n{web}/system.journal\n{here}"));
    let all = format!("{runtime}\n{default}\n{web}/system.journal\n{web}.2/system.journal");
    assert_eq!(found("*", false), format!("{all}\n{here}"));
    assert_eq!(
        found("", true),
        format!(
            "{runtime}\n{default}\nvar/log/journal/{FOREIGN}/system.journal\n{here}\n\
             var/log/journal/remote/{FOREIGN}/system.journal\nvar/log/journal/remote/remote-node1.journal"
        )
    );

    // A named directory yields files of all machines and namespaces.
    let directory = at(&root.path().join("var/log/journal"), false);
    assert_eq!(
        paths(&root, &directory).join("\n"),
        format!(
            "{default}\n{web}/system.journal\n{web}.2/system.journal\nvar/log/journal/{FOREIGN}/system.journal\n{here}\n\
             var/log/journal/remote/{FOREIGN}/system.journal\nvar/log/journal/remote/remote-node1.journal"
        )
    );
    assert_eq!(paths(&root, &at(&root.path().join(&own), false)).join("\n"), default);
}

#[test]
fn a_machine_without_journals_has_none() {
    let root = tree(&[]);
    assert_eq!(paths(&root, &of_this_machine(root.path(), &Namespace::All, true)), [""; 0]);
    assert_eq!(paths(&root, &at(&root.path().join("etc"), true)), [""; 0]);
}

#[test]
fn an_unknown_machine_still_has_what_is_in_run() {
    let root =
        tree(&[&format!("run/log/journal/{FOREIGN}/system.journal"), &format!("var/log/journal/{OWN}/system.journal")]);
    fs::write(root.path().join("etc/machine-id"), "uninitialized\n").unwrap();
    let found = of_this_machine(root.path(), &Namespace::Default, false);
    assert_eq!(found.files.len(), 1);
    let [error] = &found.errors[..] else { panic!("{:?}", found.errors) };
    assert!(message(error).ends_with("machine-id\": expected the machine's id, 32 hexadecimal digits"), "{error:?}");
    assert_eq!(paths(&root, &of_this_machine(root.path(), &Namespace::Default, true)).len(), 2);
}

#[test]
fn a_file_is_taken_by_any_name_and_once() {
    let root = tree(&["journals/system.journal", "elsewhere/x.journal.zst"]);
    let below = |path: &str| root.path().join(path);
    let found = at(&below("elsewhere/x.journal.zst"), true);
    assert_eq!(paths(&root, &found), ["elsewhere/x.journal.zst"]);
    assert_eq!((found.files[0].owner, found.files[0].stage), (Owner::Other, Stage::Current));

    fs::hard_link(below("journals/system.journal"), below("journals/a.journal")).unwrap();
    symlink(below("journals/system.journal"), below("journals/b.journal")).unwrap();
    symlink(below("elsewhere"), below(&format!("journals/{FOREIGN}"))).unwrap();
    symlink(below("journals"), below(&format!("journals/{OWN}"))).unwrap();
    fs::write(below("elsewhere/y.journal"), b"").unwrap();
    let found = at(&below("journals"), false);
    assert_eq!(paths(&root, &found), [&format!("journals/{FOREIGN}/y.journal"), "journals/a.journal"]);
    let metadata = fs::metadata(below("journals/system.journal")).unwrap();
    assert_eq!((found.files[1].device, found.files[1].inode), (metadata.dev(), metadata.ino()));
}

#[test]
fn compressed_files_in_directories_are_taken_where_they_are_asked_for() {
    let root =
        tree(&["j/a.journal", "j/b.journal.zst", "j/c.journal.xz", "j/d.journal.gz", "j/e.journal~.gz", "j/f.log.gz"]);
    let below = |path: &str| root.path().join(path);
    fs::write(below("j/b.journal.zst"), b"\x28\xb5\x2f\xfd").unwrap();
    fs::write(below("j/a.journal"), b"\x1f\x8b").unwrap();
    assert_eq!(paths(&root, &at(&below("j"), false)), ["j/a.journal"]);
    let found = at(&below("j"), true);
    let expected = ["j/a.journal", "j/b.journal.zst", "j/c.journal.xz", "j/d.journal.gz", "j/e.journal~.gz"];
    assert_eq!(paths(&root, &found), expected);
    let stages: Vec<Stage> = found.files.iter().map(|file| file.stage).collect();
    assert_eq!(stages[..3], [Stage::Compressed, Stage::Compressed, Stage::Current], "what they hold decides");
}

#[test]
fn what_cannot_be_read_hides_nothing() {
    let root = tree(&["j/system.journal", &format!("j/{OWN}")]);
    let below = |path: &str| root.path().join(path);
    fs::create_dir(below("j/directory.journal")).unwrap();
    symlink("nowhere", below("j/dangling.journal")).unwrap();
    symlink("circle.journal", below("j/circle.journal")).unwrap();
    symlink("nowhere", below(&format!("j/{FOREIGN}"))).unwrap();
    let found = at(&below("j"), true);
    assert_eq!(found.files.len(), 1);
    let failed: Vec<_> = found.errors.iter().map(|error| error.path.strip_prefix(below("j")).unwrap()).collect();
    assert_eq!(failed, ["circle.journal", "dangling.journal", FOREIGN].map(Path::new));
    assert!(message(&found.errors[1]).ends_with("dangling.journal\": No such file or directory (os error 2)"));

    for (path, cause) in [("missing", "No such file or directory"), ("j/circle.journal", "symbolic links")] {
        let found = at(&below(path), true);
        assert!(found.files.is_empty());
        assert!(message(&found.errors[0]).contains(cause), "{:?}", found.errors);
    }
    let device = at(Path::new("/dev/null"), true);
    assert_eq!(message(&device.errors[0]), "failed to read \"/dev/null\": it is neither a file nor a directory");
}

#[test]
fn a_missing_permission_names_the_groups_once() {
    // Tests may run as root, who has access to everything.
    let mut search = DirectorySearch::new(&PlainFiles, false);
    for path in ["/a/1.journal", "/a/2.journal", "/a/3.journal", "/b/1.journal"] {
        search.failed(Path::new(path), io::Error::from_raw_os_error(13));
    }
    search.failed(Path::new("/b/2.journal"), io::Error::from_raw_os_error(2));
    search.failed(Path::new("/b/3.journal"), io::Error::from_raw_os_error(13));
    let messages: Vec<_> = search.end().errors.iter().map(message).collect();
    assert_eq!(
        messages[0],
        "failed to read \"/a/1.journal\" and 4 more: Permission denied (os error 13); the members of the \
         group `systemd-journal`, and mostly those of `adm` and `wheel`, may read all journals"
    );
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[1], "failed to read \"/b/2.journal\": No such file or directory (os error 2)");
}

#[test]
fn namespaces_are_written_as_for_journalctl() {
    for (text, namespace) in [
        ("", Namespace::Default),
        ("*", Namespace::All),
        ("web", Namespace::Only("web".to_owned())),
        ("+web", Namespace::AndDefault("web".to_owned())),
    ] {
        assert_eq!(text.parse(), Ok(namespace));
    }
}
