//! Recommendations of inference files against the definitions, written out plainly in f64.

#![allow(
    clippy::cast_sign_loss,
    clippy::needless_for_each,
    reason = "numbers of items are small"
)]

mod world;

use sidkit_core::infer::{ItemId, Model, NewItems, Ragged, Requests, Scoring};
use sidkit_core::{Error, Kernel};
use world::{Encoder, Random, World, count};

/// Rows of items as a request takes them.
struct Rows {
    values: Vec<u32>,
    offsets: Vec<usize>,
}

impl Rows {
    fn new(rows: &[Vec<usize>]) -> Self {
        let mut offsets = vec![0];
        rows.iter()
            .for_each(|row| offsets.push(offsets[offsets.len() - 1] + row.len()));
        let values = rows.iter().flatten().map(|&item| item as u32).collect();
        Self { values, offsets }
    }

    fn ragged(&self) -> Ragged<'_> {
        Ragged {
            values: &self.values,
            offsets: &self.offsets,
        }
    }
}

/// The lists of a batch, without padding.
fn recommend(model: &Model, requests: &Requests<'_>, threads: usize) -> Vec<Vec<(usize, f32)>> {
    let places = requests.histories.len() * requests.k;
    let (mut items, mut scores) = (vec![7; places], vec![7.0; places]);
    model
        .recommend(requests, threads, &mut items, &mut scores)
        .unwrap();
    let lists = items.chunks(requests.k).zip(scores.chunks(requests.k));
    lists
        .map(|(items, scores)| {
            let real = items.iter().take_while(|&&item| item >= 0).count();
            assert!(items[real..].iter().all(|&item| item == -1));
            assert!(scores[real..].iter().all(|&score| score == f32::NEG_INFINITY));
            (0..real)
                .map(|place| (items[place] as usize, scores[place]))
                .collect()
        })
        .collect()
}

/// Fails unless a list holds the `k` best of the expected items, up to rounding.
fn check(found: &[(usize, f32)], mut expected: Vec<(usize, f64)>, k: usize, what: &str) {
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    assert_eq!(
        found.len(),
        k.min(expected.len()),
        "{what}: {found:?} {expected:?}"
    );
    for (place, &(item, score)) in found.iter().enumerate() {
        let own = expected.iter().find(|each| each.0 == item);
        let own = own
            .unwrap_or_else(|| panic!("{what}: item {item} is not among {expected:?}"))
            .1;
        assert!(
            (own - f64::from(score)).abs() < 1e-4,
            "{what}: item {item} has {score}, expected {own}"
        );
        let best = expected[place].1;
        assert!(
            (own - best).abs() < 1e-4,
            "{what}: place {place} has {own}, expected {best}"
        );
    }
    let mut items: Vec<_> = found.iter().map(|each| each.0).collect();
    items.sort_unstable();
    items.dedup();
    assert_eq!(items.len(), found.len(), "{what}: no item comes twice");
}

fn histories(random: &mut Random, items: usize) -> Vec<Vec<usize>> {
    let mut rows: Vec<Vec<usize>> = (1..=12)
        .map(|length| (0..=length % 9).map(|_| random.below(items)).collect())
        .collect();
    rows[3] = vec![];
    rows
}

