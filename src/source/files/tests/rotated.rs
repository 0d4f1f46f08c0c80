//! Files that are renamed, truncated, deleted, compressed and relinked, during a run and between runs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::{Duration, SystemTime};

use super::{Follower, lines, long};

#[test]
fn a_rotated_file_is_read_to_its_end_before_the_new_one() {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", "one\n")]);
    assert_eq!(follower.news(), ["one"]);
    follower.append("kata.log", "two\n");
    follower.rename("kata.log", "kata.log.1");
    follower.append("kata.log", "four\n");
    follower.append("kata.log.1", "three\nunfini");
    assert_eq!(follower.news(), ["two", "three", "four"]);
    assert!(follower.news().is_empty());
    follower.append("kata.log.1", "shed");
    follower.append("kata.log", "five\n");
    let mut news = follower.news_later();
    news.sort();
    assert_eq!(news, ["five", "unfinished"]);
    assert!(follower.saved.values().any(|saved| saved.over && saved.path.ends_with("kata.log.1")));
    // Even later data is not lost.
    follower.append("kata.log.1", "late\n");
    assert_eq!(follower.news(), ["late"]);
    assert_eq!(follower.source.logs.len(), 2);
    assert!(follower.damages.is_empty(), "{:?}", follower.damages);
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", "one\n")]);
    follower.news();
    follower.append("kata.log", "two\nthree");
    follower.remove("kata.log");
    follower.append("kata.log", "four\n");
    assert_eq!(follower.news(), ["two", "four"]);
    assert_eq!(follower.news_later(), ["three"]);
    // A deleted file is forgotten.
    follower.drain();
    assert_eq!(follower.source.logs.len(), 1);
    assert_eq!(follower.origins().len(), 3);
}

#[cfg(feature = "zstd")]
#[test]
fn a_rotated_file_that_a_pattern_names_is_never_read_twice() {
    let mut follower = Follower::new(&["kata.log*"], &[("kata.log", &long("a")), ("kata.log.1", "old\n")]);
    assert_eq!(follower.news().len(), 101);
    for turn in 0..3 {
        for number in (1..6).rev().filter(|number| follower.path(&format!("kata.log.{number}")).exists()) {
            follower.rename(&format!("kata.log.{number}"), &format!("kata.log.{}", number + 1));
        }
        follower.rename("kata.log", "kata.log.1");
        follower.append("kata.log", format!("new {turn}\n"));
        assert_eq!(follower.news(), [format!("new {turn}")]);
    }
    for number in 1..5 {
        follower.compress(&format!("kata.log.{number}"));
    }
    assert!(follower.news().is_empty());
    assert!(follower.news_later().is_empty());
    follower.restart();
    assert!(follower.news().is_empty());
    assert!(follower.damages.is_empty(), "{:?}", follower.damages);
}

#[test]
fn two_rotations_between_looks_lose_nothing() {
    let before = [("kata.log", "one\n"), ("kata.log.1", "before\n"), ("kata.log.2", "long before\n")];
    let mut follower = Follower::new(&["kata.log"], &before);
    assert_eq!(follower.news(), ["one"]);
    follower.append("kata.log", "two\n");
    for text in ["three\n", "four\n", "five\n"] {
        for number in (1..6).rev().filter(|number| follower.path(&format!("kata.log.{number}")).exists()) {
            follower.rename(&format!("kata.log.{number}"), &format!("kata.log.{}", number + 1));
        }
        follower.rename("kata.log", "kata.log.1");
        follower.append("kata.log", text);
    }
    let news = follower.news();
    assert_eq!(news.first().unwrap(), "two");
    assert_eq!(news.last().unwrap(), "five");
    assert_eq!(news.len(), 4, "{news:?}");
    // Older files are not read when they are compressed, nor when they are rotated with the others.
    follower.compress("kata.log.5");
    assert!(follower.news().is_empty());
    follower.compress("kata.log.4");
    follower.rename("kata.log", "kata.log.0");
    follower.append("kata.log", "six\n");
    assert_eq!(follower.news(), ["six"]);
}

#[test]
fn a_file_that_is_only_beside_is_not_read() {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", &long("a"))]);
    follower.drain();
    follower.append("kata.log.filtered", "a part\n");
    fs::copy(follower.path("kata.log"), follower.path("kata.log.bak")).unwrap();
    assert!(follower.news().is_empty());
    follower.rename("kata.log", "kata.log.1");
    follower.append("kata.log", "two\n");
    assert_eq!(follower.news(), ["two"]);
}

