//! `verify_with`: how far it is, and being stopped.

use crate::common::{item, Place};
use nyro::{CancelToken, Control, Document, Error};
use std::time::Instant;

fn items(from: i64, to: i64) -> Vec<Document> {
    (from..=to).map(|i| item(i, i)).collect()
}

#[test]
fn verify_tells_the_pages_and_then_the_documents_that_it_checked() {
    let place = Place::new();
    let db = place.open();
    let documents = db.docs("c");
    documents.insert_many(&items(1, 60_000)).expect("inserts");
    db.checkpoint().expect("a checkpoint");
    // What is not in the file yet is checked, too.
    documents.insert_many(&items(60_001, 63_000)).expect("inserts");
    let mut told = Vec::new();
    let report = db.verify_with(Control::new().on_progress(|p| told.push(p))).expect("verifies");
    assert_eq!(report.documents, 63_000);
    for phase in ["pages", "documents"] {
        let steps: Vec<_> = told.iter().filter(|p| p.phase == phase).collect();
        assert!(steps.len() > 2 && steps.windows(2).all(|w| w[0].done <= w[1].done && w[0].total == w[1].total));
        assert!(steps.windows(2).all(|w| w[1].done - w[0].done <= 1024), "{steps:?}");
        let end = steps[steps.len() - 1];
        let expected = if phase == "pages" { report.used_pages } else { report.documents };
        assert_eq!((end.done, end.total, end.unit), (expected, expected, phase));
    }
    let first_document = told.iter().position(|p| p.phase == "documents").expect("documents");
    assert!(told[first_document..].iter().all(|p| p.phase == "documents"));
}

#[test]
fn verify_stops_at_its_next_step_and_the_database_goes_on() {
    let place = Place::new();
    let db = place.open();
    db.docs("c").insert_many(&items(1, 60_000)).expect("inserts");
    db.checkpoint().expect("a checkpoint");
    let mut all = 0;
    db.verify_with(Control::new().on_progress(|_| all += 1)).expect("verifies");
    for stop_at in 1..=all {
        let (token, mut steps) = (CancelToken::new(), 0);
        let control = Control::new().cancel(&token).on_progress(|_| {
            steps += 1;
            if steps == stop_at {
                token.cancel();
            }
        });
        assert!(matches!(db.verify_with(control), Err(Error::Cancelled)));
        assert_eq!(steps, stop_at, "a step after it was stopped");
    }
    assert!(matches!(db.verify_with(Control::new().deadline(Instant::now())), Err(Error::DeadlineExceeded)));
    db.docs("c").put(&item(1, 2)).expect("writing goes on");
    db.verify().expect("verifies");
}
