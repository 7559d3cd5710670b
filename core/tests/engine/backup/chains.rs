//! Chains of backups.

use super::*;
use nyro::testing::seed;
use nyro::Error;

#[test]
fn every_backup_of_a_workload_restores_to_the_content_at_its_moment() {
    for seed in seed(20)..seed(20) + 6 {
        let mut bed = Bed::new(seed);
        // Each backup with the files that lead to it.
        let mut made: Vec<(String, Vec<String>)> = Vec::new();
        for step in 0..25 {
            bed.work(40);
            if step % 7 == 6 {
                bed.db.close().expect("closes");
                bed.db = open(&bed.disk, "db").expect("opens again");
            }
            let name = format!("backup {step}");
            // A full one, or based on any of those remembered.
            let remembered = made.len().min(16) as u64;
            let base = bed.rng.below(remembered + 1);
            let (since, mut files) = match base {
                0 => (None, Vec::new()),
                back => {
                    let (base, files) = &made[made.len() - back as usize];
                    (Some(base.clone()), files.clone())
                }
            };
            let report = bed.backup(&name, &named(&name, since.as_deref())).expect("backs up");
            assert_eq!(report.commit, bed.db.stats().expect("stats").commit);
            files.push(name.clone());
            let paths: Vec<&str> = files.iter().map(String::as_str).collect();
            let restored = bed.restore("copy", &paths).expect("restores");
            assert_eq!(restored.commit, report.commit);
            assert_eq!(bed.content_of("copy"), bed.content, "seed {seed}, {files:?}");
            made.push((name, files));
        }
        assert!(made.iter().any(|(_, files)| files.len() > 2), "no chain to speak of");
        bed.db.verify().expect("verify");
    }
}

#[test]
fn a_rolling_name_stands_for_the_newest_backup() {
    let mut bed = Bed::new(30);
    bed.work(100);
    bed.backup("0", &named("daily", None)).expect("backs up");
    let mut files = vec!["0".to_owned()];
    for day in 1..5 {
        bed.work(30);
        bed.backup(&day.to_string(), &named("daily", Some("daily"))).expect("backs up");
        files.push(day.to_string());
    }
    let paths: Vec<&str> = files.iter().map(String::as_str).collect();
    bed.restore("copy", &paths).expect("restores");
    assert_eq!(bed.content_of("copy"), bed.content);
    assert_eq!(bed.db.backups().expect("open").len(), 1);
}

fn mismatch(result: Result<VerifyReport>, words: &[&str]) {
    match result {
        Err(Error::BackupMismatch(why)) => {
            assert!(words.iter().all(|word| why.contains(word)), "{why:?} does not name {words:?}");
        }
        other => panic!("not refused as a mismatch: {other:?}"),
    }
}

#[test]
fn backups_that_do_not_follow_each_other_are_refused_by_name() {
    let mut bed = Bed::new(31);
    bed.work(100);
    bed.backup("sun", &named("sunday", None)).expect("backs up");
    bed.work(20);
    bed.backup("mon", &named("monday", Some("sunday"))).expect("backs up");
    bed.work(20);
    bed.backup("tue", &named("tuesday", Some("monday"))).expect("backs up");
    bed.disk.write_file("target", b"untouched".to_vec());
    let files = bed.disk.file_names();
    mismatch(bed.restore("target", &["sun", "tue"]), &["tue", "monday", "sunday"]);
    mismatch(bed.restore("target", &["sun", "mon", "mon"]), &["mon", "sunday", "monday"]);
    mismatch(bed.restore("target", &["mon"]), &["mon", "incremental", "full"]);
    mismatch(bed.restore("target", &["sun", "sun"]), &["sun", "full"]);
    let mut other = Bed::new(32);
    other.work(50);
    other.backup("full", &named("sunday", None)).expect("backs up");
    bed.disk.write_file("other", other.disk.read_file("full"));
    let found = restore(&bed.disk, "target", &["other", "mon"], true);
    // Both have the same seed of random numbers here, and so the same identity: the ids tell them apart.
    assert!(matches!(found, Err(Error::BackupMismatch(_) | Error::Corrupt(_))), "{found:?}");
    bed.disk.remove("other").expect("removed");
    assert!(matches!(bed.restore("target", &["target"]), Err(Error::Locked { .. })), "the target itself");
    assert!(matches!(bed.restore("target", &[]), Err(Error::InvalidArgument(_))));
    assert!(matches!(bed.restore("target", &["nothing"]), Err(Error::NoSuchFile(_))));
    assert_eq!(bed.disk.read_file("target"), b"untouched");
    assert_eq!(bed.disk.file_names(), files);
    mismatch(bed.backup("x", &named("x", Some("friday"))).map(|_| VerifyReport::default()), &["friday", "tuesday"]);
    for bad in [String::new(), "x".repeat(64), "a\0b".to_owned()] {
        assert!(matches!(bed.backup("x", &named(&bad, None)), Err(Error::InvalidArgument(_))), "{bad:?}");
    }
    bed.backup("x", &named(&"é".repeat(31), None)).expect("62 bytes");
}

