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

fn put(db: nyro_db, document: &[u8], error: &mut nyro_error) -> (u32, Option<Vec<u8>>) {
    let (mut id, mut bytes) = (ptr::null_mut(), 0);
    let name = COLLECTION.as_ptr().cast();
    // SAFETY: lengths are those of the slices.
    let code =
        unsafe { nyro_put(db, name, COLLECTION.len(), document.as_ptr(), document.len(), &mut id, &mut bytes, error) };
    (code, take(id, bytes))
}

fn get(db: nyro_db, id: &[u8], error: &mut nyro_error) -> (u32, Option<Vec<u8>>) {
    let (mut document, mut bytes) = (ptr::null_mut(), 0);
    let name = COLLECTION.as_ptr().cast();
    // SAFETY: lengths are those of the slices.
    let code = unsafe { nyro_get(db, name, COLLECTION.len(), id.as_ptr(), id.len(), &mut document, &mut bytes, error) };
    (code, take(document, bytes))
}

fn get_json(db: nyro_db, id: &str, error: &mut nyro_error) -> (u32, Option<String>) {
    let (mut json, mut bytes) = (ptr::null_mut(), 0);
    let name = COLLECTION.as_ptr().cast();
    // SAFETY: lengths are those of the strings.
    let code = unsafe {
        nyro_get_json(db, name, COLLECTION.len(), id.as_ptr().cast(), id.len(), &mut json, &mut bytes, error)
    };
    (code, take(json, bytes).map(|b| String::from_utf8(b).expect("UTF-8")))
}

#[test]
fn what_was_put_comes_back_in_both_forms() {
    let (db, mut error) = (open_memory(), blank());
    let ada = b"\x82\xa3_id\x2a\xa4name\xa3Ada";
    let (code, id) = put(db, ada, &mut error);
    assert_eq!(code, 0, "{}", message(&error));
    assert_eq!(id.as_deref(), Some(&b"\x2a"[..]));
    assert_eq!(get(db, b"\x2a", &mut error), (0, Some(ada.to_vec())));
    assert_eq!(get(db, &id.expect("an id"), &mut error), (0, Some(ada.to_vec())), "the id handed out finds it");
    assert_eq!(get_json(db, "42", &mut error), (0, Some("{\"_id\":42,\"name\":\"Ada\"}".to_owned())));
    assert_eq!(get_json(db, "\"42\"", &mut error), (0, None), "absent is no error");

    let mut deleted = 7;
    let name: *const c_char = COLLECTION.as_ptr().cast();
    // SAFETY: lengths are those of the strings.
    unsafe {
        assert_eq!(nyro_delete(db, name, 5, b"\x2a".as_ptr(), 1, &mut deleted, &mut error), 0);
        assert_eq!(deleted, 1);
        assert_eq!(nyro_delete_json(db, name, 5, c"42".as_ptr(), 2, &mut deleted, &mut error), 0);
        assert_eq!(deleted, 0);
        let json = c"{\"_id\":\"ada\"}";
        let (mut id, mut bytes) = (ptr::null_mut(), 0);
        assert_eq!(nyro_put_json(db, name, 5, json.as_ptr(), 13, &mut id, &mut bytes, &mut error), 0);
        assert_eq!(take(id, bytes).as_deref(), Some(&b"\"ada\""[..]));
    }
    assert_eq!(get(db, b"\xa3ada", &mut error).0, 0);
    assert_eq!(close(db), 0);
}

#[test]
fn a_closed_handle_is_an_error_even_when_its_slot_is_used_again() {
    let first = open_memory();
    assert_eq!(close(first), 0);
    assert_eq!(close(first), 103);
    let others: Vec<nyro_db> = (0..20).map(|_| open_memory()).collect();
    let mut error = blank();
    assert_eq!(get(first, b"\x01", &mut error), (103, None));
    assert_eq!(error.code, 103);
    for never in [0, 1, u64::MAX, first ^ 1 << 40] {
        assert_eq!(get(never, b"\x01", &mut error).0, 103, "handle {never:#x}");
    }
    assert!(others.into_iter().all(|db| close(db) == 0));
}

#[test]
fn null_and_wrong_arguments_are_errors() {
    let (db, mut error) = (open_memory(), blank());
    let name: *const c_char = COLLECTION.as_ptr().cast();
    let (mut data, mut bytes) = (ptr::null_mut::<u8>(), 0usize);
    // SAFETY: the pointers are null or to locals; that is what is tested.
    unsafe {
        assert_eq!(nyro_open(ptr::null(), 0, ptr::null(), &mut 0, &mut error), 101);
        assert_eq!(message(&error), "invalid argument: path is null");
        assert_eq!(nyro_open(c"x".as_ptr(), 1, ptr::null(), ptr::null_mut(), &mut error), 101);
        assert_eq!(nyro_put(db, ptr::null(), 0, ptr::null(), 0, &mut data, &mut bytes, ptr::null_mut()), 101);
        assert_eq!(nyro_put(db, name, 5, ptr::null(), 0, &mut data, &mut bytes, &mut error), 101);
        assert_eq!(nyro_get(db, name, 5, b"\x01".as_ptr(), 1, ptr::null_mut(), &mut bytes, &mut error), 101);
        assert_eq!(nyro_get(db, name, 5, b"\x01".as_ptr(), 1, &mut data, ptr::null_mut(), &mut error), 101);
        assert_eq!(
            nyro_get(db, b"\xff".as_ptr().cast(), 1, b"\x01".as_ptr(), 1, &mut data, &mut bytes, &mut error),
            101
        );
        assert_eq!(nyro_get(db, name, usize::MAX, b"\x01".as_ptr(), 1, &mut data, &mut bytes, &mut error), 101);
        assert_eq!(nyro_options_init(ptr::null_mut(), 16, &mut error), 101);
        nyro_free(ptr::null_mut());
    }
    assert_eq!(put(db, b"\xc1", &mut error).0, 201);
    assert_eq!(put(db, b"", &mut error).0, 201);
    assert_eq!(put(db, b"\x81\xa3_id\xc0", &mut error).0, 204);
    for id in [&b""[..], b"\xc0", b"\x01\x02", b"\xcb\0\0\0\0\0\0\0\0"] {
        let (code, found) = get(db, id, &mut error);
        assert!([201, 204].contains(&code) && found.is_none(), "{id:?} gives {code}");
    }
    for id in ["", "null", "1.5", "1,\"a\":2", "1}", "ada"] {
        let (code, found) = get_json(db, id, &mut error);
        assert!([201, 204, 206].contains(&code) && found.is_none(), "{id:?} gives {code} {}", message(&error));
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
        unsafe { boundary::call(&mut error, || Err(engine::Error::InvalidArgument(long.clone()))) };
        let text = message(&error);
        assert!(text.len() > boundary::NYRO_MESSAGE_BYTES - 4 && text.ends_with('€'), "{} bytes", text.len());
    }
}

#[test]
fn threads_may_share_a_handle_and_close_it_under_each_other() {
    let db = open_memory();
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            scope.spawn(move || {
                let mut error = blank();
                for n in 0..100u8 {
                    let (code, _) = put(db, &[0x81, 0xa3, b'_', b'i', b'd', 0xcd, thread, n], &mut error);
                    assert!(code == 0 || code == 103, "{code}: {}", message(&error));
                }
            });
        }
        scope.spawn(move || assert_eq!(close(db), 0));
    });
    assert_eq!(close(db), 103);
}
