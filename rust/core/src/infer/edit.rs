//! Changes of the catalogue while others read it.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock, PoisonError};

use super::catalogue::Catalogue;
use super::grown::{New, grow, prefixes};
use super::ids::ItemId;
use super::{Model, catalogue};
use crate::array::Array;
use crate::error::{Error, Result};

/// Items to add.
#[derive(Clone, Copy, Debug)]
pub struct NewItems<'a> {
    /// Their ids, of the type of the model's.
    pub ids: &'a [ItemId],
    /// Their content vectors, as those of the training, one after the other; empty for models without content.
    pub content: &'a [f32],
    /// The tokens of their Semantic IDs, one after the other.
    pub tokens: &'a [u16],
}

impl Model {
    /// Number of dimensions of the content vectors of new items; none if items cannot be added.
    #[must_use]
    pub fn content_dim(&self) -> Option<usize> {
        self.growth.as_ref().map(super::growth::Growth::content_dim)
    }

    /// Adds items, all or none; those that were removed before are restored as they were. Requests that have begun do not see
    /// them, later ones do. It takes one copy of the tree.
    ///
    /// # Errors
    /// [`Error::Fixed`] if the model cannot represent new items, [`Error::ItemExists`] for an item that can be recommended
    /// already or comes twice, [`Error::Length`] for vectors or tokens that do not fit, [`Error::NotFinite`],
    /// [`Error::TokenRange`].
    pub fn add_items(&self, new: &NewItems<'_>) -> Result<()> {
        let Some(growth) = &self.growth else {
            return Err(Error::Fixed);
        };
        let _writing = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.snapshot();
        let (count, levels) = (new.ids.len(), current.tree.levels.len());
        Error::check_length("tokens", new.tokens.len(), count * levels)?;
        Error::check_length("item_vectors", new.content.len(), count * growth.content_dim())?;
        Error::check_finite("item_vectors", growth.content_dim().max(1), new.content)?;
        growth.check_tokens(new.tokens)?;
        if current.items() + count > catalogue::MOST {
            return Err(Error::TooManyItems {
                got: current.items() + count,
            });
        }
        let (fresh, restored) = sorted_out(&current, new.ids)?;
        let mut next = Catalogue::clone(&current);
        if !fresh.is_empty() {
            self.grow(&mut next, new, &fresh);
        }
        let removed = current
            .live
            .iter()
            .flat_map(|live| live.others(current.item.len()));
        let removed: Vec<u32> = removed
            .map(|slot| current.item[slot])
            .filter(|item| !restored.contains(item))
            .collect();
        next.live = (!removed.is_empty()).then(|| Arc::new(next.set(&removed, true)));
        self.publish(next);
        Ok(())
    }

    /// Removes items: they are not recommended any more, and may still occur in histories. Those that were removed before are
    /// ignored.
    ///
    /// # Errors
    /// [`Error::UnknownItem`] for an item that does not exist.
    pub fn remove_items(&self, items: &[u32]) -> Result<()> {
        let _writing = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.snapshot();
        current.check(items)?;
        let mut live = current.set(items, true);
        if let Some(before) = &current.live {
            live.intersect(before);
        }
        let mut next = Catalogue::clone(&current);
        next.live = Some(Arc::new(live));
        self.publish(next);
        Ok(())
    }

    /// Adds the new items with these places to a catalogue.
    fn grow(&self, next: &mut Catalogue, new: &NewItems<'_>, fresh: &[usize]) {
        let Some(growth) = &self.growth else { return };
        let (levels, width) = (next.tree.levels.len(), growth.content_dim());
        let (first_item, first_row) = (next.items() as u32, next.vectors.len() as u32);
        let of = |place: usize| &new.tokens[place * levels..(place + 1) * levels];
        let content: Vec<f32> = fresh
            .iter()
            .flat_map(|&place| &new.content[place * width..(place + 1) * width])
            .copied()
            .collect();
        let tokens: Vec<u16> = fresh.iter().flat_map(|&place| of(place)).copied().collect();
        let trained: Vec<u32> = fresh
            .iter()
            .flat_map(|&place| prefixes(&next.tree, of(place)))
            .collect();
        next.vectors = next.vectors.with(&growth.vectors(&content, &tokens, &trained));
        let numbered = fresh.iter().zip(0..);
        let mut sorted: Vec<New<'_>> = numbered
            .map(|(&place, number)| New {
                tokens: of(place),
                item: first_item + number,
                row: first_row + number,
            })
            .collect();
        sorted.sort_by(|a, b| a.tokens.cmp(b.tokens).then(a.item.cmp(&b.item)));
        let grown = grow(&next.tree, &next.item, &sorted, growth.bias);
        let mut rows = vec![0; fresh.len()];
        for (each, row) in sorted.iter().zip(grown.rows) {
            rows[(each.item - first_item) as usize] = row;
        }
        next.slot = Array::filled(grown.items.len(), |slot| {
            for (place, &item) in (0..).zip(&grown.items[..]) {
                slot[item as usize] = place;
            }
        });
        next.row = next.row.with(&rows);
        next.add_counts(&vec![0; fresh.len()]);
        let ids: Vec<ItemId> = fresh.iter().map(|&place| new.ids[place].clone()).collect();
        next.ids = next.ids.with(ids);
        (next.tree, next.item) = (grown.tree, grown.items);
        next.inverse_lengths = OnceLock::new();
    }

    fn publish(&self, mut next: Catalogue) {
        next.version += 1;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}

/// The places of ids that are new, and the items of those that were removed.
fn sorted_out(current: &Catalogue, ids: &[ItemId]) -> Result<(Vec<usize>, HashSet<u32>)> {
    let (mut fresh, mut restored) = (Vec::new(), HashSet::new());
    let mut seen = HashSet::new();
    for (place, id) in ids.iter().enumerate() {
        let found = match id {
            ItemId::Int(id) => current.ids.find_int(*id),
            ItemId::Text(id) => current.ids.find_text(id),
        };
        let exists = Err(Error::ItemExists {
            row: place,
            item: found.unwrap_or(place as u32),
        });
        if !seen.insert(id) {
            return exists;
        }
        match found {
            None => fresh.push(place),
            Some(item) if current.is_live(item) => return exists,
            Some(item) => {
                restored.insert(item);
            }
        }
    }
    Ok((fresh, restored))
}

impl Catalogue {
    /// True if an item was not removed.
    fn is_live(&self, item: u32) -> bool {
        let slot = self.slot[item as usize] as usize;
        self.live.as_ref().is_none_or(|live| live.contains(slot))
    }
}