#[test]
fn a_restored_copy_that_went_on_by_itself_has_a_branch_of_its_own() {
    let mut bed = Bed::new(33);
    bed.work(100);
    bed.backup("base", &named("base", None)).expect("backs up");
    bed.restore("branch", &["base"]).expect("restores");
    let branch = open(&bed.disk, "branch").expect("opens");
    // Both go on from the base, and both make a backup of the same name at the same checkpoint.
    bed.put("a", 1, "main".into());
    bed.backup("main 1", &named("one", Some("base"))).expect("backs up");
    bed.put("a", 2, "main".into());
    bed.backup("main 2", &named("two", Some("one"))).expect("backs up");
    let main = bed.content.clone();
    let documents = branch.collection::<Document>("a");
    documents.put(&doc! { "_id": 1, "text": "branch" }).expect("puts");
    let backup = |file: &str, options: &BackupOptions| {
        testing::backup(&branch, shared(&bed.disk), file, options, Control::new()).expect("backs up")
    };
    backup("branch 1", &named("one", Some("base")));
    documents.put(&doc! { "_id": 2, "text": "branch" }).expect("puts");
    backup("branch 2", &named("two", Some("one")));
    mismatch(bed.restore("copy", &["base", "main 1", "branch 2"]), &["branch 2", "one"]);
    mismatch(bed.restore("copy", &["base", "branch 1", "main 2"]), &["main 2", "one"]);
    bed.restore("copy", &["base", "main 1", "main 2"]).expect("restores");
    assert_eq!(bed.content_of("copy"), main);
    bed.restore("copy", &["base", "branch 1", "branch 2"]).expect("restores");
    assert_eq!(bed.content_of("copy"), content(&branch));
}

#[test]
fn a_full_backup_without_a_name_is_not_taken_for_an_earlier_one() {
    let mut bed = Bed::new(34);
    bed.work(100);
    bed.backup("base", &named("base", None)).expect("backs up");
    bed.work(20);
    bed.backup("unnamed", &BackupOptions::default()).expect("backs up");
    bed.work(20);
    bed.backup("inc", &named("inc", Some("base"))).expect("backs up");
    mismatch(bed.restore("copy", &["unnamed", "inc"]), &["base", "without a name"]);
    bed.restore("copy", &["base", "inc"]).expect("restores");
    assert_eq!(bed.content_of("copy"), bed.content);
}

#[test]
fn names_are_remembered_after_reopening_and_carried_by_their_own_backup() {
    let mut bed = Bed::new(35);
    bed.work(50);
    for n in 0..20 {
        bed.backup(&format!("file {n}"), &named(&format!("name {n}"), None)).expect("backs up");
    }
    bed.db.close().expect("closes");
    bed.db = open(&bed.disk, "db").expect("opens");
    let names: Vec<String> = bed.db.backups().expect("open").into_iter().map(|backup| backup.name).collect();
    let expected: Vec<String> = (4..20).rev().map(|n| format!("name {n}")).collect();
    assert_eq!(names, expected);
    let copy = open(&bed.disk, "file 2").expect("opens");
    let names: Vec<String> = copy.backups().expect("open").into_iter().map(|backup| backup.name).collect();
    assert_eq!(names, ["name 2", "name 1", "name 0"]);
    // A checkpoint in the middle, a recovery, and an opening without a write leave them.
    bed.work(50);
    testing::abandon(bed.db.clone());
    bed.db = open(&bed.disk, "db").expect("recovers");
    bed.work(5);
    bed.db.checkpoint().expect("checkpoint");
    bed.backup("inc", &named("inc", Some("name 19"))).expect("backs up");
    bed.restore("copy", &["file 19", "inc"]).expect("restores");
    assert_eq!(bed.content_of("copy"), bed.content);
}
