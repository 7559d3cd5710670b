//! Transactions: all or nothing, one at a time.

use crate::common::{item, quick, Db, Place};
use nyro::{doc, Document, Durability, Error, Options};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_transaction_spans_collections_and_is_visible_only_when_committed() {
    let place = Place::new();
    let db = place.open();
    db.docs("a").put(&item(1, 1)).expect("puts");
    let sum = db.write(|tx| {
        let (a, b) = (tx.collection::<Document>("a"), tx.collection::<Document>("b"));
        a.put(&item(1, 2))?;
        b.insert_one(&item(1, 3))?;
        assert_eq!(a.get(1)?, Some(item(1, 2)), "it reads its own writes");
        assert!(b.contains(1)? && !b.contains(2)?);
        assert_eq!(db.docs("a").get(1)?, Some(item(1, 1)), "nobody else does");
        assert_eq!(db.docs("b").count_documents()?, 0);
        assert!(b.replace_one(1, &doc! { "value": 4 })? && !b.replace_one(9, &doc! { "value": 4 })?);
        assert!(a.delete(1)? && !a.delete(1)? && a.get(1)?.is_none() && !a.contains(1)?);
        a.insert_one(&item(1, 5))?;
        Ok(9)
    });
    assert_eq!(sum.expect("commits"), 9);
    db.abandon();
    let db = place.open();
    assert_eq!(db.docs("a").get(1).expect("gets"), Some(item(1, 5)));
    assert_eq!(db.docs("b").get(1).expect("gets"), Some(item(1, 4)));
}

fn change_everything(tx: &nyro::Transaction<'_>) -> nyro::Result<()> {
    tx.collection::<Document>("a").put(&item(1, 9))?;
    tx.collection::<Document>("a").put(&item(2, 9))?;
    tx.collection::<Document>("new").put(&item(1, 9))?;
    tx.rename_collection("b", "renamed")?;
    assert!(tx.drop_collection("c")?);
    tx.create_collection("c")
}

#[test]
fn an_error_or_a_panic_rolls_back_without_a_trace() {
    let place = Place::new();
    let db = place.open();
    for name in ["a", "b", "c"] {
        db.docs(name).put(&item(1, 1)).expect("puts");
    }
    let check = |db: &Db| {
        assert_eq!(db.collection_names().expect("names"), ["a", "b", "c"]);
        for name in ["a", "b", "c"] {
            assert_eq!(db.docs(name).get(1).expect("gets"), Some(item(1, 1)), "{name}");
            assert_eq!(db.docs(name).count_documents().expect("counts"), 1);
        }
    };
    let refused = db.write(|tx| change_everything(tx).and(Err::<(), _>(Error::InvalidArgument("mine".into()))));
    assert!(matches!(refused, Err(Error::InvalidArgument(why)) if why == "mine"));
    check(&db);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        db.write(|tx| {
            change_everything(tx)?;
            std::panic::resume_unwind(Box::new("mine"));
            #[expect(unreachable_code, reason = "gives the closure its type")]
            Ok(())
        })
    }));
    assert!(panicked.is_err());
    check(&db);
    db.docs("a").put(&item(1, 1)).expect("the writer is free again");
    db.abandon();
    check(&place.open());
}

#[test]
fn a_collection_may_be_dropped_and_made_again_within_one_transaction() {
    let place = Place::new();
    let db = place.open();
    db.docs("c").put(&item(1, 1)).expect("puts");
    db.docs("c").put(&item(2, 1)).expect("puts");
    db.write(|tx| {
        let c = tx.collection::<Document>("c");
        c.put(&item(3, 1))?;
        assert!(tx.drop_collection("c")?);
        assert!(!c.contains(1)? && !c.contains(3)? && !tx.drop_collection("c")?);
        assert_eq!(c.put(&doc! { "again": true })?, 1.into());
        Ok(())
    })
    .expect("commits");
    let check = |db: &Db| {
        assert_eq!(db.docs("c").get(1).expect("gets"), Some(doc! { "_id": 1, "again": true }));
        assert_eq!(db.docs("c").count_documents().expect("counts"), 1);
        assert_eq!(db.docs("c").scan().expect("scans").count(), 1);
    };
    check(&db);
    db.abandon();
    let db = place.open();
    check(&db);
    db.checkpoint().expect("checkpoint");
    check(&db);
}

#[test]
fn a_duplicate_within_a_transaction_leaves_it_usable() {
    let db = Db::memory();
    db.write(|tx| {
        let c = tx.collection::<Document>("c");
        c.insert_one(&item(1, 1))?;
        assert_eq!(c.insert_one(&item(1, 2)).expect_err("a duplicate").code(), 205);
        c.insert_one(&item(2, 2)).map(|_| ())
    })
    .expect("commits");
    assert_eq!(db.docs("c").get(1).expect("gets"), Some(item(1, 1)));
    assert_eq!(db.docs("c").count_documents().expect("counts"), 2);
}

