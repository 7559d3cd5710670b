//! The calls that are made now and then: opening, names, figures, and the long ones.
//!
//! Arguments come as JSON text, results go as a document; only the long calls run on a thread of their own.

use crate::js::{Answer, Args};
use crate::state::{self, refused, Handle, State};
use crate::threads::{Work, Writer};
use crate::writing::put_document;
use nyro_owned::settings::{self, Setting};
use nyro_owned::{
    report, BackupOptions, Coll, Database, Document, Error, Options, RepairOptions, RestoreOptions, Result, Value,
};
use std::time::{Duration, Instant};

/// `open(path, options)`: a database's number. Blocks for recovery.
pub fn open(state: &mut State, args: &Args<2>) -> Result<Answer> {
    let (path, given) = (args.string(0)?, Document::from_json(&args.string(1)?)?);
    let mut options = Options::default();
    for (name, value) in given.iter() {
        let setting = match value {
            Value::Null => Setting::Unset,
            Value::Bool(value) => Setting::Bool(*value),
            Value::Int(value) => Setting::Int(*value),
            Value::String(value) => Setting::Text(value.clone()),
            other => return Err(Error::InvalidArgument(format!("option {name} can't be {}", other.to_json()))),
        };
        settings::set(&mut options, name, &setting)?;
    }
    let db = Database::open_with(&path, options)?;
    let writer = Writer::new(state.queue.clone());
    Ok(Answer::Number(f64::from(state.keep(Handle::Database(db, writer)))))
}

/// `collection(database, name)`: a collection's number.
pub fn collection(state: &mut State, args: &Args<2>) -> Result<Answer> {
    let (of, name) = (args.number(0)?, args.string(1)?);
    let coll = Coll::live(state.database(of)?, &name);
    Ok(Answer::Number(f64::from(state.keep(Handle::Collection { of, coll, name: name.into() }))))
}

/// `snapshot(database)`: a snapshot's number.
pub fn snapshot(state: &mut State, args: &Args<1>) -> Result<Answer> {
    let of = args.number(0)?;
    let snapshot = state.database(of)?.snapshot()?;
    Ok(Answer::Number(f64::from(state.keep(Handle::Snapshot(of, snapshot)))))
}

/// `release(number)`: what it stands for is let go. JavaScript forgot the number.
pub fn release(state: &mut State, args: &Args<1>) -> Result<Answer> {
    match state.take(args.number(0)?) {
        Handle::Transaction(tx) => {
            let _ = tx.rollback();
            state::ended();
        }
        handle => drop(handle),
    }
    Ok(Answer::Nothing)
}

/// `error()`: the error of the last call that failed, as an array.
pub fn error(state: &mut State, _: &Args<0>) -> Result<Answer> {
    let missing = || Error::Internal("no error is known".to_owned());
    let error = state.error.get_or_insert_with(missing).clone();
    let mut out = Vec::new();
    crate::events::put_error(&mut out, &error);
    put_document(state, &out)
}

/// `event()`: the next event of the threads, as an array; nothing if there is none.
pub fn event(state: &mut State, _: &Args<0>) -> Result<Answer> {
    state.queue.heard();
    let Some(event) = state.queue.pop() else { return Ok(Answer::Nothing) };
    let bytes = event.to_msgpack();
    let State { sink, shapes, queue, jobs, .. } = state;
    sink.clear();
    if let Err(stop) = sink.reserve(bytes.len()) {
        queue.give_back(event);
        return refused(stop);
    }
    if let crate::events::Event::Ended(number, _) = event {
        jobs.ended(number);
    }
    match sink.put_msgpack(&bytes, shapes) {
        Ok(()) => Ok(Answer::Sink),
        Err(stop) => refused(stop),
    }
}

