//! The calls that write.
//!
//! ```text
//!   input   | op collection count flags ends.. | values |  op ..        one record a write
//!
//!   submit    all records of an event-loop turn: a batch for the writer's thread
//!   run       one record, now, on this thread
//!   tx        one record, inside a transaction
//! ```

use crate::events::put_result;
use crate::js::{Answer, Args};
use crate::reading::id_of;
use crate::state::{self, refused, Handle, State};
use crate::threads::{blame, Bad, Writes};
use crate::words;
use crate::write::{Refusal, Source, WriteShape, NO_DOCUMENT};
use nyro_owned::{
    split, Batch, Coll, Document, Done, Error, Id, InsertManyOptions, KeyChange, Op, RawDocument, Result, Tx,
};

/// The kinds of records.
const PUT: i32 = 0;
const INSERT: i32 = 1;
const INSERT_MANY: i32 = 2;
const REPLACE: i32 = 3;
const DELETE: i32 = 4;
const PUT_RAW: i32 = 5;
const KEYS: i32 = 6;
/// Flags of `INSERT_MANY`.
const UNORDERED: i32 = 1;
const ATOMIC: i32 = 2;

/// One record.
struct Record {
    /// The collection, or the keyspace for `Op::Keys`.
    collection: u32,
    /// What is to be done, or why it can't be.
    op: Result<Op>,
    /// Documents of an `INSERT_MANY` that could not be written.
    bad: Vec<Bad>,
}

/// Half of a pair was met.
pub fn surrogate() -> Error {
    Error::Serialization("a string holds half of a surrogate pair, which UTF-8 can't say".to_owned())
}

/// Why what JavaScript wrote is no value.
pub fn refusal(refusal: Refusal) -> Error {
    match refusal {
        Refusal::LoneSurrogate => surrogate(),
        Refusal::BadWord => Error::Internal("a word that means nothing".to_owned()),
    }
}

/// Reads the next record and leaves the source behind it.
fn record(source: &mut Source<'_>) -> Result<Record> {
    let mut head = [0; 7];
    for word in &mut head {
        *word = source.word().map_err(refusal)?;
    }
    let [kind, collection, count, flags, w, f, t] = head;
    let mut bad = Vec::new();
    let op = op(source, kind, count as usize, flags, &mut bad);
    (source.w, source.f, source.t) = (w as usize, f as usize, t as usize);
    Ok(Record { collection: collection as u32, op, bad })
}

fn op(source: &mut Source<'_>, kind: i32, count: usize, flags: i32, bad: &mut Vec<Bad>) -> Result<Op> {
    let mut id_bytes = Vec::new();
    match kind {
        PUT => document(source).map(Op::Put),
        INSERT => document(source).map(Op::Insert),
        INSERT_MANY => {
            let options = InsertManyOptions { ordered: flags & UNORDERED == 0, atomic: flags & ATOMIC != 0 };
            documents(source, count, options, bad)
        }
        REPLACE => {
            let id = id_of(source, &mut id_bytes)?;
            Ok(Op::Replace(id, document(source)?))
        }
        DELETE => id_of(source, &mut id_bytes).map(Op::Delete),
        KEYS => crate::keys::changes(source, count).map(Op::Keys),
        PUT_RAW => source.raw().map(|bytes| Op::Put(bytes.to_vec())).map_err(refusal),
        _ => Err(Error::Internal("a record of no kind".to_owned())),
    }
}

fn document(source: &mut Source<'_>) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(256);
    source.value(&mut out, 0).map_err(refusal)?;
    Ok(out)
}

fn documents(source: &mut Source<'_>, count: usize, options: InsertManyOptions, bad: &mut Vec<Bad>) -> Result<Op> {
    let (words, floats, text) = source.left();
    let mut documents = Vec::with_capacity(words * 5 + floats * 9 + text + 16);
    let mut ends = Vec::with_capacity(count);
    for place in 0..count {
        let start = documents.len();
        // Where the document ends is said first, so that one that is refused can be passed over.
        let end = source.ends().map_err(refusal)?;
        if let Err(why) = source.value(&mut documents, 0) {
            documents.truncate(start);
            documents.push(NO_DOCUMENT);
            bad.push((place as u64, refusal(why)));
            source.move_to(end);
        }
        ends.push(documents.len());
    }
    Ok(Op::InsertMany { documents, ends, options })
}

/// Takes in the text of a call's records.
fn read_text<const N: usize>(state: &mut State, args: &Args<N>, at: usize) -> Result<()> {
    state.input.text(|units| args.utf16(at, units))
}

/// `addText(text)`: a part of the text of records to come.
pub fn add_text(state: &mut State, args: &Args<1>) -> Result<Answer> {
    state.input.send(|units| args.utf16(0, units))?;
    Ok(Answer::Nothing)
}

/// `cutText(units)`: forgets the text that was added, but for so much.
pub fn cut_text(state: &mut State, args: &Args<1>) -> Result<Answer> {
    state.input.cut(args.number(0)? as usize);
    Ok(Answer::Nothing)
}