#[test]
fn rankings_are_those_of_the_definitions() {
    for (seed, encoder, items) in [
        (1, Encoder::Gru, 40),
        (2, Encoder::Attention, 25),
        (3, Encoder::Gru, 90),
    ] {
        let world = World::new(seed, encoder, items);
        let model = world.open();
        let mut random = Random::new(seed);
        let histories = histories(&mut random, items);
        let each: Vec<Vec<usize>> = histories
            .iter()
            .map(|_| (0..random.below(items)).map(|_| random.below(items)).collect())
            .collect();
        let (rows, lists) = (Rows::new(&histories), Rows::new(&each));
        let one = Rows::new(&each[5..6]);
        let excluded: Vec<u32> = (0..items as u32).filter(|item| item % 6 == 1).collect();
        for case in 0..24 {
            let (k, beam) = ([1, 7, items + 3][case % 3], [1, 4, 100][case / 3 % 3]);
            let requests = Requests {
                k,
                beam,
                scoring: [Scoring::Sid, Scoring::Exact, Scoring::Fused][case % 3],
                exclude_seen: case % 2 == 0,
                exclude: if case % 5 == 0 { &excluded } else { &[] },
                exclude_each: (case % 7 == 0).then(|| lists.ragged()),
                allow: match case % 4 {
                    1 => Some(one.ragged()),
                    2 => Some(lists.ragged()),
                    _ => None,
                },
                ..Requests::new(rows.ragged(), &model)
            };
            let found = recommend(&model, &requests, 1);
            assert_eq!(found, recommend(&model, &requests, 3), "threads change nothing");
            for (row, history) in histories.iter().enumerate() {
                let permitted = |item: usize| {
                    !(requests.exclude_seen && history.contains(&item)
                        || requests.exclude.contains(&(item as u32))
                        || requests.exclude_each.is_some() && each[row].contains(&item))
                        && match case % 4 {
                            1 => each[5].contains(&item),
                            2 => each[row].contains(&item),
                            _ => true,
                        }
                };
                let what = format!("world {seed}, case {case}, history {row}");
                let all = |scores: Vec<f64>| {
                    scores
                        .into_iter()
                        .enumerate()
                        .filter(|&(item, _)| permitted(item))
                        .collect()
                };
                let expected: Vec<(usize, f64)> = if history.is_empty() {
                    let counts: Vec<f64> = (0..items).map(|item| count(item) as f64 + 0.5).collect();
                    let total: f64 = counts.iter().sum();
                    all(counts.iter().map(|count| (count / total).ln()).collect())
                } else {
                    match requests.scoring {
                        Scoring::Sid => world.beam(history, beam.max(k), &permitted),
                        Scoring::Exact => all(world.log_probs(history)),
                        _ => all(world.fused(history)),
                    }
                };
                check(&found[row], expected, k, &what);
                let alone = Rows::new(std::slice::from_ref(history));
                let own = requests.allow.map(|_| {
                    Rows::new(&[if case % 4 == 1 {
                        each[5].clone()
                    } else {
                        each[row].clone()
                    }])
                });
                let less = requests.exclude_each.map(|_| Rows::new(&each[row..=row]));
                let single = Requests {
                    histories: alone.ragged(),
                    allow: own.as_ref().map(Rows::ragged),
                    exclude_each: less.as_ref().map(Rows::ragged),
                    ..requests
                };
                assert_eq!(
                    recommend(&model, &single, 1)[0],
                    found[row],
                    "{what}: batch and single request agree"
                );
            }
        }
    }
}

#[test]
fn large_catalogues_are_searched_level_by_level() {
    for seed in 4..7 {
        let world = World {
            levels: true,
            ..World::new(seed, Encoder::Gru, 70)
        };
        let model = world.open();
        assert_eq!(model.scorings(), [Scoring::Sid]);
        let histories: Vec<_> = histories(&mut Random::new(seed), 70)
            .into_iter()
            .filter(|row| !row.is_empty())
            .collect();
        let rows = Rows::new(&histories);
        for (beam, k) in [(1, 1), (5, 5), (80, 10)] {
            let requests = Requests {
                k,
                beam,
                ..Requests::new(rows.ragged(), &model)
            };
            for (row, found) in recommend(&model, &requests, 2).iter().enumerate() {
                let permitted = |item: usize| !histories[row].contains(&item);
                check(
                    found,
                    world.level_beam(&histories[row], beam, &permitted),
                    k,
                    &format!("world {seed}, beam {beam}"),
                );
            }
        }
    }
}

#[test]
fn a_state_is_its_history() {
    for encoder in [Encoder::Gru, Encoder::Attention] {
        let model = World::new(8, encoder, 50).open();
        let mut state = model.start(&[]).unwrap();
        let mut history = vec![];
        // Longer than the window of the encoder.
        for step in 0..10 {
            let rows = Rows::new(&[history.clone()]);
            let requests = Requests {
                k: 5,
                ..Requests::new(rows.ragged(), &model)
            };
            let (mut items, mut scores) = (vec![0; 5], vec![0.0; 5]);
            model
                .recommend_next(&state, &requests, &mut items, &mut scores)
                .unwrap();
            let found: Vec<_> = items.iter().map(|&item| item as usize).zip(scores).collect();
            assert_eq!(
                found,
                recommend(&model, &requests, 1)[0],
                "{encoder:?} after {step}"
            );
            history.push((step * 13 + 5) % 50);
            model.append(&mut state, &[history[step] as u32]).unwrap();
        }
        assert_eq!(
            state.items(),
            history.iter().map(|&item| item as u32).collect::<Vec<_>>()
        );
        assert!(matches!(
            model.append(&mut state, &[50]),
            Err(Error::UnknownItem { item: 50, .. })
        ));
        assert_eq!(state.items().len(), 10);
    }
}