/// `call(name, number, json)`: a short call by its name; a document.
pub fn call(state: &mut State, args: &Args<3>) -> Result<Answer> {
    let (name, number) = (args.string(0)?, args.number(1)?);
    let given = Document::from_json(&args.string(2)?)?;
    let document = short(state, &name, number, &given)?;
    put_document(state, &document.to_msgpack()?)
}

fn value(value: impl Into<Value>) -> Document {
    let mut document = Document::new();
    document.insert("value", value.into());
    document
}

fn text<'d>(given: &'d Document, name: &str) -> Result<&'d str> {
    let found = given.get(name).and_then(Value::as_str);
    found.ok_or_else(|| Error::InvalidArgument(format!("{name} must be a string")))
}

fn optional(given: &Document, name: &str) -> Result<Option<String>> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => text(given, name).map(|text| Some(text.to_owned())),
    }
}

fn boolean(given: &Document, name: &str) -> Result<bool> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(Error::InvalidArgument(format!("{name} must be true or false"))),
    }
}

fn names(names: Vec<String>) -> Document {
    value(Value::Array(names.into_iter().map(Value::String).collect()))
}

fn short(state: &mut State, name: &str, number: u32, given: &Document) -> Result<Document> {
    match name {
        "collection_names" => return state.database(number)?.collection_names().map(names),
        "snapshot_names" => return state.snapshot(number)?.1.collection_names().map(names),
        "keyspace_names" => return state.database(number)?.keyspace_names().map(names),
        "snapshot_keyspace_names" => return state.snapshot(number)?.1.keyspace_names().map(names),
        "snapshot_commit" => return Ok(value(state.snapshot(number)?.1.commit() as i64)),
        "stats" => return report::to_document(&state.database(number)?.stats()?),
        "backups" => return report::list(&state.database(number)?.backups()?),
        "create_in" => state.transaction(number)?.with(|tx| tx.create_collection(text(given, "name")?))?,
        "rename_in" => {
            state.transaction(number)?.with(|tx| tx.rename_collection(text(given, "from")?, text(given, "to")?))?;
        }
        "drop_in" => {
            let dropped = state.transaction(number)?.with(|tx| tx.drop_collection(text(given, "name")?))?;
            return Ok(value(dropped));
        }
        "rename_keyspace_in" => {
            state.transaction(number)?.with(|tx| tx.rename_keyspace(text(given, "from")?, text(given, "to")?))?;
        }
        "drop_keyspace_in" => {
            let dropped = state.transaction(number)?.with(|tx| tx.drop_keyspace(text(given, "name")?))?;
            return Ok(value(dropped));
        }
        // Snapshots, scans and ranges end with the handle of their database: a file that they keep can't be opened again.
        "end_children" => state.end_children(number),
        _ => {
            let work = long(state, name, number, given)?;
            return work(nyro_owned::Control::new());
        }
    }
    Ok(Document::new())
}

/// `start(name, number, json, job, tell, timeout)`: a call on a thread of its own, whose end is an event. `tell` is 1 if
/// its progress is one too; a timeout in milliseconds, or a negative number.
pub fn start(state: &mut State, args: &Args<6>) -> Result<Answer> {
    let (name, number) = (args.string(0)?, args.number(1)?);
    let given = Document::from_json(&args.string(2)?)?;
    let (job, tell, timeout) = (args.number(3)?, args.number(4)? != 0, args.double(5)?);
    let deadline =
        Duration::try_from_secs_f64(timeout / 1000.0).ok().and_then(|limit| Instant::now().checked_add(limit));
    // These have their places among the writes.
    let catalog = ["create_collection", "rename_collection", "drop_collection", "rename_keyspace", "drop_keyspace"];
    if catalog.contains(&&*name) {
        let work = long(state, &name, number, &given)?;
        let (db, writer) = state.writer(number)?;
        let db = db.clone();
        writer.call(&db, job, work)?;
        return Ok(Answer::Nothing);
    }
    let pending = state.writer(number).ok().map(|(_, writer)| writer.pending());
    let work = long(state, &name, number, &given)?;
    // What was written before the call was made belongs to it.
    state.jobs.start(job, tell, deadline, pending, work)?;
    Ok(Answer::Nothing)
}

