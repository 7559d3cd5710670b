//! Makes the first inputs of the corpus: `cargo test -p nyro-safety -- --ignored make_the_corpus`. The fuzzer goes on
//! from them; what it found stands beside them.

use nyro::testing::Rng;
use nyro::{doc, Document, RawDocumentBuf, Timestamp, Value};
use std::path::Path;

fn write(target: &str, name: &str, input: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    std::fs::create_dir_all(&folder).expect("the folder of a target");
    std::fs::write(folder.join(format!("seed-{name}")), input).expect("writes");
}

fn documents() -> Vec<(&'static str, Document)> {
    let nested = (0..20).fold(doc! { "n": 1 }, |inner, _| doc! { "in": inner });
    vec![
        ("id-alone", doc! { "_id": 1 }),
        ("id-behind", doc! { "a": 1, "_id": "key", "b": [1, 2.5, "x"] }),
        ("numbers", doc! { "_id": (-1), "a": (u64::MAX), "b": (i64::MIN), "c": 0.1, "d": (f64::NAN), "e": (-0.0) }),
        (
            "types",
            doc! { "_id": (&[1_u8, 2]), "t": (Timestamp::from_millis(1)), "n": null, "b": true, "x": (Value::Ext(5, vec![1, 2])) },
        ),
        ("words", doc! { "_id": 2, "$date": 1, "$$x": { "$binary": "no" }, "": "" }),
        ("nested", nested),
    ]
}

fn put(tree: u8, document: &Document) -> Vec<u8> {
    let bytes = RawDocumentBuf::from_serialize(document).expect("a document").into_bytes();
    [&[1, tree, bytes.len() as u8][..], &bytes].concat()
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, 0, payload.len() as u8, (payload.len() >> 8) as u8][..], payload].concat()
}

#[test]
#[ignore = "writes files of the repository"]
fn make_the_corpus() {
    let mut rng = Rng::new(1);
    for flags in [0, 1, 4, 8, 16, 17, 25, 2, 12] {
        let patch = [0, rng.below(30) as u8, rng.below(64) as u8, 0, 4, 1, 0, 0, 0];
        write("open_file", &format!("{flags}"), &[&[flags][..], &patch].concat());
    }
    write("open_file", "raw", &[&[0xff][..], b"NyroDB\x1a\x0a"].concat());
    let ordinal = [0x80, 0x80, 0x04];
    let changes = [
        put(1, &doc! { "_id": 5, "n": 1 }),
        vec![2, 1, 2, 0xa1, b'x'],
        vec![3, 2],
        put(9, &doc! { "_id": "new" }),
        vec![4, 3, 1, b'k', 2, b'v', b'v'],
        vec![5, 3, 1, b'k'],
        vec![6, 3, 1, b'a', 1, b'b'],
        vec![7, 3, 1, b'a'],
    ];
    for (at, change) in changes.iter().enumerate() {
        let one = frame(0, &[&ordinal[..], change].concat());
        write("log", &format!("change-{at}"), &[&[0x20][..], &one].concat());
        let both = [one.clone(), frame(1, &[]), one, frame(2, &[])].concat();
        write("log", &format!("several-{at}"), &[&[at as u8 * 4 + 0x30][..], &both].concat());
    }
    write("log", "none", &[0]);
    write("log", "raw", &[&[2][..], &[1; 100]].concat());
    for (name, document) in documents() {
        write("document", name, &RawDocumentBuf::from_serialize(&document).expect("a document").into_bytes());
        write("document", &format!("{name}-json"), document.to_json().as_bytes());
    }
    for at in 0..12 {
        let length = 60 + rng.below(200) as usize;
        write("api", &format!("{at}"), &rng.bytes(length));
    }
    let numbers: Vec<Vec<u8>> = (0..30_u32).map(|n| [&b"key "[..], &(n * 7).to_be_bytes()].concat()).collect();
    for (name, keys) in [("few", &numbers[..1]), ("numbers", &numbers[..])] {
        let entry = |(at, key): (usize, &Vec<u8>)| (key.clone(), (at % 4 != 1).then(|| vec![at as u8; at * 3]));
        let (leaf, _) = nyro::testing::runs::leaf_of(&keys.iter().enumerate().map(entry).collect::<Vec<_>>());
        let end = leaf.iter().rposition(|byte| *byte != 0).expect("not empty");
        let sought = [&[8][..], &numbers[0]].concat();
        write("run", &format!("leaf-{name}"), &[&[0][..], &sought, &leaf[48..=end]].concat());
        for ranges in [vec![], vec![(keys[0].clone(), b"l".to_vec())]] {
            let separators: Vec<Vec<u8>> = keys.iter().step_by(4).cloned().collect();
            let tail = nyro::testing::runs::tail_of(&separators, keys, ranges.clone());
            write("run", &format!("tail-{name}-{}", ranges.len()), &[&[1][..], &sought, &tail].concat());
        }
    }
    for at in 0..6 {
        let length = 40 + rng.below(300) as usize;
        write("run", &format!("keys-{at}"), &[&[2, 3, b'k', b'e', b'y'][..], &rng.bytes(length)].concat());
    }
}
