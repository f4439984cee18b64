//! Tables: contenders as rows, situations as columns.

use super::contender::Contender;
use super::contest::{Contest, Entry, Quantity};
use super::ratios::{Verdict, like_with_like};
use super::situation::Scenario;
use super::stats::Spread;
use crate::bench::numbers::{nanoseconds, scaled, three_digits};
use crate::table::{Align, Table};

/// The contests of one table: what they have in common, and they.
pub(crate) type Family<'a> = (String, Vec<&'a Contest>);

/// The contests as they share tables, in their order.
pub(crate) fn families(contests: &[Contest]) -> Vec<Family<'_>> {
    let mut families: Vec<Family<'_>> = Vec::new();
    for contest in contests {
        let name = contest.situation.family();
        match families.iter_mut().find(|(family, _)| *family == name) {
            Some((_, members)) => members.push(contest),
            None => families.push((name, vec![contest])),
        }
    }
    families
}

/// Ratios of ours to everybody else's; `None` if there is nobody else.
pub(crate) fn of_ratios(contests: &[&Contest]) -> Option<Table> {
    grid(contests, |contest, contender| {
        let comparisons = like_with_like(contest);
        let comparison = comparisons.iter().find(|comparison| comparison.theirs == contender)?;
        Some(with_quartiles(&comparison.spread))
    })
}

/// The medians of a quantity, and how far they spread where that matters.
pub(crate) fn of_medians(contests: &[&Contest], quantity: Quantity) -> Option<Table> {
    let of_interest = |contest: &&&Contest| says_something(quantity, contest.situation.scenario);
    let contests: Vec<&Contest> = contests.iter().filter(of_interest).copied().collect();
    contests.iter().any(|contest| contest.entries.iter().any(|entry| entry.spread(quantity).is_some())).then_some(())?;
    grid(&contests, |contest, contender| median(entry(contest, contender)?, quantity))
}

/// The verdicts on one target, a row for each situation.
pub(crate) fn of_verdicts(verdicts: &[&Verdict]) -> Table {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("wanted", Align::Right),
        ("median", Align::Right),
        ("quartiles", Align::Right),
        ("", Align::Left),
        ("ours", Align::Left),
        ("theirs", Align::Left),
    ]);
    for verdict in verdicts {
        let spread = verdict.spread.as_ref();
        table.push([
            verdict.situation.column(),
            verdict.goal.to_string(),
            spread.map(|spread| three_digits(spread.median)).unwrap_or_default(),
            spread.map(quartiles).unwrap_or_default(),
            if verdict.is_met { "met" } else { "MISSED" }.to_owned(),
            verdict.ours.clone(),
            verdict.theirs.clone().unwrap_or_default(),
        ]);
    }
    table
}

/// `1.23 (1.10–1.35)`
pub(crate) fn with_quartiles(spread: &Spread) -> String {
    format!("{} ({})", three_digits(spread.median), quartiles(spread))
}

fn quartiles(spread: &Spread) -> String {
    format!("{}–{}", three_digits(spread.low), three_digits(spread.high))
}

/// A row for each contender who has anything to show.
fn grid(contests: &[&Contest], cell: impl Fn(&Contest, &Contender) -> Option<String>) -> Option<Table> {
    let columns: Vec<String> = contests.iter().map(|contest| contest.situation.column()).collect();
    let headings = std::iter::once(("", Align::Left)).chain(columns.iter().map(|name| (name.as_str(), Align::Right)));
    let mut table = Table::new(&headings.collect::<Vec<_>>());
    let mut is_empty = true;
    let contenders = contests.iter().flat_map(|contest| &contest.entries).map(|entry| &entry.contender);
    for contender in distinct(contenders) {
        let cells: Vec<Option<String>> = contests.iter().map(|contest| cell(contest, contender)).collect();
        if cells.iter().any(Option::is_some) {
            is_empty = false;
            let cells = cells.into_iter().map(Option::unwrap_or_default);
            table.push(std::iter::once(contender.to_string()).chain(cells));
        }
    }
    (!is_empty).then_some(table)
}

