//! The page table under the model checker.

use super::*;
use crate::file::page::{Address, PageBuf};
use crate::file::written_file::WrittenFile;
use crate::memory::Pool;
use crate::record::block::{self, OpenBlock};
use crate::record::extent::{self, HeapExtent};
use crate::sync::model::model;
use loom::thread;

const SEED: u64 = 5;
const BLOCK_PAGE: PageNo = PageNo(4);
const EXTENT_PAGE: PageNo = PageNo(5);
const FILE_PAGES: usize = 24;
const TEXT: [u8; 5] = [0xa4, b't', b'e', b'x', b't'];

fn large_document() -> Vec<u8> {
    vec![0xc0; 16 * PAGE_BYTES]
}

fn block() -> (block::ClosedBlock, Address) {
    let mut open = OpenBlock::new(&Pool::new(0), BLOCK_PAGE, 0, 1, 1);
    let address = open.append(1, &[&TEXT], false);
    (open.close(), address)
}

/// A file whose pages are all written: a block, and an extent of 17 pages, two pieces. It is
/// the same in every run of a model, so made once.
fn written() -> Arc<WrittenFile> {
    static WRITTEN: std::sync::OnceLock<Arc<WrittenFile>> = std::sync::OnceLock::new();
    WRITTEN.get_or_init(make_written).clone()
}

fn make_written() -> Arc<WrittenFile> {
    let mut bytes = PageBuf::zeroed(FILE_PAGES);
    let block = &mut bytes[BLOCK_PAGE.offset() as usize..][..PAGE_BYTES];
    block.copy_from_slice(self::block().0.unit.bytes());
    page::seal(block, 1, SEED);
    let document = HeapExtent::new(&Pool::new(0), EXTENT_PAGE, 1, &large_document());
    assert_eq!(document.pages, 17);
    let unit = &mut bytes[EXTENT_PAGE.offset() as usize..][..document.pages * PAGE_BYTES];
    unit.copy_from_slice(document.unit.bytes());
    extent::seal(unit, 1, SEED);
    Arc::new(WrittenFile(bytes))
}

fn table() -> Arc<Pages> {
    Arc::new(Pages::new(written(), SEED, FILE_PAGES as u64))
}

fn check_block(pages: &Pages, at: Address) {
    let block = pages.block(BLOCK_PAGE).expect("the block is good, wherever it is");
    assert_eq!(block::read(&block, at.slot()).expect("a record").payload, TEXT);
}

#[test]
fn loom_a_block_is_read_whole_while_it_leaves_the_heap() {
    model(2, || {
        let (closed, at) = block();
        let pages = table();
        // SAFETY: the block lives until the readers are joined.
        unsafe { pages.put_heap(BLOCK_PAGE, PageKind::Block, 0, closed.unit.ptr()).expect("a page of the file") };
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let pages = pages.clone();
                thread::spawn(move || check_block(&pages, at))
            })
            .collect();
        pages.unit_written(BLOCK_PAGE, 1);
        readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
        drop(closed);
        check_block(&pages, at);
    });
}

#[test]
fn loom_a_block_published_by_its_address_is_found() {
    model(2, || {
        let (closed, at) = block();
        let pages = table();
        let published = Arc::new(AtomicU64::new(0));
        let reader = {
            let (pages, published) = (pages.clone(), published.clone());
            thread::spawn(move || {
                if published.load(Ordering::Acquire) != 0 {
                    let unit = pages.resolve(BLOCK_PAGE).expect("the block");
                    assert!(unit.heap, "a unit of the heap was looked for in the file");
                    check_block(&pages, at);
                }
            })
        };
        // SAFETY: as above.
        unsafe { pages.put_heap(BLOCK_PAGE, PageKind::Block, 0, closed.unit.ptr()).expect("a page of the file") };
        published.store(1, Ordering::Release);
        reader.join().expect("a reader");
    });
}

#[test]
fn loom_pages_verified_at_once_keep_their_own_codes() {
    model(2, || {
        let (_, at) = block();
        let pages = table();
        let readers: Vec<_> = [BLOCK_PAGE, EXTENT_PAGE]
            .into_iter()
            .map(|page| {
                let pages = pages.clone();
                thread::spawn(move || pages.resolve(page).expect("a good page").code)
            })
            .collect();
        check_block(&pages, at);
        let codes: Vec<Code> = readers.into_iter().map(|reader| reader.join().expect("a reader")).collect();
        assert_eq!(codes, [BLOCK, EXTENT_HEAD]);
        assert_eq!(pages.resolve(BLOCK_PAGE).expect("verified").code, BLOCK);
        assert_eq!(pages.resolve(EXTENT_PAGE).expect("verified").code, EXTENT_HEAD);
    });
}

#[test]
fn loom_a_large_document_is_read_whole_while_it_leaves_the_heap() {
    model(2, || {
        let document = HeapExtent::new(&Pool::new(0), EXTENT_PAGE, 1, &large_document());
        let pages = table();
        // SAFETY: the extent lives until the reader is joined.
        unsafe { pages.put_heap(EXTENT_PAGE, PageKind::Extent, 0, document.unit.ptr()).expect("a page of the file") };
        let reader = {
            let pages = pages.clone();
            thread::spawn(move || {
                let read = pages.extent(EXTENT_PAGE).expect("the document is good, wherever it is");
                assert!(read == large_document());
            })
        };
        pages.unit_written(EXTENT_PAGE, document.pages as u64);
        reader.join().expect("a reader");
    });
}
