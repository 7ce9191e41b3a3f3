//! Inference files that were damaged or changed and sealed again, and what a request allocates.

mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sidkit_core::Error;
use sidkit_core::infer::{Model, Ragged, Requests, Scoring, Tensor, write};
use world::{Encoder, Random, Temporary, World};
use xxhash_rust::xxh3::xxh3_64;

thread_local! {
    /// Number of allocations and of bytes that this thread has asked for.
    static ASKED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (calls, bytes) = ASKED.get();
        ASKED.set((calls + 1, bytes + layout.size()));
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Makes the checksum true.
fn seal(bytes: &mut [u8]) {
    let Some(at) = bytes.windows(8).position(|window| window == br#""xxh3":""#) else {
        return;
    };
    let digits = at + 8..at + 24;
    if digits.end > bytes.len() {
        return;
    }
    bytes[digits.clone()].fill(b'0');
    let sum = format!("{:016x}", xxh3_64(bytes));
    bytes[digits].copy_from_slice(sum.as_bytes());
}

fn open(bytes: &[u8], trusted: bool) -> Result<Model, Error> {
    let file = Temporary::new();
    std::fs::write(&file.0, bytes).unwrap();
    Model::open(&file.0, trusted)
}

/// Asks for every ranking.
fn use_it(model: &Model) {
    let items = model.items() as u32;
    for history in [vec![0, items - 1], vec![items / 2; 9]] {
        for &scoring in model.scorings() {
            let histories = Ragged {
                values: &history,
                offsets: &[0, history.len()],
            };
            let requests = Requests {
                k: 5,
                scoring,
                ..Requests::new(histories, model)
            };
            let (mut items, mut scores) = (vec![0; 5], vec![0.0; 5]);
            model.recommend(&requests, 1, &mut items, &mut scores).unwrap();
        }
    }
    let (mut similar, mut scores) = (vec![0; 3], vec![0.0; 3]);
    model.similar(&[0], 3, 1, &mut similar, &mut scores).unwrap();
    let _ = (
        model.tokens(items - 1),
        model.ids(&[0]),
        model.find_ints([World::id(3)]),
        model.find_texts(["a"]),
    );
}

#[test]
fn any_damage_is_found() {
    let bytes = std::fs::read(&World::new(1, Encoder::Gru, 30).write().0).unwrap();
    assert!(open(&bytes, false).is_ok());
    let mut random = Random::new(1);
    let places: Vec<usize> = (0..200)
        .chain((0..150).map(|_| random.below(bytes.len())))
        .collect();
    for place in places {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << random.below(8);
        assert!(
            matches!(open(&damaged, false), Err(Error::Model { .. })),
            "byte {place}"
        );
    }
    for length in [0, 1, 7, 8, 9, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(
            matches!(open(&bytes[..length], false), Err(Error::Model { .. })),
            "cut to {length}"
        );
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(open(&longer, false).is_err());
    assert!(matches!(
        Model::open(std::path::Path::new("/no/such/file"), false),
        Err(Error::Io { .. })
    ));
}

#[test]
fn sealed_damage_is_refused_or_harmless() {
    let worlds = [
        World::new(2, Encoder::Gru, 30),
        World::new(3, Encoder::Attention, 20),
        World {
            levels: true,
            ..World::new(4, Encoder::Gru, 30)
        },
    ];
    let (mut refused, mut opened) = (0, 0);
    for world in worlds {
        let bytes = std::fs::read(&world.write().0).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut random = Random::new(5);
        for case in 0..600 {
            let mut damaged = bytes.clone();
            // Half of the cases change the header.
            let place = if case % 2 == 0 {
                random.below(header)
            } else {
                header + random.below(bytes.len() - header)
            };
            let width = [1, 4][random.below(2)].min(bytes.len() - place);
            let value = [0xff, 0, b'9', b'-'][random.below(4)];
            damaged[place..place + width].fill(value);
            seal(&mut damaged);
            ASKED.set((0, 0));
            match open(&damaged, false) {
                Ok(model) => {
                    use_it(&model);
                    opened += 1;
                }
                Err(Error::Model { problem }) => {
                    assert!(!problem.is_empty());
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
            let bound = 40 * bytes.len() + (1 << 20);
            assert!(
                ASKED.get().1 < bound,
                "case {case} asked for {} bytes",
                ASKED.get().1
            );
        }
    }
    assert!(
        refused > 400 && opened > 100,
        "{refused} refused, {opened} opened"
    );
}

#[test]
fn a_request_allocates_nothing_once_the_thread_is_warm() {
    for encoder in [Encoder::Gru, Encoder::Attention] {
        let model = World::new(6, encoder, 60).open();
        let history = [3, 9, 27, 4, 12, 36];
        let histories = Ragged {
            values: &history,
            offsets: &[0, 6],
        };
        let (mut items, mut scores) = ([0; 10], [0.0; 10]);
        for scoring in [Scoring::Sid, Scoring::Exact, Scoring::Fused] {
            let requests = Requests {
                scoring,
                ..Requests::new(histories, &model)
            };
            model.recommend(&requests, 1, &mut items, &mut scores).unwrap();
            ASKED.set((0, 0));
            model.recommend(&requests, 1, &mut items, &mut scores).unwrap();
            assert_eq!(ASKED.get(), (0, 0), "{encoder:?} {scoring:?}");
        }
    }
}

#[test]
fn arrays_are_little_endian_on_every_cpu() {
    let file = Temporary::new();
    let (shorts, floats): ([u16; 2], [f32; 2]) = ([1, 0x0203], [1.0, -2.5]);
    let (words, longs): ([u32; 1], [u64; 1]) = ([0x0405_0607], [0x0809_0a0b_0c0d_0e0f]);
    let arrays = [
        ("a", Tensor::flat(&shorts)),
        ("b", Tensor::rows(&floats, 1)),
        ("c", Tensor::flat(&words)),
        ("d", Tensor::flat(&longs)),
    ];
    write(&file.0, "{}", &arrays).unwrap();
    let bytes = std::fs::read(&file.0).unwrap();
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let expected: [&[u8]; 4] = [
        &[1, 0, 3, 2],
        &[0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0],
        &[7, 6, 5, 4],
        &[15, 14, 13, 12, 11, 10, 9, 8],
    ];
    for (i, expected) in expected.into_iter().enumerate() {
        assert_eq!(&bytes[start + i * 64..][..expected.len()], expected, "array {i}");
    }
}