#[test]
fn added_items_are_those_of_a_file_that_has_them() {
    for seed in 9..12 {
        let mut whole = World {
            trained: 60,
            ..World::new(seed, Encoder::Gru, 90)
        };
        whole.graph.truncate(60);
        whole
            .graph
            .iter_mut()
            .for_each(|row| row.retain(|edge| edge.0 < 60));
        let mut before = whole.clone();
        before.tokens.truncate(60);
        before.content.truncate(60);
        whole.graph.resize(90, vec![]);
        let (model, expected) = (before.open(), whole.open());
        for range in [60..61, 61..75, 75..90] {
            // Items that are removed stay so when others are added.
            model.remove_items(&[3, range.start as u32 - 1]).unwrap();
            assert_eq!(model.len(), model.items() - 2);
            let new: Vec<usize> = [vec![3, range.start - 1], range.collect()].concat();
            let ids: Vec<_> = new.iter().map(|&item| ItemId::Int(World::id(item))).collect();
            let content: Vec<f32> = new.iter().flat_map(|&item| whole.content[item].clone()).collect();
            let tokens: Vec<u16> = new.iter().flat_map(|&item| whole.tokens[item]).collect();
            model
                .add_items(&NewItems {
                    ids: &ids,
                    content: &content,
                    tokens: &tokens,
                })
                .unwrap();
        }
        assert_eq!((model.items(), model.len(), model.version()), (90, 90, 6));
        for item in 0..90 {
            assert_eq!(model.find_ints([World::id(item)]), [item as i64]);
            assert_eq!(model.ids(&[item as i32]), [Some(ItemId::Int(World::id(item)))]);
            assert_eq!(model.tokens(item as u32), Some(whole.tokens[item].to_vec()));
        }
        let histories: Vec<Vec<usize>> = histories(&mut Random::new(seed), 90)
            .into_iter()
            .filter(|row| !row.is_empty())
            .collect();
        let rows = Rows::new(&histories);
        for scoring in [Scoring::Sid, Scoring::Exact, Scoring::Fused] {
            let of = |model: &Model| {
                recommend(
                    model,
                    &Requests {
                        k: 90,
                        scoring,
                        ..Requests::new(rows.ragged(), model)
                    },
                    1,
                )
            };
            // Vectors may differ in the last bits, by the order of their sums.
            for (found, expected) in of(&model).iter().zip(of(&expected)) {
                check(
                    found,
                    expected
                        .iter()
                        .map(|&(item, score)| (item, f64::from(score)))
                        .collect(),
                    90,
                    "added",
                );
            }
        }
    }
}

#[test]
fn removed_items_come_back_only_when_they_are_added() {
    let world = World::new(13, Encoder::Gru, 50);
    let model = world.open();
    let rows = Rows::new(&[vec![1, 2, 3], vec![]]);
    let requests = Requests {
        k: 50,
        exclude_seen: false,
        ..Requests::new(rows.ragged(), &model)
    };
    let lists = |scoring| {
        recommend(
            &model,
            &Requests {
                scoring,
                beam: 50,
                ..requests
            },
            1,
        )
    };
    let before = lists(Scoring::Exact);
    model.remove_items(&[2, 30]).unwrap();
    model.remove_items(&[30, 31]).unwrap();
    assert_eq!((model.items(), model.len()), (50, 47));
    for scoring in [Scoring::Sid, Scoring::Exact, Scoring::Fused] {
        for list in lists(scoring) {
            assert!(list.len() == 47 && list.iter().all(|each| ![2, 30, 31].contains(&each.0)));
        }
    }
    let allow = Rows::new(&[vec![30, 31, 4]]);
    let only = Requests {
        allow: Some(allow.ragged()),
        ..requests
    };
    assert!(
        recommend(&model, &only, 1)
            .iter()
            .all(|list| list.len() == 1 && list[0].0 == 4)
    );
    let similar = |k: usize| {
        let (mut items, mut scores) = (vec![0; k], vec![0.0; k]);
        model.similar(&[2], k, 1, &mut items, &mut scores).unwrap();
        items
    };
    assert!(similar(50).iter().all(|item| ![2, 30, 31].contains(item)));
    let ids: Vec<_> = [2, 30, 31].map(|item| ItemId::Int(World::id(item))).to_vec();
    let (content, tokens) = (vec![0.0; 21], vec![0; 9]);
    model
        .add_items(&NewItems {
            ids: &ids,
            content: &content,
            tokens: &tokens,
        })
        .unwrap();
    assert_eq!((model.items(), model.len()), (50, 50));
    assert_eq!(lists(Scoring::Exact), before, "restored as they were");
    let again = model.add_items(&NewItems {
        ids: &ids[..1],
        content: &content[..7],
        tokens: &tokens[..3],
    });
    assert_eq!(again, Err(Error::ItemExists { row: 0, item: 2 }));
    assert_eq!(model.version(), 3);
}

