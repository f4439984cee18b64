//! The places and who holds them: pure bookkeeping, without a lock or a clock.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Who came when: later is greater.
pub(super) type Ticket = u64;

/// The places of one origin, the oldest first.
type Queue<V> = BTreeMap<Ticket, V>;

/// Who gives way first is the greatest: an origin with more places, then one whose oldest place is older.
type Rank = (usize, Reverse<Ticket>);

/// A limited number of places, held by origins `K`, with a value `V` for each.
///
/// Everything is logarithmic in the number of places, and nothing is kept for an origin that holds none.
#[derive(Debug)]
pub(super) struct Places<K, V> {
    total: usize,
    per_origin: usize,
    queues: BTreeMap<K, Queue<V>>,
    /// Every origin with a place, by its rank. No two have the same: tickets are unique.
    ranking: BTreeMap<Rank, K>,
    held: usize,
    next: Ticket,
}

impl<K: Ord + Clone, V> Places<K, V> {
    /// So many places, all of them free. Of either limit there is at least one.
    pub(super) const fn new(total: usize, per_origin: usize) -> Self {
        Self { total, per_origin, queues: BTreeMap::new(), ranking: BTreeMap::new(), held: 0, next: 0 }
    }

    /// How many places are held: never more than the total.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Gives `origin` a place, and returns the value of the one that had to give way, if one had.
    ///
    /// The newcomer is counted before it is decided who that is. It is never the newcomer itself, the youngest of its
    /// origin and of all.
    pub(super) fn take(&mut self, origin: &K, value: V) -> (Ticket, Option<V>) {
        let ticket = self.next;
        self.next += 1;
        let of_origin = self.change(origin, |queue| {
            queue.insert(ticket, value);
            queue.len()
        });
        let displaced = if of_origin > self.per_origin {
            self.displace_oldest_of(origin)
        } else if self.held > self.total {
            self.displace()
        } else {
            None
        };
        (ticket, displaced)
    }

    /// Frees a place and returns its value; `None` if it was free already.
    pub(super) fn free(&mut self, origin: &K, ticket: Ticket) -> Option<V> {
        self.change(origin, |queue| queue.remove(&ticket))
    }

    fn displace_oldest_of(&mut self, origin: &K) -> Option<V> {
        self.change(origin, |queue| queue.pop_first().map(|(_, value)| value))
    }

    /// Has the one give way whose turn it is, and returns its value; `None` if no place is held.
    pub(super) fn displace(&mut self) -> Option<V> {
        let (_, origin) = self.ranking.last_key_value()?;
        self.displace_oldest_of(&origin.clone())
    }

    /// Every change goes through here, which keeps the ranking and the count in step with it.
    fn change<T>(&mut self, origin: &K, change: impl FnOnce(&mut Queue<V>) -> T) -> T {
        let mut queue = self.queues.remove(origin).unwrap_or_default();
        if let Some(rank) = rank(&queue) {
            self.ranking.remove(&rank);
        }
        self.held -= queue.len();
        let changed = change(&mut queue);
        self.held += queue.len();
        if let Some(rank) = rank(&queue) {
            self.ranking.insert(rank, origin.clone());
            self.queues.insert(origin.clone(), queue);
        }
        changed
    }
}

