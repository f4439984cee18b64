//! What cargo knows about this workspace.

use crate::process::Process;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The workspace's root folder.
///
/// Asked of the cargo that runs us, not settled at compile time: checkouts that share a target directory share this program.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR");
        let xtask = xtask.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        xtask.parent().map_or_else(|| xtask.clone(), Path::to_owned)
    });
    &ROOT
}

/// `cargo metadata` of the workspace's own packages, without their dependencies.
#[derive(Debug)]
pub(crate) struct Metadata(Value);

/// One package of the workspace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Package<'a>(&'a Value);

impl Metadata {
    pub(crate) fn read() -> Result<Self> {
        let json = Process::cargo().args(["metadata", "--no-deps", "--format-version", "1"]).stdout()?;
        Ok(Self(serde_json::from_str(&json).context("cargo metadata printed no JSON")?))
    }

    /// Where cargo builds.
    pub(crate) fn target_dir(&self) -> Result<PathBuf> {
        let dir = self.0.get("target_directory").and_then(Value::as_str);
        Ok(dir.context("cargo metadata names no target directory")?.into())
    }

    pub(crate) fn packages(&self) -> impl Iterator<Item = Package<'_>> {
        array(&self.0, "packages").map(Package)
    }
}

impl<'a> Package<'a> {
    pub(crate) fn name(self) -> &'a str {
        text(self.0, "name")
    }

    /// Whether the package may be published: what users get, as opposed to tooling.
    #[cfg(test)]
    pub(crate) fn is_published(self) -> bool {
        self.0.get("publish").is_none_or(Value::is_null)
    }

    #[cfg(test)]
    pub(crate) fn features(self) -> impl Iterator<Item = &'a str> + use<'a> {
        let features = self.0.get("features").and_then(Value::as_object);
        features.into_iter().flat_map(|map| map.keys().map(String::as_str))
    }

    /// The names of this package's targets of one kind: `example`, `bench`, `test`, …
    pub(crate) fn targets(self, kind: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
        array(self.0, "targets")
            .filter(move |target| array(target, "kind").any(|k| k.as_str() == Some(kind)))
            .map(|target| text(target, "name"))
    }
}

fn array<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_where_the_workspace_manifest_is() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn metadata_tells_products_from_tooling() {
        let metadata = Metadata::read().unwrap();
        let published = |name: &str| metadata.packages().find(|p| p.name() == name).map(Package::is_published);
        assert_eq!(published("zmtp-codec"), Some(true));
        assert_eq!(published("xtask"), Some(false));
        assert_eq!(published("no-such-package"), None);
    }

    #[test]
    fn targets_are_told_apart_by_kind() {
        let metadata = Metadata::read().unwrap();
        let xtask = metadata.packages().find(|p| p.name() == "xtask").unwrap();
        assert_eq!(xtask.targets("bin").collect::<Vec<_>>(), ["xtask"]);
        assert_eq!(xtask.targets("example").count(), 0);
    }
}
