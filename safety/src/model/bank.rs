//! A bank: every snapshot shows the same sum, whatever goes on.
//!
//! ```text
//!   tellers      move money between accounts, roll back, panic; all insert the same receipts: one of them succeeds
//!   auditors     take snapshots and add up, now and again an old one
//!   housekeeper  checkpoints, compactions
//!   day          open, all of them at once, then close, drop or crash
//! ```

use super::threads::{check_sum, end, open_accounts, options, side_by_side, Place, ACCOUNTS};
use crate::lane::{attempt, Tally};
use nyro::testing::{self, Rng};
use nyro::{doc, Database, Document, Error, Result, Snapshot};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const TELLERS: u64 = 2;
const AUDITORS: u64 = 2;
/// Transfers of each teller on a day.
const TRANSFERS: u64 = 2000;
/// Receipts of a day, each tried by each teller.
const RECEIPTS: u64 = 500;

#[derive(Default)]
struct Counts {
    calls: AtomicU64,
    transactions: AtomicU64,
    rolled_back: AtomicU64,
    compactions: AtomicU64,
    /// Receipts that a teller was told are its own.
    receipts: AtomicU64,
}

/// The payload of a panic in the middle of a transfer.
struct Interrupted;

/// Moves money; three of ten transfers are taken back when it has left one account.
fn transfer(db: &Database, rng: &mut Rng, counts: &Counts) -> Result<()> {
    let (from, to, amount) = (rng.below(ACCOUNTS), rng.below(ACCOUNTS), rng.below(50) as i64);
    let end = rng.below(30);
    let done = catch_unwind(AssertUnwindSafe(|| {
        db.write(|tx| {
            let accounts = tx.collection::<Document>("accounts");
            for (id, amount) in [(from, -amount), (to, amount)] {
                let mut account = accounts.get(id)?.expect("an account");
                let balance = account["balance"].as_i64().expect("a number");
                account.insert("balance", balance + amount);
                account.insert("note", "n".repeat((balance.unsigned_abs() % 200) as usize));
                match end {
                    0 => resume_unwind(Box::new(Interrupted)),
                    1..=8 => return Err(Error::RolledBack),
                    _ => assert!(accounts.replace_one(id, &account)?),
                }
            }
            Ok(())
        })
    }));
    counts.calls.fetch_add(4, Ordering::Relaxed);
    counts.transactions.fetch_add(1, Ordering::Relaxed);
    counts.rolled_back.fetch_add(u64::from(end < 9), Ordering::Relaxed);
    match done {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Error::RolledBack)) if end < 9 => Ok(()),
        Ok(Err(e)) => Err(e),
        Err(panic) if panic.is::<Interrupted>() => Ok(()),
        Err(panic) => resume_unwind(panic),
    }
}

/// A day's work of a teller.
fn work(db: &Database, rng: &mut Rng, counts: &Counts, day: u64) -> Result<()> {
    let receipts = db.collection::<Document>("receipts");
    for turn in 0..TRANSFERS {
        transfer(db, rng, counts)?;
        if turn % (TRANSFERS / RECEIPTS) != 0 {
            continue;
        }
        let receipt = doc! { "_id": day * TRANSFERS + turn, "text": "r".repeat(rng.below(60) as usize) };
        counts.calls.fetch_add(1, Ordering::Relaxed);
        match receipts.insert_one(&receipt) {
            Ok(_) => drop(counts.receipts.fetch_add(1, Ordering::Relaxed)),
            Err(Error::DuplicateId { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Three days of one bank.
pub fn unit(seed: u64, tally: &mut Tally) {
    days(seed, tally, &mut |day| day < 3);
}

/// One bank on real files for so long; tells of each minute.
pub fn stay_open(length: Duration, seed: u64, tally: &mut Tally) {
    let (start, mut told) = (Instant::now(), 0);
    days(seed | 1, tally, &mut |day| {
        let seconds = start.elapsed().as_secs();
        if seconds / 60 > told {
            told = seconds / 60;
            println!("bank: {day} days in {told} min, the sum holds");
        }
        start.elapsed() < length
    });
}

/// Days of one bank, as long as it opens.
fn days(seed: u64, tally: &mut Tally, opens: &mut dyn FnMut(u64) -> bool) {
    let place = Place::new(seed);
    let mut rng = Rng::new(seed);
    let counts = Counts::default();
    let mut day = 0;
    while opens(day) {
        let db = place.open(options(&mut rng)).expect("opens");
        if day == 0 {
            open_accounts(&db).expect("accounts");
        }
        check_sum(&db.snapshot().expect("snapshot")).expect("the sum after opening");
        let seeds = rng.next_u64();
        let failure = {
            let (db, counts) = (&db, &counts);
            let teller = |number: u64| -> Box<dyn FnMut() + Send + '_> {
                let mut rng = Rng::new(seeds ^ number);
                Box::new(move || work(db, &mut rng, counts, day).expect("transfers and receipts"))
            };
            let auditor = |_| -> Box<dyn FnMut() + Send + '_> {
                let mut old: Option<(Snapshot, u64)> = None;
                Box::new(move || {
                    let snapshot = db.snapshot().expect("snapshot");
                    check_sum(&snapshot).expect("the sum of a snapshot");
                    let (held, looks) = old.get_or_insert((snapshot, 0));
                    check_sum(held).expect("the sum of an old snapshot");
                    *looks += 1;
                    if *looks == 100 {
                        old = None;
                    }
                    counts.calls.fetch_add(2, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(200));
                })
            };
            let mut round = 0;
            let housekeeper = move || {
                round += 1;
                match round % 4 {
                    2 => {
                        counts.compactions.fetch_add(1, Ordering::Relaxed);
                        db.compact().map(drop).expect("compacts");
                    }
                    _ => db.checkpoint().expect("a checkpoint"),
                }
                std::thread::sleep(Duration::from_millis(2));
            };
            let mut beside: Vec<Box<dyn FnMut() + Send + '_>> = (0..AUDITORS).map(auditor).collect();
            beside.push(Box::new(housekeeper));
            side_by_side((0..TELLERS).map(teller).collect(), beside)
        };
        if let Some(failure) = failure {
            tally.fail(failure);
            drop(attempt(|| testing::abandon(db)));
            return;
        }
        let receipts = db.collection::<Document>("receipts").count_documents().expect("count");
        assert_eq!(receipts, (day + 1) * RECEIPTS, "receipts");
        assert_eq!(counts.receipts.load(Ordering::Relaxed), receipts, "one teller was told of each receipt");
        end(db, &mut rng, tally);
        day += 1;
    }
    tally.count("days", day);
    tally.cases += counts.calls.into_inner();
    tally.count("transactions", counts.transactions.into_inner());
    tally.count("rolled back", counts.rolled_back.into_inner());
    tally.count("compactions", counts.compactions.into_inner());
    tally.count("threads", TELLERS + AUDITORS + 1);
}