/// `cancel(job)`.
pub fn cancel(state: &mut State, args: &Args<1>) -> Result<Answer> {
    state.jobs.cancel(args.number(0)?);
    Ok(Answer::Nothing)
}

fn long(state: &State, name: &str, number: u32, given: &Document) -> Result<Work> {
    let done = |()| Document::new();
    Ok(match name {
        "restore" => restore(given)?,
        "repair" => repair(given)?,
        "backup" => backup(state.database(number)?.clone(), given)?,
        _ => {
            let db = state.database(number)?.clone();
            let (from, to) = (optional(given, "from")?, optional(given, "to")?);
            let name_of = optional(given, "name")?.unwrap_or_default();
            match name {
                "close" => Box::new(move |_| db.close().map(done)),
                "sync" => Box::new(move |_| db.sync().map(done)),
                "checkpoint" => Box::new(move |_| db.checkpoint().map(done)),
                "compact" => Box::new(move |control| report::to_document(&db.compact_with(control)?)),
                "verify" => Box::new(move |control| report::to_document(&db.verify_with(control)?)),
                "warm_up" => {
                    let limit = given.get("limit_bytes").and_then(Value::as_u64);
                    Box::new(move |control| {
                        // As the engine's own: what may be in memory at most.
                        let limit = limit.map_or_else(|| db.stats().map(|stats| stats.cache_bytes), Ok)?;
                        report::to_document(&db.warm_up_with(limit, control)?)
                    })
                }
                "create_collection" => Box::new(move |_| db.create_collection(&name_of).map(done)),
                "drop_collection" => Box::new(move |_| db.drop_collection(&name_of).map(value)),
                "rename_collection" => {
                    let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
                    Box::new(move |_| db.rename_collection(&from, &to).map(done))
                }
                "drop_keyspace" => Box::new(move |_| db.drop_keyspace(&name_of).map(value)),
                "rename_keyspace" => {
                    let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
                    Box::new(move |_| db.rename_keyspace(&from, &to).map(done))
                }
                "keyspace_stats" => Box::new(move |_| report::to_document(&db.keyspace_stats()?)),
                _ => return Err(Error::Internal(format!("there is no call {name}"))),
            }
        }
    })
}

fn backup(db: Database, given: &Document) -> Result<Work> {
    let path = text(given, "path")?.to_owned();
    let (name, since) = (optional(given, "name")?, optional(given, "since")?);
    let options = BackupOptions { name, since, overwrite: boolean(given, "overwrite")? };
    Ok(Box::new(move |control| report::to_document(&db.backup_with(path, &options, control)?)))
}

fn restore(given: &Document) -> Result<Work> {
    let target = text(given, "target")?.to_owned();
    let wrong = || Error::InvalidArgument("backups must be an array of paths".to_owned());
    let backups = given.get("backups").and_then(Value::as_array).ok_or_else(wrong)?;
    let path = |path: &Value| path.as_str().map(str::to_owned).ok_or_else(wrong);
    let backups = backups.iter().map(path).collect::<Result<Vec<String>>>()?;
    let options = RestoreOptions { overwrite: boolean(given, "overwrite")? };
    Ok(Box::new(move |control| report::to_document(&nyro_owned::restore(target, &backups, &options, control)?)))
}

fn repair(given: &Document) -> Result<Work> {
    let (damaged, target) = (text(given, "damaged")?.to_owned(), text(given, "target")?.to_owned());
    let mut options = RepairOptions { overwrite: boolean(given, "overwrite")?, ..RepairOptions::default() };
    options.trust_unchecked = boolean(given, "trust_unchecked")?;
    Ok(Box::new(move |control| report::of_repair(&nyro_owned::repair(damaged, target, &options, control)?)))
}
