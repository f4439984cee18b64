//! Which crates are checked with which features: the one place that says so.
//!
//! `clippy`, `test` and `no-std` walk this table, and the GitHub workflow builds its jobs from `cargo xtask matrix --json`.
//! A new crate or feature belongs here; the tests below fail until it is.

use crate::table::{Align, Table};
use Features::{All, Default, Linted, Only, With};
use anyhow::Result;
use serde_json::{Value, json};

const MATRIX: &[Package] = &[
    Package {
        name: "zmtp-codec",
        kind: Kind::Product { no_std: true },
        feature_sets: &[Default, With(&["tokio-util"]), With(&["keys"]), With(&["cipher"]), All],
    },
    Package { name: "zmtp-mechanism-null", kind: Kind::Product { no_std: true }, feature_sets: &[Default] },
    Package { name: "zmtp-mechanism-plain", kind: Kind::Product { no_std: true }, feature_sets: &[Default] },
    Package { name: "zmtp-mechanism-curve", kind: Kind::Product { no_std: false }, feature_sets: &[Default] },
    Package { name: "zmtp-mechanism-blake3", kind: Kind::Product { no_std: false }, feature_sets: &[Default, All] },
    Package {
        name: "zmtp-connection",
        kind: Kind::Product { no_std: false },
        feature_sets: &[
            Linted(&["plain"]),
            Linted(&["curve"]),
            Linted(&["blake3"]),
            Linted(&["zap"]),
            Linted(&["net"]),
            Linted(&["net", "tracing"]),
            Only(&[]),
            Only(&["null"]),
            Default,
            All,
        ],
    },
    // The features `libzmq`, which builds a C++ library, `omq`, `omq-blake3` and `blake3-reference`, which needs Python, and
    // those of the program `measure` have a step of their own: `interop`.
    Package { name: "zmtp-bench", kind: Kind::Tooling, feature_sets: &[Default] },
    Package { name: "xtask", kind: Kind::Tooling, feature_sets: &[Default] },
];

/// Features with a step of their own, which no row of the table has to cover.
#[cfg(test)]
const COVERED_ELSEWHERE: &[(&str, &str)] = &[
    ("zmtp-bench", "libzmq"),
    ("zmtp-bench", "omq"),
    ("zmtp-bench", "omq-blake3"),
    ("zmtp-bench", "blake3-reference"),
    ("zmtp-bench", "measure"),
    ("zmtp-bench", "monocoque"),
    ("zmtp-bench", "omq-tokio"),
    ("zmtp-bench", "rzmq"),
    ("zmtp-bench", "zeromq"),
];

/// The systems on which the workflow tests the products; tooling is tested on the first.
const SYSTEMS: &[&str] = &["ubuntu-latest", "macos-latest", "windows-latest"];

/// Arguments of `cargo xtask matrix`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the rows, times the systems to test on, as the `matrix` of a GitHub workflow.
    #[arg(long)]
    json: bool,
}

/// One workspace member and the feature sets with which it has to pass.
#[derive(Debug)]
struct Package {
    name: &'static str,
    kind: Kind,
    /// From the narrowest to the widest: a quick run takes only the last.
    feature_sets: &'static [Features],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What users depend on. Without its default features, does it do without std?
    Product {
        no_std: bool,
    },
    Tooling,
}

/// A choice of features, as cargo is told it.
#[derive(Debug, Clone, Copy)]
enum Features {
    /// The default features.
    Default,
    /// These and not the default ones.
    Only(&'static [&'static str]),
    /// As `Only`, and linted but not tested by `cargo xtask ci`, for its time: what they leave out is left out by the compiler, and
    /// what they have is tested in wider rows. The workflow tests them all.
    Linted(&'static [&'static str]),
    /// These and the default ones.
    With(&'static [&'static str]),
    /// Every feature there is.
    All,
}

/// One package with one choice of features.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    package: &'static Package,
    features: Features,
}

/// Every row, or with `quick` only the widest one of each package.
pub(crate) fn rows(quick: bool) -> impl Iterator<Item = Row> {
    MATRIX.iter().flat_map(move |package| {
        let skipped = if quick { package.feature_sets.len().saturating_sub(1) } else { 0 };
        let sets = package.feature_sets.iter().skip(skipped);
        sets.map(move |&features| Row { package, features })
    })
}

/// The names of the crates that do without std when their default features are off.
pub(crate) fn no_std_packages() -> impl Iterator<Item = &'static str> {
    let no_std = |package: &&Package| package.kind == Kind::Product { no_std: true };
    MATRIX.iter().filter(no_std).map(|package| package.name)
}

/// `cargo xtask matrix`.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.json {
        println!("{}", workflow_matrix());
        return Ok(());
    }
    let mut table =
        Table::new(&[("package", Align::Left), ("features", Align::Left), ("cargo arguments", Align::Left)]);
    for row in rows(false) {
        table.push([row.package.name.to_owned(), row.features.label(), row.cargo_args().join(" ")]);
    }
    print!("{}", table.to_text());
    Ok(())
}

fn workflow_matrix() -> Value {
    let include: Vec<Value> = rows(false)
        .flat_map(|row| {
            let systems = match row.package.kind {
                Kind::Product { .. } => SYSTEMS.len(),
                Kind::Tooling => 1,
            };
            SYSTEMS.iter().take(systems).map(move |system| {
                json!({
                    "package": row.package.name,
                    "features": row.features.label(),
                    "args": row.cargo_args().join(" "),
                    "os": system,
                })
            })
        })
        .collect();
    json!({ "include": include })
}

