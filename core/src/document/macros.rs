//! The `doc!` macro.

/// Makes a [`Document`](crate::Document) from a literal.
///
/// Values are `null`, nested `[ .. ]` and `{ .. }`, and any expression that turns into a
/// [`Value`](crate::Value). Names are expressions that turn into a `String`.
///
/// ```
/// use nyro::{doc, Timestamp, Value};
/// let when = Timestamp::from_millis(1);
/// let name = String::from("key");
/// let document = doc! {
///     "name": "Ada",
///     "tags": ["a", 1, null, { "x": -1 }, [true]],
///     "when": when,
///     "sum": 1 + 2,
///     (name): Some(1.5),
/// };
/// assert_eq!(document["sum"], Value::Int(3));
/// assert_eq!(document.to_json(), concat!(
///     r#"{"name":"Ada","tags":["a",1,null,{"x":-1},[true]],"#,
///     r#""when":{"$date":"1970-01-01T00:00:00.001Z"},"sum":3,"key":1.5}"#,
/// ));
/// ```
#[macro_export]
macro_rules! doc {
    ($($fields:tt)*) => {{
        #[allow(unused_mut)]
        let mut document = $crate::Document::new();
        $crate::__doc_fields!(document ($($fields)*));
        document
    }};
}

/// The fields of `doc!`: one name, then its value, then the rest.
#[doc(hidden)]
#[macro_export]
macro_rules! __doc_fields {
    ($document:ident ()) => {};
    ($document:ident ($name:tt : null $(, $($rest:tt)*)?)) => {
        $document.insert($name, $crate::Value::Null);
        $crate::__doc_fields!($document ($($($rest)*)?));
    };
    ($document:ident ($name:tt : [$($elements:tt)*] $(, $($rest:tt)*)?)) => {
        $document.insert($name, $crate::__doc_array!([] $($elements)*));
        $crate::__doc_fields!($document ($($($rest)*)?));
    };
    ($document:ident ($name:tt : {$($fields:tt)*} $(, $($rest:tt)*)?)) => {
        $document.insert($name, $crate::doc!($($fields)*));
        $crate::__doc_fields!($document ($($($rest)*)?));
    };
    ($document:ident ($name:tt : $value:expr $(, $($rest:tt)*)?)) => {
        $document.insert($name, $value);
        $crate::__doc_fields!($document ($($($rest)*)?));
    };
}

/// An array of `doc!`: the elements that are done stand in the first brackets.
#[doc(hidden)]
#[macro_export]
macro_rules! __doc_array {
    ([$($done:expr,)*]) => {
        $crate::Value::Array(<[_]>::into_vec(::std::boxed::Box::new([$($done,)*])))
    };
    ([$($done:expr,)*] null $(, $($rest:tt)*)?) => {
        $crate::__doc_array!([$($done,)* $crate::Value::Null,] $($($rest)*)?)
    };
    ([$($done:expr,)*] [$($elements:tt)*] $(, $($rest:tt)*)?) => {
        $crate::__doc_array!([$($done,)* $crate::__doc_array!([] $($elements)*),] $($($rest)*)?)
    };
    ([$($done:expr,)*] {$($fields:tt)*} $(, $($rest:tt)*)?) => {
        $crate::__doc_array!([$($done,)* $crate::Value::Document($crate::doc!($($fields)*)),] $($($rest)*)?)
    };
    ([$($done:expr,)*] $value:expr $(, $($rest:tt)*)?) => {
        $crate::__doc_array!([$($done,)* $crate::Value::from($value),] $($($rest)*)?)
    };
}
