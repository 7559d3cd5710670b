//! The C functions, called as a C program calls them: right, wrong, and from many threads.

use std::ffi::{c_char, CStr};
use std::ptr;

use super::*;

const COLLECTION: &str = "users";

fn blank() -> nyro_error {
    nyro_error { code: u32::MAX, message: [b'?' as c_char; boundary::NYRO_MESSAGE_BYTES] }
}

fn message(error: &nyro_error) -> String {
    // SAFETY: a filled error ends with NUL inside its array.
    unsafe { CStr::from_ptr(error.message.as_ptr()) }.to_str().expect("UTF-8").to_owned()
}

fn open_memory() -> nyro_db {
    let (mut db, mut error) = (0, blank());
    // SAFETY: all pointers are to locals.
    let code = unsafe { nyro_open(c":memory:".as_ptr(), 8, ptr::null(), &mut db, &mut error) };
    assert_eq!((code, error.code, message(&error)), (0, 0, String::new()));
    assert_ne!(db, 0);
    db
}

fn close(db: nyro_db) -> u32 {
    // SAFETY: null is allowed.
    unsafe { nyro_close(db, ptr::null_mut()) }
}

/// The bytes handed out, copied and freed; `None` for null.
fn take<T>(data: *mut T, bytes: usize) -> Option<Vec<u8>> {
    if data.is_null() {
        assert_eq!(bytes, 0);
        return None;
    }
    // SAFETY: handed out by the library with this length, and freed once.
    unsafe {
        let copy = std::slice::from_raw_parts(data.cast::<u8>(), bytes).to_vec();
        nyro_free(data.cast());
        Some(copy)
    }
}

fn collection_of(scope: nyro_scope) -> nyro_collection {
    let (mut collection, mut error) = (0, blank());
    // SAFETY: all pointers are to locals.
    let code = unsafe {
        nyro_collection_open(scope, COLLECTION.as_ptr().cast(), COLLECTION.len(), &mut collection, &mut error)
    };
    assert_eq!(code, 0, "{}", message(&error));
    collection
}

fn int_id(integer: i64) -> nyro_id {
    nyro_id { kind: NYRO_ID_INT, integer, ..nyro_id::NONE }
}

fn id_of(kind: u32, bytes: &[u8]) -> nyro_id {
    nyro_id { kind, data: bytes.as_ptr().cast(), bytes: bytes.len(), ..nyro_id::NONE }
}

fn put(collection: nyro_collection, document: &[u8], error: &mut nyro_error) -> (u32, nyro_id) {
    let mut id = nyro_id::NONE;
    // SAFETY: the length is that of the slice.
    let code = unsafe { nyro_put(collection, document.as_ptr(), document.len(), &mut id, error) };
    (code, id)
}

fn get(collection: nyro_collection, id: nyro_id, error: &mut nyro_error) -> (u32, Option<Vec<u8>>) {
    let (mut document, mut bytes) = (ptr::null_mut(), 0);
    // SAFETY: pointers to locals.
    let code = unsafe { nyro_get(collection, id, &mut document, &mut bytes, error) };
    (code, take(document, bytes))
}

#[test]
fn what_was_put_comes_back_in_all_forms() {
    let (db, mut error) = (open_memory(), blank());
    let users = collection_of(db);
    let ada = b"\x82\xa3_id\x2a\xa4name\xa3Ada";
    let (code, id) = put(users, ada, &mut error);
    assert_eq!((code, id.kind, id.integer), (0, NYRO_ID_INT, 42), "{}", message(&error));
    for id in [id, int_id(42), id_of(NYRO_ID_MSGPACK, b"\xcd\x00\x2a"), id_of(NYRO_ID_JSON, b"42")] {
        assert_eq!(get(users, id, &mut error), (0, Some(ada.to_vec())));
    }
    assert_eq!(get(users, id_of(NYRO_ID_STRING, b"42"), &mut error), (0, None), "absent is no error");
    let (mut json, mut bytes) = (ptr::null_mut(), 0);
    let (mut buffer, mut size, mut lent) = ([0_u8; 64], 0, ptr::null());
    let mut snapshot = 0;
    // SAFETY: pointers to locals, lengths are theirs.
    unsafe {
        assert_eq!(nyro_get_json(users, int_id(42), &mut json, &mut bytes, &mut error), 0);
        assert_eq!(take(json, bytes).as_deref(), Some(&b"{\"_id\":42,\"name\":\"Ada\"}"[..]));
        assert_eq!(nyro_get_into(users, int_id(42), buffer.as_mut_ptr(), 64, &mut size, &mut error), 0);
        assert_eq!(&buffer[..size], ada);
        assert_eq!(nyro_get_into(users, int_id(42), ptr::null_mut(), 0, &mut size, &mut error), 0);
        assert_eq!(size, ada.len(), "the size that it needs");
        assert_eq!(nyro_get_borrowed(users, int_id(42), &mut lent, &mut size, &mut error), 101, "not of a snapshot");
        assert_eq!(nyro_snapshot_take(db, &mut snapshot, &mut error), 0);
        let frozen = collection_of(snapshot);
        let mut deleted = 7;
        assert_eq!(nyro_delete(users, int_id(42), &mut deleted, &mut error), 0);
        assert_eq!(deleted, 1);
        assert_eq!(nyro_delete(users, int_id(42), &mut deleted, &mut error), 0);
        assert_eq!(deleted, 0);
        assert_eq!(nyro_snapshot_release(snapshot, &mut error), 0);
        assert_eq!(nyro_get_borrowed(frozen, int_id(42), &mut lent, &mut size, &mut error), 0);
        assert_eq!(std::slice::from_raw_parts(lent, size), ada);
        assert_eq!(nyro_delete(frozen, int_id(42), &mut deleted, &mut error), 105);
        assert_eq!(nyro_collection_release(frozen, &mut error), 0);
        let text = c"{\"_id\":\"ada\"}";
        let mut id = nyro_id::NONE;
        assert_eq!(nyro_put_json(users, text.as_ptr(), 13, &mut id, &mut error), 0);
        assert_eq!(
            (id.kind, std::slice::from_raw_parts(id.data.cast::<u8>(), id.bytes)),
            (NYRO_ID_STRING, &b"ada"[..])
        );
        nyro_id_free(&mut id);
        assert!(id.data.is_null());
    }
    assert_eq!(close(db), 0);
}

