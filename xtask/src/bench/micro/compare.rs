//! Where a group measures others beside us, one table for it: what each took, and our time as a ratio of theirs.
//!
//! Such a group's benches are called `NAME/PARAMETER`, and ours is the NAME [`OURS`].

use super::results::Measurement;
use crate::bench::numbers::nanoseconds;
use crate::table::{Align, Table};

/// By which name we take part.
const OURS: &str = "zmtp";

/// A table for each group in which we are not alone, by the group's name.
pub(crate) fn tables(measurements: &[Measurement]) -> Vec<(String, Table)> {
    let mut groups: Vec<&str> = measurements.iter().map(|measurement| measurement.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.into_iter().filter_map(|group| Some((group.to_owned(), table(group, measurements)?))).collect()
}

fn table(group: &str, measurements: &[Measurement]) -> Option<Table> {
    let entries: Vec<Entry<'_>> = measurements.iter().filter_map(|measurement| Entry::of(group, measurement)).collect();
    let ours: Vec<&Entry<'_>> = entries.iter().filter(|entry| entry.name == OURS).collect();
    let mut others: Vec<&str> = entries.iter().map(|entry| entry.name).filter(|name| *name != OURS).collect();
    others.sort_unstable();
    others.dedup();
    if ours.is_empty() || others.is_empty() {
        return None;
    }
    let headings = [("", Align::Right), (OURS, Align::Right)].into_iter();
    let headings = headings.chain(others.iter().flat_map(|name| [(*name, Align::Right), ("ratio", Align::Right)]));
    let mut table = Table::new(&headings.collect::<Vec<_>>());
    for our in ours {
        let mut row = vec![our.parameter.to_owned(), nanoseconds(our.median)];
        for name in &others {
            let their = entries.iter().find(|entry| entry.name == *name && entry.parameter == our.parameter);
            row.push(their.map(|their| nanoseconds(their.median)).unwrap_or_default());
            row.push(their.map(|their| format!("{:.2}", our.median / their.median)).unwrap_or_default());
        }
        table.push(row);
    }
    Some(table)
}

/// One bench of a group, its name taken apart.
struct Entry<'a> {
    name: &'a str,
    parameter: &'a str,
    median: f64,
}

impl<'a> Entry<'a> {
    fn of(group: &str, measurement: &'a Measurement) -> Option<Self> {
        if measurement.group != group {
            return None;
        }
        let (name, parameter) = measurement.name.strip_prefix(group)?.strip_prefix('/')?.split_once('/')?;
        Some(Self { name, parameter, median: measurement.median })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(group: &str, name: &str, median: f64) -> Measurement {
        Measurement::timed(group, name, median)
    }

    #[test]
    fn each_size_is_a_row_with_our_time_as_a_ratio_of_theirs() {
        let measurements = [
            measurement("seal", "zmtp/16", 50.0),
            measurement("seal", "zmtp/64", 90.0),
            measurement("seal", "other/16", 200.0),
            measurement("seal", "another/64", 30.0),
        ];
        let tables = tables(&measurements);
        let [(group, table)] = tables.as_slice() else { panic!("{} tables", tables.len()) };
        assert_eq!(group, "seal");
        let text = table.to_text();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["zmtp", "another", "ratio", "other", "ratio"]);
        assert_eq!(rows[2], ["16", "50.0", "ns", "200", "ns", "0.25"]);
        assert_eq!(rows[3], ["64", "90.0", "ns", "30.0", "ns", "3.00"]);
    }

    #[test]
    fn a_group_in_which_we_are_alone_or_absent_has_no_table() {
        let measurements =
            [measurement("a", "zmtp/16", 1.0), measurement("b", "other/16", 1.0), measurement("c", "x", 1.0)];
        assert!(tables(&measurements).is_empty());
    }
}