/// `submit(database, number, words, floats, text)`: hands all records to the writer's thread, as a batch of that
/// number.
pub fn submit(state: &mut State, args: &Args<5>) -> Result<Answer> {
    let (database, number) = (args.number(0)?, args.number(1)?);
    let (words, floats) = (args.number(2)? as usize, args.number(3)? as usize);
    read_text(state, args, 4)?;
    let mut source = state.input.source(&state.write_shapes, words, floats)?;
    let mut writes = Writes { number, batch: Batch::new(), refused: Vec::new(), bad: Vec::new() };
    let mut place = 0;
    while source.w < words {
        let record = record(&mut source)?;
        let name = match &record.op {
            Ok(Op::Keys(_)) => state.keyspace(record.collection).map(|(_, name)| name.clone()),
            _ => state.collection(record.collection).map(|(_, name)| name.clone()),
        };
        match (record.op, name) {
            (Ok(op), Ok(name)) => writes.batch.push(name, op),
            (Err(error), _) | (_, Err(error)) => writes.refused.push((place, error)),
        }
        if !record.bad.is_empty() {
            writes.bad.push((place, record.bad));
        }
        place += 1;
    }
    let (db, writer) = state.writer(database)?;
    let db = db.clone();
    writer.submit(&db, writes)?;
    Ok(Answer::Nothing)
}

/// `drain(database)`: waits until what was submitted is committed. Error: `NestedTransaction` if that waits for a
/// transaction of this thread, begun with another handle of the same file.
pub fn drain(state: &mut State, args: &Args<1>) -> Result<Answer> {
    let (db, writer) = state.writer(args.number(0)?)?;
    let pending = writer.pending();
    if state::is_writing() && !pending.is_done() {
        // Only a database knows whether it is the one; it says so by refusing another transaction.
        match Tx::begin(db) {
            Ok(tx) => tx.rollback()?,
            Err(Error::NestedTransaction) => return Err(Error::NestedTransaction),
            // The writes themselves will say what is wrong.
            Err(_) => {}
        }
    }
    pending.wait();
    Ok(Answer::Nothing)
}

/// `run(words, floats, text)`: does the one record, now. The result is in the sink. A record of a keyspace inside a
/// transaction is done in that.
pub fn run(state: &mut State, args: &Args<3>) -> Result<Answer> {
    let (words, floats) = (args.number(0)? as usize, args.number(1)? as usize);
    read_text(state, args, 2)?;
    let record = record(&mut state.input.source(&state.write_shapes, words, floats)?)?;
    if let Ok(Op::Keys(changes)) = &record.op {
        let (keys, _) = state.keyspace(record.collection)?;
        let changes: Vec<_> = changes.iter().map(KeyChange::as_change).collect();
        let done = match changes.as_slice() {
            [change] => keys.change(change),
            changes => keys.change_all(changes),
        };
        return answer(state, done.map(|()| Done::Changed));
    }
    let mut result = record.op.and_then(|op| now(state.collection(record.collection)?.0, op));
    if let Err(failed) = &mut result {
        blame(failed, record.bad);
    }
    answer(state, result)
}

fn now(coll: &Coll, op: Op) -> Result<Done> {
    match op {
        Op::Put(document) => coll.put(&document).map(Done::Id),
        Op::Insert(document) => coll.insert_one(&document).map(Done::Id),
        Op::InsertMany { documents, ends, options } => {
            let documents = split(&documents, &ends)?;
            coll.insert_many(documents, options).map(|result| Done::Ids(result.inserted_ids))
        }
        Op::Replace(id, document) => coll.replace_one(id, &document).map(Done::Found),
        Op::Delete(id) => coll.delete(id).map(Done::Found),
        Op::Keys(_) => Err(not_of_documents()),
    }
}

fn not_of_documents() -> Error {
    Error::Internal("keys of a keyspace are not documents of a collection".to_owned())
}

/// Puts a result into the sink. It is kept until it fits: a write is not done twice.
fn answer(state: &mut State, result: Result<Done>) -> Result<Answer> {
    let done = Ok(result?);
    let mut out = Vec::new();
    put_result(&mut out, &done);
    state.result = out;
    result_again(state)
}

/// `result()`: the result of the last write, once the buffer is large enough.
pub fn result_again(state: &mut State) -> Result<Answer> {
    let State { sink, shapes, result, .. } = state;
    sink.clear();
    if let Err(stop) = sink.reserve(result.len()) {
        return refused(stop);
    }
    // Whether it succeeded comes first, and it did: the value stands behind that byte.
    match sink.put_msgpack(&result[1..], shapes) {
        Ok(()) => Ok(Answer::Sink),
        Err(stop) => refused(stop),
    }
}

/// `begin(database)`: a transaction's number.
pub fn begin(state: &mut State, args: &Args<1>) -> Result<Answer> {
    let number = args.number(0)?;
    let tx = Tx::begin(state.database(number)?)?;
    state::begun();
    Ok(Answer::Number(f64::from(state.keep(Handle::Transaction(tx)))))
}

