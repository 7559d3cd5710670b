//! The workloads, in the order in which they run, and what each does. `docs/performance.md` explains them.

use crate::data::{below, random_ids, shuffle, touch, Documents, Random, SEED};
use crate::engine::{Durability, Engine, Item, Outcome, Reading, Setup};
use crate::kv;
use crate::machine;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// The directory of the database that most workloads use.
const MAIN: &str = "main";
/// Documents of a load that share a transaction.
pub(crate) const LOAD_BATCH: usize = 1000;
/// Bytes of documents that share a transaction, at the most: fewer share one where they are large.
const BATCH_BYTES: usize = 4 << 20;
/// Transactions of a load between two looks at the memory.
const MEMORY_EVERY: usize = 50;
/// Memory that a load may take beside the cache, in bytes.
const MEMORY_BESIDE_CACHE: u64 = 32 << 20;
/// Ids of one `get_many`.
const MANY: usize = 64;
/// Updates that share a transaction.
pub(crate) const UPDATE_BATCH: usize = 100;
/// Documents for durable commits: more than any engine commits in the time.
const DURABLE_DOCUMENTS: usize = 250_000;
/// A measurement of reads goes on for so long at least.
pub(crate) const LEAST: Duration = Duration::from_millis(300);

/// What is measured.
#[allow(missing_docs, reason = "the names say it, docs/performance.md explains it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Workload {
    LoadRandom,
    FileSize,
    OpenClean,
    GetEach,
    GetSnapshot,
    GetMany,
    #[value(name = "get_2threads")]
    Get2threads,
    #[value(name = "get_4threads")]
    Get4threads,
    #[value(name = "get_8threads")]
    Get8threads,
    Scan,
    CommitUpdate,
    #[value(name = "update_batch100")]
    UpdateBatch100,
    CommitInsert,
    CommitTail,
    LoadSequential,
    #[value(name = "durable_1")]
    Durable1,
    #[value(name = "durable_4")]
    Durable4,
    #[value(name = "durable_16")]
    Durable16,
    #[value(name = "durable_64")]
    Durable64,
    FileSizeUpdated,
    WriteAmplification,
    ReaderOpen,
    OpenKilled,
    KvLoadRandom,
    KvGet,
    KvGetAbsent,
    #[value(name = "kv_range100")]
    KvRange100,
    KvYcsbA,
    KvYcsbB,
    KvYcsbC,
    KvYcsbF,
    KvYcsbD,
    KvYcsbE,
    KvPut,
    #[value(name = "kv_put_durable_16")]
    KvPutDurable16,
    KvWriteAmplification,
    KvSpace,
    KvStall,
}

impl Workload {
    /// All, in the order in which they run.
    pub fn all() -> &'static [Workload] {
        Workload::value_variants()
    }

    /// Its name in tables, arguments and JSON.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The directory of the database that it needs, and the workload that leaves it.
    pub fn base(self) -> Option<(&'static str, Workload)> {
        use Workload::*;
        match self {
            LoadRandom | LoadSequential | FileSizeUpdated | WriteAmplification | ReaderOpen | OpenKilled => None,
            Durable1 | Durable4 | Durable16 | Durable64 => None,
            KvLoadRandom | KvPutDurable16 | KvWriteAmplification | KvSpace | KvStall => None,
            _ if self.is_kv() => Some((kv::BASE, KvLoadRandom)),
            _ => Some((MAIN, LoadRandom)),
        }
    }

    /// True if it is about entries in an ordered store, and not about documents.
    pub fn is_kv(self) -> bool {
        self >= Workload::KvLoadRandom
    }

    /// What counts of it.
    pub fn kind(self) -> Kind {
        use Workload::*;
        match self {
            FileSize | FileSizeUpdated => Kind::Size,
            OpenClean | OpenKilled => Kind::Time,
            WriteAmplification | KvWriteAmplification => Kind::Factor,
            KvSpace => Kind::Space,
            KvStall => Kind::Latency,
            _ => Kind::Rate,
        }
    }

    /// True if once is enough: sizes do not vary from round to round, and what takes long evens out by itself.
    pub fn is_done_once(self) -> bool {
        self.is_long() || matches!(self.kind(), Kind::Size | Kind::Space) || self == Workload::KvWriteAmplification
    }

    /// True if it takes so long that it is done only where it is asked for.
    pub fn is_long(self) -> bool {
        matches!(self, Workload::WriteAmplification | Workload::ReaderOpen)
    }

    /// True if `--quick` has the time for it.
    pub fn is_quick(self) -> bool {
        use Workload::*;
        let left_out = matches!(self, FileSizeUpdated | Get4threads | Get8threads | Durable4 | Durable64);
        let kv_left_out = matches!(self, KvYcsbB | KvYcsbC | KvYcsbF | KvYcsbD | KvWriteAmplification | KvSpace);
        !self.is_long() && !left_out && !kv_left_out
    }
}