#[test]
fn two_rotations_while_nobody_reads_lose_nothing() {
    let before = [("kata.log.1", "before\n"), ("kata.log", "one\ntw")];
    let mut follower = Follower::new(&["kata.log"], &before);
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::open(follower.path("kata.log.1")).unwrap().set_modified(past).unwrap();
    follower.restart();
    assert_eq!(follower.news(), ["one"]);
    follower.append("kata.log", "o\n");
    follower.rename("kata.log.1", "kata.log.3");
    follower.rename("kata.log", "kata.log.2");
    follower.append("kata.log.1", "three\n");
    follower.append("kata.log", "four\n");
    follower.restart();
    assert_eq!(follower.news(), ["two", "three", "four"]);
    follower.restart();
    assert!(follower.news().is_empty());
    // A file that was read and then deleted is reported once.
    follower.remove("kata.log.2");
    follower.restart();
    assert!(follower.news().is_empty());
    assert_eq!(follower.damages, [("lost-file", follower.path("kata.log.2"), 8)]);
    follower.restart();
    follower.drain();
    assert_eq!(follower.damages.len(), 1);
}

#[test]
fn what_was_read_to_its_end_is_not_missed() {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", "one\n")]);
    follower.news();
    follower.rename("kata.log", "kata.log.1");
    follower.news_later();
    follower.restart();
    assert!(follower.news().is_empty());
    follower.remove("kata.log.1");
    follower.restart();
    assert!(follower.news().is_empty() && follower.damages.is_empty());
}

#[test]
fn the_rest_of_a_truncated_log_comes_from_its_copy() {
    for patterns in [["kata.log"], ["kata.log*"]] {
        let mut follower = Follower::new(&patterns, &[("kata.log", "one\n")]);
        follower.drain();
        for (turn, text) in [long("a"), "two\n".to_owned(), long("b")].iter().enumerate() {
            follower.append("kata.log", format!("begun {turn}"));
            assert!(follower.news().is_empty());
            follower.append("kata.log", format!(" ended {turn}\n{text}unfinished {turn}"));
            follower.copy_truncate("kata.log", &format!("kata.log.{turn}"));
            follower.append("kata.log", format!("new {turn}\n"));
            let mut expected = vec![format!("begun {turn} ended {turn}")];
            expected.extend(lines(text));
            expected.push(format!("new {turn}"));
            assert_eq!(follower.news(), expected, "{patterns:?}");
            assert_eq!(follower.news_later(), [format!("unfinished {turn}")]);
        }
        assert!(follower.damages.is_empty(), "{:?}", follower.damages);
        follower.restart();
        assert!(follower.news().is_empty());
        let ids: BTreeSet<_> = follower.entries.iter().map(|(origin, at, _)| (origin, at)).collect();
        assert_eq!(ids.len(), follower.entries.len(), "ids are given twice");
    }
}

#[test]
fn a_copy_that_is_seen_before_its_original_is_truncated_is_not_read_by_itself() {
    let mut follower = Follower::new(&["kata.log*"], &[("kata.log", &long("a"))]);
    follower.drain();
    fs::copy(follower.path("kata.log"), follower.path("kata.log.1")).unwrap();
    fs::write(follower.path("kata.log.2"), "a 00000 ...").unwrap();
    assert!(follower.news().is_empty());
    follower.append("kata.log.1", "more\n");
    follower.truncate("kata.log");
    follower.append("kata.log", "new\n");
    assert_eq!(follower.news(), ["more", "new"]);
    // The file only began like the log.
    follower.append("kata.log.2", "other\n");
    assert_eq!(follower.news(), ["a 00000 ...other"]);
}

#[test]
fn a_truncated_log_without_a_copy_is_counted() {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", "one\ntwo\nthr")]);
    follower.drain();
    follower.truncate("kata.log");
    follower.append("kata.log", "new\n");
    assert_eq!(follower.news(), ["thr", "new"]);
    assert_eq!(follower.damages, [("truncated-log", follower.path("kata.log"), 11)]);
    // The same length or longer, but other first bytes.
    for text in ["nev\n", "never and a day\n"] {
        fs::write(follower.path("kata.log"), text).unwrap();
        let file = fs::File::open(follower.path("kata.log")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(9 + text.len() as u64)).unwrap();
        assert_eq!(follower.news(), lines(text));
    }
    assert_eq!(follower.damages.len(), 3);
    let mut origins = follower.origins();
    origins.sort_unstable();
    origins.dedup();
    assert_eq!(origins.len(), 4);
    follower.restart();
    assert!(follower.news().is_empty());
}

#[test]
fn two_truncations_between_looks_lose_nothing() {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", "one\n")]);
    follower.drain();
    follower.append("kata.log", "two\n");
    follower.copy_truncate("kata.log", "kata.log.2");
    follower.append("kata.log", "three\n");
    follower.copy_truncate("kata.log", "kata.log.1");
    follower.append("kata.log", "four\n");
    let mut news = follower.news();
    news.sort();
    assert_eq!(news, ["four", "three", "two"]);
    assert!(follower.damages.is_empty(), "{:?}", follower.damages);
}

