//! smoke
use nyro::{doc, Database, Document, Durability, Options};

#[test]
fn smoke() {
    let dir = nyro::testing::TempDir::new().unwrap();
    let path = dir.path().join("a.nyro");
    let options = Options { durability: Durability::Manual, log_max_bytes: 1 << 20, ..Options::default() };
    let db = Database::open_with(&path, options.clone()).unwrap();
    let c = db.collection::<Document>("users");
    for i in 0..20000u64 {
        c.put(&doc! {"_id": i, "name": format!("user {i}"), "x": "y".repeat((i % 300) as usize)}).unwrap();
    }
    println!("{:?}", db.stats().unwrap());
    println!("{:?}", db.verify().unwrap());
    for i in 0..20000u64 {
        assert!(c.get(i).unwrap().is_some(), "{i}");
        if i % 3 == 0 {
            assert!(c.delete(i).unwrap());
        }
    }
    println!("{:?}", db.verify().unwrap());
    db.checkpoint().unwrap();
    println!("{:?}", db.verify().unwrap());
    c.put(&doc! {"_id": "big", "x": "z".repeat(300_000)}).unwrap();
    db.close().unwrap();
    let db = Database::open_with(&path, options).unwrap();
    println!("{:?}", db.verify().unwrap());
    let c = db.collection::<Document>("users");
    assert_eq!(c.count_documents().unwrap(), 13334);
    assert_eq!(c.scan().unwrap().count(), 13334);
    assert_eq!(c.get("big").unwrap().unwrap().get("x").unwrap().as_str().unwrap().len(), 300_000);
    println!(
        "{:?}",
        std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| {
                let e = e.unwrap();
                (e.file_name(), e.metadata().unwrap().len())
            })
            .collect::<Vec<_>>()
    );
}