/// What counts of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Operations a second.
    Rate,
    /// Bytes.
    Size,
    /// The time of one operation.
    Time,
    /// Bytes written for each byte given.
    Factor,
    /// Bytes of the files for each byte of the data.
    Space,
    /// How long one of ten thousand operations takes at the least, in microseconds.
    Latency,
}

impl Kind {
    /// True if less is better.
    pub fn is_better_low(self) -> bool {
        self != Kind::Rate
    }
}

/// What a worker found out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measure {
    /// Operations and the seconds that they took.
    pub operations: u64,
    /// By the clock.
    pub seconds: f64,
    /// Of all threads of the process.
    pub processor_seconds: f64,
    /// What the files take on the disk, log included, where that was measured.
    pub bytes: Option<u64>,
    /// Bytes of the documents that these files hold.
    pub data_bytes: Option<u64>,
    /// Bytes that were moved to make room, where the engine tells.
    pub relocated_bytes: Option<u64>,
    /// Bytes that were written to the disk, for each byte of the documents written.
    pub written_per_byte: Option<f64>,
    /// The same by the count of the device, where the other one is the engine's or the system's.
    pub device_per_byte: Option<f64>,
    /// Seconds of a load before it was waited for what is done in the background.
    pub unsettled_seconds: Option<f64>,
    /// How long a put of a load took, in microseconds: the median, 99.9 %, 99.99 %, the longest.
    pub stall_micros: Option<[f64; 4]>,
    /// What a snapshot meant that stayed open.
    pub reader: Option<ReaderOpen>,
    /// How long a commit took, in microseconds: the median, 99 %, 99.9 %, the longest.
    pub latency_micros: Option<[f64; 4]>,
    /// Anonymous memory of the process at its end, in bytes; the most that a load took, where it is one.
    pub anonymous_bytes: u64,
    /// What a load may take of it, in bytes.
    pub allowed_bytes: Option<u64>,
}

/// What a snapshot that stays open costs, and what it costs the reader.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReaderOpen {
    /// Reads a second in the snapshot, before anything was replaced.
    pub reads_before: f64,
    /// The same at the end.
    pub reads_after: f64,
    /// Bytes of the files before anything was replaced.
    pub bytes_before: u64,
    /// Bytes of the files at the end, the snapshot still open.
    pub bytes_held: u64,
    /// Bytes of the files once the snapshot was gone and the engine had finished what it does in the background.
    pub bytes_settled: u64,
}

/// What a workload works on.
pub struct Run<'r> {
    /// Where the engine's files are.
    pub directory: &'r Path,
    /// How many documents.
    pub documents: usize,
    /// Bytes of one, about.
    pub bytes: usize,
    /// How many entries of 16 and 100 bytes.
    pub entries: usize,
    /// Memory for a cache of the engine's own, in bytes.
    pub cache_bytes: usize,
    /// A measurement of single commits ends after so long at the latest.
    pub most: Duration,
    /// Updates without a break end after so long at the latest.
    pub most_updates: Duration,
}

/// Takes the time, by the clock and of the processor.
pub(crate) struct Clock {
    /// When it was started.
    pub(crate) started: Instant,
    processor: f64,
}

impl Clock {
    /// Starts it.
    pub(crate) fn start() -> Clock {
        Clock { processor: machine::processor_seconds(), started: Instant::now() }
    }

    /// So many operations in the time since.
    pub(crate) fn measure(&self, operations: usize) -> Measure {
        Measure {
            operations: operations as u64,
            seconds: self.started.elapsed().as_secs_f64(),
            processor_seconds: machine::processor_seconds() - self.processor,
            ..Measure::default()
        }
    }
}