#[test]
fn a_log_truncated_while_nobody_reads_goes_on_in_its_copy() {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", "one\n")]);
    follower.drain();
    follower.append("kata.log", "two\n");
    follower.copy_truncate("kata.log", "kata.log.1");
    follower.append("kata.log", "three, which is longer\n");
    follower.restart();
    assert_eq!(follower.news(), ["two", "three, which is longer"]);
    assert!(follower.damages.is_empty());
    let origins = follower.origins();
    assert_eq!(origins.len(), 2);
    follower.restart();
    assert!(follower.news().is_empty());
    follower.truncate("kata.log");
    follower.append("kata.log", "four\n");
    follower.restart();
    assert_eq!(follower.news(), ["four"]);
    assert_eq!(follower.damages, [("truncated-log", follower.path("kata.log"), 23)]);
    assert_eq!(follower.origins().len(), 3);
}

#[test]
fn an_inode_that_another_file_got_says_nothing() {
    let mut follower = Follower::new(&["*.log"], &[("a.log", "one\n"), ("b.log", "other\n")]);
    follower.drain();
    // Swaps the inodes, as if they had been reused.
    let inodes: Vec<u64> = follower.saved.values().map(|saved| saved.inode).collect();
    for (saved, inode) in follower.saved.values_mut().zip(inodes.iter().rev()) {
        saved.inode = *inode;
    }
    follower.append("a.log", "two\n");
    follower.append("b.log", "others\n");
    let before = follower.origins();
    follower.restart();
    let mut news = follower.news();
    news.sort();
    assert_eq!(news, ["others", "two"]);
    assert_eq!(before.len() + 2, follower.origins().len());
    assert!(follower.damages.is_empty());
    follower.remove("a.log");
    let (origin, saved) = follower.saved.iter().find(|(_, saved)| saved.path.ends_with("a.log")).unwrap();
    let (origin, mut saved) = (origin.clone(), saved.clone());
    follower.append("c.log", "one of its own\n");
    saved.inode = fs::metadata(follower.path("c.log")).unwrap().ino();
    follower.saved.insert(origin.clone(), saved);
    follower.restart();
    assert_eq!(follower.news(), ["one of its own"]);
    assert_eq!(follower.damages, [("lost-file", follower.path("a.log"), 8)]);
    assert!(follower.entries.last().is_some_and(|(of, ..)| !before.contains(of)));
}

