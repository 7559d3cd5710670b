//! How the model checker is called.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Tries all schedules of a model up to a number of preemptions, which `LOOM_MAX_PREEMPTIONS` overrides, and prints how
/// many they were, under the name of the test.
pub(crate) fn model(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    let schedules = Arc::new(AtomicU64::new(0));
    let counted = schedules.clone();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        body();
    });
    let thread = std::thread::current();
    let name = thread.name().and_then(|path| path.rsplit("::").next()).unwrap_or("model");
    println!("schedules {name} {}", schedules.load(Ordering::Relaxed));
}