/// Where the owner of this queue stands; an empty one has no rank.
fn rank<V>(queue: &Queue<V>) -> Option<Rank> {
    let (&oldest, _) = queue.first_key_value()?;
    Some((queue.len(), Reverse(oldest)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The places as a list in the order of arrival, searched through for every answer.
    #[derive(Debug)]
    struct Naive {
        total: usize,
        per_origin: usize,
        places: Vec<(u8, Ticket)>,
        next: Ticket,
    }

    impl Naive {
        fn count(&self, origin: u8) -> usize {
            self.places.iter().filter(|place| place.0 == origin).count()
        }

        fn take(&mut self, origin: u8) -> (Ticket, Option<Ticket>) {
            let ticket = self.next;
            self.next += 1;
            self.places.push((origin, ticket));
            let displaced = if self.count(origin) > self.per_origin {
                self.places.iter().position(|place| place.0 == origin)
            } else if self.places.len() > self.total {
                let most = self.places.iter().map(|place| self.count(place.0)).max();
                self.places.iter().position(|place| Some(self.count(place.0)) == most)
            } else {
                None
            };
            (ticket, displaced.map(|index| self.places.remove(index).1))
        }

        fn free(&mut self, ticket: Ticket) -> Option<Ticket> {
            let index = self.places.iter().position(|place| place.1 == ticket)?;
            Some(self.places.remove(index).1)
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Take(u8),
        /// Of all tickets ever given: most are free by then.
        Free(prop::sample::Index),
    }

    fn op() -> impl Strategy<Value = Op> {
        // Few origins, some of them busier than others.
        let origin = prop_oneof![3 => Just(0), 2 => 1..4_u8, 1 => 4..40_u8];
        prop_oneof![3 => origin.prop_map(Op::Take), 1 => any::<prop::sample::Index>().prop_map(Op::Free)]
    }

    proptest! {
        #[test]
        fn whoever_comes_and_goes_the_places_are_those_of_the_plain_list(
            total in 1..12_usize,
            per_origin in 1..8_usize,
            ops in prop::collection::vec(op(), 0..200),
        ) {
            let mut places = Places::new(total, per_origin);
            let mut naive = Naive { total, per_origin, places: Vec::new(), next: 0 };
            let mut given = Vec::new();
            for op in ops {
                match op {
                    Op::Take(origin) => {
                        // The value of each place is its ticket.
                        let taken = places.take(&origin, naive.next);
                        prop_assert_eq!(taken, naive.take(origin));
                        given.push((origin, taken.0));
                    }
                    Op::Free(index) if !given.is_empty() => {
                        let (origin, ticket) = *index.get(&given);
                        prop_assert_eq!(places.free(&origin, ticket), naive.free(ticket));
                    }
                    Op::Free(_) => {}
                }
                prop_assert!(places.held() <= total);
                prop_assert_eq!(places.held(), naive.places.len());
                prop_assert_eq!(places.queues.len(), places.ranking.len());
                for (origin, queue) in &places.queues {
                    prop_assert!(queue.len() <= per_origin);
                    prop_assert_eq!(queue.len(), naive.count(*origin));
                    prop_assert!(!queue.is_empty(), "nothing is kept for who holds nothing");
                }
            }
        }

        /// What the documentation of the limiter promises.
        #[test]
        fn nobody_gives_way_to_an_origin_that_has_more(
            total in 1..12_usize,
            origins in prop::collection::vec(0..20_u8, 0..200),
        ) {
            let mut places = Places::new(total, usize::MAX);
            for newcomer in origins {
                let before: BTreeMap<u8, usize> = places.queues.iter().map(|(&o, queue)| (o, queue.len())).collect();
                let had = |origin| before.get(&origin).copied().unwrap_or(0);
                if let (_, Some(displaced)) = places.take(&newcomer, newcomer) && displaced != newcomer {
                    prop_assert!(had(displaced) > had(newcomer));
                }
            }
        }
    }

    #[test]
    fn of_origins_with_as_many_the_oldest_gives_way() {
        let mut places = Places::new(4, 4);
        for origin in ['a', 'b', 'b', 'a'] {
            assert_eq!(places.take(&origin, origin).1, None);
        }
        assert_eq!(places.take(&'c', 'c').1, Some('a'), "two of each, and that of a is the oldest");
        assert_eq!(places.take(&'c', 'c').1, Some('b'), "which has the most now, beside c itself, and older ones");
        assert_eq!(places.take(&'c', 'c').1, Some('c'), "which has the most, the newcomer counted");
    }

    #[test]
    fn a_single_place_goes_to_the_newcomer() {
        let mut places = Places::new(1, 1);
        assert_eq!(places.take(&'a', 1).1, None);
        assert_eq!(places.take(&'b', 2).1, Some(1));
        assert_eq!(places.take(&'b', 3).1, Some(2));
        assert_eq!(places.held(), 1);
    }
}