#[test]
fn mistakes_are_named() {
    let world = World::new(14, Encoder::Gru, 30);
    let model = world.open();
    let rows = Rows::new(&[vec![1, 2], vec![29]]);
    let good = Requests::new(rows.ragged(), &model);
    let error = |requests: &Requests<'_>| {
        let (mut items, mut scores) = (vec![0; 20], vec![0.0; 20]);
        model
            .recommend(requests, 1, &mut items, &mut scores)
            .unwrap_err()
            .to_string()
    };
    let unknown = Rows::new(&[vec![30], vec![]]);
    assert!(
        error(&Requests {
            histories: unknown.ragged(),
            ..good
        })
        .contains("30")
    );
    assert!(error(&Requests { k: 0, ..good }).contains("`k`"));
    assert!(error(&Requests { beam: 0, ..good }).contains("`beam`"));
    assert!(
        error(&Requests {
            exclude: &[31],
            ..good
        })
        .contains("31")
    );
    let three = Rows::new(&[vec![1], vec![1], vec![1]]);
    assert!(
        error(&Requests {
            allow: Some(three.ragged()),
            ..good
        })
        .contains("allow")
    );
    assert!(
        error(&Requests {
            exclude_each: Some(three.ragged()),
            ..good
        })
        .contains("exclude")
    );
    let torn = Ragged {
        values: &[1, 2],
        offsets: &[0, 2, 1],
    };
    assert!(
        error(&Requests {
            histories: torn,
            ..good
        })
        .contains("offsets")
    );
    assert_eq!(
        error(&Requests {
            scoring: Scoring::Score,
            ..good
        }),
        "the model has no scoring `score`: expected one of sid, exact, fused, got `score`"
    );
    let new = NewItems {
        ids: &[ItemId::Int(5)],
        content: &[0.0; 7],
        tokens: &[0, 0, 6],
    };
    assert!(matches!(
        model.add_items(&new),
        Err(Error::TokenRange {
            level: 2,
            token: 6,
            size: 6,
            ..
        })
    ));
    let new = NewItems {
        content: &[0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0],
        tokens: &[0, 0, 0],
        ..new
    };
    assert!(matches!(model.add_items(&new), Err(Error::NotFinite { .. })));
    let twice = [ItemId::Int(5), ItemId::Int(5)];
    let new = NewItems {
        ids: &twice,
        content: &[0.0; 14],
        tokens: &[0; 6],
    };
    assert!(matches!(
        model.add_items(&new),
        Err(Error::ItemExists { row: 1, .. })
    ));
    assert_eq!((model.items(), model.version()), (30, 0), "nothing was added");
    assert!(Kernel::available().count() > 0);
}

#[test]
fn readers_see_the_catalogue_before_or_after_an_edit() {
    let model = World::new(15, Encoder::Gru, 40).open();
    let rows = Rows::new(&[vec![1, 2, 3]]);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let requests = Requests {
                        k: 100,
                        beam: 100,
                        exclude_seen: false,
                        ..Requests::new(rows.ragged(), &model)
                    };
                    // Items come and go in pairs.
                    assert_eq!(recommend(&model, &requests, 1)[0].len() % 2, 0);
                }
            });
        }
        for pair in 0..30_i64 {
            let ids = [ItemId::Int(5000 + 2 * pair), ItemId::Int(5001 + 2 * pair)];
            let token = (pair % 3) as u16;
            let tokens = [token, 1, 2, token, 1, 3];
            model
                .add_items(&NewItems {
                    ids: &ids,
                    content: &[0.1; 14],
                    tokens: &tokens,
                })
                .unwrap();
            let items: Vec<u32> = model
                .find_ints([5000 + pair, 5001 + pair])
                .iter()
                .map(|&item| item as u32)
                .collect();
            if pair % 2 == 0 {
                model.remove_items(&items).unwrap();
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