/// Each once, in the order of the first times.
pub(crate) fn distinct<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

fn entry<'a>(contest: &'a Contest, contender: &Contender) -> Option<&'a Entry> {
    contest.entries.iter().find(|entry| entry.contender == *contender)
}

fn median(entry: &Entry, quantity: Quantity) -> Option<String> {
    if entry.failure.is_some() {
        return Some("failed".to_owned());
    }
    let spread = entry.spread(quantity)?;
    Some(match quantity {
        Quantity::Rate => format!("{} ±{:.0} %", scaled(spread.median, ""), spread.percent()),
        Quantity::Processor | Quantity::Median | Quantity::Tail => nanoseconds(spread.median),
        Quantity::Waits | Quantity::Syscalls => few(spread.median),
        Quantity::Heap => scaled(spread.median, "B"),
    })
}

/// A number that may be far below one.
fn few(value: f64) -> String {
    match value {
        v if v < 0.000_1 => "< 0.0001".to_owned(),
        v if v < 0.01 => format!("{v:.4}"),
        v if v < 1.0 => format!("{v:.3}"),
        v => three_digits(v),
    }
}

/// Where a quantity is more than an accident.
const fn says_something(quantity: Quantity, scenario: Scenario) -> bool {
    match quantity {
        Quantity::Rate => !matches!(scenario, Scenario::RoundTrip | Scenario::Idle),
        Quantity::Processor | Quantity::Waits => !matches!(scenario, Scenario::Idle),
        Quantity::Median | Quantity::Tail | Quantity::Heap | Quantity::Syscalls => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::compare::contender::samples::{bare, libzmq, ours};
    use crate::bench::compare::contest::samples;
    use crate::bench::compare::situation::Situation;

    fn contests() -> Vec<Contest> {
        let contest =
            |size, entries| Contest { situation: Situation::new(Scenario::Throughput, size), rounds: 1, entries };
        let failed = Entry { failure: Some("gone".to_owned()), ..samples::entry(libzmq(), &[1e6]) };
        vec![
            contest(16, vec![samples::entry(ours(), &[9e6, 11e6]), samples::entry(bare(), &[20e6, 20e6])]),
            contest(2048, vec![samples::entry(ours(), &[5e5]), failed]),
        ]
    }

    fn rows(table: &Table) -> Vec<Vec<String>> {
        let split = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        table.to_markdown().lines().map(split).collect()
    }

    #[test]
    fn contenders_are_rows_and_situations_columns() {
        let contests = contests();
        let families = families(&contests);
        let [(name, members)] = families.as_slice() else { panic!("{} families", families.len()) };
        assert_eq!(name, "NULL throughput");
        let rows = rows(&of_medians(members, Quantity::Rate).unwrap());
        assert_eq!(rows[0], ["", "16 B", "2 KiB"]);
        assert_eq!(rows[2], ["zmtp (batch,borrowed)", "10.0 M ±5 %", "500 k ±0 %"]);
        assert_eq!(rows[3], ["bare socket (1 MiB writes)", "20.0 M ±0 %", ""]);
        assert_eq!(rows[4], ["libzmq (copy)", "", "failed"]);
    }

    #[test]
    fn ratios_have_a_row_for_each_of_the_others() {
        let contests = contests();
        let rows = rows(&of_ratios(&contests.iter().collect::<Vec<_>>()).unwrap());
        assert_eq!(rows[2], ["bare socket (1 MiB writes)", "0.50 (0.48–0.53)", ""]);
        assert_eq!(rows.len(), 3);
    }

    #[test]
    fn a_table_without_figures_is_none() {
        let contests = contests();
        assert!(of_medians(&contests.iter().collect::<Vec<_>>(), Quantity::Heap).is_none());
        assert!(of_medians(&[], Quantity::Rate).is_none());
    }
}
