//! The native half of the Node package: documents between the engine and JavaScript.
//!
//! ```text
//!   lib/*.cjs     classes, promises, the codec's JavaScript side
//!   ---------- numbers, strings, one shared buffer ----------
//!   js            Node-API: arguments, answers, no panic passes
//!   state         what an environment holds; its end
//!   reading, writing, keys, calls, threads, events
//!   words, shapes, read, write      documents in the word form
//!   nyro-owned    the engine
//! ```
//!
//! Only Node-API is used, so that one binary serves every Node and Electron that has version 8 of it.

mod calls;
mod events;
mod js;
mod keys;
mod read;
mod reading;
mod shapes;
mod state;
mod threads;
mod words;
mod write;
mod writing;

use events::Queue;
use js::{Answer, Args};
use napi_sys as sys;
use nyro_owned::Result;
use state::State;
use std::ffi::{c_char, c_void, CStr};
use std::ptr;
use std::sync::Arc;

/// A function of JavaScript: its name and what it runs.
type Export = (&'static CStr, sys::napi_callback);

/// Makes a callback of a call.
macro_rules! export {
    ($name:literal, $call:path, $count:literal) => {{
        unsafe extern "C" fn callback(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
            // SAFETY: Node calls this with both, on the thread of the environment.
            unsafe { js::enter::<$count>(env, info, |state, args: &Args<$count>| $call(state, args)) }
        }
        ($name, Some(callback))
    }};
}

/// All functions.
fn exports() -> Vec<Export> {
    vec![
        export!(c"get", reading::get, 2),
        export!(c"getRaw", reading::get_raw, 3),
        export!(c"contains", reading::contains, 2),
        export!(c"count", reading::count, 1),
        export!(c"getMany", reading::get_many, 4),
        export!(c"scan", reading::scan, 2),
        export!(c"next", reading::next, 2),
        export!(c"frozen", reading::frozen, 2),
        export!(c"keyspace", keys::keyspace, 2),
        export!(c"keyspaceOf", keys::keyspace_of, 2),
        export!(c"keyspaceIn", keys::keyspace_in, 3),
        export!(c"kvGet", keys::get, 3),
        export!(c"kvContains", keys::contains, 2),
        export!(c"kvCount", keys::count, 1),
        export!(c"kvGetMany", keys::get_many, 4),
        export!(c"kvGathered", keys::gathered, 1),
        export!(c"kvRange", keys::range, 4),
        export!(c"kvFill", keys::fill, 3),
        export!(c"kvSeek", keys::seek, 3),
        export!(c"addText", writing::add_text, 1),
        export!(c"cutText", writing::cut_text, 1),
        export!(c"submit", writing::submit, 5),
        export!(c"drain", writing::drain, 1),
        export!(c"run", writing::run, 3),
        export!(c"result", again, 0),
        export!(c"begin", writing::begin, 1),
        export!(c"commit", writing::commit, 1),
        export!(c"rollback", writing::rollback, 1),
        export!(c"runIn", writing::run_in, 4),
        export!(c"getIn", writing::get_in, 3),
        export!(c"containsIn", writing::contains_in, 3),
        export!(c"defineShape", writing::define_shape, 1),
        export!(c"forgetShapes", writing::forget_shapes, 0),
        export!(c"shapeKeys", writing::shape_keys, 1),
        export!(c"open", calls::open, 2),
        export!(c"collection", calls::collection, 2),
        export!(c"snapshot", calls::snapshot, 1),
        export!(c"release", calls::release, 1),
        export!(c"error", calls::error, 0),
        export!(c"event", calls::event, 0),
        export!(c"call", calls::call, 3),
        export!(c"start", calls::start, 6),
        export!(c"cancel", calls::cancel, 1),
        export!(c"setBuffer", set_buffer, 2),
        (c"listen", Some(listen)),
        (c"wake", Some(wake)),
    ]
}

fn again(state: &mut State, _: &Args<0>) -> Result<Answer> {
    writing::result_again(state)
}

/// `setBuffer(which, arrayBuffer)`: 0 is where documents are given, 1 where they are taken from, 2 is for bytes as they are.
fn set_buffer(state: &mut State, args: &Args<2>) -> Result<Answer> {
    let (which, (memory, bytes, reference)) = (args.number(0)? as usize, args.buffer(1)?);
    // SAFETY: an `ArrayBuffer` is aligned to 8 bytes, the reference keeps it alive until the next one is set, and
    // JavaScript neither detaches it nor runs while a call does.
    unsafe {
        match which {
            0 => state.sink.set_buffer(memory, bytes),
            1 => state.input.set_buffer(memory, bytes),
            _ => state.slab = state::Slab { memory, bytes },
        }
    }
    let place = &mut state.buffers[which.min(2)];
    args.release(std::mem::replace(place, reference));
    Ok(Answer::Nothing)
}

/// The state of the environment that a callback belongs to, and its first argument.
unsafe fn state_of(env: sys::napi_env, info: sys::napi_callback_info) -> (Option<&'static mut State>, sys::napi_value) {
    let (mut count, mut value, mut data) = (1, ptr::null_mut(), ptr::null_mut());
    // SAFETY: env and info come from Node; there is room for the one argument.
    unsafe {
        sys::napi_get_cb_info(env, info, &mut count, &mut value, ptr::null_mut(), &mut data);
        (data.cast::<State>().as_mut(), value)
    }
}

/// `listen(function)`: called, from now on, when there are events.
unsafe extern "C" fn listen(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node calls this with both, on the thread of the environment.
    unsafe {
        let (Some(state), function) = state_of(env, info) else { return ptr::null_mut() };
        if !state.queue.bell().is_null() {
            // One bell, and one end, is all that a state has.
            return ptr::null_mut();
        }
        let (mut name, mut bell) = (ptr::null_mut(), ptr::null_mut());
        sys::napi_create_string_utf8(env, c"nyrodb".as_ptr(), 6, &mut name);
        // Made before the hook of `tear_down` is: hooks run in reverse order, so the threads that ring are joined
        // while the bell is there.
        let (resource, data, context) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        let status = sys::napi_create_threadsafe_function(
            env, function, resource, name, 0, 1, data, None, context, None, &mut bell,
        );
        if status == sys::Status::napi_ok {
            // Open databases do not keep the program running; promises not kept yet do (`wake`).
            sys::napi_unref_threadsafe_function(env, bell);
            state.queue.set_bell(bell);
            let state: *mut State = state;
            sys::napi_add_env_cleanup_hook(env, Some(tear_down), state.cast());
        }
    }
    ptr::null_mut()
}

/// `wake(keep)`: whether the event loop goes on until there are events.
unsafe extern "C" fn wake(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node calls this with both, on the thread of the environment; the bell lives as long as that.
    unsafe {
        let (Some(state), value) = state_of(env, info) else { return ptr::null_mut() };
        let mut keep = false;
        sys::napi_get_value_bool(env, value, &mut keep);
        let bell = state.queue.bell();
        if !bell.is_null() {
            if keep {
                sys::napi_ref_threadsafe_function(env, bell);
            } else {
                sys::napi_unref_threadsafe_function(env, bell);
            }
        }
    }
    ptr::null_mut()
}

/// The environment ends.
unsafe extern "C" fn tear_down(state: *mut c_void) {
    // SAFETY: leaked by `create`, whose only `listen` made this hook, and handed to nobody else that outlives the environment, in which
    // no JavaScript runs any more.
    let mut state = unsafe { Box::from_raw(state.cast::<State>()) };
    let torn = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| state.tear_down()));
    if torn.is_err() {
        // What is left of it may be anything: better kept than dropped.
        std::mem::forget(state);
    }
}

