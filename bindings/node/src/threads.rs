//! Threads of an environment: one that commits for each database, and one for each long call.
//!
//! All are joined before the environment is gone, so none ever runs for JavaScript that is not there. What may take
//! long is stopped by its token.

use crate::events::{Event, Queue};
use nyro_owned::{error::of_panic, Batch, CancelToken, Control, Database, Document, Done, Error, Progress, Result};
use std::collections::HashMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{channel, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The place of a document in an `insertMany`, and why it could not be written.
pub type Bad = (u64, Error);

/// Writes that belong together, some refused before they came here.
pub struct Writes {
    /// Number of the batch.
    pub number: u32,
    /// What is to be committed.
    pub batch: Batch,
    /// The place and error of each that is not in the batch, in order.
    pub refused: Vec<(usize, Error)>,
    /// Documents inside an `insertMany` that are not what JavaScript meant: the place of the write, and what is bad in it.
    pub bad: Vec<(usize, Vec<Bad>)>,
}

impl Writes {
    /// Commits and gives every write its result.
    pub fn run(self, db: &Database) -> Vec<Result<Done>> {
        let mut results = self.batch.commit(db);
        for (place, error) in self.refused {
            results.insert(place.min(results.len()), Err(error));
        }
        for (place, bad) in self.bad {
            if let Some(Err(failed)) = results.get_mut(place) {
                blame(failed, bad);
            }
        }
        results
    }
}

/// Documents that stand for those that could not be written failed as malformed: the true reasons take their places.
pub fn blame(failed: &mut Error, bad: Vec<Bad>) {
    match failed {
        Error::BulkWrite { failures, .. } => {
            let mut bad: HashMap<u64, Error> = bad.into_iter().collect();
            for (at, failure) in failures {
                if let Some(error) = bad.remove(at) {
                    *failure = error;
                }
            }
        }
        Error::MalformedDocument { .. } => {
            if let Some((_, error)) = bad.into_iter().next() {
                *failed = error;
            }
        }
        _ => {}
    }
}

/// What the writer's thread does, one after the other.
enum Task {
    Writes(Writes),
    /// A call that has its place among the writes; its end is told under the number.
    Call(u32, Work),
}

/// A call that may take long.
pub type Work = Box<dyn FnOnce(Control<'_>) -> Result<Document> + Send>;

/// Runs a call and tells its end.
fn run(queue: &Queue, number: u32, work: impl FnOnce(Control<'_>) -> Result<Document>, control: Control<'_>) {
    let result = catch_unwind(AssertUnwindSafe(|| work(control)));
    let result = result.unwrap_or_else(|panic| Err(of_panic(panic.as_ref())));
    queue.push(Event::Ended(number, result));
}

/// The thread that commits for a database, started by the first batch.
pub struct Writer {
    queue: Arc<Queue>,
    sender: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
    /// How far it is.
    progress: Arc<(Mutex<Counts>, Condvar)>,
}

/// Tasks of a writer: all that were handed over, and those of them that are done. They are done in their order.
#[derive(Default)]
struct Counts {
    given: u64,
    done: u64,
}

impl Writer {
    /// Nothing runs yet.
    pub fn new(queue: Arc<Queue>) -> Writer {
        Writer { queue, sender: None, thread: None, progress: Arc::default() }
    }

    /// Hands over a batch.
    pub fn submit(&mut self, db: &Database, writes: Writes) -> Result<()> {
        self.hand_over(db, Task::Writes(writes))
    }

    /// Hands over a call that is made after the batches before it.
    pub fn call(&mut self, db: &Database, number: u32, work: Work) -> Result<()> {
        self.hand_over(db, Task::Call(number, work))
    }

    fn hand_over(&mut self, db: &Database, task: Task) -> Result<()> {
        if self.sender.is_none() {
            self.start(db.clone())?;
        }
        lock(&self.progress.0).given += 1;
        let sent = self.sender.as_ref().is_some_and(|sender| sender.send(task).is_ok());
        if sent {
            return Ok(());
        }
        lock(&self.progress.0).given -= 1;
        Err(Error::Closed)
    }

    fn start(&mut self, db: Database) -> Result<()> {
        let (sender, receiver) = channel::<Task>();
        let (queue, progress) = (self.queue.clone(), self.progress.clone());
        let body = move || {
            for task in receiver {
                match task {
                    Task::Writes(writes) => {
                        let number = writes.number;
                        queue.push(Event::Written(number, writes.run(&db)));
                    }
                    Task::Call(number, work) => run(&queue, number, work, Control::new()),
                }
                lock(&progress.0).done += 1;
                progress.1.notify_all();
            }
        };
        self.thread = Some(spawn("nyrodb-write", body)?);
        self.sender = Some(sender);
        Ok(())
    }

    /// What is handed over and not done, for who wants to wait for it.
    pub fn pending(&self) -> Pending {
        Pending { until: lock(&self.progress.0).given, progress: self.progress.clone() }
    }

    /// Commits what was handed over, and ends the thread.
    pub fn stop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // Its panics were caught and told where they arose.
            let _ = thread.join();
        }
    }
}

/// The tasks of a writer up to a moment; what is handed over later does not matter.
pub struct Pending {
    until: u64,
    progress: Arc<(Mutex<Counts>, Condvar)>,
}

/// While a thread waits it looks so often whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Pending {
    /// Whether there are none.
    pub fn is_done(&self) -> bool {
        lock(&self.progress.0).done >= self.until
    }

    /// Waits until there are none.
    pub fn wait(&self) {
        let mut counts = lock(&self.progress.0);
        while counts.done < self.until {
            counts = self.progress.1.wait(counts).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As [`Pending::wait`], unless the call is stopped first.
    fn wait_with(&self, cancel: &CancelToken, deadline: Option<Instant>) -> Result<()> {
        let mut counts = lock(&self.progress.0);
        while counts.done < self.until {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Err(Error::DeadlineExceeded);
            }
            counts = self.progress.1.wait_timeout(counts, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|e| Error::Internal(format!("a thread could not be started: {e}")))
}

/// The long calls of an environment.
pub struct Jobs {
    queue: Arc<Queue>,
    running: HashMap<u32, (CancelToken, JoinHandle<()>)>,
}

/// Progress is told at most so often.
const TELL_EVERY: Duration = Duration::from_millis(20);

impl Jobs {
    /// None yet.
    pub fn new(queue: Arc<Queue>) -> Jobs {
        Jobs { queue, running: HashMap::new() }
    }

    /// Runs a call on a thread of its own, after the writes of `before`. Its end is told under `number`, its progress
    /// if `tell`.
    pub fn start(
        &mut self,
        number: u32,
        tell: bool,
        deadline: Option<Instant>,
        before: Option<Pending>,
        work: Work,
    ) -> Result<()> {
        let (queue, token) = (self.queue.clone(), CancelToken::new());
        let cancel = token.clone();
        let body = move || {
            let mut told: Option<(Instant, &'static str)> = None;
            let mut on_progress = |progress: Progress| {
                let now = Instant::now();
                let new = told.is_none_or(|(at, phase)| now - at >= TELL_EVERY || phase != progress.phase);
                if new || progress.done == progress.total {
                    told = Some((now, progress.phase));
                    queue.push(Event::Progress(number, progress));
                }
            };
            let mut control = Control::new().cancel(&cancel);
            if let Some(at) = deadline {
                control = control.deadline(at);
            }
            if tell {
                control = control.on_progress(&mut on_progress);
            }
            let work = |control: Control<'_>| {
                if let Some(before) = before {
                    before.wait_with(&cancel, deadline)?;
                }
                work(control)
            };
            run(&queue, number, work, control);
        };
        self.running.insert(number, (token, spawn("nyrodb-call", body)?));
        Ok(())
    }

    /// Stops a call at its next step.
    pub fn cancel(&self, number: u32) {
        if let Some((token, _)) = self.running.get(&number) {
            token.cancel();
        }
    }

    /// The end of a call was told.
    pub fn ended(&mut self, number: u32) {
        if let Some((_, thread)) = self.running.remove(&number) {
            // It has nothing left to do.
            let _ = thread.join();
        }
    }

    /// Stops all, and waits until they have.
    pub fn stop(&mut self) {
        for (token, _) in self.running.values() {
            token.cancel();
        }
        for (_, (_, thread)) in self.running.drain() {
            let _ = thread.join();
        }
    }
}
