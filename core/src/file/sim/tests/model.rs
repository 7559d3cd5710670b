//! Random operations against a naive model: plain maps, one for what is seen and one for what is safe.

use super::*;

type Files = BTreeMap<String, (u64, Vec<u8>)>; // id of the file, bytes

#[derive(Default)]
struct Model {
    seen: Files,
    safe_names: BTreeMap<String, u64>,
    safe_bytes: BTreeMap<u64, Vec<u8>>,
    /// Of each file, every byte value that each place may have after a power cut.
    possible: BTreeMap<u64, Vec<BTreeSet<u8>>>,
    next: u64,
}

impl Model {
    fn change(&mut self, name: &str, at: usize, data: &[u8]) {
        let (id, bytes) = self.seen.get_mut(name).unwrap();
        bytes.resize(bytes.len().max(at + data.len()), 0);
        bytes[at..at + data.len()].copy_from_slice(data);
        let possible = self.possible.get_mut(id).unwrap();
        possible.resize(possible.len().max(at + data.len()), BTreeSet::from([0]));
        for (place, byte) in possible[at..].iter_mut().zip(data) {
            place.insert(*byte);
        }
    }

    fn cut(&mut self, name: &str, len: usize) {
        let (id, bytes) = self.seen.get_mut(name).unwrap();
        bytes.truncate(len);
        let possible = self.possible.get_mut(id).unwrap();
        for place in &mut possible[len..] {
            place.insert(0);
        }
    }

    fn sync(&mut self, name: &str) {
        let (id, bytes) = &self.seen[name];
        self.safe_bytes.insert(*id, bytes.clone());
        self.possible.insert(*id, bytes.iter().map(|b| BTreeSet::from([*b])).collect());
    }

    fn sync_dir(&mut self) {
        self.safe_names = self.seen.iter().map(|(name, (id, _))| (name.clone(), *id)).collect();
    }

    fn lose_all(&self) -> BTreeMap<String, Vec<u8>> {
        self.safe_names.iter().map(|(name, id)| (name.clone(), self.safe_bytes[id].clone())).collect()
    }

    fn keep_all(&self) -> BTreeMap<String, Vec<u8>> {
        self.seen.iter().map(|(name, (_, bytes))| (name.clone(), bytes.clone())).collect()
    }

    fn create(&mut self, name: &str) {
        self.next += 1;
        self.seen.insert(name.to_owned(), (self.next, Vec::new()));
        self.safe_bytes.insert(self.next, Vec::new());
        self.possible.insert(self.next, Vec::new());
    }
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Stores where something was written before; false where not.
fn store(file: &dyn DiskFile, data: &[u8], offset: u64) -> io::Result<bool> {
    match file.store(data, offset) {
        Err(e) if e.kind() == ErrorKind::InvalidInput => Ok(false),
        result => result.map(|()| true),
    }
}

/// One random operation on the disk and, if there is one, on the model.
fn step(disk: &SimDisk, rng: &mut Rng, mut model: Option<&mut Model>) -> io::Result<()> {
    let name = *rng.pick(&NAMES);
    let draw = rng.below(100);
    let (at, len) = (rng.below(3000) as usize, rng.below(1500) as usize);
    let data = rng.bytes(len);
    let Ok(file) = disk.open(name) else {
        if draw < 50 && !disk.is_off() {
            disk.create(name)?;
            if let Some(model) = &mut model {
                model.create(name);
            }
        }
        return Ok(());
    };
    let now = file.len()? as usize;
    match draw {
        0..50 if len > 0 => {
            let stored = at + len <= now && draw % 2 == 0 && store(&*file, &data, at as u64)?;
            if !stored {
                file.write_at(&data, at as u64)?;
            }
            if let Some(model) = model {
                model.change(name, at, &data);
            }
        }
        50..60 => {
            file.allocate(at as u64)?;
            if let Some(model) = model {
                model.change(name, now.max(at), b"");
            }
        }
        60..65 if at < now => {
            file.truncate(at as u64)?;
            if let Some(model) = model {
                model.cut(name, at);
            }
        }
        65..68 => {
            disk.remove(name)?;
            if let Some(model) = model {
                model.seen.remove(name);
            }
        }
        68..78 => {
            disk.sync_dir()?;
            if let Some(model) = model {
                model.sync_dir();
            }
        }
        78..90 => {
            file.sync_data()?;
            if let Some(model) = model {
                model.sync(name);
            }
        }
        _ => {}
    }
    Ok(())
}

#[test]
fn every_image_lies_between_what_was_synced_and_what_was_seen() {
    let mut rng = Rng::new(seed(3));
    for _ in 0..20 {
        let (disk, mut model) = (disk(), Model::default());
        for _ in 0..200 {
            step(&disk, &mut rng, Some(&mut model)).unwrap();
            assert_eq!(files(&disk), model.keep_all());
            assert_eq!(files(&disk.process_crash_image()), model.keep_all());
            assert_eq!(files(&disk.crash_image(CrashPolicy::KeepAll)), model.keep_all());
            assert_eq!(files(&disk.crash_image(CrashPolicy::LoseAll)), model.lose_all());
            let random = disk.crash_image(CrashPolicy::Random(rng.next_u64()));
            for inode in random.inodes() {
                let possible = &model.possible[&inode.id];
                let bytes = random.read_file(&inode.name);
                assert!(bytes.len() <= possible.len());
                assert!(bytes.iter().zip(possible).all(|(byte, place)| place.contains(byte)));
            }
        }
    }
}

#[test]
fn a_replay_reaches_the_very_states_that_running_again_does() {
    let seed = seed(4);
    let policies = [CrashPolicy::LoseAll, CrashPolicy::KeepAll, CrashPolicy::Random(9), CrashPolicy::LoseOne(2)];
    let run = |disk: &SimDisk| {
        let mut rng = Rng::new(seed);
        while disk.operations() < 100 && step(disk, &mut rng, None).is_ok() {}
    };
    let start = SimDisk::from_files(SimOptions::default(), [("a".to_owned(), vec![7; 2000])]);
    start.open("a").unwrap().write_at(b"pending from the start", 0).unwrap();
    let recorded = start.process_crash_image();
    recorded.record();
    run(&recorded);
    let mut replay = recorded.replay().unwrap();
    let mut number = 0;
    loop {
        let again = start.process_crash_image();
        again.crash_at(number + 1);
        run(&again);
        for policy in policies {
            let (one, two) = (replay.disk().crash_image(policy), again.crash_image(policy));
            assert_eq!(files(&one), files(&two), "{policy:?} after operation {number}\n{}", recorded.trace());
            assert_eq!(one.digest(), two.digest());
        }
        match replay.step() {
            Some(next) => {
                number = next;
                assert_eq!(replay.disk().operations(), number);
            }
            None => break,
        }
    }
    assert_eq!(number, recorded.operations());
}

#[test]
fn a_replay_repeats_failures_with_all_they_left() {
    for seed in 0..50 {
        let disk = SimDisk::new(SimOptions { seed, ..SimOptions::default() });
        disk.record();
        let mut rng = Rng::new(seed);
        for n in 1..60 {
            if n % 3 == 0 {
                disk.fail_at(n, SimError::Eio, Persist::Once);
            }
            let _ = step(&disk, &mut rng, None);
        }
        let mut replay = disk.replay().unwrap();
        while replay.step().is_some() {}
        for policy in [CrashPolicy::LoseAll, CrashPolicy::KeepAll, CrashPolicy::Random(seed)] {
            assert_eq!(files(&replay.disk().crash_image(policy)), files(&disk.crash_image(policy)), "seed {seed}");
        }
    }
}