/// `create()`: an object of all functions, with a state of their own. Once for each time that the package's JavaScript
/// is evaluated: a test runner may do that again and again, in one environment and over one native module.
unsafe extern "C" fn create(env: sys::napi_env, _: sys::napi_callback_info) -> sys::napi_value {
    let mut module = ptr::null_mut();
    // SAFETY: Node calls this with its environment.
    if unsafe { sys::napi_create_object(env, &mut module) } != sys::Status::napi_ok {
        return ptr::null_mut();
    }
    let state = Box::into_raw(Box::new(State::new(Arc::new(Queue::new()))));
    for (name, callback) in exports() {
        let mut function = ptr::null_mut();
        let length = name.count_bytes() as isize;
        // SAFETY: env comes from Node, module was just made; the name is that long; the state lives until `tear_down`.
        unsafe {
            let text: *const c_char = name.as_ptr();
            sys::napi_create_function(env, text, length, callback, state.cast(), &mut function);
            sys::napi_set_named_property(env, module, text, function);
        }
    }
    module
}

/// Node calls this once for each environment that loads the package.
///
/// # Safety
/// To be called by Node.
#[no_mangle]
pub unsafe extern "C" fn napi_register_module_v1(env: sys::napi_env, module: sys::napi_value) -> sys::napi_value {
    let mut function = ptr::null_mut();
    // SAFETY: env and module come from Node; the name is that long.
    unsafe {
        sys::napi_create_function(env, c"create".as_ptr(), 6, Some(create), ptr::null_mut(), &mut function);
        sys::napi_set_named_property(env, module, c"create".as_ptr(), function);
    }
    module
}

/// The version of Node-API that is needed.
#[no_mangle]
pub extern "C" fn node_api_module_get_api_version_v1() -> i32 {
    8
}
