//! Golden bytes: the format as it is documented.

use super::*;

/// Sixteen bytes a line, as hexadecimal; a line of zeros like the one before is left out.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (i, line) in bytes.chunks(16).enumerate() {
        if line.iter().all(|b| *b == 0) {
            continue;
        }
        text.push_str(&format!("{:04x} ", i * 16));
        for (j, byte) in line.iter().enumerate() {
            text.push_str(&format!("{}{byte:02x}", if j % 8 == 0 { " " } else { "" }));
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_bytes_of_a_segment_are_the_documented_ones() {
    let disk = sim();
    let log = create(&disk);
    let end = log.append(101, &mut frame_of(&[b"hello"])).unwrap();
    log.sync_through(end).unwrap();
    log.claim().unwrap();
    let bytes = disk.read_file("app.nyro-wal-0000000000000007-00000000");
    assert_eq!(bytes.len(), 4096);
    let expected = include_str!("golden.txt");
    assert_eq!(dump(&bytes), expected, "\n{}", dump(&bytes));
}