/// `commit(transaction)`: the commit number. The transaction has ended, come what may.
pub fn commit(state: &mut State, args: &Args<1>) -> Result<Answer> {
    let tx = state.transaction(args.number(0)?)?;
    Ok(Answer::Number(tx.commit()? as f64))
}

/// `rollback(transaction)`.
pub fn rollback(state: &mut State, args: &Args<1>) -> Result<Answer> {
    let tx = state.transaction(args.number(0)?)?;
    tx.rollback()?;
    Ok(Answer::Nothing)
}

/// `runIn(transaction, words, floats, text)`: does the one record in a transaction. The result is in the sink.
pub fn run_in(state: &mut State, args: &Args<4>) -> Result<Answer> {
    let tx = state.transaction(args.number(0)?)?;
    let (words, floats) = (args.number(1)? as usize, args.number(2)? as usize);
    read_text(state, args, 3)?;
    let record = record(&mut state.input.source(&state.write_shapes, words, floats)?)?;
    let (_, name) = state.collection(record.collection)?;
    let op = record.op?;
    let done = tx.with(|tx| {
        let coll = tx.collection::<Document>(name);
        match &op {
            Op::Put(document) => coll.put_raw(RawDocument::unvalidated(document)).map(Done::Id),
            Op::Insert(document) => coll.insert_one_raw(RawDocument::unvalidated(document)).map(Done::Id),
            Op::Replace(id, document) => {
                coll.replace_one_raw(id.clone(), RawDocument::unvalidated(document)).map(Done::Found)
            }
            Op::Delete(id) => coll.delete(id.clone()).map(Done::Found),
            Op::InsertMany { .. } => Err(Error::InvalidArgument("insertMany is not for transactions".to_owned())),
            Op::Keys(_) => Err(not_of_documents()),
        }
    });
    answer(state, done)
}

/// `getIn(transaction, collection, id)`: as `get`, with what the transaction has written.
pub fn get_in(state: &mut State, args: &Args<3>) -> Result<Answer> {
    let tx = state.transaction(args.number(0)?)?;
    let (number, id) = (args.number(1)?, args.id(2)?);
    let (_, name) = state.collection(number)?;
    let found = tx.with(|tx| tx.collection::<Document>(name).get_raw(id))?;
    let Some(document) = found else { return Ok(Answer::Nothing) };
    put_document(state, document.as_bytes())
}

/// `containsIn(transaction, collection, id)`: 1 or 0.
pub fn contains_in(state: &mut State, args: &Args<3>) -> Result<Answer> {
    let tx = state.transaction(args.number(0)?)?;
    let (number, id): (u32, Id) = (args.number(1)?, args.id(2)?);
    let (_, name) = state.collection(number)?;
    let found = tx.with(|tx| tx.collection::<Document>(name).contains(id))?;
    Ok(Answer::Number(f64::from(u8::from(found))))
}

/// Puts MessagePack into the sink as the only thing in it.
pub fn put_document(state: &mut State, document: &[u8]) -> Result<Answer> {
    let State { sink, shapes, .. } = state;
    sink.clear();
    match sink.reserve(document.len()).and_then(|()| sink.put_msgpack(document, shapes)) {
        Ok(()) => Ok(Answer::Sink),
        Err(stop) => refused(stop),
    }
}

/// `defineShape(keys)`: the number by which words name this sequence of keys from now on; nothing if a key is no text.
pub fn define_shape(state: &mut State, args: &Args<1>) -> Result<Answer> {
    match WriteShape::new(&args.strings(0)?) {
        Some(shape) => {
            state.write_shapes.push(shape);
            Ok(Answer::Number(state.write_shapes.len() as f64 - 1.0))
        }
        None => Ok(Answer::Nothing),
    }
}

/// `forgetShapes()`: their numbers begin at 0 again.
pub fn forget_shapes(state: &mut State, _: &Args<0>) -> Result<Answer> {
    state.write_shapes.clear();
    Ok(Answer::Nothing)
}

/// `shapeKeys(shape)`: the keys of a shape that was read, as JSON. Words and floats stay as they are: JavaScript asks in
/// the middle of reading them.
pub fn shape_keys(state: &mut State, args: &Args<1>) -> Result<Answer> {
    let shape = args.number(0)? as usize;
    let mut list = vec![0xdc];
    let keys: Vec<&[u8]> = state.shapes.keys(shape).collect();
    list.extend_from_slice(&(keys.len() as u16).to_be_bytes());
    list.extend(keys.concat());
    let document = Document::from_msgpack(&[b"\x81\xa1k", &*list].concat())?;
    let json = document.get("k").map(|keys| keys.to_json()).unwrap_or_default();
    state.sink.text.set(&json);
    Ok(Answer::Sink)
}

const _: () = assert!(words::BAD & 7 == words::OTHER);