/// Whatever needs the writer's turn would wait for itself.
#[test]
fn a_document_refused_within_a_transaction_makes_no_collection() {
    let db = Db::memory();
    let bad = doc! { "_id": 1.5 };
    let raw = nyro::RawDocumentBuf::from_serialize(&bad).expect("a document");
    db.write(|tx| {
        let made = tx.collection::<Document>("made");
        for refused in [made.put(&bad), made.put_raw(&raw), made.insert_one(&bad), made.insert_one_raw(&raw)] {
            assert_eq!(refused.expect_err("a bad id").code(), 204);
        }
        tx.create_collection("other")?;
        tx.rename_collection("other", "made")
    })
    .expect("commits: the name is free");
    assert_eq!(db.collection_names().expect("names"), ["made"]);
}

#[test]
fn what_would_wait_for_its_own_transaction_is_an_error() {
    let place = Place::new();
    let db = place.open();
    db.write(|tx| {
        tx.collection::<Document>("c").put(&item(1, 1))?;
        let nested: [(&str, nyro::Result<()>); 8] = [
            ("write", db.write(|_| Ok(()))),
            ("write_async", db.write_async(|_| Ok(())).map(|_| ())),
            ("put", db.docs("c").put(&item(2, 2)).map(|_| ())),
            ("delete", db.docs("c").delete(1).map(|_| ())),
            ("create_collection", db.create_collection("d")),
            ("drop_collection", db.drop_collection("c").map(|_| ())),
            ("checkpoint", db.checkpoint()),
            ("close", db.close()),
        ];
        for (call, done) in nested {
            assert!(matches!(done, Err(Error::NestedTransaction)), "{call}: {done:?}");
        }
        assert_eq!(db.docs("c").count_documents()?, 0, "reading is fine");
        assert!(db.stats().is_ok() && db.sync().is_ok() && db.verify().is_ok());
        Ok(())
    })
    .expect("commits");
    let other = Db::memory();
    db.write(|_| other.docs("c").put(&item(1, 1)).map(|_| ())).expect("another database is another writer");
    assert_eq!(db.docs("c").count_documents().expect("counts"), 1);
}

#[test]
fn writers_on_other_threads_wait_their_turn_and_readers_do_not() {
    let db = Db::memory();
    db.docs("c").put(&item(1, 0)).expect("puts");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        db.write(|tx| {
            scope.spawn(|| {
                db.docs("c").put(&item(1, 2)).expect("puts");
                done.store(true, Ordering::SeqCst);
            });
            std::thread::sleep(Duration::from_millis(50));
            assert!(!done.load(Ordering::SeqCst));
            std::thread::scope(|readers| {
                readers.spawn(|| assert_eq!(db.docs("c").get(1).expect("gets"), Some(item(1, 0))));
            });
            tx.collection::<Document>("c").put(&item(1, 1)).map(|_| ())
        })
        .expect("commits");
    });
    assert_eq!(db.docs("c").get(1).expect("gets"), Some(item(1, 2)));
}

#[test]
fn a_writer_gives_up_after_its_timeout_and_says_how_long_it_waited() {
    let place = Place::new();
    let db = place.open_with(Options { writer_timeout_ms: 30, ..quick() });
    db.write(|_| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let start = Instant::now();
                let gave_up = db.docs("c").put(&item(1, 1)).expect_err("times out");
                assert!(matches!(gave_up, Error::WriterTimeout { waited_ms } if waited_ms >= 30), "{gave_up}");
                assert!(start.elapsed() >= Duration::from_millis(30));
            });
        });
        Ok(())
    })
    .expect("commits");
    db.docs("c").put(&item(1, 1)).expect("free again");
}

#[test]
fn a_ticket_waits_until_its_commit_is_on_the_disk() {
    for durability in [Durability::Sync, Durability::Interval(60_000), Durability::Manual] {
        let place = Place::new();
        let db = place.open_with(Options { durability, read_mode: nyro::testing::read_mode(), ..Options::default() });
        let mut last = 0;
        for n in 0..10 {
            let (result, ticket) =
                db.write_async(|tx| tx.collection::<Document>("c").put(&item(n, 1))).expect("commits");
            assert_eq!(result, n.into());
            assert!(ticket.commit() > last, "commit numbers grow");
            last = ticket.commit();
            if n % 3 == 0 {
                ticket.wait().expect("durable");
                assert!(ticket.is_durable());
                assert!(db.stats().expect("stats").durable_commit >= last, "{durability:?}");
                assert!(db.docs("c").contains(n).expect("looks"), "what is durable is visible");
            }
        }
        db.sync().expect("syncs");
        assert_eq!(db.docs("c").count_documents().expect("counts"), 10);
        let nothing = db.write(|_| Ok(())).and(db.stats()).expect("an empty transaction");
        assert_eq!(nothing.commit, last, "is no commit");
    }
}

#[test]
fn a_transaction_over_the_limit_is_rolled_back_whole() {
    let db = Db::memory();
    db.docs("c").put(&item(1, 1)).expect("puts");
    let refused = db.write(|tx| {
        for n in 0..10 {
            tx.collection::<Document>("c").put(&doc! { "_id": n, "text": "x".repeat(8 << 20) })?;
        }
        Ok(())
    });
    let refused = refused.expect_err("too large");
    assert!(matches!(refused, Error::TransactionTooLarge { bytes, limit } if bytes > limit), "{refused}");
    assert_eq!(db.docs("c").get(1).expect("gets"), Some(item(1, 1)));
    assert_eq!(db.docs("c").count_documents().expect("counts"), 1);
}