#[cfg(feature = "zstd")]
#[test]
fn a_file_that_was_compressed_meanwhile_is_gone_on_with() {
    let text = long("a");
    for patterns in [["kata.log"], ["kata.log*"]] {
        let mut follower = Follower::new(&patterns, &[("kata.log", &text)]);
        follower.drain();
        follower.append("kata.log", "two\nthree");
        follower.rename("kata.log", "kata.log.1");
        follower.compress("kata.log.1");
        follower.append("kata.log", "four\n");
        follower.restart();
        assert_eq!(follower.news(), ["two", "three", "four"], "{patterns:?}");
        assert_eq!(follower.entries[0].0, follower.entries[100].0, "its ids go on");
        assert_eq!(follower.entries[100].1, text.len() as u64);
        follower.restart();
        assert!(follower.news().is_empty());
        assert!(follower.damages.is_empty(), "{:?}", follower.damages);
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_short_file_is_known_again_when_it_is_compressed() {
    let mut follower = Follower::new(&["kata.log"], &[("kata.log", "1\n")]);
    follower.drain();
    follower.append("kata.log", "2\n");
    follower.compress("kata.log");
    follower.restart();
    assert_eq!(follower.news(), ["2"]);
}

#[cfg(feature = "zstd")]
#[test]
fn a_compressed_file_is_read_whole_even_while_it_is_being_written() {
    let text: String = (0..20_000).map(|number| format!("line {number} {}\n", number * number)).collect();
    let packed = zstd::encode_all(text.as_bytes(), 0).unwrap();
    let mut follower = Follower::new(&["*.zst"], &[]);
    let (first, second) = packed.split_at(packed.len() / 2);
    follower.append("a.zst", &first[..3]);
    assert!(follower.news().is_empty());
    follower.append("a.zst", &first[3..]);
    let mut news = follower.news();
    follower.append("a.zst", second);
    news.extend(follower.news());
    assert_eq!(news, lines(&text));
    assert!(follower.damages.is_empty());
    follower.append("b.zst", first);
    follower.drain();
    let offset = follower.news_later().len();
    assert_eq!((offset, follower.damages.len(), follower.damages[0].0), (1, 1, "damaged-file"));
    assert!(follower.news_later().is_empty() && follower.damages.len() == 1);
}

#[test]
fn a_link_that_is_pointed_elsewhere_is_a_rotation() {
    let mut follower = Follower::new(&["containers/*kata*.log"], &[]);
    follower.settings.follow_links = true;
    follower.restart();
    fs::create_dir_all(follower.path("pods/one")).unwrap();
    fs::create_dir_all(follower.path("docker")).unwrap();
    follower.append("docker/a.log", "one\n");
    symlink(follower.path("docker/a.log"), follower.path("pods/one/0.log")).unwrap();
    follower.drain();
    fs::create_dir_all(follower.path("containers")).unwrap();
    symlink("../pods/one/0.log", follower.path("containers/x-kata.log")).unwrap();
    assert_eq!(follower.news(), ["one"]);
    // kubelet rotates the target.
    follower.rename("docker/a.log", "docker/a.log.20240506-070814");
    follower.append("docker/a.log.20240506-070814", "two\n");
    follower.append("docker/a.log", "three\n");
    assert_eq!(follower.news(), ["two", "three"]);
    // The container restarts.
    follower.append("docker/a.log", "four\n");
    follower.append("docker/b.log", "five\n");
    symlink(follower.path("docker/b.log"), follower.path("pods/one/1.log")).unwrap();
    symlink("../pods/one/1.log", follower.path("containers/new")).unwrap();
    follower.rename("containers/new", "containers/x-kata.log");
    let mut news = follower.news();
    news.sort();
    assert_eq!(news, ["five", "four"]);
    follower.append("docker/a.log", "six\n");
    follower.restart();
    assert_eq!(follower.news(), ["six"]);
    assert!(follower.damages.is_empty());
}

#[cfg(feature = "zstd")]
#[test]
fn a_line_has_one_id_wherever_it_is_read() {
    let text = long("a");
    let mut ids = Vec::new();
    for compressed in [false, true] {
        let mut follower = Follower::new(&["kata.log"], &[("kata.log", "now\n")]);
        follower.drain();
        follower.append("kata.log.1", &text);
        if compressed {
            follower.compress("kata.log.1");
        }
        assert_eq!(follower.news(), lines(&text));
        ids.push(follower.entries.split_off(1));
    }
    assert_eq!(ids[0], ids[1]);
}

#[cfg(feature = "zstd")]
#[test]
fn a_copy_that_is_not_complete_is_waited_for() {
    let text = long("a");
    let packed = zstd::encode_all(text.as_bytes(), 0).unwrap();
    for compressed in [false, true] {
        let (name, copy) = if compressed { ("kata.log.1.zst", &packed[..]) } else { ("kata.log.1", text.as_bytes()) };
        for cut in [0, 3, 20, copy.len() - 1] {
            let mut follower = Follower::new(&["kata.log"], &[("kata.log", text.split_at(text.len() / 2).0)]);
            follower.drain();
            follower.truncate("kata.log");
            follower.append("kata.log", "new\n");
            follower.append(name, &copy[..cut]);
            follower.restart();
            follower.drain();
            follower.append(name, &copy[cut..]);
            follower.drain();
            follower.restart();
            follower.drain();
            let mut texts: Vec<_> = follower.entries.iter().map(|(_, _, text)| text.clone()).collect();
            texts.sort();
            let mut expected = lines(&text);
            expected.push("new".to_owned());
            assert_eq!(texts, expected, "{name}, cut at {cut}");
        }
    }
}

#[test]
fn what_was_there_before_is_not_read_after_a_restart_either() {
    let mut follower =
        Follower::new(&["kata.log"], &[("kata.log", ""), ("kata.log.1", "old\n"), ("kata.log.2", "older\n")]);
    assert!(follower.news().is_empty());
    follower.rename("kata.log.1", "kata.log.3");
    follower.rename("kata.log", "kata.log.1");
    follower.append("kata.log.1", "one\n");
    follower.append("kata.log", "two\n");
    follower.restart();
    assert_eq!(follower.news(), ["one", "two"]);
    follower.remove("kata.log.2");
    follower.drain();
    assert!(follower.saved.values().all(|saved| !saved.path.ends_with("kata.log.2")), "it is forgotten");
    assert!(follower.damages.is_empty(), "{:?}", follower.damages);
}

#[cfg(feature = "zstd")]
#[test]
fn a_copy_that_is_named_is_read_beside_its_unread_original() {
    for follow in [false, true] {
        let text = long("a");
        let mut follower = Follower::new(&["kata.log.zst"], &[("kata.log", &text)]);
        follower.compress("kata.log");
        follower.append("kata.log", &text);
        follower.restart_as(follow);
        assert_eq!(follower.news(), lines(&text), "{follow}");
        follower.restart_as(follow);
        assert!(follower.news().is_empty());
        // With both names, the content comes once.
        follower.patterns.push(follower.path("kata.log"));
        follower.saved.clear();
        follower.restart_as(follow);
        assert_eq!(follower.news(), lines(&text), "{follow}");
    }
}