impl Run<'_> {
    fn main(&self) -> std::path::PathBuf {
        self.directory.join(MAIN)
    }

    fn open<E: Engine>(&self, directory: &Path, durability: Durability) -> Outcome<E> {
        E::open(directory, Setup { durability, cache_bytes: self.cache_bytes })
    }

    /// A directory of this name, empty.
    pub(crate) fn fresh(&self, name: &str) -> Outcome<std::path::PathBuf> {
        let directory = self.directory.join(name);
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        std::fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// Documents that share a transaction: `count`, fewer where they are large.
    pub(crate) fn batch(&self, count: usize) -> usize {
        count.min(BATCH_BYTES / self.bytes).max(1)
    }

    fn ids(&self) -> Vec<u64> {
        random_ids(self.documents, SEED)
    }

    /// The documents.
    pub(crate) fn data(&self) -> Documents {
        Documents::new(self.ids(), self.bytes, &mut Random(SEED + 1))
    }

    /// `count` ids of documents that are there, each chosen anew.
    fn picks(&self, count: usize) -> Vec<u64> {
        let (ids, mut random) = (self.ids(), Random(SEED + 2));
        (0..count).map(|_| ids[below(&mut random, ids.len() as u64) as usize]).collect()
    }

    /// Runs a workload of engine `E`.
    pub fn run<E: Engine>(&self, workload: Workload) -> Outcome<Measure> {
        let mut measure = match workload {
            Workload::LoadRandom => self.load::<E>(&self.data(), &self.fresh(MAIN)?, false),
            Workload::LoadSequential => {
                let ids = (1..=self.documents as u64).collect();
                let data = Documents::new(ids, self.bytes, &mut Random(SEED + 1));
                self.load::<E>(&data, &self.fresh("sequential")?, true)
            }
            Workload::FileSize => self.file_size(),
            Workload::OpenClean => self.open_clean::<E>(),
            Workload::OpenKilled => self.open_killed::<E>(),
            Workload::GetEach => self.reads::<E>(|engine, picks| {
                let mut sum = 0;
                for id in picks {
                    sum ^= there(engine.get(*id, touch)?)?;
                }
                Ok(sum)
            }),
            Workload::GetSnapshot => self.reads::<E>(|engine, picks| get_all(&engine.snapshot()?, picks)),
            Workload::GetMany => self.reads::<E>(|engine, picks| {
                let (snapshot, mut sum, mut found) = (engine.snapshot()?, 0, 0);
                for ids in picks.chunks(MANY) {
                    snapshot.get_many(ids, |document| {
                        sum ^= touch(document);
                        found += 1;
                    })?;
                }
                there((found == picks.len()).then_some(sum))
            }),
            Workload::Get2threads => self.get_by_threads::<E>(2),
            Workload::Get4threads => self.get_by_threads::<E>(4),
            Workload::Get8threads => self.get_by_threads::<E>(8),
            Workload::Scan => self.scan::<E>(),
            Workload::CommitUpdate => self.updates::<E>(1, self.documents / 2),
            Workload::UpdateBatch100 => self.updates::<E>(self.batch(UPDATE_BATCH), self.documents / 2),
            Workload::CommitInsert => self.inserts::<E>(),
            Workload::CommitTail => self.commit_tail::<E>(),
            Workload::Durable1 => self.durable::<E>(1),
            Workload::Durable4 => self.durable::<E>(4),
            Workload::Durable16 => self.durable::<E>(16),
            Workload::Durable64 => self.durable::<E>(64),
            Workload::FileSizeUpdated => self.file_size_updated::<E>(),
            Workload::ReaderOpen => self.reader_open::<E>(),
            Workload::WriteAmplification => self.write_amplification::<E>(),
            kv => self.run_kv::<E::Store>(kv),
        }?;
        measure.anonymous_bytes = measure.anonymous_bytes.max(machine::anonymous_bytes());
        Ok(measure)
    }

    fn load<E: Engine>(&self, data: &Documents, directory: &Path, sequential: bool) -> Outcome<Measure> {
        // Taking memory for the documents was not the engine's work; what it takes itself is.
        let before = machine::anonymous_bytes();
        let engine = self.open::<E>(directory, Durability::Relaxed)?;
        let (clock, mut most) = (Clock::start(), before);
        for (at, batch) in data.batches(self.batch(LOAD_BATCH)).enumerate() {
            match sequential {
                true => engine.append_batch(&batch)?,
                false => engine.insert_batch(&batch)?,
            }
            if at % MEMORY_EVERY == 0 {
                most = most.max(machine::anonymous_bytes());
            }
        }
        let mut measure = clock.measure(data.len());
        measure.anonymous_bytes = most.max(machine::anonymous_bytes()) - before;
        measure.allowed_bytes = Some(self.cache_bytes as u64 + MEMORY_BESIDE_CACHE);
        measure.data_bytes = Some(data.total_bytes() as u64);
        engine.settle()?;
        engine.close()?;
        Ok(measure)
    }

    fn file_size(&self) -> Outcome<Measure> {
        let bytes = machine::disk_bytes(&self.main())?;
        let data_bytes = Some(self.data().total_bytes() as u64);
        Ok(Measure { operations: 1, seconds: 0.0, bytes: Some(bytes), data_bytes, ..Measure::default() })
    }

    fn open_clean<E: Engine>(&self) -> Outcome<Measure> {
        let (mut fastest, pick): (Option<Measure>, _) = (None, self.picks(1)[0]);
        for _ in 0..5 {
            let clock = Clock::start();
            let engine = self.open::<E>(&self.main(), Durability::Relaxed)?;
            let measure = clock.measure(1);
            there(engine.get(pick, touch)?)?;
            engine.close()?;
            if fastest.as_ref().is_none_or(|fastest| measure.seconds < fastest.seconds) {
                fastest = Some(measure);
            }
        }
        fastest.ok_or_else(|| "nothing was opened".into())
    }

    /// Loads, in a process that is then killed (see `worker`); the next one opens what it has left.
    pub fn fill_to_be_killed<E: Engine>(&self) -> Outcome<E> {
        let (data, directory) = (self.data(), self.fresh("killed")?);
        let engine = self.loaded::<E>(&data, &directory)?;
        engine.outlive_process()?;
        Ok(engine)
    }

    /// A database that holds the documents.
    pub(crate) fn loaded<E: Engine>(&self, data: &Documents, directory: &Path) -> Outcome<E> {
        let engine = self.open::<E>(directory, Durability::Relaxed)?;
        for batch in data.batches(self.batch(LOAD_BATCH)) {
            engine.insert_batch(&batch)?;
        }
        Ok(engine)
    }

    fn open_killed<E: Engine>(&self) -> Outcome<Measure> {
        let clock = Clock::start();
        let engine = self.open::<E>(&self.directory.join("killed"), Durability::Relaxed)?;
        let measure = clock.measure(1);
        // What the process had been told was committed outlives it.
        for id in self.picks(1000) {
            there(engine.get(id, touch)?)?;
        }
        engine.close()?;
        std::fs::remove_dir_all(self.directory.join("killed"))?;
        Ok(measure)
    }

    /// Reads random documents, all of them once before the clock starts.
    fn reads<E: Engine>(&self, read: impl Fn(&E, &[u64]) -> Outcome<u64>) -> Outcome<Measure> {
        let engine = self.open::<E>(&self.main(), Durability::Relaxed)?;
        engine.snapshot()?.scan(|document| {
            black_box(touch(document));
        })?;
        let picks = self.picks(self.documents.min(1_000_000));
        black_box(read(&engine, &picks)?);
        let (clock, mut rounds) = (Clock::start(), 0);
        while rounds == 0 || clock.started.elapsed() < LEAST {
            black_box(read(&engine, &picks)?);
            rounds += 1;
        }
        let measure = clock.measure(rounds * picks.len());
        engine.close()?;
        Ok(measure)
    }

    /// Reads random documents by so many threads, each with a snapshot of its own.
    fn get_by_threads<E: Engine>(&self, threads: usize) -> Outcome<Measure> {
        self.reads::<E>(|engine, picks| {
            let read = |picks: &[u64]| get_all(&engine.snapshot()?, picks);
            let (own, others) = picks.split_at(picks.len() / threads);
            std::thread::scope(|scope| {
                let parts = others.chunks(others.len().div_ceil(threads - 1).max(1));
                let readers: Vec<_> = parts.map(|part| scope.spawn(move || read(part))).collect();
                let mut sum = read(own)?;
                for reader in readers {
                    sum ^= reader.join().map_err(|_| "a reader panicked")??;
                }
                Ok(sum)
            })
        })
    }

    fn scan<E: Engine>(&self) -> Outcome<Measure> {
        let engine = self.open::<E>(&self.main(), Durability::Relaxed)?;
        let once = || -> Outcome<usize> {
            let (mut sum, mut count) = (0, 0);
            engine.snapshot()?.scan(|document| {
                sum ^= touch(document);
                count += 1;
            })?;
            black_box(sum);
            Ok(count)
        };
        let count = once()?;
        if count < self.documents {
            return Err(format!("a scan gave {count} of {} documents", self.documents).into());
        }
        let (clock, mut rounds) = (Clock::start(), 0);
        while rounds == 0 || clock.started.elapsed() < LEAST {
            once()?;
            rounds += 1;
        }
        let measure = clock.measure(rounds * count);
        engine.close()?;
        Ok(measure)
    }

    /// Replaces `count` documents by others of the same size, so many in a transaction.
    fn updates<E: Engine>(&self, batch: usize, count: usize) -> Outcome<Measure> {
        let engine = self.open::<E>(&self.main(), Durability::Relaxed)?;
        let mut random = Random(SEED + 4 + batch as u64);
        let mut ids = self.ids();
        shuffle(&mut random, &mut ids);
        ids.truncate(count);
        let data = Documents::new(ids, self.bytes, &mut random);
        let measure = self.commits(data.len().div_ceil(batch), |commit| {
            let from = commit * batch;
            if batch == 1 {
                return engine.update(data.get(from));
            }
            let items: Vec<Item<'_>> = (from..data.len().min(from + batch)).map(|at| data.get(at)).collect();
            engine.update_batch(&items)
        })?;
        let measure = Measure { operations: (measure.operations * batch as u64).min(data.len() as u64), ..measure };
        engine.close()?;
        Ok(measure)
    }

    /// Times so many commits, or those of as long as a measurement may last.
    pub(crate) fn commits(&self, count: usize, commit: impl Fn(usize) -> Outcome<()>) -> Outcome<Measure> {
        let (clock, mut done) = (Clock::start(), 0);
        while done < count && (done % 100 != 0 || clock.started.elapsed() < self.most) {
            commit(done)?;
            done += 1;
        }
        Ok(clock.measure(done))
    }

    /// Inserts half as many documents as there are, each in a transaction of its own.
    fn inserts<E: Engine>(&self) -> Outcome<Measure> {
        let engine = self.open::<E>(&self.main(), Durability::Relaxed)?;
        // Even ids: those that are there are odd.
        let ids = random_ids(self.documents / 2, SEED + 5).into_iter().map(|id| id & !1 | 1 << 49).collect();
        let data = Documents::new(ids, self.bytes, &mut Random(SEED + 6));
        let measure = self.commits(data.len(), |at| engine.insert(data.get(at)))?;
        engine.close()?;
        Ok(measure)
    }

    /// Replaces random documents, each in a transaction of its own and each timed, for as long as a measurement may
    /// last: long enough for what the engine does in the background to come in between.
    fn commit_tail<E: Engine>(&self) -> Outcome<Measure> {
        let engine = self.open::<E>(&self.main(), Durability::Relaxed)?;
        let (data, mut random) = (self.data(), Random(SEED + 9));
        let mut took = hdrhistogram::Histogram::<u64>::new(3)?;
        let (clock, mut done) = (Clock::start(), 0);
        while clock.started.elapsed() < self.most {
            for _ in 0..1000 {
                let item = data.get(below(&mut random, data.len() as u64) as usize);
                let started = Instant::now();
                engine.update(item)?;
                took.record(started.elapsed().as_nanos() as u64)?;
                done += 1;
            }
        }
        let mut measure = clock.measure(done);
        let at = |quantile| took.value_at_quantile(quantile) as f64 / 1000.0;
        measure.latency_micros = Some([at(0.5), at(0.99), at(0.999), took.max() as f64 / 1000.0]);
        engine.close()?;
        Ok(measure)
    }

    /// Durable commits of one new document by so many threads, for about two seconds.
    fn durable<E: Engine>(&self, threads: usize) -> Outcome<Measure> {
        let directory = self.fresh("durable")?;
        let engine = self.open::<E>(&directory, Durability::Durable)?;
        let data = Documents::new(random_ids(DURABLE_DOCUMENTS, SEED + 7), self.bytes, &mut Random(SEED + 8));
        let next = std::sync::atomic::AtomicUsize::new(0);
        let commits = |least: Duration| -> Outcome<usize> {
            let (started, mut count) = (Instant::now(), 0);
            while started.elapsed() < least {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if at >= data.len() {
                    break;
                }
                engine.insert(data.get(at))?;
                count += 1;
            }
            Ok(count)
        };
        commits(Duration::from_millis(200))?;
        let clock = Clock::start();
        let count = std::thread::scope(|scope| -> Outcome<usize> {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| commits(Duration::from_millis(1500)))).collect();
            let mut sum = 0;
            for worker in workers {
                sum += worker.join().map_err(|_| "a writer panicked")??;
            }
            Ok(sum)
        })?;
        let measure = clock.measure(count);
        engine.close()?;
        std::fs::remove_dir_all(&directory)?;
        Ok(measure)
    }
}

/// Reads documents by their ids. Gives a sum over all.
pub(crate) fn get_all(snapshot: &impl Reading, ids: &[u64]) -> Outcome<u64> {
    let mut sum = 0;
    for id in ids {
        sum ^= there(snapshot.get(*id, touch)?)?;
    }
    Ok(sum)
}

/// What has to be there.
pub(crate) fn there<T>(found: Option<T>) -> Outcome<T> {
    found.ok_or_else(|| "a document that was written is not there".into())
}
