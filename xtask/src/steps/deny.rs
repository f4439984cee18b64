//! Step `deny`: what the dependencies bring along, by the rules in deny.toml.

use super::{Context, Outcome, cargo};
use anyhow::Result;

pub(super) fn run(_: &Context) -> Result<Outcome> {
    cargo(&["deny", "--all-features", "check", "bans", "licenses", "sources"]).run()?;
    // The advisory database comes over the network. Without one, nothing can be said about advisories, and a change
    // is not at fault for it; the workflow on GitHub always checks them.
    let fetch = cargo(&["deny", "fetch", "db"]);
    fetch.announce();
    let (fetched, said) = fetch.output()?;
    if !fetched {
        println!("{said}");
        return Ok(Outcome::PassedExcept(
            "ADVISORIES WERE NOT CHECKED: their database could not be fetched".to_owned(),
        ));
    }
    cargo(&["deny", "--offline", "--all-features", "check", "advisories"]).run()?;
    Ok(Outcome::Passed)
}
