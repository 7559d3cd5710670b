//! What threads tell JavaScript: a queue, and a bell that wakes the event loop.
//!
//! ```text
//!   thread --push--> queue --bell (thread-safe function), once until it is answered--> JavaScript takes all
//! ```

use crate::write::{put_array_head, put_bool, put_id, put_int, put_null, put_str};
use napi_sys as sys;
use nyro_owned::{error::Parts, Document, Done, Error, Progress, Result};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

/// Something to tell.
pub enum Event {
    /// A batch of writes is done; its number and the result of each write.
    Written(u32, Vec<Result<Done>>),
    /// A long call goes on.
    Progress(u32, Progress),
    /// A long call has ended.
    Ended(u32, Result<Document>),
}

impl Event {
    /// As a MessagePack array: what it is, whose, and what follows from that.
    pub fn to_msgpack(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Event::Written(number, results) => {
                put_array_head(&mut out, 2 + 2 * results.len());
                head(&mut out, 0, *number);
                results.iter().for_each(|result| put_result(&mut out, result));
            }
            Event::Progress(number, progress) => {
                put_array_head(&mut out, 6);
                head(&mut out, 1, *number);
                put_str(&mut out, progress.phase.as_bytes());
                put_int(&mut out, progress.done as i64);
                put_int(&mut out, progress.total as i64);
                put_str(&mut out, progress.unit.as_bytes());
            }
            Event::Ended(number, result) => {
                put_array_head(&mut out, 4);
                head(&mut out, 2, *number);
                let document = result.as_ref().map_err(Clone::clone).and_then(|document| document.to_msgpack());
                match document {
                    Ok(document) => {
                        put_bool(&mut out, true);
                        out.extend_from_slice(&document);
                    }
                    Err(error) => {
                        put_bool(&mut out, false);
                        put_error(&mut out, &error);
                    }
                }
            }
        }
        out
    }
}

fn head(out: &mut Vec<u8>, kind: i64, number: u32) {
    put_int(out, kind);
    put_int(out, i64::from(number));
}

/// Whether a write succeeded, and what it gave or the error.
pub fn put_result(out: &mut Vec<u8>, result: &Result<Done>) {
    put_bool(out, result.is_ok());
    match result {
        Ok(Done::Id(id)) => put_id(out, id),
        Ok(Done::Ids(ids)) => {
            put_array_head(out, ids.len());
            ids.iter().for_each(|id| put_id(out, id));
        }
        Ok(Done::Found(found)) => put_bool(out, *found),
        Ok(Done::Changed) => put_null(out),
        Err(error) => put_error(out, error),
    }
}

/// An error as an array: number, kind, text, how many documents were written, what failed.
pub fn put_error(out: &mut Vec<u8>, error: &Error) {
    let parts = Parts::of(error);
    put_array_head(out, 5);
    put_int(out, i64::from(parts.code));
    put_str(out, parts.kind.as_bytes());
    put_str(out, parts.message.as_bytes());
    put_int(out, parts.inserted.map_or(-1, |inserted| inserted as i64));
    put_array_head(out, 3 * parts.failures.len());
    for (place, code, message) in &parts.failures {
        put_int(out, *place as i64);
        put_int(out, i64::from(*code));
        put_str(out, message.as_bytes());
    }
}

/// The queue of an environment.
pub struct Queue {
    events: Mutex<VecDeque<Event>>,
    rung: AtomicBool,
    /// The thread-safe function that wakes the event loop. It lives until the environment is torn down, and all
    /// threads that ring it are joined before that (`State::tear_down`, whose hook runs first).
    bell: AtomicPtr<sys::napi_threadsafe_function__>,
}

impl Queue {
    /// A queue without a bell.
    pub fn new() -> Queue {
        Queue { events: Mutex::default(), rung: AtomicBool::new(false), bell: AtomicPtr::default() }
    }

    /// Sets the bell, before there are threads to ring it.
    pub fn set_bell(&self, bell: sys::napi_threadsafe_function) {
        self.bell.store(bell, Ordering::Release);
    }

    /// Adds an event and rings, if nobody has.
    pub fn push(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        let bell = self.bell();
        if !bell.is_null() && !self.rung.swap(true, Ordering::AcqRel) {
            // SAFETY: it may be called from any thread, and it is there (see the field). If the environment is closing
            // nobody listens, which is as well.
            unsafe { sys::napi_call_threadsafe_function(bell, std::ptr::null_mut(), 0) };
        }
    }

    /// The bell was heard: what comes from now on rings again.
    pub fn heard(&self) {
        self.rung.store(false, Ordering::Release);
    }

    /// The next event.
    pub fn pop(&self) -> Option<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Gives back an event that could not be told yet.
    pub fn give_back(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push_front(event);
    }

    /// The bell, for keeping the event loop alive or not.
    pub fn bell(&self) -> sys::napi_threadsafe_function {
        self.bell.load(Ordering::Acquire)
    }
}