impl Row {
    /// Whether its tests are run here; they are in the workflow in any case.
    pub(crate) const fn is_tested(&self) -> bool {
        !matches!(self.features, Linted(_))
    }

    /// What tells cargo about this row: `-p PACKAGE` and the feature options.
    pub(crate) fn cargo_args(&self) -> Vec<String> {
        let mut args = vec!["-p".to_owned(), self.package.name.to_owned()];
        let (switch, named): (Option<&str>, &[&str]) = match self.features {
            Default => (None, &[]),
            Only(named) | Linted(named) => (Some("--no-default-features"), named),
            With(named) => (None, named),
            All => (Some("--all-features"), &[]),
        };
        args.extend(switch.map(str::to_owned));
        if !named.is_empty() {
            args.extend(["--features".to_owned(), named.join(",")]);
        }
        args
    }
}

impl Features {
    fn label(self) -> String {
        match self {
            Default => "default".to_owned(),
            Only([]) => "none".to_owned(),
            Only(named) | Linted(named) => format!("only {}", named.join(",")),
            With(named) => format!("default,{}", named.join(",")),
            All => "all".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Metadata;
    use std::collections::BTreeSet;

    fn named(features: Features) -> &'static [&'static str] {
        match features {
            Only(named) | Linted(named) | With(named) => named,
            Default | All => &[],
        }
    }

    #[test]
    fn every_workspace_member_has_its_place_and_kind() {
        let metadata = Metadata::read().unwrap();
        let found: BTreeSet<_> = metadata.packages().map(|p| (p.name(), p.is_published())).collect();
        let is_product = |package: &Package| matches!(package.kind, Kind::Product { .. });
        let listed: BTreeSet<_> = MATRIX.iter().map(|p| (p.name, is_product(p))).collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn every_feature_in_the_table_exists() {
        let metadata = Metadata::read().unwrap();
        let mut missing = Vec::new();
        for row in rows(false) {
            let package = metadata.packages().find(|p| p.name() == row.package.name).unwrap();
            let exists = |feature: &&&str| package.features().any(|f| f == **feature);
            let unknown = named(row.features).iter().filter(|feature| !exists(feature));
            missing.extend(unknown.map(|feature| (row.package.name, *feature)));
        }
        assert!(missing.is_empty(), "no such features: {missing:?}");
    }

    #[test]
    fn every_feature_of_the_workspace_is_checked_somewhere() {
        let metadata = Metadata::read().unwrap();
        let mut uncovered = Vec::new();
        for package in metadata.packages() {
            for feature in package.features().filter(|&feature| feature != "default") {
                let covers = |row: Row| {
                    row.package.name == package.name()
                        && (matches!(row.features, All) || named(row.features).contains(&feature))
                };
                if !rows(false).any(covers) && !COVERED_ELSEWHERE.contains(&(package.name(), feature)) {
                    uncovered.push((package.name(), feature));
                }
            }
        }
        assert!(uncovered.is_empty(), "add a row for {uncovered:?}");
    }

    #[test]
    fn each_choice_of_features_becomes_the_options_that_cargo_knows() {
        let args = |features| {
            let package = MATRIX.first().unwrap();
            Row { package, features }.cargo_args().join(" ")
        };
        assert_eq!(args(Default), "-p zmtp-codec");
        assert_eq!(args(Only(&[])), "-p zmtp-codec --no-default-features");
        assert_eq!(args(Only(&["a", "b"])), "-p zmtp-codec --no-default-features --features a,b");
        assert_eq!(args(Linted(&["a"])), "-p zmtp-codec --no-default-features --features a");
        assert_eq!(args(With(&["a"])), "-p zmtp-codec --features a");
        assert_eq!(args(All), "-p zmtp-codec --all-features");
    }

    #[test]
    fn every_package_is_tested_with_its_widest_row_at_least() {
        for package in MATRIX {
            let widest = package.feature_sets.last().copied().unwrap();
            assert!(Row { package, features: widest }.is_tested(), "{}", package.name);
        }
        assert!(rows(false).any(|row| !row.is_tested()));
    }

    #[test]
    fn a_quick_run_takes_the_widest_row_of_each_package() {
        let quick: Vec<_> = rows(true).map(|row| row.package.name).collect();
        let all: Vec<_> = MATRIX.iter().map(|package| package.name).collect();
        assert_eq!(quick, all);
        let connection = rows(true).find(|row| row.package.name == "zmtp-connection").unwrap();
        assert!(matches!(connection.features, All));
    }

    #[test]
    fn the_workflow_tests_products_on_every_system_and_tooling_on_one() {
        let matrix = workflow_matrix();
        let include = matrix["include"].as_array().unwrap();
        let systems = |name: &str| -> BTreeSet<_> {
            let rows = include.iter().filter(|row| row["package"] == name);
            rows.filter_map(|row| row["os"].as_str()).collect()
        };
        assert_eq!(systems("zmtp-connection"), SYSTEMS.iter().copied().collect());
        assert_eq!(systems("xtask"), BTreeSet::from(["ubuntu-latest"]));
    }
}