#[test]
fn a_released_handle_is_an_error_even_when_its_slot_is_used_again() {
    let first = open_memory();
    let users = collection_of(first);
    assert_eq!(close(first), 0);
    assert_eq!(close(first), 103);
    let others: Vec<nyro_db> = (0..200).map(|_| open_memory()).collect();
    let mut error = blank();
    assert_eq!(get(users, int_id(1), &mut error), (103, None));
    assert_eq!(error.code, 103);
    assert_eq!(get(others[0], int_id(1), &mut error).0, 101, "another kind of handle");
    assert!(message(&error).contains("is a database"), "{}", message(&error));
    for never in [0, 1, u64::MAX, users ^ 1 << 40] {
        assert_eq!(get(never, int_id(1), &mut error).0, 103, "handle {never:#x}");
    }
    assert!(others.into_iter().all(|db| close(db) == 0));
}

#[test]
fn a_transaction_is_ended_by_its_thread_and_takes_its_collections_along() {
    let (db, mut error) = (open_memory(), blank());
    let mut tx = 0;
    // SAFETY: pointers to locals.
    unsafe {
        assert_eq!(nyro_begin(db, &mut tx, &mut error), 0);
        let (mut nested, mut commit) = (7, 0);
        assert_eq!(nyro_begin(db, &mut nested, &mut error), 104);
        assert_eq!(nested, 0);
        let within = collection_of(tx);
        assert_eq!(put(within, b"\x81\xa3_id\x01", &mut error).0, 0);
        let outside = collection_of(db);
        assert_eq!(get(outside, int_id(1), &mut error), (0, None));
        assert_eq!(put(outside, b"\x81\xa3_id\x01", &mut error).0, 104);
        assert_eq!(close(db), 104, "nothing is closed inside a transaction");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut error = blank();
                assert_eq!(put(within, b"\x81\xa3_id\x02", &mut error).0, 111);
                assert_eq!(nyro_commit(tx, ptr::null_mut(), &mut error), 111);
                assert_eq!(nyro_rollback(tx, &mut error), 111);
            });
        });
        assert_eq!(nyro_commit(tx, &mut commit, &mut error), 0);
        assert!(commit > 0);
        assert_eq!(nyro_commit(tx, &mut commit, &mut error), 103);
        assert_eq!(put(within, b"\x81\xa3_id\x03", &mut error).0, 103);
        assert!(get(outside, int_id(1), &mut error).1.is_some());
    }
    assert_eq!(close(db), 0);
}

#[test]
fn options_of_another_size_are_refused() {
    let mut error = blank();
    // SAFETY: pointers to locals.
    unsafe {
        let mut options = std::mem::zeroed::<nyro_options>();
        assert_eq!(nyro_options_init(&mut options, size_of::<nyro_options>() - 4, &mut error), 101);
        assert_eq!(nyro_options_init(&mut options, size_of::<nyro_options>(), &mut error), 0);
        assert_eq!((options.create, options.durability), (1, NYRO_DURABILITY_SYNC));
        let mut db = 7;
        options.durability = 9;
        assert_eq!(nyro_open(c":memory:".as_ptr(), 8, &options, &mut db, &mut error), 101);
        assert_eq!(db, 0);
        options.durability = NYRO_DURABILITY_MANUAL;
        options.struct_bytes = 12;
        assert_eq!(nyro_open(c":memory:".as_ptr(), 8, &options, &mut db, &mut error), 101);
    }
}

#[test]
fn a_panic_stops_at_the_boundary_with_its_text() {
    let mut error = blank();
    // SAFETY: a pointer to a local.
    let code = unsafe { boundary::call(&mut error, || panic!("for the test")) };
    assert_eq!((code, error.code), (901, 901));
    assert!(message(&error).contains("for the test"), "{}", message(&error));
    // SAFETY: the message lives until the next failure of this thread.
    let last = unsafe { CStr::from_ptr(nyro_last_error_message()) };
    assert!(last.to_string_lossy().contains("for the test"));
}

#[test]
fn a_message_that_is_too_long_is_cut_between_characters() {
    for shift in 0..3 {
        let mut error = blank();
        let long = "x".repeat(shift) + &"€".repeat(1000);
        // SAFETY: a pointer to a local.
        unsafe { boundary::call(&mut error, || Err(nyro_owned::Error::InvalidArgument(long.clone()))) };
        let text = message(&error);
        assert!(text.len() > boundary::NYRO_MESSAGE_BYTES - 4 && text.ends_with('€'), "{} bytes", text.len());
    }
}

#[test]
fn threads_may_share_a_handle_and_close_it_under_each_other() {
    let db = open_memory();
    let users = collection_of(db);
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            scope.spawn(move || {
                let mut error = blank();
                for n in 0..100u8 {
                    let document = [0x81, 0xa3, b'_', b'i', b'd', 0xcd, thread, n];
                    let (code, _) = put(users, &document, &mut error);
                    assert!(code == 0 || code == 103, "{code}: {}", message(&error));
                }
            });
        }
        scope.spawn(move || assert_eq!(close(db), 0));
    });
    assert_eq!(close(db), 103);
}
